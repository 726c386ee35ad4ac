//! What the fake has of a video besides: captions, and the whole as a file.

use http::Method;
use serde_json::json;

use super::{Account, failed, result};
use crate::host::fake::{Asked, Reply, empty};

impl Account {
    pub(super) async fn captions(&self, asked: Asked) -> Reply {
        let (id, language) = (asked.part(3).to_owned(), asked.part(5).to_owned());
        let kind = asked.header("content-type").to_owned();
        if asked.method == Method::DELETE {
            let mut videos = self.videos();
            let removed = videos.get_mut(&id).and_then(|video| video.captions.remove(&language));
            return if removed.is_some() { empty(200) } else { failed(404, 10_003, "Not Found") };
        }
        let body = asked.text().await.unwrap_or_default();
        let Some(text) = file(&kind, &body).filter(|text| text.starts_with("WEBVTT")) else {
            return failed(400, 10_005, "Bad Request: no WebVTT in the field `file`");
        };
        let mut videos = self.videos();
        let Some(video) = videos.get_mut(&id) else { return failed(404, 10_003, "Not Found") };
        video.captions.insert(language.clone(), text.to_owned());
        result(&json!({ "language": language, "label": language, "generated": false, "status": "ready" }))
    }

    pub(super) fn download(&self, asked: &Asked) -> Reply {
        let (id, now) = (asked.part(3), asked.now);
        let Some(mut video) = self.videos().get(id).cloned() else { return failed(404, 10_003, "Not Found") };
        if self.state(&video, now).word != "ready" {
            return failed(400, 10_005, "Bad Request: the video is not ready");
        }
        if asked.method == Method::POST {
            video.download = video.download.or(Some(now));
            self.videos().insert(id.to_owned(), video.clone());
        }
        let Some(begun) = video.download else { return result(&json!({})) };
        let made = now.since(begun) >= self.encode_ms / 4;
        let (status, percent) = if made { ("ready", 100.0) } else { ("inprogress", 39.0) };
        let url = format!("{}/{id}/downloads/default.mp4", self.url);
        result(&json!({ "default": { "status": status, "url": url, "percentComplete": percent } }))
    }
}

/// The field `file` of a form.
fn file<'b>(kind: &str, body: &'b str) -> Option<&'b str> {
    let bound = kind.strip_prefix("multipart/form-data; boundary=")?;
    let (_, part) = body.split_once(&format!("--{bound}\r\n"))?;
    let (part, _) = part.split_once(&format!("\r\n--{bound}--"))?;
    let (head, text) = part.split_once("\r\n\r\n")?;
    head.contains("name=\"file\"").then_some(text)
}
