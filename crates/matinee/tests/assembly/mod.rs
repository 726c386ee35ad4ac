//! Assemblies: pages and programs of Transloadit's protocol get what they expect, signed, told once, and whatever is killed.

mod fetched;
mod listen;

use hmac::{Hmac, KeyInit as _, Mac as _};
use http::Method;
use matinee_core::image::jpeg_size;
use serde_json::{Value, json};
use sha2::Sha384;

use crate::access::people::{House, told};
use crate::support::clips;
use crate::support::files::{Files, Manner};
use crate::support::invariants::{events_explain, here, nothing_dangles, nothing_runs};
use crate::support::receiver::{Message, Receiver};
use crate::support::sender::{created, header, tus};
use crate::support::server::{Place, Server};
use crate::support::until;

/// Seconds in which a small clip is encoded on a loaded machine.
const DONE_S: u64 = 180;
/// An hour of the far future, in the protocol's own form.
const LATER: &str = "2099/01/31 06:00:00+00:00";

/// A key with its secret.
struct Key {
    id: String,
    secret: String,
}

impl Key {
    async fn of(house: &House, token: &str) -> Self {
        let body = Some(json!({ "name": "a page" }));
        let (code, made) = house.ask(token, Method::POST, "/v1/assembly-keys", body).await;
        assert_eq!(code, 201, "{made}");
        let text = |name: &str| made[name].as_str().unwrap().to_owned();
        Self { id: text("id"), secret: text("secret") }
    }

    fn sign(&self, text: &str) -> String {
        let mut mac: Hmac<Sha384> = Hmac::new_from_slice(self.secret.as_bytes()).unwrap();
        mac.update(text.as_bytes());
        format!("sha384:{}", matinee_core::hash::hex(&mac.finalize().into_bytes()))
    }

    fn params(&self, more: &Value) -> String {
        let mut params = json!({ "auth": { "key": self.id, "expires": LATER } });
        params.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        params.to_string()
    }

    /// Makes an assembly of so many files.
    async fn assemble(&self, server: &Server, more: &Value, files: u32) -> (u16, Value) {
        let params = self.params(more);
        let signature = self.sign(&params);
        ask(server, "/assemblies", &[("params", params), ("signature", signature)], Some(files)).await
    }
}

