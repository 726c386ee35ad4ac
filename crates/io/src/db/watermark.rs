//! Watermarks: the pictures that are laid over videos, shared by all videos of an app that show the same one.

use matinee_core::id::AppId;
use matinee_core::time::Millis;

use super::Db;
use super::error::DbError;
use super::value::args;

impl Db {
    /// Keeps the picture of a mark under its id; one that is there stays, because equal ids are equal pictures.
    pub async fn keep_watermark(
        &self,
        app: AppId,
        id: &str,
        png: Vec<u8>,
        now: Millis,
    ) -> Result<(), DbError> {
        self.write((app, id.to_owned(), png, now), |tx, (app, id, png, now)| {
            Box::pin(async move {
                let sql = "INSERT INTO watermark (app_id, id, png, created_ms) VALUES ($1, $2, $3, $4)
                           ON CONFLICT (app_id, id) DO NOTHING";
                tx.execute(sql, args![*app, id.as_str(), png.clone(), *now]).await.map(drop)
            })
        })
        .await
    }

    /// The picture of a mark as PNG; `None` when this app has none of this id.
    pub async fn watermark(&self, app: AppId, id: &str) -> Result<Option<Vec<u8>>, DbError> {
        self.read((app, id.to_owned()), |tx, (app, id)| {
            Box::pin(async move {
                let sql = "SELECT png FROM watermark WHERE app_id = $1 AND id = $2";
                tx.row(sql, args![*app, id.as_str()]).await?.map(|row| row.get("png")).transpose()
            })
        })
        .await
    }
}
