//! Faults that other queues had (`platform.md` section 6.1), and what else must be true on both databases.

use std::collections::BTreeMap;

use matinee_core::access::{Actor, Scope, Scopes, TokenKind};
use matinee_core::event::{NewEvent, Topic};
use matinee_core::id::{AppId, JobId};
use matinee_core::job::retry::Class;
use matinee_core::job::{Kind, NewJob, OnDeath, State, Task};
use matinee_core::limits::{LEASE_MS, TOKEN_TOUCH_MS};
use serde_json::json;

use super::support::{Bench, T0, id, on_both};
use crate::db::app::Defaults;
use crate::db::error::DbError;
use crate::db::event;
use crate::db::job::{self, Cancelled, Ended};
use crate::db::token::NewToken;
use crate::db::value::args;

on_both! {
    q2_a_delayed_acknowledgement_does_not_overwrite_its_successor
    q3_a_node_that_starts_again_gets_its_jobs_back_but_not_its_old_lease
    q4_every_job_is_executed_once
    q5_an_ended_lease_is_refused_even_if_nobody_took_the_job
    q6_a_claim_beside_another_writer_is_never_busy
    q9_parents_that_end_in_every_way_release_a_child_once
    q10_a_job_that_takes_its_worker_down_each_time_ends
    q11_a_job_of_an_unknown_kind_is_never_claimed
    q15_a_slow_holder_does_not_make_two_run
    a_death_kills_those_that_cannot_do_without_and_a_retry_brings_them_back
    a_cancelled_job_stops_its_holder_and_takes_no_result
    an_idempotency_key_is_used_once
    events_are_read_in_the_order_of_commits
    a_claim_link_makes_one_administrator
    the_defaults_are_made_once
}

async fn q2_a_delayed_acknowledgement_does_not_overwrite_its_successor(bench: Bench) {
    let job = bench.ready_job().await;
    let old = bench.claim("a/1", T0).await.unwrap().lease;
    let later = T0.plus(LEASE_MS);
    bench.db.reap(later, 0).await.unwrap();
    let new = bench.claim("b/1", later).await.unwrap().lease;
    bench.db.fail_job(&new, Class::Crash, json!({}), later, 0).await.unwrap();
    assert!(matches!(bench.settle(&old, later).await, Err(DbError::LeaseLost)));
    assert_eq!(bench.state(job).await, State::Ready);
}

async fn q3_a_node_that_starts_again_gets_its_jobs_back_but_not_its_old_lease(bench: Bench) {
    let job = bench.ready_job().await;
    bench.ready_job().await;
    let old = bench.claim("n/1", T0).await.unwrap().lease;
    let neighbour = bench.claim("nn/1", T0).await.unwrap().lease;
    assert_eq!(bench.db.release_own("n/2", T0, 0).await.unwrap().again, 1, "its own, at once");
    assert!(matches!(bench.settle(&old, T0).await, Err(DbError::LeaseLost)));
    let new = bench.claim("n/2", T0).await.unwrap().lease;
    assert_eq!((new.job, new.attempt), (job, 2));
    assert_eq!(bench.db.release_own("n/2", T0, 0).await.unwrap().again, 0, "not those of this run");
    assert!(matches!(bench.settle(&old, T0).await, Err(DbError::LeaseLost)));
    bench.settle(&new, T0).await.unwrap();
    bench.settle(&neighbour, T0).await.unwrap();
}

async fn q4_every_job_is_executed_once(bench: Bench) {
    let jobs: Vec<_> = (0..200).map(|_| bench.new_job()).collect();
    bench.insert(&jobs).await.unwrap();
    let work = |bench: Bench, holder: String| async move {
        let mut seen = Vec::new();
        while let Some(claimed) = bench.claim(&holder, T0).await {
            seen.push(claimed.lease.job);
            bench.settle(&claimed.lease, T0).await.unwrap();
        }
        seen
    };
    let hands: Vec<_> = (0..8).map(|hand| tokio::spawn(work(bench.clone(), format!("n{hand}/1")))).collect();
    let mut times: BTreeMap<JobId, u32> = BTreeMap::new();
    for hand in hands {
        for job in hand.await.unwrap() {
            *times.entry(job).or_default() += 1;
        }
    }
    assert_eq!(times.len(), jobs.len());
    assert!(times.values().all(|times| *times == 1));
}

