//! Where a viewer is sent: the generation that plays best now, with a token in its path.

use matinee_core::access::path::{self, Grant};
use matinee_core::id::{ObjectId, VideoId};
use matinee_core::plan::Container;
use matinee_core::time::Millis;
use matinee_core::video::{self, Medium, RenditionState, UNMARKED, VIRTUAL};
use matinee_core::{language, limits};
use matinee_io::db::{Caption, Rendition, Video};

use super::whole::Whole;
use super::{Failure, early, now};
use crate::node::Node;

/// The file as it was uploaded, among the downloads; it is an MP4 that plays only where its tracks do.
const SOURCE: &str = "source";

/// The end of the address of a file as WebM.
const WEBM: &str = "/file.webm";

/// Addresses of one video, all below the same token; they are paths, the caller knows its host.
#[derive(Debug)]
pub(crate) struct Playback {
    pub(crate) hls: String,
    pub(crate) dash: Option<String>,
    pub(crate) mp4: Option<String>,
    pub(crate) webm: Option<String>,
    pub(crate) poster: Option<String>,
    /// Those that can be shown.
    pub(crate) captions: Vec<Offered>,
    /// The chapters as WebVTT.
    pub(crate) chapters: Option<String>,
    pub(crate) storyboard: Option<String>,
    pub(crate) preview: Option<String>,
    pub(crate) thumbnail: Option<String>,
    /// Seconds.
    pub(crate) duration: f64,
    /// More segments will follow.
    pub(crate) growing: bool,
    pub(crate) expires: Millis,
    pub(crate) downloads: Vec<Download>,
}

/// A caption that can be shown.
#[derive(Debug)]
pub(crate) struct Offered {
    pub(crate) caption: Caption,
    /// Shown unless the viewer chooses otherwise.
    pub(crate) default: bool,
    pub(crate) path: String,
}

/// A file to keep.
#[derive(Debug)]
pub(crate) struct Download {
    pub(crate) id: String,
    pub(crate) label: String,
    pub(crate) path: String,
    pub(crate) bytes: u64,
    pub(crate) file_name: String,
}

/// Who asks for the addresses of a video.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Asker {
    /// Somebody of its app.
    Owner,
    /// Somebody who may watch it.
    Viewer,
}

/// The addresses of a video; `None` while nothing of it can be played.
pub(crate) fn playback(node: &Node, whole: &Whole, asker: Asker) -> Option<Playback> {
    let (video, renditions) = (&whole.video, whole.renditions.as_slice());
    let generation = video.generation;
    if video.playable.is_none()
        || generation == 0
        || video.state == video::State::Failed && generation != VIRTUAL
    {
        return None;
    }
    let duration_ms = video.duration_ms.unwrap_or_default();
    let expires = expires(duration_ms);
    // A watermark is worth nothing where everybody may fetch the file without it.
    let source = asker == Asker::Owner || !is_changed(video);
    let root = root(node, video.id, generation, (expires, source));
    let ended = generation == VIRTUAL || encoded_whole(renditions, video.encoding);
    let mut downloads = downloads(video, renditions, whole.source_bytes, &root);
    let owners = |download: &Download| download.id == SOURCE || download.id.starts_with(UNMARKED);
    downloads.retain(|download| source || !owners(download));
    #[expect(clippy::cast_precision_loss, reason = "milliseconds of any video are exact in an f64")]
    let duration = duration_ms as f64 / 1_000.0;
    Some(Playback {
        hls: format!("{root}/m.m3u8"),
        dash: ended.then(|| format!("{root}/manifest.mpd")),
        mp4: downloads
            .first()
            .filter(|first| !owners(first) || generation == VIRTUAL)
            .map(|first| bare(&first.path)),
        webm: downloads.iter().find(|one| one.path.contains(WEBM)).map(|one| bare(&one.path)),
        poster: video.poster.map(|poster| picture_path(&root, "poster.jpg", poster)),
        storyboard: video.storyboard.as_ref().map(|_| format!("{root}/storyboard.vtt")),
        preview: video.preview.map(|preview| picture_path(&root, "preview.mp4", preview)),
        thumbnail: has_picture(video).then(|| format!("{root}/thumbnail.jpg")),
        captions: captions(whole, &root),
        chapters: has_chapters(video).then(|| format!("{root}/chapters.vtt")),
        duration,
        growing: !ended,
        expires,
        downloads,
    })
}

