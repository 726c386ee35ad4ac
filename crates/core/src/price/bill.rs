//! The bill of a place for a month: the linear part, which videos share, and what rounding, minimums and fees add.

use std::iter::Sum;
use std::ops::Add;

use super::card::{Card, Mix};
use super::{MBPS_UNKNOWN, gb, gb_per_minute, minutes};

/// What lies at a place and goes out from it in a month.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Usage {
    /// Gigabytes stored.
    pub stored_gb: f64,
    /// Minutes of video stored.
    pub stored_minutes: f64,
    /// Gigabytes delivered.
    pub delivered_gb: f64,
    /// Minutes of video delivered.
    pub delivered_minutes: f64,
}

impl Usage {
    /// What was delivered: where nobody has counted the bytes they follow from the time, and the time from them.
    pub fn delivered(bytes: u64, media_ms: u64) -> Self {
        let per_minute = gb_per_minute(MBPS_UNKNOWN);
        let (delivered_gb, delivered_minutes) = match (bytes, media_ms) {
            (0, ms) => (minutes(ms) * per_minute, minutes(ms)),
            (bytes, 0) => (gb(bytes), gb(bytes) / per_minute),
            (bytes, ms) => (gb(bytes), minutes(ms)),
        };
        Self { delivered_gb, delivered_minutes, ..Self::default() }
    }

    /// The same as often.
    #[must_use]
    pub fn times(self, factor: f64) -> Self {
        Self {
            stored_gb: self.stored_gb * factor,
            stored_minutes: self.stored_minutes * factor,
            delivered_gb: self.delivered_gb * factor,
            delivered_minutes: self.delivered_minutes * factor,
        }
    }
}

impl Add for Usage {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            stored_gb: self.stored_gb + other.stored_gb,
            stored_minutes: self.stored_minutes + other.stored_minutes,
            delivered_gb: self.delivered_gb + other.delivered_gb,
            delivered_minutes: self.delivered_minutes + other.delivered_minutes,
        }
    }
}

impl Sum for Usage {
    fn sum<I: Iterator<Item = Self>>(all: I) -> Self {
        all.fold(Self::default(), Add::add)
    }
}

/// What a month costs at a place, in the currency of its card.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Bill {
    /// Gigabytes stored.
    pub stored_gb: f64,
    /// Minutes stored.
    pub stored_minutes: f64,
    /// Gigabytes delivered.
    pub delivered_gb: f64,
    /// Minutes delivered.
    pub delivered_minutes: f64,
    /// Requests.
    pub requests: f64,
    /// What rounding, minimums and fees add.
    pub besides: f64,
}

impl Bill {
    /// All of it.
    pub fn total(&self) -> f64 {
        self.linear() + self.besides
    }

    /// What follows from what is stored and delivered.
    fn linear(&self) -> f64 {
        self.stored() + self.delivered()
    }

    /// What is paid for lying there.
    pub fn stored(&self) -> f64 {
        self.stored_gb + self.stored_minutes
    }

    /// What is paid for going out.
    pub fn delivered(&self) -> f64 {
        self.delivered_gb + self.delivered_minutes + self.requests
    }

    /// The same after a part of the month, from 0 to 1: what lies there is paid for day by day.
    #[must_use]
    pub fn after(&self, elapsed: f64) -> Self {
        Self {
            stored_gb: self.stored_gb * elapsed,
            stored_minutes: self.stored_minutes * elapsed,
            besides: self.besides * elapsed,
            ..*self
        }
    }

    /// What `part` of the `whole` that this bill is for has to bear of it. The shares of all parts make the linear bill.
    pub fn share(&self, part: &Usage, whole: &Usage) -> f64 {
        let of = |cost: f64, part: f64, whole: f64| if whole > 0.0 { cost * part / whole } else { 0.0 };
        of(self.stored_gb, part.stored_gb, whole.stored_gb)
            + of(self.stored_minutes, part.stored_minutes, whole.stored_minutes)
            + of(self.delivered_gb, part.delivered_gb, whole.delivered_gb)
            + of(self.delivered_minutes + self.requests, part.delivered_minutes, whole.delivered_minutes)
    }
}

