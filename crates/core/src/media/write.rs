//! Writing boxes: a size, a four-character type and a content (ISO/IEC 14496-12 section 4.2).

/// Appends a box whose content is what `fill` appends.
pub(super) fn boxed(out: &mut Vec<u8>, kind: [u8; 4], fill: impl FnOnce(&mut Vec<u8>)) {
    let start = out.len();
    out.extend([0; 4]);
    out.extend(kind);
    fill(out);
    let size =
        u32::try_from(out.len() - start).expect("because the tables of a track are capped far below 4 GB");
    out[start..start + 4].copy_from_slice(&size.to_be_bytes());
}

/// Appends a box that begins with a version and flags.
pub(super) fn full(
    out: &mut Vec<u8>,
    kind: [u8; 4],
    version: u8,
    flags: u32,
    fill: impl FnOnce(&mut Vec<u8>),
) {
    boxed(out, kind, |out| {
        put32(out, (u32::from(version) << 24) | (flags & 0x00ff_ffff));
        fill(out);
    });
}

/// Appends two bytes.
pub(super) fn put16(out: &mut Vec<u8>, value: u16) {
    out.extend(value.to_be_bytes());
}

/// Appends four bytes.
pub(super) fn put32(out: &mut Vec<u8>, value: u32) {
    out.extend(value.to_be_bytes());
}

/// Appends eight bytes.
pub(super) fn put64(out: &mut Vec<u8>, value: u64) {
    out.extend(value.to_be_bytes());
}

/// Appends a number of entries.
pub(super) fn put_count(out: &mut Vec<u8>, entries: usize) {
    put32(out, u32::try_from(entries).expect("because a track has fewer samples than fit a box"));
}
