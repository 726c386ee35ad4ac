//! Pipelines over HTTP: written in versions, named by every way in, and read-only where the configuration has them.

use http::Method;
use serde_json::{Value, json};

use super::heights;
use crate::access::people::House;
use crate::support::sender::{header, tus};
use crate::support::server::Place;
use crate::support::{clips, until};

/// Seconds in which a small clip is encoded on a loaded machine.
const DONE_S: u64 = 180;

async fn put(house: &House, name: &str, body: Value) -> (u16, Value) {
    house.ask(&house.admin, Method::PUT, &format!("/v1/pipelines/{name}"), Some(body)).await
}

async fn get(house: &House, path: &str) -> Value {
    house.ask(&house.admin, Method::GET, path, None).await.1
}

/// Sends a clip by this pipeline; the video once it is ready.
async fn made(house: &House, pipeline: &str, bytes: &[u8]) -> Value {
    let new = json!({ "size_bytes": bytes.len(), "file_name": "film.mp4", "pipeline": pipeline });
    let upload = house.announce(&house.admin, new).await;
    let path = reqwest::Url::parse(upload["upload_url"].as_str().unwrap()).unwrap().path().to_owned();
    let sending = tus(&house.server, Method::PATCH, &path).header("Upload-Offset", "0");
    let sent = sending.header("Content-Type", "application/offset+octet-stream").body(bytes.to_vec());
    let sent = sent.send().await.unwrap();
    assert_eq!(header(&sent, "Upload-Offset"), Some(bytes.len().to_string().as_str()));
    settled(house, upload["video_id"].as_str().unwrap()).await
}

/// The video once it is ready and nothing of it is made.
async fn settled(house: &House, video: &str) -> Value {
    until("the video is ready", DONE_S, async || {
        let video = get(house, &format!("/v1/videos/{video}")).await;
        (video["state"] == "ready" && video["remake"]["state"] != "running").then_some(video)
    })
    .await
}

#[tokio::test]
async fn a_video_keeps_the_version_that_it_was_made_by() {
    let house = House::open().await;
    let (code, first) = put(&house, "cinema", json!({ "sizes": [240] })).await;
    assert_eq!((code, &first["version"], &first["origin"]), (201, &json!(1), &json!("app")));
    let (code, same) = put(&house, "cinema", json!({ "sizes": [240], "quality": "default" })).await;
    assert_eq!((code, &same["version"]), (200, &json!(1)), "the same content is no new version");

    let clip = clips::sized("640x360", 2);
    let video = made(&house, "cinema", &clip).await;
    assert_eq!(
        (&video["pipeline"], heights(&video)),
        (&json!({ "name": "cinema", "version": 1 }), vec![240])
    );

    let (code, second) = put(&house, "cinema", json!({ "sizes": [360] })).await;
    assert_eq!((code, &second["version"]), (201, &json!(2)));
    let shown = get(&house, "/v1/pipelines/cinema").await;
    let told: Vec<_> = shown["versions"].as_array().unwrap().iter().map(|one| &one["sizes"]).collect();
    assert_eq!((told, &shown["sizes"]), (vec![&json!([360]), &json!([240])], &json!([360])));
    let id = video["id"].as_str().unwrap();
    let path = format!("/v1/videos/{id}");
    assert_eq!(get(&house, &path).await["pipeline"]["version"], 1, "nothing changed for it");

    let plan =
        async |body: Value| house.ask(&house.admin, Method::POST, &format!("{path}/plan"), Some(body)).await;
    let sizes = |told: &Value| -> Vec<u64> {
        told["renditions"].as_array().unwrap().iter().filter_map(|one| one["height"].as_u64()).collect()
    };
    for (by, expected) in [
        (json!({}), vec![360]),
        (json!({ "pipeline": "default" }), vec![360, 240]),
        (json!({ "template": { "sizes": [240] } }), vec![240]),
    ] {
        let (code, told) = plan(by).await;
        assert_eq!((code, sizes(&told), &told["cost"]), (200, expected, &Value::Null), "{told}");
        assert!(told["cpu_s"].as_f64().unwrap() > 0.0 && told["output_bytes"].as_u64().unwrap() > 0);
    }
    for wrong in [
        json!({ "pipeline": "no" }),
        json!({ "template": { "sizes": [1] } }),
        json!({ "pipeline": "cinema", "template": {} }),
    ] {
        assert_eq!(plan(wrong).await.0, 400);
    }

    let encode = format!("{path}/encode");
    assert_eq!(house.ask(&house.admin, Method::POST, &encode, Some(json!({}))).await.0, 200);
    let again = settled(&house, id).await;
    assert_eq!((&again["pipeline"]["version"], heights(&again)), (&json!(2), vec![360]));

    assert_eq!(house.ask(&house.admin, Method::DELETE, "/v1/pipelines/cinema", None).await.0, 204);
    let new = json!({ "size_bytes": 5, "pipeline": "cinema" });
    let (code, refused) = house.ask(&house.admin, Method::POST, "/v1/uploads", Some(new)).await;
    assert_eq!(code, 400, "{refused}");
    let (code, refused) = house.ask(&house.admin, Method::POST, &encode, Some(json!({}))).await;
    assert_eq!(code, 400, "its pipeline is archived: {refused}");
    assert_eq!(get(&house, "/v1/pipelines/cinema").await["versions"].as_array().unwrap().len(), 2);
    assert_eq!(get(&house, &path).await["pipeline"]["version"], 2, "its copy stays");
}

