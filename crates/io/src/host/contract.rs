//! What every host must do, tried on each adapter with its fake.

use std::fs::File;
use std::io::Write as _;
use std::sync::Arc;

use matinee_core::host::Standing;
use matinee_core::id::PublicationId;
use matinee_core::media::{Indexer, Step};
use matinee_core::time::Millis;
use serde_json::Value;
use tempfile::TempDir;

use super::bunny::{self, Bunny};
use super::cloudflare::{self, Cloudflare};
use super::fake::{Call, Clock, Fault, Frame, Trouble};
use super::push::Push;
use super::wire::Wire;
use super::{Created, Deleted, Host, HostError, Pusher, Query, Secret, Target, Wanted};

/// A film of two seconds.
const FILM: &[u8] = include_bytes!("../../../core/tests/fixtures/front.mp4");
/// More than all stages of a fake's encoding take, in milliseconds.
const ENCODED_MS: i64 = 60_000;

/// An adapter with its fake, as all tests see them.
struct Pair {
    host: Arc<dyn Host>,
    frame: Frame,
    there: Box<dyn Fn() -> Vec<String>>,
    _folder: TempDir,
}

async fn bunny() -> Pair {
    let folder = TempDir::new().unwrap();
    let fake = bunny::fake::FakeBunny::start(folder.path().to_owned(), clock()).await.unwrap();
    let secret = |text: &str| Secret::new(text.to_owned());
    let host = Bunny::open(bunny::Config {
        library: bunny::fake::LIBRARY,
        api_key: secret(bunny::fake::KEY),
        read_only_key: secret(bunny::fake::READ_ONLY_KEY),
        pull_zone: "vz-1.b-cdn.net".to_owned(),
        token_key: Some(secret(bunny::fake::TOKEN_KEY)),
        playback_s: 60,
        api: fake.frame().url(),
        media: Some(fake.frame().url()),
    });
    let frame = fake.frame().clone();
    Pair { host: Arc::new(host.unwrap()), frame, there: Box::new(move || fake.there()), _folder: folder }
}

async fn cloudflare() -> Pair {
    let folder = TempDir::new().unwrap();
    let fake = cloudflare::fake::FakeCloudflare::start(folder.path().to_owned(), clock()).await.unwrap();
    let secret = |text: &str| Secret::new(text.to_owned());
    let host = Cloudflare::open(cloudflare::Config {
        account: cloudflare::fake::ACCOUNT.to_owned(),
        token: secret(cloudflare::fake::TOKEN),
        customer: "customer-1".to_owned(),
        webhook_secret: Some(secret(cloudflare::fake::WEBHOOK_SECRET)),
        signing_key: Some(cloudflare::SigningKey {
            id: cloudflare::fake::SIGNING_KEY_ID.to_owned(),
            pem: Secret::new(cloudflare::fake::signing_key()),
        }),
        playback_s: 60,
        max_duration_s: 600,
        api: fake.frame().url(),
        media: Some(fake.frame().url()),
    });
    let frame = fake.frame().clone();
    Pair { host: Arc::new(host.unwrap()), frame, there: Box::new(move || fake.there()), _folder: folder }
}

fn clock() -> Clock {
    Clock::at(Millis(1_795_000_000_000))
}

async fn pairs() -> [Pair; 2] {
    [bunny().await, cloudflare().await]
}

fn key(number: u8) -> PublicationId {
    PublicationId::new(Millis(1_795_000_000_000), [number; 10])
}

fn wanted(size: u64) -> Wanted {
    Wanted { title: "A film".to_owned(), size, duration_ms: Some(2_000), mime: "video/mp4".to_owned() }
}

impl Pair {
    fn now(&self) -> Millis {
        self.frame.clock().now()
    }

    async fn create(&self, number: u8, size: u64) -> Result<Created, HostError> {
        self.host.create(key(number), &wanted(size), self.now()).await
    }

    /// Sends the file to its end, whatever comes between.
    async fn push(&self, id: &str, mut target: Target, bytes: &[u8]) -> Target {
        let pusher = Pusher::new().unwrap();
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(bytes).unwrap();
        let (file, size): (Arc<File>, u64) = (Arc::new(file), bytes.len() as u64);
        target = pusher.begin(target, size).await.unwrap();
        let mut at = 0;
        for _ in 0..20 {
            let sent = pusher.send(&target, (&file, size), at).await;
            let stands = match sent {
                Ok(stands) => stands,
                Err(HostError::Again(_) | HostError::Throttled(_)) => {
                    pusher.look(&target, size).await.unwrap()
                }
                Err(error) => panic!("{error}"),
            };
            match stands {
                Push::At(offset) => at = offset,
                Push::Whole => return target,
                Push::SignAgain => target = self.host.target(id, &target, self.now()).await.unwrap(),
                Push::Gone => panic!("the upload is gone"),
            }
        }
        panic!("the upload does not end");
    }

