//! The path token `/p/{token}/{video}/...`: lets a player read one video until a moment, without a look at the
//! database (`delivery.md` section 10; the vectors in `proto/vectors/path_token.json` fix the bytes).
//!
//! | Field | Bytes | |
//! |---|---|---|
//! | version | 1 | 1 |
//! | key number | 1 | keys rotate; two are valid at a time |
//! | expires | 4 | seconds of Unix time, big endian |
//! | flags | 1 | bit 0 viewer bound, bit 1 IP bound, bit 2 download allowed, bit 3 source allowed |
//! | origin hint | 4 | up to four store numbers, 0 = none |
//! | viewer | 8 | if bit 0: hash of viewer or room |
//! | IP | 8 | if bit 1: hash of the IPv4 address or the IPv6 /64 |
//! | MAC | 16 | the first half of keyed BLAKE3 (`label`, all fields above, `/{video}/`) |
//!
//! The MAC is keyed BLAKE3 and not HMAC-SHA256: it is in the dependency tree already, and as short a code path.

use super::secret::{base64, base64_read};
use crate::id::VideoId;
use crate::time::Millis;

/// Separates these MACs from all others under the same key.
const LABEL: &[u8] = b"matinee path token v1\n";
const VERSION: u8 = 1;
const MAC_BYTES: usize = 16;
const FIXED_BYTES: usize = 11;

/// A key with its number.
#[derive(Clone, PartialEq, Eq)]
pub struct Key {
    /// The number that tokens carry.
    pub number: u8,
    /// 256 random bits.
    pub secret: [u8; 32],
}

/// What a token allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Grant {
    /// The first second in which it is no longer valid, as seconds of Unix time.
    pub expires_s: u32,
    /// The file may be downloaded.
    pub download: bool,
    /// The source may be read.
    pub source: bool,
    /// Up to four numbers of stores that are near; 0 is none.
    pub origins: [u8; 4],
    /// The hash of the only viewer.
    pub viewer: Option<[u8; 8]>,
    /// The hash of the only address.
    pub address: Option<[u8; 8]>,
}

/// Why a token is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// It is no token of ours, or one for another video, or changed.
    #[error("this address was not made by this server for this video")]
    Wrong,
    /// It was valid until some time ago.
    #[error("this address is no longer valid; reload the page")]
    Expired,
}

/// Makes the token for a video.
pub fn sign(key: &Key, video: VideoId, grant: &Grant) -> String {
    let mut bytes = Vec::with_capacity(FIXED_BYTES + 16 + MAC_BYTES);
    bytes.extend([VERSION, key.number]);
    bytes.extend(grant.expires_s.to_be_bytes());
    bytes.push(flags(grant));
    bytes.extend(grant.origins);
    bytes.extend(grant.viewer.into_iter().flatten());
    bytes.extend(grant.address.into_iter().flatten());
    let mac = mac(key, &bytes, video);
    bytes.extend(mac);
    base64(&bytes)
}

/// Checks a token for a video under the valid keys. Whether the viewer and the address of a grant are those who
/// ask is for the caller to compare.
pub fn verify(keys: &[Key], video: VideoId, token: &str, now: Millis) -> Result<Grant, Refusal> {
    let bytes = base64_read(token).ok_or(Refusal::Wrong)?;
    let signed = bytes.len().checked_sub(MAC_BYTES).ok_or(Refusal::Wrong)?;
    let (fields, theirs) = bytes.split_at(signed);
    let number = fields.get(1).ok_or(Refusal::Wrong)?;
    let key = keys.iter().find(|key| key.number == *number).ok_or(Refusal::Wrong)?;
    if !same(theirs, &mac(key, fields, video)) {
        return Err(Refusal::Wrong);
    }
    let grant = read(fields).ok_or(Refusal::Wrong)?;
    if now.0 >= i64::from(grant.expires_s) * 1_000 { Err(Refusal::Expired) } else { Ok(grant) }
}

fn flags(grant: &Grant) -> u8 {
    u8::from(grant.viewer.is_some())
        | u8::from(grant.address.is_some()) << 1
        | u8::from(grant.download) << 2
        | u8::from(grant.source) << 3
}

