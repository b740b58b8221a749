//! Small JSON files that servers keep beside models.

use std::io::Read;

use serde_json::Value;

use crate::model::ModelFile;

/// The largest file that is read, in bytes.
const MAX_SIZE: u64 = 256 << 10;

/// What the file says, if it is JSON and small.
pub(super) fn json(file: &ModelFile) -> Option<Value> {
    if file.size > MAX_SIZE {
        return None;
    }
    let mut bytes = Vec::new();
    file.open().ok()?.take(MAX_SIZE).read_to_end(&mut bytes).ok()?;
    serde_json::from_slice(&bytes).ok()
}
