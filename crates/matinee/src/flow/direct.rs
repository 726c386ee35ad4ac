//! What a host is asked about uploads that go straight to it: to make their videos, and what became of those that are late.

use matinee_core::id::PublicationId;
use matinee_core::limits::{HOST_ROW_WAIT_MS, HOST_TARGET_GRACE_MS};
use matinee_core::throttle::Urgency;
use matinee_core::time::Millis;
use matinee_core::video::Problem;
use matinee_io::db::{DbError, NewUpload, Publication, Upload, Verdict};
use matinee_io::host::{HostError, Wanted};

use super::creation::{Intent, Made};
use super::outside::Stop;
use super::{Failure, now};
use crate::node::Node;
use crate::node::hosts::Known;

/// So many are seen to in one round.
const ROUND: u32 = 20;
/// The type of a file that nobody has looked at: hosts look themselves.
const MIME: &str = "application/octet-stream";

/// Asks a host to make the video of an upload that was just announced: somebody waits for the address. Where the host is
/// away or full it stays announced, and the host is asked again.
pub(super) async fn ask(
    node: &Node,
    to: &Known,
    (upload, publication): (&NewUpload, PublicationId),
) -> Result<(), Failure> {
    let wanted = wanted(&upload.title, upload.size, upload.allowance.max_duration_ms);
    match make(node, to, (publication, &wanted), Urgency::Person).await {
        // It was made by whoever looked for it in the meantime, or given up.
        Ok(()) | Err(Stop::Away(_) | Stop::Ours(Failure::Absent)) => Ok(()),
        Err(Stop::Said(HostError::Refused(why))) => {
            Err(Failure::Refused { conflict: false, human: format!("The host does not take this: {why}") })
        }
        Err(Stop::Said(error)) => {
            tracing::info!(host = to.name, %error, "an upload waits for its host");
            Ok(())
        }
        Err(Stop::Ours(failure)) => Err(failure),
    }
}

fn wanted(title: &str, size: Option<u64>, duration_ms: Option<u64>) -> Wanted {
    Wanted { title: title.to_owned(), size: size.unwrap_or_default(), duration_ms, mime: MIME.to_owned() }
}

/// Has the video of an upload made; what the host refuses ends the upload.
async fn make(
    node: &Node,
    to: &Known,
    (id, wanted): (PublicationId, &Wanted),
    urgency: Urgency,
) -> Result<(), Stop> {
    let made = Intent { node, to, id, wanted, from: None, lease: None, urgency }.make().await;
    match &made {
        Ok(Made::Later(at)) => node.db.put_off_direct(id, *at).await?,
        // It answers, so nothing else holds back the next question.
        Err(Stop::Said(HostError::Full(_))) => {
            node.db.put_off_direct(id, now().plus(HOST_ROW_WAIT_MS)).await?;
        }
        Err(Stop::Said(HostError::Refused(why))) => {
            let reason = Problem {
                code: "host_refused".to_owned(),
                human: format!("The host does not take this video: {why}"),
                fix: "Mend what the host says, and announce the upload again.".to_owned(),
            };
            node.db.end_direct(id, &Verdict::Refused(reason), now()).await?;
        }
        Ok(Made::There(_) | Made::Pulls | Made::Unwanted) | Err(_) => {}
    }
    made.map(drop)
}

/// Sees to the uploads that wait for a host: those that it has not confirmed are asked for again.
pub(super) async fn waiting(node: &Node, to: &Known) -> Result<(), Stop> {
    for (upload, publication) in node.db.directs_waiting(&to.name, now(), ROUND).await? {
        if is_late(&upload) {
            // Nobody was ever told where to send it.
            node.db.end_direct(publication.id, &Verdict::Late(latest()), now()).await?;
            continue;
        }
        let wanted = wanted(&upload.title, upload.size, upload.allowance.max_duration_ms);
        match make(node, to, (publication.id, &wanted), Urgency::Work).await {
            // What the host says of this one it does not say of the next; and one may have been given up meanwhile.
            Ok(())
            | Err(Stop::Said(HostError::Refused(_) | HostError::Full(_)) | Stop::Ours(Failure::Absent)) => {}
            Err(stop) => return Err(stop),
        }
    }
    Ok(())
}

/// The uploads that had to be complete by now, and are not as far as is known: the host has the last word.
pub(super) async fn overdue(node: &Node, to: &Known) -> Result<Vec<Publication>, DbError> {
    let late = node.db.directs_overdue(&to.name, latest(), ROUND).await?;
    Ok(late.into_iter().map(|(_, publication)| publication).filter(|one| one.remote.is_some()).collect())
}

/// The host was asked for a late upload and has not all of it: it expires.
pub(super) async fn expire(node: &Node, late: &Publication) -> Result<(), DbError> {
    if node.db.end_direct(late.id, &Verdict::Late(latest()), now()).await? {
        tracing::info!(publication = %late.id, host = late.host, "an upload to a host was not finished in time");
    }
    Ok(())
}

fn is_late(upload: &Upload) -> bool {
    upload.expires <= latest()
}

/// What had to be complete before this moment is late: clocks differ, and lists are late themselves.
fn latest() -> Millis {
    now().plus(-HOST_TARGET_GRACE_MS)
}
