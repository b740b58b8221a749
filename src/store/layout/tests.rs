use std::os::unix::fs::symlink;

use tempfile::{TempDir, tempdir};

use super::*;
use crate::oci::{ImageIndex, ImageManifest, Location, media_type};
use crate::store::resolve;
use crate::store::testing::{faulty_sources, image, put, put_image, put_index, put_referrer, read_all, tag};

fn writer(dir: &Path) -> LayoutStore {
    LayoutStore::open(dir, Access::Write).unwrap()
}

fn reader(dir: &Path) -> LayoutStore {
    LayoutStore::open(dir, Access::Read).unwrap()
}

fn refusal(outcome: Result<LayoutStore, StoreError>) -> String {
    outcome.err().expect("must be refused").to_string()
}

/// All files below a directory, sorted.
fn files_in(dir: &Path) -> Vec<String> {
    let entries =
        walkdir::WalkDir::new(dir).sort_by_file_name().into_iter().map(Result::unwrap).filter(|entry| !entry.file_type().is_dir());
    entries.map(|entry| entry.path().strip_prefix(dir).unwrap().to_str().unwrap().to_owned()).collect()
}

fn layout() -> (TempDir, LayoutStore) {
    let dir = tempdir().unwrap();
    let store = writer(dir.path());
    (dir, store)
}

#[test]
fn gives_back_what_was_put() {
    let (dir, store) = layout();
    let manifest = put_image(&store, "weights", "quay.io/org/m:v1");
    let store = reader(dir.path());
    assert_eq!(store.get_manifest(&tag("quay.io/org/m:v1")).unwrap(), manifest);
    assert_eq!(store.get_manifest(&tag("v1")).unwrap(), manifest);
    assert_eq!(store.get_manifest(&ManifestRef::Digest(manifest.digest())).unwrap(), manifest);
    assert_eq!(store.tags().unwrap(), ["quay.io/org/m:v1"]);
    assert_eq!(read_all(&store, &Descriptor::of("", b"weights")).unwrap(), b"weights");
    assert_eq!(fs::read(dir.path().join("oci-layout")).unwrap(), index::OCI_LAYOUT);
}

#[test]
fn creates_nothing_before_the_first_put() {
    let dir = tempdir().unwrap();
    let path = dir.path().join("a/b");
    let store = writer(&path);
    assert!(store.tags().unwrap().is_empty());
    assert!(!store.has_blob(&Descriptor::of("", b"x")).unwrap());
    assert!(!dir.path().join("a").exists());
    put(&store, "", b"x");
    assert!(reader(&path).tags().unwrap().is_empty());
}

#[test]
fn never_litters_a_folder_of_the_users() {
    let dir = tempdir().unwrap();
    fs::write(dir.path().join("model.onnx"), "x").unwrap();
    let error = LayoutStore::open(dir.path(), Access::Write).err().unwrap();
    assert!(error.to_string().ends_with("holds other files and is not an OCI layout"), "{error}");
    assert_eq!(files_in(dir.path()), ["model.onnx"]);
}

#[test]
fn refuses_a_folder_that_fills_up_between_open_and_the_first_put() {
    let (dir, store) = layout();
    fs::write(dir.path().join("model.onnx"), "x").unwrap();
    assert!(store.put_blob(&Descriptor::of("", b"x"), &b"x".to_vec()).is_err());
    assert_eq!(files_in(dir.path()), ["model.onnx"]);
}

#[test]
fn says_what_is_there_instead_of_a_layout() {
    let dir = tempdir().unwrap();
    let file = dir.path().join("f.tar");
    fs::write(&file, "x").unwrap();
    let open = |path: &Path| LayoutStore::open(path, Access::Read);
    assert!(refusal(open(&dir.path().join("none"))).starts_with("there is no OCI layout at"));
    assert!(refusal(open(dir.path())).ends_with("it has no file `oci-layout`"));
    assert!(refusal(open(&file)).ends_with("it is not a directory"));
    assert!(refusal(LayoutStore::open(&file, Access::Write)).ends_with("it is not a directory"));
    assert_eq!(open(&file).err().unwrap().hint().unwrap(), format!("for a tar file write oci-archive:{}", file.display()));
}

