//! `matinee jobs`: what is being done, was done, or was given up.

use std::io::Write;
use std::process::ExitCode;

use matinee_core::id::{JobId, VideoId};
use matinee_core::job::{Attempt, State};
use serde_json::json;

use super::Form;
use super::text::{Column, ago, moment, plain, short, table};
use crate::config::Flags;
use crate::flow::Failure;
use crate::flow::job::{self, Job, Wanted};
use crate::http::view;
use crate::node::Node;

/// Which jobs, or what to do with one.
#[derive(Debug, clap::Args)]
#[command(
    args_conflicts_with_subcommands = true,
    after_help = "Examples:\n  matinee jobs\n  matinee jobs ls --state dead\n  matinee jobs retry job_01k..."
)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    order: Option<Order>,
    #[command(flatten)]
    list: ListArguments,
}

#[derive(Debug, clap::Subcommand)]
enum Order {
    /// Lists jobs, the newest first
    Ls(ListArguments),
    /// Shows a job with its attempts
    Show(OneArguments),
    /// Runs a job again that was given up
    Retry(OneArguments),
    /// Cancels a job; one that runs is asked to stop
    Cancel(OneArguments),
}

#[derive(Debug, Clone, clap::Args)]
struct ListArguments {
    /// Only jobs in this state
    #[arg(long, value_name = "STATE", value_parser = ["blocked", "ready", "leased", "done", "dead", "cancelled"])]
    state: Option<String>,
    /// Only jobs of this video
    #[arg(long, value_name = "ID")]
    video: Option<VideoId>,
    /// At most so many
    #[arg(long, value_name = "N", default_value_t = 50)]
    limit: u32,
    #[command(flatten)]
    form: Form,
}

#[derive(Debug, Clone, clap::Args)]
struct OneArguments {
    /// The job's id
    #[arg(value_name = "ID")]
    id: JobId,
    /// Only says what the job is now, and changes nothing
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    form: Form,
}

/// Does what was asked.
pub(crate) async fn run(
    flags: &Flags,
    arguments: &Arguments,
    out: &mut impl Write,
) -> anyhow::Result<ExitCode> {
    let node = super::open_stored(flags).await?;
    let app = node.defaults.app;
    let (told, one) = match &arguments.order {
        None => return list(&node, &arguments.list, out).await,
        Some(Order::Ls(list_arguments)) => return list(&node, list_arguments, out).await,
        Some(Order::Show(one)) => return show(&node, one, out).await,
        Some(Order::Retry(one) | Order::Cancel(one)) if one.dry_run => return show(&node, one, out).await,
        Some(Order::Retry(one)) => (job::retry(&node, app, one.id).await, one),
        Some(Order::Cancel(one)) => (job::cancel(&node, app, one.id).await, one),
    };
    match told {
        Err(Failure::Absent) => Ok(absent(one.id)),
        Err(failure) => Err(failure.into()),
        Ok(job) => {
            if one.form.json {
                writeln!(out, "{}", serde_json::to_string(&view::Job::from(&job))?)?;
            } else if !one.form.quiet {
                let asked = if job.cancel_requested { ", asked to stop" } else { "" };
                writeln!(out, "{} is {}{asked}", job.id, state(&job))?;
            }
            Ok(ExitCode::SUCCESS)
        }
    }
}

fn absent(id: JobId) -> ExitCode {
    super::complain(&format!("matinee: there is no job {id}. `matinee jobs` lists them."));
    ExitCode::from(super::NOT_FOUND)
}

async fn list(node: &Node, arguments: &ListArguments, out: &mut impl Write) -> anyhow::Result<ExitCode> {
    let state = arguments.state.as_deref();
    let state = view::JOB_STATES.iter().find(|(word, _)| Some(*word) == state).map(|(_, state)| *state);
    let wanted = Wanted { state, video: arguments.video, before: None, limit: arguments.limit };
    let jobs = job::list(node, node.defaults.app, &wanted).await?;
    if arguments.form.json {
        for job in &jobs {
            writeln!(out, "{}", serde_json::to_string(&view::Job::from(job))?)?;
        }
    } else if arguments.form.quiet {
        for job in &jobs {
            writeln!(out, "{}", job.id)?;
        }
    } else if jobs.is_empty() {
        writeln!(out, "No jobs.")?;
    } else {
        let columns = [
            ("ID", false),
            ("KIND", false),
            ("STATE", false),
            ("TRIES", true),
            ("MADE", true),
            ("VIDEO", false),
            ("LAST ERROR", false),
        ];
        let rows: Vec<_> = jobs.iter().map(row).collect();
        table(out, &columns.map(|(title, right)| Column(title, right)), &rows)?;
    }
    Ok(ExitCode::SUCCESS)
}

