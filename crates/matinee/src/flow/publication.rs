//! Publications as people wish and see them, and the hosts as an administrator sees and tries them.

use http::HeaderMap;
use matinee_core::breaker::Breaker;
use matinee_core::host::{Standing, Usage};
use matinee_core::id::{AppId, EntryId, PublicationId, VideoId};
use matinee_core::publication::Phase;
use matinee_core::throttle::Urgency;
use matinee_core::time::Millis;
use matinee_core::upload::Way;
use matinee_io::clock::Stopwatch;
pub(crate) use matinee_io::db::Publication;
pub(crate) use matinee_io::db::host::Call;
use matinee_io::db::{Left, NewPublication, Upload, Vacating};
pub(crate) use matinee_io::host::{Forged, Playback};
use matinee_io::host::{HostError, Query, Wanted};
use matinee_io::random;
use serde_json::json;

pub(crate) use super::outside::playback;
use super::outside::{self, Stop};
use super::{Failure, now, whole};
use crate::node::Node;
use crate::node::hosts::Known;

/// So many of the last calls of a host are shown.
const CALLS_SHOWN: u32 = 50;
/// Bytes of the video that a trial announces; none is sent.
const TRIAL_BYTES: u64 = 1 << 20;

/// A host as it is shown.
pub(crate) struct Shown {
    pub(crate) name: String,
    pub(crate) kind: &'static str,
    pub(crate) identity: String,
    pub(crate) breaker: Breaker,
    /// When it answered last.
    pub(crate) spoke: Option<Millis>,
    /// What was wrong last, and when.
    pub(crate) error: Option<(String, Millis)>,
    /// Videos there that are not proven gone.
    pub(crate) held: u64,
    /// What is used of what was paid for, where it tells.
    pub(crate) usage: Option<Usage>,
    /// Is it being emptied?
    pub(crate) vacating: Option<Vacating>,
    /// What is left there.
    pub(crate) left: Left,
    pub(crate) calls: Vec<Call>,
}

/// One step of a trial.
pub(crate) struct Tried {
    pub(crate) step: &'static str,
    /// What was wrong.
    pub(crate) error: Option<String>,
    pub(crate) took_ms: u64,
}

/// Wishes a video to be at a host; what is there already stays.
pub(crate) async fn publish(
    node: &Node,
    (app, video): (AppId, VideoId),
    host: &str,
) -> Result<Publication, Failure> {
    let known = node.db.video(app, video).await?.ok_or(Failure::Absent)?;
    if node.hosts.named(host).is_none() {
        return Err(outside::unknown(node, host));
    }
    if outside::is_emptied(node, host).await? {
        return Err(outside::emptied(host));
    }
    if known.source.is_none() {
        let there = node.db.publications(video).await?;
        let living = |one: &Publication| one.host == host && one.phase != Phase::Failed;
        if let Some(there) = there.into_iter().find(living) {
            return Ok(there);
        }
        let human = "This video went straight to a host, so its file cannot be published from here.";
        return Err(Failure::Refused { conflict: true, human: human.to_owned() });
    }
    let new = NewPublication { id: node.maker.sign(random::id()), app, video, host: host.to_owned() };
    Ok(node.db.publish(&new, random::id(), now()).await?)
}

/// Nobody wants a video at a host any more: it is deleted there. The only place of a video is left with the video.
pub(crate) async fn withdraw(node: &Node, (app, video): (AppId, VideoId), host: &str) -> Result<(), Failure> {
    let known = node.db.video(app, video).await?.ok_or(Failure::Absent)?;
    if known.source.is_none() {
        let human = "Only this host has the video; delete the video instead.".to_owned();
        return Err(Failure::Refused { conflict: true, human });
    }
    Ok(node.db.withdraw((app, video), host, now()).await?)
}

/// What there is at hosts of an upload that goes straight to one, with the hosts that do not answer, and since when.
pub(crate) async fn of_upload(
    node: &Node,
    upload: &Upload,
) -> Result<(Vec<Publication>, Vec<(String, Millis)>), Failure> {
    if upload.way != Way::Direct {
        return Ok((Vec::new(), Vec::new()));
    }
    Ok((node.db.publications(upload.video).await?, whole::away(node).await?))
}

/// The hosts that do not answer, and since when.
pub(crate) async fn away(node: &Node) -> Result<Vec<(String, Millis)>, Failure> {
    whole::away(node).await
}

/// A host tells that something has changed; `None` when there is no such host.
pub(crate) async fn hear(
    node: &Node,
    host: &str,
    headers: &HeaderMap,
    body: &[u8],
) -> Result<Option<Result<u64, Forged>>, Failure> {
    let Some(known) = node.hosts.named(host) else { return Ok(None) };
    match known.host.hints(headers, body, now()) {
        Ok(remotes) => Ok(Some(Ok(node.db.hint(host, &remotes, now()).await?))),
        Err(forged) => {
            tracing::warn!(host, %forged, "a webhook was not believed");
            Ok(Some(Err(forged)))
        }
    }
}

