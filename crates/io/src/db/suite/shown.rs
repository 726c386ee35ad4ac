//! Jobs as pages show them: groups in their order, counts, what each attempt ran, and orders given there.

use matinee_core::event::Topic;
use matinee_core::id::JobId;
use matinee_core::job::load::Load;
use matinee_core::job::retry::Class;
use matinee_core::job::{Kind, NewJob, OnDeath, State, Task};
use matinee_core::limits::BACKGROUND_PRIO;
use serde_json::json;

use super::schedule::fill;
use super::stage::Film;
use super::support::{Bench, T0, id, on_both};
use crate::db::DbError;
use crate::db::job::{Group, Groups, Run, Wish};
use crate::db::tx::Sql;
use crate::db::value::args;

on_both! {
    jobs_are_listed_in_groups_in_the_order_in_which_one_wants_them
    a_group_is_narrowed_and_counted_and_belongs_to_its_app
    a_list_reads_only_its_own_group
    what_an_attempt_ran_is_kept
    a_job_is_put_before_others_alone_or_with_its_video
    a_video_that_is_put_off_waits_and_what_was_tried_keeps_its_time
    a_video_that_is_put_off_while_it_is_looked_at_waits_and_one_that_is_not_any_more_does_not
    the_queue_is_told_by_video
    what_waits_for_runners_is_told_when_it_is_another_order_of_size
}

fn wish(bench: &Bench, group: Group) -> Wish {
    Wish { app: bench.app, group, kind: None, video: None, before: None, limit: 50 }
}

async fn ids(bench: &Bench, wish: &Wish) -> Vec<JobId> {
    bench.db.job_group(wish).await.unwrap().iter().map(|titled| titled.job.id).collect()
}

async fn jobs_are_listed_in_groups_in_the_order_in_which_one_wants_them(bench: Bench) {
    let (late, early, first) =
        (NewJob { weight: 9, ..bench.new_job() }, NewJob { weight: 5, ..bench.new_job() }, bench.new_job());
    let blocked =
        bench.new_task(Task::Finish { video: id(), background: false }, &[(late.id, OnDeath::Kill)]);
    let stuck = NewJob { prio: -5, ..bench.new_job() };
    let fell = bench.new_task(Task::Finish { video: id(), background: false }, &[(stuck.id, OnDeath::Kill)]);
    let failed = NewJob { prio: -4, ..bench.new_job() };
    let gone = NewJob { prio: -3, ..bench.new_job() };
    let over = NewJob { prio: -2, ..bench.new_job() };
    let all = [&late, &early, &first, &blocked, &stuck, &fell, &failed, &gone, &over].map(Clone::clone);
    bench.insert(&all).await.unwrap();
    let mut leases = Vec::new();
    for _ in 0..4 {
        leases.push(bench.claim("n/1", T0).await.unwrap().lease);
    }
    bench.db.fail_job(&leases[0], Class::Refusal, json!({ "code": "x" }), T0, 0).await.unwrap();
    bench.db.fail_job(&leases[1], Class::World, json!({ "code": "x" }), T0, 0).await.unwrap();
    bench.settle(&leases[2], T0.plus(1)).await.unwrap();
    bench.settle(&leases[3], T0.plus(2)).await.unwrap();
    let running = bench.claim("n/1", T0.plus(3)).await.unwrap().lease;
    assert_eq!(running.job, first.id);
    let of = async |group| ids(&bench, &wish(&bench, group)).await;
    assert_eq!(of(Group::Running).await, [first.id]);
    assert_eq!(of(Group::Waiting).await, [early.id, late.id, blocked.id], "the next one first");
    assert_eq!(of(Group::Retrying).await, [failed.id]);
    assert_eq!(bench.state(fell.id).await, State::Dead);
    assert_eq!(of(Group::Stuck).await, [stuck.id], "the cause alone");
    assert_eq!(of(Group::Over).await, [over.id, gone.id], "the last one first");
    let page = Wish { before: Some(over.id), ..wish(&bench, Group::Over) };
    assert_eq!(ids(&bench, &page).await, [gone.id]);
    let counted = Groups { running: 1, waiting: 3, retrying: 1, stuck: 1 };
    assert_eq!(bench.db.job_groups(bench.app).await.unwrap(), counted);
}

