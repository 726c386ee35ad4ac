//! `matinee gc`: the proof that nothing is orphaned, and what is done about the rest.

mod outside;

use std::io::Write;
use std::process::ExitCode;

use matinee_core::price::{OWN, Tariff};
use serde_json::{Value, json};

use super::Form;
use super::text::{plain, size};
use crate::config::Flags;
use crate::flow::account;
use crate::flow::inventory::{self, Account, Done};
use crate::flow::proof::{self, Difference, Proof};
use crate::flow::tariff::tariff;
use crate::http::view;

/// What to prove, or to do.
#[derive(Debug, clap::Args)]
#[command(
    args_conflicts_with_subcommands = true,
    after_help = "Examples:\n  matinee gc prove      compares all stores and hosts with their rows and changes nothing\n  matinee gc --dry-run  says what would go, and what it costs\n  matinee gc            puts what no row knows aside for two days, and tries failed deletes again"
)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    order: Option<Order>,
    /// Says what would go, and what it costs, without doing it
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    form: Form,
}

#[derive(Debug, clap::Subcommand)]
enum Order {
    /// Compares the listings of all stores and hosts with the rows; ends with 1 when they disagree, or one does not tell
    Prove(Form),
}

/// Does what was asked.
pub(crate) async fn run(
    flags: &Flags,
    arguments: &Arguments,
    out: &mut impl Write,
) -> anyhow::Result<ExitCode> {
    let node = super::open_stored(flags).await?;
    let proof = proof::prove(&node).await?;
    let accounts = inventory::prove(&node).await?;
    let tariff = tariff(&node).await?;
    let form = match arguments.order {
        Some(Order::Prove(form)) => form,
        None => arguments.form,
    };
    if form.json {
        writeln!(out, "{}", shown(&proof, &tariff))?;
        for account in &accounts {
            writeln!(out, "{}", outside::shown(&node, account))?;
        }
    } else if !form.quiet {
        write(out, &proof, &tariff)?;
        outside::write(out, &node, &accounts)?;
    }
    let prove = arguments.order.is_some();
    if prove || arguments.dry_run {
        let holds = proof.holds() && accounts.iter().all(Account::holds);
        return Ok(ExitCode::from(if prove && !holds { super::ERROR } else { 0 }));
    }
    let aside = proof::set_aside(&node, &proof).await?;
    let mut done = Done::default();
    for account in &accounts {
        done = done.and(inventory::settle(&node, account).await?);
    }
    let hurried = account::hurry(&node, node.defaults.app, None).await?;
    if !form.json && !form.quiet {
        if aside > 0 {
            let dir = node.config.data.join("quarantine");
            writeln!(out, "put aside: {aside}, in {} for two days", dir.display())?;
        }
        outside::write_done(out, done)?;
        writeln!(out, "deletes that are tried again now: {hurried}")?;
    }
    Ok(ExitCode::SUCCESS)
}

fn write(out: &mut impl Write, proof: &Proof, tariff: &Tariff) -> std::io::Result<()> {
    let verdict = if proof.holds() {
        "each has its row, and each row its object"
    } else {
        "not all is as the rows say"
    };
    writeln!(out, "{}: {} objects, {}; {verdict}", proof.place, proof.objects, size(proof.bytes))?;
    for one in &proof.differences {
        match *one {
            Difference::Unknown { object, size: bytes } => {
                writeln!(out, "unknown  {object}  {}: no row knows it", size(bytes))?;
            }
            Difference::Missing { object } => {
                writeln!(out, "missing  {object}  its row says that it is there; restore it from a backup")?;
            }
            Difference::Length { object, listed, known } => {
                writeln!(out, "length   {object}  {listed} bytes, and its row says {known}")?;
            }
        }
    }
    for stray in &proof.strays {
        writeln!(out, "stray    {}  is no object; it is left alone", plain(&stray.display().to_string()))?;
    }
    let money = |bytes: u64| match tariff.of_stored((OWN, OWN), bytes) {
        Some(cost) => format!(" ({cost:.2} {} a month)", tariff.currency()),
        None => String::new(),
    };
    if proof.to_delete > 0 {
        let bytes = proof.to_delete_bytes;
        writeln!(out, "to be deleted: {} objects, {}{}", proof.to_delete, size(bytes), money(bytes))?;
    }
    let unknown = proof.unknown_bytes();
    if unknown > 0 {
        writeln!(out, "unaccounted: {}{}", size(unknown), money(unknown))?;
    }
    Ok(())
}

fn shown(proof: &Proof, tariff: &Tariff) -> Value {
    let mut unknown = Vec::new();
    let mut missing = Vec::new();
    let mut length = Vec::new();
    for one in &proof.differences {
        match *one {
            Difference::Unknown { object, size } => {
                unknown.push(json!({ "object": object, "size_bytes": size }));
            }
            Difference::Missing { object } => missing.push(json!({ "object": object })),
            Difference::Length { object, listed, known } => {
                length.push(json!({ "object": object, "size_bytes": listed, "row_bytes": known }));
            }
        }
    }
    json!({
        "place": proof.place, "checked_at": view::time(proof.at), "holds": proof.holds(),
        "objects": proof.objects, "bytes": proof.bytes,
        "unknown": unknown, "missing": missing, "length": length,
        "strays": proof.strays.iter().map(|path| path.display().to_string()).collect::<Vec<_>>(),
        "to_delete": { "objects": proof.to_delete, "bytes": proof.to_delete_bytes,
            "cost_month": tariff.of_stored((OWN, OWN), proof.to_delete_bytes) },
        "unknown_cost_month": tariff.of_stored((OWN, OWN), proof.unknown_bytes()), "currency": tariff.currency(),
    })
}
