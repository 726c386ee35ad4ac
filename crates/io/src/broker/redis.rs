//! Redis: events are entries of one stream; commands are read from another by a group, of which each process is a member.
//!
//! What Redis confirms is as durable as its own configuration says: `appendfsync everysec` may lose a second of it with the machine.

use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use url::Url;

use super::wire::Wire;
use super::{Broker, BrokerError, CONFIRM, Command, Config, MESSAGE_BYTES_MAX, Message, credentials, within};

/// The group that takes commands.
const GROUP: &str = "matinee";
/// About so many events are kept in the stream, so that a forgotten one does not fill the memory of the broker.
const EVENTS_KEPT: &str = "1000000";
/// A command that its taker has not answered for in so many milliseconds is taken by another.
const CLAIM_MS: &str = "60000";
/// The longest list of an answer: none of what is asked has a longer one.
const LIST_MAX: i64 = 1_000;

pub(super) struct Redis {
    wire: Wire,
    events: String,
    commands: Option<String>,
    consumer: String,
    /// What this process had taken before its last end comes first.
    again: bool,
}

/// What is answered.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Reply {
    Text(Vec<u8>),
    Number(i64),
    Nothing,
    List(Vec<Reply>),
}

impl Redis {
    pub(super) async fn open(url: &Url, config: &Config) -> Result<Self, BrokerError> {
        let wire = Wire::connect(url, 6_379).await?;
        let (events, commands) = (config.events.clone(), config.commands.clone());
        let mut redis = Self { wire, events, commands, consumer: config.consumer.clone(), again: true };
        let (name, password) = credentials(url);
        if let Some(password) = password {
            let words: Vec<&str> =
                if name.is_empty() { vec!["AUTH", &password] } else { vec!["AUTH", &name, &password] };
            redis.ask(&words).await?;
        }
        let database = url.path().trim_matches('/');
        if !database.is_empty() {
            redis.ask(&["SELECT", database]).await?;
        }
        redis.ask(&["PING"]).await?;
        if let Some(commands) = redis.commands.clone() {
            match redis.ask(&["XGROUP", "CREATE", &commands, GROUP, "0", "MKSTREAM"]).await {
                Err(BrokerError::Refused(human)) if human.starts_with("BUSYGROUP") => {}
                made => drop(made?),
            }
        }
        Ok(redis)
    }

    pub(super) async fn ask(&mut self, words: &[&str]) -> Result<Reply, BrokerError> {
        self.wire.send(&line(words)).await?;
        within(self.reply()).await
    }

    fn reply(&mut self) -> BoxFuture<'_, Result<Reply, BrokerError>> {
        async move {
            let line = self.wire.line().await?;
            let wrong = || BrokerError::Away(format!("this is no answer of Redis: {line}"));
            let (kind, rest) = line.split_at_checked(1).ok_or_else(wrong)?;
            let number = || rest.parse::<i64>().map_err(|_| wrong());
            Ok(match kind {
                "+" => Reply::Text(rest.as_bytes().to_vec()),
                "-" => return Err(BrokerError::Refused(rest.to_owned())),
                ":" => Reply::Number(number()?),
                "$" => match usize::try_from(number()?) {
                    Ok(len) if len <= MESSAGE_BYTES_MAX => {
                        let mut bytes = self.wire.bytes(len + 2).await?;
                        bytes.truncate(len);
                        Reply::Text(bytes)
                    }
                    Ok(_) => return Err(BrokerError::Refused("a message is too long".to_owned())),
                    Err(_) => Reply::Nothing,
                },
                "*" => match number()? {
                    -1 => Reply::Nothing,
                    many @ 0..=LIST_MAX => {
                        let mut list = Vec::new();
                        for _ in 0..many {
                            list.push(self.reply().await?);
                        }
                        Reply::List(list)
                    }
                    _ => return Err(wrong()),
                },
                _ => return Err(wrong()),
            })
        }
        .boxed()
    }

    async fn next(&mut self, patience: Duration) -> Result<Option<Command>, BrokerError> {
        let Some(stream) = self.commands.clone() else { return Ok(None) };
        let consumer = self.consumer.clone();
        if self.again {
            let words = ["XAUTOCLAIM", &stream, GROUP, &consumer, CLAIM_MS, "0-0", "COUNT", "100"];
            self.ask(&words).await?;
            let found = self.read(&stream, "0", patience).await?;
            if found.is_some() {
                return Ok(found);
            }
            self.again = false;
        }
        self.read(&stream, ">", patience).await
    }

    async fn read(
        &mut self,
        stream: &str,
        from: &str,
        patience: Duration,
    ) -> Result<Option<Command>, BrokerError> {
        let (consumer, block) = (self.consumer.clone(), patience.as_millis().max(1).to_string());
        let words =
            ["XREADGROUP", "GROUP", GROUP, &consumer, "COUNT", "1", "BLOCK", &block, "STREAMS", stream, from];
        self.wire.send(&line(&words)).await?;
        let waited = tokio::time::timeout(patience + CONFIRM, self.reply()).await;
        let reply = waited.unwrap_or_else(|_| Err(BrokerError::Away("no answer came".to_owned())))?;
        Ok(entry(&reply))
    }

    async fn end(&mut self, command: &Command) -> Result<(), BrokerError> {
        let Some(stream) = self.commands.clone() else { return Ok(()) };
        self.ask(&["XACK", &stream, GROUP, &command.receipt]).await?;
        Ok(())
    }
}

