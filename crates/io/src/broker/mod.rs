//! Brokers that the operator runs already: events go out to them, in order and confirmed, and commands come in.
//!
//! A broker never holds state of ours. What it has confirmed is behind the cursor of the caller, and a command is done when its rows
//! are. The three speak little of their protocols, so each is spoken here directly.

#[cfg(test)]
mod contract;
mod nats;
mod rabbitmq;
mod redis;
mod wire;

use std::time::Duration;

use futures_util::future::BoxFuture;
use serde::{Deserialize, Serialize};
use url::Url;

/// A broker that does not confirm within this time has not taken it.
const CONFIRM: Duration = Duration::from_secs(10);
/// The longest message that is taken in, in bytes: no command is as long.
const MESSAGE_BYTES_MAX: usize = 64 << 10;

/// Which protocol is spoken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// Streams of Redis.
    Redis,
    /// JetStream of NATS.
    Nats,
    /// AMQP 0.9.1, as RabbitMQ speaks it.
    Rabbitmq,
}

/// Where a broker is, and how things are called there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// What is spoken.
    pub kind: Kind,
    /// Its address, perhaps with a name and a password.
    pub url: String,
    /// The stream, the beginning of subjects, or the exchange for events.
    pub events: String,
    /// The stream, the subject or the queue of commands; they are not listened to without one.
    pub commands: Option<String>,
    /// By which name this process takes commands.
    pub consumer: String,
}

/// An event on its way out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// The key against duplicates.
    pub id: String,
    /// What it is about, such as `video.ready`.
    pub topic: String,
    /// JSON.
    pub body: String,
}

/// A command that came in and is to be answered for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Command {
    /// The same for the same command, however often it comes.
    pub id: String,
    /// What it says.
    pub body: Vec<u8>,
    /// By what the broker knows it.
    receipt: String,
}

/// Why a broker did not do it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BrokerError {
    /// The address or a name cannot be used.
    #[error("{0}")]
    Config(String),
    /// It cannot be reached, or does not answer.
    #[error("the broker does not answer: {0}")]
    Away(String),
    /// It says no.
    #[error("the broker refuses: {0}")]
    Refused(String),
}

impl From<std::io::Error> for BrokerError {
    fn from(error: std::io::Error) -> Self {
        Self::Away(error.to_string())
    }
}

/// A connection to a broker. After an error it is of no use any more.
pub trait Broker: Send {
    /// Sends messages in this order and waits until all are confirmed. After an error some may be there.
    fn publish<'a>(&'a mut self, all: &'a [Message]) -> BoxFuture<'a, Result<(), BrokerError>>;

    /// Waits for a command, but not for longer than this.
    fn receive(&mut self, patience: Duration) -> BoxFuture<'_, Result<Option<Command>, BrokerError>>;

    /// The command is done, and does not come again.
    fn accept<'a>(&'a mut self, command: &'a Command) -> BoxFuture<'a, Result<(), BrokerError>>;

    /// The command can never be done: it is put aside with the reason, and does not come again.
    fn bury<'a>(
        &'a mut self,
        command: &'a Command,
        reason: &'a str,
    ) -> BoxFuture<'a, Result<(), BrokerError>>;
}

/// Connects, and makes what is needed there.
pub async fn open(config: &Config) -> Result<Box<dyn Broker>, BrokerError> {
    let url = read(config)?;
    let opening = async {
        Ok(match config.kind {
            Kind::Redis => Box::new(redis::Redis::open(&url, config).await?) as Box<dyn Broker>,
            Kind::Nats => Box::new(nats::Nats::open(&url, config).await?),
            Kind::Rabbitmq => Box::new(rabbitmq::Rabbitmq::open(&url, config).await?),
        })
    };
    within(opening).await
}

/// Is the address one that can be used?
pub fn check(config: &Config) -> Result<(), BrokerError> {
    read(config).map(drop)
}

fn read(config: &Config) -> Result<Url, BrokerError> {
    let url =
        Url::parse(&config.url).map_err(|error| BrokerError::Config(format!("`url` is none: {error}")))?;
    let schemes: &[&str] = match config.kind {
        Kind::Redis => &["redis", "rediss"],
        Kind::Nats => &["nats", "tls"],
        Kind::Rabbitmq => &["amqp", "amqps"],
    };
    if !schemes.contains(&url.scheme()) || url.host_str().is_none() {
        let human = format!("`url` must begin with {}:// and name a host", schemes.join(":// or "));
        return Err(BrokerError::Config(human));
    }
    let plain = |name: &&String| {
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
        !name.is_empty() && name.len() <= 100 && name.bytes().all(fits)
    };
    match [&config.events].into_iter().chain(&config.commands).find(|name| !plain(name)) {
        Some(wrong) => {
            Err(BrokerError::Config(format!("`{wrong}` is no name: letters, digits, `.`, `_` and `-`")))
        }
        None => Ok(url),
    }
}

async fn within<T>(work: impl Future<Output = Result<T, BrokerError>>) -> Result<T, BrokerError> {
    let done = tokio::time::timeout(CONFIRM, work).await;
    done.unwrap_or_else(|_| Err(BrokerError::Away(format!("nothing came within {} s", CONFIRM.as_secs()))))
}

/// A name with its secret, as the address has them.
fn credentials(url: &Url) -> (String, Option<String>) {
    let plain = |text: &str| percent_decoded(text);
    (plain(url.username()), url.password().map(plain))
}

fn percent_decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((byte, after)) = rest.split_first() {
        let code = after.get(..2).filter(|_| *byte == b'%').and_then(|two| std::str::from_utf8(two).ok());
        if let Some(decoded) = code.and_then(|code| u8::from_str_radix(code, 16).ok()) {
            bytes.push(decoded);
            rest = &after[2..];
        } else {
            bytes.push(*byte);
            rest = after;
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}
