//! Encoders in hardware: used where they were tried and allowed, and replaced by software whatever they do. The card is a
//! stand-in; what is proven is everything around it.

use serde_json::Value;

use super::{announced, made};
use crate::support::card::{Card, Mode};
use crate::support::clips;
use crate::support::invariants::{all_hold, plays};
use crate::support::server::{Place, Server};
use crate::support::until;

/// Seconds in which a video is done.
const DONE_S: u64 = 240;
const ALLOWED: &str = "[[pipeline]]\nname = \"card\"\nhardware = true\nsizes = [360, 240]\n";

/// A server on a machine with this card, once that was tried.
async fn with(card: &Card) -> Server {
    let server = Server::with(&format!("{ALLOWED}{}", card.config())).await;
    until("the card was tried", 60, async || server.logged().contains("passed its trial").then_some(()))
        .await;
    server
}

/// Three chunks: two of the ramp, and the rest.
fn film() -> Vec<u8> {
    clips::sized("640x360", 12)
}

/// Every line of arguments with which the chunks of the video were encoded, by attempt.
async fn lines(server: &Server, video: &str) -> Vec<(String, String)> {
    let (_, list) = server.get(&format!("/v1/jobs?limit=100&video={video}")).await;
    let mut all = Vec::new();
    for job in list["items"].as_array().unwrap().iter().filter(|job| job["kind"] == "chunk") {
        let (_, seen) = server.get(&format!("/v1/jobs/{}", job["id"].as_str().unwrap())).await;
        for attempt in seen["attempts"].as_array().unwrap() {
            for run in attempt["runs"].as_array().unwrap() {
                let words = run["args"].as_array().unwrap().iter().filter_map(Value::as_str);
                let line = words.collect::<Vec<_>>().join(" ");
                all.push((attempt["outcome"].as_str().unwrap_or("running").to_owned(), line));
            }
        }
    }
    all
}

/// Why the video went back to software.
async fn reason(server: &Server) -> Option<String> {
    let (_, events) = server.get("/v1/events?limit=100").await;
    let told = events["items"].as_array().unwrap().iter().find(|event| event["topic"] == "video.replanned");
    told.and_then(|event| event["payload"]["reason"].as_str().map(str::to_owned))
}

#[test]
fn the_doctor_says_of_each_kind_whether_it_can_be_used_or_why_not() {
    let check = |mode: Mode, vaapi: &str| {
        let card = Card::new(mode);
        let said = Place::new(&card.config()).tell(&["doctor", "--json"]);
        let lines = said.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        let found: Vec<Value> = lines.filter(|line| line["check"] == "hardware").collect();
        let of = |title: &str| {
            let one = found.iter().find(|one| one["found"].as_str().unwrap().starts_with(title)).unwrap();
            (one["found"].as_str().unwrap().to_owned(), one["fix"].is_string())
        };
        assert_eq!(found.len(), 4);
        let (nvenc, fix) = of("NVENC");
        assert!(
            nvenc.ends_with("not usable: there is no device node such as /dev/nvidia0") && !fix,
            "{nvenc}"
        );
        let (qsv, fix) = of("Quick Sync");
        assert!(qsv.ends_with("not usable: the driver refused: this is no Intel"), "{qsv}");
        assert_eq!(fix, mode != Mode::Good, "another kind uses the same card: nothing to mend");
        let (said, _) = of("VAAPI");
        assert!(said.contains(vaapi), "{mode:?}: {said}");
    };
    check(Mode::Good, "renderD128, a second came out with SSIM 0.9");
    check(Mode::Refuses, "not usable: the driver refused: No VA display found for device renderD128");
    check(Mode::Frames, "not usable: what it makes is not as asked: the chunk has 24 pictures, not 25");
    check(Mode::Garbage, "not usable: its pictures are not those of the source: SSIM 0.");
    check(Mode::Hangs, "not usable: a second of video was not encoded within 20 s");
}

#[tokio::test]
async fn a_pipeline_that_allows_hardware_is_encoded_by_it() {
    let card = Card::new(Mode::Good);
    let server = with(&card).await;
    let id = made(&server, Some("card"), &film()).await["id"].as_str().unwrap().to_owned();
    let by_hardware = lines(&server, &id).await;
    let ladder: Vec<_> = by_hardware.iter().filter(|(_, line)| line.contains("-force_key_frames")).collect();
    assert_eq!(ladder.iter().filter(|(_, line)| line.contains("h264_vaapi")).count(), 3, "{by_hardware:?}");
    assert_eq!(ladder.len(), 4, "the first chunk is made in software, too, and compared: {by_hardware:?}");
    assert!(plays(&server, &id).await > 0);
    assert_eq!(reason(&server).await, None);

    let plain = made(&server, None, &film()).await["id"].as_str().unwrap().to_owned();
    assert!(lines(&server, &plain).await.iter().all(|(_, line)| !line.contains("vaapi")), "not allowed");
    all_hold(&server).await;
}

/// A card that passed its trial fails while a video is encoded.
async fn fails(mode: Mode, expected: &str) {
    let card = Card::new(Mode::Good);
    let server = with(&card).await;
    card.becomes(mode);
    let id = made(&server, Some("card"), &film()).await["id"].as_str().unwrap().to_owned();
    let said = reason(&server).await.expect("the owner is told");
    assert!(said.starts_with("VAAPI (Intel, AMD): ") && said.contains(expected), "{mode:?}: {said}");
    let done = lines(&server, &id).await.into_iter().filter(|(outcome, _)| outcome == "done");
    let (hard, soft): (Vec<_>, Vec<_>) = done.partition(|(_, line)| line.contains("h264_vaapi"));
    assert!(soft.len() >= 3, "every chunk was made in software: {hard:?} {soft:?}");
    assert!(plays(&server, &id).await > 0);
    all_hold(&server).await;
}

#[tokio::test]
async fn a_driver_that_refuses_is_replaced_by_software() {
    fails(Mode::Refuses, "the driver refused: No VA display found").await;
}

#[tokio::test]
async fn a_driver_that_hangs_is_replaced_by_software() {
    fails(Mode::Hangs, "no progress for").await;
}

#[tokio::test]
async fn a_driver_that_loses_pictures_is_replaced_by_software() {
    fails(Mode::LaterFrames, "pictures, not").await;
}

#[tokio::test]
async fn a_picture_that_is_worse_than_that_of_software_is_not_shown() {
    fails(Mode::Garbage, "looks worse by hardware: SSIM").await;
}

#[tokio::test]
async fn a_video_goes_on_in_software_when_its_card_is_gone_after_a_restart() {
    let card = Card::new(Mode::Good);
    let place = Place::new(&format!("{ALLOWED}{}", card.config()));
    let mut server = Server::at(place).await;
    until("the card was tried", 60, async || server.logged().contains("passed its trial").then_some(()))
        .await;
    card.becomes(Mode::Slow);
    let id = announced(&server, Some("card"), &film()).await;
    until("hardware works on it", 60, async || {
        let (_, list) = server.get("/v1/jobs?limit=100").await;
        let mut jobs = list["items"].as_array()?.iter();
        jobs.any(|job| job["kind"] == "chunk" && job["state"] == "leased").then_some(())
    })
    .await;
    server.kill();
    card.falls_out();
    let server = server.again().await;
    server.video_in(&id, &["ready"], DONE_S).await;
    let said = reason(&server).await.expect("the owner is told");
    assert_eq!(said, "no machine has had VAAPI (Intel, AMD) for some minutes");
    assert!(plays(&server, &id).await > 0);
    all_hold(&server).await;
}
