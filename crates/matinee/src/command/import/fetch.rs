//! `matinee import URL`: asks for a file by its address; the server fetches it, and the video is waited for if asked.

use std::io::Write;
use std::path::{Path, PathBuf};

use matinee_core::pull::Wanted;
use matinee_core::upload::Phase;
use matinee_io::clock::Stopwatch;
use serde_json::Map;

use super::told::{Told, tell};
use super::wait::{AWAY_MS, Goal, LOOK};
use super::{Arguments, lock};
use crate::command::progress::Board;
use crate::command::text::plain;
use crate::command::{self, Form};
use crate::flow::pull::{self, PullFailure};
use crate::flow::upload::{self, Upload};
use crate::flow::video;
use crate::node::Node;

/// Is it an address and not a path?
pub(super) fn is_url(path: &Path) -> bool {
    let text = path.to_string_lossy();
    text.contains("://")
        && text.split("://").next().is_some_and(|scheme| scheme.bytes().all(|b| b.is_ascii_alphanumeric()))
}

/// Says what would be fetched.
pub(super) fn dry_run(urls: &[PathBuf], form: Form, out: &mut impl Write) -> anyhow::Result<()> {
    for url in urls.iter().map(|url| url.to_string_lossy()) {
        if form.json {
            writeln!(out, "{}", serde_json::json!({ "path": url, "bytes": null, "state": "would_fetch" }))?;
        } else if !form.quiet {
            writeln!(out, "would fetch {}", plain(&url))?;
        }
    }
    Ok(())
}

/// Asks for each, says what became of it, and gives the exit codes.
pub(super) async fn run(
    node: &Node,
    arguments: &Arguments,
    urls: &[PathBuf],
    out: &mut impl Write,
) -> anyhow::Result<Vec<u8>> {
    let board = Board::new(arguments.form.quiet);
    let (mut codes, mut going) = (Vec::new(), Vec::new());
    for url in urls.iter().map(|url| url.to_string_lossy().into_owned()) {
        match order(node, arguments, &url).await {
            Ok(upload) if arguments.wait.is_some() => going.push((url, upload)),
            Ok(upload) => {
                tell(&board, arguments.form, &Told::fetched(&url, &upload), out)?;
                codes.push(0);
            }
            Err(PullFailure::Refused(problem)) => {
                tell(&board, arguments.form, &Told::unfetched(&url, problem), out)?;
                codes.push(command::ERROR);
            }
            Err(PullFailure::Failed(failure)) => {
                command::complain(&format!("matinee: {url}: {failure}"));
                codes.push(command::code(&failure));
            }
        }
    }
    let goal = arguments.wait.unwrap_or(Goal::Ready);
    for (url, upload) in going {
        codes.push(wait(node, &board, (&url, upload), (goal, arguments.form), out).await?);
    }
    Ok(codes)
}

async fn order(node: &Node, arguments: &Arguments, url: &str) -> Result<Upload, PullFailure> {
    let wanted = Wanted {
        url: url.to_owned(),
        title: arguments.title.clone(),
        collection: None,
        external_id: None,
        pipeline: Some(arguments.pipeline.clone()),
        run_after: None,
        metadata: Map::new(),
    };
    let app = node.defaults.app;
    let id = pull::order(node, app, &wanted, None).await?;
    Ok(upload::show(node, app, id).await?.upload)
}

/// Waits until the upload has ended and its video has come to the goal.
async fn wait(
    node: &Node,
    board: &Board,
    (url, mut upload): (&str, Upload),
    (goal, form): (Goal, Form),
    out: &mut impl Write,
) -> anyhow::Result<u8> {
    let mut served = Stopwatch::start();
    loop {
        upload = upload::show(node, upload.app, upload.id).await?.upload;
        let told = Told::fetched(url, &upload);
        match upload.state.phase() {
            Phase::Open => {}
            Phase::Finished => {
                let whole = video::show(node, Some(upload.app), upload.video).await?;
                if goal.is_reached(&whole) {
                    let failed = whole.video.state == matinee_core::video::State::Failed;
                    tell(board, form, &told.came(&whole, None), out)?;
                    return Ok(if failed { command::ERROR } else { 0 });
                }
            }
            Phase::Cancelled | Phase::Expired | Phase::Lost => {
                tell(board, form, &told, out)?;
                return Ok(command::ERROR);
            }
        }
        if lock::server_of(&node.config.data).is_some() {
            served = Stopwatch::start();
        }
        if node.stop.is_cancelled() || served.elapsed_ms() > AWAY_MS {
            tell(board, form, &told, out)?;
            return Ok(command::LATER);
        }
        tokio::time::sleep(LOOK).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_told_from_a_path() {
        for (text, url) in [
            ("https://example.org/a.mp4", true),
            ("ftp://example.org/a.mp4", true),
            ("lecture-07.mp4", false),
            ("./a://b.mp4", false),
            ("/mnt/https/a.mp4", false),
        ] {
            assert_eq!(is_url(Path::new(text)), url, "{text}");
        }
    }
}
