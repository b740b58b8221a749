//! `style: images`: digests stand in `images:` of the site's kustomization, where `kustomize edit set image`, Kargo and Argo CD Image
//! Updater find them; the InferenceService names a placeholder.
//!
//! What kustomize does silently wrong is never written:
//! - a name with a scheme or a registry as placeholder: `quay.io/acme/iris` does not match `oci://quay.io/acme/iris`, and with a port
//!   `oci://quay.io:5000/acme/iris` becomes `oci://quay.io@sha256:…`. The placeholder is a word, scheme and port stand in `newName`;
//! - `newTag` beside `digest`: the result is `repository:tag@sha256:…`, which container tools refuse;
//! - `configurations` outside the overlay: refused by the load restrictor that Argo CD keeps, so each site has its own copy;
//! - one placeholder for two versions: an entry changes every place that has its name.

use std::path::Path;

use serde_json::{Value, json};

use super::canary::CanaryError;
use super::canary::Model;
use super::draft::Draft;
use super::edit::{Edit, inside, path};
use super::plan;
use super::stable::Version;
use super::state::{CanaryState, Placed};
use super::view::View;
use crate::rollout::service::render::KUSTOMIZATION;
use crate::rollout::service::{ARGS, IMAGE_ANNOTATION, URI};
use crate::rollout::{RolloutError, Service, Style};

const SITE_HEAD: &str = "\
# The models of this site. Argo CD or `kubectl apply -k` builds this folder.
#   base/   the InferenceServices. Yours: runtime, resources, replicas; modelcar writes a first version.
#   images  their images, kept by modelcar or by whoever else sets images.
";
const BASE_HEAD: &str = "\
# Yours to edit. The image comes from `images` in ../kustomization.yaml: storageUri is a name that stands for it.
";
const CONFIG: &str = "kustomizeconfig.yaml";
const CONFIG_TEXT: &str = "\
# Where kustomize finds image names besides containers. It has to lie in this folder: Argo CD lets kustomize read no configuration from
# outside.
images:
  - path: spec/predictor/model/storageUri
    group: serving.kserve.io
    kind: InferenceService
  - path: spec/canary[]/predictor/model/storageUri
    group: serving.kserve.io
    kind: InferenceService
";
/// The places that the configuration names.
const FIELDS: [&str; 2] = ["spec/predictor/model/storageUri", "spec/canary[]/predictor/model/storageUri"];

/// What stands for the image of a model.
fn placeholder(name: &str) -> String {
    format!("modelcar-{name}")
}

/// What stands for the image of a canary.
pub(super) fn canary_placeholder(stable: &str) -> String {
    format!("{stable}-canary")
}

/// Refuses what has no single `storageUri` for the placeholder.
pub(super) fn check(service: &Service) -> Result<(), RolloutError> {
    if service.place()?.is_usual() {
        return Ok(());
    }
    let setting = if service.sources.is_empty() { "kind" } else { "source" };
    let reason = "with `style: images` one name stands for one `storageUri`";
    Err(RolloutError::setting(setting, reason, "set `style: patch` in site.yaml: a new model then has its digests in models/"))
}

/// A model that the site does not have yet.
pub(super) fn deploy_new(draft: &mut Draft, view: &View, service: &Service) -> Result<(), RolloutError> {
    check(service)?;
    let planned = plan::plan(&draft.root.clone(), &draft.site.clone(), service)?;
    let (name, patch) = (placeholder(service.name.as_str()), draft.patch_file(service.name.as_str()));
    let base = draft.folder.join("base").join(format!("{}.yaml", service.name));
    let overlay = draft.overlay(view)?;
    let own = planned.change.needed.contains(&base);
    let text = planned.change.files.iter().find(|file| file.path == base).and_then(|file| file.after.clone());
    match text {
        _ if !own => {
            // The definition is somebody else's: the placeholder stands in the tool's patch.
            draft.absorb(planned);
            let tag = path(&["metadata", "annotations", IMAGE_ANNOTATION]);
            draft.edit(&patch, 0, &[Edit::Set(path(&URI), json!(name)), Edit::Remove(tag)])?;
        }
        text => {
            if let Some(text) = text {
                draft.put(&base, text.replacen(plan::BASE_HEAD, BASE_HEAD, 1))?;
            }
            let args = Some(Edit::Set(path(&ARGS), json!(service.args))).filter(|_| !service.args.is_empty());
            let edits: Vec<_> = args.into_iter().chain([Edit::Set(path(&URI), json!(name))]).collect();
            draft.edit(&base, 0, &edits)?;
            draft.own(&base);
            let listed = format!("base/{}.yaml", service.name);
            if draft.text(&overlay)?.is_none() {
                let text =
                    format!("{SITE_HEAD}{KUSTOMIZATION}resources:\n  - {listed}\nconfigurations:\n  - {CONFIG}\n{}", images(service)?);
                draft.put(&overlay, text)?;
            }
            draft.list(&overlay, "resources", &listed)?;
        }
    }
    set_entry(draft, &overlay, &name, &Version::of(service)?.placed)
}

