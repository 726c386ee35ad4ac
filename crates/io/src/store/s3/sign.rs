//! Signature version 4 of S3: makes addresses that carry their right in themselves, and computes what a server compares.

use std::borrow::Cow;
use std::fmt::Write as _;

use hmac::{Hmac, KeyInit as _, Mac as _};
use matinee_core::hash::hex;
use matinee_core::time::Millis;
use sha2::{Digest as _, Sha256};
use url::Url;

use super::stamp::basic;

/// The name of the only method that we know.
pub(in crate::store) const ALGORITHM: &str = "AWS4-HMAC-SHA256";
/// Says that the body is not part of the signature.
pub(in crate::store) const UNSIGNED: &str = "UNSIGNED-PAYLOAD";
/// How long an address may be good, in seconds: the most that is allowed.
pub(in crate::store) const PRESIGNED_S_MAX: u64 = 604_800;

/// Who asks, and where.
#[derive(Clone)]
pub(in crate::store) struct Keys {
    pub(in crate::store) access: String,
    pub(in crate::store) secret: String,
    pub(in crate::store) region: String,
}

/// A request as it is signed.
pub(in crate::store) struct Request<'a> {
    pub(in crate::store) method: &'a str,
    /// The path as it is sent.
    pub(in crate::store) path: &'a str,
    /// Names and values, not encoded, without the signature.
    pub(in crate::store) query: Vec<(Cow<'a, str>, Cow<'a, str>)>,
    /// Names in small letters, in the order of the names.
    pub(in crate::store) headers: Vec<(Cow<'a, str>, Cow<'a, str>)>,
    /// The SHA-256 of the body in hex, or that it is not signed.
    pub(in crate::store) payload: &'a str,
}

impl Request<'_> {
    /// The names of the signed headers.
    pub(in crate::store) fn names(&self) -> String {
        self.headers.iter().map(|(name, _)| &**name).collect::<Vec<_>>().join(";")
    }

    fn canonical(&self) -> String {
        let mut query: Vec<_> =
            self.query.iter().map(|(name, value)| (encode(name, false), encode(value, false))).collect();
        query.sort_unstable();
        let query: Vec<_> = query.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let headers = self.headers.iter().fold(String::new(), |mut text, (name, value)| {
            let words: Vec<_> = value.split_ascii_whitespace().collect();
            writeln!(text, "{name}:{}", words.join(" ")).expect("because a text takes all that is written");
            text
        });
        format!(
            "{}\n{}\n{}\n{headers}\n{}\n{}",
            self.method,
            self.path,
            query.join("&"),
            self.names(),
            self.payload
        )
    }
}

impl Keys {
    /// The part of the world for which a signature is good.
    pub(in crate::store) fn scope(&self, time: &str) -> String {
        format!("{}/{}/s3/aws4_request", &time[..8.min(time.len())], self.region)
    }

    /// The signature of a request, made at `time` (`20261121T060000Z`).
    pub(in crate::store) fn sign(&self, request: &Request<'_>, time: &str) -> String {
        let hashed = hex(&Sha256::digest(request.canonical()));
        let text = format!("{ALGORITHM}\n{time}\n{}\n{hashed}", self.scope(time));
        let first = format!("AWS4{}", self.secret);
        let day = &time[..8.min(time.len())];
        let key = [day, &self.region, "s3", "aws4_request"]
            .iter()
            .fold(first.into_bytes(), |key, word| mac(&key, word.as_bytes()).to_vec());
        hex(&mac(&key, text.as_bytes()))
    }

    /// An address at which this may be done for so long. `base` has no query.
    pub(in crate::store) fn presign(&self, wanted: &Wanted<'_>, now: Millis, for_s: u64) -> Url {
        let time = basic(now);
        let mut headers: Vec<_> =
            wanted.headers.iter().map(|(name, value)| (Cow::from(*name), Cow::from(*value))).collect();
        headers.push(("host".into(), authority(wanted.base).into()));
        headers.sort_unstable();
        let names: Vec<_> = headers.iter().map(|(name, _)| name.to_string()).collect();
        let credential = format!("{}/{}", self.access, self.scope(&time));
        let ours = [
            ("X-Amz-Algorithm", ALGORITHM.to_owned()),
            ("X-Amz-Credential", credential),
            ("X-Amz-Date", time.clone()),
            ("X-Amz-Expires", for_s.min(PRESIGNED_S_MAX).to_string()),
            ("X-Amz-SignedHeaders", names.join(";")),
        ];
        let query = wanted.query.iter().map(|(name, value)| (Cow::from(*name), Cow::from(*value)));
        let query: Vec<_> =
            query.chain(ours.iter().map(|(name, value)| (Cow::from(*name), Cow::from(value)))).collect();
        let mut text: String = query.iter().fold(String::new(), |text, (name, value)| {
            format!("{text}{}={}&", encode(name, false), encode(value, false))
        });
        let path = wanted.base.path();
        let request = Request { method: wanted.method, path, query, headers, payload: UNSIGNED };
        write!(text, "X-Amz-Signature={}", self.sign(&request, &time)).expect("because a text takes all");
        let mut url = wanted.base.clone();
        url.set_query(Some(&text));
        url
    }
}

