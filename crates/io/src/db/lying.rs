//! What of a video lies in stores now.

use matinee_core::id::{AppId, ObjectId, VideoId};
use matinee_core::ledger::{Kind, State};
use matinee_core::replica::Sums;
use matinee_core::time::Millis;

use super::Db;
use super::error::DbError;
use super::value::{Row, args};

/// An object of a video that takes room, or may take it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lying {
    /// The object.
    pub object: ObjectId,
    /// What it is for.
    pub kind: Kind,
    /// Where it is in its life.
    pub state: State,
    /// The store.
    pub place: String,
    /// Its key there; none in the local store.
    pub key: Option<String>,
    /// The template by which the key was made.
    pub template: Option<String>,
    /// What an archive has given back hashes to.
    pub sums: Option<Sums>,
    /// Its length in bytes, once it is written.
    pub size: Option<u64>,
    /// The BLAKE3 hash of its bytes, once it is known.
    pub blake3: Option<[u8; 32]>,
    /// When it was intended.
    pub created: Millis,
}

impl Db {
    /// All that lies in stores for a video of this app, the oldest first; what was proven gone is left out.
    pub async fn lying(&self, app: AppId, video: VideoId) -> Result<Vec<Lying>, DbError> {
        self.read((app, video), |tx, (app, video)| {
            Box::pin(async move {
                let sql = "SELECT l.object_id, l.kind, l.state, l.place, l.created_ms, o.size_bytes, o.blake3,
                             r.key, r.template, r.sha1, r.sha256
                           FROM ledger l LEFT JOIN object o ON o.id = l.object_id LEFT JOIN replica r ON r.id = l.id
                           WHERE l.video_id = $2 AND l.app_id = $1 AND l.state <> 'gone' AND l.object_id IS NOT NULL
                           ORDER BY l.created_ms, l.object_id";
                tx.rows(sql, args![*app, *video]).await?.iter().map(lying_of).collect()
            })
        })
        .await
    }
}

fn lying_of(row: &Row) -> Result<Lying, DbError> {
    let (sha1, sha256): (Option<String>, Option<String>) = (row.get("sha1")?, row.get("sha256")?);
    Ok(Lying {
        object: row.get("object_id")?,
        kind: row.get("kind")?,
        state: row.get("state")?,
        place: row.get("place")?,
        key: row.get::<Option<String>>("key")?.filter(|key| !key.is_empty()),
        template: row.get("template")?,
        sums: sha1.zip(sha256).map(|(sha1, sha256)| Sums { sha1, sha256 }),
        size: row.get("size_bytes")?,
        blake3: row.get("blake3")?,
        created: row.get("created_ms")?,
    })
}
