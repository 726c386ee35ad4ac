//! Publications, what hosts hold for us, and what nodes share of a host.

use matinee_core::breaker::{Answer, Breaker};
use matinee_core::host::{Fault, Standing};
use matinee_core::id::{EntryId, PublicationId, VideoId};
use matinee_core::job::retry::Class;
use matinee_core::job::{Kind, Task};
use matinee_core::ledger::State;
use matinee_core::publication::besides::{Besides, Download, Making, Put};
use matinee_core::publication::{Asked, HandOver, Phase};
use matinee_core::throttle::{Rate, Urgency};
use matinee_core::time::Millis;
use matinee_core::video::Problem;
use serde_json::json;

use super::support::{Bench, T0, id, on_both};
use crate::db::host::{Call, Gate, Wish};
use crate::db::{DbError, NewPublication, Outside, Publication, Told, entry_of};

on_both! {
    an_intent_is_there_before_the_host_hears_of_it
    a_video_that_is_deleted_takes_its_publications_into_the_ledger
    a_creation_that_nobody_heard_of_is_named_late_and_goes
    what_a_host_tells_is_saved_once_and_said_once
    a_list_takes_nothing_back_that_was_told_while_it_came
    what_failed_is_to_be_deleted_and_makes_room
    what_a_host_had_whole_and_lost_is_made_there_again
    what_a_host_cannot_fetch_is_sent_and_says_why
    what_a_host_has_besides_is_compared_when_either_has_changed
    a_withdrawn_video_ends_its_job
    what_is_there_twice_is_one_too_many
    what_was_proven_gone_and_is_there_again_is_deleted_again
    objects_and_publications_do_not_mix_in_the_ledger
    a_breaker_and_a_bucket_are_shared_by_all_nodes
    a_duty_has_one_holder_at_a_time
    a_name_stands_for_one_account_while_things_are_left
    a_remake_does_not_stop_what_is_being_published
    the_last_calls_of_a_host_are_kept
}

const HOST: &str = "cf";
const RATE: Rate = Rate { burst: 3, requests: 1, per_ms: 1_000, kept: 1 };

fn wish(urgency: Urgency) -> Wish {
    Wish { rate: RATE, urgency, is_probe: false }
}

impl Bench {
    async fn wished(&self) -> (VideoId, Publication) {
        let (video, _) = self.brought().await;
        let new = NewPublication { id: id(), app: self.app, video, host: HOST.to_owned() };
        let made = self.db.publish(&new, id(), T0).await.unwrap();
        (video, made)
    }

    /// The same, made by the host under this name.
    pub(super) async fn made(&self, remote: &str) -> (VideoId, Publication) {
        let (video, wished) = self.wished().await;
        let lease = self.hold(Kind::Publish, T0).await;
        self.db.publication_asked(Some(lease), wished.id, (10, HandOver::Push), T0).await.unwrap();
        assert!(self.db.publication_made(wished.id, (remote, Some(vec![1])), T0).await.unwrap());
        self.db.publication_whole(&lease, wished.id, T0).await.unwrap();
        (video, self.publication(video).await.unwrap())
    }

    async fn publication(&self, video: VideoId) -> Option<Publication> {
        self.db.publications(video).await.unwrap().pop()
    }

    pub(super) async fn owed(&self, publication: PublicationId) -> Outside {
        self.db.outside_of(publication).await.unwrap().unwrap()
    }

    async fn due(&self, now: Millis) -> Vec<Outside> {
        self.db.outside_due(HOST, now, 10).await.unwrap()
    }

    async fn tell(&self, of: &Publication, standing: Standing, now: Millis) {
        self.hear(of, (standing, true), now).await;
    }

    async fn hear(&self, of: &Publication, (standing, full): (Standing, bool), now: Millis) -> Option<Phase> {
        let told = Told {
            standing,
            full,
            duration_ms: Some(2_000),
            bytes: None,
            facts: json!({}),
            next_ask: Some(now),
            again: (id(), id()),
        };
        self.db.publication_told(of.id, &told, now).await.unwrap()
    }
}

