//! Golden argument lists: what ffmpeg is asked to do, word by word.

use serde_json::json;

use super::*;
use crate::image::Format;
use crate::plan::Pipeline;
use crate::plan::samples::{node, planned, probe as probe_of, timeline};
use crate::storyboard::Storyboard;

/// One argument per line, so that a difference shows which one.
fn lines(argv: &[String]) -> String {
    argv.join("\n")
}

fn nth(plan: &Plan, number: usize) -> Vec<String> {
    of_family(plan, 0, number)
}

fn of_family(plan: &Plan, family: u32, number: usize) -> Vec<String> {
    let video = plan.video.as_ref().unwrap();
    let family = video.family(family).unwrap();
    chunk(plan, (video, family), &video.chunks[number], "in", &chunk_outputs(family))
}

/// The filter graph of an argument list.
fn graph_of(argv: &[String]) -> &str {
    let at = argv.iter().position(|word| word == "-filter_complex").unwrap();
    &argv[at + 1]
}

#[test]
fn the_probe_allows_every_family_and_no_network() {
    insta::assert_snapshot!(lines(&probe("in")));
    insta::assert_snapshot!(lines(&packets("in", Container::Mpegts)));
}

#[test]
fn a_chunk_of_a_1080p_source_is_one_cascade() {
    let plan = planned(&[], &timeline(1_500, 40_000, 66, 0));
    insta::assert_snapshot!(lines(&nth(&plan, 3)));
}

#[test]
fn the_first_chunk_does_not_seek() {
    let plan = planned(&[], &timeline(1_500, 40_000, 66, 0));
    let argv = nth(&plan, 0);
    assert!(argv.contains(&"-copyts".to_owned()) && !argv.contains(&"-ss".to_owned()), "{argv:?}");
    assert!(graph_of(&argv).starts_with(
        "[0:v:0]setpts=PTS-0/TB,fps=25/1,trim=start_pts=0:end_pts=100,setpts=PTS-0,setsar=1,format=yuv420p,split=2"
    ));
}

#[test]
fn a_late_picture_is_held_only_where_nothing_is_sought() {
    let plan = planned(&[], &timeline(1_500, 40_000, 66, 720_000));
    assert!(graph_of(&nth(&plan, 0)).contains(",fps=25/1:start_time=0,"));
    let later = nth(&plan, 1);
    assert!(graph_of(&later).contains(",fps=25/1,"));
    let at = later.iter().position(|word| word == "-ss").unwrap();
    assert_eq!(later[at + 1], "3.36");
}

#[test]
fn a_fast_small_source_takes_half_its_frames_at_the_head_of_the_branch() {
    let size = [("/streams/0/width", json!(1280)), ("/streams/0/height", json!(720))];
    let rate = [("/streams/0/avg_frame_rate", json!("60/1")), ("/streams/0/r_frame_rate", json!("60/1"))];
    let plan = planned(&[size, rate].concat(), &timeline(600, 16_666, 100, 0));
    insta::assert_snapshot!(lines(&nth(&plan, 0)));
}

#[test]
fn odd_interlaced_anamorphic_and_bright_sources_are_made_right_before_the_split() {
    let check = |changes: &[(&str, serde_json::Value)], expected: &str| {
        let graph = graph_of(&nth(&planned(changes, &timeline(1_500, 40_000, 66, 0)), 0)).to_owned();
        assert!(graph.contains(expected), "{expected} in {graph}");
    };
    let odd = [("/streams/0/width", json!(641)), ("/streams/0/height", json!(361))];
    check(
        &odd,
        ",setpts=PTS-0,scale=640:360,setsar=1,format=yuv420p,split=2[v0][b0];[b0]scale=426:240:flags=bicubic",
    );
    let wide = [("/streams/0/width", json!(720)), ("/streams/0/height", json!(576))];
    let sar = [("/streams/0/sample_aspect_ratio", json!("64:45"))];
    check(
        &[wide, [sar[0].clone(), ("/streams/0/field_order", json!("tt"))]].concat(),
        "setpts=PTS-0,scale=1024:576,setsar=1",
    );
    check(&[("/streams/0/field_order", json!("tt"))], "/TB,bwdif=mode=send_frame:deint=interlaced,fps=25/1,");
    check(
        &[("/streams/0/color_transfer", json!("smpte2084"))],
        "setpts=PTS-0,zscale=t=linear:npl=100,format=gbrpf32le,zscale=p=bt709,tonemap=hable:desat=0,\
         zscale=t=bt709,format=gbrp10le,zscale=m=bt709:r=tv,setsar=1,format=yuv420p",
    );
}

