//! Identifiers: a typed prefix and a `UUIDv7` in base32, so that they sort by creation and name their kind.

use std::fmt;
use std::marker::PhantomData;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::time::Millis;

/// Crockford's base32 in lower case: no i, l, o or u, and its order is the order of the numbers.
const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
/// 128 bits in groups of five.
const DIGITS: usize = 26;

/// What an identifier points at; the prefix of its text form says it.
pub trait Noun {
    /// The text before the underscore, for example `vid`.
    const PREFIX: &'static str;
}

/// An identifier of one kind of thing: 128 bits, a `UUIDv7` (RFC 9562 section 5.7).
pub struct Id<N> {
    bits: u128,
    noun: PhantomData<fn() -> N>,
}

/// A text that is no identifier of the wanted kind.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected an id such as {prefix}_01jd3x…, not this text")]
pub struct NotAnId {
    /// The prefix that was expected.
    pub prefix: &'static str,
}

impl<N> Id<N> {
    /// Makes an identifier from the time of creation and 80 random bits, of which 74 are used.
    pub fn new(now: Millis, random: [u8; 10]) -> Self {
        let stamp = u128::from(now.0.max(0).unsigned_abs()) << 80;
        let mut tail = [0_u8; 16];
        tail[6..].copy_from_slice(&random);
        let mut bits = stamp | u128::from_be_bytes(tail);
        bits = (bits & !(0xf << 76)) | (0x7 << 76);
        bits = (bits & !(0x3 << 62)) | (0x2 << 62);
        Self::from_bits(bits)
    }

    /// The identifier with exactly these bits, as a database returns them.
    pub const fn from_bits(bits: u128) -> Self {
        Self { bits, noun: PhantomData }
    }

    /// The moment that it carries.
    pub fn created(self) -> Millis {
        // 48 bits always fit.
        Millis(i64::try_from(self.bits >> 80).unwrap_or_default())
    }

    /// The 128 bits, as a database stores them.
    pub const fn bits(self) -> u128 {
        self.bits
    }
}

impl<N: Noun> fmt::Display for Id<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = [0_u8; DIGITS];
        for (place, digit) in text.iter_mut().rev().enumerate() {
            let five = (self.bits >> (place * 5)) & 31;
            *digit = ALPHABET[usize::try_from(five).expect("because five bits fit")];
        }
        let text = std::str::from_utf8(&text).expect("because the alphabet is ASCII");
        write!(f, "{}_{text}", N::PREFIX)
    }
}

impl<N: Noun> FromStr for Id<N> {
    type Err = NotAnId;

    fn from_str(text: &str) -> Result<Self, NotAnId> {
        let wrong = NotAnId { prefix: N::PREFIX };
        let digits =
            text.strip_prefix(N::PREFIX).and_then(|rest| rest.strip_prefix('_')).ok_or(wrong.clone())?;
        if digits.len() != DIGITS {
            return Err(wrong);
        }
        let mut bits = 0_u128;
        for (place, byte) in digits.bytes().enumerate() {
            let five = ALPHABET.iter().position(|known| *known == byte).ok_or(wrong.clone())?;
            if place == 0 && five > 7 {
                return Err(wrong);
            }
            bits = (bits << 5) | five as u128;
        }
        Ok(Self::from_bits(bits))
    }
}

impl<N> Clone for Id<N> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<N> Copy for Id<N> {}
impl<N> PartialEq for Id<N> {
    fn eq(&self, other: &Self) -> bool {
        self.bits == other.bits
    }
}
impl<N> Eq for Id<N> {}
impl<N> PartialOrd for Id<N> {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl<N> Ord for Id<N> {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.bits.cmp(&other.bits)
    }
}
impl<N> std::hash::Hash for Id<N> {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.bits.hash(state);
    }
}
impl<N: Noun> fmt::Debug for Id<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
impl<N: Noun> Serialize for Id<N> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}
impl<'de, N: Noun> Deserialize<'de> for Id<N> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

macro_rules! nouns {
    ($($noun:ident $alias:ident $prefix:literal $summary:literal;)*) => {$(
        #[doc = concat!("The kind of thing that an [`", stringify!($alias), "`] points at.")]
        #[derive(Debug)]
        pub enum $noun {}
        impl Noun for $noun {
            const PREFIX: &'static str = $prefix;
        }
        #[doc = $summary]
        pub type $alias = Id<$noun>;
    )*};
}

nouns! {
    App AppId "app" "Names an app (a tenant).";
    Collection CollectionId "col" "Names a collection inside an app.";
    Token TokenId "tok" "Names an API token or a session; never the secret itself.";
    Upload UploadId "upl" "Names an upload.";
    Video VideoId "vid" "Names a video.";
    Rendition RenditionId "ren" "Names a rendition of a video.";
    Object ObjectId "obj" "Names an object: immutable bytes in a store.";
    Entry EntryId "led" "Names an entry of the ledger.";
    Job JobId "job" "Names a job.";
    Event EventId "evt" "Names an event.";
    Webhook WebhookId "whk" "Names an endpoint to which events are sent.";
    AssemblyKey AssemblyKeyId "aky" "Names a key by which assemblies are signed; never the secret itself.";
    Publication PublicationId "pub" "Names a publication: a video at a host, from before it exists there.";
    Runner RunnerId "rnr" "Names a runner: a machine that works for this server over HTTP.";
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn an_id_sorts_by_its_time_and_says_its_kind() {
        let early = VideoId::new(Millis(1_000), [255; 10]);
        let late = VideoId::new(Millis(1_001), [0; 10]);
        assert!(early.to_string() < late.to_string());
        assert!(early.to_string().starts_with("vid_"));
        assert_eq!((early.bits() >> 76) & 0xf, 7, "the version of RFC 9562");
    }

    #[test]
    fn an_id_of_another_kind_is_refused() {
        let upload = UploadId::new(Millis(1), [1; 10]).to_string();
        assert_eq!(upload.parse::<VideoId>(), Err(NotAnId { prefix: "vid" }));
        assert!("vid_zzzzzzzzzzzzzzzzzzzzzzzzzz".parse::<VideoId>().is_err(), "more than 128 bits");
        assert!("vid_é1234567890123456789012345".parse::<VideoId>().is_err());
    }

    proptest! {
        #[test]
        fn text_and_bits_are_the_same_id(bits: u128) {
            let id = JobId::from_bits(bits);
            prop_assert_eq!(id.to_string().parse::<JobId>(), Ok(id));
        }
    }
}
