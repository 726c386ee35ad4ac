//! Names codecs as RFC 6381 and the codecs' own container specifications do, from a sample entry.

use std::fmt::Write as _;

use super::aac;
use super::boxes::{Cursor, Part, find};
use super::error::MediaError;
use super::h264::sequence_parameters;
use super::track::{Coding, TrackKind};

/// Bytes of a visual sample entry before its boxes (ISO/IEC 14496-12 section 12.1.3).
const VISUAL_BYTES: usize = 78;
/// Bytes of an audio sample entry before its boxes (ISO/IEC 14496-12 section 12.2.3).
const AUDIO_BYTES: usize = 28;
/// Opus always decodes to this rate.
const OPUS_HZ: u32 = 48_000;

/// What a sample entry says about its track.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Picture, sound or neither.
    pub kind: TrackKind,
    /// The codec as RFC 6381 writes it; the bare type when unknown.
    pub codec: String,
    /// What the codec's own headers say.
    pub coding: Coding,
    /// True when the samples are encrypted.
    pub encrypted: bool,
}

/// Reads the sample entry of a track of pictures.
pub fn video(entry: &Part<'_>) -> Result<Entry, MediaError> {
    let mut cursor = entry.cursor();
    cursor.skip(24)?;
    let (width, height) = (cursor.u16()?, cursor.u16()?);
    cursor.skip(VISUAL_BYTES - 28)?;
    let parts = cursor.rest();
    let (format, encrypted) = format(entry, parts)?;
    let known = match &format {
        b"avc1" | b"avc3" => avc(format, parts),
        b"hvc1" | b"hev1" => hevc(format, parts).map(|codec| (codec, Coding::Other)),
        b"vp08" | b"vp09" => vpx(format, parts).map(|codec| (codec, Coding::Other)),
        b"av01" => av1(parts).map(|codec| (codec, Coding::Other)),
        _ => Ok((text(format), Coding::Other)),
    };
    // A setup that we cannot read makes the codec unknown, not the file: a decoder may still manage.
    let (codec, coding) = known.unwrap_or_else(|_| (text(format), Coding::Other));
    let own = if let Coding::H264(facts) = &coding { facts.sar } else { (1, 1) };
    let sar = pixel_aspect(parts)?.unwrap_or(own);
    Ok(Entry { kind: TrackKind::Video { width, height, sar }, codec, coding, encrypted })
}

/// Reads the sample entry of a track of sound; `stsd_version` tells entries of `QuickTime` from ISO's.
pub fn audio(entry: &Part<'_>, stsd_version: u8) -> Result<Entry, MediaError> {
    let mut cursor = entry.cursor();
    cursor.skip(8)?;
    let version = cursor.u16()?;
    cursor.skip(6)?;
    let mut channels = cursor.u16()?;
    cursor.skip(6)?;
    let mut rate_hz = cursor.u32()? >> 16;
    debug_assert_eq!(entry.body.len() - cursor.rest().len(), AUDIO_BYTES);
    if version == 1 && stsd_version == 0 {
        cursor.skip(16)?;
    } else if version == 2 {
        cursor.skip(4)?;
        rate_hz = whole_hz(cursor.u64()?);
        channels = u16::try_from(cursor.u32()?).unwrap_or(u16::MAX);
        cursor.skip(20)?;
    }
    let parts = cursor.rest();
    let (format, encrypted) = format(entry, parts)?;
    let (mut codec, mut coding) = (text(format), Coding::Other);
    if &format == b"mp4a" {
        if let Some(Ok(stream)) = elementary_stream(parts)?.map(|esds| aac::stream(&esds)) {
            (codec, coding) = (stream.codec, stream.coding);
            rate_hz = stream.rate_hz.unwrap_or(rate_hz);
        }
        if let Coding::Aac { channels: own @ 1.., .. } = coding {
            channels = u16::from(own);
        }
    } else if &format == b"Opus" {
        "opus".clone_into(&mut codec);
        rate_hz = OPUS_HZ;
        if let Some((own, facts)) = find(parts, *b"dOps")?.and_then(|setup| opus(&setup)) {
            (channels, coding) = (own, facts);
        }
    }
    Ok(Entry { kind: TrackKind::Audio { channels, rate_hz }, codec, coding, encrypted })
}

