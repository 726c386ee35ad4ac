//! `/v1/webhooks`: where an app wants its events sent, and how that fares.

use axum::Json;
use axum::extract::{Path, State};
use http::StatusCode;
use matinee_core::access::Scope;
use matinee_core::id::{AppId, WebhookId};
use matinee_core::webhook;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::Shared;
use super::problem::{Code, Problem};
use super::request::Caller;
use super::view::{Ask, Problems, Sent, page_limit, parse_id, read_time, time, word_of};
use crate::flow::now;
use crate::flow::webhook::{self as flow, Again, DeliveryFilter, Unfit, Wish};

/// An endpoint to make.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewWebhook {
    /// Where messages go: an address with `https` or `http`; a public one, unless the server allows its host.
    url: String,
    /// Which events it is told, such as `video.ready`; `*` stands for any run of characters. All when it is missing.
    topics: Option<Vec<String>>,
    /// What you call it.
    description: Option<String>,
    /// Is it called from now on? `true` when it is missing.
    active: Option<bool>,
}

/// What to change of an endpoint; what is missing stays.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct WebhookChange {
    /// Another address.
    url: Option<String>,
    /// Other topics, from now on.
    topics: Option<Vec<String>>,
    /// Another description.
    description: Option<String>,
    /// `false` stops it; `true` starts it again, also after it was switched off by itself.
    active: Option<bool>,
}

/// An endpoint, without its secret.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Webhook {
    /// Its id.
    id: String,
    /// Where messages go.
    url: String,
    /// Which events it is told.
    topics: Vec<String>,
    /// What its owner calls it.
    description: String,
    /// It is called.
    active: bool,
    /// `active`, `paused` (by its owner), `gone` (it answered 410) or `failing` (for five days).
    state: &'static str,
    /// Messages that wait for it.
    waiting: u64,
    /// Calls in a row that failed.
    failures: u32,
    /// Since when they do, as RFC 3339 text.
    failing_since: Option<String>,
    /// It is not called before this moment.
    rests_until: Option<String>,
    /// Until when messages are signed by the secret before, too.
    old_secret_until: Option<String>,
    /// When it was made.
    created_at: String,
}

/// An endpoint with a secret that is new.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct MadeWebhook {
    /// The endpoint.
    #[serde(flatten)]
    #[schema(inline)]
    webhook: Webhook,
    /// By what its messages are signed (`whsec_`); it is never shown again.
    secret: String,
}

/// All endpoints, the oldest first.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct WebhookList {
    /// The endpoints.
    items: Vec<Webhook>,
}

/// One call of an endpoint.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Try {
    /// When it began, as RFC 3339 text.
    at: String,
    /// How long it took, in milliseconds.
    took_ms: u64,
    /// The status of the answer; null when there was none.
    status: Option<u16>,
    /// The beginning of what was answered.
    answer: Option<String>,
    /// Why there was no answer.
    error: Option<String>,
}

/// How a test went.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Tested {
    /// It was taken.
    delivered: bool,
    /// The call.
    #[serde(flatten)]
    #[schema(inline)]
    call: Try,
}

/// One event for one endpoint.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Delivery {
    /// The event, whose id is the `webhook-id` of the message.
    event_id: String,
    /// What it is about; `webhook.test` for a test.
    topic: String,
    /// `waiting`, `delivered` or `failed` (ten times, within 76 hours).
    state: &'static str,
    /// Calls since it was begun, or begun again.
    attempts: u32,
    /// When it is sent next; null when it is over.
    next_at: Option<String>,
    /// When the event happened.
    created_at: String,
    /// When it was taken or given up.
    ended_at: Option<String>,
    /// The last calls, the oldest first.
    tries: Vec<Try>,
}

/// A page of deliveries, the newest event first.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct DeliveryList {
    /// The deliveries.
    items: Vec<Delivery>,
    /// What to ask for next as `before`; null at the end.
    next: Option<String>,
}

/// What to send again: one of the two.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Replay {
    /// The id of one event, whatever it is about.
    event: Option<String>,
    /// A moment as RFC 3339 text: all events of its topics since then.
    since: Option<String>,
}

/// What is sent again.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Replayed {
    /// So many events.
    events: u64,
    /// There are more: ask again with this as `since`.
    next_since: Option<String>,
}

/// Which deliveries to list.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct Which {
    /// Only in this state: `waiting`, `delivered` or `failed`.
    state: Option<String>,
    /// Only those of events before this one: the `next` of the page before.
    before: Option<String>,
    /// At most so many, from 1 to 100.
    #[param(minimum = 1, maximum = 100, default = 50)]
    limit: Option<u32>,
}

/// The words for the states of a delivery.
const DELIVERY_STATES: [(&str, webhook::Delivery); 3] = [
    ("waiting", webhook::Delivery::Waiting),
    ("delivered", webhook::Delivery::Delivered),
    ("failed", webhook::Delivery::Failed),
];

