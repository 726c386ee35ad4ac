//! Encoders in hardware: which kinds there are, where each is looked for, and what it must show before it is used.
//!
//! Nothing that a machine says of its hardware is believed: an engine is used where a second of video came out as asked.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::hash;
use crate::limits::ENGINE_AWAY_MS;
use crate::time::Millis;

/// The least likeness of what a trial made to its source: SSIM in ten-thousandths. A good encoder has 9,600 here, and one
/// that mixes up planes, strides or colours less than 8,000.
pub const TRIAL_SSIM_MIN: u32 = 9_000;
/// So much less SSIM than software, in ten-thousandths, nobody sees: x264's own presets differ by as much.
const SSIM_TOLERANCE: u32 = 100;

/// A kind of encoder in hardware; the ones that are liked best come first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// NVIDIA's.
    Nvenc,
    /// Intel's own way to its hardware.
    Qsv,
    /// The common way to Intel's and AMD's.
    Vaapi,
    /// Those of small boards.
    V4l2,
}

impl Kind {
    /// All kinds, in the order in which they are liked.
    pub const ALL: [Self; 4] = [Self::Nvenc, Self::Qsv, Self::Vaapi, Self::V4l2];

    /// The word in the database, the API and the configuration.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Nvenc => "nvenc",
            Self::Qsv => "qsv",
            Self::Vaapi => "vaapi",
            Self::V4l2 => "v4l2",
        }
    }

    /// What people call it.
    pub const fn title(self) -> &'static str {
        match self {
            Self::Nvenc => "NVENC (NVIDIA)",
            Self::Qsv => "Quick Sync (Intel)",
            Self::Vaapi => "VAAPI (Intel, AMD)",
            Self::V4l2 => "V4L2 (boards)",
        }
    }

    /// Its encoder of H.264 in ffmpeg.
    pub const fn encoder(self) -> &'static str {
        match self {
            Self::Nvenc => "h264_nvenc",
            Self::Qsv => "h264_qsv",
            Self::Vaapi => "h264_vaapi",
            Self::V4l2 => "h264_v4l2m2m",
        }
    }

    /// How its device nodes begin, and what one is called where there is one.
    const fn node(self) -> (&'static str, &'static str) {
        match self {
            Self::Nvenc => ("nvidia", "/dev/nvidia0"),
            Self::Qsv | Self::Vaapi => ("renderD", "/dev/dri/renderD128"),
            Self::V4l2 => ("video", "/dev/video0"),
        }
    }

    /// What an owner can do when the driver refuses.
    const fn fix(self) -> &'static str {
        match self {
            Self::Nvenc => {
                "Install NVIDIA's driver with its encoder (`libnvidia-encode`), in the release that ffmpeg asks for."
            }
            Self::Qsv | Self::Vaapi => {
                "Install the driver of the card (`intel-media-va-driver` or `mesa-va-drivers`), and let the user of \
                 matinee open the device: `sudo usermod -aG render USER`."
            }
            Self::V4l2 => "Let the user of matinee open the device: `sudo usermod -aG video USER`.",
        }
    }
}

/// An encoder in hardware that gave certain bytes of a known picture: engines that are equal give the same of a source.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Engine {
    /// The kind.
    pub kind: Kind,
    /// The first eight bytes of the hash of what its trial made.
    pub fingerprint: u64,
}

impl Engine {
    /// The engine that made these bytes of the known picture.
    pub fn of(kind: Kind, made: &[u8]) -> Self {
        let first = hash::of(made).into_iter().take(8);
        Self { kind, fingerprint: first.fold(0, |all, byte| all << 8 | u64::from(byte)) }
    }
}

impl fmt::Display for Engine {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}-{:016x}", self.kind.name(), self.fingerprint)
    }
}

impl From<Engine> for String {
    fn from(engine: Engine) -> Self {
        engine.to_string()
    }
}

impl TryFrom<String> for Engine {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let read = || {
            let (name, digits) = text.split_once('-')?;
            let kind = Kind::ALL.into_iter().find(|kind| kind.name() == name)?;
            let plain = digits.len() == 16 && digits.bytes().all(|digit| digit.is_ascii_hexdigit());
            let fingerprint = u64::from_str_radix(digits, 16).ok().filter(|_| plain)?;
            Some(Self { kind, fingerprint })
        };
        read().ok_or_else(|| format!("`{text}` is no engine"))
    }
}

