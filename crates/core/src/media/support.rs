//! Builds boxes for the tests of this module.

/// A box of this type around the bytes.
pub(super) fn boxed(kind: [u8; 4], body: &[u8]) -> Vec<u8> {
    let mut bytes = u32::try_from(body.len() + 8).expect("because tests are small").to_be_bytes().to_vec();
    bytes.extend(kind);
    bytes.extend(body);
    bytes
}

/// A box with a version and flags before its 32-bit fields.
pub(super) fn full(kind: [u8; 4], version: u8, flags: u32, fields: &[u32]) -> Vec<u8> {
    let mut body = (u32::from(version) << 24 | flags).to_be_bytes().to_vec();
    body.extend(fields.iter().flat_map(|field| field.to_be_bytes()));
    boxed(kind, &body)
}

/// A box of boxes.
pub(super) fn nest(kind: [u8; 4], parts: &[&[u8]]) -> Vec<u8> {
    boxed(kind, &parts.concat())
}
