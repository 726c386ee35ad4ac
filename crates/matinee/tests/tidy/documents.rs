//! What the documents say must be there, and they must have their form.

use std::collections::BTreeSet;

use super::house::{Complaint, File, House};

/// Lines the map may have.
const MAP_LINES_MAX: usize = 300;
/// Words the glossary of the map may have.
const GLOSSARY_MAX: usize = 40;
/// Lines a decision may have.
const DECISION_LINES_MAX: usize = 25;
/// Endings that make a word a path.
const ENDINGS: &[&str] = &[".rs", ".md", ".toml", ".ts", ".svelte", ".json", ".sql", ".svg", ".proto"];
/// Short names of folders that the documents use, and where those are. The first that exists is meant.
const SHORT: &[(&str, &str)] =
    &[("core/", "crates/core/src/"), ("io/", "crates/io/src/"), ("", ""), ("", "crates/matinee/src/")];

/// Every path that the map and the guides name exists.
pub(crate) fn named_paths(house: &House) -> Vec<Complaint> {
    let is_map = |it: &&File| it.path == "ARCHITECTURE.md" || it.path.starts_with("docs/guides/");
    let mut complaints = Vec::new();
    for file in house.files.iter().filter(is_map) {
        for (number, line) in file.lines() {
            let words = line.split('`').skip(1).step_by(2).filter(|it| is_path(it)).flat_map(expand);
            for path in words.filter(|it| !exists(house, it)) {
                complaints
                    .push(file.complain(number, format!("`{path}` does not exist: name what is there")));
            }
        }
    }
    complaints
}

fn is_path(word: &str) -> bool {
    let odd = word.contains([' ', '<', '*', ':', '(', '$', '=']) || word.starts_with(['/', '.', '-', '~']);
    let made =
        ["target/", "matinee-data", "web/dist", "web/node_modules"].iter().any(|it| word.starts_with(it));
    !odd && !made && (word.contains('/') || ENDINGS.iter().any(|it| word.ends_with(it)))
}

/// `a/{b,c}.rs` means two paths.
fn expand(word: &str) -> Vec<String> {
    let Some((before, rest)) = word.split_once('{') else { return vec![word.to_owned()] };
    let Some((list, after)) = rest.split_once('}') else { return vec![word.to_owned()] };
    list.split(',').map(|it| format!("{before}{}{after}", it.trim())).collect()
}

fn exists(house: &House, path: &str) -> bool {
    SHORT.iter().filter_map(|(short, long)| path.strip_prefix(short).map(|rest| format!("{long}{rest}"))).any(
        |full| {
            house.has(&full)
                || (!full.contains('.') && house.has(&format!("{}.rs", full.trim_end_matches('/'))))
        },
    )
}

/// Every link inside the repository leads somewhere.
pub(crate) fn links(house: &House) -> Vec<Complaint> {
    let mut complaints = Vec::new();
    for file in house.files.iter().filter(|it| it.is("md")) {
        let folder = file.path.rsplit_once('/').map_or("", |(folder, _)| folder);
        for (number, line) in file.lines() {
            let targets =
                line.split("](").skip(1).filter_map(|it| it.split_once(')')).map(|(target, _)| target);
            for target in targets.filter(|it| !it.contains("://") && !it.starts_with(['#', '/'])) {
                let path = join(folder, target.split('#').next().unwrap_or(target));
                if !house.has(&path) {
                    complaints.push(
                        file.complain(number, format!("the link leads to `{path}`, which does not exist")),
                    );
                }
            }
        }
    }
    complaints
}

fn join(folder: &str, target: &str) -> String {
    let mut parts: Vec<&str> = folder.split('/').filter(|it| !it.is_empty()).collect();
    for part in target.split('/').filter(|it| !it.is_empty() && *it != ".") {
        if part == ".." {
            parts.pop();
        } else {
            parts.push(part);
        }
    }
    parts.join("/")
}

/// The changelog has the form of Keep a Changelog.
pub(crate) fn changelog(house: &House) -> Vec<Complaint> {
    let Some(file) = house.file("CHANGELOG.md") else { return absent("CHANGELOG.md") };
    let mut complaints = Vec::new();
    if !file.text.starts_with("# Changelog\n") {
        complaints.push(file.complain(1, "begin with `# Changelog`"));
    }
    if !file.text.contains("\n## [Unreleased]") {
        complaints.push(file.complain(1, "keep a section `## [Unreleased]` for what comes next"));
    }
    for (number, line) in file.lines() {
        if let Some(version) = line.strip_prefix("## ")
            && !is_release(version)
        {
            complaints.push(file.complain(number, "write `## [1.2.3] - 2026-01-31` or `## [Unreleased]`"));
        }
        let kinds = ["Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"];
        if line.strip_prefix("### ").is_some_and(|it| !kinds.contains(&it)) {
            complaints.push(file.complain(number, format!("the kinds of change are {kinds:?}")));
        }
    }
    complaints
}