async fn an_intent_is_there_before_the_host_hears_of_it(bench: Bench) {
    let (video, wished) = bench.wished().await;
    assert_eq!((wished.phase, wished.remote.clone()), (Phase::Waiting, None));
    let owed = bench.owed(wished.id).await;
    assert_eq!((owed.state, owed.asked, owed.video), (State::Intended, Asked::default(), video));
    let again = NewPublication { id: id(), app: bench.app, video, host: HOST.to_owned() };
    assert_eq!(bench.db.publish(&again, id(), T0).await.unwrap().id, wished.id, "what is there stays");
    let other = NewPublication { app: id(), ..again };
    assert!(matches!(bench.db.publish(&other, id(), T0).await, Err(DbError::Absent)), "another app's");

    let lease = bench.hold(Kind::Publish, T0).await;
    let held = bench.db.publication_held(&lease, (id(), HOST), T0).await.unwrap().unwrap();
    assert_eq!(held.id, wished.id);
    bench.db.publication_asked(Some(lease), wished.id, (10, HandOver::Push), T0.plus(5)).await.unwrap();
    assert_eq!(bench.owed(wished.id).await.asked, Asked { at: Some(T0.plus(5)), looks: 0 });
    bench.db.outside_looked(entry_of(wished.id), T0).await.unwrap();
    assert_eq!(bench.owed(wished.id).await.asked.looks, 1);
    assert!(bench.db.publication_made(wished.id, ("r1", Some(vec![1, 2])), T0).await.unwrap());
    assert!(
        bench.db.publication_made(wished.id, ("r1", None), T0).await.unwrap(),
        "a fact, as often as it is said"
    );
    let owed = bench.owed(wished.id).await;
    assert_eq!((owed.state, owed.remote.as_deref()), (State::Present, Some("r1")));
    bench.db.publication_sent(&lease, wished.id, (None, 7), T0).await.unwrap();
    let sent = bench.publication(video).await.unwrap();
    assert_eq!((sent.phase, sent.offset, sent.target), (Phase::Uploading, 7, Some(vec![1, 2])));
    bench.db.publication_whole(&lease, wished.id, T0).await.unwrap();
    let whole = bench.publication(video).await.unwrap();
    assert_eq!((whole.phase, whole.offset, whole.target), (Phase::Processing, 10, None));
    let late = bench.db.publication_sent(&lease, wished.id, (None, 8), T0).await;
    assert!(matches!(late, Err(DbError::LeaseLost)), "{late:?}");
}

async fn a_video_that_is_deleted_takes_its_publications_into_the_ledger(bench: Bench) {
    let (video, made) = bench.made("r1").await;
    bench.db.delete_video(bench.app, video, T0).await.unwrap();
    assert_eq!(bench.publication(video).await, None);
    let due = bench.due(T0).await;
    assert_eq!(due.iter().map(|one| one.remote.as_deref()).collect::<Vec<_>>(), [Some("r1")]);
    assert_eq!(bench.db.held_by_hosts().await.unwrap(), [(HOST.to_owned(), 1)]);
    bench.db.ledger_failed(due[0].entry, "500", T0.plus(60_000)).await.unwrap();
    assert!(bench.due(T0).await.is_empty(), "it waits");
    assert_eq!(bench.due(T0.plus(60_000)).await[0].attempts, 1);
    for entry in bench.db.ledger_due(T0, 10).await.unwrap() {
        bench.db.ledger_gone(entry.id, json!({}), T0).await.unwrap();
    }
    assert_eq!(bench.db.uploads(bench.app, &[], None, 10).await.unwrap().len(), 1, "not all is gone");
    let control = Some(T0.plus(9));
    bench.db.outside_gone(due[0].entry, (json!({ "status": 404 }), control), T0).await.unwrap();
    let twice = bench.db.outside_gone(due[0].entry, (json!({}), control), T0).await;
    assert!(matches!(twice, Err(DbError::Absent)));
    assert!(bench.db.uploads(bench.app, &[], None, 10).await.unwrap().is_empty(), "forgotten");
    assert!(bench.db.held_by_hosts().await.unwrap().is_empty());
    assert_eq!(bench.owed(made.id).await.state, State::Gone, "the proof stays");
    assert_eq!(bench.count("ledger.proven_gone").await, 2, "the source and the video at the host");
}

