//! Where bytes go is a secret that must outlive a restart: in a row it stands sealed.
//!
//! The cipher is the one of rustls, by the way that QUIC takes: a key, a nonce, and what belongs to it. So there is no second
//! library of ciphers.

use matinee_core::id::PublicationId;
use rustls::crypto::cipher::{AeadKey, Iv};
use rustls::quic::PacketKey;

use super::Target;

/// Separates this key from all others that are made of the same secret.
const CONTEXT: &str = "matinee 2026-11-26 upload targets of hosts";
/// Bytes of a nonce.
const NONCE: usize = 12;

/// Seals and opens targets with a key of this server.
#[derive(Clone)]
pub struct Seal([u8; 32]);

impl std::fmt::Debug for Seal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Seal(..)")
    }
}

impl Seal {
    /// A seal whose key is made of the server's secret.
    pub fn of(secret: &[u8; 32]) -> Self {
        Self(blake3::derive_key(CONTEXT, secret))
    }

    /// The target of a publication, to be opened for the same one only. `nonce` is random.
    ///
    /// # Panics
    ///
    /// Never: a target is made of plain values, and short.
    pub fn close(&self, id: PublicationId, target: &Target, nonce: [u8; NONCE]) -> Vec<u8> {
        let mut text = serde_json::to_vec(target).expect("because a target is made of plain values");
        let tag = self.key(nonce).encrypt_in_place(0, &id.bits().to_be_bytes(), &mut text);
        let tag = tag.expect("because a target is far shorter than what the cipher takes");
        [&nonce[..], &text, tag.as_ref()].concat()
    }

    /// The target again; `None` when it was sealed by another key, for another publication, or is damaged.
    pub fn open(&self, id: PublicationId, sealed: &[u8]) -> Option<Target> {
        let (nonce, text) = sealed.split_first_chunk::<NONCE>()?;
        let mut text = text.to_vec();
        let text = self.key(*nonce).decrypt_in_place(0, &id.bits().to_be_bytes(), &mut text).ok()?;
        serde_json::from_slice(text).ok()
    }

    fn key(&self, nonce: [u8; NONCE]) -> Box<dyn PacketKey> {
        let suite = rustls::crypto::ring::cipher_suite::TLS13_CHACHA20_POLY1305_SHA256;
        let suite = suite.tls13().and_then(|suite| suite.quic);
        let suite = suite.expect("because this suite is one of TLS 1.3, and QUIC uses it");
        suite.packet_key(AeadKey::from(self.0), Iv::new(nonce))
    }
}

#[cfg(test)]
mod tests {
    use super::super::ChunkRule;
    use super::*;

    #[test]
    fn a_target_is_opened_by_the_same_key_for_the_same_publication_only() {
        let target = Target {
            url: "https://upload.example/secret-1".to_owned(),
            created: true,
            headers: vec![("AuthorizationSignature".to_owned(), "abc".to_owned())],
            metadata: String::new(),
            chunks: ChunkRule { min_bytes: 1, max_bytes: 2, step_bytes: 1 },
            expires: None,
        };
        let (id, other) = (PublicationId::from_bits(7), PublicationId::from_bits(8));
        let seal = Seal::of(&[3; 32]);
        let sealed = seal.close(id, &target, [9; NONCE]);
        assert_eq!(seal.open(id, &sealed), Some(target));
        let text = String::from_utf8_lossy(&sealed).into_owned();
        assert!(!text.contains("secret-1") && !text.contains("abc"), "{text}");
        assert_eq!(seal.open(other, &sealed), None);
        assert_eq!(Seal::of(&[4; 32]).open(id, &sealed), None);
        for at in [0, NONCE, sealed.len() - 1] {
            let mut changed = sealed.clone();
            changed[at] ^= 1;
            assert_eq!(seal.open(id, &changed), None, "{at}");
        }
        assert_eq!(seal.open(id, &sealed[..5]), None);
    }
}
