//! Arguments for pictures: poster, thumbnails, the sheets of a storyboard, the preview, and what somebody uploaded.

use super::graph::{head, into_ours, laid, over, tone_map};
use super::{BARE, BEGIN, list, seconds, source};
use crate::crop::covering;
use crate::image::Format;
use crate::pipeline::POSTER_SIDE_MAX;
use crate::plan::{Chunk, Container, Picture, Plan, Seek, Video};
use crate::storyboard::{COLUMNS, ROWS, Storyboard};
use crate::watermark::Mark;

/// The file of a watermark in the directory of a run.
pub const MARK: &str = "mark.png";
/// Pictures a second of a preview: enough to see movement.
const PREVIEW_RATE: u32 = 10;
/// Most pictures of a preview.
pub const PREVIEW_PICTURES: usize = 30;
/// How long a preview lasts, in microseconds.
pub const PREVIEW_US: i64 = 3_000_000;
/// Width of a preview in pixels, at most: that of a card.
pub const PREVIEW_WIDTH: u32 = 320;
/// Size of a picture of sound: that of other posters.
pub const WAVE: (u32, u32) = (1_280, 720);
/// A picture of sound is drawn from so few samples a second: all of them wait in memory until the last one is there.
const WAVE_RATE_HZ: u32 = 4_000;

/// A file that pictures are taken from.
#[derive(Debug, Clone, Copy)]
pub struct Film<'f> {
    /// Its absolute path.
    pub input: &'f str,
    /// Its container.
    pub container: Container,
    /// What must be done to its pictures: the plan's, for a source; `None` for a rendition of ours.
    pub raw: Option<&'f Video>,
}

impl Film<'_> {
    /// The input, with the stream that has the picture.
    fn opened(&self) -> Vec<String> {
        let mut argv = source(self.input, self.container.format_whitelist());
        argv.extend(["-map".into(), format!("0:v:{}", self.raw.map_or(0, |video| video.stream))]);
        argv
    }

    /// The watermark, which only pictures of a source still need, in the place that it has on pictures of this size.
    fn mark(&self, size: (u32, u32)) -> Option<Mark> {
        let video = self.raw?;
        Some(video.picture.mark.as_ref()?.scaled(top(video), size))
    }

    /// From the file's pictures to whole ones of this size that everybody can show.
    fn shown(&self, size: (u32, u32)) -> String {
        let interlaced = self.raw.is_some_and(|video| video.picture.deinterlace);
        let deinterlace = if interlaced { "bwdif=mode=send_frame:deint=interlaced," } else { "" };
        deinterlace.to_owned() + &self.scaled(size)
    }

    /// From whole pictures to square pixels of this size that everybody can show.
    fn scaled(&self, (width, height): (u32, u32)) -> String {
        let picture = self.raw.map(|video| &video.picture);
        let cover =
            self.raw.and_then(|video| Some(covering(video.picture.cover?, top(video), (width, height))));
        let ours = picture.map_or("", into_ours);
        let scale = match cover {
            Some((wide, tall)) => format!("scale={wide}:{tall}{ours},crop={width}:{height}"),
            None => format!("scale={width}:{height}{ours}"),
        };
        // A small picture is mapped sooner than a large one.
        let map = picture.map(tone_map).unwrap_or_default();
        format!("{scale},{map}setsar=1,format=yuv420p")
    }

    /// The graph from an input to `[out]` by these filters, with the watermark where the pictures need one still.
    fn marked(&self, filters: &str, size: (u32, u32)) -> String {
        let Some(mark) = self.mark(size) else { return format!("{filters}[out]") };
        let laid = laid(&mark, Some((mark.width, mark.height)), None);
        format!("{filters}[plain];{laid};[plain][mark]{}[out]", over(&mark, "yuv420p"))
    }
}

/// The size that places of a plan are counted in.
fn top(video: &Video) -> (u32, u32) {
    video.renditions.first().map_or((2, 2), |top| (top.width, top.height))
}

/// The second input of a run: the watermark, if there is one.
pub(super) fn mark_input(picture: &Picture) -> Vec<String> {
    if picture.mark.is_none() {
        return Vec::new();
    }
    let mut argv = list(&["-f", "png_pipe"]);
    argv.extend(source(MARK, "png_pipe"));
    argv
}

/// By how many pictures decoding is ahead of showing with usual encoders: three, and one for rounding.
const AHEAD_FRAMES: u64 = 4;

/// The most typical of 24 pictures from a time on, counted from the container's start; scaled first, because all of
/// them are held in memory.
pub fn poster(film: Film<'_>, at_us: i64, size: (u32, u32), output: &str) -> Vec<String> {
    still(film, Some(at_us), (size, ",thumbnail=24"), Pick::First, output)
}

