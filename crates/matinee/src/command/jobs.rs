//! `matinee jobs`: what is being done, was done, or was given up.

use std::io::Write;
use std::process::ExitCode;

mod one;

use matinee_core::id::{JobId, VideoId};
use matinee_core::job::State;
use matinee_core::limits::PRIORITY_MAX;

use super::Form;
use super::ordered::{Listing, Ordered};
use super::text::{Column, ago, short, table, took};
use crate::config::Flags;
use crate::flow::job::{self, Job, Shown, Wanted, Wish};
use crate::flow::{Failure, now};
use crate::http::view;
use crate::node::Node;

/// Which jobs, or what to do with one.
pub(crate) type Arguments = Ordered<Order, ListArguments>;

/// How it is called, for its help.
pub(crate) const EXAMPLES: &str = "Examples:\n  matinee jobs\n  matinee jobs ls --group waiting\n  matinee jobs ls --state dead\n  \
    matinee jobs retry job_01k...\n  matinee jobs reproducer job_01k... > job.tar";

/// What to do.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Order {
    /// Lists jobs, the newest first
    Ls(ListArguments),
    /// Shows a job with its attempts
    Show(OneArguments),
    /// Runs a job again that was given up
    Retry(OneArguments),
    /// Cancels a job; one that runs is asked to stop
    Cancel(OneArguments),
    /// Puts a job before or behind others
    Priority(PriorityArguments),
    /// Writes what is needed to see a dead job fail elsewhere: commands, last words, the first bytes of the source (tar)
    Reproducer(OneArguments),
    /// No new work begins from now on; what runs goes on
    Pause(Form),
    /// Work begins again
    Resume(Form),
}

#[derive(Debug, Clone, clap::Args)]
pub(crate) struct PriorityArguments {
    #[command(flatten)]
    one: OneArguments,
    /// From -100 to 100; a higher one goes first, and 0 is usual
    #[arg(value_name = "PRIORITY", allow_hyphen_values = true, value_parser = clap::value_parser!(i64).range(-PRIORITY_MAX..=PRIORITY_MAX))]
    priority: i64,
    /// All open jobs of the same video, too
    #[arg(long)]
    with_video: bool,
}

