//! Whether a kustomization already reaches the InferenceService that a patch is for.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::{RolloutError, service, yaml};

/// The file names that kustomize looks for.
pub(super) const KUSTOMIZATION_NAMES: [&str; 3] = ["kustomization.yaml", "kustomization.yml", "Kustomization"];
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

/// Searches what a kustomization in `folder` reaches. Files outside `boundary` are not opened.
pub(super) fn find(boundary: &Path, folder: &Path, kustomization: &Value, name: &str) -> Definition {
    let mut search = Search { boundary, name, seen: HashSet::new(), unknown: false };
    match search.kustomization(folder, kustomization) {
        Some(found) => found,
        None if search.unknown => Definition::Unknown,
        None => Definition::Absent,
    }
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

/// Whether a document is the InferenceService of that name.
pub(super) fn is_service(document: &Value, name: &str) -> bool {
    let group = document["apiVersion"].as_str().and_then(|version| version.split_once('/')).map(|(group, _)| group);
    document["kind"] == service::KIND && document["metadata"]["name"] == name && group == Some("serving.kserve.io")
}

struct Search<'a> {
    boundary: &'a Path,
    name: &'a str,
    /// Files opened; also what stops a ring of kustomizations.
    seen: HashSet<PathBuf>,
    unknown: bool,
}

impl Search<'_> {
    fn kustomization(&mut self, folder: &Path, kustomization: &Value) -> Option<Definition> {
        self.unknown |= GENERATED.iter().any(|list| !kustomization[list].is_null());
        let sources = SOURCES.iter().filter_map(|list| kustomization[list].as_array()).flatten();
        sources.filter_map(Value::as_str).find_map(|source| self.source(folder, source))
    }

    fn source(&mut self, folder: &Path, source: &str) -> Option<Definition> {
        let path = folder.join(source).canonicalize().ok().filter(|path| path.starts_with(self.boundary));
        let Some(path) = path else {
            self.unknown = true;
            return None;
        };
        let file = if path.is_dir() { kustomization_file(&path).ok().flatten() } else { Some(path.clone()) };
        self.unknown |= file.is_none();
        let documents = file.and_then(|file| self.documents(file))?;
        if path.is_dir() {
            return documents.first().and_then(|nested| self.kustomization(&path, nested));
        }
        let document = documents.into_iter().find(|document| is_service(document, self.name))?;
        Some(Definition::Found { path, document })
    }

    /// A file's documents, once; what cannot be read makes the result unknown.
    fn documents(&mut self, file: PathBuf) -> Option<Vec<Value>> {
        if self.seen.contains(&file) {
            return None;
        }
        let documents = if self.seen.len() < MAX_FILES {
            yaml::read(&file).ok().flatten().and_then(|text| yaml::parse(&file, &text).ok())
        } else {
            None
        };
        self.unknown |= documents.is_none();
        self.seen.insert(file);
        documents
    }
}
