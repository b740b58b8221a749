//! From a decision to the place of every file.

use std::collections::HashMap;

use super::servers::TRITON_CONFIG;
use super::{Arrangement, ModelName, PlacedFile, Wish, torchserve};
use crate::kserve::Runtime;
use crate::model::formats::repository::TRITON_NAME;
use crate::model::formats::{Place, ServedName, Serving};
use crate::model::{Model, ModelError, ModelFile};

/// What was decided.
pub(super) struct Placing<'a> {
    pub(super) arrangement: &'a Arrangement,
    pub(super) version: u32,
    pub(super) name: &'a str,
}

/// The model's name. A Triton configuration that names the model is right only in a folder of that name.
pub(super) fn name(model: &Model, wish: &Wish) -> Result<String, ModelError> {
    let own = model.facts.get(TRITON_NAME);
    match (&wish.name, own) {
        (ModelName::Given(name), Some(own)) if name != own && wish.runtime == Some(Runtime::Triton) => Err(ModelError::ModelName {
            name: name.clone(),
            why: "the model's config.pbtxt has another `name`, and Triton wants them equal",
        }),
        (ModelName::Given(name), _) => Ok(name.clone()),
        (ModelName::Usual(name), own) => Ok(own.unwrap_or(name).to_owned()),
    }
}

impl Placing<'_> {
    /// Every file with its place, sorted by place.
    pub(super) fn place(&self, model: &Model) -> Result<Vec<PlacedFile>, ModelError> {
        if matches!(self.arrangement, Arrangement::Versions | Arrangement::One(_, Serving { place: Place::Repository, .. })) {
            check_name(self.name)?;
        }
        let placed = |file: &ModelFile| PlacedFile { target: self.target(&file.path), file: file.clone() };
        let mut files: Vec<_> = model.files.iter().map(placed).collect();
        files.extend(self.generated(model, &files));
        files.sort_by(|a, b| a.target.cmp(&b.target));
        check_clashes(&files)?;
        Ok(files)
    }

    fn target(&self, path: &str) -> String {
        match self.arrangement {
            Arrangement::Kept => path.to_owned(),
            Arrangement::Versions => format!("{}/{path}", self.name),
            Arrangement::One(only, Serving { runtime: Runtime::Torchserve, .. }) => torchserve::target(path, only),
            Arrangement::One(_, Serving { place: Place::Repository, .. }) if path == TRITON_CONFIG => format!("{}/{path}", self.name),
            Arrangement::One(only, serving) => self.below_root(serving.place, &served_name(serving.name, only, path)),
        }
    }

    /// What the server needs and the model does not bring.
    fn generated(&self, model: &Model, placed: &[PlacedFile]) -> Option<PlacedFile> {
        let Arrangement::One(only, Serving { runtime: Runtime::Torchserve, .. }) = self.arrangement else { return None };
        let missing = placed.iter().all(|placed| placed.target != torchserve::CONFIG);
        missing.then(|| PlacedFile { target: torchserve::CONFIG.to_owned(), file: torchserve::config(only, &model.facts) })
    }

    fn below_root(&self, place: Place, path: &str) -> String {
        let Self { version, name, .. } = self;
        match place {
            Place::Top => path.to_owned(),
            Place::Version => format!("{version}/{path}"),
            Place::Repository => format!("{name}/{version}/{path}"),
        }
    }
}

/// A file's name where `only` is the one that is loaded; both at the top of the model's folder.
fn served_name(name: ServedName, only: &str, path: &str) -> String {
    let stem = |path: &str| path.rsplit_once('.').map_or(path.to_owned(), |(stem, _)| stem.to_owned());
    match name {
        ServedName::File(served) if path == only => served.to_owned(),
        ServedName::Stem(served) if stem(path) == stem(only) => format!("{served}{}", &path[stem(path).len()..]),
        ServedName::Folder(served) => format!("{served}/{path}"),
        _ => path.to_owned(),
    }
}

fn check_name(name: &str) -> Result<(), ModelError> {
    let why = match name {
        "" => "it is empty",
        "." | ".." => "it is no name of a folder",
        _ if name.contains(['/', '\\']) => "it has a separator in it",
        _ if name.chars().any(char::is_control) => "it has a control character",
        _ if name.len() > 255 => "it is longer than 255 bytes",
        _ => return Ok(()),
    };
    Err(ModelError::ModelName { name: name.to_owned(), why })
}

/// Two files in one place, or a file where another needs a folder.
fn check_clashes(files: &[PlacedFile]) -> Result<(), ModelError> {
    let mut taken: HashMap<&str, &PlacedFile> = HashMap::new();
    for placed in files {
        if let Some(first) = taken.insert(&placed.target, placed) {
            return Err(clash(first, placed));
        }
    }
    for placed in files {
        let mut folders = placed.target.match_indices('/').map(|(at, _)| &placed.target[..at]);
        if let Some(file) = folders.find_map(|folder| taken.get(folder)) {
            return Err(clash(file, placed));
        }
    }
    Ok(())
}

fn clash(first: &PlacedFile, second: &PlacedFile) -> ModelError {
    ModelError::Clash { target: first.target.clone(), first: first.file.path.clone(), second: second.file.path.clone() }
}
