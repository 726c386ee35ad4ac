//! The shape that pictures are cut to: what stands over it goes, evenly on both sides.

use serde::{Deserialize, Serialize};

/// Sides of a shape are small numbers; nobody films 100:1.
const SIDE_MAX: u32 = 99;

/// A shape such as `4:3`, in square pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Aspect {
    wide: u32,
    tall: u32,
}

impl Aspect {
    /// The largest part of a picture of this size that has the shape, in pixels; at least 1 x 1.
    pub fn of(self, (width, height): (u32, u32)) -> (u32, u32) {
        let scaled = |side: u32, mul: u32, div: u32| {
            let exact = u64::from(side) * u64::from(mul) / u64::from(div);
            u32::try_from(exact).unwrap_or(u32::MAX).max(1)
        };
        let wide = scaled(height, self.wide, self.tall);
        if wide <= width { (wide, height) } else { (width, scaled(width, self.tall, self.wide)) }
    }
}

impl TryFrom<String> for Aspect {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let side = |text: &str| {
            let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
            digits.then(|| text.parse().ok()).flatten().filter(|side| (1..=SIDE_MAX).contains(side))
        };
        let sides = text.split_once(':').and_then(|(wide, tall)| Some((side(wide)?, side(tall)?)));
        let (wide, tall) =
            sides.ok_or_else(|| format!("`{text}` is no shape; write \"16:9\", \"4:3\" or \"1:1\""))?;
        Ok(Self { wide, tall })
    }
}

impl From<Aspect> for String {
    fn from(aspect: Aspect) -> Self {
        format!("{}:{}", aspect.wide, aspect.tall)
    }
}

/// The size that whole pictures of `shown` are scaled to, so that their part of size `part` becomes `top`: even, and
/// never below `top`.
pub fn covering(shown: (u32, u32), part: (u32, u32), top: (u32, u32)) -> (u32, u32) {
    let side = |shown: u32, part: u32, top: u32| {
        let exact = (u64::from(shown) * u64::from(top)).div_ceil(u64::from(part.max(1)));
        let even = exact.saturating_add(exact % 2);
        u32::try_from(even).unwrap_or(u32::MAX).max(top)
    };
    (side(shown.0, part.0, top.0), side(shown.1, part.1, top.1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn aspect(text: &str) -> Aspect {
        Aspect::try_from(text.to_owned()).unwrap()
    }

    #[test]
    fn the_largest_part_of_a_shape_is_taken() {
        assert_eq!(aspect("4:3").of((1_920, 1_080)), (1_440, 1_080));
        assert_eq!(aspect("4:3").of((720, 1_280)), (720, 540));
        assert_eq!(aspect("1:1").of((640, 360)), (360, 360));
        assert_eq!(aspect("16:9").of((1_280, 720)), (1_280, 720));
        assert_eq!(aspect("99:1").of((10, 10)), (10, 1));
    }

    #[test]
    fn a_shape_is_two_small_numbers() {
        assert_eq!(String::from(aspect("21:9")), "21:9");
        for text in ["", "4", "4:", ":3", "0:1", "4:0", "100:1", "4:3:2", "4.5:3", "-4:3", "4 : 3", "４:3"] {
            assert!(Aspect::try_from(text.to_owned()).is_err(), "{text}");
        }
    }

    #[test]
    fn the_whole_picture_is_scaled_so_that_its_part_fits() {
        assert_eq!(covering((1_920, 1_080), (1_440, 1_080), (1_024, 768)), (1_366, 768));
        assert_eq!(covering((640, 360), (360, 360), (360, 360)), (640, 360));
    }

    proptest! {
        #[test]
        fn the_scaled_picture_covers_the_top_and_is_even(
            shown in (2_u32..8_192, 2_u32..8_192), wide in 1_u32..=SIDE_MAX, tall in 1_u32..=SIDE_MAX, half in 1_u32..2_000,
        ) {
            let part = Aspect { wide, tall }.of(shown);
            prop_assert!(part.0 <= shown.0 && part.1 <= shown.1);
            let top = (2 * half, 2 * half);
            let cover = covering(shown, part, top);
            prop_assert!(cover.0 >= top.0 && cover.1 >= top.1 && cover.0.is_multiple_of(2) && cover.1.is_multiple_of(2));
        }
    }
}
