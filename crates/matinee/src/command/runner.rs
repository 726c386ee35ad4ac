//! `matinee runner`: works for a server on another machine; and, at the server, makes, lists, drains and revokes runners.

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use matinee_core::hardware::Usable;
use matinee_core::id::RunnerId;
use matinee_core::job::Kind;
use matinee_core::limits;
use matinee_core::runner::{ENCODERS, PROTOCOL, Report};
use matinee_io::ffmpeg::Ffmpeg;
use serde_json::json;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use super::Form;
use super::text::{Column, ago, plain, table};
use crate::config::{Config, Flags};
use crate::flow::{self, Failure, now};
use crate::http::view::Runner as Shown;
use crate::{node, runner};

/// How to work for a server, or what to do with the runners of this one.
#[derive(Debug, clap::Args)]
#[command(
    args_conflicts_with_subcommands = true,
    after_help = "Examples:\n  matinee runner token --name attic            (at the server)\n  matinee runner --server https://v.example --token mat_...\n  matinee runner ls                            (at the server)"
)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    order: Option<Order>,
    #[command(flatten)]
    work: WorkArguments,
}

#[derive(Debug, clap::Args)]
struct WorkArguments {
    /// The address of the server to work for
    #[arg(long, value_name = "URL")]
    server: Option<String>,
    /// The registration token, for the first start; later starts need none
    #[arg(long, value_name = "TOKEN", env = "MATINEE_RUNNER_TOKEN", hide_env_values = true)]
    token: Option<String>,
    /// A file with the certificate (PEM) of the authority that vouches for the server, when this machine does not know it
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
    /// Jobs at the same time [default: one for each core]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=i64::from(limits::RUNNER_SLOTS_MAX)))]
    slots: Option<u32>,
    /// Sources that are kept while no job reads them, in GiB
    #[arg(long, value_name = "N", default_value_t = 50)]
    keep_gib: u64,
    /// Seconds in which running jobs may be finished when the runner is told to stop; then they are given back
    #[arg(long, value_name = "S", default_value_t = 60)]
    drain_s: u64,
}

#[derive(Debug, clap::Subcommand)]
enum Order {
    /// Makes a registration token, which is good for one runner and a day
    Token(TokenArguments),
    /// Lists runners with what they work on
    Ls(Form),
    /// Lets a runner finish what it has, and gives it no more
    Drain(OneArguments),
    /// Gives a drained runner work again
    Undrain(OneArguments),
    /// Ends a runner; its jobs go on elsewhere at once
    Revoke(OneArguments),
}

#[derive(Debug, clap::Args)]
struct TokenArguments {
    /// What you call the runner
    #[arg(long, default_value = "runner")]
    name: String,
    /// A kind of jobs that it may have: audio, chunk, poster or storyboard; may be repeated [default: all]
    #[arg(long = "kind", value_name = "KIND", value_parser = kind)]
    kinds: Vec<Kind>,
    #[command(flatten)]
    form: Form,
}

#[derive(Debug, clap::Args)]
struct OneArguments {
    /// The runner's id
    #[arg(value_name = "ID")]
    id: RunnerId,
    /// Only says that it is there, and changes nothing
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    form: Form,
}

fn kind(word: &str) -> Result<Kind, String> {
    let all = || Kind::ALL.into_iter().filter(|kind| kind.is_for_runners());
    let known: Vec<_> = all().map(Kind::name).collect();
    all().find(|kind| kind.name() == word).ok_or_else(|| format!("known are {}", known.join(", ")))
}

/// Does what was asked.
pub(crate) async fn run(
    flags: &Flags,
    arguments: &Arguments,
    out: &mut impl Write,
) -> anyhow::Result<ExitCode> {
    let Some(order) = &arguments.order else { return work(flags, &arguments.work).await };
    let node = super::open_stored(flags).await?;
    match order {
        Order::Token(new) => {
            let all = || Kind::ALL.into_iter().filter(|kind| kind.is_for_runners()).collect();
            let kinds = if new.kinds.is_empty() { all() } else { new.kinds.clone() };
            let name: String = new.name.chars().take(limits::TITLE_CHARS_MAX).collect();
            let (secret, made) = flow::runner::invite(&node, &name, kinds).await?;
            if new.form.json {
                writeln!(
                    out,
                    "{}",
                    json!({ "registration_token": secret, "runner": Shown::of(&made, &[]) })
                )?;
            } else {
                writeln!(out, "{secret}")?;
                if !new.form.quiet {
                    super::complain(&format!("{} can register with it once, within a day.", made.id));
                }
            }
            Ok(ExitCode::SUCCESS)
        }
        Order::Ls(form) => {
            let (runners, running) = flow::runner::list(&node).await?;
            write_list(out, (&runners, &running), *form)?;
            Ok(ExitCode::SUCCESS)
        }
        Order::Drain(one) => {
            changed(out, one, "drained", flow::runner::drain(&node, one.id, true), &node).await
        }
        Order::Undrain(one) => {
            changed(out, one, "undrained", flow::runner::drain(&node, one.id, false), &node).await
        }
        Order::Revoke(one) => {
            let revoked = async { flow::runner::revoke(&node, one.id).await.map(drop) };
            changed(out, one, "revoked", revoked, &node).await
        }
    }
}

