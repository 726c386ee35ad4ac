//! `matinee stores scrub`, `move`, `drain` and `repair`: what is done with all that lies in a store.

use std::io::Write;
use std::process::ExitCode;

use matinee_core::replica::{Finding, State};
use serde_json::json;

use super::text::{count, size};
use super::{Form, absent, code};
use crate::flow::scrub::{self, Tally};
use crate::flow::{Failure, standing};
use crate::node::Node;

/// Which store to read again.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  matinee stores scrub b2 --max-bytes-per-s 20000000\n  matinee stores scrub local"
)]
pub(crate) struct ScrubArguments {
    /// The store; `local` is the data directory
    #[arg(value_name = "NAME")]
    name: String,
    /// Reads at most so many bytes in a second; 0 = as fast as it goes
    #[arg(long, value_name = "BYTES", default_value_t = 0)]
    max_bytes_per_s: u64,
    #[command(flatten)]
    form: Form,
}

/// From where to where.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  matinee stores move old new --dry-run\n  matinee stores move old new")]
pub(crate) struct MoveArguments {
    /// The store that gives
    #[arg(value_name = "FROM")]
    from: String,
    /// The store that gets
    #[arg(value_name = "TO")]
    to: String,
    /// Says what would move, and changes nothing
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    form: Form,
}

/// Which store to empty.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  matinee stores drain old --dry-run\n  matinee stores drain old\n  matinee stores drain old --undo"
)]
pub(crate) struct DrainArguments {
    /// The store
    #[arg(value_name = "NAME")]
    name: String,
    /// Says what would go where, and changes nothing
    #[arg(long, conflicts_with = "undo")]
    dry_run: bool,
    /// Lets it be filled again
    #[arg(long)]
    undo: bool,
    #[command(flatten)]
    form: Form,
}

/// Reads every copy in a store again and compares every byte.
pub(crate) async fn scrub(
    node: &Node,
    arguments: &ScrubArguments,
    out: &mut impl Write,
) -> anyhow::Result<ExitCode> {
    let form = arguments.form;
    if arguments.name != matinee_core::replica::LOCAL && node.stores.get(&arguments.name).is_none() {
        return Ok(absent());
    }
    let mut bad = Vec::new();
    let mut told = |copy: &scrub::Replica, finding: Finding| {
        if finding != Finding::Good {
            bad.push((copy.object.to_string(), copy.kind, finding.name()));
        }
    };
    let wish = scrub::Wish {
        before: matinee_io::clock::now(),
        max_bytes_per_s: arguments.max_bytes_per_s,
        with_bad: true,
    };
    let passed = scrub::pass(node, &arguments.name, &wish, &mut told).await;
    for (object, kind, found) in &bad {
        if form.json {
            writeln!(out, "{}", json!({ "object": object, "kind": kind, "found": found }))?;
        } else if form.quiet {
            writeln!(out, "{object}")?;
        } else {
            writeln!(out, "{object} ({}): {found}", kind.name())?;
        }
    }
    match passed {
        Ok(tally) => ended(&tally, form, out),
        Err(failure) => Ok(failed(&failure)),
    }
}

fn ended(tally: &Tally, form: Form, out: &mut impl Write) -> anyhow::Result<ExitCode> {
    let Tally { copies, bytes, missing, short, changed, unreadable } = *tally;
    if form.json {
        let told = json!({
            "copies": copies, "bytes": bytes, "missing": missing, "short": short, "changed": changed,
            "unreadable": unreadable,
        });
        writeln!(out, "{told}")?;
    } else if !form.quiet {
        writeln!(
            out,
            "{} of {} read: {missing} missing, {short} short, {changed} changed, {unreadable} unreadable",
            of(copies, "object"),
            size(bytes)
        )?;
        if tally.bad() > 0 {
            writeln!(
                out,
                "What is bad is made anew from another copy while matinee serves; `matinee stores repair` says how far that is."
            )?;
        }
    }
    Ok(if tally.bad() == 0 { ExitCode::SUCCESS } else { ExitCode::from(super::PARTLY) })
}

