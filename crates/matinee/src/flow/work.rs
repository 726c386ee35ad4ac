//! The work of a job without its publishing: a plan and one file become files. A node does it, and so does a runner.

mod hardware;
pub(crate) mod pictures;

use std::path::{Path, PathBuf};

use matinee_core::hardware::Usable;
use matinee_core::hash::hex;
use matinee_core::job::Task;
use matinee_core::job::retry::Class;
use matinee_core::loudness::{Leveled, Measured};
use matinee_core::plan::{self, Chunk, Plan, Refusal, Track, argv};
use matinee_core::runner;
use matinee_io::ffmpeg::{Ffmpeg, Finished, Job, Limits, Program, Progress, RunError, Stdout, Word};
use tokio_util::sync::CancellationToken;

use self::pictures::Sketch;
use super::fault::Fault;
use super::scratch::Scratch;

/// What one attempt works with, whoever holds its lease.
pub(crate) struct Bench<'a> {
    pub(crate) ffmpeg: &'a Ffmpeg,
    /// Encoders in hardware that it may use.
    pub(crate) engines: &'a [Usable],
    pub(crate) plan: &'a Plan,
    /// The absolute path of the one file that is read.
    pub(crate) input: PathBuf,
    /// The directory of this attempt.
    pub(crate) dir: &'a Path,
    /// One decoder thread, one rendition at a time, no seeking.
    pub(crate) safe_profile: bool,
    /// Cancelled when nobody wants the work any more.
    pub(crate) stop: &'a CancellationToken,
    /// Hears how much is done, 0 to 1.
    pub(crate) progress: Box<dyn Fn(f64) + Send + Sync + 'a>,
    /// How long ffmpeg may be without a step, at least.
    pub(crate) stall_ms: u64,
    /// Hears what is run and how fast it is, for who looks closer.
    pub(crate) told: Box<dyn Fn(Told<'_>) + Send + Sync + 'a>,
}

