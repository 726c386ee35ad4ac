//! Renditions: the tracks of a video, and what a manifest needs of them.

use matinee_core::id::{AppId, ObjectId, RenditionId, VideoId};
use matinee_core::loudness::Leveled;
use matinee_core::time::Millis;
use matinee_core::video::{Medium, Problem, RenditionState};

use super::Db;
use super::error::DbError;
use super::loudness;
use super::part::{Part, parts_of};
use super::tx::Tx;
use super::value::{Row, args};
use super::word;

/// What is known of a track's content; a planned track knows less than an encoded one.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Shape {
    /// The codec as RFC 6381 writes it.
    pub codec: Option<String>,
    /// Width of the picture in pixels.
    pub width: Option<u32>,
    /// Height of the picture in pixels.
    pub height: Option<u32>,
    /// Frames per second as a fraction.
    pub rate: Option<(u32, u32)>,
    /// Channels of sound.
    pub channels: Option<u32>,
    /// The language as RFC 5646 writes it.
    pub language: Option<String>,
    /// What the source calls it.
    pub title: Option<String>,
    /// Ticks per second of the track.
    pub timescale: Option<u32>,
    /// The init segment.
    pub init: Option<Vec<u8>>,
    /// The hash of the sample entry; all parts of one rendition have the same.
    pub entry_hash: Option<[u8; 32]>,
}

/// A track to create.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewTrack {
    /// Its name in the database.
    pub id: RenditionId,
    /// Its name for people and URLs, for example `h264-720`; unique in a generation of a video.
    pub name: String,
    /// What it carries.
    pub medium: Medium,
    /// Its place in lists: the best picture first, from 0; those of the background behind all others.
    pub place: u32,
    /// Nobody waits for it.
    pub background: bool,
    /// What is known of it.
    pub shape: Shape,
}

/// A track as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rendition {
    /// Its name in the database.
    pub id: RenditionId,
    /// 1 gathers bytes of the source, 2 was encoded.
    pub generation: u32,
    /// Its name for people and URLs.
    pub name: String,
    /// What it carries.
    pub medium: Medium,
    /// Its place in lists, from 0.
    pub place: u32,
    /// Nobody waits for it; it is offered when it is whole.
    pub background: bool,
    /// Where it is in its life.
    pub state: RenditionState,
    /// Why it failed.
    pub reason: Option<Problem>,
    /// What is known of it.
    pub shape: Shape,
    /// The one file that holds all of it, when it is whole; for sound that of the best picture.
    pub file: Option<ObjectId>,
    /// The length of this file in bytes.
    pub file_bytes: Option<u64>,
    /// The same as WebM, with its length in bytes.
    pub webm: Option<(ObjectId, u64)>,
    /// Of sound that was brought to a loudness: how loud it was.
    pub leveled: Option<Leveled>,
    /// When it became whole.
    pub ready: Option<Millis>,
}

/// A track with its parts in the order of their segments; the parts' rows are read with [`Db::part_rows`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PresentedTrack {
    /// The track.
    pub rendition: Rendition,
    /// Its parts.
    pub parts: Vec<Part>,
}

impl Db {
    /// The renditions of a video in all generations, by generation and place.
    pub async fn renditions(&self, video: VideoId) -> Result<Vec<Rendition>, DbError> {
        self.read(video, |tx, video| Box::pin(renditions_of(tx, *video))).await
    }

    /// One rendition with the video it belongs to.
    pub async fn rendition(&self, id: RenditionId) -> Result<Option<(VideoId, Rendition)>, DbError> {
        self.read(id, |tx, id| {
            Box::pin(async move {
                let row = tx.row("SELECT * FROM rendition WHERE id = $1", args![*id]).await?;
                row.map(|row| Ok((row.get("video_id")?, rendition_of(&row)?))).transpose()
            })
        })
        .await
    }

    /// The tracks of one generation that have not failed, with their parts but without the parts' rows.
    pub async fn presentation(
        &self,
        video: VideoId,
        generation: u32,
    ) -> Result<Vec<PresentedTrack>, DbError> {
        self.read((video, generation), |tx, (video, generation)| {
            Box::pin(async move {
                let mut tracks = Vec::new();
                for rendition in renditions_of(tx, *video).await? {
                    if rendition.generation == *generation && rendition.state != RenditionState::Failed {
                        let parts = parts_of(tx, rendition.id).await?;
                        tracks.push(PresentedTrack { rendition, parts });
                    }
                }
                Ok(tracks)
            })
        })
        .await
    }
}

