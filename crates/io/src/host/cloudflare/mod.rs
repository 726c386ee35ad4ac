//! Cloudflare Stream (specs/hosts section 4): uploads by tus to an address that needs no key, one account for all apps.

pub mod fake;
mod model;
mod token;

use http::HeaderMap;
use matinee_core::host::Usage;
use matinee_core::id::PublicationId;
use matinee_core::publication::besides::{Download, Spoken};
use matinee_core::throttle::Rate;
use matinee_core::time::Millis;
use reqwest::header::LOCATION;
use reqwest::{Method, RequestBuilder, StatusCode};
use serde::Deserialize;
use serde_json::{Value, json};

use self::model::Envelope;
use self::token::Signer;
use super::wire::{Answer, Effect, Wire, answer, query};
use super::{
    ChunkRule, Created, Deleted, Forged, Host, HostError, Page, Playback, Query, Remote, Said, Secret,
    Target, Wanted, sign,
};

/// Where Cloudflare's API is.
pub const API: &str = "https://api.cloudflare.com/client/v4";
/// Videos of one page; the most that it gives.
const PAGE: usize = 1_000;
/// Its rule for requests of an upload (specs/hosts 4.4), and the size that it recommends.
const CHUNKS: ChunkRule = ChunkRule { min_bytes: 5_242_880, max_bytes: 52_428_800, step_bytes: 262_144 };
/// Its budget is 1,200 requests in 5 minutes, and whoever exceeds it is blocked for as long: a tenth stays unused.
const RATE: Rate = Rate { burst: 60, requests: 1_020, per_ms: 300_000, kept: 20 };
/// A webhook that was signed longer ago is not believed, in milliseconds.
const STALE_MS: i64 = 300_000;
/// Minutes are reserved until an upload ends: so many tenths of the length that was declared ...
const RESERVED_TENTHS: u64 = 11;
/// ... and so many seconds more.
const RESERVED_MORE_S: u64 = 60;
/// No video may be longer, in seconds.
const LENGTH_MAX_S: u64 = 36_000;

/// An account and our keys to it.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The number of the account.
    pub account: String,
    /// A token that may read and edit Stream, and nothing else.
    pub token: Secret,
    /// The name before `.cloudflarestream.com`, such as `customer-abc`.
    pub customer: String,
    /// The secret that signs webhooks; without it none is believed.
    #[serde(default)]
    pub webhook_secret: Option<Secret>,
    /// The key that signs addresses; without it they are open.
    #[serde(default)]
    pub signing_key: Option<SigningKey>,
    /// Addresses that are signed work for so long, in seconds; at most a day.
    #[serde(default = "hour")]
    pub playback_s: u32,
    /// So long may a video be whose length nobody declared, in seconds; so much is reserved while it arrives.
    #[serde(default = "hours_2")]
    pub max_duration_s: u32,
    /// Where the account is asked for.
    #[serde(default = "api")]
    pub api: String,
    /// Where viewers find the files, in place of the service's own address: scheme and name.
    #[serde(default)]
    pub media: Option<String>,
}

/// A key of `/stream/keys`, as Cloudflare shows it once.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SigningKey {
    /// Its name.
    pub id: String,
    /// The `pem` of the answer: base64 around the text of a PEM file.
    pub pem: Secret,
}

const fn hour() -> u32 {
    3_600
}

const fn hours_2() -> u32 {
    7_200
}

fn api() -> String {
    API.to_owned()
}

/// An account at Cloudflare Stream.
#[derive(Debug, Clone)]
pub struct Cloudflare {
    wire: Wire,
    config: Config,
    signer: Option<Signer>,
}

