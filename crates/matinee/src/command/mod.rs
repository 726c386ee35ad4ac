//! The command line: one file per command, exit codes that scripts can rely on.

mod app;
mod assemblies;
mod brokers;
mod chaos;
mod collection;
mod configuration;
mod copies;
mod costs;
mod db;
mod demo;
mod doctor;
mod encode;
mod gc;
mod hosts;
mod import;
mod jobs;
mod ledger;
mod lock;
mod lost;
mod nodes;
mod openapi;
mod ordered;
mod pipeline;
mod plan;
mod progress;
mod restore;
mod rm;
mod runner;
mod serve;
mod stage;
mod stores;
mod text;
mod token;
mod upload;
mod videos;
mod webhooks;

use std::io::{ErrorKind, Write};
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use matinee_core::id::JobId;
use matinee_core::quota::Usage;
use matinee_core::video::Problem;
use serde_json::json;

use crate::config::{self, Flags};
use crate::flow::Failure;
use crate::node::Node;

/// Exit codes: 0 done, 1 error, 2 wrong usage (by clap), 3 partly done, 4 not found, 75 try later.
pub(crate) const ERROR: u8 = 1;
const PARTLY: u8 = 3;
const NOT_FOUND: u8 = 4;
const LATER: u8 = 75;

/// What matinee can be told to do.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    /// Serves pages, API and videos, and does all work; the default
    Serve(serve::Arguments),
    /// Shows all of it on this machine, with fakes of the services outside, and leaves nothing
    Demo(demo::Arguments),
    /// The same with faults and kills; counts that nothing is lost, done twice or left behind
    Chaos(chaos::Arguments),
    /// Brings in files of this machine
    Import(import::Arguments),
    /// Sends files to a matinee on another machine, and goes on where it was after any break
    Upload(upload::Arguments),
    /// Says what would be made of a file, and what that would cost, without doing it
    Plan(plan::Arguments),
    /// Lists videos, the newest first
    Ls(videos::ListArguments),
    /// Shows a video: its state, its sizes, what happened to it
    Show(videos::ShowArguments),
    /// Brings the source of a video back from an archive
    Videos(restore::Arguments),
    /// Encodes a video again; what there is plays on meanwhile
    Encode(encode::Arguments),
    /// Deletes videos with all that is stored of them
    Rm(rm::Arguments),
    /// Lists jobs, shows one, runs one again, cancels it, puts it before others; pauses all work
    #[command(after_help = jobs::EXAMPLES)]
    Jobs(jobs::Arguments),
    /// Works for a matinee on another machine; or makes, lists, drains and revokes the runners of this one
    Runner(runner::Arguments),
    /// Lists the servers that work; lets no new work begin on one
    #[command(after_help = nodes::EXAMPLES)]
    Nodes(nodes::Arguments),
    /// Proves that nothing is orphaned; puts aside what no row knows
    Gc(gc::Arguments),
    /// Lists what may exist in stores and what is to be deleted; tries failed deletes again now
    #[command(after_help = ledger::EXAMPLES)]
    Ledger(ledger::Arguments),
    /// Lists the stores that keep copies, and tries them
    #[command(after_help = stores::EXAMPLES)]
    Stores(stores::Arguments),
    /// Lists the services that videos are published to, and tries one
    #[command(after_help = hosts::EXAMPLES)]
    Hosts(hosts::Arguments),
    /// Lists the brokers that events are sent to, and tries one
    #[command(after_help = brokers::EXAMPLES)]
    Brokers(brokers::Arguments),
    /// Says what this month costs, by place, app and video, and what if; shows and writes price cards
    #[command(after_help = costs::EXAMPLES)]
    Costs(costs::Arguments),
    /// Lists, shows, writes and archives pipelines: templates of what is made
    Pipeline(pipeline::Arguments),
    /// Makes, lists and tries webhooks, which tell another service what happens; sends events again
    Webhooks(webhooks::Arguments),
    /// Makes keys and templates for pages and programs that were written for Transloadit
    Assemblies(assemblies::Arguments),
    /// Makes, lists and ends tokens for programs
    Token(token::Arguments),
    /// Makes, lists and deletes apps: tenants that do not see each other
    App(app::Arguments),
    /// Makes, lists and deletes collections inside an app
    Collection(collection::Arguments),
    /// Checks this machine and the data directory, and says how to mend what is wrong
    Doctor(Form),
    /// Moves the state from SQLite to PostgreSQL, verified
    Db(db::Arguments),
    /// Shows or checks the configuration
    Config(configuration::Arguments),
    /// Prints the description of the API as OpenAPI 3.1
    Openapi,
}

