//! Arguments of encoders in hardware: the same ladder, cascade and key frames as by software.
//!
//! Pictures are decoded and scaled by the processor, so that a chunk has the same graph whoever encodes it. Nothing is
//! reordered (`-bf 0`): drivers differ in how they number such pictures, and chunks must join.

use super::list;
use crate::hardware::{Candidate, Kind};
use crate::plan::{Preset, Rendition};

/// What kinds without a constant quality aim at, in percent of the cap: the rest is for scenes that need more.
const AIM_PERCENT: u32 = 80;

/// The words before all others that open the device of an engine.
pub fn device(place: &Candidate) -> Vec<String> {
    let device = &place.device;
    match place.kind {
        Kind::Vaapi => list(&["-init_hw_device", &format!("vaapi=gpu:{device}"), "-filter_hw_device", "gpu"]),
        // Its encoder takes pictures from the processor's memory, and finds the device by itself.
        Kind::Qsv => list(&["-init_hw_device", &format!("qsv=gpu:hw_any,child_device={device}")]),
        Kind::Nvenc | Kind::V4l2 => Vec::new(),
    }
}

/// The last filters before the encoder.
pub(super) const fn upload(kind: Kind) -> &'static str {
    match kind {
        Kind::Vaapi => "format=nv12,hwupload",
        Kind::Qsv | Kind::V4l2 => "format=nv12",
        Kind::Nvenc => "format=yuv420p",
    }
}

/// The encoder with its rate, up to the key frames that all encoders are told in the same way.
pub(super) fn h264(kind: Kind, rendition: &Rendition, gop: u32) -> Vec<String> {
    let cap = rendition.max_kbps;
    let aim = format!("{}k", cap * AIM_PERCENT / 100);
    let slow = rendition.preset == Preset::Medium;
    let mut argv = list(&["-c:v", kind.encoder()]);
    argv.extend(match kind {
        // Only this one has the constant quality below a cap that x264 has.
        Kind::Nvenc => {
            let quality = rendition.crf.to_string();
            let preset = if slow { "p7" } else { "p5" };
            let rate = ["-tune", "hq", "-rc", "vbr", "-cq", &quality, "-b:v", "0"];
            list(&[&["-preset", preset], &rate[..]].concat())
        }
        Kind::Qsv => list(&["-preset", if slow { "slower" } else { "medium" }, "-b:v", &aim]),
        Kind::Vaapi => list(&["-rc_mode", "VBR", "-b:v", &aim]),
        Kind::V4l2 => list(&["-b:v", &aim]),
    });
    if kind != Kind::V4l2 {
        argv.extend(["-maxrate".into(), format!("{cap}k"), "-bufsize".into(), format!("{}k", 2 * cap)]);
        argv.extend(list(&["-profile:v", "high"]));
    }
    argv.extend(list(&["-g", &gop.to_string(), "-bf", "0"]));
    argv.extend(list(match kind {
        Kind::Nvenc => &["-forced-idr", "1", "-no-scenecut", "1", "-strict_gop", "1"],
        Kind::Qsv => &["-forced_idr", "1", "-adaptive_i", "0", "-adaptive_b", "0", "-flags", "+cgop"],
        // A forced key frame is an IDR there, and nothing else is a key frame.
        Kind::Vaapi | Kind::V4l2 => &[],
    }));
    argv
}

/// The head of the file is written when the first picture is there: this encoder has no setup before.
pub(super) const fn late_head(kind: Kind) -> bool {
    matches!(kind, Kind::V4l2)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hardware::Engine;
    use crate::plan::argv::{chunk, chunk_outputs, chunk_safe};
    use crate::plan::samples::{node, probe, timeline};
    use crate::plan::{Capabilities, Pipeline, Plan, plan};

    fn planned(hardware: bool, kind: Kind) -> Plan {
        let pipeline = Pipeline { hardware, sizes: vec![1_080, 720], ..Pipeline::default() };
        let here = Capabilities { engines: vec![Engine { kind, fingerprint: 7 }], ..node() };
        plan(&probe(&[]).unwrap(), &timeline(1_500, 40_000, 66, 0), &pipeline, &here).unwrap()
    }

    fn words(plan: &Plan) -> Vec<String> {
        let video = plan.video.as_ref().unwrap();
        let ladder = video.family(0).unwrap();
        chunk(plan, (video, ladder), &video.chunks[3], "in", &chunk_outputs(ladder))
    }

    fn place(kind: Kind) -> Candidate {
        let device = match kind {
            Kind::Qsv | Kind::Vaapi => "/dev/dri/renderD128".to_owned(),
            Kind::Nvenc | Kind::V4l2 => String::new(),
        };
        Candidate { kind, device, nodes: Vec::new() }
    }

    #[test]
    fn a_chunk_by_hardware_has_the_cascade_and_the_key_frames_of_one_by_software() {
        let of = |kind: Kind| [device(&place(kind)), words(&planned(true, kind))].concat().join("\n");
        insta::assert_snapshot!(Kind::ALL.map(of).join("\n\n"));
        let soft = words(&planned(false, Kind::Vaapi));
        for kind in Kind::ALL {
            let hard = words(&planned(true, kind));
            let graph = |argv: &[String]| {
                let at = argv.iter().position(|word| word == "-filter_complex").unwrap();
                let upload = upload(kind);
                let plain =
                    argv[at + 1].replace(&format!(",split=2[h0][b0];[h0]{upload}[v0]"), ",split=2[v0][b0]");
                plain.replace(&format!(",{upload}[v1]"), "[v1]")
            };
            assert_eq!(graph(&hard), graph(&soft), "{kind:?}");
            let keys = |argv: &[String]| {
                let after = argv.windows(2).filter(|two| two[0] == "-force_key_frames");
                after.map(|two| two[1].clone()).collect::<Vec<_>>()
            };
            assert_eq!(keys(&hard), keys(&soft), "{kind:?}");
            assert!(hard.windows(2).any(|two| two == ["-bf", "0"]), "{kind:?}");
        }
    }

    #[test]
    fn hardware_is_used_only_when_the_pipeline_allows_it_and_a_machine_has_it() {
        let engine = |plan: &Plan| plan.video.as_ref().unwrap().engine.map(|engine| engine.kind);
        let fallback = |plan: &Plan| plan.video.as_ref().unwrap().fallback.is_some();
        let (asked, plain) = (planned(true, Kind::Qsv), planned(false, Kind::Qsv));
        assert_eq!((engine(&asked), fallback(&asked)), (Some(Kind::Qsv), false));
        assert_eq!((engine(&plain), fallback(&plain)), (None, false));
        let (probe, line) = (probe(&[]).unwrap(), timeline(1_500, 40_000, 66, 0));
        let pipeline = Pipeline { hardware: true, ..Pipeline::default() };
        let none = plan(&probe, &line, &pipeline, &node()).unwrap();
        assert_eq!((engine(&none), fallback(&none)), (None, true), "and the owner is told");
        let safe = chunk_safe(&asked, &asked.video.as_ref().unwrap().chunks[0], (0, 0), "in", "out").unwrap();
        assert!(safe.contains(&"libx264".to_owned()), "{safe:?}");
    }
}
