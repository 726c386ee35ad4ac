//! A still of any moment, for who may watch: made when it is asked for first, then kept for a while.

use std::io;
use std::path::PathBuf;

use bytes::Bytes;
use matinee_core::id::VideoId;
use matinee_core::thumbnail::{Refusal, Thumbnail};
use matinee_core::video::Medium;
use matinee_io::cache::Name;

use super::Failure;
use super::still::{self, Size};
use crate::node::Node;
use crate::shelf::Shown;

/// Which still of what is shown is meant by a time in seconds and a width in pixels.
pub(crate) fn wanted(shown: &Shown, at_s: Option<f64>, width: Option<u32>) -> Result<Thumbnail, Refusal> {
    let pictures = shown.tracks.iter().filter(|track| track.medium == Medium::Video);
    let length_ms = pictures.map(crate::shelf::Shelved::length_ms).max();
    Thumbnail::of(at_s, width, length_ms.unwrap_or_default())
}

/// The still, a JPEG picture, for an address of this generation. Its name says so: what was begun before another one took
/// its place, on whatever node, is never shown for that.
pub(crate) async fn thumbnail(
    node: &Node,
    (video, generation): (VideoId, u32),
    wanted: Thumbnail,
) -> Result<Bytes, Failure> {
    let name = Name { video, file: wanted.name(generation) };
    let still = (wanted.at_ms, Size::Width(wanted.width));
    node.thumbnails.get(&name, || still::at(node, video, still, &node.darkroom)).await
}

/// What lies beside the stills of this node: those of other nodes, dead or alive.
pub(crate) fn others(node: &Node) -> io::Result<Vec<PathBuf>> {
    let own = node.thumbnails_dir();
    let Some(all) = own.parent() else { return Ok(Vec::new()) };
    match std::fs::read_dir(all) {
        Ok(entries) => {
            let paths = entries.map(|entry| entry.map(|entry| entry.path()));
            paths.filter(|path| path.as_ref().map_or(true, |path| *path != own)).collect()
        }
        // Nothing was kept yet.
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}