pub(crate) async fn renditions_of(tx: &mut Tx, video: VideoId) -> Result<Vec<Rendition>, DbError> {
    let sql = "SELECT * FROM rendition WHERE video_id = $1 ORDER BY generation, place, id";
    tx.rows(sql, args![video]).await?.iter().map(rendition_of).collect()
}

/// Inserts a track of `generation` in `state`.
pub(crate) async fn insert_track(
    tx: &mut Tx,
    (app, video): (AppId, VideoId),
    track: &NewTrack,
    (generation, state): (u32, RenditionState),
    now: Millis,
) -> Result<(), DbError> {
    let shape = &track.shape;
    let ready = (state == RenditionState::Ready).then_some(now);
    tx.execute(
        "INSERT INTO rendition (id, app_id, video_id, generation, name, media, place, state, codec, width, height,
           rate_num, rate_den, channels, language, timescale, init, entry_hash, created_ms, ready_ms, title, background)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21,
           $22)",
        args![
            track.id,
            app,
            video,
            generation,
            track.name.as_str(),
            track.medium,
            track.place,
            state,
            shape.codec.clone(),
            shape.width,
            shape.height,
            shape.rate.map(|rate| rate.0),
            shape.rate.map(|rate| rate.1),
            shape.channels,
            shape.language.clone(),
            shape.timescale,
            shape.init.clone(),
            shape.entry_hash,
            now,
            ready,
            shape.title.clone(),
            track.background
        ],
    )
    .await
    .map(drop)
}

/// What an encoder said of the first part holds for the whole track; a part that contradicts it is refused.
pub(crate) async fn agree(tx: &mut Tx, id: RenditionId, shape: &Shape) -> Result<Rendition, DbError> {
    let row = tx.row("SELECT * FROM rendition WHERE id = $1", args![id]).await?.ok_or(DbError::Absent)?;
    let known = rendition_of(&row)?;
    if let (Some(known), Some(new)) = (known.shape.entry_hash, shape.entry_hash)
        && known != new
    {
        return Err(DbError::Conflict("a part has another sample entry than its rendition".to_owned()));
    }
    tx.execute(
        "UPDATE rendition SET codec = COALESCE($2, codec), width = COALESCE($3, width),
           height = COALESCE($4, height), rate_num = COALESCE($5, rate_num), rate_den = COALESCE($6, rate_den),
           channels = COALESCE($7, channels), timescale = COALESCE($8, timescale), init = COALESCE($9, init),
           entry_hash = COALESCE($10, entry_hash),
           state = CASE WHEN state = 'waiting' THEN 'encoding' ELSE state END
         WHERE id = $1",
        args![
            id,
            shape.codec.clone(),
            shape.width,
            shape.height,
            shape.rate.map(|rate| rate.0),
            shape.rate.map(|rate| rate.1),
            shape.channels,
            shape.timescale,
            shape.init.clone(),
            shape.entry_hash
        ],
    )
    .await?;
    Ok(known)
}

/// Reads a whole row of `rendition`.
pub(crate) fn rendition_of(row: &Row) -> Result<Rendition, DbError> {
    let rate: (Option<u32>, Option<u32>) = (row.get("rate_num")?, row.get("rate_den")?);
    let webm: (Option<ObjectId>, Option<u64>) = (row.get("webm_id")?, row.get("webm_bytes")?);
    Ok(Rendition {
        id: row.get("id")?,
        generation: row.get("generation")?,
        name: row.get("name")?,
        medium: row.get("media")?,
        place: row.get("place")?,
        background: row.get("background")?,
        state: row.get("state")?,
        reason: word::problem(row, "reason")?,
        shape: Shape {
            codec: row.get("codec")?,
            width: row.get("width")?,
            height: row.get("height")?,
            rate: rate.0.zip(rate.1),
            channels: row.get("channels")?,
            language: row.get("language")?,
            title: row.get("title")?,
            timescale: row.get("timescale")?,
            init: row.get("init")?,
            entry_hash: row.get("entry_hash")?,
        },
        file: row.get("file_id")?,
        file_bytes: row.get("file_bytes")?,
        webm: webm.0.zip(webm.1),
        leveled: loudness::read(row)?,
        ready: row.get("ready_ms")?,
    })
}
