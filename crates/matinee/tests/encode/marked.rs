//! What a pipeline does to the pictures themselves: a shape they are cut to, a watermark that lies on all of them.

use std::path::Path;

use base64::Engine as _;
use http::Method;
use matinee_core::image::jpeg_size;
use serde_json::{Value, json};

use super::made;
use crate::access::people::House;
use crate::support::clips;
use crate::support::invariants::{all_hold, here};
use crate::support::process::tool;
use crate::support::sender::{create, patch};
use crate::support::server::Server;

/// Red, green and blue of a part of the first picture of a file: left, top, width and height.
pub(super) fn colour(path: &Path, (left, top, width, height): (u32, u32, u32, u32)) -> [u8; 3] {
    let filter = format!("crop={width}:{height}:{left}:{top},scale=1:1:flags=area,format=rgb24");
    let args = [
        "-v",
        "error",
        "-i",
        path.to_str().unwrap(),
        "-frames:v",
        "1",
        "-vf",
        &filter,
        "-f",
        "rawvideo",
        "-",
    ];
    tool("ffmpeg", &args).stdout[..].try_into().unwrap()
}

/// Is it about this colour, after two encoders?
fn near(is: [u8; 3], wanted: [u8; 3]) -> bool {
    is.iter().zip(wanted).all(|(is, wanted)| is.abs_diff(wanted) <= 24)
}

fn drawn(dir: &Path, name: &str, args: &[&str]) -> Vec<u8> {
    let path = dir.join(name);
    tool("ffmpeg", &[&["-v", "error", "-y", "-f", "lavfi"], args, &[path.to_str().unwrap()]].concat());
    std::fs::read(path).unwrap()
}

const GRAY: [u8; 3] = [128, 128, 128];
/// Red of 70 hundredths over gray.
const MARKED: [u8; 3] = [217, 38, 38];

#[tokio::test]
async fn a_watermark_lies_on_every_size_of_a_picture_that_was_cut() {
    let dir = tempfile::tempdir().unwrap();
    let logo = drawn(dir.path(), "logo.png", &["-i", "color=red:s=300x150,format=rgba", "-frames:v", "1"]);
    let logo = base64::engine::general_purpose::STANDARD.encode(logo);
    let server = Server::with(&format!(
        "[[pipeline]]\nname = \"cattube\"\ncrop = \"4:3\"\nposter_side = 320\n\
         [pipeline.watermark]\npicture = \"data:image/png;base64,{logo}\"\nwidth_percent = 25\n\
         opacity_percent = 70\ncorner = \"top-right\"\nx = -10\ny = 10\n"
    ))
    .await;
    // Blue at the sides, which are cut away.
    let picture = "color=gray:s=480x360:r=30000/1001:d=9,pad=640:360:80:0:blue";
    let film = drawn(
        dir.path(),
        "film.mp4",
        &["-i", picture, "-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p"],
    );
    let video = made(&server, Some("cattube"), &film).await;
    let sizes: Vec<(u64, u64)> = video["renditions"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| (one["width"].as_u64().unwrap(), one["height"].as_u64().unwrap()))
        .collect();
    assert_eq!(sizes, [(480, 360), (320, 240)]);

    let (_, playback) = server.get(&format!("/v1/videos/{}/playback", video["id"].as_str().unwrap())).await;
    for (at, (width, height)) in [(480, 360), (320, 240)].into_iter().enumerate() {
        let made = dir.path().join(format!("{height}.mp4"));
        let address = here(&server, &playback["downloads"][at]["url"]);
        std::fs::write(&made, server.http.get(address).send().await.unwrap().bytes().await.unwrap()).unwrap();
        // A quarter of the width, 10 of 480 from the right and 10 of 360 from the top, half as high as wide.
        let (left, top) = (width - width / 4 - width * 10 / 480, height * 10 / 360);
        let inside = (left + width / 32, top + width / 32, width / 8, width / 16);
        assert!(near(colour(&made, inside), MARKED), "{height}: {:?}", colour(&made, inside));
        for outside in [
            (0, 0, width, top / 2 + 2),
            (0, 0, width / 2, height),
            (left, top + width / 8 + 8, width / 4, height / 4),
            (width - width * 5 / 480, 0, width * 5 / 480, height),
        ] {
            assert!(near(colour(&made, outside), GRAY), "{height} {outside:?}: {:?}", colour(&made, outside));
        }
        let asked = [
            "-v",
            "error",
            "-select_streams",
            "v",
            "-count_packets",
            "-show_entries",
            "stream=nb_read_packets",
        ];
        let seen = tool("ffprobe", &[&asked[..], &["-of", "csv=p=0", made.to_str().unwrap()]].concat());
        assert_eq!(String::from_utf8_lossy(&seen.stdout).trim(), "270");
    }
    let poster =
        server.http.get(here(&server, &playback["poster"])).send().await.unwrap().bytes().await.unwrap();
    assert_eq!(jpeg_size(&poster), Some((320, 240)));
    let drawing = dir.path().join("poster.jpg");
    std::fs::write(&drawing, poster).unwrap();
    assert!(near(colour(&drawing, (246, 18, 40, 20)), MARKED), "{:?}", colour(&drawing, (246, 18, 40, 20)));
    assert!(near(colour(&drawing, (0, 0, 160, 240)), GRAY));
    all_hold(&server).await;
}

