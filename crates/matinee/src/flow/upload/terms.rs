//! On which terms a body is taken: the length it declares, how much of it counts, and whether its end is the end of all.

use matinee_io::db::Upload;

use super::AppendFailure;
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

#[cfg(test)]
mod tests {
    use super::*;

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
}
