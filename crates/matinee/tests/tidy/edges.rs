//! Which part may name which, inside the binary and inside `matinee-io`; and what `core` must not say.

use super::house::{Complaint, File, House};

const BINARY: &str = "crates/matinee/src/";
const IO: &str = "crates/io/src/";

/// A part of the binary: its name, the parts it may name, and whether it may name `matinee_io`.
struct Part {
    name: &'static str,
    may: &'static [&'static str],
    io: bool,
}

/// `main` and `command` may name everything and so are not listed.
const PARTS: &[Part] = &[
    Part { name: "flow", may: &["errand", "node", "shelf", "turn"], io: true },
    Part { name: "http", may: &["errand", "flow", "room", "edge", "node"], io: false },
    Part { name: "worker", may: &["flow", "node"], io: false },
    Part { name: "runner", may: &["errand", "flow"], io: true },
    Part { name: "errand", may: &[], io: false },
    Part { name: "room", may: &["node"], io: true },
    Part { name: "edge", may: &["node"], io: true },
    Part { name: "node", may: &["config", "shelf", "turn"], io: true },
    Part { name: "shelf", may: &[], io: true },
    Part { name: "turn", may: &[], io: false },
    Part { name: "config", may: &["http", "worker", "room", "edge", "node"], io: true },
];
/// What jobs have in common: tools of a flow, not stories of their own. None of them may name a story.
const SHARED_BY_FLOWS: &[&str] = &[
    "board",    // jobs as people see them
    "roster",   // the nodes, and what they have learned
    "arrival",  // what comes from outside, announced with the job that takes it
    "coding",   // one run of an encoder and one stored output
    "copies",   // where copies are to be
    "creation", // a video made at a host for an intent, once
    "damage",   // what is said of a damaged source
    "direct",   // uploads that go straight to a host
    "early",    // a source that is played while it arrives
    "engine",   // encoders in hardware
    "fault",    // why an attempt failed, and whether it is worth another
    "gate",     // which sizes of a ladder are worth their bytes
    "hashed",   // what a source hashes to that came through the spool
    "home",     // what a job reads, brought here first
    "indexed",  // the index of a file, read for `core::media`
    "intake",   // how an upload begins
    "lease",    // the right to do one attempt
    "leaving",  // the moment before the bytes of a copy go
    "look",     // what ffprobe and our index say of a file
    "mark",     // the picture of a watermark, in the size in which it is laid on
    "message",  // an event as a signed message to an endpoint
    "order",    // what a job reads and makes
    "outside",  // what is asked of a host: within its budget, while it answers
    "ran",      // the programs of an attempt
    "outage",   // a store that does not answer
    "plate",    // which place a store is
    "pull",     // a file that is to be brought in by its address, whoever asks
    "reach",    // bytes from wherever a good copy lies
    "reread",   // what lies somewhere, hashed again
    "play",     // the addresses of what can be watched and kept
    "still",    // one picture of a moment
    "tariff",   // what each place asks
    "scratch",  // the empty directory of one attempt
    "told",     // what services outside are told of a video
    "vacate",   // a host that is being emptied
    "besides",  // what a host has of a video besides
    "whole",    // a video with all that its page shows
    "work",     // what a plan asks for, done on files
];
/// What a sibling in `matinee-io` may name: the clock is read nowhere else. But `db` is given every time.
const SHARED_BY_IO: &str = "clock";
/// Words that would make `core` depend on something other than its arguments.
const NOT_PURE: &[&str] = &[
    "async fn",
    "tokio",
    "std::fs",
    "std::env",
    "std::process",
    "std::net",
    "std::thread",
    "Instant::now",
    "SystemTime::now",
    "sqlx",
    "axum",
    "matinee_io",
];

/// Inside the binary each part names only what the table allows.
pub(crate) fn of_the_binary(house: &House) -> Vec<Complaint> {
    house.below(BINARY, "rs").flat_map(|file| binary_file(house, file)).collect()
}

fn binary_file(house: &House, file: &File) -> Vec<Complaint> {
    let (name, own) = part_of(file, BINARY);
    if ["main", "command", "lib"].contains(&name) {
        return Vec::new();
    }
    let Some(part) = PARTS.iter().find(|it| it.name == name) else {
        return vec![file.complain(1, format!("`{name}` is no known part: give it a row in tidy/edges.rs"))];
    };
    let mut complaints = leaving(file, BINARY);
    for (number, line) in file.production() {
        for other in names_after(line, "crate::") {
            if other != name && !part.may.contains(&other) && other.starts_with(char::is_lowercase) {
                let text = format!("{name} must not name {other}: allowed is {:?}", part.may);
                complaints.push(file.complain(number, text));
            }
        }
        if !part.io && line.contains("matinee_io") {
            let text = format!("{name} must not name matinee_io: ask a flow, or read a type that node gives");
            complaints.push(file.complain(number, text));
        }
        if name == "flow" {
            complaints.extend(other_flow(house, file, own, (number, line)));
        }
    }
    complaints
}

