//! Hosts as JSON.

use matinee_core::breaker::Breaker;
use serde::Serialize;
use utoipa::ToSchema;

use super::time;
use crate::flow::publication::{Call, Shown, Tried};

/// The hosts of the configuration.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct HostList {
    /// The hosts, in the order of the configuration.
    pub(crate) items: Vec<Host>,
}

/// A service that videos are published to.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Host {
    /// Its name in the configuration.
    pub(crate) name: String,
    /// `cloudflare` or `bunny`.
    pub(crate) kind: &'static str,
    /// How it is; null for who does not run the server.
    pub(crate) health: Option<Health>,
}

/// How a host is.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Health {
    /// Whose videos these are, such as the number of the account.
    pub(crate) identity: String,
    /// It does not answer since this moment, as RFC 3339 text; its work waits. Null when it does.
    pub(crate) away_since: Option<String>,
    /// When it is asked whether it is back.
    pub(crate) asked_again_at: Option<String>,
    /// When it answered last.
    pub(crate) answered_at: Option<String>,
    /// What was wrong last.
    pub(crate) error: Option<String>,
    /// When that was.
    pub(crate) error_at: Option<String>,
    /// Videos there that are not proven gone.
    pub(crate) held: u64,
    /// The last calls, the newest first.
    pub(crate) calls: Vec<HostCall>,
}

/// A call to a host.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct HostCall {
    /// What it was.
    name: String,
    /// When it ended, as RFC 3339 text.
    at: String,
    /// How long it took in milliseconds.
    took_ms: u64,
    /// What was wrong; null when nothing was.
    error: Option<String>,
}

/// How a trial of a host went.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct HostTrial {
    /// Every step came through.
    pub(crate) passed: bool,
    /// The steps, up to the first that did not.
    pub(crate) steps: Vec<HostStep>,
}

/// A step of a trial.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct HostStep {
    /// `create`, `status`, `list`, `delete` or `gone`.
    pub(crate) name: &'static str,
    /// How long it took in milliseconds.
    pub(crate) took_ms: u64,
    /// What was wrong; null when nothing was.
    pub(crate) error: Option<String>,
}

impl HostList {
    /// All of them; with how they are when `whole`.
    pub(crate) fn of(all: &[Shown], whole: bool) -> Self {
        let host = |shown: &Shown| Host {
            name: shown.name.clone(),
            kind: shown.kind,
            health: whole.then(|| Health::of(shown)),
        };
        Self { items: all.iter().map(host).collect() }
    }
}

impl Health {
    fn of(shown: &Shown) -> Self {
        let (since, probe) = match shown.breaker {
            Breaker::Closed => (None, None),
            Breaker::Open { since, probe, .. } => (Some(since), Some(probe)),
        };
        Self {
            identity: shown.identity.clone(),
            away_since: since.map(time),
            asked_again_at: probe.map(time),
            answered_at: shown.spoke.map(time),
            error: shown.error.as_ref().map(|(error, _)| error.clone()),
            error_at: shown.error.as_ref().map(|(_, at)| time(*at)),
            held: shown.held,
            calls: shown.calls.iter().map(HostCall::of).collect(),
        }
    }
}

impl HostCall {
    fn of(call: &Call) -> Self {
        Self { name: call.name.clone(), at: time(call.at), took_ms: call.took_ms, error: call.error.clone() }
    }
}

impl HostTrial {
    pub(crate) fn of(steps: &[Tried]) -> Self {
        let step =
            |tried: &Tried| HostStep { name: tried.step, took_ms: tried.took_ms, error: tried.error.clone() };
        Self {
            passed: steps.iter().all(|tried| tried.error.is_none()),
            steps: steps.iter().map(step).collect(),
        }
    }
}
