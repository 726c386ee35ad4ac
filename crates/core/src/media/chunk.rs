//! A chunk as an encoder wrote it: proved to be what the plan asked for, then given the heads of the whole video.

use bytes::Bytes;

use super::error::MediaError;
use super::init::Init;
use super::part::{Part, Times};
use super::rope::Rope;
use super::sample::Sample;
use super::track::{Index, Track, TrackKind};

/// What the plan says about a chunk of one rendition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expect {
    /// How many pictures.
    pub frames: u64,
    /// True for the last chunk of a video, which may have one picture more or less.
    pub last: bool,
    /// Pictures from one key frame to the next.
    pub gop: u32,
    /// Ticks per picture.
    pub ticks_per_frame: u32,
    /// Ticks per second.
    pub timescale: u32,
    /// Width in pixels.
    pub width: u16,
    /// Height in pixels.
    pub height: u16,
    /// By how many pictures reordering may delay, see [`Place::reorder_frames`].
    pub reorder_frames: u32,
    /// The sample entry type, for example `avc1`.
    pub codec: [u8; 4],
    /// The delay of the rendition's first chunk, see [`Verified::delay_ticks`]; `None` for that chunk itself.
    pub delay_ticks: Option<u64>,
    /// Hash of the sample entry of the rendition's first chunk; `None` for that chunk itself.
    pub entry_hash: Option<[u8; 32]>,
}

/// What a verified chunk has, and all other chunks of the rendition must have too.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Verified {
    /// How many pictures.
    pub frames: u64,
    /// From decoding to showing the first picture, in ticks: what reordering costs.
    pub delay_ticks: u64,
    /// BLAKE3 of the sample entry, the whole box.
    pub entry_hash: [u8; 32],
}

/// Why a chunk is not what the plan asked for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// The file has more tracks, or none, or no picture.
    #[error("the chunk must have exactly one track, of pictures")]
    Tracks,
    /// The file ends inside a box.
    #[error("the chunk file is cut off")]
    Cut,
    /// Another codec.
    #[error("the chunk's sample entry is {is}, not {wanted}")]
    Codec {
        /// What the file has.
        is: String,
        /// What the plan says.
        wanted: String,
    },
    /// Another picture size or shape.
    #[error("the chunk's pictures are {is}, not {wanted} with square pixels")]
    Size {
        /// What the file has.
        is: String,
        /// What the plan says.
        wanted: String,
    },
    /// Another timescale.
    #[error("the chunk counts {is} ticks per second, not {wanted}")]
    Timescale {
        /// What the file has.
        is: u32,
        /// What the plan says.
        wanted: u32,
    },
    /// Several codec setups, or one that differs from the first chunk's.
    #[error("the chunk's codec setup differs from that of the first chunk")]
    SampleEntry,
    /// Pictures are missing or too many.
    #[error("the chunk has {is} pictures, not {wanted}")]
    Frames {
        /// What the file has.
        is: u64,
        /// What the plan says.
        wanted: u64,
    },
    /// A key frame is missing, or stands where none belongs.
    #[error("picture {frame} of the chunk {}", if *.key { "is a key frame off the grid" } else { "must be a key frame" })]
    KeyFrame {
        /// The picture, from 0.
        frame: u64,
        /// True when it is one.
        key: bool,
    },
    /// Decode times do not rise by one picture each.
    #[error("picture {frame} of the chunk is decoded at tick {is}, not {wanted}")]
    DecodeTime {
        /// The picture, from 0.
        frame: u64,
        /// What the file has.
        is: u64,
        /// One picture after the one before.
        wanted: u64,
    },
    /// A picture lasts longer or shorter than the others.
    #[error("picture {frame} of the chunk lasts {is} ticks, not {wanted}")]
    Duration {
        /// The picture, from 0.
        frame: u64,
        /// What the file has.
        is: u32,
        /// What the plan says.
        wanted: u32,
    },
    /// Reordering delays the pictures by another time than in the first chunk.
    #[error("the chunk's first picture is shown {is} ticks after its decode time, not {wanted}")]
    Delay {
        /// What the file has.
        is: i32,
        /// What the first chunk has.
        wanted: u64,
    },
    /// A picture is shown off the grid, twice, or outside its group of pictures.
    #[error(
        "picture {frame} of the chunk is shown at tick {is}, where its closed group has one for tick {wanted}"
    )]
    Shown {
        /// The picture in decode order, from 0.
        frame: u64,
        /// When it is shown, in ticks from the first decode time.
        is: i64,
        /// When the next picture of its group must be shown.
        wanted: u64,
    },
    /// Reordering goes further than all chunks of the rendition were promised.
    #[error(
        "picture {frame} of the chunk is shown {early} ticks before it is decoded, more than reordering may cost"
    )]
    Reordered {
        /// The picture in decode order, from 0.
        frame: u64,
        /// By how much, in ticks, when the first picture is shown as it is decoded.
        early: u64,
    },
    /// A picture without bytes.
    #[error("picture {frame} of the chunk is empty")]
    Empty {
        /// The picture, from 0.
        frame: u64,
    },
}

