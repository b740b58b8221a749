//! A site's folder: written once, edited in place ever after, and built by the real kustomize.

use std::path::Path;
use std::process::Command;

use modelcar::kserve::{Delivery, Generation, Runtime};
use modelcar::oci::Digest;
use modelcar::rollout::{self, Planned, RolloutError, Service, SiteName, TreeChange};
use serde_json::Value;

use crate::rollout_patch::{expect_golden, service};
use crate::support::{crd, need};

fn iris(version: &str) -> Service {
    named("iris", version)
}

fn named(name: &str, version: &str) -> Service {
    let image = format!("quay.io/acme/{name}:{version}@{}", Digest::of(version.as_bytes()));
    Service { name: name.parse().unwrap(), image: image.parse().unwrap(), ..service(Generation::V0_20, Delivery::Modelcar) }
}

fn site(name: &str) -> SiteName {
    name.parse().unwrap()
}

fn plan(root: &Path, to: &SiteName, service: &Service) -> Result<TreeChange, RolloutError> {
    rollout::plan(root, to, service).map(|planned| planned.change)
}

fn roll_out(root: &Path, to: &str, service: &Service) -> TreeChange {
    roll_out_over(root, to, service).change
}

fn roll_out_over(root: &Path, to: &str, service: &Service) -> Planned {
    let planned = rollout::plan(root, &site(to), service).unwrap();
    planned.change.write().unwrap();
    planned
}

pub fn put(root: &Path, path: &str, text: &str) {
    let path = root.join(path);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, text).unwrap();
}

pub fn get(root: &Path, path: &str) -> String {
    std::fs::read_to_string(root.join(path)).unwrap()
}

fn changed(change: &TreeChange) -> Vec<&str> {
    change.files.iter().map(|file| file.path.to_str().unwrap()).collect()
}

/// What kustomize makes of a folder: `None` after saying that kubectl is missing.
pub fn build(folder: &Path) -> Option<Vec<Value>> {
    let done = Command::new(need("kubectl")?).arg("kustomize").arg(folder).output().unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    Some(serde_saphyr::from_multiple(std::str::from_utf8(&done.stdout).unwrap()).unwrap())
}

/// Builds a site, checks every InferenceService against the schema, and that the digest of each version is in it.
fn expect_built(root: &Path, to: &str, versions: &[&str]) {
    let Some(objects) = build(&root.join("sites").join(to)) else { return };
    let mut uris: Vec<_> = objects.iter().filter_map(|object| object.pointer("/spec/predictor/model/storageUri")?.as_str()).collect();
    let mut wanted: Vec<_> = versions.iter().map(|version| Digest::of(version.as_bytes()).to_string()).collect();
    uris.sort_by_key(|uri| uri.rsplit('@').next().map(str::to_owned));
    wanted.sort();
    assert!(uris.len() == wanted.len() && uris.iter().zip(&wanted).all(|(uri, digest)| uri.ends_with(digest)), "{uris:?} {wanted:?}");
    let Some(schema) = crd::inference_service() else { return };
    for object in objects.iter().filter(|object| object["kind"] == "InferenceService") {
        assert_eq!(crd::violations(schema, object), Vec::<String>::new());
    }
}

#[test]
fn makes_a_working_site_out_of_nothing_and_leaves_it_alone_afterwards() {
    let dir = tempfile::tempdir().unwrap();
    let Planned { change, old_digest, .. } = roll_out_over(dir.path(), "edge-01", &iris("v1"));
    let (base, model, overlay) = ("sites/edge-01/base/iris.yaml", "sites/edge-01/models/iris.yaml", "sites/edge-01/kustomization.yaml");
    assert_eq!(changed(&change), [model, base, overlay]);
    assert_eq!(old_digest, None);
    expect_golden("site/kustomization.yaml", &get(dir.path(), overlay));
    expect_golden("site/models-iris.yaml", &get(dir.path(), model));
    expect_golden("site/base-iris.yaml", &get(dir.path(), base));
    expect_built(dir.path(), "edge-01", &["v1"]);
    let again = plan(dir.path(), &site("edge-01"), &iris("v1")).unwrap();
    assert!(again.is_empty() && again.diff().is_empty());
    assert_eq!(again.paths().len(), 3, "a commit that failed the first time can be made up for");
}

