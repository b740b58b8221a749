//! What is known already is neither read, hashed nor sent again; and whoever can write to a repository cannot make us believe anything.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, SystemTime};

use modelcar::oci::{Descriptor, Digest, ImageManifest, Manifest, ManifestRef, RawManifest};
use modelcar::store::registry::RegistryStore;
use modelcar::store::{Access, Store, StoreOptions};
use serde_json::Value;

use crate::support::fault_proxy::{Proxy, Reply, Rule};
use crate::support::proxy::CountingProxy;
use crate::support::registry::Registry;
use crate::support::{clean_command, modelcar, run, stdout_of, temp_dir};

const MIB: usize = 1 << 20;

/// A library that this test was built from: left alone for longer than the cache wants, as no file that a test writes can be.
fn old_file() -> PathBuf {
    let is_fit = |path: &PathBuf| {
        let Ok(metadata) = fs::symlink_metadata(path) else { return false };
        let is_old = metadata.modified().is_ok_and(|at| at < SystemTime::now() - Duration::from_secs(10));
        (MIB as u64..16 << 20).contains(&metadata.len()) && metadata.is_file() && is_old && metadata.ctime_nsec() != 0
    };
    let built = Path::new(env!("CARGO_BIN_EXE_modelcar")).parent().unwrap().join("deps");
    let mut libraries: Vec<PathBuf> = fs::read_dir(built).unwrap().map(|entry| entry.unwrap().path()).collect();
    libraries.retain(|path| path.extension().is_some_and(|extension| extension == "rlib"));
    libraries.sort();
    libraries.into_iter().find(is_fit).expect("a library that is neither small nor new")
}

/// A model of one old file, reached by a link.
fn old_model(home: &Path) -> PathBuf {
    let model = home.join("model");
    fs::create_dir(&model).unwrap();
    symlink(old_file().canonicalize().unwrap(), model.join("w.bin")).unwrap();
    fs::write(model.join("config.json"), "{}").unwrap();
    model
}

fn build(home: &Path) -> Command {
    let mut command = modelcar(home);
    command.current_dir(home).args(["build", "-q", "--format", "json", "--follow-links", "model"]);
    command
}

fn json(command: &mut Command) -> Value {
    serde_json::from_str(&stdout_of(command)).unwrap()
}

/// What a command said with `-v`, on standard error.
fn told(command: &mut Command) -> String {
    String::from_utf8(run(command).stderr).unwrap()
}

fn verbose(home: &Path) -> Command {
    let mut command = modelcar(home);
    command.current_dir(home).args(["build", "-v", "--dry-run", "--follow-links", "model"]);
    command
}

fn entries(home: &Path) -> usize {
    fs::read_dir(home.join(".cache/modelcar/digests")).map_or(0, Iterator::count)
}

#[test]
fn an_unchanged_model_is_not_hashed_again() {
    let home = temp_dir();
    old_model(home.path());
    let hashed = |said: &str| said.lines().filter(|line| line.contains("hashed layer")).count();
    let first = told(&mut verbose(home.path()));
    assert_eq!(hashed(&first), 2, "{first}");
    // The layer and its file; the small one is not worth an entry.
    assert_eq!(entries(home.path()), 2);
    let second = told(&mut verbose(home.path()));
    assert_eq!(hashed(&second), 1, "{second}");
    let without = told(verbose(home.path()).arg("--no-cache"));
    assert_eq!(hashed(&without), 2, "{without}");
    let digest = |command: &mut Command| json(command)["digest"].clone();
    assert_eq!(digest(build(home.path()).arg("--dry-run")), digest(build(home.path()).args(["--dry-run", "--no-cache"])));
}

#[test]
fn what_a_push_hashed_before_it_broke_off_is_not_hashed_again() {
    let Some(registry) = Registry::start() else { return };
    let home = temp_dir();
    old_model(home.path());
    let refusing = Proxy::start(&registry.host, vec![Rule::instead("PUT", "/manifests/", Reply::new(403)).always()]);
    let broken = build(home.path()).args(["--push", "-t", &format!("{}/models/m:v1", refusing.host())]).output().unwrap();
    assert!(!broken.status.success());
    let again = told(&mut verbose(home.path()));
    assert_eq!(again.matches("hashed layer").count(), 1, "only the small file: {again}");
}

