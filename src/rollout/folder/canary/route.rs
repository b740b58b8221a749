//! A second InferenceService beside the first, and a weighted route over both: where KServe cannot split requests itself.
//!
//! ```text
//! sites/SITE/models/NAME-canary.yaml   the second service: the first one's definition with another name and image
//!                   NAME-route.yaml    OpenShift AI: a Route with alternateBackends; upstream: a Gateway API HTTPRoute
//! ```
//!
//! KServe names a predictor's Service `NAME-predictor`, or `NAME-PREDICTOR-predictor` where the predictor has a name
//! (`PredictorServiceName`), and gives it port 80. OpenShift AI makes it headless, so a Route goes to the pods' own port, by number: named
//! ports differ from service to service (`kserve_raw_route_reconciler.go`).

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::{CanaryError, Model, served};
use crate::kserve::{Generation, Runtime};
use crate::rollout::folder::draft::Draft;
use crate::rollout::folder::edit::{Edit, inside, lookup, path};
use crate::rollout::folder::images;
use crate::rollout::folder::stable::{self, Version};
use crate::rollout::folder::state::CanaryState;
use crate::rollout::folder::view::Patch;
use crate::rollout::service::{IMAGE_ANNOTATION, URI, merged_args, strings};
use crate::rollout::{RolloutError, Service, ServiceName, Style, yaml};

/// A canary is an InferenceService too: see [`ServiceName`].
const MAX_NAME: usize = 48 - SUFFIX.len();
const SUFFIX: &str = "-canary";
const CANARY_HEAD: &str = "\
# Kept by modelcar while the canary runs: a copy of the service beside it with another name and image. Promoted or rolled back, it goes
# away again.
";
const ROUTE_HEAD: &str = "\
# Kept by modelcar while the canary runs: the weights. Host, TLS and the rest are yours.
";

/// The InferenceService of a canary.
pub(in crate::rollout::folder) fn canary_name(name: &ServiceName) -> String {
    format!("{name}{SUFFIX}")
}

/// The model whose route a file of `models/` holds, and which document it is.
pub(in crate::rollout::folder) fn of_file(stem: &str, documents: &[Value]) -> Option<(ServiceName, usize)> {
    let name = stem.strip_suffix("-route")?.parse().ok()?;
    Some((name, documents.iter().position(|document| percent(document).is_some())?))
}

/// The canary's part of the requests.
pub(in crate::rollout::folder) fn percent(route: &Value) -> Option<u8> {
    let weight = match route["kind"].as_str()? {
        "Route" => &route["spec"]["alternateBackends"][0]["weight"],
        "HTTPRoute" => &route["spec"]["rules"][0]["backendRefs"][1]["weight"],
        _ => return None,
    };
    weight.as_u64()?.try_into().ok().filter(|percent| *percent <= 100)
}

/// The edits that give the canary its part.
fn weights(route: &Value, percent: u8) -> Vec<Edit> {
    let backend = |at: usize| [inside::<&str>(&["spec", "rules"], 0, &[]), inside(&["backendRefs"], at, &["weight"])].concat();
    let (stable, canary) = if route["kind"] == "Route" {
        (path(&["spec", "to", "weight"]), inside(&["spec", "alternateBackends"], 0, &["weight"]))
    } else {
        (backend(0), backend(1))
    };
    vec![Edit::Set(stable, json!(100 - percent)), Edit::Set(canary, json!(percent))]
}

pub(super) fn deploy(draft: &mut Draft, model: &Model<'_>, service: &Service, percent: u8) -> Result<(), RolloutError> {
    match model.view.route(model.name).filter(|_| !model.found.state.canaries.is_empty()) {
        Some(route) => change(draft, model, service, route, percent),
        None => add(draft, model, service, percent),
    }
}

/// Other weights, and another image where it is another one.
fn change(draft: &mut Draft, model: &Model<'_>, service: &Service, route: &Patch, percent: u8) -> Result<(), RolloutError> {
    draft.edit(&route.file, route.at, &weights(&route.document, percent))?;
    let version = Version::of(service)?;
    if model.found.state.canary(service.digest()?).is_some() {
        return Ok(());
    }
    let canary = canary_patch(draft, model)?;
    let mut edits = stable::image_edits(&canary.document, &version);
    match model.found.state.style {
        Style::Patch => edits.push(Edit::Set(path(&URI), json!(version.placed.uri()))),
        Style::Images => images::set(draft, model, &images::canary_placeholder(&model.found.uri), &version.placed)?,
    }
    draft.edit(&canary.file, canary.at, &edits)
}

