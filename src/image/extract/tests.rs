use std::io::Write as _;

use super::*;
use crate::image::testing::Tar;
use crate::oci::tar_header::{EntryKind, header};
use crate::oci::{ImageManifest, ManifestRef, media_type};
use crate::store::layout::LayoutStore;
use crate::store::{Access, Store};

const FOUR: NonZeroUsize = NonZeroUsize::MIN.saturating_add(3);

struct Bench {
    home: tempfile::TempDir,
    store: LayoutStore,
}

impl Bench {
    fn new() -> Self {
        let home = tempfile::tempdir().unwrap();
        let store = LayoutStore::open(&home.path().join("layout"), Access::Write).unwrap();
        Self { home, store }
    }

    fn image(&self, layers: &[(&str, Vec<u8>)]) -> RawManifest {
        let put = |media_type: &str, bytes: &Vec<u8>| {
            let descriptor = Descriptor::of(media_type, bytes);
            self.store.put_blob(&descriptor, bytes).unwrap();
            descriptor
        };
        let layers = layers.iter().map(|(media_type, bytes)| put(media_type, bytes)).collect();
        let raw = RawManifest::image(&ImageManifest::new(put(media_type::CONFIG, &b"{}".to_vec()), layers)).unwrap();
        self.store.put_manifest(&raw, &ManifestRef::Tag("v1".to_owned())).unwrap();
        raw
    }

    fn extract(&self, layers: &[Vec<u8>]) -> Result<Extracted, ImageError> {
        let layers: Vec<_> = layers.iter().map(|layer| (media_type::LAYER_TAR, layer.clone())).collect();
        extract(&self.store, &self.image(&layers), None, &self.out(), FOUR)
    }

    fn out(&self) -> PathBuf {
        self.home.path().join("out")
    }

    /// What is in the home besides the layout.
    fn left(&self) -> Vec<String> {
        let names = std::fs::read_dir(self.home.path()).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
        names.filter(|name| name != "layout").collect()
    }
}

#[test]
fn gives_the_files_under_models_and_nothing_else() {
    let bench = Bench::new();
    let shell = Tar::default().file("bin/sh", b"shell").end();
    let model = Tar::default().directory("models").directory("models/1").file("models/1/model.onnx", b"weights").end();
    assert_eq!(bench.extract(&[shell, model]).unwrap(), Extracted { files: 1, bytes: 7 });
    assert_eq!(std::fs::read(bench.out().join("1/model.onnx")).unwrap(), b"weights");
    assert_eq!(bench.left(), ["out"]);
}

#[test]
fn reads_what_other_tools_write() {
    let bench = Bench::new();
    let dotted =
        Tar::default().file("./models/a", b"a").file("/models/b", b"b").link("models/c", "a").other("models/d", b'1', "models/a").end();
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(&dotted).unwrap();
    let raw = bench.image(&[(media_type::DOCKER_LAYER_GZIP, gzip.finish().unwrap())]);
    assert_eq!(extract(&bench.store, &raw, None, &bench.out(), FOUR).unwrap().files, 4);
    for (name, content) in [("a", "a"), ("b", "b"), ("c", "a"), ("d", "a")] {
        assert_eq!(std::fs::read_to_string(bench.out().join(name)).unwrap(), content);
    }
}

#[test]
fn upper_layers_replace_and_white_out() {
    let bench = Bench::new();
    let lower = Tar::default().file("models/a", b"old").file("models/b", b"gone").file("models/c/d", b"gone").end();
    let upper =
        Tar::default().file("models/a", b"new").file("models/.wh.b", b"").file("models/c/.wh..wh..opq", b"").file("models/c/e", b"e").end();
    bench.extract(&[lower, upper]).unwrap();
    assert_eq!(std::fs::read(bench.out().join("a")).unwrap(), b"new");
    assert!(!bench.out().join("b").exists());
    assert!(!bench.out().join("c/d").exists());
    assert!(bench.out().join("c/e").exists());
}

#[test]
fn whiteouts_of_the_whole_folder_count_and_their_own_layer_stays() {
    for whiteout in [".wh.models", ".wh..wh..opq"] {
        let bench = Bench::new();
        let lower = Tar::default().file("models/old", b"x").file("etc/x", b"x").end();
        let upper = Tar::default().file("models/new", b"x").file(whiteout, b"").file("models/.wh.new", b"").end();
        assert_eq!(bench.extract(&[lower, upper]).unwrap().files, 1, "{whiteout}");
        assert!(bench.out().join("new").exists());
    }
    let bench = Bench::new();
    assert!(matches!(bench.extract(&[Tar::default().file("models/.wh...", b"").end()]), Err(ImageError::Entry { .. })));
}