impl Cloudflare {
    /// An account; nothing is asked yet. [`HostError::Refused`] when the signing key cannot be read.
    pub fn open(config: Config) -> Result<Self, HostError> {
        let wire = Wire::new()?;
        let signer = config.signing_key.as_ref().map(Signer::read).transpose()?;
        Ok(Self { wire, config, signer })
    }

    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let url = format!(
            "{}/accounts/{}/stream{path}",
            self.config.api.trim_end_matches('/'),
            self.config.account
        );
        self.wire.client().request(method, url).bearer_auth(self.config.token.text())
    }

    async fn ask(&self, request: RequestBuilder, effect: Effect) -> Result<Answer, HostError> {
        let answer = answer(request, effect).await?;
        if answer.status.is_success() || answer.status == StatusCode::NOT_FOUND {
            return Ok(answer);
        }
        let words = answer.json::<Envelope<Value>>(Effect::Repeatable).ok().and_then(|answer| answer.words());
        Err(answer.refusal(words))
    }

    /// The seconds that are reserved for a video: without this header Cloudflare would reserve four hours.
    fn reserved_s(&self, duration_ms: Option<u64>) -> u64 {
        let declared = duration_ms.map(|ms| ms.div_ceil(1_000) * RESERVED_TENTHS / 10 + RESERVED_MORE_S);
        declared.unwrap_or(u64::from(self.config.max_duration_s)).clamp(1, LENGTH_MAX_S)
    }

    fn metadata(&self, key: PublicationId, wanted: &Wanted) -> String {
        use base64::Engine as _;
        let encode = |value: &str| base64::engine::general_purpose::STANDARD.encode(value);
        let mut pairs = vec![
            format!("name {}", encode(&wanted.title)),
            format!("filetype {}", encode(&wanted.mime)),
            format!("maxDurationSeconds {}", encode(&self.reserved_s(wanted.duration_ms).to_string())),
            format!("{} {}", model::KEY, encode(&key.to_string())),
        ];
        if self.signer.is_some() {
            // Present, without a value.
            pairs.push("requiresignedurls".to_owned());
        }
        pairs.join(",")
    }
}

