//! The documents below `tekton/`.

use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::support;

/// One YAML document.
#[derive(Clone, Debug)]
pub(crate) struct Document {
    /// Its file, relative to the folder that was read.
    pub(crate) path: PathBuf,
    pub(crate) value: Value,
}

impl Document {
    pub(crate) fn kind(&self) -> &str {
        self.value["kind"].as_str().unwrap_or_default()
    }

    pub(crate) fn name(&self) -> &str {
        self.value["metadata"]["name"].as_str().unwrap_or_default()
    }
}

/// The project's `tekton/` folder.
pub(crate) fn folder() -> PathBuf {
    support::repo_root().join("tekton")
}

/// Every document of every YAML file below a folder, by path.
pub(crate) fn read(folder: &Path) -> Vec<Document> {
    let files = walkdir::WalkDir::new(folder).sort_by_file_name().into_iter().map(|entry| entry.unwrap().into_path());
    files.filter(|file| file.extension().is_some_and(|ending| ending == "yaml")).flat_map(|file| documents(folder, &file)).collect()
}

fn documents(folder: &Path, file: &Path) -> Vec<Document> {
    let path = file.strip_prefix(folder).unwrap();
    let text = std::fs::read_to_string(file).unwrap();
    let values: Vec<Value> = serde_saphyr::from_multiple(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    values.into_iter().map(|value| Document { path: path.to_owned(), value }).collect()
}

/// The document of a kind and a name.
#[track_caller]
pub(crate) fn find<'a>(documents: &'a [Document], kind: &str, name: &str) -> &'a Document {
    let found = documents.iter().find(|document| document.kind() == kind && document.name() == name);
    found.unwrap_or_else(|| panic!("no {kind} {name}"))
}
