//! A pipeline: the named template of what is made from a source.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::codec::Codec;
use crate::crop::Aspect;
use crate::hash;
use crate::limits;
use crate::name::is_name;
use crate::step::{self, Step};
use crate::watermark::{self, Watermark};

/// The pipeline of everybody who names none.
pub const DEFAULT: &str = "default";
/// Most sizes that one pipeline may ask for: more than the ladder has steps is a mistake.
const SIZES_MAX: usize = 12;
/// Short sides that an encoder can make something of, in pixels.
const SIZE_RANGE: std::ops::RangeInclusive<u32> = 16..=4_320;
/// The longest side of a poster in pixels, unless a pipeline wants a smaller one.
pub const POSTER_SIDE_MAX: u32 = 1_280;

/// What is made from a source. Every field has a default, and an unknown one is an error.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of its own")]
pub struct Pipeline {
    /// What it is called; `default` is that of everybody who names none.
    pub name: String,
    /// Speed against size.
    pub quality: Quality,
    /// Short sides of the pictures, in pixels; empty means all steps of the ladder. Nothing is ever enlarged: a source that
    /// is smaller than all of them gets its own size.
    pub sizes: Vec<u32>,
    /// A source that browsers can play stays as it is; of others everything is encoded.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub as_is: bool,
    /// Codecs of the pictures. H.264 is always made; the others come in the background, and nobody waits for them.
    pub codecs: Vec<Codec>,
    /// What else a source of high dynamic range gets, besides the pictures that are brought down to BT.709.
    pub hdr: Hdr,
    /// The codecs in which high dynamic range is kept: `av1`, `hevc`, or both.
    pub hdr_codecs: Vec<Codec>,
    /// The shape that pictures are cut to, such as `4:3`; what stands over goes, evenly on both sides.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub crop: Option<Aspect>,
    /// A picture that is burnt into every size, and into the poster.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub watermark: Option<Watermark>,
    /// A size is made only when it looks better than the next smaller one by so many thousandths of SSIM, 1 to 100, as
    /// samples show; all sizes are made when none is given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gate_permille: Option<u16>,
    /// Where the poster is taken.
    pub poster: Moment,
    /// The longest side of the poster in pixels.
    pub poster_side: u32,
    /// Sound of six channels and more is made in 5.1, too, besides stereo.
    pub surround: bool,
    /// Every sound is brought to this loudness, in LUFS from -40 to -5, as far as its peaks allow; it is left as it is
    /// when none is given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub loudness_lufs: Option<i8>,
    /// H.264 may be encoded in hardware, by machines whose encoders passed a trial and look as good as software; else
    /// software does it.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub hardware: bool,
    /// Most frames that a source may give.
    pub frames_max: u64,
    /// A source that cannot be decoded to its last picture is refused; else what is damaged is concealed, and said.
    pub strict: bool,
    /// Jobs of a pipeline with a higher priority go first, from -100 to 100.
    pub priority: i32,
    /// Hosts to which the video is published when it is ready, by their names in the configuration.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub publish: Vec<String>,
    /// What happens then, besides.
    #[serde(rename = "step", skip_serializing_if = "Vec::is_empty")]
    pub steps: Vec<Step>,
}

impl Default for Pipeline {
    fn default() -> Self {
        Self {
            name: DEFAULT.to_owned(),
            quality: Quality::Default,
            sizes: Vec::new(),
            as_is: false,
            codecs: vec![Codec::H264],
            hdr: Hdr::Map,
            hdr_codecs: vec![Codec::Av1],
            crop: None,
            watermark: None,
            gate_permille: None,
            poster: Moment::Percent(10),
            poster_side: POSTER_SIDE_MAX,
            surround: false,
            loudness_lufs: None,
            hardware: false,
            frames_max: limits::PLAN_FRAMES_MAX,
            strict: false,
            priority: 0,
            publish: Vec::new(),
            steps: Vec::new(),
        }
    }
}

/// A pipeline as a video is made by it: a copy, because the pipeline may get another version, or go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template {
    /// Its version among those of an app; none for the configuration file and for what is built in.
    pub version: Option<u32>,
    /// What is made.
    pub pipeline: Pipeline,
}

impl Template {
    /// The same in a few words.
    ///
    /// # Panics
    ///
    /// Never: a pipeline is made of plain values.
    pub fn made_by(&self) -> MadeBy {
        let text = serde_json::to_vec(&self.pipeline).expect("because a pipeline is made of plain values");
        let bits = hash::of(&text)[..16].iter().fold(0_u128, |bits, byte| bits << 8 | u128::from(*byte));
        MadeBy { name: self.pipeline.name.clone(), version: self.version, template: format!("{bits:032x}") }
    }
}