#[tokio::test]
async fn the_configuration_file_has_the_last_word() {
    let house = House::at(Place::new("[[pipeline]]\nname = \"small\"\nsizes = [240]\n")).await;
    for (name, body, expected) in [
        ("small", json!({}), 409),
        ("Small", json!({}), 400),
        ("a", json!({ "size": [240] }), 400),
        ("a", json!({ "sizes": [241] }), 400),
        ("a", json!({ "frames_max": u64::MAX }), 400),
        ("a", json!({ "name": "b" }), 400),
        ("default", json!({ "sizes": [360] }), 201),
    ] {
        let (code, told) = put(&house, name, body.clone()).await;
        assert_eq!(code, expected, "{name} {body}: {told}");
    }
    assert_eq!(house.ask(&house.admin, Method::DELETE, "/v1/pipelines/small", None).await.0, 409);
    let told = |list: &Value| -> Vec<(String, String)> {
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let items = list["items"].as_array().unwrap().iter();
        items.map(|one| (text(&one["name"]), text(&one["origin"]))).collect()
    };
    let pair = |name: &str, origin: &str| (name.to_owned(), origin.to_owned());
    let list = get(&house, "/v1/pipelines").await;
    assert_eq!(told(&list), [pair("default", "app"), pair("small", "file")]);
    // Without its own default one an app has what is built in, and can go on.
    assert_eq!(house.ask(&house.admin, Method::DELETE, "/v1/pipelines/default", None).await.0, 204);
    let shown = get(&house, "/v1/pipelines/default").await;
    assert_eq!((&shown["origin"], shown["versions"].as_array().unwrap().len()), (&json!("built_in"), 1));
    house.announce(&house.admin, json!({ "size_bytes": 5 })).await;
    // Another app has its own, and the default one is still what is built in.
    let (_, stranger) = house.app("stranger", &["admin"]).await;
    let (_, list) = house.ask(&stranger, Method::GET, "/v1/pipelines", None).await;
    assert_eq!(told(&list), [pair("default", "built_in"), pair("small", "file")]);
    put(&house, "cinema", json!({})).await;
    assert_eq!(house.ask(&stranger, Method::GET, "/v1/pipelines/cinema", None).await.0, 404);
    assert_eq!(house.ask(&stranger, Method::DELETE, "/v1/pipelines/cinema", None).await.0, 404);
}

#[tokio::test]
async fn a_video_waits_for_its_pipeline_rather_than_being_made_by_another_one() {
    let place = Place::new("[workers]\nidentical = false\n[[pipeline]]\nname = \"cinema\"\nsizes = [240]\n");
    let mut house = House::at(place).await;
    let clip = clips::faststart(12);
    let new = json!({ "size_bytes": clip.len(), "file_name": "film.mp4", "pipeline": "cinema" });
    let upload = house.announce(&house.admin, new).await;
    let video = upload["video_id"].as_str().unwrap().to_owned();
    let path = reqwest::Url::parse(upload["upload_url"].as_str().unwrap()).unwrap().path().to_owned();
    // The operator takes it away while the upload runs.
    house.server.kill();
    let file = house.server.data().parent().unwrap().join("matinee.toml");
    std::fs::write(&file, "[workers]\nidentical = false\n").unwrap();
    house.server = house.server.again().await;
    let send = async |from: usize, to: usize| {
        let sending = tus(&house.server, Method::PATCH, &path).header("Upload-Offset", from.to_string());
        let sending = sending.header("Content-Type", "application/offset+octet-stream");
        assert_eq!(sending.body(clip[from..to].to_vec()).send().await.unwrap().status(), 204);
    };
    let most = clip.len() * 9 / 10;
    send(0, most).await;
    let playback = format!("/v1/videos/{video}/playback");
    let (code, told) = house.ask(&house.admin, Method::GET, &playback, None).await;
    assert_eq!(
        (code, &told["code"]),
        (409, &json!("not_playable_yet")),
        "nobody knows what may be seen: {told}"
    );
    send(most, clip.len()).await;
    let waiting = until("its probe says why it waits", DONE_S, async || {
        let list = get(&house, &format!("/v1/jobs?video={video}")).await;
        let items = list["items"].as_array().unwrap();
        items.iter().find(|job| !job["last_error"].is_null()).cloned()
    })
    .await;
    assert_eq!(
        (&waiting["kind"], &waiting["last_error"]["code"]),
        (&json!("probe"), &json!("unknown_pipeline"))
    );
    let fix = waiting["last_error"]["fix"].as_str().unwrap();
    assert!(fix.contains("matinee pipeline apply"), "{fix}");
    let shown = get(&house, &format!("/v1/videos/{video}")).await;
    assert_eq!((&shown["state"], &shown["playable"]), (&json!("processing"), &json!(false)), "{shown}");

    assert_eq!(put(&house, "cinema", json!({ "sizes": [144] })).await.0, 201);
    let made = settled(&house, &video).await;
    assert_eq!((heights(&made), &made["pipeline"]["version"]), (vec![144], &json!(1)));
}

