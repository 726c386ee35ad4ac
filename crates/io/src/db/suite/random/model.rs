//! The job table as a model: a list in memory that moves only as `core::job` allows.

use matinee_core::id::{AppId, JobId};
use matinee_core::job::retry::{Class, Tries, Verdict};
use matinee_core::job::{Kind, Lease, Move, NewJob, OnDeath, Outcome, State};
use matinee_core::limits::LEASE_MS;
use matinee_core::time::Millis;

/// What a test compares of a job: id, state, needs (while it is blocked), `run_at`, attempt, cancel requested.
pub(super) type Seen = (JobId, State, i64, Millis, u32, bool);

/// One job of the model.
pub(super) struct Entry {
    pub(super) new: NewJob,
    pub(super) state: State,
    needs: i64,
    run_at: Millis,
    attempt: u32,
    pub(super) cancel: bool,
    tries: Tries,
    killed_waiting: bool,
    holder: Option<(Lease, Millis, String)>,
}

impl Entry {
    fn go(&mut self, moved: Move) {
        let next = self.state.after(moved);
        self.state = next.unwrap_or_else(|| panic!("{:?} does not allow {moved:?}", self.state));
        if self.state != State::Leased {
            self.holder = None;
        }
    }
}

/// The whole table.
#[derive(Default)]
pub(super) struct Model {
    pub(super) jobs: Vec<Entry>,
}

impl Model {
    pub(super) fn seen(&self) -> Vec<Seen> {
        let needs = |job: &Entry| if job.state == State::Blocked { job.needs } else { 0 };
        let seen = |job: &Entry| (job.new.id, job.state, needs(job), job.run_at, job.attempt, job.cancel);
        self.jobs.iter().map(seen).collect()
    }

    fn at(&self, id: JobId) -> usize {
        self.jobs.iter().position(|job| job.new.id == id).expect("because the model has every job")
    }

    fn waiting(&self, parent: JobId, wanted: OnDeath) -> Vec<usize> {
        let waits = |job: &Entry| job.state == State::Blocked && job.new.needs.contains(&(parent, wanted));
        (0..self.jobs.len()).filter(|place| waits(&self.jobs[*place])).collect()
    }

    /// Inserts a job; `false` when one that it cannot do without is lost.
    pub(super) fn insert(&mut self, new: &NewJob) -> bool {
        let state = |id: &JobId| self.jobs[self.at(*id)].state;
        let lost = |(id, edge): &(JobId, OnDeath)| {
            *edge == OnDeath::Kill && matches!(state(id), State::Dead | State::Cancelled)
        };
        if new.needs.iter().any(lost) {
            return false;
        }
        let open = new.needs.iter().filter(|(id, _)| !state(id).is_over()).count();
        self.jobs.push(Entry {
            state: if open == 0 { State::Ready } else { State::Blocked },
            needs: i64::try_from(open).unwrap(),
            run_at: new.run_at,
            new: new.clone(),
            attempt: 0,
            cancel: false,
            tries: Tries::default(),
            killed_waiting: false,
            holder: None,
        });
        true
    }

    /// The job that a claim must get.
    pub(super) fn claim(
        &mut self,
        holder: &str,
        node_max: u32,
        now: Millis,
        token: [u8; 16],
    ) -> Option<JobId> {
        let node = crate::db::job::node_of(holder);
        let leased = |kind: Kind| {
            let held = |job: &&Entry| {
                job.new.task.kind() == kind
                    && job.holder.as_ref().is_some_and(|held| held.2.starts_with(&node))
            };
            u32::try_from(self.jobs.iter().filter(held).count()).unwrap()
        };
        let of_app = |app: AppId| {
            self.jobs.iter().filter(|job| job.new.app == app && job.state == State::Leased).count()
        };
        let may = |job: &&Entry| {
            job.state == State::Ready && job.run_at <= now && leased(job.new.task.kind()) < node_max
        };
        let order = |job: &&Entry| (of_app(job.new.app), job.new.prio, job.new.weight, job.new.id);
        let id = self.jobs.iter().filter(may).min_by_key(order)?.new.id;
        let place = self.at(id);
        let job = &mut self.jobs[place];
        job.go(Move::Claim);
        job.attempt += 1;
        let lease = Lease { job: id, attempt: job.attempt, token };
        job.holder = Some((lease, now.plus(LEASE_MS), holder.to_owned()));
        Some(id)
    }

    /// The job that this lease holds at `now`.
    pub(super) fn held(&mut self, lease: &Lease, now: Millis) -> Option<&mut Entry> {
        let held = |job: &&mut Entry| {
            job.holder.as_ref().is_some_and(|(held, until, _)| held == lease && *until > now)
        };
        self.jobs.iter_mut().find(held)
    }

    pub(super) fn renew(&mut self, lease: &Lease, now: Millis) -> Option<bool> {
        let job = self.held(lease, now)?;
        if let Some(held) = &mut job.holder {
            held.1 = now.plus(LEASE_MS);
        }
        Some(job.cancel)
    }

    pub(super) fn settle(&mut self, lease: &Lease, now: Millis) -> bool {
        let Some(job) = self.held(lease, now).filter(|job| !job.cancel) else { return false };
        job.go(Move::Complete);
        for edge in [OnDeath::Kill, OnDeath::Release] {
            self.count_down(lease.job, edge);
        }
        true
    }

