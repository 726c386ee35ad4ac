//! What players ask for below a path token: manifests, segments, files. No work per request beyond a look-up.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::TryStreamExt as _;
use matinee_core::access::path::{self, Grant, Refusal};
use matinee_core::id::{ObjectId, VideoId};
use matinee_core::manifest::{
    self, Audio, Bandwidth, Brightness, Presentation, Segment, Text, Tiles, Variant, dash, hls,
};
use matinee_core::media::codec::transfer;
use matinee_core::media::rope::{Piece, Rope};
use matinee_core::media::segment::{Row, virtual_pieces};
use matinee_core::plan::probe::Chapter;
use matinee_core::plan::{Codec, Rate, SoundCodec};
use matinee_core::storyboard::Storyboard;
use matinee_core::video::{Medium, PartFrontier, RenditionState, UNMARKED, VIRTUAL, common_frontier};
use matinee_core::{caption, language, limits};
use matinee_io::db::{Caption, PresentedTrack, Video};
use matinee_io::store;

use super::{Failure, early, now, reach};
use crate::node::Node;
use crate::shelf::{Board, Placed, Shelved, ShelvedPart, Words, target_duration_s};
pub(crate) use crate::shelf::{Shown, Tally};

/// Bytes to send, by pieces of the store.
pub(crate) struct Body {
    pub(crate) pieces: Vec<store::Piece>,
    pub(crate) len: u64,
}

/// A whole file that may be asked for in ranges.
pub(crate) struct File {
    pub(crate) object: ObjectId,
    /// Bytes.
    pub(crate) size: u64,
    /// Its media type.
    pub(crate) kind: &'static str,
}

/// What the token of a path allows for this video.
pub(crate) fn opened(node: &Node, token: &str, video: VideoId) -> Result<Grant, Refusal> {
    path::verify(std::slice::from_ref(&node.path_key), video, token, now())
}

/// The tracks of one generation, from memory while they cannot have changed.
pub(crate) async fn shown(
    node: &Node,
    (video, generation): (VideoId, u32),
    grant: &Grant,
) -> Result<Arc<Shown>, Failure> {
    // The source as it is may have been seen by everybody before its pictures were changed; from then on it is only its
    // owner's, and theirs who were given an address of it before.
    if generation == VIRTUAL && !grant.source {
        return Err(Failure::Absent);
    }
    let fresh = |shown: &Shown| {
        let age_ms = now().since(shown.read);
        age_ms < if shown.ended { limits::SHELF_ENDED_MS } else { limits::SHELF_GROWING_MS }
    };
    node.shelf.get((video, generation), fresh, || read(node, video, generation)).await
}

async fn read(node: &Node, id: VideoId, generation: u32) -> Result<Arc<Shown>, Failure> {
    // Each rendition's parts are replaced once, so a few looks are always enough.
    for _ in 0..limits::SHELF_READS {
        if let Some(shown) = read_once(node, id, generation).await? {
            return Ok(shown);
        }
    }
    Err(Failure::Again("the segments are just being moved".to_owned()))
}

/// `None` when the segments were moved while they were read.
async fn read_once(node: &Node, id: VideoId, generation: u32) -> Result<Option<Arc<Shown>>, Failure> {
    let read = now();
    let tracks = node.db.presentation(id, generation).await?;
    if tracks.is_empty() && generation == VIRTUAL {
        return early::shown(node, id).await.map(Some);
    }
    let video =
        node.db.video_any(id).await?.filter(|video| video.deleted.is_none()).ok_or(Failure::Absent)?;
    // What is made beside what is served is nobody's to see before it takes its place.
    if tracks.is_empty() || generation > video.encoding {
        return Err(Failure::Absent);
    }
    let mut tracks = tracks;
    let ready = |track: &PresentedTrack| track.rendition.state == RenditionState::Ready;
    let whole = tracks.iter().all(|track| ready(track) || track.rendition.background);
    let unmarked = |track: &PresentedTrack| track.rendition.name.starts_with(UNMARKED);
    let kept = tracks.iter().filter(|track| unmarked(track) && ready(track));
    let kept = kept.filter_map(|track| Some((track.rendition.name.clone(), track.rendition.file?))).collect();
    // What is made in the background is offered when it is whole, beside what is whole.
    tracks.retain(|track| !track.rendition.background || whole && ready(track) && !unmarked(track));
    let mut shelved = Vec::with_capacity(tracks.len());
    let mut sounds = 0;
    for track in tracks {
        sounds += u32::from(track.rendition.medium == Medium::Audio);
        let alternative = track.rendition.medium == Medium::Audio && sounds > 1;
        let mut parts = Vec::with_capacity(track.parts.len());
        for part in track.parts {
            // What was listed may have been replaced by one part that has all segments; then all is read again.
            let Some((part, rows)) = node.db.part_rows(track.rendition.id, part.first).await? else {
                return Ok(None);
            };
            parts.push(ShelvedPart {
                first: part.first,
                object: part.object,
                source: part.source,
                sidecar: None,
                rows: rows.into(),
            });
        }
        match (parts.is_empty(), alternative) {
            (false, _) => {}
            (true, true) => continue,
            // A playlist that begins before all tracks have begun would lose segments when they do.
            (true, false) => return Err(Failure::Absent),
        }
        let rendition = track.rendition;
        shelved.push(Shelved {
            file: rendition.file,
            file_bytes: rendition.file_bytes.unwrap_or_default(),
            webm: rendition.webm,
            background: rendition.background,
            ..Shelved::of(rendition.name, rendition.medium, rendition.shape, parts)
        });
    }
    let captions = all_words(node, id, &shelved).await?;
    Ok(Some(Arc::new(Shown {
        source: video.source,
        kept,
        poster: video.poster,
        captions,
        chapters: chapters(&video),
        duration_ms: video.duration_ms.unwrap_or_default(),
        board: board(node, &video).await?,
        preview: video.preview,
        ended: generation == VIRTUAL || whole,
        target_duration_s: target_duration_s(&shelved),
        tracks: shelved,
        read,
    })))
}

