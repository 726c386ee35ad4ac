//! What stores list beside their rows: what is ours and has no row, what is not ours, what is hidden, and what is missing.

use std::fs::File;
use std::sync::Arc;

use matinee_core::id::EntryId;
use matinee_core::maker::Maker;
use matinee_io::store::fake::{Call, Fake, Fault, Profile, Trouble};
use matinee_io::store::{PATIENCE, S3, Store, Untold};
use reqwest::Method;
use serde_json::{Value, json};

use super::{Stores, filmed, settled, told};
use crate::access::people::House;
use crate::hosts::unknown::maker;
use crate::support::server::Server;
use crate::support::tables::Tables;
use crate::support::until;

/// A store of the configuration in a bucket of a fake.
fn bucket(fake: &Fake, bucket: &str, more: &str) -> String {
    let access = fake.access();
    format!(
        "[[store]]\nname = \"bb\"\nkind = \"s3\"\nurl = \"s3://{bucket}/copies\"\nendpoint = \"{}\"\nregion = \"{}\"\n\
         access_key = \"{}\"\nsecret_key = \"{}\"\n{more}\n",
        fake.endpoint(),
        access.region,
        access.access_key,
        access.secret_key,
    )
}

/// The key of a copy that this maker has made two hours ago.
fn key(maker: &Maker) -> String {
    let then = matinee_io::clock::now().plus(-7_200_000);
    let copy: EntryId = maker.sign(EntryId::new(then, matinee_io::random::bytes()));
    format!("vid_1/source/{copy}")
}

fn proof(server: &Server, place: &str) -> Value {
    let lines = server.ask(&["gc", "prove", "--json"]);
    let mut all = lines.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    all.find(|one| one["place"] == place).unwrap()
}

/// Puts ten bytes into the bucket under a key, and hides them as somebody does who deletes without naming a version.
async fn hide(fake: &Fake, key: &str) {
    let store = S3::open(&fake.access(), "copies", None, PATIENCE).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("bytes");
    std::fs::write(&path, "ten bytes.").unwrap();
    store.put(key, Arc::new(File::open(path).unwrap()), 10, None, &Untold).await.unwrap();
    let address = store.presigned(key, &Method::DELETE, 60).unwrap();
    let client = crate::support::client().build().unwrap();
    assert_eq!(client.delete(address).send().await.unwrap().status(), 204);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_lies_in_stores_without_a_row_goes_after_two_days_if_it_is_ours() {
    let (stores, fake) = (Stores::new(), Fake::start(Profile::B2).await.unwrap());
    let both = stores.config("far", "delete_unknown = true\n") + &bucket(&fake, "films", "");
    let (server, _) = filmed(&format!("[copies]\nsource = 2\nrendition = 2\nsmall = 2\n{both}"), 2).await;
    settled(&server, "far", 60).await;
    settled(&server, "bb", 60).await;
    for place in ["far", "bb"] {
        let told = proof(&server, place);
        assert_eq!(
            (&told["holds"], &told["foreign"], &told["sort"]),
            (&json!(true), &json!(0), &json!("store"))
        );
        assert!(told["things"].as_u64().unwrap() > 3, "{told}");
    }
    let before = fake.inventory();
    let (ours, theirs) = (maker(&server), Maker::of(&[1; 32]));
    let (orphan, foreign, hidden) = (key(&ours), key(&theirs), key(&ours));
    for name in [orphan.as_str(), foreign.as_str(), "notes.txt"] {
        let path = stores.root("far").join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, "ten bytes.").unwrap();
    }
    hide(&fake, &hidden).await;

    let far = proof(&server, "far");
    assert_eq!(
        (&far["holds"], &far["foreign"], &far["orphan_bytes"]),
        (&json!(false), &json!(2), &json!(10))
    );
    assert_eq!(
        far["unknown"],
        json!([{ "name": orphan, "thing": "object", "size_bytes": 10, "first_seen_at": null }])
    );
    let bb = proof(&server, "bb");
    assert_eq!(
        (&bb["unknown"][0]["name"], &bb["unknown"][0]["thing"]),
        (&json!(hidden), &json!("version")),
        "{bb}"
    );
    let said = server.ask(&["gc"]);
    assert!(said.contains("wait until they were seen for two days: 2"), "{said}");
    assert!(stores.root("far").join(&orphan).exists());
    Tables::open(&server.data()).await.two_days_pass().await;
    let said = server.ask(&["gc"]);
    assert!(said.contains("to be deleted outside from now on: 2"), "{said}");
    until("both are gone", 60, async || {
        (!stores.root("far").join(&orphan).exists() && fake.inventory() == before).then_some(())
    })
    .await;
    assert!(stores.root("far").join(&foreign).exists() && stores.root("far").join("notes.txt").exists());
    until("the proof holds", 60, async || {
        (proof(&server, "far")["holds"] == true && proof(&server, "bb")["holds"] == true).then_some(())
    })
    .await;
    missing_is_made_again(&server, &stores).await;
    a_disk_that_is_away_proves_nothing(&server, &stores);
}

