//! A network of the test's own: the server's side in one namespace, each runner in another, with a cable that can be cut.
//!
//! Nothing of it has a name outside: with the processes that hold them the namespaces are gone, whatever ends the test.

use std::os::fd::AsFd as _;
use std::process::Child;
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use tokio::net::{TcpListener, TcpStream};

use crate::support::process::{command, mortal};

/// A namespace, held by a process that does nothing else.
struct Room(Child);

impl Room {
    /// A new one; `None` where this machine does not let us.
    fn open() -> Option<Self> {
        let mut unshare = mortal("/usr/bin/unshare".as_ref());
        let child = unshare.args(["--net", "--", "sleep", "infinity"]).spawn().ok()?;
        let mut room = Self(child);
        let ours = std::fs::read_link("/proc/thread-self/ns/net").ok()?;
        loop {
            if room.0.try_wait().ok()?.is_some() {
                return None;
            }
            // It is a room of its own from the moment when the link differs.
            if std::fs::read_link(room.path()).is_ok_and(|theirs| theirs != ours) {
                return Some(room);
            }
            std::thread::yield_now();
        }
    }

    fn path(&self) -> String {
        format!("/proc/{}/ns/net", self.0.id())
    }

    fn ip(&self, words: &str) {
        let mut nsenter = command("nsenter");
        nsenter.arg(format!("--net={}", self.path())).args(["--", "ip"]).args(words.split(' '));
        assert!(nsenter.status().unwrap().success(), "ip {words}");
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

/// The server's side.
pub(super) struct Net {
    room: Room,
}

/// A runner's side, and the cable to it.
pub(super) struct Cable<'n> {
    net: &'n Net,
    room: Room,
    number: u8,
}

/// Runs a test on a thread that lives in a network of its own; said loudly and skipped where that is not allowed.
pub(super) fn within<F: Future<Output = ()>>(test: impl FnOnce(Net) -> F + Send + 'static) {
    let body = move || {
        let Some(room) = Room::open().filter(|_| rustix::process::geteuid().is_root()) else {
            assert!(std::env::var_os("CI").is_none(), "this test needs root in CI");
            eprintln!("SKIPPED: only root may make networks for runners");
            return;
        };
        let file = std::fs::File::open(room.path()).unwrap();
        move_into_link_name_space(file.as_fd(), Some(LinkNameSpaceType::Network)).unwrap();
        room.ip("link set lo up");
        // One thread: all that is opened from here on is opened in the room.
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(test(Net { room }));
    };
    if let Err(panic) = std::thread::spawn(body).join() {
        std::panic::resume_unwind(panic);
    }
}

impl Net {
    /// Lays a cable to a new room.
    pub(super) fn cable(&self, number: u8) -> Cable<'_> {
        let room = Room::open().expect("because there is one already");
        let pid = room.0.id();
        self.room.ip(&format!("link add c{number} type veth peer name eth0 netns {pid}"));
        self.room.ip(&format!("addr add 10.77.{number}.1/24 dev c{number}"));
        self.room.ip(&format!("link set c{number} up"));
        room.ip("link set lo up");
        room.ip(&format!("addr add 10.77.{number}.2/24 dev eth0"));
        room.ip("link set eth0 up");
        Cable { net: self, room, number }
    }
}

impl Cable<'_> {
    /// What stands before a program that is to run in the room.
    pub(super) fn before(&self) -> [String; 3] {
        ["/usr/bin/nsenter".to_owned(), format!("--net={}", self.room.path()), "--".to_owned()]
    }

    /// Cuts the cable, or mends it.
    pub(super) fn plug(&self, joined: bool) {
        self.net.room.ip(&format!("link set c{} {}", self.number, if joined { "up" } else { "down" }));
    }

    /// Where the server, which listens on this port of the loopback, is reached from the room.
    pub(super) async fn reach(&self, port: Arc<AtomicU16>) -> String {
        let listener = TcpListener::bind(format!("10.77.{}.1:0", self.number)).await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move {
            while let Ok((mut client, _)) = listener.accept().await {
                let port = port.load(Ordering::Relaxed);
                tokio::spawn(async move {
                    let mut server = TcpStream::connect(("127.0.0.1", port)).await?;
                    tokio::io::copy_bidirectional(&mut client, &mut server).await
                });
            }
        });
        url
    }
}