async fn a_creation_that_nobody_heard_of_is_named_late_and_goes(bench: Bench) {
    let (video, wished) = bench.wished().await;
    let lease = bench.hold(Kind::Publish, T0).await;
    bench.db.publication_asked(Some(lease), wished.id, (10, HandOver::Push), T0).await.unwrap();
    bench.db.delete_video(bench.app, video, T0).await.unwrap();
    let late = bench.db.publication_asked(Some(lease), wished.id, (10, HandOver::Push), T0).await;
    assert!(matches!(late, Err(DbError::LeaseLost)), "nothing more is asked for: {late:?}");
    assert!(
        !bench.db.publication_made(wished.id, ("r1", None), T0.plus(5)).await.unwrap(),
        "nobody wants it"
    );
    let owed = bench.owed(wished.id).await;
    assert_eq!((owed.state, owed.remote.as_deref()), (State::ToDelete, Some("r1")), "but it is known");
}

async fn what_a_host_tells_is_saved_once_and_said_once(bench: Bench) {
    let (video, made) = bench.made("r1").await;
    assert_eq!(bench.db.hint(HOST, &["r1".to_owned(), "r2".to_owned()], T0).await.unwrap(), 1, "one is ours");
    assert_eq!(bench.db.hint("other", &["r1".to_owned()], T0).await.unwrap(), 0);
    assert_eq!(bench.db.publications_due(HOST, T0, 9).await.unwrap().len(), 1, "it was hinted at");
    for standing in [Standing::Playable(Some(40)), Standing::Playable(Some(40)), Standing::Ready] {
        let before = bench.publication(video).await.unwrap();
        bench.tell(&before, standing, T0.plus(1)).await;
    }
    let after = bench.publication(video).await.unwrap();
    assert_eq!((after.phase, after.percent, after.duration_ms), (Phase::Ready, None, Some(2_000)));
    assert_eq!((bench.count("publication.playable").await, bench.count("publication.ready").await), (1, 1));
    assert!(bench.db.publications_due(HOST, T0, 9).await.unwrap().is_empty(), "the hint was heard");
    let moments = bench.db.timeline(bench.app, video).await.unwrap();
    let text = serde_json::to_string(&moments).unwrap();
    assert!(text.contains("publication.ready") && text.contains(&made.id.to_string()), "{text}");
}

async fn a_list_takes_nothing_back_that_was_told_while_it_came(bench: Bench) {
    let (_, made) = bench.made("r1").await;
    // Two nodes ask: the one that has the list is held up, and still sees what was so when it asked.
    assert_eq!(bench.hear(&made, (Standing::Playable(None), false), T0).await, Some(Phase::Playable));
    assert_eq!(bench.hear(&made, (Standing::Ready, true), T0).await, Some(Phase::Ready));
    for late in [Standing::Playable(Some(50)), Standing::Processing(None), Standing::AwaitingUpload] {
        assert_eq!(bench.hear(&made, (late, false), T0).await, None);
    }
    assert_eq!(bench.hear(&made, (Standing::Playable(None), true), T0).await, Some(Phase::Playable));
}

async fn what_failed_is_to_be_deleted_and_makes_room(bench: Bench) {
    let (video, made) = bench.made("r1").await;
    bench.tell(&made, Standing::Gone, T0).await;
    let failed = bench.publication(video).await.unwrap();
    assert_eq!((failed.phase, failed.reason.unwrap().code.as_str()), (Phase::Failed, "host_lost"));
    assert_eq!(bench.count("publication.failed").await, 1);
    assert_eq!(bench.due(T0).await.len(), 1, "what is left of it");
    bench.tell(&made, Standing::Ready, T0).await;
    assert_eq!(bench.publication(video).await.unwrap().phase, Phase::Failed, "that is over");
    let new = NewPublication { id: id(), app: bench.app, video, host: HOST.to_owned() };
    let again = bench.db.publish(&new, id(), T0).await.unwrap();
    assert_eq!((again.id, again.phase), (new.id, Phase::Waiting));
    assert_eq!(bench.due(T0).await[0].key, made.id, "the old one goes on in the ledger");
    let lease = bench.hold(Kind::Publish, T0).await;
    let error = json!({ "code": "unknown_host_name", "human": "No such host.", "fix": "Add it." });
    bench.db.fail_job(&lease, Class::Refusal, error, T0, 0).await.unwrap();
    let failed = bench.publication(video).await.unwrap();
    assert_eq!((failed.phase, failed.reason.unwrap().code.as_str()), (Phase::Failed, "unknown_host_name"));
}

