//! When the packets of a source are shown: from the packet list, because headers lie.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};

use serde::{Deserialize, Serialize};

use super::{Probe, Rate, Refusal};
use crate::limits;

/// Packets that wait for their turn: deeper than any codec reorders (16 pictures).
const REORDER: usize = 17;
/// Different intervals that are counted; more of them have nothing in common anyway.
const INTERVALS_MAX: usize = 4_096;
/// Intervals that differ by less are equal: Matroska rounds times to a millisecond.
const JITTER_US: i64 = 2_100;
/// No packet of sound lasts longer; what is further apart has a gap between.
const AUDIO_STEP_US_MAX: i64 = 1_000_000;

/// The packet times of a source's picture and sound, in microseconds of its own clock.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Timeline {
    /// Smallest presentation time of the picture and all sound; becomes time 0.
    pub origin_us: i64,
    /// Smallest time of the container; ffmpeg counts `-ss` from it.
    pub container_start_us: i64,
    /// First presentation time of the picture.
    pub video_start_us: Option<i64>,
    /// End of the last picture; `None` without one.
    pub frames_end_us: Option<i64>,
    /// End of the last sound; `None` without one.
    pub audio_end_us: Option<i64>,
    /// From the origin to the end of the longest track.
    pub duration_us: i64,
    /// Times of key frames in rising order; also those before an edit list's start, because one can seek there.
    pub key_frames_us: Vec<i64>,
    /// Pictures that are shown.
    pub video_packets: u64,
    /// The commonest interval between two pictures; 0 with fewer than two.
    pub interval_us: i64,
    /// The intervals between pictures differ.
    pub variable_rate: bool,
    /// Longest time between two pictures.
    pub largest_gap_us: i64,
    /// Times never jump back in file order by more than a codec reorders.
    pub seekable: bool,
    /// How much later than these times ffmpeg shows the pictures: it cannot show one before it is decoded, so for
    /// composition offsets below zero it moves the whole track.
    #[serde(default)]
    pub late_us: i64,
}

/// One packet of the picture or the sound.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Packet {
    /// Presentation time in microseconds, rounded down.
    pub pts_us: i64,
    /// Duration in microseconds; 0 when unknown.
    pub duration_us: i64,
    /// Decoding can begin here.
    pub key: bool,
    /// Lies before an edit list's start: decoded, never shown.
    pub discard: bool,
}

impl Timeline {
    /// The timeline of packets in file order, as an index of the source gives them.
    pub fn from_packets(
        container_start_us: i64,
        video: impl Iterator<Item = Packet>,
        audio: impl Iterator<Item = Packet>,
    ) -> Self {
        let mut collector = Collector { container_start_us, ..Collector::default() };
        video.for_each(|packet| collector.video(packet));
        audio.for_each(|packet| collector.audio(packet));
        collector.timeline()
    }

    /// The same timeline, of an index of ours, for an ffmpeg that shows the first picture at `start_us`.
    #[must_use]
    pub fn read_by_ffmpeg(mut self, start_us: Option<i64>) -> Self {
        let late_us = start_us.zip(self.video_start_us).map_or(0, |(theirs, ours)| theirs - ours);
        // Less than that is rounding.
        self.late_us = if late_us > 1_000 { late_us } else { 0 };
        self
    }

    /// Average frames per second over the whole picture, from the packets themselves.
    pub fn average_rate(&self) -> Option<Rate> {
        let span = self.frames_end_us? - self.video_start_us?;
        Rate::reduced(self.video_packets * 1_000_000, u64::try_from(span).ok()?)
    }

    /// Frames per second of the commonest interval.
    pub fn typical_rate(&self) -> Option<Rate> {
        Rate::reduced(1_000_000, u64::try_from(self.interval_us).ok()?)
    }

    /// The last key frame at or before `at_us`, or the one before that.
    pub fn key_before(&self, at_us: i64, back: usize) -> Option<i64> {
        let after = self.key_frames_us.partition_point(|key| *key <= at_us);
        after.checked_sub(1 + back).map(|found| self.key_frames_us[found])
    }

    /// Longest time between two key frames, the end included.
    pub fn key_distance_us(&self) -> i64 {
        let ends = self.key_frames_us.iter().copied().skip(1).chain(self.frames_end_us);
        self.key_frames_us.iter().zip(ends).map(|(from, to)| to - from).max().unwrap_or(0)
    }
}

