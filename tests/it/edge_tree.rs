//! The GitOps tree that the project ships: everything in it builds, everything built is what a cluster takes, and model and application
//! move apart.

use std::path::{Path, PathBuf};

use modelcar::kserve::{Delivery, Generation, Runtime};
use modelcar::oci::Digest;
use modelcar::rollout::{ModelFormat, Planned, Service, Site, SiteFacts, SiteName, plan};
use serde_json::{Value, json};

use crate::rollout_patch;
use crate::support::kustomize::{self, all, build, one};
use crate::support::{repo_root, schemas, temp_dir};

/// `edge-clusters/`.
pub fn tree() -> PathBuf {
    repo_root().join("edge-clusters")
}

/// A copy of the tree to try things in.
fn copied() -> tempfile::TempDir {
    let folder = temp_dir();
    kustomize::copy(&tree(), folder.path());
    folder
}

/// The sites that the tree ships, with what they say of themselves.
pub fn sites() -> Vec<(SiteName, SiteFacts)> {
    let names = std::fs::read_dir(tree().join("sites")).unwrap().map(|entry| entry.unwrap());
    let names = names.filter(|entry| entry.path().is_dir()).map(|entry| entry.file_name().into_string().unwrap().parse().unwrap());
    let facts = |name: SiteName| Site::read(&tree(), &name).unwrap().facts.map(|facts| (name, facts)).unwrap();
    let mut sites: Vec<_> = names.map(facts).collect();
    sites.sort_by_key(|(name, _)| name.to_string());
    assert_eq!(sites.len(), 2);
    sites
}

/// What a site of a tree is built to.
pub fn built(tree: &Path, site: &SiteName) -> Option<Vec<Value>> {
    build(&tree.join("sites").join(site.as_str()))
}

/// The folders of the tree that stand alone: a component only changes others.
fn buildable(tree: &Path) -> Vec<PathBuf> {
    let files = kustomize::files_below(tree).into_iter().filter(|file| file.ends_with("kustomization.yaml"));
    let alone = files.filter(|file| !std::fs::read_to_string(file).unwrap().contains("kind: Component"));
    alone.map(|file| file.parent().unwrap().to_owned()).collect()
}

#[test]
fn every_overlay_builds_to_what_a_cluster_takes() {
    let folders = buildable(&tree());
    assert!(folders.len() > 10, "{folders:?}");
    let mut objects = Vec::new();
    for folder in folders {
        let Some(built) = build(&folder) else { return };
        assert!(!built.is_empty(), "{}", folder.display());
        objects.extend(built);
    }
    let Some(refusals) = schemas::refusals(&objects) else { return };
    assert_eq!(refusals, Vec::<String>::new());
}

#[test]
fn what_a_cluster_would_not_take_is_found() {
    let (site, _) = &sites()[0];
    let Some(objects) = built(&tree(), site) else { return };
    let cases: [(&str, &str, &str, &str); 6] = [
        ("InferenceService", "/spec/predictor/model", "storageURI", "InferenceService/iris: .spec.predictor.model.storageURI is unknown"),
        ("InferenceService", "/spec/predictor", "maxReplica", "maxReplica is unknown"),
        ("ServingRuntime", "/spec/containers/0", "arguments", "arguments is unknown"),
        ("Deployment", "/spec", "replica", "'replica' was unexpected"),
        ("Service", "/spec/ports/0", "target", "'target' was unexpected"),
        ("Namespace", "/metadata", "label", "'label' was unexpected"),
    ];
    for (kind, at, member, said) in cases {
        let mut wrong = all(&objects, kind)[0].clone();
        wrong.pointer_mut(at).unwrap()[member] = json!("1");
        let Some(refusals) = schemas::refusals(&[wrong]) else { return };
        assert!(refusals.len() == 1 && refusals[0].contains(said), "{kind}: {refusals:?}");
    }
}

/// Whether an image is named by its digest alone.
fn is_pinned(image: &str) -> bool {
    let Some((name, digest)) = image.split_once('@') else { return false };
    digest.parse::<Digest>().is_ok() && !name.rsplit('/').next().unwrap().contains(':')
}