/// Channels and facts of an Opus setup ("Encapsulation of Opus in ISO Base Media File Format", section 4.3.2).
fn opus(setup: &Part<'_>) -> Option<(u16, Coding)> {
    let mut cursor = setup.cursor();
    cursor.skip(1).ok()?;
    let channels = cursor.u8().ok()?;
    Some((u16::from(channels), Coding::Opus { pre_skip: cursor.u16().ok()? }))
}

/// A rate that `QuickTime` writes as the bits of a floating-point number, in whole hertz; 0 when it makes no sense.
fn whole_hz(bits: u64) -> u32 {
    let rate = f64::from_bits(bits);
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the range was looked at")]
    let whole = if (1.0..=f64::from(u32::MAX)).contains(&rate) { rate.round() as u32 } else { 0 };
    whole
}

/// The `esds` of an audio sample entry, which `QuickTime` hides in a `wave` box.
fn elementary_stream(parts: &[u8]) -> Result<Option<Part<'_>>, MediaError> {
    if let Some(esds) = find(parts, *b"esds")? {
        return Ok(Some(esds));
    }
    find(parts, *b"wave")?.map_or(Ok(None), |wave| wave.find(*b"esds"))
}

/// The format of the samples without encryption, and whether they are encrypted (`sinf`, ISO/IEC 14496-12 section 8.12).
fn format(entry: &Part<'_>, parts: &[u8]) -> Result<([u8; 4], bool), MediaError> {
    let protection = find(parts, *b"sinf")?;
    let encrypted = protection.is_some() || matches!(&entry.kind.0, b"encv" | b"enca");
    let original = protection.map_or(Ok(None), |sinf| sinf.find(*b"frma"))?;
    let original = original.map(|frma| frma.cursor().array()).transpose()?;
    Ok((original.unwrap_or(entry.kind.0), encrypted))
}

/// A type as text, whatever its bytes are.
fn text(format: [u8; 4]) -> String {
    format.escape_ascii().to_string()
}

fn pixel_aspect(parts: &[u8]) -> Result<Option<(u32, u32)>, MediaError> {
    let Some(pasp) = find(parts, *b"pasp")? else { return Ok(None) };
    let mut cursor = pasp.cursor();
    let (across, down) = (cursor.u32()?, cursor.u32()?);
    Ok((across > 0 && down > 0).then_some((across, down)))
}

/// The setup box of a codec, which its sample entry must have.
fn setup(parts: &[u8], format: [u8; 4], kind: [u8; 4]) -> Result<Cursor<'_>, MediaError> {
    Ok(find(parts, kind)?.ok_or(MediaError::missing(format, kind))?.cursor())
}

/// RFC 6381 section 3.3 and ISO/IEC 14496-15 section 5.3.3.1.
fn avc(format: [u8; 4], parts: &[u8]) -> Result<(String, Coding), MediaError> {
    let mut cursor = setup(parts, format, *b"avcC")?;
    cursor.skip(1)?;
    let [profile, constraints, level] = cursor.array()?;
    let codec = format!("{}.{profile:02X}{constraints:02X}{level:02X}", text(format));
    cursor.skip(1)?;
    let count = cursor.u8()? & 0x1f;
    let facts = (count > 0).then(|| cursor.u16()).transpose()?.and_then(|len| {
        let unit = cursor.take(usize::from(len)).ok()?;
        sequence_parameters(unit)
    });
    Ok((codec, facts.map_or(Coding::Other, Coding::H264)))
}

/// ISO/IEC 14496-15 annex E.3.
fn hevc(format: [u8; 4], parts: &[u8]) -> Result<String, MediaError> {
    let mut cursor = setup(parts, format, *b"hvcC")?;
    cursor.skip(1)?;
    let first = cursor.u8()?;
    let compatibility = cursor.u32()?.reverse_bits();
    let constraints: [u8; 6] = cursor.array()?;
    let level = cursor.u8()?;
    let space = ["", "A", "B", "C"][usize::from(first >> 6)];
    let tier = if first & 0x20 == 0 { 'L' } else { 'H' };
    let mut codec = format!("{}.{space}{}.{compatibility:X}.{tier}{level}", text(format), first & 0x1f);
    let used = constraints.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
    for byte in constraints.iter().take(used) {
        write!(codec, ".{byte:X}").expect("because writing to a string cannot fail");
    }
    Ok(codec)
}

