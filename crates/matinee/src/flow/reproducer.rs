//! Everything that somebody needs to see a job fail on another machine, as one archive.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use matinee_core::id::{AppId, JobId};
use matinee_core::job::State;
use matinee_core::limits::{REPRODUCER_INDEX_BYTES, REPRODUCER_SOURCE_BYTES};
use matinee_core::tar;
use serde_json::{Value, json};

use super::board::{Closer, Run, closer};
use super::{Failure, now};
use crate::node::Node;

/// What the end of a source that is no MP4 can say, in bytes.
const TAIL_BYTES: u64 = 64 << 10;
/// An archive is handed out in pieces of at most this.
const PIECE_BYTES: u64 = 256 << 10;
/// Boxes before the index; no honest file has more.
const BOXES_MAX: u32 = 64;

/// The archive, piece by piece.
pub(crate) struct Reproducer {
    /// What it is called.
    pub(crate) name: String,
    /// Its length in bytes.
    pub(crate) size: u64,
    pieces: std::collections::VecDeque<Piece>,
}

enum Piece {
    Bytes(Vec<u8>),
    File { path: PathBuf, offset: u64, len: u64 },
}

impl Piece {
    fn len(&self) -> u64 {
        match self {
            Self::Bytes(bytes) => bytes.len() as u64,
            Self::File { len, .. } => *len,
        }
    }
}

impl Reproducer {
    /// The next bytes; `None` at the end.
    pub(crate) async fn next(&mut self) -> Option<io::Result<Vec<u8>>> {
        let (path, offset, len) = match self.pieces.pop_front()? {
            Piece::Bytes(bytes) => return Some(Ok(bytes)),
            Piece::File { path, offset, len } => (path, offset, len),
        };
        let now = len.min(PIECE_BYTES);
        if len > now {
            self.pieces.push_front(Piece::File { path: path.clone(), offset: offset + now, len: len - now });
        }
        let read = tokio::task::spawn_blocking(move || {
            let mut bytes = vec![0; usize::try_from(now).unwrap_or_default()];
            File::open(path)?.read_exact_at(&mut bytes, offset).map(|()| bytes)
        });
        Some(read.await.unwrap_or_else(|panic| Err(io::Error::other(panic))))
    }

    fn add(&mut self, name: &str, piece: Piece) {
        let modified_s = u64::try_from(now().0 / 1_000).unwrap_or_default();
        let len = piece.len();
        // Our own names are short, and what we put in is small.
        let Some(head) = tar::head(name, len, modified_s) else { return };
        let fill = Piece::Bytes(vec![0; usize::try_from(tar::fill(len)).unwrap_or_default()]);
        for piece in [Piece::Bytes(head.to_vec()), piece, fill] {
            self.size += piece.len();
            self.pieces.push_back(piece);
        }
    }
}

/// Packs what is known of a dead job.
pub(crate) async fn pack(node: &Node, app: AppId, id: JobId) -> Result<Reproducer, Failure> {
    let closer = closer(node, app, id).await?;
    if closer.shown.job.state != State::Dead {
        let human = "Only a job that was given up has a reproducer.".to_owned();
        return Err(Failure::Refused { conflict: true, human });
    }
    let mut pack =
        Reproducer { name: format!("{id}.tar"), size: 0, pieces: std::collections::VecDeque::new() };
    let source = match closer.shown.job.video {
        Some(video) => node.db.video_any(video).await?,
        None => None,
    };
    let object = source.and_then(|video| video.input_of(closer.shown.job.generation));
    let path = object.and_then(|object| node.object_path(object).ok());
    let parts = match path {
        Some(path) => {
            let parts = tokio::task::spawn_blocking(move || parts(&path));
            parts.await.unwrap_or_else(|panic| Err(io::Error::other(panic))).unwrap_or_default()
        }
        None => Parts::default(),
    };
    let words = |text: String| Piece::Bytes(text.into_bytes());
    pack.add("README.txt", words(readme(&parts)));
    pack.add("job.json", words(format!("{:#}\n", told(node, &closer))));
    for (attempt, runs) in &closer.attempts {
        for (number, run) in (1..).zip(runs) {
            let dir = format!("attempt-{}/run-{number}", attempt.attempt);
            pack.add(&format!("{dir}/command.txt"), words(command(run)));
            pack.add(&format!("{dir}/stderr.txt"), words(run.stderr.clone()));
        }
    }
    for (name, piece) in parts.pieces {
        pack.add(&name, piece);
    }
    pack.size += tar::END.len() as u64;
    pack.pieces.push_back(Piece::Bytes(tar::END.to_vec()));
    Ok(pack)
}

/// The pieces of a source, and how large it is.
#[derive(Default)]
struct Parts {
    size: u64,
    pieces: Vec<(String, Piece)>,
}

fn parts(path: &Path) -> io::Result<Parts> {
    let file = File::open(path)?;
    let size = file.metadata()?.len();
    let first = size.min(REPRODUCER_SOURCE_BYTES);
    let piece = |offset: u64, len: u64| {
        (format!("source.at-{offset}"), Piece::File { path: path.to_owned(), offset, len })
    };
    let mut pieces = vec![piece(0, first)];
    let index = index(&file, size)?.unwrap_or((size - size.min(TAIL_BYTES), size.min(TAIL_BYTES)));
    if index.0 + index.1 > first && index.1 <= REPRODUCER_INDEX_BYTES {
        pieces.push(piece(index.0, index.1));
    }
    Ok(Parts { size, pieces })
}

