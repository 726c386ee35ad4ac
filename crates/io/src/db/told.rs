//! Events that follow from a change of state: their ids are made from the facts, so that a repeat is a duplicate.

use matinee_core::event::{NewEvent, Topic};
use matinee_core::id::AppId;
use matinee_core::time::Millis;
use serde_json::Value;

use super::error::DbError;
use super::event;
use super::tx::Tx;

/// Writes an event about `subject` in the caller's transaction. Call it last: on PostgreSQL it takes the outbox's lock.
pub(crate) async fn tell(
    tx: &mut Tx,
    app: AppId,
    topic: Topic,
    (subject, payload): (String, Value),
    now: Millis,
) -> Result<(), DbError> {
    let seed = format!("{}\n{subject}\n{payload}\n{}", topic.name(), now.0);
    let id = event::id_from(&seed, now);
    event::insert(tx, &NewEvent { id, app, topic, subject, payload }, now).await
}
