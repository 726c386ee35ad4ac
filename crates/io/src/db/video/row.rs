//! The row of a video, and what it says of each of its generations.

use matinee_core::id::{AppId, CollectionId, ObjectId, UploadId, VideoId};
use matinee_core::pipeline::MadeBy;
use matinee_core::remake::Remake;
use matinee_core::time::Millis;
use matinee_core::video::{Policy, Problem, State};
use serde_json::Value;

use crate::db::error::DbError;
use crate::db::value::Row;
use crate::db::word;

/// A video as it is stored.
#[derive(Debug, Clone, PartialEq)]
pub struct Video {
    /// Its name.
    pub id: VideoId,
    /// The app that it belongs to.
    pub app: AppId,
    /// The collection that it is in.
    pub collection: CollectionId,
    /// The upload that it came from.
    pub upload: UploadId,
    /// The file that somebody brought in; none of a video that a host alone has.
    pub source: Option<ObjectId>,
    /// The source rewritten as a seekable MP4, while encoding needs it.
    pub work: Option<ObjectId>,
    /// The poster.
    pub poster: Option<ObjectId>,
    /// What is on the sheets of its storyboard.
    pub storyboard: Option<Value>,
    /// The short moving picture for cards.
    pub preview: Option<ObjectId>,
    /// The title.
    pub title: String,
    /// The name that the app gave it; unique per app.
    pub external_id: Option<String>,
    /// A JSON object that the app or the way in knows of it.
    pub facts: Value,
    /// Who may watch.
    pub policy: Policy,
    /// Where it is in its life.
    pub state: State,
    /// Why it failed, or why renditions of it did.
    pub reason: Option<Problem>,
    /// What is wrong with the source although it is accepted.
    pub damaged: Option<Value>,
    /// Which renditions are served: 0 none, 1 the source as it is, else the encoded ones of this number.
    pub generation: u32,
    /// The encoded generation that counts: the one that is served, or will be when it is there.
    pub encoding: u32,
    /// Another generation that is made while this one is served, or the last one that was not.
    pub remake: Option<Remake>,
    /// The pipeline by which it is encoded.
    pub pipeline: String,
    /// Not before this moment is it encoded.
    pub run_after: Option<Millis>,
    /// The same with its version and its copy; none before the source was examined.
    pub made_by: Option<MadeBy>,
    /// Its length in milliseconds.
    pub duration_ms: Option<u64>,
    /// What the probe said.
    pub probe: Option<Value>,
    /// What is made of it.
    pub plan: Option<Value>,
    /// When its last byte arrived.
    pub created: Millis,
    /// When something of it changed.
    pub updated: Millis,
    /// When it could be played for the first time.
    pub playable: Option<Millis>,
    /// When it became ready.
    pub ready: Option<Millis>,
    /// When it was deleted.
    pub deleted: Option<Millis>,
}

impl Video {
    /// Can it be played now?
    pub fn is_playable(&self) -> bool {
        self.generation > 0 && self.deleted.is_none()
    }

    /// Is another generation of it being made?
    pub fn is_encoded_again(&self) -> bool {
        self.remake.as_ref().is_some_and(Remake::is_running)
    }

    /// The remake that works on this generation.
    pub fn remake_of(&self, generation: u32) -> Option<&Remake> {
        self.remake.as_ref().filter(|remake| remake.is_running() && remake.generation == generation)
    }

    /// What is made of the source in this generation; none when it is not known yet, or not any more.
    pub fn plan_of(&self, generation: u32) -> Option<&Value> {
        match self.remake_of(generation) {
            Some(remake) => remake.found.as_ref().map(|found| &found.plan),
            None => self.plan.as_ref().filter(|_| generation == self.encoding),
        }
    }

    /// The file that jobs of a generation read: the source, or its copy where that was rewritten.
    pub fn input_of(&self, generation: u32) -> Option<ObjectId> {
        let of_copy = |probe: &Value| probe.get("brought_in").is_some_and(|container| !container.is_null());
        let copy = self.work.filter(|_| self.probe_of(generation).is_some_and(of_copy));
        copy.or(self.source)
    }

    /// What is known to be wrong with the file that somebody brought in, where this generation reads a copy of it: what was
    /// wrong with the one is wrong with the other, and cannot be seen there.
    pub fn damaged_of_copy(&self, generation: u32) -> Option<&Value> {
        let Some(remake) = self.remake_of(generation) else { return self.damaged.as_ref() };
        let found = remake.found.as_ref().and_then(|found| found.damaged.as_ref());
        found.or(self.damaged.as_ref()).filter(|_| self.work.is_some())
    }

    /// What the probe said for this generation.
    pub fn probe_of(&self, generation: u32) -> Option<&Value> {
        match self.remake_of(generation) {
            Some(remake) => remake.found.as_ref().map(|found| &found.probe),
            None => self.probe.as_ref().filter(|_| generation == self.encoding),
        }
    }
}

/// Reads a whole row of `video`.
pub(crate) fn video_of(row: &Row) -> Result<Video, DbError> {
    Ok(Video {
        id: row.get("id")?,
        app: row.get("app_id")?,
        collection: row.get("collection_id")?,
        upload: row.get("upload_id")?,
        source: row.get("source_id")?,
        work: row.get("work_id")?,
        poster: row.get("poster_id")?,
        storyboard: row.get("storyboard")?,
        preview: row.get("preview_id")?,
        title: row.get("title")?,
        external_id: row.get("external_id")?,
        facts: row.get("facts")?,
        policy: row.get("policy")?,
        state: row.get("state")?,
        reason: word::problem(row, "reason")?,
        damaged: row.get("damaged")?,
        generation: row.get("generation")?,
        encoding: row.get("encoding")?,
        remake: word::json(row, "remake")?,
        pipeline: row.get("pipeline")?,
        run_after: row.get("run_after_ms")?,
        made_by: word::json(row, "made_by")?,
        duration_ms: row.get("duration_ms")?,
        probe: row.get("probe")?,
        plan: row.get("plan")?,
        created: row.get("created_ms")?,
        updated: row.get("updated_ms")?,
        playable: row.get("playable_ms")?,
        ready: row.get("ready_ms")?,
        deleted: row.get("deleted_ms")?,
    })
}
