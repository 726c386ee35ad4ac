//! `/v1/hosts`: the services that videos are published to, for who runs the server.

use axum::Json;
use axum::extract::{Path, State};
use matinee_core::access::Scope;

use super::Shared;
use super::problem::Problem;
use super::request::Caller;
use super::view::{HostList, HostTrial, Problems};
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
    // Other apps do not spend what the server pays for.
    if caller.permit(Scope::Admin)? != node.defaults.app {
        return Err(Problem::not_found());
    }
    Ok(Json(HostTrial::of(&flow::trial(&node, &host).await?)))
}
