//! Hosts that break, lie and are slow (specs/hosts section 14), and a server that is killed in between.

use http::Method;
use matinee_io::host::fake::Fault;
use serde_json::Value;

use super::support::{Fakes, SOON_S, empty, in_state, nothing_is_left, publication, publish};
use crate::encode::announced;
use crate::support::server::Server;
use crate::support::tables::Tables;
use crate::support::{clips, until};

/// A server with a video that is ready.
async fn ready(fakes: &Fakes) -> (Server, String) {
    let server = Server::with(&fakes.config()).await;
    let video = announced(&server, Some("none"), &clips::mp4(2)).await;
    server.video_in(&video, &["ready"], 120).await;
    (server, video)
}

async fn delete(server: &Server, video: &str) {
    let deleted = server.request(Method::DELETE, &format!("/v1/videos/{video}")).send().await.unwrap();
    assert_eq!(deleted.status(), 204);
}

#[tokio::test]
async fn a_server_that_is_killed_after_the_host_has_made_the_video_makes_it_once() {
    for host in ["bn", "cf"] {
        let fakes = Fakes::start().await;
        let (mut server, video) = ready(&fakes).await;
        fakes.trouble(host, "create", Fault::Hangs, 1);
        publish(&server, &video, host).await;
        until("the host has made it", SOON_S, async || (fakes.calls(host, "create") == 1).then_some(()))
            .await;
        server.kill();
        assert_eq!(fakes.there(host).len(), 1, "nobody knows of it");
        let server = server.again().await;
        in_state(&server, &video, host, "processing").await;
        until("one is left", SOON_S, async || (fakes.there(host).len() == 1).then_some(())).await;
        if host == "bn" {
            assert_eq!(fakes.calls(host, "create"), 1, "it was adopted");
        }
        fakes.encode();
        in_state(&server, &video, host, "ready").await;
        nothing_is_left(&server, &fakes, &video).await;
        fakes.understood();
    }
}

#[tokio::test]
async fn a_creation_without_an_answer_for_a_video_that_is_deleted_is_found_and_goes() {
    let fakes = Fakes::start().await;
    let (mut server, video) = ready(&fakes).await;
    for host in ["cf", "bn"] {
        fakes.trouble(host, "create", Fault::Hangs, 1);
        publish(&server, &video, host).await;
        until("the host has made it", SOON_S, async || (fakes.calls(host, "create") == 1).then_some(()))
            .await;
    }
    delete(&server, &video).await;
    server.kill();
    assert_eq!((fakes.there("cf").len(), fakes.there("bn").len()), (1, 1));
    let server = server.again().await;
    empty(&server, &fakes).await;
    assert_eq!((fakes.calls("cf", "create"), fakes.calls("bn", "create")), (1, 1));
}

#[tokio::test]
async fn a_list_that_is_late_is_looked_at_twice_before_anything_is_made_again() {
    let fakes = Fakes::start().await;
    let (server, video) = ready(&fakes).await;
    fakes.trouble("bn", "create", Fault::CutAfter, 1);
    fakes.trouble("bn", "list", Fault::Late, 1);
    publish(&server, &video, "bn").await;
    in_state(&server, &video, "bn", "processing").await;
    assert_eq!((fakes.calls("bn", "create"), fakes.there("bn").len()), (1, 1));
    nothing_is_left(&server, &fakes, &video).await;
}

#[tokio::test]
async fn a_video_that_a_host_makes_twice_or_loses_is_found_out() {
    let fakes = Fakes::start().await;
    let (server, video) = ready(&fakes).await;
    fakes.trouble("bn", "create", Fault::Twice, 1);
    fakes.trouble("cf", "create", Fault::Loses, 1);
    publish(&server, &video, "bn").await;
    publish(&server, &video, "cf").await;
    until("one of the two is left", SOON_S, async || (fakes.there("bn").len() == 1).then_some(())).await;
    fakes.encode();
    in_state(&server, &video, "bn", "ready").await;
    let lost = in_state(&server, &video, "cf", "failed").await;
    assert!(lost["reason"]["code"].as_str().unwrap().starts_with("host_lost"), "{lost}");
    let again = publish(&server, &video, "cf").await;
    assert_ne!(again["id"], lost["id"]);
    in_state(&server, &video, "cf", "processing").await;
    fakes.encode();
    in_state(&server, &video, "cf", "ready").await;
    nothing_is_left(&server, &fakes, &video).await;
}

