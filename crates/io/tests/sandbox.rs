//! The sandbox, with the real kernel and the real ffmpeg: this program is its own launcher.

use std::future::{Future, pending};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::process::ExitCode;
use std::time::Duration;

use matinee_io::clock::Stopwatch;
use matinee_io::ffmpeg::{Class, Config, Failure, Ffmpeg, Finished, Job, Limits, Program, RunError, Stdout};
use matinee_io::ffmpeg::{cgroup, sandbox};
use rustix::process::{Pid, Signal, kill_process, test_kill_process};

/// Run by a test: starts an endless encode and waits to be killed.
const ENDLESS_PARENT: &str = "endless-parent";
/// Run inside the sandbox in place of ffmpeg: tries what a decoder that was taken over would try.
const TAKEN_OVER: &str = "taken-over";
/// Both white-lists, as every real argument list has them before each input.
const WHITE_LISTS: &[&str] = &["-protocol_whitelist", "file", "-format_whitelist", "mov,mp4,m4a,3gp,3g2,mj2"];

type Attempt = fn(&Path) -> std::io::Result<()>;
type Check = for<'a> fn(&'a World) -> Pin<Box<dyn Future<Output = ()> + 'a>>;

macro_rules! checks {
    ($($name:ident),* $(,)?) => { &[$((stringify!($name), (|world| Box::pin($name(world))) as Check)),*] };
}

const CHECKS: &[(&str, Check)] = checks![
    an_encode_works_and_reports_its_progress,
    the_answer_of_ffprobe_is_captured_and_bounded,
    a_file_that_is_no_input_cannot_be_read,
    nothing_is_written_outside_the_directory,
    only_a_device_that_is_named_can_be_opened,
    the_network_is_out_of_reach,
    a_decoder_that_was_taken_over_gets_nowhere,
    a_playlist_reads_no_other_file,
    an_ffconcat_text_reads_no_sibling,
    a_stopped_ffmpeg_is_noticed_and_killed,
    an_endless_run_meets_the_wall_limit,
    an_endless_run_meets_the_processor_limit,
    memory_is_limited,
    a_run_has_a_cgroup_of_its_own_where_that_can_be,
    the_output_is_limited,
    a_cancelled_run_is_gone_when_it_returns,
    a_dropped_run_leaves_no_process,
    a_killed_parent_takes_its_ffmpeg_along,
    a_broken_launcher_is_the_fault_of_the_world,
    the_sandbox_costs_little,
];

struct World {
    ffmpeg: Ffmpeg,
    dir: tempfile::TempDir,
    /// A short H.264 video with sound, in a directory of its own.
    video: PathBuf,
}

fn main() -> ExitCode {
    let mut args = std::env::args_os().skip(1);
    let first = args.next().unwrap_or_default();
    if first == sandbox::COMMAND {
        let Err(error) = sandbox::enter(args);
        let _ = writeln!(std::io::stderr(), "{error}");
        return ExitCode::from(sandbox::FAILED);
    }
    if first == TAKEN_OVER || first == "-hide_banner" {
        return taken_over(args);
    }
    let runtime = tokio::runtime::Runtime::new().expect("because this machine can start threads");
    if first == ENDLESS_PARENT {
        runtime.block_on(endless_parent());
        return ExitCode::SUCCESS;
    }
    runtime.block_on(check_all(first.to_str().filter(|name| !name.starts_with('-')).unwrap_or_default()))
}

