//! The hash of bytes that must be recognised again.

/// BLAKE3, 32 bytes.
pub fn of(bytes: &[u8]) -> [u8; 32] {
    *blake3::hash(bytes).as_bytes()
}

/// The same of bytes that come in pieces.
#[derive(Debug, Clone, Default)]
pub struct Running(blake3::Hasher);

impl Running {
    /// The next bytes.
    pub fn add(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// The hash of all of them.
    pub fn end(&self) -> [u8; 32] {
        *self.0.finalize().as_bytes()
    }
}

/// Bytes as text: two digits each, `0` to `f`.
pub fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digit = |four: u8| char::from(DIGITS[usize::from(four)]);
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}

/// The bytes that such digits stand for, also with `A` to `F`.
pub fn unhex(text: &str) -> Option<Vec<u8>> {
    let value = |digit: &u8| char::from(*digit).to_digit(16).and_then(|value| u8::try_from(value).ok());
    let pairs = text.as_bytes().chunks(2);
    let byte = |pair: &[u8]| match pair {
        [high, low] => Some(value(high)? << 4 | value(low)?),
        _ => None,
    };
    pairs.map(byte).collect()
}

/// The first 64 bits of the hash: enough to tell one text from the next, not to prove it.
pub fn short(bytes: &[u8]) -> u64 {
    of(bytes)[..8].iter().fold(0, |bits, byte| bits << 8 | u64::from(*byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_and_their_digits_are_the_same_thing() {
        let bytes = [0, 1, 15, 16, 0xab, 255];
        assert_eq!(hex(&bytes), "00010f10abff");
        assert_eq!(unhex("00010f10abFF"), Some(bytes.to_vec()));
        assert_eq!((hex(&[]), unhex("")), (String::new(), Some(Vec::new())));
        for wrong in ["0", "000", "0g", "+0", " 0", "ä"] {
            assert_eq!(unhex(wrong), None, "{wrong}");
        }
    }
}
