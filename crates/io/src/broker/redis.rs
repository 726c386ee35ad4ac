//! Redis: events are entries of one stream; commands are read from another by a group, of which each process is a member.
//!
//! What Redis confirms is as durable as its own configuration says: `appendfsync everysec` may lose a second of it with the machine.

use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::streams::StreamReadReply;
use redis::{AsyncConnectionConfig, Cmd, IntoConnectionInfo as _, RedisError, cmd, pipe};
use tokio::task::JoinHandle;
use url::Url;

use super::{BrokerError, CONFIRM, Command, Config, Message, trust, within};

/// The group that takes commands.
const GROUP: &str = "matinee";
/// About so many events are kept in the stream, so that a forgotten one does not fill the memory of the broker.
const EVENTS_KEPT: u32 = 1_000_000;
/// A command that its taker has not answered for in so many milliseconds is taken by another.
const CLAIM_MS: u32 = 60_000;
/// Of those so many at once.
const CLAIMED_MAX: u32 = 100;

/// Where Redis listens if its address does not say so.
const PORT: u16 = 6_379;

pub(super) struct Redis {
    link: MultiplexedConnection,
    /// What moves the bytes; it ends with us.
    driver: JoinHandle<()>,
    events: String,
    commands: Option<String>,
    consumer: String,
    /// What this process had taken before its last end comes first.
    again: bool,
}

impl From<RedisError> for BrokerError {
    fn from(error: RedisError) -> Self {
        if error.code().is_some() { Self::Refused(error.to_string()) } else { Self::away(&error) }
    }
}

impl Redis {
    pub(super) async fn open(url: &Url, config: &Config) -> Result<Self, BrokerError> {
        let stream = trust::connect(url, PORT, &config.authorities_pem).await?;
        let mut plain = url.clone();
        // Only its name, its secret and its database are still wanted.
        plain.set_scheme("redis").expect("because neither scheme is one of the web");
        let known = plain.into_connection_info()?;
        // How long an answer takes is the business of who asks.
        let patient = AsyncConnectionConfig::new().set_response_timeout(None);
        let opened = MultiplexedConnection::new_with_config(known.redis_settings(), stream, patient).await?;
        let (mut link, driver) = (opened.0, tokio::spawn(opened.1));
        cmd("PING").exec_async(&mut link).await?;
        if let Some(commands) = &config.commands {
            let made = group(commands).exec_async(&mut link).await;
            made.or_else(|error| if error.code() == Some("BUSYGROUP") { Ok(()) } else { Err(error) })?;
        }
        let (events, commands) = (config.events.clone(), config.commands.clone());
        Ok(Self { link, driver, events, commands, consumer: config.consumer.clone(), again: true })
    }

    pub(super) async fn publish(&mut self, all: &[Message]) -> Result<(), BrokerError> {
        let mut batch = pipe();
        // All of them or none: one that is refused must not be overtaken by those behind it.
        batch.atomic();
        for one in all {
            batch.cmd("XADD").arg(&self.events).arg("MAXLEN").arg("~").arg(EVENTS_KEPT).arg("*");
            batch.arg(&[("id", &one.id), ("topic", &one.topic), ("body", &one.body)]).ignore();
        }
        within(CONFIRM, async { Ok(batch.exec_async(&mut self.link).await?) }).await
    }

    pub(super) async fn receive(&mut self, patience: Duration) -> Result<Option<Command>, BrokerError> {
        let Some(stream) = self.commands.clone() else { return Ok(None) };
        if self.again {
            let mut claim = cmd("XAUTOCLAIM");
            claim.arg(&stream).arg(GROUP).arg(&self.consumer).arg(CLAIM_MS).arg("0-0");
            claim.arg("COUNT").arg(CLAIMED_MAX).exec_async(&mut self.link).await?;
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
        let block_ms = u64::try_from(patience.as_millis()).unwrap_or(u64::MAX).max(1);
        let mut read = cmd("XREADGROUP");
        read.arg("GROUP").arg(GROUP).arg(&self.consumer).arg("COUNT").arg(1).arg("BLOCK").arg(block_ms);
        let read: Option<StreamReadReply> =
            read.arg("STREAMS").arg(stream).arg(from).query_async(&mut self.link).await?;
        let entry = read.into_iter().flat_map(|read| read.keys).flat_map(|key| key.ids).next();
        Ok(entry.map(|entry| {
            // An entry that was deleted meanwhile has no fields.
            let id = entry.get("id").unwrap_or_else(|| entry.id.clone());
            Command::new(id, entry.get("body").unwrap_or_default(), entry.id)
        }))
    }

    pub(super) async fn accept(&mut self, receipt: &str) -> Result<(), BrokerError> {
        let stream = self.commands.as_deref().unwrap_or_default();
        Ok(cmd("XACK").arg(stream).arg(GROUP).arg(receipt).exec_async(&mut self.link).await?)
    }

    pub(super) async fn put_aside(
        &mut self,
        dead: &str,
        command: &Command,
        reason: &str,
    ) -> Result<(), BrokerError> {
        let mut add = cmd("XADD");
        add.arg(dead).arg("*").arg("id").arg(&command.id).arg("reason").arg(reason);
        Ok(add.arg("body").arg(command.text()).exec_async(&mut self.link).await?)
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

fn group(commands: &str) -> Cmd {
    let mut group = cmd("XGROUP");
    group.arg("CREATE").arg(commands).arg(GROUP).arg("0").arg("MKSTREAM");
    group
}
