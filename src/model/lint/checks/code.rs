//! Code that comes with the model and runs on the server.

use super::super::engine::Subject;
use super::super::text::{Text, file_name};
use super::super::{Finding, rules};
use crate::kserve::Runtime;

/// `auto_map` in a Hugging Face configuration: the architecture is Python beside it, loaded with `trust_remote_code`.
pub(super) fn auto_map(subject: &Subject<'_>, text: &Text<'_>) -> Vec<Finding> {
    if !text.name().ends_with("config.json") || !text.content.contains("\"auto_map\"") {
        return Vec::new();
    }
    let what = if subject.code.is_empty() {
        "auto_map names code that is not here: the server would download and run it".to_owned()
    } else {
        format!("auto_map names code that comes with the model: {}", crate::model::facts::cut_list(subject.code.iter(), 5))
    };
    vec![Finding::at(&rules::REMOTE_CODE, text.path(), what)]
}

/// `NAME/1/model.py`: Triton's Python backend runs it.
pub(super) fn triton_python(subject: &Subject<'_>) -> Vec<Finding> {
    if subject.layout.runtime != Runtime::Triton {
        return Vec::new();
    }
    let is_model = |target: &str| file_name(target) == "model.py" && target.matches('/').count() == 2;
    let code = subject.layout.files.iter().filter(|placed| is_model(&placed.target));
    code.map(|placed| Finding::at(&rules::REMOTE_CODE, &placed.file.path, "is run by Triton's Python backend")).collect()
}