/// The captions that can be shown beside these tracks.
async fn all_words(node: &Node, id: VideoId, tracks: &[Shelved]) -> Result<Vec<Words>, Failure> {
    let sound = tracks.iter().find(|track| track.medium == Medium::Audio);
    let spoken = sound.map_or("", |track| track.language.as_str());
    let captions = node.db.captions(id).await?;
    let mut all: Vec<Words> = captions.into_iter().filter_map(|caption| words(caption, spoken)).collect();
    // Of all that must be read, one is shown by itself: a group has at most one default (RFC 8216, 4.3.4.1.1).
    let by_itself = all.iter().position(|words| words.default);
    (0..).zip(&mut all).for_each(|(n, words)| words.default = Some(n) == by_itself);
    Ok(all)
}

fn words(caption: Caption, spoken: &str) -> Option<Words> {
    let (file, default) = (caption.file?, caption.is_shown_to(spoken));
    let label = language::label(&caption.title, &caption.language);
    let Caption { name, language, forced, .. } = caption;
    Some(Words { name, label, language, forced, default, file })
}

/// The chapters as WebVTT; `None` when there are none.
fn chapters(video: &Video) -> Option<String> {
    let planned = video.plan.as_ref()?.get("chapters")?.clone();
    let chapters: Vec<Chapter> = serde_json::from_value(planned).ok()?;
    (!chapters.is_empty()).then(|| caption::write(&caption::chapters(&chapters)))
}

/// The playlist of captions, by their URL name.
pub(crate) fn caption_playlist(shown: &Shown, name: &str) -> Option<String> {
    let known = texts(shown).into_iter().find(|text| text.name == name)?;
    Some(hls::subtitle_playlist(&known, shown.duration_ms))
}

/// The WebVTT file of captions, by their URL name.
pub(crate) fn caption_file(shown: &Shown, name: &str) -> Option<File> {
    let words = shown.captions.iter().find(|words| words.name == name)?;
    Some(File { object: words.file.0, size: words.file.1, kind: "text/vtt" })
}

fn texts(shown: &Shown) -> Vec<Text> {
    let text = |words: &Words| Text {
        name: words.name.clone(),
        version: words.file.0.to_string(),
        label: words.label.clone(),
        language: words.language.clone(),
        forced: words.forced,
        default: words.default,
        bytes: words.file.1,
    };
    shown.captions.iter().map(text).collect()
}

/// What is on the storyboard of a video and where its sheets lie.
async fn board(node: &Node, video: &Video) -> Result<Option<Board>, Failure> {
    let Some(stored) = &video.storyboard else { return Ok(None) };
    let storyboard: Storyboard = serde_json::from_value(stored.clone())
        .map_err(|error| Failure::Never(format!("a stored storyboard cannot be read: {error}")))?;
    let sheets = node.db.sheets(video.id).await?;
    // Both are written together, so one without the other was read in between.
    Ok((sheets.len() == storyboard.sheets()).then_some(Board { storyboard, sheets }))
}

/// The track that names the picture of each moment.
pub(crate) fn storyboard(shown: &Shown) -> Option<String> {
    let board = shown.board.as_ref()?;
    // The object's name makes the address change with the picture, so that it can be cached for ever.
    let address = |n: usize| {
        let object = board.sheets.get(n - 1).map(|sheet| sheet.object.to_string());
        format!("storyboard/{n}.jpg?v={}", object.unwrap_or_default())
    };
    Some(board.storyboard.vtt(address))
}