#[test]
fn changes_two_lines_for_a_new_version() {
    let dir = tempfile::tempdir().unwrap();
    roll_out(dir.path(), "edge-01", &iris("v1"));
    let Planned { change, old_digest, .. } = roll_out_over(dir.path(), "edge-01", &iris("v2"));
    assert_eq!(changed(&change), ["sites/edge-01/models/iris.yaml"]);
    assert_eq!(old_digest, Some(Digest::of(b"v1")));
    let diff = change.diff();
    let lines = |mark: char| diff.lines().filter(|line| line.starts_with(mark) && !line.starts_with(&mark.to_string().repeat(3))).count();
    assert_eq!((lines('-'), lines('+')), (2, 2), "{diff}");
    expect_built(dir.path(), "edge-01", &["v2"]);
}

#[test]
fn another_tag_on_the_same_digest_restarts_nothing() {
    let dir = tempfile::tempdir().unwrap();
    roll_out(dir.path(), "edge-01", &iris("v1"));
    let renamed = Service { image: format!("quay.io/acme/iris:stable@{}", Digest::of(b"v1")).parse().unwrap(), ..iris("v1") };
    assert!(plan(dir.path(), &site("edge-01"), &renamed).unwrap().is_empty());
}

#[test]
fn serves_two_models_on_one_site_and_one_model_on_two_sites() {
    let dir = tempfile::tempdir().unwrap();
    roll_out(dir.path(), "edge-01", &named("iris", "v1"));
    let second = roll_out(dir.path(), "edge-01", &named("magika", "v7"));
    assert_eq!(second.files.len(), 3);
    roll_out(dir.path(), "edge-02", &named("iris", "v2"));
    expect_built(dir.path(), "edge-01", &["v1", "v7"]);
    expect_built(dir.path(), "edge-02", &["v2"]);
    for (to, service) in [("edge-01", named("iris", "v1")), ("edge-01", named("magika", "v7")), ("edge-02", named("iris", "v2"))] {
        assert!(plan(dir.path(), &site(to), &service).unwrap().is_empty());
    }
}

const SHARED: &str = "apiVersion: serving.kserve.io/v1beta1\nkind: InferenceService\nmetadata:\n  name: iris\n  namespace: models\n\
                      spec:\n  predictor:\n    model:\n      modelFormat: {name: onnx}\n      runtime: kserve-openvino\n";

#[test]
fn patches_a_service_of_a_shared_base_wherever_it_lies() {
    let dir = tempfile::tempdir().unwrap();
    put(dir.path(), "kserve/iris/isvc.yaml", &format!("kind: ConfigMap\napiVersion: v1\nmetadata: {{name: x}}\n---\n{SHARED}"));
    put(dir.path(), "kserve/iris/kustomization.yml", "resources: [isvc.yaml]\n");
    put(dir.path(), "kserve/kustomization.yaml", "resources: [./iris]\n");
    put(dir.path(), "sites/a/kustomization.yaml", "resources:\n  - ../../kserve # shared\n");
    let change = roll_out(dir.path(), "a", &iris("v1"));
    assert_eq!(changed(&change), ["sites/a/models/iris.yaml", "sites/a/kustomization.yaml"]);
    expect_built(dir.path(), "a", &["v1"]);
}

#[test]
fn finds_a_base_elsewhere_in_the_repository_but_not_outside() {
    for git in [".git", "gitops/.git"] {
        let dir = tempfile::tempdir().unwrap();
        put(dir.path(), &format!("{git}/HEAD"), "");
        put(dir.path(), "bases/isvc.yaml", &SHARED.replace("kserve-openvino", "secret"));
        put(dir.path(), "gitops/sites/a/kustomization.yaml", "resources: [../../../bases/isvc.yaml]\n");
        let known = Service { runtime: Some("secret".to_owned()), ..iris("v1") };
        let change = plan(&dir.path().join("gitops"), &site("a"), &known).unwrap();
        assert_eq!(change.files.len(), 2);
        // The runtime of a base that was read need not be repeated.
        assert_eq!(change.diff().contains("runtime: secret"), git != ".git");
    }
}

