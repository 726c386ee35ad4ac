//! What all of it costs: this month so far, what it will be, who bears it, and what if something moved; and the price cards.

use std::collections::{BTreeMap, HashMap};

use matinee_core::calendar::{day, month};
use matinee_core::id::{AppId, CollectionId, VideoId};
use matinee_core::price::{Account, Card, Line, Moved, Tariff, Usage, account, gb, minutes, moved};
use matinee_core::time::Millis;
use matinee_io::db::{DbError, Egress, Holding, Named};

use super::tariff::{place_of, places, tariff};
use super::{Failure, now};
use crate::node::Node;

/// What goes out in a day is the mean of so many days.
const MEAN_DAYS: i64 = 30;

/// The account of this month.
pub(crate) struct Report {
    /// The month, such as `2026-11`.
    pub(crate) month: String,
    /// How much of it is over, from 0 to 1.
    pub(crate) elapsed: f64,
    pub(crate) tariff: Tariff,
    pub(crate) lines: Vec<Line>,
    pub(crate) account: Account,
    /// Every video that is not deleted.
    pub(crate) videos: HashMap<VideoId, Named>,
    /// Where the bytes are not counted but follow from the viewers that were sent there.
    pub(crate) estimated: Vec<String>,
    pub(crate) at: Millis,
}

/// What is known of all places and videos.
struct Known {
    lines: Vec<Line>,
    videos: HashMap<VideoId, Named>,
    places: Vec<(String, String)>,
    estimated: Vec<String>,
}

/// The account of this month, of all apps: free amounts and steps are for all together.
pub(crate) async fn report(node: &Node) -> Result<Report, Failure> {
    let at = now();
    let (month, begins, ends) = month(at);
    #[expect(clippy::cast_precision_loss, reason = "a share of a month needs no exact number")]
    let elapsed = at.since(begins) as f64 / ends.since(begins) as f64;
    let tariff = tariff(node).await?;
    let known = known(node, at).await?;
    let account = account(&tariff, &known.lines, &known.places, elapsed);
    let Known { lines, videos, estimated, .. } = known;
    Ok(Report { month, elapsed, tariff, lines, account, videos, estimated, at })
}

/// What if a collection moved to a place with this card? [`Failure::Absent`] when there is no such collection.
pub(crate) async fn what_if(
    node: &Node,
    (app, collection): (AppId, CollectionId),
    card: &str,
) -> Result<Moved, Failure> {
    node.db.collection(app, collection).await?.ok_or(Failure::Absent)?;
    let tariff = tariff(node).await?;
    let Some(to) = tariff.named(card) else {
        let known: Vec<&str> = tariff.cards().map(|card| card.name.as_str()).collect();
        let human = format!("There is no price card `{card}`; there are: {}.", known.join(", "));
        return Err(Failure::Refused { conflict: false, human });
    };
    let known = known(node, now()).await?;
    let lengths = known.videos.values().filter_map(|video| Some((video.video, minutes(video.duration_ms?))));
    let lengths: BTreeMap<_, _> = lengths.collect();
    let wanted = |line: &Line| line.collection == Some(collection);
    Ok(moved(&tariff, (&known.lines, &known.places), wanted, &lengths, to))
}

