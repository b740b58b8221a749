//! Which files of a site's folder change for a rollout. Reads and decides; writes nothing.
//!
//! ```text
//! sites/SITE/kustomization.yaml   the user's; one `patches` entry per model is added
//!            base/NAME.yaml       the user's; a first version is written where nothing defines the service
//!            models/NAME.yaml     the tool's: image digest and provenance; what the user adds stays
//! ```

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::change::refuse_links;
use super::definition::{self, Definition, is_service};
use super::edit::{Edit, Editable, lookup, nested, path, removal, value_at};
use super::place::{check_kind, check_single, has_several, kind_of, uri_of};
use super::stable::Version;
use super::{FileChange, Planned, TreeChange};
use crate::kserve::{Delivery, Kind};
use crate::oci::Digest;
use crate::rollout::service::render::{KUSTOMIZATION, target_of};
use crate::rollout::service::{ARGS, IMAGE_ANNOTATION, URI, URIS, check_layout, merged_args, strings, without_sources};
use crate::rollout::{RolloutError, Service, SiteName, yaml};

pub(super) const RUNTIME: [&str; 4] = ["spec", "predictor", "model", "runtime"];

/// Predictors of the time before `model:`; a `model` beside one of them makes an InferenceService that KServe refuses.
const OLD_PREDICTORS: [&str; 10] =
    ["sklearn", "xgboost", "tensorflow", "pytorch", "triton", "onnx", "huggingface", "pmml", "lightgbm", "paddle"];

const SITE_HEAD: &str = "\
# The models of this site. Argo CD or `kubectl apply -k` builds this folder.
#   base/    the InferenceServices. Yours: runtime, resources, replicas; modelcar writes a first version and never edits it.
#   models/  one small patch per model, kept by modelcar: image digest and provenance. What you add to it stays.
";
pub(super) const BASE_HEAD: &str = "\
# Yours to edit; modelcar does not touch it again. The image comes from ../models.
";
pub(super) const MODEL_HEAD: &str = "\
# Kept by modelcar: storageUri and the io.modelcar annotations. Anything else that you add stays.
";

/// Decides what changes in `gitops_dir/sites/SITE` so that it runs this service.
///
/// All paths of the result are relative to `gitops_dir`.
///
/// # Errors
/// When the service cannot run on its KServe, or the folder holds something that cannot be edited safely.
pub fn plan(gitops_dir: &Path, site: &SiteName, service: &Service) -> Result<Planned, RolloutError> {
    service.check()?;
    let root = gitops_dir.canonicalize().map_err(RolloutError::io("open", gitops_dir))?;
    let folder = Path::new("sites").join(site.as_str());
    refuse_links(&root, &folder)?;
    Site { root, folder, service }.plan()
}

impl Base {
    fn of(file: Option<FileChange>, document: &Value) -> Self {
        Self {
            file,
            runtime: lookup(document, &RUNTIME).map(str::to_owned),
            args: args_of(document),
            api_version: lookup(document, &["apiVersion"]).map(str::to_owned),
            has_uri: lookup(document, &URI).is_some(),
        }
    }
}

struct Site<'a> {
    root: PathBuf,
    /// Relative to the root.
    folder: PathBuf,
    service: &'a Service,
}

/// The site's `kustomization.yaml`, there or not.
struct Overlay {
    path: PathBuf,
    text: Option<String>,
}

/// The InferenceService below the patch.
struct Base {
    /// Its file, where this rollout brings it in.
    file: Option<FileChange>,
    /// The ServingRuntime that it names.
    runtime: Option<String>,
    /// The server's arguments.
    args: Vec<String>,
    /// Its version, where it is there.
    api_version: Option<String>,
    /// Whether it names an image of its own.
    has_uri: bool,
}

