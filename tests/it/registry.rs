//! What is written to a real registry is there for every other client, and only what is missing is sent.

use std::collections::BTreeMap;
use std::io::{self, Read};
use std::process::Command;

use modelcar::oci::{Descriptor, Digest, Hasher, ImageConfig, ImageManifest, ManifestRef, Platform, RawManifest, canonical, media_type};
use modelcar::store::registry::RegistryStore;
use modelcar::store::{Access, BlobSource, Store, StoreError, StoreOptions, read_blob};

use crate::support::need;
use crate::support::registry::{PASSWORD, Registry, Setup, USER};

/// Bytes made while they are read, as many as wanted: xorshift64.
#[derive(Clone, Copy)]
struct Noise {
    seed: u64,
    left: u64,
}

impl Noise {
    fn new(seed: u64, size: u64) -> Self {
        Self { seed: seed * 2 + 1, left: size }
    }

    fn descriptor(&self) -> Descriptor {
        let (mut hasher, mut reader, mut buffer) = (Hasher::default(), *self, vec![0; 1 << 16]);
        loop {
            match reader.read(&mut buffer).unwrap() {
                0 => return Descriptor::new(media_type::LAYER_TAR, hasher.finish(), self.left),
                count => hasher.update(&buffer[..count]),
            }
        }
    }
}

impl Read for Noise {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = buffer.len().min(usize::try_from(self.left).unwrap_or(usize::MAX)) / 8 * 8;
        for bytes in buffer[..count].chunks_exact_mut(8) {
            self.seed ^= self.seed << 13;
            self.seed ^= self.seed >> 7;
            self.seed ^= self.seed << 17;
            bytes.copy_from_slice(&self.seed.to_le_bytes());
        }
        self.left -= count as u64;
        Ok(count)
    }
}

impl BlobSource for Noise {
    fn open(&self) -> io::Result<Box<dyn Read + Send>> {
        Ok(Box::new(*self))
    }
}

fn open_with(registry: &Registry, options: &StoreOptions) -> RegistryStore {
    let reference = format!("{}/org/model", registry.host).parse().unwrap();
    RegistryStore::new(&reference, Access::Write, options).unwrap()
}

fn open(registry: &Registry) -> RegistryStore {
    open_with(registry, &StoreOptions::default())
}

fn tag(name: &str) -> ManifestRef {
    ManifestRef::Tag(name.to_owned())
}

/// A tar of one file, an image of it, both pushed.
fn push_image(store: &dyn Store, name: &str) -> RawManifest {
    let mut tar = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_gnu();
    header.set_size(5);
    header.set_mode(0o644);
    tar.append_data(&mut header, "models/model.onnx", &b"model"[..]).unwrap();
    let layer_bytes = tar.into_inner().unwrap();
    let layer = Descriptor::of(media_type::LAYER_TAR, &layer_bytes);
    let mut config = ImageConfig { platform: Platform::linux("amd64"), ..ImageConfig::default() };
    config.rootfs.diff_ids.push(layer.digest);
    let config_bytes = canonical::to_vec(&config).unwrap();
    let config = Descriptor::of(media_type::CONFIG, &config_bytes);
    store.put_blob(&layer, &layer_bytes).unwrap();
    store.put_blob(&config, &config_bytes).unwrap();
    let manifest = RawManifest::image(&ImageManifest::new(config, vec![layer])).unwrap();
    store.put_manifest(&manifest, &tag(name)).unwrap();
    manifest
}

