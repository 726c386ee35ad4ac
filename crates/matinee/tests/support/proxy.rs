//! A proxy that behaves as the bad ones do: it limits bodies, answers for a server that is away, cuts connections.

use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

/// What the proxy does wrong.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Faults {
    /// Bodies above so many bytes are refused with 413.
    pub(crate) body_max: Option<u64>,
    /// So many of the next requests are answered with 502.
    pub(crate) away: u32,
    /// A connection is cut after so many bytes of a body.
    pub(crate) cut_after: Option<u64>,
    /// Requests whose first line has these words are refused with 403.
    pub(crate) refuse: Option<&'static str>,
    /// Where requests go.
    pub(crate) port: u16,
}

impl Faults {
    /// What a request with this head and so many bytes is answered instead of being handed on.
    fn refusal(&self, head: &str, len: u64) -> Option<&'static str> {
        let first = head.lines().next().unwrap_or_default();
        if self.body_max.is_some_and(|max| len > max) {
            Some("413 Content Too Large")
        } else if self.refuse.is_some_and(|words| first.contains(words)) {
            Some("403 Forbidden")
        } else {
            (self.away > 0).then_some("502 Bad Gateway")
        }
    }
}

/// A running proxy.
pub(crate) struct Proxy {
    pub(crate) port: u16,
    faults: Arc<Mutex<Faults>>,
    bodies: Arc<Mutex<Vec<Body>>>,
}

/// A body that was offered.
struct Body {
    /// The method and the address that it was for.
    to: String,
    len: u64,
}

impl Proxy {
    /// Starts a proxy.
    pub(crate) async fn start(faults: Faults) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let proxy = Self { port, faults: Arc::new(Mutex::new(faults)), bodies: Arc::default() };
        let (faults, bodies) = (Arc::clone(&proxy.faults), Arc::clone(&proxy.bodies));
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let (faults, bodies) = (Arc::clone(&faults), Arc::clone(&bodies));
                // What breaks here is what the test is about.
                tokio::spawn(async move { drop(serve(client, &faults, &bodies).await) });
            }
        });
        proxy
    }

    /// Changes what it does wrong.
    pub(crate) fn now(&self, change: impl FnOnce(&mut Faults)) {
        change(&mut self.faults.lock().unwrap());
    }

    /// The lengths of the bodies that were offered, oldest first.
    pub(crate) fn bodies(&self) -> Vec<u64> {
        self.bodies.lock().unwrap().iter().map(|body| body.len).collect()
    }

    /// The lengths of the bodies that were offered for the same address, oldest first, of the address that was
    /// offered most.
    pub(crate) fn repeated(&self) -> Vec<u64> {
        let bodies = self.bodies.lock().unwrap();
        let to = |to: &str| bodies.iter().filter(|body| body.to == to).map(|body| body.len).collect();
        let all = bodies.iter().map(|body| to(&body.to));
        all.max_by_key(Vec::len).unwrap_or_default()
    }
}

async fn serve(
    mut client: TcpStream,
    faults: &Mutex<Faults>,
    bodies: &Mutex<Vec<Body>>,
) -> std::io::Result<()> {
    let (mut left, mut buffer) = (Vec::new(), vec![0; 64 << 10]);
    let end = loop {
        if let Some(end) = left.windows(4).position(|part| part == b"\r\n\r\n") {
            break end + 4;
        }
        match client.read(&mut buffer).await? {
            0 => return Ok(()),
            read => left.extend_from_slice(&buffer[..read]),
        }
    };
    let head = String::from_utf8_lossy(&left[..end]).into_owned();
    let len = head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse::<u64>().ok())?
    });
    let len = len.unwrap_or_default();
    let now = {
        let mut faults = faults.lock().unwrap();
        let now = *faults;
        faults.away = faults.away.saturating_sub(1);
        now
    };
    if head.starts_with("PATCH") || head.starts_with("PUT /r/") {
        let to = head.split_whitespace().take(2).collect::<Vec<_>>().join(" ");
        bodies.lock().unwrap().push(Body { to, len });
    }
    if let Some(status) = now.refusal(&head, len) {
        return refuse(client, status).await;
    }
    let Ok(mut server) = TcpStream::connect(("127.0.0.1", now.port)).await else {
        return refuse(client, "502 Bad Gateway").await;
    };
    // One request a connection, so that each head is seen.
    let request = head.replacen("\r\n", "\r\nConnection: close\r\n", 1);
    server.write_all(request.as_bytes()).await?;
    let (mut from_client, mut to_client) = client.split();
    let (mut from_server, mut to_server) = server.split();
    let body = async {
        let mut sent = (left.len() - end) as u64;
        to_server.write_all(&left[end..]).await?;
        while sent < len {
            if now.cut_after.is_some_and(|max| sent >= max) {
                return Err(std::io::Error::other("cut"));
            }
            match from_client.read(&mut buffer).await? {
                0 => return Err(std::io::Error::other("the client has gone")),
                read => {
                    to_server.write_all(&buffer[..read]).await?;
                    sent += read as u64;
                }
            }
        }
        Ok(())
    };
    let answer = async { tokio::io::copy(&mut from_server, &mut to_client).await.map(drop) };
    tokio::pin!(body, answer);
    tokio::select! {
        sent = &mut body => { sent?; answer.await }
        answered = &mut answer => answered,
    }
}

/// Answers, and takes what still comes: a reset would swallow the answer.
async fn refuse(mut client: TcpStream, status: &str) -> std::io::Result<()> {
    let text = format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    client.write_all(text.as_bytes()).await?;
    let mut buffer = vec![0; 64 << 10];
    while client.read(&mut buffer).await? > 0 {}
    Ok(())
}
