//! Costs as JSON: the account of a month, what if, and the places of a video with what was thought of them.

use std::collections::HashMap;

use matinee_core::choice::{Bar, Judged, Verdict};
use matinee_core::id::{AppId, CollectionId};
use matinee_core::price::{self, Shared, Usage};
use serde::Serialize;
use utoipa::ToSchema;

use super::time;
use crate::flow::choice::Places;
use crate::flow::cost::Report;

/// So many of the dearest videos are shown.
const VIDEOS_SHOWN: usize = 50;

/// What somebody or something costs.
#[derive(Debug, Clone, Copy, Default, Serialize, ToSchema)]
pub(crate) struct Costs {
    /// In this month so far: what is stored day by day, and what was delivered.
    pub(crate) so_far: f64,
    /// What the whole month is expected to be: the rest of it like the days before.
    pub(crate) forecast: f64,
}

/// What lies at a place and went out from it in this month.
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
pub(crate) struct Amounts {
    /// Gigabytes stored.
    pub(crate) stored_gb: f64,
    /// Minutes stored, where they are paid for.
    pub(crate) stored_minutes: f64,
    /// Gigabytes delivered.
    pub(crate) delivered_gb: f64,
    /// Minutes delivered.
    pub(crate) delivered_minutes: f64,
}

/// What a place costs.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct PlaceCosts {
    /// Its name; `matinee` is this server.
    pub(crate) place: String,
    /// The price card by which it is calculated; null when nobody has said what it costs.
    pub(crate) card: Option<CardName>,
    /// What there was.
    #[serde(flatten)]
    pub(crate) amounts: Amounts,
    /// What was delivered is not counted there, but follows from the viewers that were sent there.
    pub(crate) estimated: bool,
    /// All of it.
    #[serde(flatten)]
    pub(crate) costs: Costs,
    /// What of it rounding, minimums and fees add, so that no video bears it; null for an app among others.
    pub(crate) besides: Option<Costs>,
}

/// Which price card, and how far it is to be trusted.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct CardName {
    /// Its name.
    pub(crate) name: String,
    /// What a person reads.
    pub(crate) title: String,
    /// When its figures were read.
    pub(crate) date: String,
    /// Where.
    pub(crate) source: String,
    /// It is more than a year old.
    pub(crate) old: bool,
}

/// What an app, a collection or a video bears.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Bearer {
    /// Its id.
    pub(crate) id: String,
    /// Its name or title; null when it is deleted.
    pub(crate) name: Option<String>,
    /// What it bears.
    #[serde(flatten)]
    pub(crate) costs: Costs,
}

/// The account of this month.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct CostReport {
    /// The month in UTC, such as `2026-11`.
    pub(crate) month: String,
    /// How much of it is over, from 0 to 1.
    pub(crate) elapsed: f64,
    /// The word behind every amount.
    pub(crate) currency: String,
    /// All of it.
    #[serde(flatten)]
    pub(crate) costs: Costs,
    /// By place.
    pub(crate) places: Vec<PlaceCosts>,
    /// By app; only the first app sees others.
    pub(crate) apps: Vec<Bearer>,
    /// By collection of the caller's app.
    pub(crate) collections: Vec<Bearer>,
    /// The dearest videos of the caller's app, by what the month is expected to be.
    pub(crate) videos: Vec<Bearer>,
    /// What one should know before believing it.
    pub(crate) warnings: Vec<String>,
}

/// What a collection would cost elsewhere.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct WhatIf {
    /// The collection.
    pub(crate) collection_id: String,
    /// The price card of the other place.
    pub(crate) card: String,
    /// The word behind every amount.
    pub(crate) currency: String,
    /// What it bears of this month now, as expected.
    pub(crate) now: f64,
    /// What a month there would cost more than without it.
    pub(crate) then: f64,
    /// What it would save each month; below 0 it would cost more.
    pub(crate) saves: f64,
    /// What it would cost once.
    pub(crate) once: f64,
    /// What would lie there and go out from there.
    #[serde(flatten)]
    pub(crate) amounts: Amounts,
}

