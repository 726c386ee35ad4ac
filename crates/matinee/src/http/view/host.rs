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
    /// What is used of what was paid for; null where the host does not tell.
    pub(crate) usage: Option<HostUsage>,
    /// Since when it is being emptied, as RFC 3339 text.
    pub(crate) draining_since: Option<String>,
    /// The host where what is there is to be first; null when it only goes.
    pub(crate) draining_to: Option<String>,
    /// Videos that are published there and whose files are ours.
    pub(crate) published: u64,
    /// Videos that are nowhere else: they stay, whoever empties it.
    pub(crate) only_there: u64,
    /// The last calls, the newest first.
    pub(crate) calls: Vec<HostCall>,
}

/// What a host says that is used of what was paid for.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct HostUsage {
    /// Seconds of video that are stored or reserved there.
    stored_s: Option<u64>,
    /// The most that may be, in seconds.
    limit_s: Option<u64>,
    /// Videos there, whoever put them there.
    videos: Option<u64>,
    /// When it said so, as RFC 3339 text.
    told_at: String,
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

/// Where what leaves a host goes.
#[derive(Debug, Default, serde::Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct HostDrain {
    /// Another host, by its name in the configuration: there each video is ready before it goes here. When it is missing, each
    /// just goes; we still have its file.
    pub(crate) to: Option<String>,
}

impl HostList {
    /// All of them; with how they are when `whole`.
    pub(crate) fn of(all: &[Shown], whole: bool) -> Self {
        Self { items: all.iter().map(|shown| Host::of(shown, whole)).collect() }
    }
}

impl Host {
    /// One of them; with how it is when `whole`.
    pub(crate) fn of(shown: &Shown, whole: bool) -> Self {
        Self { name: shown.name.clone(), kind: shown.kind, health: whole.then(|| Health::of(shown)) }
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
            usage: shown.usage.map(|usage| HostUsage {
                stored_s: usage.stored_s,
                limit_s: usage.limit_s,
                videos: usage.videos,
                told_at: time(usage.at),
            }),
            draining_since: shown.vacating.as_ref().map(|vacating| time(vacating.since)),
            draining_to: shown.vacating.as_ref().and_then(|vacating| vacating.to.clone()),
            published: shown.left.published,
            only_there: shown.left.only_there,
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