#[test]
fn every_model_and_application_is_pinned_by_digest() {
    let samples = ["oci://a:5000/b@sha256:1", "oci://a/b:v1", "oci://a/b"];
    assert!(samples.into_iter().all(|uri| !is_pinned(uri)));
    let digest = Digest::of(b"");
    assert!(is_pinned(&format!("oci://a:5000/b@{digest}")) && !is_pinned(&format!("oci://a:5000/b:v1@{digest}")));
    let folders = sites().into_iter().map(|(site, _)| tree().join("sites").join(site.as_str()));
    for folder in folders.chain([tree().join("samples/images-style")]) {
        let Some(objects) = build(&folder) else { return };
        for service in all(&objects, "InferenceService") {
            let mut predictors = vec![&service["spec"]["predictor"]];
            predictors.extend(service["spec"]["canary"].as_array().into_iter().flatten().map(|canary| &canary["predictor"]));
            for predictor in predictors {
                let uri = predictor["model"]["storageUri"].as_str().unwrap();
                assert!(Delivery::of_uri(uri).is_some() && is_pinned(uri), "{uri}");
            }
        }
        for deployment in all(&objects, "Deployment") {
            for container in deployment["spec"]["template"]["spec"]["containers"].as_array().unwrap() {
                assert!(is_pinned(container["image"].as_str().unwrap()), "{container}");
            }
        }
    }
}

/// What does not fit together in a site, a line each.
fn misfits(objects: &[Value]) -> Vec<String> {
    let mut found = Vec::new();
    for service in all(objects, "InferenceService") {
        let model = &service["spec"]["predictor"]["model"];
        let lists = |runtime: &&Value| {
            let formats = runtime["spec"]["supportedModelFormats"].as_array().unwrap();
            formats.iter().any(|format| format["name"] == model["modelFormat"]["name"])
        };
        let named = |runtime: &&Value| runtime["metadata"]["name"] == model["runtime"];
        match all(objects, "ServingRuntime").into_iter().find(named) {
            None => found.push(format!("{}: there is no ServingRuntime {}", schemas::name(service), model["runtime"])),
            Some(runtime) if !lists(&runtime) => found.push(format!("{}: its runtime does not list its format", schemas::name(service))),
            Some(_) => {}
        }
    }
    for service in all(objects, "Service") {
        found.extend(unreached(objects, service));
    }
    found
}

/// What a Service selects has to be there and to listen on the port.
fn unreached(objects: &[Value], service: &Value) -> Option<String> {
    let port = &service["spec"]["ports"][0]["targetPort"];
    let name = schemas::name(service);
    let Some(containers) = selected(objects, &service["spec"]["selector"]) else { return Some(format!("{name}: it selects nothing")) };
    let ports = containers.as_array().unwrap().iter().flat_map(|container| container["ports"].as_array().unwrap());
    let listens = ports.into_iter().any(|one| one["containerPort"] == *port || one["name"] == *port);
    (!listens).then(|| format!("{name}: nothing listens on {port}"))
}

/// The containers behind a selector: a Deployment's, or those of an InferenceService's runtime.
fn selected<'o>(objects: &'o [Value], selector: &Value) -> Option<&'o Value> {
    let named = |kind: &str, name: &Value| all(objects, kind).into_iter().find(|one| one["metadata"]["name"] == *name);
    let Some(model) = selector.get("serving.kserve.io/inferenceservice") else {
        let deployments = all(objects, "Deployment").into_iter().map(|deployment| &deployment["spec"]["template"]);
        return deployments.into_iter().find(|pod| pod["metadata"]["labels"] == *selector).map(|pod| &pod["spec"]["containers"]);
    };
    let runtime = &named("InferenceService", model)?["spec"]["predictor"]["model"]["runtime"];
    named("ServingRuntime", runtime).map(|runtime| &runtime["spec"]["containers"])
}

