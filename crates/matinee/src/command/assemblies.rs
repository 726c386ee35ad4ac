//! `matinee assemblies`: the keys and templates of pages and programs that were written for Transloadit.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use matinee_core::assembly::TEMPLATE_BYTES_MAX;
use matinee_core::id::{AppId, AssemblyKeyId};
use serde::Serialize;
use serde_json::{Value, json};

use super::text::{Column, ago, plain, table};
use super::token::App;
use super::{Form, absent, code};
use crate::config::Flags;
use crate::flow::assembly::key as flow;
use crate::flow::{Failure, now};
use crate::http::assembly_key::{AssemblyKey, MadeAssemblyKey};
use crate::http::assembly_template::AssemblyTemplate;
use crate::node::Node;

const EXAMPLES: &str = "Examples:
  matinee assemblies key new --name 'the shop'
  matinee assemblies template put cats cats.json
  matinee assemblies template ls

The file of `put` is a template as it is written for Transloadit: JSON with `steps`.";

/// What to do with the keys and templates of assemblies.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    order: Order,
}

#[derive(Debug, clap::Subcommand)]
enum Order {
    /// Makes, lists and ends the keys by which requests are signed
    #[command(subcommand)]
    Key(KeyOrder),
    /// Writes, lists, shows and forgets templates
    #[command(subcommand)]
    Template(TemplateOrder),
}

/// Whose they are, and how the command answers.
#[derive(Debug, clap::Args)]
struct Manner {
    #[command(flatten)]
    of: App,
    #[command(flatten)]
    form: Form,
}

#[derive(Debug, clap::Subcommand)]
enum KeyOrder {
    /// Makes a key and prints its id and its secret; the secret only once
    New {
        /// What you call it
        #[arg(long, default_value = "command line")]
        name: String,
        #[command(flatten)]
        manner: Manner,
    },
    /// Lists keys
    Ls(Manner),
    /// Ends a key: nothing new is made by it, and what was begun goes on
    Rm {
        /// The key's id
        #[arg(value_name = "ID")]
        id: AssemblyKeyId,
        #[command(flatten)]
        manner: Manner,
    },
}

#[derive(Debug, clap::Subcommand)]
enum TemplateOrder {
    /// Writes a template from a file
    Put {
        /// What stands in `template_id`
        name: String,
        /// A file in JSON
        file: PathBuf,
        #[command(flatten)]
        manner: Manner,
    },
    /// Lists templates
    Ls(Manner),
    /// Prints a template as it was written
    Show(Named),
    /// Forgets a template; assemblies that were made by it go on
    Rm(Named),
}

#[derive(Debug, clap::Args)]
struct Named {
    /// Its name
    name: String,
    #[command(flatten)]
    manner: Manner,
}

impl Order {
    const fn manner(&self) -> &Manner {
        match self {
            Self::Key(KeyOrder::New { manner, .. } | KeyOrder::Ls(manner) | KeyOrder::Rm { manner, .. })
            | Self::Template(
                TemplateOrder::Put { manner, .. }
                | TemplateOrder::Ls(manner)
                | TemplateOrder::Show(Named { manner, .. })
                | TemplateOrder::Rm(Named { manner, .. }),
            ) => manner,
        }
    }
}

