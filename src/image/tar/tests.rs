use std::process::{Command, Stdio};

use super::*;
use crate::image::hash::hash;
use crate::image::transfer::Known;
use crate::model::{ModelFile, ReadOptions};
use crate::oci::Digest;

/// Model files of these sizes in a folder, and their tar.
fn bench(sizes: &[(&str, usize)]) -> (tempfile::TempDir, LayerTar) {
    let dir = tempfile::tempdir().unwrap();
    for (name, size) in sizes {
        let path = dir.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, vec![b'x'; *size]).unwrap();
    }
    let files: Vec<ModelFile> = crate::model::read(dir.path(), &ReadOptions::default()).unwrap().files;
    let entries = files.into_iter().map(|file| TarEntry::File { path: format!("models/{}", file.path), file }).collect();
    (dir, LayerTar::new(entries, 0))
}

fn bytes(tar: &LayerTar) -> Vec<u8> {
    let mut bytes = Vec::new();
    tar.open().unwrap().read_to_end(&mut bytes).unwrap();
    bytes
}

const SIZES: [(&str, usize); 6] = [("a", 1), ("b/c", 511), ("b/d", 512), ("b/e", 513), ("empty", 0), ("big", 5_000_000)];

#[test]
fn the_length_is_known_before_a_byte_is_read() {
    let (_dir, tar) = bench(&SIZES);
    assert_eq!(bytes(&tar).len() as u64, tar.size());
}

#[test]
fn an_outline_begins_wherever_it_is_asked_to_and_reads_no_file() {
    let (dir, tar) = bench(&SIZES);
    let whole: Vec<u8> = bytes(&tar).into_iter().map(|byte| if byte == b'x' { 0 } else { byte }).collect();
    drop(dir);
    for offset in [0, 1, 511, 512, 513, 2048, 100_000, 5_000_000, whole.len() - 1, whole.len(), whole.len() + 9] {
        let mut rest = Vec::new();
        tar.outline_from(offset as u64).unwrap().read_to_end(&mut rest).unwrap();
        assert!(rest == whole[offset.min(whole.len())..], "{offset}");
    }
}

#[test]
fn hashing_and_reading_see_the_same_bytes() {
    let (_dir, tar) = bench(&SIZES);
    let hashed = std::sync::atomic::AtomicU64::new(0);
    let digests = hash(&tar, &Known::default(), &|bytes| {
        hashed.fetch_add(bytes, std::sync::atomic::Ordering::Relaxed);
        Ok(())
    })
    .unwrap();
    assert_eq!(digests.layer, Digest::of(&bytes(&tar)));
    let contents: Vec<Digest> = [1, 511, 512, 513, 5_000_000, 0].map(|size| Digest::of(&vec![b'x'; size])).to_vec();
    assert_eq!(digests.files, contents, "in the order of the tar: a, b/…, big, empty");
    assert_eq!(hashed.into_inner(), 1 + 511 + 512 + 513 + 5_000_000);
}

#[test]
fn directories_come_first_and_once() {
    let (_dir, tar) = bench(&SIZES);
    let bytes = bytes(&tar);
    let mut archive = ::tar::Archive::new(&bytes[..]);
    let names: Vec<String> = archive.entries().unwrap().map(|entry| entry.unwrap().path().unwrap().display().to_string()).collect();
    assert_eq!(names, ["models/", "models/a", "models/b/", "models/b/c", "models/b/d", "models/b/e", "models/big", "models/empty"]);
}

#[test]
fn gnu_tar_lists_what_we_wrote() {
    let (_dir, tar) = bench(&SIZES);
    let mut child =
        Command::new("tar").args(["-tv", "--numeric-owner", "-f", "-"]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut input = child.stdin.take().unwrap();
    let whole = bytes(&tar);
    let writer = std::thread::spawn(move || io::Write::write_all(&mut input, &whole).unwrap());
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success());
    assert!(text.lines().all(|line| line.contains(" 0/0 ") && line.contains("1970-01-01")), "{text}");
    assert!(text.contains("-rw-r--r-- 0/0") && text.contains("drwxr-xr-x 0/0"), "{text}");
}

#[test]
fn a_file_that_changes_meanwhile_is_an_error_and_never_a_wrong_layer() {
    type Change = fn(&std::path::Path);
    let changes: [(&str, Change); 3] = [
        ("shrunk", |path| std::fs::write(path, "short").unwrap()),
        ("grown", |path| std::fs::write(path, vec![b'x'; 5_000_001]).unwrap()),
        ("replaced", |path| {
            std::fs::remove_file(path).unwrap();
            std::fs::write(path, vec![b'y'; 5_000_000]).unwrap();
        }),
    ];
    for (name, change) in changes {
        let (dir, tar) = bench(&SIZES);
        let mut reader = tar.open().unwrap();
        let mut start = vec![0; 4096];
        reader.read_exact(&mut start).unwrap();
        change(&dir.path().join("big"));
        assert!(io::copy(&mut reader, &mut io::sink()).is_err(), "{name}: reading");
        assert!(hash(&tar, &Known::default(), &|_| Ok(())).is_err(), "{name}: hashing");
    }
}
