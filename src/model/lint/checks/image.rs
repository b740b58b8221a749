//! What the image's names, layers and paths make of the model.

use std::collections::HashMap;

use super::super::engine::Subject;
use super::super::{Finding, rules};
use crate::model::PlacedFile;

/// The largest layer that Quay takes, in bytes: `MAXIMUM_LAYER_SIZE` is `20G` unless it is set.
const MAX_LAYER: u64 = 20_000_000_000;

/// Places that are one file where the model is unpacked on macOS or Windows.
pub(super) fn case_clash(subject: &Subject<'_>) -> Vec<Finding> {
    let mut seen: HashMap<String, &str> = HashMap::new();
    let mut findings = Vec::new();
    for PlacedFile { target, file } in &subject.layout.files {
        if let Some(other) = seen.insert(target.to_lowercase(), target) {
            findings.push(Finding::at(&rules::CASE_CLASH, &file.path, format!("{other} and {target} differ only in upper and lower case")));
        }
    }
    findings
}

/// Files that Quay refuses as a layer.
pub(super) fn layer_size(subject: &Subject<'_>) -> Vec<Finding> {
    let large = subject.layout.files.iter().map(|placed| &placed.file).filter(|file| file.size > MAX_LAYER);
    large.map(|file| Finding::at(&rules::LAYER_SIZE, &file.path, format!("has {} bytes, and Quay takes {MAX_LAYER}", file.size))).collect()
}

/// `:latest`, or no tag at all, which means the same.
pub(super) fn latest_tag(subject: &Subject<'_>) -> Vec<Finding> {
    let names = subject.target.names.iter().filter(|name| name.digest().is_none());
    let latest = names.filter(|name| name.tag().is_none_or(|tag| tag == "latest"));
    latest.map(|name| Finding::of_model(&rules::LATEST_TAG, format!("the image is called {name}"))).collect()
}
