//! What hosts list beside their rows: what is ours and has no row, what is not ours, and what a row promises in vain.

use http::Method;
use matinee_core::id::PublicationId;
use matinee_core::maker::Maker;
use matinee_io::host::{Host, Wanted, bunny, fake::Fault};
use serde_json::{Value, json};

use super::support::{Fakes, in_state, publish};
use crate::encode::announced;
use crate::support::server::Server;
use crate::support::tables::Tables;
use crate::support::{clips, until};

/// A film that somebody makes at the host, older than an hour.
async fn made(fakes: &Fakes, maker: &Maker) -> String {
    let config = json!({
        "library": bunny::fake::LIBRARY, "api_key": bunny::fake::KEY, "read_only_key": bunny::fake::READ_ONLY_KEY,
        "pull_zone": "vz-1.b-cdn.net", "api": fakes.bunny.frame().url(),
    });
    let host = bunny::Bunny::open(serde_json::from_value(config).unwrap()).unwrap();
    let now = matinee_io::clock::now();
    let key: PublicationId =
        maker.sign(PublicationId::new(now.plus(-7_200_000), matinee_io::random::bytes()));
    let (title, mime) = ("film".to_owned(), "video/mp4".to_owned());
    let wanted = Wanted { title, size: 10, duration_ms: Some(1_000), mime };
    host.create(key, &wanted, now).await.unwrap().id
}

/// Who makes the ids of a server.
pub(crate) fn maker(server: &Server) -> Maker {
    let secret = std::fs::read(server.data().join("secrets/path-token.key")).unwrap();
    Maker::of(&secret.try_into().unwrap())
}

fn proof(server: &Server, place: &str) -> Value {
    let lines = server.ask(&["gc", "prove", "--json"]);
    let mut all = lines.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    all.find(|one| one["place"] == place).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_host_has_without_a_row_goes_after_two_days_if_it_is_ours() {
    let fakes = Fakes::start().await;
    let config = fakes.config().replace("kind = \"bunny\"\n", "kind = \"bunny\"\ndelete_unknown = true\n");
    let server = Server::with(&config).await;
    let video = announced(&server, Some("none"), &clips::mp4(2)).await;
    server.video_in(&video, &["ready"], 120).await;
    publish(&server, &video, "bn").await;
    in_state(&server, &video, "bn", "processing").await;
    let ours = made(&fakes, &maker(&server)).await;
    let theirs = made(&fakes, &Maker::of(&[1; 32])).await;

    let told = proof(&server, "bn");
    assert_eq!((&told["holds"], &told["foreign"], &told["things"]), (&json!(false), &json!(1), &json!(3)));
    assert_eq!(told["unknown"][0]["name"], ours.as_str(), "{told}");
    assert_eq!(proof(&server, "cf")["holds"], true);
    let said = server.ask(&["gc"]);
    assert!(said.contains("wait until they were seen for two days: 1"), "{said}");
    assert_eq!(fakes.there("bn").len(), 3, "nothing is deleted yet");
    Tables::open(&server.data()).await.two_days_pass().await;
    let said = server.ask(&["gc"]);
    assert!(said.contains("to be deleted outside from now on: 1"), "{said}");
    until("it is gone", 60, async || (!fakes.there("bn").contains(&ours)).then_some(())).await;
    assert!(fakes.there("bn").contains(&theirs), "another server's");
    until("the proof holds", 60, async || (proof(&server, "bn")["holds"] == true).then_some(())).await;

    fakes.trouble("cf", "list", Fault::Status(500), u32::MAX);
    let silent = proof(&server, "cf");
    assert_eq!((&silent["holds"], silent["unproven"].is_string()), (&json!(false), true), "{silent}");
    let said = server.ask(&["gc", "prove"]);
    assert!(said.contains("cf: the host does not tell what it has"), "{said}");
    fakes.frame("cf").calm();

    // The host loses what a row promises.
    let there = fakes.there("bn").into_iter().find(|id| *id != theirs).unwrap();
    let path = format!("/library/{}/videos/{there}", bunny::fake::LIBRARY);
    let request = crate::support::client().build().unwrap();
    let request = request.request(Method::DELETE, fakes.bunny.frame().url() + &path);
    let gone = request.header("AccessKey", bunny::fake::KEY).send().await.unwrap();
    assert_eq!(gone.status(), 200);
    assert_eq!(proof(&server, "bn")["missing"], json!([there]));
    server.ask(&["gc"]);
    in_state(&server, &video, "bn", "failed").await;
    until("theirs is all that is left", 60, async || (proof(&server, "bn")["things"] == 1).then_some(()))
        .await;
    fakes.bunny.frame().calm();
}
