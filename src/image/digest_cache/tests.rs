use std::fs::{self, File, Permissions};
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::time::{Duration, SystemTime};

use super::*;
use crate::image::hash::hash;
use crate::image::tar::TarEntry;
use crate::model::{Content, FileStamp, Piece};

const LARGE: usize = 2 << 20;
/// An hour after the files of a test were written, so that they count as left alone.
const LATER: i128 = 3_600_000_000_000;

struct Scene {
    dir: tempfile::TempDir,
    cache: DigestCache,
}

impl Scene {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let cache = DigestCache { since: now() + LATER, ..DigestCache::open(&dir.path().join("cache/modelcar/digests")) };
        Self { dir, cache }
    }

    fn write(&self, name: &str, byte: u8) -> ModelFile {
        fs::write(self.dir.path().join(name), vec![byte; LARGE]).unwrap();
        self.file(name)
    }

    /// The file as the next run finds it.
    fn file(&self, name: &str) -> ModelFile {
        let source = self.dir.path().join(name);
        let metadata = fs::metadata(&source).unwrap();
        let content = Content::Disk { stamp: FileStamp::of(&metadata), source };
        ModelFile { path: name.to_owned(), size: metadata.len(), executable: false, content }
    }

    fn entries(&self) -> Vec<PathBuf> {
        fs::read_dir(self.dir.path().join("cache/modelcar/digests")).unwrap().map(|entry| entry.unwrap().path()).collect()
    }
}

fn tar(path: &str, file: &ModelFile, mtime: u64) -> LayerTar {
    LayerTar::new(vec![TarEntry::File { path: path.to_owned(), file: file.clone() }], mtime)
}

fn hashed(cache: &DigestCache, tar: &LayerTar) -> LayerDigests {
    let digests = hash(tar, &Known::default(), &|_| Ok(())).unwrap();
    cache.remember_layer(tar, &digests);
    digests
}

#[test]
fn what_was_hashed_is_known_as_long_as_the_file_is_the_same() {
    let place = Scene::new();
    let file = place.write("w.bin", 1);
    let layer = tar("models/w.bin", &file, 0);
    assert_eq!((place.cache.layer(&layer), place.cache.file(&file)), (None, None));
    let digests = hashed(&place.cache, &layer);
    let again = place.file("w.bin");
    assert_eq!(place.cache.layer(&tar("models/w.bin", &again, 0)).unwrap(), digests);
    assert_eq!(place.cache.file(&again).unwrap(), digests.files[0]);
}

#[test]
fn whatever_may_have_changed_the_bytes_makes_them_unknown() {
    type Change = fn(&Path);
    let table: [(&str, Change); 6] = [
        ("touched", |path| {
            File::options().write(true).open(path).unwrap().set_modified(SystemTime::now() + Duration::from_secs(9)).unwrap();
        }),
        ("changed, with the old mtime put back", |path| {
            let before = fs::metadata(path).unwrap().modified().unwrap();
            fs::write(path, vec![2; LARGE]).unwrap();
            File::options().write(true).open(path).unwrap().set_modified(before).unwrap();
        }),
        ("replaced by a file with the same mtime", |path| {
            let before = fs::metadata(path).unwrap().modified().unwrap();
            let other = path.with_extension("other");
            fs::write(&other, vec![2; LARGE]).unwrap();
            File::options().write(true).open(&other).unwrap().set_modified(before).unwrap();
            fs::rename(other, path).unwrap();
        }),
        ("longer", |path| File::options().write(true).open(path).unwrap().set_len(LARGE as u64 + 1).unwrap()),
        ("shorter", |path| File::options().write(true).open(path).unwrap().set_len(LARGE as u64 - 1).unwrap()),
        ("another mode", |path| {
            let before = FileStamp::of(&fs::metadata(path).unwrap()).ctime_ns;
            while FileStamp::of(&fs::metadata(path).unwrap()).ctime_ns == before {
                fs::set_permissions(path, Permissions::from_mode(0o600)).unwrap();
            }
        }),
    ];
    for (what, change) in table {
        let place = Scene::new();
        let file = place.write("w.bin", 1);
        hashed(&place.cache, &tar("models/w.bin", &file, 0));
        change(&place.dir.path().join("w.bin"));
        let now = place.file("w.bin");
        assert_eq!(place.cache.layer(&tar("models/w.bin", &now, 0)), None, "{what}");
        assert_eq!(place.cache.file(&now), None, "{what}");
    }
}