/// By what a video is made. The copy itself may hold a picture, so all videos of an app that are made by equal pipelines
/// share one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MadeBy {
    /// The name of the pipeline.
    pub name: String,
    /// Its version among those of an app; none for the configuration file and for what is built in.
    pub version: Option<u32>,
    /// The name of the copy: 128 bits of the hash of what is in it, in hexadecimal digits.
    pub template: String,
}

/// Speed against size of the encoder.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Quality {
    /// `veryfast` with crf 21.
    Default,
    /// `medium` with crf 23.
    High,
}

/// What a source of high dynamic range becomes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Hdr {
    /// Pictures that every screen shows.
    Map,
    /// These, and pictures of 10 bits in the background that keep what the source has.
    Keep,
}

/// A moment of a video: `"10%"` of its length, or `"12.5s"` from its beginning.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Moment {
    /// Hundredths of the length, at most 100.
    Percent(u8),
    /// Milliseconds from the beginning.
    At(u64),
}

impl Moment {
    /// Microseconds from the beginning of a video that is `duration_us` long; never behind its end.
    pub fn of(self, duration_us: i64) -> i64 {
        let duration_us = duration_us.max(0);
        match self {
            Self::Percent(percent) => duration_us / 100 * i64::from(percent),
            Self::At(ms) => i64::try_from(ms.saturating_mul(1_000)).unwrap_or(i64::MAX).min(duration_us),
        }
    }
}

impl TryFrom<String> for Moment {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let moment = match (text.strip_suffix('%'), text.strip_suffix('s')) {
            (Some(percent), _) => percent.parse().ok().filter(|percent| *percent <= 100).map(Self::Percent),
            (None, Some(seconds)) => milliseconds(seconds).map(Self::At),
            (None, None) => None,
        };
        moment.ok_or_else(|| format!("`{text}` is no moment; write \"10%\" or \"12.5s\""))
    }
}

impl From<Moment> for String {
    fn from(moment: Moment) -> Self {
        match moment {
            Moment::Percent(percent) => format!("{percent}%"),
            Moment::At(ms) => {
                let text = format!("{}.{:03}", ms / 1_000, ms % 1_000);
                format!("{}s", text.trim_end_matches('0').trim_end_matches('.'))
            }
        }
    }
}

/// Decimal seconds with at most three digits behind the point.
fn milliseconds(text: &str) -> Option<u64> {
    let (whole, part) = text.split_once('.').unwrap_or((text, "0"));
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if !digits(whole) || !digits(part) || part.len() > 3 {
        return None;
    }
    let part = format!("{part:0<3}").parse::<u64>().ok()?;
    whole.parse::<u64>().ok()?.checked_mul(1_000)?.checked_add(part)
}