/// Compares a chunk file with the plan: exit code 0 of an encoder is no proof.
pub fn verify(index: &Index, expect: &Expect) -> Result<Verified, Fault> {
    let track = the_track(index).ok_or(Fault::Tracks)?;
    if index.cut {
        return Err(Fault::Cut);
    }
    let entry_hash = verify_setup(track, expect)?;
    let frames = track.samples.len() as u64;
    let most = expect.frames + u64::from(expect.last);
    let least = if expect.last { expect.frames.saturating_sub(1).max(1) } else { expect.frames };
    if frames < least || frames > most {
        return Err(Fault::Frames { is: frames, wanted: expect.frames });
    }
    let delay_ticks = verify_pictures(track, expect)?;
    Ok(Verified { frames, delay_ticks, entry_hash })
}

/// The one track of a chunk file.
fn the_track(index: &Index) -> Option<&Track> {
    match index.tracks.as_slice() {
        [track] if matches!(track.kind, TrackKind::Video { .. }) => Some(track),
        _ => None,
    }
}

fn verify_setup(track: &Track, expect: &Expect) -> Result<[u8; 32], Fault> {
    let is = track.sample_entry.get(4..8).unwrap_or_default();
    if is != expect.codec {
        let text = |bytes: &[u8]| bytes.escape_ascii().to_string();
        return Err(Fault::Codec { is: text(is), wanted: text(&expect.codec) });
    }
    let wanted = TrackKind::Video { width: expect.width, height: expect.height, sar: (1, 1) };
    if track.kind != wanted || track.rotation_degrees != 0 {
        let is = format!("{:?} rotated by {} degrees", track.kind, track.rotation_degrees);
        return Err(Fault::Size { is, wanted: format!("{}x{}", expect.width, expect.height) });
    }
    if track.timescale != expect.timescale {
        return Err(Fault::Timescale { is: track.timescale, wanted: expect.timescale });
    }
    let hash = *blake3::hash(&track.sample_entry).as_bytes();
    if track.sample_entries != 1 || expect.entry_hash.is_some_and(|wanted| wanted != hash) {
        return Err(Fault::SampleEntry);
    }
    Ok(hash)
}

/// Walks all pictures; gives the ticks from decoding to showing of the first.
fn verify_pictures(track: &Track, expect: &Expect) -> Result<u64, Fault> {
    let mut group = Vec::new();
    let mut first: Option<(u64, u64)> = None;
    for (frame, sample) in (0_u64..).zip(track.samples.iter()) {
        let (first_dts, delay) = match first {
            Some(known) => known,
            None => *first.insert((sample.dts, verify_delay(&sample, expect)?)),
        };
        verify_picture(frame, &sample, first_dts, expect)?;
        if frame.is_multiple_of(u64::from(expect.gop.max(1))) {
            verify_group(&mut group, delay, expect)?;
        }
        let early =
            u64::try_from(i64::try_from(delay).unwrap_or(i64::MAX) - i64::from(sample.cts)).unwrap_or(0);
        if early > u64::from(expect.reorder_frames) * u64::from(expect.ticks_per_frame) {
            return Err(Fault::Reordered { frame, early });
        }
        let dts = i64::try_from(sample.dts - first_dts).unwrap_or(i64::MAX);
        group.push((dts.saturating_add(i64::from(sample.cts)), frame));
    }
    let delay = first.map_or(0, |(_, delay)| delay);
    verify_group(&mut group, delay, expect)?;
    Ok(delay)
}

fn verify_delay(first: &Sample, expect: &Expect) -> Result<u64, Fault> {
    match (u64::try_from(first.cts), expect.delay_ticks) {
        (Ok(delay), None) => Ok(delay),
        (Ok(delay), Some(wanted)) if delay == wanted => Ok(delay),
        (_, wanted) => Err(Fault::Delay { is: first.cts, wanted: wanted.unwrap_or(0) }),
    }
}

fn verify_picture(frame: u64, sample: &Sample, first_dts: u64, expect: &Expect) -> Result<(), Fault> {
    if sample.size == 0 {
        return Err(Fault::Empty { frame });
    }
    if sample.sync != frame.is_multiple_of(u64::from(expect.gop.max(1))) {
        return Err(Fault::KeyFrame { frame, key: sample.sync });
    }
    let wanted = first_dts.saturating_add(frame.saturating_mul(u64::from(expect.ticks_per_frame)));
    if sample.dts != wanted {
        return Err(Fault::DecodeTime { frame, is: sample.dts, wanted });
    }
    if sample.duration != expect.ticks_per_frame {
        return Err(Fault::Duration { frame, is: sample.duration, wanted: expect.ticks_per_frame });
    }
    Ok(())
}

