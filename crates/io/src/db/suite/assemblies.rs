//! Assemblies and the rows of brokers: made once, filled in order, ended once, and told of by one node at a time.

use matinee_core::assembly::{FILES_MAX, Notice, State, TEMPLATES_MAX};
use matinee_core::event::Topic;
use matinee_core::id::AppId;
use matinee_core::time::Millis;
use serde_json::json;

use super::support::{Bench, T0, id, on_both, unique};
use crate::db::DbError;
use crate::db::assembly::{
    AssemblyKey, AssemblyMade, AssemblyTemplate, NewAssembly, NewAssemblyFile, Noticed,
};

on_both! {
    an_assembly_is_made_once_and_so_is_a_nonce
    files_have_places_in_the_order_in_which_they_came
    an_assembly_is_due_when_something_of_it_has_moved
    an_end_is_told_by_one_node_at_a_time
    keys_and_templates_are_of_their_app_and_not_endless
    an_app_that_goes_takes_its_assemblies_along
    one_node_at_a_time_sends_to_a_broker_and_goes_on_behind_the_cursor
    a_command_is_answered_once
}

fn new(app: AppId) -> NewAssembly {
    NewAssembly {
        id: format!("{:032x}", unique()),
        app,
        key: id(),
        base: "https://v.example".to_owned(),
        params: "{}".to_owned(),
        fields: json!({}),
        nonce: None,
        template: None,
        steps: json!([]),
        pipeline: "default".to_owned(),
        expected: 1,
        max_bytes: None,
        notify_url: Some("https://site.example/".to_owned()),
        pulls: Vec::new(),
        expires: T0.plus(1_000),
        now: T0,
    }
}

async fn made(bench: &Bench) -> NewAssembly {
    let new = new(bench.app);
    assert_eq!(bench.db.create_assembly(&new).await.unwrap(), AssemblyMade::Made);
    new
}

/// Adds a file whose bytes still come; its upload.
async fn file(bench: &Bench, assembly: &str) -> crate::db::NewUpload {
    let upload = bench.upload_of(Some(10)).await;
    let new = NewAssemblyFile {
        upload: upload.id,
        video: upload.video,
        step: ":original".to_owned(),
        field: "file".to_owned(),
        name: "a.mp4".to_owned(),
        meta: json!({}),
        bytes: Some(10),
    };
    bench.db.add_assembly_file(assembly, &new).await.unwrap();
    upload
}

/// All its bytes are here.
async fn finish(bench: &Bench, upload: &crate::db::NewUpload) {
    let epoch = bench.db.take_upload(upload.id).await.unwrap();
    let finish = crate::db::Finish {
        id: upload.id,
        epoch: Some(epoch),
        size: 10,
        blake3: None,
        slabs: Vec::new(),
        probe_job: id(),
        now: T0,
    };
    bench.db.finish_upload(&finish).await.unwrap();
}

async fn due(bench: &Bench, now: Millis) -> Vec<String> {
    bench.db.assemblies_due(now, 10).await.unwrap()
}

async fn an_assembly_is_made_once_and_so_is_a_nonce(bench: Bench) {
    let first = made(&bench).await;
    assert_eq!(bench.db.create_assembly(&first).await.unwrap(), AssemblyMade::SameId);
    let nonce = NewAssembly { nonce: Some("n".to_owned()), ..new(bench.app) };
    assert_eq!(bench.db.create_assembly(&nonce).await.unwrap(), AssemblyMade::Made);
    let again = NewAssembly { key: nonce.key, nonce: nonce.nonce.clone(), ..new(bench.app) };
    assert_eq!(bench.db.create_assembly(&again).await.unwrap(), AssemblyMade::NonceUsed);
    let other = NewAssembly { nonce: nonce.nonce.clone(), ..new(bench.app) };
    assert_eq!(bench.db.create_assembly(&other).await.unwrap(), AssemblyMade::Made, "by another key");
    let shown = bench.db.assembly(&first.id).await.unwrap().unwrap();
    assert_eq!((shown.state, shown.notice, shown.app), (State::Uploading, Notice::Off, bench.app));
    assert_eq!(bench.db.assembly(&again.id).await.unwrap(), None);
    assert!(
        matches!(bench.db.create_assembly(&new(id())).await, Err(DbError::Absent)),
        "there is no such app"
    );
}

