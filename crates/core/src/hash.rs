//! The hash of bytes that must be recognised again.

/// BLAKE3, 32 bytes.
pub fn of(bytes: &[u8]) -> [u8; 32] {
    *blake3::hash(bytes).as_bytes()
}

/// The first 64 bits of the hash: enough to tell one text from the next, not to prove it.
pub fn short(bytes: &[u8]) -> u64 {
    of(bytes)[..8].iter().fold(0, |bits, byte| bits << 8 | u64::from(*byte))
}
