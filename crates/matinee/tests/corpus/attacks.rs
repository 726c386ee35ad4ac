//! The attack corpus: no file is read that is not the upload itself, nobody is called, and it ends soon and small.

use std::mem::MaybeUninit;
use std::net::TcpListener;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use futures_util::StreamExt as _;
use matinee_io::clock::Stopwatch;
use rustix::fs::inotify;

use super::attack::{Evil, attached, nested, texts};
use super::table::{Class, Expect, clip};
use super::{ENDED_S, LANES, OURS, PART, outcome};
use crate::support::invariants::{nothing_remains, nothing_runs};
use crate::support::process::{mortal, working_in};
use crate::support::sender::upload;
use crate::support::server::{Place, Server};
use crate::support::{clips, until};

/// What one look at a hostile file may hold in memory, in KiB (`product.md`, BAD3).
const RESIDENT_KIB_MAX: u64 = 300 * 1_024;

/// A file that nobody may open and a socket that nobody may call; both tell.
struct Traps {
    canary: PathBuf,
    watch: OwnedFd,
    socket: TcpListener,
}

impl Traps {
    fn set(dir: &Path) -> Self {
        let canary = dir.join("canary.mp4");
        std::fs::write(&canary, clips::mp4(2)).unwrap();
        let watch = inotify::init(inotify::CreateFlags::NONBLOCK | inotify::CreateFlags::CLOEXEC).unwrap();
        inotify::add_watch(&watch, &canary, inotify::WatchFlags::OPEN | inotify::WatchFlags::ACCESS).unwrap();
        let socket = TcpListener::bind("127.0.0.1:0").unwrap();
        socket.set_nonblocking(true).unwrap();
        Self { canary, watch, socket }
    }

    fn port(&self) -> u16 {
        self.socket.local_addr().unwrap().port()
    }

    /// How often the file was opened or read, and the socket called, since the last look.
    fn sprung(&self) -> (usize, usize) {
        let mut buffer = [MaybeUninit::uninit(); 4_096];
        let mut events = inotify::Reader::new(&self.watch, &mut buffer);
        let opened = std::iter::from_fn(|| events.next().ok().map(drop)).count();
        let called = std::iter::from_fn(|| self.socket.accept().ok()).count();
        (opened, called)
    }
}

/// The most memory that any child of the server has held; looked at again and again by a thread.
struct Largest {
    kib: Arc<AtomicU64>,
    over: Arc<AtomicBool>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Largest {
    fn of(server: &Server) -> Self {
        let (kib, over) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
        let (seen, stop, data, pid) = (Arc::clone(&kib), Arc::clone(&over), server.data(), server.pid());
        let look = move || {
            while !stop.load(Ordering::Relaxed) {
                for child in working_in(&data, Some(pid)) {
                    seen.fetch_max(resident_kib(child).unwrap_or(0), Ordering::Relaxed);
                }
                std::thread::park_timeout(std::time::Duration::from_millis(20));
            }
        };
        Self { kib, over, thread: Some(std::thread::spawn(look)) }
    }

    fn kib(mut self) -> u64 {
        self.over.store(true, Ordering::Relaxed);
        self.thread.take().unwrap().join().unwrap();
        self.kib.load(Ordering::Relaxed)
    }
}

/// What a process holds at most; nothing when it has ended meanwhile.
fn resident_kib(pid: u32) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().trim_end_matches("kB").trim().parse().ok()
}

/// Everything, or a part of it in `cargo test`.
fn some<T>(all: Vec<T>) -> Vec<T> {
    if std::env::var("MATINEE_CORPUS").is_ok() { all } else { all.into_iter().step_by(PART).collect() }
}

