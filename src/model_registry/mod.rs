//! A model's entry in a Kubeflow Model Registry (OpenShift AI's model registry is one), by its REST API v1alpha3, or v1 where the
//! address says so:
//! <https://github.com/kubeflow/model-registry/blob/main/api/openapi/model-registry.yaml>.
//!
//! ```text
//! image ─► ImageFacts ─► Record ─► find, else create, else change only what differs
//!          (read)        (pure)    RegisteredModel ─► ModelVersion ─► ModelArtifact
//! ```
//!
//! A second run with the same image finds everything and writes nothing. Two runs at once make one of each: whoever comes second is
//! answered 409 by the registry's own constraint, and finds what the first made.
//!
//! | file | job |
//! |---|---|
//! | `facts` | reads what there is to say about an image |
//! | `record`, `property` | what is to be in the registry; pure |
//! | `change` | what of it is not there yet; pure |
//! | `endpoint`, `token` | where the registry is, and who asks |
//! | `client`, `answer` | requests, and what the answers mean |
//! | `register` | the three steps |

mod answer;
mod change;
mod client;
mod endpoint;
mod error;
mod facts;
mod property;
mod record;
mod register;
mod token;

pub use answer::read_entity;
pub use client::Registry;
pub use endpoint::Endpoint;
pub use error::ModelRegistryError;
pub use facts::ImageFacts;
pub use property::Property;
pub use record::{EntityName, Kind, Record, Source, Wish};
pub use register::{Entry, Outcome, register, rehearse};
pub use token::Token;