async fn what_a_host_had_whole_and_lost_is_made_there_again(bench: Bench) {
    let (video, made) = bench.made("r1").await;
    bench.tell(&made, Standing::Ready, T0.plus(1)).await;
    bench.tell(&bench.publication(video).await.unwrap(), Standing::Gone, T0.plus(2)).await;
    let again = bench.publication(video).await.unwrap();
    assert_eq!((again.phase, again.id == made.id), (Phase::Waiting, false));
    assert_eq!(
        (bench.owed(made.id).await.state, bench.owed(again.id).await.state),
        (State::ToDelete, State::Intended)
    );
    assert_eq!(bench.count("publication.failed").await, 1, "it is told");
    let lease = bench.hold(Kind::Publish, T0.plus(2)).await;
    let held = bench.db.publication_held(&lease, (id(), HOST), T0.plus(2)).await.unwrap().unwrap();
    assert_eq!(held.id, again.id);
    assert!(bench.db.publication_made(again.id, ("r2", None), T0.plus(3)).await.unwrap());
    bench.tell(&bench.publication(video).await.unwrap(), Standing::Gone, T0.plus(4)).await;
    let lost = bench.publication(video).await.unwrap();
    assert_eq!(
        (lost.phase, lost.id),
        (Phase::Failed, again.id),
        "one that was never whole is not tried for ever"
    );
}

async fn what_a_host_cannot_fetch_is_sent_and_says_why(bench: Bench) {
    // It says so at once ...
    let (video, wished) = bench.wished().await;
    assert_eq!(wished.hand_over, None);
    let lease = bench.hold(Kind::Publish, T0).await;
    let reason =
        Problem { code: "host_pull_refused".to_owned(), human: "No.".to_owned(), fix: "Wait.".to_owned() };
    bench.db.publication_asked(Some(lease), wished.id, (10, HandOver::Pull), T0).await.unwrap();
    assert_eq!(bench.publication(video).await.unwrap().hand_over, Some(HandOver::Pull));
    bench.db.outside_unasked(wished.id).await.unwrap();
    bench.db.publication_unpulled(&lease, wished.id, &reason, T0).await.unwrap();
    let sent = bench.publication(video).await.unwrap();
    assert_eq!((sent.hand_over, &sent.pull_refused), (Some(HandOver::Push), &Some(reason.clone())));
    // ... or later, when it has been asked and the job is done.
    bench.db.publication_asked(Some(lease), wished.id, (10, HandOver::Pull), T0).await.unwrap();
    assert!(bench.db.publication_made(wished.id, ("r1", None), T0).await.unwrap());
    bench.db.publication_pulled(&lease, wished.id, T0).await.unwrap();
    let fetched = bench.publication(video).await.unwrap();
    assert_eq!((fetched.phase, fetched.offset), (Phase::Uploading, 0), "the host has the last word");
    let late = bench.db.publication_unpulled(&lease, wished.id, &reason, T0).await;
    assert!(matches!(late, Err(DbError::LeaseLost)), "{late:?}");
    let fault = Fault { code: "ERR_FETCH_ORIGIN_ERROR".to_owned(), text: "403".to_owned(), again: true };
    bench.tell(&fetched, Standing::Failed(fault.clone()), T0.plus(9)).await;
    let again = bench.publication(video).await.unwrap();
    assert_eq!((again.phase, again.hand_over), (Phase::Waiting, Some(HandOver::Push)));
    assert_ne!(again.id, wished.id);
    assert_eq!(again.pull_refused.unwrap().code, "host_err_fetch_origin_error");
    assert_eq!(bench.owed(wished.id).await.state, State::ToDelete, "what is left of the first goes");
    // What is sent and fails is not tried for ever.
    let lease = bench.hold(Kind::Publish, T0.plus(9)).await;
    bench.db.publication_asked(Some(lease), again.id, (10, HandOver::Push), T0.plus(9)).await.unwrap();
    assert!(bench.db.publication_made(again.id, ("r2", Some(vec![1])), T0.plus(9)).await.unwrap());
    bench.db.publication_whole(&lease, again.id, T0.plus(9)).await.unwrap();
    let sent = bench.publication(video).await.unwrap();
    bench.tell(&sent, Standing::Failed(fault), T0.plus(10)).await;
    let over = bench.publication(video).await.unwrap();
    assert_eq!((over.id, over.phase), (again.id, Phase::Failed));
}

