//! Who gets a slot: room, pauses, drains, poisoned jobs, and how little waiting costs.

use std::collections::BTreeMap;

use matinee_core::id::JobId;
use matinee_core::job::load::Load;
use matinee_core::job::retry::Class;
use matinee_core::job::{Kind, Lease, NewJob, State, Task};
use matinee_core::time::Millis;
use serde_json::json;

use super::support::{Bench, T0, id, on_both, wish};
use crate::db::Beat;
use crate::db::job::{self, Claim, Ended, Room, Slots};
use crate::db::tx::Sql;
use crate::db::value::args;

on_both! {
    a_node_runs_no_more_jobs_than_it_is_told_to
    a_job_waits_for_memory_and_is_not_overtaken
    work_of_a_paused_app_does_not_begin_but_what_was_deleted_is_emptied
    a_drained_node_gets_nothing_and_the_others_do
    short_jobs_do_not_wait_behind_the_chunks_of_a_long_video
    a_poisoned_job_delays_the_others_by_at_most_one_slot
    a_job_that_fits_no_node_is_given_up_with_the_figures
    ten_thousand_jobs_that_wait_are_not_read
    what_a_node_takes_is_learned_from_what_it_has_done
}

fn room(jobs_max: Option<u32>, memory_bytes: Option<u64>) -> Room {
    Room { jobs_max, memory_bytes }
}

async fn claim_within(bench: &Bench, holder: &str, room: Room) -> Option<Lease> {
    let claimed = bench.db.claim_within(&wish(holder, T0, u32::MAX), room).await.unwrap();
    claimed.map(|claimed| claimed.lease)
}

pub(super) fn beat(holder: &str, memory_bytes: u64, now: Millis) -> Beat {
    Beat {
        holder: holder.to_owned(),
        version: "1".to_owned(),
        cores: 2,
        memory_bytes,
        slots: json!({ "chunk": 2 }),
        facts: json!({ "disk_full": false }),
        now,
    }
}

async fn a_node_runs_no_more_jobs_than_it_is_told_to(bench: Bench) {
    for kind in 0..3 {
        let video = id();
        let tasks = [
            Task::Probe { video },
            Task::Chunk { video, chunk: 0, family: 0 },
            Task::Audio { video, track: 0 },
        ];
        bench.insert(&[bench.new_task(tasks[kind].clone(), &[])]).await.unwrap();
    }
    let one = room(Some(1), None);
    let first = claim_within(&bench, "n/1", one).await.unwrap();
    assert!(claim_within(&bench, "n/1", one).await.is_none(), "whatever its kind");
    assert!(claim_within(&bench, "m/1", one).await.is_some(), "another node has its own");
    bench.settle(&first, T0).await.unwrap();
    assert!(claim_within(&bench, "n/1", one).await.is_some());
}

async fn a_job_waits_for_memory_and_is_not_overtaken(bench: Bench) {
    let of = |bytes, weight| NewJob {
        load: Load { cost_ms: 1, memory_bytes: bytes, engine: None },
        weight,
        ..bench.new_job()
    };
    let (first, large, small) = (of(60, 0), of(50, 1), of(10, 2));
    bench.insert(&[first.clone(), large.clone(), small.clone()]).await.unwrap();
    let hundred = room(None, Some(100));
    let held = claim_within(&bench, "n/1", hundred).await.unwrap();
    assert_eq!(held.job, first.id);
    assert!(
        claim_within(&bench, "n/1", hundred).await.is_none(),
        "50 do not fit, and 10 may not go before them"
    );
    let video = id();
    let other = NewJob {
        load: Load { cost_ms: 1, memory_bytes: 40, engine: None },
        ..bench.new_task(Task::Audio { video, track: 0 }, &[])
    };
    bench.insert(std::slice::from_ref(&other)).await.unwrap();
    let sound = claim_within(&bench, "n/1", hundred).await.unwrap();
    assert_eq!(sound.job, other.id, "another kind has its own queue");
    assert!(claim_within(&bench, "n/1", hundred).await.is_none());
    bench.settle(&held, T0).await.unwrap();
    assert_eq!(claim_within(&bench, "n/1", hundred).await.unwrap().job, large.id);
    assert_eq!(claim_within(&bench, "n/1", hundred).await.unwrap().job, small.id, "exactly full");
}

