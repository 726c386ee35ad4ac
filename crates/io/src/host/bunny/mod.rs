//! Bunny Stream (specs/hosts section 5): a library of videos, uploads by tus with signed headers, two numberings of states.

pub mod fake;
mod model;
mod token;

use http::HeaderMap;
use matinee_core::hash::hex;
use matinee_core::host::Usage;
use matinee_core::id::PublicationId;
use matinee_core::publication::besides::{Download, Spoken};
use matinee_core::throttle::Rate;
use matinee_core::time::Millis;
use reqwest::{Method, RequestBuilder, StatusCode};
use serde::Deserialize;
use serde_json::{Value, json};

use self::model::{List, Status, Video};
use super::wire::{Answer, Effect, Wire, answer, query};
use super::{
    ChunkRule, Created, Deleted, Forged, Host, HostError, Page, Playback, Query, Remote, Said, Secret,
    Target, Wanted, sign,
};

/// Where Bunny's library is.
pub const API: &str = "https://video.bunnycdn.com";
/// Videos of one page; the most that it gives.
const PAGE: u32 = 100;
/// And the smallest one.
const FEWEST: u32 = 10;
/// No budget of requests is documented; this is what a patient client needs.
const RATE: Rate = Rate { burst: 20, requests: 10, per_ms: 1_000, kept: 5 };
/// An upload is signed for so long, in seconds: 4 GB over a slow line take hours, and signing again costs a request.
const SIGNED_S: i64 = 86_400;
/// No rule for the size of requests is documented; these suit a line that breaks.
const CHUNKS: ChunkRule = ChunkRule { min_bytes: 1, max_bytes: 64 << 20, step_bytes: 1 };
/// The signature of a webhook in its only version.
const SIGNATURE: &str = "x-bunnystream-signature";

/// A library and our keys to it.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The number of the library.
    pub library: u64,
    /// The key of the library; the account's key is refused.
    pub api_key: Secret,
    /// Its read-only key, which signs webhooks.
    pub read_only_key: Secret,
    /// The name of the host that serves the files, such as `vz-1234.b-cdn.net`.
    pub pull_zone: String,
    /// The key that signs addresses of files; without it they are open.
    #[serde(default)]
    pub token_key: Option<Secret>,
    /// Addresses that are signed work for so long, in seconds.
    #[serde(default = "hours_6")]
    pub playback_s: u32,
    /// Where the library is asked for.
    #[serde(default = "api")]
    pub api: String,
    /// Where viewers find the files, in place of the pull zone: scheme and name.
    #[serde(default)]
    pub media: Option<String>,
}

const fn hours_6() -> u32 {
    21_600
}

fn api() -> String {
    API.to_owned()
}

/// A library at Bunny Stream.
#[derive(Debug, Clone)]
pub struct Bunny {
    wire: Wire,
    config: Config,
}

impl Bunny {
    /// A library; nothing is asked yet.
    pub fn open(config: Config) -> Result<Self, HostError> {
        Ok(Self { wire: Wire::new()?, config })
    }

    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let url = format!("{}/library/{}/{path}", self.config.api.trim_end_matches('/'), self.config.library);
        self.wire.client().request(method, url).header("AccessKey", self.config.api_key.text())
    }

    async fn ask(&self, request: RequestBuilder, effect: Effect) -> Result<Answer, HostError> {
        let answer = answer(request, effect).await?;
        if answer.status.is_success() || answer.status == StatusCode::NOT_FOUND {
            return Ok(answer);
        }
        let words = answer.json::<Status>(Effect::Repeatable).ok().and_then(|status| status.message);
        Err(answer.refusal(words))
    }

    /// Where the bytes of a video go, signed for a day from `now` on.
    fn signed(&self, id: &str, title: &str, mime: &str, now: Millis) -> Target {
        let expires_s = now.0 / 1_000 + SIGNED_S;
        let library = self.config.library.to_string();
        let parts = [library.as_str(), self.config.api_key.text(), &expires_s.to_string(), id];
        let headers = [
            ("AuthorizationSignature", hex(&sign::sha256(&parts))),
            ("AuthorizationExpire", expires_s.to_string()),
            ("LibraryId", library.clone()),
            ("VideoId", id.to_owned()),
        ];
        Target {
            url: format!("{}/tusupload", self.config.api.trim_end_matches('/')),
            created: false,
            headers: headers.into_iter().map(|(name, value)| (name.to_owned(), value)).collect(),
            metadata: metadata(&[("filetype", mime), ("title", title)]),
            chunks: CHUNKS,
            expires: Some(Millis(expires_s * 1_000)),
        }
    }
}

