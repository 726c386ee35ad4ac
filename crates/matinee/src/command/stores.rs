//! `matinee stores`: the places that keep copies, and whether they do what is needed of them.

use std::io::Write;
use std::process::ExitCode;

use matinee_core::placement::Class;
use matinee_core::time::Millis;
use matinee_io::db::{Db, StoreState};
use matinee_io::store::trial::{self, Step};
use matinee_io::store::{Facts, Opened};
use serde_json::{Value, json};

use super::ordered::{Listing, Ordered};
use super::text::plain;
use super::{Form, copies, lost};
use crate::config::store::Kind;
use crate::config::{self, Config, Flags};
use crate::flow::plate;
use crate::node::Node;

/// The beginning of the keys of what is tried; always the same, so that the next trial removes what a broken one left.
const TRIAL: &str = "matinee-test/object";

/// Which stores, or what to do with one.
pub(crate) type Arguments = Ordered<Order>;

/// How it is called, for its help.
pub(crate) const EXAMPLES: &str = "Examples:\n  matinee stores\n  matinee stores test cellar";

/// What to do.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Order {
    /// Lists the stores of the configuration, and whether they answer
    Ls(Form),
    /// Puts objects of some MiB into a store, reads them back, deletes them, and says what it found
    Test {
        /// Its name
        #[arg(value_name = "NAME")]
        name: String,
        #[command(flatten)]
        form: Form,
    },
    /// Reads everything in a store again and compares every byte
    Scrub(copies::ScrubArguments),
    /// Says which copies are bad or lacking; the server makes them anew by itself
    Repair(Form),
    /// Moves everything of one store to another, while it plays
    Move(copies::MoveArguments),
    /// Empties a store: what lies in it is copied elsewhere first
    Drain(copies::DrainArguments),
    /// Gives a store up for ever: what lay in it is made anew from other copies
    Lost(lost::Arguments),
    /// Takes the place that is found under a name for that store, after what lay in it was brought there
    Adopt {
        /// The store
        #[arg(value_name = "NAME")]
        name: String,
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
    let config = config::load(flags)?;
    match &arguments.or(Order::Ls) {
        Order::Scrub(order) => copies::scrub(&*super::open_stored(flags).await?, order, out).await,
        Order::Repair(form) => copies::repair(&*super::open_stored(flags).await?, *form, out).await,
        Order::Move(order) => copies::relocate(&*super::open_stored(flags).await?, order, out).await,
        Order::Drain(order) => copies::drain(&*super::open_stored(flags).await?, order, out).await,
        Order::Lost(order) => lost::run(&*super::open_stored(flags).await?, order, out).await,
        Order::Adopt { name, form } => adopt(&*super::open_stored(flags).await?, name, *form, out).await,
        Order::Ls(form) => list(&config, *form, out).await,
        Order::Test { name, form } => test(&config, name, *form, out).await,
    }
}

/// A store as it is listed.
struct Told {
    name: String,
    kind: &'static str,
    class: &'static str,
    place: String,
    error: Option<String>,
    known: Option<StoreState>,
}

impl Told {
    fn is_lost(&self) -> bool {
        self.known.as_ref().is_some_and(|known| known.lost.is_some())
    }

    /// Is another place found under its name?
    fn is_elsewhere(&self) -> bool {
        self.known.as_ref().is_some_and(|known| known.elsewhere.is_some())
    }

    fn facts(&self) -> Option<&(Value, Millis)> {
        self.known.as_ref().and_then(|known| known.facts.as_ref())
    }

    fn json(&self) -> serde_json::Result<String> {
        serde_json::to_string(&json!({
            "name": self.name, "kind": self.kind, "class": self.class, "place": self.place,
            "answers": self.error.is_none(), "error": self.error, "lost": self.is_lost(),
            "elsewhere": self.is_elsewhere(),
            "facts": self.facts().map(|(facts, _)| facts), "tried_ms": self.facts().map(|(_, tried)| tried.0),
        }))
    }

    /// What a person is told besides.
    fn notes(&self) -> Vec<String> {
        let why = self.known.as_ref().filter(|_| self.is_elsewhere()).and_then(|known| known.error.as_ref());
        let mut notes: Vec<_> = why.map(|why| format!("{}: {}", self.name, plain(why))).into_iter().collect();
        notes.extend(sentences(&self.name, self.facts().map(|(facts, _)| facts)));
        notes
    }

    fn row(&self) -> Vec<String> {
        let state = match (self.is_lost(), self.is_elsewhere()) {
            (true, _) => "lost".to_owned(),
            (false, true) => "elsewhere".to_owned(),
            (false, false) => self.error.as_deref().map_or_else(|| "answers".to_owned(), plain),
        };
        vec![self.name.clone(), self.kind.to_owned(), self.class.to_owned(), plain(&self.place), state]
    }
}

