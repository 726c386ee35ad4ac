//! Whole plans: what is decided, and what is refused.

use serde_json::json;

use crate::limits;
use crate::plan::samples::{document, node, planned, probe, timeline};
use crate::plan::timeline::Packet;
use crate::plan::*;

#[test]
fn a_minute_of_1080p_with_sound() {
    insta::assert_json_snapshot!(planned(&[], &timeline(1_500, 40_000, 66, 0)));
}

#[test]
fn a_plan_comes_back_from_its_json() {
    let plan = planned(&[], &timeline(1_500, 40_000, 66, 0));
    let text = serde_json::to_string(&plan).unwrap();
    assert_eq!(serde_json::from_str::<Plan>(&text).unwrap(), plan);
}

#[test]
fn sound_alone_has_no_picture_and_its_cover_or_itself_as_poster() {
    let sound = [("/streams/0/disposition", json!({"attached_pic": 1}))];
    let line = timeline(0, 40_000, 1, 5_000_000);
    let plan = planned(&sound, &line);
    assert_eq!((plan.video, plan.audio.len(), plan.duration_us), (None, 1, 5_000_000));
    assert_eq!(plan.images.poster.map(|poster| poster.of), Some(Subject::Cover));
    let bare = [("/streams/0/codec_type", json!("data"))];
    assert_eq!(planned(&bare, &line).images.poster.map(|poster| poster.of), Some(Subject::Sound));
}

#[test]
fn a_silent_source_has_no_audio() {
    let silent = [("/streams/1/codec_type", json!("data"))];
    let plan = planned(&silent, &timeline(1_500, 40_000, 66, 0));
    assert!(plan.audio.is_empty());
    assert_eq!(plan.video.unwrap().frames, 1_500);
}

#[test]
fn sixteen_channels_become_stereo() {
    let many = [("/streams/1/channels", json!(16))];
    assert_eq!(planned(&many, &timeline(1_500, 40_000, 66, 0)).audio[0].channels, 2);
}

/// The document with these streams instead of its one sound.
fn sounding(streams: &[serde_json::Value]) -> Probe {
    let mut document = document();
    let list = document["streams"].as_array_mut().unwrap();
    list.truncate(1);
    list.extend(streams.iter().cloned());
    Probe::parse(document.to_string().as_bytes()).unwrap()
}

fn sound(channels: u32, default: u8, tags: &serde_json::Value) -> serde_json::Value {
    json!({
        "codec_name": "ac3", "codec_type": "audio", "sample_rate": "48000", "channels": channels,
        "disposition": {"default": default}, "tags": tags
    })
}

#[test]
fn every_sound_is_planned_the_default_one_first_and_surround_only_if_asked_for() {
    let probe = sounding(&[
        sound(2, 0, &json!({"language": "ger", "title": " "})),
        sound(6, 1, &json!({"language": "eng", "title": "Theatre\nmix"})),
        sound(16, 0, &json!({})),
    ]);
    let line = timeline(1_500, 40_000, 66, 0);
    let planned = |surround| {
        let pipeline = Pipeline { surround, ..Pipeline::default() };
        let plan = plan(&probe, &line, &pipeline, &node()).unwrap();
        let track = |one: &Track| {
            (one.id.clone(), one.stream, one.channels, one.kbps, one.language.clone(), one.title.clone())
        };
        plan.audio.iter().map(track).collect::<Vec<_>>()
    };
    let named = |id: &str, stream, channels, kbps, language: &str, title: &str| {
        (id.to_owned(), stream, channels, kbps, language.to_owned(), title.to_owned())
    };
    let stereo = [
        named("aac-1", 1, 2, 128, "en", "Theatre mix"),
        named("aac-2", 0, 2, 128, "de", ""),
        named("aac-3", 2, 2, 128, "", ""),
    ];
    assert_eq!(planned(false), stereo);
    let surround = named("aac-4", 1, 6, 384, "en", "Theatre mix 5.1");
    assert_eq!(planned(true), [&stereo[..], &[surround]].concat());
}

fn words(codec: &str, tags: &serde_json::Value) -> serde_json::Value {
    json!({"codec_name": codec, "codec_type": "subtitle", "disposition": {"forced": 1}, "tags": tags})
}

#[test]
fn subtitles_are_planned_in_their_order_and_pictures_are_noted() {
    let probe = sounding(&[words("subrip", &json!({"language": "swe"})), words("dvd_subtitle", &json!({}))]);
    let mut line = timeline(1_500, 40_000, 66, 0);
    line.origin_us = 1_400_000;
    let planned = plan(&probe, &line, &Pipeline::default(), &node()).unwrap();
    insta::assert_json_snapshot!(planned.subtitles);
    assert_eq!(planned.notes.last(), Some(&Note::PictureSubtitles { stream: 1 }));
}

