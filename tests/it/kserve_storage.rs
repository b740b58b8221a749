//! KServe's own storage initializer (kserve-storage 0.21.0 from PyPI) fetches what we push, and fails where `check --consumer fetch` says so.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use modelcar::oci::{ImageConfig, ImageIndex, ImageManifest, Location, ManifestRef, Platform, RawManifest, RootFs, canonical, media_type};
use modelcar::store::{self, Access, Store, StoreOptions};

use crate::support::images::{native_architecture, put, tag};
use crate::support::registry::Registry;
use crate::support::{clean_command, modelcar, need, need_python, repo_root, run, skip, stdout_of, temp_dir};

/// The webhook has made `oci://` of `oci+fetch://`, and said in a variable that the registry has no TLS.
const FETCH: &str = "import sys; from kserve_storage import Storage; Storage.download('oci://' + sys.argv[1], sys.argv[2])";

/// The wheel in its folder; `None`, said on stderr, where it is missing.
struct Initializer {
    python: PathBuf,
    wheel: PathBuf,
}

impl Initializer {
    fn find() -> Option<Self> {
        let wheel = repo_root().join(".peers/python/kserve");
        if !wheel.is_dir() {
            return skip(".peers/python/kserve");
        }
        Some(Self { python: need_python()?, wheel })
    }

    fn fetch(&self, reference: &str, into: &Path) -> Output {
        let mut command = clean_command(&self.python, into.parent().unwrap());
        command.env("PYTHONPATH", &self.wheel).env("PYTHONDONTWRITEBYTECODE", "1").env("KSERVE_OCI_INSECURE_REGISTRY", "true");
        command.args(["-c", FETCH, reference]).arg(into).output().unwrap()
    }
}

fn model(dir: &Path) {
    let files: [(&str, Vec<u8>); 5] = [
        ("config.json", b"{}".to_vec()),
        ("empty.txt", Vec::new()),
        ("weights/large.bin", (0..2_500_000_u32).map(|n| (n % 251) as u8).collect()),
        ("weights/deep/er/x.bin", vec![7; 513]),
        ("n\u{e4}me with blanks", vec![1; 100]),
    ];
    for (path, bytes) in files {
        fs::create_dir_all(dir.join(path).parent().unwrap()).unwrap();
        fs::write(dir.join(path), bytes).unwrap();
    }
    fs::create_dir_all(dir.join("long")).unwrap();
    fs::write(dir.join("long").join("l".repeat(150)), "x").unwrap();
}

#[test]
fn the_storage_initializer_fetches_a_folder_like_the_source() {
    let (Some(registry), Some(initializer), Some(diff)) = (Registry::start(), Initializer::find(), need("diff")) else { return };
    let home = temp_dir();
    let source = home.path().join("model");
    model(&source);
    for compression in ["none", "gzip"] {
        let reference = format!("{}/models/{compression}:v1", registry.host);
        let arguments =
            ["build", "-q", "--push", "--runtime", "raw", "--delivery", "fetch", "--compression", compression, "-t", &reference];
        let pinned = stdout_of(modelcar(home.path()).args(arguments).arg(&source));
        for name in [reference.as_str(), pinned.trim()] {
            let fetched = home.path().join("fetched");
            let output = initializer.fetch(name, &fetched);
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
            run(Command::new(&diff).arg("-r").arg(&source).arg(&fetched));
            fs::remove_dir_all(&fetched).unwrap();
        }
    }
}