impl Host for Bunny {
    fn kind(&self) -> &'static str {
        "bunny"
    }

    fn identity(&self) -> String {
        format!("bunny/{}", self.config.library)
    }

    fn site(&self) -> String {
        let own = || format!("https://{}", self.config.pull_zone.trim_end_matches('/'));
        self.config.media.clone().unwrap_or_else(own)
    }

    fn rate(&self) -> Rate {
        RATE
    }

    fn create<'a>(&'a self, key: PublicationId, wanted: &'a Wanted, now: Millis) -> Said<'a, Created> {
        Box::pin(async move {
            // The list can be searched for titles, and for nothing else.
            let title = model::marked(&wanted.title, key);
            let request = self.request(Method::POST, "videos").json(&json!({ "title": title }));
            let answer = self.ask(request, Effect::Creates).await?;
            if answer.status == StatusCode::NOT_FOUND {
                return Err(HostError::Unauthorised("there is no such library".to_owned()));
            }
            let video: Video = answer.json(Effect::Creates)?;
            let target = self.signed(&video.guid, &title, &wanted.mime, now);
            Ok(Created { id: video.guid, target })
        })
    }

    fn pull<'a>(&'a self, key: PublicationId, from: &'a str, wanted: &'a Wanted) -> Said<'a, Option<String>> {
        Box::pin(async move {
            let body = json!({ "url": from, "title": model::marked(&wanted.title, key) });
            let request = self.request(Method::POST, "videos/fetch").json(&body);
            let answer = self.ask(request, Effect::Creates).await?;
            if answer.status == StatusCode::NOT_FOUND {
                return Err(HostError::Unauthorised("there is no such library".to_owned()));
            }
            let said: Status = answer.json(Effect::Creates)?;
            match said.success {
                // The documented answer names no video.
                Some(true) | None => Ok(None),
                Some(false) => Err(HostError::Refused(said.message.unwrap_or_default())),
            }
        })
    }

    fn target<'a>(&'a self, id: &'a str, known: &'a Target, now: Millis) -> Said<'a, Target> {
        Box::pin(async move {
            let fresh = self.signed(id, "", "", now);
            // The upload stays where it is, and so does its offset; only the right to it is new.
            Ok(Target { headers: fresh.headers, expires: fresh.expires, ..known.clone() })
        })
    }

    fn regain(&self, id: &str, wanted: &Wanted, now: Millis) -> Option<Target> {
        Some(self.signed(id, &wanted.title, &wanted.mime, now))
    }

    fn caption<'a>(&'a self, id: &'a str, words: &'a Spoken, text: &'a str) -> Said<'a, ()> {
        Box::pin(async move {
            use base64::Engine as _;
            let file = base64::engine::general_purpose::STANDARD.encode(text);
            let body = json!({ "srclang": words.language, "label": words.label, "captionsFile": file });
            let path = format!("videos/{id}/captions/{}", words.language);
            let answer = self.ask(self.request(Method::POST, &path).json(&body), Effect::Repeatable).await?;
            if answer.is_absent()? {
                Err(HostError::Refused("it does not know the video".to_owned()))
            } else {
                Ok(())
            }
        })
    }

    fn uncaption<'a>(&'a self, id: &'a str, language: &'a str) -> Said<'a, ()> {
        Box::pin(async move {
            let request = self.request(Method::DELETE, &format!("videos/{id}/captions/{language}"));
            self.ask(request, Effect::Repeatable).await.map(drop)
        })
    }

    fn download<'a>(&'a self, _id: &'a str, _known: Option<&'a Download>) -> Said<'a, Option<Download>> {
        // Whether there are files is a setting of the library, which holds for what is uploaded after it.
        Box::pin(async { Ok(None) })
    }

    fn status<'a>(&'a self, id: &'a str) -> Said<'a, Remote> {
        Box::pin(async move {
            let request = self.request(Method::GET, &format!("videos/{id}"));
            let answer = self.ask(request, Effect::Repeatable).await?;
            if answer.is_absent()? {
                return Ok(model::gone(id));
            }
            model::remote(answer.json::<Value>(Effect::Repeatable)?)
        })
    }

    fn list<'a>(&'a self, which: &'a Query, after: Option<String>) -> Said<'a, Page> {
        Box::pin(async move {
            let page: u32 = after.as_deref().and_then(|text| text.parse().ok()).unwrap_or(1);
            let mut wanted = vec![
                ("page", page.to_string()),
                ("itemsPerPage", if *which == Query::First { FEWEST } else { PAGE }.to_string()),
                ("orderBy", "date".to_owned()),
            ];
            if let Query::Key(key) = which {
                wanted.push(("search", key.to_string()));
            }
            let request = self.request(Method::GET, &format!("videos{}", query(&wanted)));
            let answer = self.ask(request, Effect::Repeatable).await?;
            if answer.status == StatusCode::NOT_FOUND {
                return Err(HostError::Unauthorised("there is no such library".to_owned()));
            }
            let list: List = answer.json(Effect::Repeatable)?;
            let more = *which != Query::First && u64::from(page) * u64::from(PAGE) < list.total_items;
            let items = list.items.into_iter().map(model::remote).collect::<Result<Vec<_>, _>>()?;
            // What is found by its title may be somebody else's who writes so.
            let items = items.into_iter().filter(|remote| match which {
                Query::Key(key) => remote.key == Some(*key),
                Query::All | Query::First => true,
            });
            Ok(Page { items: items.collect(), next: more.then(|| (page + 1).to_string()) })
        })
    }

    fn delete<'a>(&'a self, id: &'a str) -> Said<'a, Deleted> {
        Box::pin(async move {
            let request = self.request(Method::DELETE, &format!("videos/{id}"));
            let answer = self.ask(request, Effect::Repeatable).await?;
            Ok(if answer.is_absent()? { Deleted::WasAbsent } else { Deleted::Now })
        })
    }

    fn usage(&self, now: Millis) -> Said<'_, Option<Usage>> {
        Box::pin(async move {
            // What a library holds is billed by the account, whose key we do not have; how many videos it has every list says.
            let wanted = [("page", "1".to_owned()), ("itemsPerPage", FEWEST.to_string())];
            let request = self.request(Method::GET, &format!("videos{}", query(&wanted)));
            let answer = self.ask(request, Effect::Repeatable).await?;
            if answer.status == StatusCode::NOT_FOUND {
                return Err(HostError::Unauthorised("there is no such library".to_owned()));
            }
            let list: List = answer.json(Effect::Repeatable)?;
            Ok(Some(Usage { stored_s: None, limit_s: None, videos: Some(list.total_items), at: now }))
        })
    }

    fn original<'f>(&self, facts: &'f Value) -> Option<&'f str> {
        facts["originalHash"].as_str().filter(|hash| !hash.is_empty())
    }

    fn playback(&self, id: &str, facts: &Value, now: Millis) -> Result<Playback, HostError> {
        let still =
            facts["thumbnailFileName"].as_str().filter(|name| !name.is_empty()).unwrap_or("thumbnail.jpg");
        let site = self.site();
        let expires_s = now.0 / 1_000 + i64::from(self.config.playback_s);
        let base = self.config.token_key.as_ref().map_or_else(
            || format!("{site}/{id}"),
            |key| {
                let folder = token::folder(key.text(), &format!("/{id}/"), expires_s, None);
                format!("{site}/{folder}/{id}")
            },
        );
        Ok(Playback {
            hls: format!("{base}/playlist.m3u8"),
            dash: None,
            poster: format!("{base}/{still}"),
            preview: Some(format!("{base}/preview.webp")),
            file: None,
            expires: self.config.token_key.is_some().then_some(Millis(expires_s * 1_000)),
        })
    }

    fn hints(&self, headers: &HeaderMap, body: &[u8], _now: Millis) -> Result<Vec<String>, Forged> {
        let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
        let version = header("x-bunnystream-signature-version");
        let algorithm = header("x-bunnystream-signature-algorithm");
        if (version, algorithm) != (Some("v1"), Some("hmac-sha256")) {
            return Err(Forged::Unsigned);
        }
        let claimed = header(SIGNATURE).ok_or(Forged::Unsigned)?;
        if !sign::is_hmac(sign::hmac(self.config.read_only_key.text(), &[body]), claimed) {
            return Err(Forged::Wrong);
        }
        // Its number is of another numbering than the one of the API: it is not looked at.
        let hook: model::Hook = serde_json::from_slice(body).map_err(|_| Forged::NoVideo)?;
        Ok(if hook.library == self.config.library { vec![hook.video] } else { Vec::new() })
    }
}

