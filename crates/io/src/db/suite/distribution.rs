//! A video is told to be where it was wanted once, and only when it is: in its archive and at all of its hosts.

use matinee_core::host::Standing;
use matinee_core::id::VideoId;
use matinee_core::job::{Kind, Task};
use matinee_core::publication::HandOver;
use serde_json::json;

use super::support::{Bench, T0, id, on_both};
use crate::db::value::args;
use crate::db::{NewPublication, NewReplica, Placing, Proven, Publication, Told};

on_both! {
    a_video_is_told_of_when_archive_and_host_have_it
    what_is_wanted_nowhere_is_not_told_of
    what_a_host_has_not_made_is_not_told_of_until_it_is_withdrawn
}

const ARCHIVE: &str = "deep";

fn archives() -> Vec<String> {
    vec![ARCHIVE.to_owned()]
}

impl Bench {
    /// As if all that somebody waits for was made of it.
    async fn declare_ready(&self, video: VideoId) {
        let set = self.db.write(video, |tx, video| {
            Box::pin(async move {
                tx.execute("UPDATE video SET state = 'ready' WHERE id = $1", args![*video]).await
            })
        });
        assert_eq!(set.await.unwrap(), 1);
    }

    async fn distributable(&self, archives: &[String]) -> Vec<VideoId> {
        let found = self.db.to_distribute(archives, 10).await.unwrap();
        found.into_iter().map(|(_, video)| video).collect()
    }

    async fn place_all(&self, new: &[NewReplica]) {
        for due in self.db.unplaced(10).await.unwrap() {
            let placing = Placing { new: new.to_vec(), ..Placing::default() };
            assert!(self.db.place(&due, &placing, "r1", T0).await.unwrap());
        }
    }

    async fn archive(&self) {
        let new = NewReplica {
            id: id(),
            store: ARCHIVE.to_owned(),
            key: "k".to_owned(),
            template: Some("{video}".to_owned()),
            archive: true,
            job: id(),
            replaces: None,
        };
        self.place_all(std::slice::from_ref(&new)).await;
        let lease = self.hold(Kind::Copy, T0).await;
        self.db.begin_copy(&lease, new.id, T0).await.unwrap().unwrap();
        self.db.copied(&lease, new.id, Proven::default(), T0).await.unwrap();
        // What it is now was looked at.
        self.place_all(&[]).await;
    }

    async fn sent(&self, video: VideoId, host: &str) -> Publication {
        let lease = self.hold(Kind::Publish, T0).await;
        let held = self.db.publication_held(&lease, (id(), host), T0).await.unwrap().unwrap();
        self.db.publication_asked(Some(lease), held.id, (10, HandOver::Push), T0).await.unwrap();
        self.db.publication_made(held.id, (&format!("remote-{video}"), None), T0).await.unwrap();
        self.db.publication_whole(&lease, held.id, T0).await.unwrap();
        self.db.publications(video).await.unwrap().pop().unwrap()
    }

    async fn heard(&self, of: &Publication, standing: &Standing) {
        let told = Told {
            standing: standing.clone(),
            full: true,
            duration_ms: None,
            bytes: None,
            facts: json!({}),
            next_ask: None,
            again: (id(), id()),
        };
        self.db.publication_told(of.id, &told, T0).await.unwrap();
    }
}

async fn a_video_is_told_of_when_archive_and_host_have_it(bench: Bench) {
    let (video, _) = bench.brought().await;
    // The job of its pipeline: nobody has begun it, so the publication has no row yet.
    bench.insert(&[bench.new_task(Task::Publish { video, host: "bn".to_owned() }, &[])]).await.unwrap();
    bench.archive().await;
    bench.declare_ready(video).await;
    assert_eq!(bench.distributable(&archives()).await, [], "the host does not have it");
    let sent = bench.sent(video, "bn").await;
    assert_eq!(bench.distributable(&archives()).await, [], "the host is not done");
    bench.heard(&sent, &Standing::Ready).await;
    assert_eq!(bench.distributable(&archives()).await, [video]);
    assert_eq!(bench.distributable(&["other".to_owned()]).await, [], "another archive does not have it");
    let kept = bench.db.archived(video, &archives()).await.unwrap();
    assert_eq!(kept.iter().map(|copy| copy.key.as_str()).collect::<Vec<_>>(), ["k"]);
    let tell = async || bench.db.tell_distributed((bench.app, video), &archives(), T0).await;
    assert!(tell().await.unwrap());
    assert!(!tell().await.unwrap(), "once");
    assert_eq!(bench.count("video.distributed").await, 1);
    let events = bench.db.events_after(Some(bench.app), None, 0, 100).await.unwrap();
    let told = events.iter().find(|event| event.topic.name() == "video.distributed").unwrap();
    assert_eq!(told.payload, json!({ "archived": true, "hosts": ["bn"] }));
    // One more host is one more reason to tell.
    let new = NewPublication { id: id(), app: bench.app, video, host: "cf".to_owned() };
    bench.db.publish(&new, id(), T0).await.unwrap();
    assert_eq!(bench.distributable(&archives()).await, []);
}

async fn what_is_wanted_nowhere_is_not_told_of(bench: Bench) {
    let (video, _) = bench.brought().await;
    bench.declare_ready(video).await;
    bench.place_all(&[]).await;
    assert_eq!(bench.distributable(&[]).await, []);
    assert_eq!(bench.distributable(&archives()).await, []);
    assert!(!bench.db.tell_distributed((bench.app, video), &[], T0).await.unwrap());
}

async fn what_a_host_has_not_made_is_not_told_of_until_it_is_withdrawn(bench: Bench) {
    let (video, _) = bench.brought().await;
    bench.archive().await;
    bench.declare_ready(video).await;
    let new = NewPublication { id: id(), app: bench.app, video, host: "bn".to_owned() };
    bench.db.publish(&new, id(), T0).await.unwrap();
    let sent = bench.sent(video, "bn").await;
    bench.heard(&sent, &Standing::Gone).await;
    assert_eq!(bench.distributable(&archives()).await, []);
    bench.db.withdraw((bench.app, video), "bn", T0).await.unwrap();
    assert_eq!(bench.distributable(&archives()).await, [video]);
    assert_eq!(bench.distributable(&[]).await, [], "without archive and host it is nowhere");
}