fn row(job: &Job) -> Vec<String> {
    let error = job.last_error.as_ref().map(view::Reason::stored);
    vec![
        job.id.to_string(),
        kind(job),
        state(job),
        job.attempt.to_string(),
        ago(matinee_io::clock::now(), job.created),
        job.video.map(|video| video.to_string()).unwrap_or_default(),
        error.map(|error| short(&error.code, 40)).unwrap_or_default(),
    ]
}

fn kind(job: &Job) -> String {
    use matinee_core::job::Task;
    match &job.task {
        Some(Task::Chunk { chunk, family: 0, .. }) => format!("chunk {}", chunk + 1),
        Some(Task::Chunk { chunk, .. }) => format!("chunk {}, background", chunk + 1),
        Some(task) => task.kind().name().to_owned(),
        None => "unknown".to_owned(),
    }
}

/// The state in words that need no manual.
fn state(job: &Job) -> String {
    match job.state {
        State::Blocked => format!("waits for {}", job.needs),
        State::Ready => "waiting".to_owned(),
        State::Leased => format!("running, {:.0} %", job::done(job) * 100.0),
        State::Done => "done".to_owned(),
        State::Dead => "given up".to_owned(),
        State::Cancelled => "cancelled".to_owned(),
    }
}

async fn show(node: &Node, one: &OneArguments, out: &mut impl Write) -> anyhow::Result<ExitCode> {
    let found = node.db.job(node.defaults.app, one.id).await.map_err(Failure::from)?;
    let Some((job, attempts)) = found else { return Ok(absent(one.id)) };
    if one.form.json {
        let mut value = serde_json::to_value(view::Job::from(&job))?;
        value["attempts"] = attempts.iter().map(attempt_json).collect();
        writeln!(out, "{value}")?;
    } else if !one.form.quiet {
        write_one(out, &job, &attempts)?;
    }
    Ok(ExitCode::SUCCESS)
}

fn write_one(out: &mut impl Write, job: &Job, attempts: &[Attempt]) -> std::io::Result<()> {
    writeln!(out, "{}", kind(job))?;
    writeln!(out, "  id        {}", job.id)?;
    writeln!(out, "  state     {}", state(job))?;
    if let Some(video) = job.video {
        writeln!(out, "  video     {video}")?;
    }
    if let Some(holder) = &job.holder {
        writeln!(out, "  holder    {}", plain(holder))?;
    }
    writeln!(out, "  made      {} UTC, {}", moment(job.created), ago(matinee_io::clock::now(), job.created))?;
    if let Some(error) = job.last_error.as_ref().map(view::Reason::stored) {
        writeln!(out, "  error     {} [{}]", plain(&error.human), error.code)?;
        writeln!(out, "            {}", plain(&error.fix))?;
    }
    for attempt in attempts {
        let end = attempt.ended.map_or_else(
            || "runs".to_owned(),
            |(at, outcome)| {
                format!("{} after {:.1} s", outcome_word(outcome), seconds(at.since(attempt.started)))
            },
        );
        writeln!(out, "  attempt {}  {} UTC  {end}", attempt.attempt, moment(attempt.started))?;
    }
    Ok(())
}

fn attempt_json(attempt: &Attempt) -> serde_json::Value {
    json!({
        "attempt": attempt.attempt,
        "holder": attempt.holder,
        "started_at": view::time(attempt.started),
        "ended_at": attempt.ended.map(|(at, _)| view::time(at)),
        "outcome": attempt.ended.map(|(_, outcome)| outcome),
        "error": attempt.error,
    })
}

fn outcome_word(outcome: matinee_core::job::Outcome) -> String {
    let word = serde_json::to_value(outcome).ok().and_then(|word| word.as_str().map(str::to_owned));
    word.unwrap_or_default().replace('_', " ")
}

#[expect(clippy::cast_precision_loss, reason = "an attempt has no 285,000 years")]
fn seconds(ms: i64) -> f64 {
    ms as f64 / 1_000.0
}