/// "VP Codec ISO Media File Format Binding", section "Codecs Parameter String".
fn vpx(format: [u8; 4], parts: &[u8]) -> Result<String, MediaError> {
    let mut cursor = setup(parts, format, *b"vpcC")?;
    cursor.skip(4)?;
    let [profile, level, depth, primaries, transfer, matrix] = cursor.array()?;
    let (chroma, full_range) = (depth >> 1 & 7, depth & 1);
    let mut codec = format!("{}.{profile:02}.{level:02}.{:02}", text(format), depth >> 4);
    // The rest may be left out when it is what a player expects: 4:2:0, BT.709 or unsaid, limited range.
    let usual = chroma <= 1
        && full_range == 0
        && [primaries, transfer, matrix].iter().all(|code| matches!(code, 1 | 2));
    if !usual {
        write!(codec, ".{chroma:02}.{primaries:02}.{transfer:02}.{matrix:02}.{full_range:02}")
            .expect("because writing to a string cannot fail");
    }
    Ok(codec)
}

/// Primaries, transfer, matrix and range of the colours (`colr`, ISO/IEC 14496-12 section 12.1.5), as numbers of ITU-T H.273.
fn color(parts: &[u8]) -> Result<Option<([u16; 3], bool)>, MediaError> {
    let Some(colr) = find(parts, *b"colr")? else { return Ok(None) };
    let mut cursor = colr.cursor();
    if !matches!(&cursor.array()?, b"nclx") {
        return Ok(None);
    }
    let codes = [cursor.u16()?, cursor.u16()?, cursor.u16()?];
    Ok(Some((codes, cursor.u8()? & 0x80 != 0)))
}

/// The transfer characteristics, as a number of ITU-T H.273, that an init segment of pictures names.
pub fn transfer(init: &[u8]) -> Option<u16> {
    let path = [*b"trak", *b"mdia", *b"minf", *b"stbl", *b"stsd"];
    let moov = find(init, *b"moov").ok()??;
    let stsd = path.into_iter().try_fold(moov, |part, kind| part.find(kind).ok()?)?;
    let (.., mut entries) = stsd.full().ok()?;
    entries.skip(4).ok()?;
    let entry = Part::first(entries.rest()).ok()?;
    let ([_, transfer, _], _) = color(entry.body.get(VISUAL_BYTES..)?).ok()??;
    Some(transfer)
}

/// "AV1 Codec ISO Media File Format Binding", section "Codecs Parameter String".
fn av1(parts: &[u8]) -> Result<String, MediaError> {
    let mut cursor = setup(parts, *b"av01", *b"av1C")?;
    cursor.skip(1)?;
    let (first, second) = (cursor.u8()?, cursor.u8()?);
    let (profile, level) = (first >> 5, first & 0x1f);
    let tier = if second & 0x80 == 0 { 'M' } else { 'H' };
    let depth = match (second & 0x40 != 0, profile == 2 && second & 0x20 != 0) {
        (false, _) => 8,
        (true, false) => 10,
        (true, true) => 12,
    };
    let mut codec = format!("av01.{profile}.{level:02}{tier}.{depth:02}");
    // All of the rest or nothing; it is left out where a player expects it: BT.709 or unsaid, limited range.
    let color =
        color(parts)?.filter(|(codes, full)| *full || codes.iter().any(|code| !matches!(code, 1 | 2)));
    if let Some(([primaries, transfer, matrix], full_range)) = color {
        let (mono, chroma) = (second >> 4 & 1, [second >> 3 & 1, second >> 2 & 1, second & 3]);
        let [across, down, place] = chroma;
        write!(
            codec,
            ".{mono}.{across}{down}{place}.{primaries:02}.{transfer:02}.{matrix:02}.{}",
            u8::from(full_range)
        )
        .expect("because writing to a string cannot fail");
    }
    Ok(codec)
}

