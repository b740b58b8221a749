//! The two styles of a site, its applications, and what is read out of a folder that people keep as they like.

use std::path::Path;
use std::time::{Duration, Instant};

use modelcar::kserve::{CanaryWay, Delivery, Generation, Runtime};
use modelcar::oci::{Digest, Reference};
use modelcar::rollout::{
    CanaryBy, CanaryRequest, Intent, ModelFormat, RolloutError, Service, Site, SiteName, StateReader, Style, plan_intent, read_state,
};

use crate::rollout_canary::{canary, carry_out, deploy, iris, promote, roll_back, site, state};
use crate::rollout_site::{build, get, put};

const NEW: Generation = Generation::V0_20;
const OVERLAY: &str = "sites/edge/kustomization.yaml";
const BASE: &str = "apiVersion: serving.kserve.io/v1beta1\nkind: InferenceService\nmetadata:\n  name: iris\nspec:\n  predictor:\n    model:\n      \
                    modelFormat: {name: onnx}\n      runtime: kserve-openvino\n";

fn pinned(name: &str, version: &str) -> Reference {
    format!("{name}@{}", Digest::of(version.as_bytes())).parse().unwrap()
}

fn files(planned: &modelcar::rollout::Planned) -> Vec<&str> {
    planned.change.files.iter().map(|file| file.path.to_str().unwrap()).collect()
}

fn uri(root: &Path) -> Option<String> {
    let objects = build(&root.join("sites/edge"))?;
    let service = objects.iter().find(|object| object["kind"] == "InferenceService")?;
    Some(service["spec"]["predictor"]["model"]["storageUri"].as_str().unwrap().to_owned())
}

/// What kustomize does with other ways of writing it; if it ever stops, the layout may become simpler.
#[test]
fn kustomize_still_has_the_traps_that_the_layout_avoids() {
    let digest = Digest::of(b"v1");
    for (name, entry, becomes) in [
        ("oci://quay.io/a/iris", "name: quay.io/a/iris, newName: quay.io/b/iris", "oci://quay.io/a/iris".to_owned()),
        ("oci://quay.io:5000/a/iris", "name: 'oci://quay.io:5000/a/iris'", format!("oci://quay.io@{digest}")),
        ("modelcar-iris", "name: modelcar-iris, newName: 'oci://quay.io:5000/a/iris'", format!("oci://quay.io:5000/a/iris@{digest}")),
        ("modelcar-iris", "name: modelcar-iris, newName: oci://q/a, newTag: v1", format!("oci://q/a:v1@{digest}")),
    ] {
        let dir = tempfile::tempdir().unwrap();
        carry_out(dir.path(), &site(NEW, "style: images\n"), &deploy(NEW, "v1")).unwrap();
        put(dir.path(), "sites/edge/base/iris.yaml", &BASE.replace("      runtime", &format!("      storageUri: {name}\n      runtime")));
        let overlay = get(dir.path(), OVERLAY);
        let start = overlay.split("images:").next().unwrap();
        put(dir.path(), OVERLAY, &format!("{start}images: [{{{entry}, digest: '{digest}'}}]\n"));
        let Some(uri) = uri(dir.path()) else { return };
        assert_eq!(uri, becomes, "{entry}");
    }
}

#[test]
fn an_existing_model_keeps_its_style() {
    let (patches, images) = (site(NEW, "style: patch\n"), site(NEW, "style: images\n"));
    for (first, then, style) in [(&patches, &images, Style::Patch), (&images, &patches, Style::Images)] {
        let dir = tempfile::tempdir().unwrap();
        carry_out(dir.path(), first, &deploy(NEW, "v1")).unwrap();
        carry_out(dir.path(), then, &deploy(NEW, "v2")).unwrap();
        let state = state(dir.path());
        assert_eq!((state.style, state.stable.digest()), (style, Some(Digest::of(b"v2"))));
        assert_eq!(state.file == Path::new(OVERLAY), style == Style::Images);
    }
}

