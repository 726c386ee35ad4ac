//! A client that speaks HTTP/1.1 by hand, because a library would never break off in the middle of a body.

use std::collections::HashMap;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

const ANSWER_MAX: Duration = Duration::from_secs(30);

/// One connection.
pub(crate) struct Raw {
    stream: TcpStream,
    left: Vec<u8>,
}

/// The head of an answer; names in lower case.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HashMap<String, String>,
}

impl Answer {
    /// A header as a number.
    pub(crate) fn number(&self, name: &str) -> Option<u64> {
        self.headers.get(name)?.parse().ok()
    }
}

impl Raw {
    /// Connects to this machine.
    pub(crate) async fn connect(port: u16) -> Self {
        Self { stream: TcpStream::connect(("127.0.0.1", port)).await.unwrap(), left: Vec::new() }
    }

    /// Sends the head of a request; `headers` without the host.
    pub(crate) async fn head(&mut self, method: &str, path: &str, headers: &[(&str, &str)]) {
        let host = self.stream.peer_addr().unwrap().to_string();
        let own = headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("host"));
        let host = [("Host", host.as_str())].into_iter().filter(|_| !own);
        let fields = host.chain(headers.iter().copied()).map(|(name, value)| format!("{name}: {value}\r\n"));
        let fields = fields.collect::<String>();
        self.send(format!("{method} {path} HTTP/1.1\r\n{fields}\r\n").as_bytes()).await.unwrap();
    }

    /// The head of a PATCH that promises `len` bytes at `offset`.
    pub(crate) async fn patch(port: u16, path: &str, offset: u64, len: u64) -> Self {
        let mut raw = Self::connect(port).await;
        let (offset, len) = (offset.to_string(), len.to_string());
        let headers = [
            ("Tus-Resumable", "1.0.0"),
            ("Content-Type", "application/offset+octet-stream"),
            ("Upload-Offset", offset.as_str()),
            ("Content-Length", len.as_str()),
        ];
        raw.head("PATCH", path, &headers).await;
        raw
    }

    /// Has the peer said nothing yet?
    pub(crate) fn is_open(&mut self) -> bool {
        let mut some = [0; 256];
        match self.stream.try_read(&mut some) {
            Ok(len) => {
                self.left.extend(&some[..len]);
                false
            }
            Err(error) => error.kind() == std::io::ErrorKind::WouldBlock,
        }
    }

    /// Sends bytes as they are; the peer may have gone.
    pub(crate) async fn send(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        self.stream.write_all(bytes).await?;
        self.stream.flush().await
    }

    /// The next answer, without its body.
    pub(crate) async fn answer(&mut self) -> Option<Answer> {
        let reading = async {
            loop {
                if let Some(end) = self.left.windows(4).position(|part| part == b"\r\n\r\n") {
                    let head = String::from_utf8_lossy(&self.left[..end]).into_owned();
                    self.left.drain(..end + 4);
                    return parse(&head);
                }
                match self.stream.read_buf(&mut self.left).await {
                    Ok(0) | Err(_) => return None,
                    Ok(_) => {}
                }
            }
        };
        tokio::time::timeout(ANSWER_MAX, reading).await.expect("because a server answers within the limit")
    }

    /// Waits until the peer has closed.
    pub(crate) async fn closed(&mut self) {
        let reading = async { while matches!(self.stream.read_buf(&mut self.left).await, Ok(1..)) {} };
        tokio::time::timeout(ANSWER_MAX, reading).await.expect("because the server closes what it has ended");
    }

    /// Ends the connection with RST in place of FIN, as a machine that lost its state does.
    pub(crate) fn reset(self) {
        self.stream.set_zero_linger().unwrap();
    }
}

fn parse(head: &str) -> Option<Answer> {
    let mut lines = head.lines();
    let status = lines.next()?.split(' ').nth(1)?.parse().ok()?;
    let pairs = lines.filter_map(|line| line.split_once(": "));
    let headers = pairs.map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned())).collect();
    Some(Answer { status, headers })
}
