//! What waits for runners is told as an event, for who starts and stops machines.

use matinee_core::event::Topic;
use matinee_core::id::AppId;
use matinee_core::job::demand::Demand;
use matinee_core::time::Millis;

use super::list::counts;
use crate::db::Db;
use crate::db::error::DbError;
use crate::db::told::tell;
use crate::db::tx::Tx;
use crate::db::value::args;
use crate::db::word;

/// What these events are about.
const SUBJECT: &str = "jobs";

impl Db {
    /// Tells an app how much waits for runners, if that is news; `false` when it is none.
    pub async fn tell_demand(&self, app: AppId, now: Millis) -> Result<bool, DbError> {
        // Mostly there is nothing to tell, which costs no write.
        if self.read(app, |tx, app| Box::pin(news(tx, *app))).await?.is_none() {
            return Ok(false);
        }
        self.write((app, now), |tx, (app, now)| {
            Box::pin(async move {
                let Some(demand) = news(tx, *app).await? else { return Ok(false) };
                let facts = word::as_json(&demand);
                tell(tx, *app, Topic::JobWaiting, (SUBJECT.to_owned(), facts), *now).await?;
                Ok(true)
            })
        })
        .await
    }
}

/// What there is to tell. Two nodes may tell the same, which harms nobody.
async fn news(tx: &mut Tx, app: AppId) -> Result<Option<Demand>, DbError> {
    let counts = counts(tx).await?;
    let demand = Demand::of(counts.iter().map(|count| (count.kind, count.state, count.jobs)));
    let sql = "SELECT payload FROM event WHERE subject = $1 AND app_id = $2 AND topic = $3 ORDER BY seq DESC LIMIT 1";
    let row = tx.row(sql, args![SUBJECT, app, Topic::JobWaiting.name()]).await?;
    let last = row.map(|row| word::json(&row, "payload")).transpose()?.flatten();
    Ok(demand.is_news(last).then_some(demand))
}
