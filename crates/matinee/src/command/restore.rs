//! `matinee videos restore`: the source of a video comes back from the archive.

use std::io::Write;
use std::process::ExitCode;

use matinee_core::id::VideoId;

use super::{absent, code};
use crate::config::Flags;
use crate::flow::Failure;
use crate::flow::archive::{self, Restored};

/// What is done with videos one by one.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    order: Order,
}

#[derive(Debug, clap::Subcommand)]
enum Order {
    /// Brings the source of a video back into the data directory, from a store that has it
    Restore {
        /// The video's id, as `matinee ls` prints it
        #[arg(value_name = "ID")]
        id: VideoId,
    },
}

/// Does it.
pub(crate) async fn run(
    flags: &Flags,
    arguments: &Arguments,
    out: &mut impl Write,
) -> anyhow::Result<ExitCode> {
    let node = super::open_stored(flags).await?;
    let Order::Restore { id } = arguments.order;
    match archive::restore(&node, (node.defaults.app, id)).await {
        Ok(Restored::Here) => writeln!(out, "the source of {id} is here")?,
        Ok(Restored::Coming) => writeln!(out, "the source of {id} is brought back while matinee serves")?,
        Err(Failure::Absent) => return Ok(absent()),
        Err(failure) => {
            super::complain(&format!("matinee: {failure}"));
            return Ok(ExitCode::from(code(&failure)));
        }
    }
    Ok(ExitCode::SUCCESS)
}
