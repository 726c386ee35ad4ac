//! `/v1/stores`: where copies lie and what waits, for who runs the server.

use axum::Json;
use axum::extract::{Path, State};
use matinee_core::access::Scope;
use matinee_core::placement::Class;
use matinee_core::replica;
use serde::Serialize;
use utoipa::ToSchema;

use super::Shared;
use super::problem::Problem;
use super::request::Caller;
use super::view::{Problems, time};
use crate::flow::standing::{self, Standing};

/// A store, and how it stands.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Store {
    /// Its name; `local` is the data directory.
    id: String,
    /// Where it is.
    place: String,
    /// `replica`, or `archive`.
    #[schema(value_type = String)]
    class: Class,
    /// What fails together with it.
    domain: String,
    /// `working`, `away` when it does not answer, `elsewhere` when another place is found under its name, `draining`, or `lost` for
    /// ever.
    state: &'static str,
    /// Since when it does not answer.
    away_since: Option<String>,
    /// What it said last, while it is away.
    error: Option<String>,
    /// Good copies that lie there.
    objects: u64,
    /// Their bytes.
    bytes: u64,
    /// Copies that are still to be made.
    waiting_objects: u64,
    /// Their bytes.
    waiting_bytes: u64,
    /// Since when the oldest of them waits.
    waiting_since: Option<String>,
    /// Copies that were found bad, and wait for a good one to take their place.
    bad_objects: u64,
    /// Copies that are to be deleted.
    leaving_objects: u64,
    /// When the copy was read and found right that was so longest ago.
    scrubbed_since: Option<String>,
    /// What it can do, in sentences, as it was tried.
    facts: Vec<&'static str>,
    /// When that was.
    tried: Option<String>,
    /// What its listing has shown beside the rows, in sentences.
    found: Vec<String>,
    /// When that was.
    compared: Option<String>,
}

/// All stores, the data directory first.
#[derive(Debug, Default, Serialize, ToSchema)]
pub(crate) struct StoreList {
    /// The stores.
    items: Vec<Store>,
}

/// Lists the stores with what lies in them and what waits; other apps than the first one see none.
#[utoipa::path(get, path = "/v1/stores", operation_id = "store_list", tag = "stores", responses((status = 200, body = StoreList), Problems))]
pub(crate) async fn list(State(node): State<Shared>, caller: Caller) -> Result<Json<StoreList>, Problem> {
    let app = caller.permit(Scope::JobRead)?;
    if app != node.defaults.app {
        return Ok(Json(StoreList::default()));
    }
    let items = standing::all(&node).await?.into_iter().map(Store::from).collect();
    Ok(Json(StoreList { items }))
}

/// Empties a store: what lies in it is copied elsewhere and proven there, and only then deleted.
#[utoipa::path(put, path = "/v1/stores/{id}/drain", operation_id = "store_drain", tag = "stores", params(("id" = String, Path, description = "The name of the store.")), responses((status = 200, body = Store), Problems))]
pub(crate) async fn drain(
    State(node): State<Shared>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Json<Store>, Problem> {
    ordered(&node, &caller, &id, true).await
}

/// Lets a store be filled again.
#[utoipa::path(delete, path = "/v1/stores/{id}/drain", operation_id = "store_resume", tag = "stores", params(("id" = String, Path, description = "The name of the store.")), responses((status = 200, body = Store), Problems))]
pub(crate) async fn resume(
    State(node): State<Shared>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Json<Store>, Problem> {
    ordered(&node, &caller, &id, false).await
}

async fn ordered(node: &Shared, caller: &Caller, id: &str, drained: bool) -> Result<Json<Store>, Problem> {
    // Other apps do not learn which stores there are.
    if caller.permit(Scope::Admin)? != node.defaults.app {
        return Err(Problem::not_found());
    }
    Ok(Json(Store::from(standing::drain(node, id, drained).await?)))
}

impl From<Standing> for Store {
    fn from(standing: Standing) -> Self {
        let (objects, bytes) = standing.count(replica::State::Present);
        let (waiting_objects, waiting_bytes) = standing.count(replica::State::Intended);
        let waiting = standing.of(replica::State::Intended).and_then(|lag| lag.oldest);
        let known = &standing.state;
        let state = match (known.lost, known.elsewhere, known.away, standing.draining) {
            (Some(_), ..) => "lost",
            (None, Some(_), ..) => "elsewhere",
            (None, None, Some(_), _) => "away",
            (None, None, None, Some(_)) => "draining",
            (None, None, None, None) => "working",
        };
        let (compared, found) = standing.compared.clone().unzip();
        Self {
            state,
            away_since: standing.state.away.map(time),
            waiting_since: waiting.map(time),
            scrubbed_since: standing.of(replica::State::Present).and_then(|lag| lag.verified).map(time),
            bad_objects: standing.count(replica::State::Suspect).0,
            leaving_objects: standing.count(replica::State::ToDelete).0,
            tried: standing.state.facts.as_ref().map(|(_, at)| time(*at)),
            facts: standing.facts,
            found: found.unwrap_or_default(),
            compared: compared.map(time),
            id: standing.name,
            place: standing.place,
            class: standing.class,
            domain: standing.domain,
            error: standing.state.error,
            objects,
            bytes,
            waiting_objects,
            waiting_bytes,
        }
    }
}
