//! Originals outside: announced once, and dealt with when their fate is known.

use matinee_core::arrival::{Ending, Fate, Keep, Place, Stamp};
use matinee_core::job::load::Load;
use matinee_core::job::retry::Class;
use matinee_core::job::{Kind, NewJob, Task};
use matinee_core::upload::State;
use serde_json::json;

use super::stage::finish;
use super::support::{Bench, T0, id, on_both};
use crate::db::DbError;
use crate::db::arrival::{NewArrival, Original};

on_both! {
    an_original_is_announced_once_and_all_or_none
    one_node_at_a_time_looks_through_a_source
    a_taken_original_is_finished_with_its_job
    an_original_is_due_when_its_fate_is_known
    a_job_that_dies_ends_its_upload_with_the_reason
    what_may_be_seen_again_stays_remembered
}

impl Bench {
    fn arrival(&self, source: &str, mark: &str) -> NewArrival {
        let upload = self.new_upload(Some(10));
        let from = Place::File { below: None, path: "/a".to_owned(), keep: Keep::Moved, mark: None };
        let job = NewJob {
            id: id(),
            app: self.app,
            video: Some(upload.video),
            task: Task::Take { video: upload.video, from },
            prio: 0,
            weight: 0,
            run_at: T0,
            needs: Vec::new(),
            load: Load::default(),
            idem_key: None,
        };
        let stamp = Stamp { inode: 1, size: 10, modified_ns: 3 };
        let original = Original {
            source: source.to_owned(),
            name: "a".to_owned(),
            mark: mark.to_owned(),
            ending: Ending::Remove { stamp },
        };
        NewArrival { upload, job, original: Some(original) }
    }
}

async fn an_original_is_announced_once_and_all_or_none(bench: Bench) {
    let (one, same) = (bench.arrival("in", "1"), bench.arrival("in", "1"));
    bench.db.announce_arrivals(std::slice::from_ref(&one)).await.unwrap();
    let both = [bench.arrival("in", "2"), same];
    let refused = bench.db.announce_arrivals(&both).await;
    assert!(matches!(&refused, Err(DbError::Taken(cause)) if cause.contains("arrival")), "{refused:?}");
    assert_eq!(bench.db.upload(bench.app, both[0].upload.id).await.unwrap(), None, "none of them");
    bench.db.announce_arrivals(&[bench.arrival("other", "1")]).await.unwrap();
    let marks = ["1", "2"].map(str::to_owned);
    assert_eq!(bench.db.known_marks("in", &marks).await.unwrap(), ["1"]);
    assert!(bench.db.known_marks("in", &[]).await.unwrap().is_empty());
    assert_eq!(bench.db.arrivals_open("in").await.unwrap(), 1);
    bench.hold(Kind::Take, T0).await;
}

async fn one_node_at_a_time_looks_through_a_source(bench: Bench) {
    let may = async |source: &str, node: &str, now: i64| {
        bench.db.may_look(source, node, (T0.plus(now), T0.plus(now + 10))).await.unwrap()
    };
    assert!(may("in", "a", 0).await);
    assert!(!may("in", "b", 9).await, "somebody looks");
    assert!(may("other", "b", 9).await, "there nobody does");
    assert!(may("in", "a", 9).await, "it goes on");
    assert!(!may("in", "b", 18).await);
    assert!(may("in", "b", 19).await, "it has said nothing for too long");
    assert!(!may("in", "a", 20).await);
}

async fn a_taken_original_is_finished_with_its_job(bench: Bench) {
    let new = bench.arrival("in", "1");
    bench.db.announce_arrivals(std::slice::from_ref(&new)).await.unwrap();
    let lease = bench.hold(Kind::Take, T0).await;
    let epoch = bench.db.take_upload(new.upload.id).await.unwrap();
    let mut finish = finish(new.upload.id, Some(epoch), 10);
    finish.now = T0.plus(matinee_core::limits::LEASE_MS + 1);
    let late = bench.db.finish_taken(&finish, &lease).await;
    assert!(matches!(late, Err(DbError::LeaseLost)), "{late:?}");
    let open = bench.db.upload(bench.app, new.upload.id).await.unwrap().unwrap();
    assert!(matches!(open.state, State::Open { .. }), "a lost lease changes nothing");
    finish.now = T0;
    assert_eq!(bench.db.finish_taken(&finish, &lease).await.unwrap(), new.upload.video);
    bench.hold(Kind::Probe, T0).await;
}

