//! What a host is to have of a video besides: our captions as they are now, and the whole as a file where that is wished.

use std::collections::HashMap;

use matinee_core::id::ObjectId;
use matinee_core::language;
use matinee_core::limits::{CAPTION_BYTES_MAX, HOST_ROW_WAIT_MS};
use matinee_core::publication::Phase;
use matinee_core::publication::besides::{Besides, Change, Download, Making, Original, Put, Spoken};
use matinee_core::throttle::Urgency;
use matinee_io::db::Publication;
use matinee_io::host::HostError;

use super::outside::{self, Stop};
use super::play::is_changed;
use super::{Failure, home, now};
use crate::node::Node;
use crate::node::hosts::Known;

/// So many videos are seen to in one round.
const ROUND: u32 = 20;
/// A file that is being made is asked for once in so many lists: nobody waits for it, and each question is for one.
const POLLS: i64 = 3;

/// Sees to those whose captions have changed, or whose file is being made.
pub(super) async fn round(node: &Node, to: &Known) -> Result<(), Stop> {
    for publication in node.db.publications_besides(&to.name, now(), ROUND).await? {
        let Some(remote) = publication.remote.clone() else { continue };
        let besides = publication.besides.clone();
        let mut there = There { node, to, publication, remote, besides };
        let done = there.see().await;
        let next = match &done {
            Ok(true) => None,
            Ok(false) => Some(now().plus(to.pace.poll_ms * POLLS)),
            Err(_) => Some(now().plus(HOST_ROW_WAIT_MS)),
        };
        node.db.publication_besides(&there.publication, &there.besides, next).await?;
        done?;
    }
    Ok(())
}

/// A video at a host, with what is there of it.
struct There<'a> {
    node: &'a Node,
    to: &'a Known,
    publication: Publication,
    remote: String,
    besides: Besides,
}

impl There<'_> {
    /// Whether nothing more is to be asked for.
    async fn see(&mut self) -> Result<bool, Stop> {
        self.captions().await?;
        self.original().await?;
        self.file().await
    }

    /// Compares what the host was given with what we have, when a copy of it in a store has told its digest.
    async fn original(&mut self) -> Result<(), Stop> {
        let Some(theirs) = self.to.host.original(&self.publication.facts) else { return Ok(()) };
        let video = self.node.db.video_any(self.publication.video).await?;
        let sent = video.filter(|video| !is_changed(video)).and_then(|video| video.source);
        let copies = match sent {
            Some(source) => self.node.db.replicas(source).await?,
            None => Vec::new(),
        };
        let Some(ours) = copies.into_iter().find_map(|copy| copy.sums) else { return Ok(()) };
        let found = Original::of(theirs, &ours.sha256);
        if found == Original::Differs && self.besides.original != Some(found) {
            let (publication, host) = (self.publication.id, &self.to.name);
            tracing::error!(%publication, host, theirs, ours = ours.sha256, "a host has other bytes than it was sent");
        }
        self.besides.original = Some(found);
        Ok(())
    }

    async fn captions(&mut self) -> Result<(), Stop> {
        if !self.to.captions {
            return Ok(());
        }
        let captions = self.node.db.captions(self.publication.video).await?;
        let spoken = captions.iter().filter_map(|caption| {
            let label = language::label(&caption.title, &caption.language);
            let (language, forced) = (caption.language.clone(), caption.forced);
            Some(Spoken { language, label, forced, object: caption.file?.0 })
        });
        let sizes: HashMap<_, _> = captions.iter().filter_map(|caption| caption.file).collect();
        for change in self.besides.changes(spoken.collect()) {
            match change {
                Change::Remove(language) => self.remove(&language).await?,
                Change::Put(words) => {
                    let size = sizes.get(&words.object).copied().unwrap_or_default();
                    self.put(words, size).await?;
                }
            }
        }
        Ok(())
    }

    async fn remove(&mut self, language: &str) -> Result<(), Stop> {
        let work = self.to.host.uncaption(&self.remote, language);
        outside::ask(self.node, self.to, ("captions", Urgency::Work), work).await?;
        self.besides.captions.remove(language);
        Ok(())
    }

    /// What the host does not take is remembered with its words, and not sent again until it has changed.
    async fn put(&mut self, words: Spoken, size: u64) -> Result<(), Stop> {
        let text = text(self.node, (words.object, size)).await?;
        let work = self.to.host.caption(&self.remote, &words, &text);
        let refused = match outside::ask(self.node, self.to, ("captions", Urgency::Work), work).await {
            Ok(()) => None,
            Err(Stop::Said(HostError::Refused(why))) => Some(why),
            Err(stop) => return Err(stop),
        };
        self.besides.captions.insert(words.language, Put { object: words.object, refused });
        Ok(())
    }

    /// Whether there is a file, or will be none.
    async fn file(&mut self) -> Result<bool, Stop> {
        let ready = self.publication.phase == Phase::Ready;
        if !self.besides.is_unfinished(self.to.downloads, ready) {
            return Ok(true);
        }
        let work = self.to.host.download(&self.remote, self.besides.download.as_ref());
        let said = match outside::ask(self.node, self.to, ("download", Urgency::Work), work).await {
            // It makes none of this one.
            Err(Stop::Said(HostError::Refused(_))) => Some(Download { state: Making::Failed, percent: None }),
            said => said?,
        };
        let over = said.as_ref().is_none_or(|download| download.state != Making::Making);
        self.besides.download = said;
        Ok(over)
    }
}

/// The words of a caption, whose file has so many bytes.
async fn text(node: &Node, (object, size): (ObjectId, u64)) -> Result<String, Failure> {
    if home::bring(node, object).await? {
        return Err(Failure::Again("captions lie in a store and are being brought back".to_owned()));
    }
    let len = usize::try_from(size).unwrap_or(CAPTION_BYTES_MAX).min(CAPTION_BYTES_MAX);
    let bytes = node.store.read_at(object, 0, len).await?;
    String::from_utf8(bytes.into()).map_err(|error| Failure::Never(error.to_string()))
}
