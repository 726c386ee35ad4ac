//! NATS with JetStream: events are messages below one subject, kept in a stream; commands are pulled by one durable consumer.

use std::error::Error;
use std::time::Duration;

use async_nats::jetstream::consumer::{AckPolicy, DeliverPolicy, PullConsumer, pull};
use async_nats::jetstream::context::{CreateStreamErrorKind, PublishAckFuture, PublishErrorKind};
use async_nats::jetstream::message::PublishMessage;
use async_nats::jetstream::stream::{Config as StreamConfig, RetentionPolicy, StorageType, Stream};
use async_nats::jetstream::{self, Context};
use async_nats::{Client, ConnectOptions, Event};
use futures_util::StreamExt as _;
use serde_json::json;
use tokio_util::sync::CancellationToken;
use url::Url;

use super::{BrokerError, CONFIRM, Command, Config, DEAD, Message, is_secure, trust};

/// The consumer that takes commands, the same for all processes.
const DURABLE: &str = "matinee";
/// A command that its taker has not answered for within this time is taken by another.
const CLAIM: Duration = Duration::from_mins(1);
/// So long the stream knows the ids of what it has: longer than we are away after a crash.
const DUPLICATES: Duration = Duration::from_mins(10);
/// Commands that all processes together have taken and not answered for.
const TAKEN_MAX: i64 = 100;
/// The answer that a command is done.
const DONE: &str = "+ACK";

pub(super) struct Nats {
    client: Client,
    context: Context,
    events: String,
    commands: Option<PullConsumer>,
    /// The connection has ended. The library makes another one by itself, and might send behind a gap what it still has.
    ended: CancellationToken,
}

impl Nats {
    pub(super) async fn open(url: &Url, config: &Config) -> Result<Self, BrokerError> {
        let ended = CancellationToken::new();
        let client = connect(url, config, ended.clone()).await?;
        let mut context = jetstream::new(client.clone());
        context.set_timeout(CONFIRM);
        let events = config.events.clone();
        stream(&context, &events, vec![format!("{events}.>")]).await?;
        let commands = match &config.commands {
            Some(name) => Some(commands(&context, name).await?),
            None => None,
        };
        Ok(Self { client, context, events, commands, ended })
    }

    pub(super) async fn publish(&mut self, all: &[Message]) -> Result<(), BrokerError> {
        self.unless_ended(async {
            // Each is taken only behind the one before it: what was lost on the way leaves no gap.
            let mut open = Vec::with_capacity(all.len());
            let mut before = None;
            for one in all {
                open.push(self.send(one, before.replace(one.id.as_str())).await?);
            }
            let mut taken = 0;
            for confirm in open {
                match confirm.await {
                    Ok(_) => taken += 1,
                    // Somebody else has written to the stream meanwhile.
                    Err(error) if error.kind() == PublishErrorKind::WrongLastMessageId => break,
                    Err(error) => return Err(failed(&error)),
                }
            }
            for one in &all[taken..] {
                self.send(one, None).await?.await.map_err(|error| failed(&error))?;
            }
            Ok(())
        })
        .await
    }

    /// Sends a message, to be taken only behind the one with this id.
    async fn send(&self, one: &Message, before: Option<&str>) -> Result<PublishAckFuture, BrokerError> {
        let mut message = PublishMessage::build().message_id(&one.id).payload(one.body.clone().into());
        if let Some(before) = before {
            message = message.expected_last_message_id(before);
        }
        let sent = self.context.send_publish(format!("{}.{}", self.events, one.topic), message).await;
        sent.map_err(|error| failed(&error))
    }

    pub(super) async fn receive(&mut self, patience: Duration) -> Result<Option<Command>, BrokerError> {
        let Some(commands) = &self.commands else { return Ok(None) };
        self.unless_ended(async {
            let asked = commands.fetch().max_messages(1).expires(patience).messages().await;
            let mut coming = asked.map_err(|error| failed(&error))?;
            let Some(message) = coming.next().await else { return Ok(None) };
            let message = message.map_err(|error| failed(&*error))?;
            let Some(receipt) = message.reply.as_ref().map(ToString::to_string) else { return Ok(None) };
            let id =
                message.headers.as_ref().and_then(|headers| headers.get(async_nats::header::NATS_MESSAGE_ID));
            let place =
                || message.info().map_or_else(|_| receipt.clone(), |it| it.stream_sequence.to_string());
            let id = id.map_or_else(place, ToString::to_string);
            Ok(Some(Command::new(id, message.payload.to_vec(), receipt)))
        })
        .await
    }

