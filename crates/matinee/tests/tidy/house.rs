//! The files that tidy looks at, and what a complaint is.

use std::fmt;
use std::path::{Path, PathBuf};

/// A file above this many bytes does not belong into the repository.
const FILE_BYTES_MAX: u64 = 1_000_000;
/// Folders that are made by a machine or belong to somebody else.
const SKIPPED: &[&str] = &[
    ".git",
    ".svelte-kit",
    "corpus",
    "dist",
    "fuzz",
    "matinee-data",
    "node_modules",
    "playwright-report",
    "target",
    "test-results",
];
/// What is read as text.
const TEXTS: &[&str] =
    &["css", "html", "json", "md", "rs", "sh", "sql", "svelte", "svg", "toml", "ts", "yml"];
/// Files without an ending that are read as text, and the folder of scripts.
const NAMED: &[&str] = &["Makefile", ".ci/run", ".gitignore", ".editorconfig"];

/// One text file, with its path below the root of the repository.
pub(crate) struct File {
    pub(crate) path: String,
    pub(crate) text: String,
    /// Is it compiled for tests only?
    pub(crate) for_tests: bool,
}

impl File {
    fn new(path: String, text: String) -> Self {
        let for_tests = path.ends_with("/tests.rs") || path.contains("/tests/");
        Self { path, text, for_tests }
    }

    /// The files and folders that this file includes for tests only, without ending.
    fn test_modules(&self) -> Vec<String> {
        let (folder, name) = self.path.rsplit_once('/').unwrap_or(("", &self.path));
        let owns_folder = ["mod.rs", "lib.rs", "main.rs"].contains(&name);
        let base = if owns_folder { folder } else { self.path.trim_end_matches(".rs") };
        let mut for_tests = false;
        let mut found = Vec::new();
        for line in self.text.lines() {
            let module = line.strip_prefix("pub(crate) ").unwrap_or(line).strip_prefix("mod ");
            if let Some(module) = module.and_then(|it| it.strip_suffix(';')).filter(|_| for_tests) {
                found.push(format!("{base}/{module}"));
            }
            for_tests = line == "#[cfg(test)]" || (for_tests && line.starts_with("#["));
        }
        found
    }

    /// The numbered lines, from 1.
    pub(crate) fn lines(&self) -> impl Iterator<Item = (usize, &str)> {
        self.text.lines().enumerate().map(|(index, line)| (index + 1, line))
    }

    /// The numbered lines of a Rust file without comments and without its tests.
    pub(crate) fn production(&self) -> impl Iterator<Item = (usize, &str)> {
        let lines: Vec<&str> = self.text.lines().collect();
        let tests_begin = lines.windows(2).position(|pair| {
            pair[0] == "#[cfg(test)]" && pair[1].starts_with("mod ") && pair[1].ends_with('{')
        });
        let end = if self.for_tests { 0 } else { tests_begin.unwrap_or(lines.len()) };
        self.lines().take(end).map(|(number, line)| (number, code(line)))
    }

    /// Does the path have this ending?
    pub(crate) fn is(&self, ending: &str) -> bool {
        Path::new(&self.path).extension().is_some_and(|it| it == ending)
    }

    /// The complaint about one line of this file.
    pub(crate) fn complain(&self, line: usize, text: impl Into<String>) -> Complaint {
        Complaint { path: self.path.clone(), line, text: text.into() }
    }
}

/// A line without its comment. A `//` inside a string stays.
pub(crate) fn code(line: &str) -> &str {
    let comment = line.match_indices("//").find(|(at, _)| line[..*at].matches('"').count().is_multiple_of(2));
    comment.map_or(line, |(at, _)| &line[..at])
}

/// What is wrong, where, and what to do instead.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Complaint {
    pub(crate) path: String,
    pub(crate) line: usize,
    pub(crate) text: String,
}

impl fmt::Display for Complaint {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}:{}: {}", self.path, self.line, self.text)
    }
}

/// All text files of the repository.
#[derive(Default)]
pub(crate) struct House {
    pub(crate) files: Vec<File>,
    /// Every path, texts and others.
    pub(crate) paths: Vec<String>,
    pub(crate) big: Vec<Complaint>,
}

impl House {
    /// Reads the repository.
    pub(crate) fn read(root: &Path) -> Self {
        let mut house = Self::default();
        house.read_folder(root, root);
        house.files.sort_by(|a, b| a.path.cmp(&b.path));
        house.mark_tests();
        house
    }

