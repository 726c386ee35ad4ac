//! The account of a month: what each place costs, who bears how much of it, and what another place would cost instead.

use std::collections::BTreeMap;

use super::{Bill, Card, Money, Tariff, Usage};
use crate::id::{AppId, CollectionId, VideoId};

/// What of one video lies at a place and goes out from it.
#[derive(Debug, Clone, PartialEq)]
pub struct Line {
    /// The place: a store, a host, or our own delivery.
    pub place: String,
    /// What kind of place it is, for its usual card.
    pub kind: String,
    /// Who pays.
    pub app: AppId,
    /// Where the video is; none when it is gone.
    pub collection: Option<CollectionId>,
    /// The video.
    pub video: VideoId,
    /// What there was in this month so far.
    pub so_far: Usage,
    /// What the whole month is expected to be.
    pub month: Usage,
}

/// What somebody bears, in the money of the account.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Shared {
    /// In this month so far.
    pub so_far: f64,
    /// In the whole month, as expected.
    pub month: f64,
}

/// What a place costs, in the money of the account.
#[derive(Debug, Clone, PartialEq)]
pub struct PlaceSum {
    /// The place.
    pub place: String,
    /// The name of its card; none when nobody has said what it costs.
    pub card: Option<String>,
    /// What there was so far.
    pub usage: Usage,
    /// All of it.
    pub cost: Shared,
    /// What of it rounding, minimums and fees add, so that no video bears it.
    pub besides: Shared,
}

/// The account of a month.
#[derive(Debug, Clone, PartialEq)]
pub struct Account {
    /// The money of all its sums.
    pub money: Money,
    /// What each place costs, by name.
    pub places: Vec<PlaceSum>,
    /// What each line bears, in the order of the lines.
    pub lines: Vec<Shared>,
}

impl Account {
    /// All of it.
    pub fn total(&self) -> Shared {
        let add = |sum: Shared, one: &PlaceSum| Shared {
            so_far: sum.so_far + one.cost.so_far,
            month: sum.month + one.cost.month,
        };
        self.places.iter().fold(Shared::default(), add)
    }

    /// The shares of all lines that have a key, by key.
    pub fn by<K: Ord>(&self, lines: &[Line], key: impl Fn(&Line) -> Option<K>) -> BTreeMap<K, Shared> {
        let mut sums: BTreeMap<K, Shared> = BTreeMap::new();
        for (line, shared) in lines.iter().zip(&self.lines) {
            let Some(key) = key(line) else { continue };
            let sum = sums.entry(key).or_default();
            sum.so_far += shared.so_far;
            sum.month += shared.month;
        }
        sums
    }
}

/// The account of all lines, after a part of the month, from 0 to 1. `known` are places that cost something even when
/// nothing is there.
pub fn account(tariff: &Tariff, lines: &[Line], known: &[(String, String)], elapsed: f64) -> Account {
    let mut places: BTreeMap<&str, (&str, Usage, Usage)> = known
        .iter()
        .map(|(place, kind)| (place.as_str(), (kind.as_str(), Usage::default(), Usage::default())))
        .collect();
    for line in lines {
        let sums = places.entry(&line.place).or_insert((&line.kind, Usage::default(), Usage::default()));
        *sums = (sums.0, sums.1 + line.so_far, sums.2 + line.month);
    }
    let card = |place: &str, kind: &str| tariff.card(place, kind);
    let money = tariff.money(places.iter().filter_map(|(place, (kind, ..))| card(place, kind)));
    let free = Card::default();
    let billed: BTreeMap<&str, Billed<'_>> = places
        .iter()
        .map(|(place, (kind, so_far, month))| {
            let known = card(place, kind);
            let card = known.unwrap_or(&free);
            let bills = (card.month(so_far, tariff.mix()).after(elapsed), card.month(month, tariff.mix()));
            (
                *place,
                Billed { card, name: known.map(|card| card.name.clone()), usage: (*so_far, *month), bills },
            )
        })
        .collect();
    let shown = |amount: f64, card: &Card| tariff.changed(amount, &card.currency, &money);
    let both = |card: &Card, (so_far, month): (f64, f64)| Shared {
        so_far: shown(so_far, card),
        month: shown(month, card),
    };
    let share = |line: &Line| {
        let of = &billed[line.place.as_str()];
        let so_far = of.bills.0.share(&line.so_far, &of.usage.0);
        both(of.card, (so_far, of.bills.1.share(&line.month, &of.usage.1)))
    };
    Account {
        lines: lines.iter().map(share).collect(),
        places: billed
            .iter()
            .map(|(place, of)| PlaceSum {
                place: (*place).to_owned(),
                card: of.name.clone(),
                usage: of.usage.0,
                cost: both(of.card, (of.bills.0.total(), of.bills.1.total())),
                besides: both(of.card, (of.bills.0.besides, of.bills.1.besides)),
            })
            .collect(),
        money,
    }
}