/// Flows meet in the job table, never in a call.
fn other_flow(house: &House, file: &File, own: &str, (number, line): (usize, &str)) -> Option<Complaint> {
    let inside = own != "mod";
    let beside =
        if inside && line.starts_with("use super::") { names_after(line, "super::") } else { Vec::new() };
    let mut named = names_after(line, "crate::flow::").into_iter().chain(beside);
    let is_flow =
        |it: &str| house.has(&format!("{BINARY}flow/{it}.rs")) || house.has(&format!("{BINARY}flow/{it}"));
    let other = named.find(|it| inside && *it != own && is_flow(it) && !SHARED_BY_FLOWS.contains(it))?;
    Some(file.complain(
        number,
        format!("flow {own} must not name flow {other}: insert a job, or let core hold the rule"),
    ))
}

/// Inside `matinee-io` one sibling never names another.
pub(crate) fn of_io(house: &House) -> Vec<Complaint> {
    let mut complaints = Vec::new();
    for file in house.below(IO, "rs") {
        let (name, _) = part_of(file, IO);
        if name == "lib" {
            continue;
        }
        complaints.extend(leaving(file, IO));
        for (number, line) in file.production() {
            let shared = |it: &str| it == SHARED_BY_IO && name != "db";
            let others = names_after(line, "crate::").into_iter().filter(|it| *it != name && !shared(it));
            complaints.extend(others.map(|other| {
                file.complain(
                    number,
                    format!("io::{name} must not name io::{other}: the caller hands over what is needed"),
                )
            }));
        }
    }
    complaints
}

/// Ways out of a part that the check above would not see.
fn leaving(file: &File, src: &str) -> Vec<Complaint> {
    let short = &file.path[src.len()..];
    let is_part_root = !short.contains('/') || short.matches('/').count() == 1 && short.ends_with("/mod.rs");
    let mut complaints = Vec::new();
    for (number, line) in file.production() {
        if line.contains("crate::{") {
            complaints.push(
                file.complain(number, "write one `use crate::part::..` a line, so that edges can be read"),
            );
        }
        if line.contains("super::super") || (is_part_root && line.starts_with("use super::")) {
            complaints.push(file.complain(number, "write `crate::part::..` when a path leaves its folder"));
        }
    }
    complaints
}

/// `core` names nothing of the outside world.
pub(crate) fn purity_of_core(house: &House) -> Vec<Complaint> {
    let mut complaints = Vec::new();
    for file in house.below("crates/core/src/", "rs") {
        for (number, line) in file.production() {
            let found = NOT_PURE.iter().filter(|word| line.contains(**word));
            complaints.extend(found.map(|word| {
                file.complain(
                    number,
                    format!("`{word}` in core: take the value as an argument, act in matinee-io or a flow"),
                )
            }));
        }
    }
    complaints
}

/// The tests look at the tables from outside, too: a check that asks the checked code proves little.
const WITNESS: &str = "crates/matinee/tests/support/tables.rs";

/// SQL is written only in `matinee_io::db`.
pub(crate) fn sql_only_in_db(house: &House) -> Vec<Complaint> {
    let mut complaints = Vec::new();
    let outside = |it: &&File| {
        !it.path.starts_with("crates/io/src/db/")
            && !it.path.starts_with("crates/matinee/tests/tidy")
            && it.path != WITNESS
    };
    for file in house.below("crates/", "rs").filter(outside) {
        for (number, line) in file.lines().map(|(number, line)| (number, super::house::code(line))) {
            let update = line.contains("UPDATE ") && line.contains(" SET ");
            if update || ["SELECT ", "INSERT INTO ", "DELETE FROM "].iter().any(|it| line.contains(it)) {
                complaints.push(
                    file.complain(
                        number,
                        "SQL outside io::db: give `Db` a function that says what is wanted",
                    ),
                );
            }
        }
    }
    complaints
}

/// The part a file belongs to, and its own name inside the part.
fn part_of<'f>(file: &'f File, src: &str) -> (&'f str, &'f str) {
    let short = file.path[src.len()..].trim_end_matches(".rs");
    let (part, rest) = short.split_once('/').unwrap_or((short, "mod"));
    (part, rest.split('/').next().unwrap_or(rest))
}

