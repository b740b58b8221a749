//! A layout is valid at every moment, whoever writes it and however the writer ends, and other tools read it.

use std::fs;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use modelcar::oci::{Descriptor, Location, media_type};
use modelcar::store::layout::LayoutStore;
use modelcar::store::{Access, BlobSource, Store, StoreError, read_blob, resolve};

use crate::support::images::{layer, put, put_image, put_index, tag};
use crate::support::{clean_command, need, run, stdout_of, temp_dir};

const DIR: &str = "MODELCAR_TEST_LAYOUT";

fn writer(dir: &Path) -> LayoutStore {
    LayoutStore::open(dir, Access::Write).unwrap()
}

fn reader(dir: &Path) -> LayoutStore {
    LayoutStore::open(dir, Access::Read).unwrap()
}

fn drafts_in(dir: &Path) -> usize {
    let files = walkdir::WalkDir::new(dir).into_iter().map(Result::unwrap);
    files.filter(|file| file.file_name().to_string_lossy().starts_with(".modelcar-")).count()
}

#[test]
fn skopeo_and_umoci_read_what_we_write() {
    let (Some(skopeo), Some(umoci)) = (need("skopeo"), need("umoci")) else { return };
    let home = temp_dir();
    let dir = home.path().join("layout");
    let image = put_image(&writer(&dir), b"weights", "amd64", Some("v1"));
    put_index(&writer(&dir), b"weights", "quay.io/org/m:v2");
    let at = |name: &str| format!("oci:{}:{name}", dir.display());
    let raw = run(clean_command(&skopeo, home.path()).args(["inspect", "--raw", &at("v1")])).stdout;
    assert_eq!(raw, image.bytes);
    let copy = format!("oci:{}:copied", home.path().join("copy").display());
    run(clean_command(&skopeo, home.path()).args(["--insecure-policy", "copy", "--all", &at("quay.io/org/m:v2"), &copy]));
    let listed = stdout_of(clean_command(&umoci, home.path()).args(["list", "--layout"]).arg(&dir));
    assert_eq!(listed.lines().collect::<Vec<_>>(), ["quay.io/org/m:v2", "v1"]);
    let bundle = home.path().join("bundle");
    run(clean_command(&umoci, home.path()).args(["raw", "unpack", "--rootless", "--image", &format!("{}:v1", dir.display())]).arg(&bundle));
    assert_eq!(fs::read(bundle.join("models/model.bin")).unwrap(), b"weights");
}

#[test]
fn reads_and_extends_what_skopeo_writes() {
    let Some(skopeo) = need("skopeo") else { return };
    let home = temp_dir();
    let (ours, theirs) = (home.path().join("ours"), home.path().join("theirs"));
    let index = put_index(&writer(&ours), b"weights", "v1");
    let image = put_image(&writer(&ours), b"other", "amd64", Some("other"));
    let copy = |from: &str, to: &str| {
        let (from, to) = (format!("oci:{}:{from}", ours.display()), format!("oci:{}{to}", theirs.display()));
        run(clean_command(&skopeo, home.path()).args(["--insecure-policy", "copy", "--preserve-digests", "--all", &from, &to]));
    };
    copy("v1", "");
    let location = Location::Layout { dir: theirs.clone(), image: None };
    assert_eq!(resolve(&reader(&theirs), &location).unwrap().1, index);
    copy("other", ":quay.io/org/m:v1");
    put_image(&writer(&theirs), b"third", "amd64", Some("third"));
    assert_eq!(reader(&theirs).get_manifest(&tag("quay.io/org/m:v1")).unwrap(), image);
    assert_eq!(reader(&theirs).tags().unwrap(), ["quay.io/org/m:v1", "third"]);
    let bytes = layer(b"weights");
    assert_eq!(read_blob(&reader(&theirs), &Descriptor::of(media_type::LAYER_TAR, &bytes), 1 << 20).unwrap(), bytes);
}

/// Runs one of the `#[ignore]`d tests below in a process of its own.
fn child(test: &str, dir: &Path) -> Child {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "--ignored", "--nocapture", &format!("layout::{test}")]).env(DIR, dir);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap()
}

