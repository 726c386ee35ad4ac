//! Uploads that are under way whenever the server is killed: one comes here in pieces, and one goes straight to a host. Each goes
//! on where it is told that it stands, and nothing that was acknowledged is ever gone.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use matinee_io::sender::{SendError, Sender, Sent};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use toml::Table;

use super::Dice;
use crate::command::stage::Stage;

/// Bytes of the file: more than a store is sent in one piece, and several pieces at a host.
const FILM_BYTES: usize = 20 << 20;
/// Bytes of a piece that goes straight to a host: the smallest that Cloudflare takes.
const STRAIGHT_BYTES: u64 = 5 << 20;
/// How often it is looked whether a host has made the video.
const LOOK: Duration = Duration::from_millis(200);
/// So long that may take, and so long all pieces together.
const MADE: Duration = Duration::from_mins(1);
/// The names of the two files, and so the titles of their videos.
const NAMES: [&str; 2] = ["in-pieces", "straight"];

/// Two uploads of one file.
pub(super) struct UnderWay {
    sender: Sender,
    path: PathBuf,
    film: Bytes,
    /// Where the bytes of the one that comes here go, and how many of them were acknowledged.
    here: (String, u64),
    /// Where those of the other one go, if there is a host that takes them.
    straight: Option<String>,
    /// A request whose body has come half.
    begun: Option<TcpStream>,
}

impl UnderWay {
    /// Announces both. `text` is the configuration.
    pub(super) async fn begin(stage: &Stage, sample: &Bytes, text: &str) -> anyhow::Result<Self> {
        let [in_pieces, straight] = NAMES;
        let (film, path) = (film(sample), stage.inbox().join(format!("{in_pieces}.mp4")));
        std::fs::write(&path, &film)?;
        let sender = Sender::new(None)?;
        let metadata = format!("filename {}", STANDARD.encode(format!("{in_pieces}.mp4")));
        let here = sender.announce(&stage.url(), film.len() as u64, &metadata).await?.url;
        let straight = match host(text)? {
            Some(host) => Some(address(stage, (&host, straight), film.len()).await?),
            None => None,
        };
        Ok(Self { sender, path, film, here: (here, 0), straight, begun: None })
    }

    /// How many videos come of it.
    pub(super) fn videos(&self) -> usize {
        1 + usize::from(self.straight.is_some())
    }

    /// The bytes of the video of this title, if it is one of these.
    pub(super) fn bytes(&self, title: &str) -> Option<&Bytes> {
        NAMES.contains(&title).then_some(&self.film)
    }

    /// Goes on a little, and leaves a request half sent. So many kills are still to come.
    pub(super) async fn advance(&mut self, dice: &mut Dice, kills: u32) -> anyhow::Result<()> {
        self.begun = None;
        let (at, size) = (self.stands().await?, self.film.len() as u64);
        // Something is to be left for each of them.
        let most = (size - at) / u64::from(kills + 1);
        if most > 1 {
            let at = if dice.below(2) == 0 { self.piece(at, 1 + dice.below(most / 2)).await? } else { at };
            self.half(at, 1 + dice.below(most / 2)).await?;
        }
        if dice.below(2) == 0 {
            // The host may fail at this moment; it goes on another time.
            self.straight_on().await?;
        }
        Ok(())
    }

    /// Sends what is missing, now that nothing goes wrong any more.
    pub(super) async fn finish(&mut self) -> anyhow::Result<()> {
        self.begun = None;
        let size = self.film.len() as u64;
        while self.stands().await? < size {
            let at = self.here.1;
            self.piece(at, size - at).await?;
        }
        let sending = async {
            while self.straight_on().await?.is_some_and(|at| at < size) {
                tokio::time::sleep(LOOK).await;
            }
            anyhow::Ok(())
        };
        tokio::time::timeout(MADE, sending).await.context("the host does not take all bytes")?
    }

    /// Where the upload that comes here stands.
    async fn stands(&mut self) -> anyhow::Result<u64> {
        let (url, acknowledged) = &self.here;
        let offset = self.sender.look(url).await?.offset;
        ensure!(
            offset >= *acknowledged,
            "{acknowledged} bytes were acknowledged, and the server has {offset} of them"
        );
        self.here.1 = offset;
        Ok(offset)
    }

    /// Sends a piece from `at` on; where the upload stands then.
    async fn piece(&mut self, at: u64, len: u64) -> anyhow::Result<u64> {
        let sent = self.sender.send(&self.here.0, &self.path, (at, len), Arc::new(|_| ())).await?;
        self.here.1 = sent.offset.unwrap_or(at);
        self.stands().await
    }

    /// Sends half a piece, and leaves it at that.
    async fn half(&mut self, at: u64, len: u64) -> anyhow::Result<()> {
        let (host, path) = parted(&self.here.0)?;
        let mut stream = TcpStream::connect(host).await?;
        let head = format!(
            "PATCH {path} HTTP/1.1\r\nHost: {host}\r\nTus-Resumable: 1.0.0\r\nUpload-Offset: {at}\r\n\
             Content-Type: application/offset+octet-stream\r\nContent-Length: {len}\r\n\r\n"
        );
        stream.write_all(head.as_bytes()).await?;
        let (from, to) = (usize::try_from(at)?, usize::try_from(at + len / 2)?);
        stream.write_all(&self.film[from..to]).await?;
        self.begun = Some(stream);
        Ok(())
    }

