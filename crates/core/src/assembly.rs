//! Assemblies: what pages and programs written for Transloadit ask for, over uploads and pipelines of our own.
//!
//! Read in `hosts.md` section 8: the names, the words and the order of everything here are that protocol's.

pub mod sign;
pub mod steps;
pub mod told;
pub mod variable;

use serde_json::{Map, Value};

use crate::calendar::read_time;
use crate::time::Millis;
use crate::video::Problem;

/// Most files of an assembly: a page sends some, and each is looked at whenever one of them moves.
pub const FILES_MAX: u32 = 100;
/// Longest `params` in bytes: a template with its steps, and fields.
pub const PARAMS_BYTES_MAX: usize = 64 << 10;
/// Most bytes of the form that creates an assembly: params and free fields.
pub const FORM_BYTES_MAX: usize = 256 << 10;
/// Longest template in bytes.
pub const TEMPLATE_BYTES_MAX: usize = 64 << 10;
/// Most templates and most keys of an app: each is written by hand.
pub const TEMPLATES_MAX: u32 = 50;
/// Longest nonce in characters.
const NONCE_CHARS_MAX: usize = 200;
/// In this time the files of an assembly must have arrived, in milliseconds: a day, as of any announced upload.
pub const ARRIVAL_MS: i64 = 86_400_000;
/// So long the status of one that has ended can be read, in milliseconds.
pub const KEPT_MS: i64 = 30 * 86_400_000;

macro_rules! codes {
    ($($code:ident $word:literal;)*) => {
        /// The words by which clients know what is wrong.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Code {
            $(#[doc = concat!("`", $word, "`.")] $code,)*
        }

        impl Code {
            /// The word of the protocol.
            pub const fn word(self) -> &'static str {
                match self { $(Self::$code => $word,)* }
            }
        }
    };
}

codes! {
    NoParams "NO_PARAMS_FIELD";
    BadParams "INVALID_PARAMS_FIELD";
    BadForm "INVALID_FORM_DATA";
    NoAuth "NO_AUTH_PARAMETER";
    NoKey "NO_AUTH_KEY_PARAMETER";
    NoExpires "NO_AUTH_EXPIRES_PARAMETER";
    Expired "AUTH_EXPIRED";
    NoSignature "NO_SIGNATURE_FIELD";
    BadSignature "INVALID_SIGNATURE";
    Reused "SIGNATURE_REUSE_DETECTED";
    UnknownKey "GET_ACCOUNT_UNKNOWN_AUTH_KEY";
    NoTemplate "TEMPLATE_NOT_FOUND";
    NoOverride "TEMPLATE_DENIES_STEPS_OVERRIDE";
    NoSteps "ASSEMBLY_NO_STEPS";
    BadSteps "ASSEMBLY_INVALID_STEPS";
    NoRobot "ASSEMBLY_STEP_NO_ROBOT";
    UnknownRobot "ASSEMBLY_STEP_UNKNOWN_ROBOT";
    UnknownUse "ASSEMBLY_STEP_UNKNOWN_USE";
    BadExpected "ASSEMBLY_INVALID_NUM_EXPECTED_UPLOAD_FILES_PARAM";
    TooLarge "MAX_SIZE_EXCEEDED";
    NotFound "ASSEMBLY_NOT_FOUND";
    SameId "DO_NOT_REUSE_ASSEMBLY_IDS";
    Closed "ASSEMBLY_NOT_UPLOADING";
    Late "ASSEMBLY_EXPIRED";
    Crashed "ASSEMBLY_CRASHED";
    Busy "SERVER_BUSY";
}

/// Why a wish cannot be taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{human}")]
pub struct Refusal {
    /// The word for programs.
    pub code: Code,
    /// A sentence for the person who wrote the wish.
    pub human: String,
}

impl Refusal {
    /// A refusal with its sentence.
    pub fn new(code: Code, human: impl Into<String>) -> Self {
        Self { code, human: human.into() }
    }
}

/// Where an assembly is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Its files arrive.
    Uploading,
    /// All are here, and are worked on.
    Executing,
    /// All is made.
    Completed,
    /// Its owner wants it no more.
    Canceled,
    /// Something cannot be made.
    Failed,
}

