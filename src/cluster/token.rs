//! The token of a file, read for every request: a pod's own changes while it runs.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;

use zeroize::Zeroizing;

use super::ClusterError;
use crate::store::registry::Bearer;

/// Service-account tokens have about 1 kB.
const MAX_TOKEN: u64 = 64 << 10;

/// Reads the token in a file.
///
/// # Errors
/// The file cannot be read, or holds no token. What it holds is never part of the error.
pub(super) fn read(file: &Path) -> Result<Bearer, ClusterError> {
    let refused = |reason| ClusterError::Token { file: file.display().to_string(), reason };
    let bytes = content(file).map_err(|source| ClusterError::TokenFile { file: file.display().to_string(), source })?;
    if bytes.len() as u64 > MAX_TOKEN {
        return Err(refused("it is longer than 64 KiB"));
    }
    let text = std::str::from_utf8(&bytes).map_err(|_| refused("it is not text"))?.trim();
    if text.is_empty() {
        return Err(refused("it is empty"));
    }
    Bearer::new(text).ok_or_else(|| refused("it holds blanks or characters that no token has"))
}

fn content(file: &Path) -> io::Result<Zeroizing<Vec<u8>>> {
    // The buffer never grows: a vector that moves leaves a copy behind.
    let most = MAX_TOKEN + 1;
    let mut bytes = Zeroizing::new(Vec::with_capacity(usize::try_from(most).unwrap_or_default()));
    File::open(file)?.take(most).read_to_end(&mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_token_is_refused_without_repeating_it() {
        let home = tempfile::tempdir().unwrap();
        let file = home.path().join("token");
        let long = vec![b'x'; 70_000];
        for (content, reason) in
            [(&b" \n"[..], "is empty"), (b"s3cret and more", "blanks"), (b"\xff\xfe", "not text"), (&long, "longer than")]
        {
            std::fs::write(&file, content).unwrap();
            let error = read(&file).unwrap_err();
            assert!(error.to_string().contains(reason) && !error.to_string().contains("s3cret"), "{error}");
            assert!(error.hint().is_some());
        }
        std::fs::write(&file, "abc.def\n").unwrap();
        assert_eq!(format!("{:?}", read(&file).unwrap()), "Bearer(***)");
        assert!(read(&home.path().join("gone")).unwrap_err().to_string().contains("gone"));
    }
}
