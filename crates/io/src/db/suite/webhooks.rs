//! Endpoints and what is sent to them: every event once, to those who want it, in turns, and again when somebody asks.

use matinee_core::event::Topic;
use matinee_core::id::{AppId, EventId, WebhookId};
use matinee_core::job::Kind;
use matinee_core::time::Millis;
use matinee_core::webhook::limits::{DELIVERY_KEPT_MS, HOLD_MS, TRIES_KEPT, WEBHOOKS_MAX};
use matinee_core::webhook::pattern::Topics;
use matinee_core::webhook::retry::{Answer, FAILING_MS_MAX, FAILURES_FREE, Outcome};
use matinee_core::webhook::{Delivery as State, State as Called, Try};
use serde_json::json;

use super::support::{Bench, T0, id, on_both, unique};
use crate::db::DbError;
use crate::db::delivery::{Delivery, DeliveryFilter, Due, Settled, Tried};
use crate::db::told::tell;
use crate::db::webhook::{NewWebhook, Webhook, WebhookChange};

on_both! {
    an_event_becomes_one_delivery_for_each_who_wants_it
    what_nobody_wants_costs_a_write_now_and_then
    who_listens_later_is_not_told_what_was_before
    nodes_that_hand_on_together_make_nothing_twice
    one_node_at_a_time_sends_to_an_endpoint
    a_message_is_sent_again_until_it_is_taken_or_given_up
    what_cannot_be_said_is_given_up_and_the_endpoint_is_called_as_before
    an_endpoint_that_is_gone_or_fails_for_days_is_switched_off
    an_endpoint_that_is_back_is_sent_all_that_waits
    a_replay_begins_anew_whatever_is_on_its_way
    an_app_has_not_endlessly_many_endpoints_and_sees_no_others
    a_secret_is_the_newest_and_for_a_day_the_one_before
    what_is_over_is_forgotten_later
    an_app_that_goes_takes_its_endpoints_along
}

fn new(app: AppId, topics: &[&str]) -> NewWebhook {
    let topics: Vec<String> = topics.iter().map(|&topic| topic.to_owned()).collect();
    NewWebhook {
        id: id(),
        app,
        url: "https://hooks.example/a".to_owned(),
        topics: Topics::read(&topics).unwrap(),
        description: String::new(),
        active: true,
    }
}

async fn made(bench: &Bench, topics: &[&str]) -> Webhook {
    bench.db.create_webhook(&new(bench.app, topics), T0).await.unwrap()
}

/// Writes an event; its id.
async fn happens(bench: &Bench, app: AppId, topic: Topic, now: Millis) -> EventId {
    let subject = format!("thing-{}", unique());
    let written = (app, topic, subject.clone(), now);
    bench
        .db
        .write(written, |tx, (app, topic, subject, now)| {
            Box::pin(tell(tx, *app, *topic, (subject.clone(), json!({ "a": 1 })), *now))
        })
        .await
        .unwrap();
    let found = bench.db.events_after(Some(app), Some(&subject), 0, 1).await.unwrap();
    found[0].id
}

async fn some(bench: &Bench, many: u64, topic: Topic) -> Vec<EventId> {
    let mut all = Vec::new();
    for n in 0..many {
        all.push(happens(bench, bench.app, topic, T0.plus(i64::try_from(n).unwrap())).await);
    }
    all
}

/// Hands on all that was written.
async fn spread(bench: &Bench, now: Millis) -> u64 {
    let (mut seen, mut made) = (0, 0);
    loop {
        let one = bench.db.spread(seen, now).await.unwrap();
        (seen, made) = (one.seen, made + one.made);
        if !one.more {
            return made;
        }
    }
}

async fn log(bench: &Bench, webhook: WebhookId) -> Vec<Delivery> {
    let filter = DeliveryFilter { limit: 100, ..DeliveryFilter::default() };
    bench.db.deliveries((bench.app, webhook), &filter).await.unwrap()
}

async fn cursor(bench: &Bench) -> i64 {
    bench
        .db
        .read((), |tx, ()| {
            Box::pin(async move {
                tx.row("SELECT seq FROM outbox", Vec::new()).await?.ok_or(DbError::Absent)?.get("seq")
            })
        })
        .await
        .unwrap()
}

/// A turn of this holder, and what is to be sent now.
async fn turn(bench: &Bench, holder: &str, now: Millis) -> Vec<Due> {
    let taken = bench.db.take_turns(holder, (now, now.plus(HOLD_MS)), 10).await.unwrap();
    let Some(one) = taken.first() else { return Vec::new() };
    bench.db.due(*one, holder, now).await.unwrap().map(|(_, due)| due).unwrap_or_default()
}

