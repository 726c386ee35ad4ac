//! `Upload-Concat` of tus: parts that are sent side by side, and the final upload that they are joined to.

use crate::limits::CONCAT_PARTS_MAX;

/// What an upload is in a concatenation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Concat {
    /// A part: its bytes become a video only as a piece of a final upload.
    Partial,
    /// The final one: the keys of its parts in their order; one may occur several times.
    Final(Vec<String>),
}

/// What is wrong with the header.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// Neither `partial` nor `final;`.
    #[error("must be `partial`, or `final;` with the addresses of its parts")]
    Malformed,
    /// A final without parts has no bytes.
    #[error("names no part")]
    NoParts,
    /// More than [`CONCAT_PARTS_MAX`].
    #[error("names too many parts")]
    TooMany,
    /// An address that is none of an upload.
    #[error("names an address that is no upload of this server")]
    Foreign,
}

impl Concat {
    /// Reads the header.
    pub fn parse(header: &str) -> Result<Self, Fault> {
        let header = header.trim();
        if header == "partial" {
            return Ok(Self::Partial);
        }
        let parts = header.strip_prefix("final;").ok_or(Fault::Malformed)?;
        let keys = parts.split_ascii_whitespace().map(key).collect::<Result<Vec<_>, _>>()?;
        match keys.len() {
            0 => Err(Fault::NoParts),
            1..=CONCAT_PARTS_MAX => Ok(Self::Final(keys)),
            _ => Err(Fault::TooMany),
        }
    }
}

/// The key of an upload's address. A proxy may have given the server another name, so the host says nothing.
fn key(address: &str) -> Result<String, Fault> {
    let path = match address.split_once("://") {
        Some(("http" | "https", rest)) => rest.split_once('/').ok_or(Fault::Foreign)?.1,
        Some(_) => return Err(Fault::Foreign),
        None => address.strip_prefix('/').unwrap_or(address),
    };
    // A public address may have a path of its own before ours; without any slash it is relative to `/files/`.
    let key = match path.rsplit_once('/') {
        Some((folder, key)) if folder == "files" || folder.ends_with("/files") => key,
        None if !address.contains('/') => path,
        Some(_) | None => return Err(Fault::Foreign),
    };
    let plain = !key.is_empty() && key.bytes().all(|letter| letter.is_ascii_alphanumeric() || letter == b'-');
    if plain { Ok(key.to_owned()) } else { Err(Fault::Foreign) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn addresses_are_taken_in_every_form() {
        let keys = |header: &str| Concat::parse(header);
        let of = |keys: &[&str]| Ok(Concat::Final(keys.iter().map(|&key| key.to_owned()).collect()));
        assert_eq!(keys("partial"), Ok(Concat::Partial));
        assert_eq!(keys("final;/files/a /files/b"), of(&["a", "b"]));
        assert_eq!(
            keys("final; http://localhost:80/files/a  https://x.example/base/files/b c"),
            of(&["a", "b", "c"])
        );
        assert_eq!(keys("final;/files/a /files/a"), of(&["a", "a"]), "the same part twice");
    }

    #[test]
    fn what_is_no_upload_is_refused() {
        for (header, fault) in [
            ("", Fault::Malformed),
            ("Partial", Fault::Malformed),
            ("final", Fault::Malformed),
            ("final;", Fault::NoParts),
            ("final; ", Fault::NoParts),
            ("final;/videos/a", Fault::Foreign),
            ("final;/files/", Fault::Foreign),
            ("final;/files/../a", Fault::Foreign),
            ("final;/files/a?b", Fault::Foreign),
            ("final;ftp://x/files/a", Fault::Foreign),
            ("final;http://x", Fault::Foreign),
        ] {
            assert_eq!(Concat::parse(header), Err(fault), "{header}");
        }
        let many = |parts: usize| format!("final;{}", "a ".repeat(parts));
        assert!(Concat::parse(&many(CONCAT_PARTS_MAX)).is_ok());
        assert_eq!(Concat::parse(&many(CONCAT_PARTS_MAX + 1)), Err(Fault::TooMany));
    }

    proptest! {
        #[test]
        fn no_header_is_too_much(header in "(final;)?.{0,200}") {
            let _ = Concat::parse(&header);
        }

        #[test]
        fn keys_come_back(keys in prop::collection::vec("[0-9a-f]{32}", 1..9)) {
            let header = keys.iter().map(|key| format!("http://h:1/files/{key}")).collect::<Vec<_>>().join(" ");
            prop_assert_eq!(Concat::parse(&format!("final;{header}")), Ok(Concat::Final(keys)));
        }
    }
}