#[test]
fn a_rewritten_source_keeps_the_names_words_and_chapters_of_what_was_brought_in() {
    let mut first = sounding(&[
        sound(2, 0, &json!({"language": "ger", "title": "Eins"})),
        sound(2, 1, &json!({"language": "eng"})),
        words("ass", &json!({"language": "eng"})),
    ]);
    (first.container, first.container_start_us) = (Container::Matroska, 10_000_000);
    first.chapters = vec![probe::Chapter { start_us: 10_500_000, end_us: 12_000_000, title: "One".into() }];
    let copy = sounding(&[sound(2, 0, &json!({})), sound(2, 0, &json!({}))]);
    let mut line = timeline(1_500, 40_000, 66, 0);
    line.origin_us = 20_000;
    let planned = plan(&copy.rewritten_from(&first), &line, &Pipeline::default(), &node()).unwrap();
    let named: Vec<_> =
        planned.audio.iter().map(|one| (one.stream, one.language.as_str(), one.title.as_str())).collect();
    assert_eq!(named, [(1, "en", ""), (0, "de", "Eins")]);
    let subtitles = planned.subtitles.unwrap();
    assert_eq!((subtitles.container, subtitles.origin_us), (Container::Matroska, 10_020_000));
    assert_eq!((planned.chapters[0].start_us, planned.chapters[0].end_us), (480_000, 1_980_000));
}

#[test]
fn chapters_are_those_that_one_can_jump_to() {
    let chapter = |start_us, end_us, title: &str| probe::Chapter { start_us, end_us, title: title.into() };
    let mut probe = probe(&[]).unwrap();
    probe.chapters = vec![
        chapter(30_000_000, 90_000_000, "Last"),
        chapter(-5_000_000, 30_000_000, " First\t"),
        chapter(70_000_000, 80_000_000, "Behind the end"),
        chapter(9, 9, "Nothing"),
    ];
    let planned = plan(&probe, &timeline(1_500, 40_000, 66, 0), &Pipeline::default(), &node()).unwrap();
    assert_eq!(planned.chapters, [chapter(0, 30_000_000, "First"), chapter(30_000_000, 60_000_000, "Last")]);
}

#[test]
fn only_mp4_and_matroska_are_read_in_place() {
    let remux =
        |name: &str| planned(&[("/format/format_name", json!(name))], &timeline(1_500, 40_000, 66, 0)).remux;
    assert_eq!(remux("matroska,webm"), None);
    assert_eq!(remux("mpegts"), Some(Remux::Container));
    let mut line = timeline(1_500, 40_000, 66, 0);
    line.seekable = false;
    assert_eq!(planned(&[], &line).remux, Some(Remux::TimesJumpBack));
    let whole = plan_whole(&probe(&[]).unwrap(), &line, &Pipeline::default(), &node()).unwrap();
    assert_eq!((whole.remux, whole.video.unwrap().chunks.len()), (None, 1));
}

#[test]
fn a_time_stamp_gap_of_ten_hours_is_over_budget_and_a_slide_show_is_not() {
    let decide = |packets: i64, gap_us: i64| {
        let at = |n: i64| Packet {
            pts_us: n * 40_000 + if n > packets / 2 { gap_us } else { 0 },
            duration_us: 40_000,
            key: n % 50 == 0,
            discard: false,
        };
        let line = Timeline::from_packets(0, (0..packets).map(at), std::iter::empty());
        plan(&probe(&[]).unwrap(), &line, &Pipeline::default(), &node())
    };
    assert_eq!(decide(200, 36_000_000_000).unwrap_err().code(), "over_budget");
    let shown = decide(200, 600_000_000).unwrap();
    assert_eq!(shown.notes[0], Note::Gap { us: 600_040_000 });
    let slides = timeline(10, 60_000_000, 1, 0);
    assert_eq!(planned(&[("/format/duration", json!("600"))], &slides).notes, [], "all of them stay as long");
}

#[test]
fn the_frame_budget_holds_at_its_limit() {
    let line = timeline(1_500, 40_000, 66, 0);
    let check = |frames_max: u64| {
        plan(&probe(&[]).unwrap(), &line, &Pipeline { frames_max, ..Pipeline::default() }, &node())
    };
    assert!(check(1_500).is_ok());
    assert_eq!(check(1_499), Err(Refusal::OverBudget { frames: 1_500, budget: 1_499 }));
}

