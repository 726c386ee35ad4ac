//! The price cards that count: those of the release, those of the configuration, and those that somebody has written.

use matinee_core::price::{OWN, Tariff};
use matinee_core::replica::LOCAL;

use super::Failure;
use crate::node::Node;

/// The kind of a store that is a folder.
const DISK: &str = "disk";

/// The cards that count now.
pub(crate) async fn tariff(node: &Node) -> Result<Tariff, Failure> {
    let written = node.db.price_cards().await?;
    Ok(Tariff::new(node.config.cards().chain(written), node.config.prices.clone()))
}

/// A place as the account names it, with its kind: the data directory and our own delivery are one place.
pub(crate) fn place_of<'p>(node: &Node, place: &'p str) -> (&'p str, &'static str) {
    if place == LOCAL || place == OWN {
        return (OWN, OWN);
    }
    if let Some(host) = node.hosts.named(place) {
        return (place, host.host.kind());
    }
    let on_disk = node.config.store.iter().any(|store| store.name == place && store.is_disk());
    (place, if on_disk { DISK } else { "" })
}

/// All places that the configuration names.
pub(crate) fn places(node: &Node) -> Vec<(String, String)> {
    let hosts = node.hosts.all().iter().map(|host| host.name.as_str());
    let stores = node.config.store.iter().map(|store| store.name.as_str());
    let named = std::iter::once(OWN).chain(stores).chain(hosts).map(|place| place_of(node, place));
    named.map(|(place, kind)| (place.to_owned(), kind.to_owned())).collect()
}