async fn changed(
    out: &mut impl Write,
    one: &OneArguments,
    word: &str,
    change: impl Future<Output = Result<(), Failure>>,
    node: &node::Node,
) -> anyhow::Result<ExitCode> {
    if !flow::runner::list(node).await?.0.iter().any(|runner| runner.id == one.id) {
        return Ok(super::absent());
    }
    if !one.dry_run {
        change.await?;
    }
    if one.form.json {
        writeln!(out, "{}", json!({ "id": one.id, "done": !one.dry_run }))?;
    } else if !one.form.quiet {
        writeln!(out, "{}{word} {}", if one.dry_run { "would be " } else { "" }, one.id)?;
    }
    Ok(ExitCode::SUCCESS)
}

fn write_list(
    out: &mut impl Write,
    (runners, running): (&[flow::runner::Runner], &[flow::runner::Running]),
    form: Form,
) -> anyhow::Result<()> {
    let mut rows = Vec::new();
    for runner in runners {
        if form.json {
            writeln!(out, "{}", serde_json::to_string(&Shown::of(runner, running))?)?;
        } else if form.quiet {
            writeln!(out, "{}", runner.id)?;
        } else {
            let busy = running.iter().filter(|job| job.runner == runner.id).count();
            let seen = runner.seen.map_or_else(|| "never".to_owned(), |seen| ago(now(), seen));
            rows.push(vec![
                runner.id.to_string(),
                plain(&runner.name),
                flow::runner::word(runner.state).to_owned(),
                format!("{busy}/{}", runner.report.slots),
                runner.report.version.clone(),
                seen,
            ]);
        }
    }
    if form.json || form.quiet {
        return Ok(());
    }
    let left = ["ID", "NAME", "STATE", "JOBS", "VERSION", "SEEN"].map(|name| Column(name, false));
    Ok(table(out, &left, &rows)?)
}

/// Works for a server until SIGTERM or Ctrl-C; the second of them ends it at once.
async fn work(flags: &Flags, arguments: &WorkArguments) -> anyhow::Result<ExitCode> {
    let Some(server) = arguments.server.clone() else {
        anyhow::bail!("say with --server which server to work for, or see `matinee runner --help`.");
    };
    let config = crate::config::load(flags)?;
    let authorities = match &arguments.ca {
        Some(file) => {
            Some(std::fs::read(file).map_err(|error| anyhow::anyhow!("{}: {error}", file.display()))?)
        }
        None => None,
    };
    super::serve::log(&config)?;
    let programs = node::programs(&config, std::path::Path::new("/proc/self/exe"));
    let ffmpeg = node::contained(Ffmpeg::detect(programs).await?);
    let dir = config.data.join("runner");
    let nodes = flow::engine::nodes(config.encode.devices.as_deref());
    let tried = flow::engine::tried(&ffmpeg, &nodes, &dir.join("work")).await;
    let engines: Vec<Usable> = tried.into_iter().filter_map(|one| one.found.ok()).collect();
    let report = report(&config, &ffmpeg, (&engines, arguments.slots), &dir).await;
    let (leave, hurry) = (CancellationToken::new(), CancellationToken::new());
    let (mut term, mut int) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let told = (leave.clone(), hurry.clone());
    tokio::spawn(async move {
        for end in [told.0, told.1] {
            tokio::select! {
                _ = term.recv() => {}
                _ = int.recv() => {}
            }
            end.cancel();
        }
    });
    tracing::info!(server, slots = report.slots, ffmpeg = report.ffmpeg, "this machine works for a server");
    let settings = runner::Settings {
        server,
        registration: arguments.token.clone(),
        authorities,
        dir,
        keep_bytes: arguments.keep_gib << 30,
        drain: Duration::from_secs(arguments.drain_s),
    };
    runner::run(settings, (ffmpeg, engines, report), (leave, hurry)).await?;
    Ok(ExitCode::SUCCESS)
}

/// What this machine can do.
async fn report(
    config: &Config,
    ffmpeg: &Ffmpeg,
    (engines, slots): (&[Usable], Option<u32>),
    dir: &std::path::Path,
) -> Report {
    let able = node::capabilities(config, Some(ffmpeg));
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let cores = u32::try_from(cores).unwrap_or(1);
    let fingerprint = flow::work::fingerprint(ffmpeg, dir.join("work")).await;
    Report {
        protocol: PROTOCOL,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        ffmpeg: ffmpeg.found().version.clone(),
        encoders: ENCODERS
            .iter()
            .filter(|name| ffmpeg.found().encoders.contains(**name))
            .map(|&name| name.to_owned())
            .collect(),
        fingerprint: fingerprint
            .inspect_err(|fault| tracing::warn!(%fault, "the encoders made nothing of the known picture"))
            .unwrap_or_default(),
        cores,
        memory_bytes: able.memory_bytes,
        engines: engines.iter().map(|one| one.engine.to_string()).collect(),
        slots: slots.unwrap_or(cores),
    }
}
