//! A runner: a worker on another machine that knows nothing but a server's address and its own token.
//!
//! It asks for one job after the other, does the same work as a node, and brings back what was made. All state that matters
//! is the server's: a runner may vanish at any moment.

mod attempt;
mod badge;
mod source;

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use matinee_core::hardware::Usable;
use matinee_core::hash::hex;
use matinee_core::limits;
use matinee_core::runner::Report;
use matinee_io::errand::{CallError, Server};
use matinee_io::ffmpeg::Ffmpeg;
use matinee_io::random;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use self::badge::Badge;
use self::source::Sources;
use crate::errand::{Errand, Joining, Registered, Wish};

/// A server that answers a claim does so within this.
const CLAIM_PATIENCE: Duration = Duration::from_millis(limits::RUNNER_POLL_MS + 15_000);
/// Every other answer comes within this.
const PATIENCE: Duration = Duration::from_secs(30);
/// The first and the longest pause before a server is asked again that was away.
const PAUSE_MS: std::ops::RangeInclusive<u64> = 250..=10_000;
/// A server that has no use for this machine is asked again after this: it may be upgraded.
const UNFIT_PAUSE: Duration = Duration::from_secs(30);

/// What an owner says.
pub(crate) struct Settings {
    /// The address of the server.
    pub(crate) server: String,
    /// The registration token, for the first start.
    pub(crate) registration: Option<String>,
    /// Certificates in PEM that are believed besides those of this machine.
    pub(crate) authorities: Option<Vec<u8>>,
    /// Where the runner keeps its token and sources.
    pub(crate) dir: PathBuf,
    /// Bytes of sources that are kept while no job reads them.
    pub(crate) keep_bytes: u64,
    /// How long running jobs may go on when the runner is to end.
    pub(crate) drain: Duration,
}

/// Why a runner cannot go on.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failed {
    /// It was never registered here.
    #[error(
        "this runner is not registered at {0}. Make a registration token there (`matinee runner token`) and give it with \
         --token"
    )]
    Unregistered(String),
    /// The server does not want it.
    #[error("{human} {fix}")]
    Refused {
        /// A sentence.
        human: String,
        /// What to do.
        fix: String,
    },
    /// Its token is void.
    #[error(
        "this runner was revoked at {0}, or the server has forgotten it. To register it anew, start it with a new --token"
    )]
    Revoked(String),
    /// Another runner uses the same directory.
    #[error("another runner works in {0}; give this one another --data")]
    Busy(String),
    /// The disk.
    #[error("the disk of this machine: {0}")]
    Disk(#[from] std::io::Error),
}

/// What all attempts of a runner share.
pub(crate) struct Shop {
    server: Server,
    ffmpeg: Ffmpeg,
    engines: Vec<Usable>,
    sources: Sources,
    work_dir: PathBuf,
    /// All that is ours lies below it.
    dir: PathBuf,
    /// Cancelled when even running work is to be given back.
    give_back: CancellationToken,
}

/// Works until `leave` is cancelled, then finishes or gives back what it has; `hurry` ends that at once.
pub(crate) async fn run(
    settings: Settings,
    (ffmpeg, engines, report): (Ffmpeg, Vec<Usable>, Report),
    (leave, hurry): (CancellationToken, CancellationToken),
) -> Result<(), Failed> {
    let mut badge = Badge::open(&settings.dir, &settings.server)?;
    let server = Server::new(&settings.server, settings.authorities.as_deref()).map_err(failed)?;
    let token = match badge.token() {
        Some(token) => token,
        None => register(&server, &settings, &mut badge, (&report, &leave)).await?,
    };
    let work_dir = settings.dir.join("work");
    if work_dir.exists() {
        std::fs::remove_dir_all(&work_dir)?;
    }
    std::fs::create_dir_all(&work_dir)?;
    let shop = Shop {
        server: server.with_token(&token),
        ffmpeg,
        engines,
        sources: Sources::open(&settings.dir.join("sources"), settings.keep_bytes)?,
        work_dir,
        dir: settings.dir.clone(),
        give_back: CancellationToken::new(),
    };
    let shift = Shift {
        shop: Arc::new(shop),
        report,
        run: hex(&random::bytes::<16>()),
        holding: Arc::default(),
        works: JoinSet::new(),
        settings,
    };
    let ended = shift.work(leave, hurry).await;
    if matches!(ended, Err(Failed::Revoked(_))) {
        badge.forget()?;
    }
    ended
}

/// Becomes a runner of a server; asked again until there is an answer.
async fn register(
    server: &Server,
    settings: &Settings,
    badge: &mut Badge,
    (report, leave): (&Report, &CancellationToken),
) -> Result<String, Failed> {
    let Some(registration_token) = settings.registration.clone() else {
        return Err(Failed::Unregistered(settings.server.clone()));
    };
    // The number is kept before it is used: whoever loses the answer asks the same again.
    let asked = Joining { registration_token, nonce: badge.nonce()?, report: report.clone() };
    let mut pause = Pause::default();
    loop {
        let answer = server.ask::<_, Registered>("/v1/runner/register", &asked, PATIENCE).await;
        match answer {
            Ok(Some(registered)) => {
                badge.keep(&registered)?;
                tracing::info!(runner = registered.id, name = registered.name, "registered");
                return Ok(registered.token);
            }
            Ok(None) => return Err(failed(CallError::Away("the server answered nothing".to_owned()))),
            Err(CallError::Away(cause)) => {
                tracing::warn!(cause, "the server cannot be reached yet");
                tokio::select! {
                    () = pause.wait() => {}
                    () = leave.cancelled() => return Err(failed(CallError::Away(cause))),
                }
            }
            Err(error) => return Err(failed(error)),
        }
    }
}