async fn what_a_host_has_besides_is_compared_when_either_has_changed(bench: Bench) {
    let (video, sent) = bench.made("r1").await;
    let due = async |now| bench.db.publications_besides(HOST, now, 10).await.unwrap();
    assert_eq!(due(T0).await, [], "nobody watches there yet");
    bench.tell(&sent, Standing::Playable(Some(9)), T0.plus(1)).await;
    let [read] = &due(T0.plus(1)).await[..] else { panic!("it plays") };
    assert_eq!((read.besides.clone(), read.besides_at), (Besides::default(), Some(T0.plus(1))));
    // Something changes while the host is asked: it is compared again.
    bench.caption(video, T0.plus(2)).await;
    let put = Put { object: id(), refused: Some("no".to_owned()) };
    let download = Some(Download { state: Making::Making, percent: Some(5) });
    let besides = Besides { captions: [("en".to_owned(), put)].into(), download, original: None };
    bench.db.publication_besides(read, &besides, None).await.unwrap();
    let [read] = &due(T0.plus(2)).await[..] else { panic!("it has changed") };
    assert_eq!(read.besides, besides);
    bench.db.publication_besides(read, &besides, Some(T0.plus(9))).await.unwrap();
    assert_eq!((due(T0.plus(8)).await.len(), due(T0.plus(9)).await.len()), (0, 1));
    bench.db.publication_besides(&due(T0.plus(9)).await[0], &besides, None).await.unwrap();
    assert_eq!(due(T0.plus(1_000)).await, []);
    bench.tell(&sent, Standing::Ready, T0.plus(10)).await;
    assert_eq!(due(T0.plus(10)).await.len(), 1, "more can be asked for when all is there");
}

async fn a_withdrawn_video_ends_its_job(bench: Bench) {
    let (video, wished) = bench.wished().await;
    let lease = bench.hold(Kind::Publish, T0).await;
    assert!(matches!(bench.db.withdraw((id(), video), HOST, T0).await, Err(DbError::Absent)));
    bench.db.withdraw((bench.app, video), HOST, T0).await.unwrap();
    assert!(bench.db.renew(&lease, T0.plus(1), None, T0).await.unwrap().cancel, "asked to stop");
    assert!(matches!(bench.db.withdraw((bench.app, video), HOST, T0).await, Err(DbError::Absent)));
    assert_eq!(bench.owed(wished.id).await.state, State::ToDelete);
    bench.db.give_back(&lease, T0).await.unwrap();
    assert!(bench.claim("n/1", T0).await.is_none_or(|claimed| claimed.lease.job != lease.job));
}

async fn what_is_there_twice_is_one_too_many(bench: Bench) {
    let (_, made) = bench.made("r1").await;
    let seen = |remote: &str| (id::<matinee_core::id::Entry>(), remote.to_owned(), made.id);
    let foreign = (id(), "r9".to_owned(), id());
    let all = [seen("r1"), seen("r2"), foreign];
    assert_eq!(bench.db.outside_strays(HOST, &all, T0).await.unwrap(), 1);
    assert_eq!(bench.db.outside_strays(HOST, &all, T0).await.unwrap(), 0, "it is known now");
    let named = bench.db.outside_named(HOST, ["r1", "r2", "r9"].into_iter()).await.unwrap();
    assert_eq!(named.len(), 2, "what is deleted is known, too: {named:?}");
    let due = bench.due(T0).await;
    assert_eq!(due.iter().map(|one| one.remote.as_deref()).collect::<Vec<_>>(), [Some("r2")]);

    // While the name of the first is not known, the one that is seen may be it.
    let (_, wished) = bench.wished().await;
    let only = (id::<matinee_core::id::Entry>(), "r5".to_owned(), wished.id);
    assert_eq!(bench.db.outside_strays(HOST, &[only], T0).await.unwrap(), 0);
    // What cannot be used is let go, and the intent begins anew.
    let found: Vec<(EntryId, String)> = vec![(id(), "r5".to_owned()), (id(), "r6".to_owned())];
    let lease = bench.hold(Kind::Publish, T0).await;
    bench.db.publication_asked(Some(lease), wished.id, (10, HandOver::Push), T0).await.unwrap();
    bench.db.outside_let_go(wished.id, &found, T0).await.unwrap();
    assert_eq!(bench.owed(wished.id).await.asked, Asked::default());
    assert_eq!(bench.due(T0).await.len(), 3);
}

