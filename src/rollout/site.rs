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
use super::edit::{Editable, lookup, nested, value_at};
use super::render::{KUSTOMIZATION, target};
use super::service::check_layout;
use super::service::{API_VERSION, IMAGE_ANNOTATION, KIND};
use super::{FileChange, RolloutError, Service, ServiceName, SiteChange, SiteName, yaml};
use crate::kserve::Delivery;
use crate::oci::Digest;

const URI: [&str; 4] = ["spec", "predictor", "model", "storageUri"];
const RUNTIME: [&str; 4] = ["spec", "predictor", "model", "runtime"];
const ARGS: [&str; 4] = ["spec", "predictor", "model", "args"];

/// Predictors of the time before `model:`; a `model` beside one of them makes an InferenceService that KServe refuses.
const OLD_PREDICTORS: [&str; 10] =
    ["sklearn", "xgboost", "tensorflow", "pytorch", "triton", "onnx", "huggingface", "pmml", "lightgbm", "paddle"];

const SITE_HEAD: &str = "\
# The models of this site. Argo CD or `kubectl apply -k` builds this folder.
#   base/    the InferenceServices. Yours: runtime, resources, replicas; modelcar writes a first version and never edits it.
#   models/  one small patch per model, kept by modelcar: image digest and provenance. What you add to it stays.
";
const BASE_HEAD: &str = "\
# Yours to edit; modelcar does not touch it again. The image comes from ../models.
";
const MODEL_HEAD: &str = "\
# Kept by modelcar: storageUri and the io.modelcar annotations. Anything else that you add stays.
";

/// Decides what changes in `gitops_dir/sites/SITE` so that it runs this service.
///
/// All paths of the result are relative to `gitops_dir`.
///
/// # Errors
/// When the service cannot run on its KServe, or the folder holds something that cannot be edited safely.
pub fn plan(gitops_dir: &Path, site: &SiteName, service: &Service) -> Result<SiteChange, RolloutError> {
    service.check()?;
    let root = gitops_dir.canonicalize().map_err(RolloutError::io("open", gitops_dir))?;
    let folder = Path::new("sites").join(site.as_str());
    refuse_links(&root, &folder)?;
    Site { root, folder, service }.plan()
}

