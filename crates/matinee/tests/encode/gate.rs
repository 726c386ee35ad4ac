//! A pipeline that makes no size which adds nothing.

use super::{heights, made};
use crate::support::invariants::all_hold;
use crate::support::process::tool;
use crate::support::server::Server;

#[tokio::test]
async fn a_size_that_looks_like_the_next_smaller_one_is_not_made() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::with("[[pipeline]]\nname = \"lean\"\ngate_permille = 5\n").await;
    // A small picture that somebody made large, and one with something in every pixel.
    let large = "testsrc2=s=160x90:r=25:d=9,scale=640:360:flags=bicubic";
    let fine = "testsrc2=s=640x360:r=50:d=9,noise=alls=30:allf=t+u";
    for (name, picture, sizes) in [("large", large, vec![240]), ("fine", fine, vec![360, 240])] {
        let path = dir.path().join(format!("{name}.mp4"));
        let words = [
            "-v",
            "error",
            "-f",
            "lavfi",
            "-i",
            picture,
            "-c:v",
            "libx264",
            "-preset",
            "ultrafast",
            "-crf",
            "14",
        ];
        let rest = ["-pix_fmt", "yuv420p", "-g", "50", path.to_str().unwrap()];
        tool("ffmpeg", &[&words[..], &rest[..]].concat());
        let video = made(&server, Some("lean"), &std::fs::read(&path).unwrap()).await;
        assert_eq!(heights(&video), sizes, "{name}: {}", video["judged"]);
        let judged = video["judged"].as_array().unwrap();
        assert_eq!(judged.len(), 2, "every size is judged: {judged:?}");
        assert_eq!(judged[0]["made"], sizes.len() == 2, "{judged:?}");
        assert_eq!(judged[1]["made"], true, "{judged:?}");
        let [best, least] = [0, 1].map(|n| judged[n]["ssim"].as_f64().unwrap());
        assert!(best > least && best <= 1.0 && least > 0.5, "{judged:?}");
        assert_eq!(best - least >= 0.005, sizes.len() == 2, "{judged:?}");
        // What a size would have taken is near what it took.
        let smallest = video["renditions"].as_array().unwrap().last().unwrap();
        let (told, is) = (judged[1]["bytes"].as_f64().unwrap(), smallest["bytes"].as_f64().unwrap());
        assert!((0.5..2.0).contains(&(told / is)), "{told} of {is}");
    }
    all_hold(&server).await;
}