impl Command {
    /// What is done when nothing is said.
    pub(crate) fn serve() -> Self {
        Self::Serve(serve::Arguments::default())
    }
}

/// How a command answers.
#[derive(Debug, Clone, Copy, Default, clap::Args)]
pub(crate) struct Form {
    /// Answers in JSON, one object a line
    #[arg(long)]
    pub(crate) json: bool,
    /// Prints ids only, or nothing at all
    #[arg(long, short, conflicts_with = "json")]
    pub(crate) quiet: bool,
}

/// Runs a command to its end.
pub(crate) fn run(command: Command, flags: &Flags) -> ExitCode {
    let out = &mut std::io::stdout().lock();
    let result = match command {
        Command::Openapi => openapi::run(out),
        Command::Serve(arguments) => with_runtime(serve::run(flags, &arguments)),
        Command::Demo(arguments) => with_runtime(demo::run(&arguments, out)),
        Command::Chaos(arguments) => with_runtime(chaos::run(&arguments, out)),
        Command::Import(arguments) => with_runtime(import::run(flags, &arguments, out)),
        Command::Upload(arguments) => with_runtime(upload::run(&arguments, out)),
        Command::Plan(arguments) => with_runtime(plan::run(flags, &arguments, out)),
        Command::Ls(arguments) => with_runtime(videos::list(flags, &arguments, out)),
        Command::Show(arguments) => with_runtime(videos::show(flags, &arguments, out)),
        Command::Videos(arguments) => with_runtime(restore::run(flags, &arguments, out)),
        Command::Encode(arguments) => with_runtime(encode::run(flags, &arguments, out)),
        Command::Rm(arguments) => with_runtime(rm::run(flags, &arguments, out)),
        Command::Jobs(arguments) => with_runtime(jobs::run(flags, arguments, out)),
        Command::Runner(arguments) => with_runtime(runner::run(flags, &arguments, out)),
        Command::Nodes(arguments) => with_runtime(nodes::run(flags, arguments, out)),
        Command::Gc(arguments) => with_runtime(gc::run(flags, &arguments, out)),
        Command::Ledger(arguments) => with_runtime(ledger::run(flags, arguments, out)),
        Command::Stores(arguments) => with_runtime(stores::run(flags, arguments, out)),
        Command::Hosts(arguments) => with_runtime(hosts::run(flags, arguments, out)),
        Command::Brokers(arguments) => with_runtime(brokers::run(flags, arguments, out)),
        Command::Costs(arguments) => with_runtime(costs::run(flags, arguments, out)),
        Command::Pipeline(arguments) => with_runtime(pipeline::run(flags, &arguments, out)),
        Command::Webhooks(arguments) => with_runtime(webhooks::run(flags, &arguments, out)),
        Command::Assemblies(arguments) => with_runtime(assemblies::run(flags, &arguments, out)),
        Command::Token(arguments) => with_runtime(token::run(flags, &arguments, out)),
        Command::App(arguments) => with_runtime(app::run(flags, &arguments, out)),
        Command::Collection(arguments) => with_runtime(collection::run(flags, &arguments, out)),
        Command::Doctor(form) => with_runtime(doctor::run(flags, form, out)),
        Command::Db(arguments) => with_runtime(db::run(flags, &arguments, out)),
        Command::Config(arguments) => configuration::run(flags, &arguments, out),
    };
    match result {
        Ok(code) => code,
        // `matinee ls | head` is not an error.
        Err(error) if is_closed_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => failed(&error, code_of(&error)),
    }
}

fn is_closed_pipe(error: &anyhow::Error) -> bool {
    error.downcast_ref::<std::io::Error>().is_some_and(|error| error.kind() == ErrorKind::BrokenPipe)
}

fn code_of(error: &anyhow::Error) -> u8 {
    error.downcast_ref().map_or(ERROR, code)
}

/// The exit code of a failure.
fn code(failure: &Failure) -> u8 {
    match failure {
        Failure::Absent => NOT_FOUND,
        Failure::Full | Failure::Busy | Failure::Again(_) => LATER,
        Failure::Refused { .. } | Failure::Limited(_) | Failure::Never(_) => ERROR,
    }
}

