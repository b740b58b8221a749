use std::fs;
use std::process::Command;

use tempfile::{TempDir, tempdir};

use super::*;
use crate::oci::tar_header::{EntryKind, TRAILER, header, padding};
use crate::oci::{Location, media_type};
use crate::store::layout::index::OCI_LAYOUT;
use crate::store::resolve;
use crate::store::testing::{faulty_sources, put, put_image, put_index, put_referrer, read_all, tag};

fn archive() -> (TempDir, PathBuf, ArchiveStore) {
    let dir = tempdir().unwrap();
    let file = dir.path().join("m.tar");
    let store = writer(&file);
    (dir, file, store)
}

fn writer(file: &Path) -> ArchiveStore {
    ArchiveStore::open(file, Access::Write).unwrap()
}

fn reader(file: &Path) -> ArchiveStore {
    ArchiveStore::open(file, Access::Read).unwrap()
}

/// A tar of these files.
fn tar_of(entries: &[(&str, &[u8])]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (path, content) in entries {
        bytes.extend(header(path, EntryKind::File { size: content.len() as u64, executable: false }, 0));
        bytes.extend_from_slice(content);
        bytes.resize(bytes.len() + usize::try_from(padding(content.len() as u64)).unwrap(), 0);
    }
    bytes.extend(TRAILER);
    bytes
}

/// What opening these bytes says.
fn refusal(bytes: &[u8]) -> String {
    let dir = tempdir().unwrap();
    let file = dir.path().join("f.tar");
    fs::write(&file, bytes).unwrap();
    ArchiveStore::open(&file, Access::Read).err().expect("must be refused").to_string()
}

