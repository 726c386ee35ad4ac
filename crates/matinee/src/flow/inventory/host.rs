//! A host beside its rows: all videos that it lists, asked for within what it allows.

use std::collections::HashSet;

use matinee_core::id::{EntryId, PublicationId};
use matinee_core::inventory::outside::{Explained, Sighting, Thing, explain};
use matinee_core::throttle::Urgency;
use matinee_core::time::Millis;
use matinee_io::db::inventory::Unknown;
use matinee_io::host::{Query, Remote};
use matinee_io::random;

use super::{Done, Found, Lack, Told};
use crate::flow::outside::{self, Stop};
use crate::flow::{Failure, now};
use crate::node::Node;
use crate::node::hosts::Known;

/// Compares a host with its rows.
pub(super) async fn compare(node: &Node, name: &str, began: Millis) -> Result<Told, Failure> {
    let to = node.hosts.named(name).ok_or(Failure::Absent)?;
    node.db.host_known(&to.name, &to.host.identity(), now()).await?;
    match list(node, to, began).await {
        Ok(found) => Ok(Told::All(found)),
        Err(Stop::Ours(failure)) => Err(failure),
        Err(stop) => Ok(Told::Nothing(stop.to_string())),
    }
}

async fn list(node: &Node, to: &Known, began: Millis) -> Result<Found, Stop> {
    let before: HashSet<String> = node.db.publications_there(&to.name).await?.into_iter().collect();
    let (mut found, mut there, mut after) = (Found::default(), HashSet::new(), None);
    loop {
        let page = outside::ask(node, to, ("list", Urgency::Work), to.host.list(&Query::All, after)).await?;
        // Pages overlap where several videos were made at one moment.
        let fresh: Vec<Remote> =
            page.items.into_iter().filter(|remote| there.insert(remote.id.clone())).collect();
        videos(node, to, (&fresh, began), &mut found).await?;
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    // What was published or taken back meanwhile is in one of the two only.
    let promised = node.db.publications_there(&to.name).await?.into_iter();
    let missing = promised.filter(|remote| before.contains(remote) && !there.contains(remote));
    found.missing = missing.map(|name| Lack { name, copy: None }).collect();
    Ok(found)
}

async fn videos(
    node: &Node,
    to: &Known,
    (page, began): (&[Remote], Millis),
    found: &mut Found,
) -> Result<(), Stop> {
    let seen: Vec<_> = page.iter().map(|remote| (remote.id.clone(), remote.key)).collect();
    let rows = node.db.videos_listed(&to.name, &seen).await?;
    for (remote, row) in page.iter().zip(rows) {
        found.things += 1;
        found.bytes += remote.bytes.unwrap_or_default();
        let key = remote.key;
        let sighting = Sighting {
            is_ours: key.is_some_and(|key| node.maker.made(key)),
            made: key.map(PublicationId::created),
            row,
        };
        let one = || Unknown {
            name: remote.id.clone(),
            thing: Thing::Video,
            key: EntryId::from_bits(key.map_or(0, PublicationId::bits)),
            size: remote.bytes,
            first: None,
        };
        match explain(sighting, began) {
            Explained::Known => {}
            Explained::Foreign => {
                found.foreign += 1;
                found.foreign_bytes += remote.bytes.unwrap_or_default();
            }
            Explained::Young => found.young += 1,
            Explained::Spare => found.spare.push(one()),
            Explained::Unknown => found.unknown.push(one()),
            Explained::Again => found.again.push(one()),
        }
    }
    Ok(())
}

/// What is one too many goes; what is missing is asked for by itself.
pub(super) async fn settle(node: &Node, host: &str, found: &Found, done: &mut Done) -> Result<(), Failure> {
    let key = |one: &Unknown| PublicationId::from_bits(one.key.bits());
    let spare: Vec<_> = found.spare.iter().map(|one| (random::id(), one.name.clone(), key(one))).collect();
    done.owed += u64::from(node.db.outside_strays(host, &spare, now()).await?);
    let missing: Vec<String> = found.missing.iter().map(|lack| lack.name.clone()).collect();
    done.again += node.db.hint(host, &missing, now()).await?;
    Ok(())
}
