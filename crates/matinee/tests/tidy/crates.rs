//! Which package may depend on which: the golden list of the workspace.

use super::house::{Complaint, File, House};

/// Each package of ours and the packages of ours that it depends on.
const EDGES: &[(&str, &[&str])] = &[
    ("crates/core/Cargo.toml", &[]),
    ("crates/io/Cargo.toml", &["matinee-core"]),
    ("crates/matinee/Cargo.toml", &["matinee-core", "matinee-io"]),
];
/// What would bring the outside world into `core`.
const NOT_IN_CORE: &[&str] =
    &["axum", "hyper", "object_store", "reqwest", "rusqlite", "rustix", "sqlx", "tokio"];
/// Direct dependencies that `core` may have; see decision 31.
const CORE_MAX: usize = 10;
/// Direct dependencies that all packages together may have: fifty, the allocator, and three clients of brokers; see decisions 31
/// and 64.
const ALL_MAX: usize = 54;

/// The packages depend on each other as the golden list says, and on few others.
pub(crate) fn edges(house: &House) -> Vec<Complaint> {
    let mut complaints = Vec::new();
    let mut foreign: Vec<String> = Vec::new();
    for file in manifests(house) {
        let Some((_, golden)) = EDGES.iter().find(|(path, _)| *path == file.path) else {
            complaints.push(file.complain(1, "unknown package: add its edges to the golden list of tidy"));
            continue;
        };
        let dependencies = dependencies(file, &["[dependencies]"]);
        for (line, name, _) in &dependencies {
            if name.starts_with("matinee") && !golden.contains(&name.as_str()) {
                complaints
                    .push(file.complain(*line, format!("must not depend on {name}: allowed is {golden:?}")));
            }
            if file.path.starts_with("crates/core/") && NOT_IN_CORE.contains(&name.as_str()) {
                complaints.push(
                    file.complain(*line, format!("core must not know {name}: move this to matinee-io")),
                );
            }
        }
        if file.path.starts_with("crates/core/") && dependencies.len() > CORE_MAX {
            complaints.push(
                file.complain(1, format!("{} dependencies: core has at most {CORE_MAX}", dependencies.len())),
            );
        }
        foreign.extend(
            dependencies.into_iter().map(|(_, name, _)| name).filter(|it| !it.starts_with("matinee")),
        );
    }
    foreign.sort();
    foreign.dedup();
    if foreign.len() > ALL_MAX {
        let text = format!("{} direct dependencies: at most {ALL_MAX}", foreign.len());
        complaints.push(Complaint { path: "Cargo.toml".to_owned(), line: 1, text });
    }
    complaints
}

/// Every dependency is declared once, in the workspace.
pub(crate) fn declared_once(house: &House) -> Vec<Complaint> {
    let sections = &["[dependencies]", "[dev-dependencies]", "[build-dependencies]"];
    let all =
        manifests(house).flat_map(|file| dependencies(file, sections).into_iter().map(move |it| (file, it)));
    all.filter(|(_, (_, _, line))| !line.contains("workspace = true"))
        .map(|(file, (number, name, _))| {
            file.complain(
                number,
                format!("declare {name} in [workspace.dependencies] and write `{name}.workspace = true`"),
            )
        })
        .collect()
}

fn manifests(house: &House) -> impl Iterator<Item = &File> {
    house.below("crates/", "toml").filter(|it| it.path.ends_with("/Cargo.toml"))
}

/// Line number, name and whole line of every dependency in these sections.
fn dependencies(file: &File, sections: &[&str]) -> Vec<(usize, String, String)> {
    let mut inside = false;
    let mut found = Vec::new();
    for (number, line) in file.lines() {
        if line.starts_with('[') {
            inside = sections.contains(&line);
        } else if inside && !line.trim().is_empty() && !line.starts_with('#') {
            let name: String =
                line.chars().take_while(|it| it.is_alphanumeric() || "-_".contains(*it)).collect();
            found.push((number, name, line.to_owned()));
        }
    }
    found
}

#[test]
fn an_edge_that_is_not_golden_is_found() {
    let house = House::of(&[(
        "crates/core/Cargo.toml",
        "[dependencies]\nmatinee-io.workspace = true\ntokio.workspace = true\n",
    )]);
    let texts: Vec<String> = edges(&house).iter().map(ToString::to_string).collect();
    assert_eq!(texts.len(), 2, "{texts:?}");
    assert!(texts[0].starts_with("crates/core/Cargo.toml:2: must not depend on matinee-io"), "{texts:?}");
}

#[test]
fn a_development_dependency_is_no_edge_of_the_product() {
    let house = House::of(&[("crates/core/Cargo.toml", "[dev-dependencies]\ntokio.workspace = true\n")]);
    assert_eq!(edges(&house), []);
}

#[test]
fn a_version_beside_the_workspace_is_found() {
    let house =
        House::of(&[("crates/io/Cargo.toml", "[dependencies]\nserde = \"1\"\nhttp.workspace = true\n")]);
    assert_eq!(declared_once(&house).len(), 1);
}
