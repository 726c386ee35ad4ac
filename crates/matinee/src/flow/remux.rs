//! The remux job: copies the streams of a source that cannot be seeked into Matroska, then has that probed.

use std::fs::File;
use std::sync::Arc;

use matinee_core::job::load::Load;
use matinee_core::job::retry::Class;
use matinee_core::job::{NewJob, Task};
use matinee_core::ledger;
use matinee_core::media::rope::Rope;
use matinee_core::plan::{Probe, argv};
use matinee_io::{random, store};

use super::coding::{encode, keep, planned};
use super::fault::Fault;
use super::lease::Hold;
use super::now;
use super::scratch::Scratch;
use crate::node::Node;

/// Rewrites the source and inserts the probe of the result.
pub(crate) async fn perform(node: &Node, hold: &Hold) -> Result<(), Fault> {
    let planned = planned(node, hold).await?;
    let probe: Probe = planned
        .video
        .probe_of(hold.generation)
        .cloned()
        .and_then(|probe| serde_json::from_value(probe).ok())
        .ok_or_else(|| Fault::unverified("the stored probe cannot be read"))?;
    let scratch = Scratch::open(node, &hold.lease)?;
    let input = node.input_text(planned.input)?;
    let stream = probe.video.as_ref().map(|video| video.ordinal);
    let args = argv::remux(planned.plan.container, stream, &input, "out.mkv");
    let duration_us = planned.plan.duration_us.max(1);
    #[expect(clippy::cast_precision_loss, reason = "a share of progress needs no exact number")]
    let done = |at: matinee_io::ffmpeg::Progress| hold.progress(at.out_time_us as f64 / duration_us as f64);
    let probe = || NewJob {
        id: random::id(),
        app: hold.app,
        video: Some(planned.video.id),
        task: Task::Probe { video: planned.video.id },
        prio: 0,
        weight: 0,
        run_at: now(),
        needs: Vec::new(),
        load: Load::default(),
        idem_key: None,
    };
    match encode(node, hold, &planned, (&scratch, args), done).await {
        // Packets without times, for example: another attempt would say the same. Read as a whole it can be encoded.
        Err(fault) if fault.is_exit() && fault.class == Class::Crash => {
            tracing::info!(video = %planned.video.id, %fault, "a source cannot be rewritten");
            return Ok(node.db.give_up_remux(&hold.lease, probe(), now()).await?);
        }
        done => done?,
    };
    let file = Arc::new(File::open(scratch.file("out.mkv"))?);
    let size = file.metadata()?.len();
    let rope = Rope::range((), 0, size);
    let stored = keep(node, hold, ledger::Kind::Work, rope, |(), offset, len| store::Piece::File {
        file: Arc::clone(&file),
        offset,
        len,
    })
    .await?;
    let probe = NewJob { idem_key: Some(format!("probe-work-{}", stored.object)), ..probe() };
    Ok(node.db.publish_remux(&hold.lease, stored, probe, now()).await?)
}
