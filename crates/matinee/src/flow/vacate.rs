//! Empties a host: each video that it has of ours is withdrawn there, when it is ready where it is to be first.

use matinee_core::id::VideoId;
use matinee_io::db::{DbError, NewPublication, Publication};
use matinee_io::random;

use super::now;
use super::outside::Stop;
use crate::node::Node;
use crate::node::hosts::Known;

/// So many are on their way at once: each is a whole file that is sent.
const ROUND: u32 = 20;

/// One round, if the host is being emptied.
pub(super) async fn round(node: &Node, to: &Known) -> Result<(), Stop> {
    let row = node.db.hosts().await?.into_iter().find(|row| row.name == to.name);
    let Some(vacating) = row.and_then(|row| row.vacating) else { return Ok(()) };
    let next = vacating.to.as_deref();
    for (publication, there) in node.db.publications_to_move(&to.name, next, ROUND).await? {
        let done = match (next, there) {
            (None, _) | (Some(_), Some(true)) => withdraw(node, &publication).await,
            (Some(next), None) => publish(node, &publication, next).await,
            // It is on its way.
            (Some(_), Some(false)) => Ok(()),
        };
        match done {
            // The video was deleted meanwhile.
            Ok(()) | Err(DbError::Absent) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

async fn withdraw(node: &Node, of: &Publication) -> Result<(), DbError> {
    node.db.withdraw((of.app, of.video), &of.host, now()).await
}

async fn publish(node: &Node, of: &Publication, host: &str) -> Result<(), DbError> {
    let video: VideoId = of.video;
    let new = NewPublication { id: node.maker.sign(random::id()), app: of.app, video, host: host.to_owned() };
    node.db.publish(&new, random::id(), now()).await.map(drop)
}