fn tried(due: &Due, status: Option<u16>, now: Millis) -> Tried {
    Tried {
        due: due.clone(),
        tried: Try { at: now, took_ms: 5, status, answer: None, error: None },
        outcome: Outcome::Sent(Answer { status, retry_after_ms: None }),
        random: 0,
    }
}

/// One message is sent and answered so, and the turn given back.
async fn answered(bench: &Bench, webhook: WebhookId, status: u16, now: Millis) -> Settled {
    let due = turn(bench, "a/1", now).await;
    let settled = bench.db.settle_tries(webhook, &[tried(&due[0], Some(status), now)], now).await.unwrap();
    bench.db.end_turn(webhook, "a/1").await.unwrap();
    settled
}

async fn shown(bench: &Bench, webhook: WebhookId) -> Webhook {
    bench.db.webhook(bench.app, webhook).await.unwrap().unwrap()
}

async fn an_event_becomes_one_delivery_for_each_who_wants_it(bench: Bench) {
    let (all, ready) = (made(&bench, &["*"]).await, made(&bench, &["video.*", "*.ready"]).await);
    let other: AppId = id();
    bench.add_app(other).await;
    bench.db.create_webhook(&new(other, &["*"]), T0).await.unwrap();
    let created = happens(&bench, bench.app, Topic::UploadCreated, T0).await;
    let video = happens(&bench, bench.app, Topic::VideoReady, T0.plus(1)).await;
    assert_eq!(spread(&bench, T0.plus(2)).await, 3);
    assert_eq!(spread(&bench, T0.plus(3)).await, 0, "once");
    let told = |deliveries: Vec<Delivery>| deliveries.iter().map(|one| one.event).collect::<Vec<_>>();
    assert_eq!(told(log(&bench, all.id).await), [video, created]);
    let log = log(&bench, ready.id).await;
    assert_eq!(
        (log[0].topic.as_str(), log[0].state, log[0].next),
        ("video.ready", State::Waiting, T0.plus(2))
    );
    assert_eq!(told(log), [video]);
    assert_eq!(shown(&bench, all.id).await.waiting, 2);
}

async fn what_nobody_wants_costs_a_write_now_and_then(bench: Bench) {
    some(&bench, 2, Topic::UploadCreated).await;
    let before = cursor(&bench).await;
    let nobody = bench.db.spread(0, T0).await.unwrap();
    assert_eq!((nobody.seen, nobody.made, nobody.more), (0, 0, false), "nobody listens");
    let hook = made(&bench, &["video.ready"]).await;
    some(&bench, 2, Topic::UploadCreated).await;
    let seen = bench.db.spread(0, T0).await.unwrap();
    assert_eq!((seen.seen, seen.made), (bench.db.newest_event().await.unwrap(), 0));
    assert_eq!(cursor(&bench).await, before, "nothing was written");
    let ready = happens(&bench, bench.app, Topic::VideoReady, T0).await;
    let next = bench.db.spread(seen.seen, T0).await.unwrap();
    assert_eq!((next.made, cursor(&bench).await), (1, next.seen));
    assert_eq!(log(&bench, hook.id).await[0].event, ready);
}

async fn who_listens_later_is_not_told_what_was_before(bench: Bench) {
    some(&bench, 2, Topic::VideoReady).await;
    let hook = made(&bench, &["*"]).await;
    let first = some(&bench, 1, Topic::VideoFailed).await;
    assert_eq!(spread(&bench, T0).await, 1);
    let stop = WebhookChange { active: Some(false), ..WebhookChange::default() };
    bench.db.change_webhook((bench.app, hook.id), &stop).await.unwrap();
    some(&bench, 1, Topic::VideoReady).await;
    let start = WebhookChange { active: Some(true), ..WebhookChange::default() };
    bench.db.change_webhook((bench.app, hook.id), &start).await.unwrap();
    let last = some(&bench, 1, Topic::VideoDeleted).await;
    assert_eq!(spread(&bench, T0).await, 1, "not what happened meanwhile");
    let told: Vec<_> = log(&bench, hook.id).await.iter().map(|one| one.event).collect();
    let mut wanted = [first[0], last[0]];
    wanted.sort_unstable_by(|a, b| b.cmp(a));
    assert_eq!(told, wanted);
    let replayed = bench.db.replay_since((bench.app, hook.id), T0, T0).await.unwrap();
    assert_eq!((replayed.events, replayed.next), (5, None), "but it can ask");
}

