//! Every route for every role and tenant (SEC2). A route that is in no table here, or a row without its route, fails.

use std::collections::BTreeSet;

use reqwest::Method;
use serde_json::{Value, json};

use super::people::{House, SCOPES, path_of, told};
use super::undescribed::UNDESCRIBED;
use crate::support::sender::{named, tus};
use crate::support::until;

/// Who may use a route.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Who {
    /// Everybody: the answer is the same for nobody and for an administrator.
    Everybody,
    /// Who has one of these scopes; `admin` has all.
    Has(&'static [&'static str]),
    /// Who administers the whole server.
    Server,
    /// A runner, and no person whatever their rights are.
    Runner,
}
use Who::{Everybody, Has, Runner, Server};

/// The routes of the OpenAPI document: who may, and a body that is right. `{id}` is filled by what the path is about.
/// Those that end something come last in their kind, because an administrator does them all in this order.
const DESCRIBED: &[(&str, Who, Option<&str>)] = &[
    ("GET /v1/server", Everybody, None),
    ("POST /v1/session", Everybody, Some(r#"{"token":"mat_nothing"}"#)),
    ("DELETE /v1/session", Everybody, None),
    ("GET /v1/tokens", Has(&["admin"]), None),
    ("POST /v1/tokens", Has(&["admin"]), Some(r#"{"name":"a","scopes":["video:read"]}"#)),
    ("DELETE /v1/tokens/{id}", Has(&["admin"]), None),
    ("GET /v1/apps", Server, None),
    ("POST /v1/apps", Server, Some(r#"{"name":"third"}"#)),
    ("GET /v1/apps/{id}", Has(&["admin"]), None),
    ("PATCH /v1/apps/{id}", Has(&["admin"]), Some(r#"{"quota_open_uploads":50}"#)),
    ("POST /v1/apps/{id}/tokens", Has(&["admin"]), Some(r#"{"name":"a","scopes":["video:read"]}"#)),
    ("GET /v1/collections", Has(&["upload:write", "video:read"]), None),
    ("POST /v1/collections", Has(&["video:write"]), Some(r#"{"name":"NEW"}"#)),
    ("GET /v1/collections/{id}", Has(&["upload:write", "video:read"]), None),
    ("PATCH /v1/collections/{id}", Has(&["video:write"]), Some(r#"{"name":"renamed"}"#)),
    ("GET /v1/collections/{id}/what-if", Has(&["admin"]), None),
    ("GET /v1/pipelines", Has(&["upload:write", "video:read"]), None),
    ("PUT /v1/pipelines/{name}", Has(&["admin"]), Some(r#"{"sizes":[240]}"#)),
    ("GET /v1/pipelines/{name}", Has(&["upload:write", "video:read"]), None),
    ("DELETE /v1/pipelines/{name}", Has(&["admin"]), None),
    ("GET /v1/uploads", Has(&["upload:write", "video:read"]), None),
    ("POST /v1/uploads", Has(&["upload:write"]), Some(r#"{"size_bytes":5}"#)),
    ("GET /v1/uploads/{id}", Has(&["upload:write", "video:read"]), None),
    ("DELETE /v1/uploads/{id}", Has(&["upload:write"]), None),
    ("POST /v1/ingest/path", Server, Some(r#"{"path":"/nowhere/a.mp4"}"#)),
    ("POST /v1/ingest/url", Has(&["upload:write"]), Some(r#"{"url":"https://example.org/a.mp4"}"#)),
    ("POST /v1/ingest/zoom", Everybody, None),
    ("GET /v1/assembly-keys", Has(&["admin"]), None),
    ("POST /v1/assembly-keys", Has(&["admin"]), Some(r#"{"name":"a page"}"#)),
    ("DELETE /v1/assembly-keys/{id}", Has(&["admin"]), None),
    ("GET /v1/assembly-templates", Has(&["admin"]), None),
    (
        "PUT /v1/assembly-templates/{name}",
        Has(&["admin"]),
        Some(r#"{"steps":{":original":{"robot":"/upload/handle"}}}"#),
    ),
    ("GET /v1/assembly-templates/{name}", Has(&["admin"]), None),
    ("DELETE /v1/assembly-templates/{name}", Has(&["admin"]), None),
    ("GET /v1/videos", Has(&["video:read"]), None),
    ("GET /v1/videos/{id}", Has(&["video:read"]), None),
    ("PATCH /v1/videos/{id}", Has(&["video:write"]), Some(r#"{"title":"renamed"}"#)),
    ("GET /v1/videos/{id}/playback", Has(&["video:read"]), None),
    ("PUT /v1/videos/{id}/poster", Has(&["video:write"]), Some(r#"{"at_s":1}"#)),
    ("GET /v1/videos/{id}/timeline", Has(&["video:read"]), None),
    ("GET /v1/videos/{id}/objects", Has(&["video:read"]), None),
    ("POST /v1/videos/{id}/encode", Has(&["video:write"]), Some("{}")),
    ("POST /v1/videos/{id}/plan", Has(&["video:read"]), Some("{}")),
    ("DELETE /v1/videos/{id}/encode", Has(&["video:write"]), None),
    (
        "PUT /v1/videos/{id}/captions/{caption}",
        Has(&["video:write"]),
        Some("WEBVTT\n\n00:01.000 --> 00:02.000\nHello"),
    ),
    ("DELETE /v1/videos/{id}/captions/{caption}", Has(&["video:write"]), None),
    ("POST /v1/videos/{id}/publications", Has(&["video:write"]), Some(r#"{"host":"nowhere"}"#)),
    ("DELETE /v1/videos/{id}/publications/{host}", Has(&["video:write"]), None),
    ("GET /v1/hosts", Has(&["video:read"]), None),
    ("POST /v1/hosts/{id}/test", Has(&["admin"]), None),
    ("PUT /v1/hosts/{id}/drain", Has(&["admin"]), Some("{}")),
    ("DELETE /v1/hosts/{id}/drain", Has(&["admin"]), None),
    ("POST /v1/hooks/{id}", Everybody, None),
    ("GET /v1/jobs", Has(&["job:read"]), None),
    ("PUT /v1/jobs/pause", Has(&["job:write"]), None),
    ("DELETE /v1/jobs/pause", Has(&["job:write"]), None),
    ("GET /v1/jobs/{id}", Has(&["job:read"]), None),
    ("PATCH /v1/jobs/{id}", Has(&["job:write"]), Some(r#"{"priority":5}"#)),
    // It tells of the job and holds bytes of the video: that needs two rights.
    ("GET /v1/jobs/{id}/reproducer", Has(&["admin"]), None),
    ("POST /v1/videos/{id}/renditions/{rendition}/retry", Has(&["job:write"]), None),
    ("GET /v1/ledger", Has(&["admin"]), None),
    ("POST /v1/ledger/retry", Has(&["admin"]), None),
    ("POST /v1/ledger/{id}/retry", Has(&["admin"]), None),
    ("GET /v1/inventory", Server, None),
    ("POST /v1/inventory/compare", Server, None),
    ("GET /v1/nodes", Has(&["job:read"]), None),
    ("PUT /v1/nodes/{id}/drain", Has(&["admin"]), None),
    ("DELETE /v1/nodes/{id}/drain", Has(&["admin"]), None),
    ("GET /v1/stores", Has(&["job:read"]), None),
    ("PUT /v1/stores/{id}/drain", Has(&["admin"]), None),
    ("DELETE /v1/stores/{id}/drain", Has(&["admin"]), None),
    ("GET /v1/costs", Has(&["admin"]), None),
    ("GET /v1/costs/cards", Has(&["admin"]), None),
    ("PUT /v1/costs/cards/{name}", Server, Some(r#"{"per_gb_stored":0.1}"#)),
    ("DELETE /v1/costs/cards/{name}", Server, None),
    ("POST /v1/jobs/{id}/retry", Has(&["job:write"]), None),
    ("POST /v1/jobs/{id}/cancel", Has(&["job:write"]), None),
    ("GET /v1/events", Has(&["video:read"]), None),
    ("GET /v1/events/stream", Has(&["video:read"]), None),
    ("GET /v1/webhooks", Has(&["admin"]), None),
    ("POST /v1/webhooks", Has(&["admin"]), Some(r#"{"url":"http://127.0.0.1:9/"}"#)),
    ("GET /v1/webhooks/{id}", Has(&["admin"]), None),
    ("PATCH /v1/webhooks/{id}", Has(&["admin"]), Some(r#"{"topics":["video.*"]}"#)),
    ("GET /v1/webhooks/{id}/deliveries", Has(&["admin"]), None),
    ("POST /v1/webhooks/{id}/replay", Has(&["admin"]), Some(r#"{"since":"2026-11-21T10:00:00Z"}"#)),
    ("POST /v1/webhooks/{id}/secret", Has(&["admin"]), None),
    ("POST /v1/webhooks/{id}/test", Has(&["admin"]), None),
    ("DELETE /v1/webhooks/{id}", Has(&["admin"]), None),
    ("GET /v1/runners", Server, None),
    ("POST /v1/runners", Server, Some(r#"{"name":"attic"}"#)),
    ("POST /v1/runners/{id}/drain", Server, None),
    ("POST /v1/runners/{id}/undrain", Server, None),
    ("DELETE /v1/runners/{id}", Server, None),
    (
        "POST /v1/runner/register",
        Everybody,
        Some(r#"{"registration_token":"mat_nothing","nonce":"","report":{}}"#),
    ),
    ("POST /v1/runner/claim", Runner, Some(r#"{"run":"1","holding":[],"leaving":true,"report":REPORT}"#)),
    ("POST /v1/lease/{id}/renew", Runner, Some(r#"{"attempt":1,"token":"00"}"#)),
    ("POST /v1/lease/{id}/complete", Runner, Some(r#"{"attempt":1,"token":"00","outputs":[]}"#)),
    ("POST /v1/lease/{id}/fail", Runner, Some(r#"{"attempt":1,"token":"00","class":"world"}"#)),
    ("DELETE /v1/videos/{id}", Has(&["video:write"]), None),
    ("DELETE /v1/collections/{id}", Has(&["video:write"]), None),
    ("DELETE /v1/apps/{id}", Has(&["admin"]), None),
];

/// What the administrator's app has, by what a path is about; and the same of nobody.
struct Things {
    mine: Vec<(&'static str, String)>,
    absent: Vec<(&'static str, &'static str)>,
}

impl Things {
    fn fill(&self, path: &str, real: bool) -> String {
        let kind = path.split('/').nth(2).unwrap();
        let id = if real {
            self.mine.iter().find(|(about, _)| *about == kind).map(|(_, id)| id.as_str())
        } else {
            self.absent.iter().find(|(about, _)| *about == kind).map(|(_, id)| *id)
        };
        if path.contains("{id}") {
            let id = id.unwrap_or_else(|| panic!("say in `Things` which thing {path} is about"));
            path.replace("{id}", id)
                .replace("{caption}", "en")
                .replace("{rendition}", "h264-720")
                .replace("{host}", "nowhere")
        } else {
            // Every app has a pipeline of this name, its own or the one that is built in.
            path.replace("{name}", "default")
        }
    }
}

async fn things(house: &House) -> Things {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let server = &house.server;
    let create = tus(server, Method::POST, "/files/").bearer_auth(&house.admin);
    let create = create.header("Upload-Length", 5).header("Upload-Metadata", named("a.bin"));
    let create = create.header("Content-Type", "application/offset+octet-stream").body("bytes");
    let created = create.send().await.unwrap();
    assert_eq!(created.status(), 201);
    let video = created.headers()["matinee-video"].to_str().unwrap().to_owned();
    let jobs = format!("/v1/jobs?video={video}");
    let job = until("the video is looked at", 60, async || {
        let (_, told) = house.ask(&house.admin, Method::GET, &jobs, None).await;
        let job = told["items"].get(0)?;
        (job["state"] == "dead").then(|| text(&job["id"]))
    })
    .await;
    let (_, tokens) = house.ask(&house.admin, Method::GET, "/v1/tokens", None).await;
    let session = tokens["items"].as_array().unwrap().iter().find(|token| token["kind"] == "session");
    let (app, _) = house.app("victim", &["admin"]).await;
    let body = Some(json!({ "name": "films" }));
    let (_, collection) = house.ask(&house.admin, Method::POST, "/v1/collections", body).await;
    let upload = house.announce(&house.admin, json!({ "size_bytes": 5 })).await;
    let (_, nodes) = house.ask(&house.admin, Method::GET, "/v1/nodes", None).await;
    let (_, ledger) = house.ask(&house.admin, Method::GET, "/v1/ledger", None).await;
    Things {
        mine: vec![
            ("videos", video),
            ("jobs", job),
            ("tokens", text(&session.unwrap()["id"])),
            ("apps", app),
            ("collections", text(&collection["id"])),
            ("uploads", text(&upload["id"])),
            ("runners", runner(house).await.0),
            // Nobody listens there.
            ("webhooks", made(house, "/v1/webhooks", json!({ "url": "http://127.0.0.1:9/" })).await),
            ("assembly-keys", made(house, "/v1/assembly-keys", json!({ "name": "a page" })).await),
            ("lease", "job_01jd3x00000000000000000000".to_owned()),
            ("nodes", text(&nodes["items"][0]["id"])),
            ("ledger", text(&ledger["items"][0]["id"])),
            ("hosts", "nowhere".to_owned()),
            ("stores", "nowhere".to_owned()),
            ("hooks", "nowhere".to_owned()),
        ],
        absent: vec![
            ("videos", "vid_01jd3x00000000000000000000"),
            ("jobs", "job_01jd3x00000000000000000000"),
            ("tokens", "tok_01jd3x00000000000000000000"),
            ("apps", "app_01jd3x00000000000000000000"),
            ("collections", "col_01jd3x00000000000000000000"),
            ("uploads", "upl_01jd3x00000000000000000000"),
            ("runners", "rnr_01jd3x00000000000000000000"),
            ("webhooks", "whk_01jd3x00000000000000000000"),
            ("assembly-keys", "aky_01jd3x00000000000000000000"),
            ("lease", "job_01jd3x00000000000000000000"),
            ("nodes", "nowhere"),
            ("ledger", "led_01jd3x00000000000000000000"),
            ("hosts", "nowhere"),
            ("stores", "nowhere"),
            ("hooks", "nowhere"),
        ],
    }
}

/// Makes something of the administrator's app; its id.
async fn made(house: &House, path: &str, body: Value) -> String {
    let (code, made) = house.ask(&house.admin, Method::POST, path, Some(body)).await;
    assert_eq!(code, 201, "{made}");
    made["id"].as_str().unwrap().to_owned()
}

/// A runner; its id and its token.
async fn runner(house: &House) -> (String, String) {
    let (code, made) =
        house.ask(&house.admin, Method::POST, "/v1/runners", Some(json!({ "name": "attic" }))).await;
    assert_eq!(code, 201, "{made}");
    let report: Value = serde_json::from_str(REPORT).unwrap();
    let body = json!({
        "registration_token": made["registration_token"], "nonce": "0".repeat(32), "report": report,
    });
    let request = house.server.request(Method::POST, "/v1/runner/register").json(&body);
    let (code, made) = told(request.send().await.unwrap()).await;
    assert_eq!(code, 200, "{made}");
    let text = |name: &str| made[name].as_str().unwrap().to_owned();
    (text("id"), text("token"))
}

/// What a runner says of its machine.
const REPORT: &str =
    r#"{"protocol":1,"encoders":["libx264","libvpx-vp9","libsvtav1","libx265","aac","libopus"],"slots":1}"#;

/// Sends one row; what is made gets a name of its own.
async fn send(
    house: &House,
    token: Option<&str>,
    row: &str,
    path: &str,
    body: Option<&str>,
) -> (u16, String) {
    let method: Method = row.split(' ').next().unwrap().parse().unwrap();
    let mut request = house.server.request(method, path);
    if let Some(token) = token {
        request = request.bearer_auth(token);
    }
    if let Some(body) = body {
        let own = format!("n{}", blake3::hash(token.unwrap_or_default().as_bytes()).to_hex());
        request = request
            .header("Content-Type", "application/json")
            .body(body.replace("NEW", &own).replace("REPORT", REPORT));
    }
    let response = request.send().await.unwrap();
    let code = response.status().as_u16();
    // A stream of events does not end.
    let text = if path.ends_with("/stream") { String::new() } else { response.text().await.unwrap() };
    (code, text)
}

#[tokio::test]
async fn every_route_is_in_a_table_and_every_row_is_a_route() {
    let house = House::open().await;
    let (_, document) = house.server.get("/v1/openapi.json").await;
    let mut described = BTreeSet::new();
    for (path, methods) in document["paths"].as_object().unwrap() {
        let methods = methods.as_object().unwrap().keys();
        described.extend(methods.map(|method| format!("{} {path}", method.to_uppercase())));
    }
    let known: BTreeSet<_> = DESCRIBED.iter().map(|(row, _, _)| (*row).to_owned()).collect();
    assert_eq!(described, known, "say who may use it in `DESCRIBED`");
    // The router itself: what is not described must be listed with its reason, and nothing is added in another way.
    let source = include_str!("../../src/http/mod.rs");
    let mut routed = BTreeSet::new();
    for rest in source.split(".route(").skip(1) {
        routed.insert(rest.split('"').nth(1).unwrap());
    }
    let known: BTreeSet<_> = UNDESCRIBED.iter().map(|(path, _, _)| *path).collect();
    assert_eq!(routed, known, "say in `UNDESCRIBED` why it is not described");
    for other_way in [".nest(", ".route_service(", ".nest_service("] {
        assert!(!source.contains(other_way), "{other_way} hides routes from this test");
    }
    assert_eq!(
        source.matches(".merge(").count(),
        5,
        "one router for viewers, one for who signs, one for videos, one for runners, one for the rest"
    );
}

#[tokio::test]
async fn a_right_opens_its_routes_and_no_others() {
    let house = House::open().await;
    let things = things(&house).await;
    for (row, who, body) in DESCRIBED {
        let path = row.split(' ').nth(1).unwrap();
        let real = things.fill(path, true);
        let (nobody, _) = send(&house, None, row, &real, *body).await;
        if *who == Everybody {
            let (admin, _) = send(&house, Some(&house.admin), row, &real, *body).await;
            assert_eq!(nobody, admin, "{row}");
            continue;
        }
        assert_eq!(nobody, 401, "{row} without a token, when newcomers are no longer welcome");
        for wrong in ["", "mat_", "mat_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", "\"; DROP TABLE token"] {
            assert_eq!(send(&house, Some(wrong), row, &real, *body).await.0, 401, "{row} with {wrong:?}");
        }
    }
    for scope in SCOPES {
        let token = house.token(&[scope]).await;
        for (row, who, body) in DESCRIBED {
            let may = match who {
                Everybody => continue,
                Has(scopes) => scope == "admin" || scopes.contains(&scope),
                Server => scope == "admin",
                Runner => false,
            };
            // A thing that is not there: so nothing is changed, and 404 says that the right was there.
            let path = things.fill(row.split(' ').nth(1).unwrap(), false);
            let (code, text) = send(&house, Some(&token), row, &path, *body).await;
            if may {
                let expected =
                    if row.contains("{id}") { code == 404 } else { !matches!(code, 401 | 403 | 404) };
                // The name that an app has is taken when the administrator of the next role asks again.
                assert!(expected && code < 500, "{row} with {scope}: {code} {text}");
            } else {
                let expected = if *who == Runner { 401 } else { 403 };
                assert_eq!(code, expected, "{row} with {scope}: {text}");
            }
        }
    }
}

#[tokio::test]
async fn what_belongs_to_another_app_is_not_there() {
    let house = House::open().await;
    let things = things(&house).await;
    let (_, stranger) = house.app("stranger", &["admin"]).await;
    let before = seen(&house, &things).await;
    for (row, who, body) in DESCRIBED {
        if *who == Everybody {
            continue;
        }
        let path = things.fill(row.split(' ').nth(1).unwrap(), true);
        let (code, text) = send(&house, Some(&stranger), row, &path, *body).await;
        if *who == Runner {
            assert_eq!(code, 401, "{row}: {text}");
        } else if row.contains("{id}") {
            assert_eq!(code, 404, "{row}: {text}");
        } else if *who == Server {
            assert_eq!(code, 403, "{row}: {text}");
        } else {
            assert!(code < 300, "{row}: {code} {text}");
        }
        for (_, id) in &things.mine {
            assert!(!text.contains(id.as_str()), "{row} tells another app's {id}: {text}");
        }
    }
    assert_eq!(seen(&house, &things).await, before, "and nothing of it was changed");
    // The right of a sender is no right to anything else.
    let upload = house.announce(&house.admin, json!({ "size_bytes": 5 })).await;
    let sender = path_of(&upload["upload_url"]).replace("/files/", "");
    for (row, who, body) in DESCRIBED {
        if *who != Everybody {
            let path = things.fill(row.split(' ').nth(1).unwrap(), true);
            assert_eq!(send(&house, Some(&sender), row, &path, *body).await.0, 401, "{row}");
        }
    }
    // And the administrator may do all of it with what is there.
    for (row, who, body) in DESCRIBED {
        let path = things.fill(row.split(' ').nth(1).unwrap(), true);
        let (code, text) = send(&house, Some(&house.admin), row, &path, *body).await;
        if *who == Runner {
            assert_eq!(code, 401, "{row}: an administrator is no runner: {text}");
            continue;
        }
        // No session to end, no Zoom to hear of, no host and no store but the data directory.
        let nothing = [
            "/v1/session",
            "/v1/ingest/zoom",
            "/v1/runner/register",
            "/publications/{host}",
            "/v1/hosts/{id}/test",
            "/v1/hosts/{id}/drain",
            "/v1/stores/{id}/drain",
            "/v1/hooks/{id}",
        ];
        let nothing = nothing.iter().any(|it| row.ends_with(it));
        assert!(nothing || !matches!(code, 401 | 403 | 404) && code < 500, "{row}: {code} {text}");
    }
}

#[tokio::test]
async fn the_token_of_a_runner_opens_what_is_for_runners_and_nothing_else() {
    let house = House::open().await;
    let things = things(&house).await;
    let (id, token) = runner(&house).await;
    for (row, who, body) in DESCRIBED {
        let path = things.fill(row.split(' ').nth(1).unwrap(), true);
        let (code, text) = send(&house, Some(&token), row, &path, *body).await;
        match who {
            Everybody => {}
            Runner => assert!([204, 409].contains(&code), "{row}: {code} {text}"),
            Has(_) | Server => assert_eq!(code, 401, "{row}: {text}"),
        }
    }
    let uploads = tus(&house.server, Method::POST, "/files/").header("Upload-Length", 5).bearer_auth(&token);
    assert_eq!(uploads.send().await.unwrap().status(), 401);
    let end = format!("/v1/runners/{id}");
    assert_eq!(house.ask(&house.admin, Method::DELETE, &end, None).await.0, 204);
    let claim = DESCRIBED.iter().find(|(row, ..)| row.ends_with("/claim")).unwrap();
    assert_eq!(send(&house, Some(&token), claim.0, "/v1/runner/claim", claim.2).await.0, 401, "revoked");
}

/// What the administrator sees of each thing.
async fn seen(house: &House, things: &Things) -> Vec<Value> {
    let mut all = Vec::new();
    for kind in ["videos", "uploads", "collections", "apps"] {
        let path = things.fill(&format!("/v1/{kind}/{{id}}"), true);
        all.push(house.ask(&house.admin, Method::GET, &path, None).await.1);
    }
    all
}

#[tokio::test]
async fn what_is_not_described_is_closed_all_the_same() {
    let house = House::open().await;
    for (path, nobody, why) in UNDESCRIBED {
        let path = path.replace("{key}", "00000000000000000000000000000000").replace("{generation}", "1");
        let path = path.replace("{video}", "vid_01jd3x00000000000000000000").replace(['{', '}'], "");
        let request = tus(&house.server, Method::GET, &path);
        assert_eq!(request.send().await.unwrap().status(), *nobody, "{path}: {why}");
    }
}

#[tokio::test]
async fn uploads_have_their_own_table() {
    let house = House::open().await;
    let (_, stranger) = house.app("stranger", &["upload:write"]).await;
    let (writer, reader) = (house.token(&["upload:write"]).await, house.token(&["video:read"]).await);
    let announced = house.announce(&writer, json!({ "size_bytes": 5 })).await;
    let sender = path_of(&announced["upload_url"]).replace("/files/", "");
    let create = |token: Option<&str>| {
        let request = tus(&house.server, Method::POST, "/files/").header("Upload-Length", 5);
        if let Some(token) = token { request.bearer_auth(token) } else { request }
    };
    for (token, expected) in [(None, 401), (Some(&reader), 403), (Some(&sender), 401), (Some(&writer), 201)] {
        let answer = create(token.map(String::as_str)).send().await.unwrap();
        assert_eq!(answer.status(), expected, "{token:?}");
        let form = house.server.request(Method::POST, "/upload");
        let form = if let Some(token) = token { form.bearer_auth(token) } else { form };
        let boundary = ("Content-Type", "multipart/form-data; boundary=b");
        let body =
            "--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a\"\r\n\r\nx\r\n--b--\r\n";
        let answer = form.header(boundary.0, boundary.1).body(body).send().await.unwrap();
        let code = answer.status().as_u16();
        assert!(if expected == 201 { code < 400 } else { code == expected }, "form {token:?}: {code}");
    }
    let made = create(Some(&writer)).send().await.unwrap();
    let location = Value::String(made.headers()["location"].to_str().unwrap().to_owned());
    let path = path_of(&location);
    let roles = [(None, 401), (Some(&reader), 403), (Some(&stranger), 404), (Some(&sender), 401)];
    for (token, expected) in roles {
        for method in [Method::HEAD, Method::PATCH, Method::DELETE] {
            let request = tus(&house.server, method.clone(), &path).header("Upload-Offset", 0);
            let request = request.header("Content-Type", "application/offset+octet-stream").body("bytes");
            let request = if let Some(token) = token { request.bearer_auth(token) } else { request };
            assert_eq!(request.send().await.unwrap().status(), expected, "{method} {token:?}");
        }
    }
    let still = tus(&house.server, Method::HEAD, &path).bearer_auth(&writer).send().await.unwrap();
    assert_eq!(told(still).await.0, 200);
}