#[test]
fn does_not_add_a_second_service_where_a_remote_base_may_hold_it() {
    let dir = tempfile::tempdir().unwrap();
    for (number, kustomization) in [
        "resources:\n  - https://github.com/acme/bases//iris?ref=v1\n",
        "resources:\n  - github.com/acme/bases\n",
        "components:\n  - ../missing\n",
        "helmCharts:\n  - name: iris\n",
    ]
    .iter()
    .enumerate()
    {
        let name = format!("site-{number}");
        put(dir.path(), &format!("sites/{name}/kustomization.yaml"), kustomization);
        let change = plan(dir.path(), &site(&name), &iris("v1")).unwrap();
        assert_eq!(change.files.len(), 2, "{kustomization}");
    }
}

#[test]
fn ends_on_kustomizations_that_name_each_other() {
    let dir = tempfile::tempdir().unwrap();
    put(dir.path(), "sites/a/kustomization.yaml", "resources: [../b, .]\n");
    put(dir.path(), "sites/b/kustomization.yaml", "resources: [../a]\n");
    assert_eq!(plan(dir.path(), &site("a"), &iris("v1")).unwrap().files.len(), 3);
}

#[test]
fn counts_a_patch_that_is_named_already() {
    for entry in
        ["patches: [{path: ./models/iris.yaml}]", "patchesStrategicMerge:\n- models/iris.yaml", "patches:\n- path: models/iris.yaml\n"]
    {
        let dir = tempfile::tempdir().unwrap();
        put(dir.path(), "sites/a/isvc.yaml", SHARED);
        put(dir.path(), "sites/a/kustomization.yaml", &format!("resources: [isvc.yaml]\n{entry}"));
        let change = plan(dir.path(), &site("a"), &iris("v1")).unwrap();
        assert_eq!(changed(&change), ["sites/a/models/iris.yaml"], "{entry}");
    }
}

#[test]
fn keeps_what_the_user_added_to_the_patch() {
    let dir = tempfile::tempdir().unwrap();
    let change = roll_out(dir.path(), "a", &iris("v1"));
    let path = change.files[0].path.to_str().unwrap();
    let mine =
        get(dir.path(), path).replace("spec:\n", "spec: # mine\n").replace("  predictor:\n", "  predictor:\n    minReplicas: 2 # two\n")
            + "# end";
    put(dir.path(), path, &mine);
    roll_out(dir.path(), "a", &iris("v2"));
    let expected = mine.replace(&Digest::of(b"v1").to_string(), &Digest::of(b"v2").to_string()).replace("iris:v1", "iris:v2");
    assert_eq!(get(dir.path(), path), expected);
    expect_built(dir.path(), "a", &["v2"]);
}

#[test]
fn edits_the_right_document_of_a_patch_with_several() {
    let dir = tempfile::tempdir().unwrap();
    let base = SHARED.replace("  namespace: models\n", "");
    put(dir.path(), "sites/a/isvc.yaml", &format!("{base}---\n{}", base.replace("iris", "other")));
    put(dir.path(), "sites/a/kustomization.yaml", "resources: [isvc.yaml]\n");
    let patch = |name: &str| {
        format!(
            "apiVersion: serving.kserve.io/v1beta1\nkind: InferenceService\nmetadata:\n  name: {name}\nspec:\n  predictor:\n    minReplicas: 3\n"
        )
    };
    put(dir.path(), "sites/a/models/iris.yaml", &format!("# two\n{}---\n{}", patch("other"), patch("iris")));
    roll_out(dir.path(), "a", &iris("v1"));
    expect_built(dir.path(), "a", &["v1"]);
    assert!(get(dir.path(), "sites/a/models/iris.yaml").starts_with(&format!("# two\n{}---\n", patch("other"))));
}

