//! `matinee webhooks`: where an app is told what happens, how that fares, and what it is told again.

use std::io::Write;
use std::process::ExitCode;

use matinee_core::calendar::read_time;
use matinee_core::id::{AppId, EventId, WebhookId};
use matinee_core::time::Millis;
use serde::Serialize;

use super::text::{Column, ago, plain, short, table};
use super::token::App;
use super::{Form, absent, code};
use crate::config::Flags;
use crate::flow::webhook::{self, Again, DeliveryFilter, Unfit, Wish};
use crate::flow::{Failure, now};
use crate::http::webhook::{Delivery, MadeWebhook, Replayed, Tested, Webhook};
use crate::node::Node;

const EXAMPLES: &str = "Examples:
  matinee webhooks add https://example.org/hook --topic 'video.*' --topic upload.failed
  matinee webhooks test whk_...
  matinee webhooks log whk_...
  matinee webhooks replay whk_... --since 2026-11-21T10:00:00Z";

/// So many deliveries are shown.
const LOG_ROWS: u32 = 50;

/// What to do with webhooks.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    order: Order,
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
enum Order {
    /// Makes a webhook and prints its secret, once
    Add {
        /// Where messages go
        #[arg(value_name = "URL")]
        url: String,
        /// Which events it is told, with * for any run of characters; may be repeated [default: all]
        #[arg(long = "topic", value_name = "TOPIC")]
        topics: Vec<String>,
        /// What you call it
        #[arg(long, default_value = "")]
        description: String,
        #[command(flatten)]
        manner: Manner,
    },
    /// Lists webhooks
    Ls(Manner),
    /// Switches a webhook on, also one that was switched off by itself
    On(One),
    /// Switches a webhook off
    Off(One),
    /// Forgets a webhook with all that waits for it
    Rm(One),
    /// Sends a test message now, and says how that went
    Test(One),
    /// Gives a webhook another secret and prints it, once; the one before signs for a day, too
    Rotate(One),
    /// Tells how messages fared, the newest first
    Log(One),
    /// Sends events again, with the same ids
    Replay {
        #[command(flatten)]
        one: One,
        /// One event, whatever it is about
        #[arg(long, value_name = "ID", conflicts_with = "since", required_unless_present = "since")]
        event: Option<EventId>,
        /// All events of its topics since this moment
        #[arg(long, value_name = "TIME", value_parser = moment)]
        since: Option<Millis>,
    },
}

#[derive(Debug, clap::Args)]
struct One {
    /// The webhook's id
    #[arg(value_name = "ID")]
    id: WebhookId,
    #[command(flatten)]
    manner: Manner,
}

impl Order {
    const fn manner(&self) -> &Manner {
        match self {
            Self::Add { manner, .. } | Self::Ls(manner) => manner,
            Self::On(one)
            | Self::Off(one)
            | Self::Rm(one)
            | Self::Test(one)
            | Self::Rotate(one)
            | Self::Log(one)
            | Self::Replay { one, .. } => &one.manner,
        }
    }
}

fn moment(text: &str) -> Result<Millis, String> {
    read_time(text).ok_or_else(|| "write it as 2026-11-21T10:00:00Z".to_owned())
}

/// Does what was asked.
pub(crate) async fn run(
    flags: &Flags,
    arguments: &Arguments,
    out: &mut impl Write,
) -> anyhow::Result<ExitCode> {
    let node = super::open_stored(flags).await?;
    let manner = arguments.order.manner();
    let Some(app) = super::app::found(&node, &manner.of.app).await? else { return Ok(absent()) };
    match done(&node, app.id, (&arguments.order, manner.form), out).await {
        Ok(code) => Ok(code),
        Err(Problem::Unfit(Unfit::Failed(Failure::Absent))) => Ok(absent()),
        Err(Problem::Unfit(Unfit::Url(human))) => {
            super::complain(&format!("matinee: {}", plain(&human)));
            Ok(ExitCode::from(super::ERROR))
        }
        Err(Problem::Unfit(Unfit::Failed(failure))) => {
            super::complain(&format!("matinee: {failure}"));
            Ok(ExitCode::from(code(&failure)))
        }
        Err(Problem::Out(error)) => Err(error.into()),
    }
}

/// Why it did not work: what was asked for, or the one who reads.
enum Problem {
    Unfit(Unfit),
    Out(std::io::Error),
}

impl From<Unfit> for Problem {
    fn from(unfit: Unfit) -> Self {
        Self::Unfit(unfit)
    }
}

impl From<Failure> for Problem {
    fn from(failure: Failure) -> Self {
        Self::Unfit(failure.into())
    }
}

impl From<std::io::Error> for Problem {
    fn from(error: std::io::Error) -> Self {
        Self::Out(error)
    }
}

