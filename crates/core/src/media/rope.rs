//! The rope: bytes described as literals and ranges of objects, so that nothing is read before it is sent.

use bytes::Bytes;

use crate::id::ObjectId;

/// A run of bytes: either here, or at a place in an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Piece<O = ObjectId> {
    /// The bytes themselves.
    Literal(Bytes),
    /// `len` bytes of `object` from byte `offset`.
    Range {
        /// The object that holds the bytes.
        object: O,
        /// The first byte.
        offset: u64,
        /// How many bytes.
        len: u64,
    },
}

impl<O: Copy> Piece<O> {
    /// The number of bytes.
    pub fn len(&self) -> u64 {
        match self {
            Self::Literal(bytes) => bytes.len() as u64,
            Self::Range { len, .. } => *len,
        }
    }

    /// Whether there are no bytes.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The `len` bytes from byte `from`, both already inside the piece.
    fn part(&self, from: u64, len: u64) -> Self {
        match self {
            Self::Literal(bytes) => {
                let index =
                    |at: u64| usize::try_from(at).expect("because the place is inside bytes in memory");
                Self::Literal(bytes.slice(index(from)..index(from + len)))
            }
            Self::Range { object, offset, .. } => {
                Self::Range { object: *object, offset: offset.saturating_add(from), len }
            }
        }
    }
}

/// A sequence of pieces: no empty piece, and no two ranges that could be one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rope<O = ObjectId> {
    pieces: Vec<Piece<O>>,
    len: u64,
}

impl<O> Default for Rope<O> {
    fn default() -> Self {
        Self { pieces: Vec::new(), len: 0 }
    }
}

impl<O: Copy + Eq> Rope<O> {
    /// A rope without bytes.
    pub const fn new() -> Self {
        Self { pieces: Vec::new(), len: 0 }
    }

    /// A rope over one range of one object.
    pub fn range(object: O, offset: u64, len: u64) -> Self {
        let mut rope = Self::new();
        rope.push(Piece::Range { object, offset, len });
        rope
    }

    /// The number of bytes.
    pub const fn len(&self) -> u64 {
        self.len
    }

    /// Whether there are no bytes.
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The pieces in order.
    pub fn pieces(&self) -> &[Piece<O>] {
        &self.pieces
    }

    /// Adds a piece at the end; a range that continues the last one makes it longer.
    pub fn push(&mut self, piece: Piece<O>) {
        if piece.is_empty() {
            return;
        }
        self.len = self.len.saturating_add(piece.len());
        if let (Some(Piece::Range { object, offset, len }), Piece::Range { object: o, offset: at, len: more }) =
            (self.pieces.last_mut(), &piece)
            && object == o
            && offset.checked_add(*len) == Some(*at)
        {
            *len += more;
            return;
        }
        self.pieces.push(piece);
    }

    /// Adds bytes at the end.
    pub fn push_literal(&mut self, bytes: impl Into<Bytes>) {
        self.push(Piece::Literal(bytes.into()));
    }

    /// Adds a range of an object at the end.
    pub fn push_range(&mut self, object: O, offset: u64, len: u64) {
        self.push(Piece::Range { object, offset, len });
    }

    /// Adds all of another rope at the end.
    pub fn append(&mut self, other: Self) {
        for piece in other.pieces {
            self.push(piece);
        }
    }

    /// The `len` bytes from byte `from`; what lies behind the end is left out.
    #[must_use]
    pub fn slice(&self, from: u64, len: u64) -> Self {
        let until = from.saturating_add(len).min(self.len);
        let mut rope = Self::new();
        let mut at = 0;
        for piece in &self.pieces {
            let end = at + piece.len();
            let (first, last) = (from.max(at), until.min(end));
            if first < last {
                rope.push(piece.part(first - at, last - first));
            }
            if end >= until {
                break;
            }
            at = end;
        }
        rope
    }