/// The first `images` of a new kustomization.
fn images(service: &Service) -> Result<String, RolloutError> {
    let placed = Version::of(service)?.placed;
    let (name, new) = (placeholder(service.name.as_str()), new_name(&placed));
    Ok(format!("images:\n  - name: {name}\n    newName: {new}\n    digest: {}\n", service.digest()?))
}

/// Scheme and port stand here, never in the placeholder.
fn new_name(placed: &Placed) -> String {
    format!("{}://{}", placed.delivery.scheme(), placed.image.name())
}

/// Gives a placeholder of a site's kustomization an image.
pub(super) fn set(draft: &mut Draft, model: &Model<'_>, placeholder: &str, placed: &Placed) -> Result<(), RolloutError> {
    let overlay = draft.overlay(model.view)?;
    set_entry(draft, &overlay, placeholder, placed)
}

fn set_entry(draft: &mut Draft, overlay: &Path, placeholder: &str, placed: &Placed) -> Result<(), RolloutError> {
    configure(draft, overlay)?;
    let digest = placed.digest().ok_or_else(|| RolloutError::NoDigest { image: placed.image.to_string() })?.to_string();
    set_image(draft, overlay, placeholder, &new_name(placed), &digest)
}

/// Name and digest of an `images` entry. A tag beside the digest would come out as `repository:tag@sha256:…`.
pub(super) fn set_image(draft: &mut Draft, overlay: &Path, entry: &str, name: &str, digest: &str) -> Result<(), RolloutError> {
    let Some(at) = position(draft, overlay, entry)? else {
        let new = json!({"name": entry, "newName": name, "digest": digest});
        return draft.edit(overlay, 0, &[Edit::Append(path(&["images"]), new)]);
    };
    let member = |member: &str| inside(&["images"], at, &[member]);
    let edits = [Edit::Set(member("newName"), json!(name)), Edit::Set(member("digest"), json!(digest)), Edit::Remove(member("newTag"))];
    draft.edit(overlay, 0, &edits)
}

fn position(draft: &Draft, overlay: &Path, entry: &str) -> Result<Option<usize>, RolloutError> {
    let documents = draft.documents(overlay)?;
    let images = documents.first().and_then(|document| document["images"].as_array());
    Ok(images.and_then(|images| images.iter().position(|image| image["name"] == entry)))
}

/// The configuration that makes kustomize look at `storageUri`.
fn configure(draft: &mut Draft, overlay: &Path) -> Result<(), RolloutError> {
    let file = draft.folder.join(CONFIG);
    let named = draft.documents(overlay)?.into_iter().next().unwrap_or_default();
    let elsewhere = named["configurations"].as_array().is_some_and(|list| list.iter().any(|entry| entry != CONFIG));
    if elsewhere && draft.text(&file)?.is_none() && configured(draft, &named)? {
        return Ok(());
    }
    match draft.documents(&file)?.into_iter().next() {
        None => draft.put(&file, CONFIG_TEXT.to_owned())?,
        Some(theirs) => {
            let missing = FIELDS.into_iter().filter(|field| !names_field(&theirs, field));
            let entry = |field| json!({"path": field, "group": "serving.kserve.io", "kind": "InferenceService"});
            let edits: Vec<_> = missing.map(|field| Edit::Append(path(&["images"]), entry(field))).collect();
            draft.edit(&file, 0, &edits)?;
        }
    }
    draft.own(&file);
    draft.list(overlay, "configurations", CONFIG)
}

/// Whether the site's own configurations name the places already.
fn configured(draft: &Draft, overlay: &Value) -> Result<bool, RolloutError> {
    let mut found = Vec::new();
    for file in overlay["configurations"].as_array().into_iter().flatten().filter_map(Value::as_str) {
        found.extend(draft.documents(&draft.folder.join(file.trim_start_matches("./")))?);
    }
    Ok(FIELDS.iter().all(|field| found.iter().any(|config| names_field(config, field))))
}

fn names_field(config: &Value, field: &str) -> bool {
    config["images"].as_array().is_some_and(|images| images.iter().any(|image| image["path"] == field))
}

/// A canary's placeholder, with its image. There is one, because the placeholder's name says nothing about the version.
pub(super) fn add_canary(draft: &mut Draft, model: &Model<'_>, version: &Version) -> Result<String, RolloutError> {
    if !model.found.state.canaries.is_empty() {
        return Err(CanaryError::OneByImages { model: model.name.to_string() }.into());
    }
    let name = canary_placeholder(&model.found.uri);
    set(draft, model, &name, &version.placed)?;
    Ok(name)
}

/// The stable placeholder gets the canary's image, and the canary's goes away.
pub(super) fn promote(draft: &mut Draft, model: &Model<'_>, canary: &CanaryState) -> Result<(), RolloutError> {
    set(draft, model, &model.found.uri, &canary.placed)?;
    remove_canary(draft, model)
}

/// Takes the canary's placeholder away, where the site has one.
pub(super) fn remove_canary(draft: &mut Draft, model: &Model<'_>) -> Result<(), RolloutError> {
    if model.found.state.style != Style::Images {
        return Ok(());
    }
    let overlay = draft.overlay(model.view)?;
    match position(draft, &overlay, &canary_placeholder(&model.found.uri))? {
        Some(at) => draft.remove_entry(&overlay, 0, &["images"], at),
        None => Ok(()),
    }
}