#[test]
fn an_edit_of_an_images_entry_touches_its_two_lines() {
    let dir = tempfile::tempdir().unwrap();
    let site = site(NEW, "style: images\n");
    carry_out(dir.path(), &site, &deploy(NEW, "v1")).unwrap();
    let mine = get(dir.path(), OVERLAY)
        .replace("images:", "images: # all of them\n  - name: sidecar\n    newTag: v3 # fixed")
        .replace('\n', "\r\n");
    put(dir.path(), OVERLAY, &mine);
    let planned = carry_out(dir.path(), &site, &deploy(NEW, "v2")).unwrap();
    assert_eq!(files(&planned), [OVERLAY]);
    let wanted = mine.replace(&Digest::of(b"v1").to_string(), &Digest::of(b"v2").to_string());
    assert_eq!(get(dir.path(), OVERLAY), wanted);
}

#[test]
fn a_tag_that_somebody_put_beside_the_digest_goes_away() {
    let dir = tempfile::tempdir().unwrap();
    let site = site(NEW, "style: images\n");
    carry_out(dir.path(), &site, &deploy(NEW, "v1")).unwrap();
    let tagged = get(dir.path(), OVERLAY).replace("    newName:", "    newTag: v1\n    newName:");
    put(dir.path(), OVERLAY, &tagged);
    carry_out(dir.path(), &site, &deploy(NEW, "v2")).unwrap();
    assert!(tagged.contains("newTag") && !get(dir.path(), OVERLAY).contains("newTag"));
}

#[test]
fn images_style_over_a_shared_base_patches_the_placeholder_in() {
    let dir = tempfile::tempdir().unwrap();
    put(dir.path(), "kserve/iris.yaml", BASE);
    put(dir.path(), "kserve/kustomization.yaml", "resources: [iris.yaml]\n");
    put(dir.path(), OVERLAY, "resources:\n  - ../../kserve\n");
    carry_out(dir.path(), &site(NEW, "style: images\n"), &deploy(NEW, "v1")).unwrap();
    assert!(get(dir.path(), "sites/edge/models/iris.yaml").contains("storageUri: modelcar-iris\n"));
    assert_eq!(state(dir.path()).style, Style::Images);
    let wanted = format!("oci://quay.io:8443/acme/iris@{}", Digest::of(b"v1"));
    assert_eq!(uri(dir.path()).unwrap_or(wanted.clone()), wanted);
}

#[test]
fn a_configuration_of_the_sites_own_is_completed_and_one_that_says_all_is_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let site = site(NEW, "style: images\n");
    put(dir.path(), "sites/edge/kustomizeconfig.yaml", "# mine\nimages:\n  - path: spec/image # other\n");
    carry_out(dir.path(), &site, &deploy(NEW, "v1")).unwrap();
    let config = get(dir.path(), "sites/edge/kustomizeconfig.yaml");
    assert!(config.starts_with("# mine\nimages:\n  - path: spec/image # other\n") && config.matches("storageUri").count() == 2, "{config}");
    assert!(uri(dir.path()).is_none_or(|uri| uri.starts_with("oci://")));
}

#[test]
fn rolls_back_to_another_image_and_keeps_delivery_and_names_in_step() {
    let dir = tempfile::tempdir().unwrap();
    let site = site(NEW, "delivery: native\n");
    let native = |version| {
        let service = Service { delivery: Delivery::Native, ..iris(NEW, version) };
        Intent::Deploy { service: Box::new(service), canary: None }
    };
    carry_out(dir.path(), &site, &native("v1")).unwrap();
    carry_out(dir.path(), &site, &native("v2")).unwrap();
    let to = |image| Intent::Rollback { model: "iris".parse().unwrap(), to: Some(image) };
    let planned = carry_out(dir.path(), &site, &to(pinned("quay.io:8443/acme/iris", "v1"))).unwrap();
    assert_eq!((planned.old_digest, planned.new.unwrap().digest()), (Some(Digest::of(b"v2")), Some(Digest::of(b"v1"))));
    let now = state(dir.path());
    assert_eq!((now.stable.delivery, now.image), (Delivery::Native, None), "nobody knows the tag");
    carry_out(dir.path(), &site, &to(pinned("quay.io:8443/acme/iris:v2", "v2"))).unwrap();
    assert_eq!(state(dir.path()).image.unwrap().tag(), Some("v2"));
    let tag: Reference = "quay.io/acme/iris:v1".parse().unwrap();
    assert!(matches!(plan_intent(dir.path(), &site, &to(tag)), Err(RolloutError::NoDigest { .. })));
    let other = Intent::Rollback { model: "other".parse().unwrap(), to: None };
    assert!(matches!(plan_intent(dir.path(), &site, &other), Err(RolloutError::NoModel { .. })));
}

