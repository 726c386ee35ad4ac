//! `matinee brokers`: where events go and commands come from, and whether that works.

use std::io::Write;
use std::process::ExitCode;
use std::sync::Arc;

use serde_json::json;

use super::Form;
use super::ordered::{Listing, Ordered};
use super::text::{ago, plain};
use crate::config::Flags;
use crate::flow::broker::{self, Outbox, Sink};
use crate::flow::now;
use crate::node::Node;

/// Which brokers, or what to do with one.
pub(crate) type Arguments = Ordered<Order>;

/// How it is called, for its help.
pub(crate) const EXAMPLES: &str = "Examples:\n  matinee brokers\n  matinee brokers test queue";

/// What to do.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Order {
    /// Lists the brokers of the configuration, and how far events were sent
    Ls(Form),
    /// Connects to a broker and sends a message of the type `broker.test`
    Test {
        /// Its name
        #[arg(value_name = "NAME")]
        name: String,
    },
}

/// Does what was asked.
pub(crate) async fn run(
    flags: &Flags,
    arguments: Arguments,
    out: &mut impl Write,
) -> anyhow::Result<ExitCode> {
    let node = super::open_stored(flags).await?;
    match arguments.or(Order::Ls) {
        Order::Ls(form) => list(&node, form, out).await,
        Order::Test { name } => test(&node, &name, out).await,
    }
}

async fn list(node: &Node, form: Form, out: &mut impl Write) -> anyhow::Result<ExitCode> {
    let mut all = Vec::new();
    for sink in Sink::all(node) {
        let standing = broker::standing(node, &sink.name).await?.unwrap_or_default();
        all.push((sink, standing));
    }
    let listing = Listing::<(Arc<Sink>, Outbox)> {
        columns: &[
            ("NAME", false),
            ("STATE", false),
            ("WAITING", true),
            ("SENT", true),
            ("COMMANDS", false),
            ("LAST ERROR", false),
        ],
        row: &|(sink, standing)| row(sink, standing),
        name: &|(sink, _)| sink.name.clone(),
        json: &|(sink, standing)| {
            let told = json!({
                "name": sink.name, "waiting": standing.waiting, "error": standing.error,
                "failing_ms": standing.failing.map(|at| at.0), "sent_ms": standing.sent.map(|at| at.0),
            });
            serde_json::to_string(&told)
        },
        none: "The configuration names no [[broker]].",
    };
    listing.write(out, form, &all)?;
    Ok(ExitCode::SUCCESS)
}

fn row(sink: &Sink, standing: &Outbox) -> Vec<String> {
    vec![
        plain(&sink.name),
        standing.failing.map_or_else(|| "well".to_owned(), |at| format!("failing since {}", ago(now(), at))),
        standing.waiting.to_string(),
        standing.sent.map_or_else(|| "never".to_owned(), |at| ago(now(), at)),
        if sink.commands() { "taken" } else { "no" }.to_owned(),
        standing.error.as_deref().map(plain).unwrap_or_default(),
    ]
}

async fn test(node: &Node, name: &str, out: &mut impl Write) -> anyhow::Result<ExitCode> {
    let Some(sink) = Sink::all(node).into_iter().find(|sink| sink.name == name) else {
        super::complain("matinee: there is no broker of this name. `matinee brokers` lists them.");
        return Ok(ExitCode::from(super::NOT_FOUND));
    };
    match broker::test(&sink).await {
        Ok(()) => {
            writeln!(out, "{name} has confirmed a message of the type broker.test")?;
            Ok(ExitCode::SUCCESS)
        }
        Err(error) => {
            super::complain(&format!("matinee: {error}"));
            Ok(ExitCode::from(super::LATER))
        }
    }
}
