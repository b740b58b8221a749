use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use super::*;
use crate::model::{Content, Patterns};

/// A folder with these files; the content of each is its own path.
fn folder(paths: &[&str]) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    for path in paths {
        let file = dir.path().join(path);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, path).unwrap();
    }
    dir
}

fn scan(path: &Path) -> Result<Tree, ModelError> {
    Tree::scan(path, Links::Inside)
}

fn paths(tree: &Tree) -> Vec<&str> {
    tree.files().iter().map(|file| file.path.as_str()).collect()
}

fn content(file: &ModelFile) -> String {
    io::read_to_string(file.open().unwrap()).unwrap()
}

#[test]
fn files_come_in_the_order_of_their_paths_bytes() {
    let dir = folder(&["b.bin", "a/z", "a.txt", "a/b/c", "B", "ä"]);
    assert_eq!(paths(&scan(dir.path()).unwrap()), ["B", "a.txt", "a/b/c", "a/z", "b.bin", "ä"]);
}

#[test]
fn a_file_is_found_by_its_place() {
    let dir = folder(&["a/b", "c"]);
    let tree = scan(dir.path()).unwrap();
    assert_eq!(tree.file("a/b").unwrap().size, 3);
    assert!(tree.file("a").is_none());
}

#[test]
fn litter_is_left_out_and_reported() {
    let dir = folder(&["model.bin", ".git/config", ".gitattributes", "sub/__pycache__/x.pyc", ".cache/huggingface/x.lock", "cache/other"]);
    let tree = scan(dir.path()).unwrap();
    assert_eq!(paths(&tree), ["cache/other", "model.bin"]);
    assert_eq!(
        tree.into_parts().1,
        [
            "left out .cache/ (1 file, 25 B): a cache, such as the download's",
            "left out .git/ (1 file, 11 B): version control",
            "left out .gitattributes: version control",
            "left out sub/__pycache__/ (1 file, 21 B): left by Python",
        ]
    );
}

#[test]
fn a_thousand_things_left_out_are_a_few_notes() {
    let names: Vec<_> = (0..1000).map(|n| format!("{n}/.gitkeep")).collect();
    let mut all: Vec<_> = names.iter().map(String::as_str).collect();
    all.push("model.bin");
    let (_, notes) = scan(folder(&all).path()).unwrap().into_parts();
    assert_eq!(notes.len(), 21);
    assert_eq!(notes[20], "… and 980 more left out");
}

#[test]
fn a_link_is_the_file_it_points_to() {
    let dir = folder(&["real/weights.bin"]);
    symlink("real/weights.bin", dir.path().join("a.bin")).unwrap();
    symlink("real", dir.path().join("again")).unwrap();
    let tree = scan(dir.path()).unwrap();
    assert_eq!(paths(&tree), ["a.bin", "again/weights.bin", "real/weights.bin"]);
    assert!(tree.files().iter().all(|file| content(file) == "real/weights.bin"));
    let Content::Disk { source, .. } = &tree.files()[0].content else { panic!("not on disk") };
    assert!(!fs::symlink_metadata(source).unwrap().is_symlink());
}

#[test]
fn a_link_out_of_the_folder_is_refused_with_a_way_out() {
    let secret = folder(&["token"]);
    for (name, target) in [("t.txt", "token"), ("dir", "")] {
        let dir = folder(&["model.bin"]);
        symlink(secret.path().join(target), dir.path().join(name)).unwrap();
        let error = scan(dir.path()).unwrap_err();
        assert!(matches!(error, ModelError::LinkLeaves { .. }), "{error}");
        assert!(error.hint().unwrap().contains("--follow-links"));
        let tree = Tree::scan(dir.path(), Links::Anywhere).unwrap();
        assert_eq!(content(tree.files().iter().find(|file| file.path != "model.bin").unwrap()), "token");
    }
}

#[test]
fn a_chain_of_links_is_judged_by_its_end() {
    let secret = folder(&["token"]);
    let dir = folder(&["model.bin"]);
    symlink(secret.path().join("token"), dir.path().join("second")).unwrap();
    symlink("second", dir.path().join("first")).unwrap();
    assert!(matches!(scan(dir.path()), Err(ModelError::LinkLeaves { .. })));
}

