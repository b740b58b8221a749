//! New versions that get a part of the requests: started, promoted, taken back.
//!
//! | | started | promoted | taken back |
//! |---|---|---|---|
//! | [`list`] | an entry of `spec.canary` | its predictor becomes the stable one, the entry goes | the entry goes |
//! | [`percent`] | `canaryTrafficPercent` beside the new image | the member goes | the old image, and 0 |
//! | [`route`] | a second service and a weighted route | the first service gets its image, the files go | the files go |

mod error;
mod list;
mod percent;
pub(super) mod route;
mod served;

use super::draft::Draft;
use super::intent::{CanaryBy, CanaryRequest};
use super::place::{check_kind, has_several};
use super::stable::{self, Version};
use super::state::CanaryState;
use super::view::{Found, View};
use crate::kserve::CanaryWay;
use crate::oci::Digest;
use crate::rollout::{RolloutError, Service, ServiceName, Site};

pub use error::CanaryError;

/// A model of a site and what is known of it.
pub(super) struct Model<'a> {
    pub(super) name: &'a ServiceName,
    pub(super) view: &'a View,
    pub(super) found: &'a Found,
}

/// Starts a canary, or changes its part of the requests.
pub(super) fn deploy(draft: &mut Draft, site: &Site, service: &Service, request: CanaryRequest) -> Result<(), RolloutError> {
    service.check()?;
    let view = draft.view();
    let found = draft.model(&view, &service.name).map_err(|error| beside_nothing(error, service))?;
    let model = Model { name: &service.name, view: &view, found: &found };
    check_kind(found.state.kind, service)?;
    let way = way(site, service, request.by)?;
    check(&model, way, service.digest()?, request.percent)?;
    if way != CanaryWay::Percent {
        check_single(&model, service)?;
    }
    stable::check_runtime(&model, service)?;
    match way {
        CanaryWay::List => list::deploy(draft, &model, service, request.percent),
        CanaryWay::Percent => percent::deploy(draft, &model, service, request.percent),
        CanaryWay::Route => route::deploy(draft, &model, service, request.percent),
    }
}

/// Makes a canary the stable version, in one change.
pub(super) fn promote(draft: &mut Draft, name: &ServiceName, digest: Option<Digest>) -> Result<(), RolloutError> {
    let view = draft.view();
    let found = draft.model(&view, name)?;
    let model = Model { name, view: &view, found: &found };
    let canary = one_of(&model, digest)?;
    match found.state.way {
        Some(CanaryWay::List) => list::promote(draft, &model, canary),
        Some(CanaryWay::Percent) => percent::promote(draft, &model),
        Some(CanaryWay::Route) => route::promote(draft, &model, canary),
        None => Err(CanaryError::None { model: name.to_string(), digest }.into()),
    }
}

/// Takes all canaries away; with a version, that one becomes the stable one.
pub(super) fn roll_back(draft: &mut Draft, name: &ServiceName, to: Option<&Version>) -> Result<(), RolloutError> {
    let view = draft.view();
    let found = draft.model(&view, name)?;
    let model = Model { name, view: &view, found: &found };
    match (found.state.way, to) {
        (Some(CanaryWay::Percent), Some(to)) => return percent::roll_back(draft, &model, to),
        (Some(CanaryWay::Percent), None) => return Err(CanaryError::StableInHistory { model: name.to_string() }.into()),
        (Some(CanaryWay::List), _) => list::roll_back(draft, &model)?,
        (Some(CanaryWay::Route), _) => route::roll_back(draft, &model)?,
        (None, None) => return Err(CanaryError::None { model: name.to_string(), digest: None }.into()),
        (None, Some(_)) => {}
    }
    // What is back already stays as it is, the 0 % of a rollback in Knative mode too.
    let Some(to) = to.filter(|to| found.state.stable != to.placed) else { return Ok(()) };
    stable::set(draft, &model, to)?;
    stable::let_in(draft, &model)
}

/// The way that the site has.
fn way(site: &Site, service: &Service, by: CanaryBy) -> Result<CanaryWay, RolloutError> {
    let of_service = service.canary_way()?;
    let facts = site.facts.as_ref();
    let generation = facts.map_or(service.generation, |facts| facts.generation);
    let way = facts.map_or(of_service, |facts| generation.canary(facts.mode));
    match (by, way) {
        (CanaryBy::Route, _) => Ok(CanaryWay::Route),
        (CanaryBy::Kserve, CanaryWay::Route) => Err(CanaryError::Ignored { generation }.into()),
        (CanaryBy::Kserve, way) => Ok(way),
    }
}

/// A second version beside the first has one image, as the first has.
fn check_single(model: &Model<'_>, service: &Service) -> Result<(), RolloutError> {
    service.check_single()?;
    let said = [model.found.patch.as_ref().map(|patch| &patch.document), model.found.base.as_ref().map(|base| &base.document)];
    if !said.into_iter().flatten().any(has_several) {
        return Ok(());
    }
    let reason = format!("{} has several images (`storageUris`), and a canary is one image laid over them", model.name);
    Err(RolloutError::setting("canary", reason, "deploy without a canary; `modelcar rollback` is the way back"))
}

/// What holds for every way.
fn check(model: &Model<'_>, way: CanaryWay, digest: Digest, percent: u8) -> Result<(), CanaryError> {
    let (name, state) = (model.name.to_string(), &model.found.state);
    if percent > 100 {
        return Err(CanaryError::NotAPercentage { percent });
    }
    if let Some(running) = state.way.filter(|running| *running != way) {
        return Err(CanaryError::OtherWay { model: name, running });
    }
    if !state.stable_in_history() && state.stable.digest() == Some(digest) {
        return Err(CanaryError::Same { model: name, digest });
    }
    Ok(())
}

/// The canary that is meant.
fn one_of<'m>(model: &Model<'m>, digest: Option<Digest>) -> Result<&'m CanaryState, CanaryError> {
    let canaries = &model.found.state.canaries;
    let mut meant = canaries.iter().filter(|canary| digest.is_none() || canary.placed.digest() == digest);
    match (meant.next(), meant.next()) {
        (Some(canary), None) => Ok(canary),
        (None, _) => Err(CanaryError::None { model: model.name.to_string(), digest }),
        (Some(_), Some(_)) => Err(CanaryError::Several { model: model.name.to_string(), digests: digests(canaries) }),
    }
}

/// What the canaries run.
pub(super) fn digests(canaries: &[CanaryState]) -> Vec<Digest> {
    canaries.iter().filter_map(|canary| canary.placed.digest()).collect()
}

fn beside_nothing(error: RolloutError, service: &Service) -> RolloutError {
    match error {
        RolloutError::NoModel { .. } => CanaryError::NoStable { model: service.name.to_string() }.into(),
        error => error,
    }
}
