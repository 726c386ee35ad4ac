//! Replicas: the copies of objects, each with the ledger row of the same id.

mod control;
mod copying;
mod lost;
mod placing;
mod plate;
mod proving;
mod store;

use matinee_core::id::{AppId, EntryId, ObjectId, VideoId};
use matinee_core::ledger::Kind;
use matinee_core::replica::{LOCAL, State, Sums};
use matinee_core::time::Millis;

use super::Db;
use super::error::DbError;
use super::tx::{Sql, Tx};
use super::value::{Row, args};

pub(crate) use self::control::look_once_more;
pub use self::control::{Control, key_in};
pub use self::copying::Proven;
pub use self::lost::Lost;
pub use self::placing::{Lag, NewReplica, Placing, Unplaced};
pub use self::plate::Promised;
pub use self::proving::Aged;
pub use self::store::StoreState;

/// An upload in parts that was begun and not finished.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BegunUpload {
    /// What the store calls it.
    pub upload: String,
    /// The length of each part but the last in bytes.
    pub part_bytes: u64,
}

/// A copy of an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Replica {
    /// Its name, and that of its ledger row.
    pub id: EntryId,
    /// The object.
    pub object: ObjectId,
    /// The app that pays.
    pub app: AppId,
    /// The video that the object is of.
    pub video: VideoId,
    /// What the object is for.
    pub kind: Kind,
    /// The length of the object in bytes.
    pub size: Option<u64>,
    /// The hash of the object, when it is known.
    pub blake3: Option<[u8; 32]>,
    /// Where it lies.
    pub store: String,
    /// Its key there; empty in the local store.
    pub key: String,
    /// The template by which its key was made; the one of its store may be another by now.
    pub template: Option<String>,
    /// Where it is in its life.
    pub state: State,
    /// What the store calls exactly these bytes.
    pub version: Option<String>,
    /// What the store said of them when they were put; it changes when they do.
    pub tag: Option<String>,
    /// What an archive has given back hashes to.
    pub sums: Option<Sums>,
    /// An upload of it that was not finished.
    pub begun: Option<BegunUpload>,
    /// The copy that goes when this one is proven.
    pub replaces: Option<EntryId>,
    /// When it was intended.
    pub created: Millis,
    /// When its bytes were read and found right the last time.
    pub verified: Option<Millis>,
}

/// What is known of a copy, beside its object.
macro_rules! replicas {
    ($rest:literal) => {
        concat!(
            "SELECT r.*, o.app_id, o.video_id, o.kind, o.size_bytes, o.blake3 FROM replica r
             JOIN object o ON o.id = r.object_id ",
            $rest
        )
    };
}
pub(crate) use replicas;

impl Db {
    /// A copy by its id, if it is not proven gone.
    pub async fn replica(&self, id: EntryId) -> Result<Option<Replica>, DbError> {
        self.read(id, |tx, id| {
            Box::pin(async move {
                let row = tx.row(replicas!("WHERE r.id = $1"), args![*id]).await?;
                row.as_ref().map(replica_of).transpose()
            })
        })
        .await
    }

    /// All copies of an object, the local one first.
    pub async fn replicas(&self, object: ObjectId) -> Result<Vec<Replica>, DbError> {
        self.look(object, |tx, object| {
            Box::pin(async move {
                let sql = replicas!("WHERE r.object_id = $1 ORDER BY r.store <> 'local', r.created_ms, r.id");
                tx.rows(sql, args![*object]).await?.iter().map(replica_of).collect()
            })
        })
        .await
    }

