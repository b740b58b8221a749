//! OpenSSF Model Signing: a signed list of the model's files, which holds before push on the folder, in the registry on the image,
//! and on the folder that was extracted from it: <https://github.com/ossf/model-signing-spec>.
//!
//! | file | job |
//! |---|---|
//! | `statement` | what is signed: the files and how they differ from others (pure) |
//! | `files` | the files of a folder and of an image |
//! | `certificates` | chains and authorities, for signatures by certificate |
//! | `bundle` | the signature around the statement: who signs, and who signed |
//! | `attach` | puts it beside an image, never without an image signature |
//! | `verify`, `folder` | hold images and folders against it |
//! | `examine` | the same for whoever looks at an image as a whole |
//!
//! In a registry it is a referrer under the types of `rh-model-signing`, whose `verify_image` finds it there. That tool's tag mode
//! writes over classic signatures and is never used.

mod attach;
mod bundle;
mod certificates;
mod error;
mod examine;
mod files;
mod folder;
mod statement;
#[cfg(test)]
mod testing;
mod verify;

pub use attach::{AttachReport, AttachRequest, AttachedSignature, attach, attach_after};
pub use bundle::{BundleRefusal, ModelAuthor, ModelSigner, ModelTrust};
pub use certificates::{Authorities, CertificateChain, InvalidCertificate};
pub use error::ModelSigningError;
pub(in crate::trust) use examine::examine;
pub use files::{Reading, files_of_folder, files_of_image};
pub use folder::{SignatureFile, verify_folder};
pub use statement::{Difference, IgnoredPaths, InvalidStatement, ModelFiles, PREDICATE_TYPE, Statement};
pub use verify::{Accepted, ImageReport, ModelFinding, ModelRefusal, signature_of_image, verify_image};
