//! What work, storage and delivery cost: prices of this server, dated cards of other places, and the arithmetic of a month.

mod account;
mod bill;
mod card;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

pub use self::account::{Account, Line, Moved, PlaceSum, Shared, account, moved};
pub use self::bill::{Bill, Usage};
pub use self::card::{Card, Mix, Step};
use crate::plan::Estimate;

/// The place that is this server, with its data directory and its delivery, beside the stores and hosts of the configuration.
pub const OWN: &str = "matinee";

/// What is delivered per second of a video whose rate nobody has measured, in Mbit/s.
pub const MBPS_UNKNOWN: f64 = 3.0;

/// Gigabytes (10^9 bytes) of a minute at 1 Mbit/s.
const GB_PER_MINUTE_AND_MBPS: f64 = 0.0075;

/// A card of which the newest figure is older than this many days is doubted.
const CARD_OLD_DAYS: i64 = 366;

/// Prices of this server; 0 is no price.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Prices {
    /// The word behind a price, such as `EUR`.
    pub currency: String,
    /// An hour of one core.
    pub cpu_hour: f64,
    /// A gigabyte (10^9 bytes) in the data directory for a month.
    pub gb_month: f64,
    /// What one unit of another currency is worth in ours.
    pub rates: BTreeMap<String, f64>,
    /// Which card a store or a host has, where it is not the usual one of its kind.
    pub cards: BTreeMap<String, String>,
    /// Where viewers are: the shares of regions.
    pub mix: Mix,
}

// None of them is not a number: `check` refuses it.
impl Eq for Prices {}

impl Default for Prices {
    fn default() -> Self {
        Self {
            currency: "EUR".to_owned(),
            cpu_hour: 0.0,
            gb_month: 0.0,
            rates: BTreeMap::new(),
            cards: BTreeMap::new(),
            mix: Mix::default(),
        }
    }
}

/// What a plan costs; what has no price is not there.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Cost {
    /// The encoding, once.
    pub encode: Option<f64>,
    /// What is stored besides the source, each month.
    pub month: Option<f64>,
}

impl Prices {
    /// Can something be calculated by them? None is below nothing, and none is endless.
    pub fn check(&self) -> bool {
        let price = |price: f64| price.is_finite() && price >= 0.0;
        let rate = |rate: &f64| rate.is_finite() && *rate > 0.0;
        price(self.cpu_hour) && price(self.gb_month) && self.rates.values().all(rate) && self.mix.check()
    }

    /// What so many bytes in the data directory cost each month; `None` when storage has no price here.
    pub fn of_stored(&self, bytes: u64) -> Option<f64> {
        (self.gb_month > 0.0).then_some(self.gb_month * gb(bytes))
    }

    /// What a plan of this estimate costs; `None` when nothing has a price here.
    #[expect(clippy::cast_precision_loss, reason = "an estimate is no exact number")]
    pub fn of(&self, estimate: &Estimate) -> Option<Cost> {
        let priced = |price: f64, amount: f64| (price > 0.0).then_some(price * amount);
        let encode =
            priced(self.cpu_hour, (estimate.cpu_ms + estimate.background_cpu_ms) as f64 / 3_600_000.0);
        let month = priced(self.gb_month, estimate.output_bytes as f64 / 1e9);
        (encode.is_some() || month.is_some()).then_some(Cost { encode, month })
    }
}

/// Gigabytes (10^9 bytes).
#[expect(clippy::cast_precision_loss, reason = "a price is no exact number")]
pub fn gb(bytes: u64) -> f64 {
    bytes as f64 / 1e9
}

/// Minutes.
#[expect(clippy::cast_precision_loss, reason = "a price is no exact number")]
pub fn minutes(ms: u64) -> f64 {
    ms as f64 / 60_000.0
}

/// Gigabytes of a minute of this rate.
pub fn gb_per_minute(mbps: f64) -> f64 {
    mbps * GB_PER_MINUTE_AND_MBPS
}

/// All cards, which place has which, and in what money sums are shown.
#[derive(Debug, Clone, PartialEq)]
pub struct Tariff {
    cards: BTreeMap<String, Card>,
    prices: Prices,
}

/// The money in which sums of several places are shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Money {
    /// Its word.
    pub currency: String,
    /// Amounts of these currencies have no rate, and were counted one to one.
    pub unrated: Vec<String>,
}

impl Tariff {
    /// The tariff of these cards; a later one replaces an earlier one of its name. What `prices` says of the data directory
    /// counts where its card has no price of its own.
    pub fn new(cards: impl IntoIterator<Item = Card>, prices: Prices) -> Self {
        let mut cards: BTreeMap<_, _> = cards.into_iter().map(|card| (card.name.clone(), card)).collect();
        for card in cards.values_mut() {
            if card.is_of(OWN) && card.is_free() && prices.gb_month > 0.0 {
                card.per_gb_stored = prices.gb_month;
                card.currency.clone_from(&prices.currency);
            }
        }
        Self { cards, prices }
    }

    /// All cards by their names.
    pub fn cards(&self) -> impl Iterator<Item = &Card> {
        self.cards.values()
    }

    /// The card of this name.
    pub fn named(&self, name: &str) -> Option<&Card> {
        self.cards.get(name)
    }

