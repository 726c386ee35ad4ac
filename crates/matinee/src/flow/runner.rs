//! Runners: invited by an administrator, registered once, known by their token, drained and revoked.

mod attempt;
mod claim;
mod object;

use matinee_core::access::runner;
use matinee_core::access::secret::Secret;
use matinee_core::hash::unhex;
use matinee_core::id::{JobId, RunnerId};
use matinee_core::job::{Kind, Lease};
use matinee_core::limits;
use matinee_core::runner::Unfit;
use matinee_core::runner::{ENCODERS, Report, State};
use matinee_io::db::DbError;
use matinee_io::db::runner::NewRunner;
pub(crate) use matinee_io::db::runner::{Runner, Running};
use matinee_io::random;

pub(crate) use self::attempt::{complete, fail, renew};
pub(crate) use self::claim::claim;
pub(crate) use self::object::{Received, measure, opened, receive, size};
use super::work;
use super::{Failure, now};
use crate::errand::{Joining, Registered};
use crate::node::Node;

/// Why a runner does not get what it asks for.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Refused {
    /// Its machine does not fit.
    #[error(transparent)]
    Unfit(#[from] Unfit),
    /// Somebody else holds the job, or nobody wants it any more.
    #[error("the lease does not hold any more")]
    LeaseLost,
    /// What lies here is not what the runner says.
    #[error("{0}")]
    Mismatch(String),
    /// What lies here is not what the plan says; the job was taken back.
    #[error("{0}")]
    Unproven(String),
    /// Anything else.
    #[error(transparent)]
    Failure(#[from] Failure),
}

impl From<DbError> for Refused {
    fn from(error: DbError) -> Self {
        match error {
            DbError::LeaseLost => Self::LeaseLost,
            DbError::Again(_)
            | DbError::Never(_)
            | DbError::Taken(_)
            | DbError::Conflict(_)
            | DbError::Refused(_)
            | DbError::Absent => Self::Failure(error.into()),
        }
    }
}

/// The word for where a runner is in its life.
pub(crate) const fn word(state: State) -> &'static str {
    match state {
        State::Invited => "invited",
        State::Active => "active",
        State::Draining => "draining",
        State::Revoked => "revoked",
    }
}

/// Makes a runner that is to come, and its registration token, which is shown only now.
pub(crate) async fn invite(node: &Node, name: &str, kinds: Vec<Kind>) -> Result<(String, Runner), Failure> {
    let secret = Secret::new(random::bytes());
    let id = random::id();
    let new = NewRunner {
        id,
        name: name.to_owned(),
        invite_hash: secret.hash(),
        invite_until: now().plus(limits::RUNNER_INVITE_MS),
        kinds,
    };
    node.db.invite_runner(&new, now()).await?;
    Ok((secret.reveal(), node.db.runner(id).await?.ok_or(Failure::Absent)?))
}

/// Registers a runner. `None` when its registration token is unknown, over or used.
pub(crate) async fn register(node: &Node, asked: &Joining) -> Result<Option<Registered>, Refused> {
    let (Some(invite), Some(nonce)) = (Secret::read(&asked.registration_token), bytes_of(&asked.nonce))
    else {
        return Ok(None);
    };
    asked.report.fits(&ours(node).await)?;
    let token = runner::token(&node.path_key, &invite, &nonce);
    match node.db.register_runner((invite.hash(), token.hash()), &asked.report, now()).await {
        Ok(runner) => {
            tracing::info!(runner = %runner.id, name = runner.name, "a runner has registered");
            let id = runner.id.to_string();
            Ok(Some(Registered { id, name: runner.name, token: token.reveal() }))
        }
        Err(DbError::Absent) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// The runner with this token, unless it is revoked.
pub(crate) async fn known(node: &Node, token: &str) -> Result<Option<Runner>, Failure> {
    let Some(token) = Secret::read(token) else { return Ok(None) };
    Ok(node.db.runner_by_token(&token.hash()).await?)
}

/// All runners and what they work on.
pub(crate) async fn list(node: &Node) -> Result<(Vec<Runner>, Vec<Running>), Failure> {
    Ok(node.db.runners().await?)
}

/// Gives a runner no more work, or work again.
pub(crate) async fn drain(node: &Node, id: RunnerId, drain: bool) -> Result<(), Failure> {
    Ok(node.db.drain_runner(id, drain, None).await?)
}

/// Ends a runner; how many of its jobs went back.
pub(crate) async fn revoke(node: &Node, id: RunnerId) -> Result<u32, Failure> {
    let given_back = node.db.revoke_runner(id, now()).await?;
    tracing::info!(runner = %id, given_back, "a runner was revoked");
    Ok(given_back)
}

/// A runner was heard of; written now and then.
async fn seen(node: &Node, runner: &Runner) -> Result<(), Failure> {
    if runner.seen.is_none_or(|seen| now().since(seen) >= limits::RUNNER_SEEN_MS) {
        node.db.runner_seen(runner.id, None, now()).await?;
    }
    Ok(())
}

/// What we say of ourselves; with the fingerprint of our encoders, when every machine has to have the same.
async fn ours(node: &Node) -> Report {
    let Ok(ffmpeg) = &node.ffmpeg else { return Report::default() };
    let found = ffmpeg.found();
    let had = ENCODERS.iter().filter(|name| found.encoders.contains(**name));
    let mut report = Report {
        ffmpeg: found.version.clone(),
        encoders: had.map(|&name| name.to_owned()).collect(),
        ..Report::default()
    };
    if node.config.workers.identical {
        let made =
            node.fingerprint.get_or_try_init(|| work::fingerprint(ffmpeg, node.work_dir())).await.cloned();
        report.fingerprint = made
            .inspect_err(
                |fault| tracing::error!(%fault, "our own encoders made nothing of the known picture"),
            )
            .unwrap_or_default();
    }
    report
}

/// The 16 bytes that a runner has written as digits.
fn bytes_of(digits: &str) -> Option<[u8; 16]> {
    unhex(digits)?.try_into().ok()
}

/// The lease that a runner names.
pub(crate) fn lease(job: &str, attempt: u32, token: &str) -> Option<Lease> {
    let job: JobId = job.parse().ok()?;
    Some(Lease { job, attempt, token: bytes_of(token)? })
}
