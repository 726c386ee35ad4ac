//! The virtual layout: an uploaded file as segments, without writing or encoding anything.
//!
//! Every segment is a few literal bytes and ranges of the source. The literals and the lists of ranges of all
//! segments stand in one byte string, the sidecar, and [`Row`]s say where.
//!
//! A source that still arrives is laid out the same way, so that its first segments can be played: [`layout`] when its
//! index is complete, [`layout_so_far`] when it is one of fragments that follow one by one.

use bytes::Bytes;

use super::fragment::head;
use super::init::Init;
use super::sample::Sample;
use super::segment::{Ranges, Rates, Row, rates};
use super::track::{Index, Track, TrackKind};
pub use super::unfit::Unfit;
use super::unfit::{Timed, choose, media_time, ticks, walk};
use crate::limits::{CUT_EARLY_MS, KEY_FRAME_GAP_MS, SEGMENT_MS};

/// A source as segments.
#[derive(Debug, Clone)]
pub struct Layout {
    /// The video track if there is one, then the main audio track if there is one, then its alternatives.
    pub tracks: Vec<LayoutTrack>,
    /// Heads and lists of ranges of all segments.
    pub sidecar: Bytes,
}

/// One track of a virtual layout.
#[derive(Debug, Clone)]
pub struct LayoutTrack {
    /// The `track_ID` in the source.
    pub source_track: u32,
    /// Picture size, or channels and rate.
    pub kind: TrackKind,
    /// A sound besides the main one.
    pub alternative: bool,
    /// The codec as RFC 6381 writes it.
    pub codec: String,
    /// ISO 639-2 code of three lower-case letters.
    pub language: String,
    /// The init segment.
    pub init: Bytes,
    /// Ticks per second.
    pub timescale: u32,
    /// How many samples the track has: pictures, or frames of sound.
    pub samples: u64,
    /// The time of all samples, in ticks.
    pub ticks: u64,
    /// One row per segment.
    pub rows: Vec<Row>,
    /// For each segment, how many bytes from the begin of the source must be there to play it and all before it.
    pub reaches: Vec<u64>,
    /// Bits per second.
    pub rates: Rates,
}

/// Lays out a source; says why not when a player could not play it as it is.
///
/// Video is cut at its first sample, then at each key frame that is at least a segment's length after the last cut.
/// Sound is cut where video is: at the first frame that is not shown before the video's segment. Sound that goes on
/// after the video's last segment has begun, and sound without video, is cut every segment's length. Sound that ends
/// early has fewer segments than the video. A sound besides the main one that cannot be played as it is is left out.
pub fn layout(index: &Index) -> Result<Layout, Unfit> {
    let mut sidecar = Vec::new();
    let mut tracks: Vec<LayoutTrack> = Vec::new();
    for track in choose(index)? {
        let alternative = tracks.iter().any(|laid| matches!(laid.kind, TrackKind::Audio { .. }));
        let before = sidecar.len();
        let video = tracks.first().filter(|laid| matches!(laid.kind, TrackKind::Video { .. }));
        match lay_out(index, track, video, &mut sidecar) {
            Ok(laid) if alternative && laid.rows.is_empty() => {}
            Ok(laid) => tracks.push(LayoutTrack { alternative, ..laid }),
            Err(_) if alternative => sidecar.truncate(before),
            Err(unfit) => return Err(unfit),
        }
    }
    Ok(Layout { tracks, sidecar: sidecar.into() })
}

/// One track, cut where `video` is.
fn lay_out(
    index: &Index,
    track: &Track,
    video: Option<&LayoutTrack>,
    sidecar: &mut Vec<u8>,
) -> Result<LayoutTrack, Unfit> {
    let delay = if index.fragmented { delay_of_fragments(track)? } else { delay(track) };
    let init = Init::of(track, media_time(track)? + u64::from(delay)).ok_or(Unfit::Empty)?;
    let mut table = Table::new(&init, delay, sidecar);
    match track.kind {
        TrackKind::Video { .. } => cut_video(index, track, &mut table)?,
        TrackKind::Audio { .. } | TrackKind::Other => {
            let starts = video.map_or(&[][..], |video| &video.rows);
            cut_audio(
                index,
                track,
                &mut table,
                &Starts { rows: starts, timescale: video.map_or(1, |video| video.timescale) },
            )?;
        }
    }
    let Table { rows, reaches, samples, .. } = table;
    Ok(LayoutTrack {
        source_track: track.id,
        kind: track.kind,
        alternative: false,
        codec: track.codec.clone(),
        language: track.language.clone(),
        init: init.write(),
        timescale: track.timescale,
        samples,
        ticks: rows.iter().map(|row| u64::from(row.duration)).sum(),
        rates: rates(&rows, track.timescale),
        rows,
        reaches,
    })
}

