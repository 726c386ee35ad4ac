//! Who has nothing to do takes a job over that somebody else is far too slow with: the last pieces of a film would wait for
//! the slowest machine otherwise.

use matinee_core::job::load::is_far_too_slow;
use matinee_io::db::job::{Claim, Claimed, Room};

use crate::flow::roster::roster;
use crate::flow::{Failure, now};
use crate::node::Node;

/// Looks for such a job, and takes it. Each is taken over once: two slow machines would pass it on for ever.
pub(super) async fn overtake(node: &Node, claim: &Claim, room: Room) -> Result<Option<Claimed>, Failure> {
    let name = claim.holder.split('/').next().unwrap_or_default();
    // All others are short, or wait for the world.
    let kinds: Vec<_> =
        claim.kinds.iter().map(|slots| slots.kind).filter(|kind| kind.is_for_runners()).collect();
    let worked = node.db.worked(&kinds).await?;
    let others = worked.iter().filter(|one| one.overtaken == 0 && one.holder.split('/').next() != Some(name));
    let others: Vec<_> = others.collect();
    if others.is_empty() {
        return Ok(None);
    }
    let roster = roster(node).await?;
    for one in others {
        let ran_ms = u64::try_from(now().since(one.since)).unwrap_or_default();
        let Some(expected_ms) = roster.pace(Some(name), one.kind).expect_ms(one.cost_ms) else { continue };
        if !is_far_too_slow(one.progress, ran_ms, expected_ms) {
            continue;
        }
        if let Some(claimed) = node.db.overtake(claim, room, (one.job, one.attempt)).await? {
            let (job, from) = (one.job, one.holder.as_str());
            tracing::info!(%job, from, ran_ms, expected_ms, "a job is taken over from who is far too slow");
            return Ok(Some(claimed));
        }
    }
    Ok(None)
}
