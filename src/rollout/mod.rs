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

mod ask;
mod diff;
mod error;
pub mod fleet;
mod folder;
mod forge;
mod git;
mod message;
mod names;
pub mod preflight;
mod service;
mod site;
pub mod smoke;
pub mod status;
mod yaml;

/// What signs images or opens doors is no business of other programs, and of the hooks that git runs: variables that they do not get.
const SECRETS: [&str; 4] = ["COSIGN_PASSWORD", "COSIGN_PRIVATE_KEY", "MODELCAR_GIT_TOKEN", "MODELCAR_MODEL_REGISTRY_TOKEN"];

pub use ask::AskError;
pub use error::RolloutError;
pub use folder::{
    AppState, CanaryBy, CanaryError, CanaryRequest, CanaryState, Edit, FileChange, Finding, Intent, ModelState, Placed, Planned, SiteState,
    StateReader, Step, TreeChange, edited, plan, plan_intent, read_state, refuse_links,
};
pub use forge::{Forge, ForgeError, PullRequests};
pub use git::{
    Author, CommitId, CommitSigning, Credentials, GitError, GitOptions, Landed, Past, Proposal, Publish, Repository, RepositoryLock,
    Review, Revision, Source, SshKey, Token, Trouble, Wanted, Workspace,
};
pub(crate) use git::{ask, question};
pub use message::{ChangeNote, Deed, SiteNote, commit_message};
pub use names::{RingName, ServiceName, SiteName};
pub use service::render::{PatchForm, render};
pub use service::{Beside, Metric, ModelFormat, ModelSource, Place, Quantity, Resources, Scale, Service, Settings, Strategy};
pub use site::{ByteSize, Mirror, Site, SiteFacts, SiteTrust, Style};
