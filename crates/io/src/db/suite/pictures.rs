//! Pictures: what somebody chose stays, what is replaced goes after a while, and what is deleted goes whole.

use matinee_core::job::{Kind, Task};
use matinee_core::ledger::{self, State};
use matinee_core::limits::REPLACED_GRACE_MS;
use serde_json::json;

use super::stage::{Film, stored};
use super::support::{Bench, T0, id, on_both};
use crate::db::{Boarded, DbError, Sheet};

on_both! {
    a_chosen_poster_stays_and_the_one_before_goes
    a_poster_that_was_never_written_is_swept
    a_storyboard_takes_the_place_of_an_older_one
    a_deleted_video_leaves_no_picture
}

async fn chosen(bench: &Bench, film: &Film) -> matinee_core::id::ObjectId {
    let object = id();
    bench.db.intend_poster((bench.app, film.video), object, T0).await.unwrap();
    bench.db.choose_poster((bench.app, film.video), stored(object, 5), T0).await.unwrap();
    object
}

/// Publishes a storyboard of so many sheets; its objects, the preview last.
async fn boarded(bench: &Bench, film: &Film, sheets: u64) -> Vec<matinee_core::id::ObjectId> {
    bench.insert(&[bench.new_task(Task::Storyboard { video: film.video }, &[])]).await.unwrap();
    let lease = bench.hold(Kind::Storyboard, T0).await;
    let mut objects = Vec::new();
    for _ in 0..sheets {
        objects.push(bench.intend(&lease, ledger::Kind::Sheet).await.unwrap());
    }
    let preview = bench.intend(&lease, ledger::Kind::Preview).await.unwrap();
    let boarded = Boarded {
        storyboard: json!({ "sheets": sheets }),
        sheets: objects.iter().zip(1..).map(|(object, size)| stored(*object, size)).collect(),
        preview: stored(preview, 9),
    };
    bench.db.publish_storyboard(&lease, boarded.clone(), T0).await.unwrap();
    let again = bench.db.publish_storyboard(&lease, boarded, T0).await;
    assert!(matches!(again, Err(DbError::LeaseLost)), "{again:?}");
    objects.push(preview);
    objects
}

async fn a_chosen_poster_stays_and_the_one_before_goes(bench: Bench) {
    let film = bench.film(true).await;
    let lease = bench.hold(Kind::Poster, T0).await;
    let made = bench.intend(&lease, ledger::Kind::Poster).await.unwrap();
    let first = chosen(&bench, &film).await;
    bench.db.publish_poster(&lease, stored(made, 3), T0).await.unwrap();
    let poster = async || bench.db.video_any(film.video).await.unwrap().unwrap().poster;
    assert_eq!(poster().await, Some(first));
    assert_eq!(bench.in_state(film.video, State::ToDelete).await, [made]);
    assert_eq!(bench.db.ledger_due(T0, 10).await.unwrap().len(), 1, "nobody ever saw it");
    let second = chosen(&bench, &film).await;
    assert_eq!(poster().await, Some(second));
    assert_eq!(bench.db.ledger_due(T0, 10).await.unwrap().len(), 1, "pages may still show the first");
    assert_eq!(bench.db.ledger_due(T0.plus(REPLACED_GRACE_MS), 10).await.unwrap().len(), 2);
    assert_eq!(bench.count("video.pictures").await, 2);
    let foreign = bench.db.intend_poster((id(), film.video), id(), T0).await;
    assert!(matches!(foreign, Err(DbError::Absent)), "{foreign:?}");
    let foreign = bench.db.choose_poster((id(), film.video), stored(second, 5), T0).await;
    assert!(matches!(foreign, Err(DbError::Absent)), "{foreign:?}");
}

async fn a_poster_that_was_never_written_is_swept(bench: Bench) {
    let film = bench.film(true).await;
    let object = id();
    bench.db.intend_poster((bench.app, film.video), object, T0).await.unwrap();
    assert_eq!(bench.db.sweep_intended(T0.plus(999), 1_000).await.unwrap(), 0);
    assert_eq!(bench.db.sweep_intended(T0.plus(1_000), 1_000).await.unwrap(), 1);
    assert_eq!(bench.in_state(film.video, State::ToDelete).await, [object]);
    let late = bench.db.choose_poster((bench.app, film.video), stored(object, 5), T0).await;
    assert!(matches!(late, Err(DbError::LeaseLost)), "{late:?}");
    assert_eq!(bench.db.video_any(film.video).await.unwrap().unwrap().poster, None);
}

async fn a_storyboard_takes_the_place_of_an_older_one(bench: Bench) {
    let film = bench.film(true).await;
    assert!(bench.db.sheets(film.video).await.unwrap().is_empty());
    let old = boarded(&bench, &film, 3).await;
    let sheets = bench.db.sheets(film.video).await.unwrap();
    let expected = |objects: &[matinee_core::id::ObjectId]| -> Vec<Sheet> {
        objects.iter().zip(1..).map(|(object, size)| Sheet { object: *object, size }).collect()
    };
    assert_eq!(sheets, expected(&old[..3]));
    let new = boarded(&bench, &film, 2).await;
    assert_eq!(bench.db.sheets(film.video).await.unwrap(), expected(&new[..2]));
    let video = bench.db.video_any(film.video).await.unwrap().unwrap();
    assert_eq!((video.storyboard, video.preview), (Some(json!({ "sheets": 2 })), Some(new[2])));
    let mut going = bench.in_state(film.video, State::ToDelete).await;
    going.sort_unstable();
    assert_eq!(going, old);
    // Nothing that is in use is taken for work that is over.
    bench.encode(&film).await;
    for place in [1, 0] {
        let (lease, assembled) = bench.assembled(&film, place).await;
        bench.db.publish_assembled(&lease, assembled).await.unwrap();
    }
    let poster = bench.hold(Kind::Poster, T0).await;
    let made = bench.intend(&poster, ledger::Kind::Poster).await.unwrap();
    bench.db.publish_poster(&poster, stored(made, 3), T0).await.unwrap();
    let finish = bench.hold(Kind::Finish, T0).await;
    bench.db.publish_ready(&finish, T0).await.unwrap();
    let present = bench.in_state(film.video, State::Present).await;
    assert!(new.iter().all(|object| present.contains(object)), "{present:?}");
}

async fn a_deleted_video_leaves_no_picture(bench: Bench) {
    let film = bench.film(true).await;
    boarded(&bench, &film, 2).await;
    chosen(&bench, &film).await;
    bench.db.delete_video(bench.app, film.video, T0).await.unwrap();
    assert!(bench.in_state(film.video, State::Present).await.is_empty());
    for entry in bench.db.ledger_due(T0, 100).await.unwrap() {
        bench.db.ledger_gone(entry.id, json!({}), T0).await.unwrap();
    }
    assert!(bench.db.sheets(film.video).await.unwrap().is_empty());
    assert!(bench.in_state(film.video, State::ToDelete).await.is_empty());
    let late = bench.db.intend_poster((bench.app, film.video), id(), T0).await;
    assert!(matches!(late, Err(DbError::Absent)), "{late:?}");
}
