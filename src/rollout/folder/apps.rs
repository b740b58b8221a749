//! The applications beside the models: `images` of `apps/kustomization.yaml`, or of `apps/APP/kustomization.yaml`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use fs_err as fs;
use serde_json::Value;

use super::change::refuse_links;
use super::definition::kustomization_file;
use super::draft::Draft;
use super::images;
use super::state::{AppState, Finding};
use crate::oci::Reference;
use crate::rollout::{RolloutError, yaml};

/// The most folders of applications.
const MAX_APPS: usize = 100;
/// The most files that are opened to find a container.
const MAX_FILES: usize = 100;

/// Every application of a site, by name.
pub(super) fn read(root: &Path, folder: &Path) -> (Vec<AppState>, Vec<Finding>) {
    let (mut apps, mut findings) = (Vec::new(), Vec::new());
    for file in kustomizations(root, folder) {
        match document(root, &file) {
            Ok(kustomization) => apps.extend(entries(&kustomization).filter_map(|entry| app(&file, entry))),
            Err(error) => findings.push(Finding { file, problem: error.to_string() }),
        }
    }
    apps.sort_by(|a, b| a.name.cmp(&b.name));
    (apps, findings)
}

/// The kustomizations of `apps/` and of the folders in it, relative to the root.
fn kustomizations(root: &Path, folder: &Path) -> Vec<PathBuf> {
    let apps = folder.join("apps");
    // What lies behind a link is not this site's.
    let is_own = |path: &PathBuf| refuse_links(root, path).is_ok();
    if !is_own(&apps) {
        return Vec::new();
    }
    let Ok(entries) = fs::read_dir(root.join(&apps)) else { return Vec::new() };
    let names = entries.take(MAX_APPS).filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    let mut folders: Vec<_> = names.map(|name| apps.join(name)).filter(|path| is_own(path) && root.join(path).is_dir()).collect();
    folders.sort();
    folders.insert(0, apps);
    let file = |folder: PathBuf| Some(folder.join(kustomization_file(&root.join(&folder)).ok()??.file_name()?));
    folders.into_iter().filter_map(file).collect()
}

fn document(root: &Path, file: &Path) -> Result<Value, RolloutError> {
    let text = yaml::read(&root.join(file))?.unwrap_or_default();
    Ok(yaml::parse(file, &text)?.into_iter().next().unwrap_or_default())
}

fn entries(kustomization: &Value) -> impl Iterator<Item = &Value> {
    kustomization["images"].as_array().into_iter().flatten()
}

fn app(file: &Path, entry: &Value) -> Option<AppState> {
    let name = entry["name"].as_str()?;
    let image = entry["newName"].as_str().unwrap_or(name);
    let version = match (entry["digest"].as_str(), entry["newTag"].as_str()) {
        (Some(digest), _) => format!("@{digest}"),
        (None, Some(tag)) => format!(":{tag}"),
        (None, None) => String::new(),
    };
    Some(AppState { name: name.to_owned(), image: format!("{image}{version}").parse().ok()?, file: file.to_owned() })
}

/// Gives an application another image; what it ran before. Only a kustomization of `apps/` changes.
pub(super) fn set(draft: &mut Draft, app: &str, image: &Reference) -> Result<Option<Reference>, RolloutError> {
    let digest = image.digest().ok_or_else(|| RolloutError::NoDigest { image: image.to_string() })?.to_string();
    let files = kustomizations(&draft.root, &draft.folder);
    let (mut known, mut named) = (Vec::new(), Vec::new());
    for file in &files {
        let kustomization = document(&draft.root, file)?;
        named.extend(entries(&kustomization).filter(|entry| entry["name"] == app).map(|entry| (file.clone(), entry.clone())));
        known.extend(entries(&kustomization).filter_map(|entry| entry["name"].as_str().map(str::to_owned)));
    }
    match named.as_slice() {
        [(file, entry)] => {
            let before = self::app(file, entry).map(|app| app.image);
            images::set_image(draft, file, app, &image.name(), &digest)?;
            Ok(before)
        }
        [] => add(draft, &files, app, (image, &digest), known),
        [_, _, ..] => Err(RolloutError::shape(&draft.folder.join("apps"), format!("more than one kustomization has an image `{app}`"))),
    }
}

/// An entry for an application that has none yet: one container with that image name.
fn add(
    draft: &mut Draft,
    files: &[PathBuf],
    app: &str,
    (image, digest): (&Reference, &str),
    mut known: Vec<String>,
) -> Result<Option<Reference>, RolloutError> {
    // By image name, since that is what an entry matches. A kustomization of apps/ that brings in another one of apps/ shows the same
    // container twice: the inner one, which comes later, is the application's own.
    let mut found = BTreeMap::new();
    for file in files {
        for (name, container) in containers(&draft.root, file)? {
            if name == app || bare(&container) == app {
                found.insert(bare(&container).to_owned(), (file, container));
            }
            known.push(name);
        }
    }
    known.sort();
    known.dedup();
    let mut found = found.into_iter();
    match (found.next(), found.next()) {
        (Some((name, (file, container))), None) => {
            let kustomization = document(&draft.root, file)?;
            let entry = entries(&kustomization).find(|entry| entry["name"] == name.as_str());
            let before = entry.and_then(|entry| self::app(file, entry)).map(|app| app.image).or_else(|| container.parse().ok());
            images::set_image(draft, file, &name, &image.name(), digest)?;
            Ok(before)
        }
        _ => Err(RolloutError::NoApp { app: app.to_owned(), folder: draft.folder.clone(), known: known.join(", ") }),
    }
}

/// The name that an `images` entry matches: without tag and digest.
fn bare(image: &str) -> &str {
    let image = image.split('@').next().unwrap_or(image);
    match image.rsplit_once(':') {
        Some((name, tag)) if !tag.contains('/') => name,
        _ => image,
    }
}

/// Name and image of every container that a kustomization brings in from the repository.
fn containers(root: &Path, file: &Path) -> Result<Vec<(String, String)>, RolloutError> {
    let (mut found, mut open) = (Vec::new(), vec![root.join(file)]);
    let boundary = super::definition::boundary(root);
    let mut seen = Vec::new();
    while let Some(file) = open.pop().filter(|_| seen.len() < MAX_FILES) {
        if seen.contains(&file) {
            continue;
        }
        let documents = yaml::parse(&file, &yaml::read(&file)?.unwrap_or_default()).unwrap_or_default();
        for document in &documents {
            let resources = document["resources"].as_array().into_iter().flatten().filter_map(Value::as_str);
            let folder = file.parent().unwrap_or(root);
            let paths = resources.filter_map(|resource| folder.join(resource).canonicalize().ok());
            let file_of = |path: PathBuf| if path.is_dir() { kustomization_file(&path).ok()??.canonicalize().ok() } else { Some(path) };
            open.extend(paths.filter(|path| path.starts_with(&boundary)).filter_map(file_of));
            let containers = document["spec"]["template"]["spec"]["containers"].as_array().into_iter().flatten();
            let named = containers.filter_map(|one| Some((one["name"].as_str()?.to_owned(), one["image"].as_str()?.to_owned())));
            found.extend(named);
        }
        seen.push(file);
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_matches_an_image_without_its_version() {
        for (image, name) in [
            ("web", "web"),
            ("web:v1", "web"),
            ("quay.io:8443/acme/web", "quay.io:8443/acme/web"),
            ("quay.io:8443/acme/web:v1@sha256:00", "quay.io:8443/acme/web"),
        ] {
            assert_eq!(bare(image), name);
        }
    }
}
