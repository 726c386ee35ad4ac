//! Uploads that are announced: to come here, or to go straight to a host; a key makes a repeat harmless.

use matinee_core::access::sender::{self, Allowance, Grant};
use matinee_core::upload::Way;
use matinee_io::db::{NewDirect, Upload};
use matinee_io::random;

use super::listed::{Listed, show, with_video};
use super::{Draft, create_as};
use crate::flow::direct::ask;
use crate::flow::{Failure, now, outside, upload_key};
use crate::node::Node;

/// An upload that was announced: now, or before by the same words.
pub(crate) struct Announced {
    pub(crate) listed: Listed,
    pub(crate) fresh: bool,
}

/// Announces an upload under an address that needs no other credential. The same announcement with the same
/// repeat key within a day, or with the same external id, is the same upload.
pub(crate) async fn announce(node: &Node, draft: Draft) -> Result<Announced, Failure> {
    if let Some(known) = announced(node, &draft).await? {
        return Ok(known);
    }
    let (app, id) = (draft.app, random::id());
    let deadline = draft.allowance.deadline.unwrap_or_else(now);
    let grant = Grant {
        upload: id,
        expires_s: u32::try_from(deadline.0 / 1_000).unwrap_or(u32::MAX),
        max_bytes: draft.allowance.max_bytes.unwrap_or(node.config.uploads.max_bytes),
    };
    let key = sender::sign(&node.path_key, &grant);
    match create_as(node, draft.clone(), (id, key)).await {
        Ok(opened) => Ok(Announced { listed: show(node, app, opened.id).await?, fresh: true }),
        // Somebody announced the same in this very moment.
        Err(Failure::Refused { conflict: true, human }) => {
            announced(node, &draft).await?.ok_or(Failure::Refused { conflict: true, human })
        }
        Err(failure) => Err(failure),
    }
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

/// The upload that was announced before with the same key or name.
async fn announced(node: &Node, draft: &Draft) -> Result<Option<Announced>, Failure> {
    let (mut known, mut by) = (None, "");
    if let Some(key) = &draft.repeat_key {
        known = node.db.upload_repeated(draft.app, key, now()).await?;
        by = "This Idempotency-Key was used for another upload within the last 24 hours.";
    }
    if let Some(name) = draft.external_id.as_ref().filter(|_| known.is_none()) {
        known = node.db.upload_named(draft.app, name).await?;
        by = "This `external_id` names another upload, or its video.";
    }
    let Some(known) = known else { return Ok(None) };
    if !is_same(&known, draft) {
        return Err(Failure::Refused { conflict: true, human: by.to_owned() });
    }
    Ok(Some(Announced { listed: with_video(node, known).await?, fresh: false }))
}

/// Was the known upload announced with the same words? When it ends may differ: each repeat is a little later.
fn is_same(known: &Upload, draft: &Draft) -> bool {
    let terms =
        |allowance: &Allowance| (allowance.max_bytes, allowance.max_duration_ms, allowance.origins.clone());
    (known.way == Way::Direct) == (draft.way == Way::Direct)
        && known.title == draft.title
        && known.metadata == draft.metadata
        && known.facts == draft.facts
        && known.collection == draft.collection
        && known.external_id == draft.external_id
        && known.pipeline == draft.pipeline
        && draft.size.is_none_or(|size| known.size == Some(size))
        && terms(&known.allowance) == terms(&draft.allowance)
}