async fn check_all(filter: &str) -> ExitCode {
    let mut out = std::io::stdout();
    let world = world().await;
    let chosen = CHECKS.iter().filter(|(name, _)| name.contains(filter));
    let (mut passed, mut failed) = (0, 0);
    for (name, check) in chosen {
        let watch = Stopwatch::start();
        let world = &world;
        let outcome = std::panic::AssertUnwindSafe(check(world));
        let outcome = futures_util::FutureExt::catch_unwind(outcome).await;
        let verdict = if outcome.is_ok() { "ok" } else { "FAILED" };
        *(if outcome.is_ok() { &mut passed } else { &mut failed }) += 1;
        let _ = writeln!(out, "test {name} ... {verdict} ({} ms)", watch.elapsed_ms());
    }
    let verdict = if failed == 0 { "ok" } else { "FAILED" };
    let _ = writeln!(out, "\ntest result: {verdict}. {passed} passed; {failed} failed");
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

async fn world() -> World {
    let ffmpeg =
        Ffmpeg::detect(Config::default()).await.expect("because these tests need ffmpeg and Landlock");
    assert!(ffmpeg.is_sandboxed());
    assert!(ffmpeg.found().encoders.contains("libx264") && ffmpeg.found().filters.contains("scale"));
    let dir = tempfile::tempdir().expect("because /tmp can be written");
    let media = dir.path().join("media");
    std::fs::create_dir(&media).expect("because it is new");
    let args = "-f lavfi -i testsrc2=size=320x180:rate=25:duration=2 -f lavfi -i sine=duration=2 \
        -c:v libx264 -preset ultrafast -pix_fmt yuv420p -c:a aac -movflags +faststart video.mp4";
    let job = job(Program::Ffmpeg, args, &[], Some(&media));
    ffmpeg.run(job, |_| {}, pending()).await.expect("because this encode is plain");
    World { ffmpeg, video: media.join("video.mp4"), dir }
}

impl World {
    fn new_dir(&self, name: &str) -> PathBuf {
        let dir = self.dir.path().join(name);
        std::fs::create_dir(&dir).expect("because every check has its own name");
        dir
    }

    async fn run(&self, job: Job) -> Result<Finished, RunError> {
        self.ffmpeg.run(job, |_| {}, pending()).await
    }

    /// Decodes a file, allowed to read `inputs`.
    async fn decode(&self, file: &Path, lists: &[&str], inputs: &[&Path]) -> Result<Finished, RunError> {
        let mut job = job(Program::Ffmpeg, "", inputs, None);
        job.args.extend(lists.iter().map(|&arg| String::from(arg)));
        job.args
            .extend(["-i", file.to_str().expect("because we named it"), "-f", "null", "-"].map(String::from));
        self.run(job).await
    }
}

fn job(program: Program, args: &str, inputs: &[&Path], dir: Option<&Path>) -> Job {
    let (common, stdout) = match program {
        Program::Ffmpeg => {
            ("-hide_banner -nostdin -v level+warning -y -progress pipe:1 -stats_period 0.2", Stdout::Progress)
        }
        Program::Ffprobe => ("-hide_banner -v error", Stdout::Capture { max_bytes: 1 << 20 }),
    };
    let args =
        common.split_ascii_whitespace().chain(args.split_ascii_whitespace()).map(String::from).collect();
    let inputs = inputs.iter().map(|path| path.to_path_buf()).collect();
    Job { program, args, inputs, dir: dir.map(Path::to_path_buf), limits: Limits::default(), stdout }
}

/// Reads as fast as time passes, so it takes an hour and costs little.
fn endless() -> Job {
    job(Program::Ffmpeg, "-re -f lavfi -i testsrc2=size=64x64:rate=5:duration=3600 -f null -", &[], None)
}

async fn an_encode_works_and_reports_its_progress(world: &World) {
    let dir = world.new_dir("encode");
    let args = format!("{} -i {} -c:v libx264 -an out_0.mp4", WHITE_LISTS.join(" "), world.video.display());
    let mut seen = Vec::new();
    let job = job(Program::Ffmpeg, &args, &[&world.video], Some(&dir));
    let finished =
        world.ffmpeg.run(job, |progress| seen.push(progress), pending()).await.expect("a plain encode");
    let last = seen.last().expect("at least the last report");
    assert_eq!((last.frame, last.ended), (50, true));
    assert!(finished.cpu_ms > 0 && finished.stdout.is_empty());
    assert!(std::fs::metadata(dir.join("out_0.mp4")).expect("the output").len() > 1000);
}

async fn the_answer_of_ffprobe_is_captured_and_bounded(world: &World) {
    let args = format!("-show_streams -of json {}", world.video.display());
    let mut job = job(Program::Ffprobe, &args, &[&world.video], None);
    let finished = world.run(job.clone()).await.expect("a plain file");
    assert!(String::from_utf8_lossy(&finished.stdout).contains("\"h264\""));
    job.stdout = Stdout::Capture { max_bytes: 100 };
    let error = world.run(job).await.expect_err("the answer is longer");
    assert!(matches!(error.what, Failure::AnswerTooLarge(100)) && error.class() == Class::Refusal);
}

async fn a_file_that_is_no_input_cannot_be_read(world: &World) {
    let error = world.decode(&world.video, &[], &[]).await.expect_err("it is not listed");
    assert!(error.stderr_tail.contains("Permission denied"), "{}", error.stderr_tail);
    world.decode(&world.video, &[], &[&world.video]).await.expect("listed, it can be read");
}

async fn nothing_is_written_outside_the_directory(world: &World) {
    let (dir, other) = (world.new_dir("inside"), world.new_dir("outside"));
    let args = format!("-f lavfi -i testsrc2=duration=1:size=64x64 {}/x.mp4", other.display());
    let error = world.run(job(Program::Ffmpeg, &args, &[], Some(&dir))).await.expect_err("not its directory");
    assert!(error.stderr_tail.contains("Permission denied"), "{}", error.stderr_tail);
}

async fn only_a_device_that_is_named_can_be_opened(world: &World) {
    let args = "-f rawvideo -video_size 16x16 -i /dev/zero -frames:v 1 -f null -";
    let reaches = async |devices: &[&str]| {
        let devices: Vec<String> = devices.iter().map(|&node| node.to_owned()).collect();
        let run = job(Program::Ffmpeg, args, &[], None);
        world.ffmpeg.reaching(&devices).run(run, |_| {}, pending()).await
    };
    reaches(&["/dev/zero"]).await.expect("it is named");
    for others in [&[][..], &["/dev/full"]] {
        let error = reaches(others).await.expect_err("it is not named");
        assert!(error.stderr_tail.contains("Permission denied"), "{}", error.stderr_tail);
    }
    let gone = reaches(&["/dev/dri/renderD999"]).await.expect_err("it is not there");
    assert!(matches!(gone.what, Failure::Sandbox(_)) && gone.class() == Class::World, "{gone}");
}

async fn the_network_is_out_of_reach(world: &World) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("loopback");
    let port = listener.local_addr().expect("bound").port();
    for scheme in ["http", "tcp"] {
        let url = format!("{scheme}://127.0.0.1:{port}/x.mp4");
        let error = world.decode(Path::new(&url), &[], &[]).await.expect_err("no network");
        assert!(error.stderr_tail.contains("Permission denied"), "{}", error.stderr_tail);
    }
    let came = tokio::time::timeout(Duration::from_millis(100), listener.accept()).await;
    assert!(came.is_err(), "nobody connected");
}

