//! A site's folder as it lies there: overlay, patches, bases and applications, put together to what each model is told.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use fs_err as fs;
use serde_json::Value;

use super::apps;
use super::canary::route;
use super::change::refuse_links;
use super::definition::{self, Defined, Files, is_service};
use super::edit::{lookup, value_at};
use super::place::{kind_of, uri_of};
use super::plan::RUNTIME;
use super::state::{AppState, CanaryState, Finding, ModelState, Placed, SiteState};
use crate::kserve::CanaryWay;
use crate::rollout::service::IMAGE_ANNOTATION;
use crate::rollout::{RolloutError, ServiceName, Style, yaml};

/// The most files of a folder that are read.
const MAX_FILES: usize = 1000;
/// Where the image of a version is noted that was a canary once: see `canary::list`.
pub(super) const OWN_IMAGE: [&str; 4] = ["spec", "predictor", "annotations", IMAGE_ANNOTATION];
pub(super) const CANARY: [&str; 2] = ["spec", "canary"];
pub(super) const PERCENT: [&str; 3] = ["spec", "predictor", "canaryTrafficPercent"];

/// One document of a file of the site.
#[derive(Clone, Debug)]
pub(super) struct Patch {
    /// Relative to the GitOps folder.
    pub(super) file: PathBuf,
    /// Which document of the file.
    pub(super) at: usize,
    pub(super) document: Value,
}

/// What a site's folder holds.
#[derive(Debug)]
pub(super) struct View {
    root: PathBuf,
    /// The site's kustomization, relative to the GitOps folder, and what it says.
    pub(super) overlay: Option<(PathBuf, Value)>,
    /// `models/NAME.yaml`.
    patches: BTreeMap<ServiceName, Patch>,
    /// `models/NAME-route.yaml`, by NAME.
    routes: BTreeMap<ServiceName, Patch>,
    /// The InferenceServices that the kustomization brings in.
    defined: Vec<Defined>,
    /// Whether it may bring in more.
    pub(super) unknown: bool,
    apps: Vec<AppState>,
    findings: Vec<Finding>,
}

/// One model of a site.
#[derive(Clone, Debug)]
pub(super) struct Found {
    /// The tool's patch, where there is one.
    pub(super) patch: Option<Patch>,
    /// The definition below it, where it can be read.
    pub(super) base: Option<Defined>,
    /// The `storageUri` as it is written: a URI, or the name of an `images` entry.
    pub(super) uri: String,
    pub(super) state: ModelState,
}

impl View {
    /// Reads `folder` of the GitOps folder `root`.
    pub(super) fn read(files: &mut Files, root: &Path, folder: &Path) -> Self {
        let mut view = Self {
            root: root.to_owned(),
            overlay: None,
            patches: BTreeMap::new(),
            routes: BTreeMap::new(),
            defined: Vec::new(),
            unknown: false,
            apps: Vec::new(),
            findings: Vec::new(),
        };
        let overlay = view.overlay(folder);
        view.note(folder, overlay);
        view.reach(files, folder);
        let models = folder.join("models");
        for name in view.yaml_files(&models) {
            let read = view.model_file(&models.join(&name), name.trim_end_matches(".yaml"));
            view.note(&models.join(&name), read);
        }
        let (apps, findings) = apps::read(root, folder);
        view.apps = apps;
        view.findings.extend(findings);
        view
    }

    /// What the site is told to run.
    pub(super) fn state(mut self) -> SiteState {
        let (names, mut models) = (self.names(), Vec::new());
        for name in &names {
            match self.find(name) {
                Some(found) => models.push(found.state),
                None => self.findings.extend(self.nameless(name)),
            }
        }
        self.findings.sort_by(|a, b| a.file.cmp(&b.file));
        SiteState { models, apps: self.apps, findings: self.findings }
    }