#[test]
fn many_names_of_one_file_cost_no_disk() {
    let bench = Bench::new();
    let mut tar = Tar::default().file("models/a", &vec![1; 1 << 20]);
    for number in 0..500 {
        tar = tar.other(&format!("models/{number}"), b'1', "models/a");
    }
    assert_eq!(bench.extract(&[tar.end()]).unwrap().files, 501);
    let blocks: u64 = {
        use std::os::unix::fs::MetadataExt as _;
        let first = std::fs::metadata(bench.out().join("a")).unwrap();
        assert_eq!(first.nlink(), 501);
        first.blocks()
    };
    assert!(blocks < 10_000);
}

#[test]
fn a_directory_that_is_there_and_empty_is_filled_even_through_a_link() {
    let bench = Bench::new();
    let mount = tempfile::tempdir().unwrap();
    let volume = mount.path();
    std::os::unix::fs::symlink(volume, bench.out()).unwrap();
    bench.extract(&[Tar::default().file("models/a", b"a").file("models/b/c", b"c").end()]).unwrap();
    let mut names: Vec<_> = std::fs::read_dir(volume).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    names.sort();
    assert_eq!(names, ["a", "b"]);
}

#[test]
fn a_flipped_byte_is_a_wrong_digest_wherever_it_is() {
    for place in [3, 130, 600, 1100] {
        let bench = Bench::new();
        let layer = Tar::default().file("models/a", &[7; 100]).end();
        let raw = bench.image(&[(media_type::LAYER_TAR, layer.clone())]);
        let blob = bench.home.path().join("layout/blobs/sha256").join(Descriptor::of("", &layer).digest.hex());
        let mut changed = layer;
        changed[place] ^= 1;
        std::fs::write(blob, changed).unwrap();
        let error = extract(&bench.store, &raw, None, &bench.out(), FOUR).unwrap_err();
        assert_eq!(error.exit_code(), crate::exit_code::REFUSED, "{place}: {error:?}");
    }
}

#[test]
fn no_entry_leaves_the_directory() {
    let hostile: [(&str, Tar); 10] = [
        ("climbs", Tar::default().file("models/../../evil", b"x")),
        ("climbs at once", Tar::default().file("../evil", b"x")),
        ("backslash", Tar::default().file("models/..\\evil", b"x")),
        ("absolute link", Tar::default().link("models/a", "/etc/passwd")),
        ("link out", Tar::default().link("models/a", "../../etc/passwd")),
        ("link out by a detour", Tar::default().link("models/a", "b/../../../etc/passwd")),
        ("through a link", Tar::default().link("models/a", "b").file("models/a/c", b"x")),
        ("hard link out", Tar::default().other("models/a", b'1', "../../etc/passwd")),
        ("hard link to the base", Tar::default().file("etc/shadow", b"x").other("models/a", b'1', "etc/shadow")),
        ("device", Tar::default().other("models/a", b'3', "")),
    ];
    for (name, tar) in hostile {
        let bench = Bench::new();
        let error = bench.extract(&[tar.file("models/good", b"x").end()]).unwrap_err();
        assert!(matches!(error, ImageError::Entry { .. }), "{name}: {error:?}");
        assert_eq!(error.exit_code(), crate::exit_code::REFUSED);
        assert_eq!(bench.left(), Vec::<String>::new(), "{name} left something behind");
    }
}

#[test]
fn a_layer_with_another_digest_leaves_nothing() {
    let bench = Bench::new();
    let layer = Tar::default().file("models/a", &vec![7; 100_000]).end();
    let raw = bench.image(&[(media_type::LAYER_TAR, layer.clone())]);
    let blob = bench.home.path().join("layout/blobs/sha256").join(Descriptor::of("", &layer).digest.hex());
    let mut changed = layer;
    changed[70_000] ^= 1;
    std::fs::write(blob, changed).unwrap();
    let error = extract(&bench.store, &raw, None, &bench.out(), FOUR).unwrap_err();
    assert_eq!(error.exit_code(), crate::exit_code::REFUSED, "{error:?}");
    assert_eq!(bench.left(), Vec::<String>::new());
}

#[test]
fn a_folder_that_holds_something_is_never_touched() {
    let bench = Bench::new();
    std::fs::create_dir(bench.out()).unwrap();
    let layer = || Tar::default().file("models/a", b"a").end();
    bench.extract(&[layer()]).unwrap();
    std::fs::remove_dir_all(bench.out()).unwrap();
    std::fs::create_dir(bench.out()).unwrap();
    std::fs::write(bench.out().join("mine"), "mine").unwrap();
    assert!(matches!(bench.extract(&[layer()]), Err(ImageError::Occupied { .. })));
    assert_eq!(std::fs::read_dir(bench.out()).unwrap().count(), 1);
}