/// The delivery that a site uses for a model now. `None` where it does not run it, or where that cannot be told; [`plan`] says why.
pub fn current_delivery(gitops_dir: &Path, site: &SiteName, name: &ServiceName) -> Option<Delivery> {
    let folder = gitops_dir.join("sites").join(site.as_str());
    let documents = |path: &Path| yaml::parse(path, &yaml::read(path).ok()??).ok();
    let patches = documents(&folder.join(format!("models/{name}.yaml"))).unwrap_or_default();
    let patch = patches.iter().find(|document| is_service(document, name.as_str()));
    let uri = |document: &Value| lookup(document, &URI).map(str::to_owned);
    let below = || {
        let kustomization = documents(&definition::kustomization_file(&folder).ok()??)?;
        match definition::find(&boundary(&gitops_dir.canonicalize().ok()?), &folder, kustomization.first()?, name.as_str()) {
            Definition::Found { document, .. } => uri(&document),
            Definition::Absent | Definition::Unknown => None,
        }
    };
    Delivery::of_uri(&patch.and_then(uri).or_else(below)?)
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
    fn plan(self) -> Result<SiteChange, RolloutError> {
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
        let files = files.into_iter().flatten().filter(|file| file.before.as_ref() != Some(&file.after)).collect();
        Ok(SiteChange { files, old_digest: model.old_digest, old_delivery: model.old_delivery, warnings, root: self.root, needed, own })
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
                check_predictor(&path, &document)?;
                self.check_namespace(overlay, &document)?;
                Ok(Base { file: None, runtime: lookup(&document, &RUNTIME).map(str::to_owned), args: args_of(&document) })
            }
            Definition::Unknown => Ok(Base { file: None, runtime: None, args: Vec::new() }),
            Definition::Absent => self.own_base(overlay),
        }
    }

    fn definition(&self, overlay: &Overlay) -> Result<Definition, RolloutError> {
        let Some(text) = &overlay.text else { return Ok(Definition::Absent) };
        let documents = yaml::parse(&overlay.path, text)?;
        let kustomization = check_kustomization(&overlay.path, &documents)?;
        Ok(definition::find(&boundary(&self.root), &self.root.join(&self.folder), kustomization, self.service.name.as_str()))
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
        let (runtime, args) = (lookup(document, &RUNTIME).map(str::to_owned), args_of(document));
        Ok(Base { file: Some(FileChange { path, before, after }), runtime, args })
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
        let after = file.set(at, &self.values(base, &document)?)?.into_text();
        let (old_digest, old_delivery) = (digest_of(&document), lookup(&document, &URI).and_then(Delivery::of_uri));
        let runtime = lookup(&document, &RUNTIME).map(str::to_owned);
        Ok(Model { file: FileChange { path, before: Some(before), after }, documents, old_digest, old_delivery, runtime })
    }

    fn new_model(&self, path: PathBuf, base: &Base) -> Result<Model, RolloutError> {
        let mut wanted = json!({"apiVersion": API_VERSION, "kind": KIND, "metadata": {"name": self.service.name.as_str()}});
        for (keys, value) in self.values(base, &Value::Null)? {
            yaml::merge(&mut wanted, &nested(&keys, &value));
        }
        let after = format!("{MODEL_HEAD}{}", yaml::to_string(&wanted)?);
        Ok(Model { file: FileChange { path, before: None, after }, documents: 1, old_digest: None, old_delivery: None, runtime: None })
    }

    /// What the tool's patch has to say, given what it says now.
    fn values(&self, base: &Base, now: &Value) -> Result<Vec<(Vec<String>, Value)>, RolloutError> {
        let keys = |keys: &[&str]| keys.iter().map(|key| (*key).to_owned()).collect::<Vec<_>>();
        let uri = self.service.storage_uri()?;
        // KServe copies annotations to the pods: another tag on the same digest must not restart a model.
        let same = lookup(now, &URI) == Some(&uri);
        let annotations = self.service.patch_annotations().into_iter().filter(|(key, _)| !same || key != IMAGE_ANNOTATION);
        let mut values: Vec<_> = annotations.map(|(key, value)| (keys(&["metadata", "annotations", &key]), json!(value))).collect();
        values.push((keys(&URI), json!(uri)));
        let overridden = |name: &&String| base.runtime.as_ref() != Some(*name) || lookup(now, &RUNTIME).is_some();
        values.extend(self.service.runtime.iter().filter(overridden).map(|name| (keys(&RUNTIME), json!(name))));
        values.extend(self.args(base, now).map(|args| (keys(&ARGS), json!(args))));
        Ok(values)
    }

    /// The arguments that the tool's patch has to carry. A list in a patch takes the place of the base's, so a base with arguments of
    /// its own is left to its owner; in the tool's own list only what the image says is changed.
    fn args(&self, base: &Base, now: &Value) -> Option<Vec<String>> {
        let (wanted, own) = (&self.service.args, args_of(now));
        if wanted.is_empty() || (own.is_empty() && !base.args.is_empty()) {
            return None;
        }
        let switch = |arg: &str| arg.split('=').next().map(str::to_owned);
        let others = own.into_iter().filter(|arg| wanted.iter().all(|wanted| switch(wanted) != switch(arg)));
        Some(others.chain(wanted.iter().cloned()).collect())
    }

    /// What the built site will not tell the server though the image wants it, or tells it from an earlier image.
    fn warnings(&self, base: &Base, model: &Model) -> Vec<String> {
        let documents = yaml::parse(&model.file.path, &model.file.after).unwrap_or_default();
        let own = documents.iter().find(|document| is_service(document, self.service.name.as_str())).map(args_of).unwrap_or_default();
        let told = if own.is_empty() { &base.args } else { &own };
        let missing = self.service.args.iter().filter(|arg| !told.contains(arg));
        let missing =
            missing.map(|arg| format!("the model needs `{arg}` in spec.predictor.model.args; the site's list is yours, add it there"));
        let stale = told.iter().filter(|arg| arg.starts_with("--model=/mnt/models/") && !self.service.args.contains(arg));
        let stale = stale.filter(|_| self.service.args.is_empty());
        missing
            .chain(stale.map(|arg| format!("the site still starts the server with `{arg}`, which this image does not ask for")))
            .collect()
    }

    /// Which document of a file is this InferenceService.
    fn own_document(&self, path: &Path, documents: &[Value]) -> Result<usize, RolloutError> {
        let name = self.service.name.as_str();
        let mut own = (0..documents.len()).filter(|at| is_service(&documents[*at], name));
        let (Some(at), None) = (own.next(), own.next()) else {
            return Err(RolloutError::shape(path, format!("it should hold the InferenceService `{name}` once")));
        };
        check_predictor(path, &documents[at])?;
        Ok(at)
    }

    fn kustomization(&self, overlay: Overlay, base: &Base, model: &Model) -> Result<FileChange, RolloutError> {
        let Overlay { path, text: before } = overlay;
        let (resource, patch) = (format!("base/{}.yaml", self.service.name), format!("models/{}.yaml", self.service.name));
        let Some(text) = &before else {
            let target = yaml::indented(&target(self.service.name.as_str(), None), 4);
            let after = format!("{SITE_HEAD}{KUSTOMIZATION}resources:\n  - {resource}\npatches:\n  - path: {patch}\n{target}");
            return Ok(FileChange { path, before, after });
        };
        let mut file = Editable::new(&path, text.clone())?;
        if base.file.is_some() {
            file = file.append("resources", &json!(resource))?;
        }
        if !names_patch(&file.documents()[0], &patch) {
            file = file.append("patches", &self.patch_entry(&patch, model))?;
        }
        let after = file.into_text();
        Ok(FileChange { path, before, after })
    }

    /// Kustomize takes no target for a file of several patches.
    fn patch_entry(&self, patch: &str, model: &Model) -> Value {
        match model.documents {
            1 => json!({"path": patch, "target": {"group": "serving.kserve.io", "kind": KIND, "name": self.service.name.as_str()}}),
            _ => json!({"path": patch}),
        }
    }
}

