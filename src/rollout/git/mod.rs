//! The user's own `git`: one commit per change, nothing else touched; in a work tree, or in a clone that lives as long as the command.
//!
//! ```text
//! Source ─► Workspace ─► tree (the folder that holds sites/)
//!              ├► land     decide ─► write ─► commit ─► push, again from the start where somebody else was faster
//!              └► history  who changed which file when, and what it said before
//! ```

mod access;
mod address;
mod askpass;
mod checkout;
mod command;
mod error;
mod history;
mod identity;
mod land;
mod lock;
mod past;
mod readiness;
mod repository;
mod roots;
mod snapshot;
mod token;
mod trouble;
mod upstream;
mod workspace;

pub use access::{Credentials, SshKey};
pub(super) use address::Address;
pub(crate) use askpass::{ask, question};
pub use error::GitError;
pub use history::Revision;
pub use identity::{Author, CommitSigning};
pub use lock::RepositoryLock;
pub use past::{Past, Wanted};
pub use repository::{CommitId, Repository};
pub use token::Token;
pub use trouble::Trouble;
pub use workspace::{GitOptions, Landed, Proposal, Publish, Review, Source, Workspace};