/// Lays out the fragments of a source that are known so far; see [`Indexer::so_far`](super::Indexer::so_far).
///
/// Its segments have the very bytes that [`layout`] gives them when all fragments are there. So the last segment of
/// each track, which may still grow, is left out. So are the sounds besides the main one: what is found in a later
/// fragment may make them unfit.
pub fn layout_so_far(index: &Index) -> Result<Layout, Unfit> {
    let mut known = layout(index)?;
    known.tracks.retain(|track| !track.alternative);
    for track in &mut known.tracks {
        track.rows.pop();
        track.reaches.pop();
        track.rates = rates(&track.rows, track.timescale);
    }
    Ok(known)
}

/// By how much pictures are shown before they are decoded, in ticks.
///
/// Where a source has such offsets below zero, all are raised and the edit list takes that back: browsers read both
/// alike, but ffmpeg shows the pictures of the first form late.
fn delay(track: &Track) -> u32 {
    track.samples.iter().map(|sample| sample.cts.min(0).unsigned_abs()).max().unwrap_or(0)
}

/// The same where more fragments may follow: it must be known from the first group of pictures on. So there is room
/// for later groups that are reordered more deeply, and a source that needs more than that is not played as it is.
fn delay_of_fragments(track: &Track) -> Result<u32, Unfit> {
    let second_key = track.samples.syncs().nth(1).map_or(usize::MAX, |(number, _)| number);
    let first_group = track.samples.iter().take(second_key);
    let least = first_group.map(|sample| sample.cts.min(0).unsigned_abs()).max().unwrap_or(0);
    let picture = track.samples.iter().next().map_or(0, |sample| sample.duration);
    let room = if least == 0 { 0 } else { least.max(picture.saturating_mul(REORDERED_MAX)) };
    if delay(track) <= room { Ok(room) } else { Err(Unfit::Reordered) }
}

/// Pictures that are decoded before an earlier one is shown: encoders use one or two, four are plenty.
const REORDERED_MAX: u32 = 4;

/// The segments of one track while they are made.
struct Table<'a> {
    init: &'a Init,
    /// Ticks that every composition offset is raised by.
    delay: u32,
    sidecar: &'a mut Vec<u8>,
    rows: Vec<Row>,
    reaches: Vec<u64>,
    /// The samples of the segment that still grows.
    open: Vec<Sample>,
    samples: u64,
}

impl<'a> Table<'a> {
    const fn new(init: &'a Init, delay: u32, sidecar: &'a mut Vec<u8>) -> Self {
        Self { init, delay, sidecar, rows: Vec::new(), reaches: Vec::new(), open: Vec::new(), samples: 0 }
    }

    fn push(&mut self, sample: Sample) -> Result<(), Unfit> {
        let cts = sample.cts.checked_add_unsigned(self.delay).ok_or(Unfit::Segment)?;
        self.open.push(Sample { cts, ..sample });
        self.samples += 1;
        Ok(())
    }

    /// Ends the open segment, which is shown from `start` to `end`.
    fn close(&mut self, start: u64, end: u64) -> Result<(), Unfit> {
        let first = self.open.first().ok_or(Unfit::Segment)?;
        let sequence = u32::try_from(self.rows.len() + 1).map_err(|_| Unfit::Segment)?;
        let head = head(self.init.medium, sequence, first.dts, &self.open).map_err(|_| Unfit::Segment)?;
        let mut ranges = Ranges::default();
        let mut reach = self.reaches.last().copied().unwrap_or(0);
        for sample in &self.open {
            ranges.push(sample.offset, u64::from(sample.size));
            reach = reach.max(sample.end());
        }
        self.reaches.push(reach);
        let ranges = ranges.finish();
        let short = |len: usize| u32::try_from(len).map_err(|_| Unfit::Segment);
        self.rows.push(Row {
            start,
            duration: u32::try_from(end.saturating_sub(start)).map_err(|_| Unfit::Segment)?,
            offset: self.sidecar.len() as u64,
            len: head.bytes.len() as u64 + head.payload_len,
            head_len: short(head.bytes.len())?,
            key_len: head.key_len,
            ranges_len: short(ranges.len())?,
        });
        self.sidecar.extend_from_slice(&head.bytes);
        self.sidecar.extend_from_slice(&ranges);
        self.open.clear();
        Ok(())
    }
}

