//! From SQLite to PostgreSQL: all rows come over, again only what differs, and never over somebody else's.

use matinee_core::job::Kind;
use matinee_core::ledger;

use super::support::{Bench, T0};
use crate::db::transfer::{Copied, transfer};
use crate::db::{Config, DbError};

async fn copy(from: &Bench, to: &Bench, now_ms: i64) -> Result<Vec<Copied>, DbError> {
    let (Config::Sqlite(path), Config::Postgres(url)) = (&from.config, &to.config) else {
        panic!("from SQLite to PostgreSQL")
    };
    let mut tables = 0;
    let copied = transfer(path, url, now_ms, &mut |_| tables += 1).await?;
    assert_eq!(tables, copied.len());
    Ok(copied)
}

fn sum(copied: &[Copied], of: impl Fn(&Copied) -> u64) -> u64 {
    copied.iter().map(of).sum()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_rows_come_over_and_then_only_what_has_changed() {
    let Some(to) = Bench::postgres_empty().await else { return };
    let from = Bench::sqlite().await;
    let film = from.film(false).await;
    let (lease, parts) = from.chunk(&film, 0).await;
    from.db.publish_chunk(&lease, parts, T0).await.unwrap();
    let gone = from.upload_of(Some(10)).await;

    let first = copy(&from, &to, T0.0).await.unwrap();
    let rows = sum(&first, |one| one.rows);
    assert!(rows > 20, "{first:?}");
    // How far events were handed on is a row that every database begins with.
    let own = first.iter().filter(|one| one.table != "outbox");
    assert!(own.clone().all(|one| one.written == one.rows) && own.count() > 20, "{first:?}");
    let again = copy(&from, &to, T0.0).await.unwrap();
    assert_eq!((sum(&again, |one| one.written), sum(&again, |one| one.removed)), (0, 0), "{again:?}");
    let hashes = |copied: &[Copied]| copied.iter().map(|one| one.blake3).collect::<Vec<_>>();
    assert_eq!(hashes(&first), hashes(&again));

    // What was written and forgotten meanwhile is brought over, too.
    from.db.cancel_upload(gone.id, T0).await.unwrap();
    let entry = crate::db::first_entry(gone.object);
    from.db.ledger_gone(entry, serde_json::json!({ "stat": "absent" }), T0).await.unwrap();
    from.upload_of(Some(10)).await;
    let rest = copy(&from, &to, T0.0).await.unwrap();
    let (written, removed) = (sum(&rest, |one| one.written), sum(&rest, |one| one.removed));
    assert!(written > 0 && written < rows, "{rest:?}");
    assert!(removed > 0, "its object and its replica are forgotten: {rest:?}");

    // The copy works like the original, and counts on from its events.
    let mut moved = to.other_node().await;
    moved.app = from.app;
    let lease = moved.hold(Kind::Chunk, T0).await;
    moved.intend(&lease, ledger::Kind::Chunk).await.unwrap();
    moved.upload_of(Some(10)).await;
    let video = moved.db.video(moved.app, film.video).await.unwrap().unwrap();
    assert_eq!(Some(video), from.db.video(from.app, film.video).await.unwrap());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_elses_rows_are_touched() {
    let Some(to) = Bench::postgres().await else { return };
    let from = Bench::sqlite().await;
    let refused = copy(&from, &to, T0.0).await;
    assert!(
        matches!(&refused, Err(DbError::Conflict(why)) if why.contains("another matinee")),
        "{refused:?}"
    );
    assert!(to.db.apps().await.unwrap().iter().any(|app| app.id == to.app), "it is as it was");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_copied_under_a_server_that_works() {
    let Some(to) = Bench::postgres_empty().await else { return };
    let from = Bench::sqlite().await;
    copy(&from, &to, T0.0).await.unwrap();
    let beat = |holder: &str| crate::db::Beat {
        holder: holder.to_owned(),
        version: "0".to_owned(),
        cores: 1,
        memory_bytes: 1,
        slots: serde_json::json!({}),
        facts: serde_json::json!({}),
        now: T0,
    };
    from.db.beat(&beat("here/1")).await.unwrap();
    copy(&from, &to, T0.0).await.unwrap();
    copy(&from, &to, T0.0).await.expect("its own node came along with the first copy");
    to.db.beat(&beat("there/2")).await.unwrap();
    let refused = copy(&from, &to, T0.0).await;
    assert!(matches!(&refused, Err(DbError::Conflict(why)) if why.contains("there")), "{refused:?}");
    copy(&from, &to, T0.0 + 121_000).await.expect("it was not heard of for two minutes");
}
