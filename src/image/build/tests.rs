use std::path::Path;

use super::*;
use crate::image::base::read_config;
use crate::image::copy::{Companions, Original, copy};
use crate::image::inspect::inspect;
use crate::image::platforms::images;
use crate::image::transfer::Previous;
use crate::kserve::Runtime;
use crate::model::ReadOptions;
use crate::oci::{ContainerConfig, Descriptor, Digest, ImageManifest, Manifest, Platform, media_type};
use crate::store::layout::LayoutStore;
use crate::store::{Access, Store};

fn platforms() -> Vec<Platform> {
    ["amd64", "arm64"].map(Platform::linux).to_vec()
}

/// Builds these files on a base into a new layout.
fn build(dir: &Path, files: &[(&str, usize)], base: Base) -> (std::sync::Arc<dyn Store>, Built) {
    let source = dir.join("model");
    for (name, size) in files {
        std::fs::create_dir_all(source.join(name).parent().unwrap()).unwrap();
        std::fs::write(source.join(name), vec![b'm'; *size]).unwrap();
    }
    let model = crate::model::read(&source, &ReadOptions::default()).unwrap();
    let layout = crate::model::lay_out(&model, Some(Runtime::Raw), "m").unwrap();
    let own = Annotations::from([("org.opencontainers.image.licenses".to_owned(), "MIT".to_owned())]);
    let labels = Annotations::from([("team".to_owned(), "edge".to_owned())]);
    let spec = ImageSpec::of(&model, layout, base, own, labels, Timestamp::from_seconds(1_700_000_000));
    let store = LayoutStore::open(&dir.join("layout"), Access::Write).unwrap();
    let built = Build::new(spec).run(&store, &[ManifestRef::Tag("v1".to_owned())], &Transfer::default(), &Watch::silent()).unwrap();
    (std::sync::Arc::new(store), built)
}

const FILES: [(&str, usize); 4] = [("big.bin", 2_000_000), ("a/b.json", 10), ("a/c.json", 20), ("z.bin", 1_048_576)];

#[test]
fn every_platform_has_the_same_model_layers_and_its_own_shell() {
    let dir = tempfile::tempdir().unwrap();
    let (store, built) = build(dir.path(), &FILES, Base::shell(&platforms(), 0).unwrap());
    let manifests = images(store.as_ref(), built.index(), None).unwrap();
    let [amd64, arm64] = &manifests[..] else { panic!("{manifests:?}") };
    assert_eq!(amd64.layers[1..], arm64.layers[1..]);
    assert_ne!(amd64.layers[0], arm64.layers[0]);
    for (manifest, platform) in manifests.iter().zip(platforms()) {
        let config = read_config(store.as_ref(), &manifest.config).unwrap();
        assert_eq!(config.platform, platform);
        assert_eq!(config.rootfs.diff_ids, manifest.layers.iter().map(|layer| layer.digest).collect::<Vec<_>>());
        assert_eq!(config.history.len(), manifest.layers.len());
        assert_eq!(config.created.as_deref(), Some("2023-11-14T22:13:20Z"));
        assert_eq!((config.config.user.as_str(), config.config.entrypoint, config.config.cmd), ("65534", None, None));
        assert_eq!(config.config.labels["team"], "edge");
        assert!(config.config.env[0].starts_with("PATH=") && config.config.env[0].ends_with(":/bin"));
    }
}

#[test]
fn layers_tell_their_files_as_olot_and_rh_model_signing_read_them() {
    let dir = tempfile::tempdir().unwrap();
    let (store, built) = build(dir.path(), &FILES, Base::none(&platforms()));
    let manifest: ImageManifest = images(store.as_ref(), built.index(), None).unwrap().remove(0);
    let told: Vec<Vec<&str>> = manifest.layers.iter().map(|layer| layer.annotations.values().map(String::as_str).collect()).collect();
    let big = Digest::of(&vec![b'm'; 2_000_000]).to_string();
    assert_eq!(told[0], [big.as_str(), "/models/big.bin", "big.bin", "file", "big.bin"]);
    assert_eq!(told[2], ["/models/", "models", "directory"]);
    assert!(manifest.layers.iter().all(|layer| layer.media_type == media_type::LAYER_TAR));
}