#[test]
fn a_header_without_packets_is_truncated_and_a_short_body_is_noted() {
    let empty = timeline(0, 40_000, 1, 0);
    let refused = plan(&probe(&[]).unwrap(), &empty, &Pipeline::default(), &node());
    assert_eq!(refused, Err(Refusal::Truncated));
    assert_eq!(planned(&[], &timeline(1_400, 40_000, 66, 0)).notes, [Note::ShorterThanHeader]);
    assert_eq!(planned(&[], &timeline(1_430, 40_000, 66, 0)).notes, []);
    let mut late = timeline(1_500, 40_000, 66, 0);
    late.origin_us = 3_600_000_000;
    assert_eq!(planned(&[("/format/duration", json!("3660"))], &late).notes, [], "it begins at an hour");
}

#[test]
fn a_strict_pipeline_refuses_what_ends_too_soon() {
    let strict = Pipeline { strict: true, ..Pipeline::default() };
    let decide = |frames| plan(&probe(&[]).unwrap(), &timeline(frames, 40_000, 66, 0), &strict, &node());
    assert_eq!(decide(1_400), Err(Refusal::Damaged));
    assert!(decide(1_500).unwrap().strict);
}

#[test]
fn a_rate_that_shows_nothing_is_not_believed() {
    let slow = [("/streams/0/avg_frame_rate", json!("1/512")), ("/streams/0/r_frame_rate", json!("1/512"))];
    let video = planned(&slow, &timeline(150, 40_000, 50, 0)).video.unwrap();
    assert_eq!((video.rate, video.frames), (Rate::of(25, 1), 150));
}

#[test]
fn a_missing_filter_is_named_before_anything_runs() {
    let bright = probe(&[("/streams/0/color_transfer", json!("smpte2084"))]).unwrap();
    let bare = Capabilities { filters: Vec::new(), ..node() };
    let line = timeline(1_500, 40_000, 66, 0);
    let refused = plan(&bright, &line, &Pipeline::default(), &bare);
    assert_eq!(refused, Err(Refusal::ToolMissing { name: "zscale" }));
    assert!(plan(&probe(&[]).unwrap(), &line, &Pipeline::default(), &bare).is_ok());
}

#[test]
fn other_codecs_cost_and_need_their_encoders_only_where_they_are_asked_for() {
    let (source, line) = (probe(&[]).unwrap(), timeline(1_500, 40_000, 66, 0));
    let asked = |codecs: &[Codec]| Pipeline { codecs: codecs.to_vec(), ..Pipeline::default() };
    let costs = |codecs: &[Codec]| plan(&source, &line, &asked(codecs), &node()).unwrap().estimate;
    let (none, vp9, both) = (costs(&[]), costs(&[Codec::Vp9]), costs(&[Codec::Vp9, Codec::Av1]));
    assert_eq!((none.background_cpu_ms, vp9.cpu_ms, both.cpu_ms), (0, none.cpu_ms, none.cpu_ms));
    let share = |estimate: Estimate| estimate.background_cpu_ms * 100 / none.cpu_ms;
    assert_eq!((share(vp9), share(both)), (395, 592), "in percent of what the ladder costs");
    assert!(none.output_bytes < vp9.output_bytes && vp9.output_bytes < both.output_bytes);
    for (codecs, missing, refused) in [
        (&[][..], "libvpx-vp9", None),
        (&[Codec::Av1], "libvpx-vp9", None),
        (&[Codec::Vp9], "libvpx-vp9", Some("libvpx-vp9")),
        (&[Codec::Vp9, Codec::Av1], "libsvtav1", Some("libsvtav1")),
        (&[Codec::Av1], "libopus", Some("libopus")),
        (&[Codec::H264], "libopus", None),
    ] {
        let mut bare = node();
        bare.encoders.retain(|name| name != missing);
        let refusal = plan(&source, &line, &asked(codecs), &bare).err();
        assert_eq!(
            refusal,
            refused.map(|name| Refusal::ToolMissing { name }),
            "{codecs:?} without {missing}"
        );
    }
}

