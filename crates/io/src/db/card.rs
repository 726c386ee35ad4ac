//! Price cards that somebody has written, as JSON text under their names.

use matinee_core::price::Card;
use matinee_core::time::Millis;

use super::Db;
use super::error::DbError;
use super::value::{Row, args};
use super::word;

impl Db {
    /// All cards that were written here.
    pub async fn price_cards(&self) -> Result<Vec<Card>, DbError> {
        self.read((), |tx, ()| {
            Box::pin(async move {
                let rows = tx.rows("SELECT card FROM price_card ORDER BY name", args![]).await?;
                rows.iter().map(card_of).collect()
            })
        })
        .await
    }

    /// Writes a card, over one of its name.
    pub async fn put_price_card(&self, card: &Card, now: Millis) -> Result<(), DbError> {
        self.write((card.clone(), now), |tx, (card, now)| {
            Box::pin(async move {
                let text = word::as_json(card).to_string();
                let sql = "INSERT INTO price_card (name, card, updated_ms) VALUES ($1, $2, $3)
                           ON CONFLICT (name) DO UPDATE SET card = excluded.card, updated_ms = excluded.updated_ms";
                tx.execute(sql, args![card.name.as_str(), text, *now]).await.map(drop)
            })
        })
        .await
    }

    /// Forgets a card that was written here. [`DbError::Absent`] when there is none.
    pub async fn remove_price_card(&self, name: &str) -> Result<(), DbError> {
        self.write(name.to_owned(), |tx, name| {
            Box::pin(async move {
                tx.execute_one("DELETE FROM price_card WHERE name = $1", args![name.as_str()]).await
            })
        })
        .await
    }
}

fn card_of(row: &Row) -> Result<Card, DbError> {
    let text: String = row.get("card")?;
    serde_json::from_str(&text)
        .map_err(|error| DbError::Never(format!("a stored price card cannot be read: {error}")))
}
