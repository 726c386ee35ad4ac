//! A stand-in for a machine with a card: an ffmpeg that does in software what is asked of hardware, or fails as drivers do.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

/// How the card behaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    /// It encodes.
    Good,
    /// It encodes, and each chunk takes some seconds more.
    Slow,
    /// The driver says no at its start.
    Refuses,
    /// Nothing comes out.
    Hangs,
    /// A picture is missing.
    Frames,
    /// The same where the source is not read from its begin.
    LaterFrames,
    /// The pictures are others.
    Garbage,
}

/// The kernel lets it start no process but by becoming one, so all of it is done by the shell itself.
const SCRIPT: &str = r#"#!/bin/sh
left=$# hard=no seeks=no
while [ "$left" -gt 0 ]; do
  word=$1; shift; left=$((left - 1))
  case $word in
    -init_hw_device | -filter_hw_device | -rc_mode) shift; left=$((left - 1)); continue ;;
    *,hwupload*)
      while :; do
        case $word in *,hwupload*) word=${word%%,hwupload*}$change${word#*,hwupload} ;; *) break ;; esac
      done ;;
    h264_vaapi)
      hard=yes
      [ $mode$seeks = LaterFramesno ] && more=
      set -- "$@" libx264 -preset veryfast -threads 1 -sc_threshold 0 -forced-idr 1 -flags +cgop $more
      continue ;;
    -ss) seeks=yes ;;
    h264_qsv) echo '[h264_qsv @ 0x1] [error] this is no Intel' >&2; exit 1 ;;
  esac
  set -- "$@" "$word"
done
[ $hard = yes ] && case $mode in
  Refuses) echo '[AVHWDeviceContext @ 0x1] [error] No VA display found for device renderD128.' >&2; exit 1 ;;
  Hangs) exec sleep 600 ;;
esac
exec "$ffmpeg" "$@"
"#;

/// The programs of such a machine, and its device node.
pub(crate) struct Card {
    dir: TempDir,
}

impl Card {
    pub(crate) fn new(mode: Mode) -> Self {
        let dir = tempfile::Builder::new().prefix("card-").tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        std::fs::write(dir.path().join("renderD128"), "").unwrap();
        std::os::unix::fs::symlink(found("ffprobe"), dir.path().join("ffprobe")).unwrap();
        let card = Self { dir };
        card.becomes(mode);
        card
    }

    /// From the next program on the card behaves like this.
    pub(crate) fn becomes(&self, mode: Mode) {
        let (change, added) = match mode {
            Mode::Garbage => (",negate", ""),
            Mode::Frames | Mode::LaterFrames => ("", "-frames:v 24"),
            Mode::Slow => (",realtime=limit=10", ""),
            Mode::Good | Mode::Refuses | Mode::Hangs => ("", ""),
        };
        let ffmpeg = found("ffmpeg");
        let head = format!("mode={mode:?} change='{change}' more='{added}' ffmpeg='{}'\n", ffmpeg.display());
        let (first, rest) = SCRIPT.split_once('\n').unwrap();
        let fresh = self.dir.path().join("fresh");
        std::fs::write(&fresh, format!("{first}\n{head}{rest}")).unwrap();
        std::fs::set_permissions(&fresh, std::fs::Permissions::from_mode(0o755)).unwrap();
        std::fs::rename(fresh, self.dir.path().join("ffmpeg")).unwrap();
    }

    /// The section of the configuration for a machine that has it.
    pub(crate) fn config(&self) -> String {
        let dir = self.dir.path().display();
        format!("[encode]\nffmpeg_dir = \"{dir}\"\nstall = \"5s\"\ndevices = [\"{dir}/renderD128\"]\n")
    }

    /// A configuration file for a machine that has it.
    pub(crate) fn config_file(&self) -> PathBuf {
        let path = self.dir.path().join("matinee.toml");
        std::fs::write(&path, self.config()).unwrap();
        path
    }

    /// The card is pulled out; the programs stay.
    pub(crate) fn falls_out(&self) {
        std::fs::remove_file(self.dir.path().join("renderD128")).unwrap();
    }
}

/// The real program.
fn found(name: &str) -> PathBuf {
    let path = std::env::var_os("PATH").unwrap();
    let mut all = std::env::split_paths(&path).map(|dir| dir.join(name));
    all.find(|path| Path::is_file(path)).expect("because the tests need ffmpeg")
}
