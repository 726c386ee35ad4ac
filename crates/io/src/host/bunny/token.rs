//! Tokens of Bunny's files (specs/hosts 5.4, after its own library for tokens, version 2.1.0).

use std::net::IpAddr;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::sign;

/// The part of a path that lets its bearer read everything below `folder`, which begins and ends with `/`.
pub(super) fn folder(key: &str, folder: &str, expires_s: i64, viewer: Option<IpAddr>) -> String {
    let token = token(key, folder, expires_s, viewer, &[("token_path", folder)]);
    let path = folder.replace('/', "%2F");
    format!("bcdn_token={token}&token_path={path}&expires={expires_s}")
}

/// The token for a path: `HS256-` and the code over path, end, address and the parameters as they are, sorted.
pub(super) fn token(
    key: &str,
    path: &str,
    expires_s: i64,
    viewer: Option<IpAddr>,
    parameters: &[(&str, &str)],
) -> String {
    let mut sorted: Vec<String> = parameters.iter().map(|(name, value)| format!("{name}={value}")).collect();
    sorted.sort();
    let (prefix, address) = match viewer {
        None => ("HS256-", Vec::new()),
        Some(IpAddr::V4(address)) => ("HS256-1-", address.octets().to_vec()),
        // A household has one network and many addresses.
        Some(IpAddr::V6(address)) => {
            let mut bytes = address.octets();
            bytes[8..].fill(0);
            ("HS256-1-", bytes.to_vec())
        }
    };
    let expires = expires_s.to_string();
    let code = sign::code(key, &[path.as_bytes(), expires.as_bytes(), &address, sorted.join("&").as_bytes()]);
    format!("{prefix}{}", URL_SAFE_NO_PAD.encode(code))
}

#[cfg(test)]
mod tests {
    use super::*;

    const G: &str = "657bb740-a71b-4529-a012-528021c31a92";

    #[test]
    fn tokens_are_those_of_bunnys_own_library() {
        let blocked = [("token_countries_blocked", "CA")];
        assert_eq!(
            token("SecurityKey", "/300kb.jpg", 1_598_024_587, None, &blocked),
            "HS256-zKGmNRBaHRmB4THCwmIQK5U21wH-S9KaJ6Ht7Kq9Zlw"
        );
        let countries = [("token_path", "/"), ("token_countries", "CA")];
        assert_eq!(
            token("SecurityKey", "/", 1_598_024_587, None, &countries),
            "HS256-JWU7jhpnBGI-O54AYDAtrlZT86Ied4RTO2-Y8mUj60A"
        );
        assert_eq!(
            token("sec", &format!("/{G}/thumbnail.jpg"), 1_700_000_000, None, &[]),
            "HS256-t2pwSpdX-i5ydvqQYKZTI81hAz6SBn0lUNMMKjKl8Kg"
        );
    }

    #[test]
    fn a_token_for_a_folder_may_be_bound_to_a_network() {
        let of = |viewer: Option<&str>| {
            folder("sec", &format!("/{G}/"), 1_700_000_000, viewer.map(|text| text.parse().unwrap()))
        };
        for (viewer, token) in [
            (None, "HS256-5ewa-BCWWYM9vozSohSPHClHIoQHeF1qlOkWaeAAN74"),
            (Some("203.0.113.7"), "HS256-1-G3XKMymA1nX1GxiXnLHjXf3T2VsYh9a8bTU2tXsQb1s"),
            (Some("2001:db8:1:2:3:4:5:6"), "HS256-1-KapEylWBMU9QVPDTLF0cxpl0l1xtwQBrwXK8N79WRko"),
            (Some("2001:db8:1:2::9"), "HS256-1-KapEylWBMU9QVPDTLF0cxpl0l1xtwQBrwXK8N79WRko"),
        ] {
            assert_eq!(
                of(viewer),
                format!("bcdn_token={token}&token_path=%2F{G}%2F&expires=1700000000"),
                "{viewer:?}"
            );
        }
    }
}
