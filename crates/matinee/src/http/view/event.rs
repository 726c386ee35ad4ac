//! Events as JSON.

use matinee_core::event;
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::time;

/// Something that happened.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Event {
    /// The cursor; it only ever grows.
    pub(crate) seq: i64,
    /// The event's id; a reader that sees it twice drops the second.
    pub(crate) id: String,
    /// What it is about, for example `video.ready`.
    pub(crate) topic: &'static str,
    /// The id of the thing it happened to.
    pub(crate) subject: String,
    /// The facts.
    #[schema(value_type = Object)]
    pub(crate) payload: Value,
    /// When it happened, as RFC 3339 text.
    pub(crate) created_at: String,
}

/// A page of events, the oldest first.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct EventList {
    /// The events.
    pub(crate) items: Vec<Event>,
    /// What to ask for next as `after`.
    pub(crate) next: i64,
}

impl From<event::Event> for Event {
    fn from(event: event::Event) -> Self {
        Self {
            seq: event.seq,
            id: event.id.to_string(),
            topic: event.topic.name(),
            subject: event.subject,
            payload: event.payload,
            created_at: time(event.created),
        }
    }
}