fn cut_video(index: &Index, track: &Track, table: &mut Table<'_>) -> Result<(), Unfit> {
    let wanted = ticks(SEGMENT_MS - CUT_EARLY_MS, track.timescale);
    let mut key: Option<Timed> = None;
    let mut latest = i64::MIN;
    let (mut cut, mut end) = (0, 0);
    walk(track, index.size, |timed| {
        check_group(key.as_ref(), latest, &timed)?;
        check_gap(key.as_ref(), timed.start(), track.timescale)?;
        if timed.sample.sync {
            if key.is_none() {
                cut = timed.start();
            } else if timed.start() >= cut.saturating_add(wanted) {
                table.close(cut, timed.start())?;
                cut = timed.start();
            }
            key = Some(timed);
        }
        table.push(timed.sample)?;
        latest = latest.max(timed.shown);
        end = end.max(timed.end());
        Ok(())
    })?;
    check_gap(key.as_ref(), end, track.timescale)?;
    table.close(cut, end)
}

/// The first picture must be a key frame that is shown, and groups must be shown one after the other.
fn check_group(key: Option<&Timed>, latest: i64, timed: &Timed) -> Result<(), Unfit> {
    match key {
        None if !timed.sample.sync => Err(Unfit::NoKeyFrame),
        None if timed.shown < 0 => Err(Unfit::Edited { track: "video" }),
        Some(key) if timed.shown <= if timed.sample.sync { latest } else { key.shown } => {
            Err(Unfit::OpenGroup { sample: timed.number })
        }
        None | Some(_) => Ok(()),
    }
}

/// No picture may be too far from its key frame.
fn check_gap(key: Option<&Timed>, until: u64, timescale: u32) -> Result<(), Unfit> {
    let gap = key.map_or(0, |key| until.saturating_sub(key.start()));
    let gap_ms = gap.saturating_mul(1_000) / u64::from(timescale.max(1));
    if gap > ticks(KEY_FRAME_GAP_MS, timescale) { Err(Unfit::KeyFrames { gap_ms }) } else { Ok(()) }
}

/// When segments of sound begin.
struct Starts<'a> {
    /// The video's segments; empty without video.
    rows: &'a [Row],
    /// Ticks per second of the video.
    timescale: u32,
}

impl Starts<'_> {
    /// When segment `number`, from 0, begins, in ticks of the sound rounded up; `before` is when the last one began.
    ///
    /// The video's last segment keeps what is heard until a segment's length after its end.
    fn of(&self, number: usize, before: u64, timescale: u32) -> u64 {
        let scaled = |time: u64| {
            let ticks = u128::from(time) * u128::from(timescale);
            u64::try_from(ticks.div_ceil(u128::from(self.timescale.max(1)))).unwrap_or(u64::MAX)
        };
        let whole = ticks(SEGMENT_MS, timescale);
        match (self.rows.get(number), self.rows.last()) {
            (Some(row), _) => scaled(row.start),
            (None, Some(last)) if number == self.rows.len() => scaled(last.end()).saturating_add(whole),
            (None, _) => before.saturating_add(whole),
        }
    }
}

