//! `matinee import --watch`: looks through a folder until it is stopped; the server takes what is complete.

use std::io::Write;
use std::process::ExitCode;
use std::sync::Arc;

use tokio::sync::mpsc;

use super::Arguments;
use crate::command::text::{plain, size};
use crate::command::{self, lock};
use crate::config::{self, Span};
use crate::flow::{arrival, pipeline, watch};
use crate::node::Node;

/// How a folder is watched.
#[derive(Debug, clap::Args)]
pub(super) struct Options {
    /// A file is complete when it has not changed for so long
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = span, requires = "watch")]
    settle: Span,
    /// Where files go that became videos, inside the folder; "" removes them
    #[arg(long, value_name = "NAME", default_value = "done", requires = "watch")]
    done: String,
    /// Where files go that could not be taken, inside the folder
    #[arg(long, value_name = "NAME", default_value = "failed", requires = "watch")]
    failed: String,
}

fn span(text: &str) -> Result<Span, String> {
    Span::try_from(text.to_owned())
}

/// Watches until Ctrl-C.
pub(super) async fn run(
    node: &Arc<Node>,
    arguments: &Arguments,
    out: &mut impl Write,
) -> anyhow::Result<ExitCode> {
    let [folder] = arguments.paths.as_slice() else {
        anyhow::bail!("--watch is for one folder");
    };
    if !folder.is_dir() {
        command::complain(&format!("matinee: there is no folder {}", folder.display()));
        return Ok(ExitCode::from(command::NOT_FOUND));
    }
    let options = &arguments.watched;
    let mut order = config::Watch {
        folder: folder.clone(),
        collection: arguments.collection.clone(),
        pipeline: arguments.pipeline.clone(),
        done: options.done.clone(),
        failed: options.failed.clone(),
        settle: options.settle,
    };
    order.check()?;
    // A wrong name is said now, not at the first file.
    arrival::collection(node, node.defaults.app, order.collection.as_deref()).await?;
    pipeline::usable(node, node.defaults.app, &order.pipeline).await?;
    if !arguments.form.quiet && lock::server_of(&node.config.data).is_none() {
        command::complain("No matinee serves this data directory now; files are taken when one does.");
    }
    let (tell, mut told) = mpsc::unbounded_channel();
    let heard = Arc::new(move |found| drop(tell.send(found)));
    let watching = tokio::spawn(watch::run(Arc::clone(node), order, heard));
    while let Some(found) = told.recv().await {
        write(arguments, &found, out)?;
    }
    watching.await?;
    Ok(ExitCode::SUCCESS)
}

fn write(arguments: &Arguments, found: &watch::Found, out: &mut impl Write) -> anyhow::Result<()> {
    let (name, upload) = (&found.name, found.upload);
    if arguments.form.json {
        let told =
            serde_json::json!({ "path": name, "upload": upload, "bytes": found.size, "state": "found" });
        writeln!(out, "{told}")?;
    } else if arguments.form.quiet {
        writeln!(out, "{upload}")?;
    } else {
        writeln!(out, "found       {upload}  {} ({})", plain(name), size(found.size))?;
    }
    Ok(out.flush()?)
}