/// Does what was asked.
pub(crate) async fn run(
    flags: &Flags,
    arguments: &Arguments,
    out: &mut impl Write,
) -> anyhow::Result<ExitCode> {
    let manner = arguments.order.manner();
    let body = match &arguments.order {
        Order::Template(TemplateOrder::Put { file, .. }) => read(file)?,
        Order::Template(_) | Order::Key(_) => Value::Null,
    };
    // Only a template can name a picture, which is looked at by ffmpeg.
    let node = if body.is_null() { super::open_stored(flags).await? } else { super::open(flags).await? };
    let Some(app) = super::app::found(&node, &manner.of.app).await? else { return Ok(absent()) };
    let done = match &arguments.order {
        Order::Key(order) => key(&node, app.id, (order, manner.form), out).await,
        Order::Template(order) => template(&node, app.id, (order, body, manner.form), out).await,
    };
    match done {
        Ok(written) => written?,
        Err(Failure::Absent) => return Ok(absent()),
        Err(failure) => {
            super::complain(&format!("matinee: {failure}"));
            return Ok(ExitCode::from(code(&failure)));
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// A template in JSON.
fn read(file: &Path) -> anyhow::Result<Value> {
    let wrong = |why: String| anyhow::anyhow!("{}: {why}", file.display());
    let text = std::fs::read(file).map_err(|error| wrong(error.to_string()))?;
    anyhow::ensure!(
        text.len() <= TEMPLATE_BYTES_MAX,
        wrong(format!("a template has at most {TEMPLATE_BYTES_MAX} bytes"))
    );
    serde_json::from_slice(&text).map_err(|error| wrong(error.to_string()))
}

/// A result that was written, or an answer that was not.
type Written = Result<std::io::Result<()>, Failure>;

async fn key(node: &Node, app: AppId, (order, form): (&KeyOrder, Form), out: &mut impl Write) -> Written {
    Ok(match order {
        KeyOrder::New { name, .. } => {
            let (made, secret) = flow::create(node, app, name).await?;
            let line = format!("{}\n{secret}", made.id);
            let id = made.id.to_string();
            let written = said(out, form, (&MadeAssemblyKey::of(made, secret), &id, &line));
            if !form.json && !form.quiet {
                super::complain("The secret is not shown again.");
            }
            written
        }
        KeyOrder::Ls(_) => {
            let row =
                |one: &flow::AssemblyKey| vec![one.id.to_string(), ago(now(), one.created), plain(&one.name)];
            let all = flow::list(node, app).await?;
            let rows: Vec<_> = all.iter().map(row).collect();
            let columns = [("ID", false), ("MADE", true), ("NAME", false)];
            let shown: Vec<_> = all.into_iter().map(AssemblyKey::from).collect();
            listed(out, form, (&shown, &rows), &columns)
        }
        KeyOrder::Rm { id, .. } => {
            flow::delete(node, app, *id).await?;
            super::write_deleted(out, form, &id.to_string(), false, None)
        }
    })
}

async fn template(
    node: &Node,
    app: AppId,
    (order, body, form): (&TemplateOrder, Value, Form),
    out: &mut impl Write,
) -> Written {
    Ok(match order {
        TemplateOrder::Put { name, .. } => {
            let put = flow::put(node, app, (name, body)).await?;
            let line =
                format!("wrote `{}`; its videos are made by the pipeline `{}`", put.name, put.pipeline);
            said(out, form, (&AssemblyTemplate::from(put), "", &line))
        }
        TemplateOrder::Ls(_) => {
            let row = |one: &flow::AssemblyTemplate| {
                vec![one.name.clone(), ago(now(), one.created), one.pipeline.clone()]
            };
            let all = flow::templates(node, app).await?;
            let rows: Vec<_> = all.iter().map(row).collect();
            let columns = [("NAME", false), ("WRITTEN", true), ("PIPELINE", false)];
            let shown: Vec<_> = all.into_iter().map(AssemblyTemplate::from).collect();
            listed(out, form, (&shown, &rows), &columns)
        }
        TemplateOrder::Show(Named { name, .. }) => {
            let found = flow::template(node, app, name).await?;
            let text = format!("{:#}", found.body);
            said(out, form, (&AssemblyTemplate::from(found), name, &text))
        }
        TemplateOrder::Rm(Named { name, .. }) => {
            flow::forget(node, app, name).await?;
            super::write_deleted(out, form, name, false, None)
        }
    })
}

/// Says one thing: as JSON, by its id, or for a person.
fn said(
    out: &mut impl Write,
    form: Form,
    (what, id, line): (&impl Serialize, &str, &str),
) -> std::io::Result<()> {
    if form.json {
        writeln!(out, "{}", json!(what))
    } else if form.quiet {
        if id.is_empty() { Ok(()) } else { writeln!(out, "{id}") }
    } else {
        writeln!(out, "{line}")
    }
}

/// Lists things: as JSON, by the first word of their rows, or as a table.
fn listed(
    out: &mut impl Write,
    form: Form,
    (shown, rows): (&[impl Serialize], &[Vec<String>]),
    columns: &[(&'static str, bool); 3],
) -> std::io::Result<()> {
    if form.json {
        return shown.iter().try_for_each(|one| writeln!(out, "{}", json!(one)));
    }
    if form.quiet {
        return rows.iter().try_for_each(|row| writeln!(out, "{}", row[0]));
    }
    table(out, &columns.map(|(title, right)| Column(title, right)), rows)
}
