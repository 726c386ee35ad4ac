//! `matinee costs`: what this month costs, what if a collection moved, and the price cards.

use std::io::Write;
use std::process::ExitCode;

use matinee_core::calendar;
use matinee_core::price::Card;
use serde_json::Value;

use super::Form;
use super::ordered::{Listing, Ordered};
use super::text::{Column, plain, short, table};
use crate::config::Flags;
use crate::flow::{Failure, cost, now};
use crate::http::view::{Bearer, CostReport, WhatIf};
use crate::node::Node;

/// What to show, or to write.
pub(crate) type Arguments = Ordered<Order>;

/// How it is called, for its help.
pub(crate) const EXAMPLES: &str = "Examples:\n  matinee costs\n  matinee costs cards\n  matinee costs set own_server month_fee=60 date=2026-11\n  matinee costs what-if lectures backblaze_b2";

/// What to do.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Order {
    /// Says what this month costs, as without a word
    Show(Form),
    /// Lists the price cards that count, with the date of their figures
    Cards(Form),
    /// Writes a price card: a new one, or what is named of one that is there
    Set {
        /// Its name
        #[arg(value_name = "CARD")]
        name: String,
        /// What it says, such as `per_gb_stored=0.006`; `delivery` as JSON
        #[arg(value_name = "KEY=VALUE", required = true)]
        fields: Vec<String>,
        #[command(flatten)]
        form: Form,
    },
    /// Takes back what was written of a price card
    Reset {
        /// Its name
        #[arg(value_name = "CARD")]
        name: String,
    },
    /// Says what a collection would cost at a place with this price card
    WhatIf {
        /// The collection, by its name or id
        #[arg(value_name = "COLLECTION")]
        collection: String,
        /// The price card
        #[arg(value_name = "CARD")]
        card: String,
        #[command(flatten)]
        form: Form,
    },
}

/// Does what was asked.
pub(crate) async fn run(
    flags: &Flags,
    arguments: Arguments,
    out: &mut impl Write,
) -> anyhow::Result<ExitCode> {
    let node = super::open_stored(flags).await?;
    match &arguments.or(Order::Show) {
        Order::Show(form) => show(&node, *form, out).await,
        Order::Cards(form) => cards(&node, *form, out).await,
        Order::Set { name, fields, form } => set(&node, (name, fields), *form, out).await,
        Order::Reset { name } => match cost::remove_card(&node, name).await {
            Err(Failure::Absent) => Ok(unknown_card(name)),
            done => Ok(done.map(|()| ExitCode::SUCCESS)?),
        },
        Order::WhatIf { collection, card, form } => what_if(&node, (collection, card), *form, out).await,
    }
}

fn unknown_card(name: &str) -> ExitCode {
    super::complain(&format!(
        "matinee: no card `{}` was written. `matinee costs cards` lists them.",
        plain(name)
    ));
    ExitCode::from(super::NOT_FOUND)
}