#[cfg(test)]
mod tests {
    use super::super::support::{boxed, nest};
    use super::*;

    /// A visual sample entry of 640 by 360 with these boxes.
    fn visual(format: [u8; 4], parts: &[u8]) -> Vec<u8> {
        let mut fields = [0_u8; VISUAL_BYTES];
        fields[24..28].copy_from_slice(&[2, 128, 1, 104]);
        nest(format, &[&fields, parts])
    }

    /// An audio sample entry of one channel at 8 kHz with more fields and boxes.
    fn sounding(format: [u8; 4], version: u8, rest: &[u8]) -> Vec<u8> {
        let mut fields = [0_u8; AUDIO_BYTES];
        (fields[9], fields[17]) = (version, 1);
        fields[24..26].copy_from_slice(&8000_u16.to_be_bytes());
        nest(format, &[&fields, rest])
    }

    fn named(entry: &[u8]) -> String {
        video(&Part::first(entry).unwrap()).unwrap().codec
    }

    #[test]
    fn pictures_are_named_by_their_setup() {
        let check = |format: &[u8; 4], kind: &[u8; 4], setup: &[u8], expected| {
            assert_eq!(named(&visual(*format, &boxed(*kind, setup))), expected);
        };
        check(b"avc1", b"avcC", &[1, 0x64, 0, 0x1f, 0xff, 0xe0, 0], "avc1.64001F");
        check(b"avc3", b"avcC", &[1, 0x42, 0xc0, 0x1e, 0xff, 0xe0, 0], "avc3.42C01E");
        // Main of level 3.1 and Main 10 of level 5.1 in the high tier, as ISO/IEC 14496-15 writes them.
        check(b"hev1", b"hvcC", &[1, 1, 0x60, 0, 0, 0, 0xb0, 0, 0, 0, 0, 0, 93], "hev1.1.6.L93.B0");
        check(b"hvc1", b"hvcC", &[1, 0xa2, 0x20, 0, 0, 0, 0x90, 0, 8, 0, 0, 0, 153], "hvc1.B2.4.H153.90.0.8");
        check(b"vp09", b"vpcC", &[1, 0, 0, 0, 0, 31, 0x82, 1, 1, 1, 0, 0], "vp09.00.31.08");
        check(b"vp09", b"vpcC", &[1, 0, 0, 0, 2, 10, 0xa2, 9, 16, 9, 0, 0], "vp09.02.10.10.01.09.16.09.00");
        check(b"vp08", b"vpcC", &[1, 0, 0, 0, 0, 10, 0x80, 2, 2, 2, 0, 0], "vp08.00.10.08");
        check(b"av01", b"av1C", &[0x81, 0x04, 0x0c, 0], "av01.0.04M.08");
        check(b"av01", b"av1C", &[0x81, 0x0d, 0xcc, 0], "av01.0.13H.10");
        check(b"av01", b"av1C", &[0x81, 0x50, 0xec, 0], "av01.2.16H.12");
        check(b"avc1", b"free", &[], "avc1");
        let codec = |colr: &[u8]| {
            let setup = [boxed(*b"av1C", &[0x81, 0x04, 0x4c, 0]), boxed(*b"colr", colr)].concat();
            named(&visual(*b"av01", &setup))
        };
        assert_eq!(codec(b"nclx\0\x09\0\x10\0\x09\0"), "av01.0.04M.10.0.110.09.16.09.0");
        assert_eq!(codec(b"nclx\0\x01\0\x01\0\x01\0"), "av01.0.04M.10");
        assert_eq!(codec(b"prof"), "av01.0.04M.10");
        let told = |colr: &[u8]| {
            let entry = visual(*b"hvc1", &boxed(*b"colr", colr));
            let stsd = nest(*b"stsd", &[&[0, 0, 0, 0, 0, 0, 0, 1], &entry]);
            let tables = nest(*b"minf", &[&nest(*b"stbl", &[&stsd])]);
            let init = nest(*b"moov", &[&nest(*b"trak", &[&nest(*b"mdia", &[&tables])])]);
            transfer(&init)
        };
        assert_eq!(told(b"nclx\0\x09\0\x12\0\x09\0"), Some(18));
        assert_eq!(told(b"prof"), None);
        assert_eq!(transfer(b"moov"), None);
        check(b"hvc1", b"hvcC", &[1, 1], "hvc1");
    }

