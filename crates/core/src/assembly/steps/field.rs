//! What stands in one step: sizes, shapes, addresses and marks, read with the reason why not.

use serde_json::Value;

use super::super::variable::are_fields;
use super::super::{Code, FILES_MAX, Refusal, number};
use crate::crop::Aspect;
use crate::watermark::{Corner, Watermark};

/// Presets of the protocol: their longest and shortest side in pixels.
const PRESETS: [(&str, Option<(u32, u32)>); 16] = [
    ("empty", None),
    ("mp4", None),
    ("ipad", Some((1_024, 768))),
    ("ipad-high", Some((1_024, 768))),
    ("ipad-low", Some((640, 480))),
    ("iphone", Some((480, 320))),
    ("iphone-high", Some((640, 480))),
    ("android", Some((480, 320))),
    ("android-high", Some((640, 480))),
    ("web/mp4/240p", Some((426, 240))),
    ("web/mp4/360p", Some((640, 360))),
    ("web/mp4/480p", Some((854, 480))),
    ("web/mp4/540p", Some((960, 540))),
    ("web/mp4/720p", Some((1_280, 720))),
    ("web/mp4/1080p", Some((1_920, 1_080))),
    ("web/mp4/4k", Some((3_840, 2_160))),
];

pub(super) fn bad(name: &str, what: &str) -> Refusal {
    let subject = if name == "steps" || name == "nothing" {
        format!("The assembly: {name}")
    } else {
        format!("The step `{name}`")
    };
    Refusal::new(Code::BadSteps, format!("{subject} {what}."))
}

pub(super) fn robot<'s>(name: &str, step: &'s Value) -> Result<&'s str, Refusal> {
    step.get("robot")
        .and_then(Value::as_str)
        .ok_or_else(|| Refusal::new(Code::NoRobot, format!("The step `{name}` names no robot.")))
}

pub(super) fn addresses(name: &str, step: &Value) -> Result<Vec<String>, Refusal> {
    let all = match step.get("url") {
        Some(Value::String(url)) => vec![url.clone()],
        Some(Value::Array(urls)) => urls.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
        _ => Vec::new(),
    };
    if all.is_empty() || all.len() > FILES_MAX as usize || !all.iter().all(|url| are_fields(url)) {
        return Err(bad(
            name,
            "needs `url`: one address or some, with no other variables than `${fields.NAME}`",
        ));
    }
    Ok(all)
}

/// A side in pixels.
pub(super) fn side(name: &str, step: &Value, field: &str) -> Result<Option<u32>, Refusal> {
    let Some(value) = step.get(field).filter(|value| !value.is_null()) else { return Ok(None) };
    let read = number(value).and_then(|side| u32::try_from(side).ok());
    let read = read.filter(|side| (1..=8_192).contains(side));
    read.map(Some).ok_or_else(|| bad(name, &format!("has a `{field}` that is no number of pixels")))
}

/// Width and height that a step asks for: its own, or those of its preset. One alone is of 16:9.
pub(super) fn shape(name: &str, step: &Value) -> Result<Option<(u32, u32)>, Refusal> {
    let preset = match step.get("preset").and_then(Value::as_str) {
        None => None,
        Some(preset) => {
            let known = PRESETS.iter().find(|(known, _)| *known == preset);
            known.ok_or_else(|| bad(name, &format!("wants the preset `{preset}`, which is not here")))?.1
        }
    };
    Ok(match (side(name, step, "width")?, side(name, step, "height")?) {
        (Some(width), Some(height)) => Some((width, height)),
        (Some(width), None) => Some((width, width * 9 / 16)),
        (None, Some(height)) => Some((height * 16 / 9, height)),
        (None, None) => preset,
    })
}

pub(super) fn aspect(width: u32, height: u32) -> Result<Aspect, Refusal> {
    let (mut a, mut b) = (width, height);
    while b > 0 {
        (a, b) = (b, a % b);
    }
    let text = format!("{}:{}", width / a.max(1), height / a.max(1));
    Aspect::try_from(text)
        .map_err(|human| bad("steps", &format!("crop to a shape that is not made: {human}")))
}

/// The mark that a step lays over its pictures, with the address of its picture.
pub(super) fn mark(name: &str, step: &Value) -> Result<Option<(String, Watermark)>, Refusal> {
    let Some(url) = step.get("watermark_url").and_then(Value::as_str).filter(|url| !url.is_empty()) else {
        return Ok(None);
    };
    let percent = |field: &str, usual: u8| match step.get(field) {
        None | Some(Value::Null) => Ok(usual),
        Some(value) => {
            let share = value.as_str().and_then(|text| text.strip_suffix('%')?.parse::<f64>().ok());
            let share = share.or_else(|| value.as_f64().map(|share| share * 100.0));
            share
                .filter(|share| (1.0..=100.0).contains(share))
                .and_then(|share| format!("{share:.0}").parse().ok())
                .ok_or_else(|| bad(name, &format!("has a `{field}` that is no share of the whole")))
        }
    };
    let offset = |field: &str| match step.get(field) {
        None | Some(Value::Null) => Ok(0),
        Some(value) => value
            .as_i64()
            .and_then(|pixels| i32::try_from(pixels).ok())
            .ok_or_else(|| bad(name, &format!("has a `{field}` that is no number of pixels"))),
    };
    let corner = match step.get("watermark_position").and_then(Value::as_str) {
        None | Some("center") => Corner::Center,
        Some("top-left") => Corner::TopLeft,
        Some("top-right") => Corner::TopRight,
        Some("bottom-left") => Corner::BottomLeft,
        Some("bottom-right") => Corner::BottomRight,
        Some(other) => return Err(bad(name, &format!("wants the mark at `{other}`, which is no corner"))),
    };
    Ok(Some((
        url.to_owned(),
        Watermark {
            picture: String::new(),
            width_percent: percent("watermark_size", 100)?,
            opacity_percent: percent("watermark_opacity", 100)?,
            corner,
            x: offset("watermark_x_offset")?,
            y: offset("watermark_y_offset")?,
            keep_unmarked: false,
        },
    )))
}