/// The bytes that a command reads from files and sockets: the kernel adds those of a child that ended to its parent's.
fn bytes_read(home: &Path, words: &[&str]) -> u64 {
    let script = "\"$0\" \"$@\" >/dev/null; cat /proc/$$/io";
    let mut shell = clean_command("sh", home);
    shell.current_dir(home).args(["-c", script, env!("CARGO_BIN_EXE_modelcar")]).args(words);
    let printed = stdout_of(&mut shell);
    printed.lines().find_map(|line| line.strip_prefix("rchar: ")).unwrap().parse().unwrap()
}

#[test]
fn an_unchanged_push_reads_no_byte_of_the_model() {
    let Some(registry) = Registry::start() else { return };
    let home = temp_dir();
    let size = fs::metadata(old_model(home.path()).join("w.bin")).unwrap().len();
    let reference = format!("{}/models/m:v1", registry.host);
    let words = ["build", "-q", "--follow-links", "model", "--push", "-t", &reference];
    assert!(bytes_read(home.path(), &words) >= size);
    let again = bytes_read(home.path(), &words);
    assert!(again < size / 2, "{again} bytes of {size}");
    assert!(bytes_read(home.path(), &[&words[..], &["--no-cache"]].concat()) >= size);
}

#[test]
fn a_home_that_cannot_be_written_builds_all_the_same() {
    let home = temp_dir();
    old_model(home.path());
    let expected = json(build(home.path()).args(["--dry-run", "--no-cache"]))["digest"].clone();
    for variable in ["/proc", "/dev/null"] {
        assert_eq!(json(build(home.path()).arg("--dry-run").env("HOME", variable))["digest"], expected, "{variable}");
    }
    assert_eq!(json(build(home.path()).arg("--dry-run").env_remove("HOME"))["digest"], expected);
}

#[test]
fn a_cache_that_anybody_can_write_is_not_used() {
    let home = temp_dir();
    old_model(home.path());
    run(build(home.path()).arg("--dry-run"));
    assert_eq!(entries(home.path()), 2);
    fs::set_permissions(home.path().join(".cache/modelcar/digests"), fs::Permissions::from_mode(0o777)).unwrap();
    let said = told(&mut verbose(home.path()));
    assert!(said.contains("can be written by others"), "{said}");
    assert_eq!(said.matches("hashed layer").count(), 2, "{said}");
}

#[test]
fn a_fresh_checkout_on_a_fresh_runner_sends_only_what_changed() {
    let Some(registry) = Registry::start() else { return };
    let wire = CountingProxy::start(&registry.host);
    let reference = |tag: &str| format!("{}/models/m:{tag}", wire.address());
    let write = |home: &Path, changed: u8| {
        fs::create_dir(home.join("model")).unwrap();
        fs::write(home.join("model/a.bin"), vec![1; 3 * MIB]).unwrap();
        fs::write(home.join("model/b.bin"), vec![changed; 2 * MIB]).unwrap();
    };
    let first = temp_dir();
    write(first.path(), 2);
    run(build(first.path()).args(["--push", "-t", &reference("v1")]));
    let before = wire.sent();
    let second = temp_dir();
    write(second.path(), 3);
    let built = json(build(second.path()).args(["--push", "-t", &reference("v2")]));
    let sent: Vec<bool> = built["layers"].as_array().unwrap().iter().map(|layer| layer["sent"] == true).collect();
    assert_eq!(sent, [false, true]);
    let bytes = wire.sent() - before;
    assert!((2 * MIB as u64..2 * MIB as u64 + 32_000).contains(&bytes), "{bytes} bytes for one file of 2 MiB");
}

/// Gives the image `tag` one layer more, which says to hold a file of `said` and holds something else.
fn plant(registry: &Registry, tag: &str, said: &str) {
    let options = StoreOptions::default();
    let reference = format!("{}/models/m:{tag}", registry.host).parse().unwrap();
    let store = RegistryStore::new(&reference, Access::Write, &options).unwrap();
    let at = ManifestRef::Tag(tag.to_owned());
    let Manifest::Index(mut index) = store.get_manifest(&at).unwrap().parse().unwrap() else { panic!("an index") };
    let Manifest::Image(image) = store.get_manifest(&ManifestRef::Digest(index.manifests[0].digest)).unwrap().parse().unwrap() else {
        panic!("an image")
    };
    let layers = image.layers.iter().map(|layer| evil_twin(&store, layer, said)).collect();
    let raw = RawManifest::image(&ImageManifest { layers, ..image }).unwrap();
    store.put_manifest(&raw, &ManifestRef::Digest(raw.digest())).unwrap();
    let platform = index.manifests[0].platform.clone();
    index.manifests = vec![Descriptor { platform, ..raw.descriptor() }];
    store.put_manifest(&RawManifest::index(&index).unwrap(), &at).unwrap();
}

