//! A price card: what a place asks for bytes and minutes, with the date and the source of its figures.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::CARD_OLD_DAYS;
use crate::calendar::read_time;
use crate::time::Millis;

/// The longest name of a card.
const NAME_MAX: usize = 63;
/// The longest text of a card.
const TEXT_MAX: usize = 500;
/// Steps that a card may have: every region of the largest vendor with all of its steps.
const STEPS_MAX: usize = 100;
/// The region of viewers of whom nobody says where they are: Europe and North America.
const USUAL_REGION: &str = "eu_na";

/// What a place asks; 0 is no price. A price is for gigabytes of 10^9 bytes, and for a month where something is stored.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Card {
    /// Its name, such as `bunny_standard`.
    pub name: String,
    /// What a person reads.
    pub title: String,
    /// Kinds of places whose usual card it is: `matinee` (this server), `disk`, `cloudflare`, `bunny`.
    pub of: Vec<String>,
    /// The word behind its prices.
    pub currency: String,
    /// When its figures were read: a year, or a year and a month.
    pub date: String,
    /// Where they were read.
    pub source: String,
    /// What else one should know.
    pub note: String,
    /// A minute stored.
    pub per_minute_stored: f64,
    /// Minutes are paid for in blocks of so many.
    pub block_minutes: f64,
    /// A gigabyte stored.
    pub per_gb_stored: f64,
    /// Gigabytes stored for nothing.
    pub free_gb_stored: f64,
    /// Gigabytes stored are rounded up.
    pub whole_gb_stored: bool,
    /// A minute delivered.
    pub per_minute_delivered: f64,
    /// Gigabytes delivered, by region and volume.
    pub delivery: Vec<Step>,
    /// Gigabytes delivered for nothing each month.
    pub free_gb_delivered: f64,
    /// So many times what is stored is delivered for nothing.
    pub free_times_stored: f64,
    /// A million requests.
    pub per_million_requests: f64,
    /// Millions of requests for nothing each month.
    pub free_million_requests: f64,
    /// Seconds of a video that one request brings.
    pub request_s: f64,
    /// A minute encoded, once.
    pub per_minute_encoded: f64,
    /// The least that a month costs.
    pub month_min: f64,
    /// A fee for each month.
    pub month_fee: f64,
    /// The fee comes once more with each so many gigabytes delivered; 0: it comes once.
    pub fee_gb_delivered: f64,
}

// None of its figures is not a number: `check` refuses it.
impl Eq for Card {}

/// What a gigabyte costs that is delivered to a region, up to a volume of a month.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Step {
    /// The region; missing: everywhere else.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
    /// Up to so many gigabytes in the month, counted behind what is free; missing: whatever comes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub up_to_gb: Option<f64>,
    /// The price of a gigabyte.
    pub per_gb: f64,
}

/// Shares of regions; they need not make 1. Empty: all viewers are where prices are lowest.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Mix(pub BTreeMap<String, f64>);

impl Mix {
    /// Can something be divided by it?
    pub fn check(&self) -> bool {
        let counts = |share: &f64| share.is_finite() && *share >= 0.0;
        self.0.values().all(counts) && (self.0.is_empty() || self.0.values().any(|share| *share > 0.0))
    }

    /// The share of each region; together they make 1.
    fn shares(&self) -> Vec<(&str, f64)> {
        if self.0.is_empty() {
            return vec![(USUAL_REGION, 1.0)];
        }
        let whole: f64 = self.0.values().sum();
        self.0.iter().map(|(region, share)| (region.as_str(), share / whole)).collect()
    }
}