/// GGUF: the server has to be told which file.
#[test]
fn what_an_image_wants_the_server_to_be_told_comes_along() {
    let request = Some(CanaryRequest { percent: 10, by: CanaryBy::Kserve });
    for style in ["patch", "images"] {
        let dir = tempfile::tempdir().unwrap();
        let site = site(NEW, &format!("style: {style}\n"));
        let gguf = |version: &str, canary| {
            let format = ModelFormat { name: "gguf".to_owned(), version: None };
            let args = vec![format!("--model=/mnt/models/{version}.gguf")];
            let runtime = Some("kserve-vllmserver".to_owned());
            let service = Service { format, args, runtime, layout: Some(Runtime::Vllm), ..iris(NEW, version) };
            Intent::Deploy { service: Box::new(service), canary }
        };
        let told = || {
            let objects = build(&dir.path().join("sites/edge"))?;
            let spec = objects.iter().find(|object| object["kind"] == "InferenceService")?["spec"].clone();
            let args = |predictor: &serde_json::Value| predictor["model"]["args"][0].as_str().map(str::to_owned);
            Some((args(&spec["predictor"]), args(&spec["canary"][0]["predictor"])))
        };
        let file = |version: &str| Some(format!("--model=/mnt/models/{version}.gguf"));
        for (intent, stable, canary) in [
            (gguf("v1", None), file("v1"), None),
            (gguf("v2", None), file("v2"), None),
            (gguf("v3", request), file("v2"), file("v3")),
            (promote(None), file("v3"), None),
        ] {
            carry_out(dir.path(), &site, &intent).unwrap();
            assert!(told().is_none_or(|told| told == (stable.clone(), canary.clone())), "{style} {:?}", told());
        }
        let onnx = Service { layout: Some(Runtime::Ovms), ..iris(NEW, "v4") };
        for canary in [None, request] {
            let intent = Intent::Deploy { service: Box::new(onnx.clone()), canary };
            let error = plan_intent(dir.path(), &site, &intent).unwrap_err();
            assert!(matches!(error, RolloutError::RuntimeMismatch { .. }), "{style}: {error:?}");
        }
    }
}

#[test]
fn goes_back_where_the_uri_stands_in_a_base() {
    let dir = tempfile::tempdir().unwrap();
    let said = format!("storageUri: oci://quay.io:8443/acme/iris@{} # by hand", Digest::of(b"v2"));
    put(dir.path(), "sites/edge/iris.yaml", &BASE.replace("      runtime", &format!("      {said}\n      runtime")));
    put(dir.path(), OVERLAY, "resources: [iris.yaml]\n");
    assert_eq!(state(dir.path()).file, Path::new("sites/edge/iris.yaml"));
    carry_out(dir.path(), &site(NEW, ""), &roll_back(Some("v1"))).unwrap();
    assert_eq!(state(dir.path()).stable.digest(), Some(Digest::of(b"v1")));
    assert!(uri(dir.path()).is_none_or(|uri| uri.ends_with(&Digest::of(b"v1").to_string())));
    assert!(get(dir.path(), "sites/edge/iris.yaml").contains(&said));
}

const APPS: &str = "sites/edge/apps/kustomization.yaml";
const DEPLOYMENT: &str = "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: console}\nspec:\n  selector: {matchLabels: {a: b}}\n  template:\n    \
                          metadata: {labels: {a: b}}\n    spec:\n      containers:\n        - name: web\n          image: quay.io/acme/console:v1\n        \
                          - {name: log, image: quay.io/acme/log}\n";

fn set_app(app: &str, version: &str) -> Intent {
    Intent::SetApp { app: app.to_owned(), image: pinned("quay.io/acme/console:v2", version) }
}

