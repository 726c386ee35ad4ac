//! A step of a pipeline: an address of the operator is called with what is known of the video, signed by Standard Webhooks.

use matinee_core::job::retry::Class;
use matinee_core::pipeline::Template;
use matinee_core::step::{self, Step, Verdict};
use matinee_io::fetch::FetchError;
use serde_json::{Value, json};

use super::coding::video;
use super::fault::Fault;
use super::lease::Hold;
use super::play::{self, Asker};
use super::whole::{Whole, whole};
use super::{intake, message, now, told};
use crate::node::Node;

const FIX: &str = "Mend the receiver, or the address in the pipeline; then run the job again.";

/// Calls the address of step `number`; its answer decides.
pub(crate) async fn perform(node: &Node, hold: &Hold, number: u32) -> Result<(), Fault> {
    let video = video(node, hold).await?;
    let template = intake::settled(node, &video, hold.generation).await?;
    let found = template.as_ref().and_then(|template| template.pipeline.steps.get(number as usize));
    let (Some(template), Some(step)) = (&template, found) else {
        return Err(Fault::unverified("the pipeline has no such step any more"));
    };
    let whole = whole(node, video).await?;
    let body = said(node, hold, (template, step), &whole).to_string();
    // The same for every attempt, so that a receiver knows what it has seen already.
    let id = hold.lease.job.to_string();
    let post = message::post(&step.call, &[step::secret(&node.path_key, hold.app)], &id, body);
    let answered = tokio::select! {
        answered = node.fetch.post(&post) => answered,
        () = hold.stop.cancelled() => return Err(Fault::world("the step was stopped")),
    };
    judge(&step.name, answered)?;
    Ok(node.db.complete_step(&hold.lease, now()).await?)
}

/// What is said of a video.
fn said(node: &Node, hold: &Hold, (template, step): (&Template, &Step), whole: &Whole) -> Value {
    let playback = play::playback(node, whole, Asker::Owner);
    json!({
        "type": format!("video.{}", step.after.name()),
        "timestamp_s": now().0.div_euclid(1_000),
        "data": {
            "step": step.name,
            "pipeline": { "name": template.pipeline.name, "version": template.version },
            "video": told::facts(&whole.video, hold.generation),
            "playback": playback.as_ref().map(|playback| told::addresses(node, playback)),
            "assets": told::files(node, playback.as_ref()),
        },
    })
}

/// What an answer, or none, means for the job.
fn judge(name: &str, answered: Result<u16, FetchError>) -> Result<(), Fault> {
    let again = |why: String| {
        let human = format!("The step `{name}` did not come through: {why}.");
        let fix = "Nothing needs to be done if the receiver comes back; it is called again by itself.";
        Fault::new(Class::World, "step_unanswered", human, fix)
    };
    let status = match answered {
        Ok(status) | Err(FetchError::Status(status)) => status,
        Err(FetchError::Refused(refusal)) => {
            let human = format!("The address of the step `{name}` is not called: {refusal}.");
            let fix = "Only public hosts are called; add the host to `ingest.allow_hosts` if it is yours, then run the job again.";
            return Err(Fault::new(Class::Refusal, "step_address", human, fix));
        }
        Err(FetchError::Unreachable(why)) => {
            return Err(again(format!("the receiver cannot be reached: {why}")));
        }
        Err(FetchError::Untrusted(why)) => {
            return Err(again(format!("the certificate of the receiver is not trusted: {why}")));
        }
        Err(FetchError::Broken(why)) => return Err(again(format!("the connection broke: {why}"))),
    };
    let never = |code: &str, human: String| Err(Fault::new(Class::Refusal, code, human, FIX));
    match step::judge(status) {
        Verdict::Done => Ok(()),
        Verdict::Again => Err(again(format!("the receiver answered with status {status}"))),
        Verdict::Never => never(
            "step_refused",
            format!("The receiver of the step `{name}` refused it with status {status}."),
        ),
        Verdict::Elsewhere => never(
            "step_redirected",
            format!(
                "The receiver of the step `{name}` leads elsewhere (status {status}), which is not followed."
            ),
        ),
    }
}
