//! The ten rules of the job table (`platform.md` section 3.2). Rule 4 is about processes and tested with them.

use std::sync::Arc;
use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering::SeqCst;

use matinee_core::id::AppId;
use matinee_core::job::retry::Class;
use matinee_core::job::{Kind, OnDeath, Outcome, State, Task};
use matinee_core::limits::{LEASE_MS, LEASE_RENEW_MS};
use matinee_core::time::Millis;
use serde_json::json;

use super::support::{Bench, T0, id, on_both, wish};
use crate::db::error::DbError;
use crate::db::job::{self, Ended, Slots};
use crate::db::value::args;

on_both! {
    rule_1_a_job_exists_only_with_its_reason_and_wakes_after_the_commit
    rule_2_a_holder_that_lost_its_lease_changes_nothing
    rule_3_a_job_of_many_leases_runs_once_and_a_lost_one_again
    rule_5_two_attempts_publish_one_result
    rule_6_a_fan_in_becomes_ready_exactly_once
    rule_7_each_class_is_retried_as_written
    rule_8_the_app_with_the_fewest_running_jobs_goes_first
    rule_8_a_limit_is_free_again_when_its_holders_die
    rule_9_a_limit_of_one_holds_for_ten_claimers
    rule_9_a_limit_counts_its_own_node_and_all_nodes
    rule_10_old_jobs_are_forgotten_but_not_those_that_are_needed
    rule_10_a_claim_reads_only_hot_indexes
}

async fn rule_1_a_job_exists_only_with_its_reason_and_wakes_after_the_commit(bench: Bench) {
    let mut ready = bench.db.job_ready();
    let new = bench.new_job();
    let result: Result<(), DbError> = bench
        .db
        .write(new.clone(), |tx, new| {
            Box::pin(async move {
                job::insert(tx, new, T0).await?;
                Err(DbError::Absent)
            })
        })
        .await;
    assert!(result.is_err());
    assert!(bench.db.job(bench.app, new.id).await.unwrap().is_none(), "rolled back with its reason");
    assert!(!ready.has_changed().unwrap(), "a job that does not exist wakes nobody");
    let other = bench.other_node().await;
    let mut elsewhere = other.db.job_ready();
    bench.insert(std::slice::from_ref(&new)).await.unwrap();
    ready.changed().await.unwrap();
    if matches!(bench.config, crate::db::Config::Postgres(_)) {
        elsewhere.changed().await.unwrap();
    }
    assert_eq!(bench.claim("n/1", T0).await.unwrap().lease.job, new.id);
}

async fn rule_2_a_holder_that_lost_its_lease_changes_nothing(bench: Bench) {
    let job = bench.ready_job().await;
    let old = bench.claim("n/1", T0).await.unwrap().lease;
    let later = T0.plus(LEASE_MS + 1);
    assert_eq!(bench.db.reap(later, 0).await.unwrap().again, 1);
    let new = bench.claim("n/2", later).await.unwrap().lease;
    assert_eq!((new.job, new.attempt), (job, 2));
    let stale = [
        bench.settle(&old, later).await.err(),
        bench.db.renew(&old, later.plus(LEASE_MS), None, later).await.err(),
        bench.db.fail_job(&old, Class::Refusal, json!({}), later, 0).await.err(),
        bench.db.give_back(&old, later).await.err(),
    ];
    assert!(stale.iter().all(|error| matches!(error, Some(DbError::LeaseLost))), "{stale:?}");
    let guess = matinee_core::job::Lease { token: old.token, ..new };
    assert!(matches!(bench.settle(&guess, later).await, Err(DbError::LeaseLost)), "attempt alone is no key");
    bench.settle(&new, later).await.unwrap();
    assert_eq!(bench.state(job).await, State::Done);
    assert!(matches!(bench.settle(&new, later).await, Err(DbError::LeaseLost)), "used up");
}

