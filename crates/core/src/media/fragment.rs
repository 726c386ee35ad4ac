//! The head of a segment: `moof` and the header of its `mdat`, in exactly one layout.
//!
//! A video segment begins with a key frame and says so only of that one: its default flags call every other picture
//! dependent, also a key frame in the middle of the segment, so that four bytes per picture are enough.

use bytes::Bytes;

use super::error::{FourCc, MediaError};
use super::sample::Sample;
use super::trak::Medium;
use super::write::{boxed, full, put_count, put32, put64};

/// `tfhd`: default-base-is-moof, and defaults for duration, size and flags.
const TFHD_FLAGS: u32 = 0x02_0000 | 0x08 | 0x10 | 0x20;
/// `trun`: the data offset is there.
const DATA_OFFSET: u32 = 0x001;
/// `trun`: flags of the first sample are there.
const FIRST_FLAGS: u32 = 0x004;
/// `trun`: every entry has a duration.
const DURATIONS: u32 = 0x100;
/// `trun`: every entry has a size.
const SIZES: u32 = 0x200;
/// `trun`: every entry has a composition offset.
const OFFSETS: u32 = 0x800;
/// Sample flags: depends on nothing else, so decoding can begin here.
const INDEPENDENT: u32 = 0x0200_0000;
/// Sample flags: depends on others, and is no place to begin.
const DEPENDENT: u32 = 0x0101_0000;
/// Bytes of the `mdat` header.
const MDAT_HEADER: usize = 8;

/// The head of one segment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    /// `moof` and the `mdat` header.
    pub bytes: Bytes,
    /// Bytes of all samples, which follow the head.
    pub payload_len: u64,
    /// Bytes of the first sample.
    pub key_len: u32,
}

/// What the head of a segment says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fragment {
    /// The sequence number, from 1.
    pub sequence: u32,
    /// Decode time of the first sample, in ticks.
    pub base_dts: u64,
    /// Its samples: offsets are relative to the first byte of the payload, and only the first picture is a sync sample.
    pub samples: Vec<Sample>,
}

/// The head of the segment with these samples; where they lie and their own decode times do not matter.
///
/// Durations are listed when they vary, composition offsets when one is not zero.
pub fn head(medium: Medium, sequence: u32, base_dts: u64, samples: &[Sample]) -> Result<Head, MediaError> {
    let first = samples.first().ok_or(MediaError::malformed(*b"trun", "a segment needs a sample"))?;
    let payload_len = samples.iter().map(|sample| u64::from(sample.size)).sum::<u64>();
    let limit = u64::from(u32::MAX) - MDAT_HEADER as u64;
    if payload_len > limit {
        return Err(MediaError::TooLarge {
            what: "the size of one segment in bytes",
            value: payload_len,
            limit,
        });
    }
    let flags = trun_flags(medium, samples);
    let mut out = Vec::with_capacity(112 + samples.len() * 12);
    let mut data_offset_at = 0;
    boxed(&mut out, *b"moof", |out| {
        full(out, *b"mfhd", 0, 0, |out| put32(out, sequence));
        boxed(out, *b"traf", |out| {
            full(out, *b"tfhd", 0, TFHD_FLAGS, |out| {
                let flags = match medium {
                    Medium::Video { .. } => DEPENDENT,
                    Medium::Audio => INDEPENDENT,
                };
                for value in [1, first.duration, first.size, flags] {
                    put32(out, value);
                }
            });
            full(out, *b"tfdt", 1, 0, |out| put64(out, base_dts));
            full(out, *b"trun", u8::from(flags & OFFSETS != 0), flags, |out| {
                put_count(out, samples.len());
                data_offset_at = out.len();
                put32(out, 0);
                if flags & FIRST_FLAGS != 0 {
                    put32(out, INDEPENDENT);
                }
                for sample in samples {
                    entry(out, flags, sample);
                }
            });
        });
    });
    let data_offset = len32(out.len() as u64 + MDAT_HEADER as u64);
    out[data_offset_at..data_offset_at + 4].copy_from_slice(&data_offset.to_be_bytes());
    put32(&mut out, len32(payload_len + MDAT_HEADER as u64));
    out.extend(b"mdat");
    Ok(Head { bytes: out.into(), payload_len, key_len: first.size })
}

/// A length that was compared with the limit of one segment.
fn len32(bytes: u64) -> u32 {
    u32::try_from(bytes).expect("because a segment of 4 GB is refused, and its head is smaller")
}

fn trun_flags(medium: Medium, samples: &[Sample]) -> u32 {
    let durations = samples.windows(2).any(|pair| pair[0].duration != pair[1].duration);
    let offsets = samples.iter().any(|sample| sample.cts != 0);
    let first = match medium {
        Medium::Video { .. } => FIRST_FLAGS,
        Medium::Audio => 0,
    };
    DATA_OFFSET | SIZES | first | if durations { DURATIONS } else { 0 } | if offsets { OFFSETS } else { 0 }
}

fn entry(out: &mut Vec<u8>, flags: u32, sample: &Sample) {
    if flags & DURATIONS != 0 {
        put32(out, sample.duration);
    }
    put32(out, sample.size);
    if flags & OFFSETS != 0 {
        put32(out, sample.cts.cast_unsigned());
    }
}

impl Fragment {
    /// Reads a head that [`head`] made; any other is an error.
    pub fn read(medium: Medium, bytes: &[u8]) -> Result<Self, MediaError> {
        let foreign = MediaError::Malformed {
            within: FourCc(*b"moof"),
            why: "it is not the head of a segment of ours",
        };
        let fragment = Self::parts(bytes).ok_or(foreign.clone())?;
        let again = head(medium, fragment.sequence, fragment.base_dts, &fragment.samples)?;
        if again.bytes == bytes { Ok(fragment) } else { Err(foreign) }
    }

