//! Encoders in hardware: only who has one claims what asks for it, and a video goes back to software as a whole.

use matinee_core::hardware::{Engine, Kind as Hardware};
use matinee_core::id::VideoId;
use matinee_core::job::{Kind, Lease, Task};
use matinee_core::ledger::{Kind as Ledger, State as Kept};
use matinee_core::video::{self, RenditionState};
use serde_json::json;

use super::stage::{Film, SEGMENTS, part};
use super::support::{Bench, T0, id, on_both, wish};
use crate::db::job::{Claim, Slots};
use crate::db::{DbError, Hard};

const ENGINE: Engine = Engine { kind: Hardware::Vaapi, fingerprint: 7 };
const OTHER: Engine = Engine { kind: Hardware::Vaapi, fingerprint: 8 };

on_both! {
    only_who_has_an_engine_claims_what_asks_for_it
    a_video_goes_back_to_software_as_a_whole
    a_video_that_is_watched_as_it_came_stays_so_without_its_hardware
    a_remake_goes_back_to_software_beside_what_is_served
}

const fn hard(video: VideoId) -> Hard {
    Hard { video, generation: video::FIRST_ENCODED, engine: ENGINE }
}

/// A video whose ladder is planned for hardware.
async fn planned(bench: &Bench, instant: bool) -> Film {
    let (video, source) = bench.brought().await;
    let film = Film { video, source, pictures: [id(), id()], sound: id() };
    plan(bench, &film, instant).await;
    film
}

/// Publishes a plan for hardware.
async fn plan(bench: &Bench, film: &Film, instant: bool) {
    let lease = bench.hold(Kind::Probe, T0).await;
    let mut probed = bench.probed(&lease, film, instant).await;
    probed.plan = json!({ "video": { "engine": ENGINE } });
    for job in probed.jobs.iter_mut().filter(|job| matches!(job.task, Task::Chunk { .. })) {
        job.load.engine = Some(ENGINE);
    }
    bench.db.publish_probe(&lease, probed).await.unwrap();
}

/// Takes a chunk as a node with these encoders, one job for each.
async fn claim(bench: &Bench, engines: &[Option<Engine>]) -> Option<(Lease, VideoId, u32)> {
    let slots = |engine: &Option<Engine>| Slots { engine: *engine, all_max: 9, ..Slots::of(Kind::Chunk, 1) };
    let claim = Claim { kinds: engines.iter().map(slots).collect(), ..wish("n/1", T0, 0) };
    let claimed = bench.db.claim(&claim).await.unwrap()?;
    let Task::Chunk { video, chunk, .. } = claimed.task else { unreachable!("only chunks are wanted") };
    Some((claimed.lease, video, chunk))
}

async fn only_who_has_an_engine_claims_what_asks_for_it(bench: Bench) {
    let hardly = planned(&bench, false).await.video;
    let soft = bench.film(false).await.video;
    assert!(claim(&bench, &[Some(OTHER)]).await.is_none());
    assert_eq!(claim(&bench, &[None]).await.map(|one| one.1), Some(soft), "it passes over what it cannot do");
    assert!(claim(&bench, &[None, Some(OTHER)]).await.is_none(), "its one slot is taken");
    let both = [None, Some(ENGINE)];
    assert_eq!(claim(&bench, &both).await.map(|one| one.1), Some(hardly), "an engine has slots of its own");
    assert!(claim(&bench, &both).await.is_none());
    assert_eq!(bench.db.engines_wanted(T0).await.unwrap(), [hard(hardly)]);
}

/// Publishes a chunk whose setup is `entry`; each setup has its own time, because an event does.
async fn publish(
    bench: &Bench,
    film: &Film,
    (lease, chunk): (&Lease, u32),
    entry: u8,
) -> Result<bool, DbError> {
    let mut parts = Vec::new();
    let (first, segments) = super::stage::CHUNKS[chunk as usize];
    for rendition in film.pictures {
        let object = bench.intend(lease, Ledger::Chunk).await?;
        let mut part = part(rendition, object, first, segments);
        part.shape.entry_hash = Some([entry; 32]);
        parts.push(part);
    }
    bench.db.publish_chunk(lease, parts, T0.plus(i64::from(entry))).await
}

async fn sound(bench: &Bench, film: &Film) {
    let lease = bench.hold(Kind::Audio, T0).await;
    let part = bench.sound(film, &lease, (1, SEGMENTS)).await;
    bench.db.publish_audio(&lease, Some(part), T0).await.unwrap();
}