#[test]
fn loops_and_links_to_nothing_are_refused() {
    for (name, target, expected) in [
        ("self", "self", "self is a link that leads back to itself"),
        ("sub/up", "..", "sub/up is a link that leads back to itself"),
        ("gone", "nowhere", "gone is a link to \"nowhere\", which is not there"),
    ] {
        let dir = folder(&["sub/model.bin"]);
        symlink(target, dir.path().join(name)).unwrap();
        let error = scan(dir.path()).unwrap_err().to_string();
        assert!(error.ends_with(expected), "{error}");
    }
}

#[test]
fn the_model_itself_may_be_a_link() {
    let dir = folder(&["v1/model.bin"]);
    symlink("v1", dir.path().join("current")).unwrap();
    symlink("v1/model.bin", dir.path().join("current.bin")).unwrap();
    assert_eq!(paths(&scan(&dir.path().join("current")).unwrap()), ["model.bin"]);
    let single = scan(&dir.path().join("current.bin")).unwrap();
    assert_eq!(paths(&single), ["current.bin"]);
    assert_eq!(content(&single.files()[0]), "v1/model.bin");
}

#[test]
fn a_hugging_face_snapshot_is_read_through_its_links() {
    let hub = folder(&["models--o--m/blobs/0a1b", "models--o--m/blobs/2c3d", "models--o--other/blobs/ffff"]);
    let snapshot = hub.path().join("models--o--m/snapshots/rev");
    fs::create_dir_all(snapshot.join("onnx")).unwrap();
    symlink("../../blobs/0a1b", snapshot.join("config.json")).unwrap();
    symlink("../../../blobs/2c3d", snapshot.join("onnx/model.onnx")).unwrap();
    let tree = scan(&snapshot).unwrap();
    assert_eq!(paths(&tree), ["config.json", "onnx/model.onnx"]);
    assert_eq!(content(&tree.files()[0]), "models--o--m/blobs/0a1b");

    symlink("../../../models--o--other/blobs/ffff", snapshot.join("other")).unwrap();
    assert!(matches!(scan(&snapshot), Err(ModelError::LinkLeaves { .. })));
}

#[test]
fn beside_a_single_file_only_what_may_be_followed_is_found() {
    let secret = folder(&["token"]);
    let dir = folder(&["model.bin", "sub/weights.bin"]);
    symlink(secret.path().join("token"), dir.path().join("t")).unwrap();
    symlink(secret.path(), dir.path().join("d")).unwrap();
    let tree = scan(&dir.path().join("model.bin")).unwrap();
    assert_eq!(paths(&tree), ["model.bin"]);
    assert_eq!(content(&tree.named("sub/weights.bin").unwrap().unwrap()), "sub/weights.bin");
    assert!(tree.named("missing").unwrap().is_none());
    assert!(tree.named("model.bin/below").unwrap().is_none());
    for (place, expected) in [("t", "outside"), ("d/token", "outside"), ("sub", "is a folder")] {
        let error = tree.named(place).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }
}

#[test]
fn what_is_no_file_is_refused_by_name() {
    let dir = folder(&["model.bin"]);
    let _socket = std::os::unix::net::UnixListener::bind(dir.path().join("s.sock")).unwrap();
    let error = scan(dir.path()).unwrap_err().to_string();
    assert!(error.ends_with("s.sock is a socket, not a file"), "{error}");

    let dir = folder(&["model.bin"]);
    rustix::fs::mknodat(rustix::fs::CWD, dir.path().join("pipe"), rustix::fs::FileType::Fifo, rustix::fs::Mode::RWXU, 0).unwrap();
    let error = scan(dir.path()).unwrap_err().to_string();
    assert!(error.ends_with("pipe is a named pipe, not a file"), "{error}");
    assert!(scan(Path::new("/dev/null")).unwrap_err().to_string().contains("is a device"));
}

#[test]
fn nothing_to_pack_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    assert!(scan(dir.path()).unwrap_err().to_string().ends_with("it has no files"));
    fs::write(dir.path().join("__init__.py"), b"").unwrap();
    assert!(matches!(scan(dir.path()), Err(ModelError::Empty { files: 1, .. })));
    assert!(matches!(scan(&dir.path().join("__init__.py")), Err(ModelError::Empty { .. })));
    assert!(matches!(scan(&dir.path().join("absent")), Err(ModelError::NotFound { .. })));
    fs::write(dir.path().join("model.bin"), b"w").unwrap();
    assert_eq!(paths(&scan(dir.path()).unwrap()), ["__init__.py", "model.bin"]);
}