    #[test]
    fn pictures_have_a_size_and_an_aspect_ratio() {
        let check = |parts: &[u8], sar| {
            let entry = video(&Part::first(&visual(*b"jpeg", parts)).unwrap()).unwrap();
            assert_eq!(entry.kind, TrackKind::Video { width: 640, height: 360, sar });
        };
        check(&[], (1, 1));
        check(&boxed(*b"pasp", &[0, 0, 0, 64, 0, 0, 0, 45]), (64, 45));
        check(&boxed(*b"pasp", &[0, 0, 0, 0, 0, 0, 0, 1]), (1, 1));
    }

    #[test]
    fn encrypted_samples_keep_the_name_of_their_codec() {
        let sinf = nest(*b"sinf", &[&boxed(*b"frma", b"vp09")]);
        let setup = boxed(*b"vpcC", &[1, 0, 0, 0, 0, 31, 0x82, 1, 1, 1, 0, 0]);
        let bytes = visual(*b"encv", &[sinf, setup].concat());
        let entry = video(&Part::first(&bytes).unwrap()).unwrap();
        assert_eq!((entry.codec.as_str(), entry.encrypted), ("vp09.00.31.08", true));
        let bytes = sounding(*b"enca", 0, &[]);
        assert!(audio(&Part::first(&bytes).unwrap(), 0).unwrap().encrypted);
    }

    #[test]
    fn sound_is_named_by_its_setup() {
        // Descriptors 3, 4 and 5 around an AudioSpecificConfig.
        let esds = |kind, setup: &[u8]| {
            let specific = [&[5, u8::try_from(setup.len()).unwrap()], setup].concat();
            let config =
                [&[4, u8::try_from(specific.len() + 13).unwrap(), kind][..], &[0; 12], &specific].concat();
            let stream =
                [&[3, 0x80, 0x80, 0x80, u8::try_from(config.len() + 3).unwrap(), 0, 1, 0], &config[..]]
                    .concat();
            boxed(*b"esds", &[&[0; 4], &stream[..]].concat())
        };
        let check = |format: &[u8; 4], version, rest: &[u8], codec: &str, channels, rate_hz| {
            let bytes = sounding(*format, version, rest);
            let entry = audio(&Part::first(&bytes).unwrap(), 0).unwrap();
            assert_eq!((entry.codec.as_str(), entry.kind), (codec, TrackKind::Audio { channels, rate_hz }));
        };
        let lc = esds(0x40, &[0x11, 0x90]);
        check(b"mp4a", 0, &lc, "mp4a.40.2", 2, 48_000);
        check(b"mp4a", 1, &[&[0; 16], &nest(*b"wave", &[&lc])[..]].concat(), "mp4a.40.2", 2, 48_000);
        check(b"mp4a", 0, &esds(0x40, &[0x2b, 0x11, 0x88, 0]), "mp4a.40.5", 2, 48_000);
        check(b"mp4a", 0, &esds(0x6b, &[]), "mp4a.6B", 1, 8000);
        check(b"mp4a", 0, &[], "mp4a", 1, 8000);
        check(b"Opus", 0, &boxed(*b"dOps", &[0, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0]), "opus", 2, 48_000);
        let bytes = sounding(*b"Opus", 0, &boxed(*b"dOps", &[0, 2, 1, 0x38, 0, 0, 0, 0, 0, 0, 0]));
        let entry = audio(&Part::first(&bytes).unwrap(), 0).unwrap();
        assert_eq!(entry.coding, Coding::Opus { pre_skip: 312 });
        check(b"ac-3", 0, &[], "ac-3", 1, 8000);
        check(b"ec-3", 0, &[], "ec-3", 1, 8000);
        let second = [&[0; 4], &96_000_f64.to_be_bytes()[..], &[0, 0, 0, 6], &[0; 20]].concat();
        check(b"lpcm", 2, &second, "lpcm", 6, 96_000);
    }
}
