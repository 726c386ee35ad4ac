//! Events on their way to brokers, and commands that come from them. What a broker has confirmed is behind the cursor; a command is
//! answered for when its rows are written.

use std::sync::Arc;
use std::time::Duration;

use matinee_core::event::Topic;
use matinee_core::id::AppId;
use matinee_core::pull::Wanted;
use matinee_core::webhook::limits::HOLD_MS;
use matinee_io::broker::{Broker, BrokerError, Command, Config as Access, Message};
use matinee_io::db::DbError;
pub(crate) use matinee_io::db::outbox::Outbox;
use serde_json::{Value, json};

use super::pull::{self, PullFailure};
use super::{Failure, message, now};
use crate::node::Node;

/// Events that are sent before they are confirmed.
const BATCH: u32 = 200;
/// So often it is looked without an event: another node may have given up.
const LOOK: Duration = Duration::from_secs(2);
/// A command is waited for so long in one question.
const PATIENCE: Duration = Duration::from_secs(2);
/// The first and the longest wait after a broker has failed.
const WAIT: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(30));
/// What is remembered of a fault, in characters.
const ERROR_CHARS_MAX: usize = 300;

/// A broker as the configuration names it.
pub(crate) struct Sink {
    pub(crate) name: String,
    access: Access,
    topics: matinee_core::webhook::pattern::Topics,
    /// Only events of this app.
    app: Option<String>,
}

impl Sink {
    /// All brokers of the configuration.
    pub(crate) fn all(node: &Node) -> Vec<Arc<Self>> {
        let consumer = node.name().unwrap_or("matinee");
        let of = |one: &crate::node::Broker| {
            let (name, topics, app) = (one.name.clone(), one.wanted(), one.app.clone());
            Some(Arc::new(Self { name, access: one.access(consumer)?, topics, app }))
        };
        node.config.broker.iter().filter_map(of).collect()
    }

    /// Are commands taken from it?
    pub(crate) const fn commands(&self) -> bool {
        self.access.commands.is_some()
    }

    fn row(&self) -> String {
        format!("broker/{}", self.name)
    }

    /// The app that is meant; [`Failure::Absent`] when there is none of its name.
    async fn app(&self, node: &Node) -> Result<Option<AppId>, Failure> {
        let Some(name) = &self.app else { return Ok(None) };
        let apps = node.db.apps().await?;
        apps.into_iter().find(|app| app.name == *name).map(|app| Some(app.id)).ok_or(Failure::Absent)
    }
}

