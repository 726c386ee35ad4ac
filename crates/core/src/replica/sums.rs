//! Hashes of a copy that others know, besides our own: with them whoever has the file can be asked whether it is the same.

use crate::hash;
use crate::upload::checksum::{Algorithm, Hasher};

/// What a copy hashes to in hexadecimal digits, of the bytes that its store has given back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sums {
    /// SHA-1, by which Backblaze B2 knows its files.
    pub sha1: String,
    /// SHA-256.
    pub sha256: String,
}

/// The same of bytes that come in pieces.
#[derive(Debug, Clone)]
pub struct Summing {
    sha1: Hasher,
    sha256: Hasher,
}

impl Default for Summing {
    fn default() -> Self {
        Self { sha1: Hasher::new(Algorithm::Sha1), sha256: Hasher::new(Algorithm::Sha256) }
    }
}

impl Summing {
    /// The next bytes.
    pub fn add(&mut self, bytes: &[u8]) {
        self.sha1.update(bytes);
        self.sha256.update(bytes);
    }

    /// The hashes of all of them.
    pub fn end(self) -> Sums {
        Sums { sha1: digits(self.sha1), sha256: digits(self.sha256) }
    }
}

fn digits(hasher: Hasher) -> String {
    hash::hex(&hasher.finish().digest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hashes_are_those_that_everybody_computes() {
        let mut summing = Summing::default();
        summing.add(b"ab");
        summing.add(b"c");
        // The example of FIPS 180.
        assert_eq!(
            summing.end(),
            Sums {
                sha1: "a9993e364706816aba3e25717850c26c9cd0d89d".to_owned(),
                sha256: "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad".to_owned(),
            }
        );
    }
}