/// What an attempt tells of the programs that it runs.
pub(crate) enum Told<'t> {
    /// One begins.
    Begins {
        /// The program with its release.
        program: String,
        /// Its arguments.
        args: &'t [String],
    },
    /// It says how far and how fast it is.
    Saw(&'t Progress),
    /// It has written this to standard error, cut anywhere.
    Said(&'t [u8]),
    /// It is over.
    Ended(&'t Result<Finished, RunError>),
}

/// What the work has shown of the source.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Learned {
    /// How much of the source could not be decoded as it is.
    pub(crate) damage: u64,
    /// How loud a sound was, when that was asked for.
    pub(crate) leveled: Option<Leveled>,
}

impl Learned {
    /// Nothing but how much was damaged.
    const fn damage(damage: u64) -> Self {
        Self { damage, leveled: None }
    }
}

impl Bench<'_> {
    /// Does what a task asks for, into the files whose names go with it.
    pub(crate) async fn perform(&self, task: &Task, sketch: Option<&Sketch>) -> Result<Learned, Fault> {
        match (task, &self.plan.video) {
            (Task::Chunk { chunk, family, .. }, Some(video)) => {
                let chunk = video.chunks.get(*chunk as usize);
                let chunk = chunk.ok_or_else(|| Fault::unverified("the plan has no such chunk"))?;
                self.chunk(video, chunk, *family).await.map(Learned::damage)
            }
            (Task::Audio { track, .. }, _) => {
                let track = self.plan.audio.get(*track as usize);
                let track = track.ok_or_else(|| Fault::unverified("the plan has no such track"))?;
                self.audio(track, argv::AUDIO_OUTPUT, |_| {}).await
            }
            (Task::Poster { .. }, _) => self.poster().await.map(|()| Learned::default()),
            (Task::Storyboard { .. }, _) => {
                let sketch = sketch.ok_or_else(|| Fault::unverified("nobody said what is to be drawn"))?;
                self.storyboard(sketch).await.map(|()| Learned::default())
            }
            (task, _) => Err(Fault::unverified(format!("a runner does no {}", task.kind().name()))),
        }
    }

    /// Encodes one chunk in all renditions of a family, into the files that `argv::chunk_outputs` names.
    /// Returns how much of the source could not be decoded as it is.
    pub(crate) async fn chunk(&self, video: &plan::Video, chunk: &Chunk, family: u32) -> Result<u64, Fault> {
        let known = video.family(family);
        let cascade = known.ok_or_else(|| Fault::unverified(format!("the plan has no family {family}")))?;
        let (input, outputs) = (self.input_text()?, argv::chunk_outputs(cascade));
        let of = |frame: u64, run: usize, runs: usize| {
            #[expect(clippy::cast_precision_loss, reason = "a share of progress needs no exact number")]
            let (frame, frames, run, runs) =
                (frame as f64, chunk.frames.max(1) as f64, run as f64, runs as f64);
            (self.progress)((run + frame / frames) / runs);
        };
        if let Some(engine) = cascade.engine.filter(|_| !self.safe_profile) {
            return self.chunk_by(engine, (video, cascade), chunk, |at| of(at.frame, 0, 1)).await;
        }
        if !self.safe_profile {
            let args = argv::chunk(self.plan, (video, cascade), chunk, input, &outputs);
            return Ok(self.encode(args, |at: Progress| of(at.frame, 0, 1)).await?.damage);
        }
        let mut damage = 0;
        for (n, output) in outputs.iter().enumerate() {
            let args = argv::chunk_safe(self.plan, chunk, (family, n), input, output)
                .ok_or_else(|| Fault::unverified("the plan has no such rendition"))?;
            let done = self.encode(args, |at: Progress| of(at.frame, n, outputs.len())).await;
            let done = done.map_err(undecodable)?;
            damage = damage.max(done.damage);
        }
        Ok(damage)
    }

    /// Encodes one audio track as a whole; `told` hears the microseconds that are written.
    pub(crate) async fn audio(
        &self,
        track: &Track,
        output: &str,
        mut told: impl FnMut(i64) + Send,
    ) -> Result<Learned, Fault> {
        let length_us = self.plan.duration_us.max(1);
        // Measuring is about as much work as encoding.
        let from = if track.loudness_lufs.is_some() { 0.5 } else { 0.0 };
        #[expect(clippy::cast_precision_loss, reason = "a share of progress needs no exact number")]
        let share = |at: Progress| at.out_time_us as f64 / length_us as f64;
        let mut leveled = None;
        if let Some(target) = track.loudness_lufs {
            let args = argv::loudness(self.plan, track, self.input_text()?);
            let finished = self.encode(args, |at| (self.progress)(share(at) * from)).await;
            // What cannot be measured may be heard all the same.
            if !self.safe_profile || finished.is_ok() {
                let measured = Measured::parse(&finished?.stderr_tail)
                    .ok_or_else(|| Fault::unverified("the loudness of the sound was not measured"))?;
                tracing::debug!(?measured, track = track.id, "a sound was measured");
                leveled = Some(measured.leveled(target));
            }
        }
        let gain_tenths = leveled.map(|leveled| leveled.gain_tenths);
        let words = if self.safe_profile { argv::audio_safe } else { argv::audio };
        let args = words(self.plan, track, gain_tenths, self.input_text()?, output);
        let done = |at: Progress| {
            (self.progress)(from + share(at) * (1.0 - from));
            told(at.out_time_us);
        };
        match (self.encode(args, done).await, argv::silence(track, output)) {
            // A film is worth seeing without its sound.
            (Err(fault), Some(silent)) if self.safe_profile && fault.is_exit() => {
                self.encode(silent, |_| {}).await.map(|_| Learned::damage(1))
            }
            (Err(fault), None) if self.safe_profile => Err(undecodable(fault)),
            (done, _) => Ok(Learned { damage: done?.damage, leveled }),
        }
    }

    /// Runs ffmpeg in the attempt's directory with the plan's limits; `done` is told the frames and microseconds.
    pub(crate) async fn encode(
        &self,
        args: Vec<String>,
        done: impl FnMut(Progress) + Send,
    ) -> Result<Finished, Fault> {
        self.encode_with((self.ffmpeg, limits(&self.plan.limits)), args, done).await
    }

    /// The same with programs that reach a device, and other limits.
    async fn encode_with(
        &self,
        (ffmpeg, limits): (&Ffmpeg, Limits),
        args: Vec<String>,
        mut done: impl FnMut(Progress) + Send,
    ) -> Result<Finished, Fault> {
        let job = Job {
            program: Program::Ffmpeg,
            args: args.clone(),
            inputs: vec![self.input.clone()],
            dir: Some(self.dir.to_owned()),
            limits: Limits { stall_ms: self.stall_ms, ..limits },
            stdout: Stdout::Progress,
        };
        let program = format!("ffmpeg {}", ffmpeg.found().version);
        (self.told)(Told::Begins { program, args: &args });
        let hears = |word: Word<'_>| match word {
            Word::At(at) => {
                (self.told)(Told::Saw(&at));
                done(at);
            }
            Word::Said(bytes) => (self.told)(Told::Said(bytes)),
        };
        let run = ffmpeg.run_heard(job, hears, self.stop.cancelled()).await;
        (self.told)(Told::Ended(&run));
        run.map_err(|error| {
            let mut fault = Fault::from(error);
            // It does not say why it gave up, but for a strict plan there is hardly another reason.
            if self.plan.strict && fault.is_exit() {
                fault = Fault { class: Class::Damage, ..Fault::from(Refusal::Damaged).with(fault.detail) };
            }
            fault.detail["args"] = args.into();
            fault
        })
    }

    /// The path of a file of this attempt.
    fn file(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    fn input_text(&self) -> Result<&str, Fault> {
        self.input.to_str().ok_or_else(|| Fault::world("the data directory has a name that is not UTF-8"))
    }
}

/// The hash, in hex, of what these encoders make of a known picture and a known sound: equal where the same source gives
/// the same bytes.
pub(crate) async fn fingerprint(ffmpeg: &Ffmpeg, work_dir: PathBuf) -> Result<String, Fault> {
    let scratch = Scratch::below(&work_dir)?;
    let encoders: Vec<&str> =
        runner::ENCODERS.into_iter().filter(|name| ffmpeg.found().encoders.contains(*name)).collect();
    let job = Job {
        program: Program::Ffmpeg,
        args: argv::sample(&encoders),
        inputs: Vec::new(),
        dir: Some(scratch.path().to_owned()),
        limits: Limits::default(),
        stdout: Stdout::Progress,
    };
    ffmpeg.run(job, |_| {}, std::future::pending()).await?;
    let mut bytes = Vec::new();
    for name in encoders {
        bytes.extend(name.as_bytes());
        bytes.extend(tokio::fs::read(scratch.file(name)).await?);
    }
    Ok(hex(&matinee_core::hash::of(&bytes)))
}

/// A program that says no in the safe profile, where nothing is sought and every hole is filled, has found nothing.
fn undecodable(fault: Fault) -> Fault {
    if fault.is_exit() && fault.class == Class::Crash {
        Fault::from(Refusal::Undecodable).with(fault.detail)
    } else {
        fault
    }
}

fn limits(plan: &plan::Limits) -> Limits {
    Limits {
        cpu_s: plan.cpu_s,
        wall_ms: plan.wall_s.saturating_mul(1_000),
        memory_bytes: plan.memory_bytes,
        output_bytes: plan.output_bytes,
        ..Limits::default()
    }
}