async fn a_video_goes_back_to_software_as_a_whole(bench: Bench) {
    let film = planned(&bench, false).await;
    sound(&bench, &film).await;
    let mut taken = Vec::new();
    for _ in 0..2 {
        let slots = Slots { engine: Some(ENGINE), ..Slots::of(Kind::Chunk, 9) };
        let claim = Claim { kinds: vec![slots], ..wish("n/1", T0, 0) };
        taken.push(bench.db.claim(&claim).await.unwrap().unwrap());
    }
    let chunk = |at: usize| {
        let Task::Chunk { chunk, .. } = taken[at].task else { unreachable!("only chunks are wanted") };
        chunk
    };
    publish(&bench, &film, (&taken[0].lease, chunk(0)), 1).await.unwrap();
    let shown = async || bench.db.video_any(film.video).await.unwrap().unwrap();
    let before = bench.in_state(film.video, Kept::Present).await.len();

    assert!(
        !bench.db.fall_back(Hard { engine: OTHER, ..hard(film.video) }, "no", T0).await.unwrap(),
        "it has another engine"
    );
    assert!(bench.db.fall_back(hard(film.video), "the card fell out", T0).await.unwrap());
    assert!(!bench.db.fall_back(hard(film.video), "again", T0).await.unwrap(), "once");

    let video = shown().await;
    assert_eq!((video.generation, video.is_playable()), (0, false), "nothing of it can be watched for now");
    assert_eq!(video.plan.unwrap()["video"], json!({ "fallback": "the card fell out" }));
    let late = publish(&bench, &film, (&taken[1].lease, chunk(1)), 1).await;
    assert!(matches!(late, Err(DbError::LeaseLost)), "{late:?}");
    for rendition in film.pictures {
        assert!(bench.db.parts(rendition).await.unwrap().is_empty());
        let row = bench.db.rendition(rendition).await.unwrap().unwrap().1;
        assert_eq!((row.state, row.shape.entry_hash, row.shape.init), (RenditionState::Waiting, None, None));
    }
    assert_eq!(bench.in_state(film.video, Kept::Present).await.len(), before - 2, "the sound stays");
    assert!(bench.db.engines_wanted(T0).await.unwrap().is_empty());
    assert_eq!(bench.count("video.replanned").await, 1);

    let mut chunks = Vec::new();
    for _ in 0..3 {
        let (lease, _, chunk) = claim(&bench, &[None]).await.expect("anybody may do it now");
        publish(&bench, &film, (&lease, chunk), 2).await.unwrap();
        chunks.push(chunk);
    }
    chunks.sort_unstable();
    assert_eq!(chunks, [0, 1, 2], "every chunk anew, the one that was done, too");
    assert_eq!(shown().await.generation, video::FIRST_ENCODED);
    for place in 0..2 {
        let (lease, assembled) = bench.assembled(&film, place).await;
        bench.db.publish_assembled(&lease, assembled).await.unwrap();
    }
}

async fn a_video_that_is_watched_as_it_came_stays_so_without_its_hardware(bench: Bench) {
    let film = planned(&bench, true).await;
    assert!(bench.db.fall_back(hard(film.video), "the card fell out", T0).await.unwrap());
    let video = bench.db.video_any(film.video).await.unwrap().unwrap();
    assert_eq!((video.generation, video.playable), (video::VIRTUAL, Some(T0)));
    bench.db.delete_video(bench.app, film.video, T0).await.unwrap();
    let gone = planned(&bench, false).await;
    bench.db.delete_video(bench.app, gone.video, T0).await.unwrap();
    assert!(!bench.db.fall_back(hard(gone.video), "too late", T0).await.unwrap(), "it is being deleted");
}

async fn a_remake_goes_back_to_software_beside_what_is_served(bench: Bench) {
    let film = bench.ready(false).await;
    bench.wish(&film).await.unwrap();
    let next = Film { pictures: [id(), id()], sound: id(), ..film.clone() };
    plan(&bench, &next, false).await;
    let hard = Hard { generation: video::FIRST_ENCODED + 1, ..hard(film.video) };
    assert!(!bench.db.fall_back(self::hard(film.video), "no", T0).await.unwrap(), "that one is done");
    assert_eq!(bench.db.engines_wanted(T0).await.unwrap(), [hard]);
    assert!(bench.db.fall_back(hard, "the card fell out", T0).await.unwrap());
    let shown = bench.db.video_any(film.video).await.unwrap().unwrap();
    assert_eq!((shown.generation, shown.is_playable()), (video::FIRST_ENCODED, true));
    assert_eq!(shown.plan_of(hard.generation).unwrap()["video"]["fallback"], "the card fell out");
    for _ in 0..3 {
        let (lease, _, chunk) = claim(&bench, &[None]).await.expect("anybody may do it now");
        publish(&bench, &next, (&lease, chunk), 2).await.unwrap();
    }
}