async fn done(
    node: &Node,
    app: AppId,
    (order, form): (&Order, Form),
    out: &mut impl Write,
) -> Result<ExitCode, Problem> {
    match order {
        Order::Add { url, topics, description, .. } => {
            let wish = Wish {
                url: Some(url.clone()),
                topics: Some(topics.clone()).filter(|topics| !topics.is_empty()),
                description: Some(description.clone()),
                active: None,
            };
            let (made, secret) = webhook::create(node, app, &wish).await?;
            told(out, form, (&made, secret))?;
        }
        Order::Ls(_) => list(out, form, &webhook::list(node, app).await?)?,
        Order::On(one) => switched(out, form, &switch(node, (app, one.id), true).await?)?,
        Order::Off(one) => switched(out, form, &switch(node, (app, one.id), false).await?)?,
        Order::Rm(one) => {
            webhook::delete(node, app, one.id).await?;
            super::write_deleted(out, form, &one.id.to_string(), false, None)?;
        }
        Order::Test(one) => {
            let tried = webhook::test(node, app, one.id).await?;
            let (taken, line) = (tried.is_taken(), how(tried.status, tried.error.as_deref(), tried.took_ms));
            said(out, form, &Tested::of(&tried), &line)?;
            return Ok(if taken { ExitCode::SUCCESS } else { ExitCode::from(super::LATER) });
        }
        Order::Rotate(one) => {
            let (rotated, secret) = webhook::rotate(node, app, one.id).await?;
            told(out, form, (&rotated, secret))?;
        }
        Order::Log(one) => {
            let filter = DeliveryFilter { limit: LOG_ROWS, ..DeliveryFilter::default() };
            log(out, form, &webhook::deliveries(node, (app, one.id), &filter).await?)?;
        }
        Order::Replay { one, event, since } => {
            let again = event.map(Again::Event).or(since.map(Again::Since));
            let again = again.expect("because the command line asks for one of them");
            let replayed = Replayed::from(webhook::replay(node, (app, one.id), again).await?);
            let line = format!("{} events are sent again while matinee serves", replayed.events());
            said(out, form, &replayed, &line)?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

async fn switch(node: &Node, one: (AppId, WebhookId), active: bool) -> Result<webhook::Webhook, Unfit> {
    let wish = Wish { active: Some(active), ..Wish::default() };
    webhook::change(node, one, &wish).await
}

/// Says one thing: as JSON, for a person, or not at all.
fn said(out: &mut impl Write, form: Form, what: &impl Serialize, line: &str) -> std::io::Result<()> {
    if form.json {
        writeln!(out, "{}", serde_json::to_string(what)?)
    } else if form.quiet {
        Ok(())
    } else {
        writeln!(out, "{line}")
    }
}

/// The id and the new secret of a webhook.
fn told(
    out: &mut impl Write,
    form: Form,
    (webhook, secret): (&webhook::Webhook, String),
) -> std::io::Result<()> {
    if form.json {
        return writeln!(out, "{}", serde_json::to_string(&MadeWebhook::of(webhook, secret))?);
    }
    if form.quiet {
        return writeln!(out, "{}", webhook.id);
    }
    writeln!(out, "{}\n{secret}", webhook.id)?;
    super::complain("The secret is not shown again.");
    Ok(())
}

fn switched(out: &mut impl Write, form: Form, webhook: &webhook::Webhook) -> std::io::Result<()> {
    let shown = Webhook::from(webhook);
    said(out, form, &shown, &format!("{} is {}", webhook.id, shown.state()))
}

fn list(out: &mut impl Write, form: Form, all: &[webhook::Webhook]) -> std::io::Result<()> {
    if form.json {
        return all
            .iter()
            .try_for_each(|one| writeln!(out, "{}", serde_json::to_string(&Webhook::from(one))?));
    }
    if form.quiet {
        return all.iter().try_for_each(|one| writeln!(out, "{}", one.id));
    }
    let row = |one: &webhook::Webhook| {
        vec![
            one.id.to_string(),
            Webhook::from(one).state().to_owned(),
            one.waiting.to_string(),
            short(&one.topics.patterns().join(" "), 40),
            plain(&one.url),
        ]
    };
    let columns = [("ID", false), ("STATE", false), ("WAITING", true), ("TOPICS", false), ("URL", false)];
    let rows: Vec<_> = all.iter().map(row).collect();
    table(out, &columns.map(|(title, right)| Column(title, right)), &rows)
}

fn log(out: &mut impl Write, form: Form, all: &[webhook::Delivery]) -> std::io::Result<()> {
    if form.json {
        return all
            .iter()
            .try_for_each(|one| writeln!(out, "{}", serde_json::to_string(&Delivery::from(one))?));
    }
    if form.quiet {
        return all.iter().try_for_each(|one| writeln!(out, "{}", one.event));
    }
    let row = |one: &webhook::Delivery| {
        let last = one.tries.last();
        vec![
            one.event.to_string(),
            one.topic.clone(),
            Delivery::from(one).state().to_owned(),
            one.attempts.to_string(),
            ago(now(), one.created),
            last.map(|last| how(last.status, last.error.as_deref(), last.took_ms)).unwrap_or_default(),
        ]
    };
    let columns = [
        ("EVENT", false),
        ("TOPIC", false),
        ("STATE", false),
        ("CALLS", true),
        ("AGE", true),
        ("LAST", false),
    ];
    let rows: Vec<_> = all.iter().map(row).collect();
    table(out, &columns.map(|(title, right)| Column(title, right)), &rows)
}

/// How a call went, for a person.
fn how(status: Option<u16>, error: Option<&str>, took_ms: u64) -> String {
    match status {
        Some(status) => format!("answered {status} in {took_ms} ms"),
        None => format!("no answer: {}", plain(error.unwrap_or_default())),
    }
}
