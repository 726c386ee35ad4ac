//! What every host must do, tried on each adapter with its fake.

mod besides;
mod pull;
mod viewers;

use std::fs::File;
use std::io::Write as _;
use std::sync::Arc;

use matinee_core::host::Standing;
use matinee_core::id::PublicationId;
use matinee_core::time::Millis;
use tempfile::TempDir;

use super::bunny::{self, Bunny};
use super::cloudflare::{self, Cloudflare};
use super::fake::{Call, Clock, Fault, Frame, Trouble};
use super::push::Push;
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