#[test]
fn gives_an_application_another_image_and_no_model() {
    let dir = tempfile::tempdir().unwrap();
    let site = site(NEW, "");
    carry_out(dir.path(), &site, &deploy(NEW, "v1")).unwrap();
    put(dir.path(), "apps/console.yaml", DEPLOYMENT);
    put(dir.path(), "apps/kustomization.yaml", "resources: [console.yaml]\n");
    put(dir.path(), APPS, "# apps\nresources:\n  - ../../../apps # shared\n");
    let planned = carry_out(dir.path(), &site, &set_app("web", "v2")).unwrap();
    assert_eq!(files(&planned), [APPS]);
    let state = || read_state(dir.path(), &"edge".parse().unwrap()).unwrap();
    let apps = state().apps;
    assert_eq!(
        (apps[0].name.as_str(), apps[0].image.to_string()),
        ("quay.io/acme/console", pinned("quay.io/acme/console", "v2").to_string())
    );
    let planned = carry_out(dir.path(), &site, &set_app("quay.io/acme/console", "v3")).unwrap();
    assert_eq!((files(&planned), planned.old_digest), (vec![APPS], Some(Digest::of(b"v2"))));
    let planned = plan_intent(dir.path(), &site, &set_app("web", "v4")).unwrap();
    assert_eq!((files(&planned), planned.old_digest), (vec![APPS], Some(Digest::of(b"v3"))), "by the container's name too");
    assert!(get(dir.path(), APPS).starts_with("# apps\nresources:\n  - ../../../apps # shared\n"));
    if let Some(objects) = build(&dir.path().join("sites/edge/apps")) {
        let image = |at: usize| objects[0]["spec"]["template"]["spec"]["containers"][at]["image"].as_str().unwrap().to_owned();
        assert_eq!((image(0), image(1)), (pinned("quay.io/acme/console", "v3").to_string(), "quay.io/acme/log".to_owned()));
    }
    let error = plan_intent(dir.path(), &site, &set_app("webb", "v2")).unwrap_err();
    assert!(error.hint().unwrap().contains("log, quay.io/acme/console, web"), "{:?}", error.hint());
    assert_eq!(state().models.len(), 1);
}

#[test]
fn does_not_guess_which_of_two_applications_is_meant() {
    let dir = tempfile::tempdir().unwrap();
    let other = DEPLOYMENT
        .replace("console", "other")
        .replace("- name: web\n          image: quay.io/acme/other:v1", "- {name: web, image: other}");
    put(dir.path(), "sites/edge/apps/both.yaml", &format!("{DEPLOYMENT}---\n{other}"));
    put(dir.path(), APPS, "resources: [both.yaml]\n");
    let error = plan_intent(dir.path(), &site(NEW, ""), &set_app("web", "v2")).unwrap_err();
    assert!(matches!(error, RolloutError::NoApp { .. }), "{error:?}");
    assert!(plan_intent(dir.path(), &site(NEW, ""), &set_app("other", "v2")).is_ok(), "an image's name tells them apart");
}

#[test]
fn an_application_may_have_a_folder_of_its_own() {
    let dir = tempfile::tempdir().unwrap();
    put(dir.path(), "sites/edge/apps/web/kustomization.yaml", "images: [{name: web, newName: quay.io/acme/web, newTag: v1}]\n");
    put(dir.path(), APPS, "resources: [web]\n");
    let planned = carry_out(dir.path(), &site(NEW, ""), &set_app("web", "v2")).unwrap();
    assert_eq!(files(&planned), ["sites/edge/apps/web/kustomization.yaml"]);
    assert!(!get(dir.path(), "sites/edge/apps/web/kustomization.yaml").contains("newTag"));
}

#[test]
fn reads_canaries_of_all_three_ways_and_both_styles() {
    for (rest, by, way) in [
        ("", CanaryBy::Kserve, CanaryWay::List),
        ("style: images\n", CanaryBy::Kserve, CanaryWay::List),
        ("mode: knative\n", CanaryBy::Kserve, CanaryWay::Percent),
        ("mode: knative\nstyle: images\n", CanaryBy::Kserve, CanaryWay::Percent),
        ("", CanaryBy::Route, CanaryWay::Route),
        ("style: images\n", CanaryBy::Route, CanaryWay::Route),
    ] {
        let dir = tempfile::tempdir().unwrap();
        let site = site(NEW, rest);
        carry_out(dir.path(), &site, &deploy(NEW, "v1")).unwrap();
        carry_out(dir.path(), &site, &canary(NEW, "v2", 25, by)).unwrap();
        let now = state(dir.path());
        assert_eq!(now.way, Some(way), "{rest} {by:?}");
        assert_eq!(now.canary(Digest::of(b"v2")).unwrap().percent, 25);
        assert_eq!(now.stable_in_history(), way == CanaryWay::Percent);
        let stable = if now.stable_in_history() { "v2" } else { "v1" };
        assert_eq!(now.stable.digest(), Some(Digest::of(stable.as_bytes())));
        carry_out(dir.path(), &site, &promote(None)).unwrap();
        assert_eq!((state(dir.path()).canaries.len(), state(dir.path()).stable.digest()), (0, Some(Digest::of(b"v2"))), "{rest} {by:?}");
    }
}