async fn missing_is_made_again(server: &Server, stores: &Stores) {
    let files = stores.files("far");
    let lost = files.keys().find(|path| path.to_str().unwrap().contains("/rendition/")).unwrap();
    std::fs::remove_file(lost).unwrap();
    let far = proof(server, "far");
    let name = far["missing"][0].as_str().unwrap();
    assert!(lost.ends_with(name), "{far}");
    let said = server.ask(&["gc"]);
    assert!(said.contains("made again, or asked for: 1"), "{said}");
    until("it is there again", 60, async || {
        (proof(server, "far")["holds"] == true && stores.files("far").len() == files.len()).then_some(())
    })
    .await;
}

fn a_disk_that_is_away_proves_nothing(server: &Server, stores: &Stores) {
    let (here, away) = (stores.root("far"), stores.root("elsewhere"));
    std::fs::rename(&here, &away).unwrap();
    let far = proof(server, "far");
    assert_eq!(
        (&far["holds"], far["unproven"].is_string(), &far["missing"]),
        (&json!(false), true, &Value::Null)
    );
    assert!(far["held"]["things"].as_u64().unwrap() > 3, "its rows are not gone: {far}");
    std::fs::rename(&away, &here).unwrap();
}

/// What the server tells of its last comparison of a store.
async fn compared(house: &House, place: &str) -> Value {
    let (code, told) = house.ask(&house.admin, Method::GET, "/v1/inventory", None).await;
    assert_eq!((code, &told["currency"]), (200, &json!("USD")), "{told}");
    told["items"].as_array().unwrap().iter().find(|one| one["place"] == place).unwrap().clone()
}

/// Has all places compared, and waits for what was found at this one after it was first seen with `before`.
async fn compared_now(house: &House, place: &str, before: &Value) -> Value {
    let asked = house.ask(&house.admin, Method::POST, "/v1/inventory/compare", None).await;
    assert_eq!(asked, (200, json!({ "places": 2 })));
    until("it is compared", 60, async || {
        let told = compared(house, place).await;
        (told["checked_at"] != before["checked_at"]).then_some(told)
    })
    .await
}

#[tokio::test]
async fn what_a_comparison_has_found_is_told_and_it_is_made_when_somebody_asks() {
    let stores = Stores::new();
    let prices = "[prices]\ncurrency = \"USD\"\n[prices.cards]\nfar = \"shelf\"\n[[card]]\nname = \"shelf\"\ndate = \"2026-11\"\nsource = \"mine\"\ncurrency = \"USD\"\nper_gb_stored = 1000000000.0\n";
    let both = stores.config("far", "delete_unknown = true\n") + &stores.config("near", "");
    let house = House::of(Server::with(&format!("{both}{prices}")).await).await;
    let first = until("both are compared", 60, async || {
        let told = compared(&house, "far").await;
        (told["checked_at"].is_string() && compared(&house, "near").await["checked_at"].is_string())
            .then_some(told)
    })
    .await;
    assert_eq!(
        (&first["found"]["holds"], &first["kept"], &first["sort"]),
        (&json!(true), &json!([]), &json!("store"))
    );

    let orphan = key(&maker(&house.server));
    for (place, name) in [("far", orphan.as_str()), ("far", "notes.txt"), ("near", orphan.as_str())] {
        let path = stores.root(place).join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, "ten bytes.").unwrap();
    }
    let far = compared_now(&house, "far", &first).await;
    let found = &far["found"];
    assert_eq!(
        (
            &found["holds"],
            &found["foreign"],
            &found["orphans"],
            &found["orphan_bytes"],
            &found["orphan_cost_month"]
        ),
        (&json!(false), &json!(1), &json!(1), &json!(10), &json!(10.0)),
        "{far}"
    );
    let kept = &far["kept"][0];
    assert_eq!((&kept["name"], &kept["thing"]), (&json!(orphan), &json!("object")));
    let two_days = |from: &Value| {
        matinee_core::calendar::read_time(from.as_str().unwrap()).unwrap().plus(2 * 86_400_000)
    };
    assert_eq!(kept["goes_at"], json!(matinee_core::calendar::time(two_days(&kept["first_seen_at"]))));
    let near = until("the other is compared, too", 60, async || {
        let near = compared(&house, "near").await;
        (near["kept"] != json!([])).then_some(near)
    })
    .await;
    assert_eq!(near["kept"][0]["goes_at"], Value::Null, "nobody has allowed it: {near}");

    // What is not there any more is told no more; what has waited for two days goes.
    std::fs::remove_file(stores.root("near").join(&orphan)).unwrap();
    Tables::open(&house.server.data()).await.two_days_pass().await;
    let far = compared_now(&house, "far", &far).await;
    assert_eq!((&far["found"]["owed"], &far["kept"]), (&json!(1), &json!([])), "{far}");
    until("the other forgets it", 60, async || {
        (compared(&house, "near").await["kept"] == json!([])).then_some(())
    })
    .await;
    std::fs::rename(stores.root("far"), stores.root("elsewhere")).unwrap();
    let away = compared_now(&house, "far", &far).await;
    assert_eq!(
        (&away["found"]["holds"], away["found"]["unproven"].is_string()),
        (&json!(false), true),
        "{away}"
    );
}

