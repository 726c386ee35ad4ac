//! What is kept of a video: every object that lies in a store for it, and which rendition it is of.

use matinee_core::id::{AppId, VideoId};
pub(crate) use matinee_io::db::Lying;

use super::Failure;
use crate::node::Node;

/// An object of a video.
pub(crate) struct Kept {
    pub(crate) lying: Lying,
    /// The rendition whose file it is.
    pub(crate) rendition: Option<String>,
}

/// All objects of a video, the oldest first.
pub(crate) async fn all(node: &Node, (app, id): (AppId, VideoId)) -> Result<Vec<Kept>, Failure> {
    let video = node.db.video(app, id).await?.ok_or(Failure::Absent)?;
    let renditions = node.db.renditions(video.id).await?;
    let objects = node.db.lying(app, video.id).await?;
    let kept = objects.into_iter().map(|lying| {
        // The main sound lies in the file of a picture, which comes before it.
        let mut of = renditions.iter().filter(|row| {
            row.file == Some(lying.object) || row.webm.is_some_and(|(webm, _)| webm == lying.object)
        });
        Kept { rendition: of.next().map(|row| row.name.clone()), lying }
    });
    Ok(kept.collect())
}
