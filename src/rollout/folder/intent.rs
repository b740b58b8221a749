//! What a person asks of a site.

use std::path::Path;

use super::canary::{self, Model};
use super::draft::Draft;
use super::stable::{self, Version};
use super::view::View;
use super::{CanaryError, ModelState, Placed, Planned, apps, images, plan};
use crate::oci::{Digest, Reference};
use crate::rollout::{RolloutError, Service, ServiceName, Site, Style};

/// One thing that is asked of a site.
#[derive(Clone, Debug)]
pub enum Intent {
    /// Run this image; with a canary, beside what runs.
    Deploy {
        /// What KServe is told.
        service: Box<Service>,
        /// The part of the requests that it gets, and how.
        canary: Option<CanaryRequest>,
    },
    /// Give a canary all requests and make it the stable version.
    Promote {
        /// The InferenceService.
        model: ServiceName,
        /// Which canary, where there are several.
        canary: Option<Digest>,
    },
    /// Take the canaries away, or put another image back.
    Rollback {
        /// The InferenceService.
        model: ServiceName,
        /// The image to go back to, by digest; `None` where taking the canaries away is enough.
        to: Option<Reference>,
    },
    /// Give an application another image. No model changes.
    SetApp {
        /// The application: an `images` entry of `apps/kustomization.yaml`.
        app: String,
        /// Its image, by digest.
        image: Reference,
    },
}

/// A canary as it is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CanaryRequest {
    /// Its part of the requests, 0 to 100; 0 is a dark launch.
    pub percent: u8,
    /// Who splits the requests.
    pub by: CanaryBy,
}

/// Who splits requests between versions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CanaryBy {
    /// KServe, where its generation can.
    #[default]
    Kserve,
    /// A weighted Route or HTTPRoute over a second InferenceService.
    Route,
}

/// Decides which files change so that a site does what is asked. All paths of the result are relative to `tree`.
///
/// A deploy without a canary of the image that runs as canary is a promotion; of another one it is refused while canaries run. To roll
/// back while a Knative canary runs, `to` has to be what ran before it: the requests go there at once.
///
/// # Errors
/// What the site's KServe cannot do, and what cannot be edited safely.
pub fn plan_intent(tree: &Path, site: &Site, intent: &Intent) -> Result<Planned, RolloutError> {
    let mut draft = Draft::open(tree, &site.name)?;
    match intent {
        Intent::Deploy { service, canary: None } => deploy(draft, site, service),
        Intent::Deploy { service, canary: Some(request) } => {
            let before = draft.view().find(&service.name).map(|found| found.state);
            canary::deploy(&mut draft, site, service, *request)?;
            Ok(planned(draft, before, Some(Version::of(service)?.placed)))
        }
        Intent::Promote { model, canary } => promote(draft, model, *canary),
        Intent::Rollback { model, to } => roll_back(draft, model, to.as_ref()),
        Intent::SetApp { app, image } => {
            let old = apps::set(&mut draft, app, image)?;
            let old_digest = old.and_then(|old| old.digest().copied());
            Ok(Planned { old_digest, ..planned(draft, None, None) })
        }
    }
}

fn deploy(mut draft: Draft, site: &Site, service: &Service) -> Result<Planned, RolloutError> {
    service.check()?;
    let view = draft.view();
    let Some(found) = view.find(&service.name) else {
        return deploy_new(draft, &view, site, service);
    };
    let digest = service.digest()?;
    if found.state.canary(digest).is_some() {
        draft.notes.push("this image runs as a canary, which is promoted".to_owned());
        return promote(draft, &service.name, Some(digest));
    }
    if found.state.way.is_some() {
        let digests = canary::digests(&found.state.canaries);
        return Err(CanaryError::Running { model: service.name.to_string(), digests }.into());
    }
    let model = Model { name: &service.name, view: &view, found: &found };
    stable::deploy(&mut draft, &model, service)?;
    stable::let_in(&mut draft, &model)?;
    Ok(planned(draft, Some(found.state), Some(Version::of(service)?.placed)))
}

fn deploy_new(mut draft: Draft, view: &View, site: &Site, service: &Service) -> Result<Planned, RolloutError> {
    match service.settings.style.or(site.facts.as_ref().and_then(|facts| facts.style)).unwrap_or_default() {
        Style::Patch => plan(&draft.root, &site.name, service),
        Style::Images => {
            images::deploy_new(&mut draft, view, service)?;
            Ok(planned(draft, None, Some(Version::of(service)?.placed)))
        }
    }
}

fn promote(mut draft: Draft, model: &ServiceName, canary: Option<Digest>) -> Result<Planned, RolloutError> {
    let before = draft.view().find(model).map(|found| found.state);
    let new = before.as_ref().and_then(|state| {
        let mut meant = state.canaries.iter().filter(|one| canary.is_none() || one.placed.digest() == canary);
        meant.next().map(|one| one.placed.clone())
    });
    canary::promote(&mut draft, model, canary)?;
    Ok(planned(draft, before, new))
}

fn roll_back(mut draft: Draft, model: &ServiceName, to: Option<&Reference>) -> Result<Planned, RolloutError> {
    let view = draft.view();
    let found = draft.model(&view, model)?;
    let to = to.map(|to| Version::to(to, &found.state.stable)).transpose()?;
    canary::roll_back(&mut draft, model, to.as_ref())?;
    let new = to.map_or_else(|| found.state.stable.clone(), |to| to.placed);
    Ok(planned(draft, Some(found.state), Some(new)))
}

/// The change, and what it comes from: what ran stable, which for a Knative canary is what takes its place in the patch.
fn planned(mut draft: Draft, before: Option<ModelState>, new: Option<Placed>) -> Planned {
    let (old_digest, old_delivery) = before.map_or((None, None), |state| (state.stable.digest(), Some(state.stable.delivery)));
    let notes = std::mem::take(&mut draft.notes);
    Planned { change: draft.finish(), old_digest, old_delivery, new, notes }
}
