//! Direct creator uploads: an address that is its own credential, with limits that hold to the end.

use matinee_core::access::path::Key;
use matinee_core::access::sender::{Grant, sign};
use reqwest::{Method, Response};
use serde_json::{Value, json};

use super::people::{House, path_of, told};
use super::problem;
use crate::support::invariants::nothing_remains;
use crate::support::sender::{header, offset, patch, tus};
use crate::support::tables::Tables;
use crate::support::{clips, until};

const SITE: &str = "https://app.example.org";

#[tokio::test]
async fn whoever_has_the_address_sends_one_upload_and_nothing_else() {
    let house = House::open().await;
    let backend = house.token(&["upload:write"]).await;
    let body = json!({ "file_name": "talk.mp4", "size_bytes": 10, "external_id": "talk-7",
                       "metadata": { "course": 7 }, "max_duration_s": 60 });
    let made = house.announce(&backend, body).await;
    assert_eq!((&made["state"], &made["metadata"]["course"]), (&json!("waiting"), &json!(7)));
    let path = path_of(&made["upload_url"]);
    let server = &house.server;
    let head = tus(server, Method::HEAD, &path).send().await.unwrap();
    assert_eq!((head.status().as_u16(), offset(&head)), (200, Some(0)));
    assert!(header(&head, "upload-expires").is_some());
    assert_eq!(patch(server, &path, 0, vec![1; 4]).await.status(), 204);
    assert_eq!(patch(server, &path, 4, vec![1; 6]).await.status(), 204);
    let shown = format!("/v1/uploads/{}", made["id"].as_str().unwrap());
    let (_, upload) = house.ask(&backend, Method::GET, &shown, None).await;
    assert!(["processing", "failed"].contains(&upload["state"].as_str().unwrap()), "{upload}");
    assert_eq!(upload["external_id"], "talk-7");
    // The address is no key to anything else.
    assert_eq!(server.get(&shown).await.0, 401);
    assert_eq!(
        tus(server, Method::POST, "/files/").header("Upload-Length", 1).send().await.unwrap().status(),
        401
    );
    // Who may only watch does not get to know it.
    let reader = house.token(&["video:read"]).await;
    let (code, upload) = house.ask(&reader, Method::GET, &shown, None).await;
    assert_eq!((code, &upload["upload_url"]), (200, &Value::Null));
    assert!(!house.server.logged().contains(path.trim_start_matches("/files/")), "no log shows it");
}

#[tokio::test]
async fn an_address_that_is_changed_guessed_or_over_opens_nothing() {
    let house = House::open().await;
    let made = house.announce(&house.admin, json!({ "size_bytes": 5 })).await;
    let other = house.announce(&house.admin, json!({ "size_bytes": 5 })).await;
    let path = path_of(&made["upload_url"]);
    let (front, back) = path.split_at(path.len() - 22);
    let foreign = format!("{front}{}", &path_of(&other["upload_url"])[path.len() - 22..]);
    let turned = format!("{front}{}", back.chars().rev().collect::<String>());
    let mut changed = path.clone().into_bytes();
    changed[20] = if changed[20] == b'A' { b'B' } else { b'A' };
    let key = std::fs::read(house.server.data().join("secrets/path-token.key")).unwrap();
    let key = Key { number: 1, secret: key.try_into().unwrap() };
    let grant = Grant {
        upload: made["id"].as_str().unwrap().parse().unwrap(),
        expires_s: u32::try_from(matinee_io::clock::now().0 / 1_000 - 1).unwrap(),
        max_bytes: 1 << 40,
    };
    let larger =
        format!("/files/{}", sign(&key, &Grant { expires_s: u32::MAX, max_bytes: u64::MAX, ..grant }));
    for wrong in
        [foreign, turned, String::from_utf8(changed).unwrap(), larger, format!("/files/{}", "A".repeat(62))]
    {
        for method in [Method::HEAD, Method::PATCH, Method::DELETE, Method::GET] {
            // An administrator's token does not make a wrong address a right one.
            let request = tus(&house.server, method.clone(), &wrong).bearer_auth(&house.admin);
            assert_eq!(request.send().await.unwrap().status(), 404, "{method} {wrong}");
        }
    }
    let over = sign(&key, &grant);
    Tables::open(&house.server.data()).await.give_address(&path["/files/".len()..], &over).await;
    for method in [Method::PATCH, Method::DELETE] {
        let request = tus(&house.server, method.clone(), &format!("/files/{over}"));
        assert_eq!(problem(request.send().await.unwrap()).await, (410, "upload_gone".to_owned()), "{method}");
    }
    let head = tus(&house.server, Method::HEAD, &format!("/files/{over}")).send().await.unwrap();
    assert_eq!((head.status().as_u16(), offset(&head)), (410, None));
}