async fn files_have_places_in_the_order_in_which_they_came(bench: Bench) {
    let assembly = made(&bench).await.id;
    let (first, second) = (file(&bench, &assembly).await, file(&bench, &assembly).await);
    assert!(!bench.db.place_assembly_files(&assembly).await.unwrap());
    finish(&bench, &second).await;
    assert!(bench.db.place_assembly_files(&assembly).await.unwrap());
    finish(&bench, &first).await;
    assert!(bench.db.place_assembly_files(&assembly).await.unwrap());
    assert!(!bench.db.place_assembly_files(&assembly).await.unwrap(), "once");
    let all = bench.db.assembly_files(&assembly).await.unwrap();
    let places: Vec<_> = all.iter().map(|file| (file.number, file.place)).collect();
    assert_eq!(places, [(1, Some(2)), (2, Some(1))]);
    for _ in 2..FILES_MAX {
        let new = NewAssemblyFile { upload: id(), video: id(), ..all[0].new.clone() };
        bench.db.add_assembly_file(&assembly, &new).await.unwrap();
    }
    let more = bench.db.add_assembly_file(&assembly, &all[0].new).await;
    assert!(matches!(more, Err(DbError::Conflict(_))), "{more:?}");
    let other = made(&bench).await.id;
    assert!(bench.db.move_assembly(&other, (State::Executing, None), T0).await.unwrap());
    let closed = bench.db.add_assembly_file(&other, &all[0].new).await;
    assert!(matches!(closed, Err(DbError::Conflict(_))), "{closed:?}");
}

async fn an_assembly_is_due_when_something_of_it_has_moved(bench: Bench) {
    let assembly = made(&bench).await.id;
    assert!(due(&bench, T0).await.is_empty());
    let upload = file(&bench, &assembly).await;
    assert!(due(&bench, T0).await.is_empty(), "its bytes come");
    finish(&bench, &upload).await;
    assert_eq!(due(&bench, T0).await, std::slice::from_ref(&assembly), "it has no place");
    bench.db.place_assembly_files(&assembly).await.unwrap();
    assert!(bench.db.move_assembly(&assembly, (State::Executing, None), T0).await.unwrap());
    assert!(due(&bench, T0.plus(5_000)).await.is_empty(), "it is worked on, and cannot be late any more");
    bench.db.delete_video(bench.app, upload.video, T0).await.unwrap();
    assert_eq!(due(&bench, T0).await, std::slice::from_ref(&assembly));
    assert!(bench.db.move_assembly(&assembly, (State::Failed, None), T0).await.unwrap());
    assert!(due(&bench, T0).await.is_empty());
    assert!(!bench.db.move_assembly(&assembly, (State::Completed, None), T0).await.unwrap(), "it has ended");
    let late = made(&bench).await.id;
    assert!(due(&bench, T0.plus(999)).await.is_empty());
    assert_eq!(due(&bench, T0.plus(1_000)).await, [late]);
    assert_eq!(bench.db.prune_assemblies(T0, 10).await.unwrap(), 0);
    assert_eq!(bench.db.prune_assemblies(T0.plus(1), 10).await.unwrap(), 1);
    assert_eq!(bench.db.assembly(&assembly).await.unwrap(), None);
}

