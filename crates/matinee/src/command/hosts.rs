//! `matinee hosts`: the services that videos are published to, and whether they do what they say.

use std::io::Write;
use std::process::ExitCode;

use matinee_core::breaker::Breaker;

use super::Form;
use super::text::{Column, ago, plain, table};
use crate::config::Flags;
use crate::flow::publication::{self, Shown};
use crate::flow::{Failure, now};
use crate::http::view;
use crate::node::Node;

/// Which hosts, or what to do with one.
#[derive(Debug, clap::Args)]
#[command(
    args_conflicts_with_subcommands = true,
    after_help = "Examples:\n  matinee hosts\n  matinee hosts test bunny"
)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    order: Option<Order>,
    #[command(flatten)]
    form: Form,
}

#[derive(Debug, clap::Subcommand)]
enum Order {
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
}

/// Does what was asked.
pub(crate) async fn run(
    flags: &Flags,
    arguments: &Arguments,
    out: &mut impl Write,
) -> anyhow::Result<ExitCode> {
    let node = super::open_stored(flags).await?;
    match &arguments.order {
        None => list(&node, arguments.form, out).await,
        Some(Order::Ls(form)) => list(&node, *form, out).await,
        Some(Order::Test { name, form }) => test(&node, name, *form, out).await,
    }
}

async fn list(node: &Node, form: Form, out: &mut impl Write) -> anyhow::Result<ExitCode> {
    let all = publication::hosts(node).await?;
    if form.json {
        for host in view::HostList::of(&all, true).items {
            writeln!(out, "{}", serde_json::to_string(&host)?)?;
        }
    } else if form.quiet {
        for host in &all {
            writeln!(out, "{}", host.name)?;
        }
    } else if all.is_empty() {
        writeln!(out, "The configuration names no [[host]].")?;
    } else {
        let columns = [
            ("NAME", false),
            ("WHOSE", false),
            ("STATE", false),
            ("VIDEOS", true),
            ("ANSWERED", true),
            ("LAST ERROR", false),
        ];
        let rows: Vec<_> = all.iter().map(row).collect();
        table(out, &columns.map(|(title, right)| Column(title, right)), &rows)?;
    }
    Ok(ExitCode::SUCCESS)
}

fn row(host: &Shown) -> Vec<String> {
    let state = match host.breaker {
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

async fn test(node: &Node, name: &str, form: Form, out: &mut impl Write) -> anyhow::Result<ExitCode> {
    let steps = match publication::trial(node, name).await {
        Err(Failure::Absent) => {
            super::complain("matinee: there is no host of this name. `matinee hosts` lists them.");
            return Ok(ExitCode::from(super::NOT_FOUND));
        }
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
