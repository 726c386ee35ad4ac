//! One attempt at one job: fetch the source, do the work, bring back what was made, and renew the lease all the while.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use matinee_core::hash::hex;
use matinee_core::job::Task;
use matinee_core::job::load::Progress;
use matinee_core::job::retry::Class;
use matinee_core::plan::{Plan, Refusal, argv};
use matinee_io::clock::Stopwatch;
use matinee_io::errand::{CallError, measure};
use serde_json::Value;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::source::Reading;
use super::{PATIENCE, Pause, Shop};
use crate::errand::{Blame, Completion, Errand, GivingUp, Made, Renewal, Renewed};
use crate::flow::fault::Fault;
use crate::flow::ran::Runs;
use crate::flow::scratch::Scratch;
use crate::flow::work::pictures::Sketch;
use crate::flow::work::{Bench, Learned, Told};

/// After a renewal that did not come through, the next is tried so soon.
const RENEW_AGAIN: Duration = Duration::from_secs(1);
/// After a failure that the server did not hear of, a slot takes nothing new for so long.
const UNHEARD_REST: Duration = Duration::from_secs(10);

/// How an attempt ended.
enum End {
    /// It is published.
    Done,
    /// Somebody else has the job, or it was taken back: nothing is to be said.
    Gone(String),
    /// It failed here.
    Failed(Fault),
    /// It is given back unfinished.
    Returned,
}

impl From<Fault> for End {
    fn from(fault: Fault) -> Self {
        Self::Failed(fault)
    }
}

impl From<std::io::Error> for End {
    fn from(error: std::io::Error) -> Self {
        Self::Failed(error.into())
    }
}

/// One attempt.
struct Attempt<'a> {
    shop: &'a Shop,
    errand: &'a Errand,
    /// The addresses that were given last: of the source, and of each output by its key.
    urls: Mutex<(String, BTreeMap<String, String>)>,
    stop: CancellationToken,
    progress: watch::Sender<Progress>,
    runs: Runs,
}

