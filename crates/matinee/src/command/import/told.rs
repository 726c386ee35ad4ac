//! What is said about one file: a line, an object, or only the id.

use std::io::Write;
use std::path::Path;

use matinee_core::upload::Phase;
use matinee_core::video::{Problem, State};
use matinee_io::store::Taken;
use serde::Serialize;

use crate::command::progress::Board;
use crate::command::text::{plain, size};
use crate::command::{Form, write_problem};
use crate::flow::import::{ImportFailure, Imported};
use crate::flow::upload::Upload;
use crate::flow::video::Whole;

/// A file and what became of it.
#[derive(Debug, Serialize)]
pub(super) struct Told {
    path: String,
    upload: Option<String>,
    video: Option<String>,
    bytes: Option<u64>,
    /// `shared`, `copied` or `linked`.
    taken: Option<&'static str>,
    /// `fetching`, `processing`, `playable`, `ready`, `failed` or `refused`.
    state: &'static str,
    /// What became of the original, when it was to be moved: `removed` or `kept`.
    original: Option<&'static str>,
    reason: Option<Problem>,
}

impl Told {
    /// It is there, and its video will be worked on.
    pub(super) fn taken(path: &Path, imported: &Imported) -> Self {
        Self {
            path: path.display().to_string(),
            upload: Some(imported.upload.to_string()),
            video: Some(imported.video.to_string()),
            bytes: Some(imported.size),
            taken: Some(match imported.taken {
                Taken::Shared => "shared",
                Taken::Copied => "copied",
                Taken::Linked => "linked",
            }),
            state: "processing",
            original: None,
            reason: None,
        }
    }

    /// It was not taken.
    pub(super) fn refused(path: &Path, failure: &ImportFailure) -> Self {
        let problem = match failure {
            ImportFailure::Refused(problem) => problem.clone(),
            ImportFailure::Failed(failure) => Problem {
                code: "import_failed".to_owned(),
                human: format!("The file could not be brought in: {failure}."),
                fix: "Nothing of it was kept; import it again.".to_owned(),
            },
        };
        Self {
            path: path.display().to_string(),
            upload: None,
            video: None,
            bytes: None,
            taken: None,
            state: "refused",
            original: None,
            reason: Some(problem),
        }
    }

    /// The server fetches it, or has, or could not.
    pub(super) fn fetched(url: &str, upload: &Upload) -> Self {
        Self {
            path: url.to_owned(),
            upload: Some(upload.id.to_string()),
            video: Some(upload.video.to_string()),
            bytes: upload.size,
            taken: None,
            state: match upload.state.phase() {
                Phase::Open => "fetching",
                Phase::Finished => "processing",
                Phase::Cancelled | Phase::Expired | Phase::Lost => "failed",
            },
            original: None,
            reason: upload.reason.clone(),
        }
    }

    /// The server does not fetch it.
    pub(super) fn unfetched(url: &str, problem: Problem) -> Self {
        Self { path: url.to_owned(), ..Self::refused(Path::new(url), &ImportFailure::Refused(problem)) }
    }

    /// Nobody waited for its video to be checked, so an original that was to be moved stays.
    pub(super) fn keep(&mut self, adopt: bool) {
        self.original = adopt.then_some("kept");
    }

    /// Its video came so far.
    pub(super) fn came(mut self, whole: &Whole, original: Option<&'static str>) -> Self {
        self.state = match (whole.video.state, whole.video.is_playable()) {
            (State::Processing, false) => "processing",
            (State::Processing, true) => "playable",
            (State::Ready, _) => "ready",
            (State::Failed, _) => "failed",
        };
        self.original = original;
        self.reason.clone_from(&whole.video.reason);
        self
    }
}

/// Says it in the form that was asked for.
pub(super) fn tell(board: &Board, form: Form, told: &Told, out: &mut impl Write) -> anyhow::Result<()> {
    board.aside(|| write(form, told, out))
}

fn write(form: Form, told: &Told, out: &mut impl Write) -> anyhow::Result<()> {
    if form.json {
        writeln!(out, "{}", serde_json::to_string(told)?)?;
        return Ok(());
    }
    let path = plain(&told.path);
    if let (true, Some(video)) = (form.quiet, &told.video) {
        writeln!(out, "{video}")?;
    } else if let (Some(video), Some(bytes), Some(taken)) = (&told.video, told.bytes, told.taken) {
        let original = told.original.map(|word| format!(", original {word}")).unwrap_or_default();
        writeln!(out, "{:<10}  {video}  {path} ({}, {taken}{original})", told.state, size(bytes))?;
    } else if let Some(video) = &told.video {
        writeln!(out, "{:<10}  {video}  {path}", told.state)?;
    } else {
        writeln!(out, "{:<10}  {path}", told.state)?;
    }
    if let Some(reason) = &told.reason {
        write_problem(out, "            ", reason)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(form: Form) -> String {
        let problem =
            Problem { code: "import_link".to_owned(), human: "No.".to_owned(), fix: "Do.".to_owned() };
        let told = Told::refused(Path::new("a\u{1b}.mp4"), &ImportFailure::Refused(problem));
        let mut out = Vec::new();
        write(form, &told, &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_refused_file_says_why_and_what_to_do() {
        assert_eq!(
            text(Form::default()),
            "refused     a\u{fffd}.mp4\n            No. [import_link]\n            Do.\n"
        );
        let json: serde_json::Value = serde_json::from_str(&text(Form { json: true, quiet: false })).unwrap();
        assert_eq!(json["reason"]["code"], "import_link");
        assert_eq!(json["state"], "refused");
    }
}