/// Why something could not be sent or taken now.
#[derive(Debug, thiserror::Error)]
enum Stopped {
    #[error(transparent)]
    Broker(#[from] BrokerError),
    #[error(transparent)]
    Failed(#[from] Failure),
}

impl From<DbError> for Stopped {
    fn from(error: DbError) -> Self {
        Self::Failed(error.into())
    }
}

/// Sends events until the node stops.
pub(crate) async fn run(node: Arc<Node>, to: Arc<Sink>) {
    let (mut written, mut wait) = (node.db.event_written(), WAIT.0);
    let mut link = None;
    while !node.stop.is_cancelled() {
        // What is written from here on wakes us again, so nothing is missed.
        written.mark_unchanged();
        match round(&node, &to, &mut link).await {
            Ok(()) => wait = WAIT.0,
            Err(stopped) => {
                link = None;
                tell_failing(&node, &to, &stopped).await;
                tokio::select! {
                    () = node.stop.cancelled() => return,
                    () = tokio::time::sleep(wait) => {}
                }
                wait = (wait * 2).min(WAIT.1);
                continue;
            }
        }
        tokio::select! {
            () = node.stop.cancelled() => {}
            changed = written.changed() => if changed.is_err() { return },
            () = tokio::time::sleep(LOOK) => {}
        }
    }
}

/// What an earlier run of this node had in hand is free again.
pub(crate) async fn recover(node: &Node) -> Result<(), Failure> {
    node.db.end_own_outboxes(&node.holder).await?;
    Ok(())
}

async fn tell_failing(node: &Node, to: &Sink, stopped: &Stopped) {
    tracing::warn!(broker = to.name, %stopped, "a broker takes nothing; it is tried again");
    let said: String = stopped.to_string().chars().take(ERROR_CHARS_MAX).collect();
    if let Err(failure) = node.db.fail_outbox(&to.row(), &node.holder, (&said, now())).await {
        tracing::warn!(%failure, broker = to.name, "that a broker fails could not be written down");
    }
}

/// Sends all that waits, when it is our turn.
async fn round(node: &Node, to: &Sink, link: &mut Option<Broker>) -> Result<(), Stopped> {
    let row = to.row();
    let turn = || {
        let now = now();
        (now, now.plus(HOLD_MS))
    };
    let Some(mut after) = node.db.take_outbox(&row, &node.holder, turn()).await? else { return Ok(()) };
    let app = to.app(node).await?;
    while !node.stop.is_cancelled() {
        let events = node.db.events_after(None, None, after, BATCH).await?;
        let Some(last) = events.last() else { return Ok(()) };
        after = last.seq;
        let wanted =
            events.iter().filter(|one| to.topics.take(one.topic) && app.is_none_or(|app| app == one.app));
        let mut all = Vec::new();
        for event in wanted {
            let body = match message::body(node, event).await {
                Ok(body) => body,
                Err(failure) if failure.passes() => return Err(failure.into()),
                // It must not keep back what comes after it, and is not left out.
                Err(failure) => {
                    tracing::warn!(%failure, broker = to.name, event = %event.id, "a message cannot be made whole");
                    message::body_without(event, &failure)
                }
            };
            all.push(Message { id: event.id.to_string(), topic: event.topic.name().to_owned(), body });
        }
        if !all.is_empty() {
            let open = match link.take() {
                Some(open) => open,
                None => Broker::open(&to.access).await?,
            };
            link.insert(open).publish(&all).await?;
            metrics::counter!("matinee_broker_events_total").increment(all.len() as u64);
        }
        node.db.move_outbox((&row, &node.holder), (after, !all.is_empty()), turn()).await?;
    }
    Ok(())
}

/// Takes commands until the node stops.
pub(crate) async fn hear(node: Arc<Node>, from: Arc<Sink>) {
    let mut wait = WAIT.0;
    while !node.stop.is_cancelled() {
        let heard = tokio::select! {
            heard = listen(&node, &from, &mut wait) => heard,
            () = node.stop.cancelled() => return,
        };
        if let Err(stopped) = heard {
            tracing::warn!(broker = from.name, %stopped, "commands of a broker cannot be heard; it is tried again");
        }
        tokio::select! {
            () = node.stop.cancelled() => return,
            () = tokio::time::sleep(wait) => {}
        }
        wait = (wait * 2).min(WAIT.1);
    }
}

async fn listen(node: &Node, from: &Sink, wait: &mut Duration) -> Result<(), Stopped> {
    let mut link = Broker::open(&from.access).await?;
    let app = from.app(node).await?.unwrap_or(node.defaults.app);
    loop {
        let Some(command) = link.receive(PATIENCE).await? else {
            *wait = WAIT.0;
            continue;
        };
        // Nothing is held while a video is fetched or encoded: rows are written, and the broker is told.
        match take(node, (from, app), &command).await? {
            None => link.accept(&command).await?,
            Some(reason) => link.bury(&command, &reason).await?,
        }
    }
}

/// Does what a command says; why it can never be done, if it cannot.
async fn take(
    node: &Node,
    (from, app): (&Sink, AppId),
    command: &Command,
) -> Result<Option<String>, Stopped> {
    let id = format!("{}/{}", from.name, command.id);
    let told = |topic, payload: Value| {
        let (id, node) = (id.clone(), node);
        async move { node.db.tell_command(app, (topic, &id), &payload, now()).await }
    };
    let refused = match serde_json::from_slice::<Wanted>(&command.body) {
        Err(error) => {
            json!({ "code": "command_unreadable", "human": format!("The command cannot be read: {error}.") })
        }
        Ok(wanted) => match pull::order(node, app, &wanted, Some(&id)).await {
            Ok(upload) => {
                told(Topic::CommandTaken, json!({ "command": command.id, "upload": upload })).await?;
                return Ok(None);
            }
            Err(PullFailure::Refused(problem)) => json!({ "code": problem.code, "human": problem.human }),
            Err(PullFailure::Failed(Failure::Refused { human, .. })) => {
                json!({ "code": "refused", "human": human })
            }
            Err(PullFailure::Failed(Failure::Limited(refusal))) => {
                json!({ "code": "limited", "human": refusal.to_string() })
            }
            Err(PullFailure::Failed(failure)) => return Err(failure.into()),
        },
    };
    let human = refused["human"].as_str().unwrap_or_default().to_owned();
    let mut payload = refused;
    payload["command"] = command.id.clone().into();
    told(Topic::CommandRefused, payload).await?;
    Ok(Some(human))
}

/// How a broker fares; `None` when nothing was sent to it yet.
pub(crate) async fn standing(node: &Node, name: &str) -> Result<Option<Outbox>, Failure> {
    Ok(node.db.outbox(&format!("broker/{name}")).await?)
}

/// Connects to a broker and sends a message of no event.
pub(crate) async fn test(sink: &Sink) -> Result<(), BrokerError> {
    let at = now();
    let body = message::message("broker.test", at, &json!({ "human": "This is a test." }));
    let one = Message { id: format!("test-{}", at.0), topic: "broker.test".to_owned(), body };
    Broker::open(&sink.access).await?.publish(&[one]).await
}