async fn work_of_a_paused_app_does_not_begin_but_what_was_deleted_is_emptied(bench: Bench) {
    let other = id();
    bench.add_app(other).await;
    let (mine, theirs) = (bench.new_job(), NewJob { app: other, ..bench.new_job() });
    let erase = bench.new_task(Task::Erase { app: id(), collection: None }, &[]);
    bench.insert(&[mine.clone(), theirs.clone(), erase.clone()]).await.unwrap();
    bench.db.pause_app(bench.app, Some(T0)).await.unwrap();
    assert_eq!(bench.db.paused(bench.app).await.unwrap(), Some(T0));
    let mut got = Vec::new();
    while let Some(claimed) = bench.claim("n/1", T0).await {
        got.push(claimed.lease.job);
    }
    got.sort_unstable();
    let mut expected = [theirs.id, erase.id];
    expected.sort_unstable();
    assert_eq!(got, expected);
    let mut ready = bench.db.job_ready();
    ready.mark_unchanged();
    bench.db.pause_app(bench.app, None).await.unwrap();
    ready.changed().await.unwrap();
    assert_eq!(bench.claim("n/1", T0).await.unwrap().lease.job, mine.id);
}

async fn a_drained_node_gets_nothing_and_the_others_do(bench: Bench) {
    for _ in 0..3 {
        bench.ready_job().await;
    }
    assert!(bench.db.drain_node("n", Some(T0)).await.is_err(), "nobody knows it");
    bench.db.beat(&beat("n/1", 5, T0)).await.unwrap();
    let held = bench.claim("n/1", T0).await.unwrap().lease;
    bench.db.drain_node("n", Some(T0)).await.unwrap();
    assert!(bench.claim("n/1", T0).await.is_none());
    bench.settle(&held, T0).await.unwrap();
    // It stays drained when it is started again, and its neighbour with a longer name is another one.
    bench.db.beat(&beat("n/2", 5, T0.plus(7))).await.unwrap();
    assert!(bench.claim("n/2", T0).await.is_none());
    assert!(bench.claim("nn/1", T0).await.is_some());
    let seen = bench.db.nodes(T0).await.unwrap();
    assert_eq!((seen.len(), seen[0].drained, seen[0].started), (1, Some(T0), T0.plus(7)));
    bench.db.drain_node("n", None).await.unwrap();
    assert!(bench.claim("n/2", T0).await.is_some());
    bench.db.node_stopped("n/1", T0.plus(8)).await.unwrap();
    assert_eq!(bench.db.nodes(T0).await.unwrap()[0].stopped, None, "an older run says nothing of this one");
    bench.db.node_stopped("n/2", T0.plus(8)).await.unwrap();
    let seen = bench.db.nodes(T0).await.unwrap();
    assert_eq!((seen[0].stopped, seen[0].running), (Some(T0.plus(8)), 1));
    assert_eq!(bench.db.prune_nodes(T0.plus(8)).await.unwrap(), 0);
    assert_eq!(bench.db.prune_nodes(T0.plus(9)).await.unwrap(), 1);
}

async fn short_jobs_do_not_wait_behind_the_chunks_of_a_long_video(bench: Bench) {
    let video = id();
    let chunks: Vec<_> =
        (0..50).map(|chunk| bench.new_task(Task::Chunk { video, chunk, family: 0 }, &[])).collect();
    bench.insert(&chunks).await.unwrap();
    let slots = [(Kind::Chunk, 2), (Kind::Probe, 4), (Kind::Audio, 1), (Kind::Poster, 1), (Kind::Remux, 1)];
    let kinds: Vec<_> = slots.map(|(kind, node_max)| Slots::of(kind, node_max)).into();
    let claim = async || {
        let claim = Claim { kinds: kinds.clone(), ..wish("n/1", T0, 0) };
        bench.db.claim(&claim).await.unwrap().map(|claimed| claimed.task.kind())
    };
    assert_eq!([claim().await, claim().await, claim().await], [Some(Kind::Chunk), Some(Kind::Chunk), None]);
    let other = id();
    let short = [
        Task::Probe { video: other },
        Task::Audio { video: other, track: 0 },
        Task::Poster { video: other },
        Task::Remux { video: other },
    ];
    bench.insert(&short.map(|task| bench.new_task(task, &[]))).await.unwrap();
    let mut got = Vec::new();
    while let Some(kind) = claim().await {
        got.push(kind);
    }
    got.sort_unstable();
    assert_eq!(got, [Kind::Probe, Kind::Remux, Kind::Audio, Kind::Poster], "at once, and no third chunk");
}