async fn a_group_is_narrowed_and_counted_and_belongs_to_its_app(bench: Bench) {
    let (late, early) = (NewJob { weight: 9, ..bench.new_job() }, bench.new_job());
    let blocked =
        bench.new_task(Task::Finish { video: id(), background: false }, &[(late.id, OnDeath::Kill)]);
    bench.insert(&[late.clone(), early.clone(), blocked.clone()]).await.unwrap();
    let waiting = wish(&bench, Group::Waiting);
    let kind = Wish { kind: Some(Kind::Finish), ..waiting };
    assert_eq!(ids(&bench, &kind).await, [blocked.id]);
    let video = Wish { video: late.video, ..waiting };
    assert_eq!(ids(&bench, &video).await, [late.id]);
    let few = Wish { limit: 2, ..waiting };
    assert_eq!(ids(&bench, &few).await, [early.id, late.id]);
    let other = id();
    bench.add_app(other).await;
    assert_eq!(bench.db.job_groups(other).await.unwrap(), Groups::default());
    assert_eq!(ids(&bench, &Wish { app: other, ..waiting }).await, []);
    let seen = bench.db.job_closer(bench.app, blocked.id).await.unwrap().unwrap();
    assert_eq!(seen.needs, [(late.id, Kind::Probe, State::Ready)]);
    assert!(bench.db.job_closer(other, blocked.id).await.unwrap().is_none());
}

async fn a_list_reads_only_its_own_group(bench: Bench) {
    fill(&bench, (20_000, 3), 0).await;
    fill(&bench, (3, 1), 0).await;
    let plan = bench
        .db
        .read(bench.app, |tx, app| {
            Box::pin(async move {
                let sql = Sql::Each {
                    sqlite: "EXPLAIN QUERY PLAN SELECT count(*) FROM job
                             WHERE state = 1 AND kind > '' AND app_id = $1 AND attempt > 0",
                    postgres: "EXPLAIN SELECT count(*) FROM job
                             WHERE state = 1 AND kind > '' AND app_id = $1 AND attempt > 0",
                };
                let column = if tx.is_postgres() { "QUERY PLAN" } else { "detail" };
                let rows = tx.rows(sql, args![*app]).await?;
                rows.iter().map(|row| row.get::<String>(column)).collect::<Result<Vec<_>, _>>()
            })
        })
        .await
        .unwrap()
        .join("\n");
    assert!(plan.contains("job_ready"), "{plan}");
    assert_eq!(bench.db.job_groups(bench.app).await.unwrap().waiting, 3);
    assert_eq!(ids(&bench, &wish(&bench, Group::Over)).await.len(), 50);
}

async fn what_an_attempt_ran_is_kept(bench: Bench) {
    let job = bench.ready_job().await;
    let lease = bench.claim("n/1", T0).await.unwrap().lease;
    let run =
        Run { args: vec!["-i".to_owned(), "in".to_owned()], stderr: "line".to_owned(), ..Run::default() };
    bench.db.keep_runs(&lease, std::slice::from_ref(&run)).await.unwrap();
    let ended = Run { ended: true, cpu_ms: 7, ..run.clone() };
    bench.db.keep_runs(&lease, &[ended.clone(), run.clone()]).await.unwrap();
    let seen = bench.db.job_closer(bench.app, job).await.unwrap().unwrap();
    assert_eq!(seen.attempts[0].1, [ended, run]);
    assert_eq!(seen.titled.job.leased, Some(T0));
    bench.db.give_back(&lease, T0).await.unwrap();
    let other = bench.claim("n/2", T0).await.unwrap().lease;
    bench.db.keep_runs(&lease, &[]).await.unwrap();
    bench.db.give_back(&other, T0).await.unwrap();
    let seen = bench.db.job_closer(bench.app, job).await.unwrap().unwrap();
    assert!(seen.attempts.iter().all(|(_, runs)| runs.is_empty()), "only of its own attempt");
    assert_eq!(bench.db.job_closer(bench.app, job).await.unwrap().unwrap().titled.job.leased, None);
}

async fn a_job_is_put_before_others_alone_or_with_its_video(bench: Bench) {
    let other = bench.new_job();
    let video = id();
    let mine: Vec<_> =
        (0..3).map(|chunk| bench.new_task(Task::Chunk { video, chunk, family: 0 }, &[])).collect();
    bench.insert(std::slice::from_ref(&other)).await.unwrap();
    bench.insert(&mine).await.unwrap();
    bench.db.put_job((bench.app, mine[2].id), -1, false).await.unwrap();
    let behind = NewJob { prio: BACKGROUND_PRIO, ..bench.new_job() };
    bench.insert(std::slice::from_ref(&behind)).await.unwrap();
    bench.db.put_job((bench.app, behind.id), -5, false).await.unwrap();
    assert_eq!(
        ids(&bench, &wish(&bench, Group::Waiting)).await.last(),
        Some(&behind.id),
        "it stays in the background"
    );
    bench.db.cancel_job(bench.app, behind.id, T0).await.unwrap();
    assert_eq!(ids(&bench, &wish(&bench, Group::Waiting)).await[..2], [mine[2].id, other.id]);
    assert!(matches!(bench.db.put_job((id(), mine[2].id), -1, false).await, Err(DbError::Absent)));
    bench.db.put_job((bench.app, mine[0].id), -2, true).await.unwrap();
    let order = ids(&bench, &wish(&bench, Group::Waiting)).await;
    assert_eq!(order, [mine[0].id, mine[1].id, mine[2].id, other.id]);
    let lease = bench.claim("n/1", T0).await.unwrap().lease;
    bench.settle(&lease, T0).await.unwrap();
    assert!(
        matches!(bench.db.put_job((bench.app, lease.job), 0, false).await, Err(DbError::Absent)),
        "it is over"
    );
}

