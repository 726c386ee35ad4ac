//! Waiting for videos: asks the database again and again, because another process does the work.

use std::io::Write;
use std::time::Duration;

use matinee_core::video::State;
use matinee_io::clock::Stopwatch;

use super::Going;
use super::told::{Told, tell};
use crate::command::progress::{Bar, Board};
use crate::command::{self, Form, lock};
use crate::flow::Failure;
use crate::flow::video::{self, Whole};
use crate::http::view;
use crate::node::Node;

/// How often it is asked.
pub(super) const LOOK: Duration = Duration::from_millis(300);
/// How long a server may be away, for example while it is restarted, in milliseconds.
pub(super) const AWAY_MS: u64 = 5_000;

/// How far a video is to come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Goal {
    /// Its file was looked at, and something can be made of it.
    #[value(skip)]
    Checked,
    /// Somebody can watch it
    Playable,
    /// Everything was made
    Ready,
}

impl Goal {
    pub(super) fn is_reached(self, whole: &Whole) -> bool {
        let over = whole.video.state != State::Processing;
        over || match self {
            Self::Checked => whole.video.probe.is_some(),
            Self::Playable => whole.video.is_playable(),
            Self::Ready => false,
        }
    }
}

/// Waits for all, says how each one ended, and gives their exit codes.
pub(super) async fn wait(
    node: &Node,
    board: &Board,
    going: Vec<Going>,
    (goal, adopt, form): (Goal, bool, Form),
    out: &mut impl Write,
) -> anyhow::Result<Vec<u8>> {
    let mut waiting: Vec<(Going, Bar)> = going
        .into_iter()
        .map(|going| (board.work(&going.path.file_name().unwrap_or_default().to_string_lossy()), going))
        .map(|(bar, going)| (going, bar))
        .collect();
    let mut codes = Vec::new();
    let mut served = Stopwatch::start();
    while !waiting.is_empty() {
        let mut still = Vec::new();
        for (going, bar) in waiting {
            let whole = match video::show(node, Some(node.defaults.app), going.imported.video).await {
                Err(Failure::Absent) => {
                    bar.end();
                    command::complain(&format!("matinee: {} was deleted meanwhile", going.imported.video));
                    codes.push(command::NOT_FOUND);
                    continue;
                }
                found => found?,
            };
            if goal.is_reached(&whole) {
                bar.end();
                let original = adopt.then(|| settle(&going, &whole));
                tell(board, form, &Told::taken(&going.path, &going.imported).came(&whole, original), out)?;
                codes.push(if whole.video.state == State::Failed { command::ERROR } else { 0 });
            } else {
                bar.ribbon(&view::ribbon(&whole));
                still.push((going, bar));
            }
        }
        waiting = still;
        if lock::server_of(&node.config.data).is_some() {
            served = Stopwatch::start();
        }
        if node.stop.is_cancelled() || served.elapsed_ms() > AWAY_MS {
            break;
        }
        if !waiting.is_empty() {
            tokio::time::sleep(LOOK).await;
        }
    }
    for (going, bar) in waiting {
        bar.end();
        let mut told = Told::taken(&going.path, &going.imported);
        told.keep(adopt);
        tell(board, form, &told, out)?;
        codes.push(command::LATER);
    }
    Ok(codes)
}

/// The original goes only when its video stands.
fn settle(going: &Going, whole: &Whole) -> &'static str {
    if whole.video.state == State::Failed {
        return "kept";
    }
    match going.imported.original.remove(&going.path) {
        Ok(()) => "removed",
        Err(error) => {
            command::complain(&format!("matinee: {} stays: {error}", going.path.display()));
            "kept"
        }
    }
}
