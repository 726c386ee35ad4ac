//! How a file is put: in one piece, or in parts that are gone on with after any break. Memory stays bounded.

use std::collections::BTreeMap;
use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use matinee_core::hash::hex;
use md5::{Digest as _, Md5};
use object_store::multipart::{MultipartStore as _, PartId};
use object_store::{ObjectStore as _, PutMultipartOptions, PutOptions, PutResult};

use super::listing::{Part, Standing};
use super::{Begun, Put, RemoteError, S3, Told};
use crate::store::port::Proof;

/// Above this a file goes in parts, in bytes: a break then costs one part, not all.
const SINGLE_BYTES_MAX: u64 = 16 << 20;
/// The smallest part, in bytes: some services take no smaller one than 5 MiB, and each costs a request.
const PART_BYTES_MIN: u64 = 8 << 20;
/// Parts are whole multiples of this, in bytes.
const PART_STEP_BYTES: u64 = 1 << 20;
/// Parts of one object that we plan with; 10,000 is what services allow.
const PARTS_PLANNED: u64 = 9_000;
/// Bytes of parts that are in memory for one put at the same time, unless one part alone is longer.
const MEMORY_BYTES: u64 = 32 << 20;
/// Parts of one put that are sent at the same time.
const AT_ONCE_MAX: usize = 4;
/// How often what is missing is sent again in one put; then the job's own retries take over.
const ROUNDS_MAX: usize = 3;
/// How often a part is sent whose hash is not ours, before the service is taken for one that hashes something else.
const SENDS_MAX: usize = 2;

/// What is put.
#[derive(Debug, Clone)]
pub(super) struct Source {
    pub(super) file: Arc<File>,
    pub(super) size: u64,
}

/// Bytes to send, with their MD5: it is what services hash with.
struct Piece {
    bytes: Bytes,
    md5: [u8; 16],
}

/// One run through what is missing.
struct Run<'a> {
    s3: &'a S3,
    key: &'a str,
    source: &'a Source,
    begun: &'a Begun,
    told: &'a dyn Told,
    sent: AtomicU64,
}

/// A part that is in the store now.
struct Placed {
    number: u64,
    etag: String,
    md5: [u8; 16],
}

/// The length of the parts of an object: the same for all but the last, and known before the first one is sent.
fn part_bytes(size: u64) -> u64 {
    size.div_ceil(PARTS_PLANNED).next_multiple_of(PART_STEP_BYTES).max(PART_BYTES_MIN)
}

/// Puts a file, and goes on with what was begun.
pub(super) async fn put(
    s3: &S3,
    key: &str,
    source: Source,
    begun: Option<&Begun>,
    told: &dyn Told,
) -> Result<Put, RemoteError> {
    if source.size <= SINGLE_BYTES_MAX && begun.is_none() {
        return single(s3, key, &source, told).await;
    }
    let full = s3.full(key)?;
    let mut at = match begun {
        Some(begun) => (begun.clone(), s3.standing(&full, &begun.upload).await?),
        None => begin(s3, key, source.size, told).await?,
    };
    let mut last = RemoteError::Again("it lost what was sent".to_owned());
    for _ in 0..ROUNDS_MAX {
        let parts = match at.1 {
            Standing::Open(parts) => parts,
            Standing::Gone => {
                if let Some(put) = adopt(s3, key, &source, at.0.part_bytes).await? {
                    return Ok(put);
                }
                at = begin(s3, key, source.size, told).await?;
                continue;
            }
            Standing::Untold => {
                s3.end(&full, &at.0.upload).await?;
                at = begin(s3, key, source.size, told).await?;
                continue;
            }
        };
        let run = Run { s3, key, source: &source, begun: &at.0, told, sent: AtomicU64::new(0) };
        match run.finish(parts).await {
            Ok(put) => return Ok(put),
            // The key or the class is wrong, or we may not: sending parts again changes nothing.
            Err(error @ (RemoteError::Refused(_) | RemoteError::File(_) | RemoteError::Full)) => {
                return Err(error);
            }
            Err(error) => last = error,
        }
        // The answer may have been lost, and not the object.
        if let Some(put) = adopt(s3, key, &source, at.0.part_bytes).await? {
            return Ok(put);
        }
        let standing = s3.standing(&full, &at.0.upload).await?;
        at = (at.0, standing);
    }
    Err(last)
}

