//! Concatenation: a final upload ends with its last part, exactly once, and its parts go when nobody needs them.

use matinee_core::id::{ObjectId, UploadId};
use matinee_core::job::load::Load;
use matinee_core::job::{Kind, NewJob, Task};
use matinee_core::ledger;
use matinee_core::limits::JOINED_PART_MS;
use matinee_core::upload::{Phase, State};

use super::support::{Bench, T0, id, on_both};
use crate::db::{DbError, NewUpload};

on_both! {
    parts_that_end_at_once_make_one_video
    a_joined_video_frees_its_parts_later
    a_part_that_ends_takes_the_final_upload_with_it
    a_final_upload_has_parts_of_its_own_app_only
    a_closed_upload_keeps_its_video
    only_in_the_ietf_protocol_an_upload_may_be_full_and_open
}

async fn part(bench: &Bench, size: u64) -> NewUpload {
    let new = bench.new_upload(Some(size));
    bench.db.create_part(&new).await.unwrap();
    new
}

async fn finish(bench: &Bench, part: &NewUpload) {
    let epoch = bench.db.take_upload(part.id).await.unwrap();
    bench.db.finish_part((part.id, epoch), part.size.unwrap(), T0).await.unwrap();
}

async fn final_of(bench: &Bench, parts: &[UploadId]) -> NewUpload {
    let new = bench.new_upload(None);
    bench.db.create_final(&new, "final;a b", parts).await.unwrap();
    new
}

async fn state(bench: &Bench, id: UploadId) -> State {
    bench.db.upload(bench.app, id).await.unwrap().unwrap().state
}

async fn parts_that_end_at_once_make_one_video(bench: Bench) {
    for _ in 0..8 {
        let parts = [part(&bench, 3).await, part(&bench, 4).await];
        let new = final_of(&bench, &[parts[0].id, parts[1].id, parts[0].id]).await;
        assert!(matches!(state(&bench, new.id).await, State::Open { offset: 0, size: None }));
        let ends = parts.clone().map(|part| {
            let bench = bench.clone();
            tokio::spawn(async move { finish(&bench, &part).await })
        });
        for end in ends {
            end.await.unwrap();
        }
        assert_eq!(state(&bench, new.id).await, State::Finished { size: 10 });
        let shown = bench.db.parts_of_final(new.id).await.unwrap();
        let sizes: Vec<_> = shown.iter().map(|part| (part.offset, part.phase)).collect();
        assert_eq!(sizes, [(3, Phase::Finished), (4, Phase::Finished), (3, Phase::Finished)]);
        assert!(bench.db.video(bench.app, parts[0].video).await.unwrap().is_none(), "a part is no video");
        assert!(bench.db.video(bench.app, new.video).await.unwrap().is_some());
        bench.hold(Kind::Join, T0).await;
    }
    assert_eq!(bench.count("video.created").await, 8);
    assert_eq!(bench.count("upload.created").await, 8, "of parts nobody is told");
    assert_eq!(bench.db.uploads(bench.app, &[], None, 100).await.unwrap().len(), 8);
}

async fn a_joined_video_frees_its_parts_later(bench: Bench) {
    let parts = [part(&bench, 3).await, part(&bench, 4).await];
    finish(&bench, &parts[0]).await;
    finish(&bench, &parts[1]).await;
    let new = final_of(&bench, &[parts[0].id, parts[1].id]).await;
    let late = T0.plus(10_000_000);
    assert_eq!(bench.db.expire_uploads(late, 10).await.unwrap(), [], "they are still needed");
    bench.db.close_upload(parts[0].id, T0).await.unwrap();
    assert_eq!(state(&bench, parts[0].id).await, State::Finished { size: 3 }, "and kept");
    let lease = bench.hold(Kind::Join, T0).await;
    let object: ObjectId = bench.intend(&lease, ledger::Kind::Source).await.unwrap();
    let probe = NewJob {
        id: id(),
        app: bench.app,
        video: Some(new.video),
        task: Task::Probe { video: new.video },
        prio: 0,
        weight: 0,
        run_at: T0,
        needs: Vec::new(),
        load: Load::default(),
        idem_key: None,
    };
    bench.db.publish_joined(&lease, (object, 7), probe.clone(), T0).await.unwrap();
    let again = bench.db.publish_joined(&lease, (object, 7), probe, T0).await;
    assert!(matches!(again, Err(DbError::LeaseLost)), "{again:?}");
    let video = bench.db.video(bench.app, new.video).await.unwrap().unwrap();
    assert_eq!(video.source, Some(object));
    assert_eq!(bench.in_state(new.video, ledger::State::ToDelete).await, [new.object], "never written");
    assert!(bench.db.parts_of_final(new.id).await.unwrap().is_empty());
    let mut expired = bench.db.expire_uploads(T0.plus(JOINED_PART_MS), 10).await.unwrap();
    expired.sort_unstable();
    assert_eq!(expired, [parts[0].id, parts[1].id]);
    for part in &parts {
        assert_eq!(bench.in_state(part.video, ledger::State::ToDelete).await, [part.object]);
    }
    bench.hold(Kind::Probe, T0).await;
}