/// What is wrong with a pipeline, in words for the person who wrote it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The name.
    #[error(
        "`{0}` cannot be the name of a pipeline: small letters, digits and `-`, at most 63, a letter or digit first"
    )]
    Name(String),
    /// A size.
    #[error(
        "`sizes` has {0}; each is the short side of the picture in pixels, an even number from 16 to 4320"
    )]
    Size(u32),
    /// Too many of them, or one twice.
    #[error("`sizes` names a size twice, or more than 12 sizes")]
    Sizes,
    /// A codec twice.
    #[error("`codecs` names `{0}` twice")]
    Codecs(&'static str),
    /// HEVC for usual screens.
    #[error(
        "`codecs` names hevc, which is made only of bright sources: write `hdr = \"keep\"` and `hdr_codecs = [\"hevc\"]`"
    )]
    Hevc,
    /// None that can keep high dynamic range, or one twice.
    #[error("`hdr_codecs` has to name av1, hevc, or both, each once")]
    HdrCodecs,
    /// What is changed cannot stay as it is.
    #[error(
        "`as_is` leaves the pictures alone, and `crop` and `watermark` change them; name one or the other"
    )]
    AsIs,
    /// The priority.
    #[error("`priority` is {0}; it goes from -100 to 100")]
    Priority(i32),
    /// The loudness.
    #[error("`loudness_lufs` is {0}; it goes from -40 to -5, and -16 is usual")]
    Loudness(i8),
    /// The gate.
    #[error("`gate_permille` is {0}; it goes from 1 to 100, and 5 is a difference that can be seen")]
    Gate(u16),
    /// The poster's side.
    #[error("`poster_side` is {0}; it goes from 16 to {POSTER_SIDE_MAX}")]
    PosterSide(u32),
    /// The hosts.
    #[error("`publish` names `{0}` twice, or what cannot be a host's name, or more than {max} hosts", max = limits::PUBLISH_MAX)]
    Publish(String),
    /// The steps.
    #[error(transparent)]
    Step(#[from] step::Refusal),
    /// The watermark.
    #[error(transparent)]
    Watermark(#[from] watermark::Refusal),
    /// No frames.
    #[error("`frames_max` must be at least 1")]
    Frames,
    /// More frames than the operator allows without a word.
    #[error("`frames_max` is {0}; more than {max} can only be allowed by the server's configuration file", max = limits::PLAN_FRAMES_MAX)]
    FramesMax(u64),
    /// It has a name of its own besides that of its address.
    #[error("the body names the pipeline `{0}`, which is not the name in the address; leave it out")]
    OtherName(String),
    /// A field that is not known, or of the wrong kind.
    #[error("the pipeline cannot be read: {0}")]
    Unreadable(String),
}

/// Checks a pipeline's name.
pub fn check_name(name: &str) -> Result<(), Refusal> {
    if is_name(name) { Ok(()) } else { Err(Refusal::Name(name.to_owned())) }
}

fn check_hosts(hosts: &[String]) -> Result<(), Refusal> {
    let wrong = |(at, host): &(usize, &String)| {
        *at >= limits::PUBLISH_MAX || hosts[..*at].contains(host) || !is_name(host)
    };
    let found = hosts.iter().enumerate().find(wrong);
    found.map_or(Ok(()), |(_, host)| Err(Refusal::Publish(host.clone())))
}

impl Pipeline {
    /// Are pictures to be seen only after something was done to them? Then the source itself is never played.
    pub const fn changes_pictures(&self) -> bool {
        self.crop.is_some() || self.watermark.is_some()
    }

    /// The names of all fields, for descriptions.
    pub const FIELDS: [&str; 20] = [
        "name",
        "quality",
        "sizes",
        "as_is",
        "codecs",
        "hdr",
        "hdr_codecs",
        "crop",
        "watermark",
        "gate_permille",
        "poster",
        "poster_side",
        "surround",
        "loudness_lufs",
        "hardware",
        "frames_max",
        "strict",
        "priority",
        "publish",
        "step",
    ];

    /// Reads the pipeline of this name from fields that somebody wrote.
    pub fn read(name: &str, mut fields: Map<String, Value>) -> Result<Self, Refusal> {
        let said = fields.insert("name".to_owned(), name.into());
        if let Some(other) = said.filter(|said| said.as_str() != Some(name)) {
            return Err(Refusal::OtherName(other.to_string()));
        }
        let read: Self = serde_json::from_value(Value::Object(fields))
            .map_err(|error| Refusal::Unreadable(error.to_string()))?;
        read.check().map(|()| read)
    }

    /// Checks what an app may write besides: it does not raise a limit of the operator.
    pub fn check_own(&self) -> Result<(), Refusal> {
        self.check()?;
        let too_many = self.frames_max > limits::PLAN_FRAMES_MAX;
        if too_many { Err(Refusal::FramesMax(self.frames_max)) } else { Ok(()) }
    }

    /// Checks what its types allow and an encoder does not.
    pub fn check(&self) -> Result<(), Refusal> {
        check_name(&self.name)?;
        if let Some(size) = self.sizes.iter().find(|size| !SIZE_RANGE.contains(size) || *size % 2 != 0) {
            return Err(Refusal::Size(*size));
        }
        let mut sorted = self.sizes.clone();
        sorted.sort_unstable();
        sorted.dedup();
        if sorted.len() != self.sizes.len() || sorted.len() > SIZES_MAX {
            return Err(Refusal::Sizes);
        }
        let twice = |(at, codec): &(usize, &Codec)| self.codecs[..*at].contains(codec);
        if let Some((_, codec)) = self.codecs.iter().enumerate().find(twice) {
            return Err(Refusal::Codecs(codec.name()));
        }
        if self.codecs.contains(&Codec::Hevc) {
            return Err(Refusal::Hevc);
        }
        if !matches!(
            self.hdr_codecs[..],
            [Codec::Av1 | Codec::Hevc] | [Codec::Av1, Codec::Hevc] | [Codec::Hevc, Codec::Av1]
        ) {
            return Err(Refusal::HdrCodecs);
        }
        if self.as_is && self.changes_pictures() {
            return Err(Refusal::AsIs);
        }
        if !(-100..=100).contains(&self.priority) {
            return Err(Refusal::Priority(self.priority));
        }
        if let Some(lufs) = self.loudness_lufs.filter(|lufs| !(-40..=-5).contains(lufs)) {
            return Err(Refusal::Loudness(lufs));
        }
        if let Some(permille) = self.gate_permille.filter(|permille| !(1..=100).contains(permille)) {
            return Err(Refusal::Gate(permille));
        }
        if !(16..=POSTER_SIDE_MAX).contains(&self.poster_side) {
            return Err(Refusal::PosterSide(self.poster_side));
        }
        self.watermark.as_ref().map_or(Ok(()), Watermark::check)?;
        step::check(&self.steps)?;
        check_hosts(&self.publish)?;
        if self.frames_max == 0 { Err(Refusal::Frames) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_a_share_or_a_time() {
        let read = |text: &str| Moment::try_from(text.to_owned()).ok();
        for (text, moment) in [
            ("10%", Moment::Percent(10)),
            ("0s", Moment::At(0)),
            ("12.5s", Moment::At(12_500)),
            ("0.04s", Moment::At(40)),
            ("100.125s", Moment::At(100_125)),
        ] {
            assert_eq!(read(text), Some(moment));
            assert_eq!(String::from(moment), text);
        }
        for text in
            ["", "%", "s", "101%", "-1s", "1.2345s", "1e3s", "5", "5 s", ".5s", "99999999999999999999s"]
        {
            assert_eq!(read(text), None, "{text}");
        }
        assert_eq!(Moment::Percent(50).of(4_000_000), 2_000_000);
        assert_eq!(Moment::At(9_000).of(4_000_000), 4_000_000);
    }

    #[test]
    fn a_pipeline_is_checked_for_what_no_encoder_can_do() {
        let read = |text: &str| serde_json::from_str::<Pipeline>(text);
        assert_eq!(read("{}").unwrap(), Pipeline::default());
        assert!(read(r#"{"size":[720]}"#).unwrap_err().to_string().contains("unknown field `size`"));
        for (text, refusal) in [
            (r#"{"sizes":[721]}"#, Refusal::Size(721)),
            (r#"{"sizes":[8]}"#, Refusal::Size(8)),
            (r#"{"sizes":[720,480,720]}"#, Refusal::Sizes),
            (r#"{"codecs":["vp9","av1","vp9"]}"#, Refusal::Codecs("vp9")),
            (r#"{"codecs":["hevc"]}"#, Refusal::Hevc),
            (r#"{"hdr_codecs":[]}"#, Refusal::HdrCodecs),
            (r#"{"hdr_codecs":["av1","vp9"]}"#, Refusal::HdrCodecs),
            (r#"{"hdr_codecs":["hevc","hevc"]}"#, Refusal::HdrCodecs),
            (r#"{"as_is":true,"crop":"4:3"}"#, Refusal::AsIs),
            (r#"{"priority":101}"#, Refusal::Priority(101)),
            (r#"{"frames_max":0}"#, Refusal::Frames),
            (r#"{"gate_permille":0}"#, Refusal::Gate(0)),
            (r#"{"loudness_lufs":3}"#, Refusal::Loudness(3)),
            (r#"{"poster_side":2000}"#, Refusal::PosterSide(2_000)),
            (r#"{"watermark":{"picture":"logo.png"}}"#, watermark::Refusal::Picture.into()),
            (r#"{"name":"A b"}"#, Refusal::Name("A b".to_owned())),
        ] {
            assert_eq!(read(text).unwrap().check(), Err(refusal), "{text}");
        }
        assert!(read(r#"{"codecs":["h265"]}"#).is_err());
        read(r#"{"sizes":[360,1080],"codecs":["av1"],"hdr":"keep","hdr_codecs":["hevc","av1"],"quality":"high","poster":"3s","priority":-5}"#)
            .unwrap()
            .check()
            .unwrap();
    }

    #[test]
    fn what_somebody_wrote_has_the_name_of_its_address() {
        let read = |text: &str| Pipeline::read("cinema", serde_json::from_str(text).unwrap());
        let small = read(r#"{"sizes":[240]}"#).unwrap();
        assert_eq!((small.name.as_str(), small.sizes.as_slice()), ("cinema", &[240][..]));
        assert_eq!(read(r#"{"sizes":[240],"name":"cinema"}"#), Ok(small));
        for (text, expected) in [
            (r#"{"name":"other"}"#, "not the name in the address"),
            (r#"{"size":[240]}"#, "unknown field `size`"),
            (r#"{"sizes":[241]}"#, "an even number"),
            (r#"{"quality":"best"}"#, "unknown variant `best`"),
        ] {
            assert!(read(text).unwrap_err().to_string().contains(expected), "{text}");
        }
        assert!(Pipeline::read("A", Map::new()).is_err());
    }

    #[test]
    fn an_app_does_not_raise_the_limit_of_frames() {
        for (frames_max, fits) in [(limits::PLAN_FRAMES_MAX, true), (limits::PLAN_FRAMES_MAX + 1, false)] {
            let pipeline = Pipeline { frames_max, ..Pipeline::default() };
            pipeline.check().unwrap();
            assert_eq!(pipeline.check_own().is_ok(), fits);
        }
    }

    #[test]
    fn every_field_is_named() {
        let unknown = serde_json::from_str::<Pipeline>(r#"{"":0}"#).unwrap_err().to_string();
        let named: Vec<&str> = unknown.split('`').skip(3).step_by(2).collect();
        assert_eq!(named, Pipeline::FIELDS, "{unknown}");
    }
}