#[test]
fn refuses_foreign_documents_it_cannot_trust() {
    let (dir, store) = layout();
    put(&store, "", b"x");
    let at = |name: &str| dir.path().join(name);
    let open = || refusal(LayoutStore::open(dir.path(), Access::Read));
    fs::write(at("index.json"), "{").unwrap();
    assert!(open().ends_with("cannot be read"));
    File::create(at("index.json")).unwrap().set_len(MAX_MANIFEST + 1).unwrap();
    assert!(open().contains("is too large"));
    fs::remove_file(at("index.json")).unwrap();
    assert!(open().ends_with("it has no file `index.json`"));
    symlink("/dev/zero", at("index.json")).unwrap();
    assert!(open().ends_with("is not a regular file"));
    fs::write(at("oci-layout"), r#"{"imageLayoutVersion":"9"}"#).unwrap();
    assert!(open().contains("layout version `9`"));
}

#[test]
fn leaves_nothing_of_a_faulty_source() {
    let (dir, store) = layout();
    put_image(&store, "before", "v1");
    let before = files_in(dir.path());
    for (name, blob, source) in faulty_sources() {
        let error = store.put_blob(&blob, source.as_ref()).unwrap_err();
        assert!(matches!(error, StoreError::Source { .. }), "{name}: {error}");
        assert_eq!(files_in(dir.path()), before, "{name}");
    }
}

#[test]
fn a_new_blob_is_named_by_the_bytes_that_came_and_leaves_nothing_where_they_did_not() {
    let (dir, store) = layout();
    put(&store, "", b"first");
    let before = files_in(dir.path());
    for (name, blob, source) in faulty_sources().into_iter().filter(|(name, ..)| *name != "changed") {
        let error = store.put_new_blob(blob.size, source.as_ref()).unwrap_err();
        assert!(matches!(error, StoreError::Unhashed { size: 400_000, .. }), "{name}: {error}");
        assert_eq!(files_in(dir.path()), before, "{name}");
    }
    for bytes in [vec![7; 400_000], b"first".to_vec(), Vec::new()] {
        let blob = Descriptor::of("", &bytes);
        assert_eq!(store.put_new_blob(blob.size, &bytes).unwrap(), blob.digest);
        assert_eq!(read_all(&store, &blob).unwrap(), bytes);
    }
    assert_eq!(files_in(dir.path()).len(), before.len() + 2);
}

#[test]
fn replaces_a_blob_that_another_tool_cut_short() {
    let (dir, store) = layout();
    let blob = put(&store, "", b"whole");
    let path = dir.path().join("blobs/sha256").join(blob.digest.hex());
    fs::write(&path, "who").unwrap();
    assert!(!store.has_blob(&blob).unwrap());
    put(&store, "", b"whole");
    assert_eq!(fs::read(path).unwrap(), b"whole");
}

#[test]
fn keeps_the_bytes_of_a_blob_that_is_there() {
    let (dir, store) = layout();
    let blob = put(&store, "", b"x");
    let inode = || std::os::unix::fs::MetadataExt::ino(&fs::metadata(dir.path().join("blobs/sha256").join(blob.digest.hex())).unwrap());
    let before = inode();
    store.put_blob(&blob, &crate::store::testing::Unreadable).unwrap();
    assert_eq!(inode(), before);
}

#[test]
fn notices_a_flipped_byte_at_the_end_of_the_stream() {
    let (dir, store) = layout();
    let blob = put(&store, "", b"weights");
    fs::write(dir.path().join("blobs/sha256").join(blob.digest.hex()), "weightz").unwrap();
    let error = read_all(&store, &blob).unwrap_err();
    assert_eq!(error.exit_code(), crate::exit_code::REFUSED);
    fs::write(dir.path().join("blobs/sha256").join(blob.digest.hex()), "weight").unwrap();
    assert_eq!(store.get_blob(&blob).err().unwrap().exit_code(), crate::exit_code::REFUSED);
}

#[test]
fn reads_no_blob_through_a_link() {
    let (dir, store) = layout();
    let blob = put(&store, "", b"x");
    let path = dir.path().join("blobs/sha256").join(blob.digest.hex());
    let outside = tempdir().unwrap();
    fs::rename(&path, outside.path().join("id_ed25519")).unwrap();
    symlink(outside.path().join("id_ed25519"), &path).unwrap();
    for error in [store.get_blob(&blob).err().unwrap(), store.has_blob(&blob).unwrap_err()] {
        assert!(matches!(error, StoreError::Layout(LayoutError::NotRegular { .. })), "{error}");
    }
}

#[test]
fn reads_blobs_through_a_shared_blob_directory() {
    let (dir, store) = layout();
    let blob = put(&store, "", b"x");
    fs::rename(dir.path().join("blobs"), dir.path().join("elsewhere")).unwrap();
    symlink("elsewhere", dir.path().join("blobs")).unwrap();
    assert_eq!(read_all(&reader(dir.path()), &blob).unwrap(), b"x");
}

#[test]
fn refuses_a_manifest_without_its_parts() {
    let (dir, store) = layout();
    let manifest = image(&store, "a");
    let lost = Descriptor::of(media_type::LAYER_TAR, b"a");
    fs::remove_file(dir.path().join("blobs/sha256").join(lost.digest.hex())).unwrap();
    let error = store.put_manifest(&manifest, &tag("v1")).unwrap_err();
    assert!(matches!(error, StoreError::BlobNotFound { digest, .. } if digest == lost.digest));
    assert!(store.tags().unwrap().is_empty());
}

#[test]
fn refuses_a_manifest_under_another_ones_digest() {
    let (_dir, store) = layout();
    let manifest = image(&store, "a");
    assert!(matches!(store.put_manifest(&manifest, &ManifestRef::Digest(Digest::of(b"b"))), Err(StoreError::Source { .. })));
}

#[test]
fn reaches_children_through_their_index_only() {
    let (dir, store) = layout();
    let index = put_index(&store, &["amd64", "arm64"], "v1");
    let store = reader(dir.path());
    assert_eq!(store.index().unwrap().entries().len(), 1);
    let crate::oci::Manifest::Index(parsed) = index.parse().unwrap() else { panic!() };
    for child in &parsed.manifests {
        let manifest = store.get_manifest(&ManifestRef::Digest(child.digest)).unwrap();
        assert_eq!(manifest.media_type, media_type::MANIFEST);
    }
}

#[test]
fn tells_the_kind_of_an_unlisted_manifest_from_its_members() {
    let (_dir, store) = layout();
    let known = Descriptor::of("m", b"x");
    let silent = |kind: &str, members: &str| put(&store, kind, format!(r#"{{"schemaVersion":2,{members}}}"#).as_bytes());
    let descriptor = serde_json::to_string(&known).unwrap();
    let kind = |blob: &Descriptor| store.get_manifest(&ManifestRef::Digest(blob.digest)).map(|manifest| manifest.media_type);
    assert_eq!(kind(&silent("", r#""manifests":[]"#)).unwrap(), media_type::INDEX);
    assert_eq!(kind(&silent("", &format!(r#""config":{descriptor},"layers":[]"#))).unwrap(), media_type::MANIFEST);
    assert!(kind(&silent("", r#""manifests":[],"layers":[]"#)).unwrap_err().is_not_found());
    assert!(kind(&silent("", r#""a":1"#)).unwrap_err().is_not_found());
}

#[test]
fn refuses_an_index_entry_that_lies_about_a_manifest() {
    let (dir, store) = layout();
    put_image(&store, "a", "v1");
    let path = dir.path().join("index.json");
    let original = fs::read_to_string(&path).unwrap();
    let entry_kind = format!(r#"[{{"mediaType":"{}""#, media_type::MANIFEST);
    fs::write(&path, original.replace(&entry_kind, &format!(r#"[{{"mediaType":"{}""#, media_type::INDEX))).unwrap();
    let error = store.get_manifest(&tag("v1")).unwrap_err();
    assert!(matches!(error, StoreError::Layout(LayoutError::MediaType { .. })), "{error}");
    let other = original.replace(&image(&store, "a").digest().hex(), &put(&store, "", b"{}").digest.hex());
    fs::write(&path, other).unwrap();
    assert_eq!(store.get_manifest(&tag("v1")).unwrap_err().exit_code(), crate::exit_code::REFUSED);
}

#[test]
fn tells_missing_manifests_and_missing_blobs_apart() {
    let (dir, store) = layout();
    let manifest = put_image(&store, "a", "v1");
    assert!(matches!(store.get_manifest(&tag("v2")), Err(StoreError::ManifestNotFound { .. })));
    assert!(matches!(store.get_manifest(&ManifestRef::Digest(Digest::of(b""))), Err(StoreError::ManifestNotFound { .. })));
    fs::remove_file(dir.path().join("blobs/sha256").join(manifest.digest().hex())).unwrap();
    assert!(matches!(store.get_manifest(&tag("v1")), Err(StoreError::BlobNotFound { .. })));
}

#[test]
fn finds_referrers_and_passes_over_lost_ones() {
    let (dir, store) = layout();
    let subject = put_image(&store, "a", "v1");
    let other = put_image(&store, "b", "v2");
    assert!(store.referrers(&subject.digest()).unwrap().is_empty());
    let (first, lost) = (put_referrer(&store, &subject, "first"), put_referrer(&store, &subject, "lost"));
    put_referrer(&store, &other, "of another");
    fs::remove_file(dir.path().join("blobs/sha256").join(lost.digest().hex())).unwrap();
    let [found] = &reader(dir.path()).referrers(&subject.digest()).unwrap()[..] else { panic!() };
    assert_eq!((found.digest, found.size), (first.digest(), first.bytes.len() as u64));
    assert_eq!(found.artifact_type.as_deref(), Some(media_type::BUNDLE));
    assert_eq!(found.annotations["note"], "first");
}

#[test]
fn knows_the_only_image_beside_its_signatures() {
    let (dir, store) = layout();
    let location = Location::Layout { dir: dir.path().to_owned(), image: None };
    assert!(matches!(resolve(&store, &location), Err(StoreError::Layout(LayoutError::Empty { .. }))));
    let subject = put_index(&store, &["a", "b"], "quay.io/o/m:v1");
    put_referrer(&store, &subject, "bundle");
    put_image(&store, "sig", &format!("sha256-{}.sig", subject.digest().hex()));
    assert_eq!(resolve(&store, &location).unwrap(), (tag("quay.io/o/m:v1"), subject.clone()));
    store.put_manifest(&subject, &tag("latest")).unwrap();
    assert_eq!(resolve(&store, &location).unwrap(), (ManifestRef::Digest(subject.digest()), subject));
    put_image(&store, "second", "v2");
    let error = resolve(&store, &location).unwrap_err();
    assert!(matches!(&error, StoreError::Layout(LayoutError::SeveralImages { images, .. }) if images.len() == 2), "{error}");
}

#[test]
fn loses_no_name_to_concurrent_writers() {
    let dir = tempdir().unwrap();
    let shared = writer(dir.path());
    std::thread::scope(|scope| {
        for number in 0..8 {
            let (shared, path) = (&shared, dir.path());
            scope.spawn(move || {
                let own = writer(path);
                put_image(shared, "same", &format!("shared-{number}"));
                put_image(&own, &format!("own {number}"), &format!("own-{number}"));
            });
        }
    });
    assert_eq!(reader(dir.path()).tags().unwrap().len(), 16);
    assert!(files_in(dir.path()).iter().all(|file| !file.contains(".modelcar-")));
}

#[test]
fn gives_equal_directories_for_equal_images_in_any_order() {
    let (one, store) = layout();
    put_image(&store, "a", "v1");
    put_image(&store, "b", "v2");
    let (two, store) = layout();
    put_image(&store, "b", "v2");
    put_image(&store, "a", "v1");
    assert_eq!(files_in(one.path()), files_in(two.path()));
    assert_eq!(fs::read(one.path().join("index.json")).unwrap(), fs::read(two.path().join("index.json")).unwrap());
}

#[test]
fn goes_on_where_a_killed_writer_stopped() {
    // What each moment of a first write leaves behind.
    for left in [&[".modelcar-a.tmp"][..], &["oci-layout"], &["oci-layout", ".modelcar-b.tmp"]] {
        let dir = tempdir().unwrap();
        for name in left {
            fs::write(dir.path().join(name), index::OCI_LAYOUT).unwrap();
        }
        put_image(&writer(dir.path()), "a", "v1");
        assert_eq!(reader(dir.path()).tags().unwrap(), ["v1"]);
        assert_eq!(files_in(dir.path()).len(), 5, "{:?}", files_in(dir.path()));
    }
}

#[test]
fn sweeps_what_killed_writers_left_among_the_blobs() {
    let (dir, store) = layout();
    put_image(&store, "a", "v1");
    let left = dir.path().join("blobs/sha256/.modelcar-dead.tmp");
    fs::write(&left, "half a layer").unwrap();
    assert_eq!(reader(dir.path()).tags().unwrap(), ["v1"]);
    put_image(&writer(dir.path()), "b", "v2");
    assert!(!left.exists());
}

#[test]
fn writes_nothing_when_opened_to_be_read() {
    let (dir, store) = layout();
    put_image(&store, "a", "v1");
    let error = reader(dir.path()).put_blob(&Descriptor::of("", b"x"), &b"x".to_vec()).unwrap_err();
    assert!(matches!(error, StoreError::Layout(LayoutError::ReadOnly { .. })));
}

#[test]
fn refuses_manifests_that_it_could_not_read_again() {
    let (_dir, store) = layout();
    let mut big = ImageIndex::new(Vec::new());
    big.annotations.insert("a".into(), "x".repeat(usize::try_from(MAX_MANIFEST).unwrap()));
    assert!(matches!(store.put_manifest(&RawManifest::index(&big).unwrap(), &tag("v1")), Err(StoreError::TooLarge { .. })));
    let strange = ImageManifest { media_type: "text/plain".into(), ..ImageManifest::new(put(&store, "", b"c"), Vec::new()) };
    assert!(matches!(store.put_manifest(&RawManifest::image(&strange).unwrap(), &tag("v1")), Err(StoreError::Manifest(_))));
}

/// One writer begins while another looks: it sees files that were not there a moment ago.
#[test]
fn a_writer_does_not_take_another_who_begins_for_a_stranger() {
    for _ in 0..40 {
        let dir = tempdir().unwrap();
        std::thread::scope(|scope| {
            scope.spawn(|| put(&writer(dir.path()), "", b"x"));
            while !dir.path().join("blobs").exists() {
                writer(dir.path());
            }
        });
    }
}