    /// Marks what only a test includes, so that it may name what production may not.
    fn mark_tests(&mut self) {
        let modules: Vec<String> =
            self.files.iter().filter(|it| it.is("rs")).flat_map(File::test_modules).collect();
        for file in &mut self.files {
            let inside = |module: &String| {
                file.path.strip_prefix(module.as_str()).is_some_and(|it| it.starts_with(['.', '/']))
            };
            file.for_tests |= modules.iter().any(inside);
        }
    }

    fn read_folder(&mut self, root: &Path, folder: &Path) {
        let entries = std::fs::read_dir(folder).expect("because the folder was listed by its parent");
        for entry in entries.map(|entry| entry.expect("because nobody removes files during the test")) {
            let path = entry.path();
            let name = entry.file_name().to_string_lossy().into_owned();
            let kind = entry.file_type().expect("because the entry exists");
            if kind.is_dir() && !SKIPPED.contains(&name.as_str()) {
                self.read_folder(root, &path);
            } else if kind.is_file() {
                self.read_file(root, &path);
            }
        }
    }

    fn read_file(&mut self, root: &Path, path: &Path) {
        let short =
            path.strip_prefix(root).expect("because the walk began there").to_string_lossy().into_owned();
        let bytes = path.metadata().map_or(0, |it| it.len());
        if bytes > FILE_BYTES_MAX {
            let text =
                format!("{bytes} bytes: keep files under {FILE_BYTES_MAX}, generate the rest in the test");
            self.big.push(Complaint { path: short.clone(), line: 1, text });
        } else if is_text(&short)
            && let Ok(text) = std::fs::read_to_string(path)
        {
            self.files.push(File::new(short.clone(), text));
        }
        self.paths.push(short);
    }

    /// A house made of examples.
    pub(crate) fn of(files: &[(&str, &str)]) -> Self {
        let file = |(path, text): &(&str, &str)| File::new((*path).to_owned(), (*text).to_owned());
        let mut house = Self {
            files: files.iter().map(file).collect(),
            paths: files.iter().map(|(path, _)| (*path).to_owned()).collect(),
            big: Vec::new(),
        };
        house.mark_tests();
        house
    }

    /// Is there a file or a folder of this name?
    pub(crate) fn has(&self, path: &str) -> bool {
        let path = path.trim_end_matches('/');
        self.paths
            .iter()
            .any(|it| it == path || it.strip_prefix(path).is_some_and(|rest| rest.starts_with('/')))
    }

    /// The file at this path.
    pub(crate) fn file(&self, path: &str) -> Option<&File> {
        self.files.iter().find(|it| it.path == path)
    }

    /// The files below a folder with this ending.
    pub(crate) fn below<'h>(&'h self, folder: &'h str, ending: &'h str) -> impl Iterator<Item = &'h File> {
        self.files.iter().filter(move |it| it.path.starts_with(folder) && it.is(ending))
    }
}

fn is_text(path: &str) -> bool {
    let ending = Path::new(path).extension().and_then(|it| it.to_str()).unwrap_or_default();
    let generated = path.ends_with("package-lock.json");
    !generated && (TEXTS.contains(&ending) || NAMED.contains(&path) || path.starts_with("tools/"))
}

/// The root of the repository. Cargo says at run time where this package lies.
pub(crate) fn root() -> PathBuf {
    let here = std::env::var_os("CARGO_MANIFEST_DIR")
        .map_or_else(|| env!("CARGO_MANIFEST_DIR").into(), PathBuf::from);
    here.ancestors().nth(2).expect("because this package lies two folders below the root").to_owned()
}

#[test]
fn a_comment_is_cut_off_and_an_address_in_a_string_is_not() {
    assert_eq!(code("let a = 1; // tokio"), "let a = 1; ");
    assert_eq!(code(r#"let a = "http://x";"#), r#"let a = "http://x";"#);
}

#[test]
fn tests_inside_a_file_are_not_production() {
    let house = House::of(&[("a.rs", "fn a() {}\n#[cfg(test)]\nmod tests {\n    fn b() {}\n}\n")]);
    let lines: Vec<&str> = house.files[0].production().map(|(_, line)| line).collect();
    assert_eq!(lines, ["fn a() {}"]);
}

#[test]
fn a_file_that_only_tests_include_is_not_production() {
    let house = House::of(&[
        (
            "src/db/mod.rs",
            "mod tx;\n#[cfg(test)]\n#[expect(dead_code, reason = \"x\")]\nmod suite;\nmod value;\n",
        ),
        ("src/db/suite.rs", "mod rules;\n"),
        ("src/db/suite/rules.rs", ""),
        ("src/db/value.rs", ""),
    ]);
    let marked: Vec<bool> = house.files.iter().map(|it| it.for_tests).collect();
    assert_eq!(marked, [false, true, true, false]);
}