fn referrer(store: &dyn Store, subject: &RawManifest, content: &[u8]) -> RawManifest {
    let (empty, layer) = (Descriptor::of(media_type::EMPTY, b"{}"), Descriptor::of(media_type::BUNDLE, content));
    store.put_blob(&empty, &b"{}".to_vec()).unwrap();
    store.put_blob(&layer, &content.to_vec()).unwrap();
    let mut manifest = ImageManifest::new(empty, vec![layer]);
    manifest.artifact_type = Some(media_type::BUNDLE.to_owned());
    manifest.subject = Some(subject.descriptor());
    manifest.annotations = BTreeMap::from([("content".to_owned(), String::from_utf8_lossy(content).into_owned())]);
    let manifest = RawManifest::image(&manifest).unwrap();
    store.put_manifest(&manifest, &ManifestRef::Digest(manifest.digest())).unwrap();
    manifest
}

#[test]
fn an_image_is_read_back_as_it_was_written() {
    let Some(registry) = Registry::start() else { return };
    let store = open(&registry);
    let manifest = push_image(&store, "v1");
    assert_eq!(store.get_manifest(&tag("v1")).unwrap(), manifest);
    assert_eq!(store.get_manifest(&ManifestRef::Digest(manifest.digest())).unwrap(), manifest);
    assert_eq!(store.tags().unwrap(), ["v1"]);
    let modelcar::oci::Manifest::Image(image) = manifest.parse().unwrap() else { panic!() };
    let layer = read_blob(&store, &image.layers[0], 1 << 20).unwrap();
    assert_eq!(Digest::of(&layer), image.layers[0].digest);
    assert_eq!(store.name(), format!("{}/org/model", registry.host));
}

#[test]
fn what_is_not_there_is_said_so() {
    let Some(registry) = Registry::start() else { return };
    let store = open(&registry);
    assert!(store.get_manifest(&tag("v1")).unwrap_err().is_not_found());
    assert!(store.get_blob(&Descriptor::of("x", b"x")).err().unwrap().is_not_found());
    assert!(store.tags().unwrap_err().hint().is_some());
    push_image(&store, "v1");
    assert!(store.get_manifest(&tag("v2")).unwrap_err().is_not_found());
    assert_eq!(store.referrers(&Digest::of(b"nothing")).unwrap(), []);
}

#[test]
fn a_second_push_sends_no_blob() {
    let Some(registry) = Registry::start() else { return };
    push_image(&open(&registry), "v1");
    let uploads = |log: &str| log.lines().filter(|line| line.contains("\"POST ") && line.contains("/blobs/uploads/")).count();
    assert_eq!(uploads(&registry.log()), 2, "{}", registry.log());
    push_image(&open(&registry), "v2");
    assert_eq!(uploads(&registry.log()), 2);
    assert_eq!(open(&registry).tags().unwrap(), ["v1", "v2"]);
}

#[test]
fn other_clients_read_what_was_written() {
    let Some(registry) = Registry::start() else { return };
    let manifest = push_image(&open(&registry), "v1");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let protocol = oci_client::client::ClientProtocol::Http;
    let client = oci_client::Client::new(oci_client::client::ClientConfig { protocol, ..Default::default() });
    let reference: oci_client::Reference = format!("{}/org/model:v1", registry.host).parse().unwrap();
    let (_, digest) = runtime.block_on(client.pull_manifest(&reference, &oci_client::secrets::RegistryAuth::Anonymous)).unwrap();
    assert_eq!(digest, manifest.digest().to_string());
    let accepted = vec![media_type::LAYER_TAR];
    let image = runtime.block_on(client.pull(&reference, &oci_client::secrets::RegistryAuth::Anonymous, accepted)).unwrap();
    assert_eq!(image.layers.len(), 1);

    let Some(skopeo) = need("skopeo") else { return };
    let dir = tempfile::tempdir().unwrap();
    let target = format!("oci:{}:v1", dir.path().join("layout").display());
    let output = Command::new(skopeo)
        .args(["copy", "--preserve-digests", "--src-tls-verify=false", &format!("docker://{}/org/model:v1", registry.host), &target])
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(dir.path().join("layout/blobs/sha256").join(manifest.digest().hex()).is_file(), "skopeo kept the very bytes");
}