#[tokio::test]
async fn nobody_sees_the_picture_without_its_watermark() {
    let dir = tempfile::tempdir().unwrap();
    drawn(dir.path(), "logo.png", &["-i", "color=red:s=64x64", "-frames:v", "1"]);
    let logo = dir.path().join("logo.png");
    let server =
        Server::with(&format!("[[pipeline]]\n[pipeline.watermark]\npicture = \"{}\"\n", logo.display()))
            .await;
    // Not while it arrives, though it could be played as it is.
    let clip = clips::faststart(12);
    let sent = create(&server, clip.len() as u64, "film.mp4").await;
    let most = clip.len() * 9 / 10;
    assert_eq!(patch(&server, &sent.path, 0, clip[..most].to_vec()).await.status(), 204);
    let address = format!("/v1/videos/{}/playback", sent.video);
    let (status, problem) = server.get(&address).await;
    assert_eq!((status, &problem["code"]), (409, &json!("not_playable_yet")), "{problem}");
    assert_eq!(patch(&server, &sent.path, most as u64, clip[most..].to_vec()).await.status(), 204);
    server.video_in(&sent.video, &["ready"], 120).await;
    let (_, events) = server.get(&format!("/v1/events?subject={}", sent.video)).await;
    let playable = events["items"].as_array().unwrap().iter().find(|one| one["topic"] == "video.playable");
    assert_eq!(playable.unwrap()["payload"]["generation"], 2, "its own tracks are never played");

    // The original is its owner's.
    let house = House::of(server).await;
    let (_, viewer) = house.app("other", &["video:read"]).await;
    let public = Some(json!({ "policy": "public" }));
    let path = format!("/v1/videos/{}", sent.video);
    assert_eq!(house.ask(&house.admin, Method::PATCH, &path, public).await.0, 200);
    let (_, own) = house.ask(&house.admin, Method::GET, &address, None).await;
    let ids = |playback: &Value| -> Vec<String> {
        let all = playback["downloads"].as_array().unwrap();
        all.iter().map(|one| one["id"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(ids(&own), ["h264-180", "source"]);
    let (_, theirs) = house.ask(&viewer, Method::GET, &address, None).await;
    assert_eq!(ids(&theirs), ["h264-180"]);
    let get = async |playback: &Value| {
        let root = here(&house.server, &playback["hls"]).rsplit_once('/').unwrap().0.to_owned();
        house.server.http.get(format!("{root}/source/file.mp4")).send().await.unwrap().status().as_u16()
    };
    assert_eq!((get(&own).await, get(&theirs).await), (200, 404));
    // The picture of a pipeline is not told again: it may be large.
    let (_, listed) = house.ask(&house.admin, Method::GET, "/v1/pipelines", None).await;
    let watermark = &listed["items"][0]["watermark"];
    assert!(watermark["corner"] == "top-right" && watermark["picture"].is_null(), "{watermark}");
}