fn names_in(dir: &TempDir) -> Vec<String> {
    fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

#[test]
fn shows_nothing_before_the_commit_and_everything_after() {
    let (dir, file, store) = archive();
    let manifest = put_index(&store, &["a", "b"], "quay.io/o/m:v1");
    let referrer = put_referrer(&store, &manifest, "bundle");
    assert_eq!(store.get_manifest(&tag("v1")).unwrap(), manifest);
    assert!(!file.exists());
    store.commit().unwrap();
    assert_eq!(names_in(&dir), ["m.tar"]);
    let store = reader(&file);
    let location = Location::Archive { file, image: None };
    assert_eq!(resolve(&store, &location).unwrap(), (tag("quay.io/o/m:v1"), manifest.clone()));
    assert_eq!(store.referrers(&manifest.digest()).unwrap()[0].digest, referrer.digest());
    assert_eq!(read_all(&store, &Descriptor::of("", b"a")).unwrap(), b"a");
}

#[test]
fn leaves_no_trace_without_a_commit() {
    let (dir, _, store) = archive();
    put_image(&store, "a", "v1");
    assert_eq!(names_in(&dir).len(), 1);
    drop(store);
    assert!(names_in(&dir).is_empty());
    assert!(!fs::exists(dir.path().join("m.tar")).unwrap());
}

#[test]
fn keeps_the_old_archive_until_the_commit_and_its_images_after() {
    let (_dir, file, store) = archive();
    put_image(&store, "a", "v1");
    store.commit().unwrap();
    let before = fs::read(&file).unwrap();
    let second = writer(&file);
    put_image(&second, "b", "v2");
    assert_eq!(fs::read(&file).unwrap(), before);
    second.commit().unwrap();
    let store = reader(&file);
    assert_eq!(store.tags().unwrap(), ["v1", "v2"]);
    for content in ["a", "b"] {
        assert_eq!(read_all(&store, &Descriptor::of("", content.as_bytes())).unwrap(), content.as_bytes());
    }
}

#[test]
fn goes_on_after_a_commit() {
    let (_dir, file, store) = archive();
    for content in ["a", "b", "c"] {
        put_image(&store, content, content);
        store.commit().unwrap();
        store.commit().unwrap();
    }
    assert_eq!(reader(&file).tags().unwrap(), ["a", "b", "c"]);
}

#[test]
fn rewrites_nothing_that_is_there_already() {
    let (dir, file, store) = archive();
    put_image(&store, "a", "v1");
    store.commit().unwrap();
    let again = writer(&file);
    put_image(&again, "a", "v1");
    assert_eq!(names_in(&dir), ["m.tar"]);
}

#[test]
fn gives_equal_bytes_for_equal_images() {
    let build = || {
        let (_dir, file, store) = archive();
        put_index(&store, &["a", "b"], "v1");
        store.commit().unwrap();
        fs::read(file).unwrap()
    };
    assert_eq!(build(), build());
}

#[test]
fn leaves_nothing_of_a_faulty_source() {
    let (_dir, file, store) = archive();
    let (_other_dir, other_file, other) = archive();
    put_image(&store, "a", "v1");
    put_image(&other, "a", "v1");
    for (name, blob, source) in faulty_sources() {
        assert!(matches!(store.put_blob(&blob, source.as_ref()), Err(StoreError::Source { .. })), "{name}");
        assert!(!store.has_blob(&blob).unwrap(), "{name}");
    }
    store.commit().unwrap();
    other.commit().unwrap();
    assert_eq!(fs::read(file).unwrap(), fs::read(other_file).unwrap());
}

#[test]
fn a_new_blob_gives_the_archive_that_a_known_one_gives() {
    let (_dir, file, store) = archive();
    let (_other_dir, other_file, other) = archive();
    for (name, blob, source) in faulty_sources().into_iter().filter(|(name, ..)| *name != "changed") {
        assert!(matches!(store.put_new_blob(blob.size, source.as_ref()), Err(StoreError::Unhashed { .. })), "{name}");
    }
    for bytes in [vec![7; 400_000], b"small".to_vec(), Vec::new()] {
        let blob = put(&other, "", &bytes);
        for time in ["first", "second"] {
            assert_eq!(store.put_new_blob(blob.size, &bytes).unwrap(), blob.digest, "{time} time");
        }
        assert_eq!(read_all(&store, &blob).unwrap(), bytes);
    }
    put_image(&store, "a", "v1");
    put_image(&other, "a", "v1");
    store.commit().unwrap();
    other.commit().unwrap();
    assert!(fs::read(file).unwrap() == fs::read(other_file).unwrap());
}

#[test]
fn overwrites_nobody_elses_archive() {
    let (dir, file, store) = archive();
    let rival = writer(&file);
    put_image(&store, "a", "v1");
    put_image(&rival, "b", "v2");
    rival.commit().unwrap();
    let error = store.commit().unwrap_err();
    assert_eq!(error.exit_code(), crate::exit_code::CONFLICT, "{error}");
    assert_eq!(reader(&file).tags().unwrap(), ["v2"]);
    assert_eq!(names_in(&dir), ["m.tar"]);
}

#[test]
fn takes_the_place_of_an_empty_file_and_keeps_its_mode() {
    use std::os::unix::fs::PermissionsExt;
    let dir = tempdir().unwrap();
    let file = dir.path().join("m.tar");
    fs::write(&file, "").unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
    let store = writer(&file);
    put_image(&store, "a", "v1");
    store.commit().unwrap();
    assert_eq!(reader(&file).tags().unwrap(), ["v1"]);
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
}

#[test]
fn replaces_what_a_link_points_to() {
    let (dir, file, store) = archive();
    put_image(&store, "a", "v1");
    store.commit().unwrap();
    let link = dir.path().join("link.tar");
    std::os::unix::fs::symlink(&file, &link).unwrap();
    let store = writer(&link);
    put_image(&store, "b", "v2");
    store.commit().unwrap();
    assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
    assert_eq!(reader(&file).tags().unwrap(), ["v1", "v2"]);
}

#[test]
fn loses_no_blob_of_parallel_puts() {
    let (_dir, file, store) = archive();
    std::thread::scope(|scope| {
        for number in 0..8 {
            let store = &store;
            scope.spawn(move || put_image(store, &format!("content {number}"), &format!("v{number}")));
        }
    });
    store.commit().unwrap();
    let store = reader(&file);
    for number in 0..8 {
        store.get_manifest(&tag(&format!("v{number}"))).unwrap();
        read_all(&store, &Descriptor::of("", format!("content {number}").as_bytes())).unwrap();
    }
}

#[test]
fn takes_a_source_that_reads_from_the_same_archive() {
    struct Own<'a>(&'a ArchiveStore, Descriptor);
    impl BlobSource for Own<'_> {
        fn open(&self) -> std::io::Result<Box<dyn Read + Send>> {
            Ok(Box::new(self.0.get_blob(&self.1).map_err(std::io::Error::other)?.chain(&b"!"[..])))
        }
    }
    let (_dir, _, store) = archive();
    let blob = put(&store, "", b"x");
    store.put_blob(&Descriptor::of("", b"x!"), &Own(&store, blob)).unwrap();
}

#[test]
fn notices_flipped_bytes() {
    let (_dir, file, store) = archive();
    put_image(&store, "weights", "v1");
    store.commit().unwrap();
    let mut bytes = fs::read(&file).unwrap();
    let at = bytes.windows(7).position(|window| window == b"weights").unwrap();
    // The first is in the config; both are covered by a digest.
    let last = bytes.windows(7).rposition(|window| window == b"weights").unwrap();
    (bytes[at], bytes[last]) = (b'W', b'W');
    fs::write(&file, bytes).unwrap();
    let error = read_all(&reader(&file), &Descriptor::of("", b"weights")).unwrap_err();
    assert_eq!(error.exit_code(), crate::exit_code::REFUSED);
}

