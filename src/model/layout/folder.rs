//! What a model's folder is now, as servers see it, and which of them it is taken for.

use super::{Arrangement, Choice, servers};
use crate::kserve::Runtime;
use crate::model::facts::cut_list;
use crate::model::formats::{self, Format, Place, ServedName, Serving};
use crate::model::{Model, ModelError, UNKNOWN_FORMAT};

/// A model's folder as servers see it.
pub(super) struct Folder<'a> {
    format: Option<&'static Format>,
    format_name: &'static str,
    /// The places of all files.
    paths: Vec<&'a str>,
    /// The places of the files that a server would load.
    pub(super) models: Vec<&'a str>,
    /// The server whose repository the folder says to be.
    repository: Option<Runtime>,
}

impl<'a> Folder<'a> {
    pub(super) fn new(model: &'a Model) -> Self {
        Self::of(formats::by_name(model.format), model)
    }

    /// A model of a format that need not be in the table.
    pub(super) fn of(format: Option<&'static Format>, model: &'a Model) -> Self {
        Self {
            format,
            format_name: model.format,
            paths: model.files.iter().map(|file| file.path.as_str()).collect(),
            models: model.mains.iter().map(String::as_str).collect(),
            repository: formats::repository::server(&model.facts),
        }
    }

    /// The servers of the format and how they want it, the usual one first.
    pub(super) fn servings(&self) -> &'static [Serving] {
        self.format.map_or(&[], |format| format.servings)
    }

    /// Without a wish.
    pub(super) fn usual(&self) -> Result<Choice, ModelError> {
        let Some(usual) = self.servings().first() else {
            return Ok(Choice::kept(Runtime::Raw, self.why_none()));
        };
        if let Some(serving) = self.servings().iter().find(|serving| self.is_repository_of(serving.runtime)) {
            let runtime = serving.runtime;
            return Ok(Choice::kept(runtime, format!("the folder is a {runtime} repository already")));
        }
        let described = self.paths.contains(&servers::TRITON_CONFIG) && self.all_models(is_versioned);
        let triton = self.servings().iter().find(|serving| described && serving.runtime == Runtime::Triton);
        if let Some(triton) = triton {
            return Ok(Choice::new(Runtime::Triton, self.arrange(triton)?, "the folder is a model of a triton repository"));
        }
        match self.arrange(usual) {
            Ok(arrangement) => Ok(Choice::new(usual.runtime, arrangement, self.why_usual())),
            Err(error @ (ModelError::NotOneModel { .. } | ModelError::TritonConfig { .. })) => Ok(self.in_doubt(&error)),
            Err(error) => Err(error),
        }
    }

    fn why_none(&self) -> String {
        match self.format_name {
            UNKNOWN_FORMAT => "no known format: packed as it is".to_owned(),
            format => format!("no server loads a model of format {format} as it is"),
        }
    }

    fn why_usual(&self) -> String {
        let usual = format!("the usual server for {}", self.format_name);
        match self.servings() {
            [] | [_] => usual,
            [_, others @ ..] => format!("{usual}; others: {}", cut_list(others.iter().map(|serving| serving.runtime), 8)),
        }
    }

    /// The folder stays as it is, and a note says why and how to choose.
    fn in_doubt(&self, error: &ModelError) -> Choice {
        let (why, note) = if let ModelError::TritonConfig { .. } = error {
            ("no server is told enough to load it".to_owned(), format!("packed as it is: {error}"))
        } else {
            let shown = cut_list(self.models.iter(), 5);
            let note = format!("{} models: {shown}; to lay one out for a server, give that file as MODEL", self.models.len());
            (format!("not one {} model at the top of the folder", self.format_name), note)
        };
        Choice { notes: vec![note], ..Choice::kept(Runtime::Raw, why) }
    }

    /// With a wish, which is kept or refused.
    pub(super) fn asked_for(&self, runtime: Runtime) -> Result<Choice, ModelError> {
        const AS_IT_IS: &str = "as asked for; the folder stays as it is";
        if runtime == Runtime::Raw {
            return Ok(Choice::kept(runtime, AS_IT_IS));
        }
        let Some(serving) = self.servings().iter().find(|serving| serving.runtime == runtime) else {
            let runtimes = self.servings().iter().map(|serving| serving.runtime).chain([Runtime::Raw]).collect();
            return Err(ModelError::WrongRuntime { runtime, format: self.format_name, runtimes });
        };
        if self.is_repository_of(runtime) {
            return Ok(Choice::kept(runtime, AS_IT_IS));
        }
        Ok(Choice::new(runtime, self.arrange(serving)?, "as asked for"))
    }

    /// What is to be done with the files, if the server could load the result.
    fn arrange(&self, serving: &Serving) -> Result<Arrangement, ModelError> {
        servers::check_only_file(serving.runtime, &self.top(), &self.models)?;
        if self.is_flat(serving) {
            return Ok(Arrangement::Kept);
        }
        if serving.place == Place::Repository && self.has_served_versions(serving.name) {
            self.check_triton(serving)?;
            return Ok(Arrangement::Versions);
        }
        let Some(only) = self.only_model() else { return Err(self.not_one(serving.runtime)) };
        self.check_triton(serving)?;
        Ok(Arrangement::One(only.to_owned(), *serving))
    }

    fn check_triton(&self, serving: &Serving) -> Result<(), ModelError> {
        let described = self.paths.contains(&servers::TRITON_CONFIG);
        if serving.runtime != Runtime::Triton || described || servers::completes_itself(serving.name) {
            return Ok(());
        }
        Err(ModelError::TritonConfig { format: self.format_name })
    }

    fn not_one(&self, runtime: Runtime) -> ModelError {
        let found = self.models.iter().map(|path| (*path).to_owned()).collect();
        ModelError::NotOneModel { runtime, format: self.format_name, found }
    }

    /// The files at the top of the folder.
    fn top(&self) -> Vec<&'a str> {
        self.paths.iter().filter(|path| !path.contains('/')).copied().collect()
    }

    /// A folder that its server reads as a whole, however many weight files it has.
    fn is_flat(&self, serving: &Serving) -> bool {
        let whole = serving.place == Place::Top && serving.name == ServedName::Kept && servers::reads_whole_folder(serving.runtime);
        let is_one_file = self.models.iter().all(|path| servers::is_gguf(path));
        whole && !is_one_file && self.models.iter().any(|path| !path.contains('/'))
    }

    /// The only model file at the top of the folder.
    fn only_model(&self) -> Option<&'a str> {
        let mut top = self.models.iter().filter(|path| !path.contains('/'));
        let only = top.next()?;
        top.next().is_none().then_some(only)
    }

    /// Whether this is a repository of the server: by what the folder says, or because every model file lies at the depth where that
    /// server looks.
    fn is_repository_of(&self, runtime: Runtime) -> bool {
        let has = |wanted: fn(&str) -> bool| self.paths.iter().any(|path| wanted(path));
        match runtime {
            _ if self.repository == Some(runtime) => true,
            // With a config.pbtxt it is a model folder of Triton, which wants to be in a folder of its name.
            Runtime::Ovms | Runtime::TensorflowServing => self.all_models(is_versioned) && !self.paths.contains(&servers::TRITON_CONFIG),
            Runtime::Triton => self.all_models(is_named_and_versioned),
            Runtime::Torchserve => has(|path| path == "config/config.properties") && has(|path| path.starts_with("model-store/")),
            _ => false,
        }
    }

    /// Whether the folder is what Triton wants inside the folder of the model's name.
    fn has_served_versions(&self, name: ServedName) -> bool {
        let is_served = |path: &&str| path.rsplit('/').next().is_some_and(|file| servers::is_served(file, name));
        self.all_models(is_versioned) && self.models.iter().all(is_served)
    }

    fn all_models(&self, shape: fn(&[&str]) -> bool) -> bool {
        !self.models.is_empty() && self.models.iter().all(|path| shape(&path.split('/').collect::<Vec<_>>()))
    }
}

/// `1/model.onnx`.
fn is_versioned(names: &[&str]) -> bool {
    matches!(names, [version, _] if is_version(version))
}

/// `iris/1/model.onnx`, `iris/1/model.savedmodel/saved_model.pb`.
fn is_named_and_versioned(names: &[&str]) -> bool {
    match names {
        [_, version, _] => is_version(version),
        [_, version, folder, _] => is_version(version) && folder.starts_with("model."),
        _ => false,
    }
}

/// A positive number without leading zeros: the servers skip other folders.
fn is_version(name: &str) -> bool {
    !name.starts_with('0') && !name.is_empty() && name.len() <= 18 && name.bytes().all(|byte| byte.is_ascii_digit())
}