#[test]
fn models_find_their_runtime_and_services_find_their_pods() {
    for (site, _) in sites() {
        let Some(objects) = built(&tree(), &site) else { return };
        assert_eq!(misfits(&objects), Vec::<String>::new(), "{site}");
        // the same with a fault each
        let label = "/spec/template/metadata/labels/app.kubernetes.io~1name";
        let faults: [(&str, &str, Value, &str); 6] = [
            ("InferenceService", "/spec/predictor/model/runtime", json!("kserve-openvino"), "no ServingRuntime"),
            ("InferenceService", "/spec/predictor/model/modelFormat/name", json!("sklearn"), "does not list"),
            ("InferenceService", "/metadata/name", json!("other"), "Service/iris-model: it selects nothing"),
            ("ServingRuntime", "/spec/containers/0/ports/0/containerPort", json!(8080), "Service/iris-model: nothing listens"),
            ("Deployment", "/spec/template/spec/containers/0/ports/0/name", json!("web"), "Service/iris-console: nothing listens"),
            ("Deployment", label, json!("other"), "Service/iris-console: it selects nothing"),
        ];
        for (kind, at, value, said) in faults {
            let mut broken = objects.clone();
            *broken.iter_mut().find(|object| object["kind"] == kind).unwrap().pointer_mut(at).unwrap() = value;
            let found = misfits(&broken);
            assert!(found.iter().any(|one| one.contains(said)), "{kind} {at}: {found:?}");
        }
    }
}

#[test]
fn the_application_asks_the_model_under_an_address_that_outlives_versions() {
    for (site, _) in sites() {
        let Some(objects) = built(&tree(), &site) else { return };
        let container = &one(&objects, "Deployment", "iris-console")["spec"]["template"]["spec"]["containers"][0];
        let url = container["env"][0]["value"].as_str().unwrap();
        let (host, path) = url.strip_prefix("http://").unwrap().split_once('/').unwrap();
        // KServe's own Service takes a canary's name when that is promoted.
        assert!(!host.ends_with("-predictor"), "{url}");
        let service = one(&objects, "Service", host);
        assert_eq!(service["spec"]["selector"]["serving.kserve.io/inferenceservice"], "iris");
        assert_eq!(service["spec"]["ports"][0]["port"], 80);
        assert_eq!(path, "v2/models/iris/infer");
    }
}

/// The InferenceService of a site with an image, as the tool would write it.
fn iris(facts: &SiteFacts, image: &str) -> Service {
    let service = rollout_patch::service(facts.generation, facts.delivery);
    Service { namespace: facts.namespace.clone(), image: image.parse().unwrap(), ..service }
}

fn planned(tree: &Path, site: &SiteName, service: &Service) -> Planned {
    let planned = plan(tree, site, service).unwrap();
    planned.change.write().unwrap();
    planned
}

#[test]
fn the_tool_would_write_what_is_there() {
    for (site, facts) in sites() {
        let file = tree().join("sites").join(site.as_str()).join("models/iris.yaml");
        let patch = kustomize::documents(&std::fs::read_to_string(file).unwrap()).remove(0);
        let uri = patch["spec"]["predictor"]["model"]["storageUri"].as_str().unwrap();
        let digest = uri.split_once('@').unwrap().1;
        let image = format!("{}@{digest}", patch["metadata"]["annotations"]["io.modelcar/image"].as_str().unwrap());
        let change = plan(&tree(), &site, &iris(&facts, &image)).unwrap().change;
        assert_eq!(change.diff(), "", "{site}");

        // and where it is not there, the very same
        let copy = copied();
        std::fs::remove_file(copy.path().join("sites").join(site.as_str()).join("models/iris.yaml")).unwrap();
        let change = plan(copy.path(), &site, &iris(&facts, &image)).unwrap().change;
        let [written] = &change.files[..] else { panic!("{}", change.diff()) };
        let shipped = std::fs::read_to_string(tree().join(&written.path)).unwrap();
        assert_eq!(written.after.as_deref(), Some(&*shipped));
    }
}