/// Attempts of code that an attacker brought into ffmpeg; each says whether it worked.
const ATTEMPTS: &[(&str, Attempt)] = &[
    ("start a program", |_| start_true()),
    ("open a UDP socket", |_| std::net::UdpSocket::bind("127.0.0.1:0").map(drop)),
    ("open a TCP socket", |_| std::net::TcpListener::bind("127.0.0.1:0").map(drop)),
    ("open a socket of this machine", |_| std::os::unix::net::UnixDatagram::unbound().map(drop)),
    ("signal its parent", |_| signal_parent()),
    ("empty a file that it may read", |dir| {
        let mut options = std::fs::OpenOptions::new();
        options.read(true).custom_flags(libc::O_TRUNC).open(dir.with_file_name("input")).map(drop)
    }),
    ("raise a limit", |_| raise_limit()),
    ("read a file of the system", |_| std::fs::read("/etc/passwd").map(drop)),
    ("read its parent's environment", |_| {
        let parent = rustix::process::getppid().map_or(1, |pid| pid.as_raw_nonzero().get());
        std::fs::read(format!("/proc/{parent}/environ")).map(drop)
    }),
    ("list other processes", |_| std::fs::read_dir("/proc").map(drop)),
    ("read a file beside its own", |dir| std::fs::read(dir.with_file_name("secret")).map(drop)),
    ("leave a link", |dir| std::os::unix::fs::symlink("/etc/passwd", dir.join("link"))),
    ("leave a pipe", |dir| {
        let path = dir.join("pipe");
        Ok(rustix::fs::mknodat(rustix::fs::CWD, path, rustix::fs::FileType::Fifo, 0o600.into(), 0)?)
    }),
];

#[expect(clippy::disallowed_methods, reason = "the sandbox must forbid it")]
fn start_true() -> std::io::Result<()> {
    std::process::Command::new("/usr/bin/true").status().map(drop)
}