#[tokio::test]
async fn only_pages_of_the_named_sites_may_send() {
    let house = House::open().await;
    let body = json!({ "size_bytes": 5, "allowed_origins": [SITE] });
    let path = path_of(&house.announce(&house.admin, body).await["upload_url"]);
    let plain = path_of(&house.announce(&house.admin, json!({ "size_bytes": 5 })).await["upload_url"]);
    let preflight = async |path: &str, origin: &str| -> Response {
        let request = house.server.request(Method::OPTIONS, path).header("Origin", origin);
        let request = request.header("Access-Control-Request-Method", "PATCH");
        let wanted = ("Access-Control-Request-Headers", "content-type,tus-resumable,upload-offset");
        request.header(wanted.0, wanted.1).send().await.unwrap()
    };
    let answer = preflight(&path, SITE).await;
    assert!(answer.status().is_success());
    assert_eq!(header(&answer, "access-control-allow-origin"), Some(SITE));
    assert!(header(&answer, "access-control-allow-methods").unwrap().contains("PATCH"));
    assert!(header(&answer, "access-control-allow-headers").unwrap().contains("Upload-Offset"));
    for (path, origin) in [(&path, "https://evil.example"), (&plain, SITE), (&path, "null")] {
        let answer = preflight(path, origin).await;
        assert_eq!(header(&answer, "access-control-allow-origin"), None, "{origin}");
        let sent =
            tus(&house.server, Method::PATCH, path).header("Origin", origin).header("Upload-Offset", 0);
        let sent = sent.header("Content-Type", "application/offset+octet-stream").body("bytes");
        assert_eq!(problem(sent.send().await.unwrap()).await, (403, "cross_site".to_owned()), "{origin}");
    }
    let sent = tus(&house.server, Method::PATCH, &path).header("Origin", SITE).header("Upload-Offset", 0);
    let sent = sent.header("Sec-Fetch-Site", "cross-site");
    let sent = sent.header("Content-Type", "application/offset+octet-stream").body("bytes");
    let answer = sent.send().await.unwrap();
    assert_eq!((answer.status().as_u16(), header(&answer, "access-control-allow-origin")), (204, Some(SITE)));
    assert!(header(&answer, "access-control-expose-headers").unwrap().contains("Upload-Offset"));
}

#[tokio::test]
async fn what_cannot_be_announced_says_why() {
    let house = House::open().await;
    let (_, stranger) = house.app("stranger", &["admin"]).await;
    let (_, foreign) =
        house.ask(&stranger, Method::POST, "/v1/collections", Some(json!({ "name": "theirs" }))).await;
    for (body, code, word) in [
        (json!({ "size_bytes": 10, "max_size_bytes": 9 }), 413, "payload_too_large"),
        (json!({ "size_bytes": u64::MAX }), 413, "payload_too_large"),
        (json!({ "pipeline": "cinema" }), 400, "bad_request"),
        (json!({ "metadata": { "x": "y".repeat(20_000) } }), 400, "bad_request"),
        (json!({ "metadata": [] }), 400, "bad_request"),
        (json!({ "external_id": "" }), 400, "bad_request"),
        (json!({ "expires_in_s": 5 }), 400, "bad_request"),
        (json!({ "allowed_origins": ["*"] }), 400, "bad_request"),
        (json!({ "collection": "nowhere" }), 404, "not_found"),
        (json!({ "collection": foreign["id"] }), 404, "not_found"),
        (json!({ "colection": "x" }), 400, "bad_request"),
    ] {
        let answer = house.with(&house.admin, Method::POST, "/v1/uploads").json(&body).send().await.unwrap();
        assert_eq!(problem(answer).await, (code, word.to_owned()), "{body}");
    }
}

