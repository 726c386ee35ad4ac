//! The filter graph of a chunk: an exact run of frames of the grid, then the cascade of sizes.

use super::{hardware, seconds};
use crate::plan::{
    Cascade, Chunk, Codec, Color, Entering, First, Picture, Plan, Range, Rendition, Seek, Video,
};
use crate::watermark::Mark;

/// PQ or HLG to BT.709. Colours that BT.709 has not become its nearest ones: the format in the middle has no room for them.
const TONE_MAP: &str = "zscale=t=linear:npl=100,format=gbrpf32le,zscale=p=bt709,tonemap=hable:desat=0,zscale=t=bt709,format=gbrp10le,zscale=m=bt709:r=tv";

/// What makes the pictures of a source BT.709, with a comma at the end; nothing for most sources.
pub(super) fn tone_map(picture: &Picture) -> String {
    if !picture.tone_map {
        return String::new();
    }
    let told = match &picture.entering {
        Entering::TakenAs(Color { primaries, transfer, matrix }) => {
            format!("setparams=color_primaries={primaries}:color_trc={transfer}:colorspace={matrix},")
        }
        Entering::AsTold | Entering::Rgb => String::new(),
    };
    format!("{told}{TONE_MAP},")
}

/// How a scaler turns the source's pictures into ours; nothing for most sources.
pub(super) const fn into_ours(picture: &Picture) -> &'static str {
    match picture.entering {
        Entering::Rgb => ":out_color_matrix=bt709:out_range=tv",
        Entering::AsTold | Entering::TakenAs(_) => "",
    }
}

