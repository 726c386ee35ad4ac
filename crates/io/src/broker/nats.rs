//! NATS with JetStream: events are messages below one subject, kept in a stream; commands are pulled by one durable consumer.

use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use serde_json::{Value, json};
use tokio::time::{Instant, timeout_at};
use url::Url;

use super::wire::Wire;
use super::{Broker, BrokerError, CONFIRM, Command, Config, MESSAGE_BYTES_MAX, Message, credentials, within};
use crate::clock;

/// The consumer that takes commands, the same for all processes.
const DURABLE: &str = "matinee";
/// A command that its taker has not answered for within this time is taken by another, in nanoseconds.
const CLAIM_NS: u64 = 60_000_000_000;
/// So long the stream knows the ids of what it has, in nanoseconds: longer than we are away after a crash.
const DUPLICATES_NS: u64 = 600_000_000_000;
/// JetStream's word for a stream that is there with another configuration: it is the operator's.
const STREAM_THERE: u64 = 10_058;

pub(super) struct Nats {
    wire: Wire,
    events: String,
    commands: Option<String>,
    /// Answers to this process come below it.
    inbox: String,
    asked: u64,
}

/// A message that came.
struct Came {
    subject: String,
    reply: Option<String>,
    head: String,
    body: Vec<u8>,
}

impl Nats {
    pub(super) async fn open(url: &Url, config: &Config) -> Result<Self, BrokerError> {
        let mut wire = Wire::connect(url, 4_222).await?;
        if !wire.line().await?.starts_with("INFO ") {
            return Err(BrokerError::Away("this is no NATS".to_owned()));
        }
        let (name, password) = credentials(url);
        let mut said = json!({
            "verbose": false, "pedantic": false, "headers": true, "no_responders": true, "lang": "rust",
            "version": env!("CARGO_PKG_VERSION"), "name": "matinee", "protocol": 1,
        });
        match password {
            Some(password) => (said["user"], said["pass"]) = (name.into(), password.into()),
            None if !name.is_empty() => said["auth_token"] = name.into(),
            None => {}
        }
        let inbox = format!("_INBOX.{:032x}", random());
        wire.send(format!("CONNECT {said}\r\nPING\r\nSUB {inbox}.* 1\r\n").as_bytes()).await?;
        loop {
            let line = wire.line().await?;
            match line.as_str() {
                "PONG" => break,
                error if error.starts_with("-ERR") => return Err(BrokerError::Refused(error.to_owned())),
                _ => {}
            }
        }
        let (events, commands) = (config.events.clone(), config.commands.clone());
        let mut nats = Self { wire, events, commands, inbox, asked: 0 };
        nats.prepare().await?;
        Ok(nats)
    }

    /// Makes the streams, unless the operator has, and the consumer.
    async fn prepare(&mut self) -> Result<(), BrokerError> {
        self.stream(&self.events.clone(), &[format!("{}.>", self.events)]).await?;
        let Some(commands) = self.commands.clone() else { return Ok(()) };
        self.stream(&commands, &[commands.clone(), format!("{commands}.dead")]).await?;
        let subject = format!("$JS.API.CONSUMER.DURABLE.CREATE.{}.{DURABLE}", stream_of(&commands));
        let consumer = json!({ "stream_name": stream_of(&commands), "config": {
            "durable_name": DURABLE, "ack_policy": "explicit", "deliver_policy": "all", "filter_subject": commands,
            "ack_wait": CLAIM_NS, "max_ack_pending": 100,
        } });
        self.api(&subject, &consumer).await.map(drop)
    }

    async fn stream(&mut self, name: &str, subjects: &[String]) -> Result<(), BrokerError> {
        let subject = format!("$JS.API.STREAM.CREATE.{}", stream_of(name));
        let stream = json!({
            "name": stream_of(name), "subjects": subjects, "storage": "file", "retention": "limits",
            "duplicate_window": DUPLICATES_NS,
        });
        match self.api(&subject, &stream).await {
            Err(BrokerError::Refused(human)) if human.starts_with(&STREAM_THERE.to_string()) => Ok(()),
            made => made.map(drop),
        }
    }

