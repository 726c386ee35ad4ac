//! Frames of AMQP 0.9.1, and the values in them.

use crate::broker::BrokerError;

/// The last byte of each frame.
pub(super) const END: u8 = 0xce;

/// A frame of this type.
pub(super) fn frame(kind: u8, channel: u16, bytes: &[u8]) -> Vec<u8> {
    let len = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
    [&[kind][..], &channel.to_be_bytes(), &len.to_be_bytes(), bytes, &[END]].concat()
}

/// A text of at most 255 bytes.
pub(super) fn short_text(text: &str) -> Vec<u8> {
    let bytes = &text.as_bytes()[..text.len().min(255)];
    [&[u8::try_from(bytes.len()).unwrap_or(u8::MAX)][..], bytes].concat()
}

/// A text of any length.
pub(super) fn long_text(bytes: &[u8]) -> Vec<u8> {
    [&u32::try_from(bytes.len()).unwrap_or(u32::MAX).to_be_bytes()[..], bytes].concat()
}

/// Names with texts.
pub(super) fn table(pairs: &[(&str, &str)]) -> Vec<u8> {
    let entry = |(name, value): &(&str, &str)| {
        [short_text(name), b"S".to_vec(), long_text(value.as_bytes())].concat()
    };
    long_text(&pairs.iter().flat_map(entry).collect::<Vec<u8>>())
}

/// A method with its arguments.
pub(super) struct Method(Vec<u8>);

impl Method {
    pub(super) fn new(class: u16, method: u16) -> Self {
        Self([class.to_be_bytes(), method.to_be_bytes()].concat())
    }

    pub(super) fn bytes(mut self, bytes: &[u8]) -> Self {
        self.0.extend(bytes);
        self
    }

    pub(super) fn byte(self, byte: u8) -> Self {
        self.bytes(&[byte])
    }

    pub(super) fn number16(self, number: u16) -> Self {
        self.bytes(&number.to_be_bytes())
    }

    pub(super) fn number32(self, number: u32) -> Self {
        self.bytes(&number.to_be_bytes())
    }

    pub(super) fn number64(self, number: u64) -> Self {
        self.bytes(&number.to_be_bytes())
    }

    pub(super) fn short(self, text: &str) -> Self {
        self.bytes(&short_text(text))
    }

    pub(super) fn done(self) -> Vec<u8> {
        self.0
    }
}

/// Bytes that are read from their beginning.
pub(super) struct Reading<'b>(&'b [u8]);

impl<'b> Reading<'b> {
    pub(super) const fn new(bytes: &'b [u8]) -> Self {
        Self(bytes)
    }

    fn take(&mut self, len: usize) -> Result<&'b [u8], BrokerError> {
        let broken = || BrokerError::Away("a frame of AMQP is too short".to_owned());
        let (taken, rest) = self.0.split_at_checked(len).ok_or_else(broken)?;
        self.0 = rest;
        Ok(taken)
    }

    pub(super) fn skip(&mut self, len: usize) -> Result<(), BrokerError> {
        self.take(len).map(drop)
    }

    fn number(&mut self, len: usize) -> Result<u64, BrokerError> {
        Ok(self.take(len)?.iter().fold(0, |number, byte| number << 8 | u64::from(*byte)))
    }

    pub(super) fn byte(&mut self) -> Result<u8, BrokerError> {
        Ok(self.take(1)?[0])
    }

    pub(super) fn number16(&mut self) -> Result<u16, BrokerError> {
        Ok(u16::try_from(self.number(2)?).expect("because it is read from two bytes"))
    }

    pub(super) fn number32(&mut self) -> Result<u32, BrokerError> {
        Ok(u32::try_from(self.number(4)?).expect("because it is read from four bytes"))
    }

    pub(super) fn number64(&mut self) -> Result<u64, BrokerError> {
        self.number(8)
    }

    pub(super) fn short(&mut self) -> Result<String, BrokerError> {
        let len = usize::from(self.byte()?);
        Ok(String::from_utf8_lossy(self.take(len)?).into_owned())
    }

    pub(super) const fn rest(&self) -> &'b [u8] {
        self.0
    }
}

/// The id of a message among its properties, behind those that come before it.
pub(super) fn message_id(reading: &mut Reading<'_>) -> Result<Option<String>, BrokerError> {
    let flags = reading.number16()?;
    let has = |bit: u16| flags >> bit & 1 == 1;
    for bit in [15, 14] {
        if has(bit) {
            reading.short()?;
        }
    }
    if has(13) {
        let len = reading.number32()? as usize;
        reading.skip(len)?;
    }
    // Delivery mode and priority are a byte each.
    reading.skip(usize::from(has(12)) + usize::from(has(11)))?;
    for bit in [10, 9, 8] {
        if has(bit) {
            reading.short()?;
        }
    }
    if has(7) { reading.short().map(Some) } else { Ok(None) }
}