/// The same for a video whose source arrives, or was not examined yet; `None` while nothing of it can be played.
pub(crate) async fn early(node: &Node, video: VideoId) -> Result<Option<Playback>, Failure> {
    let Some(duration_ms) = early::playable(node, video).await? else { return Ok(None) };
    let expires = expires(duration_ms);
    #[expect(clippy::cast_precision_loss, reason = "milliseconds of any video are exact in an f64")]
    let duration = duration_ms as f64 / 1_000.0;
    Ok(Some(Playback {
        hls: format!("{}/m.m3u8", root(node, video, VIRTUAL, (expires, true))),
        dash: None,
        mp4: None,
        webm: None,
        poster: None,
        captions: Vec::new(),
        chapters: None,
        storyboard: None,
        preview: None,
        thumbnail: None,
        duration,
        growing: true,
        expires,
        downloads: Vec::new(),
    }))
}

/// When the addresses of a video of this length end.
pub(crate) fn expires(duration_ms: u64) -> Millis {
    const ROUND_MS: i64 = limits::PATH_TOKEN_ROUND_MS;
    let ends = now().plus(video::addresses_ms(duration_ms));
    Millis(ends.0.div_euclid(ROUND_MS) * ROUND_MS + ROUND_MS)
}

/// Is there more than sound?
fn has_picture(video: &Video) -> bool {
    video.plan.as_ref().and_then(|plan| plan.get("video")).is_some_and(serde_json::Value::is_object)
}

fn picture_path(root: &str, name: &str, picture: ObjectId) -> String {
    // The object's name makes the address change with the picture, so that it can be cached for ever.
    format!("{root}/{name}?v={picture}")
}

fn captions(whole: &Whole, root: &str) -> Vec<Offered> {
    let sounds = |row: &&Rendition| row.generation == whole.video.generation && row.medium == Medium::Audio;
    let main = whole.renditions.iter().find(sounds);
    let spoken = main.and_then(|row| row.shape.language.as_deref()).unwrap_or_default();
    let by_itself = whole.captions.iter().find(|one| one.file.is_some() && one.is_shown_to(spoken));
    let offered = |caption: &Caption| {
        let (object, _) = caption.file?;
        Some(Offered {
            default: by_itself.is_some_and(|one| one.name == caption.name),
            path: format!("{root}/sub/{}.vtt?v={object}", caption.name),
            caption: caption.clone(),
        })
    };
    whole.captions.iter().filter_map(offered).collect()
}

/// Whether somebody can jump to a chapter of this video.
fn has_chapters(video: &Video) -> bool {
    let chapters = video.plan.as_ref().and_then(|plan| plan.get("chapters")?.as_array());
    chapters.is_some_and(|chapters| !chapters.is_empty())
}

/// Are its pictures to be seen only after something was done to them?
pub(super) fn is_changed(video: &Video) -> bool {
    let picture = video.plan.as_ref().and_then(|plan| plan.pointer("/video/picture"));
    picture.is_some_and(|picture| picture.get("mark").is_some() || picture.get("cover").is_some())
}

/// The address of a file that somebody else fetches until `expires`: of the source, or of the rendition of this name. A path.
pub(super) fn lend(node: &Node, video: &Video, rendition: Option<&str>, expires: Millis) -> String {
    let generation = if rendition.is_some() { video.encoding } else { video.generation };
    let root = root(node, video.id, generation, (expires, rendition.is_none()));
    format!("{root}/{}/file.mp4", rendition.unwrap_or(SOURCE))
}

fn root(node: &Node, video: VideoId, generation: u32, (expires, source): (Millis, bool)) -> String {
    let expires_s = u32::try_from(expires.0 / 1_000).unwrap_or(u32::MAX);
    let grant = Grant { expires_s, download: true, source, origins: [0; 4], viewer: None, address: None };
    let token = path::sign(&node.path_key, video, &grant);
    format!("/p/{token}/{video}/{generation}")
}

/// The address of a file that is played and not saved.
fn bare(path: &str) -> String {
    path.split('?').next().unwrap_or_default().to_owned()
}

/// Is every encoded rendition that has not failed complete? Nobody waits for the background.
fn encoded_whole(renditions: &[Rendition], encoding: u32) -> bool {
    let mut encoded =
        renditions.iter().filter(|row| row.generation == encoding && !row.background).peekable();
    encoded.peek().is_some()
        && encoded.all(|row| matches!(row.state, RenditionState::Ready | RenditionState::Failed))
}

