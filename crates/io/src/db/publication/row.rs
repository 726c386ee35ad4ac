//! The row of a publication.

use matinee_core::id::{AppId, PublicationId, VideoId};
use matinee_core::publication::besides::Besides;
use matinee_core::publication::{HandOver, Phase};
use matinee_core::time::Millis;
use matinee_core::video::Problem;
use serde_json::Value;

use crate::db::error::DbError;
use crate::db::value::Row;
use crate::db::word;

/// A video at a host.
#[derive(Debug, Clone, PartialEq)]
pub struct Publication {
    /// Its name, which travels into the video there.
    pub id: PublicationId,
    /// The app that pays.
    pub app: AppId,
    /// The video.
    pub video: VideoId,
    /// The host by its name in the configuration.
    pub host: String,
    /// Where it is in its life.
    pub phase: Phase,
    /// Hundredths of what the host does, if it tells.
    pub percent: Option<u8>,
    /// The host's name for it, once known.
    pub remote: Option<String>,
    /// Where its bytes go, sealed.
    pub target: Option<Vec<u8>>,
    /// Bytes that the host is known to have.
    pub offset: u64,
    /// Bytes of the file that it is sent.
    pub size: Option<u64>,
    /// Its length in milliseconds, as the host says.
    pub duration_ms: Option<u64>,
    /// Bytes that are paid for, where the host tells.
    pub bytes: Option<u64>,
    /// The host's own words.
    pub facts: Value,
    /// Why it failed.
    pub reason: Option<Problem>,
    /// How its bytes come to the host, once it was asked.
    pub hand_over: Option<HandOver>,
    /// Why it is sent, where the host was to fetch it.
    pub pull_refused: Option<Problem>,
    /// What we have put there besides.
    pub besides: Besides,
    /// When that is compared with what is wanted.
    pub besides_at: Option<Millis>,
    /// Answers in a row that said the same.
    pub unchanged: u32,
    /// Times in a row that its bytes could not be sent.
    pub failures: u32,
    /// When the host last told of it.
    pub seen: Option<Millis>,
    /// When it was wanted.
    pub created: Millis,
    /// When its phase changed last.
    pub updated: Millis,
}

pub(crate) fn publication_of(row: &Row) -> Result<Publication, DbError> {
    let percent: Option<u32> = row.get("percent")?;
    let handed: Option<String> = row.get("hand_over")?;
    Ok(Publication {
        id: row.get("id")?,
        app: row.get("app_id")?,
        video: row.get("video_id")?,
        host: row.get("host")?,
        phase: row.get("phase")?,
        percent: percent.and_then(|percent| u8::try_from(percent).ok()),
        remote: row.get("remote_id")?,
        target: row.get("target")?,
        offset: row.get("offset_bytes")?,
        size: row.get("size_bytes")?,
        duration_ms: row.get("duration_ms")?,
        bytes: row.get("stored_bytes")?,
        facts: row.get::<Option<Value>>("facts")?.unwrap_or_default(),
        reason: word::problem(row, "reason")?,
        hand_over: handed.map(|_| row.get("hand_over")).transpose()?,
        pull_refused: word::problem(row, "pull_refused")?,
        besides: word::json(row, "besides")?.unwrap_or_default(),
        besides_at: row.get("besides_ms")?,
        unchanged: row.get("unchanged")?,
        failures: row.get("failures")?,
        seen: row.get("seen_ms")?,
        created: row.get("created_ms")?,
        updated: row.get("updated_ms")?,
    })
}