struct Billed<'t> {
    card: &'t Card,
    name: Option<String>,
    usage: (Usage, Usage),
    bills: (Bill, Bill),
}

/// What a collection costs now, and what it would cost elsewhere.
#[derive(Debug, Clone, PartialEq)]
pub struct Moved {
    /// The money.
    pub money: Money,
    /// What it bears of a month now.
    pub now: f64,
    /// What a month would cost more there.
    pub then: f64,
    /// What it would cost once to bring it there.
    pub once: f64,
    /// What would lie there and go out from there.
    pub usage: Usage,
}

/// What if these lines moved to a place with this card? `minutes` is the length of each video.
pub fn moved(
    tariff: &Tariff,
    (lines, known): (&[Line], &[(String, String)]),
    wanted: impl Fn(&Line) -> bool,
    minutes: &BTreeMap<VideoId, f64>,
    to: &Card,
) -> Moved {
    let account = account(tariff, lines, known, 1.0);
    let has = |line: &&Line| tariff.card(&line.place, &line.kind).is_some_and(|card| card.name == to.name);
    // What stays at places of the same card is billed with it: free amounts and steps are for all of an account.
    let stays: Usage = lines.iter().filter(|line| has(line) && !wanted(line)).map(|line| line.month).sum();
    let usage = as_one(lines.iter().filter(|line| wanted(line)), minutes);
    let used = lines.iter().filter_map(|line| tariff.card(&line.place, &line.kind)).chain([to]);
    let money = tariff.money(used);
    let total = |usage: &Usage| to.month(usage, tariff.mix()).total();
    let shown = |amount: f64| tariff.changed(amount, &to.currency, &money);
    // The account may be in the only currency of what is there, and this money in ours.
    let now =
        lines.iter().zip(&account.lines).filter(|(line, _)| wanted(line)).map(|(_, shared)| shared.month);
    Moved {
        now: tariff.changed(now.sum(), &account.money.currency, &money),
        then: shown(total(&(stays + usage)) - total(&stays)),
        once: shown(to.per_minute_encoded * usage.stored_minutes),
        usage,
        money,
    }
}

