//! Which final uploads wait for which parts.

use matinee_core::id::UploadId;
use matinee_core::time::Millis;

use crate::db::error::DbError;
use crate::db::tx::{Sql, Tx};
use crate::db::upload::row::{Upload, upload_of};
use crate::db::value::{Row, args};

/// The open final uploads that a part belongs to, locked.
pub(crate) async fn waiting_for(tx: &mut Tx, part: UploadId) -> Result<Vec<Upload>, DbError> {
    let sql = Sql::Each {
        sqlite: "SELECT * FROM upload WHERE state = 'open'
                   AND id IN (SELECT final_id FROM upload_part WHERE part_id = $1) ORDER BY id",
        postgres: "SELECT * FROM upload WHERE state = 'open'
                   AND id IN (SELECT final_id FROM upload_part WHERE part_id = $1) ORDER BY id FOR UPDATE",
    };
    tx.rows(sql, args![part]).await?.iter().map(upload_of).collect()
}

/// Finished parts whose time is over and that no final upload needs, locked.
pub(crate) async fn idle_parts(tx: &mut Tx, now: Millis, limit: u32) -> Result<Vec<Row>, DbError> {
    let sql = Sql::Each {
        sqlite: "SELECT * FROM upload u WHERE state = 'finished' AND concat = 'partial' AND expires_ms <= $1
                   AND NOT EXISTS (SELECT 1 FROM upload_part p JOIN upload f ON f.id = p.final_id
                     LEFT JOIN video v ON v.id = f.video_id WHERE p.part_id = u.id AND (f.state = 'open'
                       OR (f.state = 'finished' AND v.state = 'processing' AND v.deleted_ms IS NULL)))
                 ORDER BY expires_ms LIMIT $2",
        postgres:
            "SELECT * FROM upload u WHERE state = 'finished' AND concat = 'partial' AND expires_ms <= $1
                   AND NOT EXISTS (SELECT 1 FROM upload_part p JOIN upload f ON f.id = p.final_id
                     LEFT JOIN video v ON v.id = f.video_id WHERE p.part_id = u.id AND (f.state = 'open'
                       OR (f.state = 'finished' AND v.state = 'processing' AND v.deleted_ms IS NULL)))
                 ORDER BY expires_ms LIMIT $2 FOR UPDATE OF u SKIP LOCKED",
    };
    tx.rows(sql, args![now, limit]).await
}

/// Does a final upload that is finished but not joined yet read this part?
pub(crate) async fn is_needed(tx: &mut Tx, part: UploadId) -> Result<bool, DbError> {
    let sql = "SELECT 1 AS needed FROM upload_part p JOIN upload f ON f.id = p.final_id
               JOIN video v ON v.id = f.video_id
               WHERE p.part_id = $1 AND f.state = 'finished' AND v.state = 'processing' AND v.deleted_ms IS NULL";
    Ok(tx.row(sql, args![part]).await?.is_some())
}