impl State {
    /// What stands in `ok`; one that failed has `error` instead.
    pub const fn ok(self) -> Option<&'static str> {
        match self {
            Self::Uploading => Some("ASSEMBLY_UPLOADING"),
            Self::Executing => Some("ASSEMBLY_EXECUTING"),
            Self::Completed => Some("ASSEMBLY_COMPLETED"),
            Self::Canceled => Some("ASSEMBLY_CANCELED"),
            Self::Failed => None,
        }
    }

    /// Does it never move again?
    pub const fn is_over(self) -> bool {
        matches!(self, Self::Completed | Self::Canceled | Self::Failed)
    }
}

/// Where the notification of an assembly is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Notice {
    /// Nobody wants one, or it is too early.
    Off,
    /// It is sent when it is due.
    Waiting,
    /// It was taken.
    Delivered,
    /// It was tried as often as the schedule says.
    Failed,
}

/// Where one file of an assembly is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    /// Its bytes come.
    Arriving,
    /// It is worked on.
    Working,
    /// All is made of it.
    Done,
    /// Its sender has given it up.
    GivenUp,
    /// Nothing comes of it, for this reason.
    Failed(Problem),
}

/// What an assembly is by its files. One whose sender gave all files up is cancelled.
pub fn judge(expected: u32, files: &[Standing]) -> Result<State, Problem> {
    if let Some(problem) =
        files.iter().find_map(|file| if let Standing::Failed(problem) = file { Some(problem) } else { None })
    {
        return Err(problem.clone());
    }
    let many = |wanted: &[Standing]| {
        let found = files.iter().filter(|file| wanted.contains(file)).count();
        u32::try_from(found).unwrap_or(u32::MAX)
    };
    let expected = expected.max(u32::try_from(files.len()).unwrap_or(u32::MAX));
    let (done, given_up) = (many(&[Standing::Done]), many(&[Standing::GivenUp]));
    let left = expected - given_up;
    Ok(if left == 0 && given_up > 0 {
        State::Canceled
    } else if done + many(&[Standing::Working]) < left {
        State::Uploading
    } else if done < left {
        State::Executing
    } else {
        State::Completed
    })
}

/// What the field `params` says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Params {
    /// Who asks: the id of a key.
    pub key: String,
    /// Until when the signature counts.
    pub expires: Millis,
    /// With one, the same words count only once.
    pub nonce: Option<String>,
    /// Most bytes of a file.
    pub max_bytes: Option<u64>,
    /// The template by its name.
    pub template: Option<String>,
    /// Steps beside or in place of the template's.
    pub steps: Option<Map<String, Value>>,
    /// Who is told of the end.
    pub notify_url: Option<String>,
    /// What the page knows.
    pub fields: Map<String, Value>,
}

impl Params {
    /// Reads the field as it was sent.
    pub fn read(text: &str) -> Result<Self, Refusal> {
        let bad = |human: String| Refusal::new(Code::BadParams, human);
        if text.len() > PARAMS_BYTES_MAX {
            return Err(bad(format!("`params` has more than {PARAMS_BYTES_MAX} bytes.")));
        }
        let Ok(Value::Object(mut all)) = serde_json::from_str(text) else {
            return Err(bad("`params` is no JSON object.".to_owned()));
        };
        let Some(Value::Object(auth)) = all.remove("auth") else {
            return Err(Refusal::new(Code::NoAuth, "`params` has no object `auth`."));
        };
        let word = |name: &str| auth.get(name).and_then(Value::as_str).filter(|word| !word.is_empty());
        let key = word("key").ok_or_else(|| Refusal::new(Code::NoKey, "`auth.key` is missing."))?;
        let expires = word("expires")
            .ok_or_else(|| Refusal::new(Code::NoExpires, "`auth.expires` is missing."))
            .map(moment)?
            .ok_or_else(
                || bad("`auth.expires` is no moment such as 2026/11/21 06:00:00+00:00.".to_owned()),
            )?;
        let nonce = word("nonce").map(str::to_owned);
        if nonce.as_ref().is_some_and(|nonce| nonce.chars().count() > NONCE_CHARS_MAX) {
            return Err(bad(format!("`auth.nonce` has more than {NONCE_CHARS_MAX} characters.")));
        }
        let max_bytes = auth.get("max_size").and_then(number);
        let mut text_of = |name: &str| match all.remove(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) if text.is_empty() => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(_) => Err(bad(format!("`{name}` is no text."))),
        };
        let (template, notify_url) = (text_of("template_id")?, text_of("notify_url")?);
        let mut object_of = |name: &str| match all.remove(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::Object(object)) => Ok(Some(object)),
            Some(_) => Err(bad(format!("`{name}` is no object."))),
        };
        let (steps, fields) = (object_of("steps")?, object_of("fields")?.unwrap_or_default());
        let key = key.to_owned();
        Ok(Self { key, expires, nonce, max_bytes, template, steps, notify_url, fields })
    }
}

