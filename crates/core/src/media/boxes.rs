//! Walks the boxes of an MP4 file within bytes that are already here (ISO/IEC 14496-12 section 4.2).

use super::error::{FourCc, MediaError};

/// The most bytes that a box header needs before its 16-byte user type.
pub const HEADER_MAX: usize = 16;

/// The header of a box: its type and its sizes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// The type of the box.
    pub kind: FourCc,
    /// Bytes of the header; the 16-byte user type of a `uuid` box belongs to the body.
    pub header_len: u64,
    /// Bytes of the whole box with its header.
    pub len: u64,
}

impl Header {
    /// Reads a header from the start of `bytes`; `room` is how much the container has from here, in bytes.
    ///
    /// The length is not compared with `room`: a file that is cut and a box that lies are different faults.
    pub fn parse(bytes: &[u8], room: u64) -> Result<Self, MediaError> {
        let mut cursor = Cursor::new(bytes, FourCc(*b"box "));
        let short = cursor.u32()?;
        let kind = FourCc(cursor.array()?);
        cursor.within = kind;
        let (header_len, len) = match short {
            0 => (8, room),
            1 => (16, cursor.u64()?),
            short => (8, u64::from(short)),
        };
        if len < header_len {
            return Err(MediaError::Malformed { within: kind, why: "it is shorter than its own header" });
        }
        Ok(Self { kind, header_len, len })
    }
}

/// One box within bytes that are here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Part<'a> {
    /// The type of the box.
    pub kind: FourCc,
    /// The box with its header.
    pub whole: &'a [u8],
    /// What follows the header.
    pub body: &'a [u8],
}

impl<'a> Part<'a> {
    /// Reads the box that stands at the start of `bytes`.
    pub fn first(bytes: &'a [u8]) -> Result<Self, MediaError> {
        let Header { kind, header_len, len } = Header::parse(bytes, bytes.len() as u64)?;
        let whole = usize::try_from(len).ok().and_then(|len| bytes.get(..len));
        let whole =
            whole.ok_or(MediaError::Malformed { within: kind, why: "it is longer than its container" })?;
        let body = usize::try_from(header_len).ok().and_then(|start| whole.get(start..)).unwrap_or_default();
        Ok(Self { kind, whole, body })
    }

    /// The boxes inside, when the body is nothing but boxes.
    pub const fn parts(&self) -> Parts<'a> {
        parts(self.body)
    }

    /// A cursor over the body.
    pub const fn cursor(&self) -> Cursor<'a> {
        Cursor::new(self.body, self.kind)
    }

    /// Version, flags and a cursor behind them (`FullBox`, ISO/IEC 14496-12 section 4.2).
    pub fn full(&self) -> Result<(u8, u32, Cursor<'a>), MediaError> {
        let mut cursor = self.cursor();
        let word = cursor.u32()?;
        Ok((word.to_be_bytes()[0], word & 0x00ff_ffff, cursor))
    }

    /// The first box of this type inside, if there is one.
    pub fn find(&self, kind: [u8; 4]) -> Result<Option<Part<'a>>, MediaError> {
        find(self.body, kind)
    }

    /// The first box of this type inside, which must be there.
    pub fn need(&self, kind: [u8; 4]) -> Result<Part<'a>, MediaError> {
        self.find(kind)?.ok_or(MediaError::Missing { within: self.kind, wanted: FourCc(kind) })
    }
}

/// The boxes that stand one after the other in `bytes`.
pub const fn parts(bytes: &[u8]) -> Parts<'_> {
    Parts { rest: bytes }
}

/// The first box of this type in `bytes`; a damaged box before it is an error.
pub fn find(bytes: &[u8], kind: [u8; 4]) -> Result<Option<Part<'_>>, MediaError> {
    for part in parts(bytes) {
        let part = part?;
        if part.kind.0 == kind {
            return Ok(Some(part));
        }
    }
    Ok(None)
}

/// Iterates over boxes; ends after the first error.
#[derive(Debug, Clone)]
pub struct Parts<'a> {
    rest: &'a [u8],
}

impl<'a> Iterator for Parts<'a> {
    type Item = Result<Part<'a>, MediaError>;

    fn next(&mut self) -> Option<Self::Item> {
        // QuickTime closes some lists with four zero bytes, so a rest too short for a box is an end.
        if self.rest.len() < 8 {
            return None;
        }
        let part = Part::first(self.rest);
        self.rest = part.as_ref().ok().and_then(|part| self.rest.get(part.whole.len()..)).unwrap_or_default();
        Some(part)
    }
}

/// Reads big-endian fields one after the other; what is not there is an error, never a panic.
#[derive(Debug, Clone)]
pub struct Cursor<'a> {
    rest: &'a [u8],
    within: FourCc,
}

impl<'a> Cursor<'a> {
    /// Starts at the beginning of `bytes`; errors name the box `within`.
    pub const fn new(bytes: &'a [u8], within: FourCc) -> Self {
        Self { rest: bytes, within }
    }

