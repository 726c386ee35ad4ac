//! The work as its operator sees it: what fails and how it is looked at, what waits and why, and orders given to it.

mod failure;
mod moved;
mod order;
mod restart;

use serde_json::Value;

use crate::support::server::Server;
use crate::support::until;

/// The jobs of a group.
pub(crate) async fn group(server: &Server, group: &str) -> Vec<Value> {
    let (status, list) = server.get(&format!("/v1/jobs?group={group}&limit=100")).await;
    assert_eq!(status, 200, "{list}");
    list["items"].as_array().unwrap().clone()
}

/// One job with all that is known of it.
pub(crate) async fn detail(server: &Server, job: &str) -> Value {
    let (status, detail) = server.get(&format!("/v1/jobs/{job}")).await;
    assert_eq!(status, 200, "{detail}");
    detail
}

/// How the attempts at a job ended, the oldest first; `null` for one that runs.
pub(crate) fn outcomes(detail: &Value) -> Vec<&str> {
    let attempts = detail["attempts"].as_array().unwrap();
    attempts.iter().map(|attempt| attempt["outcome"].as_str().unwrap_or("null")).collect()
}

/// Waits until a group has a job that is wanted.
pub(crate) async fn in_group(
    server: &Server,
    name: &str,
    deadline_s: u64,
    wanted: impl Fn(&Value) -> bool,
) -> Value {
    until(&format!("a job is {name}"), deadline_s, async || {
        group(server, name).await.into_iter().find(|job| wanted(job))
    })
    .await
}
