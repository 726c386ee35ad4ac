//! What goes wrong at a service, and what comes of it; on all that are imitated.

use std::sync::Mutex;

use super::*;
use crate::store::contract::{QUICK, file, noise, put, read};
use crate::store::fake::{self, Call, Fake, Fault, Inventory, Profile, Trouble};
use crate::store::port::{Proof, Untold};
use crate::store::{ConditionalPut, OldVersion};

const KEY: &str = "vid_1/source/obj_1";
/// Five parts and a bit.
const LONG: usize = (40 << 20) + 12_345;
/// Two parts and a bit.
const SHORT: usize = (16 << 20) + 1;

async fn fake(profile: Profile) -> (Fake, S3) {
    let fake = Fake::start(profile).await.unwrap();
    let store = S3::open(&fake.access(), "copies", None, QUICK).unwrap();
    (fake, store)
}

/// Keeps what a row would keep.
#[derive(Default)]
struct Row(Mutex<Vec<Begun>>);

impl Row {
    fn last(&self) -> Option<Begun> {
        self.0.lock().unwrap().last().cloned()
    }
}

impl Told for Row {
    fn begun<'a>(&'a self, begun: &'a Begun) -> Answer<'a, ()> {
        self.0.lock().unwrap().push(begun.clone());
        Box::pin(async { Ok(()) })
    }
}

/// Numbers of the parts that arrived, in order.
fn parts(fake: &Fake) -> Vec<u64> {
    let journal = fake.journal();
    let good = journal.iter().filter(|entry| entry.call == Call::Part && entry.status == 200);
    let mut parts: Vec<_> = good.filter_map(|entry| entry.part).collect();
    parts.sort_unstable();
    parts
}

fn full() -> String {
    format!("copies/{KEY}")
}

#[tokio::test]
async fn a_put_that_was_killed_goes_on_with_the_parts_that_are_there() {
    for profile in Profile::ALL {
        let (fake, store) = fake(profile).await;
        let (bytes, row) = (noise(LONG), Row::default());
        let size = bytes.len() as u64;
        // Two parts arrive, and no other one does.
        fake.fail(Fault { skip: 2, ..Fault::always(Call::Part, Trouble::Status(500)) });
        let failed = store.put(KEY, file(&bytes), size, None, &row).await.unwrap_err();
        assert!(failed.is_again(), "{failed}");
        fake.mend();
        assert_eq!(parts(&fake).len(), 2);
        assert_eq!(fake.inventory().uploads, 1);
        let begun = row.last().unwrap();
        let put = store.put(KEY, file(&bytes), size, Some(&begun), &row).await.unwrap();
        assert_eq!(put.proof, Proof::Hashed);
        assert_eq!(put.version.is_some(), profile == Profile::B2);
        assert_eq!(parts(&fake), [1, 2, 3, 4, 5, 6], "{profile:?}: no part was sent twice");
        assert_eq!(row.0.lock().unwrap().len(), 1, "the same upload");
        assert!(fake.bytes(&full()).unwrap() == bytes);
        let whole = Inventory { objects: 1, bytes: size, ..Inventory::default() };
        assert_eq!(fake.inventory(), whole);
        store.remove(KEY, put.version.as_deref()).await.unwrap();
        assert_eq!(fake.inventory(), Inventory::default());
        assert_eq!(fake.unexpected(), Vec::<String>::new());
    }
}

#[tokio::test]
async fn whatever_goes_wrong_once_costs_no_byte_and_leaves_nothing() {
    let bytes = noise(SHORT);
    let size = bytes.len() as u64;
    for profile in Profile::ALL {
        for (call, trouble) in [
            (Call::Begin, Trouble::SlowDown),
            (Call::Part, Trouble::SlowDown),
            (Call::Part, Trouble::Reset),
            (Call::Part, Trouble::Lost),
            (Call::Part, Trouble::Status(502)),
            (Call::Complete, Trouble::SlowDown),
            (Call::Complete, Trouble::Reset),
            (Call::Complete, Trouble::Lost),
            (Call::Complete, Trouble::ErrorInside),
            (Call::Complete, Trouble::PartGone),
            (Call::Complete, Trouble::Pretended),
        ] {
            let (fake, store) = fake(profile).await;
            fake.fail(Fault::once(call, trouble));
            let row = Row::default();
            let put = store.put(KEY, file(&bytes), size, None, &row).await;
            let put = put.unwrap_or_else(|error| panic!("{profile:?} {call:?} {trouble:?}: {error}"));
            assert!(fake.bytes(&full()).unwrap() == bytes, "{profile:?} {call:?} {trouble:?}");
            assert_eq!(put.proof, Proof::Hashed, "{profile:?} {call:?} {trouble:?}");
            store.remove(KEY, put.version.as_deref()).await.unwrap();
            assert_eq!(fake.inventory(), Inventory::default(), "{profile:?} {call:?} {trouble:?}");
            assert_eq!(fake.unexpected(), Vec::<String>::new());
        }
    }
}

