//! From a digest to a site: what to tell KServe, where it stands in the GitOps folder, and the commit that carries it.
//!
//! ```text
//! Service ─► check (what this KServe can do) ─► render  a patch or manifest on standard output
//!                                            └► plan    which files of sites/SITE change, decided before anything is written
//!                                                 └► write (all or nothing) ─► Repository::commit (these files only)
//! ```
//!
//! [`Generation`] knows what each KServe can do and refuses the rest. [`render`] is pure. [`plan`] reads the site's folder and decides;
//! it edits YAML in place, so that comments, order, quoting and line endings stay, and an independent parser proves every edit
//! before it counts. [`Repository`] runs the user's own `git`.

mod change;
mod definition;
mod diff;
mod edit;
mod error;
mod generation;
mod git;
mod lock;
mod message;
mod names;
mod readiness;
mod render;
mod service;
mod site;
mod yaml;

pub use change::{FileChange, SiteChange};
pub use error::RolloutError;
pub use generation::{Delivery, Generation, serving_runtime};
pub use git::{CommitId, Repository};
pub use lock::RepositoryLock;
pub use message::{CommitNote, commit_message};
pub use names::{ServiceName, SiteName};
pub use render::{PatchForm, render};
pub use service::{ModelFormat, Service};
pub use site::{current_delivery, plan};