#[test]
fn the_content_digest_is_that_of_sha256sums_output() {
    let dir = tempfile::tempdir().unwrap();
    let (_, built) = build(dir.path(), &FILES, Base::none(&platforms()));
    let script = "find . -type f -printf '%P\\n' | LC_ALL=C sort | xargs sha256sum | sha256sum";
    let output = std::process::Command::new("sh").args(["-c", script]).current_dir(dir.path().join("model")).output().unwrap();
    let printed = String::from_utf8(output.stdout).unwrap();
    assert_eq!(built.content.hex(), printed.split_whitespace().next().unwrap());
    let Manifest::Index(index) = built.index().parse().unwrap() else { panic!("no index") };
    assert_eq!(index.annotations[annotations::CONTENT_DIGEST], built.content.to_string());
    assert_eq!(index.annotations["org.opencontainers.image.licenses"], "MIT");
}

#[test]
fn a_foreign_base_gives_its_platforms_layers_and_environment_but_no_entrypoint() {
    let dir = tempfile::tempdir().unwrap();
    let base_store: std::sync::Arc<dyn Store> = std::sync::Arc::new(LayoutStore::open(&dir.path().join("base"), Access::Write).unwrap());
    let put = |media_type: &str, bytes: Vec<u8>| {
        let descriptor = Descriptor::of(media_type, &bytes);
        base_store.put_blob(&descriptor, &bytes).unwrap();
        descriptor
    };
    let layer = put(media_type::DOCKER_LAYER_GZIP, b"a gzip layer".to_vec());
    let config = crate::oci::ImageConfig {
        platform: Platform::linux("riscv64"),
        config: ContainerConfig {
            env: vec!["A=b".to_owned()],
            user: "1001".to_owned(),
            entrypoint: Some(vec!["/bin/start".to_owned()]),
            cmd: Some(vec!["x".to_owned()]),
            ..ContainerConfig::default()
        },
        rootfs: crate::oci::RootFs { diff_ids: vec![Digest::of(b"unpacked")], ..crate::oci::RootFs::default() },
        ..crate::oci::ImageConfig::default()
    };
    let config = put(media_type::CONFIG, serde_json::to_vec(&config).unwrap());
    let raw = RawManifest::image(&ImageManifest::new(config, vec![layer])).unwrap();
    base_store.put_manifest(&raw, &ManifestRef::Tag("b".to_owned())).unwrap();

    let base = Base::image(&base_store, "registry.example.com/base:1".parse().ok(), &raw, None).unwrap();
    assert_eq!(base.notes.len(), 1, "{:?}", base.notes);
    let (store, built) = build(dir.path(), &FILES, base);
    let manifest = images(store.as_ref(), built.index(), None).unwrap().remove(0);
    assert_eq!(manifest.layers[0].media_type, media_type::LAYER_GZIP);
    assert_eq!(manifest.annotations["org.opencontainers.image.base.digest"], raw.digest().to_string());
    let config = read_config(store.as_ref(), &manifest.config).unwrap();
    assert_eq!(config.rootfs.diff_ids.len(), manifest.layers.len());
    assert_eq!(config.rootfs.diff_ids[0], Digest::of(b"unpacked"));
    assert_eq!((config.platform.architecture.as_str(), config.config.user.as_str(), config.config.entrypoint), ("riscv64", "1001", None));
    assert!(config.config.env.contains(&"A=b".to_owned()) && config.config.env.iter().any(|variable| variable.starts_with("PATH=")));

    let error =
        Base::image(&base_store, None, &RawManifest::index(&crate::oci::ImageIndex::new(vec![])).unwrap(), Some(&platforms())).err();
    assert!(matches!(error, Some(ImageError::NoPlatform { .. })));
}

/// Stands for the trust room's merge: whatever comes wins.
#[expect(clippy::unnecessary_wraps, reason = "the signature of a merge")]
fn union(_: &RawManifest, coming: &RawManifest) -> Result<crate::image::copy::Merged, String> {
    Ok(Some((coming.clone(), None)))
}

