//! A GitOps folder on disk: what it says about a site's models, and which of its files a rollout changes.
//!
//! [`read_state`] tells what a site is told to run. [`plan_intent`] reads and decides, [`TreeChange`] shows or writes the result as a whole.
//! Edits go through `edit`, which proves each of them with an independent parser.

mod apps;
mod canary;
mod change;
mod definition;
mod draft;
mod edit;
mod images;
mod intent;
mod place;
mod plan;
mod stable;
mod state;
mod view;

pub use canary::CanaryError;
pub use change::{FileChange, Planned, TreeChange, refuse_links};
pub(super) use definition::{KUSTOMIZATION_NAMES, boundary};
pub use edit::{Edit, Step, edited};
pub use intent::{CanaryBy, CanaryRequest, Intent, plan_intent};
pub use plan::plan;
pub use state::{AppState, CanaryState, Finding, ModelState, Placed, SiteState, StateReader, read_state};
