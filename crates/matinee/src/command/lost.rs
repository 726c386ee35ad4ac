//! `matinee stores lost`: a store that will never come back is given up, in writing.

use std::io::Write;
use std::process::ExitCode;

use serde_json::json;

use super::Form;
use super::copies::{failed, of};
use crate::flow::standing::{self, Lost};
use crate::node::Node;

/// Which store is lost.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  matinee stores lost cellar --dry-run\n  matinee stores lost cellar --because \"the disk has burnt\"\n  matinee stores lost cellar --undo"
)]
pub(crate) struct Arguments {
    /// The store; also one that is not in the configuration any more
    #[arg(value_name = "NAME")]
    name: String,
    /// Why; it is written into the rows instead of a proof
    #[arg(long, value_name = "REASON", default_value = "whoever runs this server said so")]
    because: String,
    /// Says what would be given up, and changes nothing
    #[arg(long, conflicts_with = "undo")]
    dry_run: bool,
    /// An empty store of this name is there: it may be filled
    #[arg(long)]
    undo: bool,
    /// Also when it has the only copy of something
    #[arg(long)]
    last_too: bool,
    #[command(flatten)]
    form: Form,
}

/// Gives a store up, or lets an empty one take its name.
pub(crate) async fn run(
    node: &Node,
    arguments: &Arguments,
    out: &mut impl Write,
) -> anyhow::Result<ExitCode> {
    let (name, form) = (arguments.name.as_str(), arguments.form);
    if arguments.undo {
        if let Err(failure) = standing::regain(node, name).await {
            return Ok(failed(&failure));
        }
        if !form.json && !form.quiet {
            writeln!(out, "{name} is filled again")?;
        }
        return Ok(ExitCode::SUCCESS);
    }
    let ahead = match standing::would_lose(node, name).await {
        Ok(ahead) => ahead,
        Err(failure) => return Ok(failed(&failure)),
    };
    if ahead.last > 0 && !arguments.last_too && !arguments.dry_run {
        super::complain(&format!(
            "matinee: {name} has the only copy of {}. With --last-too they are given up, too.",
            of(ahead.last, "object")
        ));
        return Ok(ExitCode::from(super::ERROR));
    }
    let lost = if arguments.dry_run {
        ahead
    } else {
        match standing::lose(node, name, &arguments.because).await {
            Ok(lost) => lost,
            Err(failure) => return Ok(failed(&failure)),
        }
    };
    tell(arguments, lost, out)?;
    Ok(ExitCode::SUCCESS)
}

fn tell(arguments: &Arguments, lost: Lost, out: &mut impl Write) -> std::io::Result<()> {
    let (name, form) = (&arguments.name, arguments.form);
    if form.json {
        let told =
            json!({ "store": name, "dry_run": arguments.dry_run, "copies": lost.entries, "last": lost.last });
        return writeln!(out, "{told}");
    }
    if form.quiet {
        return Ok(());
    }
    let verb = if arguments.dry_run { "would be given up" } else { "are given up" };
    writeln!(out, "{} in {name} {verb}", of(lost.entries, "copy"))?;
    if lost.last > 0 {
        writeln!(out, "{} had no other good copy", of(lost.last, "object"))?;
    }
    if !arguments.dry_run {
        writeln!(out, "What is lacking now is made anew from other copies while matinee serves.")?;
    }
    Ok(())
}
