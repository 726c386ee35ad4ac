//! Uploads that go straight to a host: the host is asked for an address, and no byte passes here.

use matinee_core::time::Millis;
use matinee_core::upload::{Phase, Way};
use matinee_io::db::{Publication, Upload};
use matinee_io::host::Target;

use crate::flow::{Failure, now, outside, whole};
use crate::node::Node;

/// What is known of an upload that goes straight to a host, while it does.
pub(crate) struct Direct {
    pub(crate) publication: Publication,
    /// Where its bytes go; none until the host has made the video, and when it has them all.
    pub(crate) target: Option<Target>,
    /// Since when the host does not answer.
    pub(crate) away: Option<Millis>,
}

/// What there is of an upload at its host.
pub(super) async fn at_host(node: &Node, upload: &Upload) -> Result<Option<Direct>, Failure> {
    if upload.way != Way::Direct {
        return Ok(None);
    }
    let Some(publication) = node.db.publications(upload.video).await?.into_iter().next() else {
        return Ok(None);
    };
    let away = whole::away(node).await?.into_iter().find(|(name, _)| *name == publication.host);
    let target = match (upload.state.phase(), outside::open(node, &publication), &publication.remote) {
        (Phase::Open, Some(known), Some(remote)) => signed(node, (&publication.host, remote), known).await,
        _ => None,
    };
    Ok(Some(Direct { publication, target, away: away.map(|(_, since)| since) }))
}

/// The same target with a right that has just begun.
async fn signed(node: &Node, (host, remote): (&str, &str), known: Target) -> Option<Target> {
    let to = node.hosts.named(host)?;
    match to.host.target(remote, &known, now()).await {
        Ok(target) => Some(target),
        Err(error) => {
            tracing::warn!(host, %error, "an upload to a host cannot be signed anew");
            Some(known)
        }
    }
}

/// Gives up an upload that goes straight to a host: what is there of it goes.
pub(super) async fn give_up(node: &Node, upload: &Upload) -> Result<(), Failure> {
    Ok(node.db.cancel_upload(upload.id, now()).await?)
}
