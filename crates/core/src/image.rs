//! Looks at the header of a picture, to prove that it is one.

/// The forms of pictures that are taken from outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// JPEG (ITU-T T.81).
    Jpeg,
    /// PNG (ISO/IEC 15948).
    Png,
}

/// What the header of a picture says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Head {
    /// Its form.
    pub format: Format,
    /// Width in pixels, as it is stored.
    pub width: u32,
    /// Height in pixels, as it is stored.
    pub height: u32,
}

impl Head {
    /// Reads the header of a whole picture; `None` when it is no picture of a form that is taken.
    pub fn read(bytes: &[u8]) -> Option<Self> {
        let (format, (width, height)) = match png_size(bytes) {
            Some(size) => (Format::Png, size),
            None => (Format::Jpeg, jpeg_size(bytes).map(|(width, height)| (width.into(), height.into()))?),
        };
        Some(Self { format, width, height })
    }

    /// How many pixels it has.
    pub const fn pixels(&self) -> u64 {
        self.width as u64 * self.height as u64
    }
}

/// Width and height in pixels of a JPEG picture (ITU-T T.81, annex B): the first frame header after the SOI marker.
pub fn jpeg_size(bytes: &[u8]) -> Option<(u16, u16)> {
    let mut at = bytes.strip_prefix(&[0xff, 0xd8])?;
    loop {
        let (&[first, marker], rest) = at.split_first_chunk()?;
        if first != 0xff {
            return None;
        }
        // Any number of fill bytes may stand before a marker.
        if marker == 0xff {
            at = &at[1..];
            continue;
        }
        let (length, _) = rest.split_first_chunk()?;
        let length = usize::from(u16::from_be_bytes(*length));
        let segment = rest.get(2..length)?;
        // SOF0 to SOF15, without the tables DHT, JPG and DAC that share the range.
        if (0xc0..=0xcf).contains(&marker) && !matches!(marker, 0xc4 | 0xc8 | 0xcc) {
            let (&[_, h1, h0, w1, w0], _) = segment.split_first_chunk()?;
            let (width, height) = (u16::from_be_bytes([w1, w0]), u16::from_be_bytes([h1, h0]));
            return (width > 0 && height > 0).then_some((width, height));
        }
        at = rest.get(length..)?;
    }
}

/// Width and height in pixels of a PNG picture (ISO/IEC 15948, 11.2.2): the IHDR chunk, which is always the first.
pub fn png_size(bytes: &[u8]) -> Option<(u32, u32)> {
    let rest = bytes.strip_prefix(b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR")?;
    let (width, rest) = rest.split_first_chunk()?;
    let (height, rest) = rest.split_first_chunk()?;
    // Depth, colour, compression, filter, interlace, and the checksum of the chunk.
    let whole = rest.len() >= 9;
    let (width, height) = (u32::from_be_bytes(*width), u32::from_be_bytes(*height));
    let sane = |side: u32| side > 0 && side <= 1 << 31;
    (whole && sane(width) && sane(height)).then_some((width, height))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const HEAD: &[u8] =
        &[0xff, 0xd8, 0xff, 0xe0, 0, 4, b'J', b'F', 0xff, 0xc0, 0, 8, 8, 0x02, 0xd0, 0x05, 0x00, 3];
    const PNG: &[u8] =
        b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\x05\0\0\0\x02\xd0\x08\x02\0\0\0\xcf\xa2\x15\x1a rest";

    #[test]
    fn the_size_stands_in_the_frame_header() {
        assert_eq!(jpeg_size(HEAD), Some((1_280, 720)));
        assert_eq!(jpeg_size(&HEAD[..12]), None, "cut off");
        assert_eq!(jpeg_size(b"\x89PNG"), None);
        let filled = [&HEAD[..8], &[0xff, 0xff], &HEAD[8..]].concat();
        assert_eq!(jpeg_size(&filled), Some((1_280, 720)), "fill bytes");
    }

    #[test]
    fn only_jpeg_and_png_are_pictures() {
        let of = |format| Some(Head { format, width: 1_280, height: 720 });
        assert_eq!(Head::read(HEAD), of(Format::Jpeg));
        assert_eq!(Head::read(PNG), of(Format::Png));
        assert_eq!(Head::read(PNG).unwrap().pixels(), 921_600);
        for (what, bytes) in [
            ("cut off", &PNG[..30]),
            ("nothing", b""),
            ("no size", b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\0\0\0\x02\xd0\x08\x02\0\0\0\xcf\xa2\x15\x1a"),
            ("a drawing with a script", b"<svg xmlns='http://www.w3.org/2000/svg'><script/></svg>"),
            ("GIF", b"GIF89a\x01\0\x01\0"),
            ("a playlist", b"#EXTM3U\n"),
        ] {
            assert_eq!(Head::read(bytes), None, "{what}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_confuse_it(bytes: Vec<u8>, keep in 0_usize..40) {
            for head in [HEAD, PNG] {
                let mut bytes = [&head[..keep.min(head.len())], &bytes[..]].concat();
                let _head = Head::read(&bytes);
                bytes.truncate(keep);
                let _head = Head::read(&bytes);
            }
        }
    }
}