async fn q5_an_ended_lease_is_refused_even_if_nobody_took_the_job(bench: Bench) {
    bench.ready_job().await;
    let lease = bench.claim("n/1", T0).await.unwrap().lease;
    let end = T0.plus(LEASE_MS);
    assert!(matches!(bench.settle(&lease, end).await, Err(DbError::LeaseLost)));
    assert!(matches!(bench.db.renew(&lease, end.plus(1), None, end).await, Err(DbError::LeaseLost)));
    let last = end.plus(-1);
    let guarded = bench.db.write((lease, last), |tx, (lease, last)| Box::pin(job::guard(tx, lease, *last)));
    guarded.await.unwrap();
    bench.settle(&lease, last).await.unwrap();
}

async fn q6_a_claim_beside_another_writer_is_never_busy(bench: Bench) {
    let jobs: Vec<_> = (0..40).map(|_| bench.new_job()).collect();
    bench.insert(&jobs).await.unwrap();
    let other = bench.other_node().await;
    let noise = tokio::spawn(async move {
        for _ in 0..100 {
            other.ready_job().await;
        }
    });
    for _ in 0..40 {
        let lease = bench.claim("n/1", T0).await.unwrap().lease;
        bench.settle(&lease, T0).await.unwrap();
    }
    noise.await.unwrap();
}

async fn q9_parents_that_end_in_every_way_release_a_child_once(bench: Bench) {
    for _ in 0..10 {
        let parents = [bench.new_job(), bench.new_job(), bench.new_job()];
        let needs = parents.each_ref().map(|parent| (parent.id, OnDeath::Release));
        let child = bench.new_task(Task::Finish { video: id(), background: false }, &needs);
        bench.insert(&[&parents[..], std::slice::from_ref(&child)].concat()).await.unwrap();
        let done = bench.claim("n/1", T0).await.unwrap().lease;
        let dead = bench.claim("n/1", T0).await.unwrap().lease;
        let (settled, failed, cancelled) = tokio::join!(
            bench.settle(&done, T0),
            bench.db.fail_job(&dead, Class::Refusal, json!({}), T0, 0),
            bench.db.cancel_job(bench.app, parents[2].id, T0),
        );
        settled.unwrap();
        assert_eq!((failed.unwrap(), cancelled.unwrap()), (Ended::Dead, Cancelled::Now));
        let lease = bench.claim("n/1", T0).await.unwrap().lease;
        assert_eq!(lease.job, child.id);
        assert!(bench.claim("n/1", T0).await.is_none());
        bench.settle(&lease, T0).await.unwrap();
    }
}

async fn q10_a_job_that_takes_its_worker_down_each_time_ends(bench: Bench) {
    let job = bench.ready_job().await;
    let mut now = T0;
    let mut safe = Vec::new();
    while bench.state(job).await != State::Dead {
        now = bench.db.next_run_at(&Kind::ALL, now).await.unwrap().unwrap_or(now);
        safe.push(bench.claim("n/1", now).await.unwrap().safe_profile);
        bench.db.release_own("n/2", now, 3).await.unwrap();
        assert!(safe.len() < 20, "for ever");
    }
    assert_eq!(safe, [false, false, false, false, false, false, true]);
}

async fn q11_a_job_of_an_unknown_kind_is_never_claimed(bench: Bench) {
    let (alien, broken) = (bench.ready_job().await, bench.ready_job().await);
    let fine = bench.ready_job().await;
    bench
        .db
        .write((alien, broken), |tx, (alien, broken)| {
            Box::pin(async move {
                let sql = "UPDATE job SET kind = 'teleport', payload = $2 WHERE id = $1";
                tx.execute_one(sql, args![*alien, json!({ "kind": "teleport" })]).await?;
                let sql = "UPDATE job SET payload = $2 WHERE id = $1";
                tx.execute_one(sql, args![*broken, json!({ "kind": "probe", "vid": 5 })]).await
            })
        })
        .await
        .unwrap();
    assert_eq!(bench.claim("n/1", T0).await.unwrap().lease.job, fine);
    assert_eq!([bench.state(alien).await, bench.state(broken).await], [State::Ready, State::Dead]);
    assert!(bench.claim("n/1", T0).await.is_none());
}

async fn q15_a_slow_holder_does_not_make_two_run(bench: Bench) {
    bench.ready_job().await;
    let mut now = T0;
    let mut leases = Vec::new();
    for run in 0..4 {
        let one = super::support::wish(&format!("n/{run}"), now, 1);
        leases.push(bench.db.claim(&one).await.unwrap().unwrap().lease);
        now = now.plus(LEASE_MS);
        bench.db.reap(now, 0).await.unwrap();
    }
    for lease in &leases {
        assert!(matches!(bench.db.renew(lease, now.plus(1), None, now).await, Err(DbError::LeaseLost)));
    }
    let counts = bench.db.job_counts().await.unwrap();
    assert_eq!((counts.len(), counts[0].state, counts[0].jobs), (1, State::Ready, 1), "the slot is free");
}

