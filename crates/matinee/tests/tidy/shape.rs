//! How long a file and a function may be, and the line that says what a file is for.

use super::house::{Complaint, File, House};

/// Lines a file may have.
const FILE_LINES_MAX: usize = 500;
/// Lines a function may have, from its first to its closing brace.
const FUNCTION_LINES_MAX: usize = 70;
/// The words that may stand before `fn`.
const BEFORE_FN: &[&str] = &["pub", "pub(crate)", "pub(super)", "const", "async", "unsafe"];
/// Words that look like a method in TypeScript but are statements.
const STATEMENTS: &[&str] =
    &["if", "for", "while", "switch", "catch", "return", "else", "do", "try", "with", "function"];

/// Files and functions stay below their limits.
pub(crate) fn sizes(house: &House) -> Vec<Complaint> {
    house
        .files
        .iter()
        .filter(|it| it.is("rs") || it.is("ts") || it.is("svelte"))
        .flat_map(file_sizes)
        .collect()
}

fn file_sizes(file: &File) -> Vec<Complaint> {
    let lines: Vec<&str> = file.text.lines().collect();
    if lines.first().is_some_and(|it| it.contains("generated")) {
        return Vec::new();
    }
    let mut complaints = Vec::new();
    if lines.len() > FILE_LINES_MAX {
        let text = format!("{} lines: a file is one noun of at most {FILE_LINES_MAX}; split it", lines.len());
        complaints.push(file.complain(1, text));
    }
    let measure = if file.is("rs") { function_lines } else { script_function_lines };
    for start in 0..lines.len() {
        if let Some(long) = measure(&lines[start..]).filter(|it| *it > FUNCTION_LINES_MAX) {
            let text = format!(
                "{long} lines: a function has at most {FUNCTION_LINES_MAX}; push `if` up and `for` down"
            );
            complaints.push(file.complain(start + 1, text));
        }
    }
    complaints
}

/// Counts the lines of the function that starts at `lines[0]`; `None` if none starts there, or if it has no body.
/// No parser is needed: rustfmt closes a function with a brace at the indentation of its first line.
fn function_lines(lines: &[&str]) -> Option<usize> {
    let first = lines.first()?;
    let word =
        first.split_whitespace().find(|word| !BEFORE_FN.contains(word) && !word.starts_with("pub(in"))?;
    let signature_ends = lines.iter().position(|line| line.ends_with(['{', ';', '}']))?;
    if word != "fn" || !lines[signature_ends].ends_with('{') {
        return None;
    }
    let close = format!("{}}}", indent(first));
    lines.iter().position(|line| **line == close).map(|last| last + 1)
}

/// The same for TypeScript: a function, a method, or a constant that is an arrow function.
fn script_function_lines(lines: &[&str]) -> Option<usize> {
    let first = lines.first()?;
    if !starts_script_function(first.trim()) {
        return None;
    }
    let close = format!("{}}}", indent(first));
    let ends = |line: &&str| line.starts_with(&close) && !line.ends_with('{');
    let single = first.ends_with('}') || first.ends_with("};") || first.ends_with(';');
    if single { None } else { lines.iter().position(ends).map(|last| last + 1) }
}

fn starts_script_function(line: &str) -> bool {
    let bare = ["export ", "default ", "async ", "private ", "public ", "static ", "get ", "set "]
        .iter()
        .fold(line, |rest, word| rest.strip_prefix(word).unwrap_or(rest));
    let name_end = bare.find(|it: char| !it.is_alphanumeric() && it != '_' && it != '#' && it != '$');
    let name = name_end.map_or(bare, |end| &bare[..end]);
    let arrow =
        name == "const" && (bare.contains("=> {") || bare.ends_with("= (") || bare.ends_with("= async ("));
    let method = bare[name.len()..].starts_with('(') && bare.ends_with('{') && !bare.contains("=>");
    name == "function" || arrow || (method && !name.is_empty() && !STATEMENTS.contains(&name))
}

fn indent(line: &str) -> &str {
    &line[..line.len() - line.trim_start().len()]
}

/// Every Rust file begins with what it is for.
pub(crate) fn duty_lines(house: &House) -> Vec<Complaint> {
    let silent = |it: &&File| it.is("rs") && !it.text.starts_with("//! ");
    house
        .files
        .iter()
        .filter(silent)
        .map(|it| it.complain(1, "begin with `//!` and what this file is for"))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rust(text: &str) -> Option<usize> {
        function_lines(&text.lines().collect::<Vec<_>>())
    }

    fn script(text: &str) -> Option<usize> {
        script_function_lines(&text.lines().collect::<Vec<_>>())
    }

    #[test]
    fn a_rust_function_is_measured_to_its_own_brace() {
        for (text, expected) in [
            ("pub const fn a() {\n    b();\n}\n", Some(3)),
            ("fn a() {}\n\nfn b() {\n}\n", None),
            (
                "    pub(crate) async fn a(\n        b: u8,\n    ) -> u8\n    where\n        u8: Copy,\n    {\n        b\n    }\n}",
                Some(8),
            ),
            ("    fn a(&self) -> u8;\n    fn b() {\n    }\n", None),
            ("fn a() {\n    if b {\n    }\n}\n", Some(4)),
            ("let a = fn_b();\n", None),
        ] {
            assert_eq!(rust(text), expected, "{text}");
        }
    }

    #[test]
    fn a_script_function_is_measured_to_its_own_brace() {
        for (text, expected) in [
            ("export async function a(): Promise<void> {\n  b();\n}\n", Some(3)),
            ("function a({\n  b,\n}: Props) {\n  c();\n}\n", Some(5)),
            ("const a = (b: number) => {\n  c();\n};\n", Some(3)),
            ("  play(at: number) {\n    c();\n  }\n", Some(3)),
            ("  if (a) {\n    c();\n  }\n", None),
            ("describe(\"a\", () => {\n  c();\n});\n", None),
            ("const a = () => b;\n}\n", None),
        ] {
            assert_eq!(script(text), expected, "{text}");
        }
    }

    #[test]
    fn a_long_function_and_a_long_file_are_found() {
        let long = format!("fn a() {{\n{}}}\n", "    b();\n".repeat(FUNCTION_LINES_MAX - 1));
        let fits = format!("fn a() {{\n{}}}\n", "    b();\n".repeat(FUNCTION_LINES_MAX - 2));
        let file = "// a\n".repeat(FILE_LINES_MAX + 1);
        assert_eq!(sizes(&House::of(&[("a.rs", &long)])).len(), 1);
        assert_eq!(sizes(&House::of(&[("a.rs", &fits)])).len(), 0);
        assert_eq!(sizes(&House::of(&[("a.ts", &file)])).len(), 1);
    }

    #[test]
    fn a_file_without_its_duty_is_found() {
        assert_eq!(duty_lines(&House::of(&[("a.rs", "//! Says it.\n"), ("b.rs", "use a::b;\n")])).len(), 1);
    }
}
