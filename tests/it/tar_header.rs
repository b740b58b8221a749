//! GNU tar and Python read our tar headers as they were meant, and GNU tar writes the very same bytes.

use std::fs;
use std::path::Path;

use modelcar::oci::tar_header::{EntryKind, TRAILER, header, padding};

use crate::support::{clean_command, need, run, stdout_of, temp_dir};

const CONTENT: &[u8] = b"weights";

fn file(executable: bool) -> EntryKind<'static> {
    EntryKind::File { size: CONTENT.len() as u64, executable }
}

fn entries() -> Vec<(String, EntryKind<'static>)> {
    let long = format!("models/{}/model.onnx", "long".repeat(40));
    let border = format!("models/{}", "b".repeat(93));
    vec![
        ("models/".into(), EntryKind::Directory),
        ("models/1/".into(), EntryKind::Directory),
        ("models/1/model.onnx".into(), file(false)),
        ("models/run".into(), file(true)),
        (border, file(false)),
        (format!("models/{}/", "long".repeat(40)), EntryKind::Directory),
        (long, file(false)),
    ]
}

fn our_tar(path: &Path) {
    let mut bytes = Vec::new();
    for (path, kind) in entries() {
        bytes.extend(header(&path, kind, 1_000_000_000));
        if let EntryKind::File { size, .. } = kind {
            bytes.extend(CONTENT);
            bytes.resize(bytes.len() + usize::try_from(padding(size)).unwrap(), 0);
        }
    }
    bytes.extend(TRAILER);
    fs::write(path, bytes).unwrap();
}

#[test]
fn gnu_tar_unpacks_our_entries_and_packs_them_to_the_same_bytes() {
    let Some(tar) = need("tar") else { return };
    let dir = temp_dir();
    let (ours, theirs, tree) = (dir.path().join("ours.tar"), dir.path().join("theirs.tar"), dir.path().join("tree"));
    our_tar(&ours);
    fs::create_dir(&tree).unwrap();
    run(clean_command(&tar, dir.path()).arg("-xpf").arg(&ours).arg("-C").arg(&tree));
    let options = ["--format=gnu", "--owner=0", "--group=0", "--numeric-owner", "--mtime=@1000000000", "--no-recursion", "-b1"];
    let names = entries().into_iter().map(|(path, _)| path);
    run(clean_command(&tar, dir.path()).args(options).arg("-cf").arg(&theirs).arg("-C").arg(&tree).args(names));
    let (ours, mut theirs) = (fs::read(ours).unwrap(), fs::read(theirs).unwrap());
    strip_root_names(&mut theirs);
    assert!(ours == theirs, "first difference at {:?}", ours.iter().zip(&theirs).position(|(a, b)| a != b));
}

/// GNU tar writes `root` as the owner's name into its `L` entries, whatever it was told.
fn strip_root_names(tar: &mut [u8]) {
    for block in tar.chunks_mut(512).filter(|block| block.starts_with(b"././@LongLink\0")) {
        block[265..329].fill(0);
        block[148..156].fill(b' ');
        let sum: u32 = block.iter().map(|byte| u32::from(*byte)).sum();
        block[148..155].copy_from_slice(format!("{sum:06o}\0").as_bytes());
    }
}

#[test]
fn gnu_tar_and_python_read_sizes_beyond_eight_gibibytes() {
    let (Some(tar), Some(python)) = (need("tar"), need("python3")) else { return };
    let dir = temp_dir();
    let path = dir.path().join("huge.tar");
    let size: u64 = (9 << 30) + 1;
    fs::write(&path, header("models/huge", EntryKind::File { size, executable: false }, 0)).unwrap();
    // The content is a hole: nine gigabytes that take no room.
    let whole = 512 + size + padding(size) + TRAILER.len() as u64;
    fs::OpenOptions::new().write(true).open(&path).unwrap().set_len(whole).unwrap();
    let listed = stdout_of(clean_command(tar, dir.path()).arg("-tvf").arg(&path));
    assert!(listed.contains(&size.to_string()) && listed.contains("models/huge"), "{listed}");
    let script = "import sys,tarfile; print([(m.name, m.size, oct(m.mode), m.uname) for m in tarfile.open(sys.argv[1])])";
    let read = stdout_of(clean_command(python, dir.path()).args(["-c", script]).arg(&path));
    assert_eq!(read.trim(), format!("[('models/huge', {size}, '0o644', '')]"));
}
