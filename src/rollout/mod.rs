//! From a digest to a site: what to tell KServe, where it stands in the GitOps folder, and the commit that carries it.
//!
//! ```text
//! Service ─► check (what this KServe can do) ─► render  a patch or manifest on standard output
//!                                            └► plan    which files of sites/SITE change, decided before anything is written
//!                                                 └► write (all or nothing) ─► Repository::commit (these files only)
//! ```
//!
//! [`crate::kserve`] knows what each KServe can do; what it cannot is refused. [`render`] is pure. [`plan`] reads the site's folder and decides;
//! it edits YAML in place, so that comments, order, quoting and line endings stay, and an independent parser proves every edit
//! before it counts. [`Repository`] runs the user's own `git`.

mod change;
mod definition;
mod diff;
mod edit;
mod error;
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
pub use git::{CommitId, Repository};
pub use lock::RepositoryLock;
pub use message::{CommitNote, commit_message};
pub use names::{ServiceName, SiteName};
pub use render::{PatchForm, render};
pub use service::{ModelFormat, Service};
pub use site::{current_delivery, plan};