/// Reads the CSV of `argv::packets` in pieces of any size; keeps only key frame times.
#[derive(Debug)]
pub struct PacketList {
    collector: Collector,
    video_index: Option<u32>,
    audio_indexes: Vec<u32>,
    rest: Vec<u8>,
    lines: u64,
}

impl PacketList {
    /// A reader for the packets of this source.
    pub fn new(probe: &Probe) -> Self {
        Self {
            collector: Collector { container_start_us: probe.container_start_us, ..Collector::default() },
            video_index: probe.video.as_ref().map(|video| video.index),
            audio_indexes: probe.audio.iter().map(|audio| audio.index).collect(),
            rest: Vec::new(),
            lines: 0,
        }
    }

    /// Takes the next bytes of the list; lines may be cut anywhere.
    pub fn feed(&mut self, bytes: &[u8]) -> Result<(), Refusal> {
        let mut bytes = bytes;
        while let Some(end) = bytes.iter().position(|byte| *byte == b'\n') {
            let (line, after) = bytes.split_at(end);
            bytes = &after[1..];
            if self.rest.is_empty() {
                self.line(line)?;
            } else {
                self.rest.extend_from_slice(line);
                let whole = std::mem::take(&mut self.rest);
                self.line(&whole)?;
            }
        }
        if self.rest.len() + bytes.len() > limits::PACKET_LINE_BYTES_MAX {
            return Err(Refusal::UnsupportedMedia { what: "its packet list cannot be read" });
        }
        self.rest.extend_from_slice(bytes);
        Ok(())
    }

    /// The timeline, after the last byte.
    pub fn finish(mut self) -> Result<Timeline, Refusal> {
        let whole = std::mem::take(&mut self.rest);
        self.line(&whole)?;
        Ok(self.collector.timeline())
    }

    fn line(&mut self, line: &[u8]) -> Result<(), Refusal> {
        self.lines += 1;
        if self.lines > limits::PACKET_LINES_MAX {
            return Err(Refusal::UnsupportedMedia { what: "it has too many packets" });
        }
        let Some((index, packet)) = std::str::from_utf8(line).ok().and_then(fields) else { return Ok(()) };
        if self.video_index == Some(index) {
            match packet {
                Some(packet) => self.collector.video(packet),
                None => self.collector.untimed += 1,
            }
        } else if let (true, Some(packet)) = (self.audio_indexes.contains(&index), packet) {
            self.collector.audio(packet);
        }
        Ok(())
    }
}

/// Stream number and packet of a line `[packet,]stream,pts,duration,flags[,]`; no packet when it has no time.
fn fields(line: &str) -> Option<(u32, Option<Packet>)> {
    let line = line.trim_end();
    let mut parts = line.strip_prefix("packet,").unwrap_or(line).split(',');
    let index = parts.next()?.parse().ok()?;
    let (pts, duration, flags) = (parts.next()?, parts.next()?, parts.next()?);
    let packet = seconds_us(pts).map(|pts_us| Packet {
        pts_us,
        duration_us: seconds_us(duration).unwrap_or(0).max(0),
        key: flags.contains('K'),
        discard: flags.contains('D'),
    });
    Some((index, packet))
}

/// A decimal number of seconds as microseconds, rounded down towards zero; `None` for `N/A`.
pub(super) fn seconds_us(text: &str) -> Option<i64> {
    let (negative, digits) = text.strip_prefix('-').map_or((false, text), |rest| (true, rest));
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let fraction = fraction.get(..fraction.len().min(6))?;
    let plain = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || !plain(whole) || !plain(fraction) {
        return None;
    }
    let micros = format!("{fraction:0<6}").parse::<i64>().ok()?;
    // A century is more than any clock in a media file means, and keeps all sums far from overflow.
    let us = whole.parse::<i64>().ok().filter(|whole| *whole < 3_155_760_000)? * 1_000_000 + micros;
    Some(if negative { -us } else { us })
}

/// The sums over all packets.
#[derive(Debug, Default)]
struct Collector {
    container_start_us: i64,
    keys: Vec<i64>,
    packets: u64,
    untimed: u64,
    first_us: Option<i64>,
    last_us: Option<(i64, i64)>,
    jumped: bool,
    waiting: BinaryHeap<Reverse<i64>>,
    previous_us: Option<i64>,
    shortest_us: Option<i64>,
    longest_us: i64,
    intervals: BTreeMap<i64, (u64, i64)>,
    audio_first_us: Option<i64>,
    audio_last_us: Option<i64>,
    audio_end_us: Option<i64>,
}

