//! What a listener of an assembly was told already, in the id of the event it heard last: so nothing is told twice after a lost
//! connection or a restart, and no server has to remember who listens.

use std::collections::BTreeSet;

/// Something that is told once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Item {
    /// All files that were announced have arrived.
    Arrived,
    /// All of them were looked at.
    Examined,
    /// The file of this number, from 1, has arrived.
    File(u32),
    /// What this step, from 0, has made of the file of this number.
    Result(u32, u32),
}

/// What was told, for an assembly with this many steps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Told {
    steps: u32,
    places: BTreeSet<u32>,
}

/// Longest id in characters: more than the most files with the most steps need.
const ID_CHARS_MAX: usize = 2_048;

impl Told {
    /// Nothing was told.
    pub const fn nothing(steps: u32) -> Self {
        Self { steps, places: BTreeSet::new() }
    }

    /// Reads the id of the last event; what is none says that nothing was told.
    pub fn read(steps: u32, id: &str) -> Self {
        let mut told = Self::nothing(steps);
        if id.len() <= ID_CHARS_MAX && id.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            for (at, digit) in (0_u32..).zip(id.chars().filter_map(|digit| digit.to_digit(16))) {
                told.places.extend((0..4).filter(|bit| digit >> bit & 1 == 1).map(|bit| at * 4 + bit));
            }
        }
        told
    }

    /// Notes that this is told now; `false` when it was told before.
    pub fn add(&mut self, item: Item) -> bool {
        let width = self.steps + 1;
        let place = match item {
            Item::Arrived => 0,
            Item::Examined => 1,
            Item::File(number) => 2 + number.saturating_sub(1) * width,
            Item::Result(number, step) => 2 + number.saturating_sub(1) * width + 1 + step,
        };
        self.places.insert(place)
    }

    /// The id of an event after which this much was told: one bit for each item.
    pub fn id(&self) -> String {
        let digits = self.places.last().map_or(1, |last| last / 4 + 1);
        let digit = |at: u32| {
            let bits = (0..4).filter(|bit| self.places.contains(&(at * 4 + bit)));
            char::from_digit(bits.fold(0, |digit, bit| digit | 1 << bit), 16).unwrap_or('0')
        };
        (0..digits).map(digit).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn nothing_is_told_twice() {
        let mut told = Told::nothing(3);
        assert_eq!(told.id(), "0");
        for item in [Item::File(2), Item::Arrived, Item::Result(2, 2), Item::Result(1, 0)] {
            assert!(told.add(item), "{item:?}");
            assert!(!told.add(item), "{item:?}");
        }
        let mut again = Told::read(3, &told.id());
        assert_eq!(again, told);
        assert!(!again.add(Item::Result(2, 2)) && again.add(Item::File(3)) && again.add(Item::Examined));
    }

    #[test]
    fn what_is_no_id_says_nothing() {
        for wrong in ["", "x", "-1", &"f".repeat(ID_CHARS_MAX + 4)] {
            assert_eq!(Told::read(3, wrong), Told::nothing(3), "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn an_id_says_what_was_told(places in prop::collection::btree_set(0_u32..2_000, 0..60)) {
            let told = Told { steps: 5, places };
            prop_assert_eq!(Told::read(5, &told.id()), told);
        }
    }
}
