//! Tokens for viewers: JWT with RS256 (RFC 7515, RFC 7518 section 3.3), signed here, because asking Cloudflare for each
//! one is meant for few.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use matinee_core::time::Millis;
use rustls::SignatureScheme;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{PrivateKeyDer, alg_id};
use rustls::sign::SigningKey as Key;
use serde_json::{Value, json};

use super::{HostError, SigningKey};

/// A clock that is a little behind ours must believe a token, too, in seconds.
const SKEW_S: i64 = 60;
/// The public part of the fake's key.
const FAKE_PUBLIC: &str = include_str!("../../../../../proto/vectors/cloudflare-key.pub");

/// Signs tokens with one key.
#[derive(Debug, Clone)]
pub(super) struct Signer {
    id: String,
    key: Arc<dyn Key>,
}

impl Signer {
    /// Reads the key. [`HostError::Refused`] when it is none.
    pub(super) fn read(key: &SigningKey) -> Result<Self, HostError> {
        let wrong = |why: String| HostError::Refused(format!("the signing key cannot be used: {why}"));
        let pem = STANDARD.decode(key.pem.text().trim()).map_err(|error| wrong(error.to_string()))?;
        let der = PrivateKeyDer::from_pem_slice(&pem).map_err(|error| wrong(error.to_string()))?;
        let provider = rustls::crypto::ring::default_provider();
        let loaded = provider.key_provider.load_private_key(der).map_err(|error| wrong(error.to_string()))?;
        if loaded.choose_scheme(&[SignatureScheme::RSA_PKCS1_SHA256]).is_none() {
            return Err(wrong("it is no RSA key".to_owned()));
        }
        Ok(Self { id: key.id.clone(), key: loaded })
    }

    /// A token for one video: to watch it, and to keep its file if `keeps`.
    pub(super) fn token(
        &self,
        (video, keeps): (&str, bool),
        now: Millis,
        expires: Millis,
    ) -> Result<String, HostError> {
        let header = json!({ "alg": "RS256", "kid": self.id });
        let mut claims =
            json!({ "sub": video, "kid": self.id, "exp": expires.0 / 1_000, "nbf": now.0 / 1_000 - SKEW_S });
        if keeps {
            claims["downloadable"] = json!(true);
        }
        let [header, claims] = [header, claims].map(|part| URL_SAFE_NO_PAD.encode(part.to_string()));
        let text = format!("{header}.{claims}");
        let signer = self.key.choose_scheme(&[SignatureScheme::RSA_PKCS1_SHA256]);
        let signer = signer.expect("because a key of another kind was refused");
        let signature = signer.sign(text.as_bytes()).map_err(|error| HostError::Again(error.to_string()))?;
        Ok(format!("{text}.{}", URL_SAFE_NO_PAD.encode(signature)))
    }
}

/// The video that a token is for which is signed by the fake's key of this name and has not ended, and whether its file may be
/// kept; for the fake.
pub(super) fn opened(token: &str, key: &str, now: Millis) -> Option<(String, bool)> {
    let (text, signature) = token.rsplit_once('.')?;
    let (header, claims) = text.split_once('.')?;
    let read = |part: &str| serde_json::from_slice::<Value>(&URL_SAFE_NO_PAD.decode(part).ok()?).ok();
    let (header, claims) = (read(header)?, read(claims)?);
    // What it says besides is not documented well enough to be checked.
    let known = ["sub", "kid", "exp", "nbf", "downloadable"];
    let plain = claims.as_object()?.keys().all(|claim| known.contains(&claim.as_str()));
    let named = header == json!({ "alg": "RS256", "kid": key }) && claims["kid"] == key;
    let (now_s, since_s) = (now.0.div_euclid(1_000), claims["nbf"].as_i64().unwrap_or(i64::MIN));
    let lives = since_s <= now_s && now_s < claims["exp"].as_i64()?;
    let believed = plain && named && lives && is_signed(text, signature);
    let video = claims["sub"].as_str().filter(|_| believed)?;
    Some((video.to_owned(), claims["downloadable"] == true))
}

