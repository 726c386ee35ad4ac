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

/// The first 64 bits of the hash: enough to tell one text from the next, not to prove it.
pub fn short(bytes: &[u8]) -> u64 {
    of(bytes)[..8].iter().fold(0, |bits, byte| bits << 8 | u64::from(*byte))
}