/// Reads a moment in the protocol's own form, or in that of RFC 3339.
fn moment(text: &str) -> Option<Millis> {
    read_time(&text.replacen('/', "-", 2))
}

/// A whole number, also when it was written as text.
fn number(value: &Value) -> Option<u64> {
    value.as_u64().or_else(|| value.as_str()?.parse().ok())
}

/// A template: steps that are kept under a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template {
    /// Its steps.
    pub steps: Map<String, Value>,
    /// May who uses it write other steps?
    pub allow_override: bool,
    /// Who is told, unless the request names somebody.
    pub notify_url: Option<String>,
}

impl Template {
    /// Reads a template as it is written for Transloadit.
    pub fn read(body: &Value) -> Result<Self, Refusal> {
        let steps = body.get("steps").and_then(Value::as_object).filter(|steps| !steps.is_empty());
        let steps = steps.ok_or_else(|| Refusal::new(Code::NoSteps, "The template has no `steps`."))?.clone();
        let allow_override = body.get("allow_steps_override").and_then(Value::as_bool).unwrap_or(true);
        let notify_url = body.get("notify_url").and_then(Value::as_str).map(str::to_owned);
        Ok(Self { steps, allow_override, notify_url })
    }
}

/// The steps that are meant: the template's, with those of the request laid over them, field by field.
pub fn merged(
    template: Option<&Template>,
    steps: Option<&Map<String, Value>>,
) -> Result<Map<String, Value>, Refusal> {
    let steps = steps.filter(|steps| !steps.is_empty());
    match (template, steps) {
        (None, None) => Err(Refusal::new(Code::NoSteps, "There are neither `steps` nor a `template_id`.")),
        (None, Some(steps)) => Ok(steps.clone()),
        (Some(template), None) => Ok(template.steps.clone()),
        (Some(template), Some(_)) if !template.allow_override => {
            Err(Refusal::new(Code::NoOverride, "The template does not allow other `steps`."))
        }
        (Some(template), Some(steps)) => {
            let mut whole = template.steps.clone();
            for (name, step) in steps {
                match (whole.get_mut(name), step) {
                    (Some(Value::Object(known)), Value::Object(more)) => known.extend(more.clone()),
                    _ => drop(whole.insert(name.clone(), step.clone())),
                }
            }
            Ok(whole)
        }
    }
}

