//! An app with many videos that is deleted while a host is down for two days: answered at once, its end shown, and nothing left.

use std::path::Path;
use std::sync::Arc;

use futures_util::StreamExt as _;
use http::Method;
use matinee_core::access::sender::Allowance;
use matinee_core::id::AppId;
use matinee_core::upload::Way;
use matinee_io::db::app::first_collection;
use matinee_io::db::{Config, Db, Finish, NewPublication, NewUpload};
use matinee_io::host::fake::Fault;
use matinee_io::host::{self, Host, Wanted, bunny, cloudflare};
use matinee_io::random;
use serde_json::{Value, json};

use super::support::{Fakes, SOON_S, empty};
use crate::access::people::House;
use crate::support::invariants::object_path;
use crate::support::server::{Place, Server};
use crate::support::tables::Tables;
use crate::support::{times, until};

/// Videos in `cargo test`; `make chaos` sets `MATINEE_ERASED`.
const MANY: u64 = 60;
/// Of them at Cloudflare: that allows four requests a second, and 10,000 would take an hour.
const AT_CLOUDFLARE: u64 = 100;
/// Rows that are written at once.
const AT_ONCE: usize = 32;
/// Bytes of each file.
const BYTES: &[u8] = b"ten bytes.";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_app_goes_to_its_last_video_while_a_host_is_down_for_two_days() {
    let many = times("MATINEE_ERASED", MANY);
    let fakes = Fakes::start().await;
    fakes.cloudflare.buy(100_000);
    let House { mut server, admin } = House::at(Place::new(&fakes.config())).await;
    let made = ask(&server, &admin, Method::POST, "/v1/apps", Some(json!({ "name": "tenant" }))).await;
    let app: AppId = made.1["id"].as_str().unwrap().parse().unwrap();
    assert!(server.terminate(30).await.success());
    fill(&server.data(), &fakes, app, many).await;
    let things = many * 2 + many.min(AT_CLOUDFLARE);
    assert_eq!(Tables::open(&server.data()).await.owed().await, things);

    fakes.trouble("bn", "*", Fault::Status(503), u32::MAX);
    let server = server.again().await;
    let path = format!("/v1/apps/{app}");
    let (code, deletion) = ask(&server, &admin, Method::DELETE, &path, None).await;
    assert_eq!(code, 202, "{deletion}");
    fakes.frame("bn").clock().pass(2 * 86_400_000);
    let shown = until("all but what the host has is gone", SOON_S + many / 20, async || {
        let (_, shown) = ask(&server, &admin, Method::GET, &path, None).await;
        (fakes.there("cf").is_empty() && shown["left_outside"] == many).then_some(shown)
    })
    .await;
    assert!(shown["deleting_since"].is_string(), "{shown}");
    let job = format!("/v1/jobs/{}", deletion["job_id"].as_str().unwrap());
    let (_, job) = ask(&server, &admin, Method::GET, &job, None).await;
    assert_eq!(job["state"], "done", "the rest is the ledger's: {job}");
    assert_eq!(Tables::stored(&server.data()).len(), 0);
    assert_eq!(fakes.there("bn").len() as u64, many, "it is down");
    assert!(fakes.calls("bn", "delete") <= 2, "a host that is down is only asked whether it is back");

    fakes.frame("bn").calm();
    until("the host has nothing", SOON_S + many / 3, async || fakes.there("bn").is_empty().then_some(()))
        .await;
    empty(&server, &fakes).await;
    until("the app is gone", SOON_S, async || {
        (ask(&server, &admin, Method::GET, &path, None).await.0 == 404).then_some(())
    })
    .await;
    let mut tables = Tables::open(&server.data()).await;
    assert_eq!((tables.owed().await, tables.proven().await), (0, things), "each thing has its proof");
    // More than ten are looked at in one list.
    let looks = fakes.calls("bn", "status") as u64;
    assert!(looks <= many / 5 + 30, "{looks} looks at {many} videos");
    let proof = server.tell(&["gc", "prove"]);
    assert_eq!(proof.matches("each has its row").count(), 3, "{proof}");
    fakes.understood();
}

async fn ask(server: &Server, token: &str, method: Method, path: &str, body: Option<Value>) -> (u16, Value) {
    let request = server.request(method, path).bearer_auth(token);
    let request = if let Some(body) = body { request.json(&body) } else { request };
    crate::access::people::told(request.send().await.unwrap()).await
}

/// Puts videos into an app, straight into the tables: each with a file here and a film at the hosts.
async fn fill(data: &Path, fakes: &Fakes, app: AppId, many: u64) {
    let db = Db::open(&Config::Sqlite(data.join("matinee.db"))).await.unwrap();
    let hosts = [("bn", bunny(fakes)), ("cf", cloudflare(fakes))];
    let all = futures_util::stream::iter(0..many).for_each_concurrent(AT_ONCE, |number| {
        let (db, hosts) = (db.clone(), hosts.clone());
        async move {
            let (upload, now) = (upload(app), matinee_io::clock::now());
            db.create_upload(&upload).await.unwrap();
            let path = object_path(data, &upload.object.to_string());
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, BYTES).unwrap();
            let size = BYTES.len() as u64;
            let (id, probe_job, blake3) = (upload.id, random::id(), Some(*blake3::hash(BYTES).as_bytes()));
            let finish = Finish { id, epoch: None, size, blake3, slabs: Vec::new(), probe_job, now };
            db.finish_upload(&finish).await.unwrap();
            for (name, host) in hosts.iter().filter(|(name, _)| *name == "bn" || number < AT_CLOUDFLARE) {
                let new =
                    NewPublication { id: random::id(), app, video: upload.video, host: (*name).to_owned() };
                db.publish(&new, random::id(), now).await.unwrap();
                let mime = "video/mp4".to_owned();
                let wanted = Wanted { title: "film".to_owned(), size, duration_ms: Some(1_000), mime };
                let made = host.create(new.id, &wanted, now).await.unwrap();
                assert!(db.publication_made(new.id, (&made.id, None), now).await.unwrap());
            }
        }
    });
    all.await;
    Tables::open(data).await.all_is_done().await;
}

fn upload(app: AppId) -> NewUpload {
    let now = matinee_io::clock::now();
    NewUpload {
        id: random::id(),
        app,
        collection: first_collection(app),
        video: random::id(),
        object: random::id(),
        url_key: format!("{:032x}", u128::from_le_bytes(random::bytes())),
        way: Way::Tus,
        title: "film".to_owned(),
        metadata: String::new(),
        facts: json!({}),
        external_id: None,
        size: Some(BYTES.len() as u64),
        pipeline: "none".to_owned(),
        run_after: None,
        allowance: Allowance::default(),
        repeat_key: None,
        expires: now.plus(86_400_000),
        now,
    }
}

fn bunny(fakes: &Fakes) -> Arc<dyn Host> {
    let config = json!({
        "library": bunny::fake::LIBRARY, "api_key": bunny::fake::KEY, "read_only_key": bunny::fake::READ_ONLY_KEY,
        "pull_zone": "vz-1.b-cdn.net", "api": fakes.bunny.frame().url(),
    });
    host::open(host::Config::Bunny(serde_json::from_value(config).unwrap())).unwrap()
}

fn cloudflare(fakes: &Fakes) -> Arc<dyn Host> {
    let config = json!({
        "account": cloudflare::fake::ACCOUNT, "token": cloudflare::fake::TOKEN, "customer": "customer-1",
        "api": fakes.cloudflare.frame().url(),
    });
    host::open(host::Config::Cloudflare(serde_json::from_value(config).unwrap())).unwrap()
}