#[test]
fn sets_a_runtime_only_where_the_user_names_another() {
    let dir = tempfile::tempdir().unwrap();
    roll_out(dir.path(), "a", &iris("v1"));
    let same = Service { runtime: Some("kserve-openvino".to_owned()), ..iris("v1") };
    assert!(plan(dir.path(), &site("a"), &same).unwrap().is_empty());
    let other = Service { runtime: Some("my-ovms".to_owned()), ..iris("v1") };
    assert!(roll_out(dir.path(), "a", &other).diff().contains("+      runtime: my-ovms\n"));
    assert!(plan(dir.path(), &site("a"), &iris("v1")).unwrap().is_empty(), "without a name it stays");
    assert!(!plan(dir.path(), &site("a"), &same).unwrap().is_empty(), "and it can be set back");
}

#[test]
fn refuses_a_site_whose_runtime_reads_other_folders() {
    for file in ["base", "models"] {
        let dir = tempfile::tempdir().unwrap();
        roll_out(dir.path(), "a", &iris("v1"));
        let path = format!("sites/a/{file}/iris.yaml");
        let line = |runtime: &str| format!("    model:\n      runtime: {runtime}\n");
        let without = get(dir.path(), &path).replace("      runtime: kserve-openvino\n", "");
        put(dir.path(), &path, &without.replace("    model:\n", &line("kserve-tritonserver")));
        let error = plan(dir.path(), &site("a"), &iris("v2")).unwrap_err();
        assert!(matches!(&error, RolloutError::RuntimeMismatch { wants: Runtime::Triton, .. }), "{file}: {error:?}");
        let own = Service { runtime: Some("kserve-openvino".to_owned()), ..iris("v2") };
        assert!(plan(dir.path(), &site("a"), &own).is_ok(), "the user may name another");
        put(dir.path(), &path, &without.replace("    model:\n", &line("my-triton")));
        assert!(plan(dir.path(), &site("a"), &iris("v2")).is_ok(), "an unknown name may be anything");
    }
}

#[test]
fn moves_no_service_that_is_there_to_another_namespace() {
    let dir = tempfile::tempdir().unwrap();
    let placed = |namespace: &str| Service { namespace: Some(namespace.to_owned()), ..iris("v1") };
    roll_out(dir.path(), "a", &placed("models"));
    assert!(plan(dir.path(), &site("a"), &placed("models")).unwrap().is_empty());
    let error = plan(dir.path(), &site("a"), &placed("others")).unwrap_err();
    assert!(matches!(error, RolloutError::OtherNamespace { .. }), "{error:?}");
    let overlay = "sites/a/kustomization.yaml";
    put(dir.path(), overlay, &(get(dir.path(), overlay) + "namespace: others\n"));
    assert!(plan(dir.path(), &site("a"), &placed("others")).is_ok(), "the kustomization sets it for all");
}

#[test]
fn refuses_what_it_cannot_edit_safely_and_writes_nothing() {
    let overlay = "sites/a/kustomization.yaml";
    let model = "sites/a/models/iris.yaml";
    let cases = [
        (overlay, "resources: [x.yaml]\nnamePrefix: {{ .Values.prefix }}\n", "template"),
        (overlay, "- a\n- b\n", "not a Kustomization"),
        (overlay, "kind: List\n", "not a Kustomization"),
        (overlay, "a: 1\n---\nb: 2\n", "exactly one document"),
        (overlay, "patches: models/iris.yaml\n", "`patches` is not a list"),
        (overlay, "patches: [\n", "as YAML"),
        (overlay, "patches: []\npatches: []\n", "as YAML"),
        (overlay, "x: &p [{path: y}]\npatches: *p\n", "exactly what was meant"),
        (model, "{{ template }}\n", "template"),
        (model, "- op: replace\n  path: /spec\n", "should hold the InferenceService"),
        (
            model,
            "apiVersion: serving.kserve.io/v1beta1\nkind: InferenceService\nmetadata: {name: other}\n",
            "should hold the InferenceService",
        ),
        (
            model,
            "apiVersion: serving.kserve.io/v1beta1\nkind: InferenceService\nmetadata: {name: iris}\nspec: {predictor: {onnx: {}}}\n",
            "old form",
        ),
        (
            model,
            "apiVersion: serving.kserve.io/v1beta1\nkind: InferenceService\nmetadata: {name: iris}\nspec: {predictor: {storageUris: []}}\n",
            "excludes",
        ),
        (
            model,
            "apiVersion: serving.kserve.io/v1beta1\nkind: InferenceService\nmetadata: {name: iris}\nspec: none\n",
            "not a plain mapping",
        ),
    ];
    for (path, text, said) in cases {
        let dir = tempfile::tempdir().unwrap();
        put(dir.path(), path, text);
        let error = plan(dir.path(), &site("a"), &iris("v1")).unwrap_err();
        assert!(error.to_string().contains(said), "{text}: {error}");
        assert_eq!(get(dir.path(), path), text);
    }
}