#[test]
fn a_copy_is_the_same_image_with_all_that_speaks_about_it() {
    let dir = tempfile::tempdir().unwrap();
    let (from, built) = build(dir.path(), &FILES, Base::shell(&platforms(), 0).unwrap());
    let subject = built.index().descriptor();
    let empty = Descriptor::of(media_type::EMPTY, b"{}");
    from.put_blob(&empty, &b"{}".to_vec()).unwrap();
    let artifact = |subject: Option<Descriptor>| {
        let manifest =
            ImageManifest { artifact_type: Some("application/x-note".to_owned()), subject, ..ImageManifest::new(empty.clone(), vec![]) };
        RawManifest::image(&manifest).unwrap()
    };
    let referrer = artifact(Some(subject.bare()));
    from.put_manifest(&referrer, &ManifestRef::Digest(referrer.digest())).unwrap();
    let of_the_referrer = artifact(Some(referrer.descriptor().bare()));
    from.put_manifest(&of_the_referrer, &ManifestRef::Digest(of_the_referrer.digest())).unwrap();
    let tag = ManifestRef::Tag(format!("sha256-{}.sig", subject.digest.hex()));
    from.put_manifest(&artifact(None), &tag).unwrap();

    let to = LayoutStore::open(&dir.path().join("copy"), Access::Write).unwrap();
    let tagged = [ManifestRef::Tag("v2".to_owned())];
    let copy_to = |to: &LayoutStore, companions: Companions| {
        let original = Original { store: &from, repository: None, manifest: built.index(), companions };
        copy(&original, to, &tagged, union, &Transfer::default(), &Watch::silent()).unwrap()
    };
    let copied = copy_to(&to, Companions::Along);
    let found: Vec<(Digest, &ManifestRef)> = copied.companions.iter().map(|found| (found.subject, &found.at)).collect();
    let [first, second] = [&referrer, &of_the_referrer].map(|raw| ManifestRef::Digest(raw.digest()));
    assert_eq!(found, [(subject.digest, &tag), (subject.digest, &first), (referrer.digest(), &second)]);
    assert_eq!(copied.bytes(), copied.sent_bytes());
    assert_eq!(to.get_manifest(&ManifestRef::Tag("v2".to_owned())).unwrap(), *built.index());
    assert_eq!(to.get_manifest(&tag).unwrap(), artifact(None));
    assert_eq!(to.referrers(&subject.digest).unwrap().len(), 1);
    assert_eq!(to.referrers(&referrer.digest()).unwrap().len(), 1);
    assert_eq!(inspect(&to, built.index()).unwrap(), inspect(from.as_ref(), built.index()).unwrap());

    assert_eq!(copy_to(&to, Companions::Along).sent_bytes(), 0);

    let bare = LayoutStore::open(&dir.path().join("bare"), Access::Write).unwrap();
    let alone = copy_to(&bare, Companions::LeftBehind);
    assert_eq!((alone.companions.len(), alone.left_behind), (0, copied.companions));
    assert_eq!(bare.tags().unwrap(), ["v2"]);
    assert_eq!(bare.referrers(&subject.digest).unwrap(), []);
}

#[test]
fn a_build_that_fails_moves_no_tag() {
    for previous in [Previous::Unknown, Previous::Layers(Vec::new())] {
        fails_and_moves_no_tag(&Transfer { previous, ..Transfer::default() });
    }
}

fn fails_and_moves_no_tag(transfer: &Transfer) {
    let dir = tempfile::tempdir().unwrap();
    let (store, before) = build(dir.path(), &FILES, Base::none(&platforms()));
    let model = crate::model::read(&dir.path().join("model"), &ReadOptions::default()).unwrap();
    let layout = crate::model::lay_out(&model, None, "m").unwrap();
    let spec = ImageSpec::of(&model, layout, Base::none(&platforms()), Annotations::new(), Annotations::new(), Timestamp::default());
    std::fs::write(dir.path().join("model/z.bin"), "changed since it was read").unwrap();
    let tag = ManifestRef::Tag("v1".to_owned());
    let error = Build::new(spec).run(store.as_ref(), std::slice::from_ref(&tag), transfer, &Watch::silent()).unwrap_err();
    assert!(matches!(error, ImageError::Reading(_)), "{error:?}");
    assert_eq!(store.get_manifest(&tag).unwrap(), *before.index());
}
