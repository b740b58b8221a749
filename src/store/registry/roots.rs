//! The certificates that are trusted besides the system's: those of `--ca-file`, a file or a folder of files.

use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use reqwest::Certificate;

use super::RegistryError;
use super::error::Cause;
use super::transport::innermost;
use crate::store::StoreError;

/// A CA file is some kilobytes per certificate; of a folder, all files together.
pub(super) const MAX_CA_FILE: u64 = 16 << 20;
/// What a folder's certificates are called, as `update-ca-certificates` and `update-ca-trust` know them.
const ENDINGS: [&str; 2] = ["crt", "pem"];

/// Reads the certificates of a file, or of every `*.crt` and `*.pem` in a folder: a mounted ConfigMap, which may be empty where a
/// cluster has no CA of its own.
///
/// # Errors
/// A file that holds no certificate; in a folder it may be empty.
pub(super) fn read_roots(path: &Path) -> Result<Vec<Certificate>, RegistryError> {
    certificates(path, &pem_of(path)?)
}

/// The same for other programs: as PEM, a line break behind each file.
///
/// # Errors
/// As `--ca-file` everywhere: a file that holds no certificate; in a folder it may be empty.
pub fn read_ca_file(path: &Path) -> Result<Vec<u8>, StoreError> {
    Ok(pem_of(path)?)
}

fn pem_of(path: &Path) -> Result<Vec<u8>, RegistryError> {
    if !path.is_dir() {
        return checked(path, read(path, MAX_CA_FILE)?);
    }
    let (mut all, mut left) = (Vec::new(), MAX_CA_FILE);
    for file in files(path, &ENDINGS).map_err(|error| failed(path, error.kind().to_string()))? {
        let pem = read(&file, left)?;
        left = left.saturating_sub(pem.len() as u64);
        if !pem.trim_ascii().is_empty() {
            all.extend(checked(&file, pem)?);
            all.push(b'\n');
        }
    }
    Ok(all)
}

/// What holds at least one certificate.
fn checked(file: &Path, pem: Vec<u8>) -> Result<Vec<u8>, RegistryError> {
    if certificates(file, &pem)?.is_empty() { Err(failed(file, "it holds no PEM certificate")) } else { Ok(pem) }
}

/// The files of a folder with one of these endings, by their names; what the kubelet keeps beside them begins with a dot.
pub(super) fn files(folder: &Path, endings: &[&str]) -> io::Result<Vec<PathBuf>> {
    let paths = fs_err::read_dir(folder)?.map(|entry| entry.map(|entry| entry.path())).collect::<io::Result<Vec<_>>>()?;
    let is_hidden = |path: &Path| path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
    let is_meant = |path: &PathBuf| path.extension().is_some_and(|ending| endings.iter().any(|known| ending == *known)) && !is_hidden(path);
    let mut files: Vec<PathBuf> = paths.into_iter().filter(is_meant).collect();
    files.sort();
    Ok(files)
}

/// Reads a small file whole.
pub(super) fn read(file: &Path, most: u64) -> Result<Vec<u8>, RegistryError> {
    let mut pem = Vec::new();
    let opened = fs_err::File::open(file).map_err(|error| failed(file, error.kind().to_string()))?;
    opened.take(most + 1).read_to_end(&mut pem).map_err(|error| failed(file, error.kind().to_string()))?;
    if pem.len() as u64 > most { Err(failed(file, format!("there are more than {MAX_CA_FILE} bytes"))) } else { Ok(pem) }
}

fn certificates(file: &Path, pem: &[u8]) -> Result<Vec<Certificate>, RegistryError> {
    Certificate::from_pem_bundle(pem).map_err(|error| failed(file, innermost(&error).0))
}

fn failed(file: &Path, cause: impl Into<String>) -> RegistryError {
    RegistryError::CaFile { file: file.to_owned(), source: Cause(cause.into()) }
}

#[cfg(test)]
mod tests {
    use std::error::Error as _;

    use super::*;

    /// What is inside is looked at when a connection is made.
    const PEM: &str = "-----BEGIN CERTIFICATE-----\nMAAwADAA\n-----END CERTIFICATE-----\n";

    fn why(path: &Path) -> String {
        let error = read_roots(path).unwrap_err();
        format!("{error}: {}", error.source().unwrap())
    }

    #[test]
    fn every_certificate_of_a_folder_counts_and_none_is_no_error() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(read_roots(dir.path()).unwrap().len(), 0);
        let version = dir.path().join("..2026_11_23");
        fs_err::create_dir(&version).unwrap();
        std::os::unix::fs::symlink("..2026_11_23", dir.path().join("..data")).unwrap();
        for (name, text) in [
            ("ca-bundle.crt", PEM.repeat(2)),
            ("own.pem", PEM.to_owned()),
            ("injected.crt", "\n".to_owned()),
            ("README", "no certificate".to_owned()),
        ] {
            fs_err::write(version.join(name), text).unwrap();
            std::os::unix::fs::symlink(format!("..data/{name}"), dir.path().join(name)).unwrap();
        }
        assert_eq!(read_roots(dir.path()).unwrap().len(), 3);
        assert_eq!(read_roots(&dir.path().join("own.pem")).unwrap().len(), 1);
    }

    #[test]
    fn what_is_no_certificate_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let junk = dir.path().join("junk.pem");
        fs_err::write(&junk, "no certificate").unwrap();
        for path in [dir.path(), &junk] {
            assert!(why(path).contains("junk.pem") && why(path).contains("no PEM certificate"), "{}", why(path));
        }
        fs_err::write(&junk, "\n").unwrap();
        assert!(why(&junk).contains("no PEM certificate"), "a file that is named has to hold some");
        fs_err::write(&junk, vec![b'\n'; 9 << 20]).unwrap();
        fs_err::write(dir.path().join("more.pem"), vec![b'\n'; 9 << 20]).unwrap();
        assert!(why(dir.path()).contains("more.pem") && why(dir.path()).contains("16777216"), "{}", why(dir.path()));
        assert!(why(&dir.path().join("gone.pem")).contains("not found"));
    }
}