async fn single(s3: &S3, key: &str, source: &Source, told: &dyn Told) -> Result<Put, RemoteError> {
    let path = s3.path(key)?;
    let piece = read(&source.file, 0, source.size).await?;
    // Where versions are kept, a second one would be paid for as well.
    if let Some(found) = s3.head(key).await?.filter(|found| found.size == source.size) {
        let hash = found.e_tag.as_deref().map(unquoted).unwrap_or_default();
        let proof = if hash == hex(&piece.md5) { Proof::Hashed } else { Proof::Sized };
        told.sent(source.size);
        return Ok(Put { version: found.version, tag: tag(found.e_tag.as_deref()), proof });
    }
    let mut put = None;
    for _ in 0..SENDS_MAX {
        let options = PutOptions { attributes: s3.attributes(), ..PutOptions::default() };
        let done = s3.0.sender.put_opts(&path, piece.bytes.clone().into(), options).await?;
        let hash = done.e_tag.as_deref().map(unquoted).unwrap_or_default();
        let proof = if hash == hex(&piece.md5) { Proof::Hashed } else { Proof::Sized };
        put = Some(Put { version: done.version, tag: tag(done.e_tag.as_deref()), proof });
        if proof == Proof::Hashed || !is_md5(hash) {
            break;
        }
    }
    told.sent(source.size);
    Ok(put.expect("because it was sent at least once"))
}

async fn begin(s3: &S3, key: &str, size: u64, told: &dyn Told) -> Result<(Begun, Standing), RemoteError> {
    let options = PutMultipartOptions { attributes: s3.attributes(), ..PutMultipartOptions::default() };
    let upload = s3.0.client.create_multipart_opts(&s3.path(key)?, options).await?;
    let begun = Begun { upload, part_bytes: part_bytes(size) };
    if let Err(error) = told.begun(&begun).await {
        // Nobody would know of it. What cannot be ended here the inventory finds.
        let _ = s3.end(&s3.full(key)?, &begun.upload).await;
        return Err(error);
    }
    Ok((begun, Standing::Open(BTreeMap::new())))
}

/// Takes an object that is there already for what was to be put, when it is as long. Keys are unique, so nobody else
/// has put it.
async fn adopt(s3: &S3, key: &str, source: &Source, part_bytes: u64) -> Result<Option<Put>, RemoteError> {
    let Some(found) = s3.head(key).await?.filter(|found| found.size == source.size) else { return Ok(None) };
    let mut hashes = Vec::new();
    for number in 1..=count(source.size, part_bytes) {
        let (offset, len) = range(source.size, part_bytes, number);
        hashes.push(read(&source.file, offset, len).await?.md5);
    }
    let etag = found.e_tag.as_deref().map(unquoted).unwrap_or_default();
    let proof = if etag == hash_of_parts(&hashes) { Proof::Hashed } else { Proof::Sized };
    Ok(Some(Put { version: found.version, tag: tag(found.e_tag.as_deref()), proof }))
}