/// Is this the id of an assembly?
pub fn is_id(text: &str) -> bool {
    text.len() == 32 && text.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn params_say_who_asks_until_when_and_for_what() {
        let text = r#"{"auth":{"key":"k","expires":"2026/11/21 06:00:00+00:00","max_size":"5"},"template_id":"t",
            "notify_url":"https://m.example/hook","fields":{"a":1}}"#;
        let read = Params::read(text).unwrap();
        assert_eq!((read.key.as_str(), read.template.as_deref()), ("k", Some("t")));
        assert_eq!(Some(read.expires), read_time("2026-11-21T06:00:00Z"));
        assert_eq!((read.max_bytes, read.steps, read.fields.len()), (Some(5), None, 1));
        let iso = r#"{"auth":{"key":"k","expires":"2026-11-21T06:00:00.000Z"}}"#;
        assert_eq!(Params::read(iso).unwrap().expires, read.expires);
    }

    #[test]
    fn each_lack_has_its_word() {
        for (text, word) in [
            ("", "INVALID_PARAMS_FIELD"),
            ("[]", "INVALID_PARAMS_FIELD"),
            ("{}", "NO_AUTH_PARAMETER"),
            (r#"{"auth":{}}"#, "NO_AUTH_KEY_PARAMETER"),
            (r#"{"auth":{"key":"k"}}"#, "NO_AUTH_EXPIRES_PARAMETER"),
            (r#"{"auth":{"key":"k","expires":"soon"}}"#, "INVALID_PARAMS_FIELD"),
            (
                r#"{"auth":{"key":"k","expires":"2026/11/21 06:00:00+00:00"},"steps":[]}"#,
                "INVALID_PARAMS_FIELD",
            ),
            (
                r#"{"auth":{"key":"k","expires":"2026/11/21 06:00:00+00:00"},"notify_url":1}"#,
                "INVALID_PARAMS_FIELD",
            ),
        ] {
            assert_eq!(Params::read(text).unwrap_err().code.word(), word, "{text}");
        }
        let long = format!(r#"{{"auth":{{"key":"{}"}}}}"#, "k".repeat(PARAMS_BYTES_MAX));
        assert_eq!(Params::read(&long).unwrap_err().code, Code::BadParams);
    }

    #[test]
    fn steps_of_a_request_are_laid_over_those_of_a_template() {
        let object = |value: Value| value.as_object().unwrap().clone();
        let template = |allow: bool| {
            let body =
                json!({ "steps": { "a": { "robot": "/x", "width": 1 } }, "allow_steps_override": allow });
            Template::read(&body).unwrap()
        };
        let more = object(json!({ "a": { "width": 2 }, "b": { "robot": "/y" } }));
        assert_eq!(
            Value::Object(merged(Some(&template(true)), Some(&more)).unwrap()),
            json!({ "a": { "robot": "/x", "width": 2 }, "b": { "robot": "/y" } })
        );
        assert_eq!(merged(Some(&template(false)), Some(&more)).unwrap_err().code, Code::NoOverride);
        assert_eq!(merged(Some(&template(false)), None).unwrap(), template(false).steps);
        assert_eq!(merged(Some(&template(false)), Some(&Map::new())).unwrap(), template(false).steps);
        assert_eq!(merged(None, None).unwrap_err().code, Code::NoSteps);
        assert_eq!(Template::read(&json!({ "steps": {} })).unwrap_err().code, Code::NoSteps);
    }

    #[test]
    fn an_assembly_is_where_its_slowest_file_is() {
        use Standing::{Arriving, Done, Failed, GivenUp, Working};
        let problem = Problem { code: "a".to_owned(), human: "b".to_owned(), fix: "c".to_owned() };
        for (expected, files, state) in [
            (0, vec![], State::Completed),
            (1, vec![], State::Uploading),
            (1, vec![Arriving], State::Uploading),
            (1, vec![Working], State::Executing),
            (1, vec![Done], State::Completed),
            (2, vec![Done], State::Uploading),
            (2, vec![Done, Working], State::Executing),
            (2, vec![Done, Done], State::Completed),
            (2, vec![Done, GivenUp], State::Completed),
            (1, vec![GivenUp], State::Canceled),
            // More than was announced is waited for, too.
            (1, vec![Done, Arriving], State::Uploading),
        ] {
            assert_eq!(judge(expected, &files), Ok(state), "{expected} {files:?}");
        }
        assert_eq!(judge(5, &[Arriving, Failed(problem.clone())]), Err(problem));
    }

    #[test]
    fn an_id_is_32_digits() {
        assert!(is_id("0123456789abcdef0123456789abcdef"));
        for wrong in
            ["", "0123456789ABCDEF0123456789abcdef", "0123456789abcdef0123456789abcde", &"0".repeat(33)]
        {
            assert!(!is_id(wrong), "{wrong}");
        }
    }
}