async fn show(node: &Node, form: Form, out: &mut impl Write) -> anyhow::Result<ExitCode> {
    let app = node.defaults.app;
    let report = CostReport::of(&cost::report(node).await?, (app, true), &cost::names(node, app).await?);
    if form.json {
        writeln!(out, "{}", serde_json::to_string(&report)?)?;
        return Ok(ExitCode::SUCCESS);
    }
    let money = |amount: f64| format!("{amount:.2} {}", report.currency);
    if form.quiet {
        writeln!(out, "{}", money(report.costs.forecast))?;
        return Ok(ExitCode::SUCCESS);
    }
    let (so_far, forecast) = (money(report.costs.so_far), money(report.costs.forecast));
    writeln!(out, "{}: {so_far} so far, {forecast} expected", report.month)?;
    let columns = [
        ("PLACE", false),
        ("STORED", true),
        ("DELIVERED", true),
        ("SO FAR", true),
        ("EXPECTED", true),
        ("CARD", false),
    ];
    let rows: Vec<_> = report
        .places
        .iter()
        .map(|place| {
            let about = if place.estimated { "~" } else { "" };
            let card = place.card.as_ref().map(|card| format!("{} ({})", card.name, plain(&card.date)));
            vec![
                plain(&place.place),
                format!("{:.1} GB", place.amounts.stored_gb),
                format!("{about}{:.1} GB", place.amounts.delivered_gb),
                money(place.costs.so_far),
                money(place.costs.forecast),
                card.unwrap_or_else(|| "none".to_owned()),
            ]
        })
        .collect();
    table(out, &columns.map(|(title, right)| Column(title, right)), &rows)?;
    for (title, all) in
        [("app", &report.apps), ("collection", &report.collections), ("video", &report.videos)]
    {
        bearers(out, title, all, &report.currency)?;
    }
    for warning in &report.warnings {
        writeln!(out, "! {}", plain(warning))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// The dearest of a list; a screen has room for a few.
fn bearers(out: &mut impl Write, title: &str, all: &[Bearer], currency: &str) -> std::io::Result<()> {
    const SHOWN: usize = 10;
    for one in all.iter().take(SHOWN) {
        let name = one.name.as_deref().map_or_else(|| "(deleted)".to_owned(), |name| short(name, 40));
        writeln!(out, "{title} {name}: {:.2} {currency} expected  {}", one.costs.forecast, one.id)?;
    }
    Ok(())
}

async fn cards(node: &Node, form: Form, out: &mut impl Write) -> anyhow::Result<ExitCode> {
    let listing = Listing::<(Card, bool)> {
        columns: &[("CARD", false), ("OF", false), ("DATE", false), ("SOURCE", false), ("WHAT", false)],
        row: &|(card, written)| {
            let source =
                if *written { format!("{} (written here)", card.source) } else { card.source.clone() };
            let date = if card.is_old(now()) { format!("{}, old", card.date) } else { card.date.clone() };
            vec![card.name.clone(), card.of.join(","), plain(&date), plain(&source), plain(&card.title)]
        },
        name: &|(card, _)| card.name.clone(),
        json: &|(card, _)| serde_json::to_string(card),
        none: "There is no price card.",
    };
    listing.write(out, form, &cost::cards(node).await?)?;
    Ok(ExitCode::SUCCESS)
}

async fn set(
    node: &Node,
    (name, fields): (&str, &[String]),
    form: Form,
    out: &mut impl Write,
) -> anyhow::Result<ExitCode> {
    let known =
        cost::cards(node).await?.into_iter().find(|(card, _)| card.name == name).map(|(card, _)| card);
    let known = known.unwrap_or_else(|| Card { name: name.to_owned(), ..Card::default() });
    let card = changed(&known, fields)?;
    cost::put_card(node, &card).await?;
    if form.json {
        writeln!(out, "{}", serde_json::to_string(&card)?)?;
    } else if !form.quiet {
        writeln!(out, "{} of {} counts from now on", card.name, card.date)?;
    }
    Ok(ExitCode::SUCCESS)
}

/// The card with these fields. Whoever says nothing of its date and source has read it today.
fn changed(card: &Card, fields: &[String]) -> anyhow::Result<Card> {
    let mut value = serde_json::to_value(card)?;
    value["date"] = calendar::month(now()).0.into();
    value["source"] = "written here".into();
    for field in fields {
        let Some((key, text)) = field.split_once('=') else {
            anyhow::bail!("`{field}` is not KEY=VALUE, such as per_gb_stored=0.006");
        };
        let is_text = value.get(key).is_some_and(Value::is_string);
        let read = if is_text { None } else { serde_json::from_str(text).ok() };
        value[key] = read.unwrap_or_else(|| Value::from(text));
    }
    serde_json::from_value(value).map_err(|error| anyhow::anyhow!("this is no price card: {error}"))
}

async fn what_if(
    node: &Node,
    (collection, card): (&str, &str),
    form: Form,
    out: &mut impl Write,
) -> anyhow::Result<ExitCode> {
    let app = node.defaults.app;
    let named = node.db.collection_named(app, collection).await?.map(|found| found.id);
    let Some(id) = named.or_else(|| collection.parse().ok()) else { return Ok(super::absent()) };
    let moved = match cost::what_if(node, (app, id), card).await {
        Err(Failure::Absent) => return Ok(super::absent()),
        moved => WhatIf::of(id, card, moved?),
    };
    let money = |amount: f64| format!("{amount:.2} {}", moved.currency);
    if form.json {
        writeln!(out, "{}", serde_json::to_string(&moved)?)?;
    } else {
        writeln!(out, "now {} a month, there {} a month", money(moved.now), money(moved.then))?;
        let word = if moved.saves < 0.0 { "more" } else { "less" };
        writeln!(out, "{} {word} each month, {} once", money(moved.saves.abs()), money(moved.once))?;
    }
    Ok(ExitCode::SUCCESS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_read_as_what_they_are_and_dated_today() {
        let set = |fields: &[&str]| {
            let fields: Vec<String> = fields.iter().map(|&field| field.to_owned()).collect();
            changed(&Card { name: "c".to_owned(), per_gb_stored: 1.0, ..Card::default() }, &fields)
        };
        let card =
            set(&["per_gb_stored=0.5", "title=5", "of=[\"disk\"]", "delivery=[{\"per_gb\":0.1}]"]).unwrap();
        assert_eq!((card.title.as_str(), card.of.len(), card.delivery.len()), ("5", 1, 1));
        assert_eq!((card.date.len(), card.source.as_str()), (7, "written here"));
        assert_eq!(set(&["date=2026"]).unwrap().date, "2026");
        for (wrong, told) in
            [("per_gb", "KEY=VALUE"), ("per_gb=1", "per_gb"), ("month_fee=dear", "no price card")]
        {
            let found = set(&[wrong]).unwrap_err().to_string();
            assert!(found.contains(told), "{found}");
        }
    }
}
