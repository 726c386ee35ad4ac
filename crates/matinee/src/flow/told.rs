//! What services outside are told of a video: facts, addresses, files, and what was done for how long.

use matinee_core::calendar::time;
use matinee_core::hash::hex;
use matinee_core::time::Millis;
use matinee_core::video::RenditionState;
use matinee_io::db::{Moment, Publication, Replica, Video};
use serde_json::{Value, json};

use super::outside;
use super::play::Playback;
use super::whole::Whole;
use crate::node::Node;

/// Paths as they are, and in full when it is known under which address the server is reached.
struct Base<'n>(&'n str);

impl<'n> Base<'n> {
    fn of(node: &'n Node) -> Self {
        Self(node.config.public_url.as_deref().unwrap_or_default().trim_end_matches('/'))
    }

    fn url(&self, path: &str) -> String {
        format!("{}{path}", self.0)
    }
}

/// The facts of a video.
pub(super) fn facts(video: &Video, generation: u32) -> Value {
    json!({
        "id": video.id,
        "title": video.title,
        "state": video.state,
        "generation": generation,
        "duration_ms": video.duration_ms,
        "metadata": video.facts,
        "external_id": video.external_id,
    })
}

/// Where players find it, each address in full if that is known, and all of them as paths.
pub(super) fn addresses(node: &Node, playback: &Playback) -> Value {
    let base = Base::of(node);
    let paths = [
        ("hls", Some(&playback.hls)),
        ("dash", playback.dash.as_ref()),
        ("poster", playback.poster.as_ref()),
        ("storyboard", playback.storyboard.as_ref()),
        ("preview", playback.preview.as_ref()),
        ("chapters", playback.chapters.as_ref()),
    ];
    let urls = paths.map(|(name, path)| (name.to_owned(), json!(path.map(|path| base.url(path)))));
    let paths = paths.map(|(name, path)| (name.to_owned(), json!(path)));
    let captions = playback.captions.iter().map(|one| {
        json!({
            "name": one.caption.name, "language": one.caption.language, "path": one.path, "url": base.url(&one.path),
        })
    });
    let mut told: serde_json::Map<String, Value> = urls.into_iter().collect();
    told.insert("paths".to_owned(), Value::Object(paths.into_iter().collect()));
    told.insert("captions".to_owned(), captions.collect());
    told.insert("expires_s".to_owned(), json!(playback.expires.0.div_euclid(1_000)));
    Value::Object(told)
}

/// Its files.
pub(super) fn files(node: &Node, playback: Option<&Playback>) -> Vec<Value> {
    let base = Base::of(node);
    let files = playback.into_iter().flat_map(|playback| &playback.downloads);
    files
        .map(|file| {
            json!({
                "id": file.id, "label": file.label, "file_name": file.file_name, "bytes": file.bytes,
                "path": file.path, "url": base.url(&file.path),
            })
        })
        .collect()
}

/// What was made of it.
pub(super) fn renditions(whole: &Whole) -> Vec<Value> {
    let made = whole
        .renditions
        .iter()
        .filter(|one| one.generation == whole.video.encoding && one.state == RenditionState::Ready);
    made.map(|one| {
        json!({
            "id": one.name, "width": one.shape.width, "height": one.shape.height,
            "language": one.shape.language, "bytes": one.file_bytes,
        })
    })
    .collect()
}

/// Where there is more of it: at hosts, by the names that these gave it.
pub(super) fn publications(node: &Node, of: &[Publication]) -> Vec<Value> {
    let told = |one: &Publication| {
        let known = node.hosts.named(&one.host).map(|known| &known.host);
        let playback = outside::playback(node, one).map(|playback| {
            json!({
                "hls": playback.hls, "dash": playback.dash, "poster": playback.poster,
                "expires_s": playback.expires.map(|end| end.0.div_euclid(1_000)),
            })
        });
        json!({
            "id": one.id, "host": one.host, "kind": known.map(|host| host.kind()),
            "account": known.map(|host| host.identity()), "state": one.phase, "remote_id": one.remote,
            "duration_ms": one.duration_ms, "bytes": one.bytes, "reason": one.reason, "playback": playback,
        })
    };
    of.iter().map(told).collect()
}

/// What lies in archives, and how to know it again there.
pub(super) fn archive(node: &Node, of: &[Replica]) -> Vec<Value> {
    let told = |copy: &Replica| {
        let store = node.config.store.iter().find(|store| store.name == copy.store);
        let url = store.and_then(|store| store.url.as_deref());
        json!({
            "store": copy.store, "kind": copy.kind, "key": copy.key,
            "url": url.map(|url| format!("{}/{}", url.trim_end_matches('/'), copy.key)),
            "version": copy.version, "bytes": copy.size, "blake3": copy.blake3.as_ref().map(|hash| hex(hash)),
            "sha1": copy.sums.as_ref().map(|sums| &sums.sha1),
            "sha256": copy.sums.as_ref().map(|sums| &sums.sha256), "verified_at": copy.verified.map(time),
        })
    };
    of.iter().map(told).collect()
}

/// One kind of work that was done for a video.
struct Step {
    kind: String,
    started: Millis,
    ended: Option<Millis>,
    jobs: u64,
    busy_ms: i64,
}

/// How long each kind of work took, in the order in which they began; from the first beginning to the last end, and added up.
pub(super) fn steps(moments: &[Moment]) -> Vec<Value> {
    let mut steps: Vec<Step> = Vec::new();
    for moment in moments {
        let Moment::Attempt { at, kind, ended, .. } = moment else { continue };
        let busy_ms = ended.map_or(0, |ended| ended.since(*at));
        if let Some(step) = steps.iter_mut().find(|step| step.kind == *kind) {
            step.ended = step.ended.max(*ended);
            step.jobs += 1;
            step.busy_ms += busy_ms;
        } else {
            steps.push(Step { kind: kind.clone(), started: *at, ended: *ended, jobs: 1, busy_ms });
        }
    }
    let told = |step: Step| {
        json!({
            "kind": step.kind, "started_at": time(step.started), "ended_at": step.ended.map(time),
            "took_ms": step.ended.map(|ended| ended.since(step.started)),
            "busy_ms": step.busy_ms, "attempts": step.jobs,
        })
    };
    steps.into_iter().map(told).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use matinee_core::id::JobId;

    #[test]
    fn work_that_is_done_side_by_side_counts_once_for_the_clock() {
        let attempt = |kind: &str, at: i64, ended: Option<i64>| Moment::Attempt {
            at: Millis(at),
            job: JobId::from_bits(1),
            kind: kind.to_owned(),
            attempt: 1,
            holder: "a/1".to_owned(),
            ended: ended.map(Millis),
            outcome: None,
            error: None,
        };
        let moments = [
            attempt("probe", 0, Some(1_000)),
            attempt("chunk", 1_000, Some(4_000)),
            attempt("chunk", 2_000, Some(3_500)),
            attempt("step", 4_000, None),
        ];
        let told = steps(&moments);
        let brief: Vec<_> = told
            .iter()
            .map(|one| (&one["kind"], &one["took_ms"], &one["busy_ms"], &one["attempts"]))
            .collect();
        let (probe, chunk, step) = (json!("probe"), json!("chunk"), json!("step"));
        let n = |n: i64| json!(n);
        assert_eq!(
            brief,
            [
                (&probe, &n(1_000), &n(1_000), &n(1)),
                (&chunk, &n(3_000), &n(4_500), &n(2)),
                (&step, &Value::Null, &n(0), &n(1))
            ]
        );
        assert_eq!(told[1]["started_at"], "1970-01-01T00:00:01.000Z");
    }
}