fn signal_parent() -> std::io::Result<()> {
    Ok(test_kill_process(rustix::process::getppid().expect("every process here has a parent"))?)
}

/// To where it is, so that it works outside.
fn raise_limit() -> std::io::Result<()> {
    use rustix::process::{Resource, getrlimit, setrlimit};
    Ok(setrlimit(Resource::Nofile, getrlimit(Resource::Nofile))?)
}

/// Tries everything in the directory that it is given, and names on standard output what worked.
fn taken_over(args: impl Iterator<Item = std::ffi::OsString>) -> ExitCode {
    let Some(dir) = args.map(PathBuf::from).last().filter(|dir| dir.is_absolute()) else {
        return ExitCode::SUCCESS;
    };
    let mut out = std::io::stdout();
    for (name, attempt) in ATTEMPTS {
        if attempt(&dir).is_ok() {
            let _ = writeln!(out, "{name}");
        }
    }
    // What codecs do need.
    let thread = std::thread::Builder::new().spawn(|| ()).map(std::thread::JoinHandle::join);
    let _ = writeln!(out, "threads: {}, variables: {}", thread.is_ok(), std::env::vars_os().count());
    ExitCode::SUCCESS
}

async fn a_decoder_that_was_taken_over_gets_nowhere(world: &World) {
    let home = world.new_dir("taken-over");
    std::fs::write(home.join("secret"), "of somebody else").expect("a small file");
    let input = home.join("input");
    std::fs::write(&input, "its own").expect("a small file");
    let dir = |name: &str| {
        let dir = home.join(name);
        std::fs::create_dir(&dir).expect("because it is new");
        dir
    };
    let me = std::fs::canonicalize("/proc/self/exe").expect("ourselves");
    let (outside, inside) = (dir("outside"), dir("inside"));
    #[expect(clippy::disallowed_methods, reason = "the comparison is without the sandbox")]
    let plain = std::process::Command::new(&me).arg(TAKEN_OVER).arg(&outside).output().expect("ourselves");
    let worked = String::from_utf8_lossy(&plain.stdout).lines().count() - 1;
    assert_eq!(worked, ATTEMPTS.len(), "outside every attempt works: {plain:?}");
    std::fs::write(&input, "its own").expect("it was emptied");

    // ABI 2 is what Debian 12 has; there the filter of system calls holds what Landlock does not know.
    for landlock_abi_max in [2, Config::default().landlock_abi_max] {
        let config = Config { ffmpeg: Some(me.clone()), landlock_abi_max, ..Config::default() };
        let ffmpeg = Ffmpeg::detect(config).await.expect("because it answers");
        let args = [TAKEN_OVER, inside.to_str().expect("because we named it")].map(String::from).to_vec();
        let stdout = Stdout::Capture { max_bytes: 1 << 16 };
        let job = Job { args, stdout, ..job(Program::Ffmpeg, "", &[&input], Some(&inside)) };
        let finished = ffmpeg.run(job, |_| {}, pending()).await.expect("it ends by itself");
        let said = String::from_utf8_lossy(&finished.stdout).into_owned();
        assert_eq!(said, "threads: true, variables: 2\n", "Landlock up to {landlock_abi_max}");
        assert_eq!(std::fs::read(&input).expect("it is there"), b"its own");
    }
}

async fn a_playlist_reads_no_other_file(world: &World) {
    let dir = world.new_dir("playlist");
    let evil = dir.join("in.m3u8");
    let text = format!("#EXTM3U\n#EXT-X-TARGETDURATION:4\n#EXTINF:2,\nfile://{}\n", world.video.display());
    std::fs::write(&evil, text + "#EXT-X-ENDLIST\n").expect("a small file");
    attack(world, &evil, &["-allowed_extensions", "ALL"]).await;
}

async fn an_ffconcat_text_reads_no_sibling(world: &World) {
    let evil = world.video.with_file_name("in.mp4");
    std::fs::write(&evil, "ffconcat version 1.0\nfile video.mp4\n").expect("a small file");
    attack(world, &evil, &[]).await;
}

