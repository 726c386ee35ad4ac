//! What a job reads must lie here. A source that only a store has is brought back first, by a job of its own; whoever needs
//! it fails for now, and is tried again the moment it is there.

use matinee_core::id::ObjectId;
use matinee_core::replica::{Finding, LOCAL, State};
use matinee_io::db::{DbError, NewReplica};
use matinee_io::random;

use super::fault::Fault;
use super::lease::Hold;
use super::{Failure, now};
use crate::node::Node;

/// Makes sure that the file which a job reads is here.
pub(super) async fn ready(node: &Node, hold: &Hold) -> Result<(), Fault> {
    let Some(video) = hold.task.video().filter(|_| !node.stores.is_empty() && hold.task.kind().encodes())
    else {
        return Ok(());
    };
    let Some(video) = node.db.video_any(video).await? else { return Ok(()) };
    let wanted = [video.source, video.input_of(hold.generation)];
    // Only a probe may have to begin at the source; all else reads what the probe has chosen.
    for object in wanted[usize::from(!hold.task.is_first_look())..].iter().flatten() {
        if bring(node, *object).await? {
            let human = "The source of this video lies in a store and is being brought back; the work goes on when it is here.";
            return Err(Fault::world(human));
        }
    }
    Ok(())
}

/// Has the local file of an object brought back, if it is not here and a store has it. `true` while it is on its way.
pub(super) async fn bring(node: &Node, object: ObjectId) -> Result<bool, Failure> {
    let exists = node.store.exists(object).await?;
    if exists && node.stores.is_empty() {
        return Ok(false);
    }
    let copies = node.db.replicas(object).await?;
    if !copies.iter().any(|copy| copy.store != LOCAL && copy.state.is_good()) {
        return Ok(false);
    }
    if exists {
        // What is known to be bad is being made good again, and nothing is made of it.
        return Ok(copies.iter().any(|copy| copy.store == LOCAL && copy.state == State::Suspect));
    }
    if let Some(lost) = copies.iter().find(|copy| copy.store == LOCAL && copy.state.is_good()) {
        // Its row says that it is here: it is made good again like any bad copy.
        node.db.found(lost.id, Finding::Missing, now()).await?;
        return Ok(true);
    }
    let (store, key) = (LOCAL.to_owned(), String::new());
    let new = NewReplica {
        id: random::id(),
        store,
        key,
        template: None,
        archive: false,
        job: random::id(),
        replaces: None,
    };
    match node.db.add_replica(object, &new, now()).await {
        Ok(()) | Err(DbError::Conflict(_)) => Ok(true),
        Err(DbError::Absent) => Ok(false),
        Err(error) => Err(error.into()),
    }
}