async fn nodes_that_hand_on_together_make_nothing_twice(bench: Bench) {
    let hook = made(&bench, &["*"]).await;
    some(&bench, 20, Topic::UploadCreated).await;
    let mut nodes = Vec::new();
    for _ in 0..4 {
        let node = bench.other_node().await;
        nodes.push(tokio::spawn(async move { spread(&node, T0).await }));
    }
    let mut made = 0;
    for node in nodes {
        made += node.await.unwrap();
    }
    assert_eq!((made, log(&bench, hook.id).await.len()), (20, 20));
}

async fn one_node_at_a_time_sends_to_an_endpoint(bench: Bench) {
    let hook = made(&bench, &["*"]).await;
    let events = some(&bench, 6, Topic::UploadCreated).await;
    let now = T0.plus(10);
    assert!(turn(&bench, "a/1", now).await.is_empty(), "nothing is handed on yet");
    spread(&bench, now).await;
    let due: Vec<_> = turn(&bench, "a/1", now).await.iter().map(|due| due.event.id).collect();
    assert_eq!(due, events[..4], "a few, the oldest first");
    assert!(turn(&bench, "b/1", now).await.is_empty(), "it is the other's turn");
    assert!(bench.db.due(hook.id, "b/1", now).await.unwrap().is_none());
    bench.db.end_turn(hook.id, "b/1").await.unwrap();
    assert!(turn(&bench, "b/1", now).await.is_empty(), "and not this one's to give back");
    assert_eq!(bench.db.end_own_turns("a/2").await.unwrap(), 1, "the next run of a killed node");
    assert_eq!(turn(&bench, "b/1", now).await.len(), 4);
    let late = now.plus(HOLD_MS);
    assert_eq!(turn(&bench, "a/2", late).await.len(), 4, "a node that died without a next run");
    assert!(bench.db.due(hook.id, "b/1", late).await.unwrap().is_none());
}

async fn a_message_is_sent_again_until_it_is_taken_or_given_up(bench: Bench) {
    let hook = made(&bench, &["*"]).await;
    some(&bench, 1, Topic::UploadCreated).await;
    spread(&bench, T0).await;
    let mut now = T0;
    for attempt in 1..=10 {
        assert!(turn(&bench, "a/1", now.plus(-1)).await.is_empty(), "not before {now:?}");
        let settled = answered(&bench, hook.id, 500, now).await;
        assert_eq!(settled.failed, u64::from(attempt == 10));
        now = log(&bench, hook.id).await[0]
            .next
            .max(shown(&bench, hook.id).await.standing.rests_until.unwrap_or(now));
    }
    let given_up = log(&bench, hook.id).await.remove(0);
    assert_eq!((given_up.state, given_up.attempts, given_up.tries.len()), (State::Failed, 10, 10));
    assert_eq!(given_up.tries[0].at, T0);
    assert!(turn(&bench, "a/1", now.plus(DELIVERY_KEPT_MS)).await.is_empty());
    bench.db.replay_event((bench.app, hook.id), given_up.event, now).await.unwrap();
    for status in [500, 500, 204] {
        now = log(&bench, hook.id).await[0]
            .next
            .max(shown(&bench, hook.id).await.standing.rests_until.unwrap_or(now));
        answered(&bench, hook.id, status, now).await;
    }
    let taken = log(&bench, hook.id).await.remove(0);
    assert_eq!((taken.state, taken.attempts, taken.tries.len()), (State::Delivered, 3, TRIES_KEPT));
    assert_eq!(taken.tries.last().unwrap().status, Some(204));
    assert_eq!(shown(&bench, hook.id).await.standing.failures, 0);
}

async fn what_cannot_be_said_is_given_up_and_the_endpoint_is_called_as_before(bench: Bench) {
    let hook = made(&bench, &["*"]).await;
    some(&bench, 3, Topic::UploadCreated).await;
    spread(&bench, T0).await;
    let due = turn(&bench, "a/1", T0).await;
    let unsaid = |at: usize, again| Tried { outcome: Outcome::Unsaid { again }, ..tried(&due[at], None, T0) };
    let all = [unsaid(0, false), unsaid(1, true), tried(&due[2], Some(204), T0)];
    let settled = bench.db.settle_tries(hook.id, &all, T0).await.unwrap();
    assert_eq!(settled, Settled { delivered: 1, failed: 1, off: None });
    bench.db.end_turn(hook.id, "a/1").await.unwrap();
    let log = log(&bench, hook.id).await;
    let state = |due: &Due| log.iter().find(|one| one.event == due.event.id).unwrap().state;
    assert_eq!([0, 1, 2].map(|at| state(&due[at])), [State::Failed, State::Waiting, State::Delivered]);
    let after = shown(&bench, hook.id).await;
    assert_eq!((after.state, after.standing.failures), (Called::Active, 0), "it is not to blame");
    let later = T0.plus(5_000);
    assert_eq!(turn(&bench, "a/1", later).await[0].event.id, due[1].event.id, "this one may be said later");
}

