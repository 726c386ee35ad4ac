//! `Upload-Metadata` of tus: a comma list of `key SP base64value`.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;

/// What is wrong with the header.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// Before the space there is nothing.
    #[error("has an empty key")]
    EmptyKey,
    /// Keys are unique.
    #[error("names a key twice")]
    Twice,
    /// Values are base64.
    #[error("has a value that is not base64")]
    NotBase64,
}

/// The pairs of a header; a value may be empty, and then the space may be missing, too.
pub fn pairs(header: &str) -> Result<Vec<(&str, Vec<u8>)>, Fault> {
    let mut pairs: Vec<(&str, Vec<u8>)> = Vec::new();
    for pair in header.split(',').map(str::trim).filter(|_| !header.trim().is_empty()) {
        let (key, value) = pair.split_once(' ').unwrap_or((pair, ""));
        if key.is_empty() {
            return Err(Fault::EmptyKey);
        }
        if pairs.iter().any(|(known, _)| *known == key) {
            return Err(Fault::Twice);
        }
        pairs.push((key, BASE64.decode(value.trim()).map_err(|_| Fault::NotBase64)?));
    }
    Ok(pairs)
}

/// The name that the sender gives its file: `title`, `filename` or `name`; only ever a text, never a path.
pub fn name(pairs: &[(&str, Vec<u8>)]) -> Option<String> {
    let named = |wanted: &&str| pairs.iter().find(|(key, _)| key == wanted);
    let (_, value) = ["title", "filename", "name"].iter().find_map(named)?;
    Some(String::from_utf8_lossy(value).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(header: &str) -> Result<Vec<(&str, Vec<u8>)>, Fault> {
        pairs(header)
    }

    #[test]
    fn metadata_is_read_as_the_protocol_says() {
        assert_eq!(read(""), Ok(vec![]));
        assert_eq!(
            read("filename YS5tcDQ=,empty,also "),
            Ok(vec![("filename", b"a.mp4".to_vec()), ("empty", vec![]), ("also", vec![])])
        );
        assert_eq!(read("a YQ==,a Yg=="), Err(Fault::Twice));
        assert_eq!(read("a !!"), Err(Fault::NotBase64));
        assert_eq!(read(" YQ==,"), Err(Fault::EmptyKey));
        assert_eq!(read("a YQ==,,b"), Err(Fault::EmptyKey));
    }

    #[test]
    fn a_title_goes_before_a_file_name() {
        let pairs = read("name Yw==,filename Yg==,title YQ==").unwrap();
        assert_eq!(name(&pairs).as_deref(), Some("a"));
        assert_eq!(name(&[]), None);
    }

    proptest! {
        #[test]
        fn no_header_is_too_much(header in ".{0,200}") {
            let _ = pairs(&header);
        }

        #[test]
        fn what_was_written_is_read(values in prop::collection::btree_map("[a-z]{1,8}", prop::collection::vec(any::<u8>(), 0..40), 0..6)) {
            let header = values.iter().map(|(key, value)| format!("{key} {}", BASE64.encode(value)));
            let header = header.collect::<Vec<_>>().join(",");
            let expected = values.iter().map(|(key, value)| (key.as_str(), value.clone())).collect::<Vec<_>>();
            prop_assert_eq!(pairs(&header), Ok(expected));
        }
    }
}
