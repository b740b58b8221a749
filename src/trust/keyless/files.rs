//! Reading the small files of a deployment.

use std::io::Read as _;
use std::path::Path;

use super::KeylessError;

/// At most `limit` bytes; `no` says what a longer file cannot be.
pub(super) fn read(path: &Path, limit: u64, no: &'static str) -> Result<Vec<u8>, KeylessError> {
    let failed = |source| KeylessError::Read { path: path.to_owned(), source };
    // Room for all of it at once: a vector that grows leaves copies of a secret behind.
    let size = std::fs::metadata(path).map_err(failed)?.len().min(limit) + 1;
    let mut bytes = Vec::with_capacity(usize::try_from(size).unwrap_or_default());
    std::fs::File::open(path).map_err(failed)?.take(limit + 1).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() as u64 > limit {
        return Err(KeylessError::TooLarge { path: path.to_owned(), limit, no });
    }
    Ok(bytes)
}

/// The same for text.
pub(super) fn read_text(path: &Path, limit: u64, no: &'static str) -> Result<String, KeylessError> {
    let not_text = |_| KeylessError::Unusable { place: path.display().to_string(), why: "it is not UTF-8 text".to_owned() };
    String::from_utf8(read(path, limit, no)?).map_err(not_text)
}
