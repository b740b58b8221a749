//! The tar of a stranger: files and folders below a folder of our own, and nothing else.

use std::cell::Cell;
use std::io::{self, Read};
use std::path::Path;
use std::rc::Rc;

use fs_err as fs;
use tar::{Archive, Entry, EntryType};

use super::item::is_litter;
use super::{FetchError, Globs, names};
use crate::image::listing::{Guarded, MAX_HEADERS};
use crate::model::MAX_FILES;
use crate::oci::printable;

/// Unpacks the files that are wanted.
///
/// # Errors
/// An entry that would leave the folder, is no file or folder, or is there already.
pub(super) fn unpack(tar: &mut dyn Read, root: &Path, globs: &Globs) -> Result<(), FetchError> {
    let budget = Rc::new(Cell::new(MAX_HEADERS));
    let mut archive = Archive::new(Guarded { inner: tar, budget: budget.clone() });
    let mut entries = archive.entries().map_err(broken)?;
    for count in 0.. {
        budget.set(MAX_HEADERS);
        let Some(entry) = entries.next() else { return Ok(()) };
        let mut entry = entry.map_err(broken)?;
        if count > MAX_FILES {
            break;
        }
        budget.set(u64::MAX);
        place(&mut entry, root, globs)?;
        io::copy(&mut entry, &mut io::sink()).map_err(broken)?;
    }
    Err(FetchError::TooMuch { most: format!("{MAX_FILES} files in a layer") })
}

fn place<R: Read>(entry: &mut Entry<'_, R>, root: &Path, globs: &Globs) -> Result<(), FetchError> {
    let name = entry.path_bytes().into_owned();
    let name = String::from_utf8_lossy(&name);
    let kind = entry.header().entry_type();
    let path = name.strip_prefix("./").unwrap_or(&name);
    let path = if kind.is_dir() { path.trim_end_matches('/') } else { path };
    if kind == EntryType::XGlobalHeader || kind.is_dir() && matches!(path, "" | ".") {
        return Ok(());
    }
    names::ensure_plain(path)?;
    match kind {
        EntryType::Directory => Ok(()),
        EntryType::Regular | EntryType::Continuous if is_litter(path) || !globs.want(path) => Ok(()),
        EntryType::Regular | EntryType::Continuous => write(entry, &root.join(path)),
        _ => Err(FetchError::Name { path: printable(path, 200), reason: "it is a link, a device or something else that no model holds" }),
    }
}

fn write<R: Read>(entry: &mut Entry<'_, R>, target: &Path) -> Result<(), FetchError> {
    if let Some(parent) = target.parent() {
        fs::create_dir_all(parent).map_err(FetchError::io("create", parent))?;
    }
    let mut file = fs::OpenOptions::new().write(true).create_new(true).open(target).map_err(FetchError::io("create", target))?;
    let mut buffer = vec![0; 256 << 10];
    loop {
        match entry.read(&mut buffer).map_err(broken)? {
            0 => return Ok(()),
            count => io::Write::write_all(&mut file, &buffer[..count]).map_err(FetchError::io("write", target))?,
        }
    }
}

fn broken(source: io::Error) -> FetchError {
    FetchError::Unpacking { layer: String::new(), source }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A tar of these entries, written as no honest tool would.
    fn tar(entries: &[(&[u8], EntryType, &[u8])]) -> Vec<u8> {
        let mut builder = tar::Builder::new(Vec::new());
        for (name, kind, content) in entries {
            let mut header = tar::Header::new_gnu();
            header.as_mut_bytes()[..name.len()].copy_from_slice(name);
            header.set_entry_type(*kind);
            header.set_size(content.len() as u64);
            header.set_mode(0o644);
            header.set_cksum();
            builder.append(&header, *content).unwrap();
        }
        builder.into_inner().unwrap()
    }

    #[test]
    fn files_come_out_and_what_no_build_packs_does_not() {
        let home = tempfile::tempdir().unwrap();
        let file = EntryType::Regular;
        let bytes = tar(&[
            (b"./", EntryType::Directory, b""),
            (b"./a/", EntryType::Directory, b""),
            (b"./a/m.onnx", file, b"weights"),
            (b".gitattributes", file, b"x"),
            (b"notes.txt", file, b"x"),
        ]);
        let globs = Globs::new(&[], &["*.txt".to_owned()]).unwrap();
        unpack(&mut bytes.as_slice(), home.path(), &globs).unwrap();
        assert_eq!(std::fs::read(home.path().join("a/m.onnx")).unwrap(), b"weights");
        assert_eq!(std::fs::read_dir(home.path()).unwrap().count(), 1);
    }

    #[test]
    fn what_would_leave_the_folder_is_refused() {
        let file = EntryType::Regular;
        for entries in [
            &[(&b"../x"[..], file, &b"x"[..])][..],
            &[(b"/etc/x", file, b"x")],
            &[(b"a/../../x", file, b"x")],
            &[(b"a\\b", file, b"x")],
            &[(b"l", EntryType::Symlink, b"")],
            &[(b"l", EntryType::Link, b"")],
            &[(b"l", EntryType::Fifo, b"")],
            &[(b"a", file, b"x"), (b"a", file, b"y")],
            &[(b"a", file, b"x"), (b"a/b", file, b"y")],
        ] {
            let home = tempfile::tempdir().unwrap();
            let inner = home.path().join("inner");
            std::fs::create_dir(&inner).unwrap();
            let name = String::from_utf8_lossy(entries[0].0).into_owned();
            assert!(unpack(&mut tar(entries).as_slice(), &inner, &Globs::default()).is_err(), "{name}");
            assert!(!home.path().join("x").exists(), "{name}");
        }
        assert!(unpack(&mut &b"no tar at all"[..], Path::new("/nowhere"), &Globs::default()).is_err());
    }
}