fn add(draft: &mut Draft, model: &Model<'_>, service: &Service, percent: u8) -> Result<(), RolloutError> {
    if model.name.as_str().len() > MAX_NAME {
        return Err(CanaryError::LongName { model: model.name.to_string(), limit: MAX_NAME }.into());
    }
    let version = Version::of(service)?;
    let uri = match model.found.state.style {
        Style::Patch => version.placed.uri(),
        Style::Images => images::add_canary(draft, model, &version)?,
    };
    let mut second = second(model, service, &version, &uri)?;
    name_alike(draft, model, service, &mut second);
    let route = route(model, service.generation, &second, percent);
    let overlay = draft.overlay(model.view)?;
    for (file, head, document) in [(canary_file(draft, model), CANARY_HEAD, &second), (route_file(draft, model), ROUTE_HEAD, &route)] {
        refuse_theirs(draft, &file)?;
        draft.put(&file, format!("{head}{}", yaml::to_string(document)?))?;
        draft.own(&file);
        draft.list(&overlay, "resources", &listed(&file))?;
    }
    draft.notes.push(format!(
        "{} is a second service: its pods ask for as much as the first one's, at once; on one node that is twice the memory, CPU and GPU",
        canary_name(model.name)
    ));
    draft.notes.push(format!("only calls through the route `{}` are split; calls to the service itself are not", route_name(model)));
    if route["kind"] == "HTTPRoute" {
        draft.warnings.push(format!(
            "{} names the gateway kserve/kserve-ingress-gateway and a host in example.com; put in your own, modelcar keeps them",
            route_file(draft, model).display()
        ));
    }
    Ok(())
}

/// Both services answer to the first one's name.
fn name_alike(draft: &mut Draft, model: &Model<'_>, service: &Service, second: &mut Value) {
    let own = &mut second["spec"]["predictor"]["model"];
    let server = lookup(own, &["runtime"]).and_then(Runtime::behind).or(service.layout);
    let (name, canary) = (model.name, canary_name(model.name));
    if !served::answer_to(name.as_str(), own, server) {
        draft.warnings.push(format!(
            "the server of {canary} may answer to `{canary}` alone, and calls through the route name `{name}`: name the model so in {}",
            canary_file(draft, model).display()
        ));
    }
    if server == Some(Runtime::Mlserver) && service.generation.is_rhoai() {
        draft.warnings.push(format!(
            "OpenShift AI's own template for MLServer asks /v2/models/{canary}/ready, and the model answers to `{name}`: the pod never \
             gets ready, unless {} has a readinessProbe of its own",
            canary_file(draft, model).display()
        ));
    }
}

/// The first service's definition with another name and image.
fn second(model: &Model<'_>, service: &Service, version: &Version, uri: &str) -> Result<Value, RolloutError> {
    let base = model.found.base.as_ref().ok_or_else(|| CanaryError::NoDefinition { model: model.name.to_string() })?;
    let mut second = base.document.clone();
    if let Some(patch) = &model.found.patch {
        yaml::merge(&mut second, &patch.document);
    }
    second["metadata"]["name"] = json!(canary_name(model.name));
    let annotations = second["metadata"]["annotations"].as_object_mut();
    annotations.map(|annotations| annotations.remove(IMAGE_ANNOTATION));
    if let Some(image) = &version.image {
        second["metadata"]["annotations"][IMAGE_ANNOTATION] = json!(image.to_string());
    }
    let spec = &mut second["spec"];
    spec.as_object_mut().map(|spec| spec.remove("canary"));
    spec["predictor"].as_object_mut().map(|predictor| [predictor.remove("name"), predictor.remove("canaryTrafficPercent")]);
    let own = &mut spec["predictor"]["model"];
    own["storageUri"] = json!(uri);
    if let Some(runtime) = &service.runtime {
        own["runtime"] = json!(runtime);
    }
    if !service.args.is_empty() {
        own["args"] = json!(merged_args(strings(own.get("args")), &service.args));
    }
    Ok(second)
}

fn route(model: &Model<'_>, generation: Generation, second: &Value, percent: u8) -> Value {
    let stable = match model.said(&["spec", "predictor", "name"]).and_then(Value::as_str) {
        Some(predictor) => format!("{}-{predictor}-predictor", model.name),
        None => format!("{}-predictor", model.name),
    };
    let canary = format!("{}-predictor", canary_name(model.name));
    let mut metadata = json!({"name": route_name(model)});
    if let Some(namespace) = lookup(second, &["metadata", "namespace"]) {
        metadata["namespace"] = json!(namespace);
    }
    if generation.is_rhoai() {
        return openshift(&metadata, second, [(stable, 100 - percent), (canary, percent)]);
    }
    let over = model.view.overlay.as_ref().and_then(|(_, overlay)| overlay["namespace"].as_str());
    let namespace = over.or_else(|| lookup(second, &["metadata", "namespace"])).unwrap_or("default");
    let host = format!("{}-{namespace}.example.com", route_name(model));
    gateway(&metadata, &host, [(stable, 100 - percent), (canary, percent)])
}

