//! What is kept of a video: every object that lies in a store for it, and which rendition it is of.

use matinee_core::id::{AppId, VideoId};
use matinee_core::ledger::State;
pub(crate) use matinee_io::db::Lying;

use super::Failure;
use super::tariff::{place_of, tariff};
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

/// What those that are present cost each month by the cards of their stores, with the word behind it; `None` when none of them
/// has a price.
pub(crate) async fn month_cost(node: &Node, all: &[Kept]) -> Result<(Option<f64>, String), Failure> {
    let tariff = tariff(node).await?;
    let present = all.iter().map(|kept| &kept.lying).filter(|lying| lying.state == State::Present);
    let costs = present
        .filter_map(|lying| tariff.of_stored(place_of(node, &lying.place), lying.size.unwrap_or_default()));
    let costs: Vec<f64> = costs.collect();
    let sum = (!costs.is_empty()).then(|| costs.iter().sum());
    Ok((sum, tariff.currency().to_owned()))
}
