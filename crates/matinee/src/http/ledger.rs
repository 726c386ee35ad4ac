//! `/v1/ledger`: all that may exist outside, until it is proven gone.

use axum::Json;
use axum::extract::{Path, State};
use matinee_core::access::Scope;
use matinee_core::ledger;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::Shared;
use super::problem::Problem;
use super::request::Caller;
use super::view::{Ask, Problems, page_limit, parse_id, time, word_of};
use crate::flow::account::{self, Wanted};

/// The words of the states.
pub(crate) const STATES: [(&str, ledger::State); 4] = [
    ("intended", ledger::State::Intended),
    ("present", ledger::State::Present),
    ("to_delete", ledger::State::ToDelete),
    ("gone", ledger::State::Gone),
];

/// Which entries to list.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct Which {
    /// Only those in this state: `intended`, `present`, `to_delete` or `gone`.
    state: Option<String>,
    /// Only those of this video.
    video: Option<String>,
    /// Only those from before this one, an id.
    before: Option<String>,
    /// At most so many, from 1 to 100.
    #[param(minimum = 1, maximum = 100, default = 50)]
    limit: Option<u32>,
}

/// A thing outside that takes room or costs money, or did.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Entry {
    /// Its id.
    id: String,
    /// The video that it is for.
    video_id: String,
    /// The store that it lies in.
    place: String,
    /// What it is for.
    #[schema(value_type = String)]
    kind: ledger::Kind,
    /// `intended` (it may come to exist), `present`, `to_delete`, or `gone` (which was proven).
    #[schema(value_type = String)]
    state: ledger::State,
    /// Why it is to be deleted, for example `video_deleted`.
    reason: Option<String>,
    /// How many deletes have failed.
    attempts: u32,
    /// When the next delete is tried.
    next_try_at: Option<String>,
    /// Why the last delete failed.
    last_error: Option<String>,
    /// When it was intended.
    created_at: String,
    /// When it was proven gone.
    proven_at: Option<String>,
}

/// How much is in one state at one place.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Sum {
    /// The store.
    place: String,
    /// The state.
    #[schema(value_type = String)]
    state: ledger::State,
    /// How many things.
    things: u64,
    /// Their bytes together, as far as they are known.
    bytes: u64,
    /// How many of them a delete has failed for.
    failing: u64,
    /// When the oldest of them was intended.
    oldest_at: String,
}

/// A page of the ledger, the newest first.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Ledger {
    /// The entries.
    items: Vec<Entry>,
    /// What to ask for next as `before`; null at the end.
    next: Option<String>,
    /// How much there is of all that is not proven gone, by place and state.
    sums: Vec<Sum>,
}

/// How many deletes are tried again.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Hurried {
    /// So many that had failed are tried again now; others were due already.
    pub(crate) hurried: u64,
}

impl From<&account::Entry> for Entry {
    fn from(entry: &account::Entry) -> Self {
        Self {
            id: entry.id.to_string(),
            video_id: entry.video.to_string(),
            place: entry.place.clone(),
            kind: entry.kind,
            state: entry.state,
            reason: entry.reason.clone(),
            attempts: entry.attempts,
            next_try_at: entry.next_try.map(time),
            last_error: entry.last_error.clone(),
            created_at: time(entry.created),
            proven_at: entry.proven.map(time),
        }
    }
}

impl From<&account::Sum> for Sum {
    fn from(sum: &account::Sum) -> Self {
        Self {
            place: sum.place.clone(),
            state: sum.state,
            things: sum.things,
            bytes: sum.bytes,
            failing: sum.failing,
            oldest_at: time(sum.oldest),
        }
    }
}

/// Lists what there is outside of the caller's app, and how much.
#[utoipa::path(get, path = "/v1/ledger", operation_id = "ledger_list", tag = "stores", params(Which), responses((status = 200, body = Ledger), Problems))]
pub(crate) async fn list(
    State(node): State<Shared>,
    caller: Caller,
    Ask(which): Ask<Which>,
) -> Result<Json<Ledger>, Problem> {
    let app = caller.permit(Scope::Admin)?;
    let limit = page_limit(which.limit)?;
    let wanted = Wanted {
        state: word_of("state", which.state.as_deref(), &STATES)?,
        video: parse_id("video", which.video.as_deref())?,
        before: parse_id("before", which.before.as_deref())?,
        limit,
    };
    let entries = account::list(&node, app, wanted).await?;
    let full = entries.len() == limit as usize;
    let next = entries.last().filter(|_| full).map(|entry| entry.id.to_string());
    let sums = account::sums(&node, app).await?;
    let items = entries.iter().map(Entry::from).collect();
    Ok(Json(Ledger { items, next, sums: sums.iter().map(Sum::from).collect() }))
}

/// Tries all deletes of the caller's app that have failed again now, instead of when their time comes.
#[utoipa::path(post, path = "/v1/ledger/retry", operation_id = "ledger_retry", tag = "stores", responses((status = 200, body = Hurried), Problems))]
pub(crate) async fn retry(State(node): State<Shared>, caller: Caller) -> Result<Json<Hurried>, Problem> {
    let app = caller.permit(Scope::Admin)?;
    Ok(Json(Hurried { hurried: account::hurry(&node, app, None).await? }))
}

/// Tries one delete again now.
#[utoipa::path(post, path = "/v1/ledger/{id}/retry", operation_id = "ledger_retry_one", tag = "stores", params(("id" = String, Path, description = "The entry.")), responses((status = 200, body = Hurried), Problems))]
pub(crate) async fn retry_one(
    State(node): State<Shared>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Json<Hurried>, Problem> {
    let app = caller.permit(Scope::Admin)?;
    let entry = id.parse().map_err(|_| Problem::not_found())?;
    Ok(Json(Hurried { hurried: account::hurry(&node, app, Some(entry)).await? }))
}
