//! Originals that lie outside: where one is, how it is told from another, and what becomes of it afterwards.

use serde::{Deserialize, Serialize};

use crate::limits;
use crate::video::Problem;

/// Where an original lies that a job is to bring in.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(tag = "place", rename_all = "snake_case", deny_unknown_fields)]
pub enum Place {
    /// A file of the server's machine.
    File {
        /// The folder below which it must lie; the configured roots when there is none.
        below: Option<String>,
        /// Its absolute path.
        path: String,
        /// What becomes of it.
        keep: Keep,
        /// What it was when it was seen; nothing when it is taken as it is.
        mark: Option<String>,
    },
    /// An object of a bucket that is looked through.
    Object {
        /// The name of the bucket in the configuration.
        bucket: String,
        /// The key of the object.
        key: String,
        /// What its bytes were when it was seen.
        etag: String,
    },
}

/// How a file of this machine comes in.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Keep {
    /// It stays; blocks are shared where the file system can.
    #[default]
    Cheapest,
    /// It stays, and nothing is shared with it.
    Copied,
    /// It stays as a second name of the same file.
    Linked,
    /// It goes when its video has been checked.
    Moved,
}

/// What is done with an original when its video was checked, or cannot be made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "ending", rename_all = "snake_case", deny_unknown_fields)]
pub enum Ending {
    /// A file that goes once its video was checked, and stays where no video came of it.
    Remove {
        /// What it was when it was seen.
        stamp: Stamp,
    },
    /// A file that moves within its watched folder.
    Sort {
        /// What it was when it was seen.
        stamp: Stamp,
        /// The folder for what was brought in, relative to the watched one; nothing when the file is to go.
        done: Option<String>,
        /// The folder for what could not be brought in.
        failed: String,
    },
    /// An object of a bucket; what follows is told by the bucket's configuration.
    Object {
        /// What its bytes were when it was seen.
        etag: String,
    },
}

/// What came of an original.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fate {
    /// It is a video, or was one until somebody deleted it.
    Brought,
    /// No video can come of it, for this reason; none when somebody gave it up.
    Refused(Option<Problem>),
    /// Nothing came of it; it may be taken again.
    Void,
}

/// What tells a file from another one that has its name later.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Stamp {
    /// Its number in the file system.
    pub inode: u64,
    /// Its length in bytes.
    pub size: u64,
    /// When its bytes were last changed, in nanoseconds of Unix time.
    pub modified_ns: i64,
}

impl Stamp {
    /// The stamp as one word. The device is left out: a network drive has another number after each mount.
    pub fn mark(&self) -> String {
        format!("{:x}-{:x}-{:x}", self.inode, self.size, self.modified_ns)
    }
}

/// Endings of files that are taken from a folder or a bucket.
const ENDINGS: &[&str] = &[
    "3g2", "3gp", "aac", "aif", "aiff", "asf", "avi", "flac", "flv", "m2ts", "m2v", "m4a", "m4v", "mka",
    "mkv", "mov", "mp3", "mp4", "mpeg", "mpg", "mts", "mxf", "oga", "ogg", "ogv", "opus", "ts", "vob", "wav",
    "webm", "wmv",
];

/// Does this file name promise sound or pictures? Names of files that are still being written, and hidden ones, do
/// not: they end in `.part`, `.tmp`, `.crdownload` or `~`, or begin with a dot.
pub fn is_media(name: &str) -> bool {
    let name = name.rsplit('/').next().unwrap_or_default();
    let ending = name.rsplit_once('.').map(|(stem, ending)| (stem, ending.to_ascii_lowercase()));
    ending.is_some_and(|(stem, ending)| {
        !stem.is_empty() && !name.starts_with('.') && ENDINGS.contains(&ending.as_str())
    })
}

/// A title for a person from a file's name: no folder, no ending, no control characters, not endless.
pub fn title_from(name: &str) -> String {
    let name = name.rsplit(['/', '\\']).next().unwrap_or_default();
    let stem = name
        .rsplit_once('.')
        .map_or(name, |(stem, ending)| if stem.is_empty() || ending.len() > 5 { name } else { stem });
    let plain: String =
        stem.chars().filter(|letter| !letter.is_control()).take(limits::TITLE_CHARS_MAX).collect();
    let plain = plain.trim();
    if plain.is_empty() { "Untitled".to_owned() } else { plain.to_owned() }
}

/// The name for the `copy`th file of the same name in a folder: `a.mp4`, `a (2).mp4`, `a (3).mp4`.
pub fn another_name(name: &str, copy: u32) -> String {
    match (copy, name.rsplit_once('.')) {
        (0 | 1, _) => name.to_owned(),
        (_, Some((stem, ending))) if !stem.is_empty() => format!("{stem} ({copy}).{ending}"),
        (_, _) => format!("{name} ({copy})"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hidden_half_and_foreign_files_are_no_media() {
        for (name, expected) in [
            ("a.mp4", true),
            ("term 1/A.MKV", true),
            ("a.mp4.part", false),
            ("a.mp4~", false),
            ("a.tmp", false),
            ("a.mp4.crdownload", false),
            (".a.mp4", false),
            ("dir/.a.mp4.Xy12", false),
            (".mp4", false),
            ("notes.txt", false),
            ("mp4", false),
            ("", false),
        ] {
            assert_eq!(is_media(name), expected, "{name}");
        }
    }

    #[test]
    fn a_title_is_a_file_name_without_its_dangers() {
        for (name, title) in [
            ("lecture-07.mp4", "lecture-07"),
            ("../../etc/passwd", "passwd"),
            ("C:\\films\\a.b.mkv", "a.b"),
            ("\u{0}\r\n", "Untitled"),
            (".mp4", ".mp4"),
            ("Version 1.2 of everything", "Version 1.2 of everything"),
        ] {
            assert_eq!(title_from(name), title);
        }
        assert_eq!(title_from(&"x".repeat(9_000)).len(), limits::TITLE_CHARS_MAX);
    }

    #[test]
    fn a_second_file_of_a_name_gets_a_number() {
        assert_eq!(another_name("a.b.mp4", 1), "a.b.mp4");
        assert_eq!(another_name("a.b.mp4", 2), "a.b (2).mp4");
        assert_eq!(another_name("film", 3), "film (3)");
        assert_eq!(another_name(".mp4", 2), ".mp4 (2)");
    }

    #[test]
    fn a_place_keeps_its_meaning_as_text() {
        let path = "/films/a.mp4".to_owned();
        let place = Place::File { below: None, path, keep: Keep::Moved, mark: None };
        let text = serde_json::to_value(&place).unwrap();
        assert_eq!((&text["place"], &text["keep"]), (&"file".into(), &"moved".into()));
        assert_eq!(serde_json::from_value::<Place>(text).unwrap(), place);
    }
}