    async fn standing(&self, id: &str) -> Standing {
        self.host.status(id).await.unwrap().standing
    }

    fn trouble(&self, call: &'static str, fault: Fault) {
        self.frame.trouble(Trouble { call, fault, times: 1, until: None });
    }
}

/// A host understands every request of its adapter.
fn understood(pair: &Pair) {
    assert_eq!(pair.frame.unknown(), Vec::<Call>::new());
}

#[tokio::test]
async fn a_film_is_made_sent_encoded_and_deleted() {
    for pair in pairs().await {
        let created = pair.create(1, FILM.len() as u64).await.unwrap();
        assert_eq!(pair.standing(&created.id).await, Standing::AwaitingUpload);
        pair.push(&created.id, created.target, FILM).await;
        assert_eq!(pair.standing(&created.id).await, Standing::Queued);
        pair.frame.clock().pass(ENCODED_MS / 2);
        assert!(pair.standing(&created.id).await.plays());
        pair.frame.clock().pass(ENCODED_MS);
        let remote = pair.host.status(&created.id).await.unwrap();
        assert_eq!((remote.standing, remote.key), (Standing::Ready, Some(key(1))));
        assert!(remote.duration_ms.is_some_and(|ms| ms >= 1_000), "{:?}", remote.duration_ms);
        assert_eq!(pair.host.delete(&created.id).await, Ok(Deleted::Now));
        assert_eq!(pair.standing(&created.id).await, Standing::Gone);
        assert_eq!(pair.host.delete(&created.id).await, Ok(Deleted::WasAbsent));
        understood(&pair);
    }
}

#[tokio::test]
async fn a_creation_whose_answer_is_lost_is_found_by_its_key() {
    for fault in [Fault::CutAfter, Fault::Html, Fault::Half] {
        for pair in pairs().await {
            // Cloudflare's answer to a creation has no body that could be spoilt.
            pair.trouble("create", fault);
            let made = pair.create(7, 100).await;
            assert_eq!((pair.there)().len(), 1, "it happened");
            if made.is_ok() {
                continue;
            }
            assert!(matches!(made, Err(HostError::Ambiguous(_))), "{fault:?} {made:?}");
            let found = pair.host.list(&Query::Key(key(7)), None).await.unwrap();
            assert_eq!(found.items.iter().map(|one| one.id.clone()).collect::<Vec<_>>(), (pair.there)());
            assert_eq!(pair.host.list(&Query::Key(key(8)), None).await.unwrap().items, []);
            understood(&pair);
        }
    }
}

#[tokio::test]
async fn what_did_not_happen_says_so_and_what_a_host_wants_is_heard() {
    for pair in pairs().await {
        pair.trouble("create", Fault::Throttled(Some(7)));
        assert_eq!(pair.create(1, 100).await, Err(HostError::Throttled(Some(7_000))));
        pair.trouble("create", Fault::Throttled(None));
        assert_eq!(pair.create(1, 100).await, Err(HostError::Throttled(None)));
        pair.trouble("create", Fault::Status(401));
        assert!(matches!(pair.create(1, 100).await, Err(HostError::Unauthorised(_))));
        pair.trouble("create", Fault::Status(413));
        assert!(matches!(pair.create(1, 100).await, Err(HostError::Full(_))));
        pair.trouble("create", Fault::Status(400));
        assert!(matches!(pair.create(1, 100).await, Err(HostError::Refused(_))));
        assert_eq!((pair.there)(), Vec::<String>::new());
        for fault in [Fault::Status(503), Fault::CutBefore, Fault::Half] {
            pair.trouble("status", fault);
            assert!(matches!(pair.host.status("x").await, Err(HostError::Again(_))), "{fault:?}");
        }
        understood(&pair);
    }
}

#[tokio::test]
async fn a_deletion_whose_answer_is_lost_is_done_again() {
    for pair in pairs().await {
        let id = pair.create(1, 100).await.unwrap().id;
        pair.trouble("delete", Fault::CutAfter);
        assert!(matches!(pair.host.delete(&id).await, Err(HostError::Again(_))));
        assert_eq!(pair.host.delete(&id).await, Ok(Deleted::WasAbsent));
    }
}

