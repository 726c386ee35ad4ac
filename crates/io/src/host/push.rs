//! Sends the bytes of a file to a host's target, by tus 1.0 and in requests as large as the host likes them.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::stream;
use reqwest::{Method, RequestBuilder, StatusCode};

use super::wire::{Answer, Effect, Wire, answer};
use super::{HostError, Target};

/// Bytes that are read from the file at a time.
const READ_BYTES: u64 = 256 << 10;

/// Sends files; cheap to clone.
#[derive(Debug, Clone)]
pub struct Pusher(Wire);

/// Where an upload to a host stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Push {
    /// The host has so many bytes; more are to come.
    At(u64),
    /// The host has them all.
    Whole,
    /// The right to upload has ended: ask for a fresh target and go on where it stands.
    SignAgain,
    /// The host does not know the upload any more.
    Gone,
}

impl Pusher {
    /// Sends to any host.
    pub fn new() -> Result<Self, HostError> {
        Wire::new().map(Self)
    }

    /// Begins the upload where the host wants that done first; the target then names the upload itself.
    pub async fn begin(&self, target: Target, size: u64) -> Result<Target, HostError> {
        if target.created {
            return Ok(target);
        }
        let request = self.request(Method::POST, &target);
        let request = request.header("Upload-Length", size).header("Upload-Metadata", &target.metadata);
        // Again is no harm: the host knows the video, and gives the same upload or a fresh one of it.
        let answer = answer(request.header("Content-Length", 0), Effect::Repeatable).await?;
        let location = answer.headers.get("location").and_then(|value| value.to_str().ok());
        let (StatusCode::CREATED, Some(location)) = (answer.status, location) else {
            return Err(answer.refusal(None));
        };
        let url = url::Url::parse(&target.url).and_then(|base| base.join(location));
        let url = url.map_err(|error| HostError::Again(format!("it names no address: {error}")))?;
        Ok(Target { url: url.into(), created: true, ..target })
    }

    /// Where the upload stands.
    pub async fn look(&self, target: &Target, size: u64) -> Result<Push, HostError> {
        let answer = answer(self.request(Method::HEAD, target), Effect::Repeatable).await?;
        stands(&answer, size)
    }

    /// Sends one request's worth of bytes from `offset` on.
    ///
    /// [`HostError::Again`] when it broke: look where it stands, some of it may have arrived.
    pub async fn send(
        &self,
        target: &Target,
        (file, size): (&Arc<File>, u64),
        offset: u64,
    ) -> Result<Push, HostError> {
        let len = piece(target, size - offset);
        let request = self.request(Method::PATCH, target).header("Upload-Offset", offset);
        let request =
            request.header("Content-Type", "application/offset+octet-stream").header("Content-Length", len);
        let request = request.body(bytes_of(Arc::clone(file), offset, len));
        stands(&answer(request, Effect::Repeatable).await?, size)
    }

    fn request(&self, method: Method, target: &Target) -> RequestBuilder {
        let request = self.0.client().request(method, &target.url).header("Tus-Resumable", "1.0.0");
        target.headers.iter().fold(request, |request, (name, value)| request.header(name, value))
    }
}

/// How many bytes the next request has when `left` are left: as many as the host likes, in its steps, or all.
fn piece(target: &Target, left: u64) -> u64 {
    let rule = target.chunks;
    if left <= rule.max_bytes {
        return left;
    }
    let step = rule.step_bytes.max(1);
    (rule.max_bytes / step * step).max(rule.min_bytes).min(left)
}

fn stands(answer: &Answer, size: u64) -> Result<Push, HostError> {
    match answer.status.as_u16() {
        200 | 204 => {
            let offset =
                answer.headers.get("upload-offset").and_then(|value| value.to_str().ok()?.parse().ok());
            let offset = offset
                .ok_or_else(|| HostError::Again("it does not say where the upload stands".to_owned()))?;
            Ok(if offset >= size { Push::Whole } else { Push::At(offset) })
        }
        401 | 403 => Ok(Push::SignAgain),
        404 | 410 => Ok(Push::Gone),
        // Somebody else was here, or an earlier request of ours still is.
        408 | 409 | 423 | 460 => Err(HostError::Again(format!("it answers {}", answer.status))),
        _ => Err(answer.refusal(None)),
    }
}

fn bytes_of(file: Arc<File>, offset: u64, len: u64) -> reqwest::Body {
    let parts = stream::try_unfold(0, move |done| {
        let file = Arc::clone(&file);
        async move {
            let wanted = READ_BYTES.min(len - done);
            if wanted == 0 {
                return Ok::<_, io::Error>(None);
            }
            let read = tokio::task::spawn_blocking(move || {
                let mut buffer = vec![0; usize::try_from(wanted).map_err(io::Error::other)?];
                file.read_exact_at(&mut buffer, offset + done).map(|()| buffer)
            });
            let buffer = read.await.map_err(io::Error::other)??;
            Ok(Some((Bytes::from(buffer), done + wanted)))
        }
    });
    reqwest::Body::wrap_stream(parts)
}

#[cfg(test)]
mod tests {
    use super::super::ChunkRule;
    use super::*;

    #[test]
    fn every_request_but_the_last_is_of_the_size_that_the_host_asks_for() {
        let chunks = ChunkRule { min_bytes: 5_242_880, max_bytes: 52_428_800, step_bytes: 262_144 };
        let target = Target {
            url: String::new(),
            created: true,
            headers: Vec::new(),
            metadata: String::new(),
            chunks,
            expires: None,
        };
        for size in [1, 5_242_880, 52_428_800, 52_428_801, 200_000_003] {
            let (mut left, mut sizes) = (size, Vec::new());
            while left > 0 {
                sizes.push(piece(&target, left));
                left -= sizes.last().unwrap();
            }
            let (last, others) = sizes.split_last().unwrap();
            assert!(*last <= chunks.max_bytes);
            assert!(
                others.iter().all(|one| *one >= chunks.min_bytes && one % chunks.step_bytes == 0),
                "{sizes:?}"
            );
        }
    }
}
