//! Whether a kustomization already reaches the InferenceService that a patch is for.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::Value;

use crate::kserve::Kind;
use crate::rollout::{RolloutError, yaml};

/// The file names that kustomize looks for.
pub(in crate::rollout) const KUSTOMIZATION_NAMES: [&str; 3] = ["kustomization.yaml", "kustomization.yml", "Kustomization"];
/// How many files are opened before the search gives up.
const MAX_FILES: usize = 500;
/// The lists of a kustomization that bring resources in.
const SOURCES: [&str; 3] = ["resources", "bases", "components"];
/// The lists whose result cannot be known without running something.
const GENERATED: [&str; 3] = ["generators", "helmCharts", "helmChartInflationGenerator"];

/// What the search for an InferenceService found.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Definition {
    /// It is there.
    Found {
        /// The file that holds it.
        path: PathBuf,
        /// What it says.
        document: Value,
    },
    /// Nothing that can be reached defines it.
    Absent,
    /// Something that cannot be read here (a URL, a generator, a template) may define it.
    Unknown,
}

/// An InferenceService that a kustomization brings in.
#[derive(Clone, Debug)]
pub(super) struct Defined {
    /// The file that holds it.
    pub(super) path: PathBuf,
    /// What it says.
    pub(super) document: Value,
}

/// What a kustomization brings in.
#[derive(Debug, Default)]
pub(super) struct Reached {
    /// The InferenceServices that were seen.
    pub(super) services: Vec<Defined>,
    /// Whether something that cannot be read here (a URL, a generator, a template) may bring in more.
    pub(super) unknown: bool,
}

/// Files that many sites share, read once.
#[derive(Debug, Default)]
pub(super) struct Files {
    read: HashMap<PathBuf, Option<Arc<Vec<Value>>>>,
}

/// Searches what a kustomization in `folder` reaches. Files outside `boundary` are not opened.
pub(super) fn find(boundary: &Path, folder: &Path, kustomization: &Value, name: &str) -> Definition {
    let reached = reach(&mut Files::default(), boundary, folder, kustomization);
    match reached.services.into_iter().find(|service| service.document["metadata"]["name"] == name) {
        Some(Defined { path, document }) => Definition::Found { path, document },
        None if reached.unknown => Definition::Unknown,
        None => Definition::Absent,
    }
}

/// All InferenceServices that a kustomization in `folder` reaches, in its order.
pub(super) fn reach(files: &mut Files, boundary: &Path, folder: &Path, kustomization: &Value) -> Reached {
    let mut search = Search { files, boundary, seen: HashSet::new(), reached: Reached::default() };
    search.kustomization(folder, kustomization);
    search.reached
}

/// The kustomization file of a folder.
///
/// # Errors
/// More than one: kustomize refuses that too.
pub(super) fn kustomization_file(folder: &Path) -> Result<Option<PathBuf>, RolloutError> {
    let mut files = KUSTOMIZATION_NAMES.into_iter().map(|name| folder.join(name)).filter(|path| path.exists());
    let first = files.next();
    match files.next() {
        Some(second) => Err(RolloutError::shape(&second, "the folder has more than one kustomization")),
        None => Ok(first),
    }
}

/// Whether a document is the InferenceService, or LLMInferenceService, of that name.
pub(super) fn is_service(document: &Value, name: &str) -> bool {
    document["metadata"]["name"] == name && is_any_service(document)
}

fn is_any_service(document: &Value) -> bool {
    let group = document["apiVersion"].as_str().and_then(|version| version.split_once('/')).map(|(group, _)| group);
    Kind::ALL.into_iter().any(|kind| document["kind"] == kind.kind()) && group == Some("serving.kserve.io")
}

struct Search<'a> {
    files: &'a mut Files,
    boundary: &'a Path,
    /// Files opened; also what stops a ring of kustomizations.
    seen: HashSet<PathBuf>,
    reached: Reached,
}

impl Search<'_> {
    fn kustomization(&mut self, folder: &Path, kustomization: &Value) {
        self.reached.unknown |= GENERATED.iter().any(|list| !kustomization[list].is_null());
        let sources = SOURCES.iter().filter_map(|list| kustomization[list].as_array()).flatten();
        sources.filter_map(Value::as_str).for_each(|source| self.source(folder, source));
    }

    fn source(&mut self, folder: &Path, source: &str) {
        let inside = |path: &Path| path.canonicalize().ok().filter(|path| path.starts_with(self.boundary));
        let Some(path) = inside(&folder.join(source)) else {
            self.reached.unknown = true;
            return;
        };
        let kustomization = |folder: &Path| inside(&kustomization_file(folder).ok()??);
        let file = if path.is_dir() { kustomization(&path) } else { Some(path.clone()) };
        self.reached.unknown |= file.is_none();
        let Some(documents) = file.and_then(|file| self.documents(file)) else { return };
        if path.is_dir() {
            return documents.first().map_or((), |nested| self.kustomization(&path, nested));
        }
        let services = documents.iter().filter(|document| is_any_service(document));
        self.reached.services.extend(services.map(|document| Defined { path: path.clone(), document: document.clone() }));
    }

    /// A file's documents, once; what cannot be read makes the result unknown.
    fn documents(&mut self, file: PathBuf) -> Option<Arc<Vec<Value>>> {
        if self.seen.contains(&file) {
            return None;
        }
        let documents = if self.seen.len() < MAX_FILES { self.files.documents(&file) } else { None };
        self.reached.unknown |= documents.is_none();
        self.seen.insert(file);
        documents
    }
}

impl Files {
    /// `None` for what cannot be read.
    fn documents(&mut self, file: &Path) -> Option<Arc<Vec<Value>>> {
        if let Some(known) = self.read.get(file) {
            return known.clone();
        }
        let documents = yaml::read(file).ok().flatten().and_then(|text| yaml::parse_served(file, &text).ok()).map(Arc::new);
        self.read.insert(file.to_owned(), documents.clone());
        documents
    }
}

/// Up to where local resources are followed: the repository that holds the folder, else the folder.
pub(in crate::rollout) fn boundary(root: &Path) -> PathBuf {
    root.ancestors().find(|folder| folder.join(".git").exists()).unwrap_or(root).to_owned()
}