    pub(super) async fn accept(&mut self, receipt: &str) -> Result<(), BrokerError> {
        // A question, so that it is known to have arrived.
        let asked = self.client.request(receipt.to_owned(), DONE.into());
        self.unless_ended(async { asked.await.map(drop).map_err(|error| failed(&error)) }).await
    }

    pub(super) async fn put_aside(
        &mut self,
        dead: &str,
        command: &Command,
        reason: &str,
    ) -> Result<(), BrokerError> {
        let said = json!({ "id": command.id, "reason": reason, "body": command.text() }).to_string();
        self.unless_ended(async {
            let sent = self.context.publish(dead.to_owned(), said.into()).await;
            sent.map_err(|error| failed(&error))?.await.map(drop).map_err(|error| failed(&error))
        })
        .await
    }

    async fn unless_ended<T>(
        &self,
        work: impl Future<Output = Result<T, BrokerError>>,
    ) -> Result<T, BrokerError> {
        tokio::select! {
            biased;
            () = self.ended.cancelled() => Err(BrokerError::Away("the connection ended".to_owned())),
            done = work => done,
        }
    }
}

async fn connect(url: &Url, config: &Config, ended: CancellationToken) -> Result<Client, BrokerError> {
    let told = move |event| {
        if matches!(event, Event::Disconnected | Event::Closed) {
            ended.cancel();
        }
        std::future::ready(())
    };
    let options = ConnectOptions::new().name("matinee").connection_timeout(CONFIRM).event_callback(told);
    let options = options.require_tls(is_secure(url)).tls_client_config(trust::tls(&config.authorities_pem)?);
    let options = match (percent_decoded(url.username()), url.password()) {
        (name, Some(password)) => options.user_and_password(name, percent_decoded(password)),
        (token, None) if !token.is_empty() => options.token(token),
        _ => options,
    };
    options.connect(url.as_str()).await.map_err(|error| failed(&error))
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

/// A stream of these subjects; as it is when the operator has made it.
async fn stream(context: &Context, name: &str, subjects: Vec<String>) -> Result<Stream, BrokerError> {
    let wanted = StreamConfig {
        name: stream_of(name),
        subjects,
        storage: StorageType::File,
        retention: RetentionPolicy::Limits,
        duplicate_window: DUPLICATES,
        ..StreamConfig::default()
    };
    context.get_or_create_stream(wanted).await.map_err(|error| {
        if let CreateStreamErrorKind::JetStream(said) = error.kind() {
            BrokerError::Refused(said.to_string())
        } else {
            failed(&error)
        }
    })
}

async fn commands(context: &Context, name: &str) -> Result<PullConsumer, BrokerError> {
    let stream = stream(context, name, vec![name.to_owned(), format!("{name}{DEAD}")]).await?;
    let wanted = pull::Config {
        durable_name: Some(DURABLE.to_owned()),
        ack_policy: AckPolicy::Explicit,
        deliver_policy: DeliverPolicy::All,
        filter_subject: name.to_owned(),
        ack_wait: CLAIM,
        max_ack_pending: TAKEN_MAX,
        ..pull::Config::default()
    };
    stream.get_or_create_consumer(DURABLE, wanted).await.map_err(|error| failed(&error))
}

fn failed(error: &(dyn Error + 'static)) -> BrokerError {
    BrokerError::away(error)
}

/// The name of a stream has no dots.
fn stream_of(name: &str) -> String {
    name.replace('.', "_")
}

#[test]
fn names_and_secrets_of_an_address_are_decoded() {
    assert_eq!(percent_decoded("a%2Fb%zz%"), "a/b%zz%");
}