    /// A model whose image is a name that stands for nothing.
    fn nameless(&self, name: &ServiceName) -> Option<Finding> {
        let (patch, base) = (self.patches.get(name), self.defined(name.as_str()));
        let said = [patch.map(|patch| &patch.document), base.map(|base| &base.document)];
        let uri = said.into_iter().flatten().find_map(uri_of).filter(|uri| !uri.contains("://"))?;
        let problem = format!("`storageUri: {uri}` of {name} is no URI, and no entry of `images:` in the site's kustomization");
        Some(Finding { file: self.file_of(Style::Patch, patch, base), problem })
    }

    /// Every model that has a patch or a definition, and is not another one's canary.
    fn names(&self) -> Vec<ServiceName> {
        let defined = self.defined.iter().filter_map(|service| service.document["metadata"]["name"].as_str()?.parse().ok());
        let mut names: Vec<ServiceName> = self.patches.keys().cloned().chain(defined).collect();
        names.sort();
        names.dedup();
        let canaries: Vec<_> = self.routes.keys().map(route::canary_name).collect();
        names.retain(|name| canaries.iter().all(|canary| canary != name.as_str()));
        names
    }

    /// One model; `None` where nothing says which image it runs.
    pub(super) fn find(&self, name: &ServiceName) -> Option<Found> {
        let patch = self.patches.get(name).cloned();
        let base = self.defined(name.as_str()).cloned();
        let said = [patch.as_ref().map(|patch| &patch.document), base.as_ref().map(|base| &base.document)];
        let first = |keys: &[&str]| said.into_iter().flatten().find_map(|document| value_at(document, keys));
        let uri = said.into_iter().flatten().find_map(uri_of)?.to_owned();
        let image = said.into_iter().flatten().find_map(|document| lookup(document, &OWN_IMAGE).or_else(|| lookup(document, &TAGGED)));
        let (stable, style) = (self.placed(&uri)?, if uri.contains("://") { Style::Patch } else { Style::Images });
        let mut state = ModelState {
            name: name.clone(),
            kind: said.into_iter().flatten().next().map(kind_of).unwrap_or_default(),
            image: image.and_then(|text| text.parse().ok()),
            file: self.file_of(style, patch.as_ref(), base.as_ref()),
            runtime: first(&RUNTIME).and_then(Value::as_str).map(str::to_owned),
            canaries: Vec::new(),
            way: None,
            stable,
            style,
        };
        let list = first(&CANARY).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        self.note_canaries(&mut state, list, first(&PERCENT));
        Some(Found { patch, base, uri, state })
    }

    fn note_canaries(&self, state: &mut ModelState, list: &[Value], percent: Option<&Value>) {
        state.canaries = list.iter().filter_map(|entry| self.listed(entry)).collect();
        state.way = Some(CanaryWay::List).filter(|_| !state.canaries.is_empty());
        // 0 is what a rollback leaves behind: no canary.
        if let Some(percent) = percent.and_then(Value::as_u64).and_then(|percent| u8::try_from(percent).ok()).filter(|percent| *percent > 0)
        {
            state.canaries.push(CanaryState { name: state.name.to_string(), placed: state.stable.clone(), percent });
            state.way = Some(CanaryWay::Percent);
        }
        if let Some(canary) = self.routed(&state.name) {
            state.canaries.push(canary);
            state.way = Some(CanaryWay::Route);
        }
    }

    /// The definition of a service.
    pub(super) fn defined(&self, name: &str) -> Option<&Defined> {
        self.defined.iter().find(|service| service.document["metadata"]["name"] == name)
    }

    /// The route over a model and its canary.
    pub(super) fn route(&self, name: &ServiceName) -> Option<&Patch> {
        self.routes.get(name)
    }

    fn listed(&self, entry: &Value) -> Option<CanaryState> {
        Some(CanaryState {
            name: lookup(entry, &["predictor", "name"])?.to_owned(),
            placed: self.placed(lookup(entry, &["predictor", "model", "storageUri"])?)?,
            percent: entry["trafficPercent"].as_u64().and_then(|percent| percent.try_into().ok()).unwrap_or(0),
        })
    }

