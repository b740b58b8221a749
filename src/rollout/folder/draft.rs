//! A change in the making: the files of a site as they are and as they will be, edited one proven step at a time.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::change::refuse_links;
use super::definition::{Files, KUSTOMIZATION_NAMES};
use super::edit::{Edit, Editable, inside, path};
use super::plan::check_kustomization;
use super::view::{Found, View};
use super::{FileChange, Planned, TreeChange};
use crate::rollout::{RolloutError, ServiceName, SiteName, yaml};

/// The site that is worked on.
#[derive(Debug)]
pub(super) struct Draft {
    /// The GitOps folder.
    pub(super) root: PathBuf,
    /// The site's folder, relative to it.
    pub(super) folder: PathBuf,
    pub(super) site: SiteName,
    files: Vec<FileChange>,
    own: Vec<PathBuf>,
    /// For people: what the change means.
    pub(super) notes: Vec<String>,
    pub(super) warnings: Vec<String>,
}

impl Draft {
    /// Opens a site's folder, there or not yet.
    pub(super) fn open(tree: &Path, site: &SiteName) -> Result<Self, RolloutError> {
        let root = tree.canonicalize().map_err(RolloutError::io("open", tree))?;
        let folder = Path::new("sites").join(site.as_str());
        refuse_links(&root, &folder)?;
        Ok(Self { root, folder, site: site.clone(), files: Vec::new(), own: Vec::new(), notes: Vec::new(), warnings: Vec::new() })
    }

    /// The site as it lies there, before this change.
    pub(super) fn view(&self) -> View {
        View::read(&mut Files::default(), &self.root, &self.folder)
    }

    /// A model of the site that runs already.
    pub(super) fn model(&self, view: &View, name: &ServiceName) -> Result<Found, RolloutError> {
        // What cannot be read is told as it is, and not as a model that is missing.
        self.overlay(view)?;
        self.text(&self.patch_file(name.as_str()))?.map_or(Ok(()), |text| yaml::parse(&self.patch_file(name.as_str()), &text).map(drop))?;
        view.find(name).ok_or_else(|| RolloutError::NoModel { model: name.to_string(), folder: self.folder.clone() })
    }

    /// `sites/SITE/models/NAME.yaml`.
    pub(super) fn patch_file(&self, name: &str) -> PathBuf {
        self.folder.join("models").join(format!("{name}.yaml"))
    }

    /// The site's kustomization.
    pub(super) fn overlay(&self, view: &View) -> Result<PathBuf, RolloutError> {
        let file = KUSTOMIZATION_NAMES.into_iter().map(|name| self.folder.join(name)).find(|file| self.root.join(file).exists());
        let file = file.unwrap_or_else(|| self.folder.join(KUSTOMIZATION_NAMES[0]));
        if view.overlay.is_none() && self.text(&file)?.is_some() {
            self.documents(&file).and_then(|documents| check_kustomization(&file, &documents).map(drop))?;
        }
        Ok(file)
    }

    /// A file's text as it will be.
    pub(super) fn text(&self, file: &Path) -> Result<Option<String>, RolloutError> {
        if let Some(change) = self.files.iter().find(|change| change.path == file) {
            return Ok(change.after.clone());
        }
        refuse_links(&self.root, file)?;
        yaml::read(&self.root.join(file))
    }

    /// A file's documents as they will be.
    pub(super) fn documents(&self, file: &Path) -> Result<Vec<Value>, RolloutError> {
        self.text(file)?.map_or(Ok(Vec::new()), |text| yaml::parse(file, &text))
    }

    /// Takes over what another plan decided.
    pub(super) fn absorb(&mut self, planned: Planned) {
        planned.change.needed.iter().filter(|needed| planned.change.files.iter().all(|file| file.path != **needed)).for_each(|needed| {
            if let Ok(Some(text)) = yaml::read(&self.root.join(needed)) {
                self.files.push(FileChange { path: needed.clone(), before: Some(text.clone()), after: Some(text) });
            }
        });
        self.files.extend(planned.change.files);
        self.own.extend(planned.change.own);
        self.warnings.extend(planned.change.warnings);
        self.notes.extend(planned.notes);
    }

