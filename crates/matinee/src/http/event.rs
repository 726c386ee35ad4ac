//! `/v1/events`: what happened, by cursor and as a stream of server-sent events.

use std::collections::HashMap;
use std::convert::Infallible;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::response::sse::{Event as Frame, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use http::{HeaderMap, HeaderValue, header};
use matinee_core::access::Scope;
use matinee_core::video::State as Stage;
use serde::Deserialize;

use super::Shared;
use super::patience::wait_s;
use super::problem::{Code, Problem};
use super::request::{Caller, External};
use super::video::seen;
use super::view::{Ask, Event, EventList, JobList, Problems, Reach, page_limit};
use crate::flow::event::{self, News, Told, Watch};

/// A quiet stream says so often that it is still there: proxies end a silent connection after a minute.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// Which events to read.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct Which {
    /// Only those after this cursor: the `next` of the page before, or the `seq` of an event.
    after: Option<i64>,
    /// Only of the thing with this id.
    subject: Option<String>,
    /// At most so many, from 1 to 100.
    #[param(minimum = 1, maximum = 100, default = 50)]
    limit: Option<u32>,
    /// While there is none, wait for one for so many seconds, at most 60.
    #[param(minimum = 0, maximum = 60, default = 0)]
    wait: Option<u32>,
}

/// Which events to be told of.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct Following {
    /// From behind this cursor on; from now on when it is missing. `Last-Event-ID` wins over it.
    after: Option<i64>,
    /// Only of the thing with this id; `jobs` tells of all running jobs instead, as `jobs.changed`.
    subject: Option<String>,
}

/// Lists events, the oldest first; with `wait` as soon as there is one.
#[utoipa::path(get, path = "/v1/events", operation_id = "event_list", tag = "events", params(Which), responses((status = 200, body = EventList), Problems))]
pub(crate) async fn list(
    State(node): State<Shared>,
    caller: Caller,
    Ask(which): Ask<Which>,
) -> Result<Json<EventList>, Problem> {
    let app = caller.permit(Scope::VideoRead)?;
    let limit = page_limit(which.limit)?;
    let after = which.after.unwrap_or_default();
    let mut news = News::within(&node, wait_s(which.wait)?);
    let events = loop {
        news.look();
        let events = event::list(&node, app, which.subject.as_deref(), after, limit).await?;
        if !events.is_empty() || !news.wait().await {
            break events;
        }
    };
    let next = events.last().map_or(after, |event| event.seq);
    Ok(Json(EventList { items: events.into_iter().map(Event::from).collect(), next }))
}

/// Tells events as they happen, and `video.changed` with the whole video while one is being worked on.
#[utoipa::path(get, path = "/v1/events/stream", operation_id = "event_stream", tag = "events", params(Following, ("Last-Event-ID" = Option<String>, Header, description = "The cursor of the last event that was read.")), responses((status = 200, body = String, content_type = "text/event-stream"), Problems))]
pub(crate) async fn stream(
    State(node): State<Shared>,
    caller: Caller,
    external: External,
    headers: HeaderMap,
    Ask(following): Ask<Following>,
) -> Result<Response, Problem> {
    let app = caller.permit(Scope::VideoRead)?;
    if following.subject.as_deref() == Some(event::JOBS) {
        caller.permit(Scope::JobRead)?;
    }
    let after = last_read(&headers)?.or(following.after);
    let watch = Watch::begin(&node, app, following.subject, after).await?;
    let telling = Telling { node, external, watch, known: HashMap::new() };
    let frames = stream::unfold(telling, |mut telling| async {
        let frame = telling.next().await?;
        Some((Ok::<_, Infallible>(frame), telling))
    });
    let mut response = Sse::new(frames).keep_alive(KeepAlive::new().interval(KEEP_ALIVE)).into_response();
    // nginx buffers a whole answer otherwise.
    response.headers_mut().insert("x-accel-buffering", HeaderValue::from_static("no"));
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(response)
}

fn last_read(headers: &HeaderMap) -> Result<Option<i64>, Problem> {
    let Some(value) = headers.get("last-event-id").filter(|value| !value.is_empty()) else { return Ok(None) };
    let seq = value.to_str().ok().and_then(|text| text.parse().ok());
    seq.map(Some).ok_or_else(|| {
        Problem::new(Code::BadRequest, "The header Last-Event-ID must be a cursor, a whole number.")
    })
}

struct Telling {
    node: Shared,
    external: External,
    watch: Watch,
    /// What was told of each video last.
    known: HashMap<String, String>,
}

impl Telling {
    /// The next frame; `None` ends the stream, and the client comes back with its cursor.
    async fn next(&mut self) -> Option<Frame> {
        loop {
            match self.watch.next().await {
                Ok(Some(Told::Event(event))) => {
                    let event = Event::from(event);
                    let frame = Frame::default().id(event.seq.to_string()).event(event.topic);
                    return Some(frame.json_data(&event).expect("because an event is made of plain values"));
                }
                Ok(Some(Told::Looked(whole))) => {
                    let video = seen(&self.node, &self.external, &whole, Reach::Owner);
                    let lasting = video.lasting();
                    if self.known.get(&whole.video.id.to_string()) == Some(&lasting) {
                        continue;
                    }
                    // A ready video has jobs only while something of it is made in the background.
                    let working = match whole.video.state {
                        Stage::Processing => true,
                        Stage::Ready => !whole.jobs.is_empty(),
                        Stage::Failed => false,
                    };
                    if working {
                        self.known.insert(whole.video.id.to_string(), lasting);
                    } else {
                        self.known.remove(&whole.video.id.to_string());
                    }
                    let frame = Frame::default().event("video.changed");
                    return Some(frame.json_data(&video).expect("because a video is made of plain values"));
                }
                Ok(Some(Told::Jobs(board))) => {
                    let list = JobList::of(&board, None);
                    let text = serde_json::to_string(&list).expect("because a job is made of plain values");
                    if self.known.get(event::JOBS) == Some(&text) {
                        continue;
                    }
                    let frame = Frame::default().event("jobs.changed").data(&text);
                    self.known.insert(event::JOBS.to_owned(), text);
                    return Some(frame);
                }
                Ok(None) => return None,
                Err(failure) => {
                    tracing::warn!(%failure, "an event stream ends; its reader comes back");
                    return None;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_of_a_reader_that_comes_back_is_a_number() {
        let read = |value: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert("last-event-id", HeaderValue::from_static(value));
            last_read(&headers).ok()
        };
        assert_eq!(read("17"), Some(Some(17)));
        assert_eq!(read(""), Some(None), "a browser that has read nothing");
        assert_eq!(read("x"), None);
    }
}
