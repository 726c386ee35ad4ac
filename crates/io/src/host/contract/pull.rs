//! Films that hosts fetch by themselves.

use futures_util::future::BoxFuture;

use super::*;
use crate::host::fake::{Asked, Pretend, Reply, Wish, media, with};

/// A server from which hosts fetch.
struct Shelf;

impl Pretend for Shelf {
    fn call(&self, method: &http::Method, path: &str) -> Option<&'static str> {
        (["GET", "HEAD"].contains(&method.as_str()) && path != "/none").then_some("media")
    }

    fn reply(&self, _: Asked) -> BoxFuture<'_, Reply> {
        Box::pin(async { with(media("video/mp4", FILM.to_vec()), "accept-ranges", "bytes") })
    }
}

async fn shelf() -> Frame {
    let (frame, listener) = Frame::listen(&Wish::new(std::path::PathBuf::new(), clock())).await.unwrap();
    tokio::spawn(frame.clone().serve(listener, Arc::new(Shelf)));
    frame
}

#[tokio::test]
async fn a_film_is_fetched_by_the_host_itself_and_found_by_its_key() {
    let shelf = shelf().await;
    for pair in pairs().await {
        for (number, path, plays) in [(1, "/film.mp4", true), (2, "/none", false)] {
            let from = format!("{}{path}", shelf.url());
            let told = pair.host.pull(key(number), &from, &wanted(FILM.len() as u64)).await.unwrap();
            let found = pair.host.list(&Query::Key(key(number)), None).await.unwrap().items;
            assert_eq!(found.len(), 1);
            assert!(told.is_none_or(|told| told == found[0].id));
            let mut standing = found[0].standing.clone();
            // Each question takes its time.
            for _ in 0..500 {
                if !matches!(standing, Standing::AwaitingUpload | Standing::Receiving(_)) {
                    break;
                }
                standing = pair.standing(&found[0].id).await;
            }
            assert_eq!(standing == Standing::Queued, plays, "{path} {standing:?}");
            assert_eq!(matches!(standing, Standing::Failed(_)), !plays, "{path} {standing:?}");
        }
        pair.trouble("pull", Fault::CutAfter);
        let from = format!("{}/film.mp4", shelf.url());
        let lost = pair.host.pull(key(3), &from, &wanted(1)).await;
        assert!(matches!(lost, Err(HostError::Ambiguous(_))), "{lost:?}");
        assert_eq!(pair.host.list(&Query::Key(key(3)), None).await.unwrap().items.len(), 1);
        let refused = pair.host.pull(key(4), "ftp://somewhere/film.mp4", &wanted(1)).await;
        assert!(matches!(refused, Err(HostError::Refused(_))), "{refused:?}");
        understood(&pair);
    }
}
