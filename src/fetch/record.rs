//! What is known of an earlier run: `.cache/modelcar/fetch.json`. It lies where others can write, so it is a hint and never a proof: a
//! file counts as there only when its bytes have the digest that is written here, and nothing else is ever removed.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::folder::is_own;
use super::{FetchError, names};
use crate::oci::{Digest, is_modest};

/// More is not read, in bytes.
const MAX_RECORD: u64 = 64 << 20;

/// Files as they were fetched.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Record {
    /// By path.
    pub(super) files: BTreeMap<String, Known>,
    /// The files that came out of a layer or image, by its digest.
    #[serde(default)]
    pub(super) bundles: BTreeMap<String, Vec<String>>,
}

/// A file as it was fetched.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Known {
    /// The source's own word for its version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) version: Option<String>,
    pub(super) size: u64,
    pub(super) digest: Digest,
}

impl Record {
    /// What is written there; nothing where that cannot be read.
    pub(super) fn read(path: &Path) -> Self {
        if !path.symlink_metadata().is_ok_and(|metadata| is_own(&metadata)) {
            return Self::default();
        }
        let mut bytes = Vec::new();
        let read = File::open(path).and_then(|file| file.take(MAX_RECORD).read_to_end(&mut bytes));
        if read.is_err() || !is_modest(&bytes) {
            return Self::default();
        }
        let record: Self = serde_json::from_slice(&bytes).unwrap_or_default();
        if record.files.keys().all(|path| names::objection(path).is_none()) { record } else { Self::default() }
    }

    /// Replaces what is written there.
    pub(super) fn write(&self, path: &Path) -> Result<(), FetchError> {
        let folder = path.parent().unwrap_or(Path::new("."));
        let failed = || FetchError::io("write", path);
        let mut draft = tempfile::NamedTempFile::new_in(folder).map_err(failed())?;
        serde_json::to_writer(&mut draft, self).map_err(|error| failed()(error.into()))?;
        draft.persist(path).map_err(|error| failed()(error.error))?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_read_back_and_a_strange_one_is_none() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("fetch.json");
        let known = Known { version: Some("\"e\"".to_owned()), size: 1, digest: Digest::of(b"x") };
        let record =
            Record { files: [("a/b".to_owned(), known)].into(), bundles: [("sha256:1".to_owned(), vec!["a/b".to_owned()])].into() };
        record.write(&path).unwrap();
        assert_eq!(Record::read(&path), record);
        let climbing = std::fs::read_to_string(&path).unwrap().replace("\"a/b\":", "\"../b\":");
        for text in ["", "{", "{\"files\":{},\"more\":1}", &climbing] {
            std::fs::write(&path, text).unwrap();
            assert_eq!(Record::read(&path), Record::default(), "{text}");
        }
    }
}
