//! Captions that people add to a video, and take away again. Their files never get to ffmpeg.

use bytes::Bytes;
use matinee_core::caption::{fitted, read, verify, write};
use matinee_core::id::{AppId, ObjectId, VideoId};
pub(crate) use matinee_io::db::Caption;
use matinee_io::db::{NewCaption, Stored};
use matinee_io::{random, store};
use tokio::sync::Semaphore;

use super::{Failure, now};
use crate::node::Node;

/// What somebody says of the captions that they add.
pub(crate) struct Said {
    /// The language as a tag; also the name of the caption.
    pub(crate) language: String,
    /// What people are to read in menus; empty for the name of the language.
    pub(crate) title: String,
    /// Only what everybody must read.
    pub(crate) forced: bool,
}

/// Files that are read at the same time: each takes some ten times its size in memory for a moment.
static READING: Semaphore = Semaphore::const_new(2);

/// Whether the app has such a video, before a file for it is listened to.
pub(crate) async fn wanted(node: &Node, (app, id): (AppId, VideoId)) -> Result<(), Failure> {
    node.db.video(app, id).await?.map(drop).ok_or(Failure::Absent)
}

/// Adds the captions of one language, or replaces them.
pub(crate) async fn add(
    node: &Node,
    (app, id): (AppId, VideoId),
    said: Said,
    file: Bytes,
) -> Result<Caption, Failure> {
    let video = node.db.video(app, id).await?.ok_or(Failure::Absent)?;
    let _reading = READING.acquire().await.expect("because it is never closed");
    // While the length is not known yet, all of it may be in time.
    let length_ms = video.duration_ms.and_then(|ms| i64::try_from(ms).ok()).unwrap_or(i64::MAX);
    let text = tokio::task::spawn_blocking(move || shown(&file, length_ms)).await;
    let text = text.map_err(|panic| Failure::Never(panic.to_string()))?;
    let text = text.map_err(|human| Failure::Refused { conflict: false, human })?;
    let object: ObjectId = random::id();
    node.db.intend_caption((app, id), object, now()).await?;
    let written = node.store.write(object, vec![store::Piece::Literal(Bytes::from(text))]).await?;
    let stored = Stored { object, size: written.size, blake3: written.blake3 };
    let name = said.language.clone();
    let new = NewCaption {
        name: name.clone(),
        place: 0,
        language: said.language,
        title: said.title,
        forced: said.forced,
        unsupported: None,
    };
    let added = node.db.add_caption((app, id), new, stored, now()).await;
    if added.is_err() {
        node.db.drop_objects(&[object], now()).await?;
    }
    added?;
    node.shelf.forget(id);
    let all = node.db.captions(id).await?;
    all.into_iter().find(|caption| caption.name == name).ok_or(Failure::Absent)
}

/// The words of a file as they will be shown, or why not.
fn shown(file: &[u8], length_ms: i64) -> Result<String, String> {
    let cues = read(file).map_err(|error| format!("The file holds no captions: {error}."))?;
    let cues = fitted(cues, 0, length_ms);
    if cues.is_empty() {
        return Err("No words of the file fall into the length of the video.".to_owned());
    }
    let text = write(&cues);
    verify(text.as_bytes(), length_ms).map_err(|fault| format!("The file cannot be shown: {fault}."))?;
    Ok(text)
}

/// Takes captions away: those that somebody added, or those of the source.
pub(crate) async fn remove(node: &Node, (app, id): (AppId, VideoId), name: &str) -> Result<(), Failure> {
    node.db.remove_caption((app, id), name, now()).await?;
    node.shelf.forget(id);
    Ok(())
}