#[test]
fn four_threads_upload_large_blobs_at_once() {
    let Some(registry) = Registry::start() else { return };
    let store = open(&registry);
    let blobs: Vec<(Descriptor, Noise)> = [64 << 20, 8 << 20, 8 << 20, 8]
        .iter()
        .zip(0..)
        .map(|(size, seed)| Noise::new(seed, *size))
        .map(|noise| (noise.descriptor(), noise))
        .collect();
    std::thread::scope(|scope| {
        for (blob, noise) in &blobs {
            let store = &store;
            scope.spawn(move || store.put_blob(blob, noise).unwrap());
        }
    });
    for (blob, _) in &blobs {
        assert!(store.has_blob(blob).unwrap());
        let read = io::copy(&mut store.get_blob(blob).unwrap(), &mut io::sink()).unwrap();
        assert_eq!(read, blob.size);
    }
}

#[test]
fn content_that_is_not_what_was_promised_does_not_get_in() {
    let Some(registry) = Registry::start() else { return };
    let store = open(&registry);
    let promised = Descriptor::of("x", b"promised");
    let error = store.put_blob(&promised, &b"promises".to_vec()).unwrap_err();
    assert!(error.to_string().contains("received other bytes"), "{error}");
    for wrong in [&b"promise"[..], b"promised and more", b""] {
        let error = store.put_blob(&promised, &wrong.to_vec()).unwrap_err();
        assert!(matches!(error, StoreError::Source { .. }), "{error}");
    }
    assert!(!store.has_blob(&promised).unwrap());
}