#[test]
fn what_a_source_does_not_say_of_its_colours_is_told_to_the_filters() {
    let check = |changes: &[(&str, serde_json::Value)], expected: &str| {
        let argv = nth(&planned(changes, &timeline(1_500, 40_000, 66, 0)), 0);
        let graph = graph_of(&argv).to_owned();
        assert!(graph.contains(expected), "{expected} in {graph}");
        assert!(argv.windows(2).any(|pair| pair == ["-colorspace", "bt709"]), "{argv:?}");
    };
    let bright = ("/streams/0/color_transfer", json!("arib-std-b67"));
    check(
        &[bright, ("/streams/0/color_primaries", json!("")), ("/streams/0/color_space", json!("unknown"))],
        "setparams=color_primaries=bt2020:color_trc=arib-std-b67:colorspace=bt2020nc,zscale=t=linear",
    );
    let screen = [("/streams/0/pix_fmt", json!("gbrp")), ("/streams/0/color_space", json!("gbr"))];
    check(
        &screen,
        "setpts=PTS-0,scale=1920:1080:out_color_matrix=bt709:out_range=tv,setsar=1,format=yuv420p",
    );
}

#[test]
fn a_transfer_has_the_name_that_the_encoder_knows() {
    for (told, known) in [("bt470bg", "gamma28"), ("bt470m", "gamma22"), ("smpte170m", "smpte170m")] {
        let transfer = [("/streams/0/color_transfer", json!(told))];
        let argv = nth(&planned(&transfer, &timeline(1_500, 40_000, 66, 0)), 0);
        assert!(argv.windows(2).any(|pair| pair == ["-color_trc", known]), "{argv:?}");
    }
}

#[test]
fn a_strict_plan_ends_at_the_first_damage() {
    let mut plan = planned(&[], &timeline(1_500, 40_000, 66, 0));
    let strict = |plan: &Plan| {
        let safe = chunk_safe(plan, &plan.video.as_ref().unwrap().chunks[0], (0, 0), "in", "out").unwrap();
        [nth(plan, 1), safe, audio(plan, &plan.audio[0], None, "in", "out")]
            .map(|argv| argv.contains(&"-xerror".to_owned()))
    };
    assert_eq!(strict(&plan), [false; 3]);
    plan.strict = true;
    assert_eq!(strict(&plan), [true; 3]);
}

#[test]
fn what_cannot_be_heard_is_silent_until_the_picture_ends() {
    let plan = planned(&[], &timeline(1_500, 40_000, 66, 0));
    let argv = silence(&plan.audio[0], "out").unwrap();
    assert!(argv.contains(&"anullsrc=r=48000:cl=stereo:d=60[s]".to_owned()), "{argv:?}");
    assert_eq!(silence(&Track { until_us: None, ..plan.audio[0].clone() }, "out"), None);
    let safe = audio_safe(&plan, &plan.audio[0], None, "in", "out");
    assert!(safe.iter().any(|word| word.starts_with("aformat=sample_fmts=s16,asetpts=")), "{safe:?}");
}

#[test]
fn unknown_colours_are_not_written_and_tone_mapped_ones_are_bt709() {
    let none = [("color_space", ""), ("color_transfer", "unknown"), ("color_primaries", "-i /etc/passwd")];
    let changes = none.map(|(name, value)| (format!("/streams/0/{name}"), json!(value)));
    let changes = changes.each_ref().map(|(path, value)| (path.as_str(), value.clone()));
    let argv = nth(&planned(&changes, &timeline(1_500, 40_000, 66, 0)), 0);
    assert!(!argv.iter().any(|word| word.starts_with("-color") || word.contains("passwd")), "{argv:?}");
    let bright = [("/streams/0/color_transfer", json!("arib-std-b67"))];
    let argv = nth(&planned(&bright, &timeline(1_500, 40_000, 66, 0)), 0);
    assert!(argv.windows(2).any(|pair| pair == ["-color_trc", "bt709"]), "{argv:?}");
}

#[test]
fn the_safe_profile_reads_from_the_start_with_one_thread() {
    let plan = planned(&[], &timeline(1_500, 40_000, 66, 0));
    let video = plan.video.as_ref().unwrap();
    insta::assert_snapshot!(lines(&chunk_safe(&plan, &video.chunks[3], (0, 2), "in", "out_0.mp4").unwrap()));
    assert_eq!(chunk_safe(&plan, &video.chunks[3], (0, 5), "in", "out_0.mp4"), None);
}