#[tokio::test]
async fn a_deletion_whose_answer_is_lost_or_a_lie_ends_in_nothing() {
    for fault in [Fault::CutAfter, Fault::Status(500), Fault::Keeps, Fault::Html] {
        let fakes = Fakes::start().await;
        let (server, video) = ready(&fakes).await;
        for host in ["cf", "bn"] {
            publish(&server, &video, host).await;
            in_state(&server, &video, host, "processing").await;
            fakes.trouble(host, "delete", fault, 1);
        }
        delete(&server, &video).await;
        if fault == Fault::Keeps {
            // The host answers and has it: the row waits a minute, and says why.
            until("the lie is found out", SOON_S, async || {
                let owed = Tables::open(&server.data()).await.at_hosts().await;
                let seen = owed
                    .iter()
                    .filter(|(_, _, why)| why.as_deref().is_some_and(|why| why.ends_with("and has it")));
                (seen.count() == 2).then_some(())
            })
            .await;
        }
        empty(&server, &fakes).await;
    }
}

#[tokio::test]
async fn what_a_host_hides_and_shows_again_is_deleted_again_a_day_later() {
    let fakes = Fakes::start().await;
    let (server, video) = ready(&fakes).await;
    publish(&server, &video, "bn").await;
    in_state(&server, &video, "bn", "processing").await;
    // It says that it has deleted it, and at the second look that it does not know it; but it has it.
    let absent = r#"{"success":false,"message":"Video not found.","statusCode":404}"#;
    fakes.trouble("bn", "delete", Fault::Keeps, 1);
    fakes.trouble("bn", "status", Fault::Says(404, absent), 1);
    delete(&server, &video).await;
    until("it is seen again", SOON_S, async || {
        let (_, events) = server.get("/v1/events?after=0").await;
        events.to_string().contains("ledger.seen_again").then_some(())
    })
    .await;
    empty(&server, &fakes).await;
    assert!(server.logged().contains("is there again"), "somebody is told");
}

#[tokio::test]
async fn a_host_that_is_away_stalls_what_is_published_and_fails_nothing() {
    let fakes = Fakes::start().await;
    let (server, video) = ready(&fakes).await;
    let gone = announced(&server, Some("none"), &clips::mp4(2)).await;
    server.video_in(&gone, &["ready"], 120).await;
    publish(&server, &gone, "bn").await;
    in_state(&server, &gone, "bn", "processing").await;
    fakes.trouble("bn", "*", Fault::Status(503), u32::MAX);
    publish(&server, &video, "bn").await;
    publish(&server, &video, "cf").await;
    delete(&server, &gone).await;
    let stalled = until("it is stalled", SOON_S, async || {
        publication(&server, &video, "bn").await.filter(|one| one["stalled_since"].is_string())
    })
    .await;
    assert_eq!(stalled["state"], "waiting", "{stalled}");
    in_state(&server, &video, "cf", "processing").await;
    let probes = fakes.calls("bn", "list");
    until("it is asked whether it is back", SOON_S, async || {
        (fakes.calls("bn", "list") > probes + 1).then_some(())
    })
    .await;
    assert!(fakes.calls("bn", "create") <= 2 && fakes.calls("bn", "delete") <= 2, "nothing else is sent");
    fakes.bunny.frame().calm();
    let sent = in_state(&server, &video, "bn", "processing").await;
    assert_eq!(sent["stalled_since"], Value::Null);
    nothing_is_left(&server, &fakes, &video).await;
}

#[tokio::test]
async fn a_host_that_asks_for_peace_gets_it_and_the_other_goes_on() {
    let fakes = Fakes::start().await;
    let (server, video) = ready(&fakes).await;
    fakes.trouble("bn", "*", Fault::Throttled(Some(600)), 1);
    publish(&server, &video, "bn").await;
    publish(&server, &video, "cf").await;
    in_state(&server, &video, "cf", "processing").await;
    fakes.encode();
    in_state(&server, &video, "cf", "ready").await;
    let throttled = fakes.bunny.frame().calls();
    let first = throttled.iter().position(|call| call.status == Some(429)).expect("because one was refused");
    assert_eq!(throttled.len(), first + 1, "nothing is sent within ten minutes: {throttled:?}");
    let listed = server.tell(&["hosts"]);
    assert!(listed.contains("away since"), "{listed}");
}

