//! Brokers that the operator runs already: events go out to them, in order and confirmed, and commands come in.
//!
//! A broker never holds state of ours. What it has confirmed is behind the cursor of the caller, and a command is done when its rows
//! are. Each protocol is spoken by a library; here is what we ask of it, and what we make of its answers.

#[cfg(test)]
mod contract;
mod nats;
mod rabbitmq;
mod redis;
mod trust;

use std::error::Error;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use url::Url;

use self::nats::Nats;
use self::rabbitmq::Rabbitmq;
use self::redis::Redis;

/// A broker that does not confirm within this time has not taken it.
const CONFIRM: Duration = Duration::from_secs(10);
/// The longest message that is taken in, in bytes: no command is as long.
const MESSAGE_BYTES_MAX: usize = 64 << 10;
/// What is said of a command that was put aside, in characters: a header of AMQP has no room for more.
const REASON_CHARS_MAX: usize = 200;
/// What the names of those that were put aside end with.
const DEAD: &str = ".dead";

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
    /// Certificates of authorities that are trusted besides the public ones, as PEM.
    pub authorities_pem: String,
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
    /// What it says; of what is too long only the beginning, which is no command.
    pub body: Vec<u8>,
    /// By what the broker knows it.
    receipt: String,
}

impl Command {
    fn new(id: String, mut body: Vec<u8>, receipt: String) -> Self {
        body.truncate(MESSAGE_BYTES_MAX);
        Self { id, body, receipt }
    }

    /// What it says, for who reads what was put aside.
    fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

/// Why a broker did not do it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BrokerError {
    /// The address, a name or a certificate of ours cannot be used.
    #[error("{0}")]
    Config(String),
    /// It cannot be reached, or does not answer.
    #[error("the broker does not answer: {0}")]
    Away(String),
    /// It may be somebody else.
    #[error("the certificate of the broker is not trusted: {0}")]
    Untrusted(String),
    /// It says no.
    #[error("the broker refuses: {0}")]
    Refused(String),
}

impl BrokerError {
    /// What went wrong on the way to a broker.
    fn away(error: &(dyn Error + 'static)) -> Self {
        match trust::refusal(error) {
            Some(words) => Self::Untrusted(words),
            None => Self::Away(error.to_string()),
        }
    }
}

/// A connection to a broker. After an error it is of no use any more.
pub struct Broker {
    link: Link,
    /// Commands are listened to, and the dead ones go there.
    dead: Option<String>,
}

enum Link {
    Redis(Box<Redis>),
    Nats(Box<Nats>),
    Rabbitmq(Box<Rabbitmq>),
}

/// The same of whatever is spoken.
macro_rules! ask {
    ($link:expr, $one:ident => $ask:expr) => {
        match $link {
            Link::Redis($one) => $ask.await,
            Link::Nats($one) => $ask.await,
            Link::Rabbitmq($one) => $ask.await,
        }
    };
}

impl Broker {
    /// Connects, and makes what is needed there.
    pub async fn open(config: &Config) -> Result<Self, BrokerError> {
        let url = read(config)?;
        let opening = async {
            Ok(match config.kind {
                Kind::Redis => Link::Redis(Box::new(Redis::open(&url, config).await?)),
                Kind::Nats => Link::Nats(Box::new(Nats::open(&url, config).await?)),
                Kind::Rabbitmq => Link::Rabbitmq(Box::new(Rabbitmq::open(&url, config).await?)),
            })
        };
        let dead = config.commands.as_ref().map(|name| format!("{name}{DEAD}"));
        Ok(Self { link: within(CONFIRM, opening).await?, dead })
    }

    /// Sends messages in this order and waits until all are confirmed. After an error some may be there, but none whose
    /// predecessor is not.
    pub async fn publish(&mut self, all: &[Message]) -> Result<(), BrokerError> {
        ask!(&mut self.link, one => one.publish(all))
    }

    /// Waits for a command, but not for longer than this.
    pub async fn receive(&mut self, patience: Duration) -> Result<Option<Command>, BrokerError> {
        if self.dead.is_none() {
            return Ok(None);
        }
        within(patience + CONFIRM, async { ask!(&mut self.link, one => one.receive(patience)) }).await
    }

    /// The command is done, and does not come again.
    pub async fn accept(&mut self, command: &Command) -> Result<(), BrokerError> {
        within(CONFIRM, async { ask!(&mut self.link, one => one.accept(&command.receipt)) }).await
    }

    /// The command can never be done: it is put aside with the reason, and does not come again.
    pub async fn bury(&mut self, command: &Command, reason: &str) -> Result<(), BrokerError> {
        let Some(dead) = self.dead.clone() else { return Ok(()) };
        let reason: String = reason.chars().take(REASON_CHARS_MAX).collect();
        let aside = async { ask!(&mut self.link, one => one.put_aside(&dead, command, &reason)) };
        within(CONFIRM, aside).await?;
        self.accept(command).await
    }
}

/// Can this broker be used, as far as that is known without it?
pub fn check(config: &Config) -> Result<(), BrokerError> {
    read(config)?;
    trust::tls(&config.authorities_pem).map(drop)
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

/// Is the connection to be encrypted?
fn is_secure(url: &Url) -> bool {
    ["rediss", "tls", "amqps"].contains(&url.scheme())
}

async fn within<T>(
    patience: Duration,
    work: impl Future<Output = Result<T, BrokerError>>,
) -> Result<T, BrokerError> {
    let done = tokio::time::timeout(patience, work).await;
    done.unwrap_or_else(|_| Err(BrokerError::Away(format!("nothing came within {} s", patience.as_secs()))))
}