async fn an_end_is_told_by_one_node_at_a_time(bench: Bench) {
    let assembly = made(&bench).await.id;
    let take = async |holder: &str, now: Millis| {
        let taken = bench.db.take_notices(holder, (now, now.plus(100)), 10).await.unwrap();
        taken.into_iter().map(|one| one.id).collect::<Vec<_>>()
    };
    assert!(take("a/1", T0).await.is_empty(), "it has not ended");
    bench.db.move_assembly(&assembly, (State::Canceled, None), T0).await.unwrap();
    assert_eq!(take("a/1", T0).await, std::slice::from_ref(&assembly));
    assert!(take("b/1", T0).await.is_empty());
    assert_eq!(bench.db.end_own_notices("b/2").await.unwrap(), 0);
    assert_eq!(bench.db.end_own_notices("a/2").await.unwrap(), 1, "an earlier run of the same node");
    assert_eq!(take("b/1", T0).await, std::slice::from_ref(&assembly));
    let again = Noticed { notice: Notice::Waiting, next: Some(T0.plus(50)), status: Some(503), took_ms: 7 };
    bench.db.settle_notice(&assembly, "a/1", again).await.unwrap();
    assert!(take("a/1", T0.plus(60)).await.is_empty(), "who has lost the right says nothing");
    bench.db.settle_notice(&assembly, "b/1", again).await.unwrap();
    assert!(take("a/1", T0.plus(49)).await.is_empty());
    assert_eq!(take("a/1", T0.plus(50)).await, std::slice::from_ref(&assembly));
    let done = Noticed { notice: Notice::Delivered, next: None, status: Some(200), took_ms: 3 };
    bench.db.settle_notice(&assembly, "a/1", done).await.unwrap();
    let shown = bench.db.assembly(&assembly).await.unwrap().unwrap();
    assert_eq!((shown.notice, shown.notice_tries, shown.notice_status), (Notice::Delivered, 2, Some(200)));
    assert!(take("a/1", T0.plus(1_000_000)).await.is_empty());
}

async fn keys_and_templates_are_of_their_app_and_not_endless(bench: Bench) {
    let other = id();
    bench.add_app(other).await;
    let key = |app| AssemblyKey { id: id(), app, name: "a".to_owned(), created: T0 };
    let first = key(bench.app);
    bench.db.create_assembly_key(&first).await.unwrap();
    assert_eq!(bench.db.assembly_key(first.id).await.unwrap(), Some(first.clone()));
    assert!(matches!(bench.db.delete_assembly_key(other, first.id).await, Err(DbError::Absent)));
    assert_eq!(bench.db.assembly_keys(other).await.unwrap(), []);
    for _ in 1..TEMPLATES_MAX {
        bench.db.create_assembly_key(&key(bench.app)).await.unwrap();
    }
    assert!(matches!(bench.db.create_assembly_key(&key(bench.app)).await, Err(DbError::Conflict(_))));
    bench.db.delete_assembly_key(bench.app, first.id).await.unwrap();
    assert_eq!(bench.db.assembly_key(first.id).await.unwrap(), None);

    let template = |name: String, body: i64| AssemblyTemplate {
        name,
        body: json!({ "steps": body }),
        pipeline: "assembly-1".to_owned(),
        made: json!({}),
        created: T0,
    };
    for number in 0..TEMPLATES_MAX {
        bench.db.put_assembly_template(bench.app, &template(format!("t{number}"), 1)).await.unwrap();
    }
    let full = bench.db.put_assembly_template(bench.app, &template("more".to_owned(), 1)).await;
    assert!(matches!(full, Err(DbError::Conflict(_))));
    bench.db.put_assembly_template(bench.app, &template("t0".to_owned(), 2)).await.unwrap();
    let shown = bench.db.assembly_template(bench.app, "t0").await.unwrap().unwrap();
    assert_eq!(shown.body, json!({ "steps": 2 }));
    assert_eq!(bench.db.assembly_template(other, "t0").await.unwrap(), None);
    assert!(matches!(bench.db.delete_assembly_template(other, "t0").await, Err(DbError::Absent)));
    bench.db.delete_assembly_template(bench.app, "t0").await.unwrap();
    assert_eq!(bench.db.assembly_templates(bench.app).await.unwrap().len(), TEMPLATES_MAX as usize - 1);
}