/// Is this the signature of a text by the fake's key?
fn is_signed(text: &str, signature: &str) -> bool {
    let decoded = (STANDARD.decode(FAKE_PUBLIC.trim()), URL_SAFE_NO_PAD.decode(signature));
    let (Ok(public), Ok(signature)) = decoded else { return false };
    let algorithms = rustls::crypto::ring::default_provider().signature_verification_algorithms;
    let is_rsa = |one: &&&dyn rustls::pki_types::SignatureVerificationAlgorithm| {
        one.public_key_alg_id() == alg_id::RSA_ENCRYPTION
            && one.signature_alg_id() == alg_id::RSA_PKCS1_SHA256
    };
    let rsa = algorithms.all.iter().find(is_rsa);
    rsa.is_some_and(|rsa| rsa.verify_signature(&public, text.as_bytes(), &signature).is_ok())
}

#[cfg(test)]
mod tests {
    use super::super::Secret;
    use super::*;

    /// A key that was made for these tests and the fake, and is used for nothing else.
    const PEM: &str = include_str!("../../../../../proto/vectors/cloudflare-key.pem");

    fn signer() -> Signer {
        Signer::read(&SigningKey { id: "k1".to_owned(), pem: Secret::new(STANDARD.encode(PEM)) }).unwrap()
    }

    #[test]
    fn a_token_is_for_one_video_and_signed_with_the_key() {
        let (now, ends) = (Millis(1_700_000_000_000), Millis(1_700_003_600_000));
        let token = signer().token(("uid1", false), now, ends).unwrap();
        let parts: Vec<&str> = token.split('.').collect();
        let read =
            |part: &str| serde_json::from_slice::<Value>(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap();
        assert_eq!(read(parts[0]), json!({ "alg": "RS256", "kid": "k1" }));
        let claims = json!({ "sub": "uid1", "kid": "k1", "exp": 1_700_003_600, "nbf": 1_699_999_940 });
        assert_eq!(read(parts[1]), claims);
        assert!(is_signed(&format!("{}.{}", parts[0], parts[1]), parts[2]));
        let other = URL_SAFE_NO_PAD.encode(json!({ "sub": "uid2" }).to_string());
        assert!(!is_signed(&format!("{}.{other}", parts[0]), parts[2]));
    }

    #[test]
    fn a_token_opens_its_video_until_it_ends_and_nothing_that_was_changed() {
        let (now, ends) = (Millis(1_700_000_000_000), Millis(1_700_003_600_000));
        let token = signer().token(("uid1", false), now, ends).unwrap();
        let opens = |token: &str, key, now| opened(token, key, now);
        let watched = Some(("uid1".to_owned(), false));
        assert_eq!(opens(&token, "k1", now), watched);
        assert_eq!(opens(&token, "k1", Millis(ends.0 - 1)), watched);
        let keeping = signer().token(("uid1", true), now, ends).unwrap();
        assert_eq!(opens(&keeping, "k1", now), Some(("uid1".to_owned(), true)));
        for (key, at) in [("k2", now), ("k1", ends), ("k1", Millis(now.0 - 61_000))] {
            assert_eq!(opens(&token, key, at), None, "{key} {at:?}");
        }
        let parts: Vec<&str> = token.split('.').collect();
        let claims = |claims: Value| URL_SAFE_NO_PAD.encode(claims.to_string());
        let other = claims(json!({ "sub": "uid2", "kid": "k1", "exp": 1_700_003_600, "nbf": 1_699_999_940 }));
        let none = URL_SAFE_NO_PAD.encode(json!({ "alg": "none", "kid": "k1" }).to_string());
        for changed in [
            format!("{}.{other}.{}", parts[0], parts[2]),
            format!("{none}.{}.{}", parts[1], parts[2]),
            format!("{none}.{}.", parts[1]),
            format!("{}.{}.{}", parts[0], parts[1], &parts[2][..parts[2].len() - 4]),
            format!("{}.{}", parts[0], parts[1]),
            "a.b.c".to_owned(),
            "..".to_owned(),
        ] {
            assert_eq!(opens(&changed, "k1", now), None, "{changed}");
        }
    }

    #[test]
    fn a_key_that_is_none_says_so_at_the_start() {
        for pem in
            ["", "!", &STANDARD.encode("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n")]
        {
            let key = SigningKey { id: String::new(), pem: Secret::new(pem.to_owned()) };
            let Err(HostError::Refused(text)) = Signer::read(&key) else { panic!("{pem}") };
            assert!(text.starts_with("the signing key cannot be used"), "{text}");
        }
    }
}
