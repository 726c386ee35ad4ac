//! `matinee upload`: sends files to a matinee on another machine, and goes on where it was after any break.

mod send;
mod state;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use matinee_core::sending::{Chunks, Target};
use matinee_core::video::Problem;
use matinee_io::sender::{SendError, Sender};
use serde::Serialize;

use self::send::{Job, Lost};
use self::state::{Look, Memory, Saved};
use super::Form;
use super::progress::Board;
use super::text::{plain, size};

const EXAMPLES: &str = "Examples:
  matinee upload lecture-07.mp4 --to https://videos.example.org --token-file token.txt
  matinee upload *.mp4 --to https://videos.example.org --json
  matinee upload film.mov --to https://videos.example.org/files/5d41402abc4b2a76b9719d911017c592

The link of each video is printed before its first byte is sent. After a break, a crash or
Ctrl-C run the same command again: it goes on where the server is. When a proxy on the way
refuses large requests, the pieces become smaller by themselves.

The token is one with the scope upload:write. It is taken from --token-file, from --token (which
other users of this machine can see) or from MATINEE_TOKEN.";

/// What to send, and where to.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Arguments {
    /// Files
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// The address of the server, or the address of one upload that was made for you
    #[arg(long, value_name = "URL", value_parser = target)]
    to: Target,
    /// The token that shows the server who sends
    #[arg(
        long,
        value_name = "TOKEN",
        env = "MATINEE_TOKEN",
        hide_env_values = true,
        conflicts_with = "token_file"
    )]
    token: Option<String>,
    /// A file that holds the token
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
    /// The title, for a single file; otherwise the file's name
    #[arg(long, value_name = "TITLE")]
    title: Option<String>,
    /// Says what would be sent, and sends nothing
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    form: Form,
}

fn target(text: &str) -> Result<Target, String> {
    Target::parse(text).ok_or_else(|| "write an address such as https://videos.example.org".to_owned())
}

/// A file and how far it is.
#[derive(Debug, Serialize)]
struct Told<'a> {
    path: String,
    /// `would_upload`, `uploading`, `uploaded`, `later` or `failed`.
    state: &'static str,
    upload: Option<&'a str>,
    video: Option<&'a str>,
    /// Where the video can be watched, from the first second on.
    link: Option<String>,
    bytes: u64,
    /// How many bytes the server had at the start.
    resumed_at: Option<u64>,
    reason: Option<Problem>,
}

/// Sends files, one after the other.
pub(crate) async fn run(arguments: &Arguments, out: &mut impl Write) -> anyhow::Result<ExitCode> {
    let single = matches!(arguments.to, Target::Upload { .. }) || arguments.title.is_some();
    if single && arguments.files.len() != 1 {
        anyhow::bail!("--title and the address of one upload are for a single file");
    }
    let token = match &arguments.token_file {
        Some(path) => Some(read_token(path)?),
        None => arguments.token.clone(),
    };
    let sender = Sender::new(token)?;
    let board = Board::new(arguments.form.quiet);
    // What one file has taught of the way is good for the next.
    let mut chunks = Chunks::default();
    let mut codes = Vec::new();
    for path in &arguments.files {
        let sent = one(arguments, (&sender, &mut chunks), &board, path, out).await;
        codes.push(match sent {
            Ok(()) => 0,
            Err(lost) => {
                let told = failed(path, &lost);
                board.aside(|| write(arguments.form, &told, out))?;
                code(&lost, path)
            }
        });
    }
    Ok(super::code_of_all(&codes))
}

fn read_token(path: &Path) -> anyhow::Result<String> {
    let text = std::fs::read_to_string(path);
    let text =
        text.map_err(|error| anyhow::anyhow!("the token file {} cannot be read: {error}", path.display()))?;
    Ok(text.trim().to_owned())
}

async fn one(
    arguments: &Arguments,
    (sender, chunks): (&Sender, &mut Chunks),
    board: &Board,
    path: &Path,
    out: &mut impl Write,
) -> Result<(), Lost> {
    let look = Look::at(path)?;
    let mut told = Told {
        path: path.display().to_string(),
        state: "would_upload",
        upload: None,
        video: None,
        link: None,
        bytes: look.size,
        resumed_at: None,
        reason: None,
    };
    if arguments.dry_run {
        return Ok(write(arguments.form, &told, out)?);
    }
    let target = &arguments.to;
    let memory = memory(&look.fingerprint(path, target_of(target))?)?;
    let title = arguments.title.as_deref();
    let mut job = Job { sender, target, path, look, title, memory, chunks, board };
    let (saved, offset) = job.begin().await?;
    let Saved { url, video, upload } = &saved;
    told.state = "uploading";
    told.upload = upload.as_deref();
    told.video = video.as_deref();
    told.link = video.as_ref().map(|video| format!("{}/v/{video}", target.base()));
    told.resumed_at = Some(offset);
    if !arguments.form.quiet {
        board.aside(|| write(arguments.form, &told, out))?;
    }
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let bar = Arc::new(board.bytes(&name, look.size));
    bar.reached(offset);
    let sent = job.send(url, offset, Arc::clone(&bar)).await;
    bar.end();
    sent?;
    told.state = "uploaded";
    Ok(board.aside(|| write(arguments.form, &told, out))?)
}

