//! Names and words that are not used here.

use super::house::{Complaint, File, House, code};

/// Parts of a type's name that say nothing, each with what to do instead.
const IN_TYPES: &[(&str, &str)] = &[
    ("Manager", "name what it decides or holds"),
    ("Helper", "name what it does"),
    ("Util", "name the noun the functions are about"),
    ("Utils", "name the noun the functions are about"),
    ("Common", "name what the users have in common"),
    ("Data", "name what the bytes mean"),
    ("Info", "name the facts it holds"),
    ("Impl", "name what makes this one different"),
];
/// The same for modules, files and functions.
const IN_PATHS: &[&str] = &["manager", "helper", "helpers", "util", "utils", "common", "misc"];
/// Keywords that are followed by the name of a type.
const TYPE_WORDS: &[&str] = &["struct", "enum", "trait", "type", "union", "class", "interface"];
/// Where a machine keeps its own things; a path that begins so works on one machine only.
const MACHINE_PATHS: &[&str] = &["/home/", concat!("/", "root/"), "/tmp/"];

/// No type, module, file or function has a name that says nothing.
pub(crate) fn banned_names(house: &House) -> Vec<Complaint> {
    let ours = |it: &&File| it.path.starts_with("crates/") || it.path.starts_with("web/");
    let examples = |it: &&File| it.path.starts_with("crates/matinee/tests/tidy");
    let mut complaints = Vec::new();
    for file in house
        .files
        .iter()
        .filter(ours)
        .filter(|it| !examples(it))
        .filter(|it| it.is("rs") || it.is("ts") || it.is("svelte"))
    {
        let stem = file.path.rsplit('/').next().and_then(|it| it.split('.').next()).unwrap_or_default();
        if let Some(part) = banned_path_part(stem) {
            complaints.push(file.complain(1, format!("`{part}` says nothing: name the file after its noun")));
        }
        // An indented type belongs to a trait, and who wrote the trait has named it.
        for (number, line) in file.lines().filter(|(_, line)| !line.starts_with("    type ")) {
            complaints.extend(banned_in(code(line)).map(|text| file.complain(number, text)));
        }
    }
    complaints
}

fn banned_in(line: &str) -> Option<String> {
    let ident = |it: char| !it.is_alphanumeric() && it != '_';
    let words: Vec<&str> = line.split_whitespace().collect();
    words.windows(2).find_map(|pair| {
        let name = pair[1].split(ident).next().unwrap_or_default();
        if TYPE_WORDS.contains(&pair[0]) {
            let (part, instead) =
                IN_TYPES.iter().find(|(part, _)| camel_words(name).iter().any(|it| it == part))?;
            return Some(format!("`{part}` in `{name}`: {instead}"));
        }
        // A function may well compute what two things have in common.
        let part =
            banned_path_part(name).filter(|it| pair[0] == "mod" || (pair[0] == "fn" && *it != "common"))?;
        Some(format!("`{part}` in `{name}` says nothing: name what it does"))
    })
}

fn banned_path_part(name: &str) -> Option<&str> {
    name.split(['_', '-']).find(|it| IN_PATHS.contains(it))
}

/// Cuts a name before each capital letter.
fn camel_words(name: &str) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    for letter in name.chars() {
        match words.last_mut() {
            Some(word) if !letter.is_uppercase() => word.push(letter),
            Some(_) | None => words.push(letter.to_string()),
        }
    }
    words
}

/// No bare TODO, no `unsafe`, no `allow`, no path of one machine.
pub(crate) fn banned_text(house: &House) -> Vec<Complaint> {
    let mut complaints = Vec::new();
    for file in house.files.iter().filter(|it| !it.path.starts_with("crates/matinee/tests/tidy")) {
        let test_lines_begin = file.text.lines().position(|it| it == "#[cfg(test)]").unwrap_or(usize::MAX);
        let test_file = file.for_tests
            || ["/e2e/", "/test/", "/mock/", ".test.ts"].iter().any(|it| file.path.contains(it));
        for (number, line) in file.lines() {
            complaints.extend(banned_on_line(file, line).map(|text| file.complain(number, text)));
            let in_tests = test_file || number > test_lines_begin;
            if let Some(path) = MACHINE_PATHS.iter().find(|it| !in_tests && names_path(line, it)) {
                complaints.push(file.complain(
                    number,
                    format!("`{path}` is a place on one machine: take it from the configuration"),
                ));
            }
        }
    }
    complaints
}