async fn an_app_that_goes_takes_its_assemblies_along(bench: Bench) {
    let other = id();
    bench.add_app(other).await;
    let new = NewAssembly { ..new(other) };
    bench.db.create_assembly(&new).await.unwrap();
    let file = NewAssemblyFile {
        upload: id(),
        video: id(),
        step: String::new(),
        field: String::new(),
        name: String::new(),
        meta: json!({}),
        bytes: None,
    };
    bench.db.add_assembly_file(&new.id, &file).await.unwrap();
    let key = AssemblyKey { id: id(), app: other, name: "a".to_owned(), created: T0 };
    bench.db.create_assembly_key(&key).await.unwrap();
    let erase = crate::db::Erase { app: other, collection: None, by: bench.app, job: id() };
    bench.db.close(erase, T0).await.unwrap();
    assert_eq!(bench.db.assembly(&new.id).await.unwrap(), None, "with the closing");
    assert_eq!(bench.db.assembly_key(key.id).await.unwrap(), None);
    bench.db.forget_closed(T0).await.unwrap();
    assert!(bench.db.apps().await.unwrap().iter().all(|app| app.id != other));
}

async fn one_node_at_a_time_sends_to_a_broker_and_goes_on_behind_the_cursor(bench: Bench) {
    let take = async |holder: &str, now: Millis| {
        bench.db.take_outbox("broker/a", holder, (now, now.plus(100))).await.unwrap()
    };
    bench.upload_of(Some(10)).await;
    let newest = bench.db.newest_event().await.unwrap();
    assert_eq!(bench.db.outbox("broker/a").await.unwrap(), None);
    assert_eq!(take("a/1", T0).await, Some(newest), "what was before is not told");
    assert_eq!(take("b/1", T0).await, None);
    assert_eq!(take("a/1", T0).await, Some(newest), "who has it has it");
    bench.upload_of(Some(10)).await;
    let row = ("broker/a", "a/1");
    bench.db.move_outbox(row, (newest + 1, true), (T0, T0.plus(100))).await.unwrap();
    let shown = bench.db.outbox("broker/a").await.unwrap().unwrap();
    assert_eq!((shown.seq, shown.waiting, shown.sent), (newest + 1, 0, Some(T0)));
    bench.db.fail_outbox("broker/a", "a/1", ("it is away", T0)).await.unwrap();
    assert_eq!(bench.db.outbox("broker/a").await.unwrap().unwrap().error.as_deref(), Some("it is away"));
    assert_eq!(take("b/1", T0).await, Some(newest + 1), "it was given back");
    assert_eq!(take("a/2", T0).await, None);
    assert_eq!(bench.db.end_own_outboxes("a/2").await.unwrap(), 0, "it is another node's");
    assert_eq!(bench.db.end_own_outboxes("b/2").await.unwrap(), 1, "an earlier run of the same node");
    assert_eq!(take("b/1", T0).await, Some(newest + 1));
    let late = bench.db.move_outbox(row, (newest + 2, true), (T0, T0.plus(100))).await;
    assert!(matches!(late, Err(DbError::LeaseLost)), "{late:?}");
    bench.db.move_outbox(("broker/a", "b/1"), (newest + 1, false), (T0, T0.plus(100))).await.unwrap();
    let well = bench.db.outbox("broker/a").await.unwrap().unwrap();
    assert_eq!((well.error, well.failing, well.sent), (None, None, Some(T0)));
}

async fn a_command_is_answered_once(bench: Bench) {
    for _ in 0..2 {
        bench.db.tell_command(bench.app, (Topic::CommandTaken, "queue/1"), &json!({}), T0).await.unwrap();
    }
    bench.db.tell_command(bench.app, (Topic::CommandRefused, "queue/2"), &json!({}), T0).await.unwrap();
    let told = async |command: &str| {
        bench.db.events_after(Some(bench.app), Some(command), 0, 10).await.unwrap().len()
    };
    assert_eq!((told("queue/1").await, told("queue/2").await), (1, 1));
}