#[test]
fn another_tar_of_the_same_file_is_another_layer() {
    let place = Scene::new();
    let file = place.write("w.bin", 1);
    hashed(&place.cache, &tar("models/w.bin", &file, 0));
    let executable = ModelFile { executable: true, ..file.clone() };
    let second = TarEntry::File { path: "models/z.bin".to_owned(), file: file.clone() };
    for (what, other) in [
        ("another path", tar("models/1/w.bin", &file, 0)),
        ("another time of the entries", tar("models/w.bin", &file, 1)),
        ("another mode", tar("models/w.bin", &executable, 0)),
        ("one file more", LayerTar::new(vec![TarEntry::File { path: "models/w.bin".to_owned(), file: file.clone() }, second], 0)),
    ] {
        assert_eq!(place.cache.layer(&other), None, "{what}");
        let digests = hashed(&place.cache, &other);
        assert_eq!(place.cache.layer(&other).unwrap(), digests, "{what}");
    }
}

#[test]
fn a_file_put_together_is_known_by_its_pieces() {
    let place = Scene::new();
    let file = std::sync::Arc::new(place.write("w.bin", 1));
    let made = |head: &[u8], offset: u64| {
        let range = Piece::Range { file: file.clone(), offset, length: LARGE as u64 - 1 };
        ModelFile::of_pieces("m.onnx".to_owned(), vec![Piece::Bytes(head.to_vec()), range])
    };
    let layer = tar("models/m.onnx", &made(b"head", 0), 0);
    let digests = hashed(&place.cache, &layer);
    assert_eq!(place.cache.layer(&layer).unwrap(), digests);
    for (what, other) in [("another piece", made(b"HEAD", 0)), ("another range", made(b"head", 1)), ("another size", made(b"heads", 0))] {
        assert_eq!(place.cache.layer(&tar("models/m.onnx", &other, 0)), None, "{what}");
    }
}

#[test]
fn a_compressed_layer_is_known_for_its_compression_alone() {
    let place = Scene::new();
    let layer = tar("models/w.bin", &place.write("w.bin", 1), 0);
    let digest = Digest::of(b"packed");
    place.cache.remember_packed(&layer, Compression::Gzip, digest, 77);
    assert_eq!(place.cache.packed(&layer, Compression::Gzip), Some((digest, 77)));
    assert_eq!(place.cache.packed(&layer, Compression::Zstd), None);
    assert_eq!(place.cache.layer(&layer), None);
}

#[test]
fn a_file_that_was_changed_a_moment_ago_is_not_remembered() {
    let place = Scene::new();
    let file = place.write("w.bin", 1);
    let Content::Disk { stamp, .. } = &file.content else { unreachable!() };
    for (since, remembered) in [(stamp.ctime_ns, false), (stamp.ctime_ns + MARGIN, false), (stamp.ctime_ns + MARGIN + 1, true)] {
        let cache = DigestCache { since, ..DigestCache::open(&place.dir.path().join("cache/modelcar/digests")) };
        hashed(&cache, &tar("models/w.bin", &file, 0));
        assert_eq!(cache.file(&file).is_some(), remembered, "{} ns after the change", since - stamp.ctime_ns);
    }
}

#[test]
fn a_file_system_that_rounds_its_times_is_not_relied_upon() {
    let place = Scene::new();
    let mut file = place.write("w.bin", 1);
    if let Content::Disk { stamp, .. } = &mut file.content {
        stamp.ctime_ns -= stamp.ctime_ns % 1_000_000_000;
    }
    place.cache.remember_file(&file, Digest::of(b""));
    assert_eq!(place.cache.file(&file), None);
}