#[test]
fn other_codecs_have_the_sizes_of_the_ladder_and_every_sound_again() {
    let pipeline = Pipeline { codecs: vec![Codec::Av1, Codec::Vp9], surround: true, ..Pipeline::default() };
    let probe =
        sounding(&[sound(6, 1, &json!({"language": "eng"})), sound(2, 0, &json!({"language": "ger"}))]);
    let plan = plan(&probe, &timeline(1_500, 40_000, 66, 0), &pipeline, &node()).unwrap();
    let video = plan.video.unwrap();
    let ids = |of: &[Rendition]| of.iter().map(|one| one.id.clone()).collect::<Vec<_>>().join(" ");
    let all: Vec<String> = video.background.iter().map(|family| ids(&family.renditions)).collect();
    assert_eq!(ids(&video.renditions), "h264-1080 h264-720 h264-480 h264-360 h264-240");
    assert_eq!(all, ["vp9-1080 vp9-720 vp9-480 vp9-360 vp9-240", "av1-1080 av1-720 av1-480 av1-360 av1-240"]);
    let sounds: Vec<_> = plan.audio.iter().map(|one| (one.id.clone(), one.channels)).collect();
    let each =
        |codec: &str| [(format!("{codec}-1"), 2), (format!("{codec}-2"), 2), (format!("{codec}-3"), 6)];
    assert_eq!(sounds, [each("aac"), each("opus")].concat());
    assert_eq!((plan.audio[2].kbps, plan.audio[5].kbps), (384, 256));
}

#[test]
fn a_size_that_an_encoder_cannot_make_is_left_out_of_its_family() {
    let families = |width: u32, height: u32| {
        let small = [("/streams/0/width", json!(width)), ("/streams/0/height", json!(height))];
        let pipeline = Pipeline {
            codecs: vec![Codec::Vp9, Codec::Av1],
            sizes: vec![height, height / 4 * 2],
            ..Pipeline::default()
        };
        let line = timeline(1_500, 40_000, 66, 0);
        let video = plan(&probe(&small).unwrap(), &line, &pipeline, &node()).unwrap().video.unwrap();
        video.background.iter().map(|family| (family.codec, family.renditions.len())).collect::<Vec<_>>()
    };
    assert_eq!(families(256, 144), [(Codec::Vp9, 2), (Codec::Av1, 2)]);
    assert_eq!(families(128, 64), [(Codec::Vp9, 2), (Codec::Av1, 1)]);
    assert_eq!(families(120, 62), [(Codec::Vp9, 2)]);
}

#[test]
fn the_poster_is_at_a_tenth_or_where_the_pipeline_wants_it() {
    let at = |poster: &str| {
        let poster = poster.to_owned().try_into().unwrap();
        let pipeline = Pipeline { poster, ..Pipeline::default() };
        let plan = plan(&probe(&[]).unwrap(), &timeline(1_500, 40_000, 66, 0), &pipeline, &node()).unwrap();
        plan.images.poster.unwrap().at_us
    };
    assert_eq!(
        (at("10%"), at("0.001s"), at("100%"), at("9999s")),
        (6_000_000, 1_000, 59_900_000, 59_900_000)
    );
}

#[test]
fn every_job_has_limits_above_its_estimate() {
    let plan = planned(&[], &timeline(90_000, 40_000, 66, 0));
    assert!(plan.limits.cpu_s * 1_000 > plan.estimate.cpu_ms / 4, "{:?} {:?}", plan.limits, plan.estimate);
    assert_eq!(plan.limits.chunk_frames, 1_400);
    assert_eq!(plan.limits.memory_bytes, limits::FFMPEG_ADDRESS_SPACE_BYTES);
}

#[test]
fn the_target_duration_is_a_segment_rounded() {
    let target = |num, den| {
        let mut video = planned(&[], &timeline(1_500, 40_000, 66, 0)).video.unwrap();
        video.rate = Rate::of(num, den);
        video.segment = 2 * video.rate.gop();
        video.target_duration_s()
    };
    assert_eq!((target(25, 1), target(30_000, 1_001), target(60_000, 1_001), target(1, 3)), (4, 4, 4, 12));
}

#[test]
fn a_task_id_changes_with_the_source_and_with_each_argument() {
    let id = |source: &str, words: &[&str]| {
        task_id(source, &words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>())
    };
    let all = [id("a", &["b", "c"]), id("a", &["bc"]), id("ab", &["c"]), id("a", &["b", "d"])];
    assert_eq!(all[0], id("a", &["b", "c"]));
    assert_eq!(all.iter().collect::<std::collections::BTreeSet<_>>().len(), 4);
}

#[test]
fn a_source_that_no_machine_has_the_memory_for_is_refused_with_the_figures() {
    let timeline = timeline(100, 40_000, 50, 0);
    let needed = planned(&[], &timeline).estimate.memory_bytes;
    let on = |memory_bytes| {
        let node = Capabilities { memory_bytes, ..node() };
        plan(&probe(&[]).unwrap(), &timeline, &Pipeline::default(), &node)
    };
    assert!(on(needed).is_ok());
    let refused = on(needed - 1).unwrap_err();
    assert_eq!(refused.code(), "needs_memory");
    assert!(refused.to_string().contains(&format!("about {} MB", needed / 1_000_000)), "{refused}");
}
