//! What a runner is known by: its token, made from its registration token, and the short-lived address of one object.
//!
//! An address `/r/{pass}` holds the runner, the object, what may be done with it and until when, under one MAC.
//!
//! | Field | Bytes | |
//! |---|---|---|
//! | version | 1 | 1 |
//! | key number | 1 | keys rotate |
//! | way | 1 | 1 read, 2 write |
//! | expires | 4 | seconds of Unix time, big endian |
//! | runner | 16 | |
//! | object | 16 | |
//! | MAC | 16 | the first half of keyed BLAKE3 (`label`, all fields above) |

use super::path::{Key, Refusal, same};
use super::secret::{Secret, base64, base64_read};
use crate::id::{ObjectId, RunnerId};
use crate::time::Millis;

/// Separates these MACs from all others under the same key.
const LABEL: &[u8] = b"matinee runner pass v1\n";
/// The same for tokens of runners.
const LABEL_TOKEN: &[u8] = b"matinee runner token v1\n";
const VERSION: u8 = 1;
const FIELDS_BYTES: usize = 39;
const MAC_BYTES: usize = 16;

/// What may be done with an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// Its bytes may be read.
    Read,
    /// Its bytes may be written, and how many are there may be asked.
    Write,
}

/// The right of one runner to one object for a short time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pass {
    /// Who may.
    pub runner: RunnerId,
    /// What with.
    pub object: ObjectId,
    /// What.
    pub way: Way,
    /// The first second in which it is no longer valid, as seconds of Unix time.
    pub expires_s: u32,
}

/// Makes the text of a pass.
pub fn sign(key: &Key, pass: &Pass) -> String {
    let way = match pass.way {
        Way::Read => 1,
        Way::Write => 2,
    };
    let mut bytes = Vec::with_capacity(FIELDS_BYTES + MAC_BYTES);
    bytes.extend([VERSION, key.number, way]);
    bytes.extend(pass.expires_s.to_be_bytes());
    bytes.extend(pass.runner.bits().to_be_bytes());
    bytes.extend(pass.object.bits().to_be_bytes());
    let mac = mac(key, &bytes);
    bytes.extend(mac);
    base64(&bytes)
}

/// Checks the text of a pass under the valid keys. That it is its runner who shows it is for the caller to compare.
pub fn verify(keys: &[Key], text: &str, now: Millis) -> Result<Pass, Refusal> {
    let bytes = base64_read(text).ok_or(Refusal::Wrong)?;
    let (fields, theirs) = bytes.split_at_checked(FIELDS_BYTES).ok_or(Refusal::Wrong)?;
    let key = keys.iter().find(|key| key.number == fields[1]).ok_or(Refusal::Wrong)?;
    if !same(theirs, &mac(key, fields)) {
        return Err(Refusal::Wrong);
    }
    let pass = read(fields).ok_or(Refusal::Wrong)?;
    if now.0 >= i64::from(pass.expires_s) * 1_000 { Err(Refusal::Expired) } else { Ok(pass) }
}

/// The token of the runner that shows this registration token with this number of its own choice. The same two give the
/// same token, so that an answer which was lost on the way can be asked for again; without the key nobody can make it.
pub fn token(key: &Key, registration: &Secret, nonce: &[u8; 16]) -> Secret {
    let mut hasher = blake3::Hasher::new_keyed(&key.secret);
    hasher.update(LABEL_TOKEN).update(&registration.hash()).update(nonce);
    Secret::new(*hasher.finalize().as_bytes())
}

fn mac(key: &Key, fields: &[u8]) -> [u8; MAC_BYTES] {
    let mut hasher = blake3::Hasher::new_keyed(&key.secret);
    hasher.update(LABEL).update(fields);
    *hasher.finalize().as_bytes().first_chunk().expect("because a hash has 32 bytes")
}

fn read(fields: &[u8]) -> Option<Pass> {
    let ([version, _, way, e0, e1, e2, e3], ids) = fields.split_first_chunk::<7>()?;
    let (runner, object) = ids.split_first_chunk::<16>()?;
    let way = match way {
        1 => Way::Read,
        2 => Way::Write,
        _ => return None,
    };
    (*version == VERSION).then_some(Pass {
        runner: RunnerId::from_bits(u128::from_be_bytes(*runner)),
        object: ObjectId::from_bits(u128::from_be_bytes(object.try_into().ok()?)),
        way,
        expires_s: u32::from_be_bytes([*e0, *e1, *e2, *e3]),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const KEY: Key = Key { number: 3, secret: [9; 32] };

    fn pass(way: Way, expires_s: u32) -> Pass {
        Pass { runner: RunnerId::from_bits(5), object: ObjectId::from_bits(6), way, expires_s }
    }

    #[test]
    fn a_pass_is_good_until_its_second_and_under_its_key() {
        for way in [Way::Read, Way::Write] {
            let text = sign(&KEY, &pass(way, 100));
            assert_eq!(verify(&[KEY], &text, Millis(99_999)), Ok(pass(way, 100)));
            assert_eq!(verify(&[KEY], &text, Millis(100_000)), Err(Refusal::Expired));
            for other in [Key { number: 4, ..KEY }, Key { secret: [8; 32], ..KEY }] {
                assert_eq!(verify(&[other], &text, Millis(0)), Err(Refusal::Wrong));
            }
        }
    }

    #[test]
    fn the_same_registration_gives_the_same_token_and_another_gives_another() {
        let secret = |byte| Secret::new([byte; 32]);
        let first = token(&KEY, &secret(1), &[1; 16]);
        assert!(first == token(&KEY, &secret(1), &[1; 16]));
        assert!(first != token(&KEY, &secret(2), &[1; 16]) && first != token(&KEY, &secret(1), &[2; 16]));
        assert!(first != token(&Key { secret: [8; 32], ..KEY }, &secret(1), &[1; 16]));
    }

    proptest! {
        #[test]
        fn a_changed_pass_is_refused(expires_s: u32, at: prop::sample::Index, bit in 0_u8..8) {
            let mut bytes = base64_read(&sign(&KEY, &pass(Way::Write, expires_s))).unwrap();
            let place = at.index(bytes.len());
            bytes[place] ^= 1 << bit;
            prop_assert_eq!(verify(&[KEY], &base64(&bytes), Millis(-1)), Err(Refusal::Wrong));
        }

        #[test]
        fn no_text_breaks_the_check(text: String) {
            prop_assert_eq!(verify(&[KEY], &text, Millis(0)), Err(Refusal::Wrong));
        }
    }
}