#[tokio::test]
async fn an_upload_survives_cuts_and_signatures_that_end() {
    for pair in pairs().await {
        let created = pair.create(1, FILM.len() as u64).await.unwrap();
        let two_days_ms = 2 * 86_400_000;
        let pusher = Pusher::new().unwrap();
        let target = pusher.begin(created.target.clone(), FILM.len() as u64).await.unwrap();
        pair.frame.clock().pass(two_days_ms);
        for fault in [Fault::CutBefore, Fault::Status(503), Fault::CutAfter] {
            pair.trouble("tus append", fault);
        }
        pair.push(&created.id, target, FILM).await;
        pair.frame.clock().pass(ENCODED_MS * 2);
        assert_eq!(pair.standing(&created.id).await, Standing::Ready);
        understood(&pair);
    }
}

#[tokio::test]
async fn a_file_that_is_no_film_fails_with_the_hosts_own_word() {
    for pair in pairs().await {
        let created = pair.create(1, 5).await.unwrap();
        pair.push(&created.id, created.target, b"hello").await;
        let standing = pair.standing(&created.id).await;
        let Standing::Failed(fault) = standing else { panic!("{standing:?}") };
        assert!(!fault.again && !fault.code.is_empty() && !fault.text.is_empty(), "{fault:?}");
    }
}