#[tokio::test]
async fn the_same_announcement_twice_is_one_upload() {
    let house = House::open().await;
    let body = json!({ "size_bytes": 5, "external_id": "course-7", "metadata": { "a": [1, 2] } });
    let first = house.announce(&house.admin, body.clone()).await;
    let (code, again) = house.ask(&house.admin, Method::POST, "/v1/uploads", Some(body.clone())).await;
    assert_eq!((code, &again["id"], &again["upload_url"]), (200, &first["id"], &first["upload_url"]));
    let other = json!({ "size_bytes": 6, "external_id": "course-7" });
    let answer = house.with(&house.admin, Method::POST, "/v1/uploads").json(&other).send().await.unwrap();
    assert_eq!(problem(answer).await, (409, "conflict".to_owned()));
    let (_, stranger) = house.app("stranger", &["upload:write"]).await;
    house.announce(&stranger, body.clone()).await;
    let keyed = async |key: &str, body: &Value| {
        let request = house.with(&house.admin, Method::POST, "/v1/uploads").header("Idempotency-Key", key);
        told(request.json(body).send().await.unwrap()).await
    };
    let (code, one) = keyed("k", &json!({ "size_bytes": 5 })).await;
    let (again, two) = keyed("k", &json!({ "size_bytes": 5 })).await;
    assert_eq!((code, again, &one["id"]), (201, 200, &two["id"]));
    assert_eq!(keyed("k", &json!({ "size_bytes": 6 })).await.0, 409);
    assert_ne!(keyed("l", &json!({ "size_bytes": 5 })).await.1["id"], one["id"]);
    // A name is free again when nothing is left that has it.
    let path = format!("/v1/uploads/{}", first["id"].as_str().unwrap());
    assert_eq!(house.ask(&house.admin, Method::DELETE, &path, None).await.0, 204);
    let (_, ended) = house.ask(&house.admin, Method::GET, &path, None).await;
    assert_eq!((&ended["state"], &ended["reason"]["code"]), (&json!("cancelled"), &json!("cancelled")));
    assert!(!ended["reason"]["fix"].as_str().unwrap().is_empty());
    let fresh = house.announce(&house.admin, body).await;
    assert_ne!(fresh["id"], first["id"]);
}

#[tokio::test]
async fn a_video_that_is_longer_than_allowed_fails_and_nothing_remains() {
    let house = House::open().await;
    let clip = clips::faststart(3);
    let made = house.announce(&house.admin, json!({ "size_bytes": clip.len(), "max_duration_s": 2 })).await;
    let sent = patch(&house.server, &path_of(&made["upload_url"]), 0, clip.clone()).await;
    assert_eq!(sent.status(), 204);
    let shown = format!("/v1/uploads/{}", made["id"].as_str().unwrap());
    let failed = until("the video is refused", 60, async || {
        let (_, upload) = house.ask(&house.admin, Method::GET, &shown, None).await;
        (upload["state"] != "processing").then_some(upload)
    })
    .await;
    assert_eq!(
        (&failed["state"], &failed["reason"]["code"]),
        (&json!("failed"), &json!("too_long")),
        "{failed}"
    );
    nothing_remains(&house.server).await;
}