#[test]
fn refuses_folders_behind_links_and_two_kustomizations() {
    let dir = tempfile::tempdir().unwrap();
    put(dir.path(), "sites/a/kustomization.yaml", "resources: []\n");
    put(dir.path(), "sites/a/kustomization.yml", "resources: []\n");
    std::os::unix::fs::symlink("a", dir.path().join("sites/b")).unwrap();
    assert!(plan(dir.path(), &site("a"), &iris("v1")).unwrap_err().to_string().contains("more than one"));
    assert!(matches!(plan(dir.path(), &site("b"), &iris("v1")).unwrap_err(), RolloutError::Symlink { .. }));
}

/// vLLM loads a GGUF file only by name, and the name comes with the image.
fn gguf(version: &str, file: &str) -> Service {
    let format = modelcar::rollout::ModelFormat { name: "gguf".to_owned(), version: None };
    let args = vec![format!("--model=/mnt/models/{file}")];
    Service { format, layout: Some(Runtime::Vllm), args, ..named("chat", version) }
}

fn args(root: &Path, path: &str) -> Value {
    let document: Value = serde_saphyr::from_str(&get(root, path)).unwrap();
    document["spec"]["predictor"]["model"]["args"].clone()
}

#[test]
fn arguments_follow_the_image_and_the_users_own_stay() {
    const PATCH: &str = "sites/a/models/chat.yaml";
    let dir = tempfile::tempdir().unwrap();
    assert!(roll_out(dir.path(), "a", &gguf("v1", "q4.gguf")).warnings.is_empty());
    assert_eq!(args(dir.path(), PATCH), serde_json::json!(["--model=/mnt/models/q4.gguf"]));
    put(dir.path(), PATCH, &get(dir.path(), PATCH).replace("      args:\n", "      args:\n      - --max-model-len=4096\n"));
    assert!(roll_out(dir.path(), "a", &gguf("v2", "q8.gguf")).warnings.is_empty());
    assert_eq!(args(dir.path(), PATCH), serde_json::json!(["--max-model-len=4096", "--model=/mnt/models/q8.gguf"]));
    assert!(roll_out(dir.path(), "a", &gguf("v2", "q8.gguf")).is_empty());
    let without = Service { args: Vec::new(), ..gguf("v3", "") };
    assert!(roll_out(dir.path(), "a", &without).warnings[0].contains("q8.gguf"));
    expect_built(dir.path(), "a", &["v3"]);
}

#[test]
fn a_base_with_arguments_of_its_own_is_left_to_its_owner() {
    let dir = tempfile::tempdir().unwrap();
    roll_out(dir.path(), "a", &Service { args: Vec::new(), ..gguf("v1", "") });
    let base = "sites/a/base/chat.yaml";
    let with_args = |arg: &str| get(dir.path(), base).replace("    model:\n", &format!("    model:\n      args:\n        - {arg}\n"));
    put(dir.path(), base, &with_args("--max-model-len=4096"));
    let change = roll_out(dir.path(), "a", &gguf("v2", "q4.gguf"));
    assert!(args(dir.path(), "sites/a/models/chat.yaml").is_null());
    assert!(change.warnings[0].contains("`--model=/mnt/models/q4.gguf`"), "{:?}", change.warnings);
    put(dir.path(), base, &get(dir.path(), base).replace("--max-model-len=4096", "--model=/mnt/models/q4.gguf"));
    assert!(roll_out(dir.path(), "a", &gguf("v2", "q4.gguf")).warnings.is_empty());
}
