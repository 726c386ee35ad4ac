//! What is inside a media file, and where: reading and writing MP4 without ever doing input or output.
//!
//! [`index::Indexer`] asks for byte ranges and answers with an [`Index`]; what is written is a [`rope::Rope`].

mod aac;
pub mod audio;
mod bits;
pub mod boxes;
pub mod chunk;
pub mod codec;
pub mod error;
pub mod fragment;
pub mod fragmented;
pub mod h264;
pub mod hybrid;
pub mod index;
pub mod init;
pub mod layout;
#[cfg(test)]
mod made;
mod movie;
pub mod part;
#[cfg(test)]
mod properties;
pub mod rope;
pub mod runs;
pub mod sample;
pub mod samples;
pub mod segment;
#[cfg(test)]
mod support;
mod table;
mod tables;
pub mod track;
mod trak;
mod unfit;
mod write;

pub use error::{FourCc, MediaError};
pub use index::{Indexer, Step};
pub use sample::Sample;
pub use samples::{Facts, Samples};
pub use track::{Coding, Edit, H264, Index, Track, TrackKind};