#[test]
fn a_source_that_cannot_be_remuxed_is_read_without_copyts() {
    let mut plan = planned(&[], &timeline(1_500, 40_000, 66, 0));
    (plan.origin_us, plan.container_start_us) = (1_500_000, 1_400_000);
    let video = plan.video.as_ref().unwrap();
    let whole = Chunk { seek: Seek::Rewritten, ..video.chunks[0] };
    let ladder = video.family(0).unwrap();
    let argv = chunk(&plan, (video, ladder), &whole, "in", &chunk_outputs(ladder));
    assert!(!argv.contains(&"-copyts".to_owned()), "{argv:?}");
    assert!(graph_of(&argv).starts_with("[0:v:0]setpts=PTS-0.1/TB,"));
}

#[test]
fn sound_is_encoded_as_a_whole() {
    let mut plan = planned(&[], &timeline(1_500, 40_000, 66, 0));
    plan.origin_us = -21_333;
    insta::assert_snapshot!(lines(&audio(&plan, &plan.audio[0], None, "in", "audio.mp4")));
}

#[test]
fn a_sound_is_measured_as_it_is_encoded() {
    let plan = planned(&[], &timeline(1_500, 40_000, 66, 0));
    insta::assert_snapshot!(lines(&loudness(&plan, &plan.audio[0], "in")));
    let louder = audio(&plan, &plan.audio[0], Some(-74), "in", "audio.mp4");
    let filters = &louder[louder.iter().position(|word| word == "-af").unwrap() + 1];
    assert_eq!(
        filters,
        "asetpts=PTS-0/TB,aresample=async=1:first_pts=0,apad=whole_dur=60,aformat=channel_layouts=stereo,volume=-7.4dB"
    );
}

#[test]
fn subtitles_are_all_converted_in_one_run() {
    let stream = |id: &str, stream| Subtitle {
        id: id.into(),
        stream,
        codec: "subrip".into(),
        text: true,
        language: "-i".into(),
        title: "/etc/passwd".into(),
        forced: false,
    };
    let streams = [stream("s1", 0), stream("s3", 2)];
    insta::assert_snapshot!(lines(&subtitles(Container::Matroska, &streams, "in")));
}

#[test]
fn the_rest_is_a_remux() {
    insta::assert_snapshot!(lines(&remux(Container::Flv, Some(0), "in", "out.mkv")));
    assert!(
        lines(&remux(Container::Mpeg, Some(0), "in", "out.mkv")).contains("1\n-fflags\n+genpts\n-max_pixels")
    );
    assert!(!lines(&remux(Container::Flv, None, "in", "out.mkv")).contains("0:v"));
}

#[test]
fn pictures_are_asked_for_word_by_word() {
    let film = Film { input: "in", container: Container::Mov, raw: None };
    let board = Storyboard::of((426, 240), &[0, 2_000_000, 4_000_000], 250_000_000).unwrap();
    let all = [
        poster(film, 6_000_000, (1_280, 720), "poster.jpg"),
        thumbnail_last(film, 57_000_000, (640, 360), "thumbnail.jpg"),
        storyboard(&board, "in", "sheet_%d.jpg"),
        preview(6_000_000, (320, 180), "in", "preview.mp4"),
        picture(Format::Png, "in", "poster.jpg"),
        cover(Container::Mp3, "in", "poster.jpg"),
        waveform(Container::Flac, 1, "in", "poster.jpg"),
    ];
    insta::assert_snapshot!(all.map(|argv| lines(&argv)).join("\n\n"));
}

#[test]
fn a_picture_of_a_source_is_made_right_before_it_is_shown() {
    let changes =
        [("/streams/0/color_transfer", json!("smpte2084")), ("/streams/0/field_order", json!("tt"))];
    let plan = planned(&changes, &timeline(1_500, 40_000, 66, 0));
    let raw = plan.video.as_ref();
    let film = Film { input: "in", container: Container::Matroska, raw };
    let argv = thumbnail(film, 1_500_000, (640, 360), "thumbnail.jpg").join(" ");
    let bright = "zscale=t=linear:npl=100,format=gbrpf32le,zscale=p=bt709,tonemap=hable:desat=0,\
                  zscale=t=bt709,format=gbrp10le,zscale=m=bt709:r=tv,setsar=1,format=yuv420p -frames:v 1";
    assert!(argv.contains("-ss 1.5 -max_pixels"), "{argv}");
    assert!(argv.contains("-map 0:v:0 -vf bwdif=mode=send_frame:deint=interlaced,scale=640:360,"), "{argv}");
    assert!(argv.contains(bright), "{argv}");
    assert!(!poster_first(film, (640, 360), "poster.jpg").contains(&"-ss".to_owned()));
}

