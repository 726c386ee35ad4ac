//! Looks at the header of a picture, to prove that it is one.

/// Width and height in pixels of a JPEG picture (ITU-T T.81, annex B): the first frame header after the SOI marker.
pub fn jpeg_size(bytes: &[u8]) -> Option<(u16, u16)> {
    let mut at = bytes.strip_prefix(&[0xff, 0xd8])?;
    loop {
        let (&[first, marker], rest) = at.split_first_chunk()?;
        if first != 0xff {
            return None;
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

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const HEAD: &[u8] =
        &[0xff, 0xd8, 0xff, 0xe0, 0, 4, b'J', b'F', 0xff, 0xc0, 0, 8, 8, 0x02, 0xd0, 0x05, 0x00, 3];

    #[test]
    fn the_size_stands_in_the_frame_header() {
        assert_eq!(jpeg_size(HEAD), Some((1_280, 720)));
        assert_eq!(jpeg_size(&HEAD[..12]), None, "cut off");
        assert_eq!(jpeg_size(b"\x89PNG"), None);
    }

    proptest! {
        #[test]
        fn no_bytes_confuse_it(bytes: Vec<u8>) {
            let mut head = HEAD[..8].to_vec();
            head.extend(bytes);
            let _size = jpeg_size(&head);
        }
    }
}
