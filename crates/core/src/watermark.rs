//! A watermark: a small picture that is burnt into every picture of a video.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

use crate::image;
use crate::limits::{WATERMARK_BYTES_MAX, WATERMARK_PIXELS_MAX};

/// What the text of a picture begins with (RFC 2397).
const DATA: &str = "data:image/png;base64,";
/// Farther from its corner than any picture is wide, an offset is a mistake, in pixels.
const OFFSET_MAX: i32 = 8_192;
/// The version of how marks are made; another one gives other ids.
const VERSION: u32 = 1;

/// A watermark as a pipeline asks for it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Watermark {
    /// A PNG picture as `data:image/png;base64,`. A configuration file names a file instead, which is read at the start.
    pub picture: String,
    /// Its width in hundredths of the video's, 1 to 100.
    #[serde(default = "quarter")]
    pub width_percent: u8,
    /// How much it covers what is below, 1 to 100.
    #[serde(default = "whole")]
    pub opacity_percent: u8,
    /// Where it lies.
    #[serde(default)]
    pub corner: Corner,
    /// Pixels of the largest size to the right of its place; negative to the left.
    #[serde(default)]
    pub x: i32,
    /// Pixels of the largest size below its place; negative above.
    #[serde(default)]
    pub y: i32,
    /// The largest size is kept without it, too, as a file for the owner.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub keep_unmarked: bool,
}

const fn quarter() -> u8 {
    25
}

const fn whole() -> u8 {
    100
}

/// Where a watermark lies.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Corner {
    /// At the top on the left.
    TopLeft,
    /// At the top on the right.
    #[default]
    TopRight,
    /// At the bottom on the left.
    BottomLeft,
    /// At the bottom on the right.
    BottomRight,
    /// In the middle.
    Center,
}

/// A watermark in its place on the largest rendition, in pixels; part of a plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mark {
    /// The name of the picture that is laid on, in lower-case hex: of equal picture and size.
    pub id: String,
    /// Its width, even.
    pub width: u32,
    /// Its height, even.
    pub height: u32,
    /// From the left, even.
    pub x: u32,
    /// From the top, even.
    pub y: u32,
    /// How much it covers what is below, 1 to 100.
    pub opacity_percent: u8,
}

/// What is wrong with a watermark, in words for the person who wrote it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The picture.
    #[error("`watermark.picture` is no PNG picture as `data:image/png;base64,`")]
    Picture,
    /// Its size.
    #[error(
        "`watermark.picture` has {bytes} bytes and {pixels} pixels; at most {WATERMARK_BYTES_MAX} and {WATERMARK_PIXELS_MAX}"
    )]
    Large {
        /// Bytes of the file.
        bytes: usize,
        /// Width times height.
        pixels: u64,
    },
    /// A share.
    #[error("`watermark.{name}` is {is}; it goes from 1 to 100")]
    Percent {
        /// The field.
        name: &'static str,
        /// What it is.
        is: u8,
    },
    /// An offset.
    #[error("`watermark.x` and `watermark.y` go from -{OFFSET_MAX} to {OFFSET_MAX}")]
    Offset,
}

/// The text of a PNG picture that lies in a file.
pub fn text_of(png: &[u8]) -> String {
    format!("{DATA}{}", STANDARD.encode(png))
}

/// Is this the text of a picture, and not the name of a file?
pub fn is_text(picture: &str) -> bool {
    picture.starts_with("data:")
}

impl Watermark {
    /// Checks what its types allow.
    pub fn check(&self) -> Result<(), Refusal> {
        let png = self.png().ok_or(Refusal::Picture)?;
        let (width, height) = image::png_size(&png).ok_or(Refusal::Picture)?;
        let pixels = u64::from(width) * u64::from(height);
        if png.len() > WATERMARK_BYTES_MAX || pixels > WATERMARK_PIXELS_MAX {
            return Err(Refusal::Large { bytes: png.len(), pixels });
        }
        let shares = [("width_percent", self.width_percent), ("opacity_percent", self.opacity_percent)];
        if let Some((name, is)) = shares.into_iter().find(|(_, is)| !(1..=100).contains(is)) {
            return Err(Refusal::Percent { name, is });
        }
        let near = |offset: i32| (-OFFSET_MAX..=OFFSET_MAX).contains(&offset);
        if near(self.x) && near(self.y) { Ok(()) } else { Err(Refusal::Offset) }
    }

    /// The bytes of the picture as somebody brought it; `None` when its text is not one.
    pub fn png(&self) -> Option<Vec<u8>> {
        STANDARD.decode(self.picture.strip_prefix(DATA)?).ok()
    }

    /// Its place on pictures of this size, never over their edge; `None` when its picture cannot be read.
    pub fn on(&self, top: (u32, u32)) -> Option<Mark> {
        let png = self.png()?;
        let (width, height) = sized(image::png_size(&png)?, top, self.width_percent);
        let (right, bottom) = (top.0.saturating_sub(width), top.1.saturating_sub(height));
        let (x, y) = match self.corner {
            Corner::TopLeft => (0, 0),
            Corner::TopRight => (right, 0),
            Corner::BottomLeft => (0, bottom),
            Corner::BottomRight => (right, bottom),
            Corner::Center => (right / 2, bottom / 2),
        };
        let moved = |at: u32, by: i32, most: u32| at.saturating_add_signed(by).min(most) & !1;
        let mut hasher = blake3::Hasher::new();
        for number in [VERSION, width, height] {
            hasher.update(&number.to_le_bytes());
        }
        let id = hasher.update(&png).finalize().to_hex().to_string();
        let (x, y) = (moved(x, self.x, right), moved(y, self.y, bottom));
        Some(Mark { id, width, height, x, y, opacity_percent: self.opacity_percent })
    }
}

