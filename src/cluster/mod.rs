//! A Kubernetes cluster, as far as one object at a time goes: created, looked at, deleted.
//!
//! ```text
//! Given ─► Place ─► Cluster ─► create · get · list · delete ─► Object
//! (words)  (where, who)         (one request each)           or ClusterError: what is not allowed, is there already, is not taken
//! ```
//!
//! In a pod the place is found as every Kubernetes client finds it: `KUBERNETES_SERVICE_HOST` and the folder of the service account. Its
//! token is bound to the pod and changes about every hour, so the file is read anew for every request.
//! <https://kubernetes.io/docs/tasks/run-application/access-api-from-pod/>. Elsewhere the user names the address and a file with a token;
//! a kubeconfig is not read, because it may run programs; `kubectl proxy` gives an address that needs neither token nor certificate.
//!
//! | file | job |
//! |---|---|
//! | `place` | where the cluster is, and who speaks to it |
//! | `token` | the token, which changes |
//! | `object` | an object and its head; pure |
//! | `client` | the four requests |
//! | `status` | what a refusal means; pure |

mod client;
mod error;
mod object;
mod place;
mod status;
mod token;

pub use client::{Cluster, Deleted};
pub use error::ClusterError;
pub use object::{Object, Resource};
pub use place::Given;