    /// The length of an object in bytes, wherever it lies; `None` when it is not known, or not there any more.
    pub async fn object_size(&self, object: ObjectId) -> Result<Option<u64>, DbError> {
        self.look(object, |tx, object| {
            Box::pin(async move {
                let sql = "SELECT o.size_bytes FROM object o WHERE o.id = $1 AND EXISTS (
                             SELECT 1 FROM replica r WHERE r.object_id = o.id AND r.state = 'present')";
                let row = tx.row(sql, args![*object]).await?;
                Ok(row.map(|row| row.get("size_bytes")).transpose()?.flatten())
            })
        })
        .await
    }

    /// The stores that something is known of besides the local one, with how many copies each has or may have.
    pub async fn stores_named(&self) -> Result<Vec<(String, u64)>, DbError> {
        self.read((), |tx, ()| {
            Box::pin(async move {
                let sql = "SELECT store, count(*) AS copies FROM replica WHERE store <> $1 GROUP BY store ORDER BY store";
                let rows = tx.rows(sql, args![LOCAL]).await?;
                rows.iter().map(|row| Ok((row.get("store")?, row.get("copies")?))).collect()
            })
        })
        .await
    }

    /// The bytes of an object were hashed for the first time.
    pub async fn keep_hash(&self, object: ObjectId, blake3: [u8; 32]) -> Result<(), DbError> {
        self.write((object, blake3), |tx, (object, blake3)| {
            Box::pin(async move {
                let sql = "UPDATE object SET blake3 = $2 WHERE id = $1 AND blake3 IS NULL";
                tx.execute(sql, args![*object, *blake3]).await.map(drop)
            })
        })
        .await
    }
}

/// One copy is not wanted from `when` on.
pub(crate) async fn unwanted(tx: &mut Tx, id: EntryId, reason: &str, when: Millis) -> Result<(), DbError> {
    let sql = "UPDATE ledger SET state = 'to_delete', reason = $2, next_try_ms = $3
               WHERE id = $1 AND state IN ('intended', 'present')";
    tx.execute(sql, args![id, reason, when]).await?;
    tx.execute("UPDATE replica SET state = 'to_delete' WHERE id = $1", args![id]).await.map(drop)
}

/// Nobody makes copies of this object any more: what runs is asked to stop.
pub(crate) async fn stop_copies(tx: &mut Tx, object: ObjectId, now: Millis) -> Result<(), DbError> {
    let sql = "SELECT j.id, j.state FROM replica r JOIN job j ON j.id = r.job_id
               WHERE r.object_id = $1 AND j.state < 3 ORDER BY j.id";
    stop(tx, sql, args![object], now).await
}

/// The same for all objects of a video.
pub(crate) async fn stop_copies_of_video(tx: &mut Tx, video: VideoId, now: Millis) -> Result<(), DbError> {
    let sql = "SELECT j.id, j.state FROM object o JOIN replica r ON r.object_id = o.id JOIN job j ON j.id = r.job_id
               WHERE o.video_id = $1 AND j.state < 3 ORDER BY j.id";
    stop(tx, sql, args![video], now).await
}

async fn stop(
    tx: &mut Tx,
    sql: &'static str,
    args: Vec<super::value::Arg>,
    now: Millis,
) -> Result<(), DbError> {
    for row in tx.rows(sql, args).await? {
        let job: matinee_core::id::JobId = row.get("id")?;
        let lock = Sql::Each {
            sqlite: "SELECT state FROM job WHERE id = $1",
            postgres: "SELECT state FROM job WHERE id = $1 FOR UPDATE",
        };
        tx.rows(lock, args![job]).await?;
        let sql = "UPDATE job SET state = 5, finished_ms = $2 WHERE id = $1 AND state IN (0, 1)";
        tx.execute(sql, args![job, now]).await?;
        let sql = "UPDATE job SET cancel_requested = $2 WHERE id = $1 AND state = 2";
        tx.execute(sql, args![job, true]).await?;
        tx.wake_jobs();
    }
    Ok(())
}

pub(crate) fn replica_of(row: &Row) -> Result<Replica, DbError> {
    let begun: Option<String> = row.get("begun_upload")?;
    let part_bytes: Option<u64> = row.get("begun_part_bytes")?;
    let (sha1, sha256): (Option<String>, Option<String>) = (row.get("sha1")?, row.get("sha256")?);
    Ok(Replica {
        id: row.get("id")?,
        object: row.get("object_id")?,
        app: row.get("app_id")?,
        video: row.get("video_id")?,
        kind: row.get("kind")?,
        size: row.get("size_bytes")?,
        blake3: row.get("blake3")?,
        store: row.get("store")?,
        key: row.get("key")?,
        template: row.get("template")?,
        state: row.get("state")?,
        version: row.get("version")?,
        tag: row.get("tag")?,
        sums: sha1.zip(sha256).map(|(sha1, sha256)| Sums { sha1, sha256 }),
        begun: begun.zip(part_bytes).map(|(upload, part_bytes)| BegunUpload { upload, part_bytes }),
        replaces: row.get("replaces")?,
        created: row.get("created_ms")?,
        verified: row.get("verified_ms")?,
    })
}