fn cut_audio(index: &Index, track: &Track, table: &mut Table<'_>, starts: &Starts<'_>) -> Result<(), Unfit> {
    let timescale = track.timescale;
    let mut cut: Option<u64> = None;
    let mut boundary = 0;
    let mut begun = 0;
    let mut end = 0;
    walk(track, index.size, |timed| {
        let shown = timed.start();
        let from = *cut.get_or_insert_with(|| {
            boundary = starts.of(1, 0, timescale);
            shown
        });
        if shown >= boundary && !table.open.is_empty() {
            table.close(from, shown)?;
            cut = Some(shown);
            begun = boundary;
            boundary = starts.of(table.rows.len() + 1, begun, timescale);
        }
        // A frame that is shown only after the next segment has begun leaves its own without sound.
        if shown >= boundary {
            return Err(Unfit::Silence { seconds: begun / u64::from(timescale.max(1)) });
        }
        table.push(timed.sample)?;
        end = timed.end();
        Ok(())
    })?;
    table.close(cut.unwrap_or(0), end)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::made::{audio_track, frames, index_of, pictures, store, video_track};
    use crate::media::track::{Coding, Edit, H264};

    /// Twenty seconds of picture with a key frame every 2 s, and sound.
    fn source() -> Index {
        let mut video = pictures(&[50; 10], &[512], true).0;
        let mut audio = frames(938);
        let size = store(&mut video, &mut audio, &[90, 800], &[3, 5]);
        let mut index = index_of(size, vec![video_track(video), audio_track(audio)]);
        index.tracks[0].edit = Edit::Plain { lead_ticks: 0, media_time: 512, length_ticks: 0 };
        index
    }

    /// Why the source is unfit after one change.
    fn unfit(change: impl FnOnce(&mut Index)) -> Unfit {
        let mut index = source();
        change(&mut index);
        layout(&index).unwrap_err()
    }

    /// Why the source is unfit after one change to one sample of one track.
    fn unfit_sample(track: usize, sample: usize, change: impl FnOnce(&mut Sample)) -> Unfit {
        unfit(|index| {
            let mut all: Vec<Sample> = index.tracks[track].samples.iter().collect();
            change(&mut all[sample]);
            index.tracks[track].samples = all.into_iter().collect();
        })
    }

    #[test]
    fn a_source_is_cut_at_key_frames_and_its_sound_beside() {
        let layout = layout(&source()).unwrap();
        assert_eq!(layout.tracks[0].rows.iter().map(|row| row.duration).collect::<Vec<_>>(), [51_200; 5]);
        let starts: Vec<u64> = layout.tracks[1].rows.iter().map(|row| row.start).collect();
        assert_eq!(starts, [0, 192_512, 384_000, 576_512, 768_000]);
    }

    #[test]
    fn every_sound_that_can_be_played_is_laid_out_behind_the_main_one() {
        let mut index = source();
        let sound = index.tracks[1].clone();
        let named = |id: u32, change: fn(&mut Track)| {
            let mut track = Track { id, ..sound.clone() };
            change(&mut track);
            track
        };
        let late = Edit::Plain { lead_ticks: 96_000, media_time: 0, length_ticks: 0 };
        index.tracks[1].enabled = false;
        index.tracks.push(named(10, |track| track.edit = Edit::Unsupported));
        index.tracks.push(named(11, |_| {}));
        index.tracks.push(named(12, |track| track.encrypted = true));
        let mut delayed = named(13, |_| {});
        delayed.edit = late;
        index.tracks.push(delayed);
        let laid = layout(&index);
        // The first that is on and whose headers are fine cannot be played: that is said, as before.
        assert_eq!(laid.unwrap_err(), Unfit::Edited { track: "audio" });
        index.tracks[2].enabled = false;
        let laid = layout(&index).unwrap();
        let ids: Vec<u32> = laid.tracks.iter().map(|track| track.source_track).collect();
        assert_eq!(ids, [index.tracks[0].id, 11, index.tracks[1].id]);
        assert_eq!(laid.tracks[1].rows.len(), laid.tracks[2].rows.len());
        assert!(laid.tracks[2].rows[0].offset > laid.tracks[1].rows[4].offset, "both lie in the sidecar");
        assert_eq!(layout_so_far(&index).unwrap().tracks.len(), 2);
    }

    #[test]
    fn headers_that_players_cannot_use_are_named() {
        let h264 = |change: fn(&mut H264)| {
            unfit(|index| {
                let Coding::H264(setup) = &mut index.tracks[0].coding else { panic!("the source is H.264") };
                change(setup);
            })
        };
        assert_eq!(h264(|setup| setup.progressive = false), Unfit::Interlaced);
        let codec = Unfit::Codec { codec: "avc1.64001F".into() };
        assert_eq!(h264(|setup| setup.profile = 110), codec);
        assert_eq!(h264(|setup| setup.bit_depth = 10), codec);
        assert_eq!(h264(|setup| setup.chroma_format = 2), codec);
        assert_eq!(unfit(|index| index.tracks[0].rotation_degrees = 90), Unfit::Rotated { degrees: 90 });
        assert_eq!(unfit(|index| index.tracks[1].encrypted = true), Unfit::Encrypted { track: "audio" });
        assert!(matches!(unfit(|index| index.tracks[0].sample_entries = 2), Unfit::SampleEntries { .. }));
        assert_eq!(unfit(|index| index.tracks[0].edit = Edit::Unsupported), Unfit::Edited { track: "video" });
        assert_eq!(unfit(|index| index.cut = true), Unfit::Cut);
        assert_eq!(unfit(|index| index.tracks.clear()), Unfit::Empty);
        assert_eq!(
            unfit(|index| index.tracks[1] = index.tracks[0].clone()),
            Unfit::SeveralVideos { tracks: 2 }
        );
        let sar = TrackKind::Video { width: 640, height: 360, sar: (4, 3) };
        assert_eq!(unfit(|index| index.tracks[0].kind = sar), Unfit::Pixels { sar: (4, 3) });
        let eight = TrackKind::Audio { channels: 8, rate_hz: 48_000 };
        assert_eq!(
            unfit(|index| index.tracks[1].kind = eight),
            Unfit::Sound { channels: 8, rate_hz: 48_000 }
        );
    }

    /// A source of fragments whose offsets begin below zero, with one offset changed.
    fn fragments(sample: usize, cts: i32) -> Result<Layout, Unfit> {
        let mut index = Index { fragmented: true, ..source() };
        let mut all: Vec<Sample> = index.tracks[0].samples.iter().collect();
        for sample in &mut all {
            sample.cts -= 512;
        }
        all[sample].cts = cts;
        index.tracks[0].samples = all.into_iter().collect();
        index.tracks[0].edit = Edit::NONE;
        layout(&index)
    }

    #[test]
    fn the_first_fragments_say_how_deeply_all_may_reorder_their_pictures() {
        let media_time = |layout: Layout| Init::read(&layout.tracks[0].init).unwrap().media_time;
        assert_eq!(
            fragments(0, 0).map(media_time),
            Ok(4 * 512),
            "room for more than the 512 of the first group"
        );
        assert_eq!(fragments(52, -4 * 512 - 1).map(media_time), Err(Unfit::Reordered));
        assert_ne!(fragments(52, -4 * 512).map(media_time), Err(Unfit::Reordered));
    }

    #[test]
    fn samples_that_players_cannot_use_are_named() {
        assert_eq!(
            unfit_sample(0, 7, |sample| sample.size = 0),
            Unfit::EmptySample { track: "video", sample: 7 }
        );
        assert_eq!(
            unfit_sample(1, 7, |sample| sample.offset = 1 << 40),
            Unfit::Outside { track: "audio", sample: 7 }
        );
        assert_eq!(
            unfit_sample(0, 7, |sample| sample.dts = 6 * 512),
            Unfit::Times { track: "video", sample: 7 }
        );
        assert_eq!(unfit_sample(0, 0, |sample| sample.sync = false), Unfit::NoKeyFrame);
        assert_eq!(unfit_sample(0, 51, |sample| sample.cts = -1_024), Unfit::OpenGroup { sample: 51 });
        let late = unfit(|index| {
            index.tracks[0].edit = Edit::Plain { lead_ticks: 12_800, media_time: 512, length_ticks: 0 }
        });
        assert_eq!(late, Unfit::Late { track: "video", late_ms: 1_000 });
        let trimmed =
            |ticks: u64| Edit::Plain { lead_ticks: 0, media_time: 512, length_ticks: 256_000 - ticks };
        assert_eq!(
            unfit(|index| index.tracks[0].edit = trimmed(1_281 + 512)),
            Unfit::Edited { track: "video" }
        );
    }

    #[test]
    fn key_frames_may_be_10_and_a_half_seconds_apart_and_not_more() {
        for (gop, fits) in [(250, true), (262, true), (263, false)] {
            let mut video = pictures(&[gop, 9], &[512], false).0;
            let size = store(&mut video, &mut [], &[9], &[1]);
            let result = layout(&index_of(size, vec![video_track(video)]));
            assert_eq!(result.is_ok(), fits, "{gop} pictures of 40 ms");
        }
    }
}
