//! What is said of a video whose source is damaged and accepted all the same.

use std::time::Duration;

use matinee_core::job::Task;
use matinee_core::plan::{Note, Plan, Refusal};
use serde_json::{Value, json};

/// What is said when so much of what a task has read could not be decoded as it is.
pub(crate) fn of(task: &Task, plan: &Plan, count: u64) -> Option<Value> {
    if count == 0 {
        return None;
    }
    let Task::Chunk { chunk, .. } = *task else {
        return matches!(task, Task::Audio { .. }).then(sound);
    };
    let video = plan.video.as_ref()?;
    let chunk = video.chunks.get(chunk as usize)?;
    Some(picture((video.rate.frame_us(chunk.first), video.rate.frame_us(chunk.first + chunk.frames))))
}

fn said(code: &str, human: &str, fix: &str) -> Value {
    json!({ "code": code, "human": human, "fix": fix })
}

/// Pictures between these two microseconds could not be decoded.
fn picture((from_us, to_us): (i64, i64)) -> Value {
    let from = clock(from_us);
    let human = format!(
        "Between {from} and {} some pictures cannot be decoded; they are shown as well as it goes.",
        clock(to_us)
    );
    said("decode_errors", &human, "Upload the file again from its origin if that is to be seen.")
}

/// Some of the sound could not be decoded.
fn sound() -> Value {
    let human = "Some of the sound cannot be decoded; it is silent there.";
    said("decode_errors", human, "Upload the file again from its origin if that is to be heard.")
}

/// No picture at all could be decoded.
pub(crate) fn nothing() -> Value {
    let refusal = Refusal::Undecodable;
    said(refusal.code(), &refusal.to_string(), refusal.fix())
}

/// What the plan has noticed.
pub(crate) fn noted(plan: &Plan) -> Option<Value> {
    plan.notes.iter().find_map(|note| match note {
        Note::ShorterThanHeader => Some(said(
            "truncated_input",
            "The file ends before its header says; what is there is kept and can be watched.",
            "Upload the file again from its origin if the end is missing.",
        )),
        Note::Gap { us } => Some(said(
            "gap",
            &format!(
                "The picture stops for {} s in the middle.",
                Duration::from_micros(us.unsigned_abs()).as_secs()
            ),
            "Export the video again if the gap is not meant.",
        )),
        Note::VariableRate | Note::PictureSubtitles { .. } => None,
    })
}

/// Hours, minutes and seconds, as players show a moment.
fn clock(us: i64) -> String {
    let seconds = Duration::from_micros(us.max(0).unsigned_abs()).as_secs();
    let (hours, minutes, seconds) = (seconds / 3_600, seconds / 60 % 60, seconds % 60);
    if hours > 0 { format!("{hours}:{minutes:02}:{seconds:02}") } else { format!("{minutes}:{seconds:02}") }
}
