//! Chunks give the pictures of a single pass, whatever the source's times and key frames are like: with the plan of the real
//! binary and the real arguments, of which only the encoder is exchanged for a hash of each picture.

use std::path::{Path, PathBuf};

use matinee_core::plan::{Chunk, Plan, Seek, Video, argv};
use serde_json::Value;

use crate::corpus::table::{Class, Expect, clip};
use crate::support::process::{command, tool};

/// Sources of 14 s, so that the ramp of chunks ends behind 8 s; at the name's end is how many chunks there are.
const SOURCES: &[(&str, &str, usize)] = &[
    ("plain.mp4", "V160x90,25,14 X", 3),
    ("uneven.mp4", "V160x90,30,14 A14 X -vf select='not(between(mod(n,40),12,18))' -fps_mode vfr", 3),
    ("uneven.mkv", "V160x90,30,14 A14 X -vf select='not(between(mod(n,40),12,18))' -fps_mode vfr", 3),
    ("uneven.ts", "V160x90,30,14 A14 X -vf select='not(between(mod(n,40),12,18))' -fps_mode vfr", 3),
    ("hole.mkv", "V160x90,25,10 A14 X -vf setpts='PTS+gte(T,3)*4/TB' -fps_mode vfr", 3),
    ("edited.mp4", "V160x90,25,15 A15 XB -g 60 E1.3", 3),
    ("late-picture.mp4", "L0.72 V160x90,25,14 A14 XB", 3),
    ("late-picture.mkv", "L0.72 V160x90,25,14 A14 XB -g 33", 3),
    ("late-sound.mp4", "V160x90,25,14 L0.5 A13 XB", 3),
    ("open.mp4", "V160x90,25,14 A14 XB -g 60 -flags -cgop -x264-params open-gop=1", 3),
    ("open.mkv", "V160x90,25,14 A14 XB -g 77 -flags -cgop -x264-params open-gop=1", 3),
    ("open-hevc.mkv", "V160x90,25,14 H -x265-params log-level=none:open-gop=1:keyint=60", 3),
    ("fields.mp4", "V180x144,50,14 A14 XB -vf tinterlace=4 -flags +ilme+ildct -x264-params tff=1 -g 30", 3),
    (
        "fields.ts",
        "V180x144,50,14 A14 -vf tinterlace=4 -c:v mpeg2video -flags +ilme+ildct -top 1 -b:v 2M -c:a mp2",
        3,
    ),
    ("restarts.ts", "J=V160x90,25,7~A7~XB~-f~mpegts|V160x90,25,7~A7~XB~-f~mpegts", 3),
    ("film.mp4", "V160x90,24000/1001,14 A14 XB -g 100", 3),
    ("fast.mp4", "V640x360,60,14 A14 X", 3),
    ("negative.mp4", "V160x90,25,14 A14 XB -movflags +negative_cts_offsets", 3),
    ("old.avi", "V160x90,25,14 A14 -c:v mpeg4 -g 40 -c:a libmp3lame", 3),
    ("old.mpg", "V160x90,25,14 A14 -c:v mpeg2video -bf 2 -b:v 2M -c:a mp2", 3),
    ("old.flv", "V160x90,25,14 A14 X", 3),
];

/// Every so many sources one is looked at by `cargo test`.
const PART: usize = 5;

#[test]
fn chunks_give_the_pictures_of_a_single_pass() {
    let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let wanted = std::env::var("MATINEE_PROOF").unwrap_or_default();
    let mut wrong = Vec::new();
    // All of them in `make corpus`.
    let step = if wanted.is_empty() && std::env::var("MATINEE_CORPUS").is_err() { PART } else { 1 };
    for (name, words, chunks) in SOURCES.iter().filter(|row| row.0.contains(&wanted)).step_by(step) {
        let path = dir.path().join(format!("source-{name}"));
        std::fs::write(&path, clip(Class::Time, name, words, Expect::Ready).bytes(dir.path())).unwrap();
        let (plan, input) = planned(&path, dir.path());
        let video = plan.video.as_ref().unwrap();
        assert_eq!(video.chunks.len(), *chunks, "{name}: {:?}", video.chunks);
        let seeks = video.chunks.iter().filter(|chunk| matches!(chunk.seek, Seek::Key { .. })).count();
        let whole = Chunk { number: 0, first: 0, frames: video.frames, seek: Seek::Start };
        let once = hashes(&plan, video, &whole, &input);
        let mut joined = vec![Vec::new(); video.renditions.len()];
        for chunk in &video.chunks {
            for (all, part) in joined.iter_mut().zip(hashes(&plan, video, chunk, &input)) {
                all.extend(part);
            }
        }
        let equal = joined == once;
        let bad = joined[0].iter().zip(&once[0]).filter(|(one, other)| one != other).count();
        eprintln!("{name}: {} pictures, {seeks} seeks, {bad} differ", once[0].len());
        // A source that only has its first key frame to seek to would prove nothing.
        if !equal
            || seeks == 0
            || once[0].len() as u64 != video.frames.div_ceil(u64::from(video.renditions[0].every))
        {
            wrong.push((*name, seeks, once[0].len(), joined[0].len()));
        }
    }
    assert_eq!(wrong, []);
}

