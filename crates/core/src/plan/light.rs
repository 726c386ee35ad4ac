//! How bright a source was made to be: its mastering display and its brightest pictures (SMPTE ST 2086 and CTA-861.3).

use serde::{Deserialize, Serialize};

/// What a source of high dynamic range says about itself; screens that cannot show all of it use it to choose.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Light {
    /// The screen that it was made on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mastering: Option<Mastering>,
    /// The brightest pixel, and the brightest picture on average, in cd/m².
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content: Option<(u16, u16)>,
}

/// A mastering display. Places are x and y in steps of 0.00002, brightness is in steps of 0.0001 cd/m².
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mastering {
    /// Place of red.
    pub red: (u16, u16),
    /// Place of green.
    pub green: (u16, u16),
    /// Place of blue.
    pub blue: (u16, u16),
    /// Place of white.
    pub white: (u16, u16),
    /// The brightest that it can show.
    pub brightest: u32,
    /// The darkest that it can show.
    pub darkest: u32,
}

impl Light {
    /// The parameters of x265, each behind a colon; it counts in the same steps.
    pub(super) fn x265(&self) -> String {
        let mastering = self.mastering.map(|one| {
            let [red, green, blue, white] =
                [one.red, one.green, one.blue, one.white].map(|(x, y)| format!("({x},{y})"));
            let light = format!("({},{})", one.brightest, one.darkest);
            format!(":master-display=G{green}B{blue}R{red}WP{white}L{light}")
        });
        let content = self.content.map(|(pixel, picture)| format!(":max-cll={pixel},{picture}"));
        mastering.into_iter().chain(content).collect()
    }

    /// The parameters of SVT-AV1, each behind a colon; numbers of ours only.
    pub(super) fn svt(&self) -> String {
        let place = |(x, y): (u16, u16)| {
            let decimal = |steps: u16| format!("0.{:05}", u32::from(steps.min(49_999)) * 2);
            format!("({},{})", decimal(x), decimal(y))
        };
        let nits = |steps: u32| format!("{}.{:04}", steps / 10_000, steps % 10_000);
        let mastering = self.mastering.map(|one| {
            let [red, green, blue, white] = [one.red, one.green, one.blue, one.white].map(place);
            let light = format!("({},{})", nits(one.brightest), nits(one.darkest));
            format!(":mastering-display=G{green}B{blue}R{red}WP{white}L{light}")
        });
        let content = self.content.map(|(pixel, picture)| format!(":content-light={pixel},{picture}"));
        mastering.into_iter().chain(content).collect()
    }
}