fn openshift(metadata: &Value, second: &Value, [stable, canary]: [(String, u8); 2]) -> Value {
    let backend = |(name, weight): (String, u8)| json!({"kind": "Service", "name": name, "weight": weight});
    let mut route = json!({
        "apiVersion": "route.openshift.io/v1",
        "kind": "Route",
        "metadata": metadata,
        "spec": {
            "to": backend(stable),
            "alternateBackends": [backend(canary)],
            "tls": {"termination": "edge", "insecureEdgeTerminationPolicy": "Redirect"},
            "wildcardPolicy": "None",
        },
    });
    // A Route without a port takes every port of the endpoints; that is right where there is one.
    if let Some(port) = lookup(second, &["spec", "predictor", "model", "runtime"]).and_then(port) {
        route["spec"]["port"] = json!({"targetPort": port});
    }
    route
}

/// The port of HTTP calls in OpenShift AI's own ServingRuntimes (`config/runtimes` of odh-model-controller).
fn port(runtime: &str) -> Option<u16> {
    match Runtime::behind(runtime)? {
        Runtime::Ovms => Some(8888),
        Runtime::Mlserver | Runtime::Vllm => Some(8080),
        _ => None,
    }
}

fn gateway(metadata: &Value, host: &str, backends: [(String, u8); 2]) -> Value {
    let backend = |(name, weight): (String, u8)| json!({"kind": "Service", "name": name, "port": 80, "weight": weight});
    json!({
        "apiVersion": "gateway.networking.k8s.io/v1",
        "kind": "HTTPRoute",
        "metadata": metadata,
        "spec": {
            "hostnames": [host],
            "parentRefs": [{"group": "gateway.networking.k8s.io", "kind": "Gateway", "name": "kserve-ingress-gateway", "namespace": "kserve"}],
            "rules": [{"backendRefs": backends.map(backend)}],
        },
    })
}

/// The first service gets the canary's image, and the second one goes away with its route.
pub(super) fn promote(draft: &mut Draft, model: &Model<'_>, canary: &CanaryState) -> Result<(), RolloutError> {
    let own = canary_patch(draft, model)?;
    let image = lookup(&own.document, &["metadata", "annotations", IMAGE_ANNOTATION]).and_then(|text| text.parse().ok());
    stable::set(draft, model, &Version { placed: canary.placed.clone(), image })?;
    roll_back(draft, model)
}

pub(super) fn roll_back(draft: &mut Draft, model: &Model<'_>) -> Result<(), RolloutError> {
    draft.notes.push(format!("the route `{}` goes away with the canary", route_name(model)));
    let overlay = draft.overlay(model.view)?;
    for file in [canary_file(draft, model), route_file(draft, model)] {
        draft.unlist(&overlay, "resources", &listed(&file))?;
        draft.remove(&file)?;
    }
    images::remove_canary(draft, model)
}

fn canary_patch(draft: &Draft, model: &Model<'_>) -> Result<Patch, RolloutError> {
    let (file, name) = (canary_file(draft, model), canary_name(model.name));
    stable::document(draft, &file, &name)?
        .ok_or_else(|| RolloutError::shape(&file, format!("it should hold the InferenceService `{name}`")))
}

fn refuse_theirs(draft: &Draft, file: &Path) -> Result<(), RolloutError> {
    match draft.text(file)? {
        Some(_) => Err(RolloutError::shape(file, "it is there already, and is not modelcar's canary")),
        None => Ok(()),
    }
}

fn canary_file(draft: &Draft, model: &Model<'_>) -> PathBuf {
    draft.patch_file(&canary_name(model.name))
}

fn route_file(draft: &Draft, model: &Model<'_>) -> PathBuf {
    draft.patch_file(&format!("{}-route", model.name))
}

/// OpenShift AI makes a Route called NAME for an exposed service; this one stands beside it.
fn route_name(model: &Model<'_>) -> String {
    format!("{}-split", model.name)
}

/// As the site's kustomization lists it.
fn listed(file: &Path) -> String {
    format!("models/{}", file.file_name().unwrap_or_default().to_string_lossy())
}