/// A place where an engine may be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    /// The kind.
    pub kind: Kind,
    /// The device that ffmpeg is told; empty for kinds that look for one themselves.
    pub device: String,
    /// The device nodes that it opens.
    pub nodes: Vec<String>,
}

/// An engine that has passed its trial.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Usable {
    /// Which one.
    pub engine: Engine,
    /// Where it is.
    pub place: Candidate,
    /// How like its source the picture of its trial was, the worse of two sizes: SSIM in ten-thousandths.
    pub ssim: u32,
}

/// Why a kind cannot be used on a machine.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unusable {
    /// ffmpeg does not know it.
    #[error("ffmpeg was built without {0}")]
    NotBuilt(&'static str),
    /// There is nothing to open.
    #[error("there is no device node such as {0}")]
    NoDevice(&'static str),
    /// ffmpeg ended with an error.
    #[error("the driver refused: {0}")]
    Refused(String),
    /// It made nothing in time.
    #[error("a second of video was not encoded within {0} s")]
    Slow(u64),
    /// What it made is no chunk.
    #[error("what it makes is not as asked: {0}")]
    Wrong(String),
    /// What it made shows something else.
    #[error(
        "its pictures are not those of the source: SSIM {}, and {} is the least",
        likeness(*.0),
        likeness(TRIAL_SSIM_MIN)
    )]
    Unlike(u32),
}

impl Unusable {
    /// Is there something that could be used, and is not?
    pub const fn is_there(&self) -> bool {
        !matches!(self, Self::NotBuilt(_) | Self::NoDevice(_))
    }

    /// What an owner can do about it.
    pub const fn fix(&self, kind: Kind) -> &'static str {
        match self {
            Self::NotBuilt(_) | Self::NoDevice(_) | Self::Refused(_) => kind.fix(),
            Self::Slow(_) | Self::Wrong(_) | Self::Unlike(_) => {
                "Update the driver of the card; until then software does its work."
            }
        }
    }
}

/// Ten-thousandths as people write SSIM.
fn likeness(ssim: u32) -> String {
    format!("{}.{:04}", ssim / 10_000, ssim % 10_000)
}

/// The places where an engine of a kind may be, by the device nodes of the machine and ffmpeg's own encoders.
pub fn candidates(
    kind: Kind,
    nodes: &[String],
    encoders: &BTreeSet<String>,
) -> Result<Vec<Candidate>, Unusable> {
    if !encoders.contains(kind.encoder()) {
        return Err(Unusable::NotBuilt(kind.encoder()));
    }
    let (begin, usual) = kind.node();
    let called = |node: &String| node.rsplit('/').next().unwrap_or_default().starts_with(begin);
    let mut mine: Vec<String> = nodes.iter().filter(|node| called(node)).cloned().collect();
    mine.sort_unstable();
    let numbered = |node: &String| node.ends_with(|last: char| last.is_ascii_digit());
    if !mine.iter().any(numbered) {
        return Err(Unusable::NoDevice(usual));
    }
    Ok(match kind {
        Kind::Qsv | Kind::Vaapi => {
            mine.into_iter().map(|node| Candidate { kind, device: node.clone(), nodes: vec![node] }).collect()
        }
        // These open several nodes at once, and find the card themselves.
        Kind::Nvenc | Kind::V4l2 => vec![Candidate { kind, device: String::new(), nodes: mine }],
    })
}

/// The first error that ffmpeg told: those after it only say that something went wrong.
pub fn refused(said: &str) -> Unusable {
    let error = |line: &str| {
        let (_, rest) = line.split_once("[error] ").or_else(|| line.split_once("[fatal] "))?;
        Some(rest.trim().trim_end_matches('.').to_owned()).filter(|rest| !rest.is_empty())
    };
    let last = || said.lines().rfind(|line| !line.trim().is_empty()).map(|line| line.trim().to_owned());
    let told = said.lines().find_map(error).or_else(last);
    Unusable::Refused(told.unwrap_or_else(|| "it said nothing".to_owned()))
}

/// The engine for a new video: of the best kind, the one that most machines have.
pub fn choose(offered: &[Engine]) -> Option<Engine> {
    let mut count: BTreeMap<Engine, u32> = BTreeMap::new();
    for engine in offered {
        *count.entry(*engine).or_default() += 1;
    }
    count
        .into_iter()
        .min_by_key(|(engine, machines)| (engine.kind, Reverse(*machines)))
        .map(|(engine, _)| engine)
}

