//! The same for every broker, on the real one: what it has confirmed is there in its order, whatever is killed, and commands come once
//! they are answered for, or are put aside.

mod server;

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use self::server::Server;
use super::nats::Nats;
use super::rabbitmq::Rabbitmq;
use super::redis::{Redis, Reply};
use super::*;

const EVENTS: &str = "matinee.events";
const COMMANDS: &str = "matinee.commands";
const PATIENCE: Duration = Duration::from_secs(2);

fn config(server: &Server) -> Config {
    Config {
        kind: server.kind,
        url: server.url(),
        events: EVENTS.to_owned(),
        commands: Some(COMMANDS.to_owned()),
        consumer: "here".to_owned(),
    }
}

/// Somebody else at the broker: who reads events and sends commands.
enum Other {
    Redis(Redis),
    Nats(Nats),
    Rabbitmq(Rabbitmq),
}

impl Other {
    async fn open(server: &Server) -> Self {
        let config = config(server);
        let url = Url::parse(&config.url).unwrap();
        match config.kind {
            Kind::Redis => Self::Redis(Redis::open(&url, &config).await.unwrap()),
            Kind::Nats => Self::Nats(Nats::open(&url, &config).await.unwrap()),
            Kind::Rabbitmq => {
                let mut rabbit = Rabbitmq::open(&url, &config).await.unwrap();
                rabbit.bind("taps").await.unwrap();
                Self::Rabbitmq(rabbit)
            }
        }
    }

    /// The ids of all events that are there, in their order.
    async fn events(&mut self) -> Vec<String> {
        let mut ids = Vec::new();
        match self {
            Self::Redis(redis) => {
                let Reply::List(entries) = redis.ask(&["XRANGE", EVENTS, "-", "+"]).await.unwrap() else {
                    panic!()
                };
                for entry in entries {
                    let Reply::List(entry) = entry else { panic!() };
                    let Reply::List(fields) = &entry[1] else { panic!() };
                    let Reply::Text(id) = &fields[1] else { panic!() };
                    ids.push(String::from_utf8(id.clone()).unwrap());
                }
            }
            Self::Nats(nats) => {
                let stream = EVENTS.replace('.', "_");
                let told = nats.api(&format!("$JS.API.STREAM.INFO.{stream}"), &json!({})).await.unwrap();
                let last = told["state"]["last_seq"].as_u64().unwrap();
                for seq in 1..=last {
                    let ask = json!({ "seq": seq });
                    let told = nats.api(&format!("$JS.API.STREAM.MSG.GET.{stream}"), &ask).await.unwrap();
                    let head = STANDARD.decode(told["message"]["hdrs"].as_str().unwrap()).unwrap();
                    let head = String::from_utf8(head).unwrap();
                    let id = head.lines().find_map(|line| line.strip_prefix("Nats-Msg-Id: ")).unwrap();
                    ids.push(id.to_owned());
                }
            }
            Self::Rabbitmq(rabbit) => {
                while let Some(one) = rabbit.get("taps").await.unwrap() {
                    ids.push(one.id);
                }
            }
        }
        ids
    }

    async fn command(&mut self, id: &str, body: &str) {
        match self {
            Self::Redis(redis) => {
                redis.ask(&["XADD", COMMANDS, "*", "id", id, "body", body]).await.unwrap();
            }
            Self::Nats(nats) => nats.say(COMMANDS, id, body).await.unwrap(),
            Self::Rabbitmq(rabbit) => rabbit.send(COMMANDS, id, body).await.unwrap(),
        }
    }

    /// What was put aside: id and body.
    async fn dead(&mut self) -> (String, String) {
        let dead = format!("{COMMANDS}.dead");
        match self {
            Self::Redis(redis) => {
                let Reply::List(entries) = redis.ask(&["XRANGE", &dead, "-", "+"]).await.unwrap() else {
                    panic!()
                };
                let [Reply::List(entry)] = &entries[..] else { panic!("one: {entries:?}") };
                let Reply::List(fields) = &entry[1] else { panic!() };
                let text = |at: usize| {
                    if let Reply::Text(text) = &fields[at] {
                        String::from_utf8(text.clone()).unwrap()
                    } else {
                        panic!()
                    }
                };
                (text(1), text(5))
            }
            Self::Nats(nats) => {
                let ask = json!({ "last_by_subj": dead });
                let stream = COMMANDS.replace('.', "_");
                let told = nats.api(&format!("$JS.API.STREAM.MSG.GET.{stream}"), &ask).await.unwrap();
                let body = STANDARD.decode(told["message"]["data"].as_str().unwrap()).unwrap();
                let said: Value = serde_json::from_slice(&body).unwrap();
                (said["id"].as_str().unwrap().to_owned(), said["body"].as_str().unwrap().to_owned())
            }
            Self::Rabbitmq(rabbit) => {
                let one = rabbit.get(&dead).await.unwrap().unwrap();
                (one.id, String::from_utf8(one.body).unwrap())
            }
        }
    }
}

