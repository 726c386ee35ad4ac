//! matinee: a self-hosted video platform. This file is the list of its commands.

mod command;
mod config;
mod errand;
mod flow;
mod http;
mod node;
mod runner;
mod shelf;
mod turn;
mod worker;

use std::process::ExitCode;

use clap::Parser;
use tikv_jemallocator::Jemalloc;

/// That of the C library keeps a heap for each thread, and gives what was free in them back to nobody; see decision 66.
#[global_allocator]
static ALLOCATOR: Jemalloc = Jemalloc;

/// A self-hosted video platform: drop a video in, watch it at once, watch it in every size.
///
/// Without a command it serves with its defaults and prints its address.
#[derive(Debug, Parser)]
#[command(name = "matinee", version, max_term_width = 100)]
struct Arguments {
    #[command(flatten)]
    flags: config::Flags,
    #[command(subcommand)]
    command: Option<command::Command>,
}

fn main() -> ExitCode {
    let mut arguments = std::env::args_os().skip(1);
    // Before anything else is set up: this process only restricts itself and then becomes ffmpeg.
    if arguments.next().is_some_and(|first| first == matinee_io::ffmpeg::sandbox::COMMAND) {
        let Err(error) = matinee_io::ffmpeg::sandbox::enter(arguments);
        return command::failed(&error.into(), matinee_io::ffmpeg::sandbox::FAILED);
    }
    let arguments = Arguments::parse();
    command::run(arguments.command.unwrap_or_else(command::Command::serve), &arguments.flags)
}
