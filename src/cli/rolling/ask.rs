//! What a verb asks, and what that means for a site as it is.

use std::path::Path;

use super::super::CliError;
use super::super::service::ShapeArgs;
use super::past::History;
use crate::kserve::{Delivery, Kind};
use crate::oci::{Annotations, Digest, Reference};
use crate::rollout::{
    AskError, CanaryRequest, Deed, Finding, Intent, ModelSource, ModelState, Placed, RolloutError, Service, ServiceName, Site, SiteState,
    Workspace,
};

/// What is asked of every site.
pub(in crate::cli) enum Ask {
    /// Run an image.
    Run {
        image: Reference,
        model: ServiceName,
        shape: Box<ShapeArgs>,
        canary: Option<CanaryRequest>,
        /// `update`: where the model runs already, and nowhere else.
        only_running: bool,
    },
    /// Make a canary the stable version.
    Promote { model: ServiceName, canary: Option<Digest> },
    /// Take the canary away, or go back.
    RollBack { model: ServiceName, to: Option<String> },
    /// Give an application another image.
    SetApp { app: String, image: Reference },
}

/// What that means for one site.
pub(super) struct Course {
    pub(super) deed: Deed,
    /// The image that has to be there and be signed; `None` where no image changes.
    pub(super) image: Option<Reference>,
    /// How it comes into the pod now, for models.
    pub(super) delivery: Option<Delivery>,
    /// What serves it now, for models.
    pub(super) kind: Option<Kind>,
}

impl Ask {
    /// The model or application.
    pub(super) fn name(&self) -> &str {
        match self {
            Self::Run { model, .. } | Self::Promote { model, .. } | Self::RollBack { model, .. } => model.as_str(),
            Self::SetApp { app, .. } => app,
        }
    }

    /// The verb that asks it.
    pub(super) fn verb(&self) -> &'static str {
        match self {
            Self::Run { only_running: false, .. } => "deploy",
            Self::Run { .. } => "update",
            Self::Promote { .. } => "promote",
            Self::RollBack { .. } => "rollback",
            Self::SetApp { .. } => "set-app",
        }
    }

    /// The model.
    pub(super) fn model(&self) -> Option<&ServiceName> {
        match self {
            Self::Run { model, .. } | Self::Promote { model, .. } | Self::RollBack { model, .. } => Some(model),
            Self::SetApp { .. } => None,
        }
    }

    /// Further images that are mounted beside the first.
    pub(super) fn sources(&self) -> &[ModelSource] {
        match self {
            Self::Run { shape, .. } => &shape.sources,
            _ => &[],
        }
    }

    /// The split that is asked for.
    pub(super) fn canary(&self) -> Option<CanaryRequest> {
        match self {
            Self::Run { canary, .. } => *canary,
            _ => None,
        }
    }

    /// What it means for a site.
    pub(super) fn course(&self, tree: &Path, site: &Site, state: &SiteState, workspace: &Workspace) -> Result<Course, CliError> {
        match self {
            Self::Run { image, model, canary, only_running, .. } => {
                let there = model_of(state, model);
                if *only_running && there.is_none() {
                    return Err(not_running(site, state, model).into());
                }
                let deed = canary.map_or(Deed::Run, |canary| Deed::Canary(canary.percent));
                Ok(Course {
                    deed,
                    image: Some(image.clone()),
                    delivery: there.map(|there| there.stable.delivery),
                    kind: there.map(|there| there.kind),
                })
            }
            Self::Promote { model, canary } => {
                let there = model_of(state, model).ok_or_else(|| not_running(site, state, model))?;
                Ok(Course::to(Deed::Promote, site, there, &promoted(site, there, *canary)?))
            }
            Self::RollBack { model, to } => {
                let there = model_of(state, model).ok_or_else(|| not_running(site, state, model))?;
                rolled_back(&History { workspace, tree, site, there }, to.as_deref())
            }
            Self::SetApp { image, .. } => Ok(Course { deed: Deed::App, image: Some(image.clone()), delivery: None, kind: None }),
        }
    }

    /// The InferenceService as it is to be; `None` for an application.
    pub(super) fn service(&self, site: &Site, course: &Course, image: &Reference, annotations: &Annotations) -> Option<Service> {
        let shape = match self {
            Self::Run { shape, .. } => ShapeArgs::clone(shape),
            _ => ShapeArgs::default(),
        };
        let mut args = shape.named(self.model()?.clone()).with_site(site.facts.as_ref());
        args.keep_kind(course.kind);
        args.keep_silently(course.delivery);
        Some(args.service(image.clone(), annotations))
    }

    /// The intent, given the image as it was found and the service.
    pub(super) fn intent(&self, found: Option<&Reference>, service: Option<&Service>) -> Option<Intent> {
        Some(match self {
            Self::Run { canary, .. } => Intent::Deploy { service: Box::new(service?.clone()), canary: *canary },
            Self::Promote { model, .. } => Intent::Promote { model: model.clone(), canary: found?.digest().copied() },
            Self::RollBack { model, .. } => {
                // What the site pulls, which may be a mirror's.
                let pulled = |service: &Service| service.pull_from.clone().unwrap_or_else(|| service.image.clone());
                Intent::Rollback { model: model.clone(), to: service.map(pulled) }
            }
            Self::SetApp { app, .. } => Intent::SetApp { app: app.clone(), image: found?.clone() },
        })
    }
}

