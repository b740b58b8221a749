use super::*;
use crate::image::testing::Tar;
use crate::oci::{ContainerConfig, Descriptor, ImageConfig, ImageIndex, ImageManifest, ManifestRef, RootFs, canonical, media_type};
use crate::store::Access;
use crate::store::layout::LayoutStore;

const SHELL: &[u8] = include_bytes!("../../../shell/built/amd64/sh");
const FOREIGN: &[u8] = include_bytes!("../../../shell/built/arm64/sh");

/// An image in the making: a good one, of which each test spoils something.
struct Draft {
    layers: Vec<(&'static str, Vec<u8>)>,
    config: ContainerConfig,
    spoil: fn(&mut ImageManifest, &mut ImageConfig),
    index: bool,
    mount_path: &'static str,
}

fn model() -> Tar {
    Tar::default().directory("models").directory("models/1").file("models/1/m.onnx", b"weights")
}

fn shell() -> Tar {
    Tar::default().directory("bin").program("bin/sh", SHELL)
}

/// Another shell, and whatever commands are wanted.
fn foreign(names: &[&str]) -> Tar {
    let program = |name: &str| [&SHELL[..100], name.as_bytes()].concat();
    names.iter().fold(Tar::default(), |tar, name| tar.program(&format!("bin/{name}"), &program(name)))
}

impl Draft {
    fn of(layers: Vec<Tar>) -> Self {
        let layers = layers.into_iter().map(|tar| (media_type::LAYER_TAR, tar.end())).collect();
        let config = ContainerConfig { user: "65534".to_owned(), env: vec!["PATH=/bin".to_owned()], ..ContainerConfig::default() };
        Self { layers, config, spoil: |_, _| (), index: true, mount_path: "/mnt/models" }
    }

    fn good() -> Self {
        Self::of(vec![shell(), model()])
    }

    fn layers(layers: &[Tar]) -> Self {
        Self::of([&[shell()], layers].concat())
    }

