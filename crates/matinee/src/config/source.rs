//! `[[watch]]` and `[[bucket]]`: places outside that are looked through for videos.

use std::path::{Component, Path, PathBuf};

use matinee_core::pipeline;
use matinee_io::store::bucket;
use serde::{Deserialize, Serialize};

use super::{BadConfig, Config, Span};

/// The shortest pause between two looks through a bucket, in milliseconds: each page of a listing costs money.
const EVERY_MS_MIN: i64 = 5_000;

/// A folder whose files become videos.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Watch {
    /// The folder; all below it is looked through, too.
    pub(crate) folder: PathBuf,
    /// The collection for its videos, by name or id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) collection: Option<String>,
    /// The pipeline by which its videos are made.
    pub(crate) pipeline: String,
    /// Where files go that became videos, inside the folder; empty = they are removed.
    pub(crate) done: String,
    /// Where files go that could not be taken, inside the folder.
    pub(crate) failed: String,
    /// A file is complete when it has not changed for so long.
    pub(crate) settle: Span,
}

impl Default for Watch {
    fn default() -> Self {
        Self {
            folder: PathBuf::new(),
            collection: None,
            pipeline: pipeline::DEFAULT.to_owned(),
            done: "done".to_owned(),
            failed: "failed".to_owned(),
            settle: Span { ms: 10_000 },
        }
    }
}

/// A bucket whose objects become videos.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Bucket {
    /// Its name here: what was taken is remembered under it.
    pub(crate) name: String,
    /// `s3://bucket` or `s3://bucket/prefix`.
    pub(crate) url: String,
    /// The address of the service, for all but the first one of its kind.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) endpoint: Option<String>,
    /// The region.
    pub(crate) region: String,
    /// The name of the key.
    pub(crate) access_key: String,
    /// The key; better in a file.
    pub(crate) secret_key: String,
    /// A file that holds the key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) secret_key_file: Option<PathBuf>,
    /// How often it is looked through.
    pub(crate) every: Span,
    /// The collection for its videos, by name or id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) collection: Option<String>,
    /// The pipeline by which its videos are made.
    pub(crate) pipeline: String,
    /// What becomes of an object when its video was checked: `keep`, `delete` or `move:PREFIX`.
    pub(crate) after: After,
}

impl Default for Bucket {
    fn default() -> Self {
        Self {
            name: String::new(),
            url: String::new(),
            endpoint: None,
            region: "us-east-1".to_owned(),
            access_key: String::new(),
            secret_key: String::new(),
            secret_key_file: None,
            every: Span { ms: 300_000 },
            collection: None,
            pipeline: pipeline::DEFAULT.to_owned(),
            after: After::Keep,
        }
    }
}

/// What becomes of an object whose video was checked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub(crate) enum After {
    /// It stays, and is not taken again while it is what it was.
    Keep,
    /// It goes.
    Delete,
    /// It gets this in place of the bucket's prefix.
    Move(String),
}

impl TryFrom<String> for After {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        match text.as_str() {
            "keep" => Ok(Self::Keep),
            "delete" => Ok(Self::Delete),
            _ => match text.strip_prefix("move:").map(|prefix| prefix.trim_matches('/')) {
                Some(prefix) if !prefix.is_empty() => Ok(Self::Move(prefix.to_owned())),
                Some(_) | None => Err(format!("`{text}` is not known; write keep, delete or move:PREFIX")),
            },
        }
    }
}

impl From<After> for String {
    fn from(after: After) -> Self {
        match after {
            After::Keep => "keep".to_owned(),
            After::Delete => "delete".to_owned(),
            After::Move(prefix) => format!("move:{prefix}"),
        }
    }
}

impl Bucket {
    /// The bucket and the prefix that its address names.
    pub(crate) fn place(&self) -> Option<(&str, &str)> {
        let rest = self.url.strip_prefix("s3://")?;
        let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
        (!bucket.is_empty()).then_some((bucket, prefix.trim_start_matches('/')))
    }

    /// What is needed to reach it.
    pub(crate) fn access(&self) -> bucket::Config {
        bucket::Config {
            bucket: self.place().map(|(bucket, _)| bucket).unwrap_or_default().to_owned(),
            endpoint: self.endpoint.clone(),
            region: self.region.clone(),
            access_key: self.access_key.clone(),
            secret_key: self.secret_key.clone(),
        }
    }

    /// The key that an object is moved to.
    pub(crate) fn moved(&self, key: &str, to: &str) -> String {
        let prefix = self.place().map(|(_, prefix)| prefix).unwrap_or_default();
        let rest = key.strip_prefix(prefix).unwrap_or(key).trim_start_matches('/');
        format!("{to}/{rest}")
    }
}

/// Refuses what cannot work, and reads the keys that lie in files.
pub(super) fn check(config: &mut Config) -> Result<(), BadConfig> {
    for watch in &mut config.watch {
        check_watch(watch)?;
    }
    for (number, bucket) in config.bucket.iter_mut().enumerate() {
        check_bucket(bucket, number)?;
    }
    let mut names: Vec<_> = config.bucket.iter().map(|bucket| bucket.name.as_str()).collect();
    names.sort_unstable();
    match names.windows(2).find(|pair| pair[0] == pair[1]) {
        Some(pair) => Err(BadConfig(format!("two [[bucket]] have the name `{}`", pair[0]))),
        None => Ok(()),
    }
}

impl Watch {
    /// Refuses what cannot work, and makes the folder's path absolute.
    pub(crate) fn check(&mut self) -> Result<(), BadConfig> {
        check_watch(self)
    }
}

