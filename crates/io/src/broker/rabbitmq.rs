//! RabbitMQ by AMQP 0.9.1: events go to one durable topic exchange, persistent and confirmed; commands are got from a durable queue.
//!
//! What no queue is bound for is confirmed and goes nowhere: who wants events binds a queue first.

mod frame;

use std::collections::BTreeSet;
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use url::Url;

use self::frame::{Method, Reading, long_text, short_text, table};
use super::wire::Wire;
use super::{Broker, BrokerError, Command, Config, MESSAGE_BYTES_MAX, Message, credentials, within};

/// An empty queue is asked again after this time.
const LOOK: Duration = Duration::from_millis(250);
/// The channel on which all is said.
const CHANNEL: u16 = 1;
/// Bytes of a frame around what it holds.
const FRAME_BYTES: usize = 8;
/// Bits of a declaration: it outlasts a restart of the broker.
const DURABLE: u8 = 0b10;

pub(super) struct Rabbitmq {
    wire: Wire,
    events: String,
    commands: Option<String>,
    frame_bytes_max: usize,
    /// Messages that were sent on this channel; the broker counts along.
    sent: u64,
}

impl Rabbitmq {
    pub(super) async fn open(url: &Url, config: &Config) -> Result<Self, BrokerError> {
        let mut wire = Wire::connect(url, 5_672).await?;
        wire.send(b"AMQP\0\0\x09\x01").await?;
        let (events, commands) = (config.events.clone(), config.commands.clone());
        let mut rabbit = Self { wire, events, commands, frame_bytes_max: 4_096, sent: 0 };
        rabbit.begin(url).await?;
        rabbit.call(CHANNEL, Method::new(20, 10).short(""), (20, 11)).await?;
        rabbit.call(CHANNEL, Method::new(85, 10).byte(0), (85, 11)).await?;
        let declare = Method::new(40, 10).number16(0).short(&rabbit.events).short("topic");
        rabbit.call(CHANNEL, declare.byte(DURABLE).bytes(&table(&[])), (40, 11)).await?;
        for queue in
            rabbit.commands.iter().flat_map(|name| [name.clone(), format!("{name}.dead")]).collect::<Vec<_>>()
        {
            let declare = Method::new(50, 10).number16(0).short(&queue).byte(DURABLE).bytes(&table(&[]));
            rabbit.call(CHANNEL, declare, (50, 11)).await?;
        }
        Ok(rabbit)
    }

    async fn begin(&mut self, url: &Url) -> Result<(), BrokerError> {
        self.until((10, 10)).await?;
        let (name, password) = credentials(url);
        let (name, password) = if name.is_empty() {
            ("guest".to_owned(), "guest".to_owned())
        } else {
            (name, password.unwrap_or_default())
        };
        let login = format!("\0{name}\0{password}");
        let start = Method::new(10, 11).bytes(&table(&[("product", "matinee")])).short("PLAIN");
        self.say(0, start.bytes(&long_text(login.as_bytes())).short("en_US")).await?;
        let tune = self.until((10, 30)).await?;
        let mut reading = Reading::new(&tune);
        let (channels, frame) = (reading.number16()?, reading.number32()?);
        self.frame_bytes_max = if frame == 0 { 131_072 } else { (frame as usize).clamp(4_096, 131_072) };
        let frame = u32::try_from(self.frame_bytes_max).unwrap_or(u32::MAX);
        // No heartbeat: a connection that is dead is found by the next confirmation that does not come.
        self.say(0, Method::new(10, 31).number16(channels).number32(frame).number16(0)).await?;
        let path = url.path().trim_start_matches('/');
        let host = if path.is_empty() { "/".to_owned() } else { super::percent_decoded(path) };
        self.call(0, Method::new(10, 40).short(&host).short("").byte(0), (10, 41)).await.map(drop)
    }

    async fn say(&mut self, channel: u16, method: Method) -> Result<(), BrokerError> {
        self.wire.send(&frame::frame(1, channel, &method.done())).await
    }

    async fn call(
        &mut self,
        channel: u16,
        method: Method,
        wanted: (u16, u16),
    ) -> Result<Vec<u8>, BrokerError> {
        self.say(channel, method).await?;
        within(self.until(wanted)).await
    }

    /// The arguments of the next method of this kind.
    async fn until(&mut self, wanted: (u16, u16)) -> Result<Vec<u8>, BrokerError> {
        loop {
            let (kind, arguments) = self.method().await?;
            if kind == wanted {
                return Ok(arguments);
            }
        }
    }

    /// The next frame: its type and what it holds.
    async fn frame(&mut self) -> Result<(u8, Vec<u8>), BrokerError> {
        let head = self.wire.bytes(7).await?;
        let len = u32::from_be_bytes([head[3], head[4], head[5], head[6]]) as usize;
        if len > 131_072 {
            return Err(BrokerError::Away("this is no AMQP".to_owned()));
        }
        let mut bytes = self.wire.bytes(len + 1).await?;
        if bytes.pop() != Some(frame::END) {
            return Err(BrokerError::Away("a frame of AMQP is broken".to_owned()));
        }
        Ok((head[0], bytes))
    }

    /// The next method, with its arguments. When the broker ends channel or connection it says why.
    async fn method(&mut self) -> Result<((u16, u16), Vec<u8>), BrokerError> {
        loop {
            let (kind, bytes) = self.frame().await?;
            if kind != 1 {
                continue;
            }
            let mut reading = Reading::new(&bytes);
            let method = (reading.number16()?, reading.number16()?);
            if matches!(method, (10, 50) | (20, 40)) {
                let (code, text) = (reading.number16()?, reading.short()?);
                return Err(BrokerError::Refused(format!("{code} {text}")));
            }
            return Ok((method, reading.rest().to_vec()));
        }
    }

