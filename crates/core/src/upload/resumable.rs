//! Resumable Uploads for HTTP (draft-ietf-httpbis-resumable-upload-12): which protocol a request speaks, structured
//! fields, and lengths that must agree.

use sfv::{BareItem, Dictionary, Item, ListEntry, Parser};

use super::Way;
use super::checksum::{Algorithm, Checksum};

/// The interop version of draft-12.
pub const INTEROP: i64 = 8;
/// The interop version that tus-js-client 4 speaks as `ietf-draft-05`; its header names are the same.
pub const INTEROP_OLD: i64 = 6;

/// What in a request tells its protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Marks<'h> {
    /// `Tus-Resumable`.
    pub tus: Option<&'h str>,
    /// `Upload-Complete`, `Upload-Draft-Interop-Version` or the content type of an append is there.
    pub resumable: bool,
}

/// The protocol of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// tus 1.0.0.
    Tus,
    /// The IETF draft.
    Resumable,
}

/// Which protocol is spoken: the request says so, else the upload that it is about. `None`: neither, or a version of
/// tus that is not served.
pub fn protocol(marks: Marks<'_>, made_by: Option<Way>) -> Option<Protocol> {
    match marks.tus {
        Some("1.0.0") => Some(Protocol::Tus),
        Some(_) => None,
        None if marks.resumable => Some(Protocol::Resumable),
        None => (made_by == Some(Way::Resumable)).then_some(Protocol::Resumable),
    }
}

/// A structured-field Boolean; a field of another type is ignored.
pub fn boolean(field: &str) -> Option<bool> {
    let BareItem::Boolean(value) = item(field)? else { return None };
    Some(value)
}

/// A structured-field Integer from 0 on; a field of another type is ignored.
pub fn integer(field: &str) -> Option<u64> {
    let BareItem::Integer(value) = item(field)? else { return None };
    u64::try_from(i64::from(value)).ok()
}

fn item(field: &str) -> Option<BareItem> {
    Some(Parser::new(field).parse::<Item>().ok()?.bare_item)
}

/// The SHA-256 of a digest field (RFC 9530); other algorithms are passed over, as that document asks.
pub fn digest(field: &str) -> Option<Checksum> {
    let fields = Parser::new(field).parse::<Dictionary>().ok()?;
    match fields.get("sha-256")? {
        ListEntry::Item(Item { bare_item: BareItem::ByteSequence(digest), .. }) => {
            Some(Checksum { algorithm: Algorithm::Sha256, digest: digest.clone() })
        }
        ListEntry::Item(_) | ListEntry::InnerList(_) => None,
    }
}

/// Does a `Want-...-Digest` field ask for SHA-256? A weight of 0 says no.
pub fn wants_digest(field: &str) -> bool {
    let fields = Parser::new(field).parse::<Dictionary>().ok();
    let wanted = fields.as_ref().and_then(|fields| fields.get("sha-256"));
    matches!(wanted, Some(ListEntry::Item(Item { bare_item: BareItem::Integer(weight), .. })) if i64::from(*weight) > 0)
}

/// Two lengths of one upload that do not agree.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the upload is said to have {known} and {other} bytes")]
pub struct Inconsistent {
    /// What was known.
    pub known: u64,
    /// What contradicts it.
    pub other: u64,
}

/// What a request says about the length of its upload.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Lengths {
    /// What an earlier request has declared.
    pub known: Option<u64>,
    /// `Upload-Length`.
    pub declared: Option<u64>,
    /// Where the body begins.
    pub offset: u64,
    /// `Content-Length`.
    pub content: Option<u64>,
    /// `Upload-Complete: ?1`: the body's end is the upload's end.
    pub last: bool,
}

impl Lengths {
    /// The length of the whole, if anything tells it. All that tells it must agree.
    pub fn agreed(self) -> Result<Option<u64>, Inconsistent> {
        let end = self.content.filter(|_| self.last).map(|content| self.offset.saturating_add(content));
        let mut said = [self.known, self.declared, end].into_iter().flatten();
        let Some(known) = said.next() else { return Ok(None) };
        match said.find(|other| *other != known) {
            Some(other) => Err(Inconsistent { known, other }),
            None => Ok(Some(known)),
        }
    }

    /// The longest that this request says the upload could be, for the limit: judged before lengths are compared.
    pub fn longest(self) -> u64 {
        let end = self.content.map(|content| self.offset.saturating_add(content));
        self.declared.into_iter().chain(end).max().unwrap_or(0)
    }
}

/// How many bytes one append may bring.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct AppendSizes {
    /// At least so many, unless it completes the upload.
    pub min: u64,
    /// At most so many; 0 for any number.
    pub max: u64,
}

/// An append of a size that is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum WrongAppend {
    /// Too little, and not the end.
    #[error("one append that is not the last must bring {0} bytes or more")]
    Short(u64),
    /// Too much.
    #[error("one append may bring {0} bytes at most")]
    Long(u64),
}

impl AppendSizes {
    /// The most that one append may bring, if there is a limit.
    pub fn most(self) -> Option<u64> {
        (self.max > 0).then_some(self.max)
    }

    /// May an append bring `content` bytes? Where that is not said before, its end tells.
    pub fn judge(self, content: Option<u64>, last: bool) -> Result<(), WrongAppend> {
        match content {
            Some(content) if self.most().is_some_and(|max| content > max) => Err(WrongAppend::Long(self.max)),
            Some(content) if content < self.min && !last => Err(WrongAppend::Short(self.min)),
            Some(_) | None => Ok(()),
        }
    }
}