/// Sends the form that makes an assembly.
async fn ask(
    server: &Server,
    path: &str,
    fields: &[(&'static str, String)],
    files: Option<u32>,
) -> (u16, Value) {
    let many = files.map(|files| ("num_expected_upload_files", files.to_string()));
    let parts = fields.iter().chain(&many).map(|(name, text)| {
        format!("--b\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{text}\r\n")
    });
    let body = parts.collect::<String>() + "--b--\r\n";
    let request =
        server.request(Method::POST, path).header("Content-Type", "multipart/form-data; boundary=b");
    told(request.body(body).send().await.unwrap()).await
}

/// The path of an address of this server.
fn path(address: &Value) -> String {
    let address = address.as_str().unwrap();
    let (_, rest) = address.split_once("://").unwrap();
    rest[rest.find('/').unwrap()..].to_owned()
}

/// Sends a file to an assembly as a page does; nobody else's credential comes along.
async fn send(server: &Server, assembly: &Value, name: &str, bytes: &[u8]) -> String {
    let made = announce(server, assembly, name, bytes.len()).await;
    assert_eq!(made.status(), 201);
    assert_eq!(header(&made, "access-control-allow-origin"), Some("*"));
    let sent = created(&made);
    let request = tus(server, Method::PATCH, &sent.path).header("Upload-Offset", 0);
    let request = request.header("Content-Type", "application/offset+octet-stream");
    let request = request.header("Origin", "https://page.example").body(bytes.to_vec());
    let answer = request.send().await.unwrap();
    assert_eq!(answer.status(), 204);
    assert_eq!(
        header(&answer, "access-control-allow-origin"),
        Some("https://page.example"),
        "its own site may go on"
    );
    sent.video
}

async fn announce(server: &Server, assembly: &Value, name: &str, len: usize) -> reqwest::Response {
    use base64::Engine as _;
    let text = |text: &str| base64::engine::general_purpose::STANDARD.encode(text);
    let url = assembly["assembly_url"].as_str().unwrap();
    let metadata = format!(
        "assembly_url {},filename {},fieldname {},name {},cat {}",
        text(url),
        text(name),
        text("file"),
        text(name),
        text("Tom")
    );
    let request = tus(server, Method::POST, &path(&assembly["tus_url"])).header("Upload-Length", len);
    request.header("Upload-Metadata", metadata).header("Origin", "https://page.example").send().await.unwrap()
}

async fn status(server: &Server, assembly: &Value) -> (u16, Value) {
    server.get(&path(&assembly["assembly_ssl_url"])).await
}

/// Waits for the end of an assembly.
async fn ended(server: &Server, assembly: &Value) -> Value {
    until("the assembly ends", DONE_S, async || {
        let (code, now) = status(server, assembly).await;
        assert_eq!(code, 200, "{now}");
        let busy = ["ASSEMBLY_UPLOADING", "ASSEMBLY_EXECUTING"].iter().any(|busy| now["ok"] == *busy);
        (!busy).then_some(now)
    })
    .await
}

fn place(port: u16) -> Place {
    Place::new(&format!("[ingest]\nallow_hosts = [\"127.0.0.1:{port}\"]\n[workers]\nidentical = false\n"))
}

/// Steps that are soon done.
fn small() -> Value {
    json!({ "steps": {
        ":original": { "robot": "/upload/handle" },
        "small": { "use": ":original", "robot": "/video/encode", "width": 320, "height": 180 },
        "stills": { "use": "small", "robot": "/video/thumbs", "count": 2, "width": 160, "height": 160 },
        "list": { "use": "small", "robot": "/video/adaptive", "technique": "hls" },
    } })
}

#[tokio::test]
async fn a_page_gets_what_its_steps_say_and_who_was_named_is_told_with_a_signature() {
    let (receiver, port) = Receiver::start(&[("/told", &[503, 200])]).await;
    let house = House::of(Server::at(place(port)).await).await;
    let key = Key::of(&house, &house.admin).await;
    let server = &house.server;
    let mut more = small();
    more["notify_url"] = json!(format!("http://127.0.0.1:{port}/told"));
    more["fields"] = json!({ "course": 7 });
    let (code, made) = key.assemble(server, &more, 2).await;
    assert_eq!((code, &made["ok"]), (200, &json!("ASSEMBLY_UPLOADING")), "{made}");
    assert_eq!((&made["uploads"], &made["results"]), (&json!([]), &json!({})), "{made}");
    for name in ["assembly_id", "assembly_url", "assembly_ssl_url", "tus_url", "websocket_url"] {
        assert!(!made[name].as_str().unwrap().is_empty(), "{name}");
    }
    let film = clips::mp4(2);
    send(server, &made, "one.mp4", &film).await;
    let (_, half) = status(server, &made).await;
    assert_eq!(
        (&half["ok"], half["uploads"].as_array().unwrap().len()),
        (&json!("ASSEMBLY_UPLOADING"), 1),
        "{half}"
    );
    send(server, &made, "two.mp4", &film).await;
    let done = ended(server, &made).await;
    assert_eq!(announce(server, &made, "three.mp4", 5).await.status(), 409, "it takes no more");
    assert_eq!(done["ok"], "ASSEMBLY_COMPLETED", "{done}");
    assert_eq!(done["fields"], json!({ "course": 7 }));
    let names: Vec<&Value> = done["uploads"].as_array().unwrap().iter().map(|one| &one["name"]).collect();
    assert_eq!(names, ["one.mp4", "two.mp4"], "in the order in which they came");
    assert_eq!(done["uploads"][0]["user_meta"], json!({ "cat": "Tom" }));
    for (step, many) in [(":original", 2), ("small", 2), ("stills", 4), ("list", 2)] {
        let files = done["results"][step].as_array().unwrap();
        assert_eq!(files.len(), many, "{step}: {done}");
        for file in files {
            let answer = server.http.get(here(server, &file["ssl_url"])).send().await.unwrap();
            assert_eq!(answer.status(), 200, "{file}");
        }
    }
    let small = &done["results"]["small"][0];
    assert_eq!((&small["name"], &small["meta"]["height"]), (&json!("one.mp4"), &json!(180)), "{small}");
    let source = server.http.get(here(server, &done["results"][":original"][0]["url"])).send().await.unwrap();
    assert_eq!(source.bytes().await.unwrap(), film);

    let calls = until("the end is told", DONE_S, async || {
        let calls = receiver.of("/told");
        (calls.len() == 2).then_some(calls)
    })
    .await;
    for call in &calls {
        let (text, signature) = notified(call);
        assert_eq!(signature, key.sign(&text));
        let said: Value = serde_json::from_str(&text).unwrap();
        assert_eq!((&said["ok"], &said["assembly_id"]), (&json!("ASSEMBLY_COMPLETED"), &made["assembly_id"]));
        assert_eq!(said["results"]["small"][0]["id"], small["id"], "the same id whoever tells it");
    }
    let after = until("that it was told is known", 30, async || {
        let (_, now) = status(server, &made).await;
        (now["notify_status"] == "successful").then_some(now)
    })
    .await;
    assert_eq!(after["notify_response_code"], 200);
    nothing_runs(server).await;
    nothing_dangles(server).await;
    events_explain(server).await;
}

/// The two fields of a notification.
fn notified(call: &Message) -> (String, String) {
    assert_eq!(call.header("content-type"), "application/x-www-form-urlencoded");
    let body = String::from_utf8(call.body.to_vec()).unwrap();
    let of = |name: &str| {
        let value = body.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('=')).unwrap();
        let mut bytes = Vec::new();
        let mut rest = value.bytes();
        while let Some(byte) = rest.next() {
            let digit = |byte: Option<u8>| char::from(byte.unwrap()).to_digit(16).unwrap();
            let high = (byte == b'%').then(|| digit(rest.next()));
            bytes.push(high.map_or(byte, |high| u8::try_from(high * 16 + digit(rest.next())).unwrap()));
        }
        String::from_utf8(bytes).unwrap()
    };
    (of("transloadit"), of("signature"))
}

#[tokio::test]
async fn who_did_not_sign_makes_nothing_and_is_told_the_word() {
    let house = House::open().await;
    let (_, stranger) = house.app("stranger", &["admin"]).await;
    let (key, other) = (Key::of(&house, &house.admin).await, Key::of(&house, &stranger).await);
    let server = &house.server;
    let good = key.params(&small());
    let signed = |params: &str| vec![("params", params.to_owned()), ("signature", key.sign(params))];
    let expired = good.replace("2099", "2019");
    let refused = async |fields: &[(&'static str, String)]| {
        let (code, said) = ask(server, "/assemblies", fields, Some(1)).await;
        assert_eq!(said["http_code"], code, "{said}");
        (code, said["error"].as_str().unwrap().to_owned())
    };
    for (fields, code, word) in [
        (vec![], 400, "NO_PARAMS_FIELD"),
        (vec![("params", "{".to_owned())], 400, "INVALID_PARAMS_FIELD"),
        (vec![("params", good.clone())], 400, "NO_SIGNATURE_FIELD"),
        (vec![("params", good.clone()), ("signature", other.sign(&good))], 401, "INVALID_SIGNATURE"),
        (
            vec![("params", good.replace("160", "161")), ("signature", key.sign(&good))],
            401,
            "INVALID_SIGNATURE",
        ),
        (signed(&expired), 401, "AUTH_EXPIRED"),
        (signed(&good.replace(&key.id, "nobody")), 401, "GET_ACCOUNT_UNKNOWN_AUTH_KEY"),
        (signed(&key.params(&json!({ "template_id": "nowhere" }))), 404, "TEMPLATE_NOT_FOUND"),
        (signed(&key.params(&json!({}))), 400, "ASSEMBLY_NO_STEPS"),
        (
            signed(&key.params(&json!({ "steps": { "a": { "robot": "/x" } } }))),
            400,
            "ASSEMBLY_STEP_UNKNOWN_ROBOT",
        ),
        (
            signed(&key.params(
                &json!({ "steps": { "a": { "robot": "/upload/handle" } }, "notify_url": "http://10.0.0.1/" }),
            )),
            400,
            "INVALID_PARAMS_FIELD",
        ),
    ] {
        assert_eq!(refused(&fields).await, (code, word.to_owned()), "{fields:?}");
    }
    let (code, said) = ask(server, "/assemblies", &signed(&good), None).await;
    assert_eq!((code, &said["error"]), (400, &json!("ASSEMBLY_INVALID_NUM_EXPECTED_UPLOAD_FILES_PARAM")));

    // A nonce counts once, an id is used once, and a key that is over makes nothing.
    let once = good.replace(LATER, &format!("{LATER}\",\"nonce\":\"n1"));
    assert_eq!(ask(server, "/assemblies", &signed(&once), Some(1)).await.0, 200);
    assert_eq!(refused(&signed(&once)).await, (401, "SIGNATURE_REUSE_DETECTED".to_owned()));
    let own = "/assemblies/0123456789abcdef0123456789abcdef";
    assert_eq!(ask(server, own, &signed(&good), Some(1)).await.1["assembly_id"], own[12..]);
    assert_eq!(ask(server, own, &signed(&good), Some(1)).await.1["error"], "DO_NOT_REUSE_ASSEMBLY_IDS");
    let end = format!("/v1/assembly-keys/{}", key.id);
    assert_eq!(house.ask(&stranger, Method::DELETE, &end, None).await.0, 404, "another app's");
    assert_eq!(house.ask(&house.admin, Method::DELETE, &end, None).await.0, 204);
    assert_eq!(refused(&signed(&good)).await, (401, "GET_ACCOUNT_UNKNOWN_AUTH_KEY".to_owned()));

    let secrets = std::fs::read(server.data().join("matinee.db")).unwrap();
    let log = std::fs::read(server.data().join("matinee.db-wal")).unwrap_or_default();
    for file in [secrets, log] {
        let found = file.windows(key.secret.len()).any(|bytes| bytes == key.secret.as_bytes());
        assert!(!found, "the secret is nowhere stored");
    }
}

#[tokio::test]
async fn the_template_of_cattube_gives_its_assets_under_their_names() {
    let example = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/cattube");
    let files = Files::start().await;
    let mark = files.put("/cat.png", std::fs::read(example.join("logo.png")).unwrap(), Manner::default());
    let stores = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let config = format!(
        "{}[workers]\nidentical = false\n\
         [[store]]\nname = \"backblaze-write-only\"\nkind = \"disk\"\npath = \"{}\"\n",
        files.allowed(),
        stores.path().display()
    );
    let house = House::of(Server::with(&config).await).await;
    let key = Key::of(&house, &house.admin).await;
    let server = &house.server;
    let mut template: Value =
        serde_json::from_str(&std::fs::read_to_string(example.join("assembly.json")).unwrap()).unwrap();
    template["steps"]["watermarked"]["watermark_url"] = json!(mark);
    let name = "0123456789abcdef0123456789abcdef";
    let put = format!("/v1/assembly-templates/{name}");
    let (code, kept) = house.ask(&house.admin, Method::PUT, &put, Some(template.clone())).await;
    assert_eq!((code, &kept["template"]), (200, &template), "{kept}");
    let (code, made) = key.assemble(server, &json!({ "template_id": name }), 1).await;
    assert_eq!(code, 200, "{made}");
    send(server, &made, "cat.mp4", &clips::mp4(2)).await;
    let done = ended(server, &made).await;
    assert_eq!(done["ok"], "ASSEMBLY_COMPLETED", "{done}");
    let results = done["results"].as_object().unwrap();
    let names: Vec<&String> = results.keys().collect();
    assert_eq!(names, [":original", "resized", "thumbnail", "watermarked"]);
    let get = async |step: &str| {
        let answer = server.http.get(here(server, &results[step][0]["ssl_url"])).send().await.unwrap();
        assert_eq!(answer.status(), 200, "{step}");
        answer.bytes().await.unwrap()
    };
    let (plain, marked) = (get("resized").await, get("watermarked").await);
    assert_ne!(plain, marked, "one has the cat");
    let size = jpeg_size(&get("thumbnail").await).unwrap();
    let (wide, tall) =
        (&results["thumbnail"][0]["meta"]["width"], &results["thumbnail"][0]["meta"]["height"]);
    assert_eq!((json!(size.0), json!(size.1)), (wide.clone(), tall.clone()));
    for (step, name) in [("watermarked", "cat.mp4"), ("thumbnail", "cat.jpg"), (":original", "cat.mp4")] {
        assert_eq!(results[step][0]["name"], name);
    }
    nothing_runs(server).await;
    nothing_dangles(server).await;
    events_explain(server).await;
}

#[tokio::test]
async fn an_assembly_that_is_ended_or_fails_says_so_and_leaves_nothing() {
    let house = House::open().await;
    let key = Key::of(&house, &house.admin).await;
    let server = &house.server;
    let (_, made) = key.assemble(server, &small(), 1).await;
    let announced = announce(server, &made, "one.mp4", 5).await;
    let upload = created(&announced);
    let end = path(&made["assembly_ssl_url"]);
    let (code, over) = told(server.request(Method::DELETE, &end).send().await.unwrap()).await;
    assert_eq!((code, &over["ok"]), (200, &json!("ASSEMBLY_CANCELED")), "{over}");
    assert_eq!(
        tus(server, Method::HEAD, &upload.path).send().await.unwrap().status(),
        404,
        "it was given up"
    );
    assert_eq!(announce(server, &made, "two.mp4", 5).await.status(), 409);

    let (_, made) = key.assemble(server, &small(), 1).await;
    send(server, &made, "no film.mp4", b"this is no film").await;
    let failed = ended(server, &made).await;
    assert_eq!((&failed["ok"], &failed["error"]), (&Value::Null, &json!("ASSEMBLY_CRASHED")), "{failed}");
    assert!(!failed["message"].as_str().unwrap().is_empty());

    let (_, none) = server.get("/assemblies/ffffffffffffffffffffffffffffffff").await;
    assert_eq!(none["error"], "ASSEMBLY_NOT_FOUND");
    // An app that goes takes its assemblies along.
    let (app, admin) = house.app("short", &["admin"]).await;
    let theirs = Key::of(&house, &admin).await;
    let (_, made) = theirs.assemble(server, &small(), 1).await;
    assert_eq!(house.ask(&house.admin, Method::DELETE, &format!("/v1/apps/{app}"), None).await.0, 202);
    assert_eq!(status(server, &made).await.0, 404);
    until("the app is forgotten", 60, async || {
        let (code, _) = house.ask(&house.admin, Method::GET, &format!("/v1/apps/{app}"), None).await;
        (code == 404).then_some(())
    })
    .await;
}
