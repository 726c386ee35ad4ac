//! Uploads that go straight to a host: the host's word decides, and no clock of ours.

use matinee_core::host::{Fault, Standing};
use matinee_core::id::PublicationId;
use matinee_core::ledger::State as Owed;
use matinee_core::publication::HandOver;
use matinee_core::time::Millis;
use matinee_core::upload::{Phase as Stage, Way};
use matinee_core::video::{Problem, State};
use serde_json::json;

use super::support::{Bench, T0, id, on_both};
use crate::db::{DbError, Erase, NewDirect, NewUpload, Publication, Told, Upload, Verdict, Video};

on_both! {
    the_host_is_asked_again_until_it_has_confirmed_an_upload
    what_a_host_has_becomes_a_video_that_nobody_else_has
    a_host_that_says_no_ends_the_upload_and_one_that_loses_a_video_fails_it
    only_the_word_of_the_host_lets_an_upload_expire
    what_is_given_up_is_owed_by_the_host_and_one_of_two_ends_wins
    a_video_that_is_longer_than_its_sender_may_send_is_not_kept
    one_asks_a_host_at_a_time
    an_app_that_is_deleted_takes_what_is_on_its_way_to_a_host_along
}

const HOST: &str = "cf";

/// An upload on its way to a host, and its publication there.
struct Direct<'b> {
    bench: &'b Bench,
    new: NewUpload,
    id: PublicationId,
}

impl Bench {
    /// An announced upload that the host has not confirmed.
    async fn direct(&self, max_duration_ms: Option<u64>) -> Direct<'_> {
        let mut new = NewUpload { way: Way::Direct, ..self.new_upload(Some(10)) };
        new.allowance.max_duration_ms = max_duration_ms;
        let publication = id();
        let direct = NewDirect { upload: new.clone(), publication, host: HOST.to_owned(), ask: T0.plus(30) };
        self.db.create_direct(&direct).await.unwrap();
        Direct { bench: self, new, id: publication }
    }

    /// The same, made by the host under this name.
    async fn sending(&self, remote: &str) -> Direct<'_> {
        let direct = self.direct(Some(60_000)).await;
        self.db.publication_asked(None, direct.id, (10, HandOver::Push), T0).await.unwrap();
        assert!(self.db.publication_made(direct.id, (remote, Some(vec![1])), T0).await.unwrap());
        direct
    }
}

impl Direct<'_> {
    async fn upload(&self) -> Upload {
        self.bench.db.upload(self.bench.app, self.new.id).await.unwrap().unwrap()
    }

    async fn stage(&self) -> Stage {
        self.upload().await.state.phase()
    }

    async fn publication(&self) -> Option<Publication> {
        self.bench.db.publications(self.new.video).await.unwrap().pop()
    }

    async fn video(&self) -> Option<Video> {
        self.bench.db.video(self.bench.app, self.new.video).await.unwrap()
    }

    async fn owed(&self) -> Owed {
        self.bench.db.outside_of(self.id).await.unwrap().unwrap().state
    }

    async fn tell(&self, standing: Standing, duration_ms: Option<u64>, now: Millis) {
        let told = Told {
            standing,
            full: true,
            duration_ms,
            bytes: None,
            facts: json!({ "a": 1 }),
            next_ask: Some(now),
            again: (id(), id()),
        };
        self.bench.db.publication_told(self.id, &told, now).await.unwrap();
    }
}

async fn the_host_is_asked_again_until_it_has_confirmed_an_upload(bench: Bench) {
    let direct = bench.direct(None).await;
    let waiting = bench.db.directs_waiting(HOST, T0.plus(30), 9).await.unwrap();
    assert_eq!(waiting.iter().map(|(_, one)| one.id).collect::<Vec<_>>(), [direct.id]);
    assert!(bench.db.directs_waiting(HOST, T0.plus(29), 9).await.unwrap().is_empty(), "somebody else asks");
    assert!(bench.db.directs_waiting("bn", T0.plus(30), 9).await.unwrap().is_empty());
    bench.db.publication_asked(None, direct.id, (10, HandOver::Push), T0).await.unwrap();
    assert!(bench.db.publication_made(direct.id, ("r1", Some(vec![1])), T0).await.unwrap());
    assert!(bench.db.directs_waiting(HOST, T0.plus(90_000), 9).await.unwrap().is_empty(), "it is made");
}

