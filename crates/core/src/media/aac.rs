//! The setup of AAC: `esds` descriptors and the `AudioSpecificConfig` (ISO/IEC 14496-1 and 14496-3).

use super::bits::Bits;
use super::boxes::{Cursor, Part};
use super::error::MediaError;
use super::track::Coding;

/// Samples per second by `samplingFrequencyIndex` (ISO/IEC 14496-3 table 1.18).
const RATES: [u32; 13] =
    [96_000, 88_200, 64_000, 48_000, 44_100, 32_000, 24_000, 22_050, 16_000, 12_000, 11_025, 8_000, 7_350];
/// Channels by `channelConfiguration` (ISO/IEC 14496-3 table 1.19).
const CHANNELS: [u8; 16] = [0, 1, 2, 3, 4, 5, 6, 8, 0, 0, 0, 7, 8, 24, 8, 0];
/// `objectTypeIndication` of MPEG-4 audio.
const MPEG4_AUDIO: u8 = 0x40;
/// Audio object type of spectral band replication, which makes AAC-LC into HE-AAC.
const SBR: u8 = 5;
/// Audio object type of parametric stereo, which makes HE-AAC into its version 2.
const PS: u8 = 29;
/// Says that an extension follows an AAC-LC setup (`syncExtensionType`).
const SYNC_EXTENSION: u32 = 0x2b7;

/// What an `esds` box says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Stream {
    /// The codec as RFC 6381 writes it.
    pub(super) codec: String,
    /// AAC, or `Other` when it is not or cannot be read.
    pub(super) coding: Coding,
    /// Samples per second that come out of the decoder, if it is known.
    pub(super) rate_hz: Option<u32>,
}

/// Reads an `esds` box (ISO/IEC 14496-14 section 5.6).
pub(super) fn stream(esds: &Part<'_>) -> Result<Stream, MediaError> {
    let (_, _, mut cursor) = esds.full()?;
    let mut stream = descriptor(&mut cursor, 3)?;
    stream.skip(2)?;
    let flags = stream.u8()?;
    if flags & 0x80 != 0 {
        stream.skip(2)?;
    }
    if flags & 0x40 != 0 {
        let url = stream.u8()?;
        stream.skip(usize::from(url))?;
    }
    if flags & 0x20 != 0 {
        stream.skip(2)?;
    }
    let mut config = descriptor(&mut stream, 4)?;
    let kind = config.u8()?;
    config.skip(12)?;
    let setup = descriptor(&mut config, 5).ok().and_then(|setup| specific_config(setup.rest()));
    let Some(setup) = setup.filter(|_| kind == MPEG4_AUDIO) else {
        return Ok(Stream { codec: format!("mp4a.{kind:02X}"), coding: Coding::Other, rate_hz: None });
    };
    let Setup { object_type, rate_hz, channels, output_hz } = setup;
    let coding = Coding::Aac { object_type, rate_hz, channels };
    Ok(Stream { codec: format!("mp4a.40.{object_type}"), coding, rate_hz: Some(output_hz) })
}

/// The body of the descriptor that stands here, which must have this tag.
fn descriptor<'a>(cursor: &mut Cursor<'a>, tag: u8) -> Result<Cursor<'a>, MediaError> {
    if cursor.u8()? != tag {
        return Err(cursor.fault("its descriptors are not in the usual order"));
    }
    let mut len = 0;
    for _ in 0..4 {
        let byte = cursor.u8()?;
        len = len << 7 | usize::from(byte & 0x7f);
        if byte & 0x80 == 0 {
            break;
        }
    }
    // Some writers count too much here, and the bytes of the box are what is really there.
    let len = len.min(cursor.rest().len());
    Ok(Cursor::new(cursor.take(len)?, super::FourCc(*b"esds")))
}

/// What an `AudioSpecificConfig` says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Setup {
    object_type: u8,
    rate_hz: u32,
    channels: u8,
    output_hz: u32,
}

fn specific_config(bytes: &[u8]) -> Option<Setup> {
    let mut bits = Bits::new(bytes);
    let outer = object_type(&mut bits)?;
    let rate_hz = rate(&mut bits)?;
    let configuration = bits.take(4)?;
    let channels = CHANNELS.get(configuration as usize).copied()?;
    if outer == SBR || outer == PS {
        let output_hz = rate(&mut bits)?;
        return Some(Setup { object_type: outer, rate_hz, channels, output_hz });
    }
    let extended = if configuration == 0 { None } else { extension(&mut bits, outer) };
    let object_type = if extended.is_some() { SBR } else { outer };
    Some(Setup { object_type, rate_hz, channels, output_hz: extended.unwrap_or(rate_hz) })
}

fn object_type(bits: &mut Bits<'_>) -> Option<u8> {
    let short = bits.take(5)?;
    let value = if short == 31 { 32 + bits.take(6)? } else { short };
    u8::try_from(value).ok()
}

fn rate(bits: &mut Bits<'_>) -> Option<u32> {
    match bits.take(4)? {
        15 => bits.take(24).filter(|rate| *rate > 0),
        at => RATES.get(at as usize).copied(),
    }
}

/// The output rate when spectral band replication is announced behind the setup, where old decoders do not look.
fn extension(bits: &mut Bits<'_>, core: u8) -> Option<u32> {
    if !(1..=4).contains(&core) {
        return None;
    }
    bits.bit()?;
    if bits.bit()? {
        bits.take(14)?;
    }
    bits.bit()?;
    if bits.take(11)? != SYNC_EXTENSION || object_type(bits)? != SBR || !bits.bit()? {
        return None;
    }
    rate(bits)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_audio_setup_names_its_object_type_rate_and_channels() {
        let check = |bytes: &[u8], expected: Option<(u8, u32, u8, u32)>| {
            let setup = specific_config(bytes);
            assert_eq!(
                setup.map(|s| (s.object_type, s.rate_hz, s.channels, s.output_hz)),
                expected,
                "{bytes:x?}"
            );
        };
        check(&[0x11, 0x90], Some((2, 48_000, 2, 48_000)));
        check(&[0x12, 0x10], Some((2, 44_100, 2, 44_100)));
        check(&[0x11, 0xb0], Some((2, 48_000, 6, 48_000)));
        // ffmpeg announces that there is no band replication.
        check(&[0x11, 0x90, 0x56, 0xe5, 0x00], Some((2, 48_000, 2, 48_000)));
        // AAC-LC of 24 kHz with band replication announced behind it.
        check(&[0x13, 0x10, 0x56, 0xe5, 0x98], Some((5, 24_000, 2, 48_000)));
        // HE-AAC and its version 2, said in front.
        check(&[0x2b, 0x11, 0x88, 0x00], Some((5, 24_000, 2, 48_000)));
        check(&[0xeb, 0x09, 0x88, 0x00], Some((29, 24_000, 1, 48_000)));
        check(&[0x17, 0x80, 0x5d, 0xc0, 0x08], Some((2, 48_000, 1, 48_000)));
        check(&[0x11], None);
        check(&[], None);
    }
}