/// The same layer with its last content byte changed, under the same annotations.
fn evil_twin(store: &RegistryStore, layer: &Descriptor, said: &str) -> Descriptor {
    if layer.annotations.get("olot.layer.content.digest").is_none_or(|digest| digest != said) {
        return layer.clone();
    }
    let mut bytes = modelcar::store::read_blob(store, layer, 64 << 20).unwrap();
    let at = bytes.len() / 2;
    bytes[at] ^= 1;
    let twin = Descriptor { digest: Digest::of(&bytes), ..layer.clone() };
    store.put_blob(&twin, &bytes).unwrap();
    twin
}

/// Forgets the layers, so that a file's digest is known and the digest of its layer is not.
fn forget_layers(home: &Path) {
    for entry in fs::read_dir(home.join(".cache/modelcar/digests")).unwrap() {
        let entry = entry.unwrap().path();
        if fs::read_to_string(&entry).unwrap().lines().count() > 3 {
            fs::remove_file(entry).unwrap();
        }
    }
}

#[test]
fn a_lying_annotation_is_believed_only_by_order() {
    let Some(registry) = Registry::start() else { return };
    let home = temp_dir();
    old_model(home.path());
    let reference = |tag: &str| format!("{}/models/m:{tag}", registry.host);
    let honest = json(build(home.path()).args(["--push", "-t", &reference("v1")]));
    let file = honest["layers"][0]["files"][0]["digest"].as_str().unwrap().to_owned();
    plant(&registry, "v1", &file);
    run(modelcar(home.path()).current_dir(home.path()).env("COSIGN_PASSWORD", "").args(["keygen"]));
    let key = ["--key", "cosign.key", "--attest", "none"];
    let layers = |build: &Value| build["layers"].clone();
    forget_layers(home.path());
    let unsigned = json(build(home.path()).args(["--push", "-t", &reference("v2")]));
    assert_eq!(layers(&unsigned)[0]["digest"], layers(&honest)[0]["digest"], "the tag before is no proof");
    forget_layers(home.path());
    let signed = json(build(home.path()).env("COSIGN_PASSWORD", "").args(["--push", "-t", &reference("v1")]).args(key));
    assert_eq!(layers(&signed)[0]["digest"], layers(&honest)[0]["digest"], "nor is it when this build signs");
    plant(&registry, "v2", &file);
    forget_layers(home.path());
    let ordered = json(build(home.path()).args(["--push", "-t", &reference("v3"), "--cache-from", &reference("v2")]));
    assert_ne!(layers(&ordered)[0]["digest"], layers(&honest)[0]["digest"], "who names the image vouches for it");
    // What was believed is not remembered as what was hashed.
    let after = json(build(home.path()).args(["--dry-run"]));
    assert_eq!(layers(&after)[0]["digest"], layers(&honest)[0]["digest"]);
}

#[test]
fn an_image_that_our_own_key_signed_is_believed_without_order() {
    let Some(registry) = Registry::start() else { return };
    let home = temp_dir();
    old_model(home.path());
    let reference = |tag: &str| format!("{}/models/m:{tag}", registry.host);
    run(modelcar(home.path()).current_dir(home.path()).env("COSIGN_PASSWORD", "").args(["keygen"]));
    let key = ["--key", "cosign.key", "--attest", "none"];
    let first = json(build(home.path()).env("COSIGN_PASSWORD", "").args(["--push", "-t", &reference("v1")]).args(key));
    forget_layers(home.path());
    let mut again = modelcar(home.path());
    again.current_dir(home.path()).env("COSIGN_PASSWORD", "").args([
        "build",
        "-v",
        "--follow-links",
        "model",
        "--push",
        "-t",
        &reference("v2"),
    ]);
    let output = run(again.args(key));
    let (said, image) = (String::from_utf8_lossy(&output.stderr), String::from_utf8_lossy(&output.stdout));
    assert_eq!(said.matches("hashed layer").count(), 1, "only the small files: {said}");
    assert!(image.contains(first["digest"].as_str().unwrap()), "{image}");
}

