//! Secrets of tokens and sessions: 256 random bits as text, of which only a hash is stored.

use std::fmt;

/// So that scanners of leaked secrets know ours.
const PREFIX: &str = "mat_";
/// The URL-safe alphabet of RFC 4648 section 5.
const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/// A secret. Its `Debug` form is blank, so that no log shows it.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret([u8; 32]);

impl Secret {
    /// The secret with these random bytes.
    pub const fn new(random: [u8; 32]) -> Self {
        Self(random)
    }

    /// Reads the text that a caller sent.
    pub fn read(text: &str) -> Option<Self> {
        base64_read(text.strip_prefix(PREFIX)?)?.try_into().ok().map(Self)
    }

    /// The text for its owner, `mat_` and 43 characters; shown once.
    pub fn reveal(&self) -> String {
        format!("{PREFIX}{}", base64(&self.0))
    }

    /// What is stored: BLAKE3 of the bytes. The secret is random, so a slow hash would add nothing.
    pub fn hash(&self) -> [u8; 32] {
        *blake3::hash(&self.0).as_bytes()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

/// Base64 for URLs without padding (RFC 4648 section 5).
pub(super) fn base64(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for group in bytes.chunks(3) {
        let mut four = [0; 4];
        four[1..=group.len()].copy_from_slice(group);
        let bits = u32::from_be_bytes(four);
        for place in 0..=group.len() {
            let six = (bits >> (18 - 6 * place)) & 63;
            text.push(char::from(ALPHABET[usize::try_from(six).expect("because six bits fit")]));
        }
    }
    text
}

/// Reads what [`base64()`] writes, and nothing else: exactly one text for each value.
pub(super) fn base64_read(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len() / 4 * 3 + 2);
    for group in text.as_bytes().chunks(4) {
        let mut bits = 0_u32;
        for (place, byte) in group.iter().enumerate() {
            let six = ALPHABET.iter().position(|known| known == byte)?;
            bits |= u32::try_from(six).ok()? << (18 - 6 * place);
        }
        let (kept, rest) = bits.to_be_bytes()[1..]
            .split_at_checked(group.len() - 1)
            .map(|(a, b)| (a.to_vec(), b.to_vec()))?;
        if kept.is_empty() || rest.iter().any(|byte| *byte != 0) {
            return None;
        }
        bytes.extend(kept);
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_secret_is_known_by_its_text_and_never_logged() {
        let secret = Secret::new([7; 32]);
        let text = secret.reveal();
        assert_eq!((text.len(), &text[..8]), (47, "mat_BwcH"));
        assert_eq!(Secret::read(&text), Some(secret.clone()));
        assert_eq!(format!("{secret:?}"), "Secret(..)");
        for wrong in ["", "mat_", &text[..46], &text[4..], &text.replace("mat_", "tam_"), &format!("{text}A")]
        {
            assert_eq!(Secret::read(wrong), None, "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn base64_has_one_text_for_each_value(bytes: Vec<u8>, text in "[A-Za-z0-9_-]{0,9}") {
            prop_assert_eq!(base64_read(&base64(&bytes)), Some(bytes));
            if let Some(read) = base64_read(&text) {
                prop_assert_eq!(base64(&read), text);
            }
        }
    }
}