async fn a_part_that_ends_takes_the_final_upload_with_it(bench: Bench) {
    let parts = [part(&bench, 3).await, part(&bench, 4).await];
    finish(&bench, &parts[0]).await;
    let new = final_of(&bench, &[parts[0].id, parts[1].id]).await;
    assert_eq!(bench.db.expire_uploads(T0.plus(1_000), 10).await.unwrap(), [parts[1].id]);
    let stored = bench.db.upload(bench.app, new.id).await.unwrap().unwrap();
    assert_eq!((stored.state, stored.reason.unwrap().code.as_str()), (State::Lost, "upload_part_gone"));
    assert_eq!(bench.db.expire_uploads(T0.plus(1_000), 10).await.unwrap(), [parts[0].id], "no longer needed");
    assert_eq!((bench.count("upload.expired").await, bench.count("upload.failed").await), (0, 1));
}

async fn a_final_upload_has_parts_of_its_own_app_only(bench: Bench) {
    let mut other = bench.clone();
    other.app = id();
    other.add_app(other.app).await;
    let (foreign, whole) = (part(&other, 3).await, bench.upload_of(Some(3)).await);
    let over = part(&bench, 3).await;
    bench.db.cancel_upload(over.id, T0).await.unwrap();
    for wrong in [foreign.id, whole.id, over.id, id()] {
        let new = bench.new_upload(None);
        let made = bench.db.create_final(&new, "final;a", &[wrong]).await;
        assert!(matches!(made, Err(DbError::Absent)), "{made:?}");
        assert!(bench.db.upload(bench.app, new.id).await.unwrap().is_none(), "nothing is left of it");
    }
    let epoch = bench.db.take_upload(foreign.id).await.unwrap();
    let finish = super::stage::finish(foreign.id, Some(epoch), 3);
    assert!(matches!(bench.db.finish_upload(&finish).await, Err(DbError::Conflict(_))), "a part is no video");
}

async fn a_closed_upload_keeps_its_video(bench: Bench) {
    let new = bench.upload_of(Some(10)).await;
    assert!(matches!(bench.db.close_upload(new.id, T0).await, Err(DbError::Absent)), "it is open");
    bench.db.finish_upload(&super::stage::finish(new.id, None, 10)).await.unwrap();
    bench.db.close_upload(new.id, T0.plus(5)).await.unwrap();
    assert_eq!(bench.db.upload_by_key(&new.url_key).await.unwrap().unwrap().closed, Some(T0.plus(5)));
    assert!(bench.db.video(bench.app, new.video).await.unwrap().is_some());
    assert_eq!(bench.in_state(new.video, ledger::State::Present).await, [new.object]);
}

async fn only_in_the_ietf_protocol_an_upload_may_be_full_and_open(bench: Bench) {
    use matinee_core::upload::Way;
    for (way, allowed) in [(Way::Resumable, true), (Way::Tus, false)] {
        let new = NewUpload { way, ..bench.new_upload(None) };
        bench.db.create_upload_of(&new, [7; 32]).await.unwrap();
        let epoch = bench.db.take_upload(new.id).await.unwrap();
        bench.db.commit_offset((new.id, epoch), 5, T0, T0).await.unwrap();
        assert_eq!(bench.db.declare_size((new.id, epoch), 5, T0).await.is_ok(), allowed);
        let sized = NewUpload { way, ..bench.new_upload(Some(5)) };
        bench.db.create_upload(&sized).await.unwrap();
        let epoch = bench.db.take_upload(sized.id).await.unwrap();
        assert_eq!(bench.db.commit_offset((sized.id, epoch), 5, T0, T0).await.is_ok(), allowed);
        let stored = bench.db.upload(bench.app, new.id).await.unwrap().unwrap();
        assert_eq!(stored.digest, Some([7; 32]));
    }
}