/// The attack works on a bare ffmpeg, so these checks can fail; the sandbox and the white-lists each stop it.
async fn attack(world: &World, evil: &Path, options: &[&str]) {
    world.decode(evil, options, &[evil, &world.video]).await.expect("both files allowed: the attack works");
    // The reader of playlists hides the reason; the only change from above is what the sandbox allows.
    let error = world.decode(evil, options, &[evil]).await.expect_err("the sandbox alone");
    assert!(matches!(error.what, Failure::Exit(_)), "{error}");
    let error = world.decode(evil, WHITE_LISTS, &[evil, &world.video]).await.expect_err("the lists alone");
    assert!(matches!(error.what, Failure::Exit(_)), "{error}");
}

async fn a_stopped_ffmpeg_is_noticed_and_killed(world: &World) {
    let mut job = endless();
    job.limits.stall_ms = 1000;
    let mut reports = 0;
    let watch = Stopwatch::start();
    let run = world.ffmpeg.run(job, |_| reports += 1, pending());
    let stop =
        async { kill_process(the_child_of(std::process::id()).await, Signal::STOP).expect("it lives") };
    let (ended, ()) = tokio::join!(run, stop);
    let error = ended.expect_err("it was stopped");
    assert!(matches!(error.what, Failure::Stalled(1000)) && error.class() == Class::Crash, "{error}");
    assert!(watch.elapsed_ms() < 15_000);
}

async fn an_endless_run_meets_the_wall_limit(world: &World) {
    let mut job = endless();
    job.limits.wall_ms = 700;
    let watch = Stopwatch::start();
    let error = world.run(job).await.expect_err("it takes an hour");
    assert!(matches!(error.what, Failure::Timeout(700)), "{error}");
    assert!(watch.elapsed_ms() < 5000);
}

async fn an_endless_run_meets_the_processor_limit(world: &World) {
    let args = "-f lavfi -i testsrc2=size=640x360:duration=36000 -f null -";
    let mut job = job(Program::Ffmpeg, args, &[], None);
    job.limits.cpu_s = 1;
    let error = world.run(job).await.expect_err("it takes minutes");
    assert!(matches!(error.what, Failure::CpuLimit(1)), "{error} {}", error.stderr_tail);
}

async fn a_run_has_a_cgroup_of_its_own_where_that_can_be(world: &World) {
    let divided = cgroup::Subtree::here().and_then(cgroup::Subtree::divide);
    let subtree = match divided {
        Ok(subtree) => subtree,
        Err(lack) => {
            let _ = writeln!(std::io::stdout(), "  not tried on this machine: {lack}");
            return;
        }
    };
    let dir = world.new_dir("cgroup");
    let inside = world.ffmpeg.clone().below(Some(subtree));
    let args = "-f lavfi -i testsrc2=size=320x180:rate=25:duration=2 -c:v libx264 out_0.mp4";
    let run = job(Program::Ffmpeg, args, &[], Some(&dir));
    inside.run(run.clone(), |_| {}, pending()).await.expect("a plain encode");
    let limits = Limits { memory_bytes: 24 << 20, ..Limits::default() };
    let error = inside.run(Job { limits, ..run }, |_| {}, pending()).await.expect_err("it needs more");
    assert!(matches!(error.what, Failure::OutOfMemory), "{error}");
}

async fn memory_is_limited(world: &World) {
    let dir = world.new_dir("memory");
    let args = "-f lavfi -i testsrc2=size=7680x4320:duration=10 -c:v libx264 -threads 1 out_0.mp4";
    let mut job = job(Program::Ffmpeg, args, &[], Some(&dir));
    job.limits.memory_bytes = 1 << 30;
    let error = world.run(job).await.expect_err("it needs more than 1 GiB");
    let died = matches!(error.what, Failure::OutOfMemory | Failure::Signal(_) | Failure::Exit(_));
    assert!(died && error.class() == Class::Crash, "{error} {}", error.stderr_tail);
}

async fn the_output_is_limited(world: &World) {
    let dir = world.new_dir("output");
    let args = "-f lavfi -i testsrc2=size=320x180:duration=60 -c:v rawvideo out_0.avi";
    let mut job = job(Program::Ffmpeg, args, &[], Some(&dir));
    job.limits.output_bytes = 1 << 20;
    let error = world.run(job).await.expect_err("it writes more than 1 MiB");
    assert!(matches!(error.what, Failure::OutputTooLarge(_)), "{error} {}", error.stderr_tail);
    assert!(std::fs::metadata(dir.join("out_0.avi")).expect("the part").len() <= 1 << 20);
}