#[test]
fn what_cannot_be_read_is_a_finding_and_the_rest_is_there() {
    let dir = tempfile::tempdir().unwrap();
    carry_out(dir.path(), &site(NEW, ""), &deploy(NEW, "v1")).unwrap();
    put(dir.path(), "sites/edge/models/broken.yaml", "a: [\n");
    put(dir.path(), "sites/edge/models/chart.yaml", "{{ x }}\n");
    put(dir.path(), "sites/edge/models/notes.yaml", "just: notes\n");
    put(dir.path(), "sites/edge/apps/kustomization.yaml", "images: [\n");
    let nowhere = BASE.replace("name: iris", "name: nowhere").replace("      runtime", "      storageUri: modelcar-nowhere\n      runtime");
    put(dir.path(), "sites/edge/nowhere.yaml", &nowhere);
    put(dir.path(), OVERLAY, &get(dir.path(), OVERLAY).replace("resources:\n", "resources:\n  - nowhere.yaml\n"));
    let state = read_state(dir.path(), &"edge".parse().unwrap()).unwrap();
    let found: Vec<_> = state.findings.iter().map(|finding| finding.file.file_name().unwrap().to_str().unwrap()).collect();
    assert_eq!(found, ["kustomization.yaml", "broken.yaml", "chart.yaml", "nowhere.yaml"], "{:?}", state.findings);
    assert_eq!(state.models.len(), 1);
    let empty = read_state(dir.path(), &"other".parse().unwrap()).unwrap();
    assert_eq!(empty, modelcar::rollout::SiteState::default());
    assert!(read_state(&dir.path().join("missing"), &"edge".parse().unwrap()).is_err());
}

#[test]
fn reads_a_thousand_sites_at_once() {
    let dir = tempfile::tempdir().unwrap();
    put(dir.path(), "kserve/iris.yaml", BASE);
    put(dir.path(), "kserve/kustomization.yaml", "resources: [iris.yaml]\n");
    let first = Site { name: "edge".parse().unwrap(), facts: None };
    put(dir.path(), OVERLAY, "resources:\n  - ../../kserve\n");
    carry_out(dir.path(), &first, &deploy(NEW, "v1")).unwrap();
    let (overlay, patch) = (get(dir.path(), OVERLAY), get(dir.path(), "sites/edge/models/iris.yaml"));
    let names: Vec<SiteName> = (0..1000).map(|number| format!("edge-{number}").parse().unwrap()).collect();
    for name in &names {
        put(dir.path(), &format!("sites/{name}/kustomization.yaml"), &overlay);
        put(dir.path(), &format!("sites/{name}/models/iris.yaml"), &patch);
    }
    let begun = Instant::now();
    let mut reader = StateReader::new(dir.path()).unwrap();
    let states: Vec<_> = names.iter().map(|name| reader.read(name)).collect();
    // Without optimisation and beside other tests; a release build takes a tenth.
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
    assert!(states.iter().all(|state| state.models.len() == 1 && state.findings.is_empty()));
}

#[test]
fn refuses_files_beyond_two_mebibytes() {
    let dir = tempfile::tempdir().unwrap();
    carry_out(dir.path(), &site(NEW, ""), &deploy(NEW, "v1")).unwrap();
    let path = "sites/edge/models/iris.yaml";
    put(dir.path(), path, &(get(dir.path(), path) + &"# x\n".repeat(600_000)));
    let error = plan_intent(dir.path(), &site(NEW, ""), &deploy(NEW, "v2")).unwrap_err();
    assert!(matches!(error, RolloutError::TooLarge { .. }), "{error:?}");
}

/// A plan is a plan: nothing is written before it is carried out.
#[test]
fn plans_write_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let site = site(NEW, "style: images\n");
    for intent in [deploy(NEW, "v1"), canary(NEW, "v2", 10, CanaryBy::Route), promote(None), roll_back(Some("v1")), set_app("web", "v1")] {
        let _ = plan_intent(dir.path(), &site, &intent);
    }
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
}