    /// Sends another piece straight to the host; where that stands then, and nothing when there is no such host.
    async fn straight_on(&self) -> anyhow::Result<Option<u64>> {
        let (Some(url), size) = (&self.straight, self.film.len() as u64) else { return Ok(None) };
        let at = match self.sender.look(url).await {
            Ok(standing) => standing.offset,
            Err(SendError::Again(_) | SendError::Refused { .. } | SendError::Address(_)) => {
                return Ok(Some(0));
            }
            Err(error @ (SendError::Gone | SendError::File(_))) => return Err(error.into()),
        };
        let len = STRAIGHT_BYTES.min(size - at);
        if len == 0 {
            return Ok(Some(at));
        }
        match self.sender.send(url, &self.path, (at, len), Arc::new(|_| ())).await {
            Ok(Sent { offset, .. }) => Ok(Some(offset.unwrap_or(at))),
            Err(SendError::Again(_) | SendError::Refused { .. } | SendError::Address(_)) => Ok(Some(at)),
            Err(error @ (SendError::Gone | SendError::File(_))) => Err(error.into()),
        }
    }
}

/// The sample with a box behind it that players skip, in which no eight bytes are like others.
fn film(sample: &[u8]) -> Bytes {
    let skipped = FILM_BYTES.saturating_sub(sample.len()).max(8);
    let len = u32::try_from(skipped).expect("because some megabytes are less than four gigabytes");
    let mut film = sample.to_vec();
    film.extend(len.to_be_bytes());
    film.extend(b"free");
    film.extend((0_u64..).flat_map(u64::to_be_bytes).take(skipped - 8));
    film.into()
}

/// A host of this configuration that takes bytes straight from their sender, in one way that is known here.
fn host(text: &str) -> anyhow::Result<Option<String>> {
    let table: Table = toml::from_str(text)?;
    let hosts = table.get("host").and_then(toml::Value::as_array).into_iter().flatten();
    let word = |host: &toml::Value, key: &str| host.get(key).and_then(toml::Value::as_str).map(str::to_owned);
    Ok(hosts
        .filter(|host| word(host, "kind").as_deref() == Some("cloudflare"))
        .find_map(|host| word(host, "name")))
}

/// Announces an upload for a host; where its bytes go.
async fn address(stage: &Stage, (host, name): (&str, &str), size: usize) -> anyhow::Result<String> {
    let new = json!({ "size_bytes": size, "file_name": format!("{name}.mp4"), "target": host });
    let mut upload = ask(stage, ("POST", "/v1/uploads"), Some(&new)).await?;
    let id = upload["id"].as_str().with_context(|| format!("nothing was announced: {upload}"))?.to_owned();
    let making = async {
        loop {
            if let Some(url) = upload["upload_url"].as_str() {
                return anyhow::Ok(url.to_owned());
            }
            tokio::time::sleep(LOOK).await;
            upload = ask(stage, ("GET", &format!("/v1/uploads/{id}")), None).await?;
        }
    };
    tokio::time::timeout(MADE, making).await.context("the host does not make a video")?
}

/// Asks the server of the stage; the document that it answers with.
async fn ask(stage: &Stage, (method, path): (&str, &str), body: Option<&Value>) -> anyhow::Result<Value> {
    let url = format!("{}{path}", stage.url());
    let ((host, path), body) = (parted(&url)?, body.map(Value::to_string).unwrap_or_default());
    let mut stream = TcpStream::connect(host).await?;
    let head = format!(
        "{method} {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(head.as_bytes()).await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    let (_, document) = answer.split_once("\r\n\r\n").context("the answer breaks off")?;
    serde_json::from_str(document).with_context(|| format!("{method} {path} was answered with {answer}"))
}

/// The host and the path of an address on this machine.
fn parted(url: &str) -> anyhow::Result<(&str, &str)> {
    let rest = url.strip_prefix("http://").context("a stage is on this machine")?;
    let at = rest.find('/').context("an address has a path")?;
    Ok(rest.split_at(at))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_film_is_its_sample_and_a_box_that_players_skip() {
        let film = film(b"sample");
        assert_eq!((film.len(), &film[..6], &film[10..14]), (FILM_BYTES, &b"sample"[..], &b"free"[..]));
        assert_eq!(
            u32::from_be_bytes(*film[6..].first_chunk().unwrap()),
            u32::try_from(FILM_BYTES - 6).unwrap()
        );
        assert_ne!(film[100..108], film[108..116]);
    }

    #[test]
    fn only_a_host_whose_way_is_known_is_sent_to() {
        let text =
            "[[host]]\nname = \"b\"\nkind = \"bunny\"\n[[host]]\nname = \"c\"\nkind = \"cloudflare\"\n";
        assert_eq!(host(text).unwrap().as_deref(), Some("c"));
        assert_eq!(host("").unwrap(), None);
        assert_eq!(parted("http://127.0.0.1:1/files/x").unwrap(), ("127.0.0.1:1", "/files/x"));
    }
}
