//! What the stable predictor runs: read from, and written to, the place where the site has it.

use std::path::Path;

use serde_json::{Value, json};

use super::canary::Model;
use super::definition::is_service;
use super::draft::Draft;
use super::edit::{Edit, path, removal, value_at};
use super::images;
use super::place::{check_single, has_several, uri_of, way_to_uri};
use super::plan::{self, MODEL_HEAD, RUNTIME, names_patch};
use super::state::Placed;
use super::view::{OWN_IMAGE, PERCENT, Patch};
use crate::oci::Reference;
use crate::rollout::service::{API_VERSION, ARGS, IMAGE_ANNOTATION, check_layout, merged_args, strings};
use crate::rollout::{RolloutError, Service, Style, yaml};

/// An image at its place, and its name for people.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Version {
    pub(super) placed: Placed,
    /// With its tag, where it has one.
    pub(super) image: Option<Reference>,
}

impl Version {
    /// What a service runs.
    pub(super) fn of(service: &Service) -> Result<Self, RolloutError> {
        let placed = Placed { delivery: service.delivery, image: service.pulled()? };
        Ok(Self { placed, image: tagged(&service.image) })
    }

    /// Another image, delivered as the site has it.
    pub(super) fn to(image: &Reference, as_now: &Placed) -> Result<Self, RolloutError> {
        let digest = image.digest().copied().ok_or_else(|| RolloutError::NoDigest { image: image.to_string() })?;
        Ok(Self { placed: Placed { delivery: as_now.delivery, image: image.at(digest) }, image: tagged(image) })
    }
}

fn tagged(image: &Reference) -> Option<Reference> {
    format!("{}:{}", image.name(), image.tag()?).parse().ok()
}

impl Model<'_> {
    /// What the site says of the model at a place: the patch, else the definition below it.
    pub(super) fn said<K: AsRef<str>>(&self, keys: &[K]) -> Option<&Value> {
        let patch = self.found.patch.as_ref().and_then(|patch| value_at(&patch.document, keys));
        patch.or_else(|| value_at(&self.found.base.as_ref()?.document, keys))
    }
}

/// The tool's patch of a model, made where there is none yet.
pub(super) fn patch(draft: &mut Draft, model: &Model<'_>) -> Result<Patch, RolloutError> {
    let (file, name) = (draft.patch_file(model.name.as_str()), model.name.as_str());
    if draft.text(&file)?.is_none() {
        let version = model.found.base.as_ref().map_or(json!(API_VERSION), |base| base.document["apiVersion"].clone());
        let document = json!({"apiVersion": version, "kind": model.found.state.kind.kind(), "metadata": {"name": name}});
        draft.put(&file, format!("{MODEL_HEAD}{}", yaml::to_string(&document)?))?;
        let overlay = draft.overlay(model.view)?;
        let listed = format!("models/{name}.yaml");
        if !draft.documents(&overlay)?.first().is_some_and(|overlay| names_patch(overlay, &listed)) {
            draft.edit(&overlay, 0, &[Edit::Append(path(&["patches"]), plan::patch_entry(model.found.state.kind, name, 1))])?;
        }
    }
    draft.own(&file);
    document(draft, &file, name)?.ok_or_else(|| RolloutError::shape(&file, format!("it should hold the InferenceService `{name}`")))
}

/// The InferenceService of a file.
pub(super) fn document(draft: &Draft, file: &Path, name: &str) -> Result<Option<Patch>, RolloutError> {
    let documents = draft.documents(file)?;
    let at = documents.iter().position(|document| is_service(document, name));
    Ok(at.map(|at| Patch { file: file.to_owned(), at, document: documents[at].clone() }))
}

