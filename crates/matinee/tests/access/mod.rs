//! Who may do what: newcomers, links, sessions, tokens, foreign pages and the addresses of media.

pub(crate) mod people;
mod routes;
mod senders;
mod tenants;
mod undescribed;

use reqwest::{Method, Response};
use serde_json::json;

use crate::support::invariants::here;
use crate::support::raw::Raw;
use crate::support::sender::{create, header, tus, upload};
use crate::support::server::{Place, Server};
use crate::support::{clips, until};

/// The secret of the administrator link that this start has printed.
async fn claim(server: &Server) -> String {
    until("the administrator link is printed", 10, async || {
        let said = server.said();
        Some(said.split_once("/claim#")?.1.split_whitespace().next()?.to_owned())
    })
    .await
}

/// The cookie of a browser that opens the administrator link.
async fn signed_in(server: &Server, secret: &str) -> Option<String> {
    let body = json!({ "token": secret });
    let response = server.request(Method::POST, "/v1/session").json(&body).send().await.unwrap();
    let cookie = header(&response, "set-cookie")?;
    assert!(cookie.contains("HttpOnly") && cookie.contains("SameSite"), "{cookie}");
    Some(cookie.split(';').next()?.to_owned())
}

/// Status of a request with this cookie or token.
async fn asked(server: &Server, method: Method, path: &str, (name, value): (&str, &str)) -> u16 {
    server.request(method, path).header(name, value).send().await.unwrap().status().as_u16()
}

async fn problem(response: Response) -> (u16, String) {
    let status = response.status().as_u16();
    assert_eq!(header(&response, "content-type"), Some("application/problem+json"));
    let body: serde_json::Value = response.json().await.unwrap();
    assert!(
        !body["detail"].as_str().unwrap().is_empty() && !body["fix"].as_str().unwrap().is_empty(),
        "{body}"
    );
    (status, body["code"].as_str().unwrap().to_owned())
}

#[tokio::test]
async fn the_link_makes_one_administrator_and_ends_the_time_of_newcomers() {
    let server = Server::start().await;
    let (_, about) = server.get("/v1/server").await;
    assert_eq!((&about["actor"]["kind"], &about["claimed"]), (&json!("newcomer"), &json!(false)));
    let sent = create(&server, 5, "n.bin").await;
    let secret = claim(&server).await;
    assert_eq!(signed_in(&server, "mtn_wrong").await, None);
    let cookie = signed_in(&server, &secret).await.expect("because the link is good once");
    assert_eq!(signed_in(&server, &secret).await, None, "a link is good only once");
    // Now somebody without a token is nobody.
    assert_eq!(server.get("/v1/videos").await.0, 401);
    assert_eq!(tus(&server, Method::HEAD, &sent.path).send().await.unwrap().status(), 401);
    assert_eq!(asked(&server, Method::GET, "/v1/videos", ("Cookie", &cookie)).await, 200);
    assert_eq!(asked(&server, Method::DELETE, "/v1/session", ("Cookie", &cookie)).await, 204);
    assert_eq!(asked(&server, Method::GET, "/v1/videos", ("Cookie", &cookie)).await, 401);
}

#[tokio::test]
async fn a_token_opens_what_its_scopes_name_and_nothing_else() {
    let server = Server::start().await;
    let secret = claim(&server).await;
    let cookie = signed_in(&server, &secret).await.unwrap();
    let body = json!({ "name": "reader", "scopes": ["video:read"] });
    let request = server.request(Method::POST, "/v1/tokens").header("Cookie", &cookie).json(&body);
    let made: serde_json::Value = request.send().await.unwrap().json().await.unwrap();
    let bearer = format!("Bearer {}", made["secret"].as_str().unwrap());
    let auth = ("Authorization", bearer.as_str());
    for (method, path, expected) in [
        (Method::GET, "/v1/videos", 200),
        (Method::GET, "/v1/jobs", 403),
        (Method::GET, "/v1/tokens", 403),
        (Method::POST, "/v1/uploads", 403),
        (Method::DELETE, "/v1/videos/vid_01jd3x00000000000000000000", 403),
        (Method::GET, "/v1/videos/vid_01jd3x00000000000000000000", 404),
        (Method::GET, "/v1/videos/nonsense", 404),
    ] {
        let mut request = server.request(method.clone(), path).header(auth.0, auth.1);
        if method == Method::POST {
            request = request.json(&json!({}));
        }
        assert_eq!(request.send().await.unwrap().status(), expected, "{method} {path}");
    }
    let upload = tus(&server, Method::POST, "/files/").header("Upload-Length", 5).header(auth.0, auth.1);
    assert_eq!(upload.send().await.unwrap().status(), 403);
    let list = server.request(Method::GET, "/v1/tokens").header("Cookie", &cookie).send().await.unwrap();
    assert!(!list.text().await.unwrap().contains(made["secret"].as_str().unwrap()), "a secret is shown once");
    let end = format!("/v1/tokens/{}", made["id"].as_str().unwrap());
    assert_eq!(asked(&server, Method::DELETE, &end, ("Cookie", &cookie)).await, 204);
    assert_eq!(asked(&server, Method::GET, "/v1/videos", auth).await, 401);
    assert_eq!(asked(&server, Method::GET, "/v1/videos", ("Authorization", "Bearer nonsense")).await, 401);
}

