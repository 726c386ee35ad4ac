//! `matinee app`: the tenants of this server.

use std::io::Write;
use std::process::ExitCode;

use matinee_core::quota::Quota;
use serde_json::json;

use super::Form;
use super::text::{Column, ago, plain, size, table};
use crate::config::Flags;
use crate::flow::app::{self, App};
use crate::flow::{Failure, now};
use crate::http::view;
use crate::node::Node;

/// What to do with apps.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  matinee app new school --quota-bytes 500000000000\n  matinee app rm school --dry-run"
)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    order: Order,
}

#[derive(Debug, clap::Subcommand)]
enum Order {
    /// Lists apps
    Ls(Form),
    /// Makes an app
    New(NewArguments),
    /// Deletes an app with all that is in it
    Rm(RmArguments),
}

/// Something with a name to make.
#[derive(Debug, clap::Args)]
pub(super) struct NewArguments {
    /// Its name
    #[arg(value_name = "NAME", value_parser = name)]
    pub(super) name: String,
    /// Bytes that may be stored or reserved by open uploads
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(..=i64::MAX.unsigned_abs()))]
    quota_bytes: Option<u64>,
    /// Open uploads at the same time
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(..=i64::MAX.unsigned_abs()))]
    quota_open_uploads: Option<u64>,
    /// Only checks, and makes nothing
    #[arg(long)]
    pub(super) dry_run: bool,
    #[command(flatten)]
    pub(super) form: Form,
}

impl NewArguments {
    pub(super) const fn quota(&self) -> Quota {
        Quota { bytes: self.quota_bytes, uploads: self.quota_open_uploads }
    }
}

/// Something with a name to delete.
#[derive(Debug, clap::Args)]
pub(super) struct RmArguments {
    /// Its name or id
    #[arg(value_name = "NAME")]
    pub(super) name: String,
    /// Says what would go, and changes nothing
    #[arg(long)]
    pub(super) dry_run: bool,
    #[command(flatten)]
    pub(super) form: Form,
}

fn name(text: &str) -> Result<String, String> {
    view::name_of(text).map(str::to_owned).map_err(|problem| problem.told().1.to_owned())
}

/// The app with this name or id.
pub(super) async fn found(node: &Node, text: &str) -> anyhow::Result<Option<App>> {
    match app::find(node, text).await {
        Ok(app) => Ok(Some(app)),
        Err(Failure::Absent) => Ok(None),
        Err(failure) => Err(failure.into()),
    }
}

/// Does what was asked.
pub(crate) async fn run(
    flags: &Flags,
    arguments: &Arguments,
    out: &mut impl Write,
) -> anyhow::Result<ExitCode> {
    let node = super::open_stored(flags).await?;
    match &arguments.order {
        Order::Ls(form) => {
            let apps = app::list(&node).await?;
            let rows = apps.iter().map(|app| Row {
                id: app.id.to_string(),
                name: &app.name,
                quota: app.quota,
                age: ago(now(), app.created),
                deleting: app.deleting.is_some(),
            });
            write_list(out, rows, *form)?;
        }
        Order::New(new) => {
            if !new.dry_run {
                let id = app::create(&node, &new.name, new.quota()).await?.to_string();
                super::write_made(out, new.form, &id, &new.name)?;
            }
        }
        Order::Rm(rm) => {
            let Some(app) = found(&node, &rm.name).await? else { return Ok(super::absent()) };
            let (_, usage) = app::show(&node, app.id).await?;
            let job =
                if rm.dry_run { None } else { Some(app::delete(&node, node.defaults.app, app.id).await?) };
            super::write_deleted(out, rm.form, &app.id.to_string(), rm.dry_run, Some((usage, job)))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// One line of a list of apps or collections.
pub(super) struct Row<'r> {
    pub(super) id: String,
    pub(super) name: &'r str,
    pub(super) quota: Quota,
    pub(super) age: String,
    pub(super) deleting: bool,
}

/// Writes a list of apps or collections.
pub(super) fn write_list<'r>(
    out: &mut impl Write,
    all: impl Iterator<Item = Row<'r>>,
    form: Form,
) -> std::io::Result<()> {
    let mut rows = Vec::new();
    for Row { id, name, quota, age, deleting } in all {
        if form.json {
            let told = json!({
                "id": id, "name": name, "quota_bytes": quota.bytes, "quota_open_uploads": quota.uploads,
                "deleting": deleting,
            });
            writeln!(out, "{told}")?;
        } else if form.quiet {
            writeln!(out, "{id}")?;
        } else {
            let limit = quota.bytes.map_or_else(|| "none".to_owned(), size);
            let note = if deleting { "is being deleted".to_owned() } else { age };
            rows.push(vec![id, plain(name), limit, note]);
        }
    }
    if form.json || form.quiet {
        return Ok(());
    }
    let columns = [Column("ID", false), Column("NAME", false), Column("QUOTA", true), Column("MADE", false)];
    table(out, &columns, &rows)
}