async fn rule_3_a_job_of_many_leases_runs_once_and_a_lost_one_again(bench: Bench) {
    bench.ready_job().await;
    let held = bench.claim("n/1", T0).await.unwrap().lease;
    let mut now = T0;
    while now < T0.plus(3 * LEASE_MS) {
        now = now.plus(LEASE_RENEW_MS);
        bench.db.renew(&held, now.plus(LEASE_MS), Some(json!({ "frame": now.0 })), now).await.unwrap();
        assert_eq!(bench.db.reap(now, 0).await.unwrap().again, 0);
        assert!(bench.claim("n/2", now).await.is_none());
    }
    let last = now.plus(LEASE_MS);
    assert_eq!(bench.db.reap(last.plus(-1), 0).await.unwrap().again, 0, "one before the end");
    assert_eq!(bench.db.reap(last, 0).await.unwrap().again, 1);
    let again = bench.claim("n/2", last).await.unwrap();
    assert_eq!((again.lease.job, again.tries.lost_in_a_row), (held.job, 1));
}

async fn rule_5_two_attempts_publish_one_result(bench: Bench) {
    for first_is_late in [false, true] {
        let job = bench.ready_job().await;
        let first = bench.claim("n/1", T0).await.unwrap().lease;
        let later = T0.plus(LEASE_MS);
        bench.db.reap(later, 0).await.unwrap();
        let second = bench.claim("n/2", later).await.unwrap().lease;
        let order = if first_is_late { [second, first] } else { [first, second] };
        for lease in order {
            drop(
                bench
                    .db
                    .write((lease, later), |tx, (lease, later)| {
                        Box::pin(async move {
                            let result = json!({ "attempt": lease.attempt });
                            job::settle(tx, lease, *later, Some(result)).await
                        })
                    })
                    .await,
            );
        }
        let (seen, attempts) = bench.db.job(bench.app, job).await.unwrap().unwrap();
        assert_eq!(seen.result, Some(json!({ "attempt": 2 })));
        let outcomes: Vec<_> = attempts.iter().map(|attempt| attempt.ended.map(|(_, how)| how)).collect();
        assert_eq!(outcomes, [Some(Outcome::Lost), Some(Outcome::Done)]);
    }
}

/// So many graphs with five parents each; all parents complete at the same time.
const GRAPHS: usize = 60;

async fn rule_6_a_fan_in_becomes_ready_exactly_once(bench: Bench) {
    let mut joins = Vec::new();
    for _ in 0..GRAPHS {
        let mut jobs: Vec<_> = (0..5).map(|_| bench.new_job()).collect();
        let needs: Vec<_> = jobs.iter().map(|parent| (parent.id, OnDeath::Kill)).collect();
        let join = bench.new_task(Task::Finish { video: jobs[0].video.unwrap(), background: false }, &needs);
        joins.push(join.id);
        jobs.push(join);
        bench.insert(&jobs).await.unwrap();
    }
    let work = |bench: Bench, holder: &'static str| async move {
        let mut finished = Vec::new();
        while let Some(claimed) = bench.claim(holder, T0).await {
            bench.settle(&claimed.lease, T0).await.unwrap();
            if claimed.task.kind() == Kind::Finish {
                finished.push(claimed.lease.job);
            }
        }
        finished
    };
    let hands: Vec<_> =
        ["a/1", "b/1", "c/1", "d/1"].map(|holder| tokio::spawn(work(bench.clone(), holder))).into();
    let mut finished = Vec::new();
    for hand in hands {
        finished.extend(hand.await.unwrap());
    }
    finished.sort();
    assert_eq!(finished, joins, "each exactly once");
}