impl Broker for Redis {
    fn publish<'a>(&'a mut self, all: &'a [Message]) -> BoxFuture<'a, Result<(), BrokerError>> {
        async move {
            let mut bytes = Vec::new();
            for one in all {
                let (stream, kept) = (self.events.as_str(), EVENTS_KEPT);
                bytes.extend(line(&[
                    "XADD", stream, "MAXLEN", "~", kept, "*", "id", &one.id, "topic", &one.topic, "body",
                    &one.body,
                ]));
            }
            within(async {
                self.wire.send(&bytes).await?;
                for _ in all {
                    self.reply().await?;
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
        self.end(command).boxed()
    }

    fn bury<'a>(
        &'a mut self,
        command: &'a Command,
        reason: &'a str,
    ) -> BoxFuture<'a, Result<(), BrokerError>> {
        async move {
            let dead = format!("{}.dead", self.commands.as_deref().unwrap_or_default());
            let body = String::from_utf8_lossy(&command.body).into_owned();
            self.ask(&["XADD", &dead, "*", "id", &command.id, "reason", reason, "body", &body]).await?;
            self.end(command).await
        }
        .boxed()
    }
}

/// A question as Redis reads it.
fn line(words: &[&str]) -> Vec<u8> {
    let mut bytes = format!("*{}\r\n", words.len()).into_bytes();
    for word in words {
        bytes.extend(format!("${}\r\n", word.len()).into_bytes());
        bytes.extend(word.as_bytes());
        bytes.extend(b"\r\n");
    }
    bytes
}

/// The one entry of an answer about one stream: `[[stream, [[entry, [field, value, ..]]]]]`.
fn entry(reply: &Reply) -> Option<Command> {
    let Reply::List(streams) = reply else { return None };
    let Reply::List(stream) = streams.first()? else { return None };
    let Reply::List(entries) = stream.get(1)? else { return None };
    let Reply::List(entry) = entries.first()? else { return None };
    let Reply::Text(receipt) = entry.first()? else { return None };
    let receipt = String::from_utf8_lossy(receipt).into_owned();
    // An entry that was deleted meanwhile has no fields.
    let fields: &[Reply] = if let Some(Reply::List(fields)) = entry.get(1) { fields } else { &[] };
    let of = |wanted: &[u8]| {
        fields.chunks(2).find_map(|pair| match pair {
            [Reply::Text(name), Reply::Text(value)] if name == wanted => Some(value.clone()),
            _ => None,
        })
    };
    let id = of(b"id").map(|id| String::from_utf8_lossy(&id).into_owned());
    Some(Command {
        id: id.unwrap_or_else(|| receipt.clone()),
        body: of(b"body").unwrap_or_default(),
        receipt,
    })
}
