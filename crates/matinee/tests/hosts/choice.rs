//! Where viewers are sent: to the cheapest place that is well and has room, away from our own line when it is crowded, and back.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use http::Method;
use matinee_io::clock::Stopwatch;
use matinee_io::host::fake::Fault;
use serde_json::{Value, json};

use super::support::{Fakes, SOON_S, in_state, publication, publish};
use crate::access::people::House;
use crate::encode::announced;
use crate::support::server::{Place, Server};
use crate::support::{clips, until};

/// A viewer is sent elsewhere within so many milliseconds.
const MOVED_MS: u64 = 5_000;

/// Both fakes, and a server with this configuration besides, whose video plays at both.
async fn playing(more: &str) -> (Fakes, Server, String) {
    let fakes = Fakes::start().await;
    let server = Server::with(&format!("{more}{}", fakes.config())).await;
    let video = announced(&server, Some("both"), &clips::sized("640x360", 4)).await;
    server.video_in(&video, &["ready"], 120).await;
    for host in ["cf", "bn"] {
        in_state(&server, &video, host, "processing").await;
    }
    fakes.encode();
    for host in ["cf", "bn"] {
        in_state(&server, &video, host, "ready").await;
    }
    (fakes, server, video)
}

async fn asked(server: &Server, video: &str, query: &str) -> Value {
    let (code, playback) = server.get(&format!("/v1/videos/{video}/playback{query}")).await;
    assert_eq!(code, 200, "{playback}");
    playback
}

fn names(list: &Value) -> Vec<&str> {
    list.as_array().unwrap().iter().map(|one| one["place"].as_str().unwrap()).collect()
}

fn why<'v>(playback: &'v Value, place: &str) -> &'v str {
    let all = playback["explained"].as_array().unwrap();
    all.iter().find(|one| one["place"] == place).unwrap()["why"].as_str().unwrap()
}

#[tokio::test]
async fn a_viewer_is_sent_to_the_cheapest_place_and_told_where_else() {
    let (fakes, server, video) = playing("").await;
    let playback = asked(&server, &video, "?explain=1").await;
    // Our own line is paid for already; Bunny asks less for a minute than Cloudflare.
    assert_eq!(names(&playback["places"]), ["matinee", "bn", "cf"], "{playback}");
    assert_eq!((&playback["place"], &playback["hls"]), (&json!("matinee"), &playback["places"][0]["hls"]));
    assert!(why(&playback, "matinee").contains("the cheapest place"), "{playback}");
    assert!(why(&playback, "cf").contains("when those before it fail"), "{playback}");
    let dear = |at: usize| playback["explained"][at]["hour_cost"].as_f64().unwrap();
    assert!(dear(0) < dear(1) && dear(1) < dear(2), "{playback}");
    assert!((dear(2) - 0.06).abs() < 1e-9, "0.001 a minute: {playback}");
    assert_eq!(playback["explained"][1]["currency"], "USD");

    // Cards are data: another price changes the order with the next request.
    server.tell(&["costs", "set", "own_server", "delivery=[{\"per_gb\":0.09}]"]);
    let playback = asked(&server, &video, "").await;
    assert_eq!(names(&playback["places"]), ["bn", "matinee", "cf"], "{playback}");
    assert_eq!(playback["hls"], playback["hosts"][0]["hls"], "the address is the chosen one's");
    assert!(playback["dash"].as_str().unwrap().contains("/p/"), "Bunny has none, so it is ours");
    assert_eq!(playback["explained"], Value::Null);
    // A fifth moves a video, less does not.
    server.tell(&["costs", "set", "own_server", "delivery=[{\"per_gb\":0.009}]"]);
    let playback = asked(&server, &video, "?explain=1").await;
    assert_eq!(playback["place"], "bn");
    assert!(why(&playback, "bn").contains("no other place saves a fifth"), "{playback}");
    assert_eq!(asked(&server, &video, "?place=cf").await["place"], "matinee", "Cloudflare is much dearer");
    server.tell(&["costs", "reset", "own_server"]);
    assert_eq!(asked(&server, &video, "").await["place"], "matinee");
    fakes.understood();
}

