//! Files that nothing reaches: Rust files that no `mod` names, fixtures that no test names.

use std::collections::{HashMap, HashSet};

use super::house::{Complaint, File, House};

/// Every Rust file is reached by `mod` from a target of its package.
pub(crate) fn dead_files(house: &House) -> Vec<Complaint> {
    let files: HashMap<&str, &File> = house.below("crates/", "rs").map(|it| (it.path.as_str(), it)).collect();
    let mut open: Vec<&File> = files.values().copied().filter(|it| is_target(&it.path)).collect();
    let mut seen: HashSet<&str> = open.iter().map(|it| it.path.as_str()).collect();
    while let Some(file) = open.pop() {
        for child in children(file) {
            if let Some(found) = files.get(child.as_str())
                && seen.insert(found.path.as_str())
            {
                open.push(found);
            }
        }
    }
    let dead = files.values().filter(|it| !seen.contains(it.path.as_str()));
    dead.map(|it| it.complain(1, "no `mod` names this file: name it or delete it")).collect()
}

/// Is this file the root of a library, binary, test, bench or example?
fn is_target(path: &str) -> bool {
    let parts: Vec<&str> = path.split('/').skip(2).collect();
    match parts.as_slice() {
        ["build.rs"] | ["src", "lib.rs" | "main.rs"] | ["src", "bin", _] => true,
        ["tests" | "benches" | "examples", rest @ ..] => matches!(rest, [_] | [_, "main.rs"]),
        _ => false,
    }
}

/// The files that the `mod x;` lines of a file may mean.
fn children(file: &File) -> Vec<String> {
    let (folder, name) = file.path.rsplit_once('/').unwrap_or(("", &file.path));
    let owns_folder = is_target(&file.path) || name == "mod.rs";
    let mut inside =
        vec![if owns_folder { folder.to_owned() } else { file.path.trim_end_matches(".rs").to_owned() }];
    let mut found = Vec::new();
    let mut path = None;
    for (_, line) in file.lines() {
        let depth = (line.len() - line.trim_start().len()) / 4;
        if let Some(given) = line.trim().strip_prefix("#[path = \"").and_then(|it| it.strip_suffix("\"]")) {
            path = Some(format!("{folder}/{given}"));
        } else if let Some(module) = module_name(line) {
            inside.truncate(depth + 1);
            let base = inside.last().cloned().unwrap_or_default();
            if line.trim_end().ends_with('{') {
                inside.push(format!("{base}/{module}"));
            } else {
                found.push(format!("{base}/{module}.rs"));
                found.push(format!("{base}/{module}/mod.rs"));
                found.extend(path.take());
            }
        }
    }
    found
}

fn module_name(line: &str) -> Option<&str> {
    let mut words = line.split_whitespace().skip_while(|it| it.starts_with("pub"));
    if words.next()? != "mod" {
        return None;
    }
    words.next().map(|it| it.trim_end_matches(';'))
}

/// Every fixture and vector is named by a test.
pub(crate) fn unused_fixtures(house: &House) -> Vec<Complaint> {
    let is_fixture = |it: &&String| {
        (it.contains("/fixtures/") || it.starts_with("proto/vectors/"))
            && !it.to_lowercase().ends_with("readme.md")
    };
    let tests: Vec<&File> = house.files.iter().filter(|it| it.is("rs") || it.is("ts")).collect();
    let unnamed = house.paths.iter().filter(is_fixture).filter(|path| {
        let name = path.rsplit('/').next().unwrap_or(path);
        !tests.iter().any(|it| names_fixture(&it.text, name))
    });
    let text = "no test names this file: use it or delete it";
    unnamed.map(|path| Complaint { path: path.clone(), line: 1, text: text.to_owned() }).collect()
}

/// Is the file named whole, or its beginning as a word of its own, from which the test makes the name?
fn names_fixture(test: &str, name: &str) -> bool {
    let stem_is_named = |(at, _): (usize, &str)| test.contains(&format!("\"{}\"", &name[..at]));
    test.contains(name) || name.match_indices('.').any(stem_is_named)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_no_mod_names_is_dead() {
        let house = House::of(&[
            ("crates/core/src/lib.rs", "pub mod a;\nmod b {\n    mod c;\n}\n"),
            ("crates/core/src/a.rs", "mod d;\n"),
            ("crates/core/src/a/d.rs", ""),
            ("crates/core/src/b/c.rs", ""),
            ("crates/core/src/lost.rs", ""),
            ("crates/core/tests/t.rs", "#[path = \"t/x.rs\"]\nmod x;\n"),
            ("crates/core/tests/t/x.rs", ""),
        ]);
        let dead: Vec<String> = dead_files(&house).into_iter().map(|it| it.path).collect();
        assert_eq!(dead, ["crates/core/src/lost.rs"]);
    }

    #[test]
    fn a_fixture_that_no_test_names_is_found() {
        let house = House::of(&[
            ("proto/vectors/used.json", ""),
            ("proto/vectors/lost.json", ""),
            ("proto/vectors/made.mp4.csv", ""),
            ("proto/vectors/README.md", ""),
            ("crates/core/tests/a.rs", "read(\"used.json\"); golden!(\"made.mp4\")"),
        ]);
        assert_eq!(unused_fixtures(&house).len(), 1);
    }
}
