//! `/v1/nodes`: the servers that work, for who runs them.

use axum::Json;
use axum::extract::{Path, State};
use matinee_core::access::Scope;

use super::Shared;
use super::problem::Problem;
use super::request::Caller;
use super::view::{Node, NodeList, Problems};
use crate::flow::roster;

/// Lists the servers that work, or did in the last days; other apps than the first one see none.
#[utoipa::path(get, path = "/v1/nodes", operation_id = "node_list", tag = "nodes", responses((status = 200, body = NodeList), Problems))]
pub(crate) async fn list(State(node): State<Shared>, caller: Caller) -> Result<Json<NodeList>, Problem> {
    let app = caller.permit(Scope::JobRead)?;
    if app != node.defaults.app {
        return Ok(Json(NodeList::default()));
    }
    Ok(Json(NodeList::from(&roster::roster(&node).await?)))
}

/// No new work begins on a server from now on, until it is told otherwise; what runs goes on.
#[utoipa::path(put, path = "/v1/nodes/{id}/drain", operation_id = "node_drain", tag = "nodes", params(("id" = String, Path, description = "The name of the server.")), responses((status = 200, body = Node), Problems))]
pub(crate) async fn drain(
    State(node): State<Shared>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Json<Node>, Problem> {
    ordered(&node, &caller, &id, true).await
}

/// Work begins on a server again.
#[utoipa::path(delete, path = "/v1/nodes/{id}/drain", operation_id = "node_resume", tag = "nodes", params(("id" = String, Path, description = "The name of the server.")), responses((status = 200, body = Node), Problems))]
pub(crate) async fn resume(
    State(node): State<Shared>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Json<Node>, Problem> {
    ordered(&node, &caller, &id, false).await
}

async fn ordered(node: &Shared, caller: &Caller, id: &str, drained: bool) -> Result<Json<Node>, Problem> {
    // Other apps do not learn which servers there are.
    if caller.permit(Scope::Admin)? != node.defaults.app {
        return Err(Problem::not_found());
    }
    Ok(Json(Node::from(&roster::drain(node, id, drained).await?)))
}