/// parent -kill-> middle -kill-> last; parent -release-> free; other -kill-> last.
async fn family(bench: &Bench) -> [NewJob; 5] {
    let (parent, other) = (bench.new_job(), NewJob { prio: 5, ..bench.new_job() });
    let task = || Task::Finish { video: parent.video.unwrap(), background: false };
    let middle = bench.new_task(task(), &[(parent.id, OnDeath::Kill)]);
    let last = bench.new_task(task(), &[(middle.id, OnDeath::Kill), (other.id, OnDeath::Kill)]);
    let free = bench.new_task(task(), &[(parent.id, OnDeath::Release), (other.id, OnDeath::Release)]);
    let all = [parent, other, middle, last, free];
    bench.insert(&all).await.unwrap();
    all
}

async fn a_death_kills_those_that_cannot_do_without_and_a_retry_brings_them_back(bench: Bench) {
    use State::{Blocked, Dead, Done, Ready};
    let all = family(&bench).await;
    let states = || async {
        let mut states = Vec::new();
        for job in &all {
            states.push(bench.state(job.id).await);
        }
        states
    };
    let lease = bench.claim("n/1", T0).await.unwrap().lease;
    let ended = bench.db.fail_job(&lease, Class::Refusal, json!({ "code": "x" }), T0, 0).await.unwrap();
    assert_eq!(ended, Ended::Dead);
    assert_eq!(states().await, [Dead, Ready, Dead, Dead, Blocked]);
    let told = bench.db.events_after(Some(bench.app), None, 0, 9).await.unwrap();
    assert_eq!((told.len(), told[0].topic), (1, Topic::JobDead));
    let retry = |job| bench.db.retry_job(bench.app, job, T0);
    assert!(matches!(retry(all[2].id).await, Err(DbError::Absent)), "the cause first");
    retry(all[0].id).await.unwrap();
    assert_eq!(states().await, [Ready, Ready, Blocked, Blocked, Blocked]);
    while let Some(claimed) = bench.claim("n/1", T0).await {
        bench.settle(&claimed.lease, T0).await.unwrap();
    }
    assert_eq!(states().await, [Done; 5], "each waited for what it needs, and for no more");
}

async fn a_cancelled_job_stops_its_holder_and_takes_no_result(bench: Bench) {
    let all = family(&bench).await;
    let lease = bench.claim("n/1", T0).await.unwrap().lease;
    assert_eq!(bench.db.cancel_job(bench.app, lease.job, T0).await.unwrap(), Cancelled::Asked);
    assert!(bench.db.renew(&lease, T0.plus(LEASE_MS), None, T0).await.unwrap().cancel);
    assert!(matches!(bench.settle(&lease, T0).await, Err(DbError::LeaseLost)));
    assert_eq!(bench.db.give_back(&lease, T0).await.unwrap(), Ended::Cancelled);
    assert_eq!(bench.state(all[3].id).await, State::Cancelled, "the last of the chain, too");
    assert_eq!(bench.state(all[4].id).await, State::Blocked);
    assert!(matches!(bench.db.cancel_job(bench.app, lease.job, T0).await, Err(DbError::Absent)));
    assert!(matches!(bench.db.cancel_job(id::<_>(), all[1].id, T0).await, Err(DbError::Absent)), "other app");

    let one = bench.new_job();
    let two = bench.new_task(Task::Poster { video: one.video.unwrap() }, &[]);
    bench.insert(&[NewJob { prio: -1, ..one.clone() }, two.clone()]).await.unwrap();
    let held = bench.claim("n/1", T0).await.unwrap().lease;
    let cancel =
        bench.db.write(one.video.unwrap(), |tx, video| Box::pin(job::cancel_of_video(tx, *video, T0)));
    cancel.await.unwrap();
    assert_eq!([bench.state(one.id).await, bench.state(two.id).await], [State::Leased, State::Cancelled]);
    let guarded = bench.db.write(held, |tx, lease| Box::pin(job::guard(tx, lease, T0))).await;
    assert!(matches!(guarded, Err(DbError::LeaseLost)));
    assert_eq!(bench.db.reap(T0.plus(LEASE_MS), 0).await.unwrap().cancelled, 1, "a silent holder");
}

async fn an_idempotency_key_is_used_once(bench: Bench) {
    let keyed = || NewJob { idem_key: Some("poster of x".to_owned()), ..bench.new_job() };
    bench.insert(&[keyed()]).await.unwrap();
    assert!(matches!(bench.insert(&[keyed()]).await, Err(DbError::Taken(_))));
}

