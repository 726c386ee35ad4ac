//! `matinee collection`: the content repositories inside an app.

use std::io::Write;
use std::process::ExitCode;

use super::Form;
use super::app::{NewArguments, RmArguments, Row, write_list};
use super::text::ago;
use super::token::App;
use crate::config::Flags;
use crate::flow::{Failure, app, now};

/// What to do with collections.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  matinee collection new lectures\n  matinee collection ls --app school --json"
)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    order: Order,
}

#[derive(Debug, clap::Subcommand)]
enum Order {
    /// Lists the collections of an app
    Ls {
        #[command(flatten)]
        of: App,
        #[command(flatten)]
        form: Form,
    },
    /// Makes a collection
    New {
        #[command(flatten)]
        of: App,
        #[command(flatten)]
        new: NewArguments,
    },
    /// Deletes a collection with all videos in it
    Rm {
        #[command(flatten)]
        of: App,
        #[command(flatten)]
        rm: RmArguments,
    },
}

/// Does what was asked.
pub(crate) async fn run(
    flags: &Flags,
    arguments: &Arguments,
    out: &mut impl Write,
) -> anyhow::Result<ExitCode> {
    let node = super::open_stored(flags).await?;
    let (Order::Ls { of, .. } | Order::New { of, .. } | Order::Rm { of, .. }) = &arguments.order;
    let Some(owner) = super::app::found(&node, &of.app).await? else { return Ok(super::absent()) };
    match &arguments.order {
        Order::Ls { form, .. } => {
            let all = app::collections(&node, owner.id).await?;
            let rows = all.iter().map(|collection| Row {
                id: collection.id.to_string(),
                name: &collection.name,
                quota: collection.quota,
                age: ago(now(), collection.created),
                deleting: collection.deleting.is_some(),
            });
            write_list(out, rows, *form)?;
        }
        Order::New { new, .. } => {
            if !new.dry_run {
                let id = app::create_collection(&node, owner.id, &new.name, new.quota()).await?;
                super::write_made(out, new.form, &id.to_string(), &new.name)?;
            }
        }
        Order::Rm { rm, .. } => {
            let id = match app::find_collection(&node, owner.id, &rm.name).await {
                Err(Failure::Absent) => return Ok(super::absent()),
                found => found?,
            };
            let (_, usage) = app::collection(&node, owner.id, id).await?;
            let job =
                if rm.dry_run { None } else { Some(app::delete_collection(&node, owner.id, id).await?) };
            super::write_deleted(out, rm.form, &id.to_string(), rm.dry_run, Some((usage, job)))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}