/// Where a viewer may play a video, and what was thought of it.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct PlaceJudged {
    /// Its name; `matinee` is this server.
    place: String,
    /// The viewer is sent there.
    chosen: bool,
    /// The video can be played from there.
    plays: bool,
    /// What an hour delivered from there costs at this point of the month; null when nobody has said, or the caller's app is not the
    /// first one.
    hour_cost: Option<f64>,
    /// The word behind it.
    currency: Option<String>,
    /// Why, in words.
    why: String,
}

impl From<Shared> for Costs {
    fn from(shared: Shared) -> Self {
        Self { so_far: rounded(shared.so_far), forecast: rounded(shared.month) }
    }
}

impl From<Usage> for Amounts {
    fn from(usage: Usage) -> Self {
        Self {
            stored_gb: rounded(usage.stored_gb),
            stored_minutes: rounded(usage.stored_minutes),
            delivered_gb: rounded(usage.delivered_gb),
            delivered_minutes: rounded(usage.delivered_minutes),
        }
    }
}

/// Millionths are enough, and nobody wants to read the rest.
fn rounded(amount: f64) -> f64 {
    (amount * 1e6).round() / 1e6
}

impl CostReport {
    /// What an app sees: its own share, or all of it when it is the first one.
    pub(crate) fn of(
        report: &Report,
        (app, is_first): (AppId, bool),
        (apps, collections): &(HashMap<AppId, String>, HashMap<CollectionId, String>),
    ) -> Self {
        let account = &report.account;
        let places: Vec<_> = if is_first {
            account.places.iter().map(|sum| PlaceCosts::whole(report, sum)).collect()
        } else {
            PlaceCosts::shares(report, app)
        };
        let costs = if is_first {
            account.total()
        } else {
            account.by(&report.lines, |line| Some(line.app)).get(&app).copied().unwrap_or_default()
        };
        let mine = |line: &price::Line| line.app == app;
        let of_apps = account.by(&report.lines, |line| (is_first || mine(line)).then_some(line.app));
        let of_collections = account.by(&report.lines, |line| line.collection.filter(|_| mine(line)));
        let of_videos = account.by(&report.lines, |line| mine(line).then_some(line.video));
        let title = |id| report.videos.get(&id).map(|video| video.title.clone());
        let mut videos: Vec<_> = of_videos.into_iter().collect();
        videos.sort_by(|a, b| b.1.month.total_cmp(&a.1.month));
        videos.truncate(VIDEOS_SHOWN);
        Self {
            month: report.month.clone(),
            elapsed: rounded(report.elapsed),
            currency: account.money.currency.clone(),
            costs: costs.into(),
            warnings: warnings(report, &places),
            places,
            apps: of_apps.into_iter().map(|(id, of)| bearer(id, apps.get(&id).cloned(), of)).collect(),
            collections: of_collections
                .into_iter()
                .map(|(id, of)| bearer(id, collections.get(&id).cloned(), of))
                .collect(),
            videos: videos.into_iter().map(|(id, of)| bearer(id, title(id), of)).collect(),
        }
    }
}

fn bearer(id: impl std::fmt::Display, name: Option<String>, of: Shared) -> Bearer {
    Bearer { id: id.to_string(), name, costs: of.into() }
}

impl PlaceCosts {
    fn new(report: &Report, (place, card): (&str, Option<&str>), (usage, costs): (Usage, Shared)) -> Self {
        let card = card.and_then(|name| report.tariff.named(name));
        Self {
            place: place.to_owned(),
            card: card.map(|card| CardName {
                name: card.name.clone(),
                title: card.title.clone(),
                date: card.date.clone(),
                source: card.source.clone(),
                old: card.is_old(report.at),
            }),
            amounts: usage.into(),
            estimated: report.estimated.iter().any(|one| one == place),
            costs: costs.into(),
            besides: None,
        }
    }

    fn whole(report: &Report, sum: &price::PlaceSum) -> Self {
        let besides = Some(sum.besides.into());
        let of = (sum.place.as_str(), sum.card.as_deref());
        Self { besides, ..Self::new(report, of, (sum.usage, sum.cost)) }
    }

