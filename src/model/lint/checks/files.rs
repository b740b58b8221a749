//! Files that are not what a server needs.

use super::super::engine::Subject;
use super::super::text::{Text, ending};
use super::super::{Finding, Severity, rules};
use crate::kserve::Runtime;
use crate::model::{UNKNOWN_FORMAT, lfs};

/// How the names of weights end, over all formats.
const WEIGHTS: [&str; 24] = [
    "bin",
    "bst",
    "data",
    "ckpt",
    "gguf",
    "h5",
    "joblib",
    "keras",
    "mar",
    "model",
    "npz",
    "onnx",
    "onnx_data",
    "pb",
    "pdiparams",
    "pdmodel",
    "pickle",
    "pkl",
    "plan",
    "pt",
    "pth",
    "safetensors",
    "tflite",
    "ubj",
];

/// A pointer of Git LFS instead of a file.
pub(super) fn lfs_pointer(_: &Subject<'_>, text: &Text<'_>) -> Vec<Finding> {
    if !lfs::is_pointer_text(&text.content) {
        return Vec::new();
    }
    vec![Finding::at(&rules::LFS_POINTER, text.path(), "is a Git LFS pointer")]
}

/// Files without a byte. Python packages and folders kept in Git are full of those.
pub(super) fn empty(subject: &Subject<'_>) -> Vec<Finding> {
    // OpenVINO writes an empty file of weights beside a graph without constants.
    let is_of_graph = |path: &str| path.strip_suffix(".bin").is_some_and(|stem| subject.is_main(&format!("{stem}.xml")));
    let is_hidden = |path: &str| path.rsplit('/').next().is_some_and(|name| name.starts_with('.'));
    let is_meant = |path: &str| ending(path) == "py" || is_hidden(path) || is_of_graph(path);
    let empty = subject.layout.files.iter().map(|placed| &placed.file).filter(|file| file.size == 0 && !is_meant(&file.path));
    empty
        .map(|file| {
            let is_weights = WEIGHTS.contains(&ending(&file.path)) || subject.is_main(&file.path);
            let severity = if is_weights { Severity::Error } else { Severity::Advice };
            Finding::at(&rules::EMPTY_FILE, &file.path, "has not one byte").weighing(severity)
        })
        .collect()
}

/// More than one file that a server of one would take.
pub(super) fn several_models(subject: &Subject<'_>) -> Vec<Finding> {
    let endings = subject.layout.runtime.takes_one_of();
    let is_model = |target: &str, path: &str| {
        // A stray `.json` beside an XGBoost model is told by that format, with the reason why it counts as a model.
        let counts = ending(target) != "json" || subject.is_main(path);
        counts && endings.contains(&ending(target)) && !target.contains('/')
    };
    let models: Vec<_> =
        subject.layout.files.iter().filter(|placed| is_model(&placed.target, &placed.file.path)).map(|placed| &placed.file.path).collect();
    if models.len() < 2 {
        return Vec::new();
    }
    let shown = crate::model::facts::cut_list(models.iter(), 5);
    vec![Finding::of_model(&rules::SEVERAL_MODELS, format!("{} would find {shown}", subject.layout.runtime))]
}

/// A folder of which nothing is known.
pub(super) fn unknown_format(subject: &Subject<'_>) -> Vec<Finding> {
    if subject.model.format != UNKNOWN_FORMAT || subject.layout.runtime != Runtime::Raw {
        return Vec::new();
    }
    let names = crate::model::facts::cut_list(subject.model.files.iter().map(|file| &file.path), 3);
    vec![Finding::of_model(&rules::UNKNOWN_FORMAT, format!("no known format in {names}"))]
}
