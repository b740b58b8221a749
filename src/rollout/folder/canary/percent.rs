//! `canaryTrafficPercent`: Knative splits requests between its latest revision and the last one that had them all.
//!
//! `latestRevision: N %`, `LatestRolledoutRevision: 100-N %` (`ksvc_reconciler.go`). The patch names the canary's image alone; what ran
//! before is in Git's history.

use serde_json::json;

use super::{CanaryError, Model};
use crate::rollout::folder::draft::Draft;
use crate::rollout::folder::edit::{Edit, path, value_at};
use crate::rollout::folder::stable::{self, Version};
use crate::rollout::folder::view::PERCENT;
use crate::rollout::{RolloutError, Service};

pub(super) fn deploy(draft: &mut Draft, model: &Model<'_>, service: &Service, percent: u8) -> Result<(), RolloutError> {
    if percent == 0 {
        return Err(CanaryError::Zero { model: model.name.to_string() }.into());
    }
    check_theirs(model)?;
    stable::deploy(draft, model, service)?;
    let patch = stable::patch(draft, model)?;
    draft.edit(&patch.file, patch.at, &[Edit::Set(path(&PERCENT), json!(percent))])
}

/// Without the member, the latest revision gets everything; the pods are the same.
pub(super) fn promote(draft: &mut Draft, model: &Model<'_>) -> Result<(), RolloutError> {
    check_theirs(model)?;
    let patch = stable::patch(draft, model)?;
    draft.edit(&patch.file, patch.at, &[Edit::Remove(path(&PERCENT))])
}

/// The old image and 0 %, in one change. 0 keeps all requests on the revision that had them before the canary, at once and without
/// waiting for a pod; the old image makes a cluster that is built anew from Git start the good version and not the canary, whose
/// revision would be its first. The next deploy takes the 0 away.
pub(super) fn roll_back(draft: &mut Draft, model: &Model<'_>, to: &Version) -> Result<(), RolloutError> {
    check_theirs(model)?;
    stable::set(draft, model, to)?;
    let patch = stable::patch(draft, model)?;
    draft.edit(&patch.file, patch.at, &[Edit::Set(path(&PERCENT), json!(0))])
}

/// A patch cannot take back what the base says.
fn check_theirs(model: &Model<'_>) -> Result<(), CanaryError> {
    match model.found.base.as_ref().filter(|base| value_at(&base.document, &PERCENT).is_some()) {
        Some(base) => Err(CanaryError::Theirs { path: base.path.clone(), member: "spec.predictor.canaryTrafficPercent" }),
        None => Ok(()),
    }
}