#[tokio::test]
async fn a_watermark_that_cannot_be_decoded_is_refused_where_it_is_written() {
    use base64::Engine as _;
    let house = House::open().await;
    let dir = tempfile::tempdir().unwrap();
    let logo = dir.path().join("logo.png");
    let drawn = "mandelbrot=s=64x64,format=rgba";
    let words = ["-v", "error", "-f", "lavfi", "-i", drawn, "-frames:v", "1", logo.to_str().unwrap()];
    crate::support::process::tool("ffmpeg", &words);
    let good = std::fs::read(&logo).unwrap();
    let mut flipped = good.clone();
    flipped[good.len() / 2] ^= 0xff;
    let text = |png: &[u8]| {
        format!("data:image/png;base64,{}", base64::engine::general_purpose::STANDARD.encode(png))
    };
    for (what, png, expected) in [
        ("cut off", &good[..good.len() / 2], 400),
        ("one byte is another", &flipped[..], 400),
        ("as it was drawn", &good[..], 201),
    ] {
        let body = json!({ "watermark": { "picture": text(png) } });
        let (code, told) = put(&house, "marked", body).await;
        assert_eq!(code, expected, "{what}: {told}");
        if code == 400 {
            assert!(told["detail"].as_str().unwrap().contains("export it as PNG again"), "{told}");
        }
    }
    // Nothing was written, and what is written stays when a change is refused.
    let body = json!({ "watermark": { "picture": text(&flipped) } });
    assert_eq!(put(&house, "marked", body).await.0, 400);
    assert_eq!(get(&house, "/v1/pipelines/marked").await["version"], 1);

    // So it is in the configuration file: the server says so instead of making videos wait.
    std::fs::write(&logo, &flipped).unwrap();
    let place =
        Place::new(&format!("[[pipeline]]\nname = \"marked\"\n[pipeline.watermark]\npicture = {logo:?}\n"));
    let mut refused = place.spawn("refused");
    assert!(!refused.ended(60).await.success());
    let said = refused.logged();
    assert!(said.contains("the pipeline `marked`") && said.contains("export it as PNG again"), "{said}");
}

#[tokio::test]
async fn every_way_in_names_its_pipeline() {
    let dir = tempfile::Builder::new().prefix("ways-").tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let (watched, root) = (dir.path().join("watched"), dir.path().join("root"));
    std::fs::create_dir(&watched).unwrap();
    std::fs::create_dir(&root).unwrap();
    let config = format!(
        "[uploads]\nimport_roots = [{root:?}]\n[[pipeline]]\nname = \"small\"\nsizes = [240]\n\
         [[watch]]\nfolder = {watched:?}\nsettle = \"1s\"\npipeline = \"small\"\n"
    );
    let house = House::at(Place::new(&config)).await;
    let file = root.join("a.mp4");
    std::fs::write(&file, "this is no film").unwrap();
    let ask = async |path: &str, body: Value| house.ask(&house.admin, Method::POST, path, Some(body)).await;

    let (code, told) = ask("/v1/ingest/path", json!({ "path": file, "pipeline": "small" })).await;
    assert_eq!((code, &told["items"][0]["pipeline"]), (202, &json!("small")), "{told}");
    assert_eq!(ask("/v1/ingest/path", json!({ "path": file, "pipeline": "cinema" })).await.0, 400);

    let url = "https://example.org/a.mp4";
    let (code, told) = ask("/v1/ingest/url", json!({ "url": url, "pipeline": "small" })).await;
    assert_eq!((code, &told["pipeline"]), (201, &json!("small")), "{told}");
    let cancel = format!("/v1/uploads/{}", told["id"].as_str().unwrap());
    house.ask(&house.admin, Method::DELETE, &cancel, None).await;
    let (code, told) = ask("/v1/ingest/url", json!({ "url": url, "pipeline": "cinema" })).await;
    assert_eq!(code, 422, "{told}");

    let form = async |pipeline: &str| {
        let field = |name: &str, value: &str| {
            format!("--b\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n")
        };
        let file = "--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"form.mp4\"\r\n\r\nx\r\n--b--\r\n";
        let request = house.with(&house.admin, Method::POST, "/upload");
        let request = request.header("Content-Type", "multipart/form-data; boundary=b");
        let answer = request.body(field("pipeline", pipeline) + file).send().await.unwrap();
        answer.status().as_u16()
    };
    assert_eq!(form("cinema").await, 400);
    assert!(form("small").await < 400);

    std::fs::write(watched.join("watched.mp4"), "this is no film either").unwrap();
    for title in ["form", "watched"] {
        let upload = until(&format!("the upload `{title}` is there"), 60, async || {
            let list = get(&house, "/v1/uploads?limit=100").await;
            list["items"].as_array().unwrap().iter().find(|one| one["title"] == title).cloned()
        })
        .await;
        assert_eq!(upload["pipeline"], "small", "{upload}");
    }
}
