//! Sources of high dynamic range: mapped for every screen, and kept as they are in AV1 and HEVC, as both manifests say.

use std::path::PathBuf;

use serde_json::Value;

use crate::players::support::{READY, World, ffmpeg, make, packets, streams, within};

/// Pictures of a clip of 5 s.
const FRAMES: usize = 125;
/// By how much a sample of 10 bits may be off on average: four of 8 bits.
const OFF: f64 = 16.0;

const KEPT: &str =
    "[[pipeline]]\nname = \"default\"\nsizes = [120]\nhdr = \"keep\"\nhdr_codecs = [\"av1\", \"hevc\"]\n";
/// What the source says of the screen that it was made on, and of its brightest pictures.
const LIGHT: &str =
    "master-display=G(13250,34500)B(7500,3000)R(34000,16000)WP(15635,16450)L(10000000,50):max-cll=1000,400";

/// A moving picture of 10 bits in HEVC with this transfer.
fn source(world: &World, name: &str, transfer: &str, light: &str) -> PathBuf {
    let text = format!(
        "-f lavfi -i testsrc2=s=160x120:r=25:d=5 -f lavfi -i sine=440:r=48000:d=5 -c:v libx265 -preset ultrafast \
         -x265-params log-level=error:{light} -pix_fmt yuv420p10le -color_primaries bt2020 -color_trc {transfer} \
         -colorspace bt2020nc -tag:v hvc1 -c:a aac"
    );
    make(world.dir.path(), name, &text.split_whitespace().map(str::to_owned).collect::<Vec<_>>())
}

/// The brightness of all pictures, on 16 by 12 tiles of 10 bits.
fn tiles(input: &str) -> Vec<u16> {
    let scale = "scale=16:12:flags=area,format=gray10le";
    let after = ["-map", "0:v:0", "-vf", scale, "-fps_mode", "passthrough", "-f", "rawvideo", "-"];
    let bytes = ffmpeg(&[], input, &after);
    bytes.chunks_exact(2).map(|pair| u16::from_le_bytes([pair[0], pair[1]])).collect()
}

/// What the first picture says beside its samples.
fn side_data(file: &str) -> String {
    let asked = ["-select_streams", "v:0", "-read_intervals", "%+#1", "-show_frames", "-of", "json"];
    let args = [&["-v", "error"][..], &asked, &[file]].concat();
    let said = crate::support::process::tool("ffprobe", &args).stdout;
    let all: Value = serde_json::from_slice(&said).unwrap();
    all["frames"][0]["side_data_list"].to_string()
}

/// Waits until these renditions of a video are whole.
fn rows(world: &World, video: &str, names: &[&str]) -> Vec<Value> {
    world.ended(video, |_| {});
    within(READY, "the bright pictures are there", || {
        let now = world.json(&format!("/v1/videos/{video}"));
        let rows = now["renditions"].as_array().unwrap();
        let whole = |name: &&str| rows.iter().find(|row| row["id"] == **name && row["state"] == "ready");
        names.iter().map(whole).collect::<Option<Vec<_>>>().map(|rows| rows.into_iter().cloned().collect())
    })
}

#[test]
fn a_bright_source_is_mapped_for_every_screen_and_kept_for_those_that_can() {
    let world = World::with(KEPT);
    let cases =
        [("pq.mp4", "smpte2084", LIGHT, "PQ", "16"), ("hlg.mp4", "arib-std-b67", "keyint=50", "HLG", "18")];
    let sources = cases.map(|(name, transfer, light, ..)| source(&world, name, transfer, light));
    let ids = sources.each_ref().map(|path| world.upload(path));
    for ((case, path), video) in cases.iter().zip(&sources).zip(&ids) {
        let (name, transfer, light, range, code) = *case;
        let found = rows(&world, video, &["av1-hdr-120", "hevc-hdr-120"]);
        let codecs: Vec<&str> = found.iter().map(|row| row["codec"].as_str().unwrap()).collect();
        assert!(codecs[0].starts_with("av01.0.00M.10.0.11"), "{name}: {codecs:?}");
        assert!(codecs[0].ends_with(&format!(".09.{code}.09.0")), "{name}: {codecs:?}");
        assert!(codecs[1].starts_with("hvc1.2.4."), "{name}: {codecs:?}");
        let place = world.place(video, 2);
        let given = tiles(path.to_str().unwrap());
        for (rendition, sound) in [("av1-hdr-120", "opus"), ("hevc-hdr-120", "aac")] {
            let playlist = format!("{place}/{rendition}/v.m3u8");
            let file = world.dir.path().join(format!("{rendition}-{name}"));
            let (status, bytes) = world.get(&format!("{place}/{rendition}/file.mp4"));
            assert_eq!(status, 200, "{name}: {rendition}");
            std::fs::write(&file, bytes).unwrap();
            let file = file.to_str().unwrap();
            for input in [&playlist, file] {
                let all = streams(input);
                let said =
                    ["pix_fmt", "color_transfer", "color_primaries", "color_space"].map(|key| &all[0][key]);
                assert_eq!(said, ["yuv420p10le", transfer, "bt2020", "bt2020nc"], "{name}: {rendition}");
                assert_eq!(packets(input, "v:0").len(), FRAMES, "{name}: {rendition}");
                let shown = tiles(input);
                assert_eq!(shown.len(), given.len(), "{name}: {rendition}");
                let off: f64 = shown.iter().zip(&given).map(|(a, b)| f64::from(a.abs_diff(*b))).sum();
                let off = off / given.len() as f64;
                assert!(off < OFF, "{name}: {rendition} is off by {off}");
            }
            assert_eq!(streams(file)[1]["codec_name"], sound, "{name}: {rendition}");
            let told = side_data(file);
            for word in ["Mastering display metadata", "Content light level metadata"] {
                assert_eq!(told.contains(word), light == LIGHT, "{name}: {rendition} says {told}");
            }
        }
        let all = streams(&format!("{place}/h264-120/v.m3u8"));
        let said = ["pix_fmt", "color_transfer", "color_primaries", "color_space"].map(|key| &all[0][key]);
        assert_eq!(said, ["yuv420p", "bt709", "bt709", "bt709"], "{name}");
        manifests(&world, &place, (range, code));
    }
}

/// Both manifests say which pictures are bright, and in HLS what is heard with them.
fn manifests(world: &World, place: &str, (range, code): (&str, &str)) {
    let master = world.text(&format!("{place}/m.m3u8"));
    let found: Vec<_> = master.lines().filter(|line| line.starts_with("#EXT-X-STREAM-INF")).collect();
    let is = |n: usize, parts: [&str; 3]| {
        assert!(parts.iter().all(|part| found[n].contains(part)), "{parts:?} in {}", found[n]);
    };
    let bright = format!("VIDEO-RANGE={range},");
    is(0, ["avc1", "VIDEO-RANGE=SDR,", "AUDIO=\"sound\""]);
    is(1, ["av01", &bright, "AUDIO=\"opus\""]);
    is(2, ["hvc1", &bright, "AUDIO=\"sound\""]);
    assert!(found.len() == 4 && !found[3].contains("RESOLUTION"), "{master}");
    let mpd = world.text(&format!("{place}/manifest.mpd"));
    let sets: Vec<_> = mpd.split("<AdaptationSet ").skip(1).collect();
    let transfer = format!("cicp:TransferCharacteristics\" value=\"{code}\"");
    for (set, codec) in [(sets[1], "av01."), (sets[2], "hvc1.")] {
        assert!(set.contains(&transfer) && set.contains(codec), "{mpd}");
    }
    assert!(!sets[0].contains("cicp"), "{mpd}");
}
