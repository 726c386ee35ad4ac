//! Has a host make a video for an intent, once. No host has a key against creating twice: what was asked and not answered is
//! looked for by the intent's key, twice, before anything is made again; so it may end anywhere, and begin again.

use matinee_core::id::PublicationId;
use matinee_core::job::Lease;
use matinee_core::ledger::State;
use matinee_core::publication::{HandOver, Next};
use matinee_core::throttle::Urgency;
use matinee_core::time::Millis;
use matinee_io::db::{DbError, entry_of};
use matinee_io::host::{Created, HostError, Remote, Target, Wanted};
use matinee_io::random;

use super::now;
use super::outside::{self, Stop};
use crate::node::Node;
use crate::node::hosts::Known;

/// What is to be made, where, and who asks for it.
pub(super) struct Intent<'a> {
    pub(super) node: &'a Node,
    pub(super) to: &'a Known,
    pub(super) id: PublicationId,
    pub(super) wanted: &'a Wanted,
    /// Where the host fetches it by itself; nothing when it is sent.
    pub(super) from: Option<&'a str>,
    /// The lease of the job that does it; none for what goes straight to the host.
    pub(super) lease: Option<Lease>,
    pub(super) urgency: Urgency,
}

/// How far it came.
pub(super) enum Made {
    /// It is there, and its bytes go here.
    There(Target),
    /// It is there, and the host fetches its bytes.
    Pulls,
    /// Nothing can be done before this moment.
    Later(Millis),
    /// Nobody wants it any more.
    Unwanted,
}

impl Intent<'_> {
    /// Has the video made, or finds the one that was made before.
    pub(super) async fn make(&self) -> Result<Made, Stop> {
        loop {
            let owed = self.node.db.outside_of(self.id).await?;
            let Some(owed) = owed.filter(|owed| matches!(owed.state, State::Intended | State::Present))
            else {
                return Ok(Made::Unwanted);
            };
            if let Some(remote) = owed.remote {
                return self.adopt(&[], remote).await;
            }
            match owed.asked.next(true, self.to.pace) {
                Next::Create | Next::Absent => return self.create().await,
                Next::Look(at) if at > now() => return Ok(Made::Later(at)),
                Next::Look(_) => {
                    if let Some(made) = self.look().await? {
                        return Ok(made);
                    }
                }
            }
        }
    }

    async fn create(&self) -> Result<Made, Stop> {
        let (node, to) = (self.node, self.to);
        outside::enter(node, to, self.urgency).await?;
        // From here on it may exist.
        let how = if self.from.is_some() { HandOver::Pull } else { HandOver::Push };
        match node.db.publication_asked(self.lease, self.id, (self.wanted.size, how), now()).await {
            // Somebody else asks at this moment, or nobody wants it; the next look shows which.
            Err(DbError::LeaseLost) if self.lease.is_none() => {
                return Ok(Made::Later(now().plus(to.pace.look_ms)));
            }
            asked => asked?,
        }
        let made = match self.from {
            None => {
                let made = outside::sent(node, to, "create", to.host.create(self.id, self.wanted, now()));
                made.await.map(|Created { id, target }| Some((id, Some(target))))
            }
            Some(from) => {
                let made = outside::sent(node, to, "pull", to.host.pull(self.id, from, self.wanted)).await;
                made.map(|remote| Some((remote?, None)))
            }
        };
        match made {
            Ok(Some((remote, target))) => self.made(&remote, target).await,
            // It was made, and has to be looked for.
            Ok(None) | Err(Stop::Said(HostError::Ambiguous(_))) => {
                Ok(Made::Later(now().plus(to.pace.look_ms)))
            }
            // What the host has answered is not known when our own side fails: it may be there.
            Err(stop @ Stop::Ours(_)) => Err(stop),
            Err(stop) => {
                // It was told that it did not happen.
                node.db.outside_unasked(self.id).await?;
                Err(stop)
            }
        }
    }

    async fn made(&self, remote: &str, target: Option<Target>) -> Result<Made, Stop> {
        let sealed = target.as_ref().map(|target| outside::close(self.node, self.id, target));
        let wanted = self.node.db.publication_made(self.id, (remote, sealed), now()).await?;
        Ok(match target {
            _ if !wanted => Made::Unwanted,
            Some(target) => Made::There(target),
            None => Made::Pulls,
        })
    }

    /// Looks for what came of a question without an answer; nothing when nothing was found.
    async fn look(&self) -> Result<Option<Made>, Stop> {
        let found = outside::twins(self.node, self.to, self.id).await?;
        let Some(first) = found.first() else {
            self.node.db.outside_looked(entry_of(self.id), now()).await?;
            return Ok(None);
        };
        self.adopt(&found, first.id.clone()).await.map(Some)
    }

    /// Takes a video that is there for the one that was wanted; the others are too many. Where nobody can be told how to
    /// send it bytes, all go, and it is made anew.
    async fn adopt(&self, found: &[Remote], remote: String) -> Result<Made, Stop> {
        let (node, to, id) = (self.node, self.to, self.id);
        let target = to.host.regain(&remote, self.wanted, now()).filter(|_| self.from.is_none());
        if target.is_none() && self.from.is_none() {
            let mut all: Vec<_> = found.iter().map(|one| (random::id(), one.id.clone())).collect();
            if all.is_empty() {
                all.push((random::id(), remote));
            }
            node.db.outside_let_go(id, &all, now()).await?;
            return self.create().await;
        }
        let made = self.made(&remote, target).await?;
        let seen: Vec<_> = found.iter().map(|one| (random::id(), one.id.clone(), id)).collect();
        node.db.outside_strays(&to.name, &seen, now()).await?;
        Ok(made)
    }
}