fn downloads(video: &Video, renditions: &[Rendition], source_bytes: u64, root: &str) -> Vec<Download> {
    let name = |suffix: &str, ending: &str| format!("{}{suffix}.{ending}", video.title);
    let encoding = video.encoding;
    let ladder = || renditions.iter().filter(move |row| row.generation == encoding && !row.background);
    let whole = |row: &&Rendition| row.state == RenditionState::Ready;
    let pictures = ladder().filter(whole).any(|row| row.medium == Medium::Video);
    let sounds = ladder().filter(|row| row.medium == Medium::Audio);
    // The main sound lies in the files of the pictures; the others, and sound alone, have files of their own.
    let main = sounds.clone().next().map(|row| row.id).filter(|_| pictures);
    let several = sounds.count() > 1;
    let finished = ladder().filter(whole).filter(|row| Some(row.id) != main);
    let file = |row: &Rendition, label: String, ending: &str| {
        let file_name = name(&format!(" {label}"), ending);
        row.file.map(|_| Download {
            path: format!("{root}/{}/file.mp4?download={}", row.name, encoded(&file_name)),
            id: row.name.clone(),
            label,
            bytes: row.file_bytes.unwrap_or_default(),
            file_name,
        })
    };
    let usual = finished.filter_map(|row| match row.medium {
        Medium::Video => file(row, size_label(row), "mp4"),
        Medium::Audio => file(row, sound_label(row, several), "m4a"),
    });
    let behind = renditions.iter().filter(whole).filter(|row| row.generation == encoding && row.background);
    let behind = behind.filter(|row| row.medium == Medium::Video);
    let mut all: Vec<Download> =
        usual.chain(behind.filter_map(|row| file(row, codec_label(row), "mp4"))).collect();
    all.extend(renditions.iter().filter_map(|row| {
        let (_, bytes) = row.webm.filter(|_| row.generation == encoding)?;
        let label = size_label(row);
        let file_name = name(&format!(" {label}"), "webm");
        Some(Download {
            path: format!("{root}/{}{WEBM}?download={}", row.name, encoded(&file_name)),
            id: format!("{}-webm", row.name),
            label: format!("{label} WebM"),
            bytes,
            file_name,
        })
    }));
    let file_name = name(" original", ending(video));
    all.push(Download {
        path: format!("{root}/source/file.mp4?download={}", encoded(&file_name)),
        id: SOURCE.to_owned(),
        label: "Original".to_owned(),
        bytes: source_bytes,
        file_name,
    });
    all
}

/// What a person reads of a file of pictures.
fn size_label(row: &Rendition) -> String {
    format!("{}p", row.shape.width.min(row.shape.height).unwrap_or_default())
}

/// The same of one that nobody waited for: in which codec it is, and whether it is brighter or lacks the watermark.
fn codec_label(row: &Rendition) -> String {
    if row.name.starts_with(UNMARKED) {
        return format!("{} without watermark", size_label(row));
    }
    let codec = row.name.split('-').next().unwrap_or_default().to_ascii_uppercase();
    let bright = if row.name.contains("-hdr-") { " HDR" } else { "" };
    format!("{} {codec}{bright}", size_label(row))
}

/// What a person reads of a file of sound; one among several says which.
fn sound_label(row: &Rendition, several: bool) -> String {
    let name = language::label(
        row.shape.title.as_deref().unwrap_or_default(),
        row.shape.language.as_deref().unwrap_or_default(),
    );
    match (several, name.is_empty()) {
        (false, _) => "Sound".to_owned(),
        (true, false) => format!("Sound ({name})"),
        (true, true) => format!("Sound ({})", row.name),
    }
}

/// The usual ending of a file like the source.
fn ending(video: &Video) -> &'static str {
    video.probe.as_ref().and_then(brought_in).map_or("bin", Container::ending)
}

/// The container of the file that somebody brought in; the probe may be that of a rewritten source.
pub(crate) fn brought_in(probe: &serde_json::Value) -> Option<Container> {
    let container = probe.get("brought_in").or_else(|| probe.get("container"))?;
    serde_json::from_value(container.clone()).ok()
}

/// Percent-encodes a file name for a query (RFC 3986 section 2.1).
fn encoded(name: &str) -> String {
    use std::fmt::Write as _;
    name.bytes().fold(String::with_capacity(name.len()), |mut out, byte| {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            write!(out, "%{byte:02X}").expect("because writing to a String cannot fail");
        }
        out
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_cannot_leave_its_place_in_an_address() {
        assert_eq!(encoded("a b&c=d#é\r\n"), "a%20b%26c%3Dd%23%C3%A9%0D%0A");
    }
}
