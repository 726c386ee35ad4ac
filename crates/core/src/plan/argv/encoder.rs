//! What stands between `-map` and the name of an output: the encoder of one rendition with all its settings.

use super::{BARE, hardware, list};
use crate::plan::{Cascade, Codec, Color, Preset, Range, Rendition, Video};

/// x264 and x265 clamp `keyint_min` to half of `keyint`, so this one is safe for GOPs of up to 126 frames.
const KEYINT: u32 = 250;
/// A fragment for each group of pictures, nothing that the head has to know before.
const FRAGMENTS: &str = "+cmaf+frag_keyframe+empty_moov+default_base_moof";
/// From this width on four columns of a VP9 picture can be decoded at the same time.
const FOUR_COLUMNS_WIDTH: u32 = 1_920;

/// Everything between `-map` and the output's name, and that name.
pub(super) fn picture(
    (video, family): (&Video, Cascade<'_>),
    rendition: &Rendition,
    frames: u64,
    output: &str,
) -> Vec<String> {
    let every = rendition.every.max(1);
    let gop = video.gop / every;
    let mut argv = vec!["-frames:v".into(), frames.div_ceil(u64::from(every)).to_string()];
    argv.extend(match (family.codec, family.engine) {
        (Codec::H264, Some(engine)) => hardware::h264(engine.kind, rendition, gop),
        (Codec::H264, None) => h264(rendition, gop),
        (Codec::Vp9, _) => vp9(rendition, gop),
        (Codec::Av1, _) => av1(rendition, gop, family.range),
        (Codec::Hevc, _) => hevc(rendition, gop, family.range),
    });
    // Counted in frames: at 29.97 frames a second a rule in seconds leaves the grid after 34 s.
    argv.extend(["-force_key_frames".into(), format!("expr:not(mod(n,{gop}))")]);
    if family.engine.is_none() {
        if matches!(family.codec, Codec::H264 | Codec::Hevc) {
            argv.extend(list(&["-forced-idr", "1", "-flags", "+cgop"]));
        }
        argv.extend(["-threads".into(), rendition.threads.to_string()]);
    }
    argv.extend(color(match family.range {
        Range::Standard => &video.picture.color,
        Range::Kept { color, .. } => color,
    }));
    argv.extend(["-video_track_timescale".into(), video.rate.timescale().to_string()]);
    argv.extend(list(&BARE));
    argv.extend(list(&["-f", "mp4", "-movflags"]));
    let late = family.engine.is_some_and(|engine| hardware::late_head(engine.kind));
    argv.push(if late { format!("{FRAGMENTS}+delay_moov") } else { FRAGMENTS.into() });
    argv.push(output.into());
    argv
}

/// Beyond 126 the clamp would let a scene cut become a key frame off the grid.
fn keyint(gop: u32) -> String {
    if gop > 126 { 2 * gop } else { KEYINT }.to_string()
}

fn h264(rendition: &Rendition, gop: u32) -> Vec<String> {
    let keyint = keyint(gop);
    let mut argv = list(&["-c:v", "libx264", "-preset", rendition.preset.name(), "-crf"]);
    argv.extend([rendition.crf.to_string(), "-maxrate".into(), format!("{}k", rendition.max_kbps)]);
    argv.extend(["-bufsize".into(), format!("{}k", 2 * rendition.max_kbps)]);
    argv.extend(list(&["-profile:v", "high", "-g", &keyint, "-keyint_min", &keyint]));
    argv
}

/// Both distances of key frames are the GOP, so libvpx makes none elsewhere. With a bit rate, `crf` is the best quality that
/// it may give within that rate.
fn vp9(rendition: &Rendition, gop: u32) -> Vec<String> {
    let (speed, gop) = (if rendition.preset == Preset::Medium { "2" } else { "4" }, gop.to_string());
    let columns = if rendition.width >= FOUR_COLUMNS_WIDTH { "2" } else { "1" };
    let mut argv = list(&["-c:v", "libvpx-vp9", "-deadline", "good", "-cpu-used", speed, "-crf"]);
    argv.extend([rendition.crf.to_string(), "-b:v".into(), format!("{}k", rendition.max_kbps)]);
    argv.extend(list(&["-auto-alt-ref", "1", "-lag-in-frames", "25", "-row-mt", "0"]));
    argv.extend(list(&["-tile-columns", columns, "-g", &gop, "-keyint_min", &gop]));
    argv
}

/// Every key frame begins a closed group (`irefresh-type`), and one processor makes the bytes repeatable and the memory
/// small: chunks are what runs side by side.
fn av1(rendition: &Rendition, gop: u32, range: &Range) -> Vec<String> {
    let (preset, gop) = (if rendition.preset == Preset::Medium { "8" } else { "10" }, gop.to_string());
    let mut argv = list(&["-c:v", "libsvtav1", "-preset", preset, "-crf"]);
    argv.extend([rendition.crf.to_string(), "-maxrate".into(), format!("{}k", rendition.max_kbps)]);
    argv.extend(["-bufsize".into(), format!("{}k", 2 * rendition.max_kbps)]);
    let light = match range {
        Range::Standard => String::new(),
        Range::Kept { light, .. } => light.svt(),
    };
    argv.extend(list(&["-g", &gop, "-svtav1-params", &format!("irefresh-type=2:lp=1{light}")]));
    argv
}

/// `hvc1` has its parameters beside the pictures, which is the form that Apple's players ask for. Threads of its own would
/// make other bytes at each run; the log level is one of its own, too.
fn hevc(rendition: &Rendition, gop: u32, range: &Range) -> Vec<String> {
    let keyint = keyint(gop);
    let mut argv = list(&["-c:v", "libx265", "-preset", rendition.preset.name(), "-crf"]);
    argv.extend([rendition.crf.to_string(), "-maxrate".into(), format!("{}k", rendition.max_kbps)]);
    argv.extend(["-bufsize".into(), format!("{}k", 2 * rendition.max_kbps)]);
    argv.extend(list(&["-profile:v", "main10", "-tag:v", "hvc1", "-g", &keyint, "-keyint_min", &keyint]));
    let light = match range {
        Range::Standard => String::new(),
        Range::Kept { light, .. } => light.x265(),
    };
    let own = "log-level=error:open-gop=0:pools=none:frame-threads=1";
    argv.extend(["-x265-params".into(), format!("{own}{light}")]);
    argv
}

fn color(color: &Color) -> Vec<String> {
    [("-color_primaries", &color.primaries), ("-color_trc", &color.transfer), ("-colorspace", &color.matrix)]
        .into_iter()
        .filter(|(_, value)| !value.is_empty())
        .flat_map(|(name, value)| [name.to_owned(), value.clone()])
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::samples::{planned, timeline};

    #[test]
    fn a_long_gop_raises_keyint_so_that_no_scene_cut_leaves_the_grid() {
        let plan = planned(&[], &timeline(1_500, 40_000, 66, 0));
        let top = &plan.video.unwrap().renditions[0];
        for (gop, keyint) in [(126, "250"), (127, "254"), (180, "360")] {
            let argv = h264(top, gop);
            assert!(
                argv.windows(4).any(|four| four == ["-g", keyint, "-keyint_min", keyint]),
                "{gop}: {argv:?}"
            );
        }
    }
}