/// A machine as far as its hardware matters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Machine {
    /// When it was heard of last.
    pub seen: Millis,
    /// It takes new work.
    pub works: bool,
    /// What passed its trial there; `None` while that runs.
    pub engines: Option<Vec<Engine>>,
}

impl Machine {
    /// Can it encode with this engine, as far as anybody knows?
    fn may_have(&self, engine: Engine) -> bool {
        self.works && self.engines.as_ref().is_none_or(|all| all.contains(&engine))
    }
}

/// The engines that a new video may be planned for, once for each machine that has it and was heard of within `alive_ms`.
pub fn offered(machines: &[Machine], alive_ms: i64, now: Millis) -> Vec<Engine> {
    let alive = machines.iter().filter(|one| one.works && now.since(one.seen) < alive_ms);
    alive.flat_map(|one| one.engines.iter().flatten().copied()).collect()
}

/// Has no machine had this engine for so long that its jobs are better done in software?
pub fn is_forsaken(engine: Engine, machines: &[Machine], now: Millis) -> bool {
    let near = |one: &&Machine| now.since(one.seen) < ENGINE_AWAY_MS;
    !machines.iter().filter(near).any(|one| one.may_have(engine))
}

/// How one size of a chunk came out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Look {
    /// How like the source it looks: SSIM in ten-thousandths.
    pub ssim: u32,
    /// Its bytes.
    pub bytes: u64,
}

/// Why an engine is not used for a video.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unworthy {
    /// Software does it better.
    #[error(
        "{id} looks worse by hardware: SSIM {}, and {} by software",
        likeness(*.hard),
        likeness(*.soft)
    )]
    Worse {
        /// The rendition.
        id: String,
        /// What hardware reached.
        hard: u32,
        /// What software reached.
        soft: u32,
    },
    /// It does not keep within the cap.
    #[error("{id} has {bytes} bytes by hardware, and its cap allows {most}")]
    Larger {
        /// The rendition.
        id: String,
        /// What hardware wrote.
        bytes: u64,
        /// The most that it may write.
        most: u64,
    },
}

