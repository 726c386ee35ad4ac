//! What an operator's own services do with a video: steps of a pipeline that call an address.

use serde::{Deserialize, Serialize};

use crate::access::path::Key;
use crate::id::AppId;
use crate::name::is_name;

/// Most steps of one pipeline: each is a job of every video.
pub const STEPS_MAX: usize = 8;
/// Longest address in bytes.
const URL_BYTES_MAX: usize = 2_048;
/// Separates these secrets from all others under the same key.
const LABEL: &[u8] = b"matinee step secret v1\n";

/// One step of a pipeline.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Step {
    /// What it is called, once in a pipeline.
    pub name: String,
    /// When it happens.
    #[serde(default)]
    pub after: After,
    /// The address that is called.
    pub call: String,
}

/// When a step happens.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum After {
    /// The source was looked at, and its plan is known.
    Probe,
    /// The video is ready.
    #[default]
    Ready,
}

impl After {
    /// The word of it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Probe => "probe",
            Self::Ready => "ready",
        }
    }
}

/// What is wrong with the steps of a pipeline, in words for the person who wrote them.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// A name.
    #[error("`{0}` cannot be the name of a step: small letters, digits and `-`, at most 63, and each once")]
    Name(String),
    /// An address.
    #[error("`call` of the step `{0}` is no address that begins with https:// or http://")]
    Call(String),
    /// Too many.
    #[error("`step` is there {0} times; a pipeline has at most {STEPS_MAX}")]
    Many(usize),
}

/// Checks the steps of a pipeline.
pub fn check(steps: &[Step]) -> Result<(), Refusal> {
    if steps.len() > STEPS_MAX {
        return Err(Refusal::Many(steps.len()));
    }
    for (at, step) in steps.iter().enumerate() {
        let twice = steps.iter().take(at).any(|other| other.name == step.name);
        if twice || !is_name(&step.name) {
            return Err(Refusal::Name(step.name.clone()));
        }
        let web = step.call.starts_with("https://") || step.call.starts_with("http://");
        if !web || step.call.len() > URL_BYTES_MAX || step.call.contains(char::is_whitespace) {
            return Err(Refusal::Call(step.name.clone()));
        }
    }
    Ok(())
}

/// The secret by which the calls of an app are signed. It follows from a key of the server, so that it is nowhere stored
/// and no pipeline shows it.
pub fn secret(key: &Key, app: AppId) -> [u8; 32] {
    let mut hasher = blake3::Hasher::new_keyed(&key.secret);
    hasher.update(LABEL).update(app.to_string().as_bytes());
    *hasher.finalize().as_bytes()
}

/// What the answer of a receiver means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It is done.
    Done,
    /// The receiver does not want it, now and later.
    Never,
    /// The receiver sends us elsewhere, where nobody has allowed us to go.
    Elsewhere,
    /// Something is wrong with the receiver at the moment.
    Again,
}

/// Judges the status of an answer.
pub const fn judge(status: u16) -> Verdict {
    match status {
        200..=299 => Verdict::Done,
        300..=399 => Verdict::Elsewhere,
        // It has no time for us.
        408 | 425 | 429 => Verdict::Again,
        400..=499 => Verdict::Never,
        _ => Verdict::Again,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step(name: &str, call: &str) -> Step {
        Step { name: name.to_owned(), after: After::Ready, call: call.to_owned() }
    }

    #[test]
    fn a_step_has_a_name_of_its_own_and_an_address() {
        let good = "https://hooks.example/a";
        assert_eq!(check(&[step("a", good), step("b", "http://10.0.0.1:8080/")]), Ok(()));
        for (steps, refusal) in [
            (vec![step("A", good)], Refusal::Name("A".to_owned())),
            (vec![step("a", good), step("a", good)], Refusal::Name("a".to_owned())),
            (vec![step("a", "file:///etc/passwd")], Refusal::Call("a".to_owned())),
            (vec![step("a", "https://a b")], Refusal::Call("a".to_owned())),
            (
                vec![step("a", &format!("https://{}", "a".repeat(URL_BYTES_MAX)))],
                Refusal::Call("a".to_owned()),
            ),
            ((0..9).map(|n| step(&format!("s{n}"), good)).collect(), Refusal::Many(9)),
        ] {
            assert_eq!(check(&steps), Err(refusal), "{steps:?}");
        }
        let read = |text: &str| serde_json::from_str::<Step>(text);
        assert_eq!(read(r#"{"name":"a","call":"https://hooks.example/a"}"#).unwrap(), step("a", good));
        assert_eq!(read(r#"{"name":"a","call":"b","after":"probe"}"#).unwrap().after, After::Probe);
        // A program would be the operator's to name, in a file and not over the API.
        assert!(read(r#"{"name":"a","call":"b","run":["sh"]}"#).is_err());
    }

    #[test]
    fn an_answer_is_done_never_or_not_yet() {
        let verdicts = [
            (200, Verdict::Done),
            (204, Verdict::Done),
            (301, Verdict::Elsewhere),
            (308, Verdict::Elsewhere),
        ];
        let refused = [400, 401, 404, 410, 422].map(|status| (status, Verdict::Never));
        let later = [100, 408, 425, 429, 500, 503, 599].map(|status| (status, Verdict::Again));
        for (status, verdict) in verdicts.into_iter().chain(refused).chain(later) {
            assert_eq!(judge(status), verdict, "{status}");
        }
    }

    #[test]
    fn every_app_has_a_secret_of_its_own() {
        let key = |secret| Key { number: 1, secret: [secret; 32] };
        let of = |key: &Key, app: u128| secret(key, AppId::from_bits(app));
        assert_eq!(of(&key(1), 5), of(&key(1), 5));
        assert_ne!(of(&key(1), 5), of(&key(1), 6));
        assert_ne!(of(&key(1), 5), of(&key(2), 5));
    }
}