impl Card {
    /// The bill of a month.
    pub fn month(&self, usage: &Usage, mix: &Mix) -> Bill {
        let stored_gb = (usage.stored_gb - self.free_gb_stored).max(0.0);
        let paid_gb = usage.delivered_gb - self.free_gb(usage.delivered_gb, usage.stored_gb);
        let requests = (self.million_requests(usage.delivered_minutes) - self.free_million_requests).max(0.0);
        let mut bill = Bill {
            stored_gb: self.per_gb_stored * stored_gb,
            stored_minutes: self.per_minute_stored * usage.stored_minutes,
            delivered_gb: self.of_delivered(paid_gb, mix),
            delivered_minutes: self.per_minute_delivered * usage.delivered_minutes,
            requests: self.per_million_requests * requests,
            besides: 0.0,
        };
        bill.besides = self.rounding(stored_gb, usage.stored_minutes) + self.fee(usage.delivered_gb);
        bill.besides += (self.month_min - bill.total()).max(0.0);
        bill
    }

    /// What a minute more costs that is delivered at this rate, after what this month has seen.
    pub fn next_minute(&self, so_far: &Usage, gb_per_minute: f64, mix: &Mix) -> f64 {
        let free = self.free_gb_delivered.max(self.free_times_stored * so_far.stored_gb);
        let per_gb =
            if so_far.delivered_gb < free { 0.0 } else { self.per_gb_at(so_far.delivered_gb - free, mix) };
        let asked = self.million_requests(so_far.delivered_minutes);
        let per_request = if asked < self.free_million_requests { 0.0 } else { self.per_million_requests };
        per_gb.mul_add(gb_per_minute, self.per_minute_delivered) + per_request * self.million_requests(1.0)
    }

    fn million_requests(&self, minutes: f64) -> f64 {
        minutes * 60.0 / self.request_s / 1e6
    }

    /// What is paid for because units are not divided.
    fn rounding(&self, paid_gb: f64, minutes: f64) -> f64 {
        let gb = if self.whole_gb_stored { paid_gb.ceil() - paid_gb } else { 0.0 };
        let blocks = if self.block_minutes > 0.0 {
            (minutes / self.block_minutes).ceil() * self.block_minutes - minutes
        } else {
            0.0
        };
        gb.mul_add(self.per_gb_stored, blocks * self.per_minute_stored)
    }