    fn routed(&self, name: &ServiceName) -> Option<CanaryState> {
        let percent = route::percent(&self.routes.get(name)?.document)?;
        let canary = route::canary_name(name);
        let own = self.patches.iter().find(|(other, _)| other.as_str() == canary)?.1;
        Some(CanaryState { name: canary, placed: self.placed(uri_of(&own.document)?)?, percent })
    }

    /// What a `storageUri` stands for, through `images` where it is a name.
    fn placed(&self, uri: &str) -> Option<Placed> {
        if uri.contains("://") {
            return Placed::of_uri(uri);
        }
        let images = self.overlay.as_ref()?.1["images"].as_array()?;
        let entry = images.iter().find(|entry| entry["name"] == uri)?;
        Placed::of_uri(&format!("{}@{}", entry["newName"].as_str()?, entry["digest"].as_str()?))
    }

    fn file_of(&self, style: Style, patch: Option<&Patch>, base: Option<&Defined>) -> PathBuf {
        let overlay = self.overlay.as_ref().filter(|_| style == Style::Images).map(|(path, _)| path.clone());
        let patch = patch.filter(|patch| uri_of(&patch.document).is_some()).map(|patch| patch.file.clone());
        let base = base.map(|base| base.path.strip_prefix(&self.root).unwrap_or(&base.path).to_owned());
        overlay.or(patch).or(base).unwrap_or_default()
    }

    fn overlay(&mut self, folder: &Path) -> Result<(), RolloutError> {
        let Some(path) = definition::kustomization_file(&self.root.join(folder))? else { return Ok(()) };
        let text = yaml::read(&path)?.unwrap_or_default();
        let kustomization = yaml::parse(&path, &text)?.into_iter().next().unwrap_or_default();
        self.overlay = Some((folder.join(path.file_name().unwrap_or_default()), kustomization));
        Ok(())
    }

    fn reach(&mut self, files: &mut Files, folder: &Path) {
        let Some((_, kustomization)) = &self.overlay else { return };
        let reached = definition::reach(files, &definition::boundary(&self.root), &self.root.join(folder), kustomization);
        (self.defined, self.unknown) = (reached.services, reached.unknown);
    }

    fn model_file(&mut self, file: &Path, stem: &str) -> Result<(), RolloutError> {
        let path = self.root.join(file);
        let documents = yaml::parse(&path, &yaml::read(&path)?.unwrap_or_default())?;
        if let Some((name, at)) = route::of_file(stem, &documents) {
            self.routes.insert(name, Patch { file: file.to_owned(), at, document: documents[at].clone() });
            return Ok(());
        }
        let Ok(name) = stem.parse::<ServiceName>() else { return Ok(()) };
        if let Some(at) = documents.iter().position(|document| is_service(document, stem)) {
            self.patches.insert(name, Patch { file: file.to_owned(), at, document: documents[at].clone() });
        }
        Ok(())
    }

    /// The YAML files of a folder, by name. A folder that is not there has none.
    fn yaml_files(&mut self, folder: &Path) -> Vec<String> {
        if let Err(error) = refuse_links(&self.root, folder) {
            self.findings.push(Finding { file: folder.to_owned(), problem: error.to_string() });
            return Vec::new();
        }
        let entries = match fs::read_dir(self.root.join(folder)) {
            Ok(entries) => entries,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Vec::new(),
            Err(error) => {
                self.findings.push(Finding { file: folder.to_owned(), problem: error.to_string() });
                return Vec::new();
            }
        };
        let names = entries.take(MAX_FILES).filter_map(|entry| entry.ok()?.file_name().into_string().ok());
        let mut names: Vec<_> = names.filter(|name| Path::new(name).extension().is_some_and(|extension| extension == "yaml")).collect();
        names.sort();
        names
    }

    fn note(&mut self, file: &Path, read: Result<(), RolloutError>) {
        let Err(error) = read else { return };
        let cause = std::error::Error::source(&error).map(|cause| format!(": {cause}")).unwrap_or_default();
        self.findings.push(Finding { file: file.to_owned(), problem: format!("{error}{cause}") });
    }
}

const TAGGED: [&str; 3] = ["metadata", "annotations", IMAGE_ANNOTATION];
