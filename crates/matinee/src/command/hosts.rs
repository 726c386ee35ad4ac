//! `matinee hosts`: the services that videos are published to, and whether they do what they say.

mod pretend;

use std::io::Write;
use std::process::ExitCode;

use matinee_core::breaker::Breaker;

use self::pretend::Pretend;
use super::Form;
use super::ordered::{Listing, Ordered};
use super::text::{ago, plain};
use crate::config::Flags;
use crate::flow::publication::{self, Shown, Vacate};
use crate::flow::{Failure, now};
use crate::http::view;
use crate::node::Node;

/// Which hosts, or what to do with one.
pub(crate) type Arguments = Ordered<Order>;

/// How it is called, for its help.
pub(crate) const EXAMPLES: &str = "Examples:\n  matinee hosts\n  matinee hosts test bunny";

/// What to do.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Order {
    /// Lists the hosts of the configuration, with what is there and how they are
    Ls(Form),
    /// Makes a video at a host, finds it, and deletes it again
    Test {
        /// Its name
        #[arg(value_name = "NAME")]
        name: String,
        #[command(flatten)]
        form: Form,
    },
    /// Empties a host: each video there of which we have the file goes, or is at another host first
    Drain(Drain),
    /// Pretends to be a host, to try everything without an account; what it is sent it forgets when it ends
    Pretend(Pretend),
}

/// Which host to empty, and how.
#[derive(Debug, clap::Args)]
pub(crate) struct Drain {
    /// Its name
    #[arg(value_name = "NAME")]
    name: String,
    /// The host where each video is to be ready first
    #[arg(long, value_name = "OTHER")]
    to: Option<String>,
    /// Lets it be filled again
    #[arg(long, conflicts_with = "to")]
    stop: bool,
    /// Says what would go, and changes nothing
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
    let opened = super::open_stored(flags);
    match arguments.or(Order::Ls) {
        Order::Ls(form) => list(&*opened.await?, form, out).await,
        Order::Test { name, form } => test(&*opened.await?, &name, form, out).await,
        Order::Drain(drain) => empty(&*opened.await?, &drain, out).await,
        // What pretends to be a host has nothing to do with any server.
        Order::Pretend(wish) => pretend::run(&wish, out).await,
    }
}

async fn list(node: &Node, form: Form, out: &mut impl Write) -> anyhow::Result<ExitCode> {
    let listing = Listing::<Shown> {
        columns: &[
            ("NAME", false),
            ("WHOSE", false),
            ("STATE", false),
            ("VIDEOS", true),
            ("ANSWERED", true),
            ("LAST ERROR", false),
        ],
        row: &row,
        name: &|host| host.name.clone(),
        json: &|host| serde_json::to_string(&view::Host::of(host, true)),
        none: "The configuration names no [[host]].",
    };
    listing.write(out, form, &publication::hosts(node).await?)?;
    Ok(ExitCode::SUCCESS)
}

fn row(host: &Shown) -> Vec<String> {
    let state = match host.breaker {
        Breaker::Closed if host.vacating.is_some() => "being emptied".to_owned(),
        Breaker::Closed => "well".to_owned(),
        Breaker::Open { since, .. } => format!("away since {}", ago(now(), since)),
    };
    vec![
        plain(&host.name),
        plain(&host.identity),
        state,
        host.held.to_string(),
        host.spoke.map_or_else(|| "never".to_owned(), |at| ago(now(), at)),
        host.error
            .as_ref()
            .map(|(error, at)| format!("{} ({})", plain(error), ago(now(), *at)))
            .unwrap_or_default(),
    ]
}

async fn empty(node: &Node, wish: &Drain, out: &mut impl Write) -> anyhow::Result<ExitCode> {
    let before = publication::hosts(node).await?.into_iter().find(|host| host.name == wish.name);
    let Some(mut host) = before else { return Ok(absent()) };
    if !wish.dry_run {
        let how = match wish.to.as_deref() {
            _ if wish.stop => Vacate::Stop,
            Some(to) => Vacate::To(to),
            None => Vacate::Away,
        };
        host = match publication::vacate(node, &wish.name, how).await {
            Err(Failure::Refused { human, .. }) => {
                super::complain(&format!("matinee: {human}"));
                return Ok(ExitCode::from(super::ERROR));
            }
            done => done?,
        };
    }
    if wish.form.json {
        writeln!(out, "{}", serde_json::to_string(&view::Host::of(&host, true))?)?;
    } else if !wish.form.quiet {
        let left = host.left;
        let name = plain(&host.name);
        if wish.stop {
            writeln!(out, "Videos may be published to {name} again.")?;
        } else {
            let first = wish
                .to
                .as_deref()
                .map_or(String::new(), |to| format!(", each when it is ready at {}", plain(to)));
            let verb = if wish.dry_run { "would go" } else { "go" };
            writeln!(
                out,
                "{} videos {verb} from {name}{first}; {} stay, because they are nowhere else.",
                left.published, left.only_there
            )?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn absent() -> ExitCode {
    super::complain("matinee: there is no host of this name. `matinee hosts` lists them.");
    ExitCode::from(super::NOT_FOUND)
}

async fn test(node: &Node, name: &str, form: Form, out: &mut impl Write) -> anyhow::Result<ExitCode> {
    let steps = match publication::trial(node, name).await {
        Err(Failure::Absent) => return Ok(absent()),
        steps => steps?,
    };
    let trial = view::HostTrial::of(&steps);
    if form.json {
        writeln!(out, "{}", serde_json::to_string(&trial)?)?;
    } else if !form.quiet {
        for step in &trial.steps {
            let error = step.error.as_deref().map(|error| format!("  {}", plain(error)));
            let word = if step.error.is_some() { "failed" } else { "ok" };
            writeln!(out, "{word:<7} {:<7} {:>5} ms{}", step.name, step.took_ms, error.unwrap_or_default())?;
        }
        let left = "What is left of the trial is deleted by itself while matinee serves.";
        writeln!(out, "{}", if trial.passed { "The host does what it says." } else { left })?;
    }
    Ok(if trial.passed { ExitCode::SUCCESS } else { ExitCode::from(super::ERROR) })
}
