//! On which terms a body is taken: its checksum, the length it declares, and whether its end is the end of all.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures_util::{Stream, StreamExt as _};
use matinee_core::id::AppId;
use matinee_core::upload::checksum::{Algorithm, Checksum, Fault, Hasher};
use matinee_io::db::Upload;

use super::receive::take;
use super::{AppendFailure, Ended};
use crate::flow::now;
use crate::node::Node;

/// The terms of one body.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Terms {
    /// Its bytes count only when all of it is there and found right.
    pub(crate) all_or_nothing: bool,
    /// Its end is the end of the upload.
    pub(crate) last: bool,
    /// Having its length is its end, also for an upload that was begun in the IETF protocol.
    pub(crate) full_is_end: bool,
    /// The length of the whole that it declares.
    pub(crate) length: Option<u64>,
    /// At most so many bytes of it are taken.
    pub(crate) most: Option<u64>,
}

impl Terms {
    /// Is nothing asked of the bytes but to come? `full_is_end` says something of uploads in the IETF protocol alone.
    pub(super) fn are_plain(&self) -> bool {
        *self == Self { full_is_end: self.full_is_end, ..Self::default() }
    }
}

/// What a body is checked against.
#[derive(Debug, Clone)]
pub(crate) enum Claim {
    /// The checksum came before the body.
    Known(Checksum),
    /// It will come behind the body.
    Trailer,
}

/// What a body brings.
#[derive(Debug)]
pub(crate) enum Piece {
    Bytes(Bytes),
    /// The checksum behind the body.
    Claim(Result<Checksum, Fault>),
}

/// What the check of a body found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Wrong {
    /// The bytes have another checksum.
    #[error("the checksum does not fit to the bytes")]
    Mismatch,
    /// The checksum that was promised for the end did not come.
    #[error("the checksum that was announced for the end of the body did not come")]
    Missing,
    /// It cannot be read.
    #[error("the checksum {0}")]
    Unreadable(Fault),
}

/// How a checked body ended.
pub(crate) enum Checked {
    Ended(Ended),
    /// Nothing of it was kept.
    Wrong(Wrong),
}

/// Stores a body at `offset`; with a claim all of it or nothing.
pub(crate) async fn append_on<S, E>(
    node: &Node,
    app: AppId,
    key: &str,
    (offset, terms, claim): (u64, Terms, Option<Claim>),
    body: S,
) -> Result<Checked, AppendFailure>
where
    S: Stream<Item = Result<Piece, E>> + Send + Unpin,
    E: Send,
{
    let terms = Terms { all_or_nothing: claim.is_some(), ..terms };
    let mut checked = CheckedBody::new(body, claim);
    let ended = take(node, app, key, (offset, terms), &mut checked).await?;
    Ok(checked.wrong.map_or(Checked::Ended(ended), Checked::Wrong))
}

/// Saves the length that a request declares for an upload that did not have one; else it must be the same.
pub(super) async fn declare(
    node: &Node,
    record: &mut Upload,
    epoch: u64,
    terms: Terms,
) -> Result<(), AppendFailure> {
    let Some(length) = terms.length else { return Ok(()) };
    record.state = record.state.declare_length(length)?;
    // Where it is just what is there already, the end of this request finishes the upload and saves the length.
    if record.size.is_none() && length > record.offset {
        node.db.declare_size((record.id, epoch), length, now()).await?;
    }
    record.size = Some(length);
    Ok(())
}

/// A body that is hashed as it passes and ends with an error when its checksum does not fit.
struct CheckedBody<S> {
    body: S,
    hashers: Vec<Hasher>,
    claimed: Option<Result<Checksum, Fault>>,
    wrong: Option<Wrong>,
}

impl<S> CheckedBody<S> {
    fn new(body: S, claim: Option<Claim>) -> Self {
        let (algorithms, claimed) = match claim {
            None => (Vec::new(), None),
            Some(Claim::Known(checksum)) => (vec![checksum.algorithm], Some(Ok(checksum))),
            // Which algorithm it is, only the end of the body says.
            Some(Claim::Trailer) => (Algorithm::ALL.to_vec(), None),
        };
        let hashers = algorithms.into_iter().map(Hasher::new).collect();
        Self { body, hashers, claimed, wrong: None }
    }