async fn a_cancelled_run_is_gone_when_it_returns(world: &World) {
    let (cancel, cancelled) = tokio::sync::oneshot::channel::<()>();
    let run = world.ffmpeg.run(endless(), |_| {}, async { drop(cancelled.await) });
    let stop = async {
        let pid = the_child_of(std::process::id()).await;
        drop(cancel);
        pid
    };
    let (ended, pid) = tokio::join!(run, stop);
    assert!(matches!(ended.expect_err("cancelled").what, Failure::Cancelled));
    assert!(test_kill_process(pid).is_err(), "neither running nor a zombie");
}

async fn a_dropped_run_leaves_no_process(world: &World) {
    let run = world.ffmpeg.run(endless(), |_| {}, pending());
    let pid = tokio::select! {
        _ = run => unreachable!("it takes an hour"),
        pid = the_child_of(std::process::id()) => pid,
    };
    until_gone(pid).await;
}

async fn a_killed_parent_takes_its_ffmpeg_along(_: &World) {
    #[expect(clippy::disallowed_methods, reason = "the test needs a parent that can be killed")]
    let mut parent =
        std::process::Command::new("/proc/self/exe").arg(ENDLESS_PARENT).spawn().expect("ourselves");
    let pid = the_child_of(parent.id()).await;
    kill_process(Pid::from_child(&parent), Signal::KILL).expect("it lives");
    parent.wait().expect("it ended");
    until_gone(pid).await;
}

async fn a_broken_launcher_is_the_fault_of_the_world(world: &World) {
    let gone = world.dir.path().join("gone.mp4");
    let error = world.decode(&gone, &[], &[&gone]).await.expect_err("the input is not there");
    assert!(matches!(error.what, Failure::Sandbox(_)) && error.class() == Class::World, "{error}");
    let launcher = world.dir.path().join("no-launcher");
    let detected = Ffmpeg::detect(Config { launcher, ..Config::default() }).await;
    assert!(detected.is_err());
}

async fn the_sandbox_costs_little(world: &World) {
    let (mut inside, mut outside) = (Vec::new(), Vec::new());
    for _ in 0..15 {
        let watch = Stopwatch::start();
        world.run(job(Program::Ffprobe, "-version", &[], None)).await.expect("it says its version");
        inside.push(watch.elapsed_us());
        let watch = Stopwatch::start();
        #[expect(clippy::disallowed_methods, reason = "the comparison is without the sandbox")]
        let plain = tokio::process::Command::new("/usr/bin/ffprobe").arg("-version").output().await;
        plain.expect("it says its version");
        outside.push(watch.elapsed_us());
    }
    inside.sort_unstable();
    outside.sort_unstable();
    let _ =
        writeln!(std::io::stdout(), "  ffprobe -version: {} us inside, {} us outside", inside[7], outside[7]);
    // The goal is 5 ms in a release build on an idle machine; this only notices a broken start.
    assert!(inside[2] < outside[7] + 100_000);
}

async fn endless_parent() {
    let ffmpeg = Ffmpeg::detect(Config::default()).await.expect("because the test above found it");
    let _ = ffmpeg.run(endless(), |_| {}, pending()).await;
}

/// Waits until a process has become ffmpeg below this parent and runs its endless job.
async fn the_child_of(parent: u32) -> Pid {
    for _ in 0..1000 {
        for entry in std::fs::read_dir("/proc").expect("proc").flatten() {
            let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse::<i32>().ok()) else {
                continue;
            };
            let read = |name: &str| std::fs::read_to_string(entry.path().join(name)).unwrap_or_default();
            let stat = read("stat");
            let fields = stat.rsplit_once(')').map_or("", |(_, fields)| fields);
            let is_ours = fields.split_ascii_whitespace().nth(1) == Some(&parent.to_string());
            if is_ours && stat.contains("(ffmpeg)") && read("cmdline").contains("duration=3600") {
                return Pid::from_raw(pid).expect("because no process has the id 0");
            }
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("no ffmpeg was started");
}

async fn until_gone(pid: Pid) {
    for _ in 0..500 {
        if test_kill_process(pid).is_err() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("{pid:?} is still there");
}
