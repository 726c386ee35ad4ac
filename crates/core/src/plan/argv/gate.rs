//! Arguments that compare the sizes of a ladder with their source, on short samples.

use super::{BEGIN, Chunk, Container, Plan, Seek, Video, graph, list, pictures, seconds, source};

/// Places in a video from which samples are taken: the begin of a film is often black.
const SAMPLES: usize = 3;

/// The samples of a video: a segment each, at the begin of chunks that are spread over it.
pub fn samples(video: &Video) -> Vec<Chunk> {
    let chunks = video.chunks.len();
    let mut places: Vec<usize> = (1..=SAMPLES).map(|n| chunks * n / (SAMPLES + 1)).collect();
    places.dedup();
    let sample = |place: usize| {
        let chunk = video.chunks.get(place)?;
        Some(Chunk { frames: chunk.frames.min(u64::from(video.segment)), ..*chunk })
    };
    places.into_iter().filter_map(sample).collect()
}

/// The name of the filter that judges the rendition `n`.
pub fn judge_name(n: usize) -> String {
    format!("ssim@size{n}")
}

/// Compares the outputs of one sample with the source, each as large as the largest of them.
pub fn judge(plan: &Plan, video: &Video, sample: &Chunk, input: &str, outputs: &[String]) -> Vec<String> {
    let mut argv = list(&BEGIN);
    argv.iter_mut().filter(|word| *word == "level+warning").for_each(|word| *word = "level+info".into());
    match sample.seek {
        Seek::Start => argv.push("-copyts".into()),
        Seek::Key { ss_us } => argv.extend(["-copyts".into(), "-ss".into(), seconds(ss_us)]),
        Seek::Rewritten => {}
    }
    argv.extend(source(input, plan.container.format_whitelist()));
    let marked = pictures::mark_input(&video.picture);
    let first = if marked.is_empty() { 1 } else { 2 };
    argv.extend(marked);
    for output in outputs {
        argv.extend(source(output, Container::Mov.format_whitelist()));
    }
    argv.extend(list(&["-an", "-sn", "-dn", "-filter_complex"]));
    argv.push(graph::comparison(plan, video, sample, first));
    for n in 0..video.renditions.len() {
        argv.extend(["-map".into(), format!("[o{n}]")]);
        argv.extend(list(&["-f", "null", "-"]));
    }
    argv
}
