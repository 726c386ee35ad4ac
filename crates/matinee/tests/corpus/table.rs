//! What a row of the corpus is, and how its words become a file.

use std::path::{Path, PathBuf};

use super::change::{Change, changed};
use crate::support::process::tool;

/// What is odd about a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Class {
    Container,
    Codec,
    Size,
    Shape,
    Color,
    Rate,
    Sound,
    Streams,
    Time,
    Damage,
    NoMedia,
    Bomb,
}

/// How a file must end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Expect {
    /// It becomes ready, and nothing is said against it.
    Ready,
    /// It becomes ready as far as it goes, with this code.
    Damaged(&'static str),
    /// It becomes ready as far as it goes, and something is said against it.
    Flawed,
    /// It is refused with this code.
    Refused(&'static str),
    /// Bytes were changed anywhere: it becomes ready, perhaps damaged, or is refused; never an accident of ours.
    Typed,
}

/// Where the bytes come from.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Make {
    /// ffmpeg's arguments, in the words of [`words`].
    Words(&'static str),
    /// Another row's file, changed.
    Changed(&'static str, &'static [Change]),
    /// These bytes, repeated so often.
    Bytes(&'static [u8], usize),
}

/// One file of the corpus.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Row {
    pub(crate) class: Class,
    /// Unique within its class; the ending is what ffmpeg chooses the container by.
    pub(crate) name: &'static str,
    pub(crate) make: Make,
    pub(crate) expect: Expect,
}

/// A file that ffmpeg makes.
pub(crate) const fn clip(class: Class, name: &'static str, args: &'static str, expect: Expect) -> Row {
    Row { class, name, make: Make::Words(args), expect }
}

/// A file that was good before.
pub(crate) const fn broken(
    name: &'static str,
    base: &'static str,
    changes: &'static [Change],
    expect: Expect,
) -> Row {
    Row { class: Class::Damage, name, make: Make::Changed(base, changes), expect }
}

/// A file of plain bytes.
pub(crate) const fn plain(name: &'static str, bytes: &'static [u8], times: usize, expect: Expect) -> Row {
    Row { class: Class::NoMedia, name, make: Make::Bytes(bytes, times), expect }
}

impl Row {
    /// The bytes of this file; `dir` is for what is made on the way.
    pub(crate) fn bytes(&self, dir: &Path) -> Vec<u8> {
        match self.make {
            Make::Words(words) => std::fs::read(made(dir, self.name, words)).unwrap(),
            Make::Changed(base, changes) => {
                let words = super::damage::base(base);
                changed(std::fs::read(made(dir, base, words)).unwrap(), changes)
            }
            Make::Bytes(bytes, times) => bytes.repeat(times),
        }
    }
}

/// Makes a file in a folder of its own, because rows are made side by side.
fn made(dir: &Path, name: &str, words: &str) -> PathBuf {
    let dir = tempfile::tempdir_in(dir).unwrap().keep();
    if let Some(parts) = words.strip_prefix("J=") {
        let mut whole = Vec::new();
        for (part, words) in parts.split('|').enumerate() {
            whole.extend(
                std::fs::read(encoded(&dir, &format!("{part}-{name}"), &words.replace('~', " "))).unwrap(),
            );
        }
        let path = dir.join(name);
        std::fs::write(&path, whole).unwrap();
        return path;
    }
    let last = words.rsplit_once(' ').map_or(words, |(_, last)| last);
    let rewritten = |how: String, words: &str| {
        let upright = encoded(&dir, &format!("first-{name}"), words);
        encoded(&dir, name, &how.replace("IN", upright.to_str().unwrap()))
    };
    // ffmpeg takes the display matrix of what it encodes away, and starts where it is told: a copy has both.
    match (last.split_at(1), words.len() - last.len()) {
        (("R", degrees), at) => {
            rewritten(format!("-i IN -c copy -metadata:s:v:0 rotate={degrees}"), words[..at].trim())
        }
        (("E", seconds), at) => rewritten(format!("-ss {seconds} -i IN -c copy"), words[..at].trim()),
        _ => encoded(&dir, name, words),
    }
}

fn encoded(dir: &Path, name: &str, words: &str) -> PathBuf {
    let path = dir.join(name);
    let mut args: Vec<String> = ["-v", "error", "-y", "-nostdin"].map(str::to_owned).to_vec();
    for word in words.split(' ') {
        args.extend(expanded(dir, word));
    }
    // The same bytes from the same ffmpeg, whatever the machine.
    args.extend(["-fflags", "+bitexact", "-threads", "1"].map(str::to_owned));
    args.push(path.to_str().unwrap().to_owned());
    tool("ffmpeg", &args.iter().map(String::as_str).collect::<Vec<_>>());
    path
}

/// One word of a row as arguments: `V` a picture, `A` a tone, `S` both, `F` a picture
/// that flashes with the beeps of `B`, `T` subtitles, `C` chapters, `L` what comes next
/// is late, `X` H.264 with AAC (`XB` reordered, `X10` of ten bits), `H` HEVC, `W` VP9 with Opus, `x` the first input so
/// many times, `a` so many attachments; anything else is ffmpeg's.
fn expanded(dir: &Path, word: &str) -> Vec<String> {
    let list = |text: &str| text.split(' ').map(str::to_owned).collect::<Vec<_>>();
    let file = |name: &str, text: &str| {
        std::fs::write(dir.join(name), text).unwrap();
        dir.join(name).to_str().unwrap().to_owned()
    };
    match word {
        "S" => return [expanded(dir, "V160x90,25,3"), expanded(dir, "A3")].concat(),
        "X" => return list("-c:v libx264 -preset ultrafast -pix_fmt yuv420p -g 50 -c:a aac"),
        "XB" => return list("-c:v libx264 -preset veryfast -bf 3 -pix_fmt yuv420p -g 50 -c:a aac"),
        "X10" => return list("-c:v libx264 -preset ultrafast -pix_fmt yuv420p10le -g 50 -c:a aac"),
        "H" => return list("-c:v libx265 -preset ultrafast -x265-params log-level=none"),
        "H10" => {
            return list("-c:v libx265 -preset ultrafast -x265-params log-level=none -pix_fmt yuv420p10le");
        }
        "W" => return list("-c:v libvpx-vp9 -deadline realtime -cpu-used 8 -g 50 -c:a libopus"),
        "T" => {
            let text =
                "1\n00:00:00,500 --> 00:00:01,500\nHello\n\n2\n00:00:02,000 --> 00:00:02,500\n<b>Bye</b>\n";
            return vec!["-i".into(), file("words.srt", text)];
        }
        "C" => {
            let chapter = |from: u32, to: u32| {
                format!("[CHAPTER]\nTIMEBASE=1/1000\nSTART={from}\nEND={to}\ntitle=At {from}\n")
            };
            let text = format!(";FFMETADATA1\n{}{}", chapter(0, 1_500), chapter(1_500, 3_000));
            return list(&format!("-f ffmetadata -i {}", file("chapters.txt", &text)));
        }
        _ => {}
    }
    let (letter, rest) = word.split_at_checked(1).unwrap_or((word, ""));
    let count = rest.parse::<usize>().unwrap_or(0);
    match letter {
        "V" => {
            let parts: Vec<&str> = rest.split(',').collect();
            list(&format!("-f lavfi -i testsrc2=s={}:r={}:d={}", parts[0], parts[1], parts[2]))
        }
        "F" => {
            let parts: Vec<&str> = rest.split(',').collect();
            let half = "drawbox=x=iw/2:y=0:w=iw/2:h=ih:t=fill";
            let when = "enable=gte(t\\,0.99)*lt(mod(t+0.001\\,1)\\,0.12)";
            let source = format!("color=c=red:s={}:r={}:d={}", parts[0], parts[1], parts[2]);
            list(&format!("-f lavfi -i {source},{half}:color=black,{half}:color=white:{when}"))
        }
        "B" => {
            // Beeps a second apart, from 1 s after the picture's begin.
            let at = rest.find(['+', '-']).unwrap_or(rest.len());
            let (length, late) = (&rest[..at], if at < rest.len() { &rest[at..] } else { "+0" });
            let local = format!("(t-(0{late}))");
            let beep = format!("0.8*sin(1000*2*PI*t)*gte({local}\\,0.99)*lt(mod({local}\\,1)\\,0.12)");
            let total = if late.starts_with('+') { format!("{length}{late}") } else { length.to_owned() };
            let seconds: f64 = total.split('+').map(|part| part.parse::<f64>().unwrap()).sum();
            list(&format!("-f lavfi -i aevalsrc={beep}:s=48000:d={seconds}"))
        }
        "A" => list(&format!("-f lavfi -i sine=440:r=48000:d={rest}")),
        "L" => list(&format!("-itsoffset {rest}")),
        "x" if count > 0 => list("-map 0 ".repeat(count).trim()),
        "a" if count > 0 => {
            let path = file("note.txt", "An attachment.");
            let one = |n: usize| list(&format!("-attach {path} -metadata:s:t:{n} mimetype=text/plain"));
            (0..count).flat_map(one).collect()
        }
        _ => vec![word.split_once('@').map_or_else(
            || word.to_owned(),
            |(before, count)| before.to_owned() + &"x".repeat(count.parse().unwrap_or(0)),
        )],
    }
}