/// May hardware make this rendition? It looks as good as by software, or hardly worse, and keeps within its cap.
pub fn judge(id: &str, hard: Look, soft: Look, most: u64) -> Result<(), Unworthy> {
    if hard.ssim + SSIM_TOLERANCE < soft.ssim {
        return Err(Unworthy::Worse { id: id.to_owned(), hard: hard.ssim, soft: soft.ssim });
    }
    // What software needs is never too much: a short chunk may lie above the cap of a whole video.
    let most = most.max(soft.bytes);
    if hard.bytes > most {
        return Err(Unworthy::Larger { id: id.to_owned(), bytes: hard.bytes, most });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all() -> BTreeSet<String> {
        Kind::ALL.map(|kind| kind.encoder().to_owned()).into()
    }

    fn nodes(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn a_kind_is_looked_for_where_its_device_nodes_are() {
        let found = |kind, names: &[&str]| {
            let places = candidates(kind, &nodes(names), &all())?;
            Ok::<_, Unusable>(places.into_iter().map(|one| (one.device, one.nodes.len())).collect::<Vec<_>>())
        };
        let two = ["/dev/dri/renderD129", "/dev/dri/card0", "/dev/dri/renderD128"];
        let both = vec![("/dev/dri/renderD128".to_owned(), 1), ("/dev/dri/renderD129".to_owned(), 1)];
        assert_eq!(found(Kind::Vaapi, &two), Ok(both.clone()));
        assert_eq!(found(Kind::Qsv, &two), Ok(both));
        let card = ["/dev/nvidia0", "/dev/nvidiactl", "/dev/nvidia-uvm"];
        assert_eq!(found(Kind::Nvenc, &card), Ok(vec![(String::new(), 3)]));
        assert_eq!(
            found(Kind::Nvenc, &card[1..]),
            Err(Unusable::NoDevice("/dev/nvidia0")),
            "a driver, no card"
        );
        assert_eq!(found(Kind::V4l2, &["/dev/video11"]), Ok(vec![(String::new(), 1)]));
        assert_eq!(found(Kind::V4l2, &two), Err(Unusable::NoDevice("/dev/video0")));
    }

    #[test]
    fn why_a_kind_cannot_be_used_is_one_sentence() {
        let none = candidates(Kind::Vaapi, &[], &BTreeSet::new()).unwrap_err();
        assert_eq!(none.to_string(), "ffmpeg was built without h264_vaapi");
        let bare = candidates(Kind::Vaapi, &[], &all()).unwrap_err();
        assert_eq!(bare.to_string(), "there is no device node such as /dev/dri/renderD128");
        assert!(!none.is_there() && !bare.is_there());
        // As ffmpeg 5.1 says it on a machine without hardware.
        for (said, human) in [
            (
                "[AVHWDeviceContext @ 0x5576] [error] No VA display found for device /dev/dri/renderD128.\n\
                 [error] Device creation failed: -22.\n[fatal] Error parsing global options: Invalid argument\n",
                "No VA display found for device /dev/dri/renderD128",
            ),
            (
                "[h264_nvenc @ 0x5585] [error] Cannot load libcuda.so.1\n[error] Error initializing output stream 0:0 --\n",
                "Cannot load libcuda.so.1",
            ),
            (
                "[h264_v4l2m2m @ 0x5598] [error] Could not find a valid device\n[h264_v4l2m2m @ 0x5598] [error] can't\n",
                "Could not find a valid device",
            ),
            ("something else\n\n", "something else"),
            ("", "it said nothing"),
        ] {
            assert_eq!(refused(said).to_string(), format!("the driver refused: {human}"));
        }
        assert!(Unusable::Unlike(412).to_string().contains("SSIM 0.0412, and 0.9000 is the least"));
    }

    #[test]
    fn an_engine_keeps_its_meaning_as_text() {
        let engine = Engine { kind: Kind::Qsv, fingerprint: 0xab };
        assert_eq!(engine.to_string(), "qsv-00000000000000ab");
        assert_eq!(Engine::try_from(engine.to_string()), Ok(engine));
        for wrong in ["", "qsv", "qsv-ab", "gpu-00000000000000ab", "qsv-+0000000000000ab"] {
            Engine::try_from(wrong.to_owned()).unwrap_err();
        }
    }

    #[test]
    fn the_best_kind_is_chosen_and_of_it_what_most_machines_have() {
        let engine = |kind, fingerprint| Engine { kind, fingerprint };
        let (old, new, other) = (engine(Kind::Vaapi, 9), engine(Kind::Vaapi, 1), engine(Kind::V4l2, 0));
        assert_eq!(choose(&[]), None);
        assert_eq!(choose(&[other, new, old, old]), Some(old));
        assert_eq!(choose(&[old, engine(Kind::Nvenc, 5), old]), Some(engine(Kind::Nvenc, 5)));
    }

    #[test]
    fn an_engine_is_forsaken_when_nobody_had_it_for_five_minutes() {
        let engine = Engine { kind: Kind::Vaapi, fingerprint: 1 };
        let now = Millis(1_000_000);
        let machine = |ago_ms: i64, engines: Option<&[Engine]>| Machine {
            seen: now.plus(-ago_ms),
            works: true,
            engines: engines.map(<[_]>::to_vec),
        };
        for (one, forsaken) in [
            (machine(ENGINE_AWAY_MS - 1, Some(&[engine])), false),
            (machine(ENGINE_AWAY_MS, Some(&[engine])), true),
            (machine(1, Some(&[])), true),
            (machine(1, None), false),
            (Machine { works: false, ..machine(1, Some(&[engine])) }, true),
        ] {
            assert_eq!(is_forsaken(engine, std::slice::from_ref(&one), now), forsaken, "{one:?}");
        }
        assert!(is_forsaken(engine, &[], now));
        let known = [machine(1, Some(&[engine])), machine(9, Some(&[engine])), machine(10, Some(&[engine]))];
        assert_eq!(offered(&known, 10, now), [engine, engine]);
    }

    #[test]
    fn hardware_is_worth_it_when_it_looks_as_good_within_its_cap() {
        let look = |ssim, bytes| Look { ssim, bytes };
        let soft = look(9_800, 1_000);
        for (hard, most, fits) in [
            (look(9_700, 1_200), 1_200, true),
            (look(9_699, 900), 1_200, false),
            (look(9_900, 1_201), 1_200, false),
            (look(9_900, 1_000), 10, true),
        ] {
            let judged = judge("h264-720", hard, soft, most);
            assert_eq!(judged.is_ok(), fits, "{judged:?}");
        }
        let worse = judge("h264-720", look(9_000, 1), soft, 9).unwrap_err();
        assert_eq!(
            worse.to_string(),
            "h264-720 looks worse by hardware: SSIM 0.9000, and 0.9800 by software"
        );
    }
}
