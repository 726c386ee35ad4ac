//! Which place a viewer is sent to: what is known of each is gathered here, and `core` chooses.

use matinee_core::choice::{Bar, Before, Candidate, Judged, State, choose};
use matinee_core::price::{Card, MBPS_UNKNOWN, OWN, Tariff, Usage, gb, gb_per_minute, minutes};
use matinee_core::video::{Medium, RenditionState};

use super::Failure;
use super::tariff::{place_of, tariff};
use super::whole::Whole;
use crate::node::Node;

/// Who asks for a place.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Viewer<'v> {
    /// Where they play already.
    pub(crate) at: Option<&'v str>,
    /// Nobody plays: somebody wants to know why.
    pub(crate) is_question: bool,
}

/// What was thought of each place.
#[derive(Debug)]
pub(crate) struct Places {
    /// The chosen one first.
    pub(crate) judged: Vec<Judged>,
    /// The word behind the costs.
    pub(crate) currency: String,
}

impl Places {
    /// All that there is of a server without hosts, or of a video that still arrives.
    pub(crate) fn own() -> Self {
        let own = Candidate { place: OWN.to_owned(), hour_cost: None, bar: None };
        Self { judged: choose(&[own], Before::Nobody), currency: String::new() }
    }

    /// Those that the video can be played from, the chosen one first.
    pub(crate) fn playing(&self) -> impl Iterator<Item = &str> {
        self.judged.iter().filter(|one| one.verdict.plays()).map(|one| one.place.as_str())
    }
}

/// Chooses for a viewer. `own` says whether we can play the video, `signed` names the hosts that can.
pub(crate) async fn places(
    node: &Node,
    whole: &Whole,
    (own, signed): (bool, &[&str]),
    viewer: Viewer<'_>,
) -> Result<Places, Failure> {
    let (video, duration_ms) = (whole.video.id, whole.video.duration_ms.unwrap_or_default());
    let places = if node.hosts.all().is_empty() {
        Places::own()
    } else {
        let tariff = tariff(node).await?;
        let candidates = candidates(node, whole, (own, signed), &tariff);
        let last = node.meter.last(video);
        let before = match (viewer.at, last.as_deref()) {
            (Some(at), _) => Before::Viewer(at),
            (None, Some(last)) => Before::Video(last),
            (None, None) => Before::Nobody,
        };
        let cards = candidates.iter().filter_map(|one| card(node, &tariff, &one.place));
        let money = tariff.money(cards);
        Places { judged: choose(&candidates, before), currency: money.currency }
    };
    let chosen = places.judged.first().filter(|one| one.verdict.is_chosen());
    if let Some(chosen) = chosen.filter(|_| !viewer.is_question) {
        if viewer.at != Some(&chosen.place) {
            node.meter.start(&chosen.place, video, duration_ms);
        }
        if viewer.at.is_none() && !node.hosts.all().is_empty() {
            node.meter.sent(video, &chosen.place);
        }
    }
    Ok(places)
}

fn card<'t>(node: &Node, tariff: &'t Tariff, place: &str) -> Option<&'t Card> {
    let (place, kind) = place_of(node, place);
    tariff.card(place, kind)
}

/// Our own delivery and every host of the configuration, in this order.
fn candidates(node: &Node, whole: &Whole, (own, signed): (bool, &[&str]), tariff: &Tariff) -> Vec<Candidate> {
    let mbps = rate(whole);
    let bar = if own { crowded(node, mbps) } else { Some(Bar::Absent) };
    let hosts = node.hosts.all().iter().map(|host| (host.name.as_str(), barred(whole, &host.name, signed)));
    let all: Vec<(&str, Option<Bar>)> = std::iter::once((OWN, bar)).chain(hosts).collect();
    let money = tariff.money(all.iter().filter_map(|(place, _)| card(node, tariff, place)));
    let seen = node.meter.seen();
    let candidate = |(place, bar): (&str, Option<Bar>)| {
        let cost = |card: &Card| {
            let (bytes, ms) = seen.get(place).copied().unwrap_or_default();
            let so_far = Usage::delivered(bytes, ms);
            let minute = card.next_minute(&so_far, gb_per_minute(mbps), tariff.mix());
            tariff.changed(minute * 60.0, &card.currency, &money)
        };
        Candidate { place: place.to_owned(), hour_cost: card(node, tariff, place).map(cost), bar }
    };
    all.into_iter().map(candidate).collect()
}

/// Why nobody new is sent to our own delivery.
fn crowded(node: &Node, needed_mbit: f64) -> Option<Bar> {
    let capacity_mbit = node.config.delivery.link()?.capacity_mbit;
    let load = node.meter.load();
    let used_mbit = load.used_mbit();
    match load.state() {
        State::Busy { .. } => Some(Bar::Busy { used_mbit, capacity_mbit }),
        State::Calm if used_mbit + needed_mbit > capacity_mbit => {
            Some(Bar::Full { used_mbit, needed_mbit, capacity_mbit })
        }
        State::Calm => None,
    }
}

/// Why nobody new is sent to a host.
fn barred(whole: &Whole, host: &str, signed: &[&str]) -> Option<Bar> {
    let Some(publication) = whole.publications.iter().find(|one| one.host == host) else {
        return Some(Bar::Absent);
    };
    if !publication.phase.plays() {
        return Some(Bar::Unready);
    }
    if !signed.contains(&host) {
        return Some(Bar::Absent);
    }
    let away = whole.away.iter().find(|(name, _)| name == host);
    away.map(|(_, since)| Bar::Away { since: *since })
}

/// What a viewer of this video takes, in Mbit/s: as much as its largest size has, and no more than viewers usually take.
fn rate(whole: &Whole) -> f64 {
    let pictures = whole
        .renditions
        .iter()
        .filter(|row| row.medium == Medium::Video && row.state == RenditionState::Ready && !row.background);
    let largest = pictures.filter_map(|row| row.file_bytes).max();
    let length = whole.video.duration_ms.filter(|ms| *ms > 0);
    match (largest, length) {
        (Some(bytes), Some(ms)) => (gb(bytes) * 8_000.0 / (minutes(ms) * 60.0)).min(MBPS_UNKNOWN),
        _ => MBPS_UNKNOWN,
    }
}
