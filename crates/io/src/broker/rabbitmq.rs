//! RabbitMQ by AMQP 0.9.1: events go to one durable topic exchange, persistent and confirmed; commands come from a durable queue.
//!
//! What no queue is bound for is confirmed and goes nowhere: who wants events binds a queue first.

use std::time::Duration;

use futures_util::StreamExt as _;
use lapin::options::{
    BasicAckOptions, BasicConsumeOptions, BasicPublishOptions, BasicQosOptions, ConfirmSelectOptions,
    ExchangeDeclareOptions, QueueDeclareOptions,
};
use lapin::tcp::OwnedTLSConfig;
use lapin::types::{AMQPValue, FieldTable, LongString};
use lapin::{
    BasicProperties, Channel, Confirmation, Connection, ConnectionProperties, Consumer,
    DefaultConnectionBuilder, ExchangeKind, PublisherConfirm,
};
use url::Url;

use super::{BrokerError, CONFIRM, Command, Config, Message, within};

/// A message that is written to the disk of the broker.
const PERSISTENT: u8 = 2;
/// By what the broker knows what takes commands on this connection.
const CONSUMER: &str = "matinee";

pub(super) struct Rabbitmq {
    /// It ends with us.
    _connection: Connection,
    channel: Channel,
    events: String,
    commands: Option<String>,
    /// What comes from the queue, once somebody listens.
    coming: Option<Consumer>,
}

impl From<lapin::Error> for BrokerError {
    fn from(error: lapin::Error) -> Self {
        if let lapin::ErrorKind::ProtocolError(said) = error.kind() {
            return Self::Refused(said.to_string());
        }
        Self::away(&error)
    }
}

impl Rabbitmq {
    pub(super) async fn open(url: &Url, config: &Config) -> Result<Self, BrokerError> {
        let mut url = url.clone();
        if matches!(url.path(), "" | "/") {
            // To AMQP an empty path is a host without a name.
            url.set_path("/%2f");
        }
        let properties = ConnectionProperties::default().with_connection_name("matinee".into());
        let pem = Some(config.authorities_pem.clone()).filter(|pem| !pem.is_empty());
        let tls = OwnedTLSConfig { identity: None, cert_chain: pem };
        let builder =
            DefaultConnectionBuilder::new()?.with_uri_str(url.to_string()).with_properties(properties);
        let connection = builder.with_tls_config(tls).connect().await?;
        let channel = connection.create_channel().await?;
        channel.confirm_select(ConfirmSelectOptions::default()).await?;
        let (events, commands) = (config.events.clone(), config.commands.clone());
        let durable = ExchangeDeclareOptions { durable: true, ..ExchangeDeclareOptions::default() };
        channel
            .exchange_declare(events.as_str().into(), ExchangeKind::Topic, durable, FieldTable::default())
            .await?;
        for queue in commands.iter().flat_map(|name| [name.clone(), format!("{name}{}", super::DEAD)]) {
            let durable = QueueDeclareOptions { durable: true, ..QueueDeclareOptions::default() };
            channel.queue_declare(queue.into(), durable, FieldTable::default()).await?;
        }
        Ok(Self { _connection: connection, channel, events, commands, coming: None })
    }

    pub(super) async fn publish(&mut self, all: &[Message]) -> Result<(), BrokerError> {
        within(CONFIRM, async {
            let mut open = Vec::with_capacity(all.len());
            for one in all {
                let properties = properties(&one.id).with_type(one.topic.as_str().into());
                open.push(self.send((&self.events, &one.topic), one.body.as_bytes(), properties).await?);
            }
            for confirm in open {
                taken(&confirm.await?)?;
            }
            Ok(())
        })
        .await
    }

    async fn send(
        &self,
        (exchange, key): (&str, &str),
        body: &[u8],
        properties: BasicProperties,
    ) -> Result<PublisherConfirm, lapin::Error> {
        let options = BasicPublishOptions::default();
        self.channel.basic_publish(exchange.into(), key.into(), options, body, properties).await
    }

    pub(super) async fn receive(&mut self, patience: Duration) -> Result<Option<Command>, BrokerError> {
        let Some(queue) = self.commands.clone() else { return Ok(None) };
        let coming = if let Some(coming) = &mut self.coming {
            coming
        } else {
            // One at a time: what waits here another node could do.
            self.channel.basic_qos(1, BasicQosOptions::default()).await?;
            let options = BasicConsumeOptions::default();
            let coming =
                self.channel.basic_consume(queue.into(), CONSUMER.into(), options, FieldTable::default());
            self.coming.insert(coming.await?)
        };
        match tokio::time::timeout(patience, coming.next()).await {
            Err(_) => Ok(None),
            Ok(None) => Err(BrokerError::Away("the connection ended".to_owned())),
            Ok(Some(delivery)) => {
                let delivery = delivery?;
                let id = delivery.properties.message_id().as_ref().map(ToString::to_string);
                let id = id.unwrap_or_else(|| blake3::hash(&delivery.data).to_hex()[..32].to_owned());
                Ok(Some(Command::new(id, delivery.data, delivery.delivery_tag.to_string())))
            }
        }
    }

    pub(super) async fn accept(&mut self, receipt: &str) -> Result<(), BrokerError> {
        let tag = receipt.parse().expect("because it was made of a number");
        Ok(self.channel.basic_ack(tag, BasicAckOptions::default()).await?)
    }

    pub(super) async fn put_aside(
        &mut self,
        dead: &str,
        command: &Command,
        reason: &str,
    ) -> Result<(), BrokerError> {
        let mut headers = FieldTable::default();
        headers.insert("reason".into(), AMQPValue::LongString(LongString::from(reason)));
        let properties = properties(&command.id).with_headers(headers);
        taken(&self.send(("", dead), command.text().as_bytes(), properties).await?.await?)
    }
}

fn properties(id: &str) -> BasicProperties {
    BasicProperties::default()
        .with_content_type("application/json".into())
        .with_delivery_mode(PERSISTENT)
        .with_message_id(id.into())
}

fn taken(confirmation: &Confirmation) -> Result<(), BrokerError> {
    match confirmation {
        Confirmation::Ack(_) => Ok(()),
        Confirmation::Nack(_) => Err(BrokerError::Refused("a message was not taken".to_owned())),
        Confirmation::NotRequested => {
            unreachable!("because confirms are selected when the channel is opened")
        }
    }
}