/// The tool's own patch.
struct Model {
    file: FileChange,
    /// How many documents the file has.
    documents: usize,
    old_digest: Option<Digest>,
    old_delivery: Option<Delivery>,
    /// The ServingRuntime that it names, over the base's.
    runtime: Option<String>,
}

impl Site<'_> {
    fn plan(self) -> Result<Planned, RolloutError> {
        let overlay = self.overlay()?;
        let base = self.base(&overlay)?;
        let model = self.model(&base)?;
        self.check_runtime(&base, &model)?;
        let kustomization = self.kustomization(overlay, &base, &model)?;
        let mut needed = vec![model.file.path.clone(), kustomization.path.clone()];
        needed.extend(Some(self.file("base")).filter(|base_path| base.file.is_some() || self.root.join(base_path).exists()));
        let mut own = vec![model.file.path.clone()];
        own.extend(base.file.iter().map(|file| file.path.clone()));
        let warnings = self.warnings(&base, &model);
        // The kustomization is last: until it names the others, they change nothing for the site.
        let files = [Some(model.file), base.file, Some(kustomization)];
        let files = files.into_iter().flatten().filter(|file| file.before != file.after).collect();
        let change = TreeChange { files, warnings, root: self.root, needed, own };
        let new = Some(Version::of(self.service)?.placed);
        Ok(Planned { change, old_digest: model.old_digest, old_delivery: model.old_delivery, new, notes: Vec::new() })
    }

    /// `sites/SITE/FOLDER/NAME.yaml`.
    fn file(&self, folder: &str) -> PathBuf {
        self.folder.join(folder).join(format!("{}.yaml", self.service.name))
    }

    fn read(&self, path: &Path) -> Result<Option<String>, RolloutError> {
        refuse_links(&self.root, path)?;
        yaml::read(&self.root.join(path))
    }

    fn overlay(&self) -> Result<Overlay, RolloutError> {
        let file = definition::kustomization_file(&self.root.join(&self.folder))?;
        let path = self.folder.join(file.as_deref().and_then(Path::file_name).unwrap_or("kustomization.yaml".as_ref()));
        let text = self.read(&path)?;
        Ok(Overlay { path, text })
    }

    fn base(&self, overlay: &Overlay) -> Result<Base, RolloutError> {
        match self.definition(overlay)? {
            Definition::Found { path, document } => {
                self.check_document(&path, &document)?;
                self.check_namespace(overlay, &document)?;
                Ok(Base::of(None, &document))
            }
            Definition::Unknown => Ok(Base::of(None, &Value::Null)),
            Definition::Absent => self.own_base(overlay),
        }
    }

    fn definition(&self, overlay: &Overlay) -> Result<Definition, RolloutError> {
        let Some(text) = &overlay.text else { return Ok(Definition::Absent) };
        let documents = yaml::parse(&overlay.path, text)?;
        let kustomization = check_kustomization(&overlay.path, &documents)?;
        Ok(definition::find(&definition::boundary(&self.root), &self.root.join(&self.folder), kustomization, self.service.name.as_str()))
    }

    /// `base/NAME.yaml`: as it lies there, else a first version.
    fn own_base(&self, overlay: &Overlay) -> Result<Base, RolloutError> {
        let path = self.file("base");
        let before = self.read(&path)?;
        let after = match &before {
            Some(text) => text.clone(),
            None => format!("{BASE_HEAD}{}", yaml::to_string(&self.service.skeleton()?)?),
        };
        let documents = yaml::parse(&path, &after)?;
        let document = &documents[self.own_document(&path, &documents)?];
        self.check_namespace(overlay, document)?;
        Ok(Base::of(Some(FileChange { path, before, after: Some(after) }), document))
    }

    /// The base is the user's: its namespace is not changed behind their back. A kustomization may set it for all.
    fn check_namespace(&self, overlay: &Overlay, document: &Value) -> Result<(), RolloutError> {
        let Some(wanted) = &self.service.namespace else { return Ok(()) };
        let documents = overlay.text.as_ref().map_or(Ok(Vec::new()), |text| yaml::parse(&overlay.path, text))?;
        let for_all = documents.first().and_then(|kustomization| lookup(kustomization, &["namespace"]));
        if for_all.or_else(|| lookup(document, &["metadata", "namespace"])) == Some(wanted) {
            return Ok(());
        }
        Err(RolloutError::OtherNamespace { name: self.service.name.to_string(), namespace: wanted.clone() })
    }

    /// The runtime that the built site will name has to read the image's folders.
    fn check_runtime(&self, base: &Base, model: &Model) -> Result<(), RolloutError> {
        let named = [&self.service.runtime, &model.runtime, &base.runtime].into_iter().flatten().next();
        named.map_or(Ok(()), |name| check_layout(name, self.service.layout))
    }

    fn model(&self, base: &Base) -> Result<Model, RolloutError> {
        let path = self.file("models");
        let Some(before) = self.read(&path)? else {
            return self.new_model(path, base);
        };
        let file = Editable::new(&path, before.clone())?;
        let at = self.own_document(&path, file.documents())?;
        let (documents, document) = (file.documents().len(), file.documents()[at].clone());
        let file = file.set(at, &self.values(base, &document)?)?;
        let gone = self.gone(base, &document, &file.documents()[at])?;
        let after = gone.iter().try_fold(file, |file, edit| file.edit(at, edit))?.into_text();
        let (old_digest, old_delivery) = (digest_of(&document), uri_of(&document).and_then(Delivery::of_uri));
        let runtime = lookup(&document, &RUNTIME).map(str::to_owned);
        Ok(Model { file: FileChange { path, before: Some(before), after: Some(after) }, documents, old_digest, old_delivery, runtime })
    }

    fn new_model(&self, path: PathBuf, base: &Base) -> Result<Model, RolloutError> {
        let (kind, generation) = (self.service.kind, self.service.generation);
        let version = base.api_version.clone().map_or_else(|| kind.api_version(generation).map(str::to_owned), Ok)?;
        let mut wanted = json!({"apiVersion": version, "kind": kind.kind(), "metadata": {"name": self.service.name.as_str()}});
        if self.is_in_the_way(base) {
            yaml::merge(&mut wanted, &nested(&URI.map(str::to_owned), &Value::Null));
        }
        for (keys, value) in self.values(base, &Value::Null)? {
            yaml::merge(&mut wanted, &nested(&keys, &value));
        }
        let after = format!("{MODEL_HEAD}{}", yaml::to_string(&wanted)?);
        Ok(Model {
            file: FileChange { path, before: None, after: Some(after) },
            documents: 1,
            old_digest: None,
            old_delivery: None,
            runtime: None,
        })
    }

    /// What the tool's patch has to say, given what it says now.
    fn values(&self, base: &Base, now: &Value) -> Result<Vec<(Vec<String>, Value)>, RolloutError> {
        let keys = |keys: &[&str]| keys.iter().map(|key| (*key).to_owned()).collect::<Vec<_>>();
        let place = self.service.place()?;
        // KServe copies annotations to the pods: another tag on the same digest must not restart a model.
        let same = value_at(now, place.keys) == Some(&place.value);
        let annotations = self.service.patch_annotations().into_iter().filter(|(key, _)| !same || key != IMAGE_ANNOTATION);
        let mut values: Vec<_> = annotations.map(|(key, value)| (keys(&["metadata", "annotations", &key]), json!(value))).collect();
        values.push((keys(place.keys), place.value));
        let overridden = |name: &&String| base.runtime.as_ref() != Some(*name) || lookup(now, &RUNTIME).is_some();
        values.extend(self.service.runtime.iter().filter(overridden).map(|name| (keys(&RUNTIME), json!(name))));
        values.extend(self.args(base, now).filter(|args| !args.is_empty()).map(|args| (keys(&ARGS), json!(args))));
        Ok(values)
    }

    /// What the tool's patch says no more: `storageUri` and `storageUris` exclude each other, and arguments of adapters go with them.
    fn gone(&self, base: &Base, now: &Value, set: &Value) -> Result<Vec<Edit>, RolloutError> {
        let args = self.args(base, now).filter(Vec::is_empty).map(|_| removal(set, &ARGS));
        let other: &[&str] = if self.service.place()?.is_usual() { &URIS } else { &URI };
        let other = match value_at(set, other) {
            _ if self.is_in_the_way(base) => Some(Edit::Set(path(&URI), Value::Null)),
            Some(_) if self.service.kind == Kind::InferenceService => Some(removal(set, other)),
            _ => None,
        };
        Ok(args.into_iter().chain(other).collect())
    }

    /// Whether the base's own image has to be taken away for the list of several.
    fn is_in_the_way(&self, base: &Base) -> bool {
        base.has_uri && !self.service.sources.is_empty()
    }

    /// The arguments that the tool's patch has to carry. A list in a patch takes the place of the base's, so a base with arguments of
    /// its own is left to its owner; in the tool's own list only what the image says is changed.
    fn args(&self, base: &Base, now: &Value) -> Option<Vec<String>> {
        let (wanted, told) = (self.service.patch_args(), args_of(now));
        if told.is_empty() && !base.args.is_empty() {
            return None;
        }
        let kept = if has_several(now) { without_sources(told.clone()) } else { told.clone() };
        Some(merged_args(kept, &wanted)).filter(|args| *args != told)
    }

    /// What the built site will not tell the server though the image wants it, or tells it from an earlier image.
    fn warnings(&self, base: &Base, model: &Model) -> Vec<String> {
        let documents = yaml::parse(&model.file.path, model.file.after.as_deref().unwrap_or_default()).unwrap_or_default();
        let own = documents.iter().find(|document| is_service(document, self.service.name.as_str())).map(args_of).unwrap_or_default();
        let told = if own.is_empty() { &base.args } else { &own };
        let wanted = self.service.patch_args();
        let missing = wanted.iter().filter(|arg| !told.contains(arg));
        let missing =
            missing.map(|arg| format!("the model needs `{arg}` in spec.predictor.model.args; the site's list is yours, add it there"));
        let stale = told.iter().filter(|arg| arg.starts_with("--model=/mnt/models/") && !wanted.contains(arg));
        let stale = stale.filter(|_| wanted.is_empty());
        missing
            .chain(stale.map(|arg| format!("the site still starts the server with `{arg}`, which this image does not ask for")))
            .chain(self.dropped(model))
            .collect()
    }

    /// The images that a site had mounted beside the model, and has no longer.
    fn dropped(&self, model: &Model) -> Option<String> {
        let (before, name) = (model.file.before.as_deref()?, self.service.name.as_str());
        let documents = yaml::parse(&model.file.path, before).ok()?;
        let had =
            documents.iter().find(|document| is_service(document, name)).and_then(|document| value_at(document, &URIS)?.as_array())?;
        let others = had.iter().skip(1).filter_map(|entry| entry["uri"].as_str()).collect::<Vec<_>>();
        let is_dropped = self.service.sources.is_empty() && !others.is_empty();
        is_dropped.then(|| format!("{} is no longer mounted beside the model; `--source NAME=REF` keeps it", others.join(", ")))
    }

    /// Whether the tool's patch can be laid over a definition.
    fn check_document(&self, path: &Path, document: &Value) -> Result<(), RolloutError> {
        check_kind(kind_of(document), self.service)?;
        check_predictor(path, document)?;
        if self.service.sources.is_empty() { check_single(path, document) } else { Ok(()) }
    }

    /// Which document of a file is this InferenceService.
    fn own_document(&self, path: &Path, documents: &[Value]) -> Result<usize, RolloutError> {
        let name = self.service.name.as_str();
        let mut own = (0..documents.len()).filter(|at| is_service(&documents[*at], name));
        let (Some(at), None) = (own.next(), own.next()) else {
            return Err(RolloutError::shape(path, format!("it should hold the InferenceService `{name}` once")));
        };
        check_kind(kind_of(&documents[at]), self.service)?;
        check_predictor(path, &documents[at])?;
        if has_several(&documents[at]) { Ok(at) } else { check_single(path, &documents[at]).map(|()| at) }
    }

    fn kustomization(&self, overlay: Overlay, base: &Base, model: &Model) -> Result<FileChange, RolloutError> {
        let Overlay { path, text: before } = overlay;
        let (resource, patch) = (format!("base/{}.yaml", self.service.name), format!("models/{}.yaml", self.service.name));
        let Some(text) = &before else {
            let target = yaml::indented(&target_of(self.service.kind, self.service.name.as_str(), None), 4);
            let after = format!("{SITE_HEAD}{KUSTOMIZATION}resources:\n  - {resource}\npatches:\n  - path: {patch}\n{target}");
            return Ok(FileChange { path, before, after: Some(after) });
        };
        let mut file = Editable::new(&path, text.clone())?;
        if base.file.is_some() {
            file = file.append("resources", &json!(resource))?;
        }
        if !names_patch(&file.documents()[0], &patch) {
            file = file.append("patches", &patch_entry(self.service.kind, self.service.name.as_str(), model.documents))?;
        }
        let after = Some(file.into_text());
        Ok(FileChange { path, before, after })
    }
}

