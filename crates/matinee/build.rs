//! Makes sure that the folder of the built pages exists: without it the binary still builds, and says that it has none.

use std::path::Path;

fn main() {
    let manifest = std::env::var("CARGO_MANIFEST_DIR").expect("because cargo sets it");
    let dist = Path::new(&manifest).join("../../web/dist");
    std::fs::create_dir_all(&dist).expect("because the source tree can be written");
    println!("cargo::rerun-if-changed={}", dist.display());
}