/// The file name of a `Content-Disposition`, if it has one in plain form.
pub fn file_name(disposition: &str) -> Option<String> {
    disposition.split(';').skip(1).find_map(|parameter| {
        let (name, value) = parameter.trim().split_once('=')?;
        let value = value.trim().trim_matches('"');
        (name.trim().eq_ignore_ascii_case("filename") && !value.is_empty()).then(|| value.to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_request_says_its_protocol_before_the_upload_does() {
        let marks = |tus, resumable| Marks { tus, resumable };
        for (marks, made_by, expected) in [
            (marks(Some("1.0.0"), true), Some(Way::Resumable), Some(Protocol::Tus)),
            (marks(Some("0.2.2"), true), Some(Way::Resumable), None),
            (marks(None, true), Some(Way::Tus), Some(Protocol::Resumable)),
            (marks(None, true), None, Some(Protocol::Resumable)),
            (marks(None, false), Some(Way::Resumable), Some(Protocol::Resumable)),
            (marks(None, false), Some(Way::Tus), None),
            (marks(None, false), None, None),
        ] {
            assert_eq!(protocol(marks, made_by), expected, "{marks:?} {made_by:?}");
        }
    }

    #[test]
    fn fields_of_another_type_are_ignored() {
        assert_eq!((boolean("?1"), boolean("?0"), boolean("?1;a=2")), (Some(true), Some(false), Some(true)));
        for wrong in ["true", "1", "", "?2", "?1, ?1", "\"?1\""] {
            assert_eq!(boolean(wrong), None, "{wrong}");
        }
        assert_eq!((integer("0"), integer("42;x"), integer(" 7 ")), (Some(0), Some(42), Some(7)));
        for wrong in ["-1", "1.5", "abc", "", "?1", "1000000000000000"] {
            assert_eq!(integer(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn digests_are_read_and_asked_for() {
        let abc = "sha-256=:ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0=:";
        let read = digest(&format!("sha-512=:AAAA:, {abc}")).unwrap();
        assert_eq!((read.algorithm, read.digest.len()), (Algorithm::Sha256, 32));
        for wrong in ["sha-512=:AAAA:", "sha-256=AAAA", "sha-256=(:AAAA:)", "", "sha-256=:?:"] {
            assert_eq!(digest(wrong), None, "{wrong}");
        }
        assert!(
            wants_digest("sha-512=3, sha-256=10") && !wants_digest("sha-256=0") && !wants_digest("md5=1")
        );
    }

    #[test]
    fn all_that_tells_the_length_must_agree() {
        let some =
            |known, declared, offset, content, last| Lengths { known, declared, offset, content, last };
        for (lengths, expected) in [
            (some(None, None, 0, Some(5), false), Ok(None)),
            (some(None, None, 3, Some(5), true), Ok(Some(8))),
            (some(Some(8), None, 3, Some(5), true), Ok(Some(8))),
            (some(Some(9), None, 3, Some(5), true), Err(Inconsistent { known: 9, other: 8 })),
            (some(None, Some(9), 3, Some(5), true), Err(Inconsistent { known: 9, other: 8 })),
            (some(Some(9), Some(8), 0, None, false), Err(Inconsistent { known: 9, other: 8 })),
            (some(Some(9), Some(9), 0, Some(1), false), Ok(Some(9))),
        ] {
            assert_eq!(lengths.agreed(), expected, "{lengths:?}");
        }
        assert_eq!(some(None, Some(3), 4, Some(9), false).longest(), 13);
    }

    #[test]
    fn an_append_has_a_size_that_is_taken() {
        let sizes = |min, max| AppendSizes { min, max };
        for (sizes, content, last, expected) in [
            (sizes(0, 0), Some(0), false, Ok(())),
            (sizes(0, 0), Some(u64::MAX), false, Ok(())),
            (sizes(5, 0), Some(4), false, Err(WrongAppend::Short(5))),
            (sizes(5, 0), Some(5), false, Ok(())),
            (sizes(5, 0), Some(0), true, Ok(())),
            (sizes(5, 9), Some(9), false, Ok(())),
            (sizes(5, 9), Some(10), false, Err(WrongAppend::Long(9))),
            (sizes(5, 9), Some(10), true, Err(WrongAppend::Long(9))),
            (sizes(5, 9), None, false, Ok(())),
        ] {
            assert_eq!(sizes.judge(content, last), expected, "{sizes:?} {content:?} {last}");
        }
    }

    #[test]
    fn a_file_name_is_found_in_a_disposition() {
        assert_eq!(file_name("inline; filename=\"a b.mp4\"").as_deref(), Some("a b.mp4"));
        assert_eq!(file_name("attachment; x=y; FileName=c.mp4").as_deref(), Some("c.mp4"));
        assert_eq!((file_name("inline"), file_name("inline; filename=")), (None, None));
    }

    proptest! {
        #[test]
        fn no_field_is_too_much(field in ".{0,120}") {
            let _ = (boolean(&field), integer(&field), digest(&field), wants_digest(&field), file_name(&field));
        }

        #[test]
        fn a_digest_comes_back(bytes in prop::collection::vec(any::<u8>(), 0..40)) {
            use base64::Engine as _;
            let text = base64::engine::general_purpose::STANDARD.encode(&bytes);
            prop_assert_eq!(digest(&format!("sha-256=:{text}:")).unwrap().digest, bytes);
        }
    }
}
