//! `kill -9` at every step of one recording: fetched, archived, made at the host, sent there, told. Nothing is lost, nothing
//! happens twice, and nobody has to do anything.

use matinee_io::host::fake::Fault;
use matinee_io::store::fake::{Call, Fault as StoreFault, Trouble};

use super::{HOOK, Outside, SOON_S, VIEW, encoding};
use crate::support::files::Manner;
use crate::support::receiver::HANGS;
use crate::support::server::Server;
use crate::support::{clips, noise, until};

/// Long enough for several parts in the archive.
const TAIL_BYTES: usize = 20 << 20;

async fn killed(mut server: Server) -> Server {
    server.kill();
    server.again().await
}

#[tokio::test]
async fn a_kill_at_every_step_heals() {
    let mut outside = Outside::start().await;
    let server = outside.server().await;
    let mut film = clips::faststart(2);
    film.extend(noise(3, TAIL_BYTES));

    let slowly = Manner { rest_ms: Some(20), ..Manner::default() };
    outside.zoom.record("rec-1", VIEW, &film, slowly);
    // What is put says nothing once, and the part after it is cut.
    outside.b2.fail(StoreFault { call: Call::Part, skip: 1, times: 1, trouble: Trouble::Lost });
    outside.trouble("create", Fault::Hangs, 1);
    assert_eq!(outside.zoom.deliver(&server, &outside.zoom.event(1), 0).await.0, 200);
    until("it is being fetched", SOON_S, async || (!outside.zoom.fetched().is_empty()).then_some(())).await;
    let server = killed(server).await;

    let parts = |outside: &Outside| outside.b2.journal().iter().filter(|one| one.call == Call::Part).count();
    until("a part is in the archive", SOON_S, async || (parts(&outside) > 0).then_some(())).await;
    let server = killed(server).await;

    until("the host was asked", SOON_S, async || (outside.calls("create") > 0).then_some(())).await;
    outside.trouble("tus append", Fault::Hangs, 1);
    let server = killed(server).await;

    until("it is being sent", SOON_S, async || (outside.calls("tus append") > 0).then_some(())).await;
    outside.site.answers(HOOK, HANGS);
    let server = killed(server).await;

    let hung = async || (!outside.site.of(HOOK).is_empty()).then_some(());
    tokio::select! {
        () = until("the site is being told", SOON_S, hung) => {}
        () = encoding(&outside) => unreachable!("because the host encodes for ever"),
    }
    outside.site.answers(HOOK, 204);
    let heard = outside.site.of(HOOK).len();
    let server = killed(server).await;

    until("the site is told again", SOON_S, async || (outside.site.of(HOOK).len() > heard).then_some(()))
        .await;
    let told = outside.told(1).await;
    let mut ids: Vec<_> = told.iter().map(|message| message.header("webhook-id")).collect();
    ids.dedup();
    assert_eq!(ids.len(), 1, "the same message, however often it comes");
    outside.holds(&server, &told[0].json(), &film).await;
    outside.counts(1, film.len() as u64);
    assert_eq!(outside.calls("create"), 1, "made once");
    let (_, uploads) = server.get("/v1/uploads").await;
    assert_eq!(uploads["items"].as_array().unwrap().len(), 1, "{uploads}");
}