    fn checked(self, consumer: Consumer) -> Vec<Line> {
        let dir = tempfile::tempdir().unwrap();
        let store = LayoutStore::open(&dir.path().join("layout"), Access::Write).unwrap();
        let put = |media_type: &str, bytes: &Vec<u8>| {
            let descriptor = Descriptor::of(media_type, bytes);
            store.put_blob(&descriptor, bytes).unwrap();
            descriptor
        };
        let layers: Vec<Descriptor> = self.layers.iter().map(|(kind, bytes)| put(kind, bytes)).collect();
        let rootfs = RootFs { diff_ids: layers.iter().map(|layer| layer.digest).collect(), ..RootFs::default() };
        let mut config = ImageConfig { platform: Platform::linux("amd64"), config: self.config, rootfs, ..ImageConfig::default() };
        let mut manifest = ImageManifest::new(Descriptor::of("", b""), layers);
        (self.spoil)(&mut manifest, &mut config);
        let kind = if manifest.artifact_type.is_some() { "application/x-artifact" } else { media_type::CONFIG };
        manifest.config = put(kind, &canonical::to_vec(&config).unwrap());
        let mut raw = RawManifest::image(&manifest).unwrap();
        if self.index {
            store.put_manifest(&raw, &ManifestRef::Digest(raw.digest())).unwrap();
            raw = RawManifest::index(&ImageIndex::new(vec![raw.descriptor().on(Platform::linux("amd64"))])).unwrap();
        }
        let request = Request { store: &store, raw: &raw, consumers: &[consumer], platforms: None, mount_path: self.mount_path };
        check(&request).unwrap().lines
    }
}

/// The outcome of a rule and its detail; more than one line of a rule is a defect.
#[track_caller]
fn outcome(lines: &[Line], rule: &str) -> (Outcome, String) {
    let found: Vec<&Line> = lines.iter().filter(|line| line.rule == rule).collect();
    let [line] = found[..] else { panic!("{rule}: {lines:#?}") };
    assert_eq!(line.fix.is_some(), line.outcome != Outcome::Pass, "{line:?}");
    (line.outcome, line.detail.clone())
}

#[track_caller]
fn expect(table: Vec<(&str, Draft, Outcome, &str)>, consumer: Consumer) {
    for (rule, draft, expected, words) in table {
        let lines = draft.checked(consumer);
        let (found, detail) = outcome(&lines, rule);
        assert_eq!(found, expected, "{rule}: {detail}");
        assert!(detail.contains(words), "{rule}: `{detail}` has no `{words}`");
    }
}

/// The model's layer as gzip in this many members.
fn in_gzip(members: usize) -> Draft {
    use std::io::Write as _;
    let zipped = |part: &[u8]| {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(part).unwrap();
        encoder.finish().unwrap()
    };
    let mut draft = Draft::good();
    let (kind, tar) = &mut draft.layers[1];
    *kind = media_type::LAYER_GZIP;
    *tar = tar.chunks(tar.len().div_ceil(members)).flat_map(zipped).collect();
    draft
}

#[test]
fn everybody_takes_what_modelcar_builds() {
    for consumer in Consumer::ALL {
        for index in [true, false] {
            let lines = Draft { index, ..Draft::good() }.checked(consumer);
            assert!(lines.len() > 2 && lines.iter().all(|line| line.outcome == Outcome::Pass), "{lines:#?}");
        }
    }
}

#[test]
fn modelcar_wants_a_shell_that_runs_its_commands_and_a_model_that_all_can_read() {
    use Outcome::{Fail, Pass, Warn};
    let with = |config: ContainerConfig| Draft { config, ..Draft::good() };
    let path = vec!["PATH=/usr/bin:/bin".to_owned()];
    let dynamic = std::fs::read(std::env::current_exe().unwrap()).unwrap();
    let head = &dynamic[..4096];
    let linked = |target: &str| {
        vec![Tar::default().program("usr/bin/dash", &SHELL[..200]).link("bin", "usr/bin").link("usr/bin/sh", target), model()]
    };
    expect(
        vec![
            (
                "entrypoint",
                with(ContainerConfig { entrypoint: Some(vec!["/init".to_owned()]), ..ContainerConfig::default() }),
                Fail,
                "/init",
            ),
            ("entrypoint", with(ContainerConfig { entrypoint: Some(vec![]), ..ContainerConfig::default() }), Pass, ""),
            ("shell", Draft::good(), Pass, "modelcar's own shell (/bin/sh)"),
            ("commands", Draft::good(), Pass, "built in"),
            ("shell", Draft::of(vec![model()]), Fail, "no `sh` on PATH (/bin)"),
            ("shell", Draft::of(vec![shell(), Tar::default().file("bin/.wh.sh", b""), model()]), Fail, "no `sh`"),
            ("shell", Draft::of(vec![shell(), Tar::default().file("bin/.wh..wh..opq", b""), model()]), Fail, "no `sh`"),
            ("shell", Draft::of(vec![Tar::default().program("bin/sh", FOREIGN), model()]), Fail, "is for arm64, not for amd64"),
            ("shell", Draft::of(vec![Tar::default().program("bin/sh", head), model()]), Fail, "needs the loader"),
            ("shell", Draft::of(vec![Tar::default().file("bin/sh", SHELL), model()]), Fail, "(0644) may not be executed"),
            ("shell", Draft::of(vec![Tar::default().program("bin/sh", b"text"), model()]), Fail, "neither an ELF program nor"),
            ("shell", Draft::of(vec![Tar::default().program("bin/sh", b"#!/bin/bash\n"), model()]), Fail, "a script for /bin/bash"),
            ("shell", Draft::of(linked("dash")), Pass, "sh (/usr/bin/dash)"),
            ("shell", Draft::of(linked("/usr/bin/../bin/dash")), Pass, "sh (/usr/bin/dash)"),
            ("shell", Draft::of(linked("gone")), Fail, "no `sh`"),
            ("shell", Draft { config: ContainerConfig { env: path, ..ContainerConfig::default() }, ..Draft::good() }, Pass, "/bin/sh"),
            ("shell", with(ContainerConfig { env: vec!["PATH=/opt".to_owned()], ..ContainerConfig::default() }), Fail, "PATH (/opt)"),
            ("commands", Draft::of(linked("dash")), Fail, "ln (not on PATH)"),
            ("commands", Draft::of(vec![foreign(&["sh", "ln", "ls", "sleep"]), model()]), Fail, "`[ (not on PATH)`"),
            ("commands", Draft::of(vec![foreign(&["sh", "ln", "ls", "sleep", "[", "echo"]), model()]), Pass, ""),
            (
                "commands",
                Draft::of(vec![Tar::default().program("bin/sh", &[&SHELL[..99], b"BusyBox v1.35"].concat()), model()]),
                Warn,
                "ln (not on",
            ),
            ("models", Draft::of(vec![shell()]), Fail, "no folder /models"),
            ("models", Draft::layers(&[Tar::default().directory("models")]), Fail, "empty"),
            ("models", Draft::layers(&[Tar::default().file("models", b"x")]), Fail, "no folder"),
            ("models", Draft::layers(&[Tar::default().file("data/m", b"x").link("models", "data")]), Pass, ""),
            ("permissions", Draft::layers(&[Tar::default().file("models/m", b"").owned(0o600, 0)]), Fail, "`/models/m (0600)`"),
            ("permissions", Draft::layers(&[Tar::default().file("models/m", b"").owned(0o640, 0)]), Pass, ""),
            ("permissions", Draft::layers(&[Tar::default().file("models/m", b"").owned(0o640, 7)]), Fail, "/models/m"),
            ("permissions", Draft::layers(&[Tar::default().directory("models/d").owned(0o754, 7)]), Fail, "/models/d (0754)"),
            ("user", with(ContainerConfig::default()), Warn, "`root`"),
            ("user", with(ContainerConfig { user: "nobody".to_owned(), ..ContainerConfig::default() }), Warn, "`nobody`"),
            ("user", with(ContainerConfig { user: "1001:0".to_owned(), ..ContainerConfig::default() }), Pass, "1001"),
            (
                "image",
                Draft { spoil: |manifest, _| manifest.artifact_type = Some("application/x-model".to_owned()), ..Draft::good() },
                Fail,
                "x-model",
            ),
        ],
        Consumer::Modelcar,
    );
}

#[test]
fn native_wants_a_folder_to_mount() {
    use Outcome::Fail;
    expect(
        vec![
            ("models", Draft::layers(&[Tar::default().file("data/m", b"x").link("models", "data")]), Fail, "symbolic link to `data`"),
            ("models", Draft::of(vec![shell()]), Fail, "no /models"),
            ("models", Draft::layers(&[Tar::default().directory("models")]), Fail, "empty"),
            ("permissions", Draft::layers(&[Tar::default().file("models/m", b"").owned(0o600, 0)]), Fail, "/models/m"),
            (
                "image",
                Draft { spoil: |manifest, _| manifest.artifact_type = Some("application/x-model".to_owned()), ..Draft::good() },
                Fail,
                "artifact",
            ),
        ],
        Consumer::Native,
    );
}

#[test]
fn fetch_takes_what_its_loop_takes() {
    use Outcome::{Fail, Pass, Warn};
    let member = |tar: Tar| Draft::layers(&[model(), tar]);
    let zstd = |manifest: &mut ImageManifest, _: &mut ImageConfig| manifest.layers[1].media_type = media_type::LAYER_ZSTD.to_owned();
    let other = |manifest: &mut ImageManifest, _: &mut ImageConfig| manifest.layers[0].media_type = "text/plain".to_owned();
    expect(
        vec![
            ("layer-types", Draft { spoil: zstd, ..Draft::good() }, Fail, "kserve#6014"),
            ("layer-types", in_gzip(2), Fail, "several members"),
            ("layer-types", in_gzip(1), Pass, "tar or gzip"),
            ("layer-types", Draft { spoil: other, ..Draft::good() }, Warn, "`text/plain` are skipped"),
            ("names", Draft::layers(&[Tar::default().file("./models/a", b"a")]), Fail, "`./models/a` is left out"),
            ("names", Draft::layers(&[Tar::default().file("/models/a", b"a")]), Fail, "`/models/a`"),
            ("names", Draft::of(vec![shell()]), Fail, "no layer has a member"),
            ("members", member(Tar::default().other("models/h", b'1', "models/1/m.onnx")), Fail, "models/h: hard links"),
            ("members", member(Tar::default().link("models/l", "/models/1")), Fail, "AbsoluteLinkError"),
            ("members", member(Tar::default().link("models/l", "../etc")), Fail, "LinkOutsideDestinationError"),
            ("members", member(Tar::default().link("models/1/l", "../1/m.onnx")), Pass, ""),
            ("members", member(Tar::default().other("models/p", b'6', "")), Fail, "SpecialFileError"),
            ("members", member(Tar::default().file("models/../x", b"")), Fail, "climbs"),
            ("whiteouts", member(Tar::default().file("models/1/.wh.m.onnx", b"")), Fail, "is written as a file"),
            ("duplicates", member(Tar::default().file("models/1/m.onnx", b"new")), Warn, "`models/1/m.onnx`"),
        ],
        Consumer::Fetch,
    );
}

#[test]
fn fetch_reads_an_index_without_a_media_type_as_an_image_without_layers() {
    let dir = tempfile::tempdir().unwrap();
    let store = LayoutStore::open(&dir.path().join("layout"), Access::Write).unwrap();
    for (json, words) in [
        (r#"{"schemaVersion":2,"manifests":[]}"#.to_owned(), "no `mediaType`"),
        (format!(r#"{{"schemaVersion":2,"mediaType":"{}","manifests":[]}}"#, media_type::INDEX), "no entry has platform"),
    ] {
        let raw = RawManifest { media_type: media_type::INDEX.to_owned(), bytes: json.into_bytes() };
        let request = Request { store: &store, raw: &raw, consumers: &[Consumer::Fetch], platforms: Some(&[]), mount_path: "/mnt/models" };
        let (found, detail) = outcome(&check(&request).unwrap().lines, "index");
        assert!(found == Outcome::Fail && detail.contains(words), "{detail}");
    }
}

#[test]
fn engines_want_documents_that_agree_and_layers_that_can_be_mounted() {
    use Outcome::{Fail, Pass, Warn};
    let many = |count: usize| Draft::of((0..count).map(|number| model().file(&format!("models/{number}"), b"")).collect());
    let lost: fn(&mut ImageManifest, &mut ImageConfig) = |_, config| config.rootfs.diff_ids.truncate(1);
    let swapped: fn(&mut ImageManifest, &mut ImageConfig) = |_, config| config.rootfs.diff_ids.swap(0, 1);
    let foreign: fn(&mut ImageManifest, &mut ImageConfig) = |manifest, _| manifest.layers[1].media_type = "text/plain".to_owned();
    let huge: fn(&mut ImageManifest, &mut ImageConfig) = |manifest, _| {
        let note = "x".repeat(5 << 20);
        manifest.annotations.insert("note".to_owned(), note);
    };
    for (consumer, count, expected) in [
        (Consumer::CriO, 128, Pass),
        (Consumer::CriO, 129, Warn),
        (Consumer::Containerd, 70, Pass),
        (Consumer::Containerd, 71, Warn),
        (Consumer::Containerd, 501, Fail),
        (Consumer::CriO, 501, Fail),
    ] {
        assert_eq!(outcome(&many(count).checked(consumer), "layers").0, expected, "{consumer} {count}");
    }
    let clash = Draft::layers(&[Tar::default().file("models/A", b"").file("models/a", b"")]);
    expect(
        vec![
            ("diff-ids", Draft { spoil: lost, ..Draft::good() }, Fail, "has 1 diff IDs, the manifest 2 layers"),
            ("diff-ids", Draft { spoil: swapped, ..Draft::good() }, Fail, "unpacks to something else"),
            ("layer-types", Draft { spoil: foreign, ..Draft::good() }, Fail, "text/plain"),
            ("manifest", Draft { spoil: huge, index: false, ..Draft::good() }, Fail, "at most 4 MiB"),
            ("names", clash, Warn, "models/A and models/a"),
        ],
        Consumer::Containerd,
    );
}

#[test]
fn a_mount_path_of_ones_own_wants_mkdir_too() {
    let image = || {
        Draft::of(vec![
            foreign(&["bash"]).link("bin/sh", "bash").program("bin/ln", SHELL).program("bin/ls", SHELL).program("bin/sleep", SHELL),
            model(),
        ])
    };
    assert_eq!(outcome(&image().checked(Consumer::Modelcar), "commands").0, Outcome::Pass);
    let (found, detail) = outcome(&Draft { mount_path: "/mnt/other/m", ..image() }.checked(Consumer::Modelcar), "commands");
    assert!(found == Outcome::Fail && detail.contains("mkdir (not on PATH)"), "{detail}");
}

#[test]
fn every_consumer_has_a_word() {
    for consumer in Consumer::ALL {
        assert_eq!(consumer.to_string().parse::<Consumer>().unwrap(), consumer);
    }
    assert_eq!("podman".parse::<Consumer>().unwrap_err().hint().unwrap(), "one of modelcar, native, fetch, cri-o, containerd");
}