    /// The next `len` bytes.
    pub fn take(&mut self, len: usize) -> Result<&'a [u8], MediaError> {
        let (head, rest) =
            self.rest.split_at_checked(len).ok_or_else(|| self.fault("it is shorter than its fields"))?;
        self.rest = rest;
        Ok(head)
    }

    /// The next `count` entries of `len` bytes each, compared with what is there before anything is done.
    pub fn table(&mut self, count: u32, len: usize) -> Result<&'a [u8], MediaError> {
        let bytes = usize::try_from(count).ok().and_then(|count| count.checked_mul(len));
        let fits = bytes.filter(|bytes| *bytes <= self.rest.len());
        self.take(fits.ok_or_else(|| self.fault("it counts more entries than it has"))?)
    }

    /// The next `N` bytes as an array.
    pub fn array<const N: usize>(&mut self) -> Result<[u8; N], MediaError> {
        let split = self.rest.split_first_chunk().ok_or_else(|| self.fault("it is shorter than its fields"));
        let (head, rest) = split?;
        self.rest = rest;
        Ok(*head)
    }

    /// The next byte.
    pub fn u8(&mut self) -> Result<u8, MediaError> {
        Ok(u8::from_be_bytes(self.array()?))
    }

    /// The next two bytes.
    pub fn u16(&mut self) -> Result<u16, MediaError> {
        Ok(u16::from_be_bytes(self.array()?))
    }

    /// The next four bytes.
    pub fn u32(&mut self) -> Result<u32, MediaError> {
        Ok(u32::from_be_bytes(self.array()?))
    }

    /// The next eight bytes.
    pub fn u64(&mut self) -> Result<u64, MediaError> {
        Ok(u64::from_be_bytes(self.array()?))
    }

    /// The next four bytes, or eight when `wide`, as versions 0 and 1 of many boxes differ.
    pub fn word(&mut self, wide: bool) -> Result<u64, MediaError> {
        if wide { self.u64() } else { self.u32().map(u64::from) }
    }

    /// The next `len` bytes do not matter.
    pub fn skip(&mut self, len: usize) -> Result<(), MediaError> {
        self.take(len).map(drop)
    }

    /// Everything that is left.
    pub const fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// The error for this box.
    pub const fn fault(&self, why: &'static str) -> MediaError {
        MediaError::Malformed { within: self.within, why }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn boxed(kind: [u8; 4], body: &[u8], wide: bool) -> Vec<u8> {
        let mut bytes = Vec::new();
        if wide {
            bytes.extend(1_u32.to_be_bytes());
            bytes.extend(kind);
            bytes.extend((body.len() as u64 + 16).to_be_bytes());
        } else {
            bytes.extend(u32::try_from(body.len() + 8).unwrap().to_be_bytes());
            bytes.extend(kind);
        }
        bytes.extend(body);
        bytes
    }

    proptest! {
        #[test]
        fn boxes_that_were_written_are_walked_in_order(
            list in prop::collection::vec((any::<[u8; 4]>(), prop::collection::vec(any::<u8>(), 0..40), any::<bool>()), 0..8),
            tail in prop::collection::vec(any::<u8>(), 0..8),
        ) {
            let mut bytes: Vec<u8> = list.iter().flat_map(|(kind, body, wide)| boxed(*kind, body, *wide)).collect();
            bytes.extend(&tail);
            let walked: Vec<_> = parts(&bytes).map(|part| part.map(|part| (part.kind.0, part.body.to_vec()))).collect();
            let written: Vec<_> = list.into_iter().map(|(kind, body, _)| Ok((kind, body))).collect();
            prop_assert_eq!(walked, written);
        }

        #[test]
        fn any_bytes_are_walked_to_an_end_without_overlap(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
            let walked: usize = parts(&bytes).flatten().map(|part| part.whole.len()).sum();
            prop_assert!(walked <= bytes.len());
        }
    }

    #[test]
    fn a_size_of_zero_means_to_the_end() {
        let part = Part::first(b"\0\0\0\0mdatxyz").unwrap();
        assert_eq!((part.kind, part.body), (FourCc(*b"mdat"), &b"xyz"[..]));
    }

    #[test]
    fn a_box_smaller_than_its_header_or_larger_than_its_container_is_an_error() {
        let check = |bytes: &[u8], why| {
            assert_eq!(Part::first(bytes), Err(MediaError::malformed(*b"free", why)), "{bytes:?}");
        };
        check(b"\0\0\0\x07free", "it is shorter than its own header");
        check(b"\0\0\0\x01free\0\0\0\0\0\0\0\x0f", "it is shorter than its own header");
        check(b"\0\0\0\x01free\0\0", "it is shorter than its fields");
        check(b"\0\0\0\x09free", "it is longer than its container");
        check(b"\0\0\0\x01free\xff\xff\xff\xff\xff\xff\xff\xff", "it is longer than its container");
    }

    #[test]
    fn a_table_is_compared_with_the_bytes_before_it_is_taken() {
        let mut cursor = Cursor::new(&[0; 16], FourCc(*b"stsz"));
        assert_eq!(cursor.table(4, 4).map(<[u8]>::len), Ok(16));
        let mut cursor = Cursor::new(&[0; 16], FourCc(*b"stsz"));
        let more = MediaError::malformed(*b"stsz", "it counts more entries than it has");
        assert_eq!(cursor.table(5, 4), Err(more.clone()));
        assert_eq!(cursor.table(u32::MAX, usize::MAX), Err(more));
    }
}
