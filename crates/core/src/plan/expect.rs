//! What a chunk of a plan must be, whoever encodes it.

use super::{Chunk, Rendition, Video};
use crate::media::chunk::Expect;

impl Video {
    /// What this chunk must be in this rendition; `entry_hash` is that of the rendition's first part.
    pub fn expect(&self, chunk: &Chunk, rendition: &Rendition, entry_hash: Option<[u8; 32]>) -> Expect {
        let every = rendition.every.max(1);
        Expect {
            frames: chunk.frames.div_ceil(u64::from(every)),
            last: chunk.number as usize + 1 == self.chunks.len(),
            gop: self.gop / every,
            ticks_per_frame: self.rate.ticks_per_frame() * every,
            timescale: self.rate.timescale(),
            width: small(rendition.width),
            height: small(rendition.height),
            reorder_frames: rendition.codec.reorder_frames(),
            codec: rendition.codec.sample_entry(),
            delay_ticks: None,
            entry_hash,
        }
    }
}

fn small(pixels: u32) -> u16 {
    u16::try_from(pixels).expect("because the plan refuses pictures beyond 8192 pixels")
}
