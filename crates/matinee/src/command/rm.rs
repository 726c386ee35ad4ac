//! `matinee rm`: says what goes, and lets it go.

use std::collections::BTreeMap;
use std::io::Write;
use std::process::ExitCode;

use matinee_core::id::VideoId;
use matinee_core::ledger::State;
use serde_json::json;

use super::text::{Column, count, plain, size, table};
use super::{Form, lock};
use crate::config::Flags;
use crate::flow::catalogue::{self, Held};
use crate::flow::{Failure, video};
use crate::node::Node;

/// What to delete.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  matinee rm vid_01k... --dry-run\n  matinee rm $(matinee ls --state failed --quiet)"
)]
pub(crate) struct Arguments {
    /// The ids of the videos, as `matinee ls` prints them
    #[arg(required = true, value_name = "ID")]
    ids: Vec<VideoId>,
    /// Says what would go, and changes nothing
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    form: Form,
}

/// Deletes videos.
pub(crate) async fn run(
    flags: &Flags,
    arguments: &Arguments,
    out: &mut impl Write,
) -> anyhow::Result<ExitCode> {
    let node = super::open_stored(flags).await?;
    let mut codes = Vec::new();
    for id in &arguments.ids {
        let told = one(&node, *id, arguments, out).await;
        codes.push(match told {
            Ok(()) => 0,
            Err(error) => match error.downcast::<Failure>() {
                Ok(failure) => {
                    tell_failure(*id, &failure, arguments.form, out)?;
                    super::code(&failure)
                }
                Err(error) => return Err(error),
            },
        });
    }
    let gone = !arguments.dry_run && codes.contains(&0);
    if gone && !arguments.form.quiet && lock::server_of(&node.config.data).is_none() {
        super::complain("Nobody can watch them any more; their files go when matinee serves again.");
    }
    Ok(super::code_of_all(&codes))
}

async fn one(node: &Node, id: VideoId, arguments: &Arguments, out: &mut impl Write) -> anyhow::Result<()> {
    let app = node.defaults.app;
    let whole = video::show(node, Some(app), id).await?;
    let objects = catalogue::objects(node, app, id).await?;
    if !arguments.dry_run {
        video::delete(node, app, id).await?;
    }
    let bytes = objects.iter().filter_map(|held| held.bytes).sum::<u64>();
    if arguments.form.json {
        let told = json!({
            "id": id.to_string(), "title": whole.video.title, "deleted": !arguments.dry_run,
            "objects": objects.len(), "bytes": bytes,
        });
        writeln!(out, "{told}")?;
    } else if !arguments.form.quiet {
        let word = if arguments.dry_run { "would delete" } else { "deleted" };
        let title = plain(&whole.video.title);
        writeln!(out, "{word} {id} \"{title}\": {}, {}", count(objects.len(), "object"), size(bytes))?;
        if arguments.dry_run {
            let sums = by_kind(&objects).into_iter();
            let rows: Vec<_> = sums
                .map(|(kind, (number, bytes))| vec![format!("  {kind}"), number.to_string(), size(bytes)])
                .collect();
            table(out, &[Column("  KIND", false), Column("OBJECTS", true), Column("SIZE", true)], &rows)?;
        }
    }
    Ok(())
}

fn by_kind(objects: &[Held]) -> BTreeMap<String, (usize, u64)> {
    let mut kinds = BTreeMap::new();
    for held in objects {
        let waits = if held.entry.state == State::ToDelete { " (going already)" } else { "" };
        let kind = serde_json::to_value(held.entry.kind).ok();
        let kind = kind.and_then(|kind| kind.as_str().map(str::to_owned)).unwrap_or_default();
        let sum: &mut (usize, u64) = kinds.entry(format!("{kind}{waits}")).or_default();
        sum.0 += 1;
        sum.1 += held.bytes.unwrap_or_default();
    }
    kinds
}

fn tell_failure(id: VideoId, failure: &Failure, form: Form, out: &mut impl Write) -> std::io::Result<()> {
    let human = match failure {
        Failure::Absent => "there is no such video".to_owned(),
        Failure::Refused { .. }
        | Failure::Limited(_)
        | Failure::Full
        | Failure::Busy
        | Failure::Again(_)
        | Failure::Never(_) => failure.to_string(),
    };
    if form.json {
        return writeln!(out, "{}", json!({ "id": id.to_string(), "deleted": false, "reason": human }));
    }
    super::complain(&format!("matinee: {id}: {human}"));
    Ok(())
}
