//! The trial of an encoder in hardware: it makes a known picture with the words of a chunk, and what it made is judged.

use super::hardware::device;
use super::{BEGIN, Container, encoder, graph, list, source};
use crate::hardware::{Candidate, Engine, Kind};
use crate::plan::{
    Chunk, Codec, Color, Entering, First, Mode, Picture, Preset, Rate, Rendition, Seek, Video,
};

/// A second of a known moving picture.
const SOURCE: &str = "testsrc2=size=640x360:rate=25:duration=1";
/// Its pictures.
const SOURCE_FRAMES: u32 = 25;

/// The video of a trial: two sizes of one second, with key frames inside.
pub fn trial_video(kind: Kind) -> Video {
    let rendition = |width, height, max_kbps| Rendition {
        id: format!("h264-{height}"),
        mode: Mode::Encode,
        codec: Codec::H264,
        width,
        height,
        every: 1,
        crf: 21,
        max_kbps,
        preset: Preset::Veryfast,
        threads: 1,
    };
    let frames = u64::from(SOURCE_FRAMES);
    Video {
        stream: 0,
        rate: Rate::of(25, 1),
        frames,
        gop: 10,
        segment: 20,
        picture: Picture {
            deinterlace: false,
            tone_map: false,
            entering: Entering::AsTold,
            scale_top: false,
            cover: None,
            mark: None,
            first: First::AtOrigin,
            color: Color { primaries: String::new(), transfer: String::new(), matrix: String::new() },
            late_us: 0,
        },
        // As much as a picture of this size may ever have: the test picture is harder than a film.
        renditions: vec![rendition(640, 360, 3_000), rendition(426, 240, 1_500)],
        background: Vec::new(),
        chunks: vec![Chunk { number: 0, first: 0, frames, seek: Seek::Start }],
        // Whose bytes these are is what the trial finds out.
        engine: Some(Engine { kind, fingerprint: 0 }),
        fallback: None,
    }
}

/// Encodes the known picture in two sizes at once, with the words of a chunk.
pub fn trial(place: &Candidate, video: &Video, outputs: &[String]) -> Vec<String> {
    let mut argv = device(place);
    argv.extend(list(&BEGIN));
    argv.extend(list(&["-f", "lavfi", "-i", SOURCE, "-filter_complex"]));
    let Some(ladder) = video.family(0) else { return argv };
    argv.push(format!("[0:v:0]{}", graph::branches((video, ladder))));
    for (n, (rendition, output)) in ladder.renditions.iter().zip(outputs).enumerate() {
        argv.extend(["-map".into(), format!("[v{n}]")]);
        argv.extend(encoder::picture((video, ladder), rendition, video.frames, output));
    }
    argv
}

/// Compares what a trial made with the known picture; the answers are for `gate::parse`.
pub fn trial_judge(video: &Video, outputs: &[String]) -> Vec<String> {
    let mut argv = list(&BEGIN);
    argv.iter_mut().filter(|word| *word == "level+warning").for_each(|word| *word = "level+info".into());
    argv.extend(list(&["-f", "lavfi", "-i", SOURCE]));
    for output in outputs {
        argv.extend(source(output, Container::Mov.format_whitelist()));
    }
    argv.push("-filter_complex".into());
    argv.push(graph::compared("[0:v:0]format=yuv420p", video, 1));
    for n in 0..outputs.len() {
        argv.extend(["-map".into(), format!("[o{n}]")]);
        argv.extend(list(&["-f", "null", "-"]));
    }
    argv
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::argv::chunk_outputs;

    #[test]
    fn a_trial_says_the_words_of_a_chunk() {
        let kind = Kind::Vaapi;
        let device = "/dev/dri/renderD128".to_owned();
        let place = Candidate { kind, device, nodes: Vec::new() };
        let video = trial_video(kind);
        let outputs = chunk_outputs(video.family(0).unwrap());
        let both = [trial(&place, &video, &outputs), trial_judge(&video, &outputs)];
        insta::assert_snapshot!(both.map(|argv| argv.join("\n")).join("\n\n"));
    }
}
