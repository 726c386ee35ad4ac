//! Runners: their tokens, what they hold, and what they may touch.

use matinee_core::id::RunnerId;
use matinee_core::job::retry::Tries;
use matinee_core::job::{Kind, State, Task};
use matinee_core::ledger;
use matinee_core::limits::LEASE_MS;
use matinee_core::runner::{Report, State as Life};

use serde_json::json;

use super::support::{Bench, T0, id, on_both, wish};
use crate::db::error::DbError;
use crate::db::job::Room;
use crate::db::runner::{NewRunner, Runner};

on_both! {
    a_registration_token_is_used_once
    what_a_runner_does_not_know_of_goes_back_and_nothing_else
    a_revoked_runner_has_nothing_left
    a_lease_opens_its_job_to_its_runner_only
    a_slow_job_is_taken_over_in_one_step_or_not_at_all
}

impl Bench {
    /// A runner whose secrets are these bytes.
    async fn invited(&self, secret: u8) -> RunnerId {
        let id = id();
        let new = NewRunner {
            id,
            name: "attic".to_owned(),
            invite_hash: [secret; 32],
            invite_until: T0.plus(100),
            kinds: vec![Kind::Chunk],
        };
        self.db.invite_runner(&new, T0).await.unwrap();
        id
    }

    async fn registered(&self, secret: u8) -> RunnerId {
        let id = self.invited(secret).await;
        let hashes = ([secret; 32], [secret + 100; 32]);
        assert_eq!(self.db.register_runner(hashes, &Report::default(), T0).await.unwrap().id, id);
        id
    }
}

async fn a_registration_token_is_used_once(bench: Bench) {
    let id = bench.invited(1).await;
    let report = Report { cores: 8, ..Report::default() };
    let register = async |invite: u8, token: u8, at: i64| {
        bench.db.register_runner(([invite; 32], [token; 32]), &report, T0.plus(at)).await
    };
    assert!(matches!(register(9, 2, 0).await, Err(DbError::Absent)), "an unknown one");
    assert!(matches!(register(1, 2, 100).await, Err(DbError::Absent)), "it is over");
    let runner = register(1, 2, 99).await.unwrap();
    assert_eq!((runner.id, runner.state, runner.report.cores), (id, Life::Active, 8));
    assert_eq!(register(1, 2, 5_000).await.unwrap().registered, Some(T0.plus(99)), "a repeat, later");
    assert!(matches!(register(1, 3, 99).await, Err(DbError::Absent)), "another machine");
    assert_eq!(bench.db.runner_by_token(&[2; 32]).await.unwrap().unwrap().id, id);
    assert_eq!(
        bench.db.runner_by_token(&[1; 32]).await.unwrap(),
        None,
        "the registration token opens nothing"
    );
}

async fn what_a_runner_does_not_know_of_goes_back_and_nothing_else(bench: Bench) {
    let (one, other) = (bench.registered(1).await, bench.registered(2).await);
    let mut jobs = Vec::new();
    for holder in
        [Runner::holder(one, "a"), Runner::holder(one, "b"), Runner::holder(other, "a"), "n/1".into()]
    {
        let job = bench.ready_job().await;
        let claimed = bench.claim(&holder, T0).await.unwrap();
        assert_eq!(claimed.lease.job, job);
        jobs.push(claimed.lease);
    }
    assert_eq!(bench.db.give_back_unheld(one, &[jobs[1].job], T0).await.unwrap(), 1);
    let states = [State::Ready, State::Leased, State::Leased, State::Leased];
    for (lease, expected) in jobs.iter().zip(states) {
        assert_eq!(bench.state(lease.job).await, expected);
    }
    assert!(
        matches!(bench.settle(&jobs[0], T0).await, Err(DbError::LeaseLost)),
        "the first is no longer its"
    );
    assert_eq!(bench.db.give_back_unheld(one, &[jobs[1].job], T0).await.unwrap(), 0);
    let (runners, running) = bench.db.runners().await.unwrap();
    assert_eq!(runners.iter().map(|runner| runner.id).collect::<Vec<_>>(), [other, one], "the newest first");
    let held: Vec<_> = running.iter().map(|job| (job.runner, job.job)).collect();
    assert_eq!(held, [(one, jobs[1].job), (other, jobs[2].job)]);
}

async fn a_revoked_runner_has_nothing_left(bench: Bench) {
    let runner = bench.registered(1).await;
    let job = bench.ready_job().await;
    bench.claim(&Runner::holder(runner, "a"), T0).await.unwrap();
    bench.db.drain_runner(runner, true, None).await.unwrap();
    assert_eq!(bench.db.runner(runner).await.unwrap().unwrap().state, Life::Draining);
    assert_eq!(bench.state(job).await, State::Leased, "it finishes what it has");
    assert_eq!(bench.db.revoke_runner(runner, T0).await.unwrap(), 1);
    assert_eq!(bench.state(job).await, State::Ready, "without waiting for the lease");
    assert_eq!(bench.db.runner_by_token(&[101; 32]).await.unwrap(), None);
    assert_eq!(bench.db.revoke_runner(runner, T0).await.unwrap(), 0, "twice is once");
    assert!(matches!(bench.db.drain_runner(runner, false, None).await, Err(DbError::Absent)));
    let again = bench.db.register_runner(([1; 32], [101; 32]), &Report::default(), T0).await;
    assert!(matches!(again, Err(DbError::Absent)), "nor by its old registration");
}