/// How long every job takes in the simulation.
const STEP_MS: i64 = 10_000;

/// Runs all jobs on so many slots, on a clock of its own; when each was done. The poisoned one crashes each time.
async fn simulated(bench: &Bench, slots: usize, poisoned: Option<JobId>) -> BTreeMap<JobId, Millis> {
    let (mut now, mut running, mut done) = (T0, Vec::new(), BTreeMap::new());
    let mut poison_slots = 0;
    loop {
        while running.len() < slots
            && let Some(claimed) = bench.claim("n/1", now).await
        {
            running.push(claimed.lease);
        }
        poison_slots = poison_slots.max(running.iter().filter(|lease| Some(lease.job) == poisoned).count());
        if running.is_empty() {
            let Some(next) = bench.db.next_run_at(&Kind::ALL, now).await.unwrap() else { break };
            now = next;
            continue;
        }
        now = now.plus(STEP_MS);
        for lease in running.drain(..) {
            if Some(lease.job) == poisoned {
                let ended = bench.db.fail_job(&lease, Class::Crash, json!({}), now, 0).await.unwrap();
                assert!(matches!(ended, Ended::Again { .. } | Ended::Dead));
            } else {
                bench.settle(&lease, now).await.unwrap();
                done.insert(lease.job, now);
            }
        }
    }
    assert!(poison_slots <= 1, "it never holds more than one slot");
    done
}

async fn a_poisoned_job_delays_the_others_by_at_most_one_slot(bench: Bench) {
    for slots in [1, 3] {
        let jobs: Vec<_> = (0..12).map(|_| bench.new_job()).collect();
        bench.insert(&jobs).await.unwrap();
        let calm = simulated(&bench, slots, None).await;
        let poison = NewJob { prio: -1, ..bench.new_job() };
        let others: Vec<_> = (0..12).map(|_| bench.new_job()).collect();
        bench.insert(std::slice::from_ref(&poison)).await.unwrap();
        bench.insert(&others).await.unwrap();
        let sick = simulated(&bench, slots, Some(poison.id)).await;
        assert_eq!(bench.state(poison.id).await, State::Dead);
        // It was tried three times, each time in the slot of one other job.
        let tries = i64::try_from(3_usize.div_ceil(slots)).unwrap();
        let after = |done: &BTreeMap<JobId, Millis>, jobs: &[NewJob]| -> Vec<i64> {
            jobs.iter().map(|job| done[&job.id].since(T0)).collect()
        };
        for (calm, sick) in after(&calm, &jobs).into_iter().zip(after(&sick, &others)) {
            assert!(sick - calm <= tries * STEP_MS, "{} ms later on {slots} slots", sick - calm);
        }
    }
}

async fn a_job_that_fits_no_node_is_given_up_with_the_figures(bench: Bench) {
    let load = |memory_bytes| Load { cost_ms: 1, memory_bytes, engine: None };
    let fits = NewJob { load: load(2_000_000_000), ..bench.new_job() };
    let huge = NewJob { load: load(2_000_000_001), ..bench.new_job() };
    bench.insert(&[fits.clone(), huge.clone()]).await.unwrap();
    assert_eq!(bench.db.memory_max(T0).await.unwrap(), None);
    bench.db.beat(&beat("small/1", 1_000_000_000, T0)).await.unwrap();
    bench.db.beat(&beat("large/1", 2_000_000_000, T0)).await.unwrap();
    let most = bench.db.memory_max(T0).await.unwrap().unwrap();
    assert_eq!(most, 2_000_000_000);
    assert_eq!(bench.db.refuse_oversized(most, T0).await.unwrap(), 1);
    assert_eq!([bench.state(fits.id).await, bench.state(huge.id).await], [State::Ready, State::Dead]);
    let (seen, attempts) = bench.db.job(bench.app, huge.id).await.unwrap().unwrap();
    let error = seen.last_error.unwrap();
    assert_eq!(error["code"], "needs_memory");
    assert!(error["human"].as_str().unwrap().contains("2000 MB"), "{error}");
    assert!(attempts.is_empty());
    bench.db.retry_job(bench.app, huge.id, T0).await.unwrap();
    assert_eq!(bench.state(huge.id).await, State::Ready, "a larger machine may have come");
}