async fn what_was_proven_gone_and_is_there_again_is_deleted_again(bench: Bench) {
    let (video, made) = bench.made("r1").await;
    bench.db.withdraw((bench.app, video), HOST, T0).await.unwrap();
    let entry = entry_of(made.id);
    bench.db.outside_gone(entry, (json!({}), Some(T0.plus(100))), T0).await.unwrap();
    assert!(bench.db.outside_controls(HOST, T0.plus(99), 9).await.unwrap().is_empty());
    assert_eq!(bench.db.outside_controls(HOST, T0.plus(100), 9).await.unwrap().len(), 1);
    bench.db.outside_back(entry, T0.plus(100)).await.unwrap();
    assert_eq!(bench.owed(made.id).await.state, State::ToDelete);
    assert_eq!(bench.count("ledger.seen_again").await, 1);
    assert!(bench.db.outside_controls(HOST, T0.plus(200), 9).await.unwrap().is_empty());
    bench.db.outside_gone(entry, (json!({}), Some(T0.plus(300))), T0.plus(200)).await.unwrap();
    bench.db.outside_controlled(entry).await.unwrap();
    assert!(bench.db.outside_controls(HOST, T0.plus(900), 9).await.unwrap().is_empty(), "that was the last");
}

async fn objects_and_publications_do_not_mix_in_the_ledger(bench: Bench) {
    let (video, _) = bench.wished().await;
    let later = T0.plus(1_000_000_000);
    bench.db.sweep_intended(later, 1).await.unwrap();
    assert!(bench.due(later).await.is_empty(), "an intent waits for its host as long as it takes");
    assert_eq!(bench.db.lying(bench.app, video).await.unwrap().len(), 1, "the source");
    let filter = crate::db::LedgerFilter { video: Some(video), ..crate::db::LedgerFilter::default() };
    assert_eq!(bench.db.ledger(&filter, None, 9).await.unwrap().len(), 1);
    assert_eq!(bench.db.known_objects(None, 9).await.unwrap().len(), 1);
    bench.db.delete_video(bench.app, video, T0).await.unwrap();
    assert_eq!(bench.db.ledger_due(T0, 9).await.unwrap().len(), 1, "only the source is a matter of stores");
    assert!(
        bench.db.ledger_due_in(HOST, T0, 9).await.unwrap().is_empty(),
        "also when a store has a host's name"
    );
    assert_eq!(bench.due(T0).await.len(), 1);
}

async fn a_breaker_and_a_bucket_are_shared_by_all_nodes(bench: Bench) {
    let other = bench.other_node().await;
    bench.db.host_known(HOST, "cloudflare/a", T0).await.unwrap();
    let enter =
        async |db: &crate::db::Db, urgency, now| db.host_enter(HOST, wish(urgency), now).await.unwrap();
    assert_eq!(enter(&bench.db, Urgency::Work, T0).await, Gate::Open);
    assert_eq!(enter(&other.db, Urgency::Work, T0).await, Gate::Open);
    assert_eq!(enter(&bench.db, Urgency::Work, T0).await, Gate::Wait(1_000), "the rest is for people");
    assert_eq!(enter(&other.db, Urgency::Person, T0).await, Gate::Open);

    // A deletion, a look by key and a job wait when the host goes away.
    let (video, made) = bench.made("r1").await;
    bench.db.withdraw((bench.app, video), HOST, T0).await.unwrap();
    bench.db.ledger_failed(entry_of(made.id), "500", T0.plus(3_600_000)).await.unwrap();
    let (_, _) = bench.wished().await;
    let lease = bench.hold(Kind::Publish, T0).await;
    bench.db.put_off_publication(&lease, T0.plus(900_000), T0).await.unwrap();

    let call = |error: Option<&str>, at| Call {
        name: "list".to_owned(),
        error: error.map(str::to_owned),
        took_ms: 3,
        at,
    };
    let failed = call(Some("it is down"), T0);
    let breaker = bench.db.host_heard(HOST, (&failed, Answer::Failed), (30_000, 0)).await.unwrap();
    let Breaker::Open { probe, .. } = breaker else { panic!("{breaker:?}") };
    let later = T0.plus(20_000);
    assert_eq!(enter(&other.db, Urgency::Person, later).await, Gate::Away(probe));
    let is_back = Wish { is_probe: true, ..wish(Urgency::Person) };
    assert_eq!(other.db.host_enter(HOST, is_back, later).await.unwrap(), Gate::Away(probe), "too early");
    assert_eq!(other.db.host_enter(HOST, is_back, probe).await.unwrap(), Gate::Open);
    let row = bench.db.hosts().await.unwrap().remove(0);
    assert_eq!((row.breaker, row.error), (breaker, Some(("it is down".to_owned(), T0))));

    let spoke = call(None, probe);
    assert_eq!(
        other.db.host_heard(HOST, (&spoke, Answer::Spoke), (30_000, 0)).await.unwrap(),
        Breaker::Closed
    );
    assert_eq!(bench.due(probe).await.len(), 1, "all that waited is due");
    assert_eq!(bench.hold(Kind::Publish, probe).await.job, lease.job);
    assert_eq!(bench.db.hosts().await.unwrap()[0].spoke, Some(probe));
}

