//! The default base: one layer with modelcar's own `/bin/sh` (its source is in `shell/`).

use std::io::Read as _;
use std::sync::Arc;

use super::ImageError;
use super::tar::{LayerTar, TarEntry};
use super::transfer::Blob;
use crate::oci::{Descriptor, Platform, media_type};
use crate::store::BlobSource;

/// The applets that the shell answers to when it is called by their name.
const APPLETS: [&str; 6] = ["[", "echo", "ln", "ls", "mkdir", "sleep"];

/// The platforms that the shell is built for.
const BUILT: [(&str, &[u8]); 4] = [
    ("amd64", include_bytes!("../../shell/built/amd64/sh")),
    ("arm64", include_bytes!("../../shell/built/arm64/sh")),
    ("ppc64le", include_bytes!("../../shell/built/ppc64le/sh")),
    ("s390x", include_bytes!("../../shell/built/s390x/sh")),
];

/// Whether a file is one of our shells.
pub(super) fn is_own(file: &[u8]) -> bool {
    BUILT.iter().any(|(_, shell)| *shell == file)
}

/// The shell layer of a platform.
///
/// # Errors
/// A platform that the shell is not built for.
pub(super) fn layer(platform: &Platform, mtime: u64) -> Result<Blob, ImageError> {
    let built = BUILT.iter().find(|(architecture, _)| platform.os == "linux" && platform.architecture == *architecture);
    let Some((_, shell)) = built else { return Err(ImageError::NoShell { platform: platform.clone() }) };
    let mut entries = vec![TarEntry::Bytes { path: "bin/sh".to_owned(), bytes: shell.to_vec(), executable: true }];
    entries.extend(APPLETS.map(|applet| TarEntry::Symlink { path: format!("bin/{applet}"), target: "sh".to_owned() }));
    let mut bytes = Vec::new();
    LayerTar::new(entries, mtime).open().and_then(|mut tar| tar.read_to_end(&mut bytes)).map_err(ImageError::Reading)?;
    Ok(Blob::new(Descriptor::of(media_type::LAYER_TAR, &bytes), Arc::new(bytes)))
}