    /// What an app among others has at each place.
    fn shares(report: &Report, app: AppId) -> Vec<Self> {
        let mine = report.account.by(&report.lines, |line| (line.app == app).then(|| line.place.clone()));
        let share = |(place, costs): (String, Shared)| {
            let lines = report.lines.iter().filter(|line| line.app == app && line.place == place);
            let usage = lines.map(|line| line.so_far).sum();
            let card = report.account.places.iter().find(|sum| sum.place == place);
            Self::new(report, (&place, card.and_then(|sum| sum.card.as_deref())), (usage, costs))
        };
        mine.into_iter().map(share).collect()
    }
}

fn warnings(report: &Report, places: &[PlaceCosts]) -> Vec<String> {
    let mut all = Vec::new();
    for place in places {
        let name = &place.place;
        match &place.card {
            None => all.push(format!(
                "Nobody has said what {name} costs, so it counts as 0: name its price card as prices.cards.{name} in the configuration."
            )),
            Some(card) if card.old => all.push(format!(
                "The prices of {name} are of {}: look whether they still hold, and write the card {} anew.",
                card.date, card.name
            )),
            Some(_) => {}
        }
    }
    for currency in &report.account.money.unrated {
        all.push(format!(
            "Amounts in {currency} were counted one to one: set prices.rates.{currency} to what one {currency} is worth in {}.",
            report.account.money.currency
        ));
    }
    all
}

impl WhatIf {
    /// What came out.
    pub(crate) fn of(collection: CollectionId, card: &str, moved: price::Moved) -> Self {
        Self {
            collection_id: collection.to_string(),
            card: card.to_owned(),
            currency: moved.money.currency,
            now: rounded(moved.now),
            then: rounded(moved.then),
            saves: rounded(moved.now - moved.then),
            once: rounded(moved.once),
            amounts: moved.usage.into(),
        }
    }
}

impl PlaceJudged {
    /// All of them, the chosen one first; prices are the first app's business.
    pub(crate) fn all(places: &Places, with_prices: bool) -> Vec<Self> {
        let one = |judged: &Judged| {
            let hour_cost = judged.hour_cost.filter(|_| with_prices).map(rounded);
            Self {
                place: judged.place.clone(),
                chosen: judged.verdict.is_chosen(),
                plays: judged.verdict.plays(),
                currency: hour_cost.map(|_| places.currency.clone()),
                hour_cost,
                why: why(judged.verdict),
            }
        };
        places.judged.iter().map(one).collect()
    }
}

fn why(verdict: Verdict) -> String {
    match verdict {
        Verdict::Cheapest => "It is the cheapest place that has the video, is well and has room.".to_owned(),
        Verdict::Stays => {
            "The viewer plays from there, or the last one was sent there, and no other place saves a fifth."
                .to_owned()
        }
        Verdict::Next => "It is well, and is tried when those before it fail.".to_owned(),
        Verdict::LastResort(bar) => {
            format!("{} All others are worse, so the viewer is sent there.", fault(bar))
        }
        Verdict::Barred(bar) => format!("{} It is tried when those before it fail.", fault(bar)),
        Verdict::Out(bar) => fault(bar),
    }
}

fn fault(bar: Bar) -> String {
    match bar {
        Bar::Absent => "The video is not there.".to_owned(),
        Bar::Unready => "The video is still being made there.".to_owned(),
        Bar::Away { since } => format!("It has not answered since {}.", time(since)),
        Bar::Busy { used_mbit, capacity_mbit } => format!(
            "It delivers {used_mbit:.1} of {capacity_mbit:.0} Mbit/s, or did so a moment ago; new viewers are sent elsewhere until it \
             has been calm for a while."
        ),
        Bar::Full { used_mbit, needed_mbit, capacity_mbit } => format!(
            "It delivers {used_mbit:.1} of {capacity_mbit:.0} Mbit/s, and this viewer would need {needed_mbit:.1}."
        ),
    }
}
