//! Uploads that go straight to a host: the host is asked for an address, and no byte passes here.

use matinee_core::time::Millis;
use matinee_core::upload::{Phase, Way};
use matinee_io::db::{NewDirect, Publication, Upload};
use matinee_io::host::Target;
use matinee_io::random;

use super::Draft;
use super::listed::{Announced, announced, show};
use crate::flow::direct::ask;
use crate::flow::{Failure, now, outside, upload_key, whole};
use crate::node::Node;

/// What is known of an upload that goes straight to a host, while it does.
pub(crate) struct Direct {
    pub(crate) publication: Publication,
    /// Where its bytes go; none until the host has made the video, and when it has them all.
    pub(crate) target: Option<Target>,
    /// Since when the host does not answer.
    pub(crate) away: Option<Millis>,
}

/// Announces an upload that goes straight to a host. The host is asked now; when it does not answer, it is asked again until
/// it does, and the upload says so meanwhile.
pub(crate) async fn announce_at(node: &Node, draft: Draft, host: &str) -> Result<Announced, Failure> {
    let Some(to) = node.hosts.named(host) else { return Err(outside::unknown(node, host)) };
    let draft = Draft { way: Way::Direct, ..draft };
    if let Some(known) = announced(node, &draft).await? {
        return same_host(known, host);
    }
    if outside::is_emptied(node, host).await? {
        return Err(outside::emptied(host));
    }
    let deadline = draft.allowance.deadline.unwrap_or_else(now);
    let (app, id) = (draft.app, random::id());
    let upload = draft.clone().named((id, upload_key()), deadline);
    let ask_again = now().plus(to.pace.look_ms);
    let new = NewDirect {
        upload,
        publication: node.maker.sign(random::id()),
        host: host.to_owned(),
        ask: ask_again,
    };
    match node.db.create_direct(&new).await.map_err(Failure::from) {
        // Somebody announced the same in this very moment.
        Err(Failure::Refused { conflict: true, human }) => {
            let known = announced(node, &draft).await?;
            return same_host(known.ok_or(Failure::Refused { conflict: true, human })?, host);
        }
        created => created?,
    }
    ask(node, to, (&new.upload, new.publication)).await?;
    Ok(Announced { listed: show(node, app, id).await?, fresh: true })
}

/// An announcement names one host.
fn same_host(known: Announced, host: &str) -> Result<Announced, Failure> {
    let there = known.listed.direct.as_ref().is_none_or(|direct| direct.publication.host == host);
    if there {
        return Ok(known);
    }
    let human = "This announcement was made before, for another host.".to_owned();
    Err(Failure::Refused { conflict: true, human })
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