    /// Every field has a fixed place before the entries; what stands between them is compared afterwards.
    fn parts(bytes: &[u8]) -> Option<Self> {
        let at = |place: usize| bytes.get(place..place + 4)?.try_into().ok().map(u32::from_be_bytes);
        let base_dts = (u64::from(at(72)?) << 32) | u64::from(at(76)?);
        let (duration, dependent, flags, count) =
            (at(48)?, at(56)? == DEPENDENT, at(88)? & 0x00ff_ffff, at(92)?);
        let mut place = if flags & FIRST_FLAGS != 0 { 104 } else { 100 };
        let mut next = || {
            place += 4;
            at(place - 4)
        };
        // The entries are in memory, so their number is bounded by the length of the head.
        let capacity = (count as usize).min(bytes.len() / 4);
        let mut samples = Vec::with_capacity(capacity);
        let (mut offset, mut dts) = (0_u64, base_dts);
        for n in 0..count {
            let duration = if flags & DURATIONS != 0 { next()? } else { duration };
            let size = next()?;
            let cts = if flags & OFFSETS != 0 { next()?.cast_signed() } else { 0 };
            samples.push(Sample { offset, size, dts, cts, duration, sync: n == 0 || !dependent });
            offset = offset.checked_add(u64::from(size))?;
            dts = dts.checked_add(u64::from(duration))?;
        }
        Some(Self { sequence: at(20)?, base_dts, samples })
    }

    /// Decode time behind the last sample, in ticks.
    pub fn end_dts(&self) -> u64 {
        self.base_dts + self.samples.iter().map(|sample| u64::from(sample.duration)).sum::<u64>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const VIDEO: Medium = Medium::Video { width: 640, height: 360 };

    /// Two samples with these durations and composition offsets.
    fn samples(durations: [u32; 2], cts: [i32; 2]) -> Vec<Sample> {
        let sample = |n: usize| Sample {
            offset: 0x100 * n as u64,
            size: 0x100 + u32::try_from(n).unwrap(),
            dts: 7_000 + u64::from(durations[0]) * n as u64,
            cts: cts[n],
            duration: durations[n],
            sync: n == 0,
        };
        [0, 1].map(sample).to_vec()
    }

    /// Lines of 16 bytes.
    fn hex(bytes: &[u8]) -> String {
        let line = |bytes: &[u8]| bytes.iter().fold(0_u128, |all, byte| (all << 8) | u128::from(*byte));
        bytes
            .chunks(16)
            .map(|row| format!("{:01$x}", line(row), row.len() * 2))
            .collect::<Vec<_>>()
            .join("\n")
    }

    #[test]
    fn every_combination_of_flags_has_its_golden_bytes() {
        let all = [
            ("video", VIDEO, [512, 512], [0, 0], 104 + 2 * 4),
            ("video_reordered", VIDEO, [512, 512], [1_024, -512], 104 + 2 * 8),
            ("video_varying", VIDEO, [512, 700], [0, 0], 104 + 2 * 8),
            ("video_varying_reordered", VIDEO, [512, 700], [1_024, 0], 104 + 2 * 12),
            ("audio", Medium::Audio, [1_024, 1_024], [0, 0], 100 + 2 * 4),
            ("audio_varying", Medium::Audio, [1_024, 400], [0, 0], 100 + 2 * 8),
        ];
        for (name, medium, durations, cts, moof_len) in all {
            let head = head(medium, 3, 7_000, &samples(durations, cts)).unwrap();
            assert_eq!(head.bytes.len(), moof_len + 8, "{name}");
            insta::assert_snapshot!(format!("head_{name}"), hex(&head.bytes));
            let fragment = Fragment::read(medium, &head.bytes).unwrap();
            assert_eq!((fragment.sequence, fragment.base_dts), (3, 7_000));
            assert_eq!(fragment.end_dts(), 7_000 + u64::from(durations[0] + durations[1]));
            assert_eq!(super::head(medium, 3, 7_000, &fragment.samples).unwrap(), head);
        }
    }

    #[test]
    fn a_head_that_is_not_ours_is_an_error() {
        let head = head(VIDEO, 1, 0, &samples([512, 512], [0, 0])).unwrap().bytes;
        for at in 0..head.len() {
            // The sequence, the decode time, default duration and the sizes are free; all else has one right value.
            let mut bytes = head.to_vec();
            bytes[at] ^= 0x40;
            let free = matches!(at, 20..24 | 48..52 | 72..80);
            assert_eq!(Fragment::read(VIDEO, &bytes).is_ok(), free, "byte {at}");
        }
        assert!(Fragment::read(VIDEO, &head[..head.len() - 1]).is_err());
        assert!(Fragment::read(VIDEO, &[]).is_err());
        assert!(Fragment::read(Medium::Audio, &head).is_err());
    }

    #[test]
    fn a_segment_needs_a_sample_and_less_than_4_gb() {
        assert!(head(VIDEO, 1, 0, &[]).is_err());
        let mut samples = samples([512, 512], [0, 0]);
        samples[0].size = u32::MAX - 8 - samples[1].size;
        assert!(head(VIDEO, 1, 0, &samples).is_ok());
        samples[0].size += 1;
        assert!(matches!(head(VIDEO, 1, 0, &samples), Err(MediaError::TooLarge { .. })));
    }
}
