//! What kustomize does with an InferenceService that surprises people; the tree and the tool are built around it. Every trap is run, so that
//! a kustomize that behaves otherwise is noticed.

use std::path::Path;

use serde_json::{Value, json};

use crate::support::kustomize::{self, documents, write};
use crate::support::{repo_root, temp_dir};

const DIGEST: &str = "sha256:2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae";
const CANARY: &str = "sha256:fcde2b2edba56bf408601fb721fe9b5c338d10ee429ea04fae5511b68fbf8fb9";

/// An InferenceService with lists, and a canary beside it.
fn service(uri: &str, canary: &str) -> String {
    format!(
        "apiVersion: serving.kserve.io/v1beta1\nkind: InferenceService\nmetadata: {{name: iris}}\nspec:\n  predictor:\n    \
         imagePullSecrets: [{{name: quay}}]\n    model:\n      modelFormat: {{name: onnx}}\n      storageUri: {uri}\n      \
         args: [--a]\n      env: [{{name: A, value: '1'}}]\n  canary:\n    - trafficPercent: 10\n      predictor:\n        name: v2\n        \
         model: {{name: '', modelFormat: {{name: onnx}}, storageUri: {canary}}}\n"
    )
}

fn field_specs() -> String {
    std::fs::read_to_string(repo_root().join("edge-clusters/samples/images-style/kustomizeconfig.yaml")).unwrap()
}

/// An overlay over that service with these further lines.
fn overlay(folder: &Path, uri: &str, canary: &str, lines: &str) {
    let kustomization = format!("resources: [iris.yaml]\n{lines}");
    let files = [("iris.yaml", &*service(uri, canary)), ("kustomizeconfig.yaml", &field_specs()), ("kustomization.yaml", &kustomization)];
    write(folder, &files);
}

/// What kustomize makes of the service; `None` after saying that kubectl is missing.
fn built(uri: &str, canary: &str, lines: &str) -> Option<Value> {
    let folder = temp_dir();
    overlay(folder.path(), uri, canary, lines);
    Some(kustomize::build(folder.path())?.remove(0))
}

/// The overlay with one entry of `images:`.
fn with_image(uri: &str, image: &str) -> Option<(Value, Value)> {
    let lines = format!("configurations: [kustomizeconfig.yaml]\nimages:\n  - {image}\n");
    let object = built(uri, "modelcar-iris-canary", &lines)?;
    Some((uri_of(&object["spec"]["predictor"]), uri_of(&object["spec"]["canary"][0]["predictor"])))
}

fn uri_of(predictor: &Value) -> Value {
    predictor["model"]["storageUri"].clone()
}

#[test]
fn a_patch_replaces_the_lists_of_a_custom_resource() {
    let patch = "patches:\n  - target: {kind: InferenceService}\n    patch: |\n      apiVersion: serving.kserve.io/v1beta1\n      \
                 kind: InferenceService\n      metadata: {name: iris}\n      spec: {predictor: {imagePullSecrets: [{name: other}], \
                 model: {args: [--b], env: [{name: B, value: '2'}]}}}\n";
    let Some(object) = built("modelcar-iris", "modelcar-iris-canary", patch) else { return };
    let predictor = &object["spec"]["predictor"];
    assert_eq!(predictor["model"]["env"], json!([{"name": "B", "value": "2"}]));
    assert_eq!((&predictor["model"]["args"], &predictor["imagePullSecrets"]), (&json!(["--b"]), &json!([{"name": "other"}])));
    assert_eq!(predictor["model"]["storageUri"], "modelcar-iris", "maps are merged");
}

#[test]
fn an_operation_adds_to_such_a_list() {
    let patch = "patches:\n  - target: {kind: InferenceService}\n    patch: |\n      - op: add\n        path: /spec/predictor/model/env/-\n        \
                 value: {name: B, value: '2'}\n";
    let Some(object) = built("modelcar-iris", "modelcar-iris-canary", patch) else { return };
    assert_eq!(object["spec"]["predictor"]["model"]["env"], json!([{"name": "A", "value": "1"}, {"name": "B", "value": "2"}]));
}

#[test]
fn an_image_name_without_the_scheme_does_not_match_and_nobody_says_so() {
    let uri = "oci://quay.io/acme/iris";
    let Some((stable, _)) = with_image(uri, &format!("{{name: quay.io/acme/iris, digest: '{DIGEST}'}}")) else { return };
    assert_eq!(stable, uri);
}