    pub(super) async fn api(&mut self, subject: &str, ask: &Value) -> Result<Value, BrokerError> {
        let inbox = self.ask(subject, ask.to_string().as_bytes()).await?;
        let came = within(async {
            loop {
                let came = self.came().await?;
                if came.subject == inbox {
                    return Ok(came);
                }
            }
        });
        answer(&came.await?)
    }

    /// Sends a question; where its answer comes.
    async fn ask(&mut self, subject: &str, body: &[u8]) -> Result<String, BrokerError> {
        self.asked += 1;
        let inbox = format!("{}.{}", self.inbox, self.asked);
        let mut bytes = format!("PUB {subject} {inbox} {}\r\n", body.len()).into_bytes();
        bytes.extend(body);
        bytes.extend(b"\r\n");
        self.wire.send(&bytes).await?;
        Ok(inbox)
    }

    /// The next message.
    async fn came(&mut self) -> Result<Came, BrokerError> {
        loop {
            let line = self.wire.line().await?;
            let words: Vec<&str> = line.split_whitespace().collect();
            let (head_len, all, reply) = match words[..] {
                ["PING"] => {
                    self.wire.send(b"PONG\r\n").await?;
                    continue;
                }
                ["-ERR", ..] => return Err(BrokerError::Refused(line)),
                ["MSG", _, _, len] => ("0", len, None),
                ["MSG", _, _, reply, len] => ("0", len, Some(reply)),
                ["HMSG", _, _, head, len] => (head, len, None),
                ["HMSG", _, _, reply, head, len] => (head, len, Some(reply)),
                _ => continue,
            };
            let wrong = || BrokerError::Away(format!("this is no message of NATS: {line}"));
            let number = |text: &str| text.parse::<usize>().ok().filter(|len| *len <= MESSAGE_BYTES_MAX);
            let (head_len, all) = number(head_len).zip(number(all)).ok_or_else(wrong)?;
            let mut body = self.wire.bytes(all + 2).await?;
            body.truncate(all);
            let rest = body.split_off(head_len.min(all));
            let head = String::from_utf8_lossy(&body).into_owned();
            let subject = words.get(1).copied().unwrap_or_default().to_owned();
            return Ok(Came { subject, reply: reply.map(str::to_owned), head, body: rest });
        }
    }

    async fn next(&mut self, patience: Duration) -> Result<Option<Command>, BrokerError> {
        let Some(commands) = self.commands.clone() else { return Ok(None) };
        let subject = format!("$JS.API.CONSUMER.MSG.NEXT.{}.{DURABLE}", stream_of(&commands));
        let ask = json!({ "batch": 1, "expires": u64::try_from(patience.as_nanos()).unwrap_or(u64::MAX) });
        let inbox = self.ask(&subject, ask.to_string().as_bytes()).await?;
        let until = Instant::now() + patience + CONFIRM;
        loop {
            let came = timeout_at(until, self.came()).await;
            let came = came.unwrap_or_else(|_| Err(BrokerError::Away("no answer came".to_owned())))?;
            // A command keeps its own subject; what comes to the inbox is a status: nothing is there.
            if came.subject == commands
                && let Some(receipt) = came.reply.clone()
            {
                return Ok(Some(command(came, receipt)));
            }
            if came.subject == inbox {
                return Ok(None);
            }
        }
    }

    /// Sends a message with an id to a subject, as others do.
    #[cfg(test)]
    pub(super) async fn say(&mut self, subject: &str, id: &str, body: &str) -> Result<(), BrokerError> {
        self.asked += 1;
        let inbox = format!("{}.{}", self.inbox, self.asked);
        let head = format!("NATS/1.0\r\nNats-Msg-Id: {id}\r\n\r\n");
        let total = head.len() + body.len();
        let bytes = format!("HPUB {subject} {inbox} {} {total}\r\n{head}{body}\r\n", head.len());
        self.wire.send(bytes.as_bytes()).await?;
        while self.came().await?.subject != inbox {}
        Ok(())
    }

