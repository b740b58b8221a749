//! Brings a model from where it is into a folder: from the Hugging Face hub, an S3 bucket, a web server, or a registry.
//!
//! ```text
//! Source ─► Listing ─────────► drafts ─────────► files
//! (words)   (names, sizes,     (streamed,        (renamed together,
//!            digests; judged)   resumed, proved)  recorded)
//! ```
//!
//! [`list`] asks the source what there is and judges every name before a byte is fetched. [`bring`] streams what differs from what the
//! folder has into drafts, proves each by the digest that the source tells, and gives all of them their names at the end: a file is whole
//! or not there. Drafts and the record of an earlier run lie in `.cache/modelcar`, which no build packs.
//!
//! | file | job |
//! |---|---|
//! | `source` | which words name which source; pure |
//! | `item`, `names`, `globs` | what a source has, and which of it may and shall be fetched; pure |
//! | `hub`, `s3`, `web`, `artifact` | the sources |
//! | `proof` | digests and checksums while bytes go by |
//! | `folder`, `draft`, `record` | the folder: its lock, drafts, and what is known of an earlier run |
//! | `transfer` | the work: several files at once, broken downloads resumed |

use std::path::{Path, PathBuf};

use crate::image::Watch;
use crate::image::compose::content_digest;
use crate::model::{Links, Tree};
use crate::oci::Digest;
use crate::store::StoreOptions;

mod artifact;
mod draft;
mod error;
mod folder;
mod globs;
mod hub;
mod item;
mod names;
mod proof;
mod record;
mod s3;
mod secrets;
mod source;
mod transfer;
mod unpack;
mod web;

pub use error::FetchError;
pub use globs::Globs;
pub use item::{Item, Listing};
pub use s3::Addressing;
pub use source::Source;

/// How sources are reached, and what of them is wanted.
#[derive(Clone, Debug, Default)]
pub struct FetchOptions {
    /// TLS, CA files and registry credentials.
    pub store: StoreOptions,
    /// Which files are wanted.
    pub globs: Globs,
    /// A file with a token, or a folder of a mounted secret with a file `token`; the hub's and a web server's.
    pub token_file: Option<PathBuf>,
    /// A folder with the names of AWS's variables, as a data connection of OpenShift AI is mounted.
    pub s3_credentials: Option<PathBuf>,
    /// The address of another S3 than Amazon's.
    pub s3_endpoint: Option<String>,
    /// How buckets are named in addresses.
    pub s3_addressing: Addressing,
    /// What a single file must be.
    pub digest: Option<Digest>,
}

/// A model in its folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fetched {
    /// The folder, absolute.
    pub path: PathBuf,
    /// The source with its resolved revision, and without secrets.
    pub uri: String,
    /// One digest for all files: [`content_digest`].
    pub digest: Digest,
    /// The files, sorted by path.
    pub files: Vec<FetchedFile>,
    /// Files of an earlier run that the source no longer has; they were removed.
    pub removed: Vec<String>,
    /// What the user should know.
    pub notes: Vec<String>,
}

/// A file of the model.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct FetchedFile {
    /// Its place in the folder.
    pub path: String,
    /// Bytes.
    pub size: u64,
    /// The digest of its bytes.
    pub digest: Digest,
    /// False where the folder had it already.
    pub fetched: bool,
}

impl Fetched {
    /// The bytes of all files.
    pub fn bytes(&self) -> u64 {
        self.files.iter().map(|file| file.size).sum()
    }
}

/// What a source has, with every name judged. Nothing is written.
///
/// # Errors
/// The source cannot be reached or says no; it has nothing that is wanted, or what must not be fetched.
pub fn list(source: &Source, options: &FetchOptions) -> Result<Listing, FetchError> {
    let listing = match source {
        Source::File(url) => web::list(url, options)?,
        Source::Hub(model) => hub::list(model, options)?,
        Source::S3(place) => s3::list(place, options)?,
        Source::Image(location) => artifact::list(location, options)?,
        Source::Folder(path) => return Err(FetchError::Local { path: path.clone() }),
    };
    listing.selected(&options.globs)?.judged()
}

/// Brings all of a listing into `dir`, which is made where it is not there.
///
/// # Errors
/// Anything went wrong; then no file has changed in `dir`, and the drafts of what was fetched so far wait for the next run.
pub fn bring(listing: &Listing, dir: &Path, watch: &Watch) -> Result<Fetched, FetchError> {
    transfer::Transfer::new(listing, dir, watch)?.run()
}

/// A model that is where it shall be, such as a mounted volume: looked through and digested.
///
/// # Errors
/// It is no model that could be packed.
pub fn already_there(path: &Path, uri: String) -> Result<Fetched, FetchError> {
    let tree = Tree::scan(path, Links::default())?;
    let absolute = std::path::absolute(path).map_err(FetchError::io("find", path))?;
    let mut files = Vec::new();
    for file in tree.files() {
        let mut reader = file.open().map_err(FetchError::io("read", tree.shown(&file.path)))?;
        let digest = Digest::of_reader(&mut reader).map_err(FetchError::io("read", tree.shown(&file.path)))?;
        files.push(FetchedFile { path: file.path.clone(), size: file.size, digest, fetched: false });
    }
    let digest = content_digest(files.iter().map(|file| (file.path.as_str(), &file.digest)));
    let (_, notes) = tree.into_parts();
    Ok(Fetched { path: absolute, uri, digest, files, removed: Vec::new(), notes })
}

/// Reads what the hub says about a model's revision; for fuzzing.
pub fn check_hub_answers(revision: &[u8], page: &[u8]) -> bool {
    hub::read_commit(revision).is_ok() | hub::read_page(page).is_ok()
}

/// Reads a page of a bucket's list; for fuzzing.
pub fn check_bucket_list(page: &[u8]) -> bool {
    s3::read_page(page).is_ok()
}

/// Judges the place that a stranger names for a file; for fuzzing.
pub fn check_name(path: &str) -> Result<(), &'static str> {
    names::objection(path).map_or(Ok(()), Err)
}

/// Unpacks a stranger's tar below a folder; for fuzzing.
pub fn check_tar(tar: &[u8], dir: &Path) -> bool {
    unpack::unpack(&mut &tar[..], dir, &Globs::default()).is_ok()
}