fn is_release(title: &str) -> bool {
    if title == "[Unreleased]" {
        return true;
    }
    let Some((version, date)) = title.strip_prefix('[').and_then(|it| it.split_once("] - ")) else {
        return false;
    };
    let numbers = |text: &str, cut: char| {
        let parts: Vec<&str> = text.split(cut).collect();
        parts.len() == 3 && parts.iter().all(|it| it.parse::<u32>().is_ok())
    };
    numbers(version, '.') && numbers(date, '-') && date.len() == 10
}

/// Decisions are numbered without gaps and short.
pub(crate) fn decisions(house: &House) -> Vec<Complaint> {
    let mut complaints = Vec::new();
    let decisions = house.below("docs/decisions/", "md").filter(|it| !it.path.ends_with("/README.md"));
    for (index, file) in decisions.enumerate() {
        let name = file.path.rsplit('/').next().unwrap_or_default();
        if !name.starts_with(&format!("{:03}-", index + 1)) {
            complaints.push(file.complain(1, format!("the next decision begins with {:03}-", index + 1)));
        }
        let lines = file.text.lines().count();
        if lines > DECISION_LINES_MAX {
            complaints.push(
                file.complain(1, format!("{lines} lines: a decision has at most {DECISION_LINES_MAX}")),
            );
        }
    }
    complaints
}

/// The map is short and its glossary, too.
pub(crate) fn map(house: &House) -> Vec<Complaint> {
    let Some(file) = house.file("ARCHITECTURE.md") else { return absent("ARCHITECTURE.md") };
    let mut complaints = Vec::new();
    let lines = file.text.lines().count();
    if lines > MAP_LINES_MAX {
        complaints.push(file.complain(1, format!("{lines} lines: the map has at most {MAP_LINES_MAX}")));
    }
    let glossary = file.text.split("\n## ").find(|it| it.starts_with("Words\n")).unwrap_or_default();
    let words = glossary.lines().filter(|it| it.starts_with("| ")).count().saturating_sub(1);
    if words == 0 || words > GLOSSARY_MAX {
        complaints.push(
            file.complain(1, format!("{words} words: the glossary `## Words` has 1 to {GLOSSARY_MAX} rows")),
        );
    }
    complaints
}

/// Both databases have the same migrations.
pub(crate) fn migrations(house: &House) -> Vec<Complaint> {
    let names = |backend: &str| -> BTreeSet<String> {
        let folder = format!("crates/io/migrations/{backend}/");
        house.paths.iter().filter_map(|it| it.strip_prefix(&folder)).map(str::to_owned).collect()
    };
    let (sqlite, postgres) = (names("sqlite"), names("postgres"));
    let only = sqlite.symmetric_difference(&postgres);
    only.map(|name| {
        let text =
            "this migration is in one of the folders sqlite and postgres only: write its twin".to_owned();
        Complaint { path: format!("crates/io/migrations/{name}"), line: 1, text }
    })
    .collect()
}

/// Every problem code is in the interface's description and in the manual.
pub(crate) fn problem_codes(house: &House) -> Vec<Complaint> {
    let source = house.file("crates/matinee/src/http/problem.rs");
    let (Some(file), Some(openapi)) = (source, house.file("proto/openapi.json")) else { return Vec::new() };
    let manual = house.file("docs/manual.md").map_or("", |it| it.text.as_str());
    let mut complaints = Vec::new();
    for (number, code) in codes(file) {
        if !openapi.text.contains(&format!("\"{code}\"")) {
            complaints.push(
                file.complain(number, format!("`{code}` is not in proto/openapi.json: add it to the schema")),
            );
        }
        if !manual.contains(&format!("`{code}`")) {
            complaints.push(
                file.complain(number, format!("`{code}` is not in docs/manual.md: tell what to do about it")),
            );
        }
    }
    complaints
}

/// The codes inside `fn code` or `fn facts`: string literals of small letters only, so no sentences.
fn codes(file: &File) -> Vec<(usize, &str)> {
    let is_code =
        |it: &&str| !it.is_empty() && it.chars().all(|letter| letter.is_ascii_lowercase() || letter == '_');
    let mut inside = None;
    let mut found = Vec::new();
    for (number, line) in file.lines() {
        let indent = line.len() - line.trim_start().len();
        if line.contains("fn code(") || line.contains("fn facts(") {
            inside = Some(indent);
        } else if inside == Some(indent) && line.trim() == "}" {
            inside = None;
        } else if inside.is_some() {
            found.extend(line.split('"').skip(1).step_by(2).filter(is_code).map(|it| (number, it)));
        }
    }
    found
}

fn absent(path: &str) -> Vec<Complaint> {
    vec![Complaint { path: path.to_owned(), line: 1, text: "does not exist: write it".to_owned() }]
}
