//! What the promises share.

use std::path::{Path, PathBuf};

/// Where a program is: our pinned build in `.peers/bin`, else the first one on `PATH`.
pub fn peer(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let own = Path::new(env!("CARGO_MANIFEST_DIR")).join(".peers/bin");
    std::iter::once(own).chain(std::env::split_paths(&path)).map(|folder| folder.join(name)).find(|file| file.is_file())
}
