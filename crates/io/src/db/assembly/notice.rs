//! Notifications of assemblies that have ended: one node at a time has the right to send one, and says what came of it.

use matinee_core::assembly::Notice;
use matinee_core::time::Millis;

use super::{Assembly, assembly_of};
use crate::db::Db;
use crate::db::error::DbError;
use crate::db::job::node_of;
use crate::db::value::args;

/// What came of one notification.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Noticed {
    /// Where it is now.
    pub notice: Notice,
    /// When it is sent again.
    pub next: Option<Millis>,
    /// The status of the answer.
    pub status: Option<u16>,
    /// How long it took.
    pub took_ms: u64,
}

impl Db {
    /// Takes the right to send notifications that are due.
    pub async fn take_notices(
        &self,
        holder: &str,
        (now, until): (Millis, Millis),
        limit: u32,
    ) -> Result<Vec<Assembly>, DbError> {
        const DUE: &str =
            "SELECT * FROM assembly WHERE notice = 'waiting' AND notice_next_ms <= $1 AND held_ms <= $1
                           ORDER BY notice_next_ms, id LIMIT $2";
        // Mostly there is nothing, which costs no write.
        let any = self.read(now, |tx, now| Box::pin(async move { tx.row(DUE, args![*now, 1_u32]).await }));
        if any.await?.is_none() {
            return Ok(Vec::new());
        }
        self.write((holder.to_owned(), now, until, limit), |tx, (holder, now, until, limit)| {
            Box::pin(async move {
                let mut mine = Vec::new();
                for row in tx.rows(DUE, args![*now, *limit]).await? {
                    let due = assembly_of(&row)?;
                    let sql = "UPDATE assembly SET holder = $2, held_ms = $3 WHERE id = $1 AND held_ms <= $4";
                    if tx.execute(sql, args![due.id.as_str(), holder.as_str(), *until, *now]).await? > 0 {
                        mine.push(due);
                    }
                }
                Ok(mine)
            })
        })
        .await
    }

    /// Saves what came of a notification, unless somebody else has the right by now.
    pub async fn settle_notice(&self, id: &str, holder: &str, noticed: Noticed) -> Result<(), DbError> {
        self.write((id.to_owned(), holder.to_owned(), noticed), |tx, (id, holder, noticed)| {
            Box::pin(async move {
                let sql = "UPDATE assembly SET notice = $3, notice_next_ms = $4, notice_status = $5, notice_took_ms = $6,
                             notice_tries = notice_tries + 1, held_ms = 0
                           WHERE id = $1 AND holder = $2 AND notice = 'waiting'";
                let status = noticed.status.map(u32::from);
                let values =
                    args![id.as_str(), holder.as_str(), noticed.notice, noticed.next, status, noticed.took_ms];
                tx.execute(sql, values).await.map(drop)
            })
        })
        .await
    }

    /// A node that starts gives back what its earlier runs had in hand.
    pub async fn end_own_notices(&self, holder: &str) -> Result<u64, DbError> {
        self.write(holder.to_owned(), |tx, holder| {
            Box::pin(async move {
                let sql = "UPDATE assembly SET held_ms = 0
                           WHERE held_ms > 0 AND substr(holder, 1, length($1)) = $1 AND holder <> $2";
                tx.execute(sql, args![node_of(holder), holder.as_str()]).await
            })
        })
        .await
    }
}
