//! `matinee db copy`: from the SQLite file to PostgreSQL, verified.

use std::io::Write;
use std::process::ExitCode;

use matinee_core::hash::hex;
use serde_json::{Value, json};

use super::lock::{self, Serving};
use super::text::{Column, table};
use super::{ERROR, Form};
use crate::config::{self, Flags};
use crate::flow::moving::{self, Copied};

/// What to do with the database.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  matinee db copy --to postgres://matinee:secret@db.example/matinee\n\nRun it while matinee serves to bring most of it over, \
                  stop matinee, run it again for the rest, then set `database` to the same address and start matinee."
)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    order: Order,
}

#[derive(Debug, clap::Subcommand)]
enum Order {
    /// Copies all that the SQLite file says into a PostgreSQL database, and compares both
    Copy {
        /// The address of the PostgreSQL database; its tables are made
        #[arg(long, value_name = "URL")]
        to: String,
        #[command(flatten)]
        form: Form,
    },
}

/// Does what was asked.
pub(crate) async fn run(
    flags: &Flags,
    arguments: &Arguments,
    out: &mut impl Write,
) -> anyhow::Result<ExitCode> {
    let Order::Copy { to, form } = &arguments.order;
    let config = config::load(flags)?;
    let matinee_io::db::Config::Sqlite(from) = config.database()? else {
        super::complain(
            "matinee: this server keeps its state in PostgreSQL already; only an SQLite file can be copied.",
        );
        return Ok(ExitCode::from(ERROR));
    };
    if !from.exists() {
        super::complain(&format!(
            "matinee: there is no database in {}. Say with --data where it is.",
            config.data.display()
        ));
        return Ok(ExitCode::from(super::NOT_FOUND));
    }
    let server = lock::server_of(&config.data);
    // While nobody serves, nobody begins to: so this is the last copy.
    let alone = if server.is_none() { Some(Serving::begin(&config.data, None).await?) } else { None };
    let copied = moving::copy(&from, to).await?;
    let rows: u64 = copied.iter().map(|one| one.rows).sum();
    if form.json {
        let tables: Vec<Value> = copied.iter().map(shown).collect();
        writeln!(out, "{}", json!({ "final": alone.is_some(), "rows": rows, "tables": tables }))?;
    } else if !form.quiet {
        let columns = [("TABLE", false), ("ROWS", true), ("WRITTEN", true), ("REMOVED", true)];
        let lines: Vec<_> = copied.iter().filter(|one| one.rows + one.removed > 0).map(row).collect();
        table(out, &columns.map(|(title, right)| Column(title, right)), &lines)?;
        writeln!(out, "{rows} rows, equal in both by count and by hash.")?;
        if alone.is_some() {
            writeln!(
                out,
                "Now set `database` to the same address and start matinee; the file in {} stays as it is.",
                config.data.display()
            )?;
        } else {
            writeln!(out, "matinee goes on to write: stop it, and run the same command again for the rest.")?;
        }
    }
    drop(alone);
    Ok(ExitCode::SUCCESS)
}

fn row(one: &Copied) -> Vec<String> {
    vec![one.table.clone(), one.rows.to_string(), one.written.to_string(), one.removed.to_string()]
}

fn shown(one: &Copied) -> Value {
    let hash = hex(&one.blake3);
    json!({ "table": one.table, "rows": one.rows, "written": one.written, "removed": one.removed, "blake3": hash })
}
