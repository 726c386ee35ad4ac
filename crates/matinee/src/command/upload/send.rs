//! One file on its way: announced or found again, sent in pieces that get through, and looked at in the end.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use matinee_core::sending::{Chunks, Outcome, Step, Target};
use matinee_io::random;
use matinee_io::sender::{SendError, Sender, Standing};

use super::state::{Look, Memory, Saved};
use crate::command::progress::{Bar, Board};

/// Why a file did not arrive.
#[derive(Debug, thiserror::Error)]
pub(super) enum Lost {
    /// The server or the network.
    #[error(transparent)]
    Send(#[from] SendError),
    /// Nothing gets through now; the same command goes on later.
    #[error("{0}")]
    Later(String),
    /// The file or our memory of it.
    #[error("{0}")]
    File(String),
}

impl From<std::io::Error> for Lost {
    fn from(error: std::io::Error) -> Self {
        Self::File(error.to_string())
    }
}

/// A file that is to be sent.
pub(super) struct Job<'a> {
    pub(super) sender: &'a Sender,
    pub(super) target: &'a Target,
    pub(super) path: &'a Path,
    pub(super) look: Look,
    pub(super) title: Option<&'a str>,
    pub(super) memory: Memory,
    pub(super) chunks: &'a mut Chunks,
    pub(super) board: &'a Board,
}

impl Job<'_> {
    /// Finds the upload of an earlier run, or announces a new one; where the bytes go, and how many are there.
    pub(super) async fn begin(&mut self) -> Result<(Saved, u64), Lost> {
        if let Some(saved) = self.known()? {
            match self.look(&saved.url).await {
                Ok(standing) => {
                    self.fits(&standing)?;
                    let video = saved.video.or(standing.video);
                    return Ok((Saved { video, ..saved }, standing.offset));
                }
                // It has expired, or was given up: begin anew.
                Err(Lost::Send(SendError::Gone)) if matches!(self.target, Target::Server { .. }) => {
                    self.memory.forget()?;
                }
                Err(lost) => return Err(lost),
            }
        }
        let saved = self.announce().await?;
        self.memory.save(&saved)?;
        Ok((saved, 0))
    }

    fn known(&self) -> Result<Option<Saved>, Lost> {
        match self.target {
            Target::Server { .. } => Ok(self.memory.load()?),
            Target::Upload { url, .. } => Ok(Some(Saved { url: url.clone(), video: None, upload: None })),
        }
    }

    async fn announce(&mut self) -> Result<Saved, Lost> {
        let name = self.path.file_name().unwrap_or_default().to_string_lossy();
        let mut metadata = format!("filename {}", BASE64.encode(name.as_bytes()));
        if let Some(title) = self.title {
            metadata = format!("{metadata},title {}", BASE64.encode(title));
        }
        loop {
            match self.sender.announce(self.target.base(), self.look.size, &metadata).await {
                Ok(new) => return Ok(Saved { url: new.url, video: new.video, upload: new.upload }),
                Err(SendError::Again(cause)) => self.wait(&cause).await?,
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Sends what is missing from `offset` on.
    pub(super) async fn send(&mut self, url: &str, mut offset: u64, bar: Arc<Bar>) -> Result<(), Lost> {
        let size = self.look.size;
        while offset < size {
            self.unchanged()?;
            let len = self.chunks.bytes().min(size - offset);
            let heard = Arc::clone(&bar);
            let heard = Arc::new(move |done| heard.reached(done));
            let sent = self.sender.send(url, self.path, (offset, len), heard).await?;
            let now_at = match sent.offset {
                Some(at) => at,
                None => self.look(url).await?.offset,
            };
            let step = self.chunks.after(sent.outcome, len, now_at.saturating_sub(offset), jitter());
            offset = now_at;
            bar.reached(offset);
            self.follow(step).await?;
        }
        // The server's word, asked for on its own: an answer of a proxy proves nothing.
        let standing = self.look(url).await?;
        self.fits(&standing)?;
        if standing.offset != size {
            return Err(Lost::Later(format!("the server has {} of {size} bytes", standing.offset)));
        }
        self.unchanged()?;
        Ok(self.memory.forget()?)
    }

    async fn look(&mut self, url: &str) -> Result<Standing, Lost> {
        loop {
            match self.sender.look(url).await {
                Ok(standing) => return Ok(standing),
                Err(SendError::Again(cause)) => self.wait(&cause).await?,
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Waits for a server that does not answer; gives up when it has been too long.
    async fn wait(&mut self, cause: &str) -> Result<(), Lost> {
        match self.chunks.after(Outcome::Gateway, 0, 0, jitter()) {
            Step::GiveUp { .. } => Err(Lost::Later(cause.to_owned())),
            step @ Step::Go { .. } => self.follow(step).await,
        }
    }

    async fn follow(&self, step: Step) -> Result<(), Lost> {
        match step {
            Step::GiveUp { cause } => Err(Lost::Later(cause)),
            Step::Go { wait_ms, learnt } => {
                if let Some(learnt) = learnt {
                    self.board.aside(|| crate::command::complain(&learnt));
                }
                tokio::time::sleep(Duration::from_millis(wait_ms)).await;
                Ok(())
            }
        }
    }

    fn fits(&self, standing: &Standing) -> Result<(), Lost> {
        match standing.size {
            Some(size) if size != self.look.size => Err(Lost::File(format!(
                "the upload is for {size} bytes, and the file has {}",
                self.look.size
            ))),
            Some(_) | None => Ok(()),
        }
    }

    fn unchanged(&self) -> Result<(), Lost> {
        if Look::at(self.path)? == self.look {
            return Ok(());
        }
        let human = "the file has changed while it was sent; run the command again for what it is now";
        Err(Lost::File(human.to_owned()))
    }
}

fn jitter() -> u64 {
    u64::from_le_bytes(random::bytes())
}