/// Lets the stable predictor run another image. Its delivery, and what else the site says, stay.
pub(super) fn set(draft: &mut Draft, model: &Model<'_>, version: &Version) -> Result<(), RolloutError> {
    match model.found.state.style {
        Style::Patch => {
            let patch = patch(draft, model)?;
            if let Some(base) = model.found.base.as_ref().filter(|_| !has_several(&patch.document)) {
                check_single(&base.path, &base.document)?;
            }
            let mut edits = vec![Edit::Set(way_to_uri(&patch.document), json!(version.placed.uri()))];
            edits.extend(image_edits(&patch.document, version));
            draft.edit(&patch.file, patch.at, &edits)
        }
        Style::Images => {
            images::set(draft, model, &model.found.uri, &version.placed)?;
            forget_own_image(draft, model)
        }
    }
}

/// Lets the stable predictor run a service's image, with all that the image asks for.
pub(super) fn deploy(draft: &mut Draft, model: &Model<'_>, service: &Service) -> Result<(), RolloutError> {
    match model.found.state.style {
        Style::Patch => draft.absorb(plan::plan(&draft.root.clone(), &draft.site.clone(), service)?),
        Style::Images => deploy_by_images(draft, model, service)?,
    }
    if model.found.state.stable.digest() == Some(service.digest()?) { Ok(()) } else { forget_own_image(draft, model) }
}

/// The image stands in the kustomization; what the server has to be told besides stands in the patch.
fn deploy_by_images(draft: &mut Draft, model: &Model<'_>, service: &Service) -> Result<(), RolloutError> {
    check_runtime(model, service)?;
    images::check(service)?;
    images::set(draft, model, &model.found.uri, &Version::of(service)?.placed)?;
    let told = |keys: &[&str; 4], value: Value| (model.said(keys) != Some(&value)).then(|| Edit::Set(path(keys), value));
    let runtime = service.runtime.as_ref().and_then(|runtime| told(&RUNTIME, json!(runtime)));
    let args = merged_args(strings(model.said(&ARGS)), &service.args);
    let args = Some(args).filter(|_| !service.args.is_empty()).and_then(|args| told(&ARGS, json!(args)));
    let edits: Vec<_> = runtime.into_iter().chain(args).collect();
    if edits.is_empty() {
        return Ok(());
    }
    let patch = patch(draft, model)?;
    draft.edit(&patch.file, patch.at, &edits)
}

/// The runtime that the built site will name has to read the image's folders.
pub(super) fn check_runtime(model: &Model<'_>, service: &Service) -> Result<(), RolloutError> {
    let named = service.runtime.as_deref().or_else(|| model.said(&RUNTIME)?.as_str());
    named.map_or(Ok(()), |name| check_layout(name, service.layout))
}

/// The name for people, kept in step: another image has another one, or none that is known.
pub(super) fn image_edits(document: &Value, version: &Version) -> Vec<Edit> {
    let same = uri_of(document) == Some(&version.placed.uri());
    if same {
        // KServe copies annotations to the pods: another tag on the same digest must not restart a model.
        return Vec::new();
    }
    let noted = path(&["metadata", "annotations", IMAGE_ANNOTATION]);
    let noted = match &version.image {
        Some(image) => Edit::Set(noted, json!(image.to_string())),
        None => Edit::Remove(noted),
    };
    [vec![noted], own_image(document)].concat()
}

/// What a promoted canary brought along says no longer what runs.
fn forget_own_image(draft: &mut Draft, model: &Model<'_>) -> Result<(), RolloutError> {
    let file = draft.patch_file(model.name.as_str());
    match document(draft, &file, model.name.as_str())? {
        Some(patch) => draft.edit(&patch.file, patch.at, &own_image(&patch.document)),
        None => Ok(()),
    }
}

fn own_image(document: &Value) -> Vec<Edit> {
    value_at(document, &OWN_IMAGE).map(|_| removal(document, &OWN_IMAGE)).into_iter().collect()
}

/// Takes away the 0 % that a rollback in Knative mode left: the next version is to get its requests.
pub(super) fn let_in(draft: &mut Draft, model: &Model<'_>) -> Result<(), RolloutError> {
    let file = draft.patch_file(model.name.as_str());
    match document(draft, &file, model.name.as_str())? {
        Some(patch) => draft.edit(&patch.file, patch.at, &[Edit::Remove(path(&PERCENT))]),
        None => Ok(()),
    }
}