/// Where the index of an MP4 lies, and how long it is.
fn index(file: &File, size: u64) -> io::Result<Option<(u64, u64)>> {
    let mut at = 0;
    for _ in 0..BOXES_MAX {
        let mut head = [0; 16];
        if at + 16 > size {
            return Ok(None);
        }
        file.read_exact_at(&mut head, at)?;
        let short = head.first_chunk().map_or(0, |bytes| u64::from(u32::from_be_bytes(*bytes)));
        let large = head.last_chunk().map_or(0, |bytes| u64::from_be_bytes(*bytes));
        let len = match short {
            0 => size - at,
            1 => large,
            short => short,
        };
        if head[4..8] == *b"moov" {
            return Ok(Some((at, len.min(size - at))));
        }
        if len < 8 || len > size - at {
            return Ok(None);
        }
        at += len;
    }
    Ok(None)
}

fn readme(parts: &Parts) -> String {
    let mut text = String::from(
        "What is here\n\n\
         job.json              the job, its attempts, how each ended\n\
         attempt-N/run-M/      the exact command of each program that was run, and the last that it wrote\n\
         source.at-OFFSET      parts of the source, from these bytes on\n\n\
         In the commands DATA is the data directory of the server, and the input is the source. To put a source together\n\
         that demuxers open (what is missing is zeros):\n\n",
    );
    let mut lines = vec![format!("  truncate -s {} source", parts.size)];
    lines.extend(parts.pieces.iter().map(|(name, _)| {
        let offset = name.trim_start_matches("source.at-");
        format!("  dd if={name} of=source bs=64K seek={offset} oflag=seek_bytes conv=notrunc")
    }));
    text.push_str(&lines.join("\n"));
    text.push('\n');
    text
}

fn told(node: &Node, closer: &Closer) -> Value {
    let job = &closer.shown.job;
    let attempts: Vec<Value> = closer
        .attempts
        .iter()
        .map(|(attempt, runs)| {
            let ended = attempt.ended;
            json!({
                "attempt": attempt.attempt,
                "node": attempt.holder.split('/').next(),
                "started_ms": attempt.started,
                "ended_ms": ended.map(|(at, _)| at),
                "outcome": ended.map(|(_, outcome)| outcome),
                "error": without_detail(attempt.error.as_ref()),
                "runs": runs,
            })
        })
        .collect();
    json!({
        "id": job.id,
        "kind": job.task.as_ref().map(|task| task.kind().name()),
        "task": job.task,
        "video": job.video,
        "title": closer.shown.title,
        "created_ms": job.created,
        "started_ms": job.started,
        "finished_ms": job.finished,
        "last_error": without_detail(job.last_error.as_ref()),
        "expected": { "cost_ms": job.cost_ms, "memory_bytes": job.memory_bytes },
        "attempts": attempts,
        "here": {
            "matinee": env!("CARGO_PKG_VERSION"),
            "ffmpeg": node.ffmpeg.as_ref().ok().map(|ffmpeg| ffmpeg.found().version.clone()),
        },
    })
}

/// What ffmpeg said and was told stands in the runs, with paths hidden.
fn without_detail(error: Option<&Value>) -> Option<Value> {
    let mut error = error?.clone();
    if let Some(fields) = error.as_object_mut() {
        fields.remove("detail");
    }
    Some(error)
}

/// The command as one types it into a shell.
fn command(run: &Run) -> String {
    let plain = |word: &String| {
        let safe = |letter: char| letter.is_ascii_alphanumeric() || "-_./:=,+%@".contains(letter);
        if !word.is_empty() && word.chars().all(safe) {
            word.clone()
        } else {
            format!("'{}'", word.replace('\'', "'\\''"))
        }
    };
    let program = run.program.split(' ').next().unwrap_or("ffmpeg");
    let words: Vec<String> = run.args.iter().map(plain).collect();
    format!("# {}\n{program} {}\n", run.program, words.join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_can_be_pasted_into_a_shell() {
        let args = ["-i", "DATA/a b", "it's", "[0:v]scale=2:2;x", ""].map(str::to_owned).to_vec();
        let run = Run { program: "ffmpeg 5.1".to_owned(), args, ..Run::default() };
        assert_eq!(command(&run), "# ffmpeg 5.1\nffmpeg -i 'DATA/a b' 'it'\\''s' '[0:v]scale=2:2;x' ''\n");
    }

    #[test]
    fn the_index_of_an_mp4_is_found_behind_its_media() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.mp4");
        let boxed = |kind: &[u8; 4], len: usize| {
            let mut bytes = u32::try_from(len).unwrap().to_be_bytes().to_vec();
            bytes.extend(kind);
            bytes.resize(len, 7);
            bytes
        };
        let media = boxed(b"mdat", 3 << 20);
        std::fs::write(&path, [boxed(b"ftyp", 24), media, boxed(b"moov", 5_000)].concat()).unwrap();
        let parts = parts(&path).unwrap();
        let names: Vec<_> = parts.pieces.iter().map(|(name, piece)| (name.as_str(), piece.len())).collect();
        let at = format!("source.at-{}", 24 + (3 << 20));
        assert_eq!(names, [("source.at-0", 1 << 20), (at.as_str(), 5_000)]);
    }
}
