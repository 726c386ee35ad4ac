//! How long a claim takes beside many rows: a measurement that `benches/run queue` starts, no test.

use matinee_core::job::State;
use serde_json::json;

use super::schedule::fill;
use super::support::{Bench, T0, wish};
use crate::clock::Stopwatch;

/// So many claims are measured in each case.
const CLAIMS: i64 = 200;
/// Rows that wait, rows whose time has not come, rows that are done.
const CASES: [(i64, i64, i64); 5] =
    [(0, 0, 0), (10_000, 0, 0), (100_000, 0, 0), (0, 10_000, 0), (100_000, 0, 1_000_000)];

#[tokio::test]
#[ignore = "a measurement of minutes: benches/run queue"]
async fn claims_are_measured() {
    for case in CASES {
        measure("SQLite", &Bench::sqlite().await, case).await;
        match Bench::postgres().await {
            Some(bench) => measure("PostgreSQL", &bench, case).await,
            None => eprintln!("PostgreSQL is not measured: it is not here"),
        }
    }
}

async fn measure(database: &str, bench: &Bench, (waiting, later, done): (i64, i64, i64)) {
    fill(bench, (CLAIMS + waiting, 1), 0).await;
    for (rows, state, later_ms) in [(later, 1, 3_600_000), (done, 3, 0)] {
        if rows > 0 {
            fill(bench, (rows, state), later_ms).await;
        }
    }
    let mut took_us = Vec::new();
    for _ in 0..CLAIMS {
        let watch = Stopwatch::start();
        let claimed = bench.db.claim(&wish("n/1", T0, u32::MAX)).await.unwrap().unwrap();
        took_us.push(watch.elapsed_us());
        bench.settle(&claimed.lease, T0).await.unwrap();
        assert_eq!(bench.state(claimed.lease.job).await, State::Done);
    }
    took_us.sort_unstable();
    let of = |share: usize| took_us[took_us.len() * share / 100];
    let told = json!({
        "database": database, "waiting": waiting, "later": later, "done": done,
        "median_us": of(50), "p90_us": of(90),
    });
    eprintln!("measured {told}");
}
