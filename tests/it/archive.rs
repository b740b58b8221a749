//! An oci-archive is whole or not there, and other tools read it.

use std::fs;
use std::io;
use std::path::Path;

use modelcar::oci::{Descriptor, Location, media_type};
use modelcar::store::archive::ArchiveStore;
use modelcar::store::{Access, Store, StoreError, read_blob, resolve};

use crate::layout::SmallDisk;
use crate::support::images::{layer, put_image, put_index, tag};
use crate::support::{clean_command, need, run, stdout_of, temp_dir};

fn writer(file: &Path) -> ArchiveStore {
    ArchiveStore::open(file, Access::Write).unwrap()
}

fn reader(file: &Path) -> ArchiveStore {
    ArchiveStore::open(file, Access::Read).unwrap()
}

#[test]
fn skopeo_and_gnu_tar_read_what_we_write() {
    let (Some(skopeo), Some(tar)) = (need("skopeo"), need("tar")) else { return };
    let home = temp_dir();
    let file = home.path().join("m.tar");
    let store = writer(&file);
    let index = put_index(&store, b"weights", "v1");
    store.commit().unwrap();
    let at = format!("oci-archive:{}:v1", file.display());
    assert_eq!(run(clean_command(&skopeo, home.path()).args(["inspect", "--raw", &at])).stdout, index.bytes);
    let copy = format!("oci:{}:v1", home.path().join("copy").display());
    run(clean_command(&skopeo, home.path()).args(["--insecure-policy", "copy", "--all", &at, &copy]));
    let listed = stdout_of(clean_command(&tar, home.path()).arg("-tf").arg(&file));
    assert_eq!((listed.lines().next(), listed.lines().last()), (Some("oci-layout"), Some("index.json")));
}

#[test]
fn reads_and_extends_what_skopeo_writes() {
    let Some(skopeo) = need("skopeo") else { return };
    let home = temp_dir();
    let (ours, theirs) = (home.path().join("ours.tar"), home.path().join("theirs.tar"));
    let store = writer(&ours);
    let index = put_index(&store, b"weights", "v1");
    store.commit().unwrap();
    let (from, to) = (format!("oci-archive:{}", ours.display()), format!("oci-archive:{}:quay.io/org/m:v1", theirs.display()));
    run(clean_command(&skopeo, home.path()).args(["--insecure-policy", "copy", "--preserve-digests", "--all", &from, &to]));
    let location = Location::Archive { file: theirs.clone(), image: None };
    assert_eq!(resolve(&reader(&theirs), &location).unwrap(), (tag("quay.io/org/m:v1"), index.clone()));
    let store = writer(&theirs);
    put_image(&store, b"second", "amd64", Some("v2"));
    store.commit().unwrap();
    let raw = run(clean_command(&skopeo, home.path()).args(["inspect", "--raw", &to])).stdout;
    assert_eq!(raw, index.bytes);
    let bytes = layer(b"weights");
    assert_eq!(read_blob(&reader(&theirs), &Descriptor::of(media_type::LAYER_TAR, &bytes), 1 << 20).unwrap(), bytes);
}

#[test]
fn names_the_converter_for_a_docker_archive() {
    let Some(skopeo) = need("skopeo") else { return };
    let home = temp_dir();
    let (ours, docker) = (home.path().join("ours.tar"), home.path().join("docker.tar"));
    let store = writer(&ours);
    put_image(&store, b"weights", "amd64", Some("v1"));
    store.commit().unwrap();
    let (from, to) = (format!("oci-archive:{}", ours.display()), format!("docker-archive:{}:org/m:v1", docker.display()));
    run(clean_command(&skopeo, home.path()).args(["--insecure-policy", "copy", &from, &to]));
    let error = ArchiveStore::open(&docker, Access::Read).err().unwrap();
    assert!(error.to_string().ends_with("is a docker-archive"), "{error}");
    let hint = error.hint().unwrap();
    assert!(hint.contains(&format!("skopeo copy docker-archive:{}", docker.display())), "{hint}");
}

#[test]
fn a_full_disk_leaves_the_archive_as_it_was() {
    let Some(disk) = SmallDisk::mount() else { return };
    let file = disk.path().join("m.tar");
    let store = writer(&file);
    let before = put_image(&store, &vec![1; 100_000], "amd64", Some("v1"));
    store.commit().unwrap();
    let bytes = fs::read(&file).unwrap();
    let store = writer(&file);
    let big = vec![7; 2 << 20];
    let error = store.put_blob(&Descriptor::of("", &big), &big).unwrap_err();
    assert!(matches!(&error, StoreError::Io { source, .. } if source.kind() == io::ErrorKind::StorageFull), "{error}");
    // What failed has given its room back.
    put_image(&store, &vec![2; 400_000], "amd64", Some("v2"));
    store.commit().unwrap();
    assert_ne!(fs::read(&file).unwrap(), bytes);
    assert_eq!(reader(&file).get_manifest(&tag("v1")).unwrap(), before);
    assert_eq!(fs::read_dir(disk.path()).unwrap().count(), 1);
}
