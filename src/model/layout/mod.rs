//! The folder that a model server wants to find below `/models`. Pure: from a [`Model`] to places, nothing is touched.
//!
//! | runtime | one model file `net.onnx` and what is beside it |
//! |---|---|
//! | `ovms` | `1/model.onnx`, `1/…`: OpenVINO Model Server before 2026.3 loads numbered version folders only |
//! | `triton` | `NAME/1/model.onnx`, `NAME/1/…`, `NAME/config.pbtxt` |
//! | `mlserver` | `model.onnx`, `…` |
//! | `raw` | as it is |
//!
//! A folder that is already a repository of its server stays as it is. Layouts depend on the format only through
//! [`Format::servings`]: which servers load it, where and under which name.

mod places;

use super::formats::{self, Format, Serving};
use super::{Model, ModelError, ModelFile};
use crate::kserve::Runtime;

/// The version folder for servers that want one.
const VERSION: u32 = 1;

/// A model as a server wants it.
#[derive(Clone, Debug)]
pub struct ServingLayout {
    /// For which server.
    pub runtime: Runtime,
    /// Why this server, for people.
    pub why: String,
    /// Every file of the model, sorted bytewise by target; no target twice.
    pub files: Vec<PlacedFile>,
    /// What a person should know.
    pub notes: Vec<String>,
}

/// A file and its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlacedFile {
    /// Below `/models`: `1/model.onnx`.
    pub target: String,
    /// What is there.
    pub file: ModelFile,
}

/// Decides where each file goes. Without a runtime the usual one of the format is taken where the folder leaves no doubt, and `raw`
/// where it does. `name` is the model's name; only Triton's repository has it in its paths.
///
/// # Errors
/// [`ModelError::WrongRuntime`] and [`ModelError::NotOneModel`] where the server could not load the result,
/// [`ModelError::Clash`] where two files would land in one place.
pub fn lay_out(model: &Model, runtime: Option<Runtime>, name: &str) -> Result<ServingLayout, ModelError> {
    let folder = Folder::new(model);
    let choice = match runtime {
        Some(runtime) => folder.asked_for(runtime)?,
        None => folder.usual(),
    };
    let target = places::Placing { arrangement: &choice.arrangement, version: VERSION, name };
    let files = target.place(model)?;
    Ok(ServingLayout { runtime: choice.runtime, why: choice.why, files, notes: choice.notes })
}

/// How the files lie now, and so what is to be done with them.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Arrangement {
    /// One model file at the top; it gets the name and the folder that the server wants.
    One(String, Serving),
    /// Already in the shape that the server wants, or in one that is not ours to judge.
    Kept,
}

struct Choice {
    runtime: Runtime,
    arrangement: Arrangement,
    why: String,
    notes: Vec<String>,
}

impl Choice {
    fn kept(runtime: Runtime, why: impl Into<String>) -> Self {
        Self { runtime, arrangement: Arrangement::Kept, why: why.into(), notes: Vec::new() }
    }

    fn one(serving: Serving, only: &str, why: impl Into<String>) -> Self {
        Self { runtime: serving.runtime, arrangement: Arrangement::One(only.to_owned(), serving), why: why.into(), notes: Vec::new() }
    }
}

/// A model's folder as servers see it.
struct Folder<'a> {
    format: Option<&'static Format>,
    format_name: &'static str,
    /// The places of the files that a server would load.
    models: Vec<&'a str>,
}

impl<'a> Folder<'a> {
    fn new(model: &'a Model) -> Self {
        let format = formats::by_name(model.format);
        let models = model.mains.iter().map(String::as_str).collect();
        Self { format, format_name: model.format, models }
    }

    /// Without a wish.
    fn usual(&self) -> Choice {
        let Some(format) = self.format else {
            return Choice::kept(Runtime::Raw, "no known format: packed as it is");
        };
        if let Some(runtime) = self.repository_of() {
            return Choice::kept(runtime, format!("the folder is a {runtime} repository already"));
        }
        match (self.only_model(), format.servings.first()) {
            (Some(only), Some(serving)) => Choice::one(*serving, only, format!("the usual server for {}", format.name)),
            _ => self.in_doubt(format),
        }
    }

    fn in_doubt(&self, format: &Format) -> Choice {
        let shown = super::facts::cut_list(self.models.iter(), 5);
        let mut choice = Choice::kept(Runtime::Raw, format!("not one {} model at the top of the folder", format.name));
        choice.notes.push(format!("{} models: {shown}; to lay one out for a server, give that file as MODEL", self.models.len()));
        choice
    }

    /// With a wish, which is kept or refused.
    fn asked_for(&self, runtime: Runtime) -> Result<Choice, ModelError> {
        if runtime == Runtime::Raw {
            return Ok(Choice::kept(runtime, "as asked for; the folder stays as it is"));
        }
        let servings = self.format.map_or(&[][..], |format| format.servings);
        let Some(serving) = servings.iter().find(|serving| serving.runtime == runtime) else {
            let runtimes = servings.iter().map(|serving| serving.runtime).chain([Runtime::Raw]).collect();
            return Err(ModelError::WrongRuntime { runtime, format: self.format_name, runtimes });
        };
        if self.repository_of() == Some(runtime) {
            return Ok(Choice::kept(runtime, "as asked for; the folder stays as it is"));
        }
        match self.only_model() {
            Some(only) => Ok(Choice::one(*serving, only, "as asked for")),
            None => Err(self.not_one(runtime)),
        }
    }

    fn not_one(&self, runtime: Runtime) -> ModelError {
        let found = self.models.iter().map(|path| (*path).to_owned()).collect();
        ModelError::NotOneModel { runtime, format: self.format_name, found }
    }

    /// The only model file at the top of the folder.
    fn only_model(&self) -> Option<&'a str> {
        let mut top = self.models.iter().filter(|path| !path.contains('/'));
        let only = top.next()?;
        top.next().is_none().then_some(only)
    }

    /// The server whose repository this is: every model file lies in a version folder, at the depth where that server looks.
    fn repository_of(&self) -> Option<Runtime> {
        let all_match = |shape: fn(&[&str]) -> bool| {
            !self.models.is_empty() && self.models.iter().all(|path| shape(&path.split('/').collect::<Vec<_>>()))
        };
        if all_match(|names| matches!(names, [version, _] if is_version(version))) {
            return Some(Runtime::Ovms);
        }
        all_match(|names| matches!(names, [_, version, _] if is_version(version))).then_some(Runtime::Triton)
    }
}

/// A positive number without leading zeros: both servers skip other folders.
fn is_version(name: &str) -> bool {
    !name.starts_with('0') && !name.is_empty() && name.len() <= 18 && name.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests;
