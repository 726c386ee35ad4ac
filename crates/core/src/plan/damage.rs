//! What ffmpeg says while it decodes, and which of it means that a source is damaged.

/// What ffmpeg itself says of a packet that a decoder refused, and of a picture that was concealed; what `-xerror` would
/// have ended. Decoders say much more, also of the pictures before a seek into an open group, which are all right.
const DAMAGE: [&str; 4] = [
    "corrupt decoded frame",
    "Error while decoding stream",
    "Error submitting packet to decoder",
    "corrupt input packet",
];
/// Stands for that many of the line before.
const AGAIN: &str = "Last message repeated ";
/// A longer line is the text of a stranger.
const LINE_BYTES_MAX: usize = 1_024;

/// Counts damage in ffmpeg's standard error, which comes in pieces of any size.
#[derive(Debug, Clone, Default)]
pub struct Damage {
    count: u64,
    last: bool,
    line: Vec<u8>,
}

impl Damage {
    /// Takes the next bytes; lines may be cut anywhere.
    pub fn feed(&mut self, bytes: &[u8]) {
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            let room = LINE_BYTES_MAX.saturating_sub(self.line.len());
            self.line.extend_from_slice(&piece[..piece.len().min(room)]);
            if piece.ends_with(b"\n") {
                self.end();
            }
        }
    }

    /// Packets and pictures that could not be decoded as they are.
    pub const fn count(&self) -> u64 {
        self.count
    }

    fn end(&mut self) {
        let line = std::mem::take(&mut self.line);
        let line = String::from_utf8_lossy(&line);
        if let Some((_, rest)) = line.split_once(AGAIN) {
            let times = rest.split(' ').next().and_then(|times| times.parse::<u64>().ok()).unwrap_or(1);
            self.count = self.count.saturating_add(if self.last { times } else { 0 });
            return;
        }
        self.last = DAMAGE.iter().any(|said| line.contains(said));
        self.count += u64::from(self.last);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count(text: &str) -> u64 {
        let mut whole = Damage::default();
        whole.feed(text.as_bytes());
        let mut pieces = Damage::default();
        text.as_bytes().chunks(7).for_each(|piece| pieces.feed(piece));
        assert_eq!(whole.count(), pieces.count());
        whole.count()
    }

    #[test]
    fn refused_packets_and_concealed_pictures_are_counted_with_their_repeats() {
        assert_eq!(count("[warning] in: corrupt decoded frame in stream 0\n"), 1);
        let text = "[error] Error while decoding stream #0:0: Invalid data found when processing input\n    Last message repeated 4 times\n";
        assert_eq!(count(text), 5);
        let mixed = "[h264 @ 0x1] [error] error while decoding MB 8 3, bytestream -8\n[warning] in: corrupt decoded frame in stream 0\n";
        assert_eq!(count(mixed), 1);
    }

    #[test]
    fn what_is_said_of_the_pictures_before_a_seek_is_no_damage() {
        let text = "[h264 @ 0x1] [error] mmco: unref short failure\n    Last message repeated 2 times\n[h264 @ 0x1] [error] co located POCs unavailable\n";
        assert_eq!(count(text), 0);
    }

    #[test]
    fn a_line_without_an_end_is_not_kept() {
        let mut damage = Damage::default();
        for _ in 0..100 {
            damage.feed(&[b'x'; 1_000]);
        }
        assert!(damage.line.len() <= LINE_BYTES_MAX);
        damage.feed(b"\nin: corrupt decoded frame in stream 0\n");
        assert_eq!(damage.count(), 1);
    }
}
