//! How requests and notifications are signed: HMAC over the text exactly as it was sent, with the name of the hash before it.

use sha1::Sha1;
use sha2::{Digest, Sha256, Sha384, Sha512};

use crate::access::path::Key;
use crate::hash;
use crate::id::AssemblyKeyId;

/// Separates these secrets from all others under the same key of the server.
const LABEL: &[u8] = b"matinee assembly secret v1\n";

/// The hash of a signature.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Algorithm {
    /// What a signature without a name is.
    Sha1,
    /// 256 bits.
    Sha256,
    /// What today's clients use.
    Sha384,
    /// 512 bits.
    Sha512,
}

impl Algorithm {
    const ALL: [Self; 4] = [Self::Sha1, Self::Sha256, Self::Sha384, Self::Sha512];

    const fn name(self) -> &'static str {
        match self {
            Self::Sha1 => "sha1",
            Self::Sha256 => "sha256",
            Self::Sha384 => "sha384",
            Self::Sha512 => "sha512",
        }
    }

    fn mac(self, secret: &str, text: &str) -> Vec<u8> {
        let (key, text) = (secret.as_bytes(), text.as_bytes());
        match self {
            Self::Sha1 => hmac::<Sha1>(64, key, text),
            Self::Sha256 => hmac::<Sha256>(64, key, text),
            Self::Sha384 => hmac::<Sha384>(128, key, text),
            Self::Sha512 => hmac::<Sha512>(128, key, text),
        }
    }
}

/// HMAC (RFC 2104) with a hash of this block size in bytes.
fn hmac<D: Digest>(block: usize, key: &[u8], text: &[u8]) -> Vec<u8> {
    let mut padded = if key.len() > block { D::digest(key).to_vec() } else { key.to_vec() };
    padded.resize(block, 0);
    let keyed = |pad: u8| padded.iter().map(|byte| byte ^ pad).collect::<Vec<u8>>();
    let inner = D::new().chain_update(keyed(0x36)).chain_update(text).finalize();
    D::new().chain_update(keyed(0x5c)).chain_update(inner).finalize().to_vec()
}

/// The signature of a text.
pub fn sign(algorithm: Algorithm, secret: &str, text: &str) -> String {
    format!("{}:{}", algorithm.name(), hash::hex(&algorithm.mac(secret, text)))
}

/// Is this the signature of the text? A signature that names no hash is of SHA-1.
pub fn is_signed(secret: &str, text: &str, signature: &str) -> bool {
    let (algorithm, digits) = match signature.split_once(':') {
        None => (Some(Algorithm::Sha1), signature),
        Some((name, digits)) => (Algorithm::ALL.into_iter().find(|known| known.name() == name), digits),
    };
    let wanted = algorithm.map(|algorithm| hash::hex(&algorithm.mac(secret, text)));
    // Hashes are compared in a time that says nothing of where the difference is.
    wanted.is_some_and(|wanted| blake3::hash(wanted.as_bytes()) == blake3::hash(digits.as_bytes()))
}

/// The secret that belongs to a key. It follows from a key of the server, so that no row, no backup and no answer but the first
/// one holds it.
pub fn secret(key: &Key, id: AssemblyKeyId) -> String {
    let mut hasher = blake3::Hasher::new_keyed(&key.secret);
    hasher.update(LABEL).update(&id.bits().to_be_bytes());
    hash::hex(&hasher.finalize().as_bytes()[..20])
}

#[cfg(test)]
mod tests {
    use super::*;

    const VECTORS: &str = include_str!("../../../../proto/vectors/assembly_signature.json");

    #[test]
    fn signatures_are_those_of_the_vectors_and_no_other_text_has_them() {
        let vectors: serde_json::Value = serde_json::from_str(VECTORS).unwrap();
        let cases = vectors["signatures"].as_array().unwrap();
        assert_eq!(cases.len(), 5);
        for case in cases {
            let of = |name: &str| case[name].as_str().unwrap();
            let (secret, text, signature) = (of("secret"), of("text"), of("signature"));
            assert!(is_signed(secret, text, signature), "{signature}");
            let changed = text.replacen('a', "b", 1);
            let other = if signature.ends_with('0') { "1" } else { "0" };
            let flipped = format!("{}{other}", &signature[..signature.len() - 1]);
            for (secret, text, signature) in [
                (secret, &*changed, signature),
                ("t", text, signature),
                (secret, text, &*flipped),
                (secret, text, &signature[..signature.len() - 2]),
                (secret, text, ""),
                (secret, text, "sha384:"),
                (secret, text, "md5:0fe3585ef356d3ba"),
            ] {
                assert!(!is_signed(secret, text, signature), "{secret} {text} {signature}");
            }
        }
        let first = (cases[0]["secret"].as_str().unwrap(), cases[0]["text"].as_str().unwrap());
        assert_eq!(sign(Algorithm::Sha384, first.0, first.1), cases[0]["signature"].as_str().unwrap());
    }

    #[test]
    fn a_long_key_is_hashed_first() {
        // RFC 4231, test case 6, for SHA-256 and SHA-512.
        let text = b"Test Using Larger Than Block-Size Key - Hash Key First";
        let of = |mac: Vec<u8>| hash::hex(&mac[..8]);
        assert_eq!(of(hmac::<Sha256>(64, &[0xaa; 131], text)), "60e431591ee0b67f");
        assert_eq!(of(hmac::<Sha512>(128, &[0xaa; 131], text)), "80b24263c7c1a3eb");
    }

    #[test]
    fn every_key_has_a_secret_of_its_own() {
        let key = |secret| Key { number: 1, secret: [secret; 32] };
        let of = |key: &Key, id: u128| secret(key, AssemblyKeyId::from_bits(id));
        assert_eq!(of(&key(1), 5), of(&key(1), 5));
        assert_ne!(of(&key(1), 5), of(&key(1), 6));
        assert_ne!(of(&key(1), 5), of(&key(2), 5));
        assert_eq!(of(&key(1), 5).len(), 40);
    }
}