/// Name, members, media type of the layer, the index's own media type, and whether it is fetched.
type Case = (&'static str, Vec<Member>, &'static str, Option<&'static str>, bool);

/// A member of a crafted tar.
struct Member(&'static str, tar::EntryType, &'static str);

const FILE: tar::EntryType = tar::EntryType::Regular;

fn crafted(members: &[Member]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for Member(name, kind, link) in members {
        let mut header = tar::Header::new_gnu();
        let fields = header.as_gnu_mut().unwrap();
        fields.name[..name.len()].copy_from_slice(name.as_bytes());
        fields.linkname[..link.len()].copy_from_slice(link.as_bytes());
        header.set_entry_type(*kind);
        header.set_mode(0o755);
        header.set_size(if *kind == FILE { 4 } else { 0 });
        header.set_cksum();
        builder.append(&header, if *kind == FILE { &b"data"[..] } else { b"" }).unwrap();
    }
    builder.into_inner().unwrap()
}

/// Puts an image of one layer; `index` is the JSON's `mediaType` where there is an index.
fn put_crafted(store: &dyn Store, layer_type: &str, layer: &[u8], index: Option<&str>) {
    let layer = put(store, layer_type, layer);
    let rootfs = RootFs { diff_ids: vec![layer.digest], ..RootFs::default() };
    let config = ImageConfig { platform: Platform::linux(native_architecture()), rootfs, ..ImageConfig::default() };
    let config = put(store, media_type::CONFIG, &canonical::to_vec(&config).unwrap());
    let manifest = RawManifest::image(&ImageManifest::new(config, vec![layer])).unwrap();
    let Some(own) = index else { return store.put_manifest(&manifest, &tag("v1")).unwrap() };
    store.put_manifest(&manifest, &ManifestRef::Digest(manifest.digest())).unwrap();
    let entry = manifest.descriptor().on(Platform::linux(native_architecture()));
    let bytes = canonical::to_vec(&ImageIndex { media_type: own.to_owned(), ..ImageIndex::new(vec![entry]) }).unwrap();
    let bytes = String::from_utf8(bytes).unwrap().replace("\"mediaType\":\"\",", "").into_bytes();
    store.put_manifest(&RawManifest { media_type: media_type::INDEX.to_owned(), bytes }, &tag("v1")).unwrap();
}

/// What the wheel does: it fetched a folder with the model's one file and nothing else, or not.
fn is_fetched(output: &Output, into: &Path) -> bool {
    let names = fs::read_dir(into).map(|entries| entries.flatten().map(|entry| entry.file_name()).collect::<Vec<_>>());
    output.status.success() && names.is_ok_and(|names| names.iter().all(|name| name == "m" || name == "l")) && into.join("m").is_file()
}

#[test]
fn it_fails_where_the_check_says_that_it_fails() {
    use tar::EntryType::{Directory, Fifo, Link, Symlink};
    let (Some(registry), Some(initializer)) = (Registry::start(), Initializer::find()) else { return };
    let good = || vec![Member("models/", Directory, ""), Member("models/m", FILE, "")];
    let with = |member: Member| good().into_iter().chain([member]).collect::<Vec<_>>();
    let (plain, index) = (media_type::LAYER_TAR, Some(media_type::INDEX));
    let table: Vec<Case> = vec![
        ("good", good(), plain, index, true),
        ("single-manifest", good(), plain, None, true),
        ("link-inside", with(Member("models/l", Symlink, "m")), plain, index, true),
        ("index-without-media-type", good(), plain, Some(""), false),
        ("dotted", vec![Member("./models/m", FILE, "")], plain, index, false),
        ("absolute", vec![Member("/models/m", FILE, "")], plain, index, false),
        ("hard-link", with(Member("models/l", Link, "models/m")), plain, index, false),
        ("link-absolute", with(Member("models/l", Symlink, "/models/m")), plain, index, false),
        ("link-outside", with(Member("models/l", Symlink, "../m")), plain, index, false),
        ("climbing", with(Member("models/../../x", FILE, "")), plain, index, false),
        ("pipe", with(Member("models/l", Fifo, "")), plain, index, false),
        ("whiteout", with(Member("models/.wh.m", FILE, "")), plain, index, false),
        ("no-model", vec![Member("bin/sh", FILE, "")], plain, index, false),
        ("zstd", good(), media_type::LAYER_ZSTD, index, false),
        ("artifact-layer", good(), "application/vnd.cncf.model.weight.v1.tar", index, false),
    ];
    let home = temp_dir();
    for (name, members, layer_type, index, expected) in table {
        let reference = format!("{}/crafted/{name}:v1", registry.host);
        let location: Location = reference.parse().unwrap();
        let store = store::open(&location, Access::Write, &StoreOptions::default()).unwrap();
        let tar = crafted(&members);
        let layer = if layer_type == media_type::LAYER_ZSTD { zstd::encode_all(&tar[..], 3).unwrap() } else { tar };
        put_crafted(store.as_ref(), layer_type, &layer, index);

        let into = home.path().join(name);
        let output = initializer.fetch(&reference, &into);
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(is_fetched(&output, &into), expected, "{name}: {stderr}");
        let checked = modelcar(home.path()).args(["check", "--consumer", "fetch", &reference]).output().unwrap();
        let table = String::from_utf8_lossy(&checked.stdout);
        assert_eq!(
            checked.status.code(),
            Some(if expected { 0 } else { 3 }),
            "{name}:\n{table}{}",
            String::from_utf8_lossy(&checked.stderr)
        );
    }
}
