//! How a model is read and laid out: the options that `build`, `ship`, `lint` and `inspect` share.

use std::num::NonZeroU32;
use std::path::Path;
use std::str::FromStr;

use super::options;
use crate::kserve::{KserveError, Runtime};
use crate::model::{self, Links, Model, ModelError, ModelName, OnnxExternal, Patterns, ReadOptions, ServingLayout, Wish};

/// Which files are the model, and for which server.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct ReadArgs {
    /// The layout that a runtime wants under /models; `auto` picks by format and says which, `raw` keeps the folder
    #[arg(long, value_name = "RUNTIME", default_value = "auto", value_parser = options::word::<Choice>, help_heading = "Layout")]
    runtime: Choice,
    /// The version folder, where a layout has one [default: 1]
    #[arg(long, value_name = "N", help_heading = "Layout")]
    model_version: Option<NonZeroU32>,
    /// The model's name, where a layout needs one (Triton) [default: the one in its config.pbtxt, or the repository's last part]
    #[arg(long, value_name = "NAME", help_heading = "Layout")]
    model_name: Option<String>,
    /// Pack these files though .modelignore, --exclude or a default leaves them out, as in a .gitignore; may be repeated
    #[arg(long, value_name = "GLOB", help_heading = "Model files")]
    include: Vec<String>,
    /// Leave these files out, as in a .gitignore; may be repeated
    #[arg(long, value_name = "GLOB", help_heading = "Model files")]
    exclude: Vec<String>,
    /// Also follow symbolic links that leave the model's folder
    #[arg(long, help_heading = "Model files")]
    follow_links: bool,
    /// ONNX data beside the model, which most servers cannot load through the modelcar link: `inline` puts them into it, `keep` leaves
    /// them, `auto` inlines below 2 GiB
    #[arg(long, value_name = "HOW", default_value = "auto", hide_possible_values = true, help_heading = "Model files")]
    onnx_external: OnnxData,
}

/// What becomes of ONNX external data.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum OnnxData {
    /// Into the model where it stays below 2 GiB, the most that servers load; else as they are
    Auto,
    /// Into the model, or fail
    Inline,
    /// As they are
    Keep,
}

impl From<OnnxData> for OnnxExternal {
    fn from(data: OnnxData) -> Self {
        match data {
            OnnxData::Auto => Self::Auto,
            OnnxData::Inline => Self::Inline,
            OnnxData::Keep => Self::Keep,
        }
    }
}

/// The runtime that is wanted, or none in particular.
#[derive(Clone, Copy, Debug)]
struct Choice(Option<Runtime>);

impl FromStr for Choice {
    type Err = KserveError;

    fn from_str(text: &str) -> Result<Self, KserveError> {
        const AUTO: &str = "auto";
        if text == AUTO {
            return Ok(Self(None));
        }
        let known = || [AUTO].into_iter().chain(Runtime::all().map(Runtime::name));
        text.parse().map(|runtime| Self(Some(runtime))).map_err(|_: KserveError| KserveError::unknown_word("runtime", text, known()))
    }
}

impl ReadArgs {
    /// Reads the model.
    pub(super) fn read(&self, path: &Path) -> Result<Model, ModelError> {
        let follow_links = if self.follow_links { Links::Anywhere } else { Links::Inside };
        let patterns = Patterns { include: self.include.clone(), exclude: self.exclude.clone() };
        model::read(path, &ReadOptions { follow_links, patterns, onnx_external: self.onnx_external.into() })
    }

    /// Lays it out; `usual_name` is its name unless one was given.
    pub(super) fn lay_out(&self, model: &Model, usual_name: &str) -> Result<ServingLayout, ModelError> {
        let name = self.model_name.clone().map_or_else(|| ModelName::Usual(usual_name.to_owned()), ModelName::Given);
        model::lay_out_as(model, &Wish { runtime: self.runtime.0, version: self.model_version, name })
    }

    /// The runtime that was named.
    pub(super) fn runtime(&self) -> Option<Runtime> {
        self.runtime.0
    }

    /// What was asked for, as it was written; for the record of a build.
    pub(super) fn asked(&self) -> Vec<(&'static str, Vec<String>)> {
        let words = |one: Option<String>| one.into_iter().collect();
        let external = match self.onnx_external {
            OnnxData::Auto => None,
            OnnxData::Inline => Some("inline".to_owned()),
            OnnxData::Keep => Some("keep".to_owned()),
        };
        vec![
            ("model-version", words(self.model_version.map(|version| version.to_string()))),
            ("model-name", words(self.model_name.clone())),
            ("include", self.include.clone()),
            ("exclude", self.exclude.clone()),
            ("follow-links", words(self.follow_links.then(|| "true".to_owned()))),
            ("onnx-external", words(external)),
        ]
    }
}