#[tokio::test]
async fn a_listing_is_read_page_by_page() {
    for pair in pairs().await {
        for number in 0..=120 {
            pair.frame.clock().pass(1);
            pair.create(number, 100).await.unwrap();
        }
        let (mut ids, mut after) = (std::collections::BTreeSet::new(), None);
        loop {
            let page = pair.host.list(&Query::All, after).await.unwrap();
            ids.extend(page.items.into_iter().map(|one| one.id));
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        assert_eq!(ids.into_iter().collect::<Vec<_>>(), (pair.there)());
    }
}

#[tokio::test]
async fn a_host_that_lies_is_found_out_by_a_look() {
    for pair in pairs().await {
        pair.trouble("delete", Fault::Keeps);
        let id = pair.create(1, 100).await.unwrap().id;
        assert_eq!(pair.host.delete(&id).await, Ok(Deleted::Now));
        assert_eq!(pair.standing(&id).await, Standing::AwaitingUpload, "it said so and kept it");
        pair.trouble("create", Fault::Loses);
        let lost = pair.create(2, 100).await.unwrap().id;
        assert_eq!(pair.standing(&lost).await, Standing::Gone);
        pair.trouble("create", Fault::Twice);
        pair.create(3, 100).await.unwrap();
        assert_eq!(pair.host.list(&Query::Key(key(3)), None).await.unwrap().items.len(), 2);
        pair.trouble("list", Fault::Late);
        assert_eq!(pair.host.list(&Query::Key(key(3)), None).await.unwrap().items, []);
        pair.frame.clock().pass(60_000);
        pair.trouble("list", Fault::Late);
        assert_eq!(pair.host.list(&Query::Key(key(3)), None).await.unwrap().items.len(), 2);
        assert_eq!(pair.host.list(&Query::First, None).await.unwrap().next, None);
        understood(&pair);
    }
}

/// What a viewer gets at an address: the status, and the bytes.
async fn get(url: &str) -> (u16, Vec<u8>) {
    let answer = Wire::new().unwrap().client().get(url).send().await.unwrap();
    (answer.status().as_u16(), answer.bytes().await.unwrap().to_vec())
}

/// The addresses that a playlist names.
fn named(list: &[u8], at: &str) -> Vec<String> {
    let at = url::Url::parse(at).unwrap();
    let quoted = |line: &str| Some(line.split_once("URI=\"")?.1.split_once('"')?.0.to_owned());
    let lines = std::str::from_utf8(list).unwrap().lines();
    let names =
        lines.filter_map(|line| if line.starts_with('#') { quoted(line) } else { Some(line.to_owned()) });
    names.map(|name| at.join(&name).unwrap().into()).collect()
}

/// How many pictures and frames of sound a film has.
fn samples(film: &[u8]) -> usize {
    let mut indexer = Indexer::new(film.len() as u64);
    let mut step = indexer.step(&[]).unwrap();
    while let Step::Read { offset, len } = step {
        let from = usize::try_from(offset).unwrap();
        step = indexer.step(&film[from..from + usize::try_from(len).unwrap()]).unwrap();
    }
    let Step::Done(index) = step else { panic!("it has no end") };
    index.tracks.iter().map(|track| track.samples.len()).sum()
}

#[tokio::test]
async fn what_a_fake_was_sent_is_streamed_whole() {
    for pair in pairs().await {
        let created = pair.create(1, FILM.len() as u64).await.unwrap();
        let playback = || pair.host.playback(&created.id, &Value::Null, pair.now()).unwrap();
        assert_eq!(get(&playback().hls).await.0, 404, "nothing is there yet");
        pair.push(&created.id, created.target.clone(), FILM).await;
        assert_eq!(get(&playback().hls).await.0, 404, "it is not encoded");
        pair.frame.clock().pass(ENCODED_MS);
        let playback = playback();
        let (status, master) = get(&playback.hls).await;
        assert_eq!(status, 200);
        let mut lists = named(&master, &playback.hls);
        // Sound stands there twice: beside the picture, and alone for slow lines.
        lists.sort();
        lists.dedup();
        let mut found = 0;
        for list in lists {
            let (mut film, (status, text)) = (Vec::new(), get(&list).await);
            assert_eq!(status, 200, "{list}");
            for piece in named(&text, &list) {
                let (status, bytes) = get(&piece).await;
                assert_eq!(status, 200, "{piece}");
                film.extend(bytes);
            }
            found += samples(&film);
        }
        assert_eq!(found, samples(FILM));
        let pictures = [Some(&playback.poster), playback.preview.as_ref(), playback.dash.as_ref()];
        for url in pictures.into_iter().flatten() {
            let (status, bytes) = get(url).await;
            assert!(status == 200 && !bytes.is_empty(), "{url}");
        }
        assert_eq!(get(&playback.hls.replace(".m3u8", ".m3u9")).await.0, 404);
        understood(&pair);
    }
}

#[tokio::test]
async fn who_has_no_token_of_this_video_is_refused() {
    for pair in pairs().await {
        let made = [
            pair.create(1, FILM.len() as u64).await.unwrap(),
            pair.create(2, FILM.len() as u64).await.unwrap(),
        ];
        for one in &made {
            pair.push(&one.id, one.target.clone(), FILM).await;
        }
        pair.frame.clock().pass(ENCODED_MS);
        let [own, other] =
            [0, 1].map(|at: usize| pair.host.playback(&made[at].id, &Value::Null, pair.now()).unwrap().hls);
        let refused = if pair.host.kind() == "bunny" { 403 } else { 401 };
        let bare = format!(
            "{}/{}{}",
            pair.frame.url(),
            made[0].id,
            if refused == 403 { "/playlist.m3u8" } else { "/manifest/video.m3u8" }
        );
        // A letter of the signature, and of the end that it is for.
        let middle = own.len() / 2;
        let letter = if own.as_bytes()[middle] == b'A' { "B" } else { "A" };
        let changed = format!("{}{letter}{}", &own[..middle], &own[middle + 1..]);
        let borrowed = other.replace(&format!("/{}/", made[1].id), &format!("/{}/", made[0].id));
        assert_eq!(get(&own).await.0, 200);
        assert_eq!(get(&bare).await.0, refused);
        assert_eq!(get(&changed).await.0, refused, "{changed}");
        if borrowed != other {
            assert_eq!(get(&borrowed).await.0, refused, "{borrowed}");
        }
        pair.frame.clock().pass(61_000);
        assert_eq!(get(&own).await.0, refused, "it has ended");
    }
}

#[tokio::test]
async fn what_no_browser_plays_as_it_is_fails_at_a_fake_and_says_so() {
    for pair in pairs().await {
        let broken = of_no_browser();
        let created = pair.create(1, broken.len() as u64).await.unwrap();
        pair.push(&created.id, created.target, &broken).await;
        let Standing::Failed(fault) = pair.standing(&created.id).await else { panic!("it plays") };
        assert!(fault.text.contains("does not encode"), "{fault:?}");
    }
}

/// The film with a codec that no browser knows.
fn of_no_browser() -> Vec<u8> {
    let mut film = FILM.to_vec();
    for at in 0..film.len() - 4 {
        if &film[at..at + 4] == b"avc1" {
            film[at..at + 4].copy_from_slice(b"mp4v");
        }
    }
    film
}
