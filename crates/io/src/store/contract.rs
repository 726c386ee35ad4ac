//! What every store promises: the same calls for all of them, also for those that come later.

mod garage;

use std::fs::File;
use std::io::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use futures_util::TryStreamExt as _;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use s3s::auth::SimpleAuth;
use s3s::service::S3ServiceBuilder;
use s3s_fs::FileSystem;

use super::fake::{Fake, Profile};
use super::*;

/// Retries as in production, without its pauses.
pub(super) const QUICK: Patience =
    Patience { retries: 4, within: Duration::from_secs(30), pause: Duration::from_millis(1) };

/// An open file with these bytes, and nothing of it on the disk afterwards.
pub(super) fn file(bytes: &[u8]) -> Arc<File> {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(bytes).unwrap();
    Arc::new(file)
}

/// Bytes in which no two parts are equal.
pub(super) fn noise(len: usize) -> Vec<u8> {
    let mut bytes = vec![0; len];
    let mut reader = blake3::Hasher::new().update(b"noise").finalize_xof();
    reader.fill(&mut bytes);
    bytes
}

/// Puts bytes, with nobody listening.
pub(super) async fn put(store: &dyn Store, key: &str, bytes: &[u8]) -> Put {
    store.put(key, file(bytes), bytes.len() as u64, None, &Untold).await.unwrap()
}

/// All bytes of a range.
pub(super) async fn read(
    store: &dyn Store,
    key: &str,
    range: std::ops::Range<u64>,
) -> Result<Vec<u8>, RemoteError> {
    let parts: Vec<Bytes> = store.read(key, range).await?.try_collect().await?;
    Ok(parts.concat())
}

/// Hears how far a put came.
#[derive(Default)]
struct Listener(AtomicU64);

impl Told for Listener {
    fn begun<'a>(&'a self, _: &'a Begun) -> Answer<'a, ()> {
        Box::pin(async { Ok(()) })
    }

    fn sent(&self, bytes: u64) {
        self.0.fetch_max(bytes, Ordering::Relaxed);
    }
}

/// The contract. The store is empty before it and after it.
async fn holds(store: &dyn Store) {
    objects_come_and_go(store).await;
    a_listing_has_every_key_once(store).await;
    a_long_object_is_put_in_bounded_memory(store).await;
    what_cannot_be_is_said(store).await;
    a_trial_leaves_nothing(store).await;
    assert_eq!(store.list(None, 10).await.unwrap(), Page::default());
    assert_eq!(store.hidden(10).await.unwrap(), Hidden::default());
}

async fn objects_come_and_go(store: &dyn Store) {
    let bytes = noise(1_000_003);
    for len in [0, 1, 4_096, bytes.len()] {
        let key = format!("vid_1/source/obj_{len}");
        let put = put(store, &key, &bytes[..len]).await;
        let looked = store.look(&key).await.unwrap().unwrap();
        assert_eq!((looked.size, &looked.version), (len as u64, &put.version), "{key}");
        if len > 0 {
            assert!(read(store, &key, 0..len as u64).await.unwrap() == bytes[..len], "{key}");
        }
        assert_eq!(store.remove(&key, put.version.as_deref()).await.unwrap(), Removed::Gone);
        assert_eq!(store.look(&key).await.unwrap(), None, "{key} is gone");
        assert_eq!(store.remove(&key, put.version.as_deref()).await.unwrap(), Removed::WasAbsent);
    }
    let key = "vid_1/source/again";
    for _ in 0..2 {
        // The answer of an earlier try may have been lost.
        put(store, key, &bytes).await;
    }
    for range in [0..1, 5..70_000, 999_999..1_000_003] {
        let (from, to) = (usize::try_from(range.start).unwrap(), usize::try_from(range.end).unwrap());
        assert!(read(store, key, range).await.unwrap() == bytes[from..to]);
    }
    assert_eq!(store.remove(key, None).await.unwrap(), Removed::Gone);
    assert_eq!(store.look(key).await.unwrap(), None);
}

