//! The init segment of one track: everything a player must know before the first fragment.

use bytes::Bytes;

use super::error::MediaError;
use super::track::{Track, TrackKind};
pub use super::trak::Medium;
use super::trak::{Headers, ftyp, mvhd, trak, unpack_language};
use super::write::{boxed, full, put32};

/// Timescale of an init segment's movie header, which has no duration.
const MOVIE_TIMESCALE: u32 = 1_000;

/// What an init segment says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Init {
    /// Picture or sound.
    pub medium: Medium,
    /// Ticks per second.
    pub timescale: u32,
    /// The composition time that is shown at 0, in ticks.
    pub media_time: u64,
    /// ISO 639-2 code of three lower-case letters.
    pub language: String,
    /// The one entry of `stsd`, the whole box.
    pub sample_entry: Bytes,
}

impl Init {
    /// The init segment of a track whose showing begins at `media_time`; `None` for a track that is neither picture nor sound.
    pub fn of(track: &Track, media_time: u64) -> Option<Self> {
        let medium = match track.kind {
            TrackKind::Video { width, height, .. } => Medium::Video { width, height },
            TrackKind::Audio { .. } => Medium::Audio,
            TrackKind::Other => return None,
        };
        Some(Self {
            medium,
            timescale: track.timescale,
            media_time,
            language: track.language.clone(),
            sample_entry: track.sample_entry.clone(),
        })
    }

    /// The bytes: `ftyp`, then a `moov` with one track of identifier 1 and empty tables.
    pub fn write(&self) -> Bytes {
        let mut out = Vec::with_capacity(768);
        ftyp(&mut out, *b"iso6", &[*b"iso6", *b"cmfc", *b"mp41", *b"dash"]);
        let headers = Headers {
            id: 1,
            medium: self.medium,
            timescale: self.timescale,
            duration: 0,
            movie_duration: 0,
            edits: &[(0, self.media_time.cast_signed())],
            language: &self.language,
            sample_entry: &self.sample_entry,
        };
        boxed(&mut out, *b"moov", |out| {
            mvhd(out, MOVIE_TIMESCALE, 0, 1);
            trak(out, &headers, |out| {
                for table in [*b"stts", *b"stsc"] {
                    full(out, table, 0, 0, |out| put32(out, 0));
                }
                full(out, *b"stsz", 0, 0, |out| out.extend([0; 8]));
                full(out, *b"stco", 0, 0, |out| put32(out, 0));
            });
            boxed(out, *b"mvex", |out| {
                full(out, *b"trex", 0, 0, |out| {
                    put32(out, 1);
                    put32(out, 1);
                    out.extend([0; 12]);
                });
            });
        });
        out.into()
    }

    /// Reads an init segment that [`Init::write`] made; any other is an error.
    pub fn read(bytes: &Bytes) -> Result<Self, MediaError> {
        let init =
            Self::parts(bytes).ok_or(MediaError::malformed(*b"moov", "it is not an init segment of ours"))?;
        if init.write() != *bytes {
            return Err(MediaError::malformed(*b"moov", "it is not an init segment of ours"));
        }
        Ok(init)
    }

    fn parts(bytes: &Bytes) -> Option<Self> {
        let trak = find(bytes, &[*b"moov", *b"trak"])?;
        let tkhd = find(&trak, &[*b"tkhd"])?;
        let elst = find(&trak, &[*b"edts", *b"elst"])?;
        let mdia = find(&trak, &[*b"mdia"])?;
        let mdhd = find(&mdia, &[*b"mdhd"])?;
        let stsd = find(&mdia, &[*b"minf", *b"stbl", *b"stsd"])?;
        let sound = find(&mdia, &[*b"hdlr"])?.get(8..12)? == b"soun";
        let side = |at: usize| Some(u16::from_be_bytes(tkhd.get(at..at + 2)?.try_into().ok()?));
        let media_time = match elst.first()? {
            0 => u64::from(u32_at(&elst, 12)?),
            _ => (u64::from(u32_at(&elst, 16)?) << 32) | u64::from(u32_at(&elst, 20)?),
        };
        let medium =
            if sound { Medium::Audio } else { Medium::Video { width: side(76)?, height: side(80)? } };
        let packed = u32_at(&mdhd, 20)? >> 16;
        Some(Self {
            medium,
            timescale: u32_at(&mdhd, 12)?,
            media_time,
            language: unpack_language(u16::try_from(packed).ok()?),
            sample_entry: (stsd.len() > 8).then(|| stsd.slice(8..))?,
        })
    }
}

fn u32_at(bytes: &Bytes, at: usize) -> Option<u32> {
    bytes.get(at..at + 4)?.try_into().ok().map(u32::from_be_bytes)
}

/// The content of the first box at the end of `path`.
fn find(bytes: &Bytes, path: &[[u8; 4]]) -> Option<Bytes> {
    let Some((wanted, deeper)) = path.split_first() else { return Some(bytes.clone()) };
    let mut at = 0;
    loop {
        let size = usize::try_from(u32_at(bytes, at)?).ok()?;
        let kind = bytes.get(at + 4..at + 8)?;
        if size < 8 || size > bytes.len() - at {
            return None;
        }
        if kind == wanted {
            return find(&bytes.slice(at + 8..at + size), deeper);
        }
        at += size;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::made::{audio_track, video_track};

    #[test]
    fn an_init_segment_has_one_edit_and_is_read_back() {
        for media_time in [0, 1_024, 1 << 31, 1 << 40] {
            for track in [video_track([]), audio_track([])] {
                let init = Init::of(&track, media_time).unwrap();
                let bytes = init.write();
                assert_eq!(Init::read(&bytes), Ok(init));
                let elst = find(&bytes, &[*b"moov", *b"trak", *b"edts", *b"elst"]).unwrap();
                assert_eq!(u32_at(&elst, 4), Some(1), "one entry");
            }
        }
        let other = Track { kind: TrackKind::Other, ..audio_track([]) };
        assert_eq!(Init::of(&other, 0), None);
    }

    #[test]
    fn an_init_segment_of_somebody_else_is_an_error() {
        let bytes = Init::of(&video_track([]), 512).unwrap().write();
        for len in 0..bytes.len() {
            assert!(Init::read(&bytes.slice(..len)).is_err(), "{len} bytes");
        }
        let mut other = bytes.to_vec();
        other[8] = b'm';
        assert!(Init::read(&other.into()).is_err(), "another brand");
    }
}
