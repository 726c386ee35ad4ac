//! What the client of S3 says went wrong, in our words; the one place that knows its texts.

use object_store::Error;

use crate::store::port::RemoteError;

/// What services say when their disks are full; S3 itself has no word for it.
const FULL: [&str; 3] = ["XMinioStorageFull", "InsufficientStorage", "status code: 507"];
/// What is wrong with this one request, whenever it is made. Everything else may be another time.
const NEVER: [&str; 8] = [
    "EntityTooLarge",
    "EntityTooSmall",
    "InvalidArgument",
    "InvalidPart",
    "InvalidRequest",
    "InvalidStorageClass",
    "KeyTooLong",
    "NotImplemented",
];
/// We may not, or the region or the bucket of the configuration is not there: whatever is asked, it is in vain.
const REFUSED: [&str; 5] = [
    "status code: 401",
    "status code: 403",
    "AuthorizationHeaderMalformed",
    "<Code>NoSuchBucket",
    "incorrectly configured region",
];

/// What is said of an object in a class from which nothing is read before it was thawed.
const FROZEN: &str = "<Code>InvalidObjectState";

impl From<Error> for RemoteError {
    fn from(error: Error) -> Self {
        let text = causes(&error);
        // Its status is that of a refusal, and only this object is meant.
        if text.contains(FROZEN) {
            Self::Frozen(brief(&text))
        } else if REFUSED.iter().any(|refused| text.contains(refused)) {
            Self::Refused(brief(&text))
        } else if matches!(error, Error::NotFound { .. }) {
            Self::Absent
        } else if FULL.iter().any(|full| text.contains(full)) {
            Self::Full
        } else if text.contains("InvalidRange") {
            Self::Short
        } else if is_never(&error, &text) {
            Self::Wrong(brief(&text))
        } else {
            Self::Again(brief(&text))
        }
    }
}

/// Was a request bad, without a word about why?
pub(super) fn is_mute(error: &RemoteError) -> bool {
    matches!(error, RemoteError::Again(text) if text.contains("status code: 400"))
}

fn is_never(error: &Error, text: &str) -> bool {
    let ours = matches!(
        error,
        Error::InvalidPath { .. }
            | Error::NotSupported { .. }
            | Error::NotImplemented { .. }
            | Error::UnknownConfigurationKey { .. }
    );
    ours || NEVER.iter().any(|code| text.contains(&format!("<Code>{code}")))
}

/// The service's own words, without the document around them; everything where it said none.
fn brief(text: &str) -> String {
    let inside =
        |tag: &str| text.split_once(&format!("<{tag}>"))?.1.split_once("</").map(|(inside, _)| inside);
    match (inside("Code"), inside("Message")) {
        (Some(code), Some(message)) if message != code => format!("{code}: {message}"),
        (Some(code), _) => code.to_owned(),
        (None, _) => text.to_owned(),
    }
}

/// What went wrong, down to the first cause.
pub(in crate::store) fn causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text = format!("{text}: {cause_text}");
        }
        next = cause.source();
    }
    text
}
