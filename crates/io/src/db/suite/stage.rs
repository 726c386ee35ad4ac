//! What tests of videos start from: an upload that ends, and a plan with a ladder and its jobs.

use matinee_core::access::sender::Allowance;
use matinee_core::id::{JobId, ObjectId, RenditionId, UploadId, VideoId};
use matinee_core::job::{Kind, Lease, NewJob, OnDeath, Task};
use matinee_core::ledger;
use matinee_core::limits::LEASE_MS;
use matinee_core::pipeline::{Pipeline, Template};
use matinee_core::time::Millis;
use matinee_core::upload::Way;
use matinee_core::video::Medium;
use serde_json::json;

use super::support::{Bench, T0, id, token};
use crate::db::app::first_collection;
use crate::db::error::DbError;
use crate::db::job::Claim;
use crate::db::{
    Assembled, Finish, LedgerFilter, NewObject, NewPart, NewTrack, NewUpload, Probed, Shape, SoundInFile,
    Stored, VirtualSet, VirtualTrack,
};

/// The rows of the segments `first..first + segments`; each says its own number.
pub(crate) fn rows(first: u32, segments: u32) -> Vec<u8> {
    (first..first + segments).flat_map(u32::to_be_bytes).collect()
}

pub(crate) fn stored(object: ObjectId, size: u64) -> Stored {
    Stored { object, size, blake3: [7; 32] }
}

/// A planned video: two pictures and sound, three chunks.
#[derive(Debug, Clone)]
pub(crate) struct Film {
    pub(crate) video: VideoId,
    pub(crate) source: ObjectId,
    pub(crate) pictures: [RenditionId; 2],
    pub(crate) sound: RenditionId,
}

impl Film {
    /// New renditions of a video.
    pub(crate) fn of(video: VideoId, source: ObjectId) -> Self {
        Self { video, source, pictures: [id(), id()], sound: id() }
    }
}

/// First segment and number of segments of each chunk.
pub(crate) const CHUNKS: [(u32, u32); 3] = [(1, 1), (2, 1), (3, 2)];
/// Segments of the whole film.
pub(crate) const SEGMENTS: u32 = 4;

impl Bench {
    pub(crate) fn new_upload(&self, size: Option<u64>) -> NewUpload {
        NewUpload {
            id: id(),
            app: self.app,
            collection: first_collection(self.app),
            video: id(),
            object: id(),
            url_key: format!("key-{}", super::support::unique()),
            way: Way::Tus,
            title: "Snow 100%".to_owned(),
            metadata: String::new(),
            facts: serde_json::json!({ "topic": "Snow" }),
            external_id: None,
            size,
            pipeline: "default".to_owned(),
            run_after: None,
            allowance: Allowance::default(),
            repeat_key: None,
            expires: T0.plus(1_000),
            now: T0,
        }
    }

    pub(crate) async fn upload_of(&self, size: Option<u64>) -> NewUpload {
        let new = self.new_upload(size);
        self.db.create_upload(&new).await.unwrap();
        new
    }

    /// Takes the next job of this kind for one lease from `now` on.
    pub(crate) async fn hold(&self, kind: Kind, now: Millis) -> Lease {
        let kinds = super::support::queues(kind, u32::MAX);
        let claim = Claim { kinds, holder: "n/1".to_owned(), now, lease_ms: LEASE_MS, token: token() };
        self.db.claim(&claim).await.unwrap().expect("because a job of this kind is ready").lease
    }

    /// Writes the rows of one object and returns its name.
    pub(crate) async fn intend(&self, lease: &Lease, kind: ledger::Kind) -> Result<ObjectId, DbError> {
        let object = id();
        self.db.intend_objects(lease, &[NewObject { id: object, kind }], T0).await.map(|()| object)
    }

    /// An upload that has become a video whose probe is ready.
    pub(crate) async fn brought(&self) -> (VideoId, ObjectId) {
        let new = self.upload_of(Some(10)).await;
        let epoch = self.db.take_upload(new.id).await.unwrap();
        let video = self.db.finish_upload(&finish(new.id, Some(epoch), 10)).await.unwrap();
        (video, new.object)
    }

    /// A video with its plan published and all jobs of its encoding waiting.
    pub(crate) async fn film(&self, instant: bool) -> Film {
        let (video, source) = self.brought().await;
        let film = Film { video, source, pictures: [id(), id()], sound: id() };
        let lease = self.hold(Kind::Probe, T0).await;
        let probed = self.probed(&lease, &film, instant).await;
        self.db.publish_probe(&lease, probed).await.unwrap();
        film
    }

    pub(crate) async fn probed(&self, lease: &Lease, film: &Film, instant: bool) -> Probed {
        let virtual_set = if instant {
            let sidecar = stored(self.intend(lease, ledger::Kind::Sidecar).await.unwrap(), 99);
            let track = track(id(), "source", Medium::Video, 0);
            let track = VirtualTrack { track, segments: SEGMENTS, bytes: 10, rows: rows(1, SEGMENTS) };
            Some(VirtualSet { sidecar, tracks: vec![track] })
        } else {
            None
        };
        Probed {
            duration_ms: 16_000,
            probe: json!({}),
            template: Template { version: None, pipeline: Pipeline::default() },
            plan: json!({ "chunks": 3 }),
            bytes: 0,
            damaged: None,
            virtual_set,
            ladder: vec![
                track(film.pictures[0], "h264-720", Medium::Video, 0),
                track(film.pictures[1], "h264-480", Medium::Video, 1),
                track(film.sound, "aac-1", Medium::Audio, 2),
            ],
            captions: Vec::new(),
            jobs: self.jobs_of(film),
            now: T0,
        }
    }

