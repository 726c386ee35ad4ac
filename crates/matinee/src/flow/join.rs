//! The join job: makes the source of a final upload of its parts, then has that probed.

use matinee_core::job::load::Load;
use matinee_core::job::{NewJob, Task};
use matinee_core::ledger;
use matinee_io::db::NewObject;
use matinee_io::random;

use super::fault::Fault;
use super::lease::Hold;
use super::now;
use crate::node::Node;

/// Joins the parts in their order. Each attempt writes an object of its own, so a late one disturbs nobody.
pub(crate) async fn perform(node: &Node, hold: &Hold) -> Result<(), Fault> {
    let video = hold.task.video().expect("because parts are joined for a video");
    let upload = node.db.upload_of_video(hold.app, video).await?;
    let upload = upload.ok_or_else(|| Fault::world("the upload of this video is not there"))?;
    let parts = node.db.parts_of_final(upload.id).await?;
    let pieces: Vec<_> = parts.iter().map(|part| (part.object, part.offset)).collect();
    let object = random::id();
    let new = NewObject { id: object, kind: ledger::Kind::Source };
    node.db.intend_objects(&hold.lease, &[new], now()).await?;
    let (store, stop) = (node.store.clone(), hold.stop.clone());
    let joining =
        tokio::task::spawn_blocking(move || store.join(object, &pieces, &mut |_| !stop.is_cancelled()));
    let size = joining.await.map_err(|panic| Fault::world(panic.to_string()))??;
    let probe = NewJob {
        id: random::id(),
        app: hold.app,
        video: Some(video),
        task: Task::Probe { video },
        prio: 0,
        weight: 0,
        run_at: now(),
        needs: Vec::new(),
        load: Load::default(),
        idem_key: Some(format!("probe/{video}")),
    };
    Ok(node.db.publish_joined(&hold.lease, (object, size), probe, now()).await?)
}
