//! Nodes restart in turn while files are uploaded: no upload fails.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use reqwest::{Method, RequestBuilder};

use super::support::{Nodes, padded};
use crate::support::sender::{Sent, create};
use crate::support::server::Server;
use crate::support::{Random, until};

const MIB: usize = 1 << 20;
const SENDERS: u32 = 3;

/// What senders know of the nodes: where they listen, and whether all restarts are done.
struct Front {
    ports: Mutex<[u16; 2]>,
    done: AtomicBool,
    pieces: AtomicU32,
}

/// A sender that asks now this node, now the other, and looks again after whatever went wrong. It sends small pieces, and
/// the rest when all restarts are done.
async fn send(front: &Front, sent: &Sent, bytes: &[u8], random: &mut Random) {
    let client = crate::support::client().pool_max_idle_per_host(0).build().unwrap();
    let request = |method: Method, random: &mut Random| -> RequestBuilder {
        let port = front.ports.lock().unwrap()[usize::from(random.below(2) == 0)];
        client
            .request(method, format!("http://127.0.0.1:{port}{}", sent.path))
            .header("Tus-Resumable", "1.0.0")
    };
    let mut known = 0;
    until("the upload is complete", 120, async || {
        let looked = request(Method::HEAD, random).send().await.ok()?;
        if looked.status() != 200 {
            assert!([423, 503].contains(&looked.status().as_u16()), "an upload failed: {}", looked.status());
            return None;
        }
        let at: u64 = looked.headers()["upload-offset"].to_str().unwrap().parse().unwrap();
        assert!(at >= known, "{at} after {known} were acknowledged");
        known = at;
        let from = usize::try_from(at).unwrap();
        let rest = bytes.len() - from;
        let done = front.done.load(Ordering::SeqCst);
        let len = if done { rest } else { rest.min(1 + usize::try_from(random.below(32 << 10)).unwrap()) };
        if rest == 0 {
            return Some(());
        }
        if !done && len == rest {
            return None;
        }
        let patch = request(Method::PATCH, random).header("Content-Type", "application/offset+octet-stream");
        let patch = patch.header("Upload-Offset", at).body(bytes[from..from + len].to_vec());
        if let Ok(answer) = patch.send().await {
            let status = answer.status().as_u16();
            assert!([204, 409, 423, 503].contains(&status), "an upload failed: {status}");
            if status == 204 {
                known = at + len as u64;
                front.pieces.fetch_add(1, Ordering::SeqCst);
            }
        }
        None
    })
    .await;
}

#[tokio::test]
async fn nodes_restart_in_turn_and_no_upload_fails() {
    let Some(mut nodes) = Nodes::start().await else { return };
    let (a, b) = (nodes.add("a").await, nodes.add("b").await);
    let bytes = padded(8 * MIB);
    let mut uploads = Vec::new();
    for _ in 0..SENDERS {
        uploads.push(create(&a, bytes.len() as u64, "rolling.mp4").await);
    }
    let ports = Mutex::new([a.port, b.port]);
    let front = Front { ports, done: AtomicBool::new(false), pieces: AtomicU32::new(0) };
    let sending = uploads.iter().zip(0..).map(async |(sent, seed)| {
        send(&front, sent, &bytes, &mut Random(seed)).await;
    });
    let (_, b) = tokio::join!(futures_util::future::join_all(sending), restarts(&front, a, b));
    for sent in uploads {
        nodes.ready_once(&b, &sent.video, &bytes).await;
    }
    nodes.rows_and_files_agree().await;
}

/// One node ends in order, the other by `kill -9`, each twice, and each while all uploads move on. The second node.
async fn restarts(front: &Front, mut a: Server, mut b: Server) -> Server {
    for round in 0..4 {
        let before = front.pieces.load(Ordering::SeqCst);
        until("all uploads move on", 60, async || {
            (front.pieces.load(Ordering::SeqCst) >= before + 4 * SENDERS).then_some(())
        })
        .await;
        if round % 2 == 0 {
            assert!(a.terminate(30).await.success());
            a = a.again().await;
            front.ports.lock().unwrap()[0] = a.port;
        } else {
            b.kill();
            b = b.again().await;
            front.ports.lock().unwrap()[1] = b.port;
        }
    }
    front.done.store(true, Ordering::SeqCst);
    b
}
