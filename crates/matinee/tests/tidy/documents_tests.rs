//! The duties about documents, tried on small bad examples.

use super::documents::{changelog, decisions, links, map, migrations, named_paths, problem_codes};
use super::house::{Complaint, House};

fn check(duty: fn(&House) -> Vec<Complaint>, files: &[(&str, &str)], expected: usize) {
    let complaints = duty(&House::of(files));
    assert_eq!(complaints.len(), expected, "{files:?} -> {complaints:?}");
}

#[test]
fn a_path_that_is_named_must_exist() {
    let code = [
        ("crates/core/src/upload.rs", ""),
        ("crates/io/src/db/mod.rs", ""),
        ("crates/matinee/src/http/tus.rs", ""),
    ];
    for (text, expected) in [
        ("`core/upload.rs`, `io/db` and `http/tus.rs`", 0),
        ("`crates/core/src/upload.rs`", 0),
        ("`core/upload`", 0),
        ("`http/gone.rs`", 1),
        ("`http/{tus,gone,lost}.rs`", 2),
        ("`/v1/videos/x` and `io/store/<new>.rs` and `a / b`", 0),
        ("`web/src/pages`", 1),
    ] {
        let files: Vec<(&str, &str)> = code.into_iter().chain([("ARCHITECTURE.md", text)]).collect();
        check(named_paths, &files, expected);
    }
}

#[test]
fn a_link_must_lead_somewhere() {
    check(links, &[("docs/a.md", "[b](../README.md#top) [c](https://x.org) [d](#e)"), ("README.md", "")], 0);
    check(links, &[("docs/a.md", "![b](b.svg)")], 1);
}

#[test]
fn the_changelog_keeps_its_form() {
    check(changelog, &[], 1);
    check(
        changelog,
        &[("CHANGELOG.md", "# Changelog\n\n## [Unreleased]\n\n### Added\n\n## [0.1.0] - 2026-11-21\n")],
        0,
    );
    check(changelog, &[("CHANGELOG.md", "# Changelog\n\n## [Unreleased]\n\n### News\n\n## 0.1.0\n")], 2);
    check(changelog, &[("CHANGELOG.md", "# Changes\n")], 2);
}

#[test]
fn decisions_are_numbered_and_short() {
    check(decisions, &[("docs/decisions/001-a.md", "a"), ("docs/decisions/002-b.md", "b")], 0);
    check(decisions, &[("docs/decisions/001-a.md", "a"), ("docs/decisions/003-b.md", "b")], 1);
    check(decisions, &[("docs/decisions/001-a.md", &"a\n".repeat(26))], 1);
}

#[test]
fn the_map_is_short_and_has_a_glossary() {
    let glossary = "\n## Words\n\n| word | means |\n|---|---|\n| app | a tenant |\n";
    check(map, &[("ARCHITECTURE.md", glossary)], 0);
    check(map, &[("ARCHITECTURE.md", "# a\n")], 1);
    check(map, &[("ARCHITECTURE.md", &format!("{glossary}{}", "a\n".repeat(300)))], 1);
}

#[test]
fn a_migration_has_its_twin() {
    let first =
        [("crates/io/migrations/sqlite/0001_a.sql", ""), ("crates/io/migrations/postgres/0001_a.sql", "")];
    check(migrations, &first, 0);
    check(migrations, &first[..1], 1);
}

#[test]
fn a_problem_code_is_described() {
    let code = "impl Code {\n    pub(crate) const fn code(self) -> &'static str {\n        match self {\n            Self::A => (\"not_found\", \"Look again.\"),\n        }\n    }\n    fn b() { c(\"other\") }\n}\n";
    let source = ("crates/matinee/src/http/problem.rs", code);
    check(problem_codes, &[source], 0);
    check(problem_codes, &[source, ("proto/openapi.json", "{}")], 2);
    check(
        problem_codes,
        &[source, ("proto/openapi.json", "\"not_found\""), ("docs/manual.md", "`not_found`")],
        0,
    );
}