    fn jobs_of(&self, film: &Film) -> Vec<NewJob> {
        let video = film.video;
        let mut jobs: Vec<NewJob> =
            (0..3).map(|chunk| self.new_task(Task::Chunk { video, chunk, family: 0 }, &[])).collect();
        jobs.push(self.new_task(Task::Audio { video, track: 0 }, &[]));
        let needs: Vec<(JobId, OnDeath)> = jobs.iter().map(|job| (job.id, OnDeath::Kill)).collect();
        jobs.push(self.new_task(Task::Poster { video }, &[]));
        let mut last = Vec::new();
        for rendition in film.pictures {
            let assemble = self.new_task(Task::Assemble { video, rendition }, &needs);
            last.push((assemble.id, OnDeath::Release));
            jobs.push(assemble);
        }
        last.push((jobs[4].id, OnDeath::Release));
        last.extend(needs);
        jobs.push(self.new_task(Task::Finish { video, background: false }, &last));
        jobs
    }

    /// Takes the next chunk, writes its objects' rows, and returns what is to be published of chunk `chunk`.
    pub(crate) async fn chunk(&self, film: &Film, chunk: usize) -> (Lease, Vec<NewPart>) {
        let lease = self.hold(Kind::Chunk, T0).await;
        let (first, segments) = CHUNKS[chunk];
        let mut parts = Vec::new();
        for rendition in film.pictures {
            let object = self.intend(&lease, ledger::Kind::Chunk).await.unwrap();
            parts.push(part(rendition, object, first, segments));
        }
        (lease, parts)
    }

    pub(crate) async fn sound(&self, film: &Film, lease: &Lease, (first, segments): (u32, u32)) -> NewPart {
        let object = self.intend(lease, ledger::Kind::AudioPart).await.unwrap();
        part(film.sound, object, first, segments)
    }

    /// Encodes all chunks and the sound.
    pub(crate) async fn encode(&self, film: &Film) {
        for chunk in 0..CHUNKS.len() {
            let (lease, parts) = self.chunk(film, chunk).await;
            self.db.publish_chunk(&lease, parts, T0).await.unwrap();
        }
        let lease = self.hold(Kind::Audio, T0).await;
        let part = self.sound(film, &lease, (1, SEGMENTS)).await;
        self.db.publish_audio(&lease, Some(part), T0).await.unwrap();
    }

    /// Takes the next rendition to assemble, and returns what is to be published of `pictures[place]`.
    pub(crate) async fn assembled(&self, film: &Film, place: usize) -> (Lease, Assembled) {
        let lease = self.hold(Kind::Assemble, T0).await;
        let assembled = self.file_of(film, place, &lease).await;
        (lease, assembled)
    }

    /// What is to be published of `pictures[place]` under a lease.
    pub(crate) async fn file_of(&self, film: &Film, place: usize, lease: &Lease) -> Assembled {
        let object = self.intend(lease, ledger::Kind::Rendition).await.unwrap();
        let sound =
            SoundInFile { rendition: film.sound, segments: SEGMENTS, bytes: 4, rows: rows(1, SEGMENTS) };
        Assembled {
            rendition: film.pictures[place],
            stored: stored(object, 1_000),
            segments: SEGMENTS,
            bytes: 900,
            rows: rows(1, SEGMENTS),
            sound: Some(sound),
            now: T0,
        }
    }

    /// Object names by the state of their ledger rows, of one video.
    pub(crate) async fn in_state(&self, video: VideoId, state: ledger::State) -> Vec<ObjectId> {
        let filter = LedgerFilter { app: Some(self.app), video: Some(video), states: vec![state] };
        let entries = self.db.ledger(&filter, None, 100).await.unwrap();
        entries.iter().map(|entry| entry.object).collect()
    }

    /// The topics of all events of the app, in order.
    pub(crate) async fn topics(&self) -> Vec<&'static str> {
        let events = self.db.events_after(Some(self.app), None, 0, 1_000).await.unwrap();
        events.iter().map(|event| event.topic.name()).collect()
    }

    pub(crate) async fn count(&self, topic: &str) -> usize {
        self.topics().await.iter().filter(|seen| **seen == topic).count()
    }
}

pub(crate) fn finish(id: UploadId, epoch: Option<u64>, size: u64) -> Finish {
    Finish {
        id,
        epoch,
        size,
        blake3: Some([1; 32]),
        slabs: Vec::new(),
        probe_job: super::support::id(),
        now: T0,
    }
}

pub(crate) fn part(rendition: RenditionId, object: ObjectId, first: u32, segments: u32) -> NewPart {
    let shape = Shape {
        codec: Some("avc1.64001f".to_owned()),
        timescale: Some(12_800),
        init: Some(vec![1, 2]),
        entry_hash: Some([9; 32]),
        ..Shape::default()
    };
    let (bytes, rows) = (u64::from(segments) * 100, rows(first, segments));
    NewPart { rendition, stored: stored(object, bytes), first, segments, bytes, rows, shape }
}

pub(crate) fn track(id: RenditionId, name: &str, medium: Medium, place: u32) -> NewTrack {
    NewTrack { id, name: name.to_owned(), medium, place, background: false, shape: Shape::default() }
}
