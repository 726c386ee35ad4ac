//! What a pipeline does to the pictures themselves: a shape they are cut to, a watermark that lies on all of them.

use std::path::Path;

use base64::Engine as _;
use matinee_core::image::jpeg_size;
use serde_json::Value;

use super::made;
use crate::support::invariants::{all_hold, here};
use crate::support::process::tool;
use crate::support::server::Server;

/// Red, green and blue of a part of the first picture of a file: left, top, width and height.
fn colour(path: &Path, (left, top, width, height): (u32, u32, u32, u32)) -> [u8; 3] {
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
    let video = made(&server, None, &crate::support::clips::mp4(2)).await;
    let (_, events) = server.get(&format!("/v1/events?subject={}", video["id"].as_str().unwrap())).await;
    let topics: Vec<&Value> = events["items"].as_array().unwrap().iter().map(|one| &one["topic"]).collect();
    assert!(topics.iter().any(|topic| **topic == "video.playable"), "{topics:?}");
    // The source can be played as it is, but what is played is encoded: its own tracks are not among those made.
    let (_, listed) = server.get("/v1/pipelines").await;
    assert_eq!(listed["items"][0]["watermark"], true);
    let playable =
        events["items"].as_array().unwrap().iter().find(|one| one["topic"] == "video.playable").unwrap();
    assert_eq!(playable["payload"]["generation"], 2, "{playable}");
}