/// All hosts of the configuration.
pub(crate) async fn hosts(node: &Node) -> Result<Vec<Shown>, Failure> {
    let (rows, held) = (node.db.hosts().await?, node.db.held_by_hosts().await?);
    let mut all = Vec::new();
    for known in node.hosts.all() {
        let row = rows.iter().find(|row| row.name == known.name);
        all.push(Shown {
            name: known.name.clone(),
            kind: known.host.kind(),
            identity: known.host.identity(),
            breaker: row.map_or(Breaker::Closed, |row| row.breaker),
            spoke: row.and_then(|row| row.spoke),
            error: row.and_then(|row| row.error.clone()),
            usage: row.and_then(|row| row.usage),
            vacating: row.and_then(|row| row.vacating.clone()),
            left: node.db.left_at_host(&known.name).await?,
            held: held.iter().find(|(name, _)| *name == known.name).map_or(0, |(_, things)| *things),
            calls: node.db.host_calls(&known.name, CALLS_SHOWN).await?,
        });
    }
    Ok(all)
}

/// What is to happen to all that a host has of ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Vacate<'a> {
    /// It goes.
    Away,
    /// It goes when it is ready at this other host.
    To(&'a str),
    /// It stays, and more may come.
    Stop,
}

/// Empties a host, or lets it be filled again.
pub(crate) async fn vacate(node: &Node, host: &str, wish: Vacate<'_>) -> Result<Shown, Failure> {
    let known = node.hosts.named(host).ok_or(Failure::Absent)?;
    if let Vacate::To(to) = wish {
        if node.hosts.named(to).is_none() {
            return Err(outside::unknown(node, to));
        }
        if to == host {
            let human = "What leaves a host cannot go to the same host.".to_owned();
            return Err(Failure::Refused { conflict: false, human });
        }
        if outside::is_emptied(node, to).await? {
            return Err(outside::emptied(to));
        }
    }
    node.db.host_known(&known.name, &known.host.identity(), now()).await?;
    let how = match wish {
        Vacate::Away => Some(Vacating { since: now(), to: None }),
        Vacate::To(to) => Some(Vacating { since: now(), to: Some(to.to_owned()) }),
        Vacate::Stop => None,
    };
    node.db.vacate_host(host, how).await?;
    hosts(node).await?.into_iter().find(|shown| shown.name == host).ok_or(Failure::Absent)
}

/// Tries a host with a video that is made, found, asked for and deleted; it is in the ledger like every other. Stops at the first
/// step that does not work; what is left of it goes like everything else.
pub(crate) async fn trial(node: &Node, host: &str) -> Result<Vec<Tried>, Failure> {
    let to = node.hosts.named(host).ok_or(Failure::Absent)?;
    node.db.host_known(&to.name, &to.host.identity(), now()).await?;
    let mut trial = Trial { node, to, key: node.maker.sign(random::id()), steps: Vec::new() };
    match trial.run().await {
        Ok(()) => Ok(trial.steps),
        Err(Stop::Ours(failure)) => Err(failure),
        Err(stop) => {
            if let Some(last) = trial.steps.last_mut() {
                last.error = Some(stop.to_string());
            }
            Ok(trial.steps)
        }
    }
}

struct Trial<'a> {
    node: &'a Node,
    to: &'a Known,
    key: PublicationId,
    steps: Vec<Tried>,
}

impl Trial<'_> {
    async fn run(&mut self) -> Result<(), Stop> {
        let (node, to, key) = (self.node, self.to, self.key);
        // It belongs to no video; the app pays that everybody has.
        let new = NewPublication {
            id: key,
            app: node.defaults.app,
            video: VideoId::from_bits(key.bits()),
            host: to.name.clone(),
        };
        node.db.outside_trial(&new, now()).await?;
        let wanted = Wanted {
            title: "matinee tries this host".to_owned(),
            size: TRIAL_BYTES,
            duration_ms: Some(1_000),
            mime: "video/mp4".to_owned(),
        };
        let id = self.step("create", to.host.create(key, &wanted, now())).await?.id;
        node.db.publication_made(key, (&id, None), now()).await?;
        let status = self.step("status", to.host.status(&id)).await?;
        holds(status.standing == Standing::AwaitingUpload, "it does not know the video that it has made")?;
        let query = Query::Key(key);
        let page = self.step("list", to.host.list(&query, None)).await?;
        holds(page.items.iter().any(|one| one.id == id), "its list does not show the video yet")?;
        self.step("delete", to.host.delete(&id)).await?;
        let gone = self.step("gone", to.host.status(&id)).await?;
        holds(gone.standing == Standing::Gone, "it has said that it deleted the video, and has it")?;
        let proof = json!({ "removed": "deleted", "second_look": "absent", "at_ms": now().0 });
        let entry = EntryId::from_bits(key.bits());
        let control = Some(now().plus(to.pace.control_ms));
        match node.db.outside_gone(entry, (proof, control), now()).await {
            // The node that deals with this host was there first.
            Ok(()) | Err(matinee_io::db::DbError::Absent) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    async fn step<T>(
        &mut self,
        name: &'static str,
        work: impl Future<Output = Result<T, HostError>>,
    ) -> Result<T, Stop> {
        let clock = Stopwatch::start();
        self.steps.push(Tried { step: name, error: None, took_ms: 0 });
        let done = outside::ask(self.node, self.to, (name, Urgency::Person), work).await;
        if let Some(last) = self.steps.last_mut() {
            last.took_ms = clock.elapsed_ms();
        }
        done
    }
}

/// A host that does not do what it says has refused, as far as a trial is concerned.
fn holds(right: bool, wrong: &str) -> Result<(), Stop> {
    if right { Ok(()) } else { Err(Stop::Said(HostError::Refused(wrong.to_owned()))) }
}