/// Moves everything of one store to another.
pub(crate) async fn relocate(
    node: &Node,
    arguments: &MoveArguments,
    out: &mut impl Write,
) -> anyhow::Result<ExitCode> {
    let MoveArguments { from, to, dry_run, form } = arguments;
    let moving = match standing::relocate(node, (from, to), *dry_run).await {
        Ok(moving) => moving,
        Err(failure) => return Ok(failed(&failure)),
    };
    if form.json {
        let told = json!({
            "from": from, "to": to, "dry_run": dry_run, "objects": moving.objects, "bytes": moving.bytes, "there": moving.there,
        });
        writeln!(out, "{told}")?;
    } else if !form.quiet {
        let verb = if *dry_run { "would move" } else { "move while matinee serves" };
        writeln!(
            out,
            "{} of {} {verb} from {from} to {to}",
            of(moving.objects, "object"),
            size(moving.bytes)
        )?;
        if moving.there > 0 {
            writeln!(out, "{} have a copy there already, or are on their way", of(moving.there, "object"))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Empties a store, or lets it be filled again.
pub(crate) async fn drain(
    node: &Node,
    arguments: &DrainArguments,
    out: &mut impl Write,
) -> anyhow::Result<ExitCode> {
    let (name, form) = (arguments.name.as_str(), arguments.form);
    let forecast = match standing::forecast(node, name).await {
        Ok(forecast) => forecast,
        Err(failure) => return Ok(failed(&failure)),
    };
    if !arguments.dry_run
        && let Err(failure) = standing::drain(node, name, !arguments.undo).await
    {
        return Ok(failed(&failure));
    }
    if form.json {
        let to: Vec<_> = forecast
            .to
            .iter()
            .map(|(store, objects, bytes)| json!({ "store": store, "objects": objects, "bytes": bytes }))
            .collect();
        let told = json!({ "store": name, "draining": !arguments.dry_run && !arguments.undo, "to": to, "stranded": forecast.stranded });
        writeln!(out, "{told}")?;
    } else if !form.quiet && arguments.undo {
        writeln!(out, "{name} is filled again")?;
    } else if !form.quiet {
        writeln!(
            out,
            "{name} {}",
            if arguments.dry_run { "would be emptied" } else { "is emptied while matinee serves" }
        )?;
        for (store, objects, bytes) in &forecast.to {
            writeln!(out, "  {} of {} are copied to {store}", of(*objects, "object"), size(*bytes))?;
        }
        if forecast.stranded > 0 {
            writeln!(out, "  {} stay: no other store takes them", of(forecast.stranded, "object"))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Says what is bad, and how far its repair is; the server does that by itself.
pub(crate) async fn repair(node: &Node, form: Form, out: &mut impl Write) -> anyhow::Result<ExitCode> {
    let mut open = 0;
    for store in standing::all(node).await? {
        let (bad, _) = store.count(State::Suspect);
        let (waiting, bytes) = store.count(State::Intended);
        open += bad;
        if form.json {
            writeln!(
                out,
                "{}",
                json!({ "store": store.name, "bad": bad, "waiting": waiting, "waiting_bytes": bytes })
            )?;
        } else if !form.quiet && bad + waiting > 0 {
            writeln!(
                out,
                "{}: {bad} bad, {} of {} to be made",
                store.name,
                of(waiting, "copy"),
                size(bytes)
            )?;
        }
    }
    if open == 0 && !form.json && !form.quiet {
        writeln!(out, "No copy is known to be bad. `matinee stores scrub NAME` reads all of a store again.")?;
    }
    Ok(ExitCode::SUCCESS)
}

pub(super) fn of(number: u64, noun: &str) -> String {
    if noun == "copy" && number != 1 {
        return format!("{number} copies");
    }
    count(usize::try_from(number).unwrap_or(usize::MAX), noun)
}

pub(super) fn failed(failure: &Failure) -> ExitCode {
    if matches!(failure, Failure::Absent) {
        return absent();
    }
    super::complain(&format!("matinee: {failure}"));
    ExitCode::from(code(failure))
}
