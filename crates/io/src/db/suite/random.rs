//! Random interleavings of everything that can happen to jobs, on both databases, compared with a model after every
//! step. A failure names its seed; `SIM_SEEDS` (a count, or `=` and one seed) runs more, or one again.

mod model;

use matinee_core::id::{AppId, VideoId};
use matinee_core::job::retry::Class;
use matinee_core::job::{Lease, NewJob, OnDeath, Task};
use matinee_core::limits::LEASE_MS;
use matinee_core::time::Millis;
use serde_json::json;

use self::model::{Model, Seen};
use super::support::{Bench, T0, id, on_both, wish};
use crate::db::error::DbError;
use crate::db::value::args;

on_both! {
    random_interleavings_do_what_the_model_does
}

/// So many random steps for each seed.
const STEPS: u32 = 150;

async fn random_interleavings_do_what_the_model_does(bench: Bench) {
    let wanted = std::env::var("SIM_SEEDS").unwrap_or_default();
    let seeds = match wanted.strip_prefix('=') {
        Some(one) => one.parse().map(|seed: u64| seed..seed + 1).expect("SIM_SEEDS=\"=SEED\""),
        None => 0..wanted.parse().unwrap_or(4),
    };
    for seed in seeds {
        let mut run = Run::new(bench.clone(), seed).await;
        for step in 0..STEPS {
            let what = run.step().await;
            assert_eq!(run.stored().await, run.model.seen(), "seed {seed}, step {step}: {what}");
        }
        run.forget().await;
    }
}

/// A small random number generator (SplitMix64): a seed must mean the same for ever.
struct Dice(u64);

impl Dice {
    fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.roll() % bound as u64).unwrap()
    }

    fn pick<T: Clone>(&mut self, from: &[T]) -> Option<T> {
        if from.is_empty() { None } else { Some(from[self.below(from.len())].clone()) }
    }
}

/// One run: the database, the model, and every lease that was ever given.
struct Run {
    bench: Bench,
    model: Model,
    dice: Dice,
    now: Millis,
    apps: [AppId; 2],
    leases: Vec<Lease>,
}

impl Run {
    async fn new(bench: Bench, seed: u64) -> Self {
        let apps = [id(), id()];
        for app in apps {
            bench.add_app(app).await;
        }
        Self { bench, model: Model::default(), dice: Dice(seed), now: T0, apps, leases: Vec::new() }
    }

    /// Does one thing in both worlds and compares the answers.
    async fn step(&mut self) -> String {
        match self.dice.below(20) {
            0..=3 => self.insert().await,
            4..=8 => self.claim().await,
            9..=14 => self.holder_speaks().await,
            15 | 16 => {
                self.now = self.now.plus(i64::try_from(self.dice.below(25_000)).unwrap());
                "time passes".to_owned()
            }
            17 => self.lose().await,
            18 => self.cancel().await,
            _ => self.retry().await,
        }
    }

    async fn insert(&mut self) -> String {
        let video: VideoId = id();
        let task = match self.dice.below(3) {
            0 => Task::Probe { video },
            1 => Task::Chunk { video, chunk: 1, family: 0 },
            _ => Task::Finish { video, background: false },
        };
        let mut needs: Vec<(_, OnDeath)> = Vec::new();
        let known: Vec<_> = self.model.jobs.iter().map(|job| job.new.id).collect();
        for _ in 0..self.dice.below(4) {
            let edge = [OnDeath::Kill, OnDeath::Release][self.dice.below(2)];
            let from = known.len().saturating_sub(8);
            needs.extend(self.dice.pick(&known[from..]).map(|parent| (parent, edge)));
        }
        needs.sort_by_key(|(parent, _)| *parent);
        needs.dedup_by_key(|(parent, _)| *parent);
        let new = NewJob {
            app: self.apps[self.dice.below(2)],
            prio: i64::try_from(self.dice.below(2)).unwrap(),
            weight: i64::try_from(self.dice.below(3)).unwrap(),
            run_at: self.now.plus(i64::try_from(self.dice.below(3) * 5_000).unwrap()),
            ..self.bench.new_task(task, &needs)
        };
        let fine = self.bench.insert(std::slice::from_ref(&new)).await;
        assert_eq!(fine.is_ok(), self.model.insert(&new), "insert {new:?}: {fine:?}");
        format!("insert {new:?}")
    }

    async fn claim(&mut self) -> String {
        let holder = ["a/1", "a/2", "b/1"][self.dice.below(3)];
        let node_max = u32::try_from(self.dice.below(4)).unwrap();
        let claim = wish(holder, self.now, node_max);
        let got = self.bench.db.claim(&claim).await.unwrap();
        let expected = self.model.claim(holder, node_max, self.now, claim.token);
        assert_eq!(got.as_ref().map(|claimed| claimed.lease.job), expected, "claim by {holder}");
        self.leases.extend(got.map(|claimed| claimed.lease));
        format!("claim by {holder}, at most {node_max}")
    }