/// One sheet of the storyboard, by its file name.
pub(crate) fn sheet(shown: &Shown, name: &str) -> Option<File> {
    let number: usize = name.strip_suffix(".jpg")?.parse().ok()?;
    let sheet = shown.board.as_ref()?.sheets.get(number.checked_sub(1)?)?;
    Some(File { object: sheet.object, size: sheet.size, kind: "image/jpeg" })
}

/// The multivariant playlist.
pub(crate) fn multivariant(shown: &Shown) -> String {
    hls::multivariant(&presentation(shown))
}

/// The MPD; only for what is complete.
pub(crate) fn mpd(shown: &Shown) -> Option<String> {
    let tiles = shown.board.as_ref().map(|board| Tiles {
        storyboard: board.storyboard.clone(),
        bytes: board.sheets.iter().map(|sheet| sheet.size).max().unwrap_or_default(),
    });
    shown.ended.then(|| dash::mpd(&Presentation { tiles, ..presentation(shown) }))
}

/// The media playlist of one track, by its URL name.
pub(crate) fn playlist(shown: &Shown, name: &str, medium: Medium) -> Option<String> {
    let presentation = presentation(shown);
    let (track, kind) = match medium {
        Medium::Video => {
            let variant = presentation.variants.iter().find(|variant| variant.track.name == name)?;
            (&variant.track, manifest::Kind::Video)
        }
        Medium::Audio => {
            let audio = presentation.audio.iter().find(|audio| audio.track.name == name)?;
            (&audio.track, manifest::Kind::Audio)
        }
    };
    let (ended, target_s) = (presentation.ended, presentation.target_duration_s);
    Some(hls::playlist(track, kind, manifest::Form::Slices, ended, target_s))
}

fn presentation(shown: &Shown) -> Presentation {
    let frontier = if shown.ended { usize::MAX } else { frontier(shown) };
    let segments = |track: &Shelved| track.rows().take(frontier).map(segment).collect::<Vec<_>>();
    let track = |shelved: &Shelved| {
        let segments = segments(shelved);
        manifest::Track {
            name: shelved.name.clone(),
            codec: shelved.codec.clone(),
            bandwidth: Bandwidth::of(shelved.timescale, &segments),
            timescale: shelved.timescale,
            segments,
        }
    };
    let of = |medium: Medium| shown.tracks.iter().filter(move |track| track.medium == medium);
    let variants: Vec<_> = of(Medium::Video)
        .map(|shelved| Variant {
            track: track(shelved),
            width: shelved.width,
            height: shelved.height,
            rate: Rate::of(shelved.rate.0, shelved.rate.1),
            brightness: Brightness::of(transfer(&shelved.init)),
            audio_group: group(shelved).to_owned(),
        })
        .collect();
    let audio: Vec<_> = of(Medium::Audio)
        .enumerate()
        // Who chooses another sound must not wait for it.
        .filter(|(n, shelved)| *n == 0 || shown.ended || shelved.rows().count() >= frontier)
        .map(|(_, shelved)| Audio {
            track: track(shelved),
            group: group(shelved).to_owned(),
            label: language::label(&shelved.title, &shelved.language),
            language: shelved.language.clone(),
            channels: shelved.channels,
            rate_hz: shelved.timescale,
            default: of(Medium::Audio).find(|one| group(one) == group(shelved)).map(|one| &one.name)
                == Some(&shelved.name),
        })
        .collect();
    let target_duration_s = shown.target_duration_s;
    Presentation {
        ended: shown.ended,
        target_duration_s,
        variants,
        audio,
        texts: texts(shown),
        i_frames: false,
        tiles: None,
    }
}

/// What is heard with pictures of some codecs is Opus; those sounds are a group of their own.
fn group(track: &Shelved) -> &'static str {
    let opus = match track.medium {
        Medium::Video => Codec::of(&track.codec).is_some_and(|codec| codec.sound() == SoundCodec::Opus),
        Medium::Audio => true,
    };
    if track.background && opus { "opus" } else { "sound" }
}

/// How many segments every picture and the main sound have.
fn frontier(shown: &Shown) -> usize {
    let reached = |track: &Shelved| PartFrontier {
        medium: track.medium,
        frontier: u32::try_from(track.rows().count()).unwrap_or(u32::MAX),
    };
    let pictures = shown.tracks.iter().filter(|track| track.medium == Medium::Video);
    let sound = shown.tracks.iter().find(|track| track.medium == Medium::Audio);
    common_frontier(&pictures.chain(sound).map(reached).collect::<Vec<_>>()) as usize
}