/// Uploads a file and returns how it ended; it must be refused, and is named if it is not.
async fn refused(server: &Server, (name, bytes): Evil) -> (String, u64, Option<String>) {
    let watch = Stopwatch::start();
    let sent = upload(server, &bytes, &name).await;
    let path = format!("/v1/videos/{}", sent.video);
    let video = until(&format!("{name:?} has come to its end"), ENDED_S, async || {
        let (status, video) = server.get(&path).await;
        (status == 200 && video["state"] != "processing").then_some(video)
    })
    .await;
    let got = outcome(&video);
    let ours = OURS.iter().any(|code| got.ends_with(code));
    // Whatever looked into another file would have found its codec.
    let told = video.to_string().contains("h264");
    let wrong = (!got.starts_with("refused:") || ours || told).then(|| format!("{name:?} is {got}: {video}"));
    (got, watch.elapsed_ms(), wrong)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hostile_file_reads_nothing_calls_nobody_and_is_refused() {
    let server = Server::start().await;
    let traps = Traps::set(server.data().parent().unwrap());
    the_traps_work(&traps).await;
    let largest = Largest::of(&server);
    let evil = some([texts(&traps.canary, traps.port()), nested(&traps.canary, traps.port())].concat());
    let one = |evil: Evil| refused(&server, evil);
    let ended: Vec<_> = futures_util::stream::iter(evil).map(one).buffer_unordered(LANES).collect().await;
    nothing_runs(&server).await;
    let kib = largest.kib();
    let slowest = ended.iter().map(|one| one.1).max();
    eprintln!(
        "{} attacks refused; the slowest took {slowest:?} ms, the largest process {kib} KiB",
        ended.len()
    );
    assert_eq!(traps.sprung(), (0, 0), "files opened, and calls");
    let wrong: Vec<_> = ended.into_iter().filter_map(|one| one.2).collect();
    assert_eq!(wrong, Vec::<String>::new());
    assert!(kib < RESIDENT_KIB_MAX, "{kib} KiB");
    assert!(!server.logged().contains("panicked"), "{}", server.logged());
    nothing_remains(&server).await;
}

/// An ffmpeg without our walls falls for a playlist, so that silence later means something.
async fn the_traps_work(traps: &Traps) {
    let list = traps.canary.with_file_name("trap.m3u8");
    for target in
        [format!("file://{}", traps.canary.display()), format!("http://127.0.0.1:{}/a.ts", traps.port())]
    {
        let text = format!("#EXTM3U\n#EXT-X-TARGETDURATION:5\n#EXTINF:5,\n{target}\n#EXT-X-ENDLIST\n");
        std::fs::write(&list, text).unwrap();
        let mut bare = mortal(Path::new("/usr/bin/env"));
        bare.args(["ffprobe", "-v", "quiet", "-protocol_whitelist", "file,http,tcp"]);
        let mut bare = bare.args(["-allowed_extensions", "ALL"]).arg(&list).spawn().unwrap();
        until(&format!("a bare ffmpeg falls for {target}"), 60, async || {
            let (opened, called) = traps.sprung();
            (opened + called > 0).then_some(())
        })
        .await;
        // It waits for an answer that never comes.
        bare.kill().unwrap();
        bare.wait().unwrap();
    }
    traps.sprung();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bomb_is_refused_or_played_within_little_memory() {
    let server = Server::start().await;
    let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let bytes = |name, words| clip(Class::Bomb, name, words, Expect::Ready).bytes(dir.path());
    let live = bytes("live.mkv", "V160x90,25,1 X -live 1");
    let png = "-f lavfi -i color=c=black:size=16000x16000:rate=1:duration=1 -frames:v 1 -c:v png";
    let bombs = [
        ("flood.mov", bytes("flood.mov", png), "refused:too_large"),
        (
            "streams.mkv",
            bytes("streams.mkv", "A0.1 -c:a libopus -b:a 6k -ac 1 x500"),
            "refused:too_many_streams",
        ),
        ("attachments.mkv", attached(&live, 10_000), "ready"),
        ("many-attachments.mkv", attached(&live, 40), "ready"),
        (
            "fast.mkv",
            bytes(
                "fast.mkv",
                "V160x90,25,0.2 X -bf 0 -vf setpts=N/(1000000*TB) -enc_time_base 1/1000000 -fps_mode passthrough",
            ),
            "ready",
        ),
    ];
    let largest = Largest::of(&server);
    for (name, bytes, expected) in bombs {
        let watch = Stopwatch::start();
        let sent = upload(&server, &bytes, name).await;
        let video = server.video_in(&sent.video, &["ready", "failed"], ENDED_S).await;
        eprintln!("{name}: {} in {} ms", outcome(&video), watch.elapsed_ms());
        assert_eq!(outcome(&video), expected, "{name}: {video}");
    }
    nothing_runs(&server).await;
    let kib = largest.kib();
    eprintln!("the largest process held {kib} KiB");
    assert!(kib < RESIDENT_KIB_MAX, "{kib} KiB");
    assert!(!server.logged().contains("panicked"), "{}", server.logged());
}

#[tokio::test]
async fn a_watched_folder_takes_no_link_no_pipe_and_no_file_of_elsewhere() {
    let folder =
        tempfile::Builder::new().prefix("incoming-").tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let outside = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let traps = Traps::set(outside.path());
    let at = |name: &str| folder.path().join(name);
    let link = |to: &Path, name: &str| std::os::unix::fs::symlink(to, at(name)).unwrap();
    link(&traps.canary, "link.mp4");
    link(outside.path(), "elsewhere");
    link(Path::new("/proc/self/environ"), "environ.mp4");
    link(Path::new("/etc/passwd"), "passwd.mp4");
    link(folder.path(), "round");
    link(&at("nothing"), "dangling.mp4");
    rustix::fs::mknodat(rustix::fs::CWD, at("pipe.mp4"), rustix::fs::FileType::Fifo, 0o600.into(), 0)
        .unwrap();
    let _socket = std::os::unix::net::UnixListener::bind(at("socket.mp4")).unwrap();
    std::fs::write(at("own.mp4"), clips::mp4(2)).unwrap();
    traps.sprung();
    let place = Place::new(&format!("[[watch]]\nfolder = {:?}\nsettle = \"1s\"\n", folder.path()));
    let server = Server::at(place).await;
    // What is honest comes in, though it lies beside all of that.
    until("the honest file is ready", ENDED_S, async || {
        let (_, page) = server.get("/v1/videos?limit=100").await;
        let items = page["items"].as_array()?;
        assert!(items.len() <= 1, "{page}");
        items.iter().any(|video| video["state"] == "ready" && video["title"] == "own").then_some(())
    })
    .await;
    assert_eq!(traps.sprung(), (0, 0), "files opened, and calls");
    assert!(std::fs::symlink_metadata(at("link.mp4")).unwrap().is_symlink());
}
