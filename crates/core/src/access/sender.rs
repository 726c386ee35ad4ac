//! The token in the address of an announced upload, `/files/{token}`: whoever has it may send this one upload, and
//! nothing else. The vectors in `proto/vectors/sender_token.json` fix the bytes.
//!
//! | Field | Bytes | |
//! |---|---|---|
//! | version | 1 | 1 |
//! | key number | 1 | keys rotate; two are valid at a time |
//! | expires | 4 | seconds of Unix time, big endian |
//! | most bytes | 8 | the largest size that may be sent, big endian |
//! | upload | 16 | the bits of its id |
//! | MAC | 16 | the first half of keyed BLAKE3 (`label`, all fields above) |
//!
//! The MAC has 128 bits under a secret key, and a guess costs a request: trying needs no further limit of its own.

use super::path::{Key, same};
use super::secret::{base64, base64_read};
use crate::id::UploadId;
use crate::time::Millis;

/// Separates these MACs from all others under the same key.
const LABEL: &[u8] = b"matinee sender token v1\n";
const VERSION: u8 = 1;
const MAC_BYTES: usize = 16;
const FIELDS_BYTES: usize = 30;
/// Characters of 46 bytes in base64 without padding.
const TEXT_CHARS: usize = 62;

/// What a token allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Grant {
    /// The upload that may be sent.
    pub upload: UploadId,
    /// The first second in which it may not be sent any more, as seconds of Unix time.
    pub expires_s: u32,
    /// The largest size in bytes.
    pub max_bytes: u64,
}

/// What the one who announces an upload allows its sender; the row keeps it, and everything is checked against it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Allowance {
    /// The largest size in bytes.
    pub max_bytes: Option<u64>,
    /// The longest video in milliseconds.
    pub max_duration_ms: Option<u64>,
    /// The first moment at which nothing more is taken.
    pub deadline: Option<Millis>,
    /// Origins of sites whose pages may send it.
    pub origins: Vec<String>,
}

/// What is true of a text in the place of a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It has not the form of a token: an upload that its app sends with a credential of its own.
    NoToken,
    /// It has the form, but this server did not make it so.
    Forged,
    /// It was good until some time ago.
    Expired(Grant),
    /// It is good.
    Good(Grant),
}

/// Makes the token for an upload.
pub fn sign(key: &Key, grant: &Grant) -> String {
    let mut bytes = Vec::with_capacity(FIELDS_BYTES + MAC_BYTES);
    bytes.extend([VERSION, key.number]);
    bytes.extend(grant.expires_s.to_be_bytes());
    bytes.extend(grant.max_bytes.to_be_bytes());
    bytes.extend(grant.upload.bits().to_be_bytes());
    let mac = mac(key, &bytes);
    bytes.extend(mac);
    base64(&bytes)
}

/// Checks a text under the valid keys.
pub fn verify(keys: &[Key], text: &str, now: Millis) -> Verdict {
    // Only this length can be one, so that nothing long is ever decoded.
    if text.len() != TEXT_CHARS {
        return Verdict::NoToken;
    }
    let bytes = base64_read(text).unwrap_or_default();
    let Some((fields, theirs)) = bytes.split_first_chunk::<FIELDS_BYTES>() else { return Verdict::Forged };
    let Some(key) = keys.iter().find(|key| key.number == fields[1]) else { return Verdict::Forged };
    if fields[0] != VERSION || !same(theirs, &mac(key, fields)) {
        return Verdict::Forged;
    }
    let grant = read(fields);
    if now.0 >= i64::from(grant.expires_s) * 1_000 { Verdict::Expired(grant) } else { Verdict::Good(grant) }
}

fn read(fields: &[u8; FIELDS_BYTES]) -> Grant {
    let number = |from: usize, bytes: usize| {
        fields[from..from + bytes].iter().fold(0_u128, |number, byte| number << 8 | u128::from(*byte))
    };
    Grant {
        expires_s: u32::try_from(number(2, 4)).expect("because it is read from four bytes"),
        max_bytes: u64::try_from(number(6, 8)).expect("because it is read from eight bytes"),
        upload: UploadId::from_bits(number(14, 16)),
    }
}