    async fn plain(&mut self, subject: &str, body: &[u8]) -> Result<(), BrokerError> {
        // A question, so that it is known to have arrived.
        let inbox = self.ask(subject, body).await?;
        within(async {
            loop {
                if self.came().await?.subject == inbox {
                    return Ok(());
                }
            }
        })
        .await
    }
}

impl Broker for Nats {
    fn publish<'a>(&'a mut self, all: &'a [Message]) -> BoxFuture<'a, Result<(), BrokerError>> {
        async move {
            let (mut bytes, first) = (Vec::new(), self.asked + 1);
            for one in all {
                self.asked += 1;
                let head = format!("NATS/1.0\r\nNats-Msg-Id: {}\r\n\r\n", one.id);
                let (inbox, subject) =
                    (format!("{}.{}", self.inbox, self.asked), format!("{}.{}", self.events, one.topic));
                let total = head.len() + one.body.len();
                bytes.extend(
                    format!("HPUB {subject} {inbox} {} {total}\r\n{head}{}\r\n", head.len(), one.body)
                        .into_bytes(),
                );
            }
            within(async {
                self.wire.send(&bytes).await?;
                let mut left = all.len();
                while left > 0 {
                    let came = self.came().await?;
                    let number =
                        came.subject.rsplit('.').next().and_then(|number| number.parse::<u64>().ok());
                    if number.is_some_and(|number| number >= first) {
                        answer(&came)?;
                        left -= 1;
                    }
                }
                Ok(())
            })
            .await
        }
        .boxed()
    }

    fn receive(&mut self, patience: Duration) -> BoxFuture<'_, Result<Option<Command>, BrokerError>> {
        self.next(patience).boxed()
    }

    fn accept<'a>(&'a mut self, command: &'a Command) -> BoxFuture<'a, Result<(), BrokerError>> {
        self.plain(&command.receipt, b"+ACK").boxed()
    }

    fn bury<'a>(
        &'a mut self,
        command: &'a Command,
        reason: &'a str,
    ) -> BoxFuture<'a, Result<(), BrokerError>> {
        async move {
            let dead = format!("{}.dead", self.commands.as_deref().unwrap_or_default());
            let body = String::from_utf8_lossy(&command.body);
            let said = json!({ "id": command.id, "reason": reason, "body": body });
            self.api(&dead, &said).await?;
            self.plain(&command.receipt, b"+TERM").await
        }
        .boxed()
    }
}

/// JetStream's answer, unless it is an error.
fn answer(came: &Came) -> Result<Value, BrokerError> {
    if came.head.starts_with("NATS/1.0 503") {
        return Err(BrokerError::Refused("nobody listens: is JetStream switched on?".to_owned()));
    }
    let said: Value =
        serde_json::from_slice(&came.body).map_err(|error| BrokerError::Away(error.to_string()))?;
    match said.get("error") {
        Some(error) => Err(BrokerError::Refused(format!(
            "{} {}",
            error["err_code"],
            error["description"].as_str().unwrap_or_default()
        ))),
        None => Ok(said),
    }
}

fn command(came: Came, receipt: String) -> Command {
    let of = |name: &str| {
        let value = came
            .head
            .lines()
            .find_map(|line| line.split_once(':').filter(|(it, _)| it.eq_ignore_ascii_case(name)));
        value.map(|(_, value)| value.trim().to_owned())
    };
    // `$JS.ACK.<stream>.<consumer>.<deliveries>.<place in the stream>...`
    let place = || receipt.split('.').nth(5).unwrap_or_default().to_owned();
    Command { id: of("Nats-Msg-Id").unwrap_or_else(place), body: came.body, receipt }
}

/// The name of a stream has no dots.
fn stream_of(name: &str) -> String {
    name.replace('.', "_")
}

/// Another inbox for each connection.
fn random() -> u128 {
    let mut seed = [0; 16];
    getrandom::fill(&mut seed).expect("because Linux always answers getrandom(2)");
    u128::from_le_bytes(seed) ^ u128::from(clock::now().0.unsigned_abs())
}
