//! The boxes of a track that are the same in an init segment and in a whole file (ISO/IEC 14496-12 section 8).

use bytes::Bytes;

use super::write::{boxed, full, put_count, put16, put32, put64};

/// Picture or sound, as the headers of a track must say it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Medium {
    /// Pictures.
    Video {
        /// Width in pixels.
        width: u16,
        /// Height in pixels.
        height: u16,
    },
    /// Sound.
    Audio,
}

/// What the headers of a track say.
pub(super) struct Headers<'a> {
    pub(super) id: u32,
    pub(super) medium: Medium,
    pub(super) timescale: u32,
    /// Duration in ticks of the track.
    pub(super) duration: u64,
    /// Duration in ticks of the movie.
    pub(super) movie_duration: u64,
    /// Pairs of duration in ticks of the movie and media time in ticks of the track; a media time of -1 is empty.
    pub(super) edits: &'a [(u64, i64)],
    /// Three lower-case letters.
    pub(super) language: &'a str,
    /// The one entry of `stsd`, whole.
    pub(super) sample_entry: &'a Bytes,
}

/// No rotation, no scaling.
const MATRIX: [u32; 9] = [0x1_0000, 0, 0, 0, 0x1_0000, 0, 0, 0, 0x4000_0000];

fn put_matrix(out: &mut Vec<u8>) {
    for value in MATRIX {
        put32(out, value);
    }
}

/// Appends an `ftyp` box; the first of the compatible brands follows the major one.
pub(super) fn ftyp(out: &mut Vec<u8>, major: [u8; 4], compatible: &[[u8; 4]]) {
    boxed(out, *b"ftyp", |out| {
        out.extend(major);
        put32(out, 512);
        for brand in compatible {
            out.extend(brand);
        }
    });
}

/// Appends an `mvhd` box for tracks with the identifiers 1 to `tracks`.
pub(super) fn mvhd(out: &mut Vec<u8>, timescale: u32, duration: u64, tracks: u32) {
    let version = version_for(duration);
    full(out, *b"mvhd", version, 0, |out| {
        put_time(out, version, 0);
        put_time(out, version, 0);
        put32(out, timescale);
        put_time(out, version, duration);
        put32(out, 0x1_0000);
        put16(out, 0x0100);
        out.extend([0; 10]);
        put_matrix(out);
        out.extend([0; 24]);
        put32(out, tracks + 1);
    });
}

/// Appends a `trak` box; `tables` appends what follows `stsd` in the sample table.
pub(super) fn trak(out: &mut Vec<u8>, headers: &Headers<'_>, tables: impl FnOnce(&mut Vec<u8>)) {
    boxed(out, *b"trak", |out| {
        tkhd(out, headers);
        boxed(out, *b"edts", |out| elst(out, headers.edits));
        boxed(out, *b"mdia", |out| {
            mdhd(out, headers);
            hdlr(out, headers.medium);
            boxed(out, *b"minf", |out| {
                match headers.medium {
                    Medium::Video { .. } => full(out, *b"vmhd", 0, 1, |out| out.extend([0; 8])),
                    Medium::Audio => full(out, *b"smhd", 0, 0, |out| out.extend([0; 4])),
                }
                dinf(out);
                boxed(out, *b"stbl", |out| {
                    full(out, *b"stsd", 0, 0, |out| {
                        put32(out, 1);
                        out.extend_from_slice(headers.sample_entry);
                    });
                    tables(out);
                });
            });
        });
    });
}

fn tkhd(out: &mut Vec<u8>, headers: &Headers<'_>) {
    let (width, height, volume, group) = match headers.medium {
        Medium::Video { width, height } => (width, height, 0, 0),
        Medium::Audio => (0, 0, 0x0100, 1),
    };
    let version = version_for(headers.movie_duration);
    // Flags 1 and 2: the track is on, and part of the presentation.
    full(out, *b"tkhd", version, 3, |out| {
        put_time(out, version, 0);
        put_time(out, version, 0);
        put32(out, headers.id);
        put32(out, 0);
        put_time(out, version, headers.movie_duration);
        out.extend([0; 8]);
        put16(out, 0);
        put16(out, group);
        put16(out, volume);
        put16(out, 0);
        put_matrix(out);
        put32(out, u32::from(width) << 16);
        put32(out, u32::from(height) << 16);
    });
}

fn elst(out: &mut Vec<u8>, edits: &[(u64, i64)]) {
    let short = edits.iter().all(|(ticks, time)| version_for(*ticks) == 0 && i32::try_from(*time).is_ok());
    full(out, *b"elst", u8::from(!short), 0, |out| {
        put_count(out, edits.len());
        for &(ticks, time) in edits {
            match (u32::try_from(ticks), i32::try_from(time)) {
                (Ok(ticks), Ok(time)) if short => {
                    put32(out, ticks);
                    put32(out, time.cast_unsigned());
                }
                _ => {
                    put64(out, ticks);
                    put64(out, time.cast_unsigned());
                }
            }
            put32(out, 0x1_0000);
        }
    });
}

fn mdhd(out: &mut Vec<u8>, headers: &Headers<'_>) {
    let version = version_for(headers.duration);
    full(out, *b"mdhd", version, 0, |out| {
        put_time(out, version, 0);
        put_time(out, version, 0);
        put32(out, headers.timescale);
        put_time(out, version, headers.duration);
        put16(out, pack_language(headers.language));
        put16(out, 0);
    });
}

fn hdlr(out: &mut Vec<u8>, medium: Medium) {
    let (kind, name): (_, &[u8]) = match medium {
        Medium::Video { .. } => (*b"vide", b"VideoHandler\0"),
        Medium::Audio => (*b"soun", b"SoundHandler\0"),
    };
    full(out, *b"hdlr", 0, 0, |out| {
        put32(out, 0);
        out.extend(kind);
        out.extend([0; 12]);
        out.extend(name);
    });
}

fn dinf(out: &mut Vec<u8>) {
    boxed(out, *b"dinf", |out| {
        full(out, *b"dref", 0, 0, |out| {
            put32(out, 1);
            // Flag 1: the samples are in this file.
            full(out, *b"url ", 0, 1, |_| ());
        });
    });
}

/// Three letters of five bits each (ISO/IEC 14496-12 section 8.4.2.3); anything else is `und`.
fn pack_language(language: &str) -> u16 {
    let letters = language.as_bytes();
    let known = letters.len() == 3 && letters.iter().all(u8::is_ascii_lowercase);
    let letters = if known { letters } else { b"und" };
    letters.iter().fold(0, |packed, letter| (packed << 5) | u16::from(letter - 0x60))
}

/// The text of a packed language.
pub(super) fn unpack_language(packed: u16) -> String {
    [10, 5, 0].map(|shift| char::from(0x60 + ((packed >> shift) & 0x1f) as u8)).iter().collect()
}

/// Times over 32 bits need version 1.
fn version_for(ticks: u64) -> u8 {
    u8::from(u32::try_from(ticks).is_err())
}

fn put_time(out: &mut Vec<u8>, version: u8, ticks: u64) {
    match u32::try_from(ticks) {
        Ok(ticks) if version == 0 => put32(out, ticks),
        _ => put64(out, ticks),
    }
}
