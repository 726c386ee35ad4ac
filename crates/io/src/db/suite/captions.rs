//! Captions, and sounds that are only alternatives: nobody waits for them, and they fail alone.

use matinee_core::caption::State;
use matinee_core::id::{ObjectId, VideoId};
use matinee_core::job::retry::Class;
use matinee_core::job::{Kind, OnDeath, Task};
use matinee_core::ledger;
use matinee_core::limits::REPLACED_GRACE_MS;
use matinee_core::time::Millis;
use matinee_core::video::{self, Medium, Problem, RenditionState};
use serde_json::json;

use super::stage::{Film, SEGMENTS, part, rows, stored, track};
use super::support::{Bench, T0, id, on_both};
use crate::db::{Assembled, DbError, NewCaption};

on_both! {
    the_subtitles_of_a_source_come_with_its_probe_and_hold_up_nothing
    captions_are_added_replaced_and_removed_with_their_files
    another_sound_is_waited_for_by_nobody_and_fails_alone
}

fn caption(name: &str, place: u32) -> NewCaption {
    NewCaption {
        name: name.to_owned(),
        place,
        language: "en".to_owned(),
        title: String::new(),
        forced: false,
        unsupported: None,
    }
}

fn problem(code: &str) -> Problem {
    Problem { code: code.to_owned(), human: "No.".to_owned(), fix: "Yes.".to_owned() }
}

impl Bench {
    /// Somebody adds captions to a video.
    pub(super) async fn caption(&self, video: VideoId, now: Millis) {
        let (whose, object): (_, ObjectId) = ((self.app, video), id());
        self.db.intend_caption(whose, object, now).await.unwrap();
        self.db.add_caption(whose, caption("en", 0), stored(object, 9), now).await.unwrap();
    }
}

/// Name and state of each caption.
async fn states(bench: &Bench, video: VideoId) -> Vec<(String, State)> {
    let all = bench.db.captions(video).await.unwrap();
    all.into_iter().map(|caption| (caption.name, caption.state)).collect()
}

/// A video with three streams of subtitles, one of them pictures.
async fn spoken(bench: &Bench) -> Film {
    let (video, source) = bench.brought().await;
    let film = Film { video, source, pictures: [id(), id()], sound: id() };
    let lease = bench.hold(Kind::Probe, T0).await;
    let mut probed = bench.probed(&lease, &film, false).await;
    let pictures = NewCaption { unsupported: Some(problem("captions_are_pictures")), ..caption("s2", 1) };
    probed.captions = vec![caption("s1", 0), pictures, caption("s3", 2)];
    probed.jobs.push(bench.new_task(Task::Subtitles { video }, &[]));
    bench.db.publish_probe(&lease, probed).await.unwrap();
    film
}

async fn the_subtitles_of_a_source_come_with_its_probe_and_hold_up_nothing(bench: Bench) {
    let film = spoken(&bench).await;
    let named = |first, third| {
        vec![("s1".to_owned(), first), ("s2".to_owned(), State::Unsupported), ("s3".to_owned(), third)]
    };
    assert_eq!(states(&bench, film.video).await, named(State::Waiting, State::Waiting));
    let lease = bench.hold(Kind::Subtitles, T0).await;
    bench.db.fail_job(&lease, Class::Refusal, json!({ "code": "broken" }), T0, 0).await.unwrap();
    assert_eq!(states(&bench, film.video).await, named(State::Failed, State::Failed));
    let video = bench.db.video_any(film.video).await.unwrap().unwrap();
    assert_eq!(video.state, video::State::Processing);
    bench.db.retry_job(bench.app, lease.job, T0).await.unwrap();
    assert_eq!(states(&bench, film.video).await, named(State::Waiting, State::Waiting));
    let lease = bench.hold(Kind::Subtitles, T0).await;
    let object = bench.intend(&lease, ledger::Kind::Caption).await.unwrap();
    let made = vec![
        ("s1".to_owned(), Ok(stored(object, 70))),
        ("s3".to_owned(), Err(problem("captions_unreadable"))),
    ];
    bench.db.publish_captions(&lease, made, T0).await.unwrap();
    assert_eq!(states(&bench, film.video).await, named(State::Ready, State::Failed));
    let all = bench.db.captions(film.video).await.unwrap();
    assert_eq!((all[0].file, all[0].added), (Some((object, 70)), false));
    assert_eq!(all[2].reason, Some(problem("captions_unreadable")));
    assert!(bench.in_state(film.video, ledger::State::Present).await.contains(&object));
}

