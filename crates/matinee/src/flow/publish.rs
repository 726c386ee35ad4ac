//! The publish job: has a video made at a host, sends it there, and leaves it to the host. It may end anywhere, and begin
//! again.

use std::fs::File;
use std::sync::Arc;

use matinee_core::host::Standing;
use matinee_core::id::ObjectId;
use matinee_core::job::retry::Class;
use matinee_core::limits::{HOST_ASK_MAX_MS, HOST_PULL_MS, HOST_PUSH_WAIT_MAX_MS, HOST_PUSH_WAIT_MS};
use matinee_core::plan::Container;
use matinee_core::publication::{HandOver, Phase};
use matinee_core::throttle::Urgency;
use matinee_core::time::Millis;
use matinee_core::video::{Medium, Problem, RenditionState};
use matinee_io::db::{Publication, Video};
use matinee_io::host::{HostError, Push, Target, Wanted};
use matinee_io::random;

use super::coding::{source, video};
use super::creation::{Intent, Made};
use super::fault::Fault;
use super::lease::Hold;
use super::outside::{self, Stop};
use super::play::{brought_in, is_changed, lend};
use super::{home, now};
use crate::node::Node;
use crate::node::hosts::Known;

/// So often in a row a host may want a fresh signature.
const SIGNED_MAX: u32 = 3;
/// So often an attempt goes on after a connection that broke, before it is put aside.
const BROKEN_MAX: u32 = 3;

/// The file that a host is given.
struct Whole {
    file: Arc<File>,
    wanted: Wanted,
    /// Where it can be fetched: a path.
    lent: String,
}

/// How an attempt goes on.
enum Way<T> {
    On(T),
    /// The job was put aside, or is over.
    Over,
}

/// One attempt.
struct Attempt<'a> {
    node: &'a Node,
    hold: &'a Hold,
    to: &'a Known,
    publication: Publication,
    whole: Whole,
}

/// Brings a video to a host, as far as this attempt comes.
pub(crate) async fn perform(node: &Node, hold: &Hold, host: &str) -> Result<(), Fault> {
    let Some(to) = node.hosts.named(host) else { return Err(unknown(host)) };
    let wished = node.db.publication_held(&hold.lease, (node.maker.sign(random::id()), host), now()).await?;
    let Some(publication) = wished else { return Ok(()) };
    if publication.remote.is_none() && outside::is_emptied(node, host).await? {
        let reason = Problem {
            code: "host_emptied".to_owned(),
            human: format!("The host `{host}` is being emptied."),
            fix: "Publish the video to another host.".to_owned(),
        };
        return Ok(node.db.publication_refused(&hold.lease, publication.id, &reason, now()).await?);
    }
    let whole = whole(node, video(node, hold).await?, hold).await?;
    let mut attempt = Attempt { node, hold, to, publication, whole };
    let target = match outside::open(node, &attempt.publication) {
        Some(target) if attempt.publication.phase == Phase::Uploading => Some(target),
        Some(_) | None => match attempt.make().await? {
            Way::On(target) => target,
            Way::Over => return Ok(()),
        },
    };
    match target {
        Some(target) => attempt.send(target).await,
        None => Ok(node.db.publication_pulled(&hold.lease, attempt.publication.id, now()).await?),
    }
}

fn unknown(host: &str) -> Fault {
    Fault::new(
        Class::Refusal,
        "unknown_host_name",
        format!("This video is to be published to `{host}`, which this server does not know."),
        "Put the [[host]] back into the server's configuration, and publish the video again.",
    )
}

/// What is sent: the file that somebody brought in, or the largest picture where that one may not be seen.
async fn whole(node: &Node, video: Video, hold: &Hold) -> Result<Whole, Fault> {
    let expires = now().plus(HOST_PULL_MS);
    let (object, mime, lent) = if is_changed(&video) {
        let (object, name) = largest(node, &video).await?;
        (object, "video/mp4", lend(node, &video, Some(&name), expires))
    } else {
        let mime = mime(video.probe.as_ref().and_then(brought_in));
        (source(&video)?, mime, lend(node, &video, None, expires))
    };
    if home::bring(node, object).await? {
        return Err(Fault::world("what a host is to get lies in a store and is being brought back"));
    }
    let path = node.object_path(object)?;
    let opened = tokio::task::spawn_blocking(move || {
        let file = File::open(path)?;
        let size = file.metadata()?.len();
        Ok::<_, std::io::Error>((Arc::new(file), size))
    });
    let (file, size) = opened.await.map_err(|panic| Fault::world(panic.to_string()))??;
    hold.progress(0.0);
    let wanted = Wanted { title: video.title, size, duration_ms: video.duration_ms, mime: mime.to_owned() };
    Ok(Whole { file, wanted, lent })
}