#[test]
fn a_file_that_cannot_be_read_is_named_before_anything_is_packed() {
    use std::os::unix::fs::PermissionsExt;
    if rustix::process::geteuid().is_root() {
        eprintln!("SKIPPED: root can read everything");
        return;
    }
    let dir = folder(&["model.bin", "locked.bin"]);
    fs::set_permissions(dir.path().join("locked.bin"), fs::Permissions::from_mode(0o000)).unwrap();
    let error = scan(dir.path()).unwrap_err().to_string();
    assert!(error.starts_with("cannot read ") && error.ends_with("locked.bin"), "{error}");
}

#[test]
fn a_bottomless_folder_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir_all(dir.path().join("d/".repeat(MAX_DEPTH))).unwrap();
    fs::write(dir.path().join("d/".repeat(MAX_DEPTH)).join("model.bin"), b"w").unwrap();
    assert_eq!(scan(dir.path()).unwrap().files().len(), 1);
    fs::create_dir(dir.path().join("d/".repeat(MAX_DEPTH + 1))).unwrap();
    assert!(matches!(scan(dir.path()), Err(ModelError::TooDeep { .. })));
}

#[test]
fn executable_follows_the_owner_only() {
    use std::os::unix::fs::PermissionsExt;
    let dir = folder(&["a", "b"]);
    fs::set_permissions(dir.path().join("a"), fs::Permissions::from_mode(0o700)).unwrap();
    fs::set_permissions(dir.path().join("b"), fs::Permissions::from_mode(0o611)).unwrap();
    let tree = scan(dir.path()).unwrap();
    assert_eq!(tree.files().iter().map(|file| file.executable).collect::<Vec<_>>(), [true, false]);
}

#[test]
fn an_image_of_an_earlier_build_is_not_packed_again() {
    let dir = tempfile::tempdir().unwrap();
    let write = |path: &str| {
        let path = dir.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, "{}").unwrap();
    };
    for path in
        ["model.bin", "modelcar.oci/oci-layout", "modelcar.oci/index.json", "modelcar.oci/blobs/sha256/00", "sub/index.json", ".env"]
    {
        write(path);
    }
    let (files, notes) = Tree::scan(dir.path(), Links::Inside).unwrap().into_parts();
    assert_eq!(files.iter().map(|file| file.path.as_str()).collect::<Vec<_>>(), ["model.bin", "sub/index.json"]);
    assert!(notes.iter().any(|note| note.contains("modelcar.oci")) && notes.iter().any(|note| note.contains(".env")), "{notes:?}");
}

fn select(path: &Path, include: &[&str], exclude: &[&str]) -> Tree {
    let owned = |patterns: &[&str]| patterns.iter().map(|pattern| (*pattern).to_owned()).collect();
    let patterns = Patterns { include: owned(include), exclude: owned(exclude) };
    Tree::scan_selected(path, &ReadOptions { patterns, ..ReadOptions::default() }).unwrap()
}

fn write(dir: &tempfile::TempDir, path: &str, text: &str) {
    fs::write(dir.path().join(path), text).unwrap();
}

#[test]
fn the_patterns_of_all_folders_together_have_an_end() {
    let dir = folder(&["a/x", "b/x"]);
    let lines = |count: usize| "x*\n".repeat(count);
    write(&dir, "a/.modelignore", &lines(600));
    write(&dir, "b/.modelignore", &lines(400));
    assert!(!matches!(scan(dir.path()), Err(ModelError::IgnoreFile { .. })));
    write(&dir, "b/.modelignore", &lines(401));
    assert!(matches!(scan(dir.path()), Err(ModelError::IgnoreFile { line: 401, .. })));
}

#[test]
fn modelignore_is_honoured_in_every_folder_and_never_packed() {
    let dir = folder(&["a.tmp", "keep.tmp", "model.bin", "sub/a.tmp", "sub/b.bin", "sub/deep/b.bin", "logs/x", "logs/keep.tmp"]);
    write(&dir, ".modelignore", "# comment\n*.tmp\n!keep.tmp\nlogs/\n");
    write(&dir, "sub/.modelignore", "/b.bin\n!a.tmp\n");
    assert_eq!(paths(&select(dir.path(), &[], &[])), ["keep.tmp", "model.bin", "sub/a.tmp", "sub/deep/b.bin"]);
    let brought_back = select(dir.path(), &["logs/x", ".modelignore"], &["keep.tmp"]);
    assert_eq!(paths(&brought_back), ["logs/x", "model.bin", "sub/a.tmp", "sub/deep/b.bin"]);
    assert_eq!(brought_back.into_parts().1.iter().filter(|note| note.contains(".modelignore")).count(), 3, "a.tmp, logs/, sub/b.bin");
}