#[test]
fn small_files_are_not_worth_an_entry() {
    let place = Scene::new();
    fs::write(place.dir.path().join("config.json"), b"{}").unwrap();
    hashed(&place.cache, &tar("models/config.json", &place.file("config.json"), 0));
    assert!(!place.dir.path().join("cache").exists(), "nor is the folder made");
}

#[test]
fn a_damaged_entry_is_ignored_and_replaced() {
    let place = Scene::new();
    let layer = tar("models/w.bin", &place.write("w.bin", 1), 0);
    let digests = hashed(&place.cache, &layer);
    let other = tar("models/z.bin", &place.write("z.bin", 2), 0);
    for damage in [&b""[..], b"\0\xff", b"key \n", &vec![b'x'; 2 << 20]] {
        place.entries().iter().for_each(|entry| fs::write(entry, damage).unwrap());
        assert_eq!(place.cache.layer(&layer), None);
        hashed(&place.cache, &layer);
        assert_eq!(place.cache.layer(&layer).unwrap(), digests);
    }
    // An entry under another's name.
    let theirs: Vec<PathBuf> = place.entries();
    hashed(&place.cache, &other);
    let fresh = place.entries().into_iter().filter(|entry| !theirs.contains(entry));
    for entry in fresh {
        fs::copy(&theirs[0], entry).unwrap();
    }
    assert_eq!(place.cache.layer(&other), None);
}

#[test]
fn an_entry_that_others_can_write_or_that_is_a_link_is_not_believed() {
    let place = Scene::new();
    let layer = tar("models/w.bin", &place.write("w.bin", 1), 0);
    hashed(&place.cache, &layer);
    for mode in [0o620, 0o602, 0o666] {
        place.entries().iter().for_each(|entry| fs::set_permissions(entry, Permissions::from_mode(mode)).unwrap());
        assert_eq!(place.cache.layer(&layer), None, "{mode:o}");
    }
    place.entries().iter().for_each(|entry| fs::set_permissions(entry, Permissions::from_mode(0o600)).unwrap());
    assert!(place.cache.layer(&layer).is_some());
    for entry in place.entries() {
        fs::rename(&entry, place.dir.path().join("moved")).unwrap();
        symlink(place.dir.path().join("moved"), &entry).unwrap();
    }
    assert_eq!(place.cache.layer(&layer), None);
}

#[test]
fn a_folder_that_others_can_write_is_not_used() {
    for (what, folder, mode) in [
        ("the folder", "c/modelcar/digests", 0o777),
        ("the folder by its group", "c/modelcar/digests", 0o770),
        ("the one above", "c/modelcar", 0o1777),
    ] {
        let home = tempfile::tempdir().unwrap();
        fs::create_dir_all(home.path().join("c/modelcar/digests")).unwrap();
        fs::set_permissions(home.path().join(folder), Permissions::from_mode(mode)).unwrap();
        assert!(DigestCache::open(&home.path().join("c/modelcar/digests")).place.unwrap().open().is_none(), "{what}");
    }
}

#[test]
fn a_link_in_place_of_the_folder_is_not_followed() {
    let home = tempfile::tempdir().unwrap();
    fs::create_dir_all(home.path().join("elsewhere")).unwrap();
    fs::create_dir_all(home.path().join("c/modelcar")).unwrap();
    symlink(home.path().join("elsewhere"), home.path().join("c/modelcar/digests")).unwrap();
    assert!(DigestCache::open(&home.path().join("c/modelcar/digests")).place.unwrap().open().is_none());
}

#[test]
fn another_users_folder_is_not_used() {
    // To root, a folder given away; to others, one of root's.
    let home = tempfile::tempdir().unwrap();
    let folder = home.path().join("modelcar/digests");
    fs::create_dir_all(&folder).unwrap();
    let foreign = if rustix::process::geteuid().is_root() {
        std::os::unix::fs::chown(&folder, Some(12_345), None).unwrap();
        folder
    } else {
        PathBuf::from("/usr/lib")
    };
    assert!(DigestCache::open(&foreign).place.unwrap().open().is_none());
}