    /// Edits a document of a file.
    pub(super) fn edit(&mut self, file: &Path, at: usize, edits: &[Edit]) -> Result<(), RolloutError> {
        let text = self.text(file)?.unwrap_or_default();
        let edited = edits.iter().try_fold(Editable::new(file, text)?, |editable, edit| editable.edit(at, edit))?;
        self.put(file, edited.into_text())
    }

    /// Writes a file whole.
    pub(super) fn put(&mut self, file: &Path, text: String) -> Result<(), RolloutError> {
        self.change(file, Some(text))
    }

    /// Takes a file away.
    pub(super) fn remove(&mut self, file: &Path) -> Result<(), RolloutError> {
        self.change(file, None)
    }

    /// Counts a file as modelcar's own: it comes along with every commit.
    pub(super) fn own(&mut self, file: &Path) {
        self.own.push(file.to_owned());
    }

    fn change(&mut self, file: &Path, after: Option<String>) -> Result<(), RolloutError> {
        let before = self.text(file)?;
        match self.files.iter_mut().find(|change| change.path == file) {
            Some(change) => change.after = after,
            None => self.files.push(FileChange { path: file.to_owned(), before, after }),
        }
        Ok(())
    }

    /// Adds an entry to a list of the overlay, where it is not there yet.
    pub(super) fn list(&mut self, overlay: &Path, list: &str, entry: &str) -> Result<(), RolloutError> {
        let there = self.documents(overlay)?.first().is_some_and(|document| position(&document[list], entry).is_some());
        if there { Ok(()) } else { self.edit(overlay, 0, &[Edit::Append(path(&[list]), json!(entry))]) }
    }

    /// Takes an entry out of a list of the overlay, and the list with its last one.
    pub(super) fn unlist(&mut self, overlay: &Path, list: &str, entry: &str) -> Result<(), RolloutError> {
        let documents = self.documents(overlay)?;
        let Some(at) = documents.first().and_then(|document| position(&document[list], entry)) else { return Ok(()) };
        self.remove_entry(overlay, 0, &[list], at)
    }

    /// Takes an entry out of a list, and the list with its last one: kustomize and KServe read an empty list as none.
    pub(super) fn remove_entry(&mut self, file: &Path, document: usize, list: &[&str], at: usize) -> Result<(), RolloutError> {
        let documents = self.documents(file)?;
        let entries = super::edit::value_at(&documents[document], list).and_then(Value::as_array).map_or(0, Vec::len);
        let gone = if entries > 1 { inside::<&str>(list, at, &[]) } else { path(list) };
        self.edit(file, document, &[Edit::Remove(gone)])
    }

    /// What was decided. Files come in the order in which they may be written one after the other: first what others will name, then
    /// the kustomization, at last what nobody names any more.
    pub(super) fn finish(mut self) -> TreeChange {
        let is_overlay = |file: &Path| file.file_name().is_some_and(|name| KUSTOMIZATION_NAMES.iter().any(|known| name == *known));
        let needed = self.files.iter().filter(|file| file.after.is_some()).map(|file| file.path.clone()).collect();
        self.files.retain(|file| file.before != file.after);
        self.files.sort_by_key(|file| (file.after.is_none(), is_overlay(&file.path)));
        self.own.retain(|own| self.files.iter().all(|file| file.path != *own || file.after.is_some()));
        TreeChange { files: self.files, warnings: self.warnings, root: self.root, needed, own: self.own }
    }
}

/// Where an entry stands in a list of paths, as kustomize reads them.
fn position(list: &Value, entry: &str) -> Option<usize> {
    let same = |other: &Value| other.as_str().is_some_and(|other| other.trim_start_matches("./") == entry);
    list.as_array()?.iter().position(same)
}