#[tokio::test]
async fn a_completion_whose_answer_was_lost_with_us_is_seen() {
    let (fake, store) = fake(Profile::B2).await;
    let (bytes, row) = (noise(SHORT), Row::default());
    let size = bytes.len() as u64;
    let done = store.put(KEY, file(&bytes), size, None, &row).await.unwrap();
    let sent = parts(&fake).len();
    // Killed before the answer was saved: the row has the upload only.
    let again = store.put(KEY, file(&bytes), size, Some(&row.last().unwrap()), &row).await.unwrap();
    assert_eq!(again, done);
    assert_eq!(parts(&fake).len(), sent, "nothing was sent again");
}

#[tokio::test]
async fn an_upload_that_has_expired_begins_anew() {
    let (fake, store) = fake(Profile::R2).await;
    let (bytes, row) = (noise(LONG), Row::default());
    let size = bytes.len() as u64;
    fake.fail(Fault { skip: 2, ..Fault::always(Call::Part, Trouble::Status(500)) });
    store.put(KEY, file(&bytes), size, None, &row).await.unwrap_err();
    fake.mend();
    fake.pass_ms(8 * 86_400_000);
    assert_eq!(fake.inventory(), Inventory::default());
    let begun = row.last();
    store.put(KEY, file(&bytes), size, begun.as_ref(), &row).await.unwrap();
    assert_eq!(row.0.lock().unwrap().len(), 2);
    assert!(fake.bytes(&full()).unwrap() == bytes);
}

#[tokio::test]
async fn an_upload_that_nobody_can_remember_does_not_begin() {
    struct Full;
    impl Told for Full {
        fn begun<'a>(&'a self, _: &'a Begun) -> Answer<'a, ()> {
            Box::pin(async { Err(RemoteError::Again("the database is away".to_owned())) })
        }
    }
    let (fake, store) = fake(Profile::Aws).await;
    let bytes = noise(SHORT);
    let failed = store.put(KEY, file(&bytes), bytes.len() as u64, None, &Full).await.unwrap_err();
    assert!(failed.is_again());
    assert_eq!(parts(&fake), [0_u64; 0]);
    assert_eq!(fake.inventory(), Inventory::default());
}

#[tokio::test]
async fn an_upload_is_given_up() {
    let (fake, store) = fake(Profile::B2).await;
    let (bytes, row) = (noise(LONG), Row::default());
    fake.fail(Fault { skip: 3, ..Fault::always(Call::Part, Trouble::Status(500)) });
    store.put(KEY, file(&bytes), bytes.len() as u64, None, &row).await.unwrap_err();
    let hidden = store.hidden(10).await.unwrap();
    assert_eq!(hidden.uploads.len(), 1);
    assert_eq!((hidden.uploads[0].key.as_str(), hidden.uploads[0].since.is_some()), (KEY, true));
    store.abort(KEY, &row.last().unwrap()).await.unwrap();
    assert_eq!(fake.inventory(), Inventory::default());
    store.abort(KEY, &row.last().unwrap()).await.unwrap();
}