/// The server's arguments in a document.
fn args_of(document: &Value) -> Vec<String> {
    let list = value_at(document, &ARGS).and_then(Value::as_array);
    list.into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
}

/// Up to where local resources are followed: the repository that holds the folder, else the folder.
fn boundary(root: &Path) -> PathBuf {
    root.ancestors().find(|folder| folder.join(".git").exists()).unwrap_or(root).to_owned()
}

fn check_kustomization<'d>(path: &Path, documents: &'d [Value]) -> Result<&'d Value, RolloutError> {
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
    if let Some(framework) = old {
        return Err(RolloutError::shape(path, format!("`spec.predictor.{framework}` is the old form of `spec.predictor.model`")));
    }
    match predictor.get("storageUris") {
        Some(_) => Err(RolloutError::shape(path, "`spec.predictor.storageUris` excludes `storageUri`")),
        None => Ok(()),
    }
}

/// Whether a kustomization applies a patch file already, in the new or the old list.
fn names_patch(kustomization: &Value, patch: &str) -> bool {
    let is_ours = |path: Option<&str>| path.is_some_and(|path| path.trim_start_matches("./") == patch);
    let list = |key: &str| kustomization[key].as_array().cloned().unwrap_or_default();
    list("patches").iter().any(|entry| is_ours(entry["path"].as_str()))
        || list("patchesStrategicMerge").iter().any(|entry| is_ours(entry.as_str()))
}

/// The digest behind the `@` of the URI that a patch carries now.
fn digest_of(document: &Value) -> Option<Digest> {
    lookup(document, &URI)?.rsplit_once('@')?.1.parse().ok()
}