async fn a_lease_opens_its_job_to_its_runner_only(bench: Bench) {
    let (one, other) = (bench.registered(1).await, bench.registered(2).await);
    let film = bench.film(false).await;
    let claim = wish(&Runner::holder(one, "a"), T0, 1);
    let kinds = claim.kinds.into_iter().filter(|slots| slots.kind == Kind::Chunk).collect();
    let claimed = bench.db.claim(&crate::db::job::Claim { kinds, ..claim }).await.unwrap().unwrap();
    let lease = claimed.lease;
    let object = bench.intend(&lease, ledger::Kind::Work).await.unwrap();
    let work = bench.db.runner_work(&lease, one, T0).await.unwrap();
    assert_eq!(
        (work.task, work.outputs),
        (Task::Chunk { video: film.video, chunk: 0, family: 0 }, vec![object])
    );
    let stale = matinee_core::job::Lease { token: [0; 16], ..lease };
    for (lease, runner, at) in [(stale, one, 0), (lease, other, 0), (lease, one, LEASE_MS)] {
        let work = bench.db.runner_work(&lease, runner, T0.plus(at)).await;
        assert!(matches!(work, Err(DbError::LeaseLost)), "{work:?}");
    }
    let writes =
        async |object, runner, at| bench.db.runner_writes(object, runner, T0.plus(at)).await.unwrap();
    assert!(writes(object, one, 0).await);
    assert!(!writes(object, other, 0).await && !writes(object, one, LEASE_MS).await);
    assert!(!writes(film.source, one, 0).await, "the source is nobody's to write");
    bench.db.give_back(&lease, T0).await.unwrap();
    assert!(!writes(object, one, 0).await, "the attempt is over");
    assert_eq!(bench.db.said_before(lease.job, one, "output_not_verified").await.unwrap(), (0, 0));
}

async fn a_slow_job_is_taken_over_in_one_step_or_not_at_all(bench: Bench) {
    let chunk = |number| bench.new_task(Task::Chunk { video: id(), chunk: number, family: 0 }, &[]);
    bench.insert(&[chunk(0)]).await.unwrap();
    let slow = bench.claim("slow/1", T0).await.unwrap().lease;
    bench.db.renew(&slow, T0.plus(LEASE_MS), Some(json!({ "done": 0.1 })), T0).await.unwrap();
    let worked = bench.db.worked(&[Kind::Chunk]).await.unwrap();
    let [one] = worked.as_slice() else { panic!("{worked:?}") };
    assert_eq!((one.job, one.attempt, one.since, one.overtaken), (slow.job, 1, T0, 0));
    assert_eq!((one.holder.as_str(), one.progress.done), ("slow/1", 0.1));
    assert_eq!(bench.db.worked(&[Kind::Audio]).await.unwrap(), []);

    let later = T0.plus(10);
    let overtake = async |holder: &str, slots: u32, attempt: u32| {
        let claim = wish(holder, later, slots);
        bench.db.overtake(&claim, Room::default(), (slow.job, attempt)).await.unwrap()
    };
    assert_eq!(overtake("fast/1", 1, 2).await, None, "that attempt is another one");
    assert_eq!(overtake("fast/1", 0, 1).await, None, "it may have none");
    bench.insert(&[chunk(1)]).await.unwrap();
    let first = bench.db.claim(&wish("third/1", later, 9)).await.unwrap().unwrap();
    assert_ne!(first.lease.job, slow.job);
    bench.db.give_back(&first.lease, later).await.unwrap();
    bench.db.renew(&slow, T0.plus(LEASE_MS), None, later).await.expect("because nothing has changed");

    let taken = bench.db.claim(&wish("third/1", later, 9)).await.unwrap().unwrap();
    let fast = overtake("fast/1", 1, 1).await.unwrap();
    assert_eq!((fast.lease.job, fast.lease.attempt, fast.tries), (slow.job, 2, Tries::default()));
    let late = bench.db.renew(&slow, T0.plus(LEASE_MS), None, later).await;
    assert!(matches!(late, Err(DbError::LeaseLost)), "{late:?}");
    assert_eq!(bench.db.worked(&[Kind::Chunk]).await.unwrap()[0].overtaken, 1);
    bench.settle(&fast.lease, later).await.unwrap();
    bench.settle(&taken.lease, later).await.unwrap();
    assert_eq!(bench.db.worked(&[Kind::Chunk]).await.unwrap(), []);
}