impl Host for Cloudflare {
    fn kind(&self) -> &'static str {
        "cloudflare"
    }

    fn identity(&self) -> String {
        format!("cloudflare/{}", self.config.account)
    }

    fn site(&self) -> String {
        let own = || format!("https://{}.cloudflarestream.com", self.config.customer);
        self.config.media.clone().unwrap_or_else(own)
    }

    fn rate(&self) -> Rate {
        RATE
    }

    fn create<'a>(&'a self, key: PublicationId, wanted: &'a Wanted, _now: Millis) -> Said<'a, Created> {
        Box::pin(async move {
            let metadata = self.metadata(key, wanted);
            let request = self
                .request(Method::POST, "?direct_user=true")
                .header("Tus-Resumable", "1.0.0")
                .header("Upload-Length", wanted.size)
                .header("Upload-Metadata", &metadata)
                .header("Upload-Creator", model::creator(key))
                .header("Content-Length", 0);
            let answer = self.ask(request, Effect::Creates).await?;
            let header = |name: &str| {
                answer.headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned)
            };
            let (Some(id), Some(url), StatusCode::CREATED) =
                (header("stream-media-id"), header(LOCATION.as_str()), answer.status)
            else {
                return Err(HostError::Ambiguous(format!(
                    "it answers {} and names no upload",
                    answer.status
                )));
            };
            let target =
                Target { url, created: true, headers: Vec::new(), metadata, chunks: CHUNKS, expires: None };
            Ok(Created { id, target })
        })
    }

    fn pull<'a>(&'a self, key: PublicationId, from: &'a str, wanted: &'a Wanted) -> Said<'a, Option<String>> {
        Box::pin(async move {
            let body = json!({
                "url": from,
                "creator": model::creator(key),
                "meta": { "name": wanted.title, model::KEY: key.to_string() },
                "requireSignedURLs": self.signer.is_some(),
            });
            let request = self.request(Method::POST, "/copy").json(&body);
            let answer = self.ask(request, Effect::Creates).await?;
            if answer.status == StatusCode::NOT_FOUND {
                return Err(HostError::Unauthorised("there is no such account".to_owned()));
            }
            let made = answer.json::<Envelope<Value>>(Effect::Creates)?.result().and_then(model::remote);
            // It was taken: an answer that names nothing is none.
            made.map(|remote| Some(remote.id)).map_err(|error| HostError::Ambiguous(error.to_string()))
        })
    }

    fn target<'a>(&'a self, _id: &'a str, known: &'a Target, _now: Millis) -> Said<'a, Target> {
        Box::pin(async move {
            // The address stays the same as long as the upload is there.
            Ok(known.clone())
        })
    }

    fn regain(&self, _id: &str, _wanted: &Wanted, _now: Millis) -> Option<Target> {
        // The address is told once.
        None
    }

    fn caption<'a>(&'a self, id: &'a str, words: &'a Spoken, text: &'a str) -> Said<'a, ()> {
        Box::pin(async move {
            let (kind, body) = model::form(text);
            let path = format!("/{id}/captions/{}", words.language);
            let request = self.request(Method::PUT, &path).header("Content-Type", kind).body(body);
            let answer = self.ask(request, Effect::Repeatable).await?;
            if answer.is_absent()? {
                Err(HostError::Refused("it does not know the video".to_owned()))
            } else {
                Ok(())
            }
        })
    }

    fn uncaption<'a>(&'a self, id: &'a str, language: &'a str) -> Said<'a, ()> {
        Box::pin(async move {
            let request = self.request(Method::DELETE, &format!("/{id}/captions/{language}"));
            self.ask(request, Effect::Repeatable).await.map(drop)
        })
    }

    fn download<'a>(&'a self, id: &'a str, known: Option<&'a Download>) -> Said<'a, Option<Download>> {
        Box::pin(async move {
            let method = if known.is_some() { Method::GET } else { Method::POST };
            let answer =
                self.ask(self.request(method, &format!("/{id}/downloads")), Effect::Repeatable).await?;
            if answer.is_absent()? {
                return Err(HostError::Refused("it does not know the video".to_owned()));
            }
            model::download(&answer.json::<Envelope<Value>>(Effect::Repeatable)?.result()?).map(Some)
        })
    }

    fn status<'a>(&'a self, id: &'a str) -> Said<'a, Remote> {
        Box::pin(async move {
            let answer = self.ask(self.request(Method::GET, &format!("/{id}")), Effect::Repeatable).await?;
            if answer.is_absent()? {
                return Ok(model::gone(id));
            }
            model::remote(answer.json::<Envelope<Value>>(Effect::Repeatable)?.result()?)
        })
    }

    fn list<'a>(&'a self, which: &'a Query, after: Option<String>) -> Said<'a, Page> {
        Box::pin(async move {
            let each = if *which == Query::First { 1 } else { PAGE };
            let mut wanted = vec![("limit", each.to_string())];
            if let Query::Key(key) = which {
                wanted.push(("creator", model::creator(*key)));
            }
            if let Some(after) = &after {
                wanted.push(("end", after.clone()));
            }
            let request = self.request(Method::GET, &query(&wanted));
            let answer = self.ask(request, Effect::Repeatable).await?;
            if answer.status == StatusCode::NOT_FOUND {
                return Err(HostError::Unauthorised("there is no such account".to_owned()));
            }
            let found = answer.json::<Envelope<Vec<Value>>>(Effect::Repeatable)?.result()?;
            let last = found.last().and_then(|video| video["created"].as_str()).map(str::to_owned);
            // There is no cursor but the time of the last one. Several share one time: pages overlap, and who reads them
            // knows videos by their ids. A page that ends where the one before ended would never end.
            let next = last.filter(|last| each > 1 && found.len() == each && after.as_ref() != Some(last));
            let items = found.into_iter().map(model::remote).collect::<Result<Vec<_>, _>>()?;
            Ok(Page { items, next })
        })
    }

    fn delete<'a>(&'a self, id: &'a str) -> Said<'a, Deleted> {
        Box::pin(async move {
            let request = self.request(Method::DELETE, &format!("/{id}")).header("Accept", "*/*");
            let answer = self.ask(request, Effect::Repeatable).await?;
            Ok(if answer.is_absent()? { Deleted::WasAbsent } else { Deleted::Now })
        })
    }

    fn usage(&self, now: Millis) -> Said<'_, Option<Usage>> {
        Box::pin(async move {
            let request = self.request(Method::GET, "/storage-usage");
            let answer = self.ask(request, Effect::Repeatable).await?;
            if answer.status == StatusCode::NOT_FOUND {
                return Err(HostError::Unauthorised("there is no such account".to_owned()));
            }
            Ok(Some(model::usage(&answer.json::<Envelope<Value>>(Effect::Repeatable)?.result()?, now)))
        })
    }

    fn original<'f>(&self, _facts: &'f Value) -> Option<&'f str> {
        None
    }

    fn playback(&self, id: &str, _facts: &Value, now: Millis) -> Result<Playback, HostError> {
        let expires = now.plus(i64::from(self.config.playback_s) * 1_000);
        // The token stands in the place of the name; one to keep the file says so.
        let base = |keeps| {
            let signer = self.signer.as_ref();
            let name =
                signer.map_or_else(|| Ok(id.to_owned()), |signer| signer.token((id, keeps), now, expires));
            name.map(|name| format!("{}/{name}", self.site()))
        };
        let (base, keeping) = (base(false)?, base(true)?);
        Ok(Playback {
            hls: format!("{base}/manifest/video.m3u8"),
            dash: Some(format!("{base}/manifest/video.mpd")),
            poster: format!("{base}/thumbnails/thumbnail.jpg"),
            preview: Some(format!("{base}/thumbnails/thumbnail.gif")),
            file: Some(format!("{keeping}/downloads/default.mp4")),
            expires: self.signer.is_some().then_some(expires),
        })
    }

    fn hints(&self, headers: &HeaderMap, body: &[u8], now: Millis) -> Result<Vec<String>, Forged> {
        let secret = self.config.webhook_secret.as_ref().ok_or(Forged::Unsigned)?;
        let header =
            headers.get("webhook-signature").and_then(|value| value.to_str().ok()).ok_or(Forged::Unsigned)?;
        let part = |name: &str| {
            header
                .split(',')
                .find_map(|part| part.trim().strip_prefix(name)?.strip_prefix('='))
                .map(str::to_owned)
        };
        let (Some(time), Some(claimed)) = (part("time"), part("sig1")) else { return Err(Forged::Unsigned) };
        let signed_s: i64 = time.parse().map_err(|_| Forged::Unsigned)?;
        if !sign::is_hmac(sign::hmac(secret.text(), &[time.as_bytes(), b".", body]), &claimed) {
            return Err(Forged::Wrong);
        }
        if (now.0.saturating_sub(signed_s.saturating_mul(1_000))).saturating_abs() > STALE_MS {
            return Err(Forged::Stale);
        }
        let video: Value = serde_json::from_slice(body).map_err(|_| Forged::NoVideo)?;
        let id = video["uid"].as_str().filter(|id| !id.is_empty()).ok_or(Forged::NoVideo)?;
        Ok(vec![id.to_owned()])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cloudflare() -> Cloudflare {
        let secret = |text: &str| Secret::new(text.to_owned());
        Cloudflare::open(Config {
            account: "acc".to_owned(),
            token: secret("token"),
            customer: "customer-abc".to_owned(),
            webhook_secret: Some(secret("85011ed3a913c6ad5f9cf6c5573cc0a7")),
            signing_key: None,
            playback_s: 3_600,
            max_duration_s: 7_200,
            api: api(),
            media: None,
        })
        .unwrap()
    }

    #[test]
    fn a_webhook_is_believed_only_as_cloudflare_signs_it_and_for_five_minutes() {
        let body =
            r#"{"uid":"6b9e68b07dfee8cc2d116e4c51d6a957","readyToStream":true,"status":{"state":"ready"}}"#;
        let signature = "b8f46d000fbe14415af0ee466d66fc9b4349ab2acfaab6b799dc41743cd86741";
        let right = format!("time=1230811200,sig1={signature}");
        let hints = |body: &str, header: &str, now_s: i64| {
            let mut headers = HeaderMap::new();
            headers.insert("webhook-signature", header.parse().unwrap());
            cloudflare().hints(&headers, body.as_bytes(), Millis(now_s * 1_000))
        };
        let id = Ok(vec!["6b9e68b07dfee8cc2d116e4c51d6a957".to_owned()]);
        assert_eq!(hints(body, &right, 1_230_811_200), id);
        assert_eq!(hints(body, &right, 1_230_811_500), id);
        assert_eq!(hints(body, &right, 1_230_811_501), Err(Forged::Stale));
        assert_eq!(hints(body, &right, 1_230_810_899), Err(Forged::Stale));
        assert_eq!(hints(&body.replace("true", "null"), &right, 1_230_811_200), Err(Forged::Wrong));
        assert_eq!(
            hints(body, &right.replace("1230811200", "1230811201"), 1_230_811_200),
            Err(Forged::Wrong)
        );
        assert_eq!(hints(body, &right.replace("b8f4", "b8f5"), 1_230_811_200), Err(Forged::Wrong));
        assert_eq!(hints(body, &format!("time=1230811200,sig1={}", &signature[..62]), 0), Err(Forged::Wrong));
        for unsigned in ["", "time=1230811200", "sig1=00", "time=soon,sig1=00"] {
            assert_eq!(hints(body, unsigned, 1_230_811_200), Err(Forged::Unsigned), "{unsigned}");
        }
    }

    #[test]
    fn never_more_minutes_are_reserved_than_the_video_can_have() {
        let reserved = |ms: Option<u64>| cloudflare().reserved_s(ms);
        assert_eq!(reserved(Some(600_000)), 720);
        assert_eq!(reserved(Some(1)), 61);
        assert_eq!(reserved(None), 7_200);
        assert_eq!(reserved(Some(u64::MAX / 1_000)), LENGTH_MAX_S);
    }

    #[test]
    fn addresses_without_a_key_are_open() {
        let playback = cloudflare().playback("uid", &Value::Null, Millis(0)).unwrap();
        assert_eq!(playback.hls, "https://customer-abc.cloudflarestream.com/uid/manifest/video.m3u8");
        assert_eq!(playback.expires, None);
    }
}
