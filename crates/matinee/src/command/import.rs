//! `matinee import`: brings in files of this machine or by their addresses, and waits for their videos if asked.

mod fetch;
mod told;
mod wait;
mod watch;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use matinee_core::id::CollectionId;

use self::told::{Told, tell};
use self::wait::Goal;
use super::progress::Board;
use super::text::{count, size};
use super::{Form, lock};
use crate::config::{self, Flags};
use crate::flow::import::{self, ImportFailure, Imported, Keep, Order};
use crate::flow::{Failure, arrival, pipeline, upload};
use crate::node::Node;

const EXAMPLES: &str = "Examples:
  matinee import lecture-07.mp4
  matinee import ~/Videos --wait
  matinee import --move /mnt/card/*.MP4 --json
  matinee import https://example.org/lecture-07.mp4 --wait
  matinee import --watch /srv/incoming --collection lectures

Without --copy, --link or --move the original stays, and its blocks are shared where the disk can (Btrfs, XFS);
elsewhere the file is copied. A server need not run: then the work begins when it does.

With --watch the command looks through the folder until Ctrl-C. A file is taken when nobody has
changed it for the --settle time; the server then brings it in and moves it into FOLDER/done, or
into FOLDER/failed with the reason beside it. The server can watch the folder itself: see [[watch]]
in the manual.";

/// What to import, and what becomes of the originals.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of the command line")]
pub(crate) struct Arguments {
    /// Files, folders whose media files are taken (symbolic links are not followed), or addresses that the server fetches
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// The title, for a single file; otherwise the file's name
    #[arg(long, value_name = "TITLE")]
    title: Option<String>,
    /// The collection for the videos, by name or id
    #[arg(long, value_name = "NAME")]
    collection: Option<String>,
    /// The pipeline by which the videos are made
    #[arg(long, value_name = "NAME", default_value = matinee_core::pipeline::DEFAULT)]
    pipeline: String,
    /// Copies each file and shares nothing with it
    #[arg(long, group = "keep")]
    copy: bool,
    /// Gives each file a second name (a hard link): do not edit the original in place afterwards
    #[arg(long, group = "keep")]
    link: bool,
    /// Removes each original when its video has been checked; what cannot be played stays
    #[arg(long = "move", group = "keep")]
    adopt: bool,
    /// Waits until each video is ready (or `playable`), or has failed
    #[arg(long, value_name = "STATE", num_args = 0..=1, require_equals = true, default_missing_value = "ready")]
    wait: Option<Goal>,
    /// Watches one folder, and takes each file that is complete, until Ctrl-C
    #[arg(long, conflicts_with_all = ["title", "keep", "wait"])]
    watch: bool,
    #[command(flatten)]
    watched: watch::Options,
    /// Says what would be imported, and changes nothing
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    form: Form,
}

/// A file on its way, as far as it came.
struct Going {
    path: PathBuf,
    imported: Imported,
}

/// Imports files.
pub(crate) async fn run(
    flags: &Flags,
    arguments: &Arguments,
    out: &mut impl Write,
) -> anyhow::Result<ExitCode> {
    let node = Node::open_stored(config::load(flags)?).await?;
    if arguments.watch && !arguments.dry_run {
        stop_on_interrupt(&node);
        return watch::run(&node, arguments, out).await;
    }
    let (urls, named): (Vec<_>, Vec<_>) =
        arguments.paths.iter().cloned().partition(|path| fetch::is_url(path));
    let paths = paths(&named, &node.config.data)?;
    if arguments.title.is_some() && paths.len() + urls.len() != 1 {
        anyhow::bail!(
            "--title is for a single file, and these are {}",
            count(paths.len() + urls.len(), "file")
        );
    }
    if arguments.dry_run {
        fetch::dry_run(&urls, arguments.form, out)?;
        return dry_run(&node, &paths, arguments.form, out);
    }
    stop_on_interrupt(&node);
    let app = node.defaults.app;
    let collection = arrival::collection(&node, app, arguments.collection.as_deref()).await?;
    pipeline::usable(&node, app, &arguments.pipeline).await?;
    let board = Board::new(arguments.form.quiet);
    let goal = if arguments.adopt { Some(arguments.wait.unwrap_or(Goal::Checked)) } else { arguments.wait };
    let (mut codes, mut going) = (Vec::new(), Vec::new());
    for path in paths {
        match bring(&node, (arguments, collection), &board, &path).await {
            Ok(imported) if goal.is_some() => going.push(Going { path, imported }),
            Ok(imported) => {
                tell(&board, arguments.form, &Told::taken(&path, &imported), out)?;
                codes.push(0);
            }
            Err(failure) => {
                tell(&board, arguments.form, &Told::refused(&path, &failure), out)?;
                codes.push(code(&failure));
            }
        }
        if node.stop.is_cancelled() {
            break;
        }
    }
    codes.extend(fetch::run(&node, arguments, &urls, out).await?);
    hint(&node, arguments, !codes.is_empty() || !going.is_empty());
    if let Some(goal) = goal {
        codes.extend(wait::wait(&node, &board, going, (goal, arguments.adopt, arguments.form), out).await?);
    }
    Ok(super::code_of_all(&codes))
}

async fn bring(
    node: &Node,
    (arguments, collection): (&Arguments, CollectionId),
    board: &Board,
    path: &Path,
) -> Result<Imported, ImportFailure> {
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let title = arguments.title.clone().unwrap_or_else(|| upload::title_from(&name));
    let order = Order {
        collection,
        pipeline: arguments.pipeline.clone(),
        keep: match (arguments.copy, arguments.link, arguments.adopt) {
            (true, _, _) => Keep::Copied,
            (_, true, _) => Keep::Linked,
            (_, _, true) => Keep::Moved,
            (false, false, false) => Keep::Cheapest,
        },
        ..Order::new(node, path.to_owned(), title)
    };
    let bar = Arc::new(board.bytes(&name, import::open(node, path)?.size()));
    let heard = Arc::clone(&bar);
    let imported = import::import(node, &order, Arc::new(move |done| heard.reached(done))).await;
    bar.end();
    imported
}

fn code(failure: &ImportFailure) -> u8 {
    match failure {
        ImportFailure::Refused(problem) if problem.code == "import_missing" => super::NOT_FOUND,
        ImportFailure::Refused(_) => super::ERROR,
        ImportFailure::Failed(failure) => super::code(failure),
    }
}

/// Ctrl-C ends the running copy, which then leaves nothing.
fn stop_on_interrupt(node: &Arc<Node>) {
    let stop = node.stop.clone();
    tokio::spawn(async move {
        // Without the signal there is no way to be told, so there is nothing to stop.
        if tokio::signal::ctrl_c().await.is_ok() {
            stop.cancel();
        }
    });
}

fn hint(node: &Node, arguments: &Arguments, anything: bool) {
    if anything && !arguments.form.quiet && lock::server_of(&node.config.data).is_none() {
        super::complain(
            "No matinee serves this data directory now; the work on the videos begins when one does.",
        );
    }
}

/// Files as they are named, and the media files of folders.
fn paths(named: &[PathBuf], data: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let mut all = Vec::new();
    for path in named {
        if !path.symlink_metadata().is_ok_and(|found| found.is_dir()) {
            all.push(path.clone());
            continue;
        }
        let below = import::media_below(path, data).map_err(Failure::from)?;
        if below.is_empty() {
            super::complain(&format!("matinee: there are no media files in {}", path.display()));
        }
        all.extend(below);
    }
    Ok(all)
}

fn dry_run(node: &Node, paths: &[PathBuf], form: Form, out: &mut impl Write) -> anyhow::Result<ExitCode> {
    let board = Board::new(true);
    let mut codes = Vec::new();
    for path in paths {
        match import::open(node, path) {
            Ok(original) if form.json => {
                let told =
                    serde_json::json!({ "path": path, "bytes": original.size(), "state": "would_import" });
                writeln!(out, "{told}")?;
                codes.push(0);
            }
            Ok(original) => {
                if !form.quiet {
                    writeln!(
                        out,
                        "would import {} ({})",
                        super::text::plain(&path.display().to_string()),
                        size(original.size())
                    )?;
                }
                codes.push(0);
            }
            Err(failure) => {
                tell(&board, form, &Told::refused(path, &failure), out)?;
                codes.push(code(&failure));
            }
        }
    }
    Ok(super::code_of_all(&codes))
}