async fn an_original_is_due_when_its_fate_is_known(bench: Bench) {
    let new = bench.arrival("in", "1");
    bench.db.announce_arrivals(std::slice::from_ref(&new)).await.unwrap();
    assert!(bench.db.arrivals_due(T0, 10).await.unwrap().is_empty(), "its upload is open");
    let lease = bench.hold(Kind::Take, T0).await;
    let finish = finish(new.upload.id, None, 10);
    bench.db.finish_taken(&finish, &lease).await.unwrap();
    assert!(bench.db.arrivals_due(T0, 10).await.unwrap().is_empty(), "its video was not checked");
    let probe = bench.hold(Kind::Probe, T0).await;
    let error = json!({ "code": "no_video", "human": "It is text.", "fix": "Send a film." });
    bench.db.fail_job(&probe, Class::Refusal, error, T0, 0).await.unwrap();
    let due = bench.db.arrivals_due(T0, 10).await.unwrap();
    assert_eq!(due[0].original, new.original.clone().unwrap());
    assert!(matches!(&due[0].fate, Fate::Refused(Some(problem)) if problem.code == "no_video"), "{due:?}");
    bench.db.arrival_later(new.upload.id, T0.plus(5)).await.unwrap();
    assert!(bench.db.arrivals_due(T0, 10).await.unwrap().is_empty());
    assert_eq!(bench.db.arrivals_due(T0.plus(5), 10).await.unwrap(), due);
    bench.db.arrival_settled(new.upload.id, false, T0).await.unwrap();
    assert!(bench.db.arrivals_due(T0.plus(5), 10).await.unwrap().is_empty());
    assert!(bench.db.known_marks("in", &["1".to_owned()]).await.unwrap().is_empty(), "it may come back");

    let expired = bench.arrival("in", "2");
    bench.db.announce_arrivals(std::slice::from_ref(&expired)).await.unwrap();
    bench.db.expire_uploads(T0.plus(1_000), 10).await.unwrap();
    assert_eq!(bench.db.arrivals_due(T0, 10).await.unwrap()[0].fate, Fate::Void);
}

async fn a_job_that_dies_ends_its_upload_with_the_reason(bench: Bench) {
    let new = bench.arrival("in", "1");
    bench.db.announce_arrivals(std::slice::from_ref(&new)).await.unwrap();
    let lease = bench.hold(Kind::Take, T0).await;
    let error = json!({ "code": "import_link", "human": "No.", "fix": "Do." });
    bench.db.fail_job(&lease, Class::Refusal, error, T0, 0).await.unwrap();
    let over = bench.db.upload(bench.app, new.upload.id).await.unwrap().unwrap();
    assert_eq!((over.state, over.reason.unwrap().code.as_str()), (State::Lost, "import_link"));
    let fate = bench.db.arrivals_due(T0, 10).await.unwrap().remove(0).fate;
    assert!(matches!(fate, Fate::Refused(Some(problem)) if problem.code == "import_link"));
}

async fn what_may_be_seen_again_stays_remembered(bench: Bench) {
    let new = bench.arrival("bucket", "etag key");
    bench.db.announce_arrivals(std::slice::from_ref(&new)).await.unwrap();
    bench.db.cancel_upload(new.upload.id, T0).await.unwrap();
    let due = bench.db.arrivals_due(T0, 10).await.unwrap();
    assert!(matches!(&due[0].fate, Fate::Refused(Some(problem)) if problem.code == "cancelled"), "{due:?}");
    bench.db.arrival_settled(new.upload.id, true, T0).await.unwrap();
    assert!(bench.db.arrivals_due(T0, 10).await.unwrap().is_empty());
    assert_eq!(bench.db.arrivals_open("bucket").await.unwrap(), 0);
    assert_eq!(bench.db.known_marks("bucket", &["etag key".to_owned()]).await.unwrap(), ["etag key"]);
}
