//! Results of a Tekton task: what a verb did, a small file for each fact, for the tasks behind it and for Tekton Chains.
//!
//! Tekton carries the results of a step in its container's termination message, of which Kubernetes keeps 4096 bytes
//! (<https://tekton.dev/docs/pipelines/tasks/#larger-results-using-sidecar-logs>), and fails a step that writes more. So the least
//! important results are left out, that is, written empty, before that happens, and never those that name the image.
//!
//! | file | job |
//! |---|---|
//! | `names` | which results there are, and which verb writes which |
//! | `budget` | how Tekton counts, and what is left out; pure |
//! | `write` | the files |

mod budget;
mod names;
mod write;

use std::io;
use std::path::PathBuf;

pub use budget::{BUDGET, Fitted, entry_bytes, fit};
pub use names::*;
pub use write::{Places, write};

/// Why results are not written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TektonError {
    /// A line break would be part of the result, and other control characters have no place in it.
    #[error("the result {name} would hold a line break or another control character")]
    Control {
        /// The result.
        name: &'static str,
    },
    /// What is to be written is none of this verb's results.
    #[error("`{verb}` has no result {name}")]
    Foreign {
        /// The verb.
        verb: &'static str,
        /// The result.
        name: String,
    },
    /// The folder cannot be read, or a file cannot be written.
    #[error("cannot write results to {}", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
}

impl TektonError {
    /// What the user can do.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Control { .. } => None,
            Self::Foreign { verb, .. } => {
                let names: Vec<&str> = of_verb(verb).iter().map(|result| result.name).collect();
                Some(format!("it writes {}", names.join(", ")))
            }
            Self::Io { .. } => {
                Some("in a Tekton task the folder is /tekton/results, and a step's file $(step.results.NAME.path)".to_owned())
            }
        }
    }

    pub(super) fn io(path: &std::path::Path) -> impl FnOnce(io::Error) -> Self + '_ {
        move |source| Self::Io { path: path.to_owned(), source }
    }
}
