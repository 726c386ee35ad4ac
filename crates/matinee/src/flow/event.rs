//! Events: read by cursor, and watched together with the progress of the videos that are being worked on.

use std::collections::{BTreeSet, VecDeque};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use matinee_core::event::Event;
use matinee_core::id::{AppId, VideoId};
use matinee_core::video::State;
use matinee_io::db::VideoFilter;
use tokio::sync::watch;
use tokio::time::{Interval, MissedTickBehavior, Sleep};
use tokio_util::sync::CancellationToken;

use super::Failure;
use super::board::{Board, running};
use super::whole::{self, Whole};
use crate::node::Node;

/// A video that is being worked on is looked at so often.
const LOOK: Duration = Duration::from_secs(1);
/// Who waits for an answer looks so often without an event.
const LOOK_SELDOM: Duration = Duration::from_secs(2);
/// So many events are read at once.
const BATCH: u32 = 100;
/// So many videos in work are looked at; those beyond are told of by their events only.
const LOOKED_AT_MAX: u32 = 100;

/// Events of an app after a cursor, the oldest first.
pub(crate) async fn list(
    node: &Node,
    app: AppId,
    subject: Option<&str>,
    after: i64,
    limit: u32,
) -> Result<Vec<Event>, Failure> {
    Ok(node.db.events_after(Some(app), subject, after, limit).await?)
}

/// Somebody who waits for news, for so long and no longer.
pub(crate) struct News {
    written: watch::Receiver<()>,
    stop: CancellationToken,
    ends: Pin<Box<Sleep>>,
}

impl News {
    /// Waits for at most so many seconds from now on.
    pub(crate) fn within(node: &Node, wait_s: u64) -> Self {
        let ends = Box::pin(tokio::time::sleep(Duration::from_secs(wait_s)));
        Self { written: node.db.event_written(), stop: node.stop.clone(), ends }
    }

    /// Call it before each look: what is written from here on is news.
    pub(crate) fn look(&mut self) {
        self.written.mark_unchanged();
    }

    /// Waits until something may be new; `false` when the time is over, or the server ends.
    pub(crate) async fn wait(&mut self) -> bool {
        tokio::select! {
            biased;
            () = self.stop.cancelled() => false,
            () = &mut self.ends => false,
            changed = self.written.changed() => changed.is_ok(),
            // Progress is no event.
            () = tokio::time::sleep(LOOK_SELDOM) => true,
        }
    }
}

/// What a watcher is told.
pub(crate) enum Told {
    /// Something happened.
    Event(Event),
    /// A video that is, or just was, being worked on; it may be the same as before.
    Looked(Box<Whole>),
    /// The jobs that run, and how many wait; it may be the same as before.
    Jobs(Box<Board>),
}

/// Who watches this subject is told of all jobs.
pub(crate) const JOBS: &str = "jobs";

/// Somebody who watches the events of an app.
pub(crate) struct Watch {
    node: Arc<Node>,
    app: AppId,
    subject: Option<String>,
    after: i64,
    written: watch::Receiver<()>,
    look: Interval,
    working: BTreeSet<VideoId>,
    queue: VecDeque<Told>,
}

impl Watch {
    /// Watches from behind `after` on, or from now on; with a subject only what happens to it.
    pub(crate) async fn begin(
        node: &Arc<Node>,
        app: AppId,
        subject: Option<String>,
        after: Option<i64>,
    ) -> Result<Self, Failure> {
        let written = node.db.event_written();
        let after = match after {
            Some(after) => after,
            None => node.db.newest_event().await?,
        };
        let mut look = tokio::time::interval(LOOK);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let (working, queue) = (BTreeSet::new(), VecDeque::new());
        Ok(Self { node: Arc::clone(node), app, subject, after, written, look, working, queue })
    }

    /// The next thing to tell; `None` when the server ends.
    pub(crate) async fn next(&mut self) -> Result<Option<Told>, Failure> {
        loop {
            if self.node.stop.is_cancelled() {
                return Ok(None);
            }
            if let Some(told) = self.queue.pop_front() {
                return Ok(Some(told));
            }
            // What is written from here on wakes us again, so nothing is missed.
            self.written.mark_unchanged();
            let events = list(&self.node, self.app, self.subject.as_deref(), self.after, BATCH).await?;
            if let Some(last) = events.last() {
                self.after = last.seq;
                self.queue.extend(events.into_iter().map(Told::Event));
                continue;
            }
            tokio::select! {
                () = self.node.stop.cancelled() => return Ok(None),
                changed = self.written.changed() => if changed.is_err() { return Ok(None) },
                _ = self.look.tick() => self.look().await?,
            }
        }
    }

    /// Looks at the videos in work, and once more at those that were in work at the last look.
    async fn look(&mut self) -> Result<(), Failure> {
        if self.subject.as_deref() == Some(JOBS) {
            let board = running(&self.node, self.app).await?;
            self.queue.push_back(Told::Jobs(Box::new(board)));
            return Ok(());
        }
        let mut due = self.in_work().await?;
        std::mem::swap(&mut self.working, &mut due);
        due.extend(&self.working);
        for id in due {
            match whole::show(&self.node, Some(self.app), id).await {
                Ok(whole) => self.queue.push_back(Told::Looked(Box::new(whole))),
                Err(Failure::Absent) => {}
                Err(failure) => return Err(failure),
            }
        }
        Ok(())
    }

    async fn in_work(&self) -> Result<BTreeSet<VideoId>, Failure> {
        if let Some(subject) = &self.subject {
            let Ok(id) = subject.parse::<VideoId>() else { return Ok(BTreeSet::new()) };
            let Some(video) = self.node.db.video(self.app, id).await? else { return Ok(BTreeSet::new()) };
            let working = video.state == State::Processing
                || video.is_encoded_again()
                || whole::in_background(&self.node, &video).await?;
            return Ok(working.then_some(id).into_iter().collect());
        }
        let filter =
            VideoFilter { states: vec![State::Processing], or_remade: true, ..VideoFilter::default() };
        let videos = self.node.db.videos(self.app, &filter, None, LOOKED_AT_MAX).await?;
        Ok(videos.into_iter().map(|video| video.id).collect())
    }
}