impl From<&flow::Webhook> for Webhook {
    fn from(row: &flow::Webhook) -> Self {
        let now = now();
        Self {
            id: row.id.to_string(),
            url: row.url.clone(),
            topics: row.topics.patterns().to_vec(),
            description: row.description.clone(),
            active: row.state == webhook::State::Active,
            state: match row.state {
                webhook::State::Active => "active",
                webhook::State::Paused => "paused",
                webhook::State::Gone => "gone",
                webhook::State::Failing => "failing",
            },
            waiting: row.waiting,
            failures: row.standing.failures,
            failing_since: row.standing.since.map(time),
            rests_until: row.standing.rests_until.filter(|until| *until > now).map(time),
            old_secret_until: row.secrets.old_until(now).map(time),
            created_at: time(row.created),
        }
    }
}

impl Webhook {
    /// The word for its state.
    pub(crate) const fn state(&self) -> &'static str {
        self.state
    }
}

impl MadeWebhook {
    pub(crate) fn of(row: &flow::Webhook, secret: String) -> Self {
        Self { webhook: Webhook::from(row), secret }
    }
}

impl From<&webhook::Try> for Try {
    fn from(tried: &webhook::Try) -> Self {
        Self {
            at: time(tried.at),
            took_ms: tried.took_ms,
            status: tried.status,
            answer: tried.answer.clone(),
            error: tried.error.clone(),
        }
    }
}

impl Tested {
    pub(crate) fn of(tried: &webhook::Try) -> Self {
        Self { delivered: tried.is_taken(), call: tried.into() }
    }
}

impl From<&flow::Delivery> for Delivery {
    fn from(row: &flow::Delivery) -> Self {
        let waits = row.state == webhook::Delivery::Waiting;
        let word = DELIVERY_STATES.iter().find(|(_, state)| *state == row.state).map(|(word, _)| *word);
        Self {
            event_id: row.event.to_string(),
            topic: row.topic.clone(),
            state: word.expect("because every state has its word"),
            attempts: row.attempts,
            next_at: waits.then(|| time(row.next)),
            created_at: time(row.created),
            ended_at: row.ended.map(time),
            tries: row.tries.iter().map(Try::from).collect(),
        }
    }
}

impl Delivery {
    /// The word for its state.
    pub(crate) const fn state(&self) -> &'static str {
        self.state
    }
}

impl Replayed {
    /// How many events.
    pub(crate) const fn events(&self) -> u64 {
        self.events
    }
}

impl From<flow::Replayed> for Replayed {
    fn from(replayed: flow::Replayed) -> Self {
        Self { events: replayed.events, next_since: replayed.next.map(time) }
    }
}

impl From<Unfit> for Problem {
    fn from(unfit: Unfit) -> Self {
        match unfit {
            Unfit::Url(human) => Self::new(Code::UrlRefused, human).fix(
                "Give an address on the public internet, or have its host added to `ingest.allow_hosts` of the server.",
            ),
            Unfit::Failed(failure) => failure.into(),
        }
    }
}

/// Whose endpoint it is: what an app is told holds all of its videos, so it takes its administrator.
fn owned(caller: &Caller, id: &str) -> Result<(AppId, WebhookId), Problem> {
    let app = caller.permit(Scope::Admin)?;
    Ok((app, id.parse().map_err(|_| Problem::not_found())?))
}

/// Makes an endpoint that is told what happens from now on, signed by Standard Webhooks 1.0. Its secret is shown only now.
#[utoipa::path(post, path = "/v1/webhooks", operation_id = "webhook_create", tag = "events", request_body = NewWebhook, responses((status = 201, body = MadeWebhook), Problems))]
pub(crate) async fn create(
    State(node): State<Shared>,
    caller: Caller,
    Sent(new): Sent<NewWebhook>,
) -> Result<(StatusCode, Json<MadeWebhook>), Problem> {
    let app = caller.permit(Scope::Admin)?;
    let wish =
        Wish { url: Some(new.url), topics: new.topics, description: new.description, active: new.active };
    let (made, secret) = flow::create(&node, app, &wish).await?;
    Ok((StatusCode::CREATED, Json(MadeWebhook::of(&made, secret))))
}

/// Lists the endpoints of the caller's app.
#[utoipa::path(get, path = "/v1/webhooks", operation_id = "webhook_list", tag = "events", responses((status = 200, body = WebhookList), Problems))]
pub(crate) async fn list(State(node): State<Shared>, caller: Caller) -> Result<Json<WebhookList>, Problem> {
    let all = flow::list(&node, caller.permit(Scope::Admin)?).await?;
    Ok(Json(WebhookList { items: all.iter().map(Webhook::from).collect() }))
}