/// The documents of a built site that belong to its models, and the others.
fn apart(text: &str) -> (Vec<&str>, Vec<&str>) {
    text.split("---\n").partition(|document| document.contains("\nkind: InferenceService\n"))
}

#[test]
fn a_new_model_changes_no_byte_of_the_application_and_a_new_application_none_of_the_model() {
    for (site, facts) in sites() {
        let copy = copied();
        let folder = copy.path().join("sites").join(site.as_str());
        let Some(before) = kustomize::text(&folder) else { return };
        let image = format!("quay.example.com/models/iris:v2.0@{}", Digest::of(b"v2.0"));
        let change = planned(copy.path(), &site, &iris(&facts, &image)).change;
        assert_eq!(change.files.len(), 1, "{}", change.diff());
        let after = kustomize::text(&folder).unwrap();
        let ((old_model, old_others), (new_model, new_others)) = (apart(&before), apart(&after));
        assert_eq!(new_others, old_others);
        assert!(new_model != old_model && new_model.concat().contains(&image[image.len() - 71..]), "{new_model:?}");

        let apps = folder.join("apps/kustomization.yaml");
        let text = std::fs::read_to_string(&apps).unwrap();
        let (head, _) = text.split_once("digest: ").unwrap();
        let digest = Digest::of(b"the next application");
        std::fs::write(&apps, format!("{head}digest: {digest}\n")).unwrap();
        let last = kustomize::text(&folder).unwrap();
        let (last_model, last_others) = apart(&last);
        assert_eq!(last_model, new_model);
        let differing: Vec<_> = last_others.iter().zip(&new_others).filter(|(new, old)| new != old).collect();
        let [(deployment, _)] = differing[..] else { panic!("{differing:?}") };
        assert!(deployment.contains("kind: Deployment") && deployment.contains(&digest.to_string()), "{deployment}");
    }
}

/// A site that has a runtime and a service of the tree, and nothing else yet.
fn site_of(runtime: &str, service: &str) -> String {
    let resources = ["namespace".to_owned(), format!("runtimes/{runtime}"), format!("services/{service}")];
    let resources = resources.map(|one| format!("  - ../../kserve/{one}\n")).concat();
    format!("namespace: models\nresources:\n{resources}components:\n  - ../../kserve/components/standard\n")
}

#[test]
fn every_base_serves_on_a_new_site() {
    let bases = [
        ("iris", "onnx", Runtime::Ovms, "kserve-ovms"),
        ("churn", "sklearn", Runtime::Mlserver, "mlserver-runtime"),
        ("assistant", "huggingface", Runtime::Vllm, "vllm-cuda-runtime"),
    ];
    for (name, format, layout, runtime) in bases {
        let copy = copied();
        kustomize::write(&copy.path().join("sites/edge-site-03"), &[("kustomization.yaml", &site_of(runtime, name))]);
        let service = Service {
            name: name.parse().unwrap(),
            image: format!("quay.example.com/models/{name}:v1@{}", Digest::of(name.as_bytes())).parse().unwrap(),
            namespace: Some("models".to_owned()),
            format: ModelFormat { name: format.to_owned(), version: None },
            layout: Some(layout),
            ..rollout_patch::service(Generation::Rhoai3_5, Delivery::Modelcar)
        };
        let site = "edge-site-03".parse().unwrap();
        let change = planned(copy.path(), &site, &service).change;
        assert!(!change.diff().contains("base/"), "the tree's base is used: {}", change.diff());
        let Some(objects) = built(copy.path(), &site) else { return };
        assert_eq!(misfits(&objects), Vec::<String>::new(), "{name}");
        let service = one(&objects, "InferenceService", name);
        assert!(is_pinned(service["spec"]["predictor"]["model"]["storageUri"].as_str().unwrap()));
        assert_eq!(service["metadata"]["annotations"]["serving.kserve.io/deploymentMode"], "Standard");
        let Some(refusals) = schemas::refusals(&objects) else { continue };
        assert_eq!(refusals, Vec::<String>::new());
    }
}
