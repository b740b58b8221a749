//! A model that lies where no server looks.

use super::super::engine::Subject;
use super::super::{Finding, rules};
use crate::kserve::Runtime;
use crate::model::UNKNOWN_FORMAT;

/// A model of a known format in a folder that is laid out for no server: several models, or one that nothing serves as it is.
pub(super) fn unserved(subject: &Subject<'_>) -> Vec<Finding> {
    if subject.model.format == UNKNOWN_FORMAT || subject.layout.runtime != Runtime::Raw {
        return Vec::new();
    }
    vec![Finding::of_model(&rules::UNSERVED, format!("the format is {}, and the folder is that of no known server", subject.model.format))]
}