async fn a_listing_has_every_key_once(store: &dyn Store) {
    let mut keys = ["b/1", "b/2", "b.c", "b-c/1", "a", "c/d/e", "c/d/f", "c/e"];
    for (len, key) in keys.iter().enumerate() {
        put(store, key, &noise(len)).await;
    }
    keys.sort_unstable();
    for limit in [1, 3, 8, 9] {
        let mut found = Vec::new();
        let mut after = None;
        loop {
            let page = store.list(after.as_deref(), limit).await.unwrap();
            assert!(page.objects.len() <= limit);
            found.extend(page.objects.into_iter().map(|seen| seen.key));
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        assert_eq!(found, keys, "in pages of {limit}");
    }
    let sizes = store.list(Some("b/1"), 1).await.unwrap();
    assert_eq!(sizes.objects, [Seen { key: "b/2".to_owned(), size: 1 }]);
    for key in keys {
        store.remove(key, None).await.unwrap();
    }
}

async fn a_long_object_is_put_in_bounded_memory(store: &dyn Store) {
    let bytes = noise(20 << 20);
    let (key, heard) = ("vid_2/source/long", Listener::default());
    let size = bytes.len() as u64;
    store.put(key, file(&bytes), size, None, &heard).await.unwrap();
    assert_eq!(heard.0.into_inner(), size);
    assert_eq!(store.look(key).await.unwrap().unwrap().size, size);
    assert!(read(store, key, 0..size).await.unwrap() == bytes);
    let border = 8 << 20;
    assert!(read(store, key, border - 3..border + 3).await.unwrap() == bytes[(8 << 20) - 3..(8 << 20) + 3]);
    assert_eq!(store.remove(key, None).await.unwrap(), Removed::Gone);
}

async fn what_cannot_be_is_said(store: &dyn Store) {
    let absent = read(store, "vid_3/none", 0..1).await.unwrap_err();
    assert!(matches!(absent, RemoteError::Absent), "{absent}");
    put(store, "vid_3/short", b"12345").await;
    for range in [3..6, 5..6, 9..10] {
        let short = read(store, "vid_3/short", range).await.unwrap_err();
        assert!(matches!(short, RemoteError::Short), "{short}");
    }
    store.remove("vid_3/short", None).await.unwrap();
    let wrong = store.put("../up", file(b"1"), 1, None, &Untold).await.unwrap_err();
    assert!(matches!(wrong, RemoteError::Wrong(_)), "{wrong}");
    let file_short = store.put("vid_3/cut", file(b"1"), 2, None, &Untold).await.unwrap_err();
    assert!(matches!(file_short, RemoteError::File(_)), "{file_short}");
    assert_eq!(store.look("vid_3/cut").await.unwrap(), None, "half an object is none");
}

async fn a_trial_leaves_nothing(store: &dyn Store) {
    store.facts("trial/1", Depth::Brief).await.unwrap();
}

#[tokio::test]
async fn memory_holds_the_contract() {
    holds(&Memory::default()).await;
}

#[tokio::test]
async fn a_disk_holds_the_contract_and_leaves_no_folder() {
    let folder = tempfile::tempdir().unwrap();
    holds(&Disk::open(folder.path()).unwrap()).await;
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[tokio::test]
async fn a_disk_that_is_away_says_so_and_is_not_filled_elsewhere() {
    let folder = tempfile::tempdir().unwrap();
    let away = folder.path().join("away");
    let store = Disk::open(&away).unwrap();
    let again = [
        store.look("a/b").await.map(drop),
        store.list(None, 1).await.map(drop),
        store.remove("a/b", None).await.map(drop),
        store.hidden(1).await.map(drop),
        read(&store, "a/b", 0..1).await.map(drop),
        store.put("a/b", file(b"1"), 1, None, &Untold).await.map(drop),
        store.facts("a", Depth::Brief).await.map(drop),
    ];
    for answer in again {
        assert!(answer.unwrap_err().is_again());
    }
    assert!(!away.exists());
    std::fs::create_dir(&away).unwrap();
    put(&store, "a/b", b"1").await;
    assert_eq!(store.look("a/b").await.unwrap().map(|looked| looked.size), Some(1));
}

#[tokio::test]
async fn a_disk_shows_what_a_kill_left_half_written() {
    let folder = tempfile::tempdir().unwrap();
    let store = Disk::open(folder.path()).unwrap();
    std::fs::create_dir(folder.path().join("a")).unwrap();
    std::fs::write(folder.path().join("a/.b.part"), b"half").unwrap();
    assert_eq!(store.list(None, 10).await.unwrap(), Page::default());
    let hidden = store.hidden(10).await.unwrap();
    assert_eq!(hidden.uploads.len(), 1);
    assert_eq!(hidden.uploads[0].key, "a/b");
    assert!(hidden.uploads[0].since.is_some());
    store.remove("a/b", None).await.unwrap();
    assert_eq!(store.hidden(10).await.unwrap(), Hidden::default());
}

#[tokio::test]
async fn every_service_that_is_imitated_holds_the_contract() {
    for profile in Profile::ALL {
        let fake = Fake::start(profile).await.unwrap();
        for prefix in ["", "copies/of matinee"] {
            holds(&S3::open(&fake.access(), prefix, None, QUICK).unwrap()).await;
        }
        assert_eq!(fake.inventory(), fake::Inventory::default(), "{profile:?}");
        assert_eq!(fake.unexpected(), Vec::<String>::new(), "{profile:?}");
    }
}

#[tokio::test]
async fn a_server_of_others_holds_the_contract() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("films")).unwrap();
    let mut service = S3ServiceBuilder::new(FileSystem::new(folder.path()).unwrap());
    service.set_auth(SimpleAuth::from_single("access", "secret-of-the-test"));
    let service = service.build();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let serving = tokio::spawn(async move {
        while let Ok((socket, _)) = listener.accept().await {
            let service = service.clone();
            tokio::spawn(async move {
                drop(
                    Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(socket), service).await,
                );
            });
        }
    });
    let access = Access {
        bucket: "films".to_owned(),
        endpoint: Some(endpoint),
        region: "us-east-1".to_owned(),
        access_key: "access".to_owned(),
        secret_key: "secret-of-the-test".to_owned(),
    };
    holds(&S3::open(&access, "copies", None, QUICK).unwrap()).await;
    serving.abort();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_real_garage_holds_the_contract() {
    let Some(garage) = garage::Garage::start().await else { return };
    holds(&S3::open(&garage.access(), "copies", None, QUICK).unwrap()).await;
}