async fn adopt(node: &Node, name: &str, form: Form, out: &mut impl Write) -> anyhow::Result<ExitCode> {
    if let Err(failure) = plate::adopt(node, name).await {
        return Ok(copies::failed(&failure));
    }
    if form.json {
        writeln!(out, "{}", json!({ "store": name, "adopted": true }))?;
    } else if !form.quiet {
        writeln!(out, "{name} is this place from now on; a server that runs sees it within a minute")?;
        writeln!(out, "`matinee stores scrub {name}` says whether all that its rows promise is there.")?;
    }
    Ok(ExitCode::SUCCESS)
}

async fn list(config: &Config, form: Form, out: &mut impl Write) -> anyhow::Result<ExitCode> {
    let stores = config.stores()?;
    let known = known(config).await?;
    let mut all = Vec::new();
    for (store, opened) in config.store.iter().zip(stores.iter()) {
        let kind = match store.kind {
            Some(Kind::S3) | None => "s3",
            Some(Kind::Disk) => "disk",
        };
        let class = match store.class {
            Class::Replica => "replica",
            Class::Archive => "archive",
        };
        let error = opened.store.list(None, 1).await.err().map(|error| error.to_string());
        let known = known.iter().find(|state| state.name == store.name).cloned();
        all.push(Told { name: store.name.clone(), kind, class, place: opened.place.clone(), error, known });
    }
    let listing = Listing::<Told> {
        columns: &[("NAME", false), ("KIND", false), ("CLASS", false), ("PLACE", false), ("STATE", false)],
        row: &Told::row,
        name: &|told| told.name.clone(),
        json: &Told::json,
        none: "There is no [[store]] in the configuration: all lies in the data directory only.",
    };
    listing.write(out, form, &all)?;
    if !form.json && !form.quiet {
        for told in &all {
            for note in told.notes() {
                writeln!(out, "{note}")?;
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// What a server has learned of its stores; nothing where none has run yet.
async fn known(config: &Config) -> anyhow::Result<Vec<StoreState>> {
    let database = config.database()?;
    if matches!(&database, matinee_io::db::Config::Sqlite(file) if !file.exists()) {
        return Ok(Vec::new());
    }
    let states = async { Db::open(&database).await?.store_states().await };
    Ok(states.await.unwrap_or_else(|error| {
        super::complain(&format!("matinee: the database does not say what is known of the stores: {error}"));
        Vec::new()
    }))
}

fn sentences(name: &str, facts: Option<&Value>) -> Vec<String> {
    let facts = facts.and_then(|facts| serde_json::from_value::<Facts>(facts.clone()).ok());
    let told = facts.map(|facts| facts.sentences()).unwrap_or_default();
    told.into_iter().map(|sentence| format!("{name}: {sentence}")).collect()
}

async fn test(config: &Config, name: &str, form: Form, out: &mut impl Write) -> anyhow::Result<ExitCode> {
    let stores = config.stores()?;
    let Some(Opened { store, place, .. }) = stores.get(name) else {
        super::complain("matinee: there is no [[store]] of this name. `matinee stores` lists them.");
        return Ok(ExitCode::from(super::NOT_FOUND));
    };
    if !form.json && !form.quiet {
        writeln!(out, "{name}: {}", plain(place))?;
    }
    let mut steps = Vec::new();
    let facts = trial::run(&**store, TRIAL, &mut |step| steps.push(step)).await;
    for step in &steps {
        write_step(out, form, step)?;
    }
    match &facts {
        Some(facts) => write_facts(out, form, facts)?,
        None if form.json || form.quiet => {}
        None => writeln!(out, "This store cannot be relied on as it is.")?,
    }
    Ok(if facts.is_some() { ExitCode::SUCCESS } else { ExitCode::from(super::ERROR) })
}

fn write_step(out: &mut impl Write, form: Form, step: &Step) -> std::io::Result<()> {
    let (grade, text) = match &step.found {
        Ok(found) => ("ok", found.clone()),
        Err(error) => ("fail", error.to_string()),
    };
    if form.json {
        let told = json!({ "step": step.word, "ok": step.found.is_ok(), "found": text, "ms": step.ms });
        return writeln!(out, "{told}");
    }
    if form.quiet && step.found.is_ok() {
        return Ok(());
    }
    writeln!(out, "{grade:<5} {:<7} {} ({} ms)", step.word, plain(&text), step.ms)
}

fn write_facts(out: &mut impl Write, form: Form, facts: &Facts) -> anyhow::Result<()> {
    if form.json {
        writeln!(out, "{}", json!({ "facts": facts }))?;
    } else if !form.quiet {
        for sentence in facts.sentences() {
            writeln!(out, "note  {sentence}")?;
        }
        writeln!(out, "This store does what matinee needs.")?;
    }
    Ok(())
}