/// What an address is to be good for.
pub(in crate::store) struct Wanted<'a> {
    pub(in crate::store) method: &'a str,
    pub(in crate::store) base: &'a Url,
    pub(in crate::store) query: &'a [(&'a str, &'a str)],
    /// Headers that must be sent with these values, their names in small letters.
    pub(in crate::store) headers: &'a [(&'a str, &'a str)],
}

/// The host, with its port where it is not the usual one.
fn authority(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
}

/// Encodes all but letters, digits and `-_.~`; a slash stays in paths.
pub(in crate::store) fn encode(text: &str, is_path: bool) -> String {
    text.bytes().fold(String::with_capacity(text.len()), |mut out, byte| {
        let plain = byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) || (is_path && byte == b'/');
        if plain {
            out.push(char::from(byte));
        } else {
            write!(out, "%{byte:02X}").expect("because a text takes all that is written");
        }
        out
    })
}

fn mac(key: &[u8], text: &[u8]) -> [u8; 32] {
    let mut mac: Hmac<Sha256> = Hmac::new_from_slice(key).expect("because a key may have any length");
    mac.update(text);
    mac.finalize().into_bytes().into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::s3::stamp::parse_basic;

    /// Both keys are those of the documentation of S3.
    fn keys(region: &str) -> Keys {
        Keys {
            access: "AKIAIOSFODNN7EXAMPLE".to_owned(),
            secret: "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY".to_owned(),
            region: region.to_owned(),
        }
    }

    fn signature(wanted: &Wanted<'_>, region: &str, time: &str, for_s: u64) -> String {
        let url = keys(region).presign(wanted, parse_basic(time).unwrap(), for_s);
        let found = url.query_pairs().find(|(name, _)| name == "X-Amz-Signature");
        found.unwrap().1.into_owned()
    }

    #[test]
    fn addresses_are_signed_as_the_vectors_say() {
        let text = std::fs::read_to_string(concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/../../proto/vectors/presigned.json"
        ));
        let vectors: serde_json::Value = serde_json::from_str(&text.unwrap()).unwrap();
        let vectors = vectors.as_array().unwrap();
        assert!(vectors.len() >= 5);
        for vector in vectors {
            let text = |key: &str| vector[key].as_str().unwrap();
            let base: Url = text("url").parse().unwrap();
            let query: Vec<(&str, &str)> = vector["query"]
                .as_array()
                .unwrap()
                .iter()
                .map(|pair| (pair[0].as_str().unwrap(), pair[1].as_str().unwrap()))
                .collect();
            let wanted = Wanted { method: text("method"), base: &base, query: &query, headers: &[] };
            let for_s = vector["for_s"].as_u64().unwrap();
            let signed = signature(&wanted, text("region"), text("time"), for_s);
            assert_eq!(signed, text("signature"), "{vector}");
        }
    }

    #[test]
    fn whatever_is_changed_changes_the_signature() {
        let base: Url = "https://s3.us-west-004.backblazeb2.com/recordings/a/b.mp4".parse().unwrap();
        let other: Url = "https://s3.us-west-004.backblazeb2.com/recordings/a/c.mp4".parse().unwrap();
        let time = "20261121T060000Z";
        let of = |method, base, query, headers, region, time, for_s| {
            signature(&Wanted { method, base, query, headers }, region, time, for_s)
        };
        let all = [
            of("GET", &base, &[("uploadId", "u1")], &[], "r", time, 900),
            of("PUT", &base, &[("uploadId", "u1")], &[], "r", time, 900),
            of("GET", &other, &[("uploadId", "u1")], &[], "r", time, 900),
            of("GET", &base, &[("uploadId", "u2")], &[], "r", time, 900),
            of("GET", &base, &[("uploadId", "u1")], &[("x-a", "1")], "r", time, 900),
            of("GET", &base, &[("uploadId", "u1")], &[], "s", time, 900),
            of("GET", &base, &[("uploadId", "u1")], &[], "r", "20261121T060001Z", 900),
            of("GET", &base, &[("uploadId", "u1")], &[], "r", time, 901),
        ];
        let mut different = all.to_vec();
        different.sort_unstable();
        different.dedup();
        assert_eq!(different.len(), all.len());
        assert!(all.iter().all(|signature| signature.len() == 64));
    }

    #[test]
    fn text_is_encoded_as_the_service_expects_it() {
        assert_eq!(encode("a/b c~_-.\u{e4}", false), "a%2Fb%20c~_-.%C3%A4");
        assert_eq!(encode("a/b+", true), "a/b%2B");
    }
}
