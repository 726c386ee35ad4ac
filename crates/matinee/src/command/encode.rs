//! `matinee encode`: a video is made again, by another pipeline or a newer version of its own.

use std::io::Write;
use std::process::ExitCode;

use matinee_core::id::VideoId;

use super::text::plain;
use super::videos::as_json;
use super::{Form, absent, code};
use crate::config::Flags;
use crate::flow::{Failure, remake};

/// What to encode again.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "What there is plays on until all that is new is done. Examples:\n  matinee encode vid_01k...\n  matinee encode vid_01k... --pipeline cinema\n  matinee encode vid_01k... --cancel"
)]
pub(crate) struct Arguments {
    /// The video's id, as `matinee ls` prints it
    #[arg(value_name = "ID")]
    id: VideoId,
    /// By the newest version of this pipeline; of the one that it was made by when it is missing
    #[arg(long, value_name = "NAME")]
    pipeline: Option<String>,
    /// Stops what was begun; what there is stays
    #[arg(long, conflicts_with = "pipeline")]
    cancel: bool,
    #[command(flatten)]
    form: Form,
}

/// Begins to encode a video again, or stops it.
pub(crate) async fn run(
    flags: &Flags,
    arguments: &Arguments,
    out: &mut impl Write,
) -> anyhow::Result<ExitCode> {
    let node = super::open_stored(flags).await?;
    let (app, id) = (node.defaults.app, arguments.id);
    let whole = if arguments.cancel {
        remake::cancel(&node, app, id).await
    } else {
        remake::begin(&node, (app, id), arguments.pipeline.as_deref()).await
    };
    let whole = match whole {
        Ok(whole) => whole,
        Err(Failure::Absent) => return Ok(absent()),
        Err(failure) => {
            super::complain(&format!("matinee: {failure}"));
            return Ok(ExitCode::from(code(&failure)));
        }
    };
    if arguments.form.json {
        writeln!(out, "{}", as_json(&node, &whole)?)?;
    } else if arguments.form.quiet {
        writeln!(out, "{id}")?;
    } else if arguments.cancel {
        writeln!(out, "stopped; \"{}\" stays as it is", plain(&whole.video.title))?;
    } else {
        let remake = whole.video.remake.as_ref().map(|remake| &remake.made_by);
        let name = remake.or(whole.video.made_by.as_ref()).map(|made_by| made_by.name.as_str());
        let (title, name) = (plain(&whole.video.title), plain(name.unwrap_or_default()));
        writeln!(
            out,
            "\"{title}\" is encoded again by `{name}` while matinee serves; `matinee show {id}` says how far it is"
        )?;
    }
    Ok(ExitCode::SUCCESS)
}
