//! `matinee token`: makes a token for a program, lists them, ends one.

use std::io::Write;
use std::process::ExitCode;

use matinee_core::access::{Scope, Scopes, TokenKind};
use matinee_core::id::TokenId;
use matinee_core::limits;
use serde_json::json;

use super::Form;
use super::text::{Column, ago, plain, table};
use crate::config::Flags;
use crate::flow::{access, now};
use crate::http::view;

/// What to do with tokens.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  matinee token new --scope upload:write\n  matinee token new --scope upload:write --scope video:read --app school --quiet"
)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    order: Order,
}

#[derive(Debug, clap::Subcommand)]
enum Order {
    /// Makes a token and prints its secret, once
    New(NewArguments),
    /// Lists tokens and sessions of an app
    Ls(ListArguments),
    /// Ends a token or session at once
    Rm(EndArguments),
}

#[derive(Debug, clap::Args)]
struct NewArguments {
    /// What it allows: upload:write, video:read, video:write, job:read, job:write or admin; may be repeated
    #[arg(long = "scope", required = true, value_name = "SCOPE", value_parser = scope)]
    scopes: Vec<Scope>,
    /// What you call it
    #[arg(long, default_value = "command line")]
    name: String,
    /// It ends after so many days; never when it is missing
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=36_500))]
    days: Option<u32>,
    #[command(flatten)]
    of: App,
    /// Only checks, and makes nothing
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    form: Form,
}

#[derive(Debug, clap::Args)]
struct ListArguments {
    #[command(flatten)]
    of: App,
    #[command(flatten)]
    form: Form,
}

#[derive(Debug, clap::Args)]
struct EndArguments {
    /// The token's id
    #[arg(value_name = "ID")]
    id: TokenId,
    #[command(flatten)]
    of: App,
    /// Only says that it is there, and changes nothing
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    form: Form,
}

/// In which app.
#[derive(Debug, clap::Args)]
pub(super) struct App {
    /// The app, by name or id
    #[arg(long, value_name = "APP", default_value = "default")]
    pub(super) app: String,
}

fn scope(word: &str) -> Result<Scope, String> {
    let found = Scope::ALL.iter().find(|scope| scope.name() == word).copied();
    found.ok_or_else(|| {
        let known: Vec<_> = Scope::ALL.iter().map(|scope| scope.name()).collect();
        format!("known are {}", known.join(", "))
    })
}

/// Does what was asked.
pub(crate) async fn run(
    flags: &Flags,
    arguments: &Arguments,
    out: &mut impl Write,
) -> anyhow::Result<ExitCode> {
    let node = super::open_stored(flags).await?;
    match &arguments.order {
        Order::New(new) => {
            let Some(app) = super::app::found(&node, &new.of.app).await? else { return Ok(super::absent()) };
            let scopes = Scopes::of(&new.scopes);
            let expires = new.days.map(|days| now().plus(i64::from(days) * 86_400_000));
            if new.dry_run {
                writeln!(out, "would make a token for {} with {scopes}", plain(&app.name))?;
                return Ok(ExitCode::SUCCESS);
            }
            let name: String = new.name.chars().take(limits::TITLE_CHARS_MAX).collect();
            let (secret, id) = access::create(&node, app.id, &name, scopes, expires).await?;
            if new.form.json {
                let told = json!({
                    "id": id.to_string(), "secret": secret, "app": app.name,
                    "scopes": new.scopes.iter().map(|scope| scope.name()).collect::<Vec<_>>(),
                    "expires_at": expires.map(view::time),
                });
                writeln!(out, "{told}")?;
            } else {
                writeln!(out, "{secret}")?;
                if !new.form.quiet {
                    super::complain(&format!("{id} allows {scopes}; its secret is not shown again."));
                }
            }
            Ok(ExitCode::SUCCESS)
        }
        Order::Ls(list) => {
            let Some(app) = super::app::found(&node, &list.of.app).await? else { return Ok(super::absent()) };
            let tokens = access::list(&node, app.id).await?;
            let shown = tokens.iter().filter(|token| token.kind != TokenKind::Claim);
            write_list(out, shown, list.form)?;
            Ok(ExitCode::SUCCESS)
        }
        Order::Rm(end) => {
            let Some(app) = super::app::found(&node, &end.of.app).await? else { return Ok(super::absent()) };
            if !access::list(&node, app.id).await?.iter().any(|token| token.id == end.id) {
                return Ok(super::absent());
            }
            if !end.dry_run {
                access::delete(&node, app.id, end.id).await?;
            }
            super::write_deleted(out, end.form, &end.id.to_string(), end.dry_run, None)?;
            Ok(ExitCode::SUCCESS)
        }
    }
}

fn write_list<'t>(
    out: &mut impl Write,
    tokens: impl Iterator<Item = &'t access::Token>,
    form: Form,
) -> std::io::Result<()> {
    let mut rows = Vec::new();
    for token in tokens {
        if form.json {
            let told = json!({
                "id": token.id.to_string(), "kind": token.kind, "name": token.name,
                "scopes": token.scopes.each().map(Scope::name).collect::<Vec<_>>(),
                "created_at": view::time(token.created), "expires_at": token.expires.map(view::time),
                "used_at": token.used.map(view::time),
            });
            writeln!(out, "{told}")?;
        } else if form.quiet {
            writeln!(out, "{}", token.id)?;
        } else {
            let used = token.used.map_or_else(|| "never".to_owned(), |used| ago(now(), used));
            rows.push(vec![token.id.to_string(), plain(&token.name), token.scopes.to_string(), used]);
        }
    }
    if form.json || form.quiet {
        return Ok(());
    }
    let columns =
        [Column("ID", false), Column("NAME", false), Column("SCOPES", false), Column("USED", false)];
    table(out, &columns, &rows)
}
