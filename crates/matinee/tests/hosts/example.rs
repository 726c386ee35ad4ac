//! The example `examples/upload-manager`: one command shows all of it.

use std::path::Path;

use crate::support::clips;
use crate::support::process::command;

#[test]
fn the_example_of_uploads_to_a_host_runs_with_one_command() {
    let dir = tempfile::Builder::new().prefix("manager-").tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let film = dir.path().join("film.mp4");
    std::fs::write(&film, clips::mp4(2)).unwrap();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/upload-manager/run.sh");
    let mut run = command("sh");
    run.arg(script).arg(&film).arg(env!("CARGO_BIN_EXE_matinee")).env("TMPDIR", dir.path());
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("MATINEE_")) {
        run.env_remove(name);
    }
    let ran = run.output().unwrap();
    let told = String::from_utf8_lossy(&ran.stdout).into_owned();
    assert!(ran.status.success(), "{told}{}", String::from_utf8_lossy(&ran.stderr));
    for line in [
        "for stream",
        "bytes to the host",
        "state ready",
        "hls https://customer-1.cloudflarestream.com/",
        "state cancelled",
        "videos at the host: 0",
    ] {
        assert!(told.contains(line), "{line}: {told}");
    }
    let left: Vec<_> =
        std::fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left, ["film.mp4"], "the script leaves nothing behind");
}