/// An entry of `patches`. Kustomize takes no target for a file of several patches.
pub(super) fn patch_entry(kind: Kind, name: &str, documents: usize) -> Value {
    let patch = format!("models/{name}.yaml");
    match documents {
        1 => json!({"path": patch, "target": {"group": "serving.kserve.io", "kind": kind.kind(), "name": name}}),
        _ => json!({"path": patch}),
    }
}

/// The server's arguments in a document.
fn args_of(document: &Value) -> Vec<String> {
    strings(value_at(document, &ARGS))
}

pub(super) fn check_kustomization<'d>(path: &Path, documents: &'d [Value]) -> Result<&'d Value, RolloutError> {
    let [kustomization] = documents else {
        return Err(RolloutError::shape(path, "a kustomization is exactly one document"));
    };
    let kind = kustomization.get("kind").map_or(Some("Kustomization"), Value::as_str);
    if kustomization.is_object() && matches!(kind, Some("Kustomization" | "Component")) {
        Ok(kustomization)
    } else {
        Err(RolloutError::shape(path, "it is not a Kustomization"))
    }
}

/// Refuses predictors on which KServe would refuse `model.storageUri`.
fn check_predictor(path: &Path, document: &Value) -> Result<(), RolloutError> {
    let predictor = &document["spec"]["predictor"];
    let old = OLD_PREDICTORS.into_iter().find(|framework| predictor.get(framework).is_some());
    old.map_or(Ok(()), |framework| {
        Err(RolloutError::shape(path, format!("`spec.predictor.{framework}` is the old form of `spec.predictor.model`")))
    })
}

/// Whether a kustomization applies a patch file already, in the new or the old list.
pub(super) fn names_patch(kustomization: &Value, patch: &str) -> bool {
    let is_ours = |path: Option<&str>| path.is_some_and(|path| path.trim_start_matches("./") == patch);
    let list = |key: &str| kustomization[key].as_array().cloned().unwrap_or_default();
    list("patches").iter().any(|entry| is_ours(entry["path"].as_str()))
        || list("patchesStrategicMerge").iter().any(|entry| is_ours(entry.as_str()))
}

/// The digest behind the `@` of the URI that a patch carries now.
fn digest_of(document: &Value) -> Option<Digest> {
    uri_of(document)?.rsplit_once('@')?.1.parse().ok()
}
