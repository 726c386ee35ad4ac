//! What `matinee gc` says of stores and hosts.

use std::io::Write;

use matinee_core::inventory::outside::{Next, Thing, next};
use matinee_core::price::Prices;
use serde_json::{Value, json};

use crate::command::text::{ago, plain, size};
use crate::flow::inventory::{Account, Done, Forgotten, Found, Lack, Told, Unknown, may_delete};
use crate::flow::now;
use crate::http::view;
use crate::node::Node;

/// Says what each place has told.
pub(super) fn write(out: &mut impl Write, node: &Node, accounts: &[Account]) -> std::io::Result<()> {
    let prices = &node.config.prices;
    let (mut orphans, mut bytes) = (0, 0);
    for account in accounts {
        match &account.told {
            Told::All(found) => {
                place(out, node, account, found)?;
                (orphans, bytes) = (orphans + found.orphans().count(), bytes + found.orphan_bytes());
            }
            Told::Nothing(why) => silent(out, account, why)?,
        }
    }
    if orphans > 0 {
        writeln!(out, "orphans outside: {orphans}, {}{}", size(bytes), money(prices, bytes))?;
    }
    Ok(())
}

fn silent(out: &mut impl Write, account: &Account, why: &str) -> std::io::Result<()> {
    let (place, sort, (things, to_delete)) = (plain(&account.place), account.sort.name(), account.held);
    writeln!(
        out,
        "{place}: the {sort} does not tell what it has ({}); {things} things are, or may be, there, {to_delete} of them to be \
         deleted; nothing of it is proven",
        plain(why)
    )
}

fn place(out: &mut impl Write, node: &Node, account: &Account, found: &Found) -> std::io::Result<()> {
    let verdict =
        if found.holds() { "each has its row, and each row its thing" } else { "not all is as the rows say" };
    let (name, sort, things) = (plain(&account.place), account.sort.name(), found.things);
    writeln!(out, "{name}: {things} things in the {sort}, {}; {verdict}", size(found.bytes))?;
    if found.foreign > 0 {
        let bytes = size(found.foreign_bytes);
        writeln!(
            out,
            "         {} of them, {bytes}, are not of this server and are left alone",
            found.foreign
        )?;
    }
    for one in &found.unknown {
        orphan(out, "unknown", one, &fate(node, account, one))?;
    }
    for one in &found.again {
        orphan(out, "again", one, "it was proven gone and is there; `matinee gc` deletes it again")?;
    }
    for one in &found.spare {
        orphan(out, "spare", one, "it was made once too often; `matinee gc` deletes it")?;
    }
    for one in &found.forgotten {
        let (key, since) = (plain(&one.key), ago(now(), one.since));
        writeln!(out, "parts    {key}: an upload that no row knows, begun {since}; `matinee gc` ends it")?;
    }
    if found.foreign_uploads > 0 {
        let many = found.foreign_uploads;
        writeln!(out, "         {many} unfinished uploads are not of this server and are left alone")?;
    }
    lacks(out, "missing", &found.missing, "its row says that it is there")?;
    lacks(out, "length", &found.length, "it has another length than its row says")
}

fn orphan(out: &mut impl Write, word: &str, one: &Unknown, fate: &str) -> std::io::Result<()> {
    let what = match one.thing {
        Thing::Object | Thing::Video => String::new(),
        Thing::Upload | Thing::Version => format!(" ({})", one.thing.name()),
    };
    let bytes = one.size.map_or_else(|| "of unknown size".to_owned(), size);
    writeln!(out, "{word:8} {}{what}  {bytes}: {fate}", plain(&one.name))
}

/// What becomes of something that no row knows.
fn fate(node: &Node, account: &Account, one: &Unknown) -> String {
    let allowed = may_delete(node, (account.sort, &account.place));
    let since = one.first.map_or_else(String::new, |first| format!(", seen since {}", ago(now(), first)));
    let fate = match next(one.thing, (one.first.unwrap_or(account.at), now()), allowed) {
        Next::Delete => "`matinee gc` deletes it",
        Next::Wait(_) => "it goes two days after it was seen first",
        Next::Tell => "it stays, because `delete_unknown` is not set for this place",
    };
    format!("no row knows it{since}; {fate}")
}

fn lacks(out: &mut impl Write, word: &str, all: &[Lack], what: &str) -> std::io::Result<()> {
    for one in all {
        writeln!(out, "{word:8} {}: {what}; `matinee gc` has it made again", plain(&one.name))?;
    }
    Ok(())
}

/// Says what was done.
pub(super) fn write_done(out: &mut impl Write, done: Done) -> std::io::Result<()> {
    for (many, what) in [
        (done.owed, "to be deleted outside from now on"),
        (done.waiting, "wait until they were seen for two days"),
        (done.again, "made again, or asked for"),
        (done.ended, "forgotten uploads in parts that were ended"),
    ] {
        if many > 0 {
            writeln!(out, "{what}: {many}")?;
        }
    }
    Ok(())
}

fn money(prices: &Prices, bytes: u64) -> String {
    prices
        .of_stored(bytes)
        .map_or_else(String::new, |cost| format!(" ({cost:.2} {} a month)", prices.currency))
}

/// A place for a script.
pub(super) fn shown(node: &Node, account: &Account) -> Value {
    let prices = &node.config.prices;
    let mut shown = json!({
        "place": account.place, "sort": account.sort.name(), "checked_at": view::time(account.at),
        "holds": account.holds(), "held": { "things": account.held.0, "to_delete": account.held.1 },
        "unproven": null, "currency": prices.currency,
    });
    let more = match &account.told {
        Told::Nothing(why) => json!({ "unproven": why }),
        Told::All(found) => json!({
            "things": found.things, "bytes": found.bytes, "foreign": found.foreign,
            "foreign_bytes": found.foreign_bytes, "young": found.young, "hidden": found.hidden,
            "unknown": orphans(&found.unknown), "again": orphans(&found.again), "spare": orphans(&found.spare),
            "missing": names(&found.missing), "length": names(&found.length), "foreign_uploads": found.foreign_uploads,
            "forgotten": found.forgotten.iter().map(forgotten).collect::<Vec<_>>(),
            "orphan_bytes": found.orphan_bytes(), "orphan_cost_month": prices.of_stored(found.orphan_bytes()),
        }),
    };
    if let (Value::Object(shown), Value::Object(more)) = (&mut shown, more) {
        shown.extend(more);
    }
    shown
}

fn orphans(all: &[Unknown]) -> Vec<Value> {
    let one = |one: &Unknown| {
        let first = one.first.map(view::time);
        json!({ "name": one.name, "thing": one.thing.name(), "size_bytes": one.size, "first_seen_at": first })
    };
    all.iter().map(one).collect()
}

fn forgotten(one: &Forgotten) -> Value {
    json!({ "name": one.key, "upload": one.upload, "since": view::time(one.since) })
}

fn names(all: &[Lack]) -> Vec<&str> {
    all.iter().map(|lack| lack.name.as_str()).collect()
}
