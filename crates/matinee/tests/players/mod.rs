//! External players (ffmpeg and ffprobe) read what is served for every class of clip.

#![expect(clippy::cast_precision_loss, reason = "pictures of a test clip are few")]
#![expect(clippy::case_sensitive_file_extension_comparisons, reason = "our own names are in lower case")]

mod check;
mod clips;
mod joins;
mod sounds;
pub(crate) mod support;
mod texts;

use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use check::check;
use clips::{CLIPS, Clip, made};
use support::World;

/// Clips that are in work at the same time.
const LANES: usize = 4;

#[test]
fn every_class_of_clip_plays_in_external_players() {
    let world = World::start();
    let next = AtomicUsize::new(0);
    let wrong = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..LANES {
            scope.spawn(|| {
                while let Some(clip) = CLIPS.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let one = || check(&world, clip, &made(clip, world.dir.path()));
                    if std::panic::catch_unwind(std::panic::AssertUnwindSafe(one)).is_err() {
                        wrong.lock().unwrap().push(clip.name);
                    }
                }
            });
        }
    });
    assert_eq!(*wrong.lock().unwrap(), Vec::<&str>::new(), "these clips do not play as they should");
}

/// The clips that are handed in with the project; a machine without them has the generated ones.
const SHARED: [Clip; 3] = [
    Clip {
        name: "bbb-480p-30s.mp4",
        args: "",
        size: Some((854, 480)),
        frames: 720,
        seconds: 30.02,
        sound: true,
        at_once: true,
        damaged: None,
    },
    Clip {
        name: "bbb-720p-5s.mp4",
        args: "",
        size: Some((1280, 720)),
        frames: 132,
        seconds: 5.3,
        sound: true,
        at_once: true,
        damaged: None,
    },
    Clip {
        name: "bbb-trailer.webm",
        args: "",
        size: Some((640, 360)),
        frames: 812,
        seconds: 32.5,
        sound: true,
        at_once: false,
        damaged: None,
    },
];

#[test]
fn the_shared_clips_play_in_external_players() {
    let Some(folder) = shared() else {
        eprintln!("the shared clips are not on this machine");
        return;
    };
    let world = World::start();
    std::thread::scope(|scope| {
        for clip in &SHARED {
            let (world, path) = (&world, folder.join(clip.name));
            scope.spawn(move || check(world, clip, &path));
        }
    });
}

/// `../shared/media` beside the project, from wherever the project lies.
fn shared() -> Option<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    Some(root.join("../shared/media")).filter(|folder| folder.exists())
}