fn failed(error: CallError) -> Failed {
    match error {
        CallError::Refused { human, fix, .. } => Failed::Refused { human, fix },
        CallError::Away(cause) => {
            let human = format!("The server could not be reached: {cause}.");
            Failed::Refused { human, fix: "Check the address.".to_owned() }
        }
        CallError::File(error) => Failed::Disk(error),
    }
}

/// One run of a runner: jobs in hand, and the wish for more.
struct Shift {
    shop: Arc<Shop>,
    report: Report,
    run: String,
    holding: Arc<Mutex<BTreeSet<String>>>,
    works: JoinSet<()>,
    settings: Settings,
}

impl Shift {
    async fn work(mut self, leave: CancellationToken, hurry: CancellationToken) -> Result<(), Failed> {
        let mut pause = Pause::default();
        let mut welcome = false;
        let ended = loop {
            while self.works.try_join_next().is_some() {}
            if self.works.len() >= self.report.slots as usize {
                tokio::select! {
                    _ = self.works.join_next() => continue,
                    () = leave.cancelled() => break Ok(()),
                }
            }
            let asked = tokio::select! {
                asked = self.ask(false) => asked,
                () = leave.cancelled() => break Ok(()),
            };
            let rest = match asked {
                Ok(errand) => {
                    pause = Pause::default();
                    welcome = true;
                    match errand {
                        Some(errand) => self.begin(errand),
                        None if self.works.is_empty() => self.shop.sources.forget_unused(),
                        None => {}
                    }
                    continue;
                }
                Err(CallError::Refused { code, human, .. }) if welcome && code == "runner_unfit" => {
                    tracing::error!(human, "the server has no use for this machine any more");
                    UNFIT_PAUSE
                }
                Err(CallError::Away(cause)) => {
                    tracing::warn!(cause, "the server cannot be reached; it is asked again");
                    pause.next()
                }
                // Nobody waits for what is in hand.
                Err(CallError::Refused { status: 401, .. }) => {
                    hurry.cancel();
                    break Err(Failed::Revoked(self.settings.server.clone()));
                }
                Err(error) => {
                    hurry.cancel();
                    break Err(failed(error));
                }
            };
            tokio::select! {
                () = tokio::time::sleep(rest) => {}
                () = leave.cancelled() => break Ok(()),
            }
        };
        self.leave(hurry).await;
        ended
    }

    async fn ask(&self, leaving: bool) -> Result<Option<Errand>, CallError> {
        let wish = Wish {
            run: self.run.clone(),
            holding: self.held().iter().cloned().collect(),
            leaving,
            report: self.report.clone(),
        };
        let patience = if leaving { Duration::from_secs(5) } else { CLAIM_PATIENCE };
        self.shop.server.ask("/v1/runner/claim", &wish, patience).await
    }

    fn held(&self) -> std::sync::MutexGuard<'_, BTreeSet<String>> {
        self.holding.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    fn begin(&mut self, errand: Errand) {
        let id = errand.lease.id.clone();
        tracing::info!(job = id, attempt = errand.lease.attempt, task = %errand.task, "a job begins");
        self.held().insert(id.clone());
        let (shop, holding) = (Arc::clone(&self.shop), Arc::clone(&self.holding));
        self.works.spawn(async move {
            attempt::perform(&shop, errand).await;
            holding.lock().unwrap_or_else(std::sync::PoisonError::into_inner).remove(&id);
        });
    }

    /// Finishes what is in hand, or gives it back when that takes too long or somebody is in a hurry.
    async fn leave(mut self, hurry: CancellationToken) {
        if !self.works.is_empty() {
            tracing::info!(jobs = self.works.len(), "leaving: running jobs are finished first");
        }
        let all = async { while self.works.join_next().await.is_some() {} };
        let finished = tokio::select! {
            () = all => true,
            () = tokio::time::sleep(self.settings.drain) => false,
            () = hurry.cancelled() => false,
        };
        if !finished {
            self.shop.give_back.cancel();
            while self.works.join_next().await.is_some() {}
        }
        // A job that was given to us just now, and that we have not heard of, goes on elsewhere at once.
        if let Err(error) = self.ask(true).await {
            tracing::debug!(%error, "the server has not heard that we leave");
        }
    }
}

/// Growing pauses between tries, so that a server that comes back is not run over.
#[derive(Debug, Default)]
pub(crate) struct Pause {
    tries: u32,
}

impl Pause {
    fn next(&mut self) -> Duration {
        let full = (PAUSE_MS.start() << self.tries.min(16)).min(*PAUSE_MS.end());
        self.tries += 1;
        let jitter = u64::from(u32::from_le_bytes(random::bytes()));
        Duration::from_millis(full / 2 + jitter % (full / 2 + 1))
    }

    async fn wait(&mut self) {
        tokio::time::sleep(self.next()).await;
    }
}
