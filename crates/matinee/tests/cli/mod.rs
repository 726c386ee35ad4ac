//! The command line as a script sees it: words, JSON and exit codes of the real binary.

mod gc;
mod stores;

use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;

use crate::support::clips;

/// Runs `matinee` with its data in `dir` and waits for its end.
fn matinee(dir: &Path, arguments: &[&str]) -> Output {
    command(dir, arguments).output().unwrap()
}

#[expect(clippy::disallowed_methods, reason = "a test of the binary starts it")]
fn command(dir: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_matinee"));
    // Without a terminal and without what the machine's owner has set.
    command.env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default());
    command.current_dir(dir).args(arguments).args(["--data", "data"]).stdin(Stdio::null());
    command
}

fn text(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn complaint(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

fn json_lines(output: &Output) -> Vec<Value> {
    text(output).lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn code(output: &Output) -> i32 {
    output.status.code().unwrap()
}

/// A server on a free port; ended with the test.
struct Server(Child);

impl Server {
    fn start(dir: &Path) -> Self {
        use std::io::{BufRead as _, BufReader};
        let mut command = command(dir, &["serve", "--listen", "127.0.0.1:0"]);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut line = String::new();
        let greeting = child.stdout.take().unwrap();
        BufReader::new(greeting).read_line(&mut line).unwrap();
        assert!(line.starts_with("matinee is ready at http://localhost:"), "{line}");
        Self(child)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

fn folder() -> TempDir {
    tempfile::tempdir().unwrap()
}

#[test]
fn a_wrong_use_is_code_2_and_a_missing_thing_code_4() {
    let dir = folder();
    assert_eq!(code(&matinee(dir.path(), &["show", "not-an-id"])), 2);
    assert_eq!(code(&matinee(dir.path(), &["ls", "--state", "odd"])), 2);
    let none = matinee(dir.path(), &["ls"]);
    assert_eq!(code(&none), 1);
    assert!(complaint(&none).contains("--data"), "{}", complaint(&none));
    assert_eq!(code(&matinee(dir.path(), &["import", "absent.mp4"])), 4);
    let id = "vid_00000000000000000000000000";
    for order in [&["show", id][..], &["rm", id], &["jobs", "show", "job_00000000000000000000000000"]] {
        assert_eq!(code(&matinee(dir.path(), order)), 4, "{order:?}");
    }
}

#[test]
fn an_import_without_a_server_waits_for_one_and_can_be_taken_back() {
    let dir = folder();
    std::fs::write(dir.path().join("lecture-07.mp4"), "bytes").unwrap();
    let imported = matinee(dir.path(), &["import", "lecture-07.mp4", "absent.mp4", "--json"]);
    assert_eq!(code(&imported), 3, "one of two was imported");
    let told = json_lines(&imported);
    assert_eq!((&told[0]["state"], &told[1]["state"]), (&"processing".into(), &"refused".into()));
    assert_eq!(told[1]["reason"]["code"], "import_missing");
    assert!(complaint(&imported).contains("when one does"), "{}", complaint(&imported));
    let video = told[0]["video"].as_str().unwrap();

    let listed = json_lines(&matinee(dir.path(), &["ls", "--json"]));
    assert_eq!((&listed[0]["id"], &listed[0]["title"]), (&video.into(), &"lecture-07".into()));
    assert_eq!(text(&matinee(dir.path(), &["ls", "-q"])).trim(), video);
    let jobs = json_lines(&matinee(dir.path(), &["jobs", "--json"]));
    assert_eq!((&jobs[0]["kind"], &jobs[0]["state"]), (&"probe".into(), &"ready".into()));

    let would = matinee(dir.path(), &["rm", video, "--dry-run"]);
    assert!(text(&would).contains("would delete") && text(&would).contains("5 bytes"), "{}", text(&would));
    assert_eq!(code(&matinee(dir.path(), &["show", video])), 0, "a dry run changes nothing");
    assert_eq!(code(&matinee(dir.path(), &["rm", video])), 0);
    assert_eq!(code(&matinee(dir.path(), &["show", video])), 4);
}

#[test]
fn a_dry_run_of_an_import_brings_nothing_in() {
    let dir = folder();
    std::fs::write(dir.path().join("a.mp4"), "bytes").unwrap();
    let told = matinee(dir.path(), &["import", ".", "--dry-run"]);
    assert_eq!((code(&told), text(&told).trim()), (0, "would import ./a.mp4 (5 bytes)"));
    assert_eq!(text(&matinee(dir.path(), &["ls", "--quiet"])), "");
}

#[test]
fn bad_files_say_why_and_a_move_keeps_them() {
    let dir = folder();
    let _server = Server::start(dir.path());
    std::fs::write(dir.path().join("empty.mp4"), "").unwrap();
    std::fs::write(dir.path().join("text.mp4"), "this is no film").unwrap();
    std::fs::write(dir.path().join("concat.mp4"), "ffconcat version 1.0\nfile /etc/passwd\n").unwrap();
    let told = matinee(dir.path(), &["import", "--move", "--json", "."]);
    assert_eq!(code(&told), 1, "all of them failed");
    for line in json_lines(&told) {
        assert_eq!((&line["state"], &line["original"]), (&"failed".into(), &"kept".into()), "{line}");
        assert!(!line["reason"]["human"].as_str().unwrap().is_empty(), "{line}");
        assert!(!line["reason"]["fix"].as_str().unwrap().is_empty(), "{line}");
        assert!(dir.path().join(line["path"].as_str().unwrap()).exists(), "{line}");
    }
    assert_eq!(json_lines(&told).len(), 3);
}

#[test]
fn a_plan_says_what_would_be_made_and_makes_nothing() {
    let dir = folder();
    std::fs::write(dir.path().join("film.mp4"), clips::sized("640x360", 2)).unwrap();
    std::fs::write(dir.path().join("text"), "this is no film").unwrap();
    let template = "[[pipeline]]\nname = \"small\"\nsizes = [240]\nquality = \"high\"\nposter = \"1.5s\"\n";
    std::fs::write(dir.path().join("matinee.toml"), template).unwrap();

    let told = matinee(dir.path(), &["plan", "film.mp4"]);
    assert_eq!(code(&told), 0, "{}", complaint(&told));
    assert!(!text(&told).contains("cost"), "nothing has a price: {}", text(&told));
    let priced = format!("[prices]\ncurrency = \"CHF\"\ncpu_hour = 3600.0\ngb_month = 1000.0\n{template}");
    std::fs::write(dir.path().join("matinee.toml"), priced).unwrap();
    let priced = matinee(dir.path(), &["plan", "film.mp4"]);
    assert!(
        text(&priced).contains("CHF to encode") && text(&priced).contains("CHF a month"),
        "{}",
        text(&priced)
    );
    for words in
        ["playable from its own bytes", "h264-360", "640x360", "h264-240", "aac-1", "encoding", "storage"]
    {
        assert!(text(&told).contains(words), "{words}: {}", text(&told));
    }
    let told = json_lines(&matinee(dir.path(), &["plan", "film.mp4", "--pipeline", "small", "--json"]));
    let renditions = told[0]["plan"]["video"]["renditions"].as_array().unwrap();
    assert_eq!(
        (renditions.len(), &renditions[0]["height"], &renditions[0]["preset"]),
        (1, &240.into(), &"medium".into())
    );
    assert_eq!(told[0]["plan"]["images"]["poster"]["at_us"], 1_500_000);
    assert_eq!(told[0]["unfit"], Value::Null);

    a_source_that_stays_as_it_is_costs_nothing(dir.path());

    let refused = matinee(dir.path(), &["plan", "text"]);
    assert!(code(&refused) == 1 && text(&refused).contains("[not_media]"), "{}", text(&refused));
    let unknown = matinee(dir.path(), &["plan", "film.mp4", "--pipeline", "cinema"]);
    assert!(complaint(&unknown).contains("Known here: default, small, archive."), "{}", complaint(&unknown));
    assert!(!dir.path().join("data").exists(), "nothing is stored");
}

fn a_source_that_stays_as_it_is_costs_nothing(dir: &Path) {
    let mut configured = std::fs::read_to_string(dir.join("matinee.toml")).unwrap();
    configured += "[[pipeline]]\nname = \"archive\"\nas_is = true\n";
    std::fs::write(dir.join("matinee.toml"), configured).unwrap();
    let asked = ["plan", "film.mp4", "--pipeline", "archive"];
    let told = matinee(dir, &asked);
    assert!(text(&told).contains("encoding   none"), "{}", text(&told));
    assert!(
        text(&told).contains("0.0000 CHF to encode") && !text(&told).contains("h264-360"),
        "{}",
        text(&told)
    );
    let told = json_lines(&matinee(dir, &[&asked[..], &["--json"]].concat())).remove(0);
    assert_eq!((&told["as_is"], &told["plan"]["estimate"]["cpu_ms"]), (&true.into(), &0.into()));
    // What browsers cannot play is encoded all the same.
    std::fs::write(dir.join("film.avi"), clips::avi(2)).unwrap();
    let told = json_lines(&matinee(dir, &["plan", "film.avi", "--pipeline", "archive", "--json"])).remove(0);
    assert_eq!(told["as_is"], false);
    assert!(told["plan"]["estimate"]["cpu_ms"].as_u64().unwrap() > 0, "{told}");
}

#[test]
fn a_plan_knows_the_pipelines_of_an_app_and_their_versions() {
    let dir = folder();
    std::fs::write(dir.path().join("film.mp4"), clips::sized("640x360", 2)).unwrap();
    std::fs::write(dir.path().join("matinee.toml"), "[[pipeline]]\nname = \"small\"\nsizes = [240]\n")
        .unwrap();
    let server = Server::start(dir.path());
    let write = |sizes: &str| {
        std::fs::write(dir.path().join("cinema.toml"), format!("name = \"cinema\"\nsizes = [{sizes}]\n"))
            .unwrap();
        let told = matinee(dir.path(), &["pipeline", "apply", "cinema.toml"]);
        assert_eq!(code(&told), 0, "{}", complaint(&told));
    };
    write("144");
    write("240, 180");
    let heights = |pipeline: &str| -> (Value, Vec<u64>) {
        let told = matinee(dir.path(), &["plan", "film.mp4", "--pipeline", pipeline, "--json"]);
        assert_eq!(code(&told), 0, "{}", complaint(&told));
        let told = json_lines(&told).remove(0);
        let all = told["plan"]["video"]["renditions"].as_array().unwrap();
        (told["version"].clone(), all.iter().map(|one| one["height"].as_u64().unwrap()).collect())
    };
    // Whether a server runs or not.
    for server in [Some(server), None] {
        assert_eq!(heights("cinema"), (2.into(), vec![240, 180]));
        assert_eq!(heights("cinema@1"), (1.into(), vec![144]));
        assert_eq!(heights("small"), (Value::Null, vec![240]));
        drop(server);
    }
    let told = matinee(dir.path(), &["plan", "film.mp4", "--pipeline", "cinema@1"]);
    assert!(text(&told).contains("pipeline   cinema, version 1"), "{}", text(&told));
    for (asked, expected) in [
        ("cinema@3", "there is no pipeline `cinema` of version 3. Known here: default, cinema, small."),
        ("cinema@x", "write NAME, or NAME@VERSION"),
        ("small@1", "has no versions"),
        ("other", "there is no pipeline `other`."),
    ] {
        let refused = matinee(dir.path(), &["plan", "film.mp4", "--pipeline", asked]);
        assert_eq!(code(&refused), 1, "{asked}");
        assert!(complaint(&refused).contains(expected), "{asked}: {}", complaint(&refused));
    }
    let refused = matinee(dir.path(), &["plan", "film.mp4", "--app", "stranger"]);
    assert!(complaint(&refused).contains("there is no app `stranger`"), "{}", complaint(&refused));
    // A picture is looked at before it is written, also for a dry run.
    std::fs::write(dir.path().join("logo.png"), cut_off_picture()).unwrap();
    let marked = "name = \"marked\"\nwatermark.picture = \"logo.png\"\n";
    std::fs::write(dir.path().join("marked.toml"), marked).unwrap();
    for words in
        [&["pipeline", "apply", "marked.toml", "--dry-run"][..], &["pipeline", "apply", "marked.toml"]]
    {
        let refused = matinee(dir.path(), words);
        assert!(complaint(&refused).contains("export it as PNG again"), "{words:?}: {}", complaint(&refused));
    }
}

/// A PNG picture of which half is missing.
fn cut_off_picture() -> Vec<u8> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("logo.png");
    let drawn = "mandelbrot=s=64x64,format=rgba";
    let words = ["-v", "error", "-f", "lavfi", "-i", drawn, "-frames:v", "1", path.to_str().unwrap()];
    crate::support::process::tool("ffmpeg", &words);
    let png = std::fs::read(path).unwrap();
    png[..png.len() / 2].to_vec()
}

#[test]
fn one_data_directory_has_one_server() {
    let dir = folder();
    let server = Server::start(dir.path());
    let second = matinee(dir.path(), &["serve", "--listen", "127.0.0.1:0"]);
    assert_eq!(code(&second), 1);
    assert!(complaint(&second).contains("serves the data directory"), "{}", complaint(&second));
    drop(server);
    // A killed server leaves no lock behind.
    let _again = Server::start(dir.path());
}

#[test]
fn a_server_that_is_told_to_stop_ends_soon_and_well() {
    let dir = folder();
    let mut server = Server::start(dir.path());
    // `kill` is no program everywhere, but the shell always knows it.
    #[expect(clippy::disallowed_methods, reason = "the standard library sends no SIGTERM")]
    let told = Command::new("sh").args(["-c", &format!("kill -TERM {}", server.0.id())]).status().unwrap();
    assert!(told.success());
    let ended = std::sync::mpsc::channel();
    std::thread::scope(|scope| {
        let child = &mut server.0;
        scope.spawn(move || ended.0.send(child.wait().unwrap()).unwrap());
        let status = ended.1.recv_timeout(Duration::from_secs(20)).unwrap();
        assert_eq!(status.code(), Some(0));
    });
}

#[test]
fn the_doctor_finds_a_data_directory_that_cannot_be_made() {
    let dir = folder();
    std::fs::write(dir.path().join("data"), "a file where a folder is wanted").unwrap();
    let found = matinee(dir.path(), &["doctor", "--json"]);
    assert_eq!(code(&found), 1);
    let disk = json_lines(&found).into_iter().find(|line| line["check"] == "disk" && line["grade"] == "fix");
    assert!(disk.unwrap()["fix"].as_str().unwrap().contains("--data"));
}

#[test]
fn a_configuration_is_shown_and_checked() {
    let dir = folder();
    let shown = text(&matinee(dir.path(), &["config", "show"]));
    assert!(shown.contains("idle_timeout = \"1d\""), "{shown}");
    std::fs::write(dir.path().join("matinee.toml"), "listn = \"127.0.0.1:1\"").unwrap();
    let wrong = matinee(dir.path(), &["config", "validate"]);
    assert_eq!(code(&wrong), 1);
    assert!(complaint(&wrong).contains("did you mean `listen`?"), "{}", complaint(&wrong));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_is_fetched_by_the_server_that_runs() {
    use crate::support::clips;
    use crate::support::files::{Files, Manner};
    let (dir, files) = (folder(), Files::start().await);
    let url = files.put("/lecture.mp4", clips::faststart(3), Manner::default());
    let missing = format!("http://127.0.0.1:{}/missing.mp4", files.port);
    std::fs::write(dir.path().join("matinee.toml"), files.allowed()).unwrap();
    let refused = matinee(dir.path(), &["import", "http://169.254.169.254/a.mp4", "--json"]);
    assert_eq!(code(&refused), 1);
    assert_eq!(json_lines(&refused)[0]["reason"]["code"], "pull_address");
    let dry = matinee(dir.path(), &["import", &url, "--dry-run"]);
    assert_eq!((code(&dry), text(&dry)), (0, format!("would fetch {url}\n")));
    assert_eq!(code(&matinee(dir.path(), &["import", &url, "--quiet"])), 0, "its server may come later");
    let server = Server::start(dir.path());
    let fetched = matinee(dir.path(), &["import", &url, &missing, "--wait=playable", "--json"]);
    let told = json_lines(&fetched);
    assert_eq!((code(&fetched), told.len()), (3, 2), "{}", complaint(&fetched));
    assert!(matches!(told[0]["state"].as_str(), Some("playable" | "ready")), "{}", told[0]);
    assert_eq!((&told[1]["state"], &told[1]["reason"]["code"]), (&"failed".into(), &"pull_not_found".into()));
    drop(server);
}

#[test]
fn secrets_of_zoom_are_never_shown() {
    let dir = folder();
    let text_of = "[zoom]\nsecret_token = \"hidden-1\"\nclient_secret = \"hidden-2\"\n";
    std::fs::write(dir.path().join("matinee.toml"), text_of).unwrap();
    for form in [&["config", "show"][..], &["config", "show", "--json"]] {
        let shown = text(&matinee(dir.path(), form));
        assert!(shown.contains("***") && !shown.contains("hidden"), "{shown}");
    }
}

#[test]
fn pipelines_are_written_in_versions_and_archived() {
    let dir = folder();
    let server = Server::start(dir.path());
    std::fs::write(dir.path().join("cinema.toml"), "name = \"cinema\"\nsizes = [240]\n").unwrap();
    for (word, version) in [("wrote", 1), ("nothing changed in", 1)] {
        let told = matinee(dir.path(), &["pipeline", "apply", "cinema.toml"]);
        assert_eq!(text(&told), format!("{word} `cinema`, version {version}\n"), "{}", complaint(&told));
    }
    std::fs::write(dir.path().join("cinema.toml"), "[[pipeline]]\nname = \"cinema\"\nsizes = [360]\n")
        .unwrap();
    let told = matinee(dir.path(), &["pipeline", "apply", "cinema.toml", "--json"]);
    assert_eq!(json_lines(&told)[0]["version"], 2);
    let told = matinee(dir.path(), &["pipeline", "ls"]);
    for words in ["default", "built in", "cinema", "360"] {
        assert!(text(&told).contains(words), "{words}: {}", text(&told));
    }
    let told = matinee(dir.path(), &["pipeline", "show", "cinema"]);
    assert!(
        text(&told).contains("# version 2, 2 in all") && text(&told).contains("sizes = [360]"),
        "{}",
        text(&told)
    );
    assert_eq!(code(&matinee(dir.path(), &["pipeline", "rm", "cinema"])), 0);
    assert_eq!(code(&matinee(dir.path(), &["pipeline", "rm", "cinema"])), 4, "it is archived already");
    assert_eq!(code(&matinee(dir.path(), &["pipeline", "show", "nothing"])), 4);
    let told = matinee(dir.path(), &["encode", "vid_01jd3x00000000000000000000"]);
    assert_eq!(code(&told), 4, "{}", complaint(&told));
    drop(server);
}