/// The usage of videos that lie at one place instead of several: the most that lies of each anywhere, and all that goes out.
fn as_one<'l>(lines: impl Iterator<Item = &'l Line>, minutes: &BTreeMap<VideoId, f64>) -> Usage {
    let mut videos: BTreeMap<VideoId, Usage> = BTreeMap::new();
    for line in lines {
        let one = videos.entry(line.video).or_default();
        one.stored_gb = one.stored_gb.max(line.month.stored_gb);
        one.stored_minutes = minutes.get(&line.video).copied().unwrap_or(line.month.stored_minutes);
        one.delivered_gb += line.month.delivered_gb;
        one.delivered_minutes += line.month.delivered_minutes;
    }
    videos.into_values().sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::price::Prices;

    fn near(one: f64, other: f64) -> bool {
        (one - other).abs() < 1e-9
    }

    fn tariff() -> Tariff {
        let stream = Card {
            name: "stream".to_owned(),
            of: vec!["cloudflare".to_owned()],
            per_minute_stored: 0.005,
            block_minutes: 1_000.0,
            per_minute_delivered: 0.001,
            ..Card::default()
        };
        let bucket = Card {
            name: "bucket".to_owned(),
            per_gb_stored: 0.01,
            per_minute_encoded: 0.1,
            ..Card::default()
        };
        Tariff::new([stream, bucket], Prices::default())
    }

    fn line(video: u128, collection: u128, month: Usage) -> Line {
        Line {
            place: "cf".to_owned(),
            kind: "cloudflare".to_owned(),
            app: AppId::from_bits(collection),
            collection: Some(CollectionId::from_bits(collection)),
            video: VideoId::from_bits(video),
            so_far: Usage { delivered_minutes: month.delivered_minutes / 2.0, ..month },
            month,
        }
    }

    fn usage(stored_minutes: f64, delivered_minutes: f64) -> Usage {
        Usage { stored_minutes, delivered_minutes, stored_gb: 7.0, ..Usage::default() }
    }

    fn lines() -> Vec<Line> {
        vec![
            line(1, 1, usage(300.0, 2_000.0)),
            line(2, 1, usage(500.0, 0.0)),
            line(3, 2, usage(700.0, 1_000.0)),
        ]
    }

    #[test]
    fn videos_bear_their_part_and_the_place_the_rest() {
        let account = account(&tariff(), &lines(), &[("bn".to_owned(), "bunny".to_owned())], 0.5);
        assert_eq!(account.money.currency, "USD");
        let names: Vec<_> =
            account.places.iter().map(|one| (one.place.as_str(), one.card.as_deref())).collect();
        assert_eq!(names, [("bn", None), ("cf", Some("stream"))]);
        let cf = &account.places[1];
        // Two blocks of 1,000 minutes, of which 500 are nobody's; 3,000 minutes watched.
        assert!(near(cf.cost.month, 13.0) && near(cf.besides.month, 2.5), "{cf:?}");
        assert!(near(cf.cost.so_far, 5.0 + 1.5) && near(cf.besides.so_far, 1.25), "{cf:?}");
        let months: Vec<f64> = account.lines.iter().map(|one| one.month).collect();
        assert!([3.5, 2.5, 4.5].iter().zip(&months).all(|(wanted, is)| near(*wanted, *is)), "{months:?}");
        let apps = account.by(&lines(), |line| Some(line.app));
        assert!(near(apps[&AppId::from_bits(1)].month, 6.0), "{apps:?}");
        assert!(near(account.total().month, 13.0));
        let shares: f64 = account.lines.iter().map(|one| one.month).sum();
        assert!(near(shares + cf.besides.month, account.total().month), "the sum is the bill");
    }

    #[test]
    fn what_a_collection_would_cost_elsewhere_is_what_the_bill_there_would_grow_by() {
        let tariff = tariff();
        let minutes = BTreeMap::from([(VideoId::from_bits(1), 400.0)]);
        let mut lines = lines();
        // The same video lies at a second place, too: it would lie at one.
        lines.push(Line { place: "attic".to_owned(), kind: "disk".to_owned(), ..lines[0].clone() });
        lines[3].month = Usage { stored_gb: 20.0, ..Usage::default() };
        let of_first = |line: &Line| line.collection == Some(CollectionId::from_bits(1));
        let to = tariff.named("bucket").unwrap();
        let moved = moved(&tariff, (&lines, &[]), of_first, &minutes, to);
        assert!(near(moved.now, 6.0), "{moved:?}");
        assert!(near(moved.usage.stored_gb, 27.0) && near(moved.then, 0.27), "{moved:?}");
        assert!(near(moved.once, 0.1 * 900.0), "{moved:?}");
        let stream = tariff.named("stream").unwrap();
        let stays = super::moved(&tariff, (&lines, &[]), of_first, &minutes, stream);
        // 700 minutes of others fill a part of the first block already; 900 come, and 2,000 are watched.
        assert!(near(stays.then, 10.0 - 5.0 + 2.0), "{stays:?}");
    }
}
