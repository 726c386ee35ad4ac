//! Bodies with a checksum: hashed as they pass, and kept only when they are right.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures_util::{Stream, StreamExt as _};
use matinee_core::id::AppId;
use matinee_core::upload::checksum::{Algorithm, Checksum, Fault, Hasher};

use super::receive::take;
use super::terms::Terms;
use super::{AppendFailure, Ended};
use crate::node::Node;

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
