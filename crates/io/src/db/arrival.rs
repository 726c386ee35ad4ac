//! Originals outside: announced with their upload and the job that takes them, and settled when their fate is known.

use matinee_core::arrival::{Ending, Fate};
use matinee_core::id::UploadId;
use matinee_core::job::NewJob;
use matinee_core::time::Millis;
use matinee_core::upload::Phase;
use matinee_core::video::State;
use serde_json::Value;

use super::Db;
use super::error::DbError;
use super::tx::{Sql, Tx};
use super::upload::{NewUpload, create};
use super::value::{Row, args};
use super::{job, word};

/// An original to bring in.
#[derive(Debug, Clone)]
pub struct NewArrival {
    /// The upload that its bytes will be.
    pub upload: NewUpload,
    /// The job that brings it in.
    pub job: NewJob,
    /// How it is remembered, when it must be dealt with afterwards or must not be taken twice.
    pub original: Option<Original>,
}

/// How an original outside is remembered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Original {
    /// Where it was found: a folder, a bucket.
    pub source: String,
    /// Its name there.
    pub name: String,
    /// What it was: the same mark is taken once.
    pub mark: String,
    /// What becomes of it.
    pub ending: Ending,
}

/// An original whose fate is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Due {
    /// The upload that it was.
    pub upload: UploadId,
    /// How it is remembered.
    pub original: Original,
    /// What came of it.
    pub fate: Fate,
}

impl Db {
    /// Announces originals, all or none: upload, job and memory in one transaction.
    /// [`DbError::Taken`] when one of them is known already, or has an `external_id` that is in use.
    pub async fn announce_arrivals(&self, all: &[NewArrival]) -> Result<(), DbError> {
        self.write(all.to_vec(), |tx, all| {
            Box::pin(async move {
                for new in all {
                    announce(tx, new).await?;
                }
                Ok(())
            })
        })
        .await
    }

    /// Which of these marks of a source are known.
    pub async fn known_marks(&self, source: &str, marks: &[String]) -> Result<Vec<String>, DbError> {
        let marks: Value = marks.iter().map(String::as_str).collect();
        self.read((source.to_owned(), marks), |tx, (source, marks)| {
            Box::pin(async move {
                let sql = Sql::Each {
                    sqlite: "SELECT mark FROM arrival
                             WHERE source = $1 AND mark IN (SELECT value FROM json_each($2))",
                    postgres: "SELECT mark FROM arrival
                             WHERE source = $1 AND mark IN (SELECT jsonb_array_elements_text($2))",
                };
                let rows = tx.rows(sql, args![source.as_str(), marks.clone()]).await?;
                rows.iter().map(|row| row.get("mark")).collect()
            })
        })
        .await
    }

    /// May this node look through a source? It may from now `until` it has to ask again, unless another one may still.
    pub async fn may_look(
        &self,
        source: &str,
        node: &str,
        (now, until): (Millis, Millis),
    ) -> Result<bool, DbError> {
        self.write((source.to_owned(), node.to_owned(), now, until), |tx, (source, node, now, until)| {
            Box::pin(async move {
                let sql = "INSERT INTO look (source, holder, until_ms) VALUES ($1, $2, $4)
                           ON CONFLICT (source) DO UPDATE SET holder = $2, until_ms = $4
                             WHERE look.holder = $2 OR look.until_ms <= $3";
                let changed = tx.execute(sql, args![source.as_str(), node.as_str(), *now, *until]).await?;
                Ok(changed > 0)
            })
        })
        .await
    }

    /// How many originals of a source are announced and not yet dealt with.
    pub async fn arrivals_open(&self, source: &str) -> Result<u64, DbError> {
        self.read(source.to_owned(), |tx, source| {
            Box::pin(async move {
                let sql = "SELECT count(*) AS many FROM arrival WHERE source = $1 AND settled_ms IS NULL";
                tx.row(sql, args![source.as_str()]).await?.ok_or(DbError::Absent)?.get("many")
            })
        })
        .await
    }

