//! The fake's videos as they stand, and as viewers get them.

use matinee_core::time::Millis;

use super::{Account, SIGNING_KEY_ID, Video};
use crate::host::cloudflare::token;
use crate::host::fake::{Asked, Film, NoFilm, PLAYLIST, Reply, empty, media, picture};

/// Where a video is in its life.
pub(super) struct State {
    pub(super) word: &'static str,
    pub(super) plays: bool,
    pub(super) percent: Option<&'static str>,
    pub(super) fault: Option<(&'static str, String)>,
}

impl Account {
    pub(super) fn state(&self, video: &Video, now: Millis) -> State {
        let at = |word, plays, percent| State { word, plays, percent, fault: None };
        let failed = |code, text| State { fault: Some((code, text)), ..at("error", false, None) };
        let Some(uploaded) = &video.uploaded else {
            return at(if video.pulls { "downloading" } else { "pendingupload" }, false, None);
        };
        let (since_ms, encode_ms) = (now.0 - uploaded.at.0, self.encode_ms);
        match &uploaded.length_ms {
            Err(why @ NoFilm::NoVideo) => failed("ERR_NON_VIDEO", why.to_string()),
            Err(why @ NoFilm::Unfit(_)) => failed("ERR_MALFORMED_VIDEO", why.to_string()),
            Err(why @ NoFilm::Unfetched(_)) => failed("ERR_FETCH_ORIGIN_ERROR", why.to_string()),
            Ok(ms) if *ms > video.reserved_s * 1_000 => {
                let text = format!("It is longer than {} s.", video.reserved_s);
                failed("ERR_DURATION_EXCEED_CONSTRAINT", text)
            }
            Ok(_) if since_ms < encode_ms / 4 => at("queued", false, None),
            Ok(_) if since_ms < encode_ms / 2 => at("inprogress", false, Some("39.000000")),
            Ok(_) if since_ms < encode_ms => at("inprogress", true, Some("71.000000")),
            Ok(_) => at("ready", true, Some("100.000000")),
        }
    }

    /// What a viewer asks for. Which statuses the real service refuses by is not documented.
    pub(super) fn media(&self, asked: &Asked) -> Reply {
        let parts: Vec<&str> = asked.path.split('/').filter(|part| !part.is_empty()).collect();
        let [name, rest @ ..] = parts.as_slice() else { return empty(404) };
        // A token stands in the place of the name.
        let signed = name.contains('.');
        let opened = token::opened(name, SIGNING_KEY_ID, asked.now);
        let opened = if signed { opened } else { Some(((*name).to_owned(), true)) };
        let Some((id, keeps)) = opened else { return empty(401) };
        let Some(video) = self.videos().get(&id).cloned() else { return empty(404) };
        if video.signed && !signed {
            return empty(401);
        }
        if !self.state(&video, asked.now).plays {
            return empty(404);
        }
        if let ["thumbnails", file @ ("thumbnail.jpg" | "thumbnail.gif")] = rest {
            return picture(file).unwrap_or_else(|| empty(404));
        }
        if let ["downloads", "default.mp4"] = rest {
            let made = video.download.is_some_and(|begun| asked.now.since(begun) >= self.encode_ms / 4);
            let file = if made { self.vault.whole(&id) } else { None };
            return match file {
                _ if !keeps => empty(401),
                Some(bytes) => media("video/mp4", bytes),
                None => empty(404),
            };
        }
        self.vault.film(&id).ok().and_then(|film| streamed(&film, rest)).unwrap_or_else(|| empty(404))
    }
}

/// A manifest, or what one names.
fn streamed(film: &Film, parts: &[&str]) -> Option<Reply> {
    match parts {
        ["manifest", "video.m3u8"] => Some(media(PLAYLIST, film.hls().into_bytes())),
        ["manifest", "video.mpd"] => Some(media("application/dash+xml", film.dash().into_bytes())),
        ["manifest", below @ ..] => film.below(below).map(|(mime, bytes)| media(mime, bytes)),
        _ => None,
    }
}
