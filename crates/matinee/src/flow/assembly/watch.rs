//! Somebody who listens to an assembly is told what happens, each thing once, whatever connection or server breaks meanwhile.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use matinee_core::assembly::State;
use matinee_core::assembly::told::{Item, Told};
use matinee_io::db::assembly::Assembly;
use serde_json::{Value, json};
use tokio::sync::watch;

use super::{Seen, Unmade, advance, load, status};
use crate::flow::Failure;
use crate::node::Node;

/// Progress is no event, so it is looked at so often.
const LOOK: Duration = Duration::from_secs(1);

/// What is sent to a listener.
#[derive(Debug, PartialEq)]
pub(crate) struct Frame {
    /// What was told with this; none for what may be told again.
    pub(crate) id: Option<String>,
    /// The name of the event; a plain message has none.
    pub(crate) name: Option<&'static str>,
    pub(crate) text: String,
}

/// Somebody who listens.
pub(crate) struct Listener {
    node: Arc<Node>,
    id: String,
    told: Told,
    /// The progress that was told last, in thousandths.
    progress: u32,
    queue: VecDeque<Frame>,
    over: bool,
    written: watch::Receiver<()>,
}

impl Listener {
    /// Listens from behind what the last event says was told.
    pub(crate) async fn begin(node: &Arc<Node>, id: &str, last: &str) -> Result<Self, Unmade> {
        let written = node.db.event_written();
        let found = load(node, id).await?;
        let steps = u32::try_from(status::steps(&found).len()).unwrap_or(u32::MAX);
        let told = Told::read(steps, last);
        let (node, id, queue) = (Arc::clone(node), found.id, VecDeque::new());
        Ok(Self { node, id, told, progress: 0, queue, over: false, written })
    }

    /// The next thing to tell; `None` when all is told, or the server ends.
    pub(crate) async fn next(&mut self) -> Result<Option<Frame>, Failure> {
        loop {
            if let Some(frame) = self.queue.pop_front() {
                return Ok(Some(frame));
            }
            if self.over || self.node.stop.is_cancelled() {
                return Ok(None);
            }
            // What is written from here on wakes us again, so nothing is missed.
            self.written.mark_unchanged();
            self.look().await?;
            if !self.queue.is_empty() || self.over {
                continue;
            }
            tokio::select! {
                () = self.node.stop.cancelled() => return Ok(None),
                changed = self.written.changed() => if changed.is_err() { return Ok(None) },
                () = tokio::time::sleep(LOOK) => {}
            }
        }
    }

    async fn look(&mut self) -> Result<(), Failure> {
        let Some(found) = self.node.db.assembly(&self.id).await? else {
            self.over = true;
            return Ok(());
        };
        let (found, seen) = advance(&self.node, found).await?;
        self.tell_files(&found, &seen);
        let plain = |text: &str| (None, text.to_owned());
        if found.state == State::Executing || found.state == State::Completed {
            self.tell(Item::Arrived, plain("assembly_uploading_finished"));
            if status::is_examined(&found, &seen) {
                self.tell(Item::Examined, plain("assembly_upload_meta_data_extracted"));
            }
        }
        self.tell_results(&found, &seen);
        match found.state {
            State::Uploading => {}
            State::Executing => self.tell_progress(&seen),
            State::Failed => {
                let text = status::document(&self.node, &found, &seen).to_string();
                self.queue.push_back(Frame { id: None, name: Some("assembly_error"), text });
            }
            State::Completed | State::Canceled => {
                self.queue.push_back(Frame { id: None, name: None, text: "assembly_finished".to_owned() });
            }
        }
        self.over = found.state.is_over();
        Ok(())
    }

    fn tell(&mut self, item: Item, (name, text): (Option<&'static str>, String)) {
        if self.told.add(item) {
            self.queue.push_back(Frame { id: Some(self.told.id()), name, text });
        }
    }

    fn tell_files(&mut self, found: &Assembly, seen: &[Seen]) {
        let mut placed: Vec<&Seen> = seen.iter().filter(|one| one.file.place.is_some()).collect();
        placed.sort_unstable_by_key(|one| one.file.place);
        for one in placed {
            let text = status::upload(&self.node, found, one).to_string();
            self.tell(Item::File(one.file.number), (Some("assembly_upload_finished"), text));
        }
    }

    fn tell_results(&mut self, found: &Assembly, seen: &[Seen]) {
        let steps = status::steps(found);
        let done = seen.iter().filter(|one| one.standing == matinee_core::assembly::Standing::Done);
        for one in done {
            for (number, step) in (0..).zip(&steps).filter(|(_, step)| step.shown) {
                let files = status::of_step(&self.node, found, one, step);
                let item = Item::Result(one.file.number, number);
                // All files of a step are told under one id: a connection that breaks between them has heard of none.
                let before = self.told.id();
                let fresh = self.told.add(item);
                let (last, many) = (self.told.id(), files.len());
                for (at, file) in files.into_iter().enumerate().filter(|_| fresh) {
                    let id = if at + 1 == many { last.clone() } else { before.clone() };
                    let text = json!([step.name, file]).to_string();
                    self.queue.push_back(Frame {
                        id: Some(id),
                        name: Some("assembly_result_finished"),
                        text,
                    });
                }
            }
        }
    }

    fn tell_progress(&mut self, seen: &[Seen]) {
        let shares = seen.iter().filter_map(|one| one.whole.as_ref()).map(|whole| {
            let many = whole.jobs.len().max(1);
            let done: f64 = whole.jobs.iter().map(|job| job.far().done).sum();
            #[expect(clippy::cast_precision_loss, reason = "a video has some thousand jobs at most")]
            let share = done / many as f64;
            share
        });
        let all: Vec<f64> = shares.collect();
        #[expect(clippy::cast_precision_loss, reason = "an assembly has a hundred files at most")]
        let share = all.iter().sum::<f64>() / all.len().max(1) as f64;
        let thousandths = (0..=1_000).rev().find(|n| f64::from(*n) <= share * 1_000.0).unwrap_or_default();
        if thousandths > self.progress {
            self.progress = thousandths;
            let progress: Value = json!({ "progress_combined": f64::from(thousandths) / 10.0 });
            let name = Some("assembly_execution_progress");
            self.queue.push_back(Frame { id: None, name, text: progress.to_string() });
        }
    }
}