/// The first picture, for when [`poster`] wrote no file.
pub fn poster_first(film: Film<'_>, size: (u32, u32), output: &str) -> Vec<String> {
    still(film, None, (size, ""), Pick::First, output)
}

/// The picture of a source that encoding would show at a frame of the grid: the last one that is not later. Decoding begins
/// where `seek` says, so no picture comes out when that is behind the wanted one. Where damage left a hole, a `filled` run
/// takes the neighbour.
pub fn moment(
    (plan, film): (&Plan, Film<'_>),
    (frame, seek, filled): (u64, Seek, bool),
    size: (u32, u32),
    output: &str,
) -> Vec<String> {
    let mut argv = list(&BEGIN);
    argv.extend(list(&["-threads", "1"]));
    // What lies between the key frame and the time that was sought is wanted, too: it may be on screen for long.
    match seek {
        Seek::Start => argv.extend(list(&["-copyts"])),
        Seek::Key { ss_us } => {
            argv.extend(list(&["-copyts", "-noaccurate_seek", "-ss"]));
            argv.push(seconds(ss_us));
        }
        Seek::Rewritten => {}
    }
    argv.extend(source(film.input, film.container.format_whitelist()));
    let Some(video) = film.raw else { return argv };
    argv.extend(mark_input(&video.picture));
    let one = Chunk { number: 0, first: frame, frames: 1, seek };
    argv.push("-filter_complex".into());
    argv.push(film.marked(&(head(plan, video, &one, filled) + &film.scaled(size)), size));
    argv.extend(list(&["-map", "[out]"]));
    argv.extend(jpeg(Pick::First, output));
    argv
}

/// Where decoding may begin so that the picture of this frame is most likely among what is decoded, and little else: `None`
/// where only the beginning is safe.
pub fn shortly_before(plan: &Plan, video: &Video, frame: u64) -> Option<Seek> {
    let from_origin_us = plan.origin_us - plan.container_start_us + video.picture.late_us;
    // Containers count by decoding, which goes ahead of showing by a few pictures.
    let at_us = from_origin_us + video.rate.frame_us(frame) - video.rate.frame_us(AHEAD_FRAMES);
    let sought = video.chunks.first().is_some_and(|chunk| chunk.seek != Seek::Rewritten);
    (sought && at_us > 0).then_some(Seek::Key { ss_us: at_us })
}

/// The picture of one moment of a rendition of ours.
pub fn thumbnail(film: Film<'_>, at_us: i64, size: (u32, u32), output: &str) -> Vec<String> {
    still(film, Some(at_us), (size, ""), Pick::First, output)
}

/// The last picture from a time on, for when nothing is shown any more at the wanted one.
pub fn thumbnail_last(film: Film<'_>, from_us: i64, size: (u32, u32), output: &str) -> Vec<String> {
    still(film, Some(from_us), (size, ""), Pick::Last, output)
}

/// Which of the pictures that come out is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Pick {
    First,
    /// Each takes the place of the one before.
    Last,
}

fn still(
    film: Film<'_>,
    at_us: Option<i64>,
    (size, then): ((u32, u32), &str),
    pick: Pick,
    output: &str,
) -> Vec<String> {
    let mut argv = list(&BEGIN);
    // Somebody waits for a still, but others encode on the same cores.
    argv.extend(list(&["-threads", "1"]));
    if let Some(at_us) = at_us {
        argv.extend(["-ss".into(), seconds(at_us)]);
    }
    let filter = film.shown(size) + then;
    if let Some(video) = film.raw.filter(|_| film.mark(size).is_some()) {
        argv.extend(source(film.input, film.container.format_whitelist()));
        argv.extend(mark_input(&video.picture));
        argv.push("-filter_complex".into());
        argv.push(film.marked(&format!("[0:v:{}]{filter}", video.stream), size));
        argv.extend(list(&["-map", "[out]"]));
    } else {
        argv.extend(film.opened());
        argv.extend(["-vf".into(), filter]);
    }
    argv.extend(jpeg(pick, output));
    argv
}

/// A picture that becomes a watermark: decoded and written anew in the size in which it is laid on.
pub fn mark(mark: &Mark, input: &str) -> Vec<String> {
    let mut argv = list(&BEGIN);
    argv.extend(list(&["-f", "png_pipe"]));
    argv.extend(source(input, "png_pipe"));
    argv.extend(list(&["-map", "0:v:0", "-vf"]));
    argv.push(format!("scale={}:{}:flags=lanczos,setsar=1,format=rgba", mark.width, mark.height));
    argv.extend(list(&[
        "-frames:v",
        "1",
        "-map_metadata",
        "-1",
        "-c:v",
        "png",
        "-f",
        "image2",
        "-update",
        "1",
    ]));
    argv.push(MARK.into());
    argv
}