#[derive(Debug, Clone, clap::Args)]
pub(crate) struct ListArguments {
    /// Only jobs in this state
    #[arg(long, value_name = "STATE", value_parser = ["blocked", "ready", "leased", "done", "dead", "cancelled"])]
    state: Option<String>,
    /// Only jobs of this group, in the order in which one wants to see them
    #[arg(long, value_name = "GROUP", conflicts_with = "state", value_parser = ["running", "waiting", "retrying", "stuck", "over"])]
    group: Option<String>,
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
pub(crate) struct OneArguments {
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
    arguments: Arguments,
    out: &mut impl Write,
) -> anyhow::Result<ExitCode> {
    let node = super::open_stored(flags).await?;
    let app = node.defaults.app;
    let (told, one) = match &arguments.or(Order::Ls) {
        Order::Ls(wanted) => return list(&node, wanted, out).await,
        Order::Pause(form) => return pause(&node, true, *form, out).await,
        Order::Resume(form) => return pause(&node, false, *form, out).await,
        Order::Reproducer(one) => return one::reproducer(&node, one, out).await,
        Order::Show(one) => return one::show(&node, one, out).await,
        Order::Retry(one) | Order::Cancel(one) | Order::Priority(PriorityArguments { one, .. })
            if one.dry_run =>
        {
            return one::show(&node, one, out).await;
        }
        Order::Retry(one) => (job::retry(&node, app, one.id).await, one.clone()),
        Order::Cancel(one) => (job::cancel(&node, app, one.id).await, one.clone()),
        Order::Priority(order) => {
            let put = job::put(&node, (app, order.one.id), order.priority, order.with_video).await;
            (put, order.one.clone())
        }
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

/// No new work begins, or it begins again.
async fn pause(node: &Node, paused: bool, form: Form, out: &mut impl Write) -> anyhow::Result<ExitCode> {
    let since = job::pause(node, node.defaults.app, paused).await?;
    if form.json {
        writeln!(out, "{}", serde_json::to_string(&view::Pause { paused_at: since.map(view::time) })?)?;
    } else if !form.quiet {
        let text = if paused { "paused: no new work begins; what runs goes on" } else { "work begins again" };
        writeln!(out, "{text}")?;
    }
    Ok(ExitCode::SUCCESS)
}

fn absent(id: JobId) -> ExitCode {
    super::complain(&format!("matinee: there is no job {id}. `matinee jobs` lists them."));
    ExitCode::from(super::NOT_FOUND)
}

async fn list(node: &Node, arguments: &ListArguments, out: &mut impl Write) -> anyhow::Result<ExitCode> {
    let group = arguments.group.as_deref();
    if let Some((_, group)) = view::JOB_GROUPS.iter().find(|(word, _)| Some(*word) == group) {
        let (app, video, limit) = (node.defaults.app, arguments.video, arguments.limit);
        let wish = Wish { app, group: *group, kind: None, video, before: None, limit };
        return group_list(node, &wish, arguments.form, out).await;
    }
    let state = arguments.state.as_deref();
    let state = view::JOB_STATES.iter().find(|(word, _)| Some(*word) == state).map(|(_, state)| *state);
    let wanted = Wanted { state, video: arguments.video, before: None, limit: arguments.limit };
    let jobs = job::list(node, node.defaults.app, &wanted).await?;
    let listing = Listing::<Job> {
        columns: &[
            ("ID", false),
            ("KIND", false),
            ("STATE", false),
            ("TRIES", true),
            ("MADE", true),
            ("VIDEO", false),
            ("LAST ERROR", false),
        ],
        row: &row,
        name: &|job| job.id.to_string(),
        json: &|job| serde_json::to_string(&view::Job::from(job)),
        none: "No jobs.",
    };
    listing.write(out, arguments.form, &jobs)?;
    Ok(ExitCode::SUCCESS)
}

async fn group_list(node: &Node, wish: &Wish, form: Form, out: &mut impl Write) -> anyhow::Result<ExitCode> {
    let board = job::board(node, wish).await?;
    if form.json || form.quiet {
        for shown in &board.jobs {
            let text = if form.json {
                serde_json::to_string(&view::Job::from(shown))?
            } else {
                shown.job.id.to_string()
            };
            writeln!(out, "{text}")?;
        }
        return Ok(ExitCode::SUCCESS);
    }
    if board.paused.is_some() {
        writeln!(out, "All work is paused; `matinee jobs resume` lets it begin again.")?;
    }
    let groups = board.groups;
    writeln!(
        out,
        "{} running, {} waiting, {} retrying, {} stuck",
        groups.running, groups.waiting, groups.retrying, groups.stuck
    )?;
    if board.jobs.is_empty() {
        return Ok(ExitCode::SUCCESS);
    }
    let columns = [("ID", false), ("JOB", false), ("STATE", false), ("LEFT", true), ("VIDEO", false)];
    let rows: Vec<_> = board.jobs.iter().map(shown_row).collect();
    table(out, &columns.map(|(title, right)| Column(title, right)), &rows)?;
    Ok(ExitCode::SUCCESS)
}

fn shown_row(shown: &Shown) -> Vec<String> {
    let job = &shown.job;
    let said = match (job.state, shown.wait, shown.progress.fps > 0.0) {
        (State::Leased, _, true) => {
            format!("{}, {:.0} fps, {:.1}x", state(job), shown.progress.fps, shown.progress.speed)
        }
        (State::Ready, Some(_), _) if job.run_at > now() => {
            format!("in {}", took(job.run_at.since(now()).unsigned_abs()))
        }
        (State::Ready | State::Blocked, Some(wait), _) => wait.human(),
        _ => state(job),
    };
    vec![
        job.id.to_string(),
        view::job_titled(job.task.as_ref()),
        said,
        shown.left_ms.map(took).unwrap_or_default(),
        shown.title.as_deref().map(|title| short(title, 40)).unwrap_or_default(),
    ]
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
