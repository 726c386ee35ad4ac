//! Keys of copies: a template of the operator, filled with names that are for ever.

use crate::id::{AppId, CollectionId, EntryId, ObjectId, VideoId};
use crate::ledger::Kind;

/// Where a copy lies when the operator says nothing.
pub const DEFAULT_KEY: &str = "{video}/{kind}/{object}/{copy}";
/// The longest template in bytes; stores take keys of 1,024, and each name needs 30.
pub const KEY_MAX: usize = 512;

/// How the name of a copy begins, and how long it is in bytes.
const COPY: &str = "led_";
const COPY_BYTES: usize = 30;

/// What can stand in a template, between braces.
const NAMES: [&str; 6] = ["app", "collection", "video", "kind", "object", "copy"];

/// Whose copy it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Named {
    /// The app.
    pub app: AppId,
    /// The collection in which the video is now.
    pub collection: CollectionId,
    /// The video.
    pub video: VideoId,
    /// What the object is for.
    pub kind: Kind,
    /// The object.
    pub object: ObjectId,
    /// The copy, which no other one is called.
    pub copy: EntryId,
}

/// The key of a copy. No two copies ever have the same: nothing is overwritten.
pub fn key(template: &str, named: &Named) -> String {
    let filled = template
        .replace("{app}", &named.app.to_string())
        .replace("{collection}", &named.collection.to_string())
        .replace("{video}", &named.video.to_string())
        .replace("{kind}", named.kind.name())
        .replace("{object}", &named.object.to_string())
        .replace("{copy}", &named.copy.to_string());
    if template.contains("{copy}") { filled } else { format!("{filled}-{}", named.copy) }
}

/// The copy that a key names; nothing when it is no key of ours.
pub fn copy_of(key: &str) -> Option<EntryId> {
    key.match_indices(COPY).filter_map(|(at, _)| key.get(at..at + COPY_BYTES)?.parse().ok()).last()
}

/// Refuses a template that no store could take.
pub fn check_key(template: &str) -> Result<(), String> {
    if template.is_empty() || template.len() > KEY_MAX {
        return Err(format!("it must have 1 to {KEY_MAX} letters"));
    }
    let mut plain = template.to_owned();
    for name in NAMES {
        plain = plain.replace(&format!("{{{name}}}"), "x");
    }
    let known = |letter: char| letter.is_ascii_alphanumeric() || "/-_.".contains(letter);
    if let Some(letter) = plain.chars().find(|letter| !known(*letter)) {
        let names = NAMES.map(|name| format!("{{{name}}}")).join(", ");
        return Err(format!("`{letter}` cannot stand in it; write letters, digits, / - _ . and {names}"));
    }
    if plain.split('/').any(|part| part.is_empty() || part.starts_with('.')) {
        return Err("between two slashes there must be a name that does not begin with a dot".to_owned());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_names_the_copy_once() {
        let named = Named {
            app: AppId::from_bits(1),
            collection: CollectionId::from_bits(2),
            video: VideoId::from_bits(3),
            kind: Kind::Source,
            object: ObjectId::from_bits(4),
            copy: EntryId::from_bits(5),
        };
        let (video, object, copy) = (named.video, named.object, named.copy);
        assert_eq!(key(DEFAULT_KEY, &named), format!("{video}/source/{object}/{copy}"));
        assert_eq!(key("old/{video}", &named), format!("old/{video}-{copy}"));
        assert_ne!(key("x", &named), key("x", &Named { copy: EntryId::from_bits(6), ..named }));
        for template in [DEFAULT_KEY, "old/{video}", "{copy}/{object}.mp4"] {
            assert_eq!(copy_of(&key(template, &named)), Some(copy), "{template}");
        }
        for other in ["", "led_", "notes/led_old.txt", "led_é1234567890123456789012345", "vid_01jd3x0000"] {
            assert_eq!(copy_of(other), None, "{other}");
        }
    }

    #[test]
    fn a_template_that_no_store_takes_is_refused() {
        for (template, fits) in [
            (DEFAULT_KEY, true),
            ("archive/{collection}/{video}.mp4", true),
            ("", false),
            ("/{video}", false),
            ("a//b", false),
            ("a/../b", false),
            ("{title}", false),
            ("a b", false),
            (&"x".repeat(KEY_MAX), true),
            (&"x".repeat(KEY_MAX + 1), false),
        ] {
            assert_eq!(check_key(template).is_ok(), fits, "{template}");
        }
    }
}