    async fn holder_speaks(&mut self) -> String {
        let recent = self.leases.len().saturating_sub(5);
        let from = if self.dice.below(6) == 0 { 0 } else { recent };
        let Some(lease) = self.dice.pick(&self.leases[from..]) else { return "silence".to_owned() };
        let (db, now) = (&self.bench.db, self.now);
        let jitter = u32::try_from(self.dice.roll() >> 32).unwrap();
        let (what, got, expected) = match self.dice.below(8) {
            0 | 1 => {
                let renewed = db.renew(&lease, now.plus(LEASE_MS), None, now).await;
                let cancel = held(renewed.map(|renewed| renewed.cancel));
                assert_eq!(cancel, self.model.renew(&lease, now), "renew {lease:?}");
                return format!("renew {lease:?}");
            }
            2 | 3 => ("settle", self.bench.settle(&lease, now).await, self.model.settle(&lease, now)),
            4 => ("give back", db.give_back(&lease, now).await.map(drop), self.model.give_back(&lease, now)),
            _ => {
                let classes = [Class::Refusal, Class::Damage, Class::Crash, Class::Crash, Class::World];
                let class = classes[self.dice.below(classes.len())];
                let failed = db.fail_job(&lease, class, json!({ "code": "x" }), now, jitter).await;
                ("fail", failed.map(drop), self.model.fail(&lease, class, now, jitter))
            }
        };
        assert_eq!(held(got).is_some(), expected, "{what} {lease:?}");
        format!("{what} {lease:?}")
    }

    async fn lose(&mut self) -> String {
        let jitter = u32::try_from(self.dice.roll() >> 32).unwrap();
        if self.dice.below(2) == 0 {
            self.bench.db.reap(self.now, jitter).await.unwrap();
            self.model.lose(None, self.now, jitter);
            return "reap".to_owned();
        }
        let holder = ["a/2", "a/3", "b/2"][self.dice.below(3)];
        self.bench.db.release_own(holder, self.now, jitter).await.unwrap();
        self.model.lose(Some(holder), self.now, jitter);
        format!("{holder} starts")
    }

    async fn cancel(&mut self) -> String {
        let all: Vec<_> = self.model.jobs.iter().map(|job| (job.new.app, job.new.id)).collect();
        let Some((app, job)) = self.dice.pick(&all) else { return "nothing to cancel".to_owned() };
        let got = self.bench.db.cancel_job(app, job, self.now).await;
        assert_eq!(got.is_ok(), self.model.cancel(job), "cancel {job}: {got:?}");
        format!("cancel {job}")
    }

    async fn retry(&mut self) -> String {
        let dead = |job: &&model::Entry| job.state == matinee_core::job::State::Dead;
        let all: Vec<_> = self.model.jobs.iter().filter(dead).map(|job| (job.new.app, job.new.id)).collect();
        let Some((app, job)) = self.dice.pick(&all) else { return "nothing is dead".to_owned() };
        let got = self.bench.db.retry_job(app, job, self.now).await;
        assert_eq!(got.is_ok(), self.model.retry(job, self.now), "retry {job}: {got:?}");
        format!("retry {job}")
    }

    async fn stored(&self) -> Vec<Seen> {
        let rows = self.bench.db.read((), |tx, ()| {
            Box::pin(async move {
                let sql =
                    "SELECT id, state, needs, run_at_ms, attempt, cancel_requested FROM job ORDER BY id";
                let mut seen = Vec::new();
                for row in tx.rows(sql, args![]).await? {
                    let state = crate::db::job::state_of(row.get("state")?)?;
                    let blocked = state == matinee_core::job::State::Blocked;
                    let needs = if blocked { row.get("needs")? } else { 0 };
                    let run_at = row.get("run_at_ms")?;
                    let cancel = row.get("cancel_requested")?;
                    seen.push((row.get("id")?, state, needs, run_at, row.get("attempt")?, cancel));
                }
                Ok(seen)
            })
        });
        rows.await.unwrap()
    }

    /// Empties the table for the next seed.
    async fn forget(&self) {
        let delete = self
            .bench
            .db
            .write((), |tx, ()| Box::pin(async { tx.execute("DELETE FROM job", args![]).await }));
        delete.await.unwrap();
    }
}

fn held<T>(answer: Result<T, DbError>) -> Option<T> {
    match answer {
        Ok(answer) => Some(answer),
        Err(DbError::LeaseLost) => None,
        Err(error) => panic!("{error}"),
    }
}
