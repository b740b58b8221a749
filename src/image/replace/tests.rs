use super::*;
use crate::image::base::Base;
use crate::image::{Transfer, Watch};
use crate::kserve::Runtime;
use crate::model::ReadOptions;
use crate::oci::{ImageConfig, ImageIndex, ImageManifest, Manifest, ManifestRef, Platform, Timestamp, canonical, media_type};
use crate::store::Access;
use crate::store::layout::LayoutStore;

struct Scene {
    dir: tempfile::TempDir,
    store: Arc<dyn Store>,
    index: RawManifest,
}

impl Scene {
    /// An image of two platforms with a large file and two small ones.
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let model = dir.path().join("model");
        std::fs::create_dir(&model).unwrap();
        for (name, size) in [("big.bin", 2_000_000), ("a.json", 10), ("b.json", 20)] {
            std::fs::write(model.join(name), vec![b'm'; size]).unwrap();
        }
        let model = model::read(&model, &ReadOptions::default()).unwrap();
        let layout = model::lay_out(&model, Some(Runtime::Raw), "m").unwrap();
        let base = Base::shell(&["amd64", "arm64"].map(Platform::linux), 0).unwrap();
        let spec = ImageSpec::of(&model, layout, base, Annotations::new(), Annotations::new(), Timestamp::from_seconds(7));
        let store: Arc<dyn Store> = Arc::new(LayoutStore::open(&dir.path().join("layout"), Access::Write).unwrap());
        let at = [ManifestRef::Tag("v1".to_owned())];
        let index = Build::new(spec).run(store.as_ref(), &at, &Transfer::default(), &Watch::silent()).unwrap().index().clone();
        Self { dir, store, index }
    }

    fn file(&self, path: &str, content: Vec<u8>) -> ModelFile {
        let source = self.dir.path().join("new");
        std::fs::write(&source, content).unwrap();
        ModelFile::on_disk(path.to_owned(), &source).unwrap()
    }

    fn change(&self, index: &RawManifest, changes: &[(&str, Change)]) -> Result<Replacement, ImageError> {
        let changes = changes.iter().map(|(path, change)| ((*path).to_owned(), change.clone())).collect();
        Replacement::new(&self.store, None, index, &changes)
    }

    /// The image with its first platform's config and manifest meddled with.
    fn meddled(&self, meddle: impl FnOnce(&mut ImageConfig, &mut ImageManifest)) -> RawManifest {
        let Manifest::Index(mut index) = self.index.parse().unwrap() else { unreachable!() };
        let at = ManifestRef::Digest(index.manifests[0].digest);
        let Manifest::Image(mut image) = self.store.get_manifest(&at).unwrap().parse().unwrap() else { unreachable!() };
        let mut config = crate::image::base::read_config(self.store.as_ref(), &image.config).unwrap();
        meddle(&mut config, &mut image);
        let bytes = canonical::to_vec(&config).unwrap();
        image.config = Descriptor::of(media_type::CONFIG, &bytes);
        self.store.put_blob(&image.config, &bytes).unwrap();
        let raw = RawManifest::image(&image).unwrap();
        self.store.put_manifest(&raw, &ManifestRef::Digest(raw.digest())).unwrap();
        index.manifests[0] = raw.descriptor().on(config.platform);
        RawManifest::index(&ImageIndex { ..index }).unwrap()
    }
}

#[test]
fn layers_without_a_changed_file_are_known_and_the_others_are_not() {
    let scene = Scene::new();
    for (path, known) in [("big.bin", vec![1]), ("a.json", vec![0])] {
        let file = scene.file(path, if path == "big.bin" { vec![7; 1_500_000] } else { b"new".to_vec() });
        let replacement = scene.change(&scene.index, &[(path, Change::Replace(file))]).unwrap();
        let changed = replacement.model(Path::new("m")).unwrap();
        let (_, found) = replacement.plan(Path::new("m"), &changed, &[]).unwrap();
        assert_eq!(found.layers.keys().copied().collect::<Vec<_>>(), known, "{path}");
    }
}

#[test]
fn a_file_that_grows_into_a_layer_of_its_own_leaves_its_group() {
    let scene = Scene::new();
    let file = scene.file("a.json", vec![7; 1_500_000]);
    let replacement = scene.change(&scene.index, &[("a.json", Change::Replace(file))]).unwrap();
    let changed = replacement.model(Path::new("m")).unwrap();
    let (build, known) = replacement.plan(Path::new("m"), &changed, &[]).unwrap();
    let files: Vec<Vec<String>> = build.files_by_layer().collect();
    assert_eq!(files, [["a.json"], ["big.bin"], ["b.json"]]);
    assert_eq!(known.layers.keys().copied().collect::<Vec<_>>(), [1]);
}

#[test]
fn an_image_that_is_not_ours_is_refused_and_it_is_said_why() {
    type Meddle = fn(&mut ImageConfig, &mut ImageManifest);
    let scene = Scene::new();
    let table: [(&str, Meddle); 7] = [
        ("different layers", |config, _| drop(config.history.pop())),
        ("different layers", |config, _| config.rootfs.diff_ids.truncate(1)),
        ("not what its config says", |config, _| config.rootfs.diff_ids.swap(1, 2)),
        ("another tool", |config, _| config.history.iter_mut().for_each(|line| line.created_by = "COPY".to_owned())),
        ("has no time", |config, _| config.created = None),
        ("different times", |config, _| config.created = Some("2026-01-01T00:00:00Z".to_owned())),
        ("different models", |_, image| image.layers.truncate(2)),
    ];
    for (expected, meddle) in table {
        let index = scene.meddled(meddle);
        let error = scene.change(&index, &[("a.json", Change::Remove)]).err().unwrap().to_string();
        assert!(error.contains(expected), "{expected}: {error}");
    }
}

#[test]
fn a_layer_that_holds_something_else_than_it_says_is_refused() {
    let scene = Scene::new();
    let index = scene.meddled(|_, image| {
        let layer = image.layers.iter_mut().find(|layer| layer.annotations.contains_key(annotations::LAYER_DIGEST)).unwrap();
        layer.annotations.insert(annotations::LAYER_PATH.to_owned(), "/models/other.bin".to_owned());
    });
    let Manifest::Index(mut both) = index.parse().unwrap() else { unreachable!() };
    both.manifests.truncate(1);
    let error = scene.change(&RawManifest::index(&both).unwrap(), &[("a.json", Change::Remove)]).err().unwrap().to_string();
    assert!(error.contains("something else than `other.bin`"), "{error}");
}

#[test]
fn facts_of_the_old_model_give_way_and_the_users_own_words_stay() {
    let map = |pairs: &[(&str, &str)]| pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect::<Annotations>();
    let image = map(&[("inputs", "old"), ("gone", "old"), ("licence", "the user's"), ("team", "edge")]);
    let (old, new) =
        (map(&[("inputs", "old"), ("gone", "old"), ("licence", "MIT")]), map(&[("inputs", "new"), ("licence", "MIT"), ("more", "new")]));
    let expected = map(&[("inputs", "new"), ("licence", "the user's"), ("team", "edge"), ("more", "new")]);
    assert_eq!(retold(image, &old, new), expected);
}