/// Shows an endpoint.
#[utoipa::path(get, path = "/v1/webhooks/{id}", operation_id = "webhook_show", tag = "events", params(("id" = String, Path, description = "The endpoint.")), responses((status = 200, body = Webhook), Problems))]
pub(crate) async fn show(
    State(node): State<Shared>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Json<Webhook>, Problem> {
    let (app, id) = owned(&caller, &id)?;
    Ok(Json(Webhook::from(&flow::show(&node, app, id).await?)))
}

/// Changes an endpoint. One that is switched on again is told what happens from now on, and what still waits for it.
#[utoipa::path(patch, path = "/v1/webhooks/{id}", operation_id = "webhook_change", tag = "events", params(("id" = String, Path, description = "The endpoint.")), request_body = WebhookChange, responses((status = 200, body = Webhook), Problems))]
pub(crate) async fn change(
    State(node): State<Shared>,
    caller: Caller,
    Path(id): Path<String>,
    Sent(change): Sent<WebhookChange>,
) -> Result<Json<Webhook>, Problem> {
    let wish = Wish {
        url: change.url,
        topics: change.topics,
        description: change.description,
        active: change.active,
    };
    Ok(Json(Webhook::from(&flow::change(&node, owned(&caller, &id)?, &wish).await?)))
}

/// Forgets an endpoint with all that waits for it.
#[utoipa::path(delete, path = "/v1/webhooks/{id}", operation_id = "webhook_delete", tag = "events", params(("id" = String, Path, description = "The endpoint.")), responses((status = 204, description = "It is forgotten."), Problems))]
pub(crate) async fn delete(
    State(node): State<Shared>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<StatusCode, Problem> {
    let (app, id) = owned(&caller, &id)?;
    flow::delete(&node, app, id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Gives an endpoint another secret. For 24 hours its messages carry two signatures, by this one and by the one before.
#[utoipa::path(post, path = "/v1/webhooks/{id}/secret", operation_id = "webhook_rotate", tag = "events", params(("id" = String, Path, description = "The endpoint.")), responses((status = 200, body = MadeWebhook), Problems))]
pub(crate) async fn rotate(
    State(node): State<Shared>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Json<MadeWebhook>, Problem> {
    let (app, id) = owned(&caller, &id)?;
    let (rotated, secret) = flow::rotate(&node, app, id).await?;
    Ok(Json(MadeWebhook::of(&rotated, secret)))
}

/// Sends a message of the type `webhook.test` now, once, and says how that went.
#[utoipa::path(post, path = "/v1/webhooks/{id}/test", operation_id = "webhook_test", tag = "events", params(("id" = String, Path, description = "The endpoint.")), responses((status = 200, body = Tested), Problems))]
pub(crate) async fn test(
    State(node): State<Shared>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Json<Tested>, Problem> {
    let (app, id) = owned(&caller, &id)?;
    Ok(Json(Tested::of(&flow::test(&node, app, id).await?)))
}

/// Sends events again, with the same ids: one, or all of its topics since a moment.
#[utoipa::path(post, path = "/v1/webhooks/{id}/replay", operation_id = "webhook_replay", tag = "events", params(("id" = String, Path, description = "The endpoint.")), request_body = Replay, responses((status = 200, body = Replayed), Problems))]
pub(crate) async fn replay(
    State(node): State<Shared>,
    caller: Caller,
    Path(id): Path<String>,
    Sent(replay): Sent<Replay>,
) -> Result<Json<Replayed>, Problem> {
    let endpoint = owned(&caller, &id)?;
    let again = match (replay.event, replay.since) {
        (Some(event), None) => parse_id("event", Some(&event))?.map(Again::Event),
        (None, Some(since)) => read_time(&since).map(Again::Since),
        (None, None) | (Some(_), Some(_)) => None,
    };
    let again = again.ok_or_else(|| {
        let text = "Name either `event`, an id, or `since`, a moment such as 2026-11-21T10:00:00Z.";
        Problem::new(Code::BadRequest, text)
    })?;
    Ok(Json(flow::replay(&node, endpoint, again).await?.into()))
}

/// Tells how messages to an endpoint fared in the last 30 days, the newest event first.
#[utoipa::path(get, path = "/v1/webhooks/{id}/deliveries", operation_id = "webhook_deliveries", tag = "events", params(("id" = String, Path, description = "The endpoint."), Which), responses((status = 200, body = DeliveryList), Problems))]
pub(crate) async fn deliveries(
    State(node): State<Shared>,
    caller: Caller,
    Path(id): Path<String>,
    Ask(which): Ask<Which>,
) -> Result<Json<DeliveryList>, Problem> {
    let endpoint = owned(&caller, &id)?;
    let limit = page_limit(which.limit)?;
    let filter = DeliveryFilter {
        state: word_of("state", which.state.as_deref(), &DELIVERY_STATES)?,
        before: parse_id("before", which.before.as_deref())?,
        limit,
    };
    let all = flow::deliveries(&node, endpoint, &filter).await?;
    let next = all.last().filter(|_| all.len() == limit as usize).map(|last| last.event.to_string());
    Ok(Json(DeliveryList { items: all.iter().map(Delivery::from).collect(), next }))
}
