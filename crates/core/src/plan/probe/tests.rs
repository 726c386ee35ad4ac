//! ffprobe's answers, good and bad.

use serde_json::{Value, json};

use super::*;
use crate::plan::samples::{changed, probe};

fn code(changes: &[(&str, Value)]) -> &'static str {
    probe(changes).map_or_else(|refusal| refusal.code(), |_| "ok")
}

#[test]
fn a_plain_mp4_is_read_completely() {
    insta::assert_json_snapshot!(probe(&[]).unwrap());
}

#[test]
fn missing_and_odd_fields_are_tolerated() {
    let text = br#"{"streams":[{"index":0,"codec_type":"video","codec_name":"vp9","width":320,"height":240,"pix_fmt":"yuv420p","level":-99,"bit_rate":5,"tags":{"x":[1]}}],"format":{"format_name":"matroska,webm"}}"#;
    let probe = Probe::parse(text).unwrap();
    let video = probe.video.unwrap();
    assert_eq!((video.displayed(), video.level, video.bit_rate), ((320, 240), -99, Some(5)));
    assert_eq!((probe.container_start_us, probe.header_duration_us), (0, None));
}

#[test]
fn what_is_no_media_or_too_much_is_refused() {
    assert_eq!(Probe::parse(b"{}").unwrap_err().code(), "not_media");
    assert_eq!(Probe::parse(b"hello").unwrap_err().code(), "not_media");
    assert_eq!(code(&[("/format/format_name", json!("hls"))]), "not_media");
    assert_eq!(code(&[("/streams", json!([]))]), "unsupported_media");
    let stream = changed(&[])["streams"][1].clone();
    assert_eq!(code(&[("/streams", json!(vec![stream.clone(); 64]))]), "ok");
    assert_eq!(code(&[("/streams", json!(vec![stream; 65]))]), "too_many_streams");
}

#[test]
fn the_picture_is_limited_in_both_directions_and_in_pixels() {
    let size = |width: u32, height: u32| {
        code(&[("/streams/0/width", json!(width)), ("/streams/0/height", json!(height))])
    };
    assert_eq!((size(8_192, 4_320), size(4_320, 8_192)), ("ok", "ok"));
    assert_eq!(
        (size(8_193, 100), size(4_321, 4_321), size(100, 8_193)),
        ("too_large", "too_large", "too_large")
    );
}

#[test]
fn rotation_and_pixel_shape_give_the_displayed_size() {
    let shown = |changes: &[(&str, Value)]| {
        let video = probe(changes).unwrap().video.unwrap();
        (video.displayed(), video.rotation_degrees)
    };
    let turned = |degrees: Value| [("/streams/0/side_data_list", json!([{"rotation": degrees}]))];
    assert_eq!(shown(&turned(json!(-90))), ((1_080, 1_920), 90));
    assert_eq!(shown(&turned(json!(90))), ((1_080, 1_920), 270));
    assert_eq!(shown(&turned(json!("180"))), ((1_920, 1_080), 180));
    assert_eq!(shown(&[("/streams/0/tags", json!({"rotate": "90"}))]), ((1_080, 1_920), 90));
    let pal = [("/streams/0/width", json!(720)), ("/streams/0/height", json!(576))];
    let wide = [pal[0].clone(), pal[1].clone(), ("/streams/0/sample_aspect_ratio", json!("64:45"))];
    assert_eq!(shown(&wide).0, (1_024, 576));
    assert_eq!(shown(&[("/streams/0/sample_aspect_ratio", json!("0:1"))]).0, (1_920, 1_080));
}

#[test]
fn covers_and_timecode_tracks_are_never_the_picture() {
    let real = changed(&[])["streams"][0].clone();
    let mut cover = real.clone();
    cover["disposition"] = json!({"default": 1, "attached_pic": 1});
    let mut timecode = real.clone();
    timecode["codec_type"] = json!("data");
    let all = probe(&[("/streams", json!([cover, timecode, real]))]).unwrap();
    assert_eq!((all.video.unwrap().ordinal, all.attached_pictures), (1, 1));
}

#[test]
fn the_default_track_is_the_main_one() {
    let mut first = changed(&[])["streams"][1].clone();
    let second = first.clone();
    first["disposition"] = json!({"default": 0});
    let main =
        |streams: Value| probe(&[("/streams", streams)]).unwrap().main_audio().map(|track| track.ordinal);
    assert_eq!(main(json!([first.clone(), second])), Some(1));
    assert_eq!(main(json!([first.clone(), first])), Some(0));
}

#[test]
fn every_family_is_recognised_by_what_ffprobe_calls_it() {
    for family in CONTAINERS {
        assert_eq!(Container::of(family.format_whitelist()), Some(family));
    }
    for foreign in ["concat", "image2", "lavfi", "dash", "sdp", ""] {
        assert_eq!(Container::of(foreign), None, "{foreign}");
    }
}

#[test]
fn the_first_picture_says_how_bright_a_source_is_where_the_container_is_silent() {
    let bright = [("/streams/0/color_transfer", json!("smpte2084"))];
    let silent = probe(&bright).unwrap();
    assert!(silent.is_silent_about_light() && !probe(&[]).unwrap().is_silent_about_light());
    let said = r#"{"frames":[{"side_data_list":[{"side_data_type":"H.26[45] User Data"},
        {"side_data_type":"Mastering display metadata","red_x":"34000/50000","red_y":"16000/50000","green_x":"13250/50000",
         "green_y":"34500/50000","blue_x":"7500/50000","blue_y":"3000/50000","white_point_x":"15635/50000",
         "white_point_y":"16450/50000","min_luminance":"50/10000","max_luminance":"10000000/10000"},
        {"side_data_type":"Content light level metadata","max_content":1000,"max_average":400}]}]}"#;
    let lit = silent.clone().lit_by(said.as_bytes());
    let light = lit.video.as_ref().unwrap().light;
    assert_eq!((light.mastering.unwrap().brightest, light.content), (10_000_000, Some((1_000, 400))));
    assert!(!lit.is_silent_about_light());
    for nothing in ["", "{}", r#"{"frames":[]}"#, r#"{"frames":[{}]}"#, r#"{"frames":7}"#] {
        assert_eq!(silent.clone().lit_by(nothing.as_bytes()), silent, "{nothing}");
    }
}
