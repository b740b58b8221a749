//! Does the image serve? An InferenceService of its own, one or more requests, and the answers held against what was expected.
//!
//! ```text
//! Service ─► Mark ─► create ─► wait until Ready ─► wait until the model answers ─► infer ─► compare ─► delete, whatever happened
//!            (ours)            (state: pure)       (endpoint)                      │        (pure)
//!                                                  request file, or zeros of the model's own signature
//! ```
//!
//! Whatever is made carries our label and annotations: of which run it is, and until when it may be needed. Nothing without them is ever
//! deleted. A run that is killed leaves its InferenceService behind; `--delete --name` takes it away by name, and `--delete --expired` all
//! whose time is over.
//!
//! What decides is the model's answer: exit code 3 where it is wrong or the model server cannot load the model, 1 where the question could
//! not be put. <https://kserve.github.io/website/docs/concepts/architecture/data-plane/v2-protocol>.
//!
//! | file | job |
//! |---|---|
//! | `mark` | what is ours; pure |
//! | `state` | what an InferenceService and its pods say; pure |
//! | `numbers` | JSON with `NaN`, as model servers write it; pure |
//! | `request` | what is asked; pure |
//! | `answer` | what was answered; pure |
//! | `compare` | whether two answers agree; pure |
//! | `endpoint` | the model's address: is it ready, what does it take, what does it say |
//! | `run`, `clean` | all of it in order; what was made goes |

mod answer;
mod clean;
mod compare;
mod endpoint;
mod error;
mod mark;
mod numbers;
mod request;
mod run;
mod state;

use crate::cluster::Resource;

pub use answer::{Answer, Malformed};
pub use clean::{Removed, remove, remove_expired};
pub use compare::{Comparison, Tolerance, compare};
pub use error::SmokeError;
pub use mark::Mark;
pub use request::{Case, Request};
pub use run::{CaseReport, Cleanup, Done, Outcome, SmokeTest, Verdict, manifest, run};

/// What is made.
const SERVICES: &Resource =
    &Resource { group: "serving.kserve.io", version: "v1beta1", plural: "inferenceservices", kind: "InferenceService" };
/// What tells why it does not become ready.
const PODS: &Resource = &Resource { group: "", version: "v1", plural: "pods", kind: "Pod" };