#[test]
fn a_name_without_end_is_refused_in_bounded_memory() {
    let bench = Bench::new();
    let mut long = header(&"x".repeat(200), EntryKind::File { size: 0, executable: false }, 0);
    let size = 8 << 20;
    let mut fixed = tar::Header::from_byte_slice(&long[..512]).clone();
    fixed.set_size(size);
    fixed.set_cksum();
    long[..512].copy_from_slice(fixed.as_bytes());
    long.resize(usize::try_from(size).unwrap() + 4096, b'x');
    let error = bench.extract(&[long]).unwrap_err();
    assert!(matches!(error, ImageError::Unpacking { .. }), "{error:?}");
}

#[test]
fn an_image_without_models_says_so() {
    let bench = Bench::new();
    assert!(matches!(bench.extract(&[Tar::default().file("bin/sh", b"x").end()]), Err(ImageError::NoModels)));
    assert_eq!(bench.left(), Vec::<String>::new());
}

/// Every file and link below a folder, with what is in it.
fn tree(dir: &Path) -> Vec<(String, String)> {
    let entries = walkdir::WalkDir::new(dir).sort_by_file_name().into_iter().map(Result::unwrap);
    let content = |path: &Path| match std::fs::read_link(path) {
        Ok(target) => format!("-> {}", target.display()),
        Err(_) => std::fs::read_to_string(path).unwrap_or_default(),
    };
    entries.map(|entry| (entry.path().strip_prefix(dir).unwrap().display().to_string(), content(entry.path()))).collect()
}

#[test]
fn however_many_layers_are_unpacked_at_once_the_result_is_that_of_one_after_the_other() {
    let big = |fill: u8| vec![fill; 400_000];
    let layers = [
        Tar::default().file("models/a", &big(b'a')).file("models/d/x", b"x").file("models/keep", b"0").link("models/l", "a").end(),
        Tar::default().file("models/a", b"second").other("models/h", b'1', "models/keep").file("models/.wh.d", b"").end(),
        Tar::default().file("models/d/y", &big(b'y')).file("models/l", b"no link any more").end(),
        Tar::default().file("models/a", &big(b'z')).file("models/d/.wh..wh..opq", b"").file("models/d/z", b"z").end(),
        Tar::default().file("models/keep", b"4").file("models/d2/f", b"f").link("models/d2/g", "f").end(),
        Tar::default().directory("models/keep").file("models/keep/in", b"a folder now").file("models/d2/g", b"g").end(),
    ];
    let mut outcomes = Vec::new();
    for parallel in [1, 2, 6, 6, 6] {
        let bench = Bench::new();
        let named: Vec<_> = layers.iter().map(|layer| (media_type::LAYER_TAR, layer.clone())).collect();
        let raw = bench.image(&named);
        extract(&bench.store, &raw, None, &bench.out(), NonZeroUsize::new(parallel).unwrap()).unwrap();
        outcomes.push(tree(&bench.out()));
    }
    assert!(outcomes.windows(2).all(|pair| pair[0] == pair[1]));
    let zs = "z".repeat(400_000);
    let expected = [
        ("", ""),
        ("a", zs.as_str()),
        ("d", ""),
        ("d/z", "z"),
        ("d2", ""),
        ("d2/f", "f"),
        ("d2/g", "g"),
        ("h", "0"),
        ("keep", ""),
        ("keep/in", "a folder now"),
        ("l", "no link any more"),
    ];
    let found: Vec<_> = outcomes[0].iter().map(|(path, content)| (path.as_str(), content.as_str())).collect();
    assert_eq!(found, expected);
}

#[test]
fn no_layer_reaches_through_a_link_of_a_lower_one() {
    let link = || Tar::default().file("models/b/c", b"x").link("models/a", "b").end();
    for upper in [
        Tar::default().file("models/a/evil", b"x"),
        Tar::default().link("models/a/evil", "c"),
        Tar::default().other("models/a/evil", b'1', "models/b/c"),
    ] {
        let bench = Bench::new();
        assert!(matches!(bench.extract(&[link(), upper.end()]), Err(ImageError::Entry { .. })));
        assert_eq!(bench.left(), Vec::<String>::new());
    }
}

#[test]
fn the_error_that_is_told_is_the_one_that_stopped_the_others() {
    for _ in 0..5 {
        let bench = Bench::new();
        let good = |name: &str| Tar::default().file(&format!("models/{name}"), &vec![1; 1 << 20]).end();
        let bad = Tar::default().other("models/x", b'3', "").end();
        let error = bench.extract(&[good("a"), good("b"), bad, good("c"), good("d")]).unwrap_err();
        assert!(matches!(error, ImageError::Entry { .. }), "{error:?}");
        assert_eq!(bench.left(), Vec::<String>::new());
    }
}