#[tokio::test]
async fn nothing_is_paid_for_after_a_removal_on_b2() {
    let (fake, store) = fake(Profile::B2).await;
    let bytes = noise(1_000);
    let twice = [put(&store, "vid_1/twice", &bytes).await, put(&store, "vid_1/twice", &bytes).await];
    assert_eq!(twice[0], twice[1], "what is there is not put again");
    store.remove("vid_1/twice", None).await.unwrap();
    // The answer is lost, so the client puts it again: two versions.
    fake.fail(Fault::once(Call::Put, Trouble::Lost));
    let done = put(&store, KEY, &bytes).await;
    // Somebody hides it by hand.
    store.ask(&ask::Ask::new(Method::DELETE, Some(&full()), &[])).await.unwrap();
    let found = fake.inventory();
    assert_eq!((found.objects, found.old_versions, found.marks, found.bytes), (0, 2, 1, 2_000));
    assert_eq!(store.look(KEY).await.unwrap(), None, "a listing shows nothing");
    let hidden = store.hidden(10).await.unwrap();
    assert_eq!(hidden.versions.iter().filter(|old| old.size == Some(1_000)).count(), 2);
    assert_eq!(hidden.versions.iter().filter(|old| old.size.is_none()).count(), 1);
    store.remove(KEY, done.version.as_deref()).await.unwrap();
    assert_eq!(fake.inventory(), Inventory::default());
}

#[tokio::test]
async fn what_is_hidden_is_found_over_many_pages() {
    let (fake, store) = fake(Profile::B2).await;
    fake.paged(2);
    for number in 0..5 {
        let key = format!("vid_{number}/a");
        for len in 1..=3 {
            put(&store, &key, &noise(len)).await;
        }
    }
    put(&S3::open(&fake.access(), "elsewhere", None, QUICK).unwrap(), "vid_0/a", b"1").await;
    let hidden = store.hidden(100).await.unwrap();
    let sizes = |old: &[OldVersion]| old.iter().filter_map(|old| old.size).sum::<u64>();
    assert_eq!((hidden.versions.len(), sizes(&hidden.versions), hidden.more), (10, 15, false));
    let some = store.hidden(3).await.unwrap();
    assert_eq!((some.versions.len(), some.more), (3, true));
    for number in 0..5 {
        store.remove(&format!("vid_{number}/a"), None).await.unwrap();
    }
    assert_eq!(fake.inventory().bytes, 1, "only what is not ours is left");
}

#[tokio::test]
async fn strange_keys_are_no_reason_to_see_nothing() {
    let (fake, store) = fake(Profile::Aws).await;
    fake.paged(2);
    // What consoles and people leave behind.
    for key in ["copies/", "copies/a//b", "copies/a b", "copies/\u{e4}", "elsewhere/z"] {
        let ask = ask::Ask::new(Method::PUT, Some(key), &[]);
        assert!(store.ask(&ask).await.unwrap().is_good(), "{key}");
    }
    assert_eq!(store.list(None, 10).await.unwrap(), Page::default());
    put(&store, "vid_1/a", b"1").await;
    let page = store.list(None, 10).await.unwrap();
    assert_eq!(page.objects.iter().map(|seen| seen.key.as_str()).collect::<Vec<_>>(), ["vid_1/a"]);
    assert_eq!(store.hidden(10).await.unwrap(), Hidden::default());
}

#[tokio::test]
async fn many_parts_are_seen_over_many_pages() {
    let (fake, store) = fake(Profile::Garage).await;
    fake.paged(2);
    let (bytes, row) = (noise(LONG), Row::default());
    fake.fail(Fault { skip: 5, ..Fault::always(Call::Part, Trouble::Status(500)) });
    store.put(KEY, file(&bytes), bytes.len() as u64, None, &row).await.unwrap_err();
    fake.mend();
    store.put(KEY, file(&bytes), bytes.len() as u64, row.last().as_ref(), &row).await.unwrap();
    assert_eq!(parts(&fake), [1, 2, 3, 4, 5, 6]);
}

#[tokio::test]
async fn a_service_that_refuses_is_not_asked_again_and_again() {
    let (fake, store) = fake(Profile::B2).await;
    fake.fail(Fault::always(Call::Put, Trouble::Capped));
    let refused = store.put(KEY, file(b"1"), 1, None, &Untold).await.unwrap_err();
    assert!(matches!(refused, RemoteError::Refused(_)), "{refused}");
    assert!(refused.is_of_the_store() && !refused.is_again());
    assert_eq!(fake.journal().len(), 2, "a look and the put");
}

