//! Checksums of what a request brings: tus's `Upload-Checksum` and the digests of RFC 9530.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use md5::Md5;
use sha1::Sha1;
use sha2::{Digest as _, Sha256};

/// The algorithms that are offered; tus demands `sha1`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Algorithm {
    /// SHA-1, 20 bytes.
    Sha1,
    /// SHA-256, 32 bytes.
    Sha256,
    /// MD5, 16 bytes.
    Md5,
    /// BLAKE3, 32 bytes.
    Blake3,
}

impl Algorithm {
    /// All of them, as they are offered.
    pub const ALL: [Self; 4] = [Self::Sha1, Self::Sha256, Self::Md5, Self::Blake3];

    /// The name in tus headers.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Sha1 => "sha1",
            Self::Sha256 => "sha256",
            Self::Md5 => "md5",
            Self::Blake3 => "blake3",
        }
    }
}

/// A checksum that somebody claims.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checksum {
    /// How it was computed.
    pub algorithm: Algorithm,
    /// Its bytes; too few or too many simply never match.
    pub digest: Vec<u8>,
}

/// What is wrong with a checksum's header.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// Another algorithm than those that are offered.
    #[error("names an algorithm that this server does not know")]
    Unknown,
    /// Not `algorithm SP base64`.
    #[error("is not an algorithm and a base64 value")]
    Malformed,
}

impl Checksum {
    /// Reads `alg base64`; the algorithm is judged first.
    pub fn parse(header: &str) -> Result<Self, Fault> {
        let (name, value) = header.trim().split_once(' ').unwrap_or((header.trim(), ""));
        let known = Algorithm::ALL.into_iter().find(|algorithm| algorithm.name() == name);
        let algorithm = known.ok_or(Fault::Unknown)?;
        let digest = BASE64.decode(value.trim()).ok().filter(|digest| !digest.is_empty());
        Ok(Self { algorithm, digest: digest.ok_or(Fault::Malformed)? })
    }

    /// The same as a header's value.
    pub fn header(&self) -> String {
        format!("{} {}", self.algorithm.name(), BASE64.encode(&self.digest))
    }
}

/// Computes one checksum piece by piece.
#[derive(Debug, Clone)]
pub struct Hasher(State);

#[derive(Debug, Clone)]
enum State {
    Sha1(Sha1),
    Sha256(Sha256),
    Md5(Md5),
    Blake3(Box<blake3::Hasher>),
}

impl Hasher {
    /// Begins.
    pub fn new(algorithm: Algorithm) -> Self {
        Self(match algorithm {
            Algorithm::Sha1 => State::Sha1(Sha1::new()),
            Algorithm::Sha256 => State::Sha256(Sha256::new()),
            Algorithm::Md5 => State::Md5(Md5::new()),
            Algorithm::Blake3 => State::Blake3(Box::default()),
        })
    }

    /// Takes the next bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        match &mut self.0 {
            State::Sha1(state) => state.update(bytes),
            State::Sha256(state) => state.update(bytes),
            State::Md5(state) => state.update(bytes),
            State::Blake3(state) => {
                state.update(bytes);
            }
        }
    }

    /// The checksum of all that was taken.
    pub fn finish(self) -> Checksum {
        let (algorithm, digest) = match self.0 {
            State::Sha1(state) => (Algorithm::Sha1, state.finalize().to_vec()),
            State::Sha256(state) => (Algorithm::Sha256, state.finalize().to_vec()),
            State::Md5(state) => (Algorithm::Md5, state.finalize().to_vec()),
            State::Blake3(state) => (Algorithm::Blake3, state.finalize().as_bytes().to_vec()),
        };
        Checksum { algorithm, digest }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn of(algorithm: Algorithm, bytes: &[u8]) -> String {
        let mut hasher = Hasher::new(algorithm);
        hasher.update(bytes);
        hasher.finish().header()
    }

    #[test]
    fn known_texts_have_their_known_checksums() {
        // The published values for "abc".
        for (algorithm, expected) in [
            (Algorithm::Sha1, "sha1 qZk+NkcGgWq6PiVxeFDCbJzQ2J0="),
            (Algorithm::Sha256, "sha256 ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0="),
            (Algorithm::Md5, "md5 kAFQmDzST7DWlj99KOF/cg=="),
            (Algorithm::Blake3, "blake3 ZDezrDhGUTP/tjt1JzqNtUjFWEZdedsD/TWcbNW9nYU="),
        ] {
            assert_eq!(of(algorithm, b"abc"), expected);
            assert_eq!(Checksum::parse(expected).unwrap().header(), expected);
        }
    }

    #[test]
    fn the_algorithm_is_judged_before_the_value() {
        for (header, fault) in [
            ("crc32 !!", Fault::Unknown),
            ("SHA1 qZk+NkcGgWq6PiVxeFDCbJzQ2J0=", Fault::Unknown),
            ("", Fault::Unknown),
            ("sha1", Fault::Malformed),
            ("sha1 ", Fault::Malformed),
            ("sha1 not/base64!", Fault::Malformed),
        ] {
            assert_eq!(Checksum::parse(header), Err(fault), "{header}");
        }
        assert_eq!(Checksum::parse("sha1 AAAA").unwrap().digest.len(), 3, "a wrong length is a mismatch");
    }

    proptest! {
        #[test]
        fn no_header_is_too_much(header in ".{0,100}") {
            let _ = Checksum::parse(&header);
        }

        #[test]
        fn pieces_make_the_same_checksum(bytes in prop::collection::vec(any::<u8>(), 0..300), at in 0_usize..300) {
            for algorithm in Algorithm::ALL {
                let (head, tail) = bytes.split_at(at.min(bytes.len()));
                let mut hasher = Hasher::new(algorithm);
                hasher.update(head);
                hasher.update(tail);
                let checksum = hasher.finish();
                prop_assert_eq!(Checksum::parse(&checksum.header()).unwrap(), checksum.clone());
                prop_assert_eq!(checksum.header(), of(algorithm, &bytes));
            }
        }
    }
}
