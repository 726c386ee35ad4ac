//! How loud the sounds of a source were, and by how much they were changed.

use matinee_core::id::RenditionId;
use matinee_core::job::Lease;
use matinee_core::loudness::Leveled;
use matinee_core::time::Millis;

use super::Db;
use super::error::DbError;
use super::lease::held;
use super::value::{Row, args};

impl Db {
    /// Keeps how loud the sound of a rendition was, for who looks at it.
    pub async fn note_loudness(
        &self,
        lease: &Lease,
        (rendition, leveled): (RenditionId, Leveled),
        now: Millis,
    ) -> Result<(), DbError> {
        self.write((*lease, rendition, leveled, now), |tx, (lease, rendition, leveled, now)| {
            Box::pin(async move {
                let held = held(tx, lease, *now).await?;
                let unwritten = |error: serde_json::Error| DbError::Never(error.to_string());
                let leveled = serde_json::to_value(leveled).map_err(unwritten)?;
                let sql = "UPDATE rendition SET leveled = $3 WHERE id = $1 AND video_id = $2";
                tx.execute_one(sql, args![*rendition, held.video, leveled]).await
            })
        })
        .await
    }
}

/// What a row of `rendition` says of it.
pub(super) fn read(row: &Row) -> Result<Option<Leveled>, DbError> {
    let stored: Option<serde_json::Value> = row.get("leveled")?;
    let read = |value| serde_json::from_value(value).map_err(|error| DbError::Never(error.to_string()));
    stored.map(read).transpose()
}