async fn rule_7_each_class_is_retried_as_written(bench: Bench) {
    let expected: [(Class, &[&str]); 4] = [
        (Class::Refusal, &["dead"]),
        (Class::Damage, &["dead"]),
        (Class::Crash, &["again", "again safe", "dead"]),
        (Class::World, &["again", "again", "again", "again", "again", "again", "again"]),
    ];
    for (class, wanted) in expected {
        let (job, mut now, mut seen) = (bench.ready_job().await, T0, Vec::new());
        for _ in wanted {
            let lease = bench.claim("n/1", now).await.unwrap().lease;
            let error = json!({ "code": "x" });
            let Ended::Again { run_at } = bench.db.fail_job(&lease, class, error, now, 7).await.unwrap()
            else {
                seen.push("dead");
                break;
            };
            let waits_ms = if class == Class::Crash { 1_000..=2_000 } else { 10_000..=3_600_000 };
            assert!(waits_ms.contains(&run_at.since(now)));
            assert!(bench.claim("n/1", run_at.plus(-1)).await.is_none(), "not before its time");
            assert_eq!(bench.db.next_run_at(&Kind::ALL, now).await.unwrap(), Some(run_at));
            let next = bench.claim("n/1", run_at).await.unwrap();
            seen.push(if next.safe_profile { "again safe" } else { "again" });
            bench.db.give_back(&next.lease, run_at).await.unwrap();
            now = run_at;
        }
        assert_eq!(seen, wanted, "{class:?}");
        if bench.state(job).await == State::Dead {
            let (seen, _) = bench.db.job(bench.app, job).await.unwrap().unwrap();
            assert_eq!(seen.last_error, Some(json!({ "code": "x" })), "the error is kept");
            bench.db.retry_job(bench.app, job, now).await.unwrap();
            let claimed = bench.claim("n/1", now).await.unwrap();
            assert_eq!((claimed.tries.crashes, claimed.safe_profile), (0, false), "failures are forgotten");
            bench.settle(&claimed.lease, now).await.unwrap();
        } else {
            bench.db.cancel_job(bench.app, job, now).await.unwrap();
        }
    }
}

async fn rule_8_the_app_with_the_fewest_running_jobs_goes_first(bench: Bench) {
    let jobs: Vec<_> = (0..20).map(|_| bench.new_job()).collect();
    bench.insert(&jobs).await.unwrap();
    for _ in 0..3 {
        bench.claim("n/1", T0).await.unwrap();
    }
    let small: AppId = id();
    bench.add_app(small).await;
    let late = matinee_core::job::NewJob { app: small, prio: 9, ..bench.new_job() };
    bench.insert(std::slice::from_ref(&late)).await.unwrap();
    assert_eq!(bench.claim("n/1", T0).await.unwrap().lease.job, late.id, "before 17 that came earlier");
    let ahead = matinee_core::job::NewJob { prio: -1, ..bench.new_job() };
    let light = matinee_core::job::NewJob { weight: -1, ..bench.new_job() };
    bench.insert(&[light.clone(), ahead.clone()]).await.unwrap();
    let order = [bench.claim("n/1", T0).await, bench.claim("n/1", T0).await, bench.claim("n/1", T0).await];
    let order = order.map(|claimed| claimed.unwrap().lease.job);
    assert_eq!(order, [ahead.id, light.id, jobs[3].id], "priority, then weight, then age");
}

async fn rule_8_a_limit_is_free_again_when_its_holders_die(bench: Bench) {
    for _ in 0..4 {
        bench.ready_job().await;
    }
    let two = |now| wish("n/1", now, 2);
    for _ in 0..2 {
        assert!(bench.db.claim(&two(T0)).await.unwrap().is_some());
    }
    assert!(bench.db.claim(&two(T0)).await.unwrap().is_none());
    let later = T0.plus(LEASE_MS);
    assert_eq!(bench.db.reap(later, 0).await.unwrap().again, 2);
    for _ in 0..2 {
        assert!(bench.db.claim(&two(later)).await.unwrap().is_some());
    }
    assert!(bench.db.claim(&two(later)).await.unwrap().is_none());
}

async fn rule_9_a_limit_of_one_holds_for_ten_claimers(bench: Bench) {
    let jobs: Vec<_> = (0..150).map(|_| bench.new_job()).collect();
    bench.insert(&jobs).await.unwrap();
    let running = Arc::new(AtomicU32::new(0));
    let work = |bench: Bench, running: Arc<AtomicU32>| async move {
        let mut done = 0;
        loop {
            let Some(claimed) = bench.db.claim(&wish("n/1", T0, 1)).await.unwrap() else {
                let counts = bench.db.job_counts().await.unwrap();
                if counts.is_empty() {
                    return done;
                }
                tokio::task::yield_now().await;
                continue;
            };
            assert_eq!(running.fetch_add(1, SeqCst), 0, "two ran at once");
            tokio::task::yield_now().await;
            running.fetch_sub(1, SeqCst);
            bench.settle(&claimed.lease, T0).await.unwrap();
            done += 1;
        }
    };
    let hands: Vec<_> = (0..10).map(|_| tokio::spawn(work(bench.clone(), Arc::clone(&running)))).collect();
    let mut done = 0;
    for hand in hands {
        done += hand.await.unwrap();
    }
    assert_eq!(done, jobs.len());
}