#[tokio::test]
async fn a_name_that_is_not_ours_is_not_answered() {
    let server = Server::with("hosts = [\"films.example\"]\n").await;
    let port = server.port;
    for (host, expected) in [
        ("evil.example".to_owned(), 421),
        (format!("evil.example:{port}"), 421),
        (format!("localhost.evil.example:{port}"), 421),
        ("localhost".to_owned(), 200),
        (format!("[::1]:{port}"), 200),
        ("films.example".to_owned(), 200),
    ] {
        let mut raw = Raw::connect(port).await;
        raw.head("GET", "/v1/server", &[("Host", &host), ("Connection", "close")]).await;
        let status = raw.answer().await.unwrap().status;
        let refused = if status == 200 { 200 } else { 421 };
        assert_eq!(refused, expected, "{host}: {status}");
    }
}

#[tokio::test]
async fn a_page_of_another_site_changes_nothing() {
    let server = Server::start().await;
    let sent = create(&server, 5, "x.bin").await;
    for (name, value) in
        [("Origin", "https://evil.example"), ("Origin", "null"), ("Sec-Fetch-Site", "cross-site")]
    {
        let post = tus(&server, Method::POST, "/files/").header("Upload-Length", 5).header(name, value);
        assert_eq!(problem(post.send().await.unwrap()).await, (403, "cross_site".to_owned()), "{value}");
        let delete = tus(&server, Method::DELETE, &sent.path).header(name, value);
        assert_eq!(delete.send().await.unwrap().status(), 403, "{value}");
    }
    let own = format!("http://127.0.0.1:{}", server.port);
    let delete = tus(&server, Method::DELETE, &sent.path)
        .header("Origin", own)
        .header("Sec-Fetch-Site", "same-origin");
    assert_eq!(delete.send().await.unwrap().status(), 204);
}

#[tokio::test]
async fn a_method_override_does_not_lead_past_the_guard() {
    let server = Server::start().await;
    let sent = create(&server, 5, "g.bin").await;
    let request = tus(&server, Method::GET, &sent.path).header("X-HTTP-Method-Override", "DELETE");
    let response = request.header("Origin", "https://evil.example").send().await.unwrap();
    assert_eq!(response.status(), 403);
    assert_eq!(tus(&server, Method::HEAD, &sent.path).send().await.unwrap().status(), 200);
}

#[tokio::test]
async fn other_machines_are_not_let_in_before_there_is_an_administrator() {
    let place = Place::new("").flags(&["--listen", "0.0.0.0:0"]);
    let mut running = place.spawn("open");
    assert_eq!(running.ended(30).await.code(), Some(1));
    let logged = running.logged();
    assert!(
        logged.contains("nobody administers it yet") && logged.contains("claim_from_outside"),
        "{logged}"
    );
    assert!(!running.said().contains("ready"));
}

#[tokio::test]
async fn a_media_address_opens_one_video_for_a_while() {
    let server = Server::start().await;
    let (one, two) = (clips::mp4(3), clips::faststart(3));
    let (one, two) = (upload(&server, &one, "1.mp4").await, upload(&server, &two, "2.mp4").await);
    let mut addresses = Vec::new();
    for sent in [&one, &two] {
        let path = format!("/v1/videos/{}/playback", sent.video);
        addresses.push(
            until("it is playable", 60, async || {
                let (status, body) = server.get(&path).await;
                (status == 200).then(|| here(&server, &body["hls"]))
            })
            .await,
        );
    }
    let status = async |url: &str| reqwest::get(url).await.unwrap().status().as_u16();
    assert_eq!(status(&addresses[0]).await, 200);
    assert_eq!(status(&addresses[0].replace(&one.video, &two.video)).await, 404, "another video");
    let token = addresses[0].split("/p/").nth(1).unwrap().split('/').next().unwrap();
    let mut changed = token.to_owned().into_bytes();
    changed[5] = if changed[5] == b'A' { b'B' } else { b'A' };
    let changed = addresses[0].replace(token, &String::from_utf8(changed).unwrap());
    assert_eq!(status(&changed).await, 404, "a changed token");
    assert_eq!(status(&addresses[0].replace(token, "x")).await, 404, "no token at all");
    let expired = expired(&server, &one.video);
    assert!(
        [403, 410].contains(&status(&addresses[0].replace(token, &expired)).await),
        "a token that is over"
    );
    // Pages of every site may play what an address opens, and nothing may run in it.
    let response = reqwest::get(&addresses[0]).await.unwrap();
    assert_eq!(header(&response, "access-control-allow-origin"), Some("*"));
    assert_eq!(header(&response, "x-content-type-options"), Some("nosniff"));
    assert!(header(&response, "content-security-policy").unwrap().contains("sandbox"));
}

/// A token with the server's own key that was good until a second ago.
fn expired(server: &Server, video: &str) -> String {
    use matinee_core::access::path::{Grant, Key, sign};
    let secret = std::fs::read(server.data().join("secrets/path-token.key")).unwrap();
    let key = Key { number: 1, secret: secret.try_into().unwrap() };
    let expires_s = u32::try_from(matinee_io::clock::now().0 / 1_000 - 1).unwrap();
    let grant =
        Grant { expires_s, download: true, source: true, origins: [0; 4], viewer: None, address: None };
    sign(&key, video.parse().unwrap(), &grant)
}