/// Is `path` named as an absolute path, and not as the middle of a longer one?
fn names_path(line: &str, path: &str) -> bool {
    line.match_indices(path)
        .any(|(at, _)| !line[..at].ends_with(|it: char| it.is_alphanumeric() || "./_-}>".contains(it)))
}

fn banned_on_line(file: &File, line: &str) -> Option<&'static str> {
    let is_code = file.is("rs") || file.is("ts") || file.is("svelte");
    if is_code && ["TODO", "FIXME", "XXX"].iter().any(|it| bare_todo(line, it)) {
        return Some("write `TODO(#12): ..` with the number of an issue, or do it");
    }
    let rust = if file.is("rs") { code(line) } else { "" };
    if ["unsafe {", "unsafe fn", "unsafe impl"].iter().any(|it| rust.contains(it)) {
        return Some("`unsafe` is forbidden: rustix and landlock have safe interfaces");
    }
    if ["#[allow(", "#![allow("].iter().any(|it| rust.contains(it)) {
        return Some("write `#[expect(lint, reason = \"..\")]`, which tells when it is no longer needed");
    }
    None
}

fn bare_todo(line: &str, word: &str) -> bool {
    let Some((before, after)) = line.split_once(word) else { return false };
    let in_a_word = |it: char| it.is_alphanumeric() || it == '_';
    let numbered = after.strip_prefix("(#").is_some_and(|it| it.starts_with(|it: char| it.is_ascii_digit()));
    !before.ends_with(in_a_word) && !after.starts_with(in_a_word) && !numbered
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(duty: fn(&House) -> Vec<Complaint>, path: &str, text: &str) -> Vec<String> {
        duty(&House::of(&[(path, text)])).into_iter().map(|it| it.text).collect()
    }

    #[test]
    fn names_that_say_nothing_are_found() {
        for (path, text, expected) in [
            ("crates/io/src/a.rs", "pub struct StoreManager {", 1),
            ("crates/io/src/a.rs", "pub(crate) type VideoData = u8;", 1),
            ("crates/io/src/a.rs", "    type Data = Bytes;", 0),
            ("crates/io/src/a.rs", "enum Database {", 0),
            ("crates/io/src/a.rs", "struct Informed;", 0),
            ("crates/io/src/a.rs", "impl StoreManager {", 0),
            ("crates/io/src/a.rs", "// struct VideoInfo", 0),
            ("crates/io/src/a.rs", "mod test_helpers;", 1),
            ("crates/io/src/a.rs", "fn common_frontier() {", 0),
            ("crates/io/src/a.rs", "fn upload_helper() {", 1),
            ("crates/io/src/common.rs", "", 1),
            ("web/src/a.ts", "export interface VideoInfo {", 1),
        ] {
            assert_eq!(texts(banned_names, path, text).len(), expected, "{path}: {text}");
        }
    }

    #[test]
    fn words_that_are_not_used_here_are_found() {
        for (path, text, expected) in [
            ("crates/io/src/a.rs", "// TODO: later", 1),
            ("crates/io/src/a.rs", "// TODO(#12): later", 0),
            ("crates/io/src/a.rs", "#[allow(dead_code)]", 1),
            ("crates/io/src/a.rs", "#[expect(dead_code, reason = \"x\")]", 0),
            ("crates/io/src/a.rs", "    unsafe { a() }", 1),
            ("crates/io/src/a.rs", "let a = \"/tmp/x\";", 1),
            ("crates/io/src/a.rs", "#[cfg(test)]\nmod tests {\n    let a = \"/tmp/x\";", 0),
            ("docs/manual.md", "cd /home/me/video", 1),
            ("docs/manual.md", "https://example.org/home/me", 0),
        ] {
            assert_eq!(texts(banned_text, path, text).len(), expected, "{path}: {text}");
        }
    }
}
