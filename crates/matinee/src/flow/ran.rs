//! The programs that an attempt runs, for who looks closer: also while they run, and also of a runner.

use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use matinee_core::limits;
use matinee_io::db::job::Run;
use matinee_io::ffmpeg::{Finished, RunError};
use serde_json::{Value, json};

use super::work::Told;

/// The programs of an attempt, and whether they have been told since something changed.
#[derive(Debug)]
pub(crate) struct Runs(Mutex<(Vec<Run>, bool)>);

impl Default for Runs {
    fn default() -> Self {
        Self(Mutex::new((Vec::new(), true)))
    }
}

impl Runs {
    fn locked(&self) -> MutexGuard<'_, (Vec<Run>, bool)> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes note of what is told.
    pub(crate) fn hear(&self, told: &Told<'_>) {
        let mut runs = self.locked();
        match told {
            Told::Begins { program, args } => {
                runs.0.push(Run { program: program.clone(), args: args.to_vec(), ..Run::default() });
            }
            Told::Said(bytes) => {
                let Some(run) = runs.0.last_mut() else { return };
                run.stderr.push_str(&String::from_utf8_lossy(bytes));
                run.stderr.drain(..surplus(&run.stderr));
            }
            Told::Ended(ran) => {
                let Some(run) = runs.0.last_mut() else { return };
                end(run, ran);
            }
            Told::Saw(_) => return,
        }
        runs.1 = false;
    }

    /// All of them, when something has changed since they were taken last.
    pub(crate) fn news(&self) -> Option<Vec<Run>> {
        let mut runs = self.locked();
        (!std::mem::replace(&mut runs.1, true)).then(|| runs.0.clone())
    }

    /// The same as JSON for the server of a runner, without the places of the runner's machine.
    pub(crate) fn to_tell(&self, dir: &Path) -> Option<Value> {
        let mut runs = self.news()?;
        for run in &mut runs {
            run.stderr.drain(..surplus(&run.stderr));
            hide(run, dir);
        }
        while json!(runs).to_string().len() > limits::RUNNER_RUNS_BYTES_MAX {
            runs.remove(0);
        }
        Some(json!(runs))
    }

    /// What a runner has told of its programs, as far as that may be kept.
    pub(crate) fn told(said: &Value) -> Option<Vec<Run>> {
        let text_bytes = said.to_string().len();
        let runs: Vec<Run> = serde_json::from_value(said.clone()).ok()?;
        (!runs.is_empty() && text_bytes <= limits::RUNNER_RUNS_BYTES_MAX).then_some(runs)
    }
}

/// Where the data lies is nobody's business but the operator's.
pub(crate) fn hide(run: &mut Run, data: &Path) {
    let Ok(data) = std::path::absolute(data) else { return };
    let Some(data) = data.to_str() else { return };
    for text in run.args.iter_mut().chain([&mut run.stderr]) {
        if text.contains(data) {
            *text = text.replace(data, "DATA");
        }
    }
}

fn end(run: &mut Run, ran: &Result<Finished, RunError>) {
    run.ended = true;
    match ran {
        Ok(finished) => {
            finished.stderr_tail[surplus(&finished.stderr_tail)..].clone_into(&mut run.stderr);
            (run.cpu_ms, run.memory_bytes) = (finished.cpu_ms, finished.memory_seen_bytes);
        }
        Err(error) => {
            run.stderr.clone_from(&error.stderr_tail);
            (run.fault, run.cpu_ms) = (Some(error.to_string()), error.cpu_ms);
        }
    }
}

/// How many bytes in front are more than is kept; never to within a letter.
fn surplus(said: &str) -> usize {
    let from = said.len().saturating_sub(limits::RUN_STDERR_BYTES);
    (from..said.len()).find(|at| said.is_char_boundary(*at)).unwrap_or(said.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_words_are_there_while_a_program_runs_and_never_too_many() {
        let runs = Runs::default();
        assert_eq!(runs.news(), None, "nothing has happened");
        runs.hear(&Told::Said(b"nobody runs"));
        runs.hear(&Told::Begins {
            program: "ffmpeg 5".to_owned(),
            args: &["-i".to_owned(), "/home/me/a".to_owned()],
        });
        for _ in 0..1_000 {
            runs.hear(&Told::Said("ä line\n".as_bytes()));
        }
        runs.hear(&Told::Said(b"of /home/me/a\n"));
        let told = runs.to_tell(Path::new("/home/me")).unwrap();
        assert_eq!((told[0]["ended"].clone(), told[0]["args"][1].clone()), (json!(false), json!("DATA/a")));
        let said = told[0]["stderr"].as_str().unwrap();
        assert!(said.len() <= limits::RUN_STDERR_BYTES && said.ends_with("line\nof DATA/a\n"), "{said}");
        assert_eq!(runs.news(), None, "it was told");
        for _ in 0..20 {
            runs.hear(&Told::Begins { program: "ffmpeg 5".to_owned(), args: &[] });
            runs.hear(&Told::Said(&vec![b'x'; 100_000]));
        }
        let many = runs.to_tell(Path::new("/home/me")).unwrap();
        assert!(
            many.to_string().len() <= limits::RUNNER_RUNS_BYTES_MAX && many.as_array().unwrap().len() > 5
        );
        assert_eq!(Runs::told(&told).unwrap().len(), 1);
        for nothing in [json!(null), json!([]), json!("text"), json!([{ "stderr": "x".repeat(1 << 20) }])] {
            assert_eq!(Runs::told(&nothing), None);
        }
    }
}
