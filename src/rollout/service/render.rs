//! An InferenceService, or a patch of one, as text. Pure: the same service gives the same bytes.

use std::str::FromStr;

use serde_json::{Value, json};

use super::Service;
use crate::kserve::Kind;
use crate::rollout::{RolloutError, yaml};

/// The shape in which a patch is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PatchForm {
    /// YAML for `kubectl patch inferenceservice NAME --type merge --patch-file FILE`.
    Merge,
    /// A JSON array for `kubectl patch inferenceservice NAME --type json --patch-file FILE`. Without annotations: adding one fails
    /// on an object that has none yet.
    Json6902,
    /// A complete `kustomization.yaml` with the patch inside; add your `resources` to it.
    Kustomize,
    /// The complete InferenceService.
    Manifest,
}

impl FromStr for PatchForm {
    type Err = RolloutError;

    fn from_str(text: &str) -> Result<Self, RolloutError> {
        match text {
            "merge" => Ok(Self::Merge),
            "json6902" => Ok(Self::Json6902),
            "kustomize" => Ok(Self::Kustomize),
            "manifest" => Ok(Self::Manifest),
            _ => Err(RolloutError::UnknownWord {
                what: "patch form",
                text: text.chars().take(100).collect(),
                known: "merge, json6902, kustomize, manifest",
            }),
        }
    }
}

/// Writes a service in the form wanted.
///
/// # Errors
/// When the image has no digest, or the service's KServe cannot do what is asked.
pub fn render(service: &Service, form: PatchForm) -> Result<String, RolloutError> {
    service.check()?;
    check_namespace(service, form)?;
    match form {
        PatchForm::Merge => yaml::to_string(&merge(service)?),
        PatchForm::Json6902 => json6902(service),
        PatchForm::Kustomize => kustomize(service),
        PatchForm::Manifest => yaml::to_string(&manifest(service)?),
    }
}

/// The complete InferenceService, as [`PatchForm::Manifest`] writes it.
///
/// # Errors
/// As [`render`].
pub(in crate::rollout) fn object(service: &Service) -> Result<Value, RolloutError> {
    service.check()?;
    manifest(service)
}

/// Where a patch applies stands on kubectl's command line.
fn check_namespace(service: &Service, form: PatchForm) -> Result<(), RolloutError> {
    let form = match form {
        PatchForm::Merge => "merge",
        PatchForm::Json6902 => "json6902",
        PatchForm::Kustomize | PatchForm::Manifest => return Ok(()),
    };
    service.namespace.clone().map_or(Ok(()), |namespace| Err(RolloutError::NamespaceInPatch { form, namespace }))
}

/// The patch alone: kind and name stand on kubectl's command line.
fn merge(service: &Service) -> Result<Value, RolloutError> {
    let patch = service.patch()?;
    Ok(json!({"metadata": {"annotations": service.patch_annotations()}, "spec": patch["spec"]}))
}

/// `add` replaces a member that is there and makes one that is not (RFC 6902 §4.1), so it works on both.
fn json6902(service: &Service) -> Result<String, RolloutError> {
    if !service.annotations.is_empty() {
        return Err(RolloutError::AnnotationsInJsonPatch);
    }
    if !service.sources.is_empty() {
        let reason = "a JSON 6902 patch cannot take away a `storageUri` that may not be there, and the two exclude each other";
        return Err(RolloutError::setting("source", reason, "use `--as merge` or `--as kustomize`"));
    }
    let place = service.place()?;
    let mut operations = vec![json!({"op": "add", "path": format!("/{}", place.keys.join("/")), "value": place.value})];
    operations.extend(service.runtime.iter().map(|name| json!({"op": "add", "path": "/spec/predictor/model/runtime", "value": name})));
    let text = serde_json::to_string_pretty(&operations);
    text.map(|text| text + "\n").map_err(|source| RolloutError::Serialize { what: "the JSON patch", source: Box::new(source) })
}

fn kustomize(service: &Service) -> Result<String, RolloutError> {
    let patch = yaml::indented(&yaml::to_string(&service.patch()?)?, 6);
    let target = yaml::indented(&target_of(service.kind, service.name.as_str(), service.namespace.as_deref()), 4);
    Ok(format!("{KUSTOMIZATION}patches:\n  - patch: |-\n{patch}{target}"))
}

/// The head of every `kustomization.yaml`.
pub(in crate::rollout) const KUSTOMIZATION: &str = "apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\n";

/// The patch's target. Named, so that the patch also finds a service that carries a namespace.
pub(in crate::rollout) fn target_of(kind: Kind, name: &str, namespace: Option<&str>) -> String {
    let namespace = namespace.map(|namespace| format!("  namespace: {namespace}\n")).unwrap_or_default();
    format!("target:\n  group: serving.kserve.io\n  kind: {}\n  name: {name}\n{namespace}", kind.kind())
}

/// Arguments are in no patch: a list in a patch takes the place of the one that is there.
fn manifest(service: &Service) -> Result<Value, RolloutError> {
    let mut whole = service.skeleton()?;
    yaml::merge(&mut whole, &service.patch()?);
    let args = service.patch_args();
    if service.kind == Kind::InferenceService {
        let Some(model) = whole.pointer_mut("/spec/predictor/model").and_then(Value::as_object_mut) else { return Ok(whole) };
        model.retain(|_, value| !value.is_null());
        if !args.is_empty() {
            model.insert("args".to_owned(), json!(args));
        }
    }
    Ok(whole)
}
