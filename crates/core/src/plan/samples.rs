//! Sources for the tests: ffprobe's answers with one thing changed, and evenly spaced packets.

use serde_json::{Value, json};

use super::timeline::Packet;
use super::{Capabilities, Plan, Probe, Refusal, Timeline, decide};

/// A 1080p25 MP4 of 60 s with English stereo sound, as ffprobe 5.1 describes it.
pub(super) fn document() -> Value {
    json!({
        "streams": [
            {
                "index": 0, "codec_name": "h264", "profile": "High", "codec_type": "video", "width": 1920,
                "height": 1080, "sample_aspect_ratio": "1:1", "pix_fmt": "yuv420p", "level": 40,
                "color_space": "bt709", "color_transfer": "bt709", "color_primaries": "bt709",
                "field_order": "progressive", "r_frame_rate": "25/1", "avg_frame_rate": "25/1",
                "bit_rate": "8000000", "disposition": {"default": 1, "attached_pic": 0}
            },
            {
                "index": 1, "codec_name": "aac", "profile": "LC", "codec_type": "audio", "sample_rate": "48000",
                "channels": 2, "channel_layout": "stereo", "start_time": "0.000000",
                "disposition": {"default": 1}, "tags": {"language": "eng", "title": "Main"}
            }
        ],
        "chapters": [{"start_time": "0.000000", "end_time": "1.500000", "tags": {"title": "One"}}],
        "format": {
            "format_name": "mov,mp4,m4a,3gp,3g2,mj2", "start_time": "0.000000", "duration": "60.000000",
            "size": "61000000", "bit_rate": "8133333"
        }
    })
}

/// The document with some values replaced; each path is a JSON pointer.
pub(super) fn changed(changes: &[(&str, Value)]) -> Value {
    let mut document = document();
    for (path, value) in changes {
        let (parent, name) = path.rsplit_once('/').expect("because every path here has a slash");
        let parent = document.pointer_mut(parent).expect("because the tests name what is there");
        match parent {
            Value::Array(list) => {
                list[name.parse::<usize>().expect("because it is a number")] = value.clone();
            }
            Value::Object(map) => drop(map.insert(name.into(), value.clone())),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {
                panic!("{path} is no place")
            }
        }
    }
    document
}

/// What the probe makes of it.
pub(super) fn probe(changes: &[(&str, Value)]) -> Result<Probe, Refusal> {
    Probe::parse(changed(changes).to_string().as_bytes())
}

/// `frames` pictures of `step_us` from `start_us` on with a key frame every `gop`, and sound from 0 to their end.
pub(super) fn timeline(frames: i64, step_us: i64, gop: i64, start_us: i64) -> Timeline {
    let picture = |n: i64| Packet {
        pts_us: start_us + n * step_us,
        duration_us: step_us,
        key: n % gop == 0,
        discard: false,
    };
    let sound = |n: i64| Packet { pts_us: n * 20_000, duration_us: 20_000, key: true, discard: false };
    let sounds = (frames * step_us + start_us) / 20_000;
    Timeline::from_packets(0, (0..frames).map(picture), (0..sounds).map(sound))
}

/// A node with everything installed.
pub(super) fn node() -> Capabilities {
    Capabilities {
        memory_bytes: 8 << 30,
        encoders: ["libx264", "aac", "libvpx-vp9", "libsvtav1", "libx265", "libopus"]
            .map(str::to_owned)
            .to_vec(),
        filters: vec!["zscale".into(), "bwdif".into(), "overlay".into()],
        engines: Vec::new(),
    }
}

/// The plan of the changed document over this timeline.
pub(super) fn planned(changes: &[(&str, Value)], timeline: &Timeline) -> Plan {
    let probe = probe(changes).expect("because the sample is media");
    decide::plan(&probe, timeline, &super::Pipeline::default(), &node())
        .expect("because the sample is allowed")
}