fn segment(row: Row) -> Segment {
    Segment {
        start_ticks: row.start,
        duration_ticks: row.duration,
        offset: row.offset,
        bytes: row.len,
        key_bytes: u64::from(row.head_len) + u64::from(row.key_len),
    }
}

/// One track of a generation by its name and kind.
pub(crate) fn track<'s>(shown: &'s Shown, name: &str, medium: Medium) -> Option<&'s Shelved> {
    shown.tracks.iter().find(|track| track.name == name && track.medium == medium)
}

/// The bytes of one segment: a slice of an object, or a head from the sidecar and ranges of the source.
pub(crate) async fn segment_body(node: &Node, placed: &Placed) -> Result<Body, Failure> {
    let Placed { row, object, source, ref sidecar } = *placed;
    let Some(source) = source else {
        return Ok(Body {
            pieces: vec![store::Piece::Object { object, offset: row.offset, len: row.len }],
            len: row.len,
        });
    };
    let len = row.head_len as usize + row.ranges_len as usize;
    let sidecar = match sidecar {
        Some(known) => slice(known, row.offset, len).ok_or(Failure::Absent)?,
        None => reach::read_at(node, object, row.offset, len).await?,
    };
    let rope = virtual_pieces(&row, &sidecar, source).map_err(|error| Failure::Never(error.to_string()))?;
    Ok(body(&rope))
}

fn slice(bytes: &Bytes, offset: u64, len: usize) -> Option<Bytes> {
    let from = usize::try_from(offset).ok()?;
    let until = from.checked_add(len).filter(|until| *until <= bytes.len())?;
    Some(bytes.slice(from..until))
}

fn body(rope: &Rope<ObjectId>) -> Body {
    let len = rope.len();
    let pieces = rope.pieces().iter().map(|piece| match piece {
        Piece::Literal(bytes) => store::Piece::Literal(bytes.clone()),
        Piece::Range { object, offset, len } => {
            store::Piece::Object { object: *object, offset: *offset, len: *len }
        }
    });
    Body { pieces: pieces.collect(), len }
}

/// The length of an object in bytes.
pub(crate) async fn object_size(node: &Node, object: ObjectId) -> Result<u64, Failure> {
    reach::size(node, object).await?.ok_or(Failure::Absent)
}

/// The file of a track, or the source under its own name.
pub(crate) async fn file(node: &Node, shown: &Shown, track: &str, grant: &Grant) -> Result<File, Failure> {
    if track == "source" {
        let object = shown.source.filter(|_| grant.source).ok_or(Failure::Absent)?;
        return Ok(File { object, size: object_size(node, object).await?, kind: "video/mp4" });
    }
    if let Some((_, object)) = shown.kept.iter().find(|(name, _)| name == track) {
        let object = Some(*object).filter(|_| grant.source).ok_or(Failure::Absent)?;
        return Ok(File { object, size: object_size(node, object).await?, kind: "video/mp4" });
    }
    let track = shown.tracks.iter().find(|known| known.name == track).ok_or(Failure::Absent)?;
    let object = track.file.ok_or(Failure::Absent)?;
    let kind = match track.medium {
        Medium::Video => "video/mp4",
        Medium::Audio => "audio/mp4",
    };
    Ok(File { object, size: track.file_bytes, kind })
}

/// The file of a track as WebM.
pub(crate) fn webm(shown: &Shown, track: &str) -> Option<File> {
    let (object, size) = shown.tracks.iter().find(|known| known.name == track)?.webm?;
    Some(File { object, size, kind: "video/webm" })
}

/// A range of an object.
pub(crate) fn object_body(object: ObjectId, offset: u64, len: u64) -> Body {
    Body { pieces: vec![store::Piece::Object { object, offset, len }], len }
}

/// The stream of a body's bytes, counted as they go.
pub(crate) fn stream(
    node: &Node,
    body: Body,
    tally: Option<Tally>,
) -> impl futures_util::Stream<Item = std::io::Result<Bytes>> + Send + 'static {
    reach::stream(node, body.pieces).inspect_ok(move |bytes| {
        if let Some(tally) = &tally {
            tally.bytes(bytes.len());
        }
    })
}

/// Counts what goes out of a video.
pub(crate) fn tally(node: &Node, video: VideoId) -> Tally {
    node.meter.tally(video)
}

/// How many milliseconds of the video a segment brings; the sound beside pictures brings none of its own.
pub(crate) fn media_ms(shown: &Shown, track: &Shelved, row: &Row) -> u64 {
    let pictures = shown.tracks.iter().any(|track| track.medium == Medium::Video);
    if pictures && track.medium == Medium::Audio {
        return 0;
    }
    u64::from(row.duration) * 1_000 / u64::from(track.timescale.max(1))
}
