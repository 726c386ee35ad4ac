//! `matinee nodes`: the servers that work, and which of them take no new work.

use std::io::Write;
use std::process::ExitCode;
use std::time::Duration;

use super::Form;
use super::ordered::{Listing, Ordered};
use super::text::{ago, plain, size};
use crate::config::Flags;
use crate::flow::roster::{self, NodeRow, is_alive};
use crate::flow::{Failure, now};
use crate::http::view;
use crate::node::Node;

/// How often a drained node is looked at while somebody waits for it.
const LOOK: Duration = Duration::from_millis(500);

/// Which servers, or what to do with one.
pub(crate) type Arguments = Ordered<Order>;

/// How it is called, for its help.
pub(crate) const EXAMPLES: &str = "Examples:\n  matinee nodes\n  matinee nodes drain big-machine --wait\n  matinee nodes resume big-machine";

/// What to do.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Order {
    /// Lists the servers that work, or did in the last days
    Ls(Form),
    /// Lets no new work begin on a server; what runs goes on
    Drain {
        /// Its name
        #[arg(value_name = "NAME")]
        name: String,
        /// Waits until nothing runs there any more
        #[arg(long)]
        wait: bool,
        #[command(flatten)]
        form: Form,
    },
    /// Lets work begin on a server again
    Resume {
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
    arguments: Arguments,
    out: &mut impl Write,
) -> anyhow::Result<ExitCode> {
    let node = super::open_stored(flags).await?;
    let (told, form) = match arguments.or(Order::Ls) {
        Order::Ls(form) => return list(&node, form, out).await,
        Order::Drain { name, wait: false, form } => (roster::drain(&node, &name, true).await, form),
        Order::Drain { name, wait: true, form } => (emptied(&node, &name).await, form),
        Order::Resume { name, form } => (roster::drain(&node, &name, false).await, form),
    };
    match told {
        Err(Failure::Absent) => {
            super::complain("matinee: there is no node of this name. `matinee nodes` lists them.");
            Ok(ExitCode::from(super::NOT_FOUND))
        }
        Err(failure) => Err(failure.into()),
        Ok(row) => {
            if form.json {
                writeln!(out, "{}", serde_json::to_string(&view::Node::from(&row))?)?;
            } else if !form.quiet {
                writeln!(out, "{} is {}, {} running", plain(&row.name), state(&row), row.running)?;
            }
            Ok(ExitCode::SUCCESS)
        }
    }
}

/// Drains a node and waits until nothing runs there.
async fn emptied(node: &Node, name: &str) -> Result<NodeRow, Failure> {
    loop {
        let row = roster::drain(node, name, true).await?;
        if row.running == 0 {
            return Ok(row);
        }
        tokio::time::sleep(LOOK).await;
    }
}

fn state(row: &NodeRow) -> &'static str {
    match (row.stopped.is_some(), is_alive(row), row.drained.is_some()) {
        (true, _, _) => "stopped",
        (false, false, _) => "lost",
        (false, true, true) => "drained",
        (false, true, false) => "running",
    }
}

async fn list(node: &Node, form: Form, out: &mut impl Write) -> anyhow::Result<ExitCode> {
    let listing = Listing::<NodeRow> {
        columns: &[
            ("NAME", false),
            ("STATE", false),
            ("JOBS", true),
            ("CHUNKS AT ONCE", true),
            ("MEMORY", true),
            ("DISK", true),
            ("SEEN", true),
        ],
        row: &row,
        name: &|row| row.name.clone(),
        json: &|row| serde_json::to_string(&view::Node::from(row)),
        none: "No node has worked here yet.",
    };
    listing.write(out, form, &roster::roster(node).await?.nodes)?;
    Ok(ExitCode::SUCCESS)
}

fn row(row: &NodeRow) -> Vec<String> {
    vec![
        plain(&row.name),
        state(row).to_owned(),
        row.running.to_string(),
        row.beat.slots["chunk"].to_string(),
        format!("{} of {}", size(row.used_bytes), size(row.beat.memory_bytes)),
        format!("{} % used", row.beat.facts["disk_used_percent"]),
        ago(now(), row.beat.now),
    ]
}