/// The file of the largest picture, and what the rendition is called.
async fn largest(node: &Node, video: &Video) -> Result<(ObjectId, String), Fault> {
    let renditions = node.db.renditions(video.id).await?;
    let fits = |one: &&matinee_io::db::Rendition| {
        one.generation == video.encoding
            && one.medium == Medium::Video
            && !one.background
            && one.state == RenditionState::Ready
    };
    let largest = renditions.iter().filter(fits).min_by_key(|one| one.place);
    let largest = largest.and_then(|one| Some((one.file?, one.name.clone())));
    // The source lacks what everybody is to see, so nothing else can be given away.
    largest.ok_or_else(|| Fault::world("the pictures that may be seen are not made yet"))
}

const fn mime(container: Option<Container>) -> &'static str {
    match container {
        Some(Container::Mov) => "video/mp4",
        Some(Container::Matroska) => "video/x-matroska",
        Some(Container::Mpegts) => "video/mp2t",
        Some(Container::Avi) => "video/x-msvideo",
        Some(_) | None => "application/octet-stream",
    }
}

impl Attempt<'_> {
    /// Has the video made, or finds the one that was made before; then where its bytes go, or nothing when the host fetches them.
    async fn make(&mut self) -> Result<Way<Option<Target>>, Fault> {
        loop {
            let (asked, is_refused) = (self.publication.hand_over, self.publication.pull_refused.is_some());
            let pulls = HandOver::of(asked, self.to.hand_over, is_refused) == HandOver::Pull;
            let from = pulls.then(|| format!("{}{}", self.to.reach, self.whole.lent));
            let intent = Intent {
                node: self.node,
                to: self.to,
                id: self.publication.id,
                wanted: &self.whole.wanted,
                from: from.as_deref(),
                lease: Some(self.hold.lease),
                urgency: Urgency::Work,
            };
            return match intent.make().await {
                Ok(Made::There(target)) => Ok(Way::On(Some(target))),
                Ok(Made::Pulls) => Ok(Way::On(None)),
                Ok(Made::Later(at)) => self.later(at).await,
                Ok(Made::Unwanted) => Err(Fault::world("nobody wants it any more")),
                Err(Stop::Said(HostError::Refused(why))) if pulls => {
                    self.unpulled(&why).await?;
                    continue;
                }
                Err(stop) => self.stopped(stop).await,
            };
        }
    }

    /// The host does not fetch it; it may take the same bytes when they are sent.
    async fn unpulled(&mut self, why: &str) -> Result<(), Fault> {
        let reason = Problem {
            code: "host_pull_refused".to_owned(),
            human: format!("The host does not fetch this video from us: {why}"),
            fix: "Nothing has to be done: it is sent instead.".to_owned(),
        };
        tracing::info!(publication = %self.publication.id, why, "a host does not fetch a video; it is sent");
        let id = self.publication.id;
        self.node.db.publication_unpulled(&self.hold.lease, id, &reason, now()).await?;
        self.publication.pull_refused = Some(reason);
        Ok(())
    }

    /// Sends what the host does not have yet.
    async fn send(&mut self, target: Target) -> Result<(), Fault> {
        match self.push(target).await? {
            Way::On(()) => {
                Ok(self.node.db.publication_whole(&self.hold.lease, self.publication.id, now()).await?)
            }
            Way::Over => Ok(()),
        }
    }

    async fn push(&mut self, target: Target) -> Result<Way<()>, Fault> {
        let (node, id) = (self.node, self.publication.id);
        let pusher = node.hosts.pusher.clone().map_err(|error| Fault::world(error.to_string()))?;
        let (file, size) = (Arc::clone(&self.whole.file), self.whole.wanted.size);
        let mut target = target;
        if !target.created {
            let mut begun = pusher.begin(target.clone(), size).await;
            if let Err(HostError::Unauthorised(_)) = begun {
                // A signature may end before anything was sent.
                let Some(remote) = self.remote().await? else { return Ok(Way::Over) };
                begun = match self.to.host.target(&remote, &target, now()).await {
                    Ok(fresh) => pusher.begin(fresh, size).await,
                    Err(error) => Err(error),
                };
            }
            match begun {
                Ok(begun) => target = begun,
                Err(error) => return self.broke(error).await,
            }
            self.keep(Some(&target)).await?;
        }
        let (mut signed, mut broken) = (0, 0);
        // Who stands where it stood has taken nothing, whatever it says.
        let mut farthest = None;
        let mut stands = pusher.look(&target, size).await;
        loop {
            stands = match stands {
                Ok(Push::Whole) => return Ok(Way::On(())),
                Ok(Push::At(offset)) => {
                    if farthest < Some(offset) {
                        (farthest, signed) = (Some(offset), 0);
                    } else if broken < BROKEN_MAX {
                        broken += 1;
                    } else {
                        let why = format!("it stays at byte {offset}, whatever is sent");
                        return self.broke(HostError::Again(why)).await;
                    }
                    self.publication.offset = offset;
                    self.keep(None).await?;
                    pusher.send(&target, (&file, size), offset).await
                }
                Ok(Push::SignAgain) if signed < SIGNED_MAX => {
                    signed += 1;
                    let Some(remote) = self.remote().await? else { return Ok(Way::Over) };
                    match self.to.host.target(&remote, &target, now()).await {
                        Ok(fresh) => target = fresh,
                        Err(error) => return self.broke(error).await,
                    }
                    self.keep(Some(&target)).await?;
                    pusher.look(&target, size).await
                }
                Ok(Push::SignAgain) => {
                    return self
                        .broke(HostError::Unauthorised("it does not take our signature".to_owned()))
                        .await;
                }
                Ok(Push::Gone) => return self.gone().await,
                Err(HostError::Again(why)) if broken < BROKEN_MAX => {
                    broken += 1;
                    tracing::info!(publication = %id, why, "a hand-over of bytes broke; it goes on where it stands");
                    pusher.look(&target, size).await
                }
                Err(error) => return self.broke(error).await,
            };
        }
    }

    /// Keeps how far it is, and where its bytes go if that has changed.
    async fn keep(&self, target: Option<&Target>) -> Result<(), Fault> {
        #[expect(clippy::cast_precision_loss, reason = "it is shown in percent")]
        let done = self.publication.offset as f64 / self.whole.wanted.size.max(1) as f64;
        self.hold.progress(done);
        let (id, offset) = (self.publication.id, self.publication.offset);
        let sealed = target.map(|target| outside::close(self.node, id, target));
        Ok(self.node.db.publication_sent(&self.hold.lease, id, (sealed, offset), now()).await?)
    }

    /// The host's name for it.
    async fn remote(&self) -> Result<Option<String>, Fault> {
        Ok(self.node.db.outside_of(self.publication.id).await?.and_then(|owed| owed.remote))
    }

    /// The host does not know the upload any more: it has all of it, or it has lost the video.
    async fn gone(&self) -> Result<Way<()>, Fault> {
        let Some(remote) = self.remote().await? else { return Ok(Way::Over) };
        let asked = ("status", Urgency::Work);
        let told = match outside::ask(self.node, self.to, asked, self.to.host.status(&remote)).await {
            Ok(told) => told,
            Err(stop) => return self.stopped(stop).await,
        };
        if !matches!(told.standing, Standing::Gone | Standing::AwaitingUpload) {
            return Ok(Way::On(()));
        }
        let human = "The host has lost the upload before it was complete.".to_owned();
        self.refused("host_lost_upload", human).await
    }

    /// The attempt ends for now, or for ever.
    async fn stopped<T>(&self, stop: Stop) -> Result<Way<T>, Fault> {
        match stop {
            Stop::Ours(failure) => Err(failure.into()),
            Stop::Said(HostError::Refused(why)) => {
                self.refused("host_refused", format!("The host does not take this video: {why}")).await
            }
            // It is woken when a host that was away is back.
            Stop::Away(_)
            | Stop::Said(
                HostError::Full(_)
                | HostError::Throttled(_)
                | HostError::Unauthorised(_)
                | HostError::Again(_)
                | HostError::Ambiguous(_),
            ) => self.later(now().plus(HOST_ASK_MAX_MS)).await,
        }
    }

    /// Bytes could not be sent: later again, unless the host does not want them.
    async fn broke<T>(&self, error: HostError) -> Result<Way<T>, Fault> {
        if let HostError::Refused(why) = error {
            return self.refused("host_refused", format!("The host does not take this file: {why}")).await;
        }
        let failures = self.node.db.publication_broke(self.publication.id).await?;
        let doubled = HOST_PUSH_WAIT_MS.checked_shl(failures.saturating_sub(1).min(20));
        let wait_ms = doubled.unwrap_or(HOST_PUSH_WAIT_MAX_MS).min(HOST_PUSH_WAIT_MAX_MS);
        tracing::info!(publication = %self.publication.id, %error, wait_ms, "bytes could not be sent to a host yet");
        self.later(now().plus(wait_ms)).await
    }

    async fn refused<T>(&self, code: &str, human: String) -> Result<Way<T>, Fault> {
        let fix = "Mend what the host says, and publish the video there again.".to_owned();
        let reason = Problem { code: code.to_owned(), human, fix };
        self.node.db.publication_refused(&self.hold.lease, self.publication.id, &reason, now()).await?;
        Ok(Way::Over)
    }

    async fn later<T>(&self, at: Millis) -> Result<Way<T>, Fault> {
        self.node.db.put_off_publication(&self.hold.lease, at, now()).await?;
        Ok(Way::Over)
    }
}
