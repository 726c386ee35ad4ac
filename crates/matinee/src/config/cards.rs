//! Price cards: those that come with the release, and those that the configuration puts in their place.

use matinee_core::price::{Card, OWN};
use serde::Deserialize;

use super::{BadConfig, Config};

/// The cards of this release.
const SHIPPED: &str = include_str!("cards.toml");

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    card: Vec<Card>,
}

/// The cards of this release.
fn shipped() -> Vec<Card> {
    let file: File = toml::from_str(SHIPPED).expect("because a test reads the file that is built in");
    file.card
}

impl Config {
    /// The cards of this release, and behind them those that take their place.
    pub(crate) fn cards(&self) -> impl Iterator<Item = Card> {
        shipped().into_iter().chain(self.card.iter().cloned())
    }
}

/// Refuses what cannot be calculated with.
pub(super) fn check(config: &Config) -> Result<(), BadConfig> {
    for (at, card) in config.card.iter().enumerate() {
        card.check().map_err(|wrong| BadConfig(format!("[[card]] `{}`: {wrong}", card.name)))?;
        if config.card[..at].iter().any(|other| other.name == card.name) {
            return Err(BadConfig(format!("two [[card]] have the name `{}`", card.name)));
        }
    }
    if config.host.iter().any(|host| host.name == OWN) {
        return Err(BadConfig(format!("a [[host]] cannot be called `{OWN}`: that is this server")));
    }
    let known: Vec<String> = config.cards().map(|card| card.name).collect();
    for (place, card) in &config.prices.cards {
        if !known.contains(card) {
            return Err(BadConfig(format!(
                "`prices.cards.{place} = \"{card}\"` names no price card; there are: {}",
                known.join(", ")
            )));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use matinee_core::price::{Mix, Usage, gb_per_minute};

    fn card(name: &str) -> Card {
        shipped().into_iter().find(|card| card.name == name).unwrap()
    }

    #[test]
    fn the_cards_of_the_release_are_good_and_say_where_they_come_from() {
        let all = shipped();
        for card in &all {
            assert_eq!(card.check(), Ok(()), "{}", card.name);
            assert!(!card.title.is_empty() && !card.source.is_empty(), "{}", card.name);
        }
        for kind in [OWN, "disk", "cloudflare", "bunny"] {
            assert_eq!(all.iter().filter(|card| card.is_of(kind)).count(), 1, "{kind}");
        }
    }

    /// The worked numbers of the specification: delivered at 3 Mbit/s, stored as a ladder of 10.6 Mbit/s, all viewers in Europe
    /// and North America, an own server at 60 for each 113.4 TB.
    #[test]
    fn the_worked_numbers_come_out() {
        const PLACES: [&str; 9] = [
            "cloudflare_stream",
            "bunny_standard",
            "bunny_volume",
            "backblaze_b2",
            "backblaze_b2_bunny",
            "cloudflare_r2",
            "aws_s3",
            "aws_s3_cloudfront",
            "own_server",
        ];
        let rows = [
            (1e3, 1e4, [15.0, 3.045, 1.92, 0.477, 1.602, 1.05, 13.0785, 1.8285, 60.0]),
            (1e4, 1e5, [150.0, 30.45, 19.20, 4.77, 16.02, 11.775, 211.785, 124.535, 60.0]),
            (1e4, 1e6, [1_050.0, 232.95, 120.45, 205.92, 117.27, 11.775, 1_972.285, 1_787.0, 60.0]),
            (1e5, 1e6, [1_500.0, 304.50, 192.00, 47.70, 160.20, 119.10, 2_136.85, 1_952.0, 60.0]),
            (
                1e5,
                1e7,
                [10_500.0, 2_329.50, 1_204.50, 2_059.20, 1_172.70, 151.50, 15_227.85, 18_131.0, 120.0],
            ),
        ];
        for (stored, delivered, costs) in rows {
            let usage = Usage {
                stored_gb: stored * gb_per_minute(10.6),
                stored_minutes: stored,
                delivered_gb: delivered * gb_per_minute(3.0),
                delivered_minutes: delivered,
            };
            for (name, expected) in PLACES.into_iter().zip(costs) {
                let mut card = card(name);
                if name == "own_server" {
                    card.month_fee = 60.0;
                }
                let cost = card.month(&usage, &Mix::default()).total();
                let fits = match (name, delivered >= 1e7, delivered >= 1e6) {
                    // "about" and "below": the specification had no borders of its steps.
                    ("aws_s3_cloudfront", true, _) => cost < expected,
                    ("aws_s3_cloudfront", false, true) => (cost - expected).abs() < 2.0,
                    _ => (cost - expected).abs() < 1e-6,
                };
                assert!(fits, "{name}, {stored} and {delivered} minutes: {cost}, not {expected}");
            }
        }
    }

    #[test]
    fn a_card_of_the_configuration_says_what_is_wrong_with_it() {
        let checked = |text: &str| {
            let config: Config = toml::from_str(text).unwrap();
            check(&config).map_err(|error| error.to_string())
        };
        let good = "[[card]]\nname = \"cellar\"\ndate = \"2026-11\"\nper_gb_stored = 0.002\n[prices.cards]\nattic = \"cellar\"\n";
        assert_eq!(checked(good), Ok(()));
        for (text, told) in [
            (good.replace("2026-11", "today"), "[[card]] `cellar`: `date`"),
            (good.replace("attic = \"cellar\"", "attic = \"celar\""), "names no price card"),
            (format!("[[card]]\nname = \"cellar\"\ndate = \"2026\"\n{good}"), "two [[card]]"),
            ("[[host]]\nname = \"matinee\"\n".to_owned(), "cannot be called `matinee`"),
        ] {
            let found = checked(&text).unwrap_err();
            assert!(found.contains(told), "{told}: {found}");
        }
    }
}