/// A group must fill its own time on screen, beginning with its key frame: it is closed and nothing is missing.
///
/// `group` has, in decode order, when each picture is shown and which one it is; it is left empty.
fn verify_group(group: &mut Vec<(i64, u64)>, delay: u64, expect: &Expect) -> Result<(), Fault> {
    let key = group.first().map_or(0, |&(_, frame)| frame);
    group.sort_unstable();
    for (place, (is, frame)) in (key..).zip(group.drain(..)) {
        let wanted = delay.saturating_add(place.saturating_mul(u64::from(expect.ticks_per_frame)));
        if u64::try_from(is) != Ok(wanted) || (place == key && frame != key) {
            return Err(Fault::Shown { frame, is, wanted });
        }
    }
    Ok(())
}

/// Where a chunk belongs in its rendition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// The number of its first segment, from 1.
    pub first_segment: u32,
    /// The number of its first picture, from 0.
    pub first_frame: u64,
    /// Pictures per segment: two groups.
    pub segment_frames: u32,
    /// Ticks per picture.
    pub ticks_per_frame: u32,
    /// By how many pictures reordering delays, the same for all chunks of a rendition whether they reorder or not:
    /// 2 for x264, which uses B-pictures as references, 0 for VP9 and AV1, which hide reordering inside samples.
    pub reorder_frames: u32,
}

/// A chunk with the heads of the whole video.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reheaded {
    /// Its segments; the rope's ranges are of the chunk file.
    pub part: Part,
    /// The init segment, the same for every chunk of the rendition.
    pub init: Bytes,
    /// Ticks per second.
    pub timescale: u32,
    /// The codec as RFC 6381 writes it.
    pub codec: String,
}

/// Gives a chunk that [`verify`] accepted its place in the video: one fragment per segment with final times and numbers.
///
/// Decode times count from the first picture of the video. So that no picture is shown before it is decoded, all are
/// shown later by the delay of reordering, and the edit list of the init segment takes that back. ffmpeg writes
/// offsets below zero instead, which players without edit lists like and ffmpeg's own reader shows late.
pub fn rehead(index: &Index, place: &Place) -> Result<Reheaded, MediaError> {
    let track = the_track(index).ok_or(MediaError::missing(*b"moov", *b"trak"))?;
    let first = track.samples.iter().next().ok_or(MediaError::missing(*b"moof", *b"trun"))?;
    let delay = u64::from(place.reorder_frames) * u64::from(place.ticks_per_frame);
    let init = Init::of(track, delay).ok_or(MediaError::missing(*b"moov", *b"trak"))?;
    let mut part = Part::new(place.first_segment, Rope::new());
    let mut samples: Vec<Sample> = Vec::new();
    let mut frame = place.first_frame;
    let mut open = |samples: &mut Vec<Sample>| {
        let until = frame.saturating_add(samples.len() as u64);
        let tick = |frame: u64| frame.saturating_mul(u64::from(place.ticks_per_frame));
        let times = Times { base_dts: tick(frame), start: tick(frame), end: tick(until) };
        frame = until;
        part.push(init.medium, times, samples)?;
        samples.clear();
        Ok::<(), MediaError>(())
    };
    for sample in track.samples.iter() {
        samples.push(Sample { cts: delayed(sample.cts, first.cts, delay)?, ..sample });
        if samples.len() as u64 == u64::from(place.segment_frames.max(1)) {
            open(&mut samples)?;
        }
    }
    if !samples.is_empty() {
        open(&mut samples)?;
    }
    Ok(Reheaded { part, init: init.write(), timescale: track.timescale, codec: track.codec.clone() })
}