#[test]
fn a_home_that_cannot_be_written_is_no_error() {
    for folder in ["/proc/modelcar/digests", "/dev/null/modelcar/digests"] {
        let cache = DigestCache::open(Path::new(folder));
        let place = Scene::new();
        let layer = tar("models/w.bin", &place.write("w.bin", 1), 0);
        hashed(&cache, &layer);
        assert_eq!(cache.layer(&layer), None);
    }
}

#[test]
fn the_folder_and_its_entries_are_for_the_user_alone() {
    let place = Scene::new();
    hashed(&place.cache, &tar("models/w.bin", &place.write("w.bin", 1), 0));
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o7777;
    assert_eq!(mode(&place.dir.path().join("cache/modelcar/digests")), 0o700);
    assert_eq!(place.entries().iter().map(|entry| mode(entry)).collect::<Vec<_>>(), [0o600, 0o600]);
}

#[test]
fn eight_writers_at_once_leave_whole_entries_and_nothing_else() {
    let place = Scene::new();
    let layers: Vec<LayerTar> = (0..4_u8).map(|n| tar("models/w.bin", &place.write(&format!("{n}.bin"), n), 0)).collect();
    let folder = place.dir.path().join("cache/modelcar/digests");
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                let cache = DigestCache { since: now() + LATER, ..DigestCache::open(&folder) };
                for (number, layer) in (0_u8..).zip(&layers) {
                    let digests = LayerDigests { layer: Digest::of(&[number]), files: vec![Digest::of(b"file")] };
                    for _ in 0..20 {
                        cache.remember_layer(layer, &digests);
                        assert_eq!(cache.layer(layer).unwrap(), digests);
                    }
                }
            });
        }
    });
    // A layer and a file each.
    assert_eq!(place.entries().len(), 8);
}

#[test]
fn the_entries_that_were_not_used_for_longest_go_first() {
    let place = Scene::new();
    let folder = place.cache.place.as_ref().unwrap().open().unwrap();
    let keys: Vec<Digest> = (0..6_u8).map(|n| Digest::of(&[n])).collect();
    let known = [Hashed { digest: Digest::of(b"x"), size: 1 }];
    for (age, key) in keys.iter().enumerate() {
        folder.put(key, &known).unwrap();
        let entry = File::options().write(true).open(place.dir.path().join("cache/modelcar/digests").join(key.hex())).unwrap();
        entry.set_modified(SystemTime::now() - Duration::from_secs(1000 - 10 * age as u64)).unwrap();
    }
    let abandoned = place.dir.path().join("cache/modelcar/digests/.new-1");
    let begun = place.dir.path().join("cache/modelcar/digests/.new-2");
    for draft in [&abandoned, &begun] {
        fs::write(draft, b"half").unwrap();
    }
    File::options().write(true).open(&abandoned).unwrap().set_modified(SystemTime::now() - Duration::from_secs(4000)).unwrap();
    // Used just now, so that it is the youngest.
    assert!(folder.get(&keys[0]).is_some());
    folder.sweep(3, u64::MAX).unwrap();
    let left: Vec<bool> = keys.iter().map(|key| folder.get(key).is_some()).collect();
    assert_eq!(left, [true, false, false, false, true, true]);
    assert!(!abandoned.exists() && begun.exists());
    folder.sweep(usize::MAX, 1).unwrap();
    assert!(keys.iter().all(|key| folder.get(key).is_none()), "no bytes, no entries");
}

#[test]
fn the_folder_is_where_users_expect_it() {
    let set = |pairs: &'static [(&str, &str)]| {
        move |name: &str| pairs.iter().find(|(key, _)| *key == name).map(|(_, value)| OsString::from(value))
    };
    for (variables, expected) in [
        (&[("XDG_CACHE_HOME", "/x"), ("HOME", "/h")][..], Some("/x/modelcar/digests")),
        (&[("XDG_CACHE_HOME", "relative"), ("HOME", "/h")], Some("/h/.cache/modelcar/digests")),
        (&[("XDG_CACHE_HOME", ""), ("HOME", "/h")], Some("/h/.cache/modelcar/digests")),
        (&[("HOME", "")], None),
        (&[], None),
    ] {
        assert_eq!(usual_folder(set(variables)).as_deref(), expected.map(Path::new), "{variables:?}");
    }
}