async fn an_endpoint_that_is_gone_or_fails_for_days_is_switched_off(bench: Bench) {
    for (status, wait_ms, state, reason) in
        [(410, 0, Called::Gone, "gone"), (503, FAILING_MS_MAX, Called::Failing, "failing")]
    {
        let hook = made(&bench, &["upload.created"]).await;
        some(&bench, 2, Topic::UploadCreated).await;
        spread(&bench, T0).await;
        if wait_ms > 0 {
            answered(&bench, hook.id, status, T0.plus(10)).await;
        }
        let settled = answered(&bench, hook.id, status, T0.plus(20 + wait_ms)).await;
        assert!(settled.off.is_some());
        let after = shown(&bench, hook.id).await;
        assert_eq!((after.state, after.waiting), (state, 2));
        let event = bench.db.events_after(None, Some(&hook.id.to_string()), 0, 9).await.unwrap();
        let [event] = &event[..] else { panic!("{event:?}") };
        assert_eq!((event.topic, &event.payload["reason"]), (Topic::WebhookDisabled, &json!(reason)));
        let later = T0.plus(30 + 2 * FAILING_MS_MAX);
        assert!(turn(&bench, "a/1", later).await.is_empty(), "nobody calls it");
        let again = bench.db.replay_since((bench.app, hook.id), T0, later).await;
        assert!(matches!(again, Err(DbError::Conflict(_))), "{again:?}");
        let start = WebhookChange { active: Some(true), ..WebhookChange::default() };
        let on = bench.db.change_webhook((bench.app, hook.id), &start).await.unwrap();
        assert_eq!((on.state, on.standing.failures, on.waiting), (Called::Active, 0, 2), "nothing is lost");
        assert_eq!(turn(&bench, "a/1", later).await.len(), 2);
        bench.db.delete_webhook(bench.app, hook.id).await.unwrap();
    }
}

async fn an_endpoint_that_is_back_is_sent_all_that_waits(bench: Bench) {
    let hook = made(&bench, &["*"]).await;
    some(&bench, 6, Topic::UploadCreated).await;
    spread(&bench, T0).await;
    let mut now = T0.plus(10);
    for failures in 1..=FAILURES_FREE {
        assert_eq!(turn(&bench, "a/1", now).await.len(), if failures == 1 { 4 } else { 1 }, "with care");
        bench.db.end_turn(hook.id, "a/1").await.unwrap();
        answered(&bench, hook.id, 500, now).await;
        now = now.plus(1);
    }
    assert!(turn(&bench, "a/1", now).await.is_empty(), "it rests");
    now = shown(&bench, hook.id).await.standing.rests_until.unwrap();
    answered(&bench, hook.id, 200, now).await;
    let waiting = log(&bench, hook.id).await;
    let waits: Vec<_> = waiting.iter().filter(|one| one.state == State::Waiting).collect();
    assert!(waits.len() == 5 && waits.iter().all(|one| one.next <= now), "{waits:?}");
}

async fn a_replay_begins_anew_whatever_is_on_its_way(bench: Bench) {
    let hook = made(&bench, &["*"]).await;
    let event = some(&bench, 1, Topic::UploadCreated).await[0];
    let app = (bench.app, hook.id);
    // Before it was handed on: it is made now, and not once more later.
    assert_eq!(bench.db.replay_event(app, event, T0).await.unwrap().events, 1);
    assert_eq!(spread(&bench, T0).await, 0);
    let now = T0.plus(1);
    answered(&bench, hook.id, 500, now).await;
    let now = T0.plus(10_000);
    let on_its_way = turn(&bench, "a/1", now).await;
    bench.db.replay_event(app, event, now).await.unwrap();
    bench.db.settle_tries(hook.id, &[tried(&on_its_way[0], Some(200), now)], now).await.unwrap();
    let waits = log(&bench, hook.id).await.remove(0);
    assert_eq!((waits.state, waits.attempts), (State::Waiting, 0), "the answer was to the one before");
    for absent in [(id(), hook.id), (bench.app, id())] {
        assert!(matches!(bench.db.replay_event(absent, event, T0).await, Err(DbError::Absent)));
        assert!(matches!(bench.db.replay_since(absent, T0, T0).await, Err(DbError::Absent)));
    }
    assert!(matches!(bench.db.replay_event(app, id(), T0).await, Err(DbError::Absent)));
    let other: AppId = id();
    bench.add_app(other).await;
    let theirs = happens(&bench, other, Topic::UploadCreated, T0).await;
    assert!(matches!(bench.db.replay_event(app, theirs, T0).await, Err(DbError::Absent)));
    assert_eq!(bench.db.replay_since(app, T0.plus(1), T0).await.unwrap().events, 0, "only its own");
}

