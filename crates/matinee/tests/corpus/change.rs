//! How good files are spoilt: the same bytes for the same row, always.

use crate::support::{Random, noise};

/// One change to the bytes of a file; places are thousandths of its length.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Change {
    /// Everything behind this place is lost.
    Cut(u64),
    /// Everything before this place is lost.
    Behead(u64),
    /// So many bytes between two places get other values.
    Flip { from: u64, to: u64, bytes: u64, seed: u64 },
    /// All bytes between two places are zero.
    Zero(u64, u64),
    /// The bytes between two places are noise.
    Noise(u64, u64),
    /// The bytes between two places are gone.
    Drop(u64, u64),
    /// The bytes between two places come twice.
    Twice(u64, u64),
    /// The two halves behind a place change places.
    Swap(u64),
    /// So much noise behind the end.
    Tail(usize),
    /// This before the beginning.
    Head(&'static [u8]),
    /// The bytes that begin so far behind the first occurrence of a text become these.
    At(&'static [u8], usize, &'static [u8]),
    /// Every occurrence of a text becomes another one of the same length.
    Replace(&'static [u8], &'static [u8]),
    /// The bytes of the body are noise, the first so many stay.
    Hollow(usize),
}

/// The file after these changes.
pub(crate) fn changed(mut bytes: Vec<u8>, changes: &[Change]) -> Vec<u8> {
    for change in changes {
        bytes = apply(bytes, *change);
    }
    bytes
}

fn apply(mut bytes: Vec<u8>, change: Change) -> Vec<u8> {
    let len = bytes.len();
    let at = |share: u64| len * usize::try_from(share).unwrap() / 1_000;
    match change {
        Change::Cut(to) => bytes.truncate(at(to)),
        Change::Behead(to) => drop(bytes.drain(..at(to))),
        Change::Flip { from, to, bytes: count, seed } => {
            let mut random = Random(seed);
            let width = (at(to) - at(from)).max(1) as u64;
            for _ in 0..count {
                let place = at(from) + usize::try_from(random.below(width)).unwrap();
                bytes[place] ^= u8::try_from(1 + random.below(255)).unwrap();
            }
        }
        Change::Zero(from, to) => bytes[at(from)..at(to)].fill(0),
        Change::Noise(from, to) => {
            let noise = noise(len as u64, at(to) - at(from));
            bytes[at(from)..at(to)].copy_from_slice(&noise);
        }
        Change::Drop(from, to) => drop(bytes.drain(at(from)..at(to))),
        Change::Twice(from, to) => {
            let again = bytes[at(from)..at(to)].to_vec();
            bytes.splice(at(to)..at(to), again);
        }
        Change::Swap(behind) => {
            let half = (len - at(behind)) / 2;
            bytes[at(behind)..].rotate_left(half);
        }
        Change::Tail(count) => bytes.extend(noise(count as u64, count)),
        Change::Head(text) => drop(bytes.splice(0..0, text.iter().copied())),
        Change::At(text, behind, new) => {
            let found = bytes.windows(text.len()).position(|part| part == text);
            let from = found.unwrap_or_else(|| panic!("{text:?} is not there")) + behind;
            bytes[from..from + new.len()].copy_from_slice(new);
        }
        Change::Replace(old, new) => {
            let places: Vec<usize> =
                (0..=len - old.len()).filter(|at| bytes[*at..].starts_with(old)).collect();
            assert!(!places.is_empty(), "{old:?} is not there");
            for place in places {
                bytes[place..place + new.len()].copy_from_slice(new);
            }
        }
        Change::Hollow(keep) => {
            let noise = noise(len as u64, len - keep);
            bytes[keep..].copy_from_slice(&noise);
        }
    }
    bytes
}
