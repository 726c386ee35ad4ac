//! `matinee ledger`: what may exist outside, what is to be deleted, and why it is not gone yet.

use std::io::Write;
use std::process::ExitCode;

use matinee_core::id::{EntryId, VideoId};
use matinee_core::ledger::State;

use super::Form;
use super::ordered::{Listing, Ordered};
use super::text::{ago, plain, short, size};
use crate::config::Flags;
use crate::flow::account::{self, Entry, Wanted};
use crate::flow::{Failure, now};
use crate::http::ledger::{self as view, STATES};
use crate::node::Node;

/// Which entries, or which deletes to hurry.
pub(crate) type Arguments = Ordered<Order, ListArguments>;

/// How it is called, for its help.
pub(crate) const EXAMPLES: &str =
    "Examples:\n  matinee ledger\n  matinee ledger ls --state to_delete\n  matinee ledger retry";

/// What to do.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Order {
    /// Lists what may exist outside, the newest first
    Ls(ListArguments),
    /// Tries deletes that have failed again now, instead of when their time comes
    Retry {
        /// Only this one
        #[arg(value_name = "ID")]
        id: Option<EntryId>,
        #[command(flatten)]
        form: Form,
    },
}

#[derive(Debug, clap::Args)]
pub(crate) struct ListArguments {
    /// Only in this state
    #[arg(long, value_parser = ["intended", "present", "to_delete", "gone"])]
    state: Option<String>,
    /// Only of this video
    #[arg(long, value_name = "ID")]
    video: Option<VideoId>,
    /// At most so many
    #[arg(long, default_value_t = 50)]
    limit: u32,
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
    match arguments.or(Order::Ls) {
        Order::Ls(wanted) => list(&node, &wanted, out).await,
        Order::Retry { id, form } => retry(&node, id, form, out).await,
    }
}

async fn retry(
    node: &Node,
    id: Option<EntryId>,
    form: Form,
    out: &mut impl Write,
) -> anyhow::Result<ExitCode> {
    match account::hurry(node, node.defaults.app, id).await {
        Err(Failure::Absent) => {
            super::complain("matinee: there is no such entry. `matinee ledger` lists them.");
            return Ok(ExitCode::from(super::NOT_FOUND));
        }
        Err(failure) => return Err(failure.into()),
        Ok(hurried) if form.json => writeln!(out, "{}", serde_json::to_string(&view::Hurried { hurried })?)?,
        Ok(_) if form.quiet => {}
        Ok(0) => writeln!(out, "nothing waits after a failed delete")?,
        Ok(hurried) => writeln!(out, "{hurried} to be tried again by the server now")?,
    }
    Ok(ExitCode::SUCCESS)
}

async fn list(node: &Node, arguments: &ListArguments, out: &mut impl Write) -> anyhow::Result<ExitCode> {
    let word = arguments.state.as_deref();
    let state = STATES.iter().find(|(known, _)| Some(*known) == word).map(|(_, state)| *state);
    let wanted = Wanted { state, video: arguments.video, before: None, limit: arguments.limit };
    let entries = account::list(node, node.defaults.app, wanted).await?;
    let listing = Listing::<Entry> {
        columns: &[
            ("ID", false),
            ("KIND", false),
            ("PLACE", false),
            ("STATE", false),
            ("MADE", true),
            ("TRIES", true),
            ("VIDEO", false),
            ("LAST ERROR", false),
        ],
        row: &row,
        name: &|entry| entry.id.to_string(),
        json: &|entry| serde_json::to_string(&view::Entry::from(entry)),
        none: "Nothing.",
    };
    listing.write(out, arguments.form, &entries)?;
    if arguments.form.json || arguments.form.quiet {
        return Ok(ExitCode::SUCCESS);
    }
    for sum in account::sums(node, node.defaults.app).await? {
        let failing =
            if sum.failing > 0 { format!(", {} after a failed delete", sum.failing) } else { String::new() };
        let bytes = size(sum.bytes);
        writeln!(out, "{}: {} {}, {bytes}{failing}", plain(&sum.place), sum.things, word_of(sum.state))?;
    }
    Ok(ExitCode::SUCCESS)
}

fn word_of(state: State) -> &'static str {
    STATES.iter().find(|(_, known)| *known == state).map_or("", |(word, _)| word)
}

fn row(entry: &Entry) -> Vec<String> {
    vec![
        entry.id.to_string(),
        serde_json::to_value(entry.kind)
            .ok()
            .and_then(|kind| kind.as_str().map(str::to_owned))
            .unwrap_or_default(),
        plain(&entry.place),
        word_of(entry.state).to_owned(),
        ago(now(), entry.created),
        entry.attempts.to_string(),
        entry.video.to_string(),
        short(entry.last_error.as_deref().unwrap_or_default(), 60),
    ]
}
