//! What KServe can do: its [`Generation`]s, the [`Delivery`]s by which a model gets from an image into a pod, and the model servers
//! ([`Runtime`]) with the folder that each wants. Facts only, from the sources of kserve/kserve v0.15–v0.21 and of OpenShift AI's
//! branches; every room above may ask.

mod delivery;
mod error;
mod generation;
mod kind;
mod mode;
mod model_format;
mod predictor;
mod protocol;
mod runtime;
pub mod schema;
pub mod scripts;
mod served_name;
mod shipped;

pub use delivery::Delivery;
pub use error::KserveError;
pub use generation::Generation;
pub use kind::Kind;
pub use mode::{CanaryWay, Mode};
pub use model_format::model_format;
pub use predictor::predictor_name;
pub use protocol::Protocol;
pub use runtime::Runtime;
pub use served_name::NamedBy;
pub use shipped::{ByRealPath, ThroughLink};