#[test]
fn a_still_of_a_source_is_what_encoding_shows_there() {
    let colour = [("/streams/0/color_transfer", json!("smpte2084"))];
    let plan = planned(&colour, &timeline(1_500, 40_000, 66, 0));
    let video = plan.video.as_ref().unwrap();
    let film = Film { input: "in", container: Container::Matroska, raw: Some(video) };
    let near = shortly_before(&plan, video, 1_400).unwrap();
    assert_eq!(near, Seek::Key { ss_us: 55_840_000 });
    let far = video.chunks.iter().rfind(|chunk| chunk.first <= 1_400).unwrap().seek;
    let asked = [(near, false), (far, true), (Seek::Rewritten, true)]
        .map(|(seek, filled)| lines(&moment((&plan, film), (1_400, seek, filled), (640, 360), "still.jpg")));
    insta::assert_snapshot!(asked.join("\n\n"));
    assert_eq!(shortly_before(&plan, video, 4), None, "the beginning is near enough");
}

#[test]
fn one_channel_becomes_two_that_are_as_loud() {
    let plan = planned(&[("/streams/1/channels", json!(1))], &timeline(1_500, 40_000, 66, 0));
    let track = &plan.audio[0];
    assert!(track.mono && track.channels == 2);
    let filters = |argv: &[String]| argv[argv.iter().position(|word| word == "-af").unwrap() + 1].clone();
    let even = "asetpts=PTS-0/TB,aresample=async=1:first_pts=0,apad=whole_dur=60,pan=stereo|c0=c0|c1=c0";
    assert_eq!(filters(&audio(&plan, track, None, "in", "out")), even);
    assert_eq!(filters(&audio(&plan, track, Some(31), "in", "out")), format!("{even},volume=3.1dB"));
    assert!(filters(&loudness(&plan, track, "in")).starts_with(&format!("{even},ebur128=")));
}

/// The sample with these fields of the pipeline.
fn with(changes: &[(&str, serde_json::Value)], fields: serde_json::Value) -> Plan {
    let pipeline: Pipeline = serde_json::from_value(fields).unwrap();
    let (probe, line) = (probe_of(changes).unwrap(), timeline(1_500, 40_000, 66, 0));
    crate::plan::plan(&probe, &line, &pipeline, &node()).unwrap()
}

#[test]
fn vp9_and_av1_are_cascades_of_their_own_over_the_same_frames() {
    let plan = with(&[], json!({ "sizes": [1_080, 720], "codecs": ["h264", "vp9", "av1"] }));
    let families = [of_family(&plan, 1, 3), of_family(&plan, 2, 3)];
    insta::assert_snapshot!(families.map(|argv| lines(&argv)).join("\n\n"));
    assert_eq!(plan.video.as_ref().unwrap().family(3), None);
    let of = |argv: &[String]| graph_of(argv).split_once(",setsar").unwrap().0.to_owned();
    assert_eq!(of(&nth(&plan, 3)), of(&of_family(&plan, 1, 3)));
}

#[test]
fn a_bright_source_keeps_its_colour_when_that_is_asked_for() {
    let colour =
        [("color_space", "bt2020nc"), ("color_transfer", "smpte2084"), ("color_primaries", "bt2020")];
    let changes = colour.map(|(name, value)| (format!("/streams/0/{name}"), json!(value)));
    let mut changes = changes.each_ref().map(|(path, value)| (path.as_str(), value.clone())).to_vec();
    let places = [("red", 34_000, 16_000), ("green", 13_250, 34_500), ("blue", 7_500, 3_000)];
    let mut screen = json!({ "min_luminance": "50/10000", "max_luminance": "10000000/10000" });
    for (name, x, y) in places.into_iter().chain([("white_point", 15_635, 16_450)]) {
        screen[format!("{name}_x")] = json!(format!("{x}/50000"));
        screen[format!("{name}_y")] = json!(format!("{y}/50000"));
    }
    let said = json!([screen, { "max_content": 1000, "max_average": 400 }]);
    changes.push(("/streams/0/side_data_list", said));
    let asked = json!({ "sizes": [720], "hdr": "keep", "hdr_codecs": ["hevc", "av1"], "quality": "high" });
    let plan = with(&changes, asked);
    insta::assert_snapshot!([1, 2].map(|family| lines(&of_family(&plan, family, 0))).join("\n\n"));
    assert!(graph_of(&nth(&plan, 0)).contains("tonemap"), "the others are brought down");
    let alone = with(&changes, json!({ "hdr": "keep", "hdr_codecs": ["hevc"] }));
    let opus = alone.audio.iter().any(|track| track.codec == crate::plan::SoundCodec::Opus);
    assert!(!opus, "with HEVC the usual sound is heard");
    assert!(with(&[], json!({ "hdr": "keep" })).video.unwrap().background.is_empty(), "nothing to keep");
}