/// The plan of the product itself, of the rewritten file where it wants one; and the file that is read.
fn planned(path: &Path, dir: &Path) -> (Plan, PathBuf) {
    let plan = plan_of(path, dir);
    if plan.remux.is_none() {
        return (plan, path.to_owned());
    }
    let copy = path.with_extension("mkv");
    run(&argv::remux(plan.container, Some(0), path.to_str().unwrap(), copy.to_str().unwrap()));
    let plan = plan_of(&copy, dir);
    assert_eq!(plan.remux, None, "{}", copy.display());
    (plan, copy)
}

fn plan_of(path: &Path, dir: &Path) -> Plan {
    let mut matinee = command(env!("CARGO_BIN_EXE_matinee"));
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("MATINEE_")) {
        matinee.env_remove(name);
    }
    let output = matinee.current_dir(dir).args(["plan", "--json"]).arg(path).output().unwrap();
    let told: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{output:?}"));
    serde_json::from_value(told["plan"].clone()).unwrap_or_else(|error| panic!("{error}: {told}"))
}

fn run(args: &[String]) {
    tool("ffmpeg", &args.iter().map(String::as_str).collect::<Vec<_>>());
}

/// A hash of every picture of each rendition, before it is encoded.
fn hashes(plan: &Plan, video: &Video, chunk: &Chunk, input: &Path) -> Vec<Vec<String>> {
    let outputs = argv::chunk_outputs(video.family(0).unwrap());
    let mut args =
        argv::chunk(plan, (video, video.family(0).unwrap()), chunk, input.to_str().unwrap(), &outputs);
    args.truncate(args.iter().position(|word| word == "-map").unwrap());
    let files: Vec<PathBuf> =
        outputs.iter().map(|name| input.with_extension(format!("{name}.hash"))).collect();
    for (n, file) in files.iter().enumerate() {
        let frames = chunk.frames.div_ceil(u64::from(video.renditions[n].every)).to_string();
        let map = format!("[v{n}]");
        let words =
            ["-map", &map, "-frames:v", &frames, "-f", "framehash", "-hash", "md5", file.to_str().unwrap()];
        args.extend(words.map(str::to_owned));
    }
    run(&args);
    let read = |file: &PathBuf| {
        let text = std::fs::read_to_string(file).unwrap();
        let lines = text.lines().filter(|line| !line.starts_with('#'));
        lines.map(|line| line.rsplit_once(", ").unwrap().1.to_owned()).collect()
    };
    files.iter().map(read).collect()
}

#[test]
fn scene_cuts_are_kept_and_only_the_grid_has_key_frames() {
    let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    // Every 1.7 s another scene: between the key frames of the grid, and never at a chunk's begin.
    let cuts = "[0][1]overlay=enable='gte(mod(t,3.4),1.7)':shortest=1";
    let words = format!(
        "V320x180,25,14 -f lavfi -i mandelbrot=s=320x180:r=25 -filter_complex {cuts} -c:v libx264 -preset ultrafast -g 250 -pix_fmt yuv420p"
    );
    let words: &'static str = Box::leak(words.into_boxed_str());
    let path = dir.path().join("cuts.mp4");
    std::fs::write(&path, clip(Class::Time, "scenes.mp4", words, Expect::Ready).bytes(dir.path())).unwrap();
    let (plan, input) = planned(&path, dir.path());
    let video = plan.video.as_ref().unwrap();
    let whole = Chunk { number: 0, first: 0, frames: video.frames, seek: Seek::Start };
    let once = kinds(&plan, video, &whole, &input);
    let joined: Vec<Vec<String>> =
        video.chunks.iter().fold(vec![Vec::new(); once.len()], |mut all, chunk| {
            let parts = kinds(&plan, video, chunk, &input);
            all.iter_mut().zip(parts).for_each(|(all, part)| all.extend(part));
            all
        });
    for (joined, once) in joined.iter().zip(&once) {
        let keys = |all: &[String]| all.iter().map(|kind| kind.starts_with('1')).collect::<Vec<_>>();
        let grid: Vec<bool> = (0..once.len()).map(|frame| frame % video.gop as usize == 0).collect();
        assert_eq!(
            (&keys(joined), &keys(once)),
            (&grid, &grid),
            "key frames stand on the grid and nowhere else"
        );
        let scenes =
            |all: &[String]| -> Vec<usize> { (0..all.len()).filter(|frame| all[*frame] == "0,I").collect() };
        assert!(scenes(once).len() >= 5, "{:?}", scenes(once));
        assert_eq!(scenes(joined), scenes(once), "scene cuts");
    }
}

/// Whether each picture that comes out is a key frame, and its kind; in the order in which they are shown.
fn kinds(plan: &Plan, video: &Video, chunk: &Chunk, input: &Path) -> Vec<Vec<String>> {
    let names = argv::chunk_outputs(video.family(0).unwrap());
    let files: Vec<String> =
        names.iter().map(|name| input.with_extension(name).to_str().unwrap().to_owned()).collect();
    run(&argv::chunk(plan, (video, video.family(0).unwrap()), chunk, input.to_str().unwrap(), &files));
    let read = |file: &String| {
        let show = ["-v", "error", "-select_streams", "v:0", "-show_entries", "frame=key_frame,pict_type"];
        let output = tool("ffprobe", &[&show[..], &["-of", "csv=p=0", file]].concat());
        let text = String::from_utf8(output.stdout).unwrap();
        text.lines()
            .map(|line| line.trim_end_matches(',').to_owned())
            .filter(|line| !line.is_empty())
            .collect()
    };
    files.iter().map(read).collect()
}