fn jpeg(pick: Pick, output: &str) -> Vec<String> {
    let mut argv = if pick == Pick::First { list(&["-frames:v", "1"]) } else { Vec::new() };
    argv.extend(list(&["-map_metadata", "-1", "-c:v", "mjpeg", "-q:v", "3", "-f", "image2", "-update", "1"]));
    argv.push(output.into());
    argv
}

/// The cover that came with sound, no larger than a poster.
pub fn cover(container: Container, input: &str, output: &str) -> Vec<String> {
    let mut argv = list(&BEGIN);
    argv.extend(source(input, container.format_whitelist()));
    argv.extend(list(&["-map", "0:v:0", "-vf"]));
    argv.push(fitted());
    argv.extend(jpeg(Pick::First, output));
    argv
}

/// A picture of the sound itself: its loudness from begin to end.
pub fn waveform(container: Container, stream: u32, input: &str, output: &str) -> Vec<String> {
    let (width, height) = WAVE;
    let mut argv = list(&BEGIN);
    argv.extend(source(input, container.format_whitelist()));
    argv.push("-filter_complex".into());
    argv.push(format!(
        "color=c=0x1b1720:s={width}x{height}:r=1:d=1[ground];\
         [0:a:{stream}]aformat=channel_layouts=mono,aresample={WAVE_RATE_HZ},asetnsamples=n=16384,\
         showwavespic=s={width}x{}:colors=0xff9b73:scale=sqrt:filter=peak[wave];\
         [ground][wave]overlay=0:{},format=yuv420p[out]",
        height / 2,
        height / 4
    ));
    argv.extend(list(&["-map", "[out]"]));
    argv.extend(jpeg(Pick::First, output));
    argv
}

/// The sheets of a storyboard from a rendition of ours. Only key frames are decoded: those that
/// were forced, because scene cuts are no places to begin. `pattern` holds a `%d` for the number
/// of a sheet, from 1.
pub fn storyboard(board: &Storyboard, input: &str, pattern: &str) -> Vec<String> {
    let (width, height) = board.tile;
    let mut argv = list(&BEGIN);
    argv.extend(list(&["-skip_frame", "nokey"]));
    argv.extend(Film { input, container: Container::Mov, raw: None }.opened());
    argv.push("-vf".into());
    argv.push(format!(
        "select='not(mod(n,{}))',scale={width}:{height}:flags=fast_bilinear,setsar=1,tile={COLUMNS}x{ROWS}",
        board.every
    ));
    argv.extend(list(&["-fps_mode", "vfr", "-map_metadata", "-1", "-c:v", "mjpeg", "-q:v", "4"]));
    argv.extend(list(&["-f", "image2"]));
    argv.push(pattern.into());
    argv
}

/// A few silent seconds of a rendition of ours.
pub fn preview(from_us: i64, (width, height): (u32, u32), input: &str, output: &str) -> Vec<String> {
    let mut argv = list(&BEGIN);
    argv.extend(["-ss".into(), seconds(from_us), "-t".into(), seconds(PREVIEW_US)]);
    argv.extend(Film { input, container: Container::Mov, raw: None }.opened());
    argv.push("-vf".into());
    // A single short picture would be rounded away, and a long one makes more than were asked for.
    argv.push(format!("fps={PREVIEW_RATE}:eof_action=pass,scale={width}:{height},setsar=1,format=yuv420p"));
    argv.extend(["-frames:v".into(), PREVIEW_PICTURES.to_string()]);
    argv.extend(list(&["-c:v", "libx264", "-preset", "veryfast", "-crf", "28", "-threads", "1"]));
    argv.extend(list(&BARE));
    argv.extend(list(&["-f", "mp4", "-movflags", "+faststart"]));
    argv.push(output.into());
    argv
}

/// A picture that somebody uploaded, decoded and written anew, no larger than a poster: what is served is ours.
pub fn picture(format: Format, input: &str, output: &str) -> Vec<String> {
    let demuxer = match format {
        Format::Jpeg => "jpeg_pipe",
        Format::Png => "png_pipe",
    };
    let mut argv = list(&BEGIN);
    argv.extend(list(&["-f", demuxer]));
    argv.extend(source(input, demuxer));
    argv.extend(list(&["-map", "0:v:0", "-vf"]));
    argv.push(fitted());
    argv.extend(jpeg(Pick::First, output));
    argv
}

/// Any picture in its own shape, both sides even and no longer than a poster's.
fn fitted() -> String {
    format!(
        "scale=w='min({POSTER_SIDE_MAX},iw)':h='min({POSTER_SIDE_MAX},ih)'\
         :force_original_aspect_ratio=decrease:force_divisible_by=2,setsar=1,format=yuv420p"
    )
}
