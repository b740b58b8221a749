//! What can be wrong with a layout or archive as such.

use std::path::PathBuf;

use crate::exit_code;
use crate::oci::Digest;

/// Why a directory or archive is not a usable layout, or which image of it is meant stays unclear.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LayoutError {
    /// Nothing is there.
    #[error("there is no OCI layout at {}", path.display())]
    NotFound {
        /// Where.
        path: PathBuf,
    },
    /// Something else is there.
    #[error("{} is not an OCI layout: {reason}", path.display())]
    NotALayout {
        /// Where.
        path: PathBuf,
        /// What is there instead.
        reason: &'static str,
    },
    /// A folder of the user's that a build would litter.
    #[error("{} holds other files and is not an OCI layout", path.display())]
    Occupied {
        /// The directory.
        path: PathBuf,
    },
    /// A link, device or pipe where a file belongs.
    #[error("{} is not a regular file", path.display())]
    NotRegular {
        /// The path.
        path: PathBuf,
    },
    /// A layout of another generation.
    #[error("{store} has layout version `{version}`; 1.0.0 is understood")]
    Version {
        /// The store's name.
        store: String,
        /// What `oci-layout` says.
        version: String,
    },
    /// `oci-layout` or `index.json` is not the JSON it should be.
    #[error("{document} of {store} cannot be read")]
    Json {
        /// The store's name.
        store: String,
        /// The document.
        document: &'static str,
        /// Where and why.
        #[source]
        source: serde_json::Error,
    },
    /// `index.json` holds more than modelcar is willing to look through.
    #[error("index.json of {store} lists {found} manifests; at most {limit} are read")]
    TooManyEntries {
        /// The store's name.
        store: String,
        /// How many are listed.
        found: usize,
        /// How many are allowed.
        limit: usize,
    },
    /// Several images answer to the name.
    #[error("`{name}` means several images of {store}: {}", some(candidates))]
    Ambiguous {
        /// The store's name.
        store: String,
        /// What was asked for.
        name: String,
        /// What answers to it.
        candidates: Vec<String>,
    },
    /// No image is there to be the only one.
    #[error("{store} holds no image")]
    Empty {
        /// The store's name.
        store: String,
    },
    /// More than one image is there, and none was named.
    #[error("{store} holds several images: {}", some(images))]
    SeveralImages {
        /// The store's name.
        store: String,
        /// Their names.
        images: Vec<String>,
    },
    /// The index and the document disagree about what the bytes are (CVE-2021-41190).
    #[error("manifest {digest} says it is `{own}`, index.json of {store} says `{listed}`")]
    MediaType {
        /// The store's name.
        store: String,
        /// The manifest.
        digest: Digest,
        /// What the index says.
        listed: String,
        /// What the document says.
        own: String,
    },
    /// A write to what was opened for reading.
    #[error("{store} was opened for reading only")]
    ReadOnly {
        /// The store's name.
        store: String,
    },
    /// A compressed archive has no offsets to read at.
    #[error("{} is compressed with {compression}", path.display())]
    Compressed {
        /// The archive.
        path: PathBuf,
        /// How.
        compression: &'static str,
    },
    /// `docker save` without an OCI layout in it.
    #[error("{} is a docker-archive", path.display())]
    DockerArchive {
        /// The archive.
        path: PathBuf,
    },
    /// The tar file is broken, or holds what a layout never holds.
    #[error("{} cannot be read as a tar file: {reason} at byte {offset}", path.display())]
    Tar {
        /// The archive.
        path: PathBuf,
        /// Where the entry begins, in bytes.
        offset: u64,
        /// What is wrong.
        reason: &'static str,
    },
    /// Somebody else replaced the archive since it was opened.
    #[error("{} was changed by somebody else in the meantime", path.display())]
    Changed {
        /// The archive.
        path: PathBuf,
    },
}

impl LayoutError {
    /// What the user can do.
    pub fn hint(&self) -> Option<String> {
        Some(match self {
            Self::NotFound { .. } => "`modelcar build MODEL -o oci:DIR:NAME` makes one; check the path".to_owned(),
            Self::NotALayout { path, .. } if path.is_file() => format!("for a tar file write oci-archive:{}", path.display()),
            Self::NotALayout { .. } => "a layout is a directory with `oci-layout`, `index.json` and `blobs/`".to_owned(),
            Self::Occupied { .. } => "choose an empty or new directory; nothing was written".to_owned(),
            Self::NotRegular { .. } => "links out of a layout are not followed; `cp -rL` makes a copy without links".to_owned(),
            Self::Json { store, .. } | Self::TooManyEntries { store, .. } => format!("write {store} again, or copy the image anew"),
            Self::Ambiguous { .. } => "write the whole name, or the digest as `oci:DIR@sha256:…`".to_owned(),
            Self::SeveralImages { store, .. } => format!("say which: `{store}:NAME` or `{store}@sha256:…`"),
            Self::Empty { .. } => "build or copy an image into it first".to_owned(),
            Self::Compressed { compression, .. } => format!("decompress it first ({compression} -d)"),
            Self::DockerArchive { path } => format!("`skopeo copy docker-archive:{} oci-archive:NEW` converts it", path.display()),
            Self::Tar { .. } => "the file may be cut short: fetch or write it again".to_owned(),
            Self::Changed { .. } => "run it again; nothing of theirs was overwritten".to_owned(),
            Self::Version { .. } | Self::MediaType { .. } | Self::ReadOnly { .. } => return None,
        })
    }

    /// The process exit code, see [`exit_code`].
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::MediaType { .. } => exit_code::REFUSED,
            Self::Changed { .. } => exit_code::CONFLICT,
            _ => exit_code::FAILED,
        }
    }
}

/// The first ten names, for a message.
fn some(names: &[String]) -> String {
    let shown = names.iter().take(10).map(String::as_str).collect::<Vec<_>>().join(", ");
    match names.len().saturating_sub(10) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_ten_names_and_counts_the_rest() {
        let names: Vec<String> = (0..12).map(|i| format!("n{i}")).collect();
        let error = LayoutError::SeveralImages { store: "oci:d".into(), images: names };
        assert_eq!(error.to_string(), "oci:d holds several images: n0, n1, n2, n3, n4, n5, n6, n7, n8, n9 and 2 more");
        assert_eq!(error.hint().unwrap(), "say which: `oci:d:NAME` or `oci:d@sha256:…`");
    }
}