#[test]
fn an_image_name_with_scheme_and_port_is_torn_apart() {
    let name = "oci://quay.io:5000/acme/iris";
    let Some((stable, _)) = with_image(name, &format!("{{name: '{name}', digest: '{DIGEST}'}}")) else { return };
    assert_eq!(stable, format!("oci://quay.io@{DIGEST}"), "the port was taken for a tag");
    // without a port the same works, which makes it a trap
    let name = "oci://quay.io/acme/iris";
    let (stable, _) = with_image(name, &format!("{{name: '{name}', digest: '{DIGEST}'}}")).unwrap();
    assert_eq!(stable, format!("{name}@{DIGEST}"));
}

#[test]
fn a_name_that_is_no_image_takes_scheme_registry_and_port() {
    for new_name in ["oci://quay.io:5000/acme/iris", "oci+native://quay.io/acme/iris"] {
        let entry = format!("{{name: modelcar-iris, newName: '{new_name}', digest: '{DIGEST}'}}");
        let Some((stable, canary)) = with_image("modelcar-iris", &entry) else { return };
        assert_eq!(stable, format!("{new_name}@{DIGEST}"));
        assert_eq!(canary, "modelcar-iris-canary", "a name that only begins alike is another one");
    }
}

#[test]
fn a_tag_beside_the_digest_is_written_too() {
    let entry = format!("{{name: modelcar-iris, newName: 'oci://quay.io/acme/iris', newTag: v1, digest: '{DIGEST}'}}");
    let Some((stable, _)) = with_image("modelcar-iris", &entry) else { return };
    assert_eq!(stable, format!("oci://quay.io/acme/iris:v1@{DIGEST}"));
}

#[test]
fn a_configuration_has_to_lie_in_the_overlay() {
    let folder = temp_dir();
    let site = folder.path().join("site");
    overlay(&site, "modelcar-iris", "modelcar-iris-canary", "configurations: [../kustomizeconfig.yaml]\n");
    write(folder.path(), &[("kustomizeconfig.yaml", &field_specs())]);
    let Some(done) = kustomize::run(&site) else { return };
    let said = String::from_utf8_lossy(&done.stderr);
    assert!(!done.status.success() && said.contains("security; file") && said.contains("is not in or below"), "{said}");
}

#[test]
fn without_the_configuration_the_uri_is_no_image() {
    let lines = format!("images:\n  - {{name: modelcar-iris, newName: 'oci://quay.io/acme/iris', digest: '{DIGEST}'}}\n");
    let Some(object) = built("modelcar-iris", "modelcar-iris-canary", &lines) else { return };
    assert_eq!(uri_of(&object["spec"]["predictor"]), "modelcar-iris");
}

#[test]
fn one_name_for_stable_and_canary_makes_them_the_same_image() {
    let entry = |name: &str, digest: &str| format!("  - {{name: {name}, newName: 'oci://quay.io/acme/iris', digest: '{digest}'}}\n");
    let lines = |entries: &str| format!("configurations: [kustomizeconfig.yaml]\nimages:\n{entries}");
    let Some(same) = built("modelcar-iris", "modelcar-iris", &lines(&entry("modelcar-iris", DIGEST))) else { return };
    assert_eq!(uri_of(&same["spec"]["predictor"]), uri_of(&same["spec"]["canary"][0]["predictor"]));
    let both = entry("modelcar-iris", DIGEST) + &entry("modelcar-iris-canary", CANARY);
    let apart = built("modelcar-iris", "modelcar-iris-canary", &lines(&both)).unwrap();
    assert_eq!(uri_of(&apart["spec"]["predictor"]), format!("oci://quay.io/acme/iris@{DIGEST}"));
    assert_eq!(uri_of(&apart["spec"]["canary"][0]["predictor"]), format!("oci://quay.io/acme/iris@{CANARY}"));
}

#[test]
fn the_sample_goes_round_every_trap() {
    let folder = repo_root().join("edge-clusters/samples/images-style");
    let kustomization = documents(&std::fs::read_to_string(folder.join("kustomization.yaml")).unwrap()).remove(0);
    for image in kustomization["images"].as_array().unwrap() {
        assert!(image["newTag"].is_null() && !image["name"].as_str().unwrap().contains(['/', ':']), "{image}");
    }
    let Some(objects) = kustomize::build(&folder) else { return };
    let spec = &objects[0]["spec"];
    let uris = [uri_of(&spec["predictor"]), uri_of(&spec["canary"][0]["predictor"])];
    assert_ne!(uris[0], uris[1]);
    assert!(uris.iter().all(|uri| uri.as_str().unwrap().starts_with("oci://quay.example.com/models/iris@sha256:")), "{uris:?}");
}
