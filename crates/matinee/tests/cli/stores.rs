//! `matinee stores`, against services that are imitated in this process.

use matinee_io::store::fake::{Call, Fake, Fault, Inventory, Profile, SECRET_KEY, Trouble};

use super::{Server, code, complaint, folder, json_lines, matinee, text};
use crate::support::until;

/// The configuration of a store at this service.
fn section(name: &str, fake: &Fake) -> String {
    let access = fake.access();
    format!(
        "[[store]]\nname = \"{name}\"\nkind = \"s3\"\nurl = \"s3://{}/copies\"\nendpoint = \"{}\"\nregion = \"{}\"\n\
         access_key = \"{}\"\nsecret_key_file = \"key\"\n",
        access.bucket,
        fake.endpoint(),
        access.region,
        access.access_key
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_is_tried_in_plain_words_and_nothing_stays_in_it() {
    let dir = folder();
    let far = Fake::start(Profile::B2).await.unwrap();
    std::fs::write(dir.path().join("key"), SECRET_KEY).unwrap();
    std::fs::create_dir(dir.path().join("cellar")).unwrap();
    let cellar = "[[store]]\nname = \"cellar\"\nkind = \"disk\"\npath = \"cellar\"\n";
    std::fs::write(dir.path().join("matinee.toml"), format!("{cellar}{}", section("far", &far))).unwrap();
    let listed = json_lines(&matinee(dir.path(), &["stores", "--json"]));
    let names: Vec<_> = listed.iter().map(|store| store["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["cellar", "far"]);
    assert!(listed.iter().all(|store| store["answers"] == true), "{listed:?}");
    for name in names {
        let tried = matinee(dir.path(), &["stores", "test", name]);
        assert_eq!(code(&tried), 0, "{}{}", text(&tried), complaint(&tried));
        assert!(text(&tried).contains("This store does what matinee needs."), "{}", text(&tried));
    }
    let told = json_lines(&matinee(dir.path(), &["stores", "test", "far", "--json"]));
    assert_eq!(told.last().unwrap()["facts"]["versioned_deletes"], true);
    assert_eq!(far.inventory(), Inventory::default());
    assert_eq!(far.unexpected(), Vec::<String>::new());
    assert_eq!(std::fs::read_dir(dir.path().join("cellar")).unwrap().count(), 0);
    let unknown = matinee(dir.path(), &["stores", "test", "attic"]);
    assert_eq!(code(&unknown), 4);
    let shown = matinee(dir.path(), &["config", "show"]);
    assert!(text(&shown).contains("cellar") && !text(&shown).contains(SECRET_KEY), "{}", text(&shown));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_cannot_be_used_says_why() {
    let dir = folder();
    let far = Fake::start(Profile::Aws).await.unwrap();
    std::fs::write(dir.path().join("key"), "another key").unwrap();
    std::fs::write(dir.path().join("matinee.toml"), section("far", &far)).unwrap();
    let refused = matinee(dir.path(), &["stores", "test", "far"]);
    assert_eq!(code(&refused), 1);
    assert!(text(&refused).contains("SignatureDoesNotMatch"), "{}", text(&refused));
    assert!(text(&matinee(dir.path(), &["stores"])).contains("refuses"));
    std::fs::write(dir.path().join("key"), SECRET_KEY).unwrap();
    far.fail(Fault::always(Call::Get, Trouble::WrongBytes));
    let wrong = matinee(dir.path(), &["stores", "test", "far"]);
    assert_eq!(code(&wrong), 1);
    assert!(text(&wrong).contains("are not those that were put"), "{}", text(&wrong));
    assert_eq!(far.inventory(), Inventory::default(), "what was tried is removed all the same");
    std::fs::write(dir.path().join("matinee.toml"), "[[store]]\nname = \"far\"\nkind = \"s3\"").unwrap();
    let lacking = matinee(dir.path(), &["stores"]);
    assert_eq!(code(&lacking), 1);
    assert!(complaint(&lacking).contains("`far` needs a `url`"), "{}", complaint(&lacking));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_serves_while_it_learns_what_its_stores_can_do() {
    let dir = folder();
    let far = Fake::start(Profile::R2).await.unwrap();
    std::fs::write(dir.path().join("key"), SECRET_KEY).unwrap();
    let away = "[[store]]\nname = \"cellar\"\nkind = \"disk\"\npath = \"away\"\n";
    std::fs::write(dir.path().join("matinee.toml"), format!("{away}{}", section("far", &far))).unwrap();
    // It says that it is ready, although one store is away and the other one was not asked yet.
    let _server = Server::start(dir.path());
    until("the other one was tried", 60, async || {
        far.journal().iter().any(|entry| entry.call == Call::Abort).then_some(())
    })
    .await;
    until("nothing of the trial stays", 60, async || (far.inventory() == Inventory::default()).then_some(()))
        .await;
    assert_eq!(far.unexpected(), Vec::<String>::new());
    assert!(!dir.path().join("away").exists());
    let examined = json_lines(&matinee(dir.path(), &["doctor", "--json"]));
    let stores: Vec<_> = examined.iter().filter(|finding| finding["check"] == "store").collect();
    let grades: Vec<_> = stores.iter().map(|finding| finding["grade"].as_str().unwrap()).collect();
    assert_eq!(grades, ["fix", "ok"], "{stores:?}");
}