/// What is asked of the server until there is an answer.
enum Request<'a> {
    /// The rest of the source.
    Bring(&'a Path),
    /// The rest of an output, or all of it anew.
    Send { path: &'a Path, made: &'a Made, anew: bool },
    /// To judge what was made.
    Complete(&'a Completion),
}

/// Does one job to whatever end.
pub(super) async fn perform(shop: &Shop, errand: Errand) {
    let outputs = errand.outputs.iter().map(|output| (output.key.clone(), output.url.clone()));
    let urls = (errand.input.url.clone(), outputs.collect());
    let attempt = Attempt {
        shop,
        errand: &errand,
        urls: Mutex::new(urls),
        stop: CancellationToken::new(),
        progress: watch::Sender::new(Progress::default()),
        runs: Runs::default(),
    };
    let end = tokio::select! {
        end = attempt.run() => end,
        end = attempt.renew() => end,
        () = shop.give_back.cancelled() => End::Returned,
    };
    // An encoder that still runs is ended with the future that waited for it.
    attempt.stop.cancel();
    attempt.report(end).await;
}

impl Attempt<'_> {
    async fn run(&self) -> End {
        match self.work().await {
            Ok(()) => End::Done,
            Err(end) => end,
        }
    }

    async fn work(&self) -> Result<(), End> {
        let plan: Plan = read(&self.errand.plan)?;
        let task: Task = read(&self.errand.task)?;
        let sketch: Option<Sketch> = read(&self.errand.sketch)?;
        let source = self.source().await?;
        let scratch = Scratch::below(&self.shop.work_dir)?;
        if let Some(mark) = &self.errand.mark {
            let png = BASE64.decode(mark).map_err(|_| Fault::world("the watermark arrived damaged"))?;
            tokio::fs::write(scratch.file(argv::MARK), png).await?;
        }
        let bench = Bench {
            ffmpeg: &self.shop.ffmpeg,
            engines: &self.shop.engines,
            plan: &plan,
            input: std::path::absolute(source.path())?,
            dir: scratch.path(),
            safe_profile: self.errand.safe_profile,
            stop: &self.stop,
            progress: Box::new(|done| {
                self.progress.send_modify(|said| said.done = done);
            }),
            stall_ms: matinee_core::limits::STALL_MS.unsigned_abs(),
            told: Box::new(|told| self.hear(&told)),
        };
        let learned = bench.perform(&task, sketch.as_ref()).await?;
        drop(source);
        self.hand_in(&scratch, learned).await
    }

    fn hear(&self, told: &Told<'_>) {
        if let Told::Saw(at) = told {
            self.progress
                .send_modify(|said| (said.frame, said.fps, said.speed) = (at.frame, at.fps, at.speed));
        }
        self.runs.hear(told);
    }

    /// The programs as the server is told of them, when something about them is new.
    fn runs(&self) -> Value {
        self.runs.to_tell(&self.shop.dir).unwrap_or_default()
    }

    /// The source on this disk, fetched by the first job that needs it.
    async fn source(&self) -> Result<Reading<'_>, End> {
        let input = &self.errand.input;
        let mut reading = self.shop.sources.hold(&input.key, input.size_bytes).await;
        let whole = |path: &Path| path.metadata().is_ok_and(|file| file.len() == input.size_bytes);
        if !whole(&reading.path()) {
            let part = reading.part();
            self.until_through(&Request::Bring(&part)).await?;
            if let Some(expected) = &input.blake3
                && hex(&measure(&part).await?.1) != *expected
            {
                std::fs::remove_file(&part)?;
                return Err(Fault::world("the source arrived damaged; it is fetched again").into());
            }
            std::fs::rename(&part, reading.path())?;
        }
        reading.opened();
        Ok(reading)
    }

    /// Brings every output to the server, then says so.
    async fn hand_in(&self, scratch: &Scratch, learned: Learned) -> Result<(), End> {
        let mut made = Vec::with_capacity(self.errand.outputs.len());
        for output in &self.errand.outputs {
            let path = scratch.file(&output.name);
            let (size_bytes, hash) = measure(&path).await?;
            made.push((path, Made { key: output.key.clone(), size_bytes, blake3: hex(&hash) }));
        }
        self.send(&made, false).await?;
        match self.complete(&made, learned).await {
            // Something on the way has changed the bytes: once more, from the first on.
            Err(End::Gone(code)) if code == "output_mismatch" => {
                self.send(&made, true).await?;
                match self.complete(&made, learned).await {
                    Err(End::Gone(code)) if code == "output_mismatch" => {
                        Err(Fault::world("what arrives at the server is not what was sent").into())
                    }
                    completed => completed,
                }
            }
            completed => completed,
        }
    }

    async fn send(&self, made: &[(PathBuf, Made)], anew: bool) -> Result<(), End> {
        for (path, made) in made {
            self.until_through(&Request::Send { path, made, anew }).await?;
        }
        Ok(())
    }

    async fn complete(&self, made: &[(PathBuf, Made)], learned: Learned) -> Result<(), End> {
        let said = |(_, made): &(PathBuf, Made)| Made {
            key: made.key.clone(),
            size_bytes: made.size_bytes,
            blake3: made.blake3.clone(),
        };
        let lease = &self.errand.lease;
        let completion = Completion {
            attempt: lease.attempt,
            token: lease.token.clone(),
            outputs: made.iter().map(said).collect(),
            damage: learned.damage,
            leveled: learned.leveled,
            runs: self.runs(),
        };
        self.until_through(&Request::Complete(&completion)).await
    }

    /// Repeats a request until the server has answered it; an address that is over is replaced by the next renewal.
    async fn until_through(&self, request: &Request<'_>) -> Result<(), End> {
        let mut pause = Pause::default();
        loop {
            match self.once(request).await {
                Ok(()) => return Ok(()),
                Err(CallError::Away(cause)) => {
                    tracing::debug!(cause, job = self.errand.lease.id, "a request is repeated");
                }
                Err(CallError::Refused { code, .. })
                    if code == "token_expired" || code == "upload_offset" => {}
                Err(CallError::Refused { code, .. }) if !code.is_empty() => return Err(End::Gone(code)),
                Err(CallError::Refused { human, .. }) => return Err(End::Gone(human)),
                Err(CallError::File(error)) => return Err(error.into()),
            }
            pause.wait().await;
        }
    }

    async fn once(&self, request: &Request<'_>) -> Result<(), CallError> {
        let server = &self.shop.server;
        match *request {
            Request::Bring(part) => {
                let url = self.urls().0.clone();
                server.bring(&url, part, self.errand.input.size_bytes).await
            }
            Request::Send { path, made, anew } => {
                let url = self.urls().1.get(&made.key).cloned().unwrap_or_default();
                server.send(&url, path, made.size_bytes, anew).await
            }
            Request::Complete(completion) => {
                let path = format!("/v1/lease/{}/complete", self.errand.lease.id);
                server.ask::<_, Value>(&path, completion, 2 * PATIENCE).await.map(drop)
            }
        }
    }

    fn urls(&self) -> MutexGuard<'_, (String, BTreeMap<String, String>)> {
        self.urls.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Renews the lease until it is lost, or nobody wants the work; measured by our own steady clock.
    async fn renew(&self) -> End {
        let lease = &self.errand.lease;
        let every = Duration::from_millis(lease.renew_ms.unsigned_abs().max(1_000));
        let last_ms = lease.lease_ms.saturating_sub(lease.renew_ms).unsigned_abs();
        let path = format!("/v1/lease/{}/renew", lease.id);
        let (mut alive, mut next) = (Stopwatch::start(), every / 2);
        loop {
            tokio::time::sleep(next).await;
            let Progress { done, frame, fps, speed } = *self.progress.borrow();
            let (attempt, token, runs) = (lease.attempt, lease.token.clone(), self.runs());
            let renewal = Renewal { attempt, token, done, frame, fps, speed, runs };
            let asked = Stopwatch::start();
            match self.shop.server.ask::<_, Renewed>(&path, &renewal, every).await {
                Ok(Some(renewed)) if renewed.cancel => return End::Returned,
                Ok(Some(renewed)) => {
                    let outputs = renewed.outputs.into_iter().map(|output| (output.key, output.url));
                    *self.urls() = (renewed.input_url, outputs.collect());
                    (alive, next) = (asked, every / 2);
                }
                Err(CallError::Refused { code, .. }) => return End::Gone(code),
                Ok(None) | Err(_) if alive.elapsed_ms() < last_ms => next = RENEW_AGAIN,
                Ok(None) | Err(_) => return End::Gone("the server was away for too long".to_owned()),
            }
        }
    }

    /// Says how it ended, when that is for us to say.
    async fn report(&self, end: End) {
        let lease = &self.errand.lease;
        let (class, fault) = match end {
            End::Done => return tracing::info!(job = lease.id, "a job is done"),
            End::Gone(why) => return tracing::warn!(job = lease.id, why, "a job is dropped"),
            End::Failed(fault) => {
                tracing::warn!(job = lease.id, %fault, "a job failed here");
                let class = match fault.class {
                    Class::World => Blame::World,
                    Class::Refusal | Class::Damage if blames_source(&fault) => Blame::Source,
                    Class::Refusal | Class::Damage | Class::Crash => Blame::Crash,
                };
                (class, Some(fault))
            }
            End::Returned => (Blame::Returned, None),
        };
        let problem = fault.as_ref().map(|fault| &fault.problem);
        let giving_up = GivingUp {
            attempt: lease.attempt,
            token: lease.token.clone(),
            class,
            code: problem.map(|problem| problem.code.clone()).unwrap_or_default(),
            human: problem.map(|problem| problem.human.clone()).unwrap_or_default(),
            detail: fault.map_or(Value::Null, |fault| short(fault.detail)),
            runs: self.runs(),
        };
        let path = format!("/v1/lease/{}/fail", lease.id);
        // Whoever does not hear it waits for the end of the lease.
        if let Err(error) = self.shop.server.ask::<_, Value>(&path, &giving_up, PATIENCE).await {
            tracing::warn!(%error, job = lease.id, "the server has not heard how a job ended; its slot rests");
            if !matches!(&error, CallError::Refused { code, .. } if code == "lease_lost") {
                self.rest().await;
            }
        }
    }

    /// The same job would be claimed, would fail and be refused again as fast as can be.
    async fn rest(&self) {
        tokio::select! {
            () = tokio::time::sleep(UNHEARD_REST) => {}
            () = self.shop.give_back.cancelled() => {}
        }
    }
}

/// Is it said that the source is damaged, or that nothing of it can be decoded?
fn blames_source(fault: &Fault) -> bool {
    [Refusal::Damaged.code(), Refusal::Undecodable.code()].contains(&fault.problem.code.as_str())
}

fn read<T: serde::de::DeserializeOwned>(value: &Value) -> Result<T, End> {
    serde_json::from_value(value.clone()).map_err(|error| {
        let human = format!("this release of the runner does not understand the job: {error}");
        Fault::new(Class::World, "unknown_task", human, "Install the same release on both machines.").into()
    })
}

/// Most bytes of the encoder's last words that are told; the rest is in no log that anybody needs.
const STDERR_BYTES: usize = 4 << 10;

/// The end of what ffmpeg said says most.
fn short(mut detail: Value) -> Value {
    if let Some(Value::String(said)) = detail.get_mut("stderr") {
        let from = said.len().saturating_sub(STDERR_BYTES);
        let from = (from..said.len()).find(|at| said.is_char_boundary(*at)).unwrap_or(said.len());
        *said = said[from..].to_owned();
    }
    detail
}
