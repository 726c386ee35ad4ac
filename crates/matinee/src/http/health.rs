//! `/healthz`, `/readyz`, `/metrics`: for who watches the server.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::sync::OnceLock;

use axum::Json;
use axum::extract::{ConnectInfo, State};
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, header};
use matinee_core::access::Scope;
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use serde::Serialize;

use super::Shared;
use super::problem::{Code, Problem};
use super::request::Caller;
use super::view::JOB_STATES;
use crate::flow::health::{self, Gauges};

static RECORDER: OnceLock<PrometheusHandle> = OnceLock::new();

/// Counts from now on what `/metrics` shows; called once at the start. A second call changes nothing.
pub(crate) fn install_recorder() {
    if RECORDER.get().is_some() {
        return;
    }
    match PrometheusBuilder::new().install_recorder() {
        Ok(handle) => drop(RECORDER.set(handle)),
        Err(error) => tracing::warn!(%error, "nothing is counted for /metrics"),
    }
}

/// The process answers.
pub(crate) async fn alive() -> &'static str {
    "ok\n"
}

/// What was looked at.
#[derive(Debug, Serialize)]
struct Checks {
    database: &'static str,
    store: &'static str,
    ffmpeg: &'static str,
}

/// The server can do its work; else a problem that says what is missing.
pub(crate) async fn ready(State(node): State<Shared>) -> Result<Response, Problem> {
    let missing = health::missing(&node).await;
    if missing.is_empty() {
        return Ok(Json(Checks { database: "ok", store: "ok", ffmpeg: "ok" }).into_response());
    }
    Err(Problem::new(Code::Unavailable, missing.join(" "))
        .fix("Mend what the text names; the log says more."))
}

/// Figures for Prometheus; for an administrator, or a program on this machine.
pub(crate) async fn metrics(
    State(node): State<Shared>,
    caller: Caller,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    // A proxy on this machine speaks for somebody else.
    let forwarded = headers.contains_key("x-forwarded-for") || headers.contains_key(header::FORWARDED);
    if !peer.ip().is_loopback() || forwarded {
        caller.permit(Scope::Admin)?;
    }
    let mut text = RECORDER.get().map(PrometheusHandle::render).unwrap_or_default();
    text.push_str(&rows(&health::gauges(&node).await?));
    Ok(([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], text).into_response())
}

/// What is counted in the database's rows, in the text format of Prometheus.
fn rows(gauges: &Gauges) -> String {
    let mut text = String::from(
        "# HELP matinee_jobs Jobs that are not over, or were given up.\n# TYPE matinee_jobs gauge\n",
    );
    let mut line = |args: std::fmt::Arguments<'_>| {
        text.write_fmt(args)
            .and_then(|()| text.write_str("\n"))
            .expect("because writing to a String cannot fail");
    };
    for count in &gauges.jobs {
        let state =
            JOB_STATES.iter().find(|(_, state)| *state == count.state).map_or("unknown", |(word, _)| word);
        line(format_args!("matinee_jobs{{kind=\"{}\",state=\"{state}\"}} {}", count.kind.name(), count.jobs));
    }
    line(format_args!(
        "# HELP matinee_uploads_open Uploads that take bytes.\n# TYPE matinee_uploads_open gauge"
    ));
    line(format_args!("matinee_uploads_open {}", gauges.uploads_open));
    line(format_args!(
        "# HELP matinee_ledger Objects outside, by what is known of them.\n# TYPE matinee_ledger gauge"
    ));
    for (state, objects) in &gauges.ledger {
        line(format_args!("matinee_ledger{{state=\"{state}\"}} {objects}"));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flow::health::Count;
    use matinee_core::job::{Kind, State as Stage};

    #[test]
    fn rows_are_in_the_text_format() {
        let jobs = vec![Count { kind: Kind::Chunk, state: Stage::Dead, jobs: 3 }];
        let text = rows(&Gauges { jobs, uploads_open: 2, ledger: vec![("present", 7)] });
        for line in [
            "matinee_jobs{kind=\"chunk\",state=\"dead\"} 3",
            "matinee_uploads_open 2",
            "matinee_ledger{state=\"present\"} 7",
        ] {
            assert!(text.lines().any(|found| found == line), "{text}");
        }
        assert!(text.ends_with('\n'));
    }
}