impl Course {
    /// An image that the site has or had, by the name that the registry knows it by.
    fn to(deed: Deed, site: &Site, there: &ModelState, placed: &Placed) -> Self {
        let mirrors = site.facts.iter().flat_map(|facts| &facts.mirrors).filter(|mirror| mirror.rewrite);
        let source = mirrors.into_iter().find_map(|mirror| mirror.source_of(&placed.image));
        Self { deed, image: Some(source.unwrap_or_else(|| placed.image.clone())), delivery: Some(placed.delivery), kind: Some(there.kind) }
    }
}

pub(super) fn model_of<'a>(state: &'a SiteState, model: &ServiceName) -> Option<&'a ModelState> {
    state.models.iter().find(|there| there.name == *model)
}

/// A file that cannot be read is no model that is not there.
fn not_running(site: &Site, state: &SiteState, model: &ServiceName) -> RolloutError {
    let is_its = |finding: &&Finding| finding.file.file_stem().is_some_and(|stem| stem == model.as_str());
    if let Some(Finding { file, problem }) = state.findings.iter().find(is_its) {
        return RolloutError::shape(file, problem.as_str());
    }
    let models = state.models.iter().map(|model| model.name.to_string()).collect::<Vec<_>>().join(", ");
    AskError::NotRunning { site: site.name.clone(), model: model.clone(), models }.into()
}

/// The canary that becomes the stable version.
fn promoted(site: &Site, there: &ModelState, wanted: Option<Digest>) -> Result<Placed, RolloutError> {
    let (site, model) = (site.name.clone(), there.name.clone());
    let canary = match (wanted, &there.canaries[..]) {
        (Some(digest), _) => there.canary(digest),
        (None, [_, _, ..]) => {
            let digests = there.canaries.iter().filter_map(|canary| Some(canary.placed.digest()?.to_string()));
            return Err(AskError::SeveralCanaries { site, model, digests: digests.collect::<Vec<_>>().join(", ") }.into());
        }
        (None, canaries) => canaries.first(),
    };
    let canary = canary.ok_or_else(|| AskError::NothingToPromote { site: site.clone(), model: model.clone() })?;
    match canary.placed.digest() {
        Some(_) => Ok(canary.placed.clone()),
        None => Err(AskError::NotPinned { site, model }.into()),
    }
}

fn rolled_back(history: &History<'_>, to: Option<&str>) -> Result<Course, CliError> {
    let (site, there) = (history.site, history.there);
    let deed = if to.is_none() && !there.canaries.is_empty() { Deed::EndCanary } else { Deed::RollBack };
    let placed = match to {
        None if deed == Deed::EndCanary && !there.stable_in_history() => {
            return Ok(Course { deed, image: None, delivery: Some(there.stable.delivery), kind: Some(there.kind) });
        }
        None => history.previous()?,
        Some(text) => history.named(text)?,
    };
    Ok(Course::to(deed, site, there, &placed))
}
