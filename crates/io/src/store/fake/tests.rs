//! The fake refuses what the real services refuse. Signatures here are made by hand, not by a client.

use std::borrow::Cow;

use matinee_core::hash::hex;
use reqwest::{Client, RequestBuilder};
use sha2::{Digest as _, Sha256};
use url::Url;

use super::*;
use crate::clock;
use crate::store::contract::QUICK;
use crate::store::s3::sign::{ALGORITHM, Keys, Request, Wanted};
use crate::store::s3::stamp::basic;
use crate::store::{S3, Store as _};

fn keys(fake: &Fake) -> Keys {
    let access = fake.access();
    Keys { access: access.access_key, secret: access.secret_key, region: access.region }
}

async fn fake() -> (Fake, Client) {
    let fake = Fake::start(Profile::Aws).await.unwrap();
    // Whoever makes a client first says where its cryptography comes from; a store does.
    S3::open(&fake.access(), "", None, QUICK).unwrap();
    (fake, Client::new())
}

/// The status and the word of an answer.
async fn told(request: RequestBuilder) -> (u16, String) {
    let response = request.send().await.unwrap();
    let status = response.status().as_u16();
    let text = response.text().await.unwrap();
    let code = text.split_once("<Code>").and_then(|(_, rest)| rest.split_once('<'));
    (status, code.map_or_else(String::new, |(code, _)| code.to_owned()))
}

/// A put that is signed in its head, with what a test changes of it.
struct Signed<'a> {
    time_ms: i64,
    headers: &'a [(&'a str, &'a str)],
    promised: &'a [u8],
    body: &'static [u8],
}

fn put(fake: &Fake, client: &Client, how: &Signed<'_>) -> RequestBuilder {
    let time = basic(clock::now().plus(how.time_ms));
    let payload = hex(&Sha256::digest(how.promised));
    let host = fake.endpoint().trim_start_matches("http://").to_owned();
    let mut headers: Vec<(Cow<'_, str>, Cow<'_, str>)> = vec![
        ("host".into(), host.into()),
        ("x-amz-content-sha256".into(), payload.as_str().into()),
        ("x-amz-date".into(), time.as_str().into()),
    ];
    headers.extend(how.headers.iter().map(|(name, value)| (Cow::from(*name), Cow::from(*value))));
    headers.sort_unstable();
    let request = Request { method: "PUT", path: "/films/a", query: Vec::new(), headers, payload: &payload };
    let keys = keys(fake);
    let authorization = format!(
        "{ALGORITHM} Credential={}/{}, SignedHeaders={}, Signature={}",
        keys.access,
        keys.scope(&time),
        request.names(),
        keys.sign(&request, &time)
    );
    let mut sent = client.put(format!("{}/films/a", fake.endpoint())).header("authorization", authorization);
    for (name, value) in &request.headers {
        if name != "host" {
            sent = sent.header(&**name, &**value);
        }
    }
    sent.body(how.body)
}

#[tokio::test]
async fn a_signature_in_the_head_covers_body_headers_and_time() {
    let (fake, client) = fake().await;
    let good = Signed { time_ms: 0, headers: &[], promised: b"film", body: b"film" };
    assert_eq!(told(put(&fake, &client, &good)).await.0, 200);
    for (how, status, code) in [
        (Signed { body: b"fila", ..good }, 400, "XAmzContentSHA256Mismatch"),
        (Signed { time_ms: -901_000, ..good }, 403, "RequestTimeTooSkewed"),
        (Signed { time_ms: 902_000, ..good }, 403, "RequestTimeTooSkewed"),
    ] {
        assert_eq!(told(put(&fake, &client, &how)).await, (status, code.to_owned()));
    }
    // Five minutes are no reason.
    assert_eq!(told(put(&fake, &client, &Signed { time_ms: -301_000, ..good })).await.0, 200);
    let unsigned = put(&fake, &client, &good).header("x-amz-storage-class", "GLACIER");
    assert_eq!(told(unsigned).await, (403, "AccessDenied".to_owned()));
    let signed = Signed { headers: &[("x-amz-storage-class", "GLACIER")], ..good };
    assert_eq!(told(put(&fake, &client, &signed)).await.0, 200);
    let nobody = client.put(format!("{}/films/a", fake.endpoint())).body("film");
    assert_eq!(told(nobody).await.0, 403);
    assert_eq!(fake.unexpected(), Vec::<String>::new());
}

