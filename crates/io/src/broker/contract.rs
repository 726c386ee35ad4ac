//! The same for every broker, on the real one: what it has confirmed is there in its order, whatever is killed, and commands come once
//! they are answered for, or are put aside.

mod other;
mod server;

use std::time::Duration;

use self::other::Other;
use self::server::{AUTHORITY, STRANGER, Server};
use super::*;

const EVENTS: &str = "matinee.events";
const COMMANDS: &str = "matinee.commands";
const PATIENCE: Duration = Duration::from_secs(2);
/// Events that are sent at once, and in which of these batches the broker is killed.
const BATCH: usize = 40;
const KILLED: usize = 5;
/// So often it is looked whether a broker is there, ten times a second: RabbitMQ starts a whole machine, which takes a minute beside
/// other tests.
const LOOKS: usize = 1_200;

fn config(server: &Server) -> Config {
    Config {
        kind: server.kind,
        url: server.url(),
        authorities_pem: String::new(),
        events: EVENTS.to_owned(),
        commands: Some(COMMANDS.to_owned()),
        consumer: "here".to_owned(),
    }
}

async fn opened(server: &Server) -> Broker {
    let mut last = None;
    for _ in 0..LOOKS {
        match Broker::open(&config(server)).await {
            Ok(broker) => return broker,
            Err(error) => last = Some(error),
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("the broker does not come back: {last:?}")
}

async fn holds(kind: Kind) {
    let Some(mut server) = Server::start(kind).await else { return };
    drop(opened(&server).await);
    drop(Other::open(&server).await);
    // 400 events in batches; the broker is killed in the middle of one, and what was not confirmed is sent again.
    let all: Vec<Message> = (0..400)
        .map(|n| Message {
            id: format!("evt_{n:04}"),
            topic: if n % 2 == 0 { "video.ready" } else { "upload.created" }.to_owned(),
            body: format!("{{\"n\":{n},\"long\":\"{}\"}}", "x".repeat(n * 20)),
        })
        .collect();
    let mut broker = opened(&server).await;
    for (number, batch) in all.chunks(BATCH).enumerate() {
        let mut sent = if number == KILLED {
            // It is on its way, and nobody knows how far.
            let (sent, ()) = tokio::join!(broker.publish(batch), server.kill_and_restart());
            sent
        } else {
            broker.publish(batch).await
        };
        while let Err(error) = sent {
            assert!(matches!(error, BrokerError::Away(_)), "{error}");
            broker = opened(&server).await;
            sent = broker.publish(batch).await;
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
    assert!(
        there.len() <= all.len() + BATCH,
        "at most the batch in the middle is there twice: {}",
        there.len()
    );

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
    is_long_for_nobody(&mut broker, &mut other).await;
    proves_who_it_is(&server).await;
}

/// What is far too long is no command, and keeps none back.
async fn is_long_for_nobody(broker: &mut Broker, other: &mut Other) {
    other.command("long", &"x".repeat(MESSAGE_BYTES_MAX * 2)).await;
    other.command("short", "say short").await;
    let long = broker.receive(PATIENCE).await.unwrap().unwrap();
    assert_eq!((long.id.as_str(), long.body.len()), ("long", MESSAGE_BYTES_MAX));
    broker.bury(&long, &"far too long ".repeat(100)).await.unwrap();
    let short = broker.receive(PATIENCE).await.unwrap().unwrap();
    assert_eq!(short.id, "short");
    broker.accept(&short).await.unwrap();
}

/// Over TLS only who trusts its authority believes it, and says why if not.
async fn proves_who_it_is(server: &Server) {
    let one = Message { id: "evt_tls".to_owned(), topic: "video.ready".to_owned(), body: "{}".to_owned() };
    let unsigned = "nobody who is trusted here has signed it";
    for (host, authority, refusal) in [
        ("localhost", AUTHORITY, None),
        ("localhost", "", Some(unsigned)),
        ("localhost", STRANGER, Some(unsigned)),
        ("127.0.0.1", AUTHORITY, Some("it is for another name")),
    ] {
        let (url, authorities_pem) = (server.secure_url(host), authority.to_owned());
        let opened = Broker::open(&Config { url, authorities_pem, ..config(server) }).await;
        match (opened, refusal) {
            (Ok(mut broker), None) => broker.publish(std::slice::from_ref(&one)).await.unwrap(),
            (Err(BrokerError::Untrusted(words)), Some(refusal)) => {
                assert!(words.contains(refusal), "{words}");
            }
            (opened, _) => panic!("{host} {refusal:?}: {:?}", opened.map(drop)),
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn redis_loses_nothing_and_repeats_little() {
    Box::pin(holds(Kind::Redis)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nats_loses_nothing_and_repeats_little() {
    Box::pin(holds(Kind::Nats)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rabbitmq_loses_nothing_and_repeats_little() {
    Box::pin(holds(Kind::Rabbitmq)).await;
}

#[test]
fn an_address_fits_its_protocol_and_names_are_plain() {
    let with = |kind, url: &str, events: &str| {
        let (url, events, commands) = (url.to_owned(), events.to_owned(), None);
        let (authorities_pem, consumer) = (String::new(), String::new());
        check(&Config { kind, url, authorities_pem, events, commands, consumer }).is_ok()
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
}
