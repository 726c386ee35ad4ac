//! What the world does: one module per outside thing. Siblings never name each other.

pub mod broker;
pub mod cache;
pub mod child;
pub mod clock;
pub mod db;
pub mod errand;
pub mod fetch;
pub mod ffmpeg;
pub mod folder;
pub mod host;
pub mod random;
pub mod sender;
pub mod spool;
pub mod store;