async fn events_are_read_in_the_order_of_commits(bench: Bench) {
    let mut written = bench.db.event_written();
    let write = |bench: Bench| async move {
        for _ in 0..40 {
            let new = NewEvent {
                id: id(),
                app: bench.app,
                topic: Topic::VideoReady,
                subject: "vid_x".to_owned(),
                payload: json!({}),
            };
            let done = bench.db.write(new, |tx, new| {
                Box::pin(async move {
                    event::insert(tx, new, T0).await?;
                    // Others may draw a number and commit here, if nothing stops them.
                    tokio::task::yield_now().await;
                    tx.rows("SELECT count(*) AS n FROM event", args![]).await.map(drop)
                })
            });
            done.await.unwrap();
        }
    };
    let hands: Vec<_> = (0..4).map(|_| tokio::spawn(write(bench.clone()))).collect();
    let (mut seen, mut cursor) = (Vec::new(), 0);
    while seen.len() < 160 {
        written.borrow_and_update();
        let some = bench.db.events_after(Some(bench.app), Some("vid_x"), cursor, 7).await.unwrap();
        match some.last() {
            Some(last) => cursor = last.seq,
            None => written.changed().await.unwrap(),
        }
        seen.extend(some.into_iter().map(|event| event.seq));
    }
    for hand in hands {
        hand.await.unwrap();
    }
    assert!(seen.is_sorted_by(|a, b| a < b));
    assert_eq!(bench.db.newest_event().await.unwrap(), cursor);
    assert_eq!(bench.db.events_after(None, None, 0, 999).await.unwrap().len(), 160);
    assert!(bench.db.events_after(Some(id()), None, 0, 9).await.unwrap().is_empty());
}

async fn a_claim_link_makes_one_administrator(bench: Bench) {
    let token = |kind, hash: u8, expires| NewToken {
        id: id(),
        app: bench.app,
        kind,
        name: "n".to_owned(),
        hash: [hash; 32],
        scopes: Scopes::ADMIN,
        expires,
    };
    let link = token(TokenKind::Claim, 1, Some(T0.plus(10)));
    bench.db.offer_claim(&token(TokenKind::Claim, 9, None), T0).await.unwrap();
    bench.db.offer_claim(&link, T0).await.unwrap();
    assert!(!bench.db.has_administrator().await.unwrap());
    assert_eq!(bench.db.actor(&link.hash, T0).await.unwrap(), None, "a link is nobody");
    let session = token(TokenKind::Session, 2, Some(T0.plus(100_000)));
    let claim = |hash: [u8; 32], now| bench.db.claim_server(Box::leak(Box::new(hash)), &session, now);
    assert!(matches!(claim([9; 32], T0).await, Err(DbError::Absent)), "the older link is void");
    assert!(matches!(claim(link.hash, T0.plus(10)).await, Err(DbError::Absent)), "too late");
    claim(link.hash, T0.plus(9)).await.unwrap();
    assert!(matches!(claim(link.hash, T0.plus(9)).await, Err(DbError::Absent)), "used");
    assert!(bench.db.has_administrator().await.unwrap());

    let used = || async { bench.db.tokens(bench.app).await.unwrap()[0].used };
    for (after, noted) in [(1, 1), (TOKEN_TOUCH_MS, 1), (TOKEN_TOUCH_MS + 1, TOKEN_TOUCH_MS + 1)] {
        let actor = bench.db.actor(&session.hash, T0.plus(after)).await.unwrap().unwrap();
        assert!(
            actor.may(Scope::VideoWrite)
                && matches!(actor, Actor::Token { token, .. } if token == session.id)
        );
        assert_eq!(used().await, Some(T0.plus(noted)));
    }
    assert_eq!(bench.db.actor(&session.hash, T0.plus(100_000)).await.unwrap(), None, "expired");
    assert!(bench.db.has_administrator().await.unwrap(), "still claimed");
    assert!(matches!(bench.db.delete_token(id::<_>(), session.id).await, Err(DbError::Absent)));
    bench.db.delete_token(bench.app, session.id).await.unwrap();
    assert_eq!(bench.db.actor(&session.hash, T0).await.unwrap(), None);
}

async fn the_defaults_are_made_once(bench: Bench) {
    let wanted = || Defaults { app: id::<_>(), collection: id() };
    let first = wanted();
    let apps: [AppId; 2] =
        [bench.db.defaults(first, T0).await.unwrap().app, bench.db.defaults(wanted(), T0).await.unwrap().app];
    assert_eq!(apps, [first.app; 2]);
    assert_eq!(bench.db.apps().await.unwrap().len(), 2, "with the one of this test");
    let collections = bench.db.collections(first.app).await.unwrap();
    assert_eq!((collections.len(), collections[0].id), (1, first.collection));
}