fn layout_of_parent() -> PathBuf {
    std::env::var_os(DIR).expect("only started by another test").into()
}

#[test]
fn loses_no_name_to_writers_in_other_processes() {
    let home = temp_dir();
    let dir = home.path().join("layout");
    let children: Vec<Child> = (0..4).map(|_| child("child_that_puts_ten_images", &dir)).collect();
    for child in children {
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    }
    assert_eq!(reader(&dir).tags().unwrap().len(), 40);
    assert_eq!(drafts_in(&dir), 0);
}

#[test]
#[ignore = "started by loses_no_name_to_writers_in_other_processes"]
fn child_that_puts_ten_images() {
    let store = writer(&layout_of_parent());
    for number in 0..10 {
        put_image(&store, b"weights", "amd64", Some(&format!("{}-{number}", std::process::id())));
    }
}

#[test]
fn a_writer_killed_in_the_middle_leaves_a_valid_layout_and_its_rest_is_swept() {
    let home = temp_dir();
    let dir = home.path().join("layout");
    let before = put_image(&writer(&dir), b"weights", "amd64", Some("v1"));
    let mut child = child("child_that_stops_in_the_middle_of_a_blob", &dir);
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
    assert!(lines.any(|line| line.contains("in the middle")));
    put(&writer(&dir), "", b"a living writer's draft is left alone");
    assert_eq!(drafts_in(&dir), 1);
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(reader(&dir).get_manifest(&tag("v1")).unwrap(), before);
    assert_eq!(drafts_in(&dir), 1);
    put_image(&writer(&dir), b"next", "amd64", Some("v2"));
    assert_eq!(drafts_in(&dir), 0);
}

#[test]
#[ignore = "started by a_writer_killed_in_the_middle_leaves_a_valid_layout_and_its_rest_is_swept"]
fn child_that_stops_in_the_middle_of_a_blob() {
    struct Stopping;
    impl BlobSource for Stopping {
        fn open(&self) -> io::Result<Box<dyn Read + Send>> {
            Ok(Box::new(io::repeat(7).take(1 << 20).chain(UntilKilled)))
        }
    }
    struct UntilKilled;
    impl Read for UntilKilled {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            writeln!(io::stdout(), "\nin the middle")?;
            io::stdin().read(buffer)
        }
    }
    let blob = Descriptor::of("", &vec![7; 2 << 20]);
    writer(&layout_of_parent()).put_blob(&blob, &Stopping).unwrap_err();
}

/// A file system of one MiB; gone when dropped.
pub(crate) struct SmallDisk(tempfile::TempDir);

impl SmallDisk {
    pub(crate) fn mount() -> Option<Self> {
        let dir = temp_dir();
        let status =
            Command::new("mount").args(["-t", "tmpfs", "-o", "size=1m", "modelcar-test"]).arg(dir.path()).stderr(Stdio::null()).status();
        if status.is_ok_and(|status| status.success()) {
            return Some(Self(dir));
        }
        let required = std::env::var_os("MODELCAR_REQUIRE_PEERS").is_some_and(|value| value == "1");
        assert!(!required, "mount not permitted, and MODELCAR_REQUIRE_PEERS=1");
        writeln!(io::stderr(), "SKIPPED: mount not permitted").expect("standard error is open");
        None
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(self.path()).status();
    }
}

#[test]
fn a_full_disk_leaves_the_layout_as_it_was() {
    let Some(disk) = SmallDisk::mount() else { return };
    let dir = disk.path().join("layout");
    let store = writer(&dir);
    let before = put_image(&store, b"weights", "amd64", Some("v1"));
    let big = vec![7; 2 << 20];
    let error = store.put_blob(&Descriptor::of("", &big), &big).unwrap_err();
    assert!(matches!(&error, StoreError::Io { source, .. } if source.kind() == io::ErrorKind::StorageFull), "{error}");
    assert!(error.to_string().starts_with(&format!("cannot write {}", dir.display())), "{error}");
    assert!(error.hint().unwrap().contains("free some space"));
    assert_eq!(drafts_in(&dir), 0);
    assert_eq!(reader(&dir).get_manifest(&tag("v1")).unwrap(), before);
    put_image(&store, &vec![1; 300_000], "amd64", Some("v2"));
}