#[test]
fn notices_where_an_archive_was_cut() {
    let (_dir, file, store) = archive();
    put_image(&store, "weights", "v1");
    store.commit().unwrap();
    let whole = fs::read(&file).unwrap();
    let open_cut = |length: usize| {
        fs::write(&file, &whole[..length]).unwrap();
        ArchiveStore::open(&file, Access::Read)
    };
    for length in (0..=whole.len() - TRAILER.len()).step_by(256) {
        assert!(open_cut(length).is_err(), "{length} of {}", whole.len());
    }
    assert!(open_cut(whole.len() - 512).is_ok());
}

#[test]
fn refuses_what_is_no_archive() {
    let dir = tempdir().unwrap();
    let open = |path: &Path| ArchiveStore::open(path, Access::Read).err().unwrap().to_string();
    assert!(open(&dir.path().join("none.tar")).starts_with("there is no OCI layout at"));
    assert!(open(dir.path()).ends_with("it is a directory, not a tar file"));
    assert!(refusal(b"\x1f\x8b\x08\0").ends_with("is compressed with gzip"));
    assert!(refusal(b"\x28\xb5\x2f\xfd").ends_with("is compressed with zstd"));
    assert!(refusal(&[b'x'; 2048]).contains("a header's checksum is wrong at byte 0"));
    assert!(refusal(&TRAILER).ends_with("it has no file `oci-layout`"));
    assert!(refusal(&tar_of(&[("oci-layout", OCI_LAYOUT)])).ends_with("it has no file `index.json`"));
    assert!(refusal(&tar_of(&[("manifest.json", b"[]"), ("repositories", b"{}")])).ends_with("is a docker-archive"));
}

#[test]
fn refuses_hostile_entries() {
    let layout = |extra: (&'static str, &'static [u8])| refusal(&tar_of(&[("oci-layout", OCI_LAYOUT), extra]));
    assert!(layout(("../evil", b"x")).contains("a path leads out of the archive at byte 1024"));
    assert!(layout(("/etc/cron.d/x", b"x")).contains("a path leads out"));
    let dir = EntryKind::Directory;
    assert!(refusal(&[header("index.json", dir, 0), TRAILER.to_vec()].concat()).contains("a link or device stands for a file"));
    let huge = EntryKind::File { size: u64::MAX >> 1, executable: false };
    assert!(refusal(&[header("x", huge, 0), TRAILER.to_vec()].concat()).contains("it is cut short"));
    let big = vec![b' '; usize::try_from(super::super::MAX_MANIFEST).unwrap() + 1];
    assert!(refusal(&tar_of(&[("oci-layout", OCI_LAYOUT), ("index.json", &big)])).contains("is too large"));
    assert!(refusal(&header("x", EntryKind::File { size: 0, executable: false }, 0).repeat(65_537)).contains("too many entries"));
}

#[test]
fn reads_archives_of_other_tar_programs() {
    let (dir, file, store) = archive();
    let manifest = put_image(&store, "weights", "v1");
    store.commit().unwrap();
    let at = |name: &str| dir.path().join(name);
    fs::create_dir(at("x")).unwrap();
    tar::Archive::new(fs::File::open(&file).unwrap()).unpack(at("x")).unwrap();
    let mut read = 0;
    for format in ["gnu", "ustar", "pax", "v7"] {
        let other = at(&format!("{format}.tar"));
        let Ok(status) =
            Command::new("tar").arg(format!("--format={format}")).arg("-cf").arg(&other).arg("-C").arg(at("x")).arg(".").status()
        else {
            eprintln!("SKIPPED: tar not found");
            return;
        };
        assert!(status.success());
        let store = reader(&other);
        assert_eq!(store.get_manifest(&tag("v1")).unwrap(), manifest, "{format}");
        assert_eq!(read_all(&store, &Descriptor::of(media_type::LAYER_TAR, b"weights")).unwrap(), b"weights");
        read += 1;
    }
    assert_eq!(read, 4);
}

#[test]
fn writes_nothing_when_opened_to_be_read() {
    let (_dir, file, store) = archive();
    put_image(&store, "a", "v1");
    store.commit().unwrap();
    let error = reader(&file).put_blob(&Descriptor::of("", b"x"), &b"x".to_vec()).unwrap_err();
    assert!(matches!(error, StoreError::Layout(LayoutError::ReadOnly { .. })));
}

#[test]
fn sweeps_what_a_killed_writer_left_and_spares_a_living_one() {
    let (dir, file, store) = archive();
    fs::write(dir.path().join(".modelcar-dead.tmp"), "half").unwrap();
    put_image(&store, "a", "v1");
    assert_eq!(names_in(&dir).len(), 1);
    let other = writer(&dir.path().join("other.tar"));
    put_image(&other, "b", "v1");
    store.commit().unwrap();
    other.commit().unwrap();
    assert_eq!(reader(&file).tags().unwrap(), ["v1"]);
}