impl Run<'_> {
    /// Sends what is missing and completes the object.
    async fn finish(&self, there: BTreeMap<u64, Part>) -> Result<Put, RemoteError> {
        let at_once = usize::try_from(MEMORY_BYTES / self.begun.part_bytes).unwrap_or(1);
        let there = &there;
        let numbers = 1..=count(self.source.size, self.begun.part_bytes);
        let mut placed: Vec<Placed> = stream::iter(numbers)
            .map(|number| self.place(number, there.get(&number)))
            .buffer_unordered(at_once.clamp(1, AT_ONCE_MAX))
            .try_collect()
            .await?;
        placed.sort_unstable_by_key(|placed| placed.number);
        let ids = placed.iter().map(|placed| PartId { content_id: placed.etag.clone() }).collect();
        let (path, upload) = (self.s3.path(self.key)?, &self.begun.upload);
        let done = self.s3.0.sender.complete_multipart(&path, upload, ids).await?;
        self.prove(&placed, done).await
    }

    /// A part is in the store afterwards: it was there, or it is sent.
    async fn place(&self, number: u64, there: Option<&Part>) -> Result<Placed, RemoteError> {
        let (offset, len) = range(self.source.size, self.begun.part_bytes, number);
        let piece = read(&self.source.file, offset, len).await?;
        let is_there = there.is_some_and(|part| {
            let hash = unquoted(&part.etag);
            part.size == len && (hash == hex(&piece.md5) || !is_md5(hash))
        });
        let etag = match there {
            Some(part) if is_there => part.etag.clone(),
            Some(_) | None => self.send(number, &piece).await?,
        };
        self.told.sent(self.sent.fetch_add(len, Ordering::Relaxed) + len);
        Ok(Placed { number, etag, md5: piece.md5 })
    }

    async fn send(&self, number: u64, piece: &Piece) -> Result<String, RemoteError> {
        let path = self.s3.path(self.key)?;
        let index = usize::try_from(number - 1).expect("because there are at most ten thousand parts");
        let mut etag = String::new();
        for _ in 0..SENDS_MAX {
            let payload = piece.bytes.clone().into();
            let sent = self.s3.0.sender.put_part(&path, &self.begun.upload, index, payload).await?;
            etag = sent.content_id;
            let hash = unquoted(&etag);
            if hash == hex(&piece.md5) || !is_md5(hash) {
                break;
            }
        }
        Ok(etag)
    }

    /// What the answer proves; without a hash that we can compute, a look at the length at least.
    async fn prove(&self, placed: &[Placed], done: PutResult) -> Result<Put, RemoteError> {
        let hashes: Vec<_> = placed.iter().map(|placed| placed.md5).collect();
        let etag = done.e_tag.as_deref().map(unquoted).unwrap_or_default();
        if etag == hash_of_parts(&hashes) {
            return Ok(Put { version: done.version, tag: Some(etag.to_owned()), proof: Proof::Hashed });
        }
        let found = self.s3.head(self.key).await?;
        if found.is_none_or(|found| found.size != self.source.size) {
            return Err(RemoteError::Again("what it completed is not what was sent".to_owned()));
        }
        Ok(Put { version: done.version, tag: tag(done.e_tag.as_deref()), proof: Proof::Sized })
    }
}

fn count(size: u64, part_bytes: u64) -> u64 {
    size.div_ceil(part_bytes).max(1)
}

fn range(size: u64, part_bytes: u64, number: u64) -> (u64, u64) {
    let offset = (number - 1) * part_bytes;
    (offset, part_bytes.min(size.saturating_sub(offset)))
}

async fn read(file: &Arc<File>, offset: u64, len: u64) -> Result<Piece, RemoteError> {
    let file = Arc::clone(file);
    let work = move || {
        let mut bytes = vec![0; usize::try_from(len).map_err(std::io::Error::other)?];
        file.read_exact_at(&mut bytes, offset)?;
        let md5 = Md5::digest(&bytes).into();
        Ok(Piece { bytes: bytes.into(), md5 })
    };
    let read = tokio::task::spawn_blocking(work).await;
    read.unwrap_or_else(|error| Err(std::io::Error::other(error))).map_err(RemoteError::File)
}

/// What a service says of an object in parts: the hash of their hashes, and how many.
fn hash_of_parts(hashes: &[[u8; 16]]) -> String {
    format!("{}-{}", hex(&Md5::digest(hashes.concat())), hashes.len())
}

/// What a service says of the bytes of an object that changes when they do; nothing where it says nothing.
pub(super) fn tag(etag: Option<&str>) -> Option<String> {
    etag.map(unquoted).filter(|tag| !tag.is_empty()).map(str::to_owned)
}

fn unquoted(etag: &str) -> &str {
    etag.trim_matches('"')
}

/// Is it a hash that we can compare? Some services say something else.
fn is_md5(hash: &str) -> bool {
    hash.len() == 32 && hash.bytes().all(|digit| digit.is_ascii_hexdigit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_equal_few_and_long_enough() {
        const MIB: u64 = 1 << 20;
        for (size, expected) in [
            (SINGLE_BYTES_MAX + 1, 8 * MIB),
            (PARTS_PLANNED * 8 * MIB, 8 * MIB),
            (PARTS_PLANNED * 8 * MIB + 1, 9 * MIB),
            (1 << 40, 117 * MIB),
            (10_000_000_000_000, 1_060 * MIB),
        ] {
            let part = part_bytes(size);
            assert_eq!(part, expected, "{size}");
            let count = count(size, part);
            assert!(count <= PARTS_PLANNED + 1, "{size}");
            let whole: u64 = (1..=count).map(|number| range(size, part, number).1).sum();
            assert_eq!(whole, size);
            assert!(range(size, part, count).1 > 0);
        }
    }
}