/// The exit code of a command that did several things: the worst when all failed, "partly" when only some did.
fn code_of_all(codes: &[u8]) -> ExitCode {
    let failed = codes.iter().filter(|code| **code != 0).count();
    match failed {
        0 => ExitCode::SUCCESS,
        some if some < codes.len() => ExitCode::from(PARTLY),
        _ if codes.windows(2).all(|pair| pair[0] == pair[1]) => ExitCode::from(codes[0]),
        _ => ExitCode::from(ERROR),
    }
}

fn with_runtime(work: impl Future<Output = anyhow::Result<ExitCode>>) -> anyhow::Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let result = runtime.block_on(work);
    // What still blocks (a read of a dead disk) must not hold the process.
    runtime.shutdown_timeout(std::time::Duration::from_secs(2));
    result
}

/// Says why it did not work, for a person.
pub(crate) fn failed(error: &anyhow::Error, code: u8) -> ExitCode {
    let causes =
        error.chain().skip(1).fold(String::new(), |text, cause| text + "\n  because " + &cause.to_string());
    complain(&format!("matinee: {error}{causes}"));
    ExitCode::from(code)
}

/// Writes a line to standard error.
fn complain(line: &str) {
    // Nobody is left to be told when even standard error is closed.
    drop(writeln!(std::io::stderr(), "{line}"));
}

/// Writes a problem as every command shows it: what, what to do, and the word for it.
fn write_problem(out: &mut impl Write, indent: &str, problem: &Problem) -> std::io::Result<()> {
    writeln!(out, "{indent}{} [{}]", text::plain(&problem.human), problem.code)?;
    if problem.fix.is_empty() { Ok(()) } else { writeln!(out, "{indent}{}", text::plain(&problem.fix)) }
}

/// Says that there is nothing of this name.
fn absent() -> ExitCode {
    complain("matinee: there is nothing of this name here. The command `ls` lists what there is.");
    ExitCode::from(NOT_FOUND)
}

/// Says what was made.
fn write_made(out: &mut impl Write, form: Form, id: &str, name: &str) -> std::io::Result<()> {
    if form.json {
        writeln!(out, "{}", json!({ "id": id, "name": name }))
    } else if form.quiet {
        writeln!(out, "{id}")
    } else {
        writeln!(out, "made {id} \"{}\"", text::plain(name))
    }
}

/// Says what was deleted, or would be: with what is in it, and the job that empties it.
fn write_deleted(
    out: &mut impl Write,
    form: Form,
    id: &str,
    dry_run: bool,
    inside: Option<(Usage, Option<JobId>)>,
) -> std::io::Result<()> {
    let job = inside.and_then(|(_, job)| job).map(|job| job.to_string());
    if form.json {
        let bytes = inside.map(|(usage, _)| usage.stored_bytes);
        let told = json!({ "id": id, "deleted": !dry_run, "stored_bytes": bytes, "job_id": job });
        return writeln!(out, "{told}");
    }
    if form.quiet {
        return Ok(());
    }
    let word = if dry_run { "would delete" } else { "deleted" };
    let held = inside.map(|(usage, _)| format!(" with {}", text::size(usage.stored_bytes)));
    let by = job.map(|job| format!("; {job} empties it while matinee serves"));
    writeln!(out, "{word} {id}{}{}", held.unwrap_or_default(), by.unwrap_or_default())
}

/// Opens the node to serve it.
async fn open(flags: &Flags) -> anyhow::Result<Arc<Node>> {
    let config = config::load(flags)?;
    Ok(Node::open(config, Path::new("/proc/self/exe")).await?)
}

/// Opens what is stored, also while a server works on it.
async fn open_stored(flags: &Flags) -> anyhow::Result<Arc<Node>> {
    let config = config::load(flags)?;
    if let matinee_io::db::Config::Sqlite(file) = config.database()?
        && !file.exists()
    {
        anyhow::bail!(
            "there is nothing of matinee in {} yet. Start `matinee` there, or say with --data where it is.",
            config.data.display()
        );
    }
    Ok(Node::open_stored(config).await?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_exit_code_says_whether_all_some_or_none_was_done() {
        let code = |codes: &[u8]| format!("{:?}", code_of_all(codes));
        let is = |code: u8| format!("{:?}", ExitCode::from(code));
        assert_eq!(code(&[]), is(0));
        assert_eq!(code(&[0, 0]), is(0));
        assert_eq!(code(&[0, 4]), is(PARTLY));
        assert_eq!(code(&[4, 4]), is(NOT_FOUND));
        assert_eq!(code(&[4, 75]), is(ERROR));
    }
}