fn check_watch(watch: &mut Watch) -> Result<(), BadConfig> {
    if watch.folder.as_os_str().is_empty() {
        return Err(BadConfig("a [[watch]] needs its `folder`".to_owned()));
    }
    pipeline::check_name(&watch.pipeline)
        .map_err(|refusal| BadConfig(format!("`watch.pipeline`: {refusal}")))?;
    watch.folder =
        std::path::absolute(&watch.folder).map_err(|error| BadConfig(format!("`watch.folder`: {error}")))?;
    if watch.folder.to_str().is_none() {
        return Err(BadConfig("`watch.folder` must be a name in UTF-8".to_owned()));
    }
    let inside = |name: &str| {
        let parts = Path::new(name).components();
        !name.is_empty() && parts.into_iter().all(|part| matches!(part, Component::Normal(_)))
    };
    for (key, name) in [("done", &watch.done), ("failed", &watch.failed)] {
        let removed = key == "done" && name.is_empty();
        if !inside(name) && !removed {
            return Err(BadConfig(format!(
                "`watch.{key} = \"{name}\"` must be a folder inside {}",
                watch.folder.display()
            )));
        }
    }
    if watch.done == watch.failed {
        return Err(BadConfig("`watch.done` and `watch.failed` must be two folders".to_owned()));
    }
    Ok(())
}

fn check_bucket(bucket: &mut Bucket, number: usize) -> Result<(), BadConfig> {
    if bucket.name.is_empty() {
        return Err(BadConfig(format!("the [[bucket]] number {} needs a `name`", number + 1)));
    }
    let name = &bucket.name;
    if bucket.place().is_none() {
        return Err(BadConfig(format!("`bucket.url` of `{name}` must be like s3://bucket/prefix")));
    }
    if bucket.every.ms < EVERY_MS_MIN {
        return Err(BadConfig(format!("`bucket.every` of `{name}` must be at least 5s")));
    }
    pipeline::check_name(&bucket.pipeline)
        .map_err(|refusal| BadConfig(format!("`bucket.pipeline` of `{name}`: {refusal}")))?;
    if let Some(path) = &bucket.secret_key_file {
        let text = std::fs::read_to_string(path).map_err(|error| {
            BadConfig(format!("`bucket.secret_key_file` of `{name}`, {}: {error}", path.display()))
        })?;
        text.trim().clone_into(&mut bucket.secret_key);
    }
    let Some((_, prefix)) = bucket.place() else { return Ok(()) };
    // What was moved must not be found again.
    if let After::Move(to) = &bucket.after
        && format!("{to}/").starts_with(prefix)
    {
        return Err(BadConfig(format!(
            "`bucket.after` of `{name}` moves objects to where they are looked for; take a prefix outside `{prefix}`"
        )));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checked(text: &str) -> Result<Config, String> {
        let mut config: Config = toml::from_str(text).map_err(|error| error.to_string())?;
        check(&mut config).map_err(|error| error.to_string())?;
        Ok(config)
    }

    #[test]
    fn a_source_says_what_it_lacks() {
        for (text, expected) in [
            ("[[watch]]\nfolder = \"/in\"", None),
            ("[[watch]]\nfolder = \"/in\"\ndone = \"\"", None),
            ("[[watch]]\ndone = \"x\"", Some("folder")),
            ("[[watch]]\nfolder = \"/in\"\nfailed = \"\"", Some("watch.failed")),
            ("[[watch]]\nfolder = \"/in\"\ndone = \"../x\"", Some("watch.done")),
            ("[[watch]]\nfolder = \"/in\"\ndone = \"failed\"", Some("two folders")),
            ("[[bucket]]\nname = \"a\"\nurl = \"s3://b\"", None),
            ("[[bucket]]\nurl = \"s3://b\"", Some("name")),
            ("[[bucket]]\nname = \"a\"\nurl = \"b\"", Some("s3://bucket/prefix")),
            ("[[bucket]]\nname = \"a\"\nurl = \"s3://b\"\nevery = \"1s\"", Some("5s")),
            ("[[bucket]]\nname = \"a\"\nurl = \"s3://b\"\nafter = \"burn\"", Some("move:PREFIX")),
            ("[[bucket]]\nname = \"a\"\nurl = \"s3://b/in/\"\nafter = \"move:done\"", None),
            ("[[bucket]]\nname = \"a\"\nurl = \"s3://b/in/\"\nafter = \"move:in/x\"", Some("outside")),
            ("[[bucket]]\nname = \"a\"\nurl = \"s3://b\"\nafter = \"move:done\"", Some("outside")),
            (
                "[[bucket]]\nname = \"a\"\nurl = \"s3://b\"\n[[bucket]]\nname = \"a\"\nurl = \"s3://c\"",
                Some("two"),
            ),
        ] {
            let found = checked(text).err();
            let fits = match (&found, expected) {
                (None, None) => true,
                (Some(found), Some(expected)) => found.contains(expected),
                (None, Some(_)) | (Some(_), None) => false,
            };
            assert!(fits, "{text}: {found:?}");
        }
    }

    #[test]
    fn a_moved_object_keeps_what_follows_the_prefix() {
        let bucket = Bucket { url: "s3://b/in/".to_owned(), ..Bucket::default() };
        assert_eq!(bucket.place(), Some(("b", "in/")));
        assert_eq!(bucket.moved("in/term 1/a.mp4", "taken"), "taken/term 1/a.mp4");
    }
}