async fn a_duty_has_one_holder_at_a_time(bench: Bench) {
    let turn =
        async |holder, until, now| bench.db.host_turn((HOST, "watch"), holder, until, now).await.unwrap();
    assert!(turn("a/1", T0.plus(10), T0).await);
    assert!(!turn("b/1", T0.plus(10), T0.plus(9)).await);
    assert!(
        turn("a/2", T0.plus(20), T0.plus(9)).await,
        "who has it keeps it, also when it was started again"
    );
    assert!(turn("b/1", T0.plus(30), T0.plus(20)).await, "who says nothing loses it");
    assert!(bench.db.host_turn((HOST, "drain"), "a/1", T0, T0).await.unwrap(), "another duty");
}

async fn a_name_stands_for_one_account_while_things_are_left(bench: Bench) {
    bench.db.host_known(HOST, "cloudflare/a", T0).await.unwrap();
    bench.db.host_known(HOST, "cloudflare/b", T0).await.unwrap();
    let (video, made) = bench.made("r1").await;
    let moved = bench.db.host_known(HOST, "cloudflare/c", T0).await;
    assert!(matches!(&moved, Err(DbError::Conflict(before)) if before == "cloudflare/b"), "{moved:?}");
    bench.db.withdraw((bench.app, video), HOST, T0).await.unwrap();
    bench.db.outside_gone(entry_of(made.id), (json!({}), None), T0).await.unwrap();
    bench.db.host_known(HOST, "cloudflare/c", T0).await.unwrap();
}

async fn a_remake_does_not_stop_what_is_being_published(bench: Bench) {
    let (video, _) = bench.wished().await;
    let later = Task::Publish { video, host: "later".to_owned() };
    let later = bench.new_task(later, &[]);
    bench.insert(std::slice::from_ref(&later)).await.unwrap();
    bench
        .db
        .write(video, |tx, video| {
            Box::pin(async move { crate::db::job::cancel_of_generations(tx, *video, 0..=9, T0).await })
        })
        .await
        .unwrap();
    let lease = bench.hold(Kind::Publish, T0).await;
    assert_ne!(lease.job, later.id, "what nobody has begun goes with its generation");
    bench.db.put_off_publication(&lease, T0.plus(5), T0).await.unwrap();
    assert_eq!(bench.hold(Kind::Publish, T0.plus(5)).await.job, lease.job);
}

async fn the_last_calls_of_a_host_are_kept(bench: Bench) {
    bench.db.host_known(HOST, "cloudflare/a", T0).await.unwrap();
    for number in 0..300 {
        let call = Call { name: format!("c{number}"), error: None, took_ms: 1, at: T0.plus(number) };
        bench.db.host_heard(HOST, (&call, Answer::Spoke), (30_000, 0)).await.unwrap();
    }
    let calls = bench.db.host_calls(HOST, 1_000).await.unwrap();
    assert_eq!(calls[0].name, "c299");
    assert!((200..216).contains(&calls.len()), "{}", calls.len());
}