#[tokio::test]
async fn a_host_without_the_video_or_away_is_not_chosen_and_says_why() {
    let (fakes, server, video) = playing(OWN_IS_DEAR).await;
    assert_eq!(asked(&server, &video, "").await["place"], "bn");
    fakes.trouble("bn", "*", Fault::Status(500), u32::MAX);
    // Something is asked of it, so that its silence is known.
    let other = announced(&server, Some("none"), &clips::mp4(2)).await;
    server.video_in(&other, &["ready"], 120).await;
    publish(&server, &other, "bn").await;
    let playback = until("the host is known to be away", SOON_S, async || {
        let playback = asked(&server, &video, "?explain=1").await;
        (playback["place"] != "bn").then_some(playback)
    })
    .await;
    assert_eq!(names(&playback["places"]), ["matinee", "cf", "bn"], "{playback}");
    assert!(why(&playback, "bn").contains("has not answered since"), "{playback}");
    let playback = asked(&server, &other, "?explain=1").await;
    assert_eq!(names(&playback["places"]), ["matinee"], "{playback}");
    assert!(why(&playback, "bn").contains("still being made"), "{playback}");
    assert!(why(&playback, "cf").contains("is not there"), "{playback}");
    fakes.frame("bn").calm();
    until("it is back, and chosen again", SOON_S, async || {
        (asked(&server, &video, "").await["place"] == "bn").then_some(())
    })
    .await;
    assert!(publication(&server, &video, "bn").await.is_some());
}

/// Our own line costs more than Bunny, and less than Cloudflare.
const OWN_IS_DEAR: &str = "[[card]]\nname = \"own_server\"\nof = [\"matinee\"]\ndate = \"2026-11\"\ndelivery = [{ per_gb = 0.03 }]\n";