    fn count_down(&mut self, parent: JobId, edge: OnDeath) {
        for place in self.waiting(parent, edge) {
            let job = &mut self.jobs[place];
            job.needs -= 1;
            if job.needs == 0 {
                job.go(Move::Unblock);
            }
        }
    }

    pub(super) fn fail(&mut self, lease: &Lease, class: Class, now: Millis, jitter: u32) -> bool {
        let Some(job) = self.held(lease, now) else { return false };
        if job.cancel {
            job.go(Move::ConfirmCancel);
            self.over(lease.job, Move::ParentCancelled);
            return true;
        }
        let verdict = job.tries.judge(class, now, jitter);
        job.tries.add(Outcome::Failed(class));
        self.follow(lease.job, verdict, Move::Repeat);
        true
    }

    pub(super) fn give_back(&mut self, lease: &Lease, now: Millis) -> bool {
        let Some(job) = self.held(lease, now) else { return false };
        if job.cancel {
            job.go(Move::ConfirmCancel);
            self.over(lease.job, Move::ParentCancelled);
        } else {
            job.tries.add(Outcome::Returned);
            job.run_at = now;
            job.go(Move::Lose);
        }
        true
    }

    fn follow(&mut self, id: JobId, verdict: Verdict, again: Move) {
        let place = self.at(id);
        let job = &mut self.jobs[place];
        match verdict {
            Verdict::Retry { run_at, safe_profile } => {
                assert_eq!(safe_profile, job.tries.safe_profile());
                job.go(again);
                job.run_at = run_at;
            }
            Verdict::Dead => {
                job.go(Move::GiveUp);
                self.over(id, Move::ParentDied);
            }
        }
    }

    fn over(&mut self, id: JobId, moved: Move) {
        self.count_down(id, OnDeath::Release);
        let children = self.waiting(id, OnDeath::Kill);
        for place in &children {
            let job = &mut self.jobs[*place];
            job.go(moved);
            job.killed_waiting = moved == Move::ParentDied;
        }
        for place in children {
            self.over(self.jobs[place].new.id, moved);
        }
    }

    /// Leases that end: those before `now`, or those of other runs of the node of `holder`.
    pub(super) fn lose(&mut self, holder: Option<&str>, now: Millis, jitter: u32) {
        let ends = |job: &Entry| {
            job.holder.as_ref().is_some_and(|(_, until, held)| match holder {
                None => *until <= now,
                Some(own) => held.starts_with(&crate::db::job::node_of(own)) && held != own,
            })
        };
        let ended: Vec<_> = self.jobs.iter().filter(|job| ends(job)).map(|job| job.new.id).collect();
        for (id, spread) in ended.into_iter().zip(0_u32..) {
            let place = self.at(id);
            let job = &mut self.jobs[place];
            if job.cancel {
                job.go(Move::ConfirmCancel);
                self.over(id, Move::ParentCancelled);
            } else {
                let verdict =
                    job.tries.judge_lost(now, jitter.wrapping_add(spread.wrapping_mul(0x9e37_79b9)));
                job.tries.add(Outcome::Lost);
                self.follow(id, verdict, Move::Lose);
            }
        }
    }

    pub(super) fn cancel(&mut self, id: JobId) -> bool {
        let place = self.at(id);
        let job = &mut self.jobs[place];
        if job.state.is_over() {
            return false;
        }
        if job.state == State::Leased {
            job.cancel = true;
        } else {
            job.go(Move::Cancel);
            self.over(id, Move::ParentCancelled);
        }
        true
    }

    fn needs_a_lost_job(&self, place: usize) -> bool {
        let lost = |id: &JobId| matches!(self.jobs[self.at(*id)].state, State::Dead | State::Cancelled);
        self.jobs[place].new.needs.iter().any(|(id, edge)| *edge == OnDeath::Kill && lost(id))
    }

    pub(super) fn retry(&mut self, id: JobId, now: Millis) -> bool {
        let place = self.at(id);
        if self.jobs[place].state != State::Dead || self.needs_a_lost_job(place) {
            return false;
        }
        let job = &mut self.jobs[place];
        job.go(Move::Retry);
        (job.run_at, job.needs, job.tries, job.killed_waiting) = (now, 0, Tries::default(), false);
        self.revive(id);
        self.count_anew();
        true
    }

    fn revive(&mut self, parent: JobId) {
        for place in 0..self.jobs.len() {
            let child = &self.jobs[place];
            let waits = child.killed_waiting && child.new.needs.iter().any(|(id, _)| *id == parent);
            if waits && child.state == State::Dead && !self.needs_a_lost_job(place) {
                let child = &mut self.jobs[place];
                child.go(Move::RetryParent);
                child.killed_waiting = false;
                let id = child.new.id;
                self.revive(id);
            }
        }
    }

    /// The definition of `needs`: what a blocked job needs and what is not over. What is lost is not waited for.
    fn count_anew(&mut self) {
        for place in 0..self.jobs.len() {
            if self.jobs[place].state == State::Blocked {
                let open = |id: &JobId| !self.jobs[self.at(*id)].state.is_over();
                let needs = self.jobs[place].new.needs.iter().filter(|(id, _)| open(id)).count();
                self.jobs[place].needs = i64::try_from(needs).unwrap();
            }
        }
    }
}