/// The header `Upload-Metadata` of tus 1.0.
fn metadata(pairs: &[(&str, &str)]) -> String {
    use base64::Engine as _;
    let encode = |value: &str| base64::engine::general_purpose::STANDARD.encode(value);
    let pairs = pairs.iter().map(|(name, value)| format!("{name} {}", encode(value)));
    pairs.collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    const G: &str = "657bb740-a71b-4529-a012-528021c31a92";

    fn bunny(token_key: Option<&str>) -> Bunny {
        let secret = |text: &str| Secret::new(text.to_owned());
        Bunny::open(Config {
            library: 133,
            api_key: secret("apikey"),
            read_only_key: secret("read-only-key"),
            pull_zone: "vz-1.b-cdn.net".to_owned(),
            token_key: token_key.map(secret),
            playback_s: 3_600,
            api: api(),
            media: None,
        })
        .unwrap()
    }

    #[test]
    fn an_upload_is_signed_as_the_documentation_says() {
        let now = Millis((1_700_000_000 - SIGNED_S) * 1_000);
        let target = bunny(None).signed(G, "Film", "video/mp4", now);
        let expected = [
            ("AuthorizationSignature", "33d2f63a177a3ff4d49b54846304240b0efa6b37f9ad71003db70e66f37b05a3"),
            ("AuthorizationExpire", "1700000000"),
            ("LibraryId", "133"),
            ("VideoId", G),
        ];
        assert_eq!(target.headers, expected.map(|(name, value)| (name.to_owned(), value.to_owned())));
        assert_eq!(target.metadata, "filetype dmlkZW8vbXA0,title RmlsbQ==");
        assert!(!format!("{target:?}").contains("33d2"), "a target in a log gives no right to upload");
    }

    #[test]
    fn a_webhook_is_believed_only_as_bunny_signs_it() {
        let body = format!(r#"{{"VideoLibraryId":133,"VideoGuid":"{G}","Status":3}}"#);
        let right = "95ba721a9a8ee56efa4ce19d45dba902747c0effc76c76a6d3d316f1f332cfd8";
        let hints = |body: &str, signature: &str, version: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert("x-bunnystream-signature-version", version.parse().unwrap());
            headers.insert("x-bunnystream-signature-algorithm", "hmac-sha256".parse().unwrap());
            headers.insert(SIGNATURE, signature.parse().unwrap());
            bunny(None).hints(&headers, body.as_bytes(), Millis(0))
        };
        assert_eq!(hints(&body, right, "v1"), Ok(vec![G.to_owned()]));
        assert_eq!(hints(&body.replace("\"Status\":3", "\"Status\":4"), right, "v1"), Err(Forged::Wrong));
        assert_eq!(hints(&body, &right.replace('9', "8"), "v1"), Err(Forged::Wrong));
        assert_eq!(hints(&body, &right[..62], "v1"), Err(Forged::Wrong));
        assert_eq!(hints(&body, right, "v2"), Err(Forged::Unsigned));
        assert_eq!(bunny(None).hints(&HeaderMap::new(), body.as_bytes(), Millis(0)), Err(Forged::Unsigned));
    }

    #[test]
    fn addresses_carry_a_token_in_their_path_when_there_is_a_key() {
        let open = bunny(None).playback(G, &json!({ "thumbnailFileName": "t2.jpg" }), Millis(0)).unwrap();
        assert_eq!(open.hls, format!("https://vz-1.b-cdn.net/{G}/playlist.m3u8"));
        assert_eq!((open.poster, open.expires), (format!("https://vz-1.b-cdn.net/{G}/t2.jpg"), None));
        let now = Millis((1_700_000_000 - 3_600) * 1_000);
        let signed = bunny(Some("sec")).playback(G, &Value::Null, now).unwrap();
        let folder = format!(
            "bcdn_token=HS256-5ewa-BCWWYM9vozSohSPHClHIoQHeF1qlOkWaeAAN74&token_path=%2F{G}%2F&expires=1700000000"
        );
        assert_eq!(signed.hls, format!("https://vz-1.b-cdn.net/{folder}/{G}/playlist.m3u8"));
        assert_eq!(signed.expires, Some(Millis(1_700_000_000_000)));
    }
}