impl Default for Card {
    fn default() -> Self {
        Self {
            name: String::new(),
            title: String::new(),
            of: Vec::new(),
            currency: "USD".to_owned(),
            date: String::new(),
            source: String::new(),
            note: String::new(),
            per_minute_stored: 0.0,
            block_minutes: 0.0,
            per_gb_stored: 0.0,
            free_gb_stored: 0.0,
            whole_gb_stored: false,
            per_minute_delivered: 0.0,
            delivery: Vec::new(),
            free_gb_delivered: 0.0,
            free_times_stored: 0.0,
            per_million_requests: 0.0,
            free_million_requests: 0.0,
            request_s: 6.0,
            per_minute_encoded: 0.0,
            month_min: 0.0,
            month_fee: 0.0,
            fee_gb_delivered: 0.0,
        }
    }
}

impl Card {
    /// What is wrong with it, in a sentence.
    pub fn check(&self) -> Result<(), String> {
        let plain =
            |letter: u8| letter.is_ascii_lowercase() || letter.is_ascii_digit() || b"_-".contains(&letter);
        if !(1..=NAME_MAX).contains(&self.name.len()) || !self.name.bytes().all(plain) {
            return Err(format!("`name` must be 1 to {NAME_MAX} small letters, digits, `_` and `-`"));
        }
        if self.moment().is_none() {
            return Err("`date` must say when its figures were read: 2026, or 2026-08".to_owned());
        }
        if self.currency.is_empty() || self.currency.len() > 8 {
            return Err("`currency` must be a word such as USD".to_owned());
        }
        if [&self.title, &self.source, &self.note].iter().any(|text| text.len() > TEXT_MAX) {
            return Err(format!("`title`, `source` and `note` have at most {TEXT_MAX} bytes"));
        }
        for (name, figure) in self.figures() {
            if !figure.is_finite() || figure < 0.0 {
                return Err(format!("`{name}` must be a number from 0 on"));
            }
        }
        if self.request_s <= 0.0 {
            return Err("`request_s` must be above 0".to_owned());
        }
        self.check_steps()
    }