    /// The card of a place: the one that the configuration names, else the usual one of its kind.
    pub fn card(&self, place: &str, kind: &str) -> Option<&Card> {
        match self.prices.cards.get(place) {
            Some(name) => self.named(name),
            None => self.cards().find(|card| card.is_of(kind)),
        }
    }

    /// Where viewers are.
    pub fn mix(&self) -> &Mix {
        &self.prices.mix
    }

    /// What one unit of a currency is worth in ours, if that is known.
    fn rate(&self, currency: &str) -> Option<f64> {
        if currency == self.prices.currency { Some(1.0) } else { self.prices.rates.get(currency).copied() }
    }

    /// What so many bytes of a place cost each month in our own currency; `None` when they have no price here.
    pub fn of_stored(&self, (place, kind): (&str, &str), bytes: u64) -> Option<f64> {
        let card = self.card(place, kind).filter(|card| card.per_gb_stored > 0.0)?;
        Some(card.per_gb_stored * gb(bytes) * self.rate(&card.currency)?)
    }

    /// Our own currency.
    pub fn currency(&self) -> &str {
        &self.prices.currency
    }

    /// The money for sums of these cards: ours, when all can be changed into it; else theirs, when it is the same for all.
    pub fn money<'c>(&self, cards: impl Iterator<Item = &'c Card>) -> Money {
        let used: std::collections::BTreeSet<&str> =
            cards.filter(|card| !card.is_free()).map(|card| card.currency.as_str()).collect();
        let unrated: Vec<String> =
            used.iter().filter(|one| self.rate(one).is_none()).map(|&one| one.to_owned()).collect();
        match used.first() {
            Some(&only) if used.len() == 1 && !unrated.is_empty() => {
                Money { currency: only.to_owned(), unrated: Vec::new() }
            }
            Some(_) | None => Money { currency: self.prices.currency.clone(), unrated },
        }
    }

    /// An amount of a currency in this money.
    pub fn changed(&self, amount: f64, currency: &str, money: &Money) -> f64 {
        if currency == money.currency { amount } else { amount * self.rate(currency).unwrap_or(1.0) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_has_a_price_costs_something() {
        let estimate = Estimate {
            cpu_ms: 1_000_000,
            background_cpu_ms: 800_000,
            memory_bytes: 1,
            output_bytes: 2_000_000_000,
        };
        let of = |cpu_hour, gb_month| Prices { cpu_hour, gb_month, ..Prices::default() }.of(&estimate);
        assert_eq!(of(0.0, 0.0), None);
        assert_eq!(of(0.04, 0.0), Some(Cost { encode: Some(0.02), month: None }));
        assert_eq!(of(0.04, 0.005), Some(Cost { encode: Some(0.02), month: Some(0.01) }));
        for (wrong, fits) in [(-1.0, false), (f64::NAN, false), (f64::INFINITY, false), (0.1, true)] {
            assert_eq!(Prices { cpu_hour: wrong, ..Prices::default() }.check(), fits);
            let rates = BTreeMap::from([("USD".to_owned(), wrong)]);
            assert_eq!(Prices { rates, ..Prices::default() }.check(), fits);
        }
    }

    fn own() -> Card {
        Card { name: "own_server".to_owned(), of: vec![OWN.to_owned()], ..Card::default() }
    }

    fn bucket() -> Card {
        Card { name: "bucket".to_owned(), per_gb_stored: 0.5, ..Card::default() }
    }

    fn tariff(prices: Prices) -> Tariff {
        Tariff::new([own(), bucket()], prices)
    }

    #[test]
    fn the_data_directory_costs_what_the_prices_say_and_a_store_what_its_card_says() {
        let cards = BTreeMap::from([("attic".to_owned(), "bucket".to_owned())]);
        let prices = Prices { gb_month: 0.005, cards, ..Prices::default() };
        let none = tariff(Prices::default());
        assert_eq!(none.of_stored(("local", OWN), 2_000_000_000), None);
        let known = tariff(prices.clone());
        assert_eq!(known.of_stored(("local", OWN), 2_000_000_000), Some(0.01));
        assert_eq!(known.of_stored(("attic", "s3"), 2_000_000_000), None, "nobody knows what a dollar is");
        let rated = tariff(Prices { rates: BTreeMap::from([("USD".to_owned(), 0.9)]), ..prices });
        assert_eq!(rated.of_stored(("attic", "s3"), 2_000_000_000), Some(0.9));
        assert_eq!(rated.of_stored(("elsewhere", "s3"), 1), None);
    }

    #[test]
    fn sums_are_shown_in_one_money_and_what_could_not_be_changed_is_named() {
        let plain = tariff(Prices::default());
        let all = |tariff: &Tariff| {
            let money = tariff.money(tariff.cards());
            (money.currency.clone(), money.unrated.clone(), tariff.changed(10.0, "USD", &money))
        };
        assert_eq!(all(&plain), ("USD".to_owned(), Vec::new(), 10.0), "all that costs is in dollars");
        let mixed = tariff(Prices { gb_month: 0.1, ..Prices::default() });
        assert_eq!(all(&mixed), ("EUR".to_owned(), vec!["USD".to_owned()], 10.0));
        let rates = BTreeMap::from([("USD".to_owned(), 0.5)]);
        let changed = tariff(Prices { gb_month: 0.1, rates, ..Prices::default() });
        assert_eq!(all(&changed), ("EUR".to_owned(), Vec::new(), 5.0));
    }
}
