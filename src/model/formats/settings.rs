//! Small JSON files that servers keep beside models.

use serde_json::Value;

use super::small::first_bytes;
use crate::model::ModelFile;

/// The largest file that is read, in bytes.
const MAX_SIZE: u64 = 256 << 10;

/// What the file says, if it is JSON and small.
pub(super) fn json(file: &ModelFile) -> Option<Value> {
    if file.size > MAX_SIZE {
        return None;
    }
    serde_json::from_slice(&first_bytes(file, MAX_SIZE).ok()?).ok()
}