    /// Originals that can be dealt with: their video was checked or failed, or their upload is over without one.
    pub async fn arrivals_due(&self, now: Millis, limit: u32) -> Result<Vec<Due>, DbError> {
        self.read((now, limit), |tx, (now, limit)| {
            Box::pin(async move {
                let sql = "SELECT a.upload_id, a.source, a.name, a.mark, a.ending, u.state AS upload_state,
                             u.reason AS upload_reason, v.state AS video_state, v.reason AS video_reason
                           FROM arrival a
                           LEFT JOIN upload u ON u.id = a.upload_id
                           LEFT JOIN video v ON v.id = a.video_id AND v.deleted_ms IS NULL
                           WHERE a.settled_ms IS NULL AND a.next_ms <= $1
                             AND (u.id IS NULL OR (u.state <> 'open' AND
                                  (v.id IS NULL OR v.state <> 'processing' OR v.probe IS NOT NULL)))
                           ORDER BY a.next_ms LIMIT $2";
                tx.rows(sql, args![*now, *limit]).await?.iter().map(due_of).collect()
            })
        })
        .await
    }

    /// The original was dealt with. When it may be `seen_again` as it was, it stays remembered.
    pub async fn arrival_settled(
        &self,
        upload: UploadId,
        seen_again: bool,
        now: Millis,
    ) -> Result<(), DbError> {
        self.write((upload, seen_again, now), |tx, (upload, seen_again, now)| {
            Box::pin(async move {
                if *seen_again {
                    let sql = "UPDATE arrival SET settled_ms = $2 WHERE upload_id = $1";
                    return tx.execute(sql, args![*upload, *now]).await.map(drop);
                }
                tx.execute("DELETE FROM arrival WHERE upload_id = $1", args![*upload]).await.map(drop)
            })
        })
        .await
    }

    /// The original could not be dealt with now; it is tried again at `next`.
    pub async fn arrival_later(&self, upload: UploadId, next: Millis) -> Result<(), DbError> {
        self.write((upload, next), |tx, (upload, next)| {
            Box::pin(async move {
                let sql = "UPDATE arrival SET next_ms = $2 WHERE upload_id = $1";
                tx.execute(sql, args![*upload, *next]).await.map(drop)
            })
        })
        .await
    }
}

async fn announce(tx: &mut Tx, new: &NewArrival) -> Result<(), DbError> {
    let upload = &new.upload;
    create(tx, upload).await?;
    job::insert(tx, &new.job, upload.now).await?;
    let Some(original) = &new.original else { return Ok(()) };
    let ending = serde_json::to_value(&original.ending).expect("because an ending is plain text");
    tx.execute(
        "INSERT INTO arrival (upload_id, app_id, video_id, source, name, mark, ending, next_ms)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
        args![
            upload.id,
            upload.app,
            upload.video,
            original.source.as_str(),
            original.name.as_str(),
            original.mark.as_str(),
            ending,
            upload.now
        ],
    )
    .await
    .map(drop)
}

fn due_of(row: &Row) -> Result<Due, DbError> {
    let ending: Value = row.get("ending")?;
    let ending = serde_json::from_value(ending)
        .map_err(|error| DbError::Never(format!("an unknown ending of an original: {error}")))?;
    let original =
        Original { source: row.get("source")?, name: row.get("name")?, mark: row.get("mark")?, ending };
    let upload: Option<String> = row.get("upload_state")?;
    let video: Option<String> = row.get("video_state")?;
    let upload = upload.map(|_| row.get::<Phase>("upload_state")).transpose()?;
    let video = video.map(|_| row.get::<State>("video_state")).transpose()?;
    let fate = match (upload, video) {
        (Some(Phase::Finished), Some(State::Failed)) => Fate::Refused(word::problem(row, "video_reason")?),
        // Checked, ready, or deleted by somebody who had seen it.
        (Some(Phase::Finished | Phase::Open), _) => Fate::Brought,
        (Some(Phase::Lost | Phase::Cancelled), _) => Fate::Refused(word::problem(row, "upload_reason")?),
        (Some(Phase::Expired) | None, _) => Fate::Void,
    };
    Ok(Due { upload: row.get("upload_id")?, original, fate })
}