#[tokio::test]
async fn who_is_wrong_about_key_region_bucket_class_or_time_is_told() {
    let fake = Fake::start(Profile::Aws).await.unwrap();
    let of = |change: &dyn Fn(&mut Access), class: Option<&str>| {
        let mut access = fake.access();
        change(&mut access);
        S3::open(&access, "", class.map(str::to_owned), QUICK).unwrap()
    };
    let tried = |store: S3| async move { store.put(KEY, file(b"1"), 1, None, &Untold).await.unwrap_err() };
    let listed = |store: S3| async move { store.list(None, 1).await.unwrap_err() };
    for store in [
        of(&|access| access.access_key.push('x'), None),
        of(&|access| access.secret_key.push('x'), None),
        of(&|access| access.region.push('x'), None),
        of(&|access| access.bucket.push('x'), None),
    ] {
        for error in [tried(store.clone()).await, listed(store).await] {
            assert!(matches!(error, RemoteError::Refused(_)), "{error}");
        }
    }
    let error = tried(of(&|_| (), Some("FREEZER"))).await;
    assert!(matches!(error, RemoteError::Wrong(_)), "{error}");
    fake.skew_ms(16 * 60_000);
    let error = tried(of(&|_| (), None)).await;
    assert!(matches!(error, RemoteError::Refused(_)), "{error}");
    fake.skew_ms(14 * 60_000);
    put(&of(&|_| (), Some("STANDARD_IA")), KEY, b"1").await;
    let seen = fake.inventory();
    assert_eq!((seen.objects, seen.bytes), (1, 1));
}

#[tokio::test]
async fn a_read_gives_all_bytes_or_a_failure() {
    let (fake, store) = fake(Profile::R2).await;
    let bytes = noise(100_000);
    put(&store, KEY, &bytes).await;
    fake.fail(Fault::once(Call::Get, Trouble::Reset));
    assert!(read(&store, KEY, 10..90_000).await.unwrap() == bytes[10..90_000], "asked again by itself");
    fake.fail(Fault::always(Call::Get, Trouble::Cut));
    assert!(read(&store, KEY, 0..100_000).await.unwrap_err().is_again());
    fake.mend();
    fake.fail(Fault::once(Call::Get, Trouble::WrongBytes));
    assert!(read(&store, KEY, 0..100_000).await.unwrap() != bytes, "that only a hash can tell");
}

#[tokio::test]
async fn what_is_frozen_says_so_and_tells_what_it_is_all_the_same() {
    let fake = Fake::start(Profile::Aws).await.unwrap();
    let store = S3::open(&fake.access(), "copies", Some("GLACIER".to_owned()), QUICK).unwrap();
    for len in [7, SHORT] {
        let bytes = noise(len);
        let first = put(&store, KEY, &bytes).await;
        assert_eq!(first.proof, Proof::Hashed);
        let error = read(&store, KEY, 0..5).await.unwrap_err();
        assert!(matches!(error, RemoteError::Frozen(_)), "{error}");
        assert!(!error.is_again() && !error.is_of_the_store(), "it is about this one only");
        let looked = store.look(KEY).await.unwrap().unwrap();
        assert_eq!((looked.size, looked.tag.clone()), (len as u64, first.tag));
        assert!(looked.tag.is_some());
        assert_eq!(put(&store, KEY, &bytes).await.proof, Proof::Hashed, "its answer was lost");
        store.remove(KEY, None).await.unwrap();
    }
    put(&store, KEY, b"12345").await;
    fake.thaw();
    assert_eq!(read(&store, KEY, 0..5).await.unwrap(), b"12345");
}

#[tokio::test]
async fn an_address_gives_its_right_to_whoever_has_it_for_a_while() {
    let (fake, store) = fake(Profile::Aws).await;
    open::provide();
    let client = reqwest::Client::new();
    let status = |method: Method, url: Url, body: &'static [u8]| {
        let request = client.request(method, url).body(body);
        async move { request.send().await.unwrap().status().as_u16() }
    };
    let url = |method: Method| store.presigned(KEY, &method, 60).unwrap();
    assert_eq!(status(Method::PUT, url(Method::PUT), b"film").await, 200);
    let got = client.get(url(Method::GET)).send().await.unwrap().bytes().await.unwrap();
    assert_eq!(&got[..], b"film");
    assert_eq!(status(Method::PUT, url(Method::GET), b"other").await, 403, "another method");
    let changed = url(Method::GET).as_str().replace("obj_1", "obj_2");
    assert_eq!(status(Method::GET, changed.parse().unwrap(), b"").await, 403, "another object");
    let longer = url(Method::GET).as_str().replace("X-Amz-Expires=60", "X-Amz-Expires=600");
    assert_eq!(status(Method::GET, longer.parse().unwrap(), b"").await, 403, "a longer time");
    fake.skew_ms(61_000);
    assert_eq!(status(Method::GET, url(Method::GET), b"").await, 403, "too late");
}

