//! What a runner tells of its work: damage, what it runs, and the last words of that.

use serde_json::{Value, json};

use super::support::{ELSEWHERE, Liar, Runner, invited};
use crate::encode::announced;
use crate::support::sender::upload;
use crate::support::server::Server;
use crate::support::{clips, until};

#[tokio::test]
async fn damage_that_a_runner_finds_is_told_or_refused_by_a_strict_pipeline() {
    let server = Server::with(&format!("{ELSEWHERE}[[pipeline]]\nname = \"strict\"\nstrict = true\n")).await;
    let _runner = Runner::start(&server);
    let id = announced(&server, None, &clips::spoilt(6)).await;
    let video = server.video_in(&id, &["ready"], 120).await;
    assert_eq!(video["damaged"]["code"], "decode_errors", "{video}");

    let id = announced(&server, Some("strict"), &clips::avi(6)).await;
    assert!(server.video_in(&id, &["ready"], 120).await["damaged"].is_null(), "a good source passes");
    let id = announced(&server, Some("strict"), &clips::spoilt(6)).await;
    let refused = server.video_in(&id, &["failed"], 120).await;
    assert_eq!(refused["reason"]["code"], "damaged_source", "{refused}");
    assert!(refused["reason"]["fix"].as_str().unwrap().contains("strict"), "{refused}");
}

#[tokio::test]
async fn a_source_of_which_nothing_can_be_decoded_is_called_so_on_a_runner_too() {
    let server = Server::with(ELSEWHERE).await;
    let _runner = Runner::start(&server);
    let id = announced(&server, None, &clips::hollow(6)).await;
    let video = until("it is said", 120, async || {
        let (_, video) = server.get(&format!("/v1/videos/{id}")).await;
        video["damaged"]["code"].is_string().then_some(video)
    })
    .await;
    assert_eq!(video["damaged"]["code"], "undecodable", "{video}");
}

/// The job with all that is known of it, when that is so.
async fn job_with(server: &Server, job: &Value, what: &str, so: impl Fn(&Value) -> bool) -> Value {
    let path = format!("/v1/jobs/{}", job.as_str().unwrap());
    until(what, 60, async || {
        let (status, job) = server.get(&path).await;
        assert_eq!(status, 200, "{job}");
        so(&job).then_some(job)
    })
    .await
}

#[tokio::test]
async fn a_job_shows_what_a_runner_runs_and_its_last_words_while_it_does() {
    let server = Server::with("[workers]\nhere = false\nidentical = false\n").await;
    let liar = Liar::register(&server).await;
    upload(&server, &clips::sized("640x360", 12), "words.mp4").await;
    let job = liar.claim().await;
    let run = |said: &str| json!([{ "program": "ffmpeg 9", "args": ["-i", "DATA/x"], "stderr": said }]);
    let renewal = json!({ "done": 0.25, "fps": 50.0, "speed": 2.0, "runs": run("first words") });
    assert_eq!(liar.say(&job, "renew", &renewal).await.0, 200);
    let id = &job["lease"]["id"];
    let shown = job_with(&server, id, "it is shown", |job| job["fps"] == json!(50.0)).await;
    assert_eq!((&shown["speed"], &shown["progress"]), (&json!(2.0), &json!(0.25)));
    let first = &shown["attempts"][0]["runs"][0];
    assert_eq!((&first["stderr"], &first["ended"]), (&json!("first words"), &json!(false)));
    // Too much is not kept, and what is no number is none.
    let renewal = json!({ "done": 7.0, "fps": -1.0, "runs": run(&"x".repeat(40_000)) });
    assert_eq!(liar.say(&job, "renew", &renewal).await.0, 200);
    let shown = job_with(&server, id, "it has gone on", |job| job["progress"] == json!(1.0)).await;
    assert_eq!(
        (&shown["fps"], &shown["attempts"][0]["runs"][0]["stderr"]),
        (&Value::Null, &json!("first words"))
    );

    // An honest one tells the same, and nothing of where it works.
    assert_eq!(liar.say(&job, "fail", &json!({ "class": "returned" })).await.0, 204);
    let runner = Runner::start_at(&server.url(""), &invited(&server), &[], &[]);
    let shown = job_with(&server, id, "it is done", |job| job["state"] == "done").await;
    let attempts = shown["attempts"].as_array().unwrap();
    let run = &attempts.last().unwrap()["runs"][0];
    let args = run["args"].to_string();
    assert!(args.contains("DATA/") && !args.contains(runner.data().to_str().unwrap()), "{run}");
    assert!(run["ended"] == true && run["cpu_s"].as_f64().unwrap() > 0.0, "{run}");
}