#[test]
fn referrers_are_found_where_the_registry_cannot_list_them() {
    let Some(registry) = Registry::start() else { return };
    let store = open(&registry);
    let image = push_image(&store, "v1");
    let written: Vec<Digest> = std::thread::scope(|scope| {
        let write = |number: u8| {
            let (registry, image) = (&registry, &image);
            // each with a store of its own, as signers in different pipelines have
            scope.spawn(move || referrer(&open(registry), image, &[b'a' + number]).digest())
        };
        let threads: Vec<_> = (0..4).map(write).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    let found = store.referrers(&image.digest()).unwrap();
    assert_eq!(found.len(), 4);
    for digest in written {
        let entry = found.iter().find(|entry| entry.digest == digest).unwrap();
        assert_eq!(entry.artifact_type.as_deref(), Some(media_type::BUNDLE));
        assert_eq!(entry.annotations["content"].len(), 1);
    }
    assert!(store.tags().unwrap().contains(&format!("sha256-{}", image.digest().hex())));
}

#[test]
fn a_user_and_a_password_open_the_door_and_wrong_ones_do_not() {
    let Some(registry) = Registry::start_with(&Setup { login: true, ..Setup::default() }) else { return };
    let options = StoreOptions { authfile: Some(registry.authfile()), ..StoreOptions::default() };
    push_image(&open_with(&registry, &options), "v1");

    let dir = tempfile::tempdir().unwrap();
    let wrong = dir.path().join("auth.json");
    let json = serde_json::json!({"auths": {&registry.host: {"username": USER, "password": "CANARY"}}});
    std::fs::write(&wrong, json.to_string()).unwrap();
    let error = open_with(&registry, &StoreOptions { authfile: Some(wrong.clone()), ..StoreOptions::default() }).tags().unwrap_err();
    let text = error.to_string();
    assert!(text.contains(&format!("refused user `{USER}` from {}", wrong.display())), "{text}");
    assert!(!format!("{error:?}").contains("CANARY") && !format!("{error:?}").contains(PASSWORD));
    assert!(error.hint().unwrap().contains("login"));

    std::fs::write(&wrong, "{}").unwrap();
    let error = open_with(&registry, &StoreOptions { authfile: Some(wrong), ..StoreOptions::default() }).tags().unwrap_err();
    assert!(error.to_string().contains("refused anonymous access"), "{error}");
}

#[test]
fn tls_is_trusted_by_ca_file_and_by_nothing_else() {
    let Some(registry) = Registry::start_with(&Setup { tls: true, ..Setup::default() }) else { return };
    // on loopback, plain HTTP is tried first and TLS is what the registry wants
    let trusting = StoreOptions { ca_file: Some(registry.ca_file()), ..StoreOptions::default() };
    push_image(&open_with(&registry, &trusting), "v1");
    let strict = StoreOptions { tls_verify: Some(true), ..trusting };
    assert_eq!(open_with(&registry, &strict).tags().unwrap(), ["v1"]);
    let careless = StoreOptions { tls_verify: Some(false), ..StoreOptions::default() };
    assert_eq!(open_with(&registry, &careless).tags().unwrap(), ["v1"]);

    let other = Registry::start_with(&Setup { tls: true, ..Setup::default() }).unwrap();
    let wrong = StoreOptions { ca_file: Some(other.ca_file()), ..StoreOptions::default() };
    let error = open_with(&registry, &wrong).tags().unwrap_err();
    assert_eq!(error.to_string(), format!("cannot agree on TLS with {}", registry.host));
    assert!(format!("{error:?}").contains("invalid peer certificate") && error.hint().unwrap().contains("--ca-file"), "{error:?}");
}

/// `cargo test --test it -- --ignored --nocapture registry::measure`: prints rates and the peak memory of this process.
#[test]
#[ignore = "takes gigabytes of disk; the figures are for people"]
fn measure_uploads() {
    let (Some(registry), Some(curl)) = (Registry::start(), need("curl")) else { return };
    let dir = tempfile::tempdir().unwrap();
    let file = |seed: u64, size: u64| {
        let path = dir.path().join(seed.to_string());
        let noise = Noise::new(seed, size);
        io::copy(&mut { noise }, &mut std::fs::File::create(&path).unwrap()).unwrap();
        (noise.descriptor(), File(path))
    };
    let store = open(&registry);
    let rate = |what: &str, bytes: u64, started: std::time::Instant| {
        let elapsed = started.elapsed();
        let rate = u128::from(bytes) / elapsed.as_micros().max(1);
        eprintln!("{what}: {elapsed:.2?}, {rate} MB/s, peak RSS {}", peak_rss());
    };
    let single = file(1, 1536 << 20);
    let started = std::time::Instant::now();
    store.put_blob(&single.0, &single.1).unwrap();
    rate("one blob of 1.5 GiB", single.0.size, started);

    let four: Vec<_> = (2..6).map(|seed| file(seed, 384 << 20)).collect();
    let started = std::time::Instant::now();
    std::thread::scope(|scope| {
        for (blob, source) in &four {
            let store = &store;
            scope.spawn(move || store.put_blob(blob, source).unwrap());
        }
    });
    rate("four blobs of 384 MiB at once", 1536 << 20, started);

    let other = Registry::start().unwrap();
    let post =
        Command::new(&curl).args(["-si", "-X", "POST", &format!("http://{}/v2/org/model/blobs/uploads/", other.host)]).output().unwrap();
    let answer = String::from_utf8(post.stdout).unwrap();
    let location = answer.lines().find_map(|line| line.strip_prefix("Location: ")).unwrap().trim();
    let started = std::time::Instant::now();
    let status =
        Command::new(&curl).args(["-sfT"]).arg(&single.1.0).arg(format!("{location}&digest={}", single.0.digest)).status().unwrap();
    assert!(status.success());
    rate("curl -T of 1.5 GiB (its own process)", single.0.size, started);
}

struct File(std::path::PathBuf);

impl BlobSource for File {
    fn open(&self) -> io::Result<Box<dyn Read + Send>> {
        Ok(Box::new(std::fs::File::open(&self.0)?))
    }
}

fn peak_rss() -> String {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap().trim().to_owned()
}