#[tokio::test]
async fn what_each_service_can_do_is_found_out_and_nothing_stays() {
    for profile in Profile::ALL {
        let (fake, store) = fake(profile).await;
        let facts = store.facts("trial", Depth::Whole).await.unwrap();
        assert_eq!(
            facts.conditional_put,
            match profile {
                Profile::Aws | Profile::R2 => ConditionalPut::Honoured,
                Profile::B2 => ConditionalPut::Refused,
                Profile::Garage => ConditionalPut::Ignored,
            },
            "{profile:?}"
        );
        assert_eq!(facts.equal_parts, Some(profile == Profile::R2));
        assert_eq!(facts.checksum, profile != Profile::B2);
        assert_eq!(facts.versioned_deletes, profile == Profile::B2);
        assert_eq!(facts.part_min, Some(if profile == Profile::Garage { 1 } else { 5 << 20 }));
        assert!(facts.hashed && facts.list_parts && facts.list_uploads);
        assert_eq!(fake.inventory(), Inventory::default(), "{profile:?}");
        assert_eq!(fake.unexpected(), Vec::<String>::new(), "{profile:?}");
        let brief = store.facts("trial", Depth::Brief).await.unwrap();
        assert_eq!(brief, Facts { equal_parts: None, part_min: None, ..facts });
        assert_eq!(fake.inventory(), Inventory::default(), "{profile:?}");
    }
}

#[tokio::test]
async fn a_trial_that_fails_leaves_nothing_either() {
    let (fake, store) = fake(Profile::B2).await;
    fake.fail(Fault::once(Call::Complete, Trouble::Capped));
    fake.fail(Fault { skip: 1, ..Fault::once(Call::Part, Trouble::Capped) });
    store.facts("trial", Depth::Whole).await.unwrap_err();
    assert_eq!(fake.inventory(), Inventory::default());
}

#[test]
fn nothing_that_is_shown_has_the_key_in_it() {
    let access = Access {
        bucket: "films".to_owned(),
        endpoint: Some("http://127.0.0.1:9".to_owned()),
        region: "r".to_owned(),
        access_key: fake::ACCESS_KEY.to_owned(),
        secret_key: "hidden".to_owned(),
    };
    let store = S3::open(&access, "copies", None, QUICK).unwrap();
    assert_eq!(format!("{store:?}"), "S3(http://127.0.0.1:9/films/copies/)");
}

#[test]
fn the_address_of_a_bucket_follows_its_service() {
    let access = |bucket: &str, endpoint: Option<&str>| Access {
        bucket: bucket.to_owned(),
        endpoint: endpoint.map(str::to_owned),
        region: "eu-north-1".to_owned(),
        access_key: "k".to_owned(),
        secret_key: "s".to_owned(),
    };
    for (bucket, endpoint, expected) in [
        ("films", None, "https://films.s3.eu-north-1.amazonaws.com/copies/a/b"),
        ("my.films", None, "https://s3.eu-north-1.amazonaws.com/my.films/copies/a/b"),
        ("films", Some("https://s3.example.org/"), "https://s3.example.org/films/copies/a/b"),
        ("films", Some("http://10.0.0.5:9000"), "http://10.0.0.5:9000/films/copies/a/b"),
    ] {
        let store = S3::open(&access(bucket, endpoint), "/copies/", None, QUICK).unwrap();
        assert_eq!(store.url(&store.full("a/b").unwrap()).as_str(), expected);
    }
    for wrong in ["nowhere", "ftp://host", "https://host/?a=b"] {
        assert!(S3::open(&access("films", Some(wrong)), "", None, QUICK).is_err(), "{wrong}");
    }
}

#[tokio::test]
async fn a_page_in_the_place_of_versions_is_not_taken_for_none() {
    let (fake, store) = fake(Profile::B2).await;
    put(&store, KEY, b"bytes that are paid for").await;
    fake.fail(Fault::once(Call::ListVersions, Trouble::Status(200)));
    let failed = store.remove(KEY, None).await.unwrap_err();
    assert!(failed.is_again(), "{failed}");
    store.remove(KEY, None).await.unwrap();
    assert_eq!(fake.inventory(), Inventory::default(), "every version is freed");
}