async fn what_a_host_has_becomes_a_video_that_nobody_else_has(bench: Bench) {
    let direct = bench.sending("r1").await;
    direct.tell(Standing::AwaitingUpload, None, T0.plus(1)).await;
    assert_eq!((direct.stage().await, direct.video().await), (Stage::Open, None));

    direct.tell(Standing::Queued, None, T0.plus(2)).await;
    assert_eq!(direct.stage().await, Stage::Finished);
    let video = direct.video().await.unwrap();
    assert_eq!((video.state, video.source, video.generation), (State::Processing, None, 0));
    assert_eq!((video.title.as_str(), video.facts["topic"].as_str()), ("Snow 100%", Some("Snow")));
    let sent = direct.publication().await.unwrap();
    assert_eq!((sent.target, sent.offset), (None, 10), "nobody needs to know any more where it went");

    direct.tell(Standing::Playable(Some(50)), Some(2_500), T0.plus(3)).await;
    let video = direct.video().await.unwrap();
    assert_eq!((video.playable, video.duration_ms), (Some(T0.plus(3)), Some(2_500)));
    for at in [4, 5] {
        direct.tell(Standing::Ready, Some(2_500), T0.plus(at)).await;
    }
    let video = direct.video().await.unwrap();
    assert_eq!((video.state, video.ready), (State::Ready, Some(T0.plus(4))));
    for topic in ["upload.completed", "video.created", "video.playable", "video.ready", "publication.ready"] {
        assert_eq!(bench.count(topic).await, 1, "{topic}");
    }
    assert!(bench.db.ledger_due(T0.plus(90_000_000), 9).await.unwrap().is_empty(), "there is no object");

    bench.db.delete_video(bench.app, direct.new.video, T0.plus(6)).await.unwrap();
    assert_eq!((direct.publication().await, direct.owed().await), (None, Owed::ToDelete));
    let entry = crate::db::entry_of(direct.id);
    bench.db.outside_gone(entry, (json!({}), None), T0.plus(7)).await.unwrap();
    assert!(bench.db.uploads(bench.app, &[], None, 9).await.unwrap().is_empty(), "nothing is left of it");
}

async fn a_host_that_says_no_ends_the_upload_and_one_that_loses_a_video_fails_it(bench: Bench) {
    let fault = Fault { code: "ERR_NON_VIDEO".to_owned(), text: "no film".to_owned(), again: false };
    let refused = bench.sending("r1").await;
    refused.tell(Standing::Failed(fault), None, T0.plus(1)).await;
    let upload = refused.upload().await;
    assert_eq!((upload.state.phase(), refused.video().await), (Stage::Lost, None));
    assert_eq!(upload.reason.unwrap().code, "host_err_non_video");
    assert_eq!((refused.publication().await, refused.owed().await), (None, Owed::ToDelete));
    assert_eq!((bench.count("upload.failed").await, bench.count("publication.failed").await), (1, 1));

    let lost = bench.sending("r2").await;
    lost.tell(Standing::Ready, Some(2_000), T0.plus(2)).await;
    lost.tell(Standing::Gone, None, T0.plus(3)).await;
    let video = lost.video().await.unwrap();
    assert_eq!((video.state, video.reason.unwrap().code.as_str()), (State::Failed, "host_lost"));
    assert_eq!((lost.owed().await, bench.count("video.failed").await), (Owed::ToDelete, 1));

    let unasked = bench.direct(None).await;
    let reason = Problem { code: "host_refused".to_owned(), human: "no".to_owned(), fix: String::new() };
    let verdict = Verdict::Refused(reason);
    assert!(bench.db.end_direct(unasked.id, &verdict, T0.plus(4)).await.unwrap());
    assert!(!bench.db.end_direct(unasked.id, &verdict, T0.plus(5)).await.unwrap(), "it is over");
    assert_eq!(unasked.upload().await.reason.unwrap().code, "host_refused");
}

async fn only_the_word_of_the_host_lets_an_upload_expire(bench: Bench) {
    let (late, whole) = (bench.sending("r1").await, bench.sending("r2").await);
    let day = T0.plus(86_400_000);
    assert!(bench.db.expire_uploads(day, 9).await.unwrap().is_empty(), "not by our clock");
    let overdue = bench.db.directs_overdue(HOST, day, 9).await.unwrap();
    assert_eq!(overdue.len(), 2);
    assert!(bench.db.directs_overdue(HOST, T0.plus(999), 9).await.unwrap().is_empty());
    whole.tell(Standing::Processing(None), None, day).await;
    for direct in [&late, &whole] {
        bench.db.end_direct(direct.id, &Verdict::Late(day), day).await.unwrap();
    }
    assert_eq!((late.stage().await, whole.stage().await), (Stage::Expired, Stage::Finished));
    assert_eq!((late.owed().await, whole.owed().await), (Owed::ToDelete, Owed::Present));
    assert_eq!(bench.count("upload.expired").await, 1);
    let early = bench.direct(None).await;
    assert!(!bench.db.end_direct(early.id, &Verdict::Late(T0.plus(999)), day).await.unwrap(), "it has time");
}

