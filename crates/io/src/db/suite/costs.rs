//! What went out, what lies where, and price cards.

use matinee_core::id::VideoId;
use matinee_core::ledger::State;
use matinee_core::price::Card;

use super::support::{Bench, T0, id, on_both};
use crate::db::{DbError, Egress, Sent};

on_both! {
    a_sum_counts_once_however_often_it_is_sent
    what_went_out_is_read_by_day_and_paid_for_by_the_app_of_its_video
    nodes_add_to_the_same_rows
    what_lies_somewhere_is_counted_until_it_is_gone
    a_card_is_written_over_and_forgotten
}

const DAY: i64 = 20_000;

fn sent(place: &str, video: VideoId, bytes: u64) -> Sent {
    Sent { place: place.to_owned(), video, bytes, media_ms: bytes * 2, starts: 1 }
}

impl Bench {
    async fn went(&self, seq: u64, day: i64, sum: &[Sent]) -> bool {
        self.db.add_egress(("node/1", seq), day, sum, self.app, T0).await.unwrap()
    }

    async fn bytes(&self, days: (i64, i64)) -> Vec<(String, u64)> {
        let all = self.db.egress(days).await.unwrap();
        all.into_iter().map(|one| (one.sent.place, one.sent.bytes)).collect()
    }
}

async fn a_sum_counts_once_however_often_it_is_sent(bench: Bench) {
    let (video, _) = bench.brought().await;
    assert!(bench.went(1, DAY, &[sent("matinee", video, 10)]).await);
    assert!(!bench.went(1, DAY, &[sent("matinee", video, 10)]).await, "its answer was lost");
    assert!(bench.went(2, DAY, &[sent("matinee", video, 5)]).await);
    assert!(!bench.went(1, DAY, &[sent("matinee", video, 10)]).await, "it comes late");
    assert_eq!(bench.bytes((DAY, DAY)).await, [("matinee".to_owned(), 15)]);
    // Another run of the same node begins at 1 again, under its own name.
    assert!(
        bench.db.add_egress(("node/2", 1), DAY, &[sent("matinee", video, 1)], bench.app, T0).await.unwrap()
    );
    assert_eq!(bench.bytes((DAY, DAY)).await, [("matinee".to_owned(), 16)]);
}

async fn what_went_out_is_read_by_day_and_paid_for_by_the_app_of_its_video(bench: Bench) {
    let (video, _) = bench.brought().await;
    let (gone, payer): (VideoId, _) = (id(), id());
    let sum = [sent("matinee", video, 10), sent("cf", video, 3), sent("matinee", gone, 7)];
    bench.db.add_egress(("n/1", 1), DAY, &sum, payer, T0).await.unwrap();
    bench.db.add_egress(("n/1", 2), DAY + 1, &sum[..1], payer, T0).await.unwrap();
    let all = bench.db.egress((DAY, DAY + 1)).await.unwrap();
    let of = |place: &str, video: VideoId| {
        let found = all.iter().find(|one| one.sent.place == place && one.sent.video == video).cloned();
        found.unwrap_or_else(|| panic!("{place}: {all:?}"))
    };
    let twice = Sent { bytes: 20, media_ms: 40, starts: 2, ..sum[0].clone() };
    assert_eq!(of("matinee", video), Egress { app: bench.app, sent: twice });
    assert_eq!(of("cf", video).app, bench.app);
    assert_eq!(of("matinee", gone).app, payer, "nobody knows whose it was");
    assert_eq!(bench.db.egress((DAY + 2, DAY + 9)).await.unwrap(), []);
    let places = bench.db.egress_of_places(DAY).await.unwrap();
    assert_eq!(places, [("cf".to_owned(), 3, 6), ("matinee".to_owned(), 27, 54)]);
    assert_eq!(bench.db.egress_since().await.unwrap(), Some(DAY));
    assert_eq!(bench.db.prune_egress(DAY + 1).await.unwrap(), 3);
    assert_eq!(bench.db.egress_since().await.unwrap(), Some(DAY + 1));
}

async fn nodes_add_to_the_same_rows(bench: Bench) {
    let mut videos = Vec::new();
    for _ in 0..3 {
        videos.push(bench.brought().await.0);
    }
    let other = bench.other_node().await;
    let forth: Vec<Sent> = videos.iter().map(|video| sent("matinee", *video, 1)).collect();
    let back: Vec<Sent> = forth.iter().rev().cloned().collect();
    let add = async |bench: &Bench, holder: &str, sum: &[Sent]| {
        for seq in 1..=20 {
            bench.db.add_egress((holder, seq), DAY, sum, bench.app, T0).await.unwrap();
        }
    };
    tokio::join!(add(&bench, "a/1", &forth), add(&other, "b/1", &back));
    assert_eq!(bench.db.egress_of_places(DAY).await.unwrap(), [("matinee".to_owned(), 120, 240)]);
}

async fn what_lies_somewhere_is_counted_until_it_is_gone(bench: Bench) {
    let (video, source) = bench.brought().await;
    let lying = async || {
        let all = bench.db.holdings().await.unwrap();
        all.into_iter().filter(|one| one.video == video).collect::<Vec<_>>()
    };
    let before = lying().await;
    assert_eq!(before.len(), 1, "{before:?}");
    assert_eq!((before[0].place.as_str(), before[0].app), ("local", bench.app));
    let named = bench.db.videos_named().await.unwrap();
    assert_eq!(named.iter().map(|one| one.video).collect::<Vec<_>>(), [video]);
    bench.db.delete_video(bench.app, video, T0).await.unwrap();
    assert_eq!(bench.db.videos_named().await.unwrap(), []);
    assert_eq!(lying().await, before, "its bytes are paid for until they are gone");
    let entry = crate::db::first_entry(source);
    let known = bench.db.ledger_due(T0, 10).await.unwrap();
    assert!(known.iter().any(|one| one.id == entry && one.state == State::ToDelete), "{known:?}");
    bench.db.ledger_gone(entry, serde_json::json!({}), T0).await.unwrap();
    assert_eq!(lying().await, []);
}

async fn a_card_is_written_over_and_forgotten(bench: Bench) {
    let card = |per_gb_stored| Card { name: "b2".to_owned(), per_gb_stored, ..Card::default() };
    bench.db.put_price_card(&card(0.006), T0).await.unwrap();
    bench.db.put_price_card(&card(0.007), T0).await.unwrap();
    assert_eq!(bench.db.price_cards().await.unwrap(), [card(0.007)]);
    bench.db.remove_price_card("b2").await.unwrap();
    assert!(matches!(bench.db.remove_price_card("b2").await, Err(DbError::Absent)));
    assert_eq!(bench.db.price_cards().await.unwrap(), []);
}