#[test]
fn a_fresh_runner_hashes_only_the_files_of_which_a_named_image_tells() {
    let Some(registry) = Registry::start() else { return };
    let (home, runner) = (temp_dir(), temp_dir());
    let model = home.path().join("model");
    fs::create_dir(&model).unwrap();
    for name in ["a.bin", "b.bin", "c.bin"] {
        fs::write(model.join(name), name.repeat(MIB)).unwrap();
    }
    fs::write(model.join("config.json"), "{}").unwrap();
    let reference = |tag: &str| format!("{}/models/m:{tag}", registry.host);
    json(build(home.path()).args(["--push", "-t", &reference("v1")]));
    fs::write(model.join("b.bin"), "z.bin".repeat(MIB)).unwrap();
    let (v1, v2) = (reference("v1"), reference("v2"));
    let fresh = || {
        let mut command = modelcar(runner.path());
        command.current_dir(home.path()).args(["build", "-v", "--format", "json", "model", "--push", "-t", &v2]);
        command
    };
    let output = run(fresh().args(["--cache-from", &v1]));
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(said.matches("hashed layer").count(), 2, "b.bin, and the small file: {said}");
    let told: Value = serde_json::from_slice(&output.stdout).unwrap();
    let sent: Vec<_> = told["layers"].as_array().unwrap().iter().map(|layer| layer["sent"].as_bool().unwrap()).collect();
    assert_eq!(sent, [false, true, false, false]);
    let whole: Value = serde_json::from_slice(&run(fresh().arg("--no-cache")).stdout).unwrap();
    assert_eq!(whole["digest"], told["digest"], "what is believed is what is true");
}

#[test]
fn a_version_in_a_neighbouring_repository_is_not_sent_again() {
    let Some(registry) = Registry::start() else { return };
    let home = temp_dir();
    fs::create_dir(home.path().join("model")).unwrap();
    fs::write(home.path().join("model/a.bin"), vec![1; 3 * MIB]).unwrap();
    let wire = CountingProxy::start(&registry.host);
    let reference = |repository: &str| format!("{}/{repository}:v1", wire.address());
    let first = json(build(home.path()).args(["--push", "-t", &reference("team/m")]));
    let before = wire.sent();
    let second = json(build(home.path()).args(["--push", "-t", &reference("prod/m"), "--cache-from", &reference("team/m")]));
    assert_eq!(second["digest"], first["digest"]);
    // 3 MiB are mounted; small blobs and manifests are sent
    assert!(wire.sent() - before < 100_000, "{} bytes for what is mounted", wire.sent() - before);
    let missing = run(build(home.path()).args(["--push", "-t", &reference("new/m"), "--cache-from", &reference("nobody/m")]));
    assert!(missing.status.success(), "an image that is not there yet is no error");
}

#[test]
fn digests_of_the_hub_are_believed_by_order_and_a_lie_is_told() {
    let home = temp_dir();
    let content = vec![7; 2 * MIB];
    let cache = home.path().join("models--org--name");
    let snapshot = cache.join("snapshots/0a1b");
    for folder in [&cache.join("blobs"), &cache.join("refs"), &snapshot] {
        fs::create_dir_all(folder).unwrap();
    }
    let place = |said: &Digest| {
        fs::write(cache.join("blobs").join(said.hex()), &content).unwrap();
        let _ = fs::remove_file(snapshot.join("w.bin"));
        symlink(cache.join("blobs").join(said.hex()), snapshot.join("w.bin")).unwrap();
    };
    let command = |more: &[&str]| {
        modelcar(home.path()).current_dir(home.path()).args(["build", "-q", "--dry-run"]).arg(&snapshot).args(more).output().unwrap()
    };
    place(&Digest::of(&content));
    let plain = command(&[]);
    assert_eq!(command(&["--trust-hub-digests"]).stdout, plain.stdout);
    place(&Digest::of(b"something else"));
    assert_eq!(command(&[]).stdout, plain.stdout, "nobody asked");
    let refused = command(&["--trust-hub-digests"]);
    assert_eq!(refused.status.code(), Some(3), "{}", String::from_utf8_lossy(&refused.stderr));
    assert!(String::from_utf8_lossy(&refused.stderr).contains("the hub's tools say"));
}