/// The composition offset of a picture when that of the first picture is `delay`.
fn delayed(cts: i32, first_cts: i32, delay: u64) -> Result<i32, MediaError> {
    let moved = i64::from(cts) - i64::from(first_cts) + i64::try_from(delay).unwrap_or(i64::MAX / 2);
    let fits = i32::try_from(moved).ok().filter(|moved| *moved >= 0);
    fits.ok_or(MediaError::malformed(*b"trun", "a picture would be shown before it is decoded"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::made::{bytes_of, index_of, noise, pictures, store, video_track};
    use proptest::prelude::*;

    const GOP: u32 = 6;

    fn expect(frames: u64) -> Expect {
        Expect {
            frames,
            last: false,
            gop: GOP,
            ticks_per_frame: 512,
            timescale: 12_800,
            width: 640,
            height: 360,
            reorder_frames: 2,
            codec: *b"avc1",
            delay_ticks: None,
            entry_hash: None,
        }
    }

    fn samples(frames: u32) -> Vec<Sample> {
        let gops: Vec<u32> = (0..frames.div_ceil(GOP)).map(|gop| GOP.min(frames - gop * GOP)).collect();
        let mut video = pictures(&gops, &[512], true).0;
        store(&mut video, &mut [], &[7, 30, 11, 5], &[4, 3]);
        video
    }

    fn chunk(samples: impl IntoIterator<Item = Sample>) -> Index {
        index_of(1 << 20, vec![video_track(samples)])
    }

    /// Checks a chunk of 12 pictures with one thing changed.
    fn faulty(change: impl FnOnce(&mut Vec<Sample>)) -> Fault {
        let mut samples = samples(12);
        change(&mut samples);
        verify(&chunk(samples), &expect(12)).unwrap_err()
    }

    #[test]
    fn a_chunk_as_planned_is_accepted_with_what_others_must_have() {
        let index = chunk(samples(12));
        let verified = verify(&index, &expect(12)).unwrap();
        assert_eq!((verified.frames, verified.delay_ticks), (12, 512));
        let wanted = Expect { delay_ticks: Some(512), entry_hash: Some(verified.entry_hash), ..expect(12) };
        assert_eq!(verify(&index, &wanted), Ok(verified));
        let other = Expect { delay_ticks: Some(1_024), ..wanted };
        assert_eq!(verify(&index, &other), Err(Fault::Delay { is: 512, wanted: 1_024 }));
        assert_eq!(verify(&index, &Expect { entry_hash: Some([0; 32]), ..wanted }), Err(Fault::SampleEntry));
        assert_eq!(
            verify(&index, &Expect { reorder_frames: 0, ..wanted }),
            Err(Fault::Reordered { frame: 2, early: 512 })
        );
    }

    #[test]
    fn only_the_last_chunk_may_have_a_picture_more_or_less() {
        for (frames, fits) in [(10, false), (11, true), (12, true), (13, true), (14, false)] {
            let index = chunk(samples(frames));
            assert_eq!(verify(&index, &Expect { last: true, ..expect(12) }).is_ok(), fits, "{frames}");
            assert_eq!(verify(&index, &expect(12)).is_ok(), frames == 12, "{frames}");
        }
    }

    #[test]
    fn every_fault_of_a_picture_is_named() {
        assert_eq!(faulty(|all| all[3].sync = true), Fault::KeyFrame { frame: 3, key: true });
        assert_eq!(faulty(|all| all[6].sync = false), Fault::KeyFrame { frame: 6, key: false });
        assert_eq!(faulty(|all| all[4].size = 0), Fault::Empty { frame: 4 });
        assert_eq!(faulty(|all| all[11].duration = 511), Fault::Duration { frame: 11, is: 511, wanted: 512 });
        assert!(matches!(faulty(|all| all[5].dts += 1), Fault::DecodeTime { frame: 5, .. }));
        assert!(matches!(faulty(|all| all[1].cts += 512), Fault::Shown { .. }));
        assert!(matches!(faulty(|all| all[0].cts = -1), Fault::Delay { is: -1, .. }));
        assert!(matches!(faulty(|all| all[6].cts += 512), Fault::Shown { .. }), "the group begins late");
    }

    proptest! {
        #[test]
        fn a_rendition_in_chunks_has_the_segments_of_one_in_one_piece(
            cuts in proptest::collection::vec(1_u32..4, 1..5), rest in 1_u32..12,
        ) {
            let total = cuts.iter().sum::<u32>() * 2 * GOP + rest;
            let all = samples(total);
            let source = noise(1 << 16);
            let place = Place {
                first_segment: 1, first_frame: 0, segment_frames: 2 * GOP, ticks_per_frame: 512, reorder_frames: 2,
            };
            let whole = rehead(&chunk(all.clone()), &place).unwrap();
            let (mut bytes, mut frame, mut segment) = (Vec::new(), 0_u32, 1);
            for frames in cuts.iter().map(|cut| cut * 2 * GOP).chain([rest]) {
                let from = u64::from(frame) * 512;
                let own = all[frame as usize..(frame + frames) as usize].iter();
                // A chunk counts from 0, and ffmpeg's offsets go below zero.
                let own = own.map(|sample| Sample { dts: sample.dts - from, cts: sample.cts - 512, ..*sample });
                let at = Place { first_segment: segment, first_frame: u64::from(frame), ..place };
                let part = rehead(&chunk(own), &at).unwrap();
                prop_assert_eq!(&part.init, &whole.init);
                segment += u32::try_from(part.part.rows.len()).unwrap();
                bytes.extend(bytes_of(&part.part.rope, |()| source.clone()));
                frame += frames;
            }
            prop_assert_eq!(bytes, bytes_of(&whole.part.rope, |()| source.clone()));
            prop_assert_eq!(whole.part.rows.last().unwrap().end(), u64::from(total) * 512);
        }
    }
}
