//! What work and storage cost, when the operator says what an hour of a core and a gigabyte cost here.

use serde::{Deserialize, Serialize};

use crate::plan::Estimate;

/// Prices of this server; 0 is no price.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Prices {
    /// The word behind a price, such as `EUR`.
    pub currency: String,
    /// An hour of one core.
    pub cpu_hour: f64,
    /// A gigabyte (10^9 bytes) for a month.
    pub gb_month: f64,
}

// None of them is not a number: `check` refuses it.
impl Eq for Prices {}

impl Default for Prices {
    fn default() -> Self {
        Self { currency: "EUR".to_owned(), cpu_hour: 0.0, gb_month: 0.0 }
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
        price(self.cpu_hour) && price(self.gb_month)
    }

    /// What so many stored bytes cost each month; `None` when storage has no price here.
    #[expect(clippy::cast_precision_loss, reason = "a price is no exact number")]
    pub fn of_stored(&self, bytes: u64) -> Option<f64> {
        (self.gb_month > 0.0).then_some(self.gb_month * bytes as f64 / 1e9)
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
        let stored = |gb_month| Prices { gb_month, ..Prices::default() }.of_stored(2_000_000_000);
        assert_eq!((stored(0.0), stored(0.005)), (None, Some(0.01)));
        for (wrong, fits) in [(-1.0, false), (f64::NAN, false), (f64::INFINITY, false), (0.1, true)] {
            assert_eq!(Prices { cpu_hour: wrong, ..Prices::default() }.check(), fits);
        }
    }
}
