//! What KServe can do: its [`Generation`]s, the [`Delivery`]s by which a model gets from an image into a pod, and the model servers
//! ([`Runtime`]) with the folder that each wants. Facts only, from the sources of kserve/kserve v0.15–v0.21 and of OpenShift AI's
//! branches; every room above may ask.

mod delivery;
mod error;
mod generation;
mod model_format;
mod runtime;
pub mod scripts;
mod shipped;

pub use delivery::Delivery;
pub use error::KserveError;
pub use generation::Generation;
pub use model_format::model_format;
pub use runtime::Runtime;
pub use shipped::{ByRealPath, ThroughLink};