/// What a fingerprint is made for: the server, or the very upload.
fn target_of(target: &Target) -> &str {
    match target {
        Target::Server { base } => base,
        Target::Upload { url, .. } => url,
    }
}

fn memory(fingerprint: &str) -> Result<Memory, Lost> {
    let folder = state::folder();
    let folder = folder.ok_or_else(|| Lost::File("neither XDG_STATE_HOME nor HOME is set".to_owned()))?;
    let memory = Memory::open(&folder, fingerprint)?;
    memory.ok_or_else(|| Lost::Later("another process sends this very file right now".to_owned()))
}

fn code(lost: &Lost, path: &Path) -> u8 {
    match lost {
        Lost::Later(_) | Lost::Send(SendError::Again(_)) => super::LATER,
        Lost::File(_) if !path.exists() => super::NOT_FOUND,
        Lost::Send(SendError::Gone) => super::NOT_FOUND,
        Lost::File(_) | Lost::Send(_) => super::ERROR,
    }
}

fn failed(path: &Path, lost: &Lost) -> Told<'static> {
    let later = matches!(lost, Lost::Later(_) | Lost::Send(SendError::Again(_)));
    Told {
        path: path.display().to_string(),
        state: if later { "later" } else { "failed" },
        upload: None,
        video: None,
        link: None,
        bytes: 0,
        resumed_at: None,
        reason: Some(problem(lost)),
    }
}

/// What a person reads, and what to do about it.
fn problem(lost: &Lost) -> Problem {
    let (code, fix) = match lost {
        Lost::Later(_) | Lost::Send(SendError::Again(_)) => {
            ("upload_later", "Run the same command again: it goes on where the server is.".to_owned())
        }
        Lost::Send(SendError::Gone) => {
            ("upload_gone", "It has expired or was given up; ask for a new upload address.".to_owned())
        }
        Lost::Send(SendError::Refused { status, code, fix, .. }) => {
            let usual = match status {
                401 => "Give a token with the scope upload:write: --token-file FILE.",
                403 => "Use a token with the scope upload:write.",
                _ => "",
            };
            return Problem {
                code: code.clone().unwrap_or_else(|| format!("http_{status}")),
                human: lost.to_string(),
                fix: if usual.is_empty() { fix.clone().unwrap_or_default() } else { usual.to_owned() },
            };
        }
        Lost::Send(SendError::Address(_)) => ("address", "Look at what follows --to.".to_owned()),
        Lost::Send(SendError::File(_)) | Lost::File(_) => {
            ("file", "Look at the file and its rights.".to_owned())
        }
    };
    Problem { code: code.to_owned(), human: sentence(&lost.to_string()), fix }
}

/// With a capital letter and a full stop.
fn sentence(text: &str) -> String {
    let mut letters = text.trim_end_matches('.').chars();
    let first = letters.next().map(|letter| letter.to_uppercase().collect::<String>()).unwrap_or_default();
    format!("{first}{}.", letters.as_str())
}

fn write(form: Form, told: &Told<'_>, out: &mut impl Write) -> std::io::Result<()> {
    if form.json {
        writeln!(out, "{}", serde_json::to_string(told)?)?;
        return out.flush();
    }
    let path = plain(&told.path);
    match (form.quiet, told.video) {
        (true, Some(video)) => writeln!(out, "{video}")?,
        (true, None) if told.reason.is_none() => {}
        _ => {
            let link = told.link.as_deref().unwrap_or_default();
            let resumed = told.resumed_at.filter(|at| *at > 0 && told.state == "uploading");
            let resumed = resumed.map(|at| format!(", going on at {}", size(at))).unwrap_or_default();
            let state = told.state.replace('_', " ");
            let size = if told.reason.is_some() {
                String::new()
            } else {
                format!(" ({}{resumed})", size(told.bytes))
            };
            writeln!(out, "{}", format!("{state:<10}  {path}{size}  {link}").trim_end())?;
        }
    }
    if let Some(reason) = &told.reason {
        super::write_problem(out, "            ", reason)?;
    }
    out.flush()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_went_wrong_is_said_with_what_to_do() {
        for (lost, code_of, expected) in [
            (Lost::Later("the network is down".to_owned()), super::super::LATER, "same command again"),
            (Lost::Send(SendError::Gone), super::super::NOT_FOUND, "new upload address"),
            (
                Lost::Send(SendError::Refused {
                    status: 401,
                    code: None,
                    human: "No.".to_owned(),
                    fix: None,
                }),
                super::super::ERROR,
                "--token-file",
            ),
        ] {
            assert!(problem(&lost).fix.contains(expected), "{lost}");
            assert_eq!(code(&lost, Path::new("/")), code_of, "{lost}");
        }
        assert_eq!(problem(&Lost::Later("the network is down".to_owned())).human, "The network is down.");
    }
}