    fn verdict(&mut self) -> Option<Wrong> {
        if self.hashers.is_empty() {
            return None;
        }
        let claimed = match self.claimed.take() {
            Some(Ok(claimed)) => claimed,
            Some(Err(fault)) => return Some(Wrong::Unreadable(fault)),
            None => return Some(Wrong::Missing),
        };
        let computed = self.hashers.drain(..).map(Hasher::finish);
        let mut computed = computed.filter(|checksum| checksum.algorithm == claimed.algorithm);
        (computed.next() != Some(claimed)).then_some(Wrong::Mismatch)
    }
}

/// The body broke off, or was found wrong.
#[derive(Debug)]
struct Broken;

impl<S, E> Stream for CheckedBody<S>
where
    S: Stream<Item = Result<Piece, E>> + Unpin,
{
    type Item = Result<Bytes, Broken>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        loop {
            let Poll::Ready(next) = self.body.poll_next_unpin(cx) else { return Poll::Pending };
            match next {
                Some(Ok(Piece::Bytes(bytes))) => {
                    for hasher in &mut self.hashers {
                        hasher.update(&bytes);
                    }
                    return Poll::Ready(Some(Ok(bytes)));
                }
                Some(Ok(Piece::Claim(claim))) => {
                    // Without a promise of one it is not looked at.
                    self.claimed.get_or_insert(claim);
                }
                Some(Err(_)) => return Poll::Ready(Some(Err(Broken))),
                None => {
                    self.wrong = self.verdict();
                    return Poll::Ready(self.wrong.map(|_| Err(Broken)));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::stream;

    fn sha1(bytes: &[u8]) -> Checksum {
        let mut hasher = Hasher::new(Algorithm::Sha1);
        hasher.update(bytes);
        hasher.finish()
    }

    async fn checked(claim: Option<Claim>, trailer: Option<Result<Checksum, Fault>>) -> Option<Wrong> {
        let pieces = [&b"he"[..], b"llo"].map(|piece| Piece::Bytes(Bytes::from_static(piece)));
        let arrivals = pieces.into_iter().chain(trailer.map(Piece::Claim)).map(Ok::<_, ()>);
        let mut body = CheckedBody::new(stream::iter(arrivals), claim);
        let mut bytes = Vec::new();
        while let Some(Ok(piece)) = body.next().await {
            bytes.extend_from_slice(&piece);
        }
        assert_eq!(bytes, b"hello");
        body.wrong
    }

    #[test]
    fn a_patch_of_tus_is_plain() {
        let plain = Terms { full_is_end: true, ..Terms::default() };
        assert!(plain.are_plain() && Terms::default().are_plain());
        for asked in [
            Terms { all_or_nothing: true, ..plain },
            Terms { last: true, ..plain },
            Terms { length: Some(1), ..plain },
            Terms { most: Some(1), ..plain },
        ] {
            assert!(!asked.are_plain(), "{asked:?}");
        }
    }

    #[tokio::test]
    async fn a_body_is_right_only_with_the_checksum_that_was_claimed() {
        assert_eq!(checked(None, None).await, None);
        assert_eq!(checked(None, Some(Ok(sha1(b"other")))).await, None, "nobody asked for it");
        assert_eq!(checked(Some(Claim::Known(sha1(b"hello"))), None).await, None);
        assert_eq!(checked(Some(Claim::Known(sha1(b"hellO"))), None).await, Some(Wrong::Mismatch));
        let short = Checksum { digest: vec![1, 2, 3], ..sha1(b"hello") };
        assert_eq!(checked(Some(Claim::Known(short)), None).await, Some(Wrong::Mismatch));
        let trailer = Some(Claim::Trailer);
        assert_eq!(checked(trailer.clone(), Some(Ok(sha1(b"hello")))).await, None);
        assert_eq!(checked(trailer.clone(), Some(Ok(sha1(b"x")))).await, Some(Wrong::Mismatch));
        assert_eq!(checked(trailer.clone(), None).await, Some(Wrong::Missing));
        let unreadable = checked(trailer, Some(Err(Fault::Unknown))).await;
        assert_eq!(unreadable, Some(Wrong::Unreadable(Fault::Unknown)));
    }
}
