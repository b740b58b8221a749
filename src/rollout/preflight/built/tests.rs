use super::*;
use crate::rollout::FileChange;

const SERVICE: &str =
    "apiVersion: serving.kserve.io/v1beta1\nkind: InferenceService\nmetadata: {name: iris}\nspec:\n  predictor:\n    model:\n";

fn put(root: &Path, path: &str, text: &str) {
    let path = root.join(path);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

fn tree() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    put(dir.path(), "sites/a/base/iris.yaml", &format!("{SERVICE}      modelFormat: {{name: onnx}}\n      runtime: kserve-ovms\n"));
    put(dir.path(), "sites/a/models/iris.yaml", &format!("{SERVICE}      storageUri: oci://q.io/iris@sha256:1\n"));
    put(dir.path(), "sites/a/kustomization.yaml", "resources: [base/iris.yaml]\npatches:\n  - path: models/iris.yaml\n");
    put(dir.path(), "sites/b/kustomization.yaml", "resources: [nothing.yaml]\n");
    dir
}

fn change(root: &Path, path: &str, after: Option<&str>) -> TreeChange {
    let before = yaml::read(&root.join(path)).unwrap();
    TreeChange::of(root, vec![FileChange { path: path.into(), before, after: after.map(str::to_owned) }])
}

#[test]
fn builds_base_and_patch_of_the_models_that_change() {
    let dir = tree();
    let after = format!("{SERVICE}      storageUri: oci://q.io/iris@sha256:2\n");
    let built = own(dir.path(), &"a".parse().unwrap(), &change(dir.path(), "sites/a/models/iris.yaml", Some(&after))).unwrap();
    let [service] = &built.services[..] else { panic!("{built:?}") };
    assert_eq!(service["spec"]["predictor"]["model"]["storageUri"], "oci://q.io/iris@sha256:2");
    assert_eq!(service["spec"]["predictor"]["model"]["runtime"], "kserve-ovms");
    assert!(matches!(schema(&built.services, Generation::V0_20, Mode::Standard), Outcome::Passed(what) if what == "iris"));
    let before = fs::read_to_string(dir.path().join("sites/a/models/iris.yaml")).unwrap();
    assert!(before.contains("sha256:1"), "the tree is as it was");
}

#[test]
fn a_kustomization_that_names_a_missing_file_does_not_build() {
    let dir = tree();
    let nothing = TreeChange::of(dir.path(), vec![]);
    let built = own(dir.path(), &"b".parse().unwrap(), &nothing).unwrap();
    assert!(built.outcome.detail().contains("nothing.yaml"), "{built:?}");
    let removed = change(dir.path(), "sites/a/base/iris.yaml", None);
    let built = own(dir.path(), &"a".parse().unwrap(), &removed).unwrap();
    assert!(built.outcome.detail().contains("base/iris.yaml"), "{built:?}");
}

#[test]
fn sees_what_kserve_would_not_take() {
    let service = |model: &str| yaml::parse(Path::new("x"), &format!("{SERVICE}{model}")).unwrap();
    for (model, said) in [
        ("      storageUri: oci://q.io/iris@sha256:1\n", Some("modelFormat")),
        ("      modelFormat: {name: onnx}\n      storageUri: [a]\n", Some("storageUri")),
        ("      modelFormat: {name: onnx}\n      storageURI: oci://q.io/iris@sha256:1\n", Some("storageUri")),
        ("      modelFormat: {name: onnx}\n      storageUri: oci+fetch://q.io/iris@sha256:1\n", Some("fetch")),
        ("      modelFormat: {name: onnx}\n      storageUri: oci://q.io/iris@sha256:1\n", None),
    ] {
        let outcome = schema(&service(model), Generation::V0_20, Mode::Standard);
        assert_eq!(said.is_some(), matches!(outcome, Outcome::Failed { .. }), "{outcome:?}");
        assert!(said.is_none_or(|said| outcome.detail().contains(said)), "{outcome:?}");
    }
    assert!(matches!(schema(&[], Generation::V0_20, Mode::Standard), Outcome::Skipped(_)));
}

#[test]
fn copies_a_repository_without_history_and_other_sites() {
    let dir = tree();
    put(dir.path(), ".git/config", "[core]");
    put(dir.path(), "kserve/base.yaml", "a: 1\n");
    let copy = tempfile::tempdir().unwrap();
    assert!(copied(dir.path(), &copy.path().join("t"), &dir.path().join("sites"), &"a".parse().unwrap()).unwrap());
    for (path, there) in [("sites/a/base/iris.yaml", true), ("kserve/base.yaml", true), ("sites/b", false), (".git", false)] {
        assert_eq!(copy.path().join("t").join(path).exists(), there, "{path}");
    }
}

#[test]
fn a_patch_that_reaches_nobody_is_no_rollout() {
    let digest = Digest::of(b"v2");
    let service = |digest: Digest| {
        let text = format!("{SERVICE}      storageUri: oci://q.io/iris@{digest}\n");
        yaml::parse(Path::new("x"), &text).unwrap()
    };
    let judged = |services, is_whole| {
        let built = Built { outcome: Outcome::Passed(String::new()), services, is_whole };
        matches!(built.bringing("iris", Some(digest)).outcome, Outcome::Passed(_))
    };
    assert!(judged(service(digest), true));
    assert!(!judged(service(Digest::of(b"v1")), true) && !judged(Vec::new(), true));
    assert!(judged(Vec::new(), false), "of a part nothing can be told");
}

#[test]
fn what_is_too_large_is_not_even_begun_to_be_copied() {
    let (dir, copy) = (tree(), tempfile::tempdir().unwrap());
    std::fs::File::create(dir.path().join("large")).unwrap().set_len(MAX_BYTES + 1).unwrap();
    let to = copy.path().join("tree");
    assert!(!copied(dir.path(), &to, &dir.path().join("sites"), &"a".parse().unwrap()).unwrap());
    assert!(!to.join("large").exists());
}