async fn captions_are_added_replaced_and_removed_with_their_files(bench: Bench) {
    let film = bench.film(false).await;
    let whose = (bench.app, film.video);
    let add = async |name: &str| {
        let object: ObjectId = id();
        bench.db.intend_caption(whose, object, T0).await.unwrap();
        bench.db.add_caption(whose, caption(name, 0), stored(object, 9), T0).await.unwrap();
        object
    };
    let (first, other) = (add("en").await, add("sv").await);
    let second = add("en").await;
    let all = bench.db.captions(film.video).await.unwrap();
    let files: Vec<_> = all.iter().map(|one| (one.name.as_str(), one.added, one.file)).collect();
    assert_eq!(files, [("en", true, Some((second, 9))), ("sv", true, Some((other, 9)))]);
    assert_eq!(bench.in_state(film.video, ledger::State::ToDelete).await, [first]);
    assert!(bench.db.ledger_due(T0, 10).await.unwrap().is_empty(), "players may still know its address");
    assert_eq!(bench.db.ledger_due(T0.plus(REPLACED_GRACE_MS), 10).await.unwrap().len(), 1);
    bench.db.remove_caption(whose, "sv", T0).await.unwrap();
    assert!(matches!(bench.db.remove_caption(whose, "sv", T0).await, Err(DbError::Absent)));
    let stranger = (id(), film.video);
    assert!(matches!(bench.db.remove_caption(stranger, "en", T0).await, Err(DbError::Absent)));
    assert!(matches!(bench.db.intend_caption(stranger, id(), T0).await, Err(DbError::Absent)));
    bench.db.delete_video(bench.app, film.video, T0).await.unwrap();
    assert!(bench.in_state(film.video, ledger::State::Present).await.is_empty());
    let object: ObjectId = id();
    assert!(matches!(bench.db.intend_caption(whose, object, T0).await, Err(DbError::Absent)));
    for entry in bench.db.ledger_due(T0.plus(REPLACED_GRACE_MS), 100).await.unwrap() {
        bench.db.ledger_gone(entry.id, json!({}), T0).await.unwrap();
    }
    assert!(bench.db.captions(film.video).await.unwrap().is_empty(), "its rows went with its last file");
}

async fn another_sound_is_waited_for_by_nobody_and_fails_alone(bench: Bench) {
    let (video, source) = bench.brought().await;
    let film = Film { video, source, pictures: [id(), id()], sound: id() };
    let lease = bench.hold(Kind::Probe, T0).await;
    let mut probed = bench.probed(&lease, &film, false).await;
    let other = id();
    probed.ladder.push(track(other, "aac-2", Medium::Audio, 3));
    let mut finish = probed.jobs.pop().unwrap();
    let sound = bench.new_task(Task::Audio { video, track: 1 }, &[]);
    let join = bench.new_task(Task::Assemble { video, rendition: other }, &[(sound.id, OnDeath::Kill)]);
    finish.needs.push((join.id, OnDeath::Release));
    let retried = sound.id;
    probed.jobs.extend([sound, join, finish]);
    bench.db.publish_probe(&lease, probed).await.unwrap();
    bench.encode(&film).await;
    let now = bench.db.video_any(video).await.unwrap().unwrap();
    assert_eq!((now.generation, now.state), (video::FIRST_ENCODED, video::State::Processing));
    let lease = bench.hold(Kind::Audio, T0).await;
    assert_eq!(lease.job, retried);
    bench.db.fail_job(&lease, Class::Refusal, json!({ "code": "broken" }), T0, 0).await.unwrap();
    let state = async |id| bench.db.rendition(id).await.unwrap().unwrap().1.state;
    assert_eq!(
        (state(other).await, state(film.sound).await),
        (RenditionState::Failed, RenditionState::Encoding)
    );
    for place in [0, 1] {
        let (lease, assembled) = bench.assembled(&film, place).await;
        bench.db.publish_assembled(&lease, assembled).await.unwrap();
    }
    let poster = bench.hold(Kind::Poster, T0).await;
    bench.db.fail_job(&poster, Class::Refusal, json!({ "code": "broken" }), T0, 0).await.unwrap();
    let finish = bench.hold(Kind::Finish, T0).await;
    bench.db.publish_ready(&finish, T0).await.unwrap();
    // Run again, it is made after all, and the video is ready once more.
    bench.db.retry_job(bench.app, retried, T0).await.unwrap();
    assert_eq!(bench.db.video_any(video).await.unwrap().unwrap().state, video::State::Processing);
    let lease = bench.hold(Kind::Audio, T0).await;
    let object = bench.intend(&lease, ledger::Kind::AudioPart).await.unwrap();
    bench.db.publish_audio(&lease, Some(part(other, object, 1, SEGMENTS)), T0).await.unwrap();
    let lease = bench.hold(Kind::Assemble, T0).await;
    let object = bench.intend(&lease, ledger::Kind::Rendition).await.unwrap();
    let (stored, rows) = (stored(object, 50), rows(1, SEGMENTS));
    let whole =
        Assembled { rendition: other, stored, segments: SEGMENTS, bytes: 40, rows, sound: None, now: T0 };
    bench.db.publish_assembled(&lease, whole).await.unwrap();
    let finish = bench.hold(Kind::Finish, T0).await;
    bench.db.publish_ready(&finish, T0).await.unwrap();
    let now = bench.db.video_any(video).await.unwrap().unwrap();
    assert_eq!((now.state, state(other).await), (video::State::Ready, RenditionState::Ready));
}