    fn fee(&self, delivered_gb: f64) -> f64 {
        let times = if self.fee_gb_delivered > 0.0 {
            (delivered_gb / self.fee_gb_delivered).ceil().max(1.0)
        } else {
            1.0
        };
        self.month_fee * times
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::price::Step;
    use proptest::prelude::*;

    fn near(one: f64, other: f64) -> bool {
        (one - other).abs() < 1e-6 * one.abs().max(1.0)
    }

    fn card() -> Card {
        Card {
            per_minute_stored: 0.005,
            block_minutes: 1_000.0,
            per_gb_stored: 0.015,
            free_gb_stored: 10.0,
            whole_gb_stored: true,
            per_minute_delivered: 0.001,
            delivery: vec![
                Step { region: None, up_to_gb: Some(100.0), per_gb: 0.09 },
                Step { region: None, up_to_gb: None, per_gb: 0.05 },
            ],
            free_gb_delivered: 5.0,
            per_million_requests: 0.36,
            free_million_requests: 0.001,
            month_min: 1.0,
            ..Card::default()
        }
    }

    #[test]
    fn what_rounding_minimums_and_fees_add_is_a_line_of_its_own() {
        let month = |card: &Card, usage: Usage| card.month(&usage, &Mix::default());
        let blocks = month(&card(), Usage { stored_minutes: 1_500.0, ..Usage::default() });
        assert!(near(blocks.stored(), 7.5) && near(blocks.besides, 2.5), "{blocks:?}");
        let rounded = month(&card(), Usage { stored_gb: 79.5, ..Usage::default() });
        assert!(near(rounded.stored(), 1.042_5) && near(rounded.besides, 0.007_5), "{rounded:?}");
        let least = month(&card(), Usage { stored_minutes: 0.0, stored_gb: 11.0, ..Usage::default() });
        assert!(near(least.total(), 1.0), "{least:?}");
        let server = Card { month_fee: 60.0, fee_gb_delivered: 100.0, ..Card::default() };
        for (gb, cost) in [(0.0, 60.0), (100.0, 60.0), (100.1, 120.0)] {
            assert!(
                near(month(&server, Usage { delivered_gb: gb, ..Usage::default() }).total(), cost),
                "{gb}"
            );
        }
    }

    #[test]
    fn what_nobody_has_counted_follows_from_what_was() {
        let delivered = |bytes, ms| {
            let usage = Usage::delivered(bytes, ms);
            (usage.delivered_gb, usage.delivered_minutes)
        };
        for ((bytes, ms), (gb, minutes)) in [
            ((0, 0), (0.0, 0.0)),
            ((0, 600_000), (0.225, 10.0)),
            ((225_000_000, 0), (0.225, 10.0)),
            ((1_000_000_000, 600_000), (1.0, 10.0)),
        ] {
            let found = delivered(bytes, ms);
            assert!(near(found.0, gb) && near(found.1, minutes), "{bytes} {ms}: {found:?}");
        }
    }

    #[test]
    fn the_next_minute_is_free_as_long_as_something_is_free() {
        let next = |gb: f64, minutes: f64| {
            let so_far = Usage { delivered_gb: gb, delivered_minutes: minutes, ..Usage::default() };
            card().next_minute(&so_far, 0.0225, &Mix::default())
        };
        let requests = 0.36 * 10.0 / 1e6;
        for (gb, minutes, cost) in [
            (0.0, 0.0, 0.001),
            (5.0, 0.0, 0.001 + 0.0225 * 0.09),
            (105.0, 0.0, 0.001 + 0.0225 * 0.05),
            (0.0, 100.0, 0.001 + requests),
        ] {
            assert!(near(next(gb, minutes), cost), "{gb} {minutes}: {}", next(gb, minutes));
        }
    }

    proptest! {
        /// D4: what the videos bear and the line of its own make the bill.
        #[test]
        fn the_shares_of_all_make_the_bill(
            parts in proptest::collection::vec((0.0..500.0_f64, 0.0..5e3_f64, 0.0..300.0_f64, 0.0..9e4_f64), 1..30),
        ) {
            let parts: Vec<Usage> = parts.into_iter().map(|(gb, minutes, out, watched)| Usage {
                stored_gb: gb, stored_minutes: minutes, delivered_gb: out, delivered_minutes: watched,
            }).collect();
            let whole: Usage = parts.iter().copied().sum();
            let bill = card().month(&whole, &Mix::default());
            let shares: f64 = parts.iter().map(|part| bill.share(part, &whole)).sum();
            prop_assert!(near(shares + bill.besides, bill.total()), "{} {:?}", shares, bill);
        }

        /// A bill never falls when more is stored or delivered.
        #[test]
        fn more_never_costs_less(gb in 0.0..1e3_f64, minutes in 0.0..1e4_f64, out in 0.0..1e3_f64, more in 0.0..100.0_f64) {
            let card = Card { free_times_stored: 0.0, ..card() };
            let usage = Usage { stored_gb: gb, stored_minutes: minutes, delivered_gb: out, delivered_minutes: minutes };
            let total = |usage: Usage| card.month(&usage, &Mix::default()).total();
            let before = total(usage);
            for grown in [
                Usage { stored_gb: gb + more, ..usage },
                Usage { stored_minutes: minutes + more, ..usage },
                Usage { delivered_gb: out + more, ..usage },
                Usage { delivered_minutes: minutes + more, ..usage },
            ] {
                prop_assert!(total(grown) >= before - 1e-9);
            }
        }
    }
}
