//! What the local store promises.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::TryStreamExt;
use matinee_core::id::ObjectId;

use super::*;
use crate::random;

fn store() -> (tempfile::TempDir, Local) {
    let dir = tempfile::tempdir().unwrap();
    let store = Local::open(dir.path()).unwrap();
    (dir, store)
}

fn pattern(len: usize) -> Bytes {
    (0..len).map(|at| u8::try_from((at ^ (at >> 8) ^ (at >> 16)) & 255).unwrap()).collect()
}

async fn put(store: &Local, bytes: &Bytes) -> ObjectId {
    let object = random::id();
    store.write(object, vec![Piece::Literal(bytes.clone())]).await.unwrap();
    object
}

#[tokio::test]
async fn a_rope_is_written_with_its_size_and_hash_and_streams_the_same() {
    let (dir, store) = store();
    let source = pattern(1_000_000);
    let object = put(&store, &source).await;
    let outside = dir.path().join("out_0.mp4");
    std::fs::write(&outside, &source).unwrap();
    let file = Arc::new(File::open(outside).unwrap());
    let mut pieces = vec![Piece::Literal(Bytes::new()), Piece::Literal(source.slice(..100_000))];
    for (offset, len) in [(0, 0), (7, 1), (4096, 700_000), (999_999, 1), (123, 32 << 10)] {
        pieces.push(Piece::Object { object, offset, len });
        pieces.push(Piece::Literal(Bytes::from_static(b"moof")));
        pieces.push(Piece::File { file: Arc::clone(&file), offset, len });
    }
    let streamed: Vec<Bytes> = store.stream(pieces.clone()).try_collect().await.unwrap();
    let streamed = streamed.concat();
    let copy = random::id();
    let written = store.write(copy, pieces.clone()).await.unwrap();
    assert!(std::fs::read(store.path_of(copy)).unwrap() == streamed);
    assert_eq!(written.size, pieces.iter().map(Piece::len).sum::<u64>());
    assert_eq!(written, Written { size: streamed.len() as u64, blake3: *blake3::hash(&streamed).as_bytes() });
    assert!(streamed[100_000..].starts_with(b"moof"));
}

#[tokio::test]
async fn a_removed_object_is_served_to_nobody() {
    let (_dir, store) = store();
    let object = put(&store, &pattern(10)).await;
    assert_eq!(&store.read_at(object, 2, 3).await.unwrap()[..], &pattern(10)[2..5]);
    assert_eq!(store.remove(object).await.unwrap(), Removed::Gone);
    assert!(matches!(store.file(object), Err(StoreError::Absent(_))), "also not from the cache");
    assert_eq!(store.remove(object).await.unwrap(), Removed::WasAbsent);
    assert!(!store.exists(object).await.unwrap());
}

#[tokio::test]
async fn objects_are_immutable_and_never_longer_than_they_are() {
    let (_dir, store) = store();
    let object = put(&store, &pattern(10)).await;
    assert!(matches!(store.create(object), Err(StoreError::Exists(_))));
    assert!(matches!(store.read_at(object, 8, 3).await, Err(StoreError::Short(_))));
    let pieces = vec![Piece::Object { object, offset: 0, len: 11 }];
    let streamed: Result<Vec<Bytes>, _> = store.stream(pieces.clone()).try_collect().await;
    assert!(streamed.is_err());
    let copy = random::id();
    assert!(matches!(store.write(copy, pieces).await, Err(StoreError::Short(short)) if short == object));
    assert!(!store.exists(copy).await.unwrap(), "half an object is removed");
}

#[tokio::test]
async fn the_listing_tells_objects_from_strays() {
    let (_dir, store) = store();
    let object = put(&store, &pattern(10)).await;
    let stray = store.path_of(object).with_file_name("core.123");
    std::fs::write(&stray, b"x").unwrap();
    let mut listed: Vec<Listed> = store.list().unwrap().map(Result::unwrap).collect();
    listed.sort_by_key(|entry| matches!(entry, Listed::Stray { .. }));
    assert_eq!(listed, [Listed::Object { object, size: 10 }, Listed::Stray { path: stray }]);
    assert!(store.free_bytes().unwrap() > 0);
}