async fn known(node: &Node, at: Millis) -> Result<Known, Failure> {
    let (_, begins, ends) = month(at);
    let today = day(at);
    let first = node.db.egress_since().await?.unwrap_or(today);
    let mean_from = first.max(today - MEAN_DAYS);
    let so_far = node.db.egress((day(begins), today)).await?;
    // Today is not over yet.
    let mean = if mean_from < today { node.db.egress((mean_from, today - 1)).await? } else { Vec::new() };
    #[expect(clippy::cast_precision_loss, reason = "a mean needs no exact number")]
    let per_day = 1.0 / (today - mean_from).max(1) as f64;
    #[expect(clippy::cast_precision_loss, reason = "a forecast needs no exact number")]
    let left_days = ends.since(at) as f64 / 86_400_000.0;
    let estimated = so_far.iter().filter(|one| one.sent.bytes == 0 && one.sent.media_ms > 0);
    let mut estimated: Vec<String> = estimated.map(|one| one.sent.place.clone()).collect();
    estimated.dedup();
    let videos = node.db.videos_named().await?.into_iter().map(|video| (video.video, video)).collect();
    let mut book = Book { node, videos: &videos, lines: BTreeMap::new() };
    for holding in node.db.holdings().await? {
        book.holds(&holding);
    }
    for one in &so_far {
        let delivered = Usage::delivered(one.sent.bytes, one.sent.media_ms);
        book.sent(one, delivered, delivered);
    }
    for one in &mean {
        let delivered = Usage::delivered(one.sent.bytes, one.sent.media_ms);
        book.sent(one, Usage::default(), delivered.times(per_day * left_days));
    }
    let lines = book.lines.into_values().collect();
    Ok(Known { lines, places: places(node), estimated, videos })
}

/// The lines of the account while they are written.
struct Book<'n> {
    node: &'n Node,
    videos: &'n HashMap<VideoId, Named>,
    lines: BTreeMap<(String, VideoId), Line>,
}

impl Book<'_> {
    fn holds(&mut self, holding: &Holding) {
        let stored = Usage {
            stored_gb: gb(holding.bytes),
            stored_minutes: minutes(holding.duration_ms),
            ..Usage::default()
        };
        self.add((&holding.place, holding.app, holding.video), stored, stored);
    }

    fn sent(&mut self, one: &Egress, so_far: Usage, month: Usage) {
        self.add((&one.sent.place, one.app, one.sent.video), so_far, month);
    }

    fn add(&mut self, (place, app, video): (&str, AppId, VideoId), so_far: Usage, month: Usage) {
        let (place, kind) = place_of(self.node, place);
        let known = self.videos.get(&video);
        let new = || Line {
            place: place.to_owned(),
            kind: kind.to_owned(),
            app: known.map_or(app, |known| known.app),
            collection: known.map(|known| known.collection),
            video,
            so_far: Usage::default(),
            month: Usage::default(),
        };
        let line = self.lines.entry((place.to_owned(), video)).or_insert_with(new);
        line.so_far = line.so_far + so_far;
        line.month = line.month + month;
    }
}

/// The names of apps and of the collections of one of them.
pub(crate) async fn names(
    node: &Node,
    app: AppId,
) -> Result<(HashMap<AppId, String>, HashMap<CollectionId, String>), Failure> {
    let apps = node.db.apps().await?.into_iter().map(|app| (app.id, app.name));
    let mut collections = HashMap::new();
    for one in node.db.collections(app).await? {
        collections.insert(one.id, one.name);
    }
    Ok((apps.collect(), collections))
}

/// All cards that count, by name, and whether they were written here.
pub(crate) async fn cards(node: &Node) -> Result<Vec<(Card, bool)>, Failure> {
    let written = node.db.price_cards().await?;
    let tariff = tariff(node).await?;
    let is_written = |card: &Card| written.iter().any(|one| one.name == card.name);
    Ok(tariff.cards().map(|card| (card.clone(), is_written(card))).collect())
}

/// Writes a card over the one of its name.
pub(crate) async fn put_card(node: &Node, card: &Card) -> Result<(), Failure> {
    card.check().map_err(|human| Failure::Refused { conflict: false, human })?;
    Ok(node.db.put_price_card(card, now()).await?)
}

/// Forgets a card that was written here: what the configuration or the release says counts again.
pub(crate) async fn remove_card(node: &Node, name: &str) -> Result<(), Failure> {
    match node.db.remove_price_card(name).await {
        Err(DbError::Absent) => Err(Failure::Absent),
        done => Ok(done?),
    }
}
