//! Somebody else at the broker of a test: who reads events, sends commands and looks at what was put aside.

use async_nats::jetstream;
use async_nats::jetstream::message::PublishMessage;
use lapin::options::{
    BasicGetOptions, BasicPublishOptions, ConfirmSelectOptions, QueueBindOptions, QueueDeclareOptions,
};
use lapin::types::FieldTable;
use lapin::{BasicProperties, Channel, Connection, DefaultConnectionBuilder};
use redis::aio::MultiplexedConnection;
use redis::cmd;
use redis::streams::StreamRangeReply;
use serde_json::Value;

use super::server::Server;
use super::{COMMANDS, EVENTS, Kind};

/// The queue of somebody who wants all events of RabbitMQ.
const TAPS: &str = "taps";

pub(super) enum Other {
    Redis(MultiplexedConnection),
    Nats(jetstream::Context),
    /// With its connection, which ends with us.
    Rabbitmq {
        channel: Channel,
        _connection: Connection,
    },
}

impl Other {
    pub(super) async fn open(server: &Server) -> Self {
        let url = server.url();
        match server.kind {
            Kind::Redis => {
                let client = redis::Client::open(url).unwrap();
                Self::Redis(client.get_multiplexed_async_connection().await.unwrap())
            }
            Kind::Nats => Self::Nats(jetstream::new(async_nats::connect(url).await.unwrap())),
            Kind::Rabbitmq => {
                let connection = DefaultConnectionBuilder::new().unwrap().with_uri_str(format!("{url}/%2f"));
                let connection = connection.connect().await.unwrap();
                let channel = connection.create_channel().await.unwrap();
                channel.confirm_select(ConfirmSelectOptions::default()).await.unwrap();
                let durable = QueueDeclareOptions { durable: true, ..QueueDeclareOptions::default() };
                channel.queue_declare(TAPS.into(), durable, FieldTable::default()).await.unwrap();
                let options = QueueBindOptions::default();
                let bind = channel.queue_bind(
                    TAPS.into(),
                    EVENTS.into(),
                    "#".into(),
                    options,
                    FieldTable::default(),
                );
                bind.await.unwrap();
                Self::Rabbitmq { channel, _connection: connection }
            }
        }
    }

    /// The ids of all events that are there, in their order.
    pub(super) async fn events(&mut self) -> Vec<String> {
        let mut ids = Vec::new();
        match self {
            Self::Redis(redis) => {
                let read = cmd("XRANGE").arg(EVENTS).arg("-").arg("+").query_async(redis).await;
                let read: StreamRangeReply = read.unwrap();
                ids.extend(read.ids.iter().map(|entry| entry.get::<String>("id").unwrap()));
            }
            Self::Nats(nats) => {
                let mut stream = nats.get_stream(EVENTS.replace('.', "_")).await.unwrap();
                let last = stream.info().await.unwrap().state.last_sequence;
                for seq in 1..=last {
                    let message = stream.get_raw_message(seq).await.unwrap();
                    ids.push(message.headers.get("Nats-Msg-Id").unwrap().to_string());
                }
            }
            Self::Rabbitmq { channel, .. } => {
                while let Some((id, _)) = got(channel, TAPS).await {
                    ids.push(id);
                }
            }
        }
        ids
    }

    pub(super) async fn command(&mut self, id: &str, body: &str) {
        match self {
            Self::Redis(redis) => {
                let mut add = cmd("XADD");
                add.arg(COMMANDS).arg("*").arg("id").arg(id).arg("body").arg(body);
                add.exec_async(redis).await.unwrap();
            }
            Self::Nats(nats) => {
                let message = PublishMessage::build().message_id(id).payload(body.to_owned().into());
                nats.send_publish(COMMANDS, message).await.unwrap().await.unwrap();
            }
            Self::Rabbitmq { channel, .. } => {
                let (options, properties) =
                    (BasicPublishOptions::default(), BasicProperties::default().with_message_id(id.into()));
                let sent =
                    channel.basic_publish("".into(), COMMANDS.into(), options, body.as_bytes(), properties);
                sent.await.unwrap().await.unwrap();
            }
        }
    }

    /// What was put aside: id and body.
    pub(super) async fn dead(&mut self) -> (String, String) {
        let dead = format!("{COMMANDS}.dead");
        match self {
            Self::Redis(redis) => {
                let read = cmd("XRANGE").arg(dead).arg("-").arg("+").query_async(redis).await;
                let read: StreamRangeReply = read.unwrap();
                let [one] = &read.ids[..] else { panic!("one: {read:?}") };
                (one.get("id").unwrap(), one.get("body").unwrap())
            }
            Self::Nats(nats) => {
                let stream = nats.get_stream(COMMANDS.replace('.', "_")).await.unwrap();
                let message = stream.get_last_raw_message_by_subject(&dead).await.unwrap();
                let said: Value = serde_json::from_slice(&message.payload).unwrap();
                (said["id"].as_str().unwrap().to_owned(), said["body"].as_str().unwrap().to_owned())
            }
            Self::Rabbitmq { channel, .. } => got(channel, &dead).await.unwrap(),
        }
    }
}

/// The next message of a queue: id and body. It stays there.
async fn got(channel: &Channel, queue: &str) -> Option<(String, String)> {
    let got = channel.basic_get(queue.into(), BasicGetOptions::default()).await.unwrap()?;
    let id = got.delivery.properties.message_id().as_ref().unwrap().to_string();
    Some((id, String::from_utf8(got.delivery.data.clone()).unwrap()))
}