#[tokio::test]
async fn a_bucket_that_is_away_proves_nothing_gone() {
    // It does not know versions, so that every answer about a key is that of a bucket that is not there.
    let fake = Fake::start(Profile::Garage).await.unwrap();
    let (mut server, video) = filmed(&bucket(&fake, "films", ""), 2).await;
    settled(&server, "bb", 60).await;
    let there = fake.inventory().objects;
    assert!(server.terminate(30).await.success());
    server.configure(&bucket(&fake, "another", ""));
    let server = server.again().await;
    let deleted = server.request(Method::DELETE, &format!("/v1/videos/{video}")).send().await.unwrap();
    assert_eq!(deleted.status(), 204);
    until("the bucket was asked", 60, async || {
        told(&server, "bb").await["away_since"].is_string().then_some(())
    })
    .await;
    assert_eq!(
        Tables::open(&server.data()).await.owed_at("bb").await,
        there as u64,
        "nothing is proven gone"
    );
    server.configure(&bucket(&fake, "films", ""));
    let server = server.again().await;
    until("all is gone", 90, async || {
        let owed = Tables::open(&server.data()).await.owed_at("bb").await;
        (owed == 0 && fake.inventory().bytes == 0).then_some(())
    })
    .await;
}

/// Begins an upload in parts as a program does that is killed then.
async fn begin(fake: &Fake, key: &str) {
    let store = S3::open(&fake.access(), "copies", None, PATIENCE).unwrap();
    let file = tempfile::tempfile().unwrap();
    let size = (16 << 20) + 1;
    file.set_len(size).unwrap();
    fake.fail(Fault::always(Call::Part, Trouble::Capped));
    store.put(key, Arc::new(file), size, None, &Untold).await.unwrap_err();
    fake.mend();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn parts_that_everybody_has_forgotten_are_freed_a_day_later() {
    const TWO_DAYS_MS: i64 = 2 * 86_400_000;
    let fake = Fake::start(Profile::Aws).await.unwrap();
    let (mut server, _) = filmed(&bucket(&fake, "films", ""), 2).await;
    settled(&server, "bb", 60).await;
    let (ours, theirs) = (maker(&server), Maker::of(&[1; 32]));
    let (orphan, copied) = (key(&ours), fake.keys()[0]["copies/".len()..].to_owned());
    let bytes = fake.bytes(&fake.keys()[0]);
    begin(&fake, &key(&ours)).await;
    fake.pass_ms(-TWO_DAYS_MS);
    // The answer to the beginning of an upload was lost, and another one was begun and ended.
    for name in [orphan.as_str(), copied.as_str(), &key(&theirs), "notes.mov"] {
        begin(&fake, name).await;
    }
    fake.pass_ms(TWO_DAYS_MS);
    let told = proof(&server, "bb");
    let mut forgotten: Vec<_> =
        told["forgotten"].as_array().unwrap().iter().map(|one| one["name"].as_str().unwrap()).collect();
    forgotten.sort_unstable();
    let mut expected = [orphan.as_str(), copied.as_str()];
    expected.sort_unstable();
    assert_eq!(forgotten, expected, "{told}");
    assert_eq!(
        (&told["holds"], &told["foreign_uploads"], &told["young"]),
        (&json!(false), &json!(2), &json!(1)),
        "{told}"
    );
    assert_eq!(fake.inventory().uploads, 5, "a proof changes nothing");
    // The daily round.
    assert!(server.terminate(30).await.success());
    Tables::open(&server.data()).await.compare_all().await;
    let server = server.again().await;
    until("what is forgotten is freed", 60, async || (fake.inventory().uploads == 3).then_some(())).await;
    let shown = until("it is shown", 30, async || {
        let store = crate::copies::told(&server, "bb").await;
        let found = store["found"].to_string();
        found.contains("ended").then_some(found)
    })
    .await;
    assert!(shown.contains("2 unfinished uploads that nobody could go on with"), "{shown}");
    assert!(shown.contains("2 unfinished uploads of other programs, left alone"), "{shown}");
    assert_eq!(fake.bytes(&format!("copies/{copied}")), bytes, "the copy itself is as it was");
    assert_eq!(proof(&server, "bb")["holds"], true);
    assert_eq!(fake.unexpected(), Vec::<String>::new());
}
