//! The sequence parameter set of H.264 as far as compatibility depends on it (ITU-T H.264 section 7.3.2.1).

use super::bits::Bits;
use super::track::H264;

/// Sample aspect ratios by `aspect_ratio_idc`, from 1 (ITU-T H.264 table E-1).
const RATIOS: [(u32, u32); 16] = [
    (1, 1),
    (12, 11),
    (10, 11),
    (16, 11),
    (40, 33),
    (24, 11),
    (20, 11),
    (32, 11),
    (80, 33),
    (18, 11),
    (15, 11),
    (64, 33),
    (160, 99),
    (4, 3),
    (3, 2),
    (2, 1),
];
/// `aspect_ratio_idc` that says that both numbers follow.
const EXTENDED_SAR: u8 = 255;
/// Profiles whose parameter sets have a chroma format.
const WITH_CHROMA: [u8; 13] = [100, 110, 122, 244, 44, 83, 86, 118, 128, 138, 139, 134, 135];
/// More reference frames in the picture order cycle than this are forbidden.
const CYCLE_MAX: u32 = 255;

/// Reads a sequence parameter set from its NAL unit, header byte included; `None` when it is damaged.
pub fn sequence_parameters(nal: &[u8]) -> Option<H264> {
    let (head, payload) = nal.split_first()?;
    if head & 0x1f != 7 {
        return None;
    }
    let payload = unescape(payload);
    let mut bits = Bits::new(&payload);
    let (profile, constraints, level) = (bits.byte()?, bits.byte()?, bits.byte()?);
    bits.ue()?;
    let (chroma_format, bit_depth) = chroma(&mut bits, profile)?;
    bits.ue()?; // log2_max_frame_num_minus4
    picture_order(&mut bits)?;
    bits.ue()?; // max_num_ref_frames
    bits.bit()?;
    let (width, height, progressive) = frame(&mut bits, chroma_format)?;
    let sar = aspect_ratio(&mut bits)?;
    Some(H264 { profile, constraints, level, chroma_format, bit_depth, progressive, sar, width, height })
}

/// Width and height in pixels after cropping, and whether all frames are coded whole.
fn frame(bits: &mut Bits<'_>, chroma_format: u8) -> Option<(u32, u32, bool)> {
    let columns = bits.ue()?.checked_add(1)?;
    let rows = bits.ue()?.checked_add(1)?;
    let progressive = bits.bit()?;
    if !progressive {
        bits.bit()?;
    }
    bits.bit()?;
    let fields = if progressive { 1 } else { 2 };
    let (across, down) = cropping(bits, chroma_format, fields)?;
    let width = columns.checked_mul(16)?.checked_sub(across)?;
    let height = rows.checked_mul(16)?.checked_mul(fields)?.checked_sub(down)?;
    Some((width, height, progressive))
}

/// Removes the bytes 3 that keep start codes out of a NAL unit (section 7.4.1.1).
fn unescape(payload: &[u8]) -> Vec<u8> {
    let mut zeros = 0;
    let mut plain = Vec::with_capacity(payload.len());
    for &byte in payload {
        if zeros >= 2 && byte == 3 {
            zeros = 0;
            continue;
        }
        zeros = if byte == 0 { zeros + 1 } else { 0 };
        plain.push(byte);
    }
    plain
}

/// Chroma format and the larger bit depth; 4:2:0 with 8 bits for profiles that cannot say it.
fn chroma(bits: &mut Bits<'_>, profile: u8) -> Option<(u8, u8)> {
    if !WITH_CHROMA.contains(&profile) {
        return Some((1, 8));
    }
    let format = u8::try_from(bits.ue()?).ok().filter(|format| *format <= 3)?;
    if format == 3 {
        bits.bit()?;
    }
    let depth = bits.ue()?.max(bits.ue()?);
    let depth = u8::try_from(depth).ok().filter(|depth| *depth <= 6)? + 8;
    bits.bit()?;
    if bits.bit()? {
        for list in 0..if format == 3 { 12 } else { 8 } {
            if bits.bit()? {
                skip_scaling_list(bits, if list < 6 { 16 } else { 64 })?;
            }
        }
    }
    Some((format, depth))
}

/// Goes over one scaling list (section 7.3.2.1.1.1).
fn skip_scaling_list(bits: &mut Bits<'_>, size: u32) -> Option<()> {
    let (mut last, mut next) = (8_i64, 8_i64);
    for _ in 0..size {
        if next != 0 {
            next = (last + bits.se()?).rem_euclid(256);
        }
        if next != 0 {
            last = next;
        }
    }
    Some(())
}

/// Goes over the fields of the picture order count.
fn picture_order(bits: &mut Bits<'_>) -> Option<()> {
    match bits.ue()? {
        0 => {
            bits.ue()?;
        }
        1 => {
            bits.bit()?;
            bits.se()?;
            bits.se()?;
            let cycle = bits.ue()?;
            for _ in 0..Some(cycle).filter(|cycle| *cycle <= CYCLE_MAX)? {
                bits.se()?;
            }
        }
        2 => {}
        _ => return None,
    }
    Some(())
}

/// Columns and rows that are cropped, in pixels.
fn cropping(bits: &mut Bits<'_>, chroma_format: u8, fields: u32) -> Option<(u32, u32)> {
    if !bits.bit()? {
        return Some((0, 0));
    }
    let (left, right, top, bottom) = (bits.ue()?, bits.ue()?, bits.ue()?, bits.ue()?);
    let unit_x = if matches!(chroma_format, 1 | 2) { 2 } else { 1 };
    let unit_y = if chroma_format == 1 { 2 } else { 1 } * fields;
    Some((left.checked_add(right)?.checked_mul(unit_x)?, top.checked_add(bottom)?.checked_mul(unit_y)?))
}

/// The sample aspect ratio of the video usability information; (1, 1) when not said.
fn aspect_ratio(bits: &mut Bits<'_>) -> Option<(u32, u32)> {
    if !bits.bit()? || !bits.bit()? {
        return Some((1, 1));
    }
    let code = bits.byte()?;
    if code == EXTENDED_SAR {
        let (across, down) = (bits.take(16)?, bits.take(16)?);
        return Some(if across == 0 || down == 0 { (1, 1) } else { (across, down) });
    }
    Some(usize::from(code).checked_sub(1).and_then(|at| RATIOS.get(at)).copied().unwrap_or((1, 1)))
}
