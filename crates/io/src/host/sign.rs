//! Digests and signatures as hosts write them.

use hmac::{Hmac, KeyInit as _, Mac as _};
use matinee_core::hash::unhex;
use sha2::{Digest as _, Sha256};

/// SHA-256 of the parts behind one another.
pub(super) fn sha256(parts: &[&str]) -> [u8; 32] {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update(part.as_bytes());
    }
    hash.finalize().into()
}

/// HMAC-SHA256 over the parts behind one another.
pub(super) fn hmac(key: &str, parts: &[&[u8]]) -> Hmac<Sha256> {
    let mut mac =
        Hmac::<Sha256>::new_from_slice(key.as_bytes()).expect("because HMAC takes keys of any length");
    for part in parts {
        mac.update(part);
    }
    mac
}

/// The 32 bytes of [`hmac()`].
pub(super) fn code(key: &str, parts: &[&[u8]]) -> [u8; 32] {
    hmac(key, parts).finalize().into_bytes().into()
}

/// Is `claimed`, in hexadecimal digits, this code? Takes as long for a wrong one as for the right one.
pub(super) fn is_hmac(mac: Hmac<Sha256>, claimed: &str) -> bool {
    unhex(claimed).is_some_and(|claimed| mac.verify_slice(&claimed).is_ok())
}

#[cfg(test)]
mod tests {
    use matinee_core::hash::hex;

    use super::*;

    #[test]
    fn a_code_that_is_shorter_or_other_is_refused() {
        let mac = || hmac("key", &[b"text"]);
        let right = hex(&mac().finalize().into_bytes());
        assert!(is_hmac(mac(), &right) && is_hmac(mac(), &right.to_uppercase()));
        for wrong in [&right[..62], "", "00", &format!("{right}00"), &right.replace('a', "b")] {
            assert!(!is_hmac(mac(), wrong), "{wrong}");
        }
    }
}