/// Makes so many jobs at once, in a state; their times lie `later_ms` behind T0.
pub(super) async fn fill(bench: &Bench, (jobs, state): (i64, i64), later_ms: i64) {
    bench
        .db
        .write((bench.app, jobs, state, T0.plus(later_ms)), |tx, (app, jobs, state, at)| {
            Box::pin(async move {
                let sql = Sql::Each {
                    sqlite: "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < $2)
                      INSERT INTO job (id, app_id, kind, state, prio, weight, needs, run_at_ms, attempt, tries_from,
                        cancel_requested, payload, created_ms, finished_ms)
                      SELECT randomblob(16), $1, 'probe', $3, 0, i, 0, $4, 0, 0, FALSE,
                        json_object('kind', 'probe', 'video', 'vid_01jd3x00000000000000000000'), 0,
                        CASE WHEN $3 >= 3 THEN i END FROM n",
                    postgres: "INSERT INTO job (id, app_id, kind, state, prio, weight, needs, run_at_ms, attempt,
                        tries_from, cancel_requested, payload, created_ms, finished_ms)
                      SELECT gen_random_uuid(), $1, 'probe', $3, 0, i, 0, $4, 0, 0, FALSE,
                        jsonb_build_object('kind', 'probe', 'video', 'vid_01jd3x00000000000000000000'), 0,
                        CASE WHEN $3 >= 3 THEN i END FROM generate_series(1, $2) AS i",
                };
                tx.execute(sql, args![*app, *jobs, *state, *at]).await?;
                tx.execute("ANALYZE job", args![]).await.map(drop)
            })
        })
        .await
        .unwrap();
}

async fn ten_thousand_jobs_that_wait_are_not_read(bench: Bench) {
    // Waiting, waiting for their time, and done; the first of all comes last.
    fill(&bench, (10_000, 1), 0).await;
    fill(&bench, (10_000, 1), 3_600_000).await;
    fill(&bench, (20_000, 3), 0).await;
    let plan = bench
        .db
        .write((), |tx, ()| Box::pin(async move { job::explain_claim(tx, &wish("n/1", T0, 4)).await }))
        .await
        .unwrap()
        .join("\n");
    assert!(plan.contains("job_ready") && plan.contains("job_leased"), "{plan}");
    let whole = |line: &str| {
        let line = line.trim();
        line.contains("Seq Scan on job ") || ["SCAN j", "SCAN l", "SCAN job"].contains(&line)
    };
    assert!(!plan.lines().any(whole), "{plan}");
    let first = NewJob { prio: -1, ..bench.new_job() };
    bench.insert(std::slice::from_ref(&first)).await.unwrap();
    assert_eq!(bench.claim("n/1", T0).await.unwrap().lease.job, first.id);
    let next = bench.claim("n/1", T0).await.unwrap();
    assert_eq!(next.task.kind(), Kind::Probe);
}

async fn what_a_node_takes_is_learned_from_what_it_has_done(bench: Bench) {
    assert!(bench.db.paces().await.unwrap().is_empty());
    let done = async |holder: &str, cost_ms, took_ms| {
        let new = NewJob { load: Load { cost_ms, memory_bytes: 0, engine: None }, ..bench.new_job() };
        bench.insert(std::slice::from_ref(&new)).await.unwrap();
        let lease = bench.claim(holder, T0).await.unwrap().lease;
        bench.settle(&lease, T0.plus(took_ms)).await.unwrap();
    };
    done("slow/1", 1_000, 3_000).await;
    done("fast/1", 1_000, 500).await;
    done("fast/2", 0, 9_000).await;
    done("fast/2", 1_000, 1_500).await;
    let paces = bench.db.paces().await.unwrap();
    let told: Vec<_> = paces.iter().map(|(node, kind, pace)| (node.as_str(), *kind, pace.jobs)).collect();
    assert_eq!(told, [("fast", Kind::Probe, 2), ("slow", Kind::Probe, 1)], "not the one that costs nothing");
    assert_eq!(paces[1].2.expect_ms(2_000), Some(6_000));
    // 500 of before count nine tenths.
    assert_eq!((paces[0].2.cost_ms, paces[0].2.took_ms), (1_900, 1_950));
}
