//! The moment before the bytes of a copy go: the list that names it may be old, and what it goes for may be out of sight.

use matinee_core::replica::LOCAL;
use matinee_io::db::{Entry, Replica, StoreState};

use super::Failure;
use crate::node::Node;

/// What becomes of a copy that is to be deleted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Leaving {
    /// It goes.
    Goes,
    /// It counts again: it was kept, because it had become the last one.
    Stays,
    /// Not now, and why.
    Later(String),
}

/// Looks at a copy once more.
pub(super) async fn look(node: &Node, entry: &Entry) -> Result<Leaving, Failure> {
    let copies = node.db.replicas(entry.object).await?;
    if !entry.is_for_others() {
        return Ok(judge(entry, &copies, &[]));
    }
    Ok(judge(entry, &copies, &node.db.store_states().await?))
}

fn judge(entry: &Entry, copies: &[Replica], stores: &[StoreState]) -> Leaving {
    let (this, others): (Vec<_>, Vec<_>) =
        copies.iter().filter(|copy| copy.state.is_good()).partition(|copy| copy.id == entry.id);
    if !this.is_empty() {
        return Leaving::Stays;
    }
    let is_away = |copy: &&Replica| {
        copy.store != LOCAL && stores.iter().any(|store| store.name == copy.store && store.away.is_some())
    };
    match others.first() {
        // Nobody knows whether a store that is away still has what it had.
        Some(other) if entry.is_for_others() && others.iter().all(is_away) => Leaving::Later(format!(
            "the store {} has its only other good copy, and does not answer",
            other.store
        )),
        _ => Leaving::Goes,
    }
}

#[cfg(test)]
mod tests {
    use matinee_core::id::{AppId, EntryId, ObjectId, VideoId};
    use matinee_core::ledger;
    use matinee_core::replica::State;
    use matinee_core::time::Millis;

    use super::*;

    fn entry(reason: &str) -> Entry {
        Entry {
            id: EntryId::from_bits(1),
            app: AppId::from_bits(1),
            video: VideoId::from_bits(1),
            object: ObjectId::from_bits(1),
            place: "here".to_owned(),
            kind: ledger::Kind::Source,
            state: ledger::State::ToDelete,
            reason: Some(reason.to_owned()),
            attempts: 0,
            next_try: None,
            last_error: None,
            proof: None,
            created: Millis(0),
            proven: None,
        }
    }

    fn copy(id: u128, store: &str, state: State) -> Replica {
        let of = entry("moved");
        Replica {
            id: EntryId::from_bits(id),
            object: of.object,
            app: of.app,
            video: of.video,
            kind: of.kind,
            size: None,
            blake3: None,
            store: store.to_owned(),
            key: String::new(),
            template: None,
            state,
            version: None,
            tag: None,
            sums: None,
            begun: None,
            replaces: None,
            created: of.created,
            verified: None,
        }
    }

    #[test]
    fn what_goes_because_others_are_there_waits_until_they_are_seen() {
        let stores = [("near", None), ("away", Some(Millis(5)))].map(|(name, away)| StoreState {
            name: name.to_owned(),
            away,
            ..StoreState::default()
        });
        let leaves = copy(1, "here", State::ToDelete);
        let (near, away) = (copy(2, "near", State::Present), copy(3, "away", State::Present));
        let bad = copy(4, "near", State::Suspect);
        let judged = |reason: &str, others: &[&Replica]| {
            let copies: Vec<_> = std::iter::once(&leaves).chain(others.iter().copied()).cloned().collect();
            judge(&entry(reason), &copies, &stores)
        };
        for reason in ["moved", "archived"] {
            assert!(matches!(judged(reason, &[&away, &bad]), Leaving::Later(_)), "{reason}");
            assert_eq!(judged(reason, &[&away, &near]), Leaving::Goes);
            assert_eq!(judged(reason, &[&away, &copy(5, LOCAL, State::Present)]), Leaving::Goes);
            assert_eq!(judged(reason, &[]), Leaving::Goes, "all of it goes");
        }
        assert_eq!(judged("deleted", &[&away]), Leaving::Goes);
    }

    #[test]
    fn what_was_kept_since_the_list_was_made_stays() {
        let kept = [copy(1, "here", State::Present)];
        assert_eq!(judge(&entry("moved"), &kept, &[]), Leaving::Stays);
        let abandoned = [copy(1, "here", State::Intended)];
        assert_eq!(judge(&entry("abandoned"), &abandoned, &[]), Leaving::Goes, "nobody writes it any more");
    }
}