#[tokio::test]
async fn bytes_that_break_and_signatures_that_end_are_gone_on_with() {
    let fakes = Fakes::start().await;
    let (server, video) = ready(&fakes).await;
    for host in ["cf", "bn"] {
        fakes.trouble(host, "tus append", Fault::CutBefore, 2);
        fakes.trouble(host, "tus append", Fault::Status(503), 1);
    }
    fakes.trouble("bn", "tus append", Fault::Status(401), 1);
    for host in ["cf", "bn"] {
        publish(&server, &video, host).await;
        let sent = in_state(&server, &video, host, "processing").await;
        assert_eq!(sent["sent_bytes"], sent["size_bytes"], "{sent}");
    }
    fakes.encode();
    in_state(&server, &video, "bn", "ready").await;
    assert_eq!(fakes.bunny.received(&fakes.there("bn")[0]), fakes.cloudflare.received(&fakes.there("cf")[0]));
    nothing_is_left(&server, &fakes, &video).await;
    fakes.understood();
}

#[tokio::test]
async fn a_video_that_a_host_loses_is_published_there_again() {
    let fakes = Fakes::start().await;
    let (server, video) = ready(&fakes).await;
    publish(&server, &video, "bn").await;
    in_state(&server, &video, "bn", "processing").await;
    fakes.encode();
    let before = in_state(&server, &video, "bn", "ready").await;
    let lost = fakes.there("bn")[0].clone();
    fakes.bunny.lose(&lost);
    let (body, signature) = fakes.bunny.hook(&lost);
    let hint = server.request(Method::POST, "/v1/hooks/bn").body(body);
    let hint =
        hint.header("x-bunnystream-signature-version", "v1").header("x-bunnystream-signature", signature);
    let heard = hint.header("x-bunnystream-signature-algorithm", "hmac-sha256").send().await.unwrap();
    assert_eq!(heard.status(), 200);
    let again = until("it is made again", SOON_S, async || {
        publication(&server, &video, "bn").await.filter(|one| one["id"] != before["id"])
    })
    .await;
    assert_ne!(again["state"], "failed", "{again}");
    in_state(&server, &video, "bn", "processing").await;
    fakes.encode();
    in_state(&server, &video, "bn", "ready").await;
    nothing_is_left(&server, &fakes, &video).await;
}

#[tokio::test]
async fn a_webhook_is_a_hint_that_only_the_host_can_give() {
    let fakes = Fakes::start().await;
    // Without its list nothing but a hint can tell in this time.
    let config = fakes.config().replace("poll = \"1s\"", "poll = \"24h\"");
    let server = Server::with(&config).await;
    let video = announced(&server, Some("none"), &clips::mp4(2)).await;
    server.video_in(&video, &["ready"], 120).await;
    publish(&server, &video, "bn").await;
    publish(&server, &video, "cf").await;
    in_state(&server, &video, "bn", "processing").await;
    in_state(&server, &video, "cf", "processing").await;
    fakes.encode();

    let send = async |host: &str, headers: &[(&str, String)], body: Vec<u8>| {
        let request = server.request(Method::POST, &format!("/v1/hooks/{host}")).body(body);
        let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, value));
        request.send().await.unwrap().status().as_u16()
    };
    let (body, signature) = fakes.bunny.hook(&fakes.there("bn")[0]);
    let signed = |signature: &str| {
        [
            ("x-bunnystream-signature-version", "v1".to_owned()),
            ("x-bunnystream-signature-algorithm", "hmac-sha256".to_owned()),
            ("x-bunnystream-signature", signature.to_owned()),
        ]
    };
    let (cf_body, cf_signature) = fakes.cloudflare.hook(&fakes.there("cf")[0]).unwrap();
    let cf_signed = |signature: &str| [("webhook-signature", signature.to_owned())];
    let forged = cf_signature.replace("sig1=", "sig1=0");
    assert_eq!(send("bn", &[], body.clone()).await, 401);
    assert_eq!(send("bn", &signed(&"0".repeat(64)), body.clone()).await, 401);
    assert_eq!(send("bn", &signed(&signature), [&body[..], b" "].concat()).await, 401);
    assert_eq!(send("cf", &cf_signed(&forged), cf_body.clone()).await, 401);
    assert_eq!(send("vimeo", &signed(&signature), body.clone()).await, 404);
    for _ in 0..10 {
        assert_eq!(send("bn", &signed(&signature), body.clone()).await, 200);
    }
    assert_eq!(send("cf", &cf_signed(&cf_signature), cf_body.clone()).await, 200);
    in_state(&server, &video, "bn", "ready").await;
    in_state(&server, &video, "cf", "ready").await;
    let (_, events) = server.get("/v1/events?after=0").await;
    assert_eq!(events.to_string().matches("\"publication.ready\"").count(), 2, "each is said once");
    // Of a video that is not ours: the account has one webhook for all.
    let (foreign, signature) = fakes.bunny.hook("00000000-0000-4000-8000-00000000ffff");
    assert_eq!(send("bn", &signed(&signature), foreign).await, 200);
    nothing_is_left(&server, &fakes, &video).await;
}
