//! The words of the OCI specifications, as types.
//!
//! Nothing here reads a file or a socket. Documents are serialised by [`canonical::to_vec`] alone: compact ASCII JSON in a
//! fixed member order, because a manifest's digest is its name and Red Hat's `rh-model-signing` re-serialises what it reads
//! before it hashes it.

pub mod canonical;
mod config;
mod digest;
mod location;
mod manifest;
pub mod media_type;
mod modest;
mod printable;
mod reference;
pub mod tar_header;
mod timestamp;

pub use config::{ContainerConfig, History, ImageConfig, RootFs};
pub use digest::{Digest, Hasher, InvalidDigest};
pub use location::{InvalidLocation, Location};
pub use manifest::{Descriptor, ImageIndex, ImageManifest, InvalidManifest, Manifest, Platform, RawManifest};
pub use modest::is_modest;
pub use printable::{is_harmless, printable};
pub use reference::{InvalidReference, ManifestRef, Reference};
pub use timestamp::Timestamp;

/// Annotations and labels: sorted, so that equal content gives equal bytes.
pub type Annotations = std::collections::BTreeMap<String, String>;