/// The names that directly follow `prefix` in a line; also inside braces.
fn names_after<'l>(line: &'l str, prefix: &str) -> Vec<&'l str> {
    let whole = |at: usize| !line[..at].ends_with(|it: char| it.is_alphanumeric() || it == '_' || it == '$');
    let starts =
        line.match_indices(prefix).filter(|(at, _)| whole(*at)).map(|(at, _)| &line[at + prefix.len()..]);
    let group = |rest: &'l str| match rest.strip_prefix('{') {
        Some(list) => list.split_once('}').map_or(list, |(list, _)| list).split(',').collect(),
        None => vec![rest],
    };
    starts.flat_map(group).map(|it| name_at_start(it.trim_start())).filter(|it| !it.is_empty()).collect()
}

fn name_at_start(text: &str) -> &str {
    let end = text.find(|it: char| !it.is_alphanumeric() && it != '_').unwrap_or(text.len());
    &text[..end]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn complaints(duty: fn(&House) -> Vec<Complaint>, path: &str, text: &str) -> usize {
        let neighbours = [("crates/matinee/src/flow/serve.rs", ""), ("crates/matinee/src/flow/lease.rs", "")];
        let files: Vec<(&str, &str)> = neighbours.into_iter().chain([(path, text)]).collect();
        duty(&House::of(&files)).len()
    }

    #[test]
    fn the_binary_points_in_one_direction() {
        let cases = [
            ("http/tus.rs", "use crate::flow::upload;", 0),
            ("http/tus.rs", "use crate::worker::Worker;", 1),
            ("http/tus.rs", "use matinee_io::db::Db;", 1),
            ("http/tus.rs", "// use matinee_io::db::Db;", 0),
            ("http/tus.rs", "use crate::{flow, node};", 1),
            ("http/tus.rs", "use super::super::worker;", 1),
            ("http/mod.rs", "use super::worker;", 1),
            ("http/tus.rs", "#[cfg(test)]\nmod tests {\n    use matinee_io::db::Db;\n}", 0),
            ("flow/play.rs", "use crate::http::problem;", 1),
            ("flow/play.rs", "use crate::flow::serve::serve;", 1),
            ("flow/play.rs", "use super::serve;", 1),
            ("flow/play.rs", "use super::{Flow, serve};", 1),
            ("flow/play.rs", "use crate::flow::lease::Lease;", 0),
            ("flow/play.rs", "use crate::flow::Outcome;", 0),
            ("flow/lease.rs", "use crate::flow::serve::Answer;", 1),
            ("flow/mod.rs", "let answer = crate::flow::serve::run();", 0),
            ("worker.rs", "use matinee_io::db::Db;", 1),
            ("command/serve.rs", "use crate::http::router;", 0),
            ("util.rs", "", 1),
        ];
        for (file, text, expected) in cases {
            assert_eq!(
                complaints(of_the_binary, &format!("{BINARY}{file}"), text),
                expected,
                "{file}: {text}"
            );
        }
    }

    #[test]
    fn a_sibling_of_io_does_not_know_another() {
        for (text, expected) in [
            ("use crate::db::Db;", 1),
            ("use crate::store::Store;", 0),
            ("use crate::clock::Stopwatch;", 0),
            ("pub(crate) fn store() {}", 0),
            ("use crate::{db, store};", 2),
            ("macro_rules! a { () => { $crate::db::x() } }", 0),
        ] {
            assert!(complaints(of_io, "crates/io/src/store/local.rs", text) == expected, "{text}");
        }
        assert_eq!(complaints(of_io, "crates/io/src/db/job.rs", "let now = crate::clock::now();"), 1);
    }

    #[test]
    fn core_has_no_clock_and_no_async() {
        let duty = |text: &str| complaints(purity_of_core, "crates/core/src/plan/mod.rs", text);
        assert_eq!(duty("    let now = SystemTime::now();"), 1);
        assert_eq!(duty("pub async fn plan() {"), 1);
        assert_eq!(duty("/// Neither tokio nor axum."), 0);
    }

    #[test]
    fn sql_outside_the_database_is_found() {
        assert_eq!(
            complaints(sql_only_in_db, "crates/matinee/src/flow/a.rs", r#"let it = "SELECT id FROM job";"#),
            1
        );
        assert_eq!(
            complaints(sql_only_in_db, "crates/io/src/db/job.rs", r#"let it = "SELECT id FROM job";"#),
            0
        );
    }
}
