//! `/v1/inventory`: what stores and hosts really have beside what the rows say, for who runs the server.

use axum::Json;
use axum::extract::State;
use matinee_core::inventory::outside::Next;
use serde::Serialize;
use utoipa::ToSchema;

use super::Shared;
use super::problem::Problem;
use super::request::Caller;
use super::view::{Problems, time};
use crate::flow::inventory::{self as flow, Facts, Last};

/// Something at a place that no row knows.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Orphan {
    /// Its name there.
    name: String,
    /// `object`, `video`, `upload` (half an upload) or `version` (what no listing shows).
    thing: &'static str,
    /// Its bytes, when they are told.
    size_bytes: Option<u64>,
    /// When it was seen first.
    first_seen_at: Option<String>,
    /// When it is deleted, unless a row knows it by then; null when it stays, because its place does not say `delete_unknown`.
    goes_at: Option<String>,
}

/// What a place has told when it was compared last.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Findings {
    /// Each thing had its row, and each row its thing.
    holds: bool,
    /// Why it did not tell what it has; then nothing is proven of it. Null when it told all.
    unproven: Option<String>,
    /// Things that were listed.
    things: u64,
    /// Their bytes.
    bytes: u64,
    /// Those that are not of this server; they are left alone.
    foreign: u64,
    /// Those that take room and that nobody accounts for.
    orphans: usize,
    /// Their bytes, as far as they are told.
    orphan_bytes: u64,
    /// What they cost each month; null when that has no price.
    orphan_cost_month: Option<f64>,
    /// How many of them were put down to be deleted.
    owed: u64,
    /// What rows promise and was not there, or had another length; it is made again, or asked for.
    lacking: usize,
    /// Names of some of that.
    lacking_names: Vec<String>,
}

/// A store or a host beside its rows.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Compared {
    /// `store` or `host`.
    sort: &'static str,
    /// Its name.
    place: String,
    /// When it was compared last; null before the first time.
    checked_at: Option<String>,
    /// When it is compared next.
    next_at: Option<String>,
    /// What was found.
    found: Option<Findings>,
    /// Things that are there, or may be, by their rows now.
    held: u64,
    /// Those of them that are to be deleted.
    held_to_delete: u64,
    /// What no row knows and is kept for now, at most 20 of it: what is seen for the longest time first.
    kept: Vec<Orphan>,
}

/// All stores and hosts beside their rows.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Inventory {
    /// The places.
    items: Vec<Compared>,
    /// The currency of all costs.
    currency: String,
}

/// What is compared now.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Comparing {
    /// So many places are compared from now on.
    places: usize,
}

impl Findings {
    fn of(facts: Facts, orphan_cost_month: Option<f64>) -> Self {
        Self {
            orphans: facts.orphans(),
            lacking: facts.missing + facts.length,
            holds: facts.holds,
            unproven: facts.why,
            things: facts.things,
            bytes: facts.bytes,
            foreign: facts.foreign,
            orphan_bytes: facts.orphan_bytes,
            orphan_cost_month,
            owed: facts.owed,
            lacking_names: facts.lacking,
        }
    }
}

impl From<Last> for Compared {
    fn from(last: Last) -> Self {
        let kept = last.kept.into_iter().map(|(one, next)| Orphan {
            name: one.name,
            thing: one.thing.name(),
            size_bytes: one.size,
            first_seen_at: one.first.map(time),
            goes_at: match next {
                Next::Wait(until) => Some(time(until)),
                // At the next comparison.
                Next::Delete => last.next.map(time),
                Next::Tell => None,
            },
        });
        Self {
            sort: last.sort.name(),
            place: last.place,
            checked_at: last.at.map(time),
            next_at: last.next.map(time),
            found: last.found.map(|facts| Findings::of(facts, last.orphan_cost)),
            held: last.held.0,
            held_to_delete: last.held.1,
            kept: kept.collect(),
        }
    }
}

/// Shows what comparing every store and host with its rows has found last.
#[utoipa::path(get, path = "/v1/inventory", operation_id = "inventory_show", tag = "stores", responses((status = 200, body = Inventory), Problems))]
pub(crate) async fn show(State(node): State<Shared>, caller: Caller) -> Result<Json<Inventory>, Problem> {
    caller.permit_server(&node)?;
    let (all, currency) = flow::last(&node).await?;
    Ok(Json(Inventory { items: all.into_iter().map(Compared::from).collect(), currency }))
}

/// Has every store and host compared now, instead of once a day, with all that follows from it; the answer does not wait for that.
#[utoipa::path(post, path = "/v1/inventory/compare", operation_id = "inventory_compare", tag = "stores", responses((status = 200, body = Comparing), Problems))]
pub(crate) async fn compare(State(node): State<Shared>, caller: Caller) -> Result<Json<Comparing>, Problem> {
    caller.permit_server(&node)?;
    Ok(Json(Comparing { places: flow::hurry(&node).await? }))
}