/// Fetches a file again and again until it is told to stop.
fn crowd(url: String, stop: &Arc<AtomicBool>) -> tokio::task::JoinHandle<()> {
    let stop = Arc::clone(stop);
    let http = crate::support::client().build().unwrap();
    tokio::spawn(async move {
        while !stop.load(Ordering::Relaxed) {
            http.get(&url).send().await.unwrap().bytes().await.unwrap();
        }
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_crowded_line_moves_new_viewers_within_five_seconds_and_takes_them_back_later() {
    let (_fakes, server, video) = playing("[delivery]\ncapacity_mbit = 20\ncalm = \"3s\"\n").await;
    let playback = asked(&server, &video, "").await;
    assert_eq!(playback["place"], "matinee");
    let stop = Arc::new(AtomicBool::new(false));
    let begun = Stopwatch::start();
    let crowd = crowd(playback["mp4"].as_str().unwrap().to_owned(), &stop);
    let moved = until("new viewers are sent elsewhere", 30, async || {
        let playback = asked(&server, &video, "?explain=1").await;
        (playback["place"] == "bn").then_some(playback)
    })
    .await;
    let took_ms = begun.elapsed_ms();
    assert!(took_ms < MOVED_MS, "it took {took_ms} ms");
    assert_eq!(names(&moved["places"]), ["bn", "cf", "matinee"], "a crowded place is better than none");
    assert!(why(&moved, "matinee").contains("of 20 Mbit/s"), "{moved}");
    assert_eq!(asked(&server, &video, "?place=matinee").await["place"], "matinee", "who plays there stays");
    assert_eq!(asked(&server, &video, "").await["place"], "bn");
    stop.store(true, Ordering::Relaxed);
    crowd.await.unwrap();
    let (mut places, mut last) = (Vec::new(), String::new());
    until("new viewers come back", 60, async || {
        let place = asked(&server, &video, "").await["place"].as_str().unwrap().to_owned();
        if place != last {
            places.push(place.clone());
            last.clone_from(&place);
        }
        (place == "matinee").then_some(())
    })
    .await;
    assert_eq!(places, ["bn", "matinee"], "nobody flaps");
    assert_eq!(
        asked(&server, &video, "?place=bn").await["place"],
        "matinee",
        "ours costs nothing, so all come back"
    );
}

#[tokio::test]
async fn what_goes_out_is_in_the_account_once_and_who_bears_it() {
    let (_fakes, server, video) = playing(OWN_IS_DEAR).await;
    let playback = asked(&server, &video, "").await;
    assert_eq!(playback["place"], "bn");
    let file = playback["mp4"].as_str().unwrap();
    let bytes = server.http.get(file).send().await.unwrap().bytes().await.unwrap().len();
    let costs = |server: &Server| serde_json::from_str::<Value>(&server.tell(&["costs", "--json"])).unwrap();
    let of = |account: &Value, place: &str| {
        account["places"].as_array().unwrap().iter().find(|one| one["place"] == place).unwrap().clone()
    };
    let account = until("what went out is in the account", SOON_S, async || {
        let account = costs(&server);
        (of(&account, "matinee")["delivered_gb"].as_f64().unwrap() > 0.0).then_some(account)
    })
    .await;
    let own = of(&account, "matinee");
    #[expect(clippy::cast_precision_loss, reason = "a file of some kilobytes")]
    let gb = bytes as f64 / 1e9;
    // Pictures that the server makes for nobody are not counted, so this is all; the account has millionths.
    assert!((own["delivered_gb"].as_f64().unwrap() - gb).abs() < 2e-6, "{own} and {gb}");
    assert_eq!(own["estimated"], false);
    let bunny = of(&account, "bn");
    assert_eq!((&bunny["estimated"], &bunny["card"]["name"]), (&json!(true), &json!("bunny_standard")));
    assert!(bunny["delivered_minutes"].as_f64().unwrap() > 0.0, "{bunny}");
    let forecast = |one: &Value| one["forecast"].as_f64().unwrap();
    assert!((forecast(&bunny) - 1.0).abs() < 1e-6, "Bunny asks for a dollar at least: {bunny}");
    let sum: f64 = account["places"].as_array().unwrap().iter().map(forecast).sum();
    assert!((sum - forecast(&account)).abs() < 1e-4, "{account}");
    let besides: f64 =
        account["places"].as_array().unwrap().iter().map(|one| forecast(&one["besides"])).sum();
    let videos: f64 = account["videos"].as_array().unwrap().iter().map(forecast).sum();
    assert!((videos + besides - forecast(&account)).abs() < 1e-4, "to the cent: {account}");
    assert_eq!(account["videos"][0]["id"], video.as_str());

    let told = server.tell(&["costs"]);
    assert!(told.contains("bunny_standard (2026-08)") && told.contains("expected"), "{told}");
    let cards = server.tell(&["costs", "cards"]);
    assert!(cards.contains("cloudflare_stream") && cards.contains("Backblaze B2"), "{cards}");
    server.tell(&["costs", "set", "attic", "per_gb_stored=0.5", "title=Attic"]);
    let moved = server.tell(&["costs", "what-if", "default", "attic", "--json"]);
    let moved: Value = serde_json::from_str(&moved).unwrap();
    let (then, stored) = (moved["then"].as_f64().unwrap(), moved["stored_gb"].as_f64().unwrap());
    assert!(then > 0.0 && (then - 0.5 * stored).abs() < 1e-5, "{moved}");
    server.tell(&["costs", "reset", "attic"]);

    // An orderly end loses nothing, and nothing is counted again after it.
    let before = of(&costs(&server), "matinee")["delivered_gb"].as_f64().unwrap();
    server.http.get(file).send().await.unwrap().bytes().await.unwrap();
    let mut server = server;
    assert!(server.terminate(30).await.success());
    let server = server.again().await;
    let after = of(&costs(&server), "matinee")["delivered_gb"].as_f64().unwrap();
    assert!((after - before - gb).abs() < 2e-6, "{before} and {gb} is not {after}");
}

#[tokio::test]
async fn another_app_sees_what_it_bears_and_no_prices_of_places() {
    let fakes = Fakes::start().await;
    let house = House::at(Place::new(&fakes.config())).await;
    let (_, other) = house.app("other", &["video:read", "admin"]).await;
    let (code, report) = house.ask(&other, Method::GET, "/v1/costs", None).await;
    assert_eq!((code, &report["places"], &report["apps"]), (200, &json!([]), &json!([])), "{report}");
    let (_, report) = house.ask(&house.admin, Method::GET, "/v1/costs", None).await;
    assert_eq!(names(&report["places"]), ["bn", "cf", "matinee"]);
    let card = Some(json!({ "per_gb_stored": -1 }));
    let (code, told) = house.ask(&house.admin, Method::PUT, "/v1/costs/cards/x", card).await;
    assert_eq!(code, 400, "{told}");
    assert!(
        told["detail"].as_str().unwrap().contains("`per_gb_stored` must be a number from 0 on"),
        "{told}"
    );
    let (code, _) = house.ask(&other, Method::PUT, "/v1/costs/cards/x", Some(json!({}))).await;
    assert_eq!(code, 403);
}