async fn an_app_has_not_endlessly_many_endpoints_and_sees_no_others(bench: Bench) {
    let mut last = made(&bench, &["*"]).await;
    for _ in 1..WEBHOOKS_MAX {
        last = made(&bench, &["*"]).await;
    }
    let more = bench.db.create_webhook(&new(bench.app, &["*"]), T0).await;
    assert!(matches!(more, Err(DbError::Conflict(_))), "{more:?}");
    let other: AppId = id();
    bench.add_app(other).await;
    assert_eq!(bench.db.webhooks(other).await.unwrap(), []);
    assert_eq!(bench.db.webhook(other, last.id).await.unwrap(), None);
    let change = WebhookChange::default();
    assert!(matches!(bench.db.change_webhook((other, last.id), &change).await, Err(DbError::Absent)));
    assert!(matches!(bench.db.rotate_webhook(other, last.id, T0).await, Err(DbError::Absent)));
    assert!(matches!(bench.db.delete_webhook(other, last.id).await, Err(DbError::Absent)));
    let nobody = bench.db.create_webhook(&new(id(), &["*"]), T0).await;
    assert!(matches!(nobody, Err(DbError::Absent)), "{nobody:?}");
    bench.db.delete_webhook(bench.app, last.id).await.unwrap();
    assert_eq!(bench.db.webhooks(bench.app).await.unwrap().len(), WEBHOOKS_MAX as usize - 1);
}

async fn a_secret_is_the_newest_and_for_a_day_the_one_before(bench: Bench) {
    let hook = made(&bench, &["*"]).await;
    assert_eq!(hook.secrets.signing(T0), [1]);
    let rotated = bench.db.rotate_webhook(bench.app, hook.id, T0).await.unwrap();
    assert_eq!(rotated.secrets.signing(T0.plus(1)), [2, 1]);
    assert_eq!(bench.db.webhooks(bench.app).await.unwrap(), [rotated]);
}

async fn what_is_over_is_forgotten_later(bench: Bench) {
    let hook = made(&bench, &["*"]).await;
    some(&bench, 2, Topic::UploadCreated).await;
    spread(&bench, T0).await;
    answered(&bench, hook.id, 200, T0.plus(5)).await;
    let test: EventId = id();
    let call = Try { at: T0.plus(6), took_ms: 4, status: None, answer: None, error: Some("away".into()) };
    bench.db.note_test(hook.id, (test, "webhook.test"), &call).await.unwrap();
    let tested = log(&bench, hook.id).await.into_iter().find(|one| one.event == test).unwrap();
    assert_eq!((tested.state, tested.ended, &tested.tries), (State::Failed, Some(T0.plus(10)), &vec![call]));
    assert_eq!(bench.db.prune_deliveries(T0.plus(5), 10).await.unwrap(), 0);
    assert_eq!(bench.db.prune_deliveries(T0.plus(6), 10).await.unwrap(), 1);
    assert_eq!(bench.db.prune_deliveries(T0.plus(100), 10).await.unwrap(), 1, "what waits stays");
    let stop = WebhookChange { active: Some(false), ..WebhookChange::default() };
    bench.db.change_webhook((bench.app, hook.id), &stop).await.unwrap();
    assert_eq!(bench.db.prune_deliveries(T0.plus(100), 10).await.unwrap(), 1, "unless nobody is called");
}

async fn an_app_that_goes_takes_its_endpoints_along(bench: Bench) {
    let other: AppId = id();
    bench.add_app(other).await;
    let hook = bench.db.create_webhook(&new(other, &["*"]), T0).await.unwrap();
    happens(&bench, other, Topic::UploadCreated, T0).await;
    spread(&bench, T0).await;
    let erase = crate::db::Erase { app: other, collection: None, by: bench.app, job: id() };
    bench.db.close(erase, T0).await.unwrap();
    assert_eq!(bench.db.webhook(other, hook.id).await.unwrap().unwrap().state, Called::Paused);
    let lease = bench.hold(Kind::Erase, T0).await;
    while bench.db.erase_batch(&lease, (other, None), T0).await.unwrap().left > 0 {}
    bench.db.forget_closed(T0).await.unwrap();
    assert_eq!(bench.db.webhook(other, hook.id).await.unwrap(), None);
    assert!(bench.db.app(other).await.unwrap().is_none());
}