async fn rule_9_a_limit_counts_its_own_node_and_all_nodes(bench: Bench) {
    for _ in 0..6 {
        bench.ready_job().await;
    }
    let limited = |holder: &str, node_max, all_max| {
        let kinds = vec![Slots { all_max, ..Slots::of(Kind::Probe, node_max) }];
        let base = wish(holder, T0, 0);
        job::Claim { kinds, ..base }
    };
    let got = [
        bench.db.claim(&limited("n/1", 1, 9)).await,
        bench.db.claim(&limited("n/2", 1, 9)).await,
        bench.db.claim(&limited("nn/1", 1, 9)).await,
        bench.db.claim(&limited("m/1", 9, 2)).await,
        bench.db.claim(&limited("m/1", 9, 3)).await,
        bench.db.claim(&limited("m/1", 0, 9)).await,
    ];
    let got = got.map(|claimed| claimed.unwrap().is_some());
    assert_eq!(got, [true, false, true, false, true, false]);
}

async fn rule_10_old_jobs_are_forgotten_but_not_those_that_are_needed(bench: Bench) {
    let (old, needed) = (bench.new_job(), bench.new_job());
    let task = Task::Finish { video: old.video.unwrap(), background: false };
    let waits = bench.new_task(task, &[(needed.id, OnDeath::Release)]);
    bench.insert(&[old.clone(), needed.clone(), waits.clone()]).await.unwrap();
    for _ in 0..2 {
        let lease = bench.claim("n/1", T0).await.unwrap().lease;
        bench.settle(&lease, T0).await.unwrap();
    }
    assert_eq!(bench.db.prune_jobs(T0.plus(1_000), 1_000).await.unwrap(), 0, "exactly as old as is kept");
    assert_eq!(bench.db.prune_jobs(T0.plus(1_001), 1_000).await.unwrap(), 1);
    assert!(bench.db.job(bench.app, old.id).await.unwrap().is_none());
    assert_eq!(bench.state(needed.id).await, State::Done, "an open job needs it");
    let lease = bench.claim("n/1", T0).await.unwrap().lease;
    bench.settle(&lease, T0).await.unwrap();
    assert_eq!(bench.db.prune_jobs(Millis(i64::MAX), 0).await.unwrap(), 2, "now nobody does");
}

async fn rule_10_a_claim_reads_only_hot_indexes(bench: Bench) {
    bench.ready_job().await;
    let plan: Vec<String> = bench
        .db
        .write(bench.app, |tx, app| {
            Box::pin(async move {
                let fill = crate::db::tx::Sql::Each {
                    sqlite: "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20000)
                      INSERT INTO job (id, app_id, kind, state, prio, weight, needs, run_at_ms, attempt, tries_from,
                        cancel_requested, payload, created_ms, finished_ms)
                      SELECT randomblob(16), $1, 'probe', 3, 0, 0, 0, 0, 1, 0, FALSE, '{}', 0, 0 FROM n",
                    postgres: "INSERT INTO job (id, app_id, kind, state, prio, weight, needs, run_at_ms, attempt,
                        tries_from, cancel_requested, payload, created_ms, finished_ms)
                      SELECT gen_random_uuid(), $1, 'probe', 3, 0, 0, 0, 0, 1, 0, FALSE, '{}', 0, 0
                      FROM generate_series(1, 20000)",
                };
                tx.execute(fill, args![*app]).await?;
                tx.execute("ANALYZE job", args![]).await?;
                job::explain_claim(tx, &wish("n/1", T0, 4)).await
            })
        })
        .await
        .unwrap();
    let plan = plan.join("\n");
    assert!(plan.contains("job_ready") && plan.contains("job_leased"), "{plan}");
    assert!(
        !plan.contains("Seq Scan on job") && !plan.contains("SCAN j\n") && !plan.contains("SCAN l\n"),
        "{plan}"
    );
}
