//! Device nodes of encoders in hardware: which this machine has, and what one of them needs besides itself.

use std::fs;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};

/// The folders in which the kernel shows such nodes.
const FOLDERS: [&str; 2] = ["/dev", "/dev/dri"];
/// How their names begin: cards of Intel and AMD, of NVIDIA, encoders of boards.
const NAMES: [&str; 3] = ["renderD", "nvidia", "video"];

/// The device nodes of this machine that an encoder may be behind.
pub fn nodes() -> Vec<String> {
    let entries = FOLDERS.iter().filter_map(|folder| fs::read_dir(folder).ok()).flatten().flatten();
    let named = |name: &str| NAMES.iter().any(|begin| name.starts_with(begin));
    let node = |entry: fs::DirEntry| {
        let called = entry.file_name().to_str().is_some_and(named);
        let is_device =
            called && fs::metadata(entry.path()).is_ok_and(|file| file.file_type().is_char_device());
        is_device.then(|| entry.path().to_str().map(str::to_owned)).flatten()
    };
    let mut nodes: Vec<String> = entries.filter_map(node).collect();
    nodes.sort_unstable();
    nodes
}

/// What drivers read to know the device behind a node: its own page in the kernel's tree, and NVIDIA's.
pub(super) fn pages(node: &Path) -> Vec<PathBuf> {
    let Ok(file) = fs::metadata(node) else { return Vec::new() };
    let number = file.rdev();
    let (major, minor) = (rustix::fs::major(number), rustix::fs::minor(number));
    let own = fs::canonicalize(format!("/sys/dev/char/{major}:{minor}/device"));
    let nvidia = node.file_name().is_some_and(|name| name.to_string_lossy().starts_with("nvidia"));
    own.into_iter().chain(nvidia.then(|| PathBuf::from("/proc/driver/nvidia"))).collect()
}
