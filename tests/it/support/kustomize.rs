//! The real kustomize, as Argo CD runs it: with its default load restrictor.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;

use super::need;

/// Runs `kubectl kustomize` on a folder; `None` after saying that kubectl is missing.
pub fn run(folder: &Path) -> Option<Output> {
    Some(Command::new(need("kubectl")?).arg("kustomize").arg(folder).output().unwrap())
}

/// What it makes of a folder, as text.
///
/// # Panics
/// When kustomize refuses the folder.
pub fn text(folder: &Path) -> Option<String> {
    let done = run(folder)?;
    assert!(done.status.success(), "{}: {}", folder.display(), String::from_utf8_lossy(&done.stderr));
    Some(String::from_utf8(done.stdout).unwrap())
}

/// What it makes of a folder, object by object.
///
/// # Panics
/// When kustomize refuses the folder.
pub fn build(folder: &Path) -> Option<Vec<Value>> {
    Some(documents(&text(folder)?))
}

/// The documents of a YAML text.
pub fn documents(text: &str) -> Vec<Value> {
    serde_saphyr::from_multiple(text).unwrap()
}

/// The only object of a kind and name.
///
/// # Panics
/// When there is none, or more than one.
pub fn one<'o>(objects: &'o [Value], kind: &str, name: &str) -> &'o Value {
    let mut found = objects.iter().filter(|object| object["kind"] == kind && object["metadata"]["name"] == name);
    let object = found.next().unwrap_or_else(|| panic!("no {kind}/{name}"));
    assert!(found.next().is_none(), "{kind}/{name} is there twice");
    object
}

/// All objects of a kind.
pub fn all<'o>(objects: &'o [Value], kind: &str) -> Vec<&'o Value> {
    objects.iter().filter(|object| object["kind"] == kind).collect()
}

/// Writes files below a folder.
pub fn write(folder: &Path, files: &[(&str, &str)]) {
    for (name, text) in files {
        let path = folder.join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
}

/// Copies a folder with all below it.
pub fn copy(from: &Path, to: &Path) {
    for file in files_below(from) {
        let target = to.join(file.strip_prefix(from).unwrap());
        std::fs::create_dir_all(target.parent().unwrap()).unwrap();
        std::fs::copy(&file, target).unwrap();
    }
}

/// The files of a folder and of those below it, in order.
pub fn files_below(folder: &Path) -> Vec<PathBuf> {
    let mut entries: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    entries.sort();
    entries.into_iter().flat_map(|path| if path.is_dir() { files_below(&path) } else { vec![path] }).collect()
}