async fn opened(server: &Server) -> Box<dyn Broker> {
    for _ in 0..200 {
        if let Ok(broker) = open(&config(server)).await {
            return broker;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("the broker does not come back")
}

async fn holds(kind: Kind) {
    let Some(mut server) = Server::start(kind).await else { return };
    drop(Other::open(&server).await);
    // 400 events in batches; the broker is killed in the middle, and what was not confirmed is sent again.
    let all: Vec<Message> = (0..400)
        .map(|n| Message {
            id: format!("evt_{n:04}"),
            topic: if n % 2 == 0 { "video.ready" } else { "upload.created" }.to_owned(),
            body: format!("{{\"n\":{n},\"long\":\"{}\"}}", "x".repeat(n * 20)),
        })
        .collect();
    let mut broker = opened(&server).await;
    for (number, batch) in all.chunks(10).enumerate() {
        if number == 20 {
            server.kill_and_restart().await;
        }
        while let Err(error) = broker.publish(batch).await {
            assert!(matches!(error, BrokerError::Away(_)), "{error}");
            broker = opened(&server).await;
        }
    }
    let mut other = Other::open(&server).await;
    let there = other.events().await;
    let mut firsts = there.clone();
    let mut seen = std::collections::BTreeSet::new();
    firsts.retain(|id| seen.insert(id.clone()));
    assert_eq!(
        firsts,
        all.iter().map(|one| one.id.clone()).collect::<Vec<_>>(),
        "nothing is lost, and all in order"
    );
    assert!(there.len() <= all.len() + 10, "at most the batch in the middle is there twice: {}", there.len());

    for id in ["one", "two", "three"] {
        other.command(id, &format!("say {id}")).await;
    }
    let said = |command: &Command| String::from_utf8(command.body.clone()).unwrap();
    let one = broker.receive(PATIENCE).await.unwrap().unwrap();
    assert_eq!((one.id.as_str(), said(&one)), ("one", "say one".to_owned()));
    broker.accept(&one).await.unwrap();
    let two = broker.receive(PATIENCE).await.unwrap().unwrap();
    assert_eq!(two.id, "two");
    broker.bury(&two, "it is poison").await.unwrap();
    assert_eq!(other.dead().await, ("two".to_owned(), "say two".to_owned()));
    let three = broker.receive(PATIENCE).await.unwrap().unwrap();
    assert_eq!(three.id, "three");
    if kind == Kind::Nats {
        broker.accept(&three).await.unwrap();
    } else {
        // Who took it ended without a word: it comes again. NATS waits a minute for that.
        broker = opened(&server).await;
        let again = broker.receive(PATIENCE).await.unwrap().unwrap();
        assert_eq!(again.id, "three");
        broker.accept(&again).await.unwrap();
    }
    assert_eq!(broker.receive(Duration::from_millis(300)).await.unwrap(), None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn redis_loses_nothing_and_repeats_little() {
    holds(Kind::Redis).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nats_loses_nothing_and_repeats_little() {
    holds(Kind::Nats).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rabbitmq_loses_nothing_and_repeats_little() {
    holds(Kind::Rabbitmq).await;
}

#[test]
fn an_address_fits_its_protocol_and_names_are_plain() {
    let with = |kind, url: &str, events: &str| {
        let (url, events, commands) = (url.to_owned(), events.to_owned(), None);
        check(&Config { kind, url, events, commands, consumer: String::new() }).is_ok()
    };
    for (kind, url, events, fits) in [
        (Kind::Redis, "redis://127.0.0.1", "a", true),
        (Kind::Redis, "rediss://u:p@h:1/2", "a.b_c-d", true),
        (Kind::Redis, "amqp://127.0.0.1", "a", false),
        (Kind::Nats, "nats://t@h", "a", true),
        (Kind::Nats, "nats://h", "a.>", false),
        (Kind::Nats, "nats://h", "a b", false),
        (Kind::Rabbitmq, "amqps://u:p@h/v%2Fh", "a", true),
        (Kind::Rabbitmq, "h", "a", false),
        (Kind::Rabbitmq, "amqp://h", "", false),
    ] {
        assert_eq!(with(kind, url, events), fits, "{url} {events}");
    }
    assert_eq!(percent_decoded("a%2Fb%zz%"), "a/b%zz%");
}