    /// The same rope over other objects, for example when a chunk file becomes a stored object.
    pub fn map<P: Copy + Eq>(self, mut object_of: impl FnMut(O) -> P) -> Rope<P> {
        let mut rope = Rope::new();
        for piece in self.pieces {
            rope.push(match piece {
                Piece::Literal(bytes) => Piece::Literal(bytes),
                Piece::Range { object, offset, len } => {
                    Piece::Range { object: object_of(object), offset, len }
                }
            });
        }
        rope
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::made::bytes_of;
    use proptest::prelude::*;

    const SOURCE_BYTES: u64 = 64;

    fn pieces() -> impl Strategy<Value = Vec<Piece<u8>>> {
        let literal =
            proptest::collection::vec(any::<u8>(), 0..6).prop_map(|bytes| Piece::Literal(bytes.into()));
        let range = (0_u8..3, 0..=SOURCE_BYTES, 0..=9_u64).prop_map(|(object, offset, len)| Piece::Range {
            object,
            offset,
            len: len.min(SOURCE_BYTES - offset),
        });
        proptest::collection::vec(prop_oneof![literal, range], 0..24)
    }

    fn rope_of(pieces: Vec<Piece<u8>>) -> Rope<u8> {
        let mut rope = Rope::new();
        for piece in pieces {
            rope.push(piece);
        }
        rope
    }

    fn objects() -> Vec<Vec<u8>> {
        (0_u8..3)
            .map(|object| (0..64_u8).map(|byte| byte.wrapping_mul(7) ^ (object << 6)).collect())
            .collect()
    }

    fn index(at: u64) -> usize {
        usize::try_from(at).unwrap()
    }

    #[test]
    fn ranges_that_touch_become_one_and_empty_pieces_vanish() {
        let mut rope = Rope::new();
        rope.push_range(1_u8, 10, 5);
        rope.push_literal(Bytes::new());
        rope.push_range(1, 15, 5);
        rope.push_range(1, 21, 1);
        rope.push_range(2, 22, 1);
        assert_eq!(
            rope.pieces(),
            [
                Piece::Range { object: 1, offset: 10, len: 10 },
                Piece::Range { object: 1, offset: 21, len: 1 },
                Piece::Range { object: 2, offset: 22, len: 1 },
            ]
        );
        assert_eq!(rope.len(), 12);
    }

    #[test]
    fn a_slice_behind_the_end_is_empty() {
        let rope = Rope::range((), 5, 10);
        assert_eq!(rope.slice(10, 1), Rope::new());
        assert_eq!(rope.slice(9, u64::MAX), Rope::range((), 14, 1));
    }

    proptest! {
        #[test]
        fn a_rope_is_as_long_as_its_bytes(pieces in pieces()) {
            let wanted: u64 = pieces.iter().map(Piece::len).sum();
            let rope = rope_of(pieces);
            prop_assert_eq!(rope.len(), wanted);
            prop_assert_eq!(bytes_of(&rope, |object| objects()[usize::from(object)].clone()).len() as u64, wanted);
        }

        #[test]
        fn a_slice_is_the_slice_of_the_bytes(pieces in pieces(), from in 0..200_u64, len in 0..200_u64) {
            let rope = rope_of(pieces);
            let read = |rope: &Rope<u8>| bytes_of(rope, |object| objects()[usize::from(object)].clone());
            let whole = read(&rope);
            let (first, last) = (from.min(rope.len()), (from + len).min(rope.len()));
            prop_assert_eq!(read(&rope.slice(from, len)), whole[index(first)..index(last)].to_vec());
        }

        #[test]
        fn slicing_twice_is_slicing_once(
            pieces in pieces(), from in 0..99_u64, len in 0..99_u64, inner in 0..99_u64, part in 0..99_u64,
        ) {
            let rope = rope_of(pieces);
            let once = rope.slice(from + inner, part.min(len.saturating_sub(inner)));
            prop_assert_eq!(rope.slice(from, len).slice(inner, part), once);
        }

        #[test]
        fn appending_is_concatenation(left in pieces(), right in pieces(), cut in 0..200_u64) {
            let whole = rope_of(left.iter().cloned().chain(right.iter().cloned()).collect());
            let mut joined = rope_of(left);
            joined.append(rope_of(right));
            prop_assert_eq!(&joined, &whole);
            let mut halves = whole.slice(0, cut);
            halves.append(whole.slice(cut, u64::MAX));
            let read = |rope: &Rope<u8>| bytes_of(rope, |object| objects()[usize::from(object)].clone());
            prop_assert_eq!(read(&halves), read(&whole));
        }
    }
}