#[test]
fn patterns_that_cannot_be_read_are_named_with_their_line() {
    let dir = folder(&["model.bin"]);
    write(&dir, ".modelignore", "*.tmp\n[z-a]\n");
    let error = scan(dir.path()).unwrap_err().to_string();
    assert!(error.contains("cannot read line 2 of") && error.contains(".modelignore"), "{error}");
    write(&dir, ".modelignore", &"x".repeat(65 << 10));
    assert!(scan(dir.path()).unwrap_err().to_string().contains("larger than 65536 bytes"));
    write(&dir, ".modelignore", &"x\n".repeat(1001));
    assert!(scan(dir.path()).unwrap_err().to_string().contains("more than 1000 lines"));
}

#[test]
fn a_link_that_is_left_out_is_not_followed_and_one_to_a_folder_is_a_folder() {
    let secret = folder(&["token"]);
    let dir = folder(&["model.bin", "real/w.bin"]);
    symlink(secret.path(), dir.path().join("outside")).unwrap();
    symlink("nowhere", dir.path().join("broken")).unwrap();
    symlink("real", dir.path().join("again")).unwrap();
    write(&dir, ".modelignore", "outside/\nbroken\nagain/\n");
    assert_eq!(paths(&select(dir.path(), &[], &[])), ["model.bin", "real/w.bin"]);
    assert_eq!(paths(&select(dir.path(), &["again/w.bin", "token"], &[])), ["again/w.bin", "model.bin", "real/w.bin"]);
}

#[test]
fn patterns_that_are_a_link_out_of_the_folder_are_refused() {
    let secret = folder(&["token"]);
    let dir = folder(&["model.bin"]);
    symlink(secret.path().join("token"), dir.path().join(".modelignore")).unwrap();
    assert!(matches!(scan(dir.path()), Err(ModelError::LinkLeaves { .. })));
}

#[test]
fn the_same_weights_once_more_are_left_out_told_and_brought_back() {
    let dir = folder(&[
        "config.json",
        "model.safetensors",
        "original/consolidated.00.pth",
        "original/params.json",
        "pytorch_model.bin",
        "onnx/model.onnx",
    ]);
    let tree = select(dir.path(), &[], &[]);
    assert_eq!(paths(&tree), ["config.json", "model.safetensors", "onnx/model.onnx"]);
    assert_eq!(
        tree.into_parts().1,
        [
            "left out original/ (2 files, 48 B): the weights are there as safetensors",
            "left out pytorch_model.bin: the weights are there as safetensors"
        ]
    );
    let whole = ["config.json", "model.safetensors", "onnx/model.onnx", "original/consolidated.00.pth", "original/params.json"];
    assert_eq!(paths(&select(dir.path(), &["original/"], &[])), whole);
    assert_eq!(
        paths(&select(dir.path(), &["original/params.json"], &["*.onnx"])),
        ["config.json", "model.safetensors", "original/params.json"]
    );
}

#[test]
fn without_safetensors_other_weights_are_the_model() {
    let all = ["config.json", "original/x.pth", "pytorch_model.bin"];
    assert_eq!(paths(&select(folder(&all).path(), &[], &[])), all);
}

#[test]
fn a_cache_of_hugging_face_stands_for_its_snapshot() {
    let hub = folder(&["models--o--m/blobs/0a1b", "models--o--m/snapshots/old/config.json"]);
    let repository = hub.path().join("models--o--m");
    for (path, text) in [("refs/main", "abc"), ("snapshots/abc/x.json", "x")] {
        fs::create_dir_all(repository.join(path).parent().unwrap()).unwrap();
        fs::write(repository.join(path), text).unwrap();
    }
    symlink("../../blobs/0a1b", repository.join("snapshots/abc/model.bin")).unwrap();
    let tree = scan(&repository).unwrap();
    assert_eq!(paths(&tree), ["model.bin", "x.json"]);
    assert_eq!(tree.shown("x.json"), repository.join("snapshots/abc/x.json"));
    assert_eq!(tree.into_parts().1, ["a Hugging Face cache: took the snapshot abc, to which refs/main points"]);
}
