//! A host that is being emptied: what is there goes, or is somewhere else first.

use matinee_core::time::Millis;

use super::Db;
use super::error::DbError;
use super::publication::Publication;
use super::publication::row::publication_of;
use super::value::{Row, args};

/// That a host is being emptied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Vacating {
    /// Since when.
    pub since: Millis,
    /// Where what is there is to be first; nowhere else when there is none.
    pub to: Option<String>,
}

/// What is left at a host.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Left {
    /// Publications of videos whose files are ours.
    pub published: u64,
    /// Videos that are nowhere else: they stay.
    pub only_there: u64,
}

pub(crate) fn vacating_of(row: &Row) -> Result<Option<Vacating>, DbError> {
    let since: Option<Millis> = row.get("draining_ms")?;
    let to: Option<String> = row.get("drain_to")?;
    Ok(since.map(|since| Vacating { since, to }))
}

impl Db {
    /// A host is being emptied from now on, or is not any more. [`DbError::Absent`] when it is not known.
    pub async fn vacate_host(&self, name: &str, how: Option<Vacating>) -> Result<(), DbError> {
        self.write((name.to_owned(), how), |tx, (name, how)| {
            Box::pin(async move {
                let (since, to) =
                    how.as_ref().map_or((None, None), |how| (Some(how.since), how.to.as_deref()));
                let sql = "UPDATE host SET draining_ms = $2, drain_to = $3 WHERE name = $1";
                tx.execute_one(sql, args![name.as_str(), since, to]).await
            })
        })
        .await
    }

    /// Publications that are to leave a host, the oldest first, each with whether its video is ready at `to`, if it was wished
    /// there. What could not be made there stays and is not among them, and neither is what is nowhere else.
    pub async fn publications_to_move(
        &self,
        host: &str,
        to: Option<&str>,
        limit: u32,
    ) -> Result<Vec<(Publication, Option<bool>)>, DbError> {
        let args = (host.to_owned(), to.unwrap_or_default().to_owned(), limit);
        self.read(args, |tx, (host, to, limit)| {
            Box::pin(async move {
                let sql = "SELECT p.*, o.phase = 'ready' AS ready_there FROM publication p JOIN video v ON v.id = p.video_id
                           LEFT JOIN publication o ON o.video_id = p.video_id AND o.host = $2
                           WHERE p.host = $1 AND v.source_id IS NOT NULL AND v.deleted_ms IS NULL
                             AND (o.phase IS NULL OR o.phase <> 'failed') ORDER BY p.id LIMIT $3";
                let rows = tx.rows(sql, args![host.as_str(), to.as_str(), *limit]).await?;
                let one = |row: &Row| Ok((publication_of(row)?, row.get("ready_there")?));
                rows.iter().map(one).collect()
            })
        })
        .await
    }

    /// What is left at a host.
    pub async fn left_at_host(&self, host: &str) -> Result<Left, DbError> {
        self.read(host.to_owned(), |tx, host| {
            Box::pin(async move {
                let sql = "SELECT count(v.source_id) AS published, count(*) AS things FROM publication p
                           LEFT JOIN video v ON v.id = p.video_id WHERE p.host = $1";
                let row = tx.row(sql, args![host.as_str()]).await?.ok_or(DbError::Absent)?;
                let (published, things): (u64, u64) = (row.get("published")?, row.get("things")?);
                Ok(Left { published, only_there: things.saturating_sub(published) })
            })
        })
        .await
    }
}
