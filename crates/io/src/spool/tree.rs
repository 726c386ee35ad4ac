//! BLAKE3 of an upload while it is written. The hash of each slab is a node of the whole file's tree, so the
//! slabs alone give the hash of the file, and a slab can be checked without its neighbours.

use blake3::Hasher;
use blake3::hazmat::{HasherExt as _, Mode, merge_subtrees_non_root, merge_subtrees_root};

/// Bytes of a slab. A power of two of BLAKE3's chunks, so each slab is one whole subtree.
pub const SLAB_BYTES: u64 = 64 << 20;

/// A slab of a file that is longer than one slab.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Slab {
    /// Its place in the file, from 0 on.
    pub number: u64,
    /// Its node in the tree of the file: BLAKE3's chaining value, not the hash of its bytes alone.
    pub hash: [u8; 32],
}

/// What the bytes of a finished upload hash to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hashed {
    /// The BLAKE3 hash of the whole file; `None` when slabs of earlier requests are not known.
    pub whole: Option<[u8; 32]>,
    /// Slabs that no commit has told yet, with the last one; none when the file is one slab.
    pub slabs: Vec<Slab>,
}

/// How many whole slabs are behind the byte at `offset`. The last one stays open until a byte follows, because
/// the only slab of a file is hashed in another way than one of several.
pub(super) const fn closed_before(offset: u64) -> u64 {
    offset.saturating_sub(1) / SLAB_BYTES
}

/// Hashes bytes in the order of the file.
#[derive(Debug, Clone)]
pub(super) struct Tally {
    hasher: Box<Hasher>,
    /// All bytes before this are hashed.
    at: u64,
    /// The first slab that this tally has seen from its beginning.
    first: u64,
    /// Slabs that are closed and were not taken yet.
    closed: Vec<Slab>,
    /// Slabs that were taken, for the hash of the whole.
    taken: Vec<Slab>,
}

impl Tally {
    /// Begins with the slab that is open at `offset`; the bytes from there up to `offset` come first.
    pub(super) fn before(offset: u64) -> Self {
        let first = closed_before(offset);
        Self {
            hasher: hasher_at(first),
            at: first * SLAB_BYTES,
            first,
            closed: Vec::new(),
            taken: Vec::new(),
        }
    }

    /// All bytes before this are hashed.
    pub(super) const fn at(&self) -> u64 {
        self.at
    }

    /// Takes the next bytes of the file.
    pub(super) fn update(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let number = closed_before(self.at + 1);
            if self.at > 0 && self.at == number * SLAB_BYTES && self.hasher.count() > 0 {
                self.closed.push(Slab { number: number - 1, hash: self.hasher.finalize_non_root() });
                self.hasher = hasher_at(number);
            }
            let room = usize::try_from((number + 1) * SLAB_BYTES - self.at).unwrap_or(usize::MAX);
            let (now, later) = bytes.split_at(bytes.len().min(room));
            self.hasher.update(now);
            self.at += now.len() as u64;
            bytes = later;
        }
    }

    /// The slabs that were closed since the last call.
    pub(super) fn take_closed(&mut self) -> Vec<Slab> {
        let closed = std::mem::take(&mut self.closed);
        self.taken.extend(&closed);
        closed
    }

    /// The number of slabs whose hashes must come from earlier requests.
    pub(super) const fn needs(&self) -> u64 {
        self.first
    }

    /// The hash of the file that ends here; `earlier` are the slabs before the first of this tally.
    pub(super) fn end(mut self, earlier: &[Slab]) -> Hashed {
        let number = closed_before(self.at);
        if number == 0 {
            return Hashed { whole: Some(*self.hasher.finalize().as_bytes()), slabs: Vec::new() };
        }
        self.closed.push(Slab { number, hash: self.hasher.finalize_non_root() });
        let all: Vec<_> = earlier.iter().chain(&self.taken).chain(&self.closed).collect();
        let whole = (0..=number).eq(all.iter().map(|slab| slab.number)).then(|| {
            let nodes: Vec<_> = all.iter().map(|slab| slab.hash).collect();
            let (left, right) = nodes.split_at(left_of(nodes.len()));
            *merge_subtrees_root(&node(left), &node(right), Mode::Hash).as_bytes()
        });
        Hashed { whole, slabs: self.closed }
    }
}

fn hasher_at(slab: u64) -> Box<Hasher> {
    let mut hasher = Box::new(Hasher::new());
    hasher.set_input_offset(slab * SLAB_BYTES);
    hasher
}

/// How many of so many nodes are below the left child: the largest power of two that leaves something for the right.
const fn left_of(nodes: usize) -> usize {
    nodes.next_power_of_two() / 2
}

fn node(nodes: &[[u8; 32]]) -> [u8; 32] {
    match nodes {
        [one] => *one,
        several => {
            let (left, right) = several.split_at(left_of(several.len()));
            merge_subtrees_non_root(&node(left), &node(right), Mode::Hash)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SLAB: usize = 64 << 20;

    /// Zeros are as good as anything: the tree's nodes differ by their place.
    fn in_pieces(len: usize, resumed_at: &[usize]) -> Hashed {
        let zeros = vec![0; 1 << 20];
        let feed = |tally: &mut Tally, until: usize| {
            while tally.at() < until as u64 {
                let left = until - usize::try_from(tally.at()).unwrap();
                tally.update(&zeros[..left.min(zeros.len() - 1)]);
            }
        };
        let mut known = Vec::new();
        let mut tally = Tally::before(0);
        for at in resumed_at {
            feed(&mut tally, *at);
            known.extend(tally.take_closed());
            tally = Tally::before(*at as u64);
            assert_eq!(known.len() as u64, tally.needs(), "resumed at {at}");
            feed(&mut tally, *at);
            assert_eq!(tally.take_closed(), [], "a slab is told once");
        }
        feed(&mut tally, len);
        tally.end(&known)
    }

    #[test]
    fn the_slabs_give_the_hash_of_the_file() {
        for (len, resumed_at) in [
            (0, &[][..]),
            (1, &[]),
            (SLAB - 1, &[5]),
            (SLAB, &[SLAB / 2]),
            (SLAB + 1, &[SLAB]),
            (2 * SLAB, &[SLAB, SLAB + 1]),
            (3 * SLAB + 12_345, &[SLAB - 1, 2 * SLAB, 3 * SLAB]),
            (5 * SLAB + 1, &[4 * SLAB + 77]),
        ] {
            let hashed = in_pieces(len, resumed_at);
            let mut expected = Hasher::new();
            let zeros = vec![0; 1 << 20];
            for _ in 0..len / zeros.len() {
                expected.update(&zeros);
            }
            expected.update(&zeros[..len % zeros.len()]);
            assert_eq!(
                hashed.whole,
                Some(*expected.finalize().as_bytes()),
                "{len} resumed at {resumed_at:?}"
            );
        }
    }

    #[test]
    fn a_file_whose_first_slabs_are_not_known_has_no_hash() {
        let mut tally = Tally::before(SLAB_BYTES + 1);
        tally.update(&vec![0; SLAB]);
        tally.update(&[0]);
        let hashed = tally.end(&[]);
        assert_eq!((hashed.whole, hashed.slabs.len()), (None, 2));
        assert_eq!(hashed.slabs[1].number, 2);
    }
}