fn mac(key: &Key, fields: &[u8]) -> [u8; MAC_BYTES] {
    let mut hasher = blake3::Hasher::new_keyed(&key.secret);
    hasher.update(LABEL);
    hasher.update(fields);
    *hasher.finalize().as_bytes().first_chunk().expect("because a hash has 32 bytes")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const VECTORS: &str = include_str!("../../../../proto/vectors/sender_token.json");
    const KEY: Key = Key { number: 3, secret: [9; 32] };

    fn grant(expires_s: u32, max_bytes: u64) -> Grant {
        Grant { upload: UploadId::from_bits(7), expires_s, max_bytes }
    }

    #[test]
    fn the_bytes_of_a_token_are_those_of_the_vectors() {
        let vectors: serde_json::Value = serde_json::from_str(VECTORS).unwrap();
        let cases = vectors["tokens"].as_array().unwrap();
        for case in cases {
            let grant = Grant {
                upload: case["upload"].as_str().unwrap().parse().unwrap(),
                expires_s: u32::try_from(case["expires_s"].as_u64().unwrap()).unwrap(),
                max_bytes: case["max_bytes"].as_u64().unwrap(),
            };
            assert_eq!(sign(&KEY, &grant), case["token"].as_str().unwrap(), "{}", case["name"]);
            assert_eq!(verify(&[KEY], case["token"].as_str().unwrap(), Millis(0)), Verdict::Good(grant));
        }
        assert_eq!(cases.len(), 2);
    }

    #[test]
    fn a_token_ends_at_its_second_and_is_good_under_its_key_only() {
        let grant = grant(100, 5);
        let token = sign(&KEY, &grant);
        assert_eq!(verify(&[KEY], &token, Millis(99_999)), Verdict::Good(grant));
        assert_eq!(verify(&[KEY], &token, Millis(100_000)), Verdict::Expired(grant));
        assert_eq!(verify(&[Key { number: 4, ..KEY }], &token, Millis(0)), Verdict::Forged);
        assert_eq!(verify(&[Key { secret: [8; 32], ..KEY }], &token, Millis(0)), Verdict::Forged);
        assert_eq!(verify(&[KEY], "0123456789abcdef0123456789abcdef", Millis(0)), Verdict::NoToken);
    }

    #[test]
    fn the_token_of_a_video_is_no_token_of_an_upload() {
        // Same key, same length of the secret part: only the label tells them apart.
        let mut bytes = base64_read(&sign(&KEY, &grant(u32::MAX, 5))).unwrap();
        let fields: Vec<u8> = bytes[..FIELDS_BYTES].to_vec();
        let mut hasher = blake3::Hasher::new_keyed(&KEY.secret);
        hasher.update(b"matinee path token v1\n");
        hasher.update(&fields);
        bytes.truncate(FIELDS_BYTES);
        bytes.extend(&hasher.finalize().as_bytes()[..MAC_BYTES]);
        assert_eq!(verify(&[KEY], &base64(&bytes), Millis(0)), Verdict::Forged);
    }

    proptest! {
        #[test]
        fn a_changed_token_is_refused(expires_s: u32, max_bytes: u64, at: prop::sample::Index, bit in 0_u8..8) {
            let mut bytes = base64_read(&sign(&KEY, &grant(expires_s, max_bytes))).unwrap();
            let place = at.index(bytes.len());
            bytes[place] ^= 1 << bit;
            prop_assert_eq!(verify(&[KEY], &base64(&bytes), Millis(-1)), Verdict::Forged);
        }

        #[test]
        fn no_text_breaks_the_check(text: String) {
            prop_assert!(matches!(verify(&[KEY], &text, Millis(0)), Verdict::NoToken | Verdict::Forged));
        }
    }
}
