//! The client of the upload bench for small files: one blocking thread per connection, each file a POST and a PATCH.
//!
//! `sender ADDRESS CONNECTIONS SECONDS FILE_BYTES` prints one line of JSON.

use std::io::{Error, ErrorKind, Read, Result, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [address, connections, seconds, file_bytes] = arguments.as_slice() else {
        return Err(bad("usage: sender ADDRESS CONNECTIONS SECONDS FILE_BYTES"));
    };
    let number = |text: &str| text.parse::<u64>().map_err(|_| bad("not a number"));
    let file = vec![7; usize::try_from(number(file_bytes)?).map_err(|_| bad("FILE_BYTES is too large"))?];
    let begin = Instant::now();
    let end = begin + Duration::from_secs(number(seconds)?);
    let threads: Vec<_> = (0..number(connections)?)
        .map(|_| {
            let (address, file) = (address.clone(), file.clone());
            std::thread::spawn(move || send_all(&address, &file, end))
        })
        .collect();
    let mut files = 0;
    for thread in threads {
        files += thread.join().map_err(|_| bad("a sender panicked"))??;
    }
    println!(r#"{{"files":{files},"seconds":{}}}"#, begin.elapsed().as_secs_f64());
    Ok(())
}

fn send_all(address: &str, file: &[u8], end: Instant) -> Result<u64> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_nodelay(true)?;
    let mut files = 0;
    while Instant::now() < end {
        let common = format!("Host: {address}\r\nTus-Resumable: 1.0.0\r\n");
        let create = format!(
            "POST /files/ HTTP/1.1\r\n{common}Upload-Length: {}\r\nContent-Length: 0\r\n\r\n",
            file.len()
        );
        stream.write_all(create.as_bytes())?;
        let created = answer(&mut stream, "201")?;
        let place = header(&created, "location").ok_or_else(|| bad("no Location"))?;
        let path = place.split_once("://").map_or(place, |(_, rest)| &rest[rest.find('/').unwrap_or(0)..]);
        let mut patch = format!(
            "PATCH {path} HTTP/1.1\r\n{common}Upload-Offset: 0\r\nContent-Type: application/offset+octet-stream\r\n\
             Content-Length: {}\r\n\r\n",
            file.len()
        )
        .into_bytes();
        patch.extend(file);
        stream.write_all(&patch)?;
        answer(&mut stream, "204")?;
        files += 1;
    }
    Ok(files)
}

/// Reads one answer with its body, and returns its head.
fn answer(stream: &mut TcpStream, status: &str) -> Result<String> {
    let mut bytes = Vec::new();
    let head = loop {
        if let Some(at) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
            break at + 4;
        }
        more(stream, &mut bytes)?;
    };
    let text = String::from_utf8_lossy(&bytes[..head]).into_owned();
    if text.split(' ').nth(1) != Some(status) {
        return Err(bad(&text));
    }
    let length = header(&text, "content-length").and_then(|text| text.parse::<usize>().ok()).unwrap_or(0);
    while bytes.len() < head + length {
        more(stream, &mut bytes)?;
    }
    Ok(text)
}

fn header<'h>(head: &'h str, wanted: &str) -> Option<&'h str> {
    let mut pairs = head.lines().filter_map(|line| line.split_once(':'));
    pairs.find(|(name, _)| name.eq_ignore_ascii_case(wanted)).map(|(_, value)| value.trim())
}

fn more(stream: &mut TcpStream, bytes: &mut Vec<u8>) -> Result<()> {
    let mut room = [0; 4096];
    let read = stream.read(&mut room)?;
    bytes.extend(&room[..read]);
    if read == 0 { Err(ErrorKind::UnexpectedEof.into()) } else { Ok(()) }
}

fn bad(text: &str) -> Error {
    Error::new(ErrorKind::InvalidData, text.to_owned())
}