async fn what_is_given_up_is_owed_by_the_host_and_one_of_two_ends_wins(bench: Bench) {
    let (given_up, finished) = (bench.sending("r1").await, bench.sending("r2").await);
    bench.db.cancel_upload(given_up.new.id, T0.plus(1)).await.unwrap();
    assert_eq!((given_up.publication().await, given_up.owed().await), (None, Owed::ToDelete));
    given_up.tell(Standing::Ready, Some(2_000), T0.plus(2)).await;
    assert_eq!((given_up.stage().await, given_up.video().await), (Stage::Cancelled, None), "it stays over");
    let week = T0.plus(7 * 86_400_000);
    assert_eq!(bench.db.prune_uploads(week, 9).await.unwrap(), 0, "the host may still have it");
    let entry = crate::db::entry_of(given_up.id);
    bench.db.outside_gone(entry, (json!({}), None), T0.plus(3)).await.unwrap();
    assert_eq!(bench.db.prune_uploads(week, 9).await.unwrap(), 1);

    finished.tell(Standing::Queued, None, T0.plus(4)).await;
    let late = bench.db.cancel_upload(finished.new.id, T0.plus(5)).await;
    assert!(matches!(late, Err(DbError::Absent)), "it is a video: {late:?}");
}

async fn a_video_that_is_longer_than_its_sender_may_send_is_not_kept(bench: Bench) {
    let (at_once, later) = (bench.sending("r1").await, bench.sending("r2").await);
    at_once.tell(Standing::Ready, Some(60_001), T0.plus(1)).await;
    assert_eq!(at_once.upload().await.reason.unwrap().code, "too_long");
    later.tell(Standing::Processing(None), None, T0.plus(1)).await;
    later.tell(Standing::Ready, Some(60_001), T0.plus(2)).await;
    let video = later.video().await.unwrap();
    assert_eq!((video.state, video.reason.unwrap().code.as_str()), (State::Failed, "too_long"));
    assert_eq!((at_once.owed().await, later.owed().await), (Owed::ToDelete, Owed::ToDelete));
}

async fn one_asks_a_host_at_a_time(bench: Bench) {
    let direct = bench.direct(None).await;
    bench.db.publication_asked(None, direct.id, (10, HandOver::Push), T0).await.unwrap();
    let second = bench.db.publication_asked(None, direct.id, (10, HandOver::Push), T0.plus(1)).await;
    assert!(matches!(second, Err(DbError::LeaseLost)), "the first may still be answered: {second:?}");
    for _ in 0..2 {
        bench.db.outside_looked(crate::db::entry_of(direct.id), T0).await.unwrap();
    }
    bench.db.publication_asked(None, direct.id, (10, HandOver::Push), T0.plus(2)).await.unwrap();
    bench.db.put_off_direct(direct.id, T0.plus(500)).await.unwrap();
    assert!(bench.db.directs_waiting(HOST, T0.plus(499), 9).await.unwrap().is_empty());
    bench.db.cancel_upload(direct.new.id, T0.plus(3)).await.unwrap();
    assert!(
        !bench.db.publication_made(direct.id, ("r1", None), T0.plus(4)).await.unwrap(),
        "an answer that comes late is known, and wanted no more"
    );
    assert_eq!(direct.owed().await, Owed::ToDelete);
}

async fn an_app_that_is_deleted_takes_what_is_on_its_way_to_a_host_along(bench: Bench) {
    let (sending, ready) = (bench.sending("r1").await, bench.sending("r2").await);
    ready.tell(Standing::Ready, Some(2_000), T0.plus(1)).await;
    let by = id();
    bench.add_app(by).await;
    let erase = Erase { app: bench.app, collection: None, by, job: id() };
    bench.db.close(erase, T0.plus(2)).await.unwrap();
    ready
        .bench
        .db
        .publication_told(
            sending.id,
            &Told {
                standing: Standing::Queued,
                full: true,
                duration_ms: None,
                bytes: None,
                facts: json!({}),
                next_ask: None,
                again: (id(), id()),
            },
            T0.plus(3),
        )
        .await
        .unwrap();
    assert_eq!(sending.stage().await, Stage::Lost, "what is closed takes nothing more");
    let lease = bench.hold(matinee_core::job::Kind::Erase, T0.plus(4)).await;
    while bench.db.erase_batch(&lease, (bench.app, None), T0.plus(4)).await.unwrap().left > 0 {}
    assert_eq!((sending.owed().await, ready.owed().await), (Owed::ToDelete, Owed::ToDelete));
    bench.db.forget_closed(T0.plus(5)).await.unwrap();
    assert!(bench.db.upload(bench.app, sending.new.id).await.unwrap().is_some(), "a host still has it");
    for direct in [&sending, &ready] {
        let entry = crate::db::entry_of(direct.id);
        bench.db.outside_gone(entry, (json!({}), None), T0.plus(6)).await.unwrap();
    }
    bench.db.forget_closed(T0.plus(7)).await.unwrap();
    assert!(bench.db.upload(bench.app, sending.new.id).await.unwrap().is_none());
}
