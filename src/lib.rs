//! From a trained model to a signed, digest-pinned KServe `InferenceService`, with nothing else installed.
//!
//! ```text
//! model folder ─► Model ─► ImagePlan ─► blobs ─► Store ─► signatures ─► site patch ─► Git ─► Argo CD ─► KServe
//!                 (read)   (decide)    (stream) (layout,  (two worlds)  (rollout)
//!                                                archive,
//!                                                registry)
//! ```
//!
//! Each module is a room with one job, and a room imports only rooms below it:
//!
//! | room | job |
//! |---|---|
//! | [`cli`] | the command line: parses, asks the rooms below, prints |
//! | [`report`] | what a person or a script reads: progress, tables, JSON, errors |
//! | [`rollout`] | `InferenceService` patches by KServe generation, site folders, Git commits |
//! | [`model_registry`] | a model's entry in a Kubeflow Model Registry |
//! | [`cluster`] | one object of a Kubernetes cluster at a time |
//! | [`trust`] | keys, classic signatures, Sigstore bundles, verification |
//! | [`fetch`] | brings a model from where it is: a hub, an object store, a web server, a registry |
//! | [`image`] | plan (pure), deterministic tar stream, assembly, base image |
//! | [`model`] | formats, what is inside them, the folder each model server wants; reads, never writes |
//! | [`kserve`] | what KServe can do: generations, deliveries, model servers |
//! | [`store`] | the one seam: [`store::Store`] over an OCI layout directory, an oci-archive and a registry |
//! | [`oci`] | digest, reference, descriptor, manifest, canonical JSON |
//!
//! [`exit_code`] is the table of process exit codes, and [`stop`] what is taken back when a signal ends the process.

pub mod cli;
pub mod cluster;
pub mod exit_code;
pub mod fetch;
pub mod image;
pub mod kserve;
pub mod model;
pub mod model_registry;
pub mod oci;
pub mod report;
pub mod rollout;
pub mod stop;
pub mod store;
pub mod trust;