#[test]
fn opus_and_webm_are_asked_for_word_by_word() {
    let plan = with(&[], json!({ "codecs": ["vp9"] }));
    insta::assert_snapshot!(
        [audio(&plan, &plan.audio[1], None, "in", "audio.mp4"), webm("in", "out.webm")]
            .map(|argv| lines(&argv))
            .join("\n\n")
    );
}

#[test]
fn seconds_have_no_zeros_at_the_end() {
    for (us, text) in
        [(0, "0"), (79_280_000, "79.28"), (1, "0.000001"), (-500_000, "-0.5"), (10_000_000, "10")]
    {
        assert_eq!(seconds(us), text);
    }
}

/// A picture for a watermark.
fn logo() -> String {
    let head =
        [&b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x50\0\0\0\x28"[..], &[8, 6, 0, 0, 0, 1, 2, 3, 4]].concat();
    crate::watermark::text_of(&head)
}

#[test]
fn a_watermark_is_laid_on_once_and_a_shape_is_cut_before_the_split() {
    let watermark = logo();
    let pipeline = format!(
        r#"{{"crop":"4:3","watermark":{{"picture":"{watermark}","opacity_percent":70,"x":-10,"y":10}}}}"#
    );
    let pipeline: Pipeline = serde_json::from_str(&pipeline).unwrap();
    pipeline.check().unwrap();
    let plan =
        crate::plan::plan(&probe_of(&[]).unwrap(), &timeline(1_500, 40_000, 66, 0), &pipeline, &node())
            .unwrap();
    insta::assert_snapshot!(lines(&nth(&plan, 3)));
    let video = plan.video.as_ref().unwrap();
    insta::assert_snapshot!(lines(&chunk_safe(&plan, &video.chunks[3], (0, 2), "in", "out_0.mp4").unwrap()));
    let film = Film { input: "in", container: Container::Mov, raw: Some(video) };
    insta::assert_snapshot!(lines(&poster(film, 6_000_000, (320, 240), "poster.jpg")));
    insta::assert_snapshot!(lines(&mark(video.picture.mark.as_ref().unwrap(), "brought")));
    let ours = Film { raw: None, ..film };
    assert!(
        !lines(&poster(ours, 0, (320, 240), "poster.jpg")).contains(MARK),
        "a rendition shows it already"
    );
}

#[test]
fn sizes_are_compared_with_the_source_in_one_run() {
    let size = [("/streams/0/width", json!(1280)), ("/streams/0/height", json!(720))];
    let rate = [("/streams/0/avg_frame_rate", json!("60/1")), ("/streams/0/r_frame_rate", json!("60/1"))];
    let plan = planned(&[size, rate].concat(), &timeline(3_600, 16_666, 100, 0));
    let video = plan.video.as_ref().unwrap();
    let places: Vec<(u64, u64)> = samples(video).iter().map(|one| (one.first, one.frames)).collect();
    assert_eq!(places, [(240, 240), (960, 240), (2_160, 240)]);
    let outputs = chunk_outputs(video.family(0).unwrap());
    insta::assert_snapshot!(lines(&judge(&plan, video, &samples(video)[1], "in", &outputs)));
}

#[test]
fn a_watermark_on_bright_pictures_is_as_white_as_paper() {
    let picture = logo();
    let plan = |transfer: &str| {
        let fields = json!({ "codecs": ["av1"], "hdr": "keep", "watermark": { "picture": picture } });
        with(&[("/streams/0/color_transfer", json!(transfer))], fields)
    };
    let graph = |transfer: &str, family| graph_of(&of_family(&plan(transfer), family, 0)).to_owned();
    for (family, transfer, mark, format) in [
        (0, "smpte2084", "colorchannelmixer=aa=1[mark]", "format=yuv420:"),
        (1, "smpte2084", "colorchannelmixer=aa=1[mark]", "format=yuv420p10:"),
        (2, "smpte2084", "colorchannelmixer=rr=0.58:gg=0.58:bb=0.58:aa=1[mark]", "format=yuv420p10:"),
        (2, "arib-std-b67", "colorchannelmixer=rr=0.75:gg=0.75:bb=0.75:aa=1[mark]", "format=yuv420p10:"),
    ] {
        let graph = graph(transfer, family);
        assert!(graph.contains(mark) && graph.contains(format), "{family} of {transfer}: {graph}");
    }
}
