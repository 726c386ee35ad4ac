//! The shape of the house, held by a test: edges, sizes, names, documents. Standard library only.
//!
//! Every duty is a pure function from the files of the repository to complaints, so that it can be tried on
//! small bad examples; those stand beside the duty. What the rules are for: `ARCHITECTURE.md`.

#[path = "tidy/crates.rs"]
mod crates;
#[path = "tidy/documents.rs"]
mod documents;
#[path = "tidy/documents_tests.rs"]
mod documents_tests;
#[path = "tidy/edges.rs"]
mod edges;
#[path = "tidy/house.rs"]
mod house;
#[path = "tidy/reach.rs"]
mod reach;
#[path = "tidy/shape.rs"]
mod shape;
#[path = "tidy/words.rs"]
mod words;

use house::{Complaint, House};

/// Looks at the whole house once and says what is wrong with it.
type Duty = fn(&House) -> Vec<Complaint>;

const DUTIES: &[Duty] = &[
    crates::edges,
    crates::declared_once,
    edges::of_the_binary,
    edges::of_io,
    edges::purity_of_core,
    edges::sql_only_in_db,
    shape::sizes,
    shape::duty_lines,
    reach::dead_files,
    reach::unused_fixtures,
    words::banned_names,
    words::banned_text,
    documents::named_paths,
    documents::links,
    documents::changelog,
    documents::decisions,
    documents::map,
    documents::migrations,
    documents::problem_codes,
];

#[test]
fn the_house_is_tidy() {
    let house = House::read(&house::root());
    assert!(
        house.files.len() > 20,
        "tidy looked at {} files only: it runs in the wrong folder",
        house.files.len()
    );
    let mut complaints: Vec<String> = DUTIES
        .iter()
        .flat_map(|duty| duty(&house))
        .chain(house.big.iter().cloned())
        .map(|it| it.to_string())
        .collect();
    complaints.sort();
    complaints.dedup();
    assert!(complaints.is_empty(), "{} complaints:\n{}\n", complaints.len(), complaints.join("\n"));
}
