//! `/v1/hosts`: the services that videos are published to, for who runs the server.

use axum::Json;
use axum::extract::{Path, State};
use matinee_core::access::Scope;

use super::Shared;
use super::problem::Problem;
use super::request::Caller;
use super::view::{Host, HostDrain, HostList, HostTrial, Problems, Sent};
use crate::flow::publication as flow;

/// Lists the hosts of the configuration with how they are; other apps than the first one see their names only.
#[utoipa::path(get, path = "/v1/hosts", operation_id = "host_list", tag = "hosts", responses((status = 200, body = HostList), Problems))]
pub(crate) async fn list(State(node): State<Shared>, caller: Caller) -> Result<Json<HostList>, Problem> {
    let app = caller.permit(Scope::VideoRead)?;
    let whole = app == node.defaults.app && caller.permit(Scope::Admin).is_ok();
    Ok(Json(HostList::of(&flow::hosts(&node).await?, whole)))
}

/// Tries a host with a video that is made, found and deleted; says how each step went.
#[utoipa::path(post, path = "/v1/hosts/{id}/test", operation_id = "host_test", tag = "hosts", params(("id" = String, Path, description = "The host by its name in the configuration.")), responses((status = 200, body = HostTrial), Problems))]
pub(crate) async fn test(
    State(node): State<Shared>,
    caller: Caller,
    Path(host): Path<String>,
) -> Result<Json<HostTrial>, Problem> {
    servers(&node, &caller)?;
    Ok(Json(HostTrial::of(&flow::trial(&node, &host).await?)))
}

/// Other apps do not spend what the server pays for.
fn servers(node: &Shared, caller: &Caller) -> Result<(), Problem> {
    if caller.permit(Scope::Admin)? == node.defaults.app { Ok(()) } else { Err(Problem::not_found()) }
}

/// Empties a host: nothing new goes there, and each video of ours goes, after it is ready at `to` if that is said. What only the
/// host has stays.
#[utoipa::path(put, path = "/v1/hosts/{id}/drain", operation_id = "host_drain", tag = "hosts", params(("id" = String, Path, description = "The host by its name in the configuration.")), request_body = HostDrain, responses((status = 200, body = Host), Problems))]
pub(crate) async fn drain(
    State(node): State<Shared>,
    caller: Caller,
    Path(host): Path<String>,
    Sent(wish): Sent<HostDrain>,
) -> Result<Json<Host>, Problem> {
    servers(&node, &caller)?;
    let how = wish.to.as_deref().map_or(flow::Vacate::Away, flow::Vacate::To);
    Ok(Json(Host::of(&flow::vacate(&node, &host, how).await?, true)))
}

/// Lets a host be filled again; what has left it stays away.
#[utoipa::path(delete, path = "/v1/hosts/{id}/drain", operation_id = "host_resume", tag = "hosts", params(("id" = String, Path, description = "The host by its name in the configuration.")), responses((status = 200, body = Host), Problems))]
pub(crate) async fn resume(
    State(node): State<Shared>,
    caller: Caller,
    Path(host): Path<String>,
) -> Result<Json<Host>, Problem> {
    servers(&node, &caller)?;
    Ok(Json(Host::of(&flow::vacate(&node, &host, flow::Vacate::Stop).await?, true)))
}
