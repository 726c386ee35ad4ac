//! What the world does: one module per outside thing. Siblings never name each other.

pub mod clock;
pub mod db;
pub mod fetch;
pub mod ffmpeg;
pub mod random;
pub mod spool;
pub mod store;