impl Collector {
    fn video(&mut self, packet: Packet) {
        let pts_us = packet.pts_us;
        if packet.key {
            self.keys.push(pts_us);
        }
        if packet.discard {
            return;
        }
        self.packets += 1;
        self.first_us = Some(self.first_us.map_or(pts_us, |first| first.min(pts_us)));
        let last = (pts_us, packet.duration_us);
        self.last_us = Some(self.last_us.map_or(last, |known| known.max(last)));
        self.waiting.push(Reverse(pts_us));
        if self.waiting.len() > REORDER {
            self.shown();
        }
    }

    /// Takes the earliest waiting picture and measures its distance to the one before.
    fn shown(&mut self) {
        let Some(Reverse(at)) = self.waiting.pop() else { return };
        if let Some(previous) = self.previous_us.replace(at) {
            // What comes later than any codec reorders does not belong to the pictures before it.
            self.jumped |= at < previous;
            let interval = at - previous;
            self.count(interval);
            self.shortest_us = Some(self.shortest_us.map_or(interval, |known| known.min(interval)));
            self.longest_us = self.longest_us.max(interval);
        }
    }

    fn count(&mut self, interval: i64) {
        let kinds = self.intervals.len();
        if interval > 0 && (kinds < INTERVALS_MAX || self.intervals.contains_key(&(interval / 1_000))) {
            let (count, sum) = self.intervals.entry(interval / 1_000).or_default();
            (*count, *sum) = (*count + 1, sum.saturating_add(interval));
        }
    }

    /// The mean of the commonest interval and its neighbours of a millisecond, which rounding takes apart.
    fn commonest_us(&self) -> i64 {
        let around = |ms: i64| {
            let near = self.intervals.range(ms - 1..=ms + 1).map(|(_, sums)| *sums);
            near.fold((0, 0), |(count, sum): (u64, i64), (more, len)| (count + more, sum + len))
        };
        let most = self.intervals.keys().map(|ms| around(*ms)).max_by_key(|(count, _)| *count);
        most.map_or(0, |(count, sum)| sum / i64::try_from(count.max(1)).unwrap_or(i64::MAX))
    }

    fn audio(&mut self, packet: Packet) {
        if !packet.discard {
            self.audio_first_us =
                Some(self.audio_first_us.map_or(packet.pts_us, |first| first.min(packet.pts_us)));
            let step_us = packet.pts_us - self.audio_last_us.replace(packet.pts_us).unwrap_or(packet.pts_us);
            // A packet that does not say how long it is lasts as long as the one before it.
            let lasts_us =
                if packet.duration_us > 0 { packet.duration_us } else { step_us.clamp(0, AUDIO_STEP_US_MAX) };
            let end = packet.pts_us + lasts_us;
            self.audio_end_us = Some(self.audio_end_us.map_or(end, |known| known.max(end)));
        }
    }

    fn timeline(mut self) -> Timeline {
        while !self.waiting.is_empty() {
            self.shown();
        }
        let interval_us = self.commonest_us();
        self.keys.sort_unstable();
        self.keys.dedup();
        let shortest = self.shortest_us.unwrap_or(0);
        let frames_end_us =
            self.last_us.map(|(at, lasts)| at + if lasts > 0 { lasts } else { shortest.max(0) });
        let origin_us = [self.first_us, self.audio_first_us].into_iter().flatten().min();
        let end = [frames_end_us, self.audio_end_us].into_iter().flatten().max();
        Timeline {
            origin_us: origin_us.unwrap_or(0),
            container_start_us: self.container_start_us,
            video_start_us: self.first_us,
            frames_end_us,
            audio_end_us: self.audio_end_us,
            duration_us: end.unwrap_or(0) - origin_us.unwrap_or(0),
            key_frames_us: self.keys,
            video_packets: self.packets + self.untimed,
            interval_us,
            variable_rate: self.longest_us - shortest > JITTER_US,
            largest_gap_us: self.longest_us,
            seekable: !self.jumped && self.untimed == 0,
            late_us: 0,
        }
    }
}

#[cfg(test)]
mod tests;