    fn figures(&self) -> [(&'static str, f64); 15] {
        [
            ("per_minute_stored", self.per_minute_stored),
            ("block_minutes", self.block_minutes),
            ("per_gb_stored", self.per_gb_stored),
            ("free_gb_stored", self.free_gb_stored),
            ("per_minute_delivered", self.per_minute_delivered),
            ("free_gb_delivered", self.free_gb_delivered),
            ("free_times_stored", self.free_times_stored),
            ("per_million_requests", self.per_million_requests),
            ("free_million_requests", self.free_million_requests),
            ("request_s", self.request_s),
            ("per_minute_encoded", self.per_minute_encoded),
            ("month_min", self.month_min),
            ("month_fee", self.month_fee),
            ("fee_gb_delivered", self.fee_gb_delivered),
            ("delivery", self.delivery.iter().map(|step| step.per_gb).fold(0.0, f64::max)),
        ]
    }

    fn check_steps(&self) -> Result<(), String> {
        if self.delivery.len() > STEPS_MAX {
            return Err(format!("`delivery` has at most {STEPS_MAX} steps"));
        }
        for (at, step) in self.delivery.iter().enumerate() {
            let before = self.delivery[..at].iter().rev().find(|other| other.region == step.region);
            let border = before.map(|other| other.up_to_gb.unwrap_or(f64::INFINITY));
            let grows = border.is_none_or(|border| step.up_to_gb.unwrap_or(f64::INFINITY) > border);
            let counts = |number: f64| number.is_finite() && number >= 0.0;
            if !counts(step.per_gb) || !step.up_to_gb.is_none_or(counts) || !grows {
                return Err("the steps of `delivery` must be numbers from 0 on, and `up_to_gb` must grow within a region".to_owned());
            }
        }
        Ok(())
    }

    /// Is it the usual card of this kind of place?
    pub fn is_of(&self, kind: &str) -> bool {
        self.of.iter().any(|one| one == kind)
    }

    /// Does nothing of it have a price?
    pub fn is_free(&self) -> bool {
        let prices = [
            self.per_minute_stored,
            self.per_gb_stored,
            self.per_minute_delivered,
            self.per_million_requests,
            self.per_minute_encoded,
            self.month_min,
            self.month_fee,
        ];
        prices.iter().all(|price| *price <= 0.0) && self.delivery.iter().all(|step| step.per_gb <= 0.0)
    }

    /// The beginning of its date.
    fn moment(&self) -> Option<Millis> {
        let rest = match self.date.len() {
            4 => "-01-01T00:00:00Z",
            7 => "-01T00:00:00Z",
            _ => return None,
        };
        read_time(&format!("{}{rest}", self.date))
    }

    /// Are its figures so old that they are doubted?
    pub fn is_old(&self, now: Millis) -> bool {
        self.moment().is_none_or(|date| now.since(date) > CARD_OLD_DAYS * 86_400_000)
    }

    /// What of so many gigabytes is delivered for nothing.
    pub(super) fn free_gb(&self, delivered_gb: f64, stored_gb: f64) -> f64 {
        self.free_gb_delivered.max(self.free_times_stored * stored_gb).min(delivered_gb)
    }

    /// What so many gigabytes cost in a month, beside what is free.
    pub(super) fn of_delivered(&self, gb: f64, mix: &Mix) -> f64 {
        self.volumes(gb, mix).iter().map(|(region, gb)| tiered(&self.steps(region.as_deref()), *gb)).sum()
    }

    /// What the next gigabyte costs, when so many were paid for in this month.
    pub(super) fn per_gb_at(&self, gb: f64, mix: &Mix) -> f64 {
        let next = |(region, share): &(Option<String>, f64)| {
            let steps = self.steps(region.as_deref());
            let at = steps.iter().find(|step| step.up_to_gb.is_none_or(|border| gb * share < border));
            at.or_else(|| steps.last()).map_or(0.0, |step| step.per_gb) * share
        };
        self.volumes(1.0, mix).iter().map(next).sum()
    }

    /// How many of so many gigabytes each list of steps prices: those of a region, and the one of everywhere else.
    fn volumes(&self, gb: f64, mix: &Mix) -> Vec<(Option<String>, f64)> {
        let mut volumes: BTreeMap<Option<String>, f64> = BTreeMap::new();
        for (region, share) in mix.shares() {
            let priced = self.delivery.iter().any(|step| step.region.as_deref() == Some(region));
            *volumes.entry(priced.then(|| region.to_owned())).or_default() += gb * share;
        }
        volumes.into_iter().collect()
    }

    /// The steps of a region; everywhere else is as dear as the dearest region where nothing is said of it.
    fn steps(&self, region: Option<&str>) -> Vec<&Step> {
        let said = self.delivery.iter().any(|step| step.region.as_deref() == region);
        let dearest = self.delivery.iter().max_by(|a, b| a.per_gb.total_cmp(&b.per_gb));
        let wanted = if said { region } else { dearest.and_then(|step| step.region.as_deref()) };
        self.delivery.iter().filter(|step| step.region.as_deref() == wanted).collect()
    }
}

/// What a volume costs by steps; behind the last border its price goes on.
fn tiered(steps: &[&Step], gb: f64) -> f64 {
    let (mut cost, mut from, mut last) = (0.0, 0.0, 0.0);
    for step in steps {
        let until = step.up_to_gb.unwrap_or(f64::INFINITY).min(gb);
        if until > from {
            cost += (until - from) * step.per_gb;
            from = until;
        }
        last = step.per_gb;
    }
    if gb > from { (gb - from).mul_add(last, cost) } else { cost }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn near(one: f64, other: f64) -> bool {
        (one - other).abs() < 1e-9
    }

    fn step(region: Option<&str>, up_to_gb: Option<f64>, per_gb: f64) -> Step {
        Step { region: region.map(str::to_owned), up_to_gb, per_gb }
    }

    fn card(delivery: Vec<Step>) -> Card {
        Card { name: "c".to_owned(), date: "2026-08".to_owned(), delivery, ..Card::default() }
    }

    fn mix(shares: &[(&str, f64)]) -> Mix {
        Mix(shares.iter().map(|(region, share)| ((*region).to_owned(), *share)).collect())
    }

    #[test]
    fn a_volume_is_paid_for_step_by_step_and_the_next_gigabyte_by_the_step_it_falls_in() {
        let card =
            card(vec![step(None, Some(10.0), 0.09), step(None, Some(50.0), 0.08), step(None, None, 0.05)]);
        let mix = Mix::default();
        for (gb, cost, next) in [(0.0, 0.0, 0.09), (10.0, 0.9, 0.08), (50.0, 4.1, 0.05), (60.0, 4.6, 0.05)] {
            assert!(near(card.of_delivered(gb, &mix), cost), "{gb}: {}", card.of_delivered(gb, &mix));
            assert!(near(card.per_gb_at(gb, &mix), next), "{gb}");
        }
    }

    #[test]
    fn regions_pay_their_own_price_and_one_that_is_not_named_the_dearest() {
        let two = card(vec![step(Some("eu_na"), None, 0.01), step(Some("asia"), None, 0.03)]);
        for (shares, cost) in [
            (vec![("eu_na", 1.0)], 1.0),
            (vec![("eu_na", 3.0), ("asia", 1.0)], 1.5),
            (vec![("africa", 1.0)], 3.0),
        ] {
            assert!(near(two.of_delivered(100.0, &mix(&shares)), cost), "{shares:?}");
            assert!(near(two.per_gb_at(0.0, &mix(&shares)) * 100.0, cost), "{shares:?}");
        }
        let rest = card(vec![step(Some("asia"), None, 0.03), step(None, None, 0.02)]);
        assert!(near(rest.of_delivered(100.0, &mix(&[("africa", 1.0)])), 2.0));
        assert!(near(card(Vec::new()).of_delivered(100.0, &Mix::default()), 0.0));
    }

    #[test]
    fn a_card_says_what_is_wrong_with_it() {
        let good = || card(vec![step(None, Some(1.0), 0.1), step(None, None, 0.05)]);
        assert_eq!(good().check(), Ok(()));
        for (wrong, told) in [
            (Card { name: "A b".to_owned(), ..good() }, "`name`"),
            (Card { date: "soon".to_owned(), ..good() }, "`date`"),
            (Card { date: "2026-13".to_owned(), ..good() }, "`date`"),
            (Card { currency: String::new(), ..good() }, "`currency`"),
            (Card { per_gb_stored: -1.0, ..good() }, "`per_gb_stored`"),
            (Card { month_fee: f64::NAN, ..good() }, "`month_fee`"),
            (Card { request_s: 0.0, ..good() }, "`request_s`"),
            (Card { note: "n".repeat(501), ..good() }, "at most 500"),
            (card(vec![step(None, None, 0.1), step(None, Some(5.0), 0.1)]), "must grow"),
            (card(vec![step(None, Some(5.0), 0.1), step(None, Some(5.0), 0.1)]), "must grow"),
            (card(vec![step(None, None, f64::INFINITY)]), "`delivery`"),
        ] {
            let found = wrong.check().unwrap_err();
            assert!(found.contains(told), "{told}: {found}");
        }
    }

    #[test]
    fn figures_of_more_than_a_year_ago_are_doubted() {
        let at = |text: &str| read_time(text).unwrap();
        let dated = |date: &str| Card { date: date.to_owned(), ..Card::default() };
        assert!(!dated("2026-08").is_old(at("2027-08-01T00:00:00Z")));
        assert!(dated("2026-08").is_old(at("2027-08-03T00:00:00Z")));
        assert!(!dated("2026").is_old(at("2026-12-31T00:00:00Z")));
        assert!(dated("").is_old(at("2026-12-31T00:00:00Z")));
    }
}