fn mac(key: &Key, fields: &[u8], video: VideoId) -> [u8; MAC_BYTES] {
    let mut hasher = blake3::Hasher::new_keyed(&key.secret);
    hasher.update(LABEL);
    hasher.update(fields);
    hasher.update(format!("/{video}/").as_bytes());
    *hasher.finalize().as_bytes().first_chunk().expect("because a hash has 32 bytes")
}

/// Compares in a time that does not tell where the difference is.
pub(super) fn same(a: &[u8], b: &[u8]) -> bool {
    a.len() == b.len() && std::hint::black_box(a.iter().zip(b).fold(0, |all, (a, b)| all | (a ^ b))) == 0
}

fn read(fields: &[u8]) -> Option<Grant> {
    let (fixed, mut rest) = fields.split_first_chunk::<FIXED_BYTES>()?;
    let [VERSION, _, e0, e1, e2, e3, flags, o0, o1, o2, o3] = *fixed else { return None };
    let mut bound = |bit: u8| -> Option<Option<[u8; 8]>> {
        if flags & bit == 0 {
            return Some(None);
        }
        let (first, more) = rest.split_first_chunk::<8>()?;
        rest = more;
        Some(Some(*first))
    };
    let (viewer, address) = (bound(1)?, bound(2)?);
    (rest.is_empty() && flags & 0xf0 == 0).then_some(Grant {
        expires_s: u32::from_be_bytes([e0, e1, e2, e3]),
        download: flags & 4 != 0,
        source: flags & 8 != 0,
        origins: [o0, o1, o2, o3],
        viewer,
        address,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const VECTORS: &str = include_str!("../../../../proto/vectors/path_token.json");
    const KEY: Key = Key { number: 3, secret: [9; 32] };

    fn grant(expires_s: u32) -> Grant {
        Grant { expires_s, download: false, source: false, origins: [0; 4], viewer: None, address: None }
    }

    #[test]
    fn the_bytes_of_a_token_are_those_of_the_vectors() {
        let vectors: serde_json::Value = serde_json::from_str(VECTORS).unwrap();
        let cases = vectors["tokens"].as_array().unwrap();
        let bound =
            Grant { viewer: Some([1; 8]), address: Some([2; 8]), download: true, ..grant(1_900_000_000) };
        let far = Grant { source: true, origins: [1, 2, 0, 0], ..grant(u32::MAX) };
        let video = vectors["video"].as_str().unwrap().parse().unwrap();
        for (case, grant) in cases.iter().zip([grant(1_800_000_000), bound, far]) {
            assert_eq!(sign(&KEY, video, &grant), case["token"].as_str().unwrap(), "{}", case["name"]);
            assert_eq!(verify(&[KEY], video, case["token"].as_str().unwrap(), Millis(0)), Ok(grant));
        }
        assert_eq!(cases.len(), 3);
    }

    #[test]
    fn a_token_ends_at_its_second() {
        let video = VideoId::from_bits(7);
        let token = sign(&KEY, video, &grant(100));
        assert!(verify(&[KEY], video, &token, Millis(99_999)).is_ok());
        assert_eq!(verify(&[KEY], video, &token, Millis(100_000)), Err(Refusal::Expired));
        let other = VideoId::from_bits(8);
        assert_eq!(verify(&[KEY], other, &token, Millis(0)), Err(Refusal::Wrong));
        assert_eq!(verify(&[Key { number: 4, ..KEY }], video, &token, Millis(0)), Err(Refusal::Wrong));
        assert_eq!(verify(&[Key { secret: [8; 32], ..KEY }], video, &token, Millis(0)), Err(Refusal::Wrong));
    }

    proptest! {
        #[test]
        fn a_changed_token_is_refused(expires_s: u32, at: prop::sample::Index, bit in 0_u8..8) {
            let video = VideoId::from_bits(7);
            let mut bytes = base64_read(&sign(&KEY, video, &grant(expires_s))).unwrap();
            let place = at.index(bytes.len());
            bytes[place] ^= 1 << bit;
            prop_assert_eq!(verify(&[KEY], video, &base64(&bytes), Millis(-1)), Err(Refusal::Wrong));
        }

        #[test]
        fn no_text_breaks_the_check(text: String) {
            prop_assert_eq!(verify(&[KEY], VideoId::from_bits(7), &text, Millis(0)), Err(Refusal::Wrong));
        }
    }
}
