//! What went out of each place: added in sums, each once, and read by month.

use matinee_core::id::{AppId, VideoId};
use matinee_core::time::Millis;

use super::Db;
use super::error::DbError;
use super::value::{Row, args};

/// A mark is kept for so long: no sum is tried again after that, in milliseconds.
const MARK_KEPT_MS: i64 = 86_400_000;

/// What went out of a place of a video since the last sum.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Sent {
    /// The place.
    pub place: String,
    /// The video.
    pub video: VideoId,
    /// Bytes.
    pub bytes: u64,
    /// Milliseconds of the video.
    pub media_ms: u64,
    /// Viewers that were sent there.
    pub starts: u64,
}

/// The same with who pays, over some days.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Egress {
    /// Who pays.
    pub app: AppId,
    /// What went out.
    pub sent: Sent,
}

impl Db {
    /// Adds the sum number `seq` of `holder` to a day, unless it was added already: an answer may be lost, and a sum counts
    /// once. `payer` pays for what nobody knows any more. Returns whether it was new.
    pub async fn add_egress(
        &self,
        (holder, seq): (&str, u64),
        day: i64,
        sum: &[Sent],
        payer: AppId,
        now: Millis,
    ) -> Result<bool, DbError> {
        let mut sum = sum.to_vec();
        // Several nodes add to the same rows: all in one order.
        sum.sort();
        let args = (holder.to_owned(), seq, day, sum, payer, now);
        self.write(args, |tx, (holder, seq, day, sum, payer, now)| {
            Box::pin(async move {
                let sql = "INSERT INTO egress_mark (holder, seq, at_ms) VALUES ($1, $2, $3)
                           ON CONFLICT (holder) DO UPDATE SET seq = excluded.seq, at_ms = excluded.at_ms
                             WHERE egress_mark.seq < excluded.seq";
                if tx.execute(sql, args![holder.as_str(), *seq, *now]).await? == 0 {
                    return Ok(false);
                }
                let sql = "DELETE FROM egress_mark WHERE at_ms < $1";
                tx.execute(sql, args![now.plus(-MARK_KEPT_MS)]).await?;
                for one in sum {
                    let sql = "INSERT INTO egress (day, place, video_id, app_id, bytes, media_ms, starts)
                               VALUES ($1, $2, $3, COALESCE((SELECT app_id FROM video WHERE id = $3),
                                 (SELECT app_id FROM upload WHERE video_id = $3), $7), $4, $5, $6)
                               ON CONFLICT (day, place, video_id) DO UPDATE SET bytes = egress.bytes + excluded.bytes,
                                 media_ms = egress.media_ms + excluded.media_ms, starts = egress.starts + excluded.starts";
                    let args = args![
                        *day,
                        one.place.as_str(),
                        one.video,
                        one.bytes,
                        one.media_ms,
                        one.starts,
                        *payer
                    ];
                    tx.execute(sql, args).await?;
                }
                Ok(true)
            })
        })
        .await
    }

    /// What went out from the first to the last of these days, by place and video.
    pub async fn egress(&self, (first, last): (i64, i64)) -> Result<Vec<Egress>, DbError> {
        self.read((first, last), |tx, (first, last)| {
            Box::pin(async move {
                let sql = "SELECT place, app_id, video_id, CAST(sum(bytes) AS bigint) AS bytes,
                             CAST(sum(media_ms) AS bigint) AS media_ms, CAST(sum(starts) AS bigint) AS starts
                           FROM egress WHERE day BETWEEN $1 AND $2
                           GROUP BY place, app_id, video_id ORDER BY place, app_id, video_id";
                tx.rows(sql, args![*first, *last]).await?.iter().map(egress_of).collect()
            })
        })
        .await
    }

    /// What each place has sent since a day, in bytes and milliseconds.
    pub async fn egress_of_places(&self, first: i64) -> Result<Vec<(String, u64, u64)>, DbError> {
        self.read(first, |tx, first| {
            Box::pin(async move {
                let sql = "SELECT place, CAST(sum(bytes) AS bigint) AS bytes, CAST(sum(media_ms) AS bigint) AS media_ms
                           FROM egress WHERE day >= $1 GROUP BY place ORDER BY place";
                let rows = tx.rows(sql, args![*first]).await?;
                rows.iter()
                    .map(|row| Ok((row.get("place")?, row.get("bytes")?, row.get("media_ms")?)))
                    .collect()
            })
        })
        .await
    }

    /// The first day of which something is known.
    pub async fn egress_since(&self) -> Result<Option<i64>, DbError> {
        self.read((), |tx, ()| {
            Box::pin(async move {
                let row = tx.row("SELECT min(day) AS first FROM egress", args![]).await?;
                row.ok_or(DbError::Absent)?.get("first")
            })
        })
        .await
    }

    /// Forgets what went out before a day.
    pub async fn prune_egress(&self, before: i64) -> Result<u64, DbError> {
        self.write(before, |tx, before| {
            Box::pin(async move { tx.execute("DELETE FROM egress WHERE day < $1", args![*before]).await })
        })
        .await
    }
}

fn egress_of(row: &Row) -> Result<Egress, DbError> {
    let sent = Sent {
        place: row.get("place")?,
        video: row.get("video_id")?,
        bytes: row.get("bytes")?,
        media_ms: row.get("media_ms")?,
        starts: row.get("starts")?,
    };
    Ok(Egress { app: row.get("app_id")?, sent })
}