async fn a_video_that_is_put_off_waits_and_what_was_tried_keeps_its_time(bench: Bench) {
    let film = bench.film(false).await;
    let tried = bench.hold(Kind::Audio, T0).await;
    let Ok(crate::db::job::Ended::Again { run_at }) =
        bench.db.fail_job(&tried, Class::World, json!({}), T0, 0).await
    else {
        panic!("the world is tried again")
    };
    let tonight = T0.plus(3_600_000);
    bench.db.put_off_video((bench.app, film.video), Some(tonight), T0).await.unwrap();
    assert_eq!(bench.db.video_any(film.video).await.unwrap().unwrap().run_after, Some(tonight));
    let at = run_at.plus(1);
    assert_eq!(bench.claim("n/1", at).await.unwrap().lease.job, tried.job);
    assert!(bench.claim("n/1", at).await.is_none());
    assert_eq!(bench.claim("n/1", tonight).await.unwrap().task.kind(), Kind::Chunk);
    bench.db.put_off_video((bench.app, film.video), None, T0).await.unwrap();
    assert_eq!(bench.claim("n/1", at).await.unwrap().task.kind(), Kind::Chunk);
    assert!(matches!(bench.db.put_off_video((id(), film.video), None, T0).await, Err(DbError::Absent)));
}

async fn a_video_that_is_put_off_while_it_is_looked_at_waits_and_one_that_is_not_any_more_does_not(
    bench: Bench,
) {
    let tonight = T0.plus(3_600_000);
    for (planned, said, claimed_at) in [(T0, Some(tonight), tonight), (tonight, None, T0)] {
        let (video, source) = bench.brought().await;
        let film = Film::of(video, source);
        let lease = bench.hold(Kind::Probe, T0).await;
        let mut probed = bench.probed(&lease, &film, false).await;
        for job in &mut probed.jobs {
            job.run_at = planned;
        }
        bench.db.put_off_video((bench.app, video), said, T0).await.unwrap();
        bench.db.publish_probe(&lease, probed).await.unwrap();
        if claimed_at > T0 {
            assert!(bench.claim("n/1", T0).await.is_none());
        }
        while let Some(claimed) = bench.claim("n/1", claimed_at).await {
            bench.settle(&claimed.lease, claimed_at).await.unwrap();
        }
        assert!(bench.claim("n/1", tonight).await.is_none(), "nothing was left behind");
    }
}

async fn the_queue_is_told_by_video(bench: Bench) {
    let (one, two) = (id(), id());
    let chunk = |video, chunk, cost_ms| NewJob {
        load: Load { cost_ms, memory_bytes: 0, engine: None },
        weight: i64::from(chunk),
        ..bench.new_task(Task::Chunk { video, chunk, family: 0 }, &[])
    };
    bench.insert(&[chunk(one, 0, 5), chunk(one, 7, 6), chunk(two, 3, 100), bench.new_job()]).await.unwrap();
    let mut queue = bench.db.queue().await.unwrap();
    queue.sort_by_key(|queued| queued.cost_ms);
    let told: Vec<_> = queue.iter().map(|queued| (queued.video, queued.weight, queued.cost_ms)).collect();
    assert_eq!(told, [(one, 7, 11), (two, 3, 100)]);
}

async fn what_waits_for_runners_is_told_when_it_is_another_order_of_size(bench: Bench) {
    let tell = async || bench.db.tell_demand(bench.app, T0).await.unwrap();
    bench.ready_job().await;
    assert!(!tell().await, "a probe is nothing for a runner");
    let posters: Vec<NewJob> = (0..3).map(|_| bench.new_task(Task::Poster { video: id() }, &[])).collect();
    bench.insert(&posters).await.unwrap();
    assert!(tell().await && !tell().await, "once");
    bench.insert(&[bench.new_task(Task::Poster { video: id() }, &[])]).await.unwrap();
    assert!(!tell().await, "one more is no news");
    let mut leases = Vec::new();
    while let Some(claimed) = bench.claim("n/1", T0).await {
        leases.push(claimed.lease);
    }
    assert!(tell().await);
    for lease in &leases {
        bench.settle(lease, T0).await.unwrap();
    }
    assert!(tell().await && !tell().await);
    let events = bench.db.events_after(Some(bench.app), Some("jobs"), 0, 10).await.unwrap();
    let told: Vec<_> = events.iter().map(|event| (event.topic, event.payload.clone())).collect();
    let demand =
        |waiting: u64, running: u64| (Topic::JobWaiting, json!({ "waiting": waiting, "running": running }));
    assert_eq!(told, [demand(3, 0), demand(0, 4), demand(0, 0)]);
}
