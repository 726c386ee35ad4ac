//! The client of the serving bench: one blocking thread per connection, keep-alive, big reads, nothing kept.
//!
//! `reader ADDRESS CONNECTIONS SECONDS READ_BYTES PATHS_FILE` prints one line of JSON.

use std::io::{Error, ErrorKind, Read, Result, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::{Duration, Instant};

#[derive(Default)]
struct Count {
    requests: u64,
    bytes: u64,
}

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [address, connections, seconds, read_bytes, paths] = arguments.as_slice() else {
        return Err(bad("usage: reader ADDRESS CONNECTIONS SECONDS READ_BYTES PATHS_FILE"));
    };
    let number = |text: &str| text.parse::<u64>().map_err(|_| bad("not a number"));
    let (connections, read_bytes) = (number(connections)?, number(read_bytes)?);
    let paths: Arc<[String]> = std::fs::read_to_string(paths)?.lines().map(str::to_owned).collect();
    let begin = Instant::now();
    let end = begin + Duration::from_secs(number(seconds)?);
    let threads: Vec<_> = (0..connections)
        .map(|first| {
            let (address, paths) = (address.clone(), Arc::clone(&paths));
            std::thread::spawn(move || read_all(&address, &paths, first, read_bytes, end))
        })
        .collect();
    let mut all = Count::default();
    for thread in threads {
        let one = thread.join().map_err(|_| bad("a reader panicked"))??;
        all.requests += one.requests;
        all.bytes += one.bytes;
    }
    let elapsed_s = begin.elapsed().as_secs_f64();
    println!(r#"{{"requests":{},"bytes":{},"seconds":{elapsed_s}}}"#, all.requests, all.bytes);
    Ok(())
}

fn read_all(address: &str, paths: &[String], first: u64, read_bytes: u64, end: Instant) -> Result<Count> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_nodelay(true)?;
    let mut room = vec![0; usize::try_from(read_bytes).map_err(|_| bad("READ_BYTES is too large"))?];
    let mut count = Count::default();
    for path in paths.iter().cycle().skip(usize::try_from(first).unwrap_or_default() % paths.len()) {
        if Instant::now() >= end {
            break;
        }
        stream.write_all(format!("GET {path} HTTP/1.1\r\nHost: {address}\r\n\r\n").as_bytes())?;
        count.bytes += answer(&mut stream, &mut room)?;
        count.requests += 1;
    }
    Ok(count)
}

/// Reads one answer and says how long its body was.
fn answer(stream: &mut TcpStream, room: &mut [u8]) -> Result<u64> {
    let mut filled = 0;
    let head = loop {
        let read = stream.read(&mut room[filled..])?;
        if read == 0 {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        filled += read;
        if let Some(at) = room[..filled].windows(4).position(|four| four == b"\r\n\r\n") {
            break at + 4;
        }
    };
    let text = std::str::from_utf8(&room[..head]).map_err(|_| bad("the head is not text"))?;
    if !text.starts_with("HTTP/1.1 200") {
        return Err(bad(text));
    }
    let length = text.lines().filter_map(|line| line.split_once(':'));
    let mut length = length.filter(|(name, _)| name.eq_ignore_ascii_case("content-length"));
    let length = length.next().and_then(|(_, value)| value.trim().parse::<u64>().ok());
    let length = length.ok_or_else(|| bad("no Content-Length"))?;
    let mut done = (filled - head) as u64;
    while done < length {
        let read = stream.read(room)?;
        if read == 0 {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        done += read as u64;
    }
    if done == length { Ok(length) } else { Err(bad("more bytes than announced")) }
}

fn bad(text: &str) -> Error {
    Error::new(ErrorKind::InvalidData, text.to_owned())
}