#[tokio::test]
async fn what_it_does_not_know_is_refused_and_told() {
    let (fake, client) = fake().await;
    let good = Signed { time_ms: 0, headers: &[], promised: b"film", body: b"film" };
    assert_eq!(told(put(&fake, &client, &good).header("x-strange", "1")).await.0, 501);
    let base: Url = format!("{}/films/a", fake.endpoint()).parse().unwrap();
    let of = |method: &str, query: &[(&str, &str)]| {
        keys(&fake).presign(&Wanted { method, base: &base, query, headers: &[] }, clock::now(), 60)
    };
    assert_eq!(told(client.get(of("GET", &[("torrent", "")]))).await.0, 501);
    assert_eq!(told(client.post(of("POST", &[("delete", "")]))).await.0, 501);
    assert_eq!(told(client.patch(of("PATCH", &[]))).await.0, 501);
    assert_eq!(fake.unexpected().len(), 4);
}

#[tokio::test]
async fn an_address_is_good_as_it_was_made_and_no_longer() {
    let (fake, client) = fake().await;
    let base: Url = format!("{}/films/a", fake.endpoint()).parse().unwrap();
    let keys = keys(&fake);
    let wanted = Wanted { method: "PUT", base: &base, query: &[], headers: &[] };
    let good = keys.presign(&wanted, clock::now(), 60).to_string();
    let sent = |url: String| told(client.put(url).body("film"));
    assert_eq!(sent(good.clone()).await.0, 200);
    assert_eq!(sent(good.replace("Expires=60", "Expires=604801")).await.0, 400, "longer than a week");
    let last = good.chars().last().unwrap();
    let other = if last == '0' { '1' } else { '0' };
    let changed = format!("{}{other}", &good[..good.len() - 1]);
    assert_eq!(sent(changed).await, (403, "SignatureDoesNotMatch".to_owned()));
    assert_eq!(sent(good[..good.len() - 1].to_owned()).await, (403, "SignatureDoesNotMatch".to_owned()));
    let late = keys.presign(&wanted, clock::now().plus(-61_000), 60).to_string();
    assert_eq!(sent(late).await, (403, "AccessDenied".to_owned()));
    let more = format!("{good}&versionId=1");
    assert_eq!(sent(more).await.0, 501, "a put has no version");
}

#[tokio::test]
async fn a_bucket_may_be_in_the_host() {
    let (fake, client) = fake().await;
    let base: Url = "http://films.s3.test/vid_1/a".parse().unwrap();
    let wanted = Wanted { method: "PUT", base: &base, query: &[], headers: &[] };
    let url = keys(&fake).presign(&wanted, clock::now(), 60);
    let here = url.as_str().replace("http://films.s3.test", &fake.endpoint());
    assert_eq!(told(client.put(&here).header("host", "films.s3.test").body("film")).await.0, 200);
    assert_eq!(&fake.bytes("vid_1/a").unwrap()[..], b"film");
    assert_eq!(told(client.put(&here).body("film")).await.0, 403, "another host");
}

#[tokio::test]
async fn checksums_and_conditions_go_as_the_service_has_them() {
    let body: &[u8] = b"film";
    let md5 = "x6cLpIlmrWzRNmM1jCSShQ==";
    for (profile, headers, expected) in [
        (Profile::Aws, ("x-amz-acl", "private"), 200),
        (Profile::B2, ("x-amz-acl", "private"), 501),
        (Profile::Aws, ("x-amz-checksum-sha256", "AAAA"), 400),
        (Profile::B2, ("x-amz-sdk-checksum-algorithm", "CRC32"), 400),
        (Profile::R2, ("content-md5", md5), 400),
        (Profile::Aws, ("if-none-match", "*"), 412),
        (Profile::R2, ("if-match", "\"no\""), 412),
        (Profile::B2, ("if-none-match", "*"), 501),
        (Profile::Garage, ("if-none-match", "*"), 200),
    ] {
        let fake = Fake::start(profile).await.unwrap();
        let store = S3::open(&fake.access(), "", None, QUICK).unwrap();
        crate::store::contract::put(&store, "a", b"before").await;
        let base: Url = format!("{}/films/a", fake.endpoint()).parse().unwrap();
        let wanted = Wanted { method: "PUT", base: &base, query: &[], headers: &[headers] };
        let url = keys(&fake).presign(&wanted, clock::now(), 60);
        let request = Client::new().put(url).header(headers.0, headers.1).body(body);
        assert_eq!(told(request).await.0, expected, "{profile:?} {headers:?}");
        store.remove("a", None).await.unwrap();
        assert_eq!(fake.unexpected(), Vec::<String>::new());
    }
}