/// The graph with all renditions, `[v0]` to `[vN]`: each size is scaled from the one before.
pub(super) fn cascade(plan: &Plan, (video, family): (&Video, Cascade<'_>), chunk: &Chunk) -> String {
    head(plan, video, chunk, false) + &branches((video, family))
}

/// All renditions of pictures that stand before this text.
pub(super) fn branches((video, family): (&Video, Cascade<'_>)) -> String {
    let mut every = 1;
    let last = family.renditions.len().saturating_sub(1);
    let upload = family.engine.map(|engine| hardware::upload(engine.kind));
    let branch = |(n, rendition): (usize, &Rendition)| {
        let entry = if n > 0 { format!("[b{}]", n - 1) } else { String::new() };
        let exit = match (n < last, upload) {
            (true, None) => format!(",split=2[v{n}][b{n}]"),
            (true, Some(upload)) => format!(",split=2[h{n}][b{n}];[h{n}]{upload}[v{n}]"),
            (false, None) => format!("[v{n}]"),
            (false, Some(upload)) => format!(",{upload}[v{n}]"),
        };
        let steps = steps((video, family), rendition, n, every);
        every = rendition.every;
        [entry, steps, exit].concat()
    };
    let branches = family.renditions.iter().enumerate().map(branch).collect::<Vec<_>>();
    branches.join(";")
}

/// The graph with the rendition `at` alone, through the same scalers as in the cascade. Pictures that a damaged source
/// does not give are filled in by their neighbours; of a good one they are the same.
pub(super) fn single(
    plan: &Plan,
    (video, family): (&Video, Cascade<'_>),
    chunk: &Chunk,
    at: usize,
) -> String {
    let mut every = 1;
    let chain = |(n, rendition): (usize, &Rendition)| {
        let steps = steps((video, family), rendition, n, every);
        every = rendition.every;
        steps
    };
    let chained = family.renditions.iter().enumerate().take(at + 1).map(chain).collect::<Vec<_>>();
    head(plan, video, chunk, true) + &chained.join(",") + "[v0]"
}

/// The graph that compares the source with all renditions, whose files are the inputs from `first` on: `[o0]` to `[oN]`.
pub(super) fn comparison(plan: &Plan, video: &Video, sample: &Chunk, first: usize) -> String {
    let Some((ladder, top)) = video.family(0).zip(video.renditions.first()) else { return String::new() };
    let source = head(plan, video, sample, false) + &steps((video, ladder), top, 0, top.every);
    compared(&source, video, first)
}

/// The same for pictures of the largest size that stand at the end of the chain `source`.
pub(super) fn compared(source: &str, video: &Video, first: usize) -> String {
    let Some(top) = video.renditions.first() else { return String::new() };
    let count = video.renditions.len();
    let split: Vec<String> = (0..count).map(|n| format!("[s{n}]")).collect();
    // Files of ours begin behind 0, and the clock of two pictures that are compared must be one.
    let clock = format!("settb={}/{}", video.rate.den, video.rate.num);
    let (width, height) = (top.width, top.height);
    let pair = |(n, rendition): (usize, &Rendition)| {
        let half = if rendition.every > 1 { "framestep=2," } else { "" };
        let input = first + n;
        format!(
            "[s{n}]{half}{clock}[r{n}];[{input}:v:0]setpts=PTS-STARTPTS,{clock},scale={width}:{height}:flags=bicubic,setsar=1[m{n}];\
             [m{n}][r{n}]{}[o{n}]",
            super::judge_name(n),
        )
    };
    let pairs: Vec<String> = video.renditions.iter().enumerate().map(pair).collect();
    format!("{source},split={count}{};{}", split.concat(), pairs.join(";"))
}

/// An origin in seconds that can stand behind a minus.
pub(super) fn subtrahend(us: i64) -> String {
    if us < 0 { format!("({})", seconds(us)) } else { seconds(us) }
}

/// From the source's times to frames 0 to N of the chunk, with a comma at the end.
pub(super) fn head(plan: &Plan, video: &Video, chunk: &Chunk, filled: bool) -> String {
    // Without -copyts ffmpeg has already taken the container's start away.
    let origin_us = match chunk.seek {
        Seek::Start | Seek::Key { .. } => plan.origin_us,
        Seek::Rewritten => plan.origin_us - plan.container_start_us,
    } + video.picture.late_us;
    let first_stays = filled || video.picture.first == First::Held;
    let hold = match chunk.seek {
        Seek::Start | Seek::Rewritten if first_stays => ":start_time=0",
        Seek::Start | Seek::Rewritten | Seek::Key { .. } => "",
    };
    let last = if filled { ":eof_action=pass,tpad=stop=-1:stop_mode=clone" } else { "" };
    let deinterlace = if video.picture.deinterlace { "bwdif=mode=send_frame:deint=interlaced," } else { "" };
    format!(
        "[0:v:{}]setpts=PTS-{}/TB,{deinterlace}fps={}/{}{hold}{last},trim=start_pts={}:end_pts={},setpts=PTS-{},",
        video.stream,
        subtrahend(origin_us),
        video.rate.num,
        video.rate.den,
        chunk.first,
        chunk.first + chunk.frames,
        chunk.first,
    )
}

/// What rendition `n` does to the pictures of the one before it, which takes each `before`th frame.
fn steps((video, family): (&Video, Cascade<'_>), rendition: &Rendition, n: usize, before: u32) -> String {
    let half = if rendition.every > before { "framestep=2," } else { "" };
    let (width, height) = (rendition.width, rendition.height);
    if n > 0 {
        return format!("{half}scale={width}:{height}:flags=bicubic,setsar=1");
    }
    let standard = *family.range == Range::Standard;
    let map = if standard { tone_map(&video.picture) } else { String::new() };
    let scale = sized(&video.picture, (width, height));
    let pixels = pixels(family.codec);
    let mark = video.picture.mark.as_ref().filter(|_| !family.unmarked).map(|mark| {
        // Two inputs get a clock of their own; the encoder counts by that of the grid.
        let clock = format!("settb={}/{}", video.rate.den, video.rate.num);
        let white = family.range.white();
        format!("[plain];{};[plain][mark]{},{clock}", laid(mark, None, white), over(mark, pixels))
    });
    format!("{half}{map}{scale}setsar=1,format={pixels}{}", mark.unwrap_or_default())
}

/// How the pictures enter the encoder. Ten bits cost AV1 next to nothing, every decoder of it has them, and dark areas show
/// no steps.
const fn pixels(codec: Codec) -> &'static str {
    match codec {
        Codec::H264 | Codec::Vp9 => "yuv420p",
        Codec::Av1 | Codec::Hevc => "yuv420p10le",
    }
}

/// From the source's pictures to those of the top rendition, with a comma at the end where there is something to do.
fn sized(picture: &Picture, (width, height): (u32, u32)) -> String {
    let ours = into_ours(picture);
    match picture.cover {
        Some((wide, tall)) => format!("scale={wide}:{tall}{ours},crop={width}:{height},"),
        None if picture.scale_top || !ours.is_empty() => format!("scale={width}:{height}{ours},"),
        None => String::new(),
    }
}

/// The watermark, the second input, as `[mark]`; in another size than its own for another picture than the top one. Its
/// white becomes this share of the brightest white.
pub(super) fn laid(mark: &Mark, size: Option<(u32, u32)>, white: Option<&str>) -> String {
    let scale = size.map(|(width, height)| format!("scale={width}:{height},")).unwrap_or_default();
    let opacity = f64::from(mark.opacity_percent) / 100.0;
    let white = white.map(|white| format!("rr={white}:gg={white}:bb={white}:")).unwrap_or_default();
    format!("[1:v]{scale}format=rgba,colorchannelmixer={white}aa={opacity}[mark]")
}

/// Lays `[mark]` over what stands before it, which has these pixels.
pub(super) fn over(mark: &Mark, pixels: &str) -> String {
    let format = if pixels.ends_with("10le") { "yuv420p10" } else { "yuv420" };
    format!("overlay=x={}:y={}:format={format}:eof_action=repeat", mark.x, mark.y)
}
