//! Which events an endpoint wants: topics, with `*` for any run of characters.

use serde::{Deserialize, Serialize};

use crate::event::Topic;

/// Most patterns of one endpoint: more than there are kinds of things.
pub const PATTERNS_MAX: usize = 32;
/// Longest pattern in bytes; no topic is as long.
const PATTERN_BYTES_MAX: usize = 64;

/// Patterns of which one is enough.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Topics(Vec<String>);

/// Why patterns cannot be used, for the person who wrote them.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// There are none, or endlessly many.
    #[error("`topics` has 1 to {PATTERNS_MAX} entries, such as `video.*`")]
    Number,
    /// One of them is of no event.
    #[error("no event has a topic like `{0}`; there are {known}", known = known())]
    Unknown(String),
}

fn known() -> String {
    let names: Vec<&str> = Topic::ALL.iter().map(|topic| topic.name()).collect();
    names.join(", ")
}

impl Topics {
    /// Every event.
    pub fn all() -> Self {
        Self(vec!["*".to_owned()])
    }

    /// Reads what somebody wants. A pattern that takes no topic of this release is a slip of the pen.
    pub fn read(patterns: &[String]) -> Result<Self, Refusal> {
        if patterns.is_empty() || patterns.len() > PATTERNS_MAX {
            return Err(Refusal::Number);
        }
        let fits = |pattern: &String| {
            pattern.len() <= PATTERN_BYTES_MAX
                && Topic::ALL.iter().any(|topic| is_like(topic.name(), pattern))
        };
        match patterns.iter().find(|pattern| !fits(pattern)) {
            Some(unknown) => Err(Refusal::Unknown(unknown.chars().take(PATTERN_BYTES_MAX).collect())),
            None => Ok(Self(patterns.to_vec())),
        }
    }

    /// The patterns.
    pub fn patterns(&self) -> &[String] {
        &self.0
    }

    /// Is an event of this topic wanted?
    pub fn take(&self, topic: Topic) -> bool {
        self.0.iter().any(|pattern| is_like(topic.name(), pattern))
    }

    /// The names of all topics that are wanted.
    pub fn names(&self) -> Vec<&'static str> {
        Topic::ALL.iter().filter(|topic| self.take(**topic)).map(|topic| topic.name()).collect()
    }
}

/// Does the text look like the pattern, in which each `*` stands for any run of characters?
fn is_like(text: &str, pattern: &str) -> bool {
    let Some((before, after)) = pattern.split_once('*') else { return text == pattern };
    let Some(rest) = text.strip_prefix(before) else { return false };
    // Every place at which what follows may begin.
    rest.char_indices().map(|(at, _)| at).chain([rest.len()]).any(|at| is_like(&rest[at..], after))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn topics(patterns: &[&str]) -> Result<Topics, Refusal> {
        Topics::read(&patterns.iter().map(|&pattern| pattern.to_owned()).collect::<Vec<_>>())
    }

    #[test]
    fn a_star_is_any_run_of_characters() {
        for (pattern, topic, wanted) in [
            ("*", Topic::JobDead, true),
            ("video.ready", Topic::VideoReady, true),
            ("video.ready", Topic::VideoRemade, false),
            ("video.*", Topic::VideoRemakeFailed, true),
            ("video.*", Topic::UploadFailed, false),
            ("*.failed", Topic::UploadFailed, true),
            ("*.failed", Topic::VideoRemakeFailed, false),
            ("*failed", Topic::VideoRemakeFailed, true),
            ("v*o.r*y", Topic::VideoReady, true),
            ("*.*.*", Topic::VideoReady, false),
        ] {
            assert_eq!(is_like(topic.name(), pattern), wanted, "{pattern} {topic:?}");
        }
        let two = topics(&["upload.created", "*.ready"]).unwrap();
        assert_eq!(two.names(), ["upload.created", "video.ready", "rendition.ready", "publication.ready"]);
        assert_eq!(Topics::all().names().len(), Topic::ALL.len());
    }

    #[test]
    fn a_pattern_that_takes_nothing_is_told_what_there_is() {
        assert_eq!(topics(&[]), Err(Refusal::Number));
        assert!(topics(&["*"; PATTERNS_MAX]).is_ok());
        assert_eq!(topics(&["*"; PATTERNS_MAX + 1]), Err(Refusal::Number));
        for wrong in ["", "video", "video.redy", "Video.ready", "video.ready ", &"*".repeat(65)] {
            let refused = topics(&["video.ready", wrong]).unwrap_err();
            assert!(refused.to_string().contains("video.playable"), "{wrong}: {refused}");
        }
    }
}