    /// A message as frames.
    fn frames(&self, (exchange, key): (&str, &str), one: &Message, reason: Option<&str>) -> Vec<u8> {
        let publish = Method::new(60, 40).number16(0).short(exchange).short(key).byte(0);
        let mut bytes = frame::frame(1, CHANNEL, &publish.done());
        let reasons: Vec<_> = reason.map(|reason| ("reason", reason)).into_iter().collect();
        let mut head = [&60_u16.to_be_bytes()[..], &[0, 0], &(one.body.len() as u64).to_be_bytes()].concat();
        // Content type, headers, persistent, message id and type, in this order.
        head.extend((0x8000_u16 | 0x2000 | 0x1000 | 0x0080 | 0x0020).to_be_bytes());
        head.extend(short_text("application/json"));
        head.extend(table(&reasons));
        head.push(2);
        head.extend(short_text(&one.id));
        head.extend(short_text(&one.topic));
        bytes.extend(frame::frame(2, CHANNEL, &head));
        for piece in one.body.as_bytes().chunks(self.frame_bytes_max - FRAME_BYTES) {
            bytes.extend(frame::frame(3, CHANNEL, piece));
        }
        bytes
    }

    /// Waits until all that was sent is confirmed.
    async fn confirmed(&mut self, from: u64) -> Result<(), BrokerError> {
        let mut open: BTreeSet<u64> = (from..=self.sent).collect();
        while !open.is_empty() {
            let (method, arguments) = self.method().await?;
            let mut reading = Reading::new(&arguments);
            match method {
                (60, 80) => {
                    let (tag, several) = (reading.number64()?, reading.byte()? & 1 == 1);
                    if several {
                        open.retain(|one| *one > tag);
                    } else {
                        open.remove(&tag);
                    }
                }
                (60, 120) => return Err(BrokerError::Refused("a message was not taken".to_owned())),
                _ => {}
            }
        }
        Ok(())
    }

    pub(super) async fn get(&mut self, queue: &str) -> Result<Option<Command>, BrokerError> {
        self.say(CHANNEL, Method::new(60, 70).number16(0).short(queue).byte(0)).await?;
        let (method, arguments) = self.method().await?;
        if method != (60, 71) {
            return Ok(None);
        }
        let tag = Reading::new(&arguments).number64()?;
        let (_, head) = self.frame().await?;
        let mut reading = Reading::new(&head);
        reading.skip(4)?;
        let len = usize::try_from(reading.number64()?).unwrap_or(usize::MAX);
        let id = frame::message_id(&mut reading)?;
        let mut body = Vec::new();
        while body.len() < len {
            let (_, piece) = self.frame().await?;
            // What is too long is read to its end, and is no command.
            body.extend(piece);
        }
        body.truncate(MESSAGE_BYTES_MAX);
        let id = id.unwrap_or_else(|| blake3::hash(&body).to_hex()[..32].to_owned());
        Ok(Some(Command { id, body, receipt: tag.to_string() }))
    }

    async fn next(&mut self, patience: Duration) -> Result<Option<Command>, BrokerError> {
        let Some(queue) = self.commands.clone() else { return Ok(None) };
        let looks = patience.as_millis().div_ceil(LOOK.as_millis()).max(1);
        for look in 1..=looks {
            // A question is never left in its middle: its answer would be taken for the next one's.
            let found = within(self.get(&queue)).await?;
            if found.is_some() || look == looks {
                return Ok(found);
            }
            tokio::time::sleep(LOOK).await;
        }
        Ok(None)
    }

    /// A queue for all events, as others have one.
    #[cfg(test)]
    pub(super) async fn bind(&mut self, queue: &str) -> Result<(), BrokerError> {
        let declare = Method::new(50, 10).number16(0).short(queue).byte(DURABLE).bytes(&table(&[]));
        self.call(CHANNEL, declare, (50, 11)).await?;
        let bind = Method::new(50, 20).number16(0).short(queue).short(&self.events).short("#").byte(0);
        self.call(CHANNEL, bind.bytes(&table(&[])), (50, 21)).await.map(drop)
    }

    /// Sends a command, as others do.
    #[cfg(test)]
    pub(super) async fn send(&mut self, queue: &str, id: &str, body: &str) -> Result<(), BrokerError> {
        let one = Message { id: id.to_owned(), topic: String::new(), body: body.to_owned() };
        let bytes = self.frames(("", queue), &one, None);
        self.sent += 1;
        self.wire.send(&bytes).await?;
        self.confirmed(self.sent).await
    }

    async fn end(&mut self, command: &Command) -> Result<(), BrokerError> {
        let tag = command.receipt.parse().unwrap_or_default();
        self.say(CHANNEL, Method::new(60, 80).number64(tag).byte(0)).await
    }
}

impl Broker for Rabbitmq {
    fn publish<'a>(&'a mut self, all: &'a [Message]) -> BoxFuture<'a, Result<(), BrokerError>> {
        async move {
            let (mut bytes, from) = (Vec::new(), self.sent + 1);
            for one in all {
                bytes.extend(self.frames((&self.events, &one.topic), one, None));
                self.sent += 1;
            }
            within(async {
                self.wire.send(&bytes).await?;
                self.confirmed(from).await
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
            let one = Message { id: command.id.clone(), topic: String::new(), body };
            let reason: String = reason.chars().take(200).collect();
            let bytes = self.frames(("", &dead), &one, Some(&reason));
            self.sent += 1;
            let from = self.sent;
            self.wire.send(&bytes).await?;
            within(self.confirmed(from)).await?;
            self.end(command).await
        }
        .boxed()
    }
}