impl Mark {
    /// The same mark on pictures of `size` instead of `top`.
    #[must_use]
    pub fn scaled(&self, top: (u32, u32), size: (u32, u32)) -> Self {
        let share = |at: u32, of: u32, is: u32| {
            let exact = u64::from(at) * u64::from(is) / u64::from(of.max(1));
            u32::try_from(exact).unwrap_or(u32::MAX) & !1
        };
        Self {
            width: share(self.width, top.0, size.0).max(2),
            height: share(self.height, top.1, size.1).max(2),
            x: share(self.x, top.0, size.0),
            y: share(self.y, top.1, size.1),
            ..self.clone()
        }
    }
}

/// Its share of the width in its own shape, and no higher than the pictures.
fn sized((wide, tall): (u32, u32), top: (u32, u32), percent: u8) -> (u32, u32) {
    let even = |side: u64, most: u32| {
        let most = u64::from(most.max(2));
        u32::try_from((side & !1).clamp(2, most & !1)).unwrap_or(2)
    };
    let width = even(u64::from(top.0) * u64::from(percent) / 100, top.0);
    let height = u64::from(width) * u64::from(tall) / u64::from(wide.max(1));
    if height <= u64::from(top.1) {
        return (width, even(height, top.1));
    }
    let height = even(u64::from(top.1), top.1);
    (even(u64::from(height) * u64::from(wide) / u64::from(tall.max(1)), top.0), height)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The head of a PNG picture of this size.
    fn png(width: u32, height: u32) -> Vec<u8> {
        let rest = [8, 6, 0, 0, 0, 1, 2, 3, 4];
        [&b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR"[..], &width.to_be_bytes(), &height.to_be_bytes(), &rest].concat()
    }

    fn watermark(picture: (u32, u32)) -> Watermark {
        let text = json(&text_of(&png(picture.0, picture.1)));
        serde_json::from_str(&text).unwrap()
    }

    fn json(picture: &str) -> String {
        format!(r#"{{"picture":"{picture}"}}"#)
    }

    #[test]
    fn a_template_of_another_service_can_be_said() {
        let wanted = Watermark {
            width_percent: 25,
            opacity_percent: 70,
            corner: Corner::TopRight,
            x: -10,
            y: 10,
            ..watermark((400, 200))
        };
        wanted.check().unwrap();
        let mark = wanted.on((1_024, 768)).unwrap();
        assert_eq!((mark.width, mark.height, mark.x, mark.y), (256, 128, 758, 10));
        assert_eq!(mark.opacity_percent, 70);
    }

    #[test]
    fn every_corner_is_a_corner() {
        for (corner, place) in [
            (Corner::TopLeft, (0, 0)),
            (Corner::TopRight, (480, 0)),
            (Corner::BottomLeft, (0, 280)),
            (Corner::BottomRight, (480, 280)),
            (Corner::Center, (240, 140)),
        ] {
            let mark = Watermark { corner, ..watermark((80, 40)) }.on((640, 360)).unwrap();
            assert_eq!((mark.x, mark.y), place, "{corner:?}");
        }
    }

    #[test]
    fn another_picture_or_size_has_another_name() {
        let id = |picture, top| watermark(picture).on(top).unwrap().id;
        assert_eq!(id((80, 40), (640, 360)), id((80, 40), (640, 480)));
        assert_ne!(id((80, 40), (640, 360)), id((80, 40), (1_280, 720)));
        assert_ne!(id((80, 40), (640, 360)), id((160, 80), (640, 360)));
    }

    #[test]
    fn what_is_no_watermark_is_refused() {
        let good = watermark((80, 40));
        let picture = |picture: &str| Watermark { picture: picture.into(), ..good.clone() }.check();
        for text in [
            "",
            "logo.png",
            "data:image/png;base64,",
            "data:image/png;base64,AAAA",
            "data:image/svg+xml;base64,AAAA",
        ] {
            assert_eq!(picture(text), Err(Refusal::Picture), "{text}");
        }
        assert!(matches!(watermark((4_096, 4_096)).check(), Err(Refusal::Large { .. })));
        let none = Watermark { width_percent: 0, ..good.clone() };
        assert_eq!(none.check(), Err(Refusal::Percent { name: "width_percent", is: 0 }));
        assert_eq!(Watermark { x: 9_000, ..good }.check(), Err(Refusal::Offset));
        assert!(serde_json::from_str::<Watermark>("{}").is_err(), "a picture is needed");
    }

    proptest! {
        #[test]
        fn it_never_stands_over_the_edge(
            picture in (1_u32..2_000, 1_u32..2_000), top in (1_u32..4_000, 1_u32..4_000), percent in 1_u8..=100,
            offset in (-9_000_i32..9_000, -9_000_i32..9_000),
        ) {
            let top = (2 * top.0, 2 * top.1);
            let wanted = Watermark { width_percent: percent, x: offset.0, y: offset.1, ..watermark(picture) };
            let mark = wanted.on(top).unwrap();
            prop_assert!(mark.x + mark.width <= top.0 && mark.y + mark.height <= top.1, "{mark:?}");
            prop_assert!([mark.x, mark.y, mark.width, mark.height].iter().all(|side| side.is_multiple_of(2)), "{mark:?}");
            prop_assert!(mark.width >= 2 && mark.height >= 2);
        }
    }
}
