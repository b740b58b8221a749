//! What a source has.

use std::io::Read;

use url::Url;

use super::artifact::Bundle;
use super::proof::{Proof, SumKind};
use super::{FetchError, Globs, names};
use crate::model::{MAX_FILES, litter};
use crate::oci::{Descriptor, Digest};

/// More pages than any list of [`MAX_FILES`] files has.
pub(super) const MAX_PAGES: usize = 10_000;

/// A file that can be fetched.
#[derive(Clone, Debug)]
pub struct Item {
    /// Its place in the folder.
    pub path: String,
    /// Bytes, where the source tells.
    pub size: Option<u64>,
    pub(super) proof: Proof,
    /// A checksum that the source keeps of the whole file.
    pub(super) sum: Option<SumKind>,
    pub(super) place: Place,
}

/// Where the source keeps a file.
#[derive(Clone, Debug)]
pub(super) enum Place {
    Url(Url),
    Blob(Box<Descriptor>),
}

/// How one file is asked for.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Wish<'a> {
    /// Bytes that are there already.
    pub(super) from: u64,
    /// Of which version they are, by the source's own word.
    pub(super) version: Option<&'a str>,
    /// The version that need not be sent.
    pub(super) unless: Option<&'a str>,
}

/// What the source answers.
pub(super) enum Opened {
    /// The file is still the version that need not be sent.
    Unchanged,
    Body(Body),
}

/// A file's bytes from some place on.
pub(super) struct Body {
    /// Where they begin: where it was asked for, or 0.
    pub(super) from: u64,
    /// The size of the whole file.
    pub(super) size: Option<u64>,
    /// The source's own word for the version.
    pub(super) version: Option<String>,
    /// Base64, of the whole file.
    pub(super) sums: Vec<(SumKind, String)>,
    pub(super) reader: Box<dyn Read + Send>,
}

/// Opens files.
pub(super) trait Origin: Send + Sync {
    fn open(&self, item: &Item, wish: &Wish<'_>) -> Result<Opened, FetchError>;
}

/// What a source has, and how it is had.
pub struct Listing {
    /// The source with its resolved revision, and without secrets.
    pub uri: String,
    /// The files, sorted by path.
    pub items: Vec<Item>,
    /// Layers that hold several files, or the model of an image.
    pub bundles: Vec<Bundle>,
    /// What the user should know.
    pub notes: Vec<String>,
    pub(super) origin: Box<dyn Origin>,
    pub(super) globs: Globs,
}

impl Item {
    /// The digest that the source tells of the file.
    pub fn digest(&self) -> Option<Digest> {
        match self.proof {
            Proof::Sha256(digest) => Some(digest),
            _ => None,
        }
    }

    /// Where it is, for an origin of this kind.
    pub(super) fn url(&self) -> Result<&Url, FetchError> {
        match &self.place {
            Place::Url(url) => Ok(url),
            Place::Blob(_) => Err(FetchError::Answer { what: self.path.clone(), reason: "it is no file of a server".to_owned() }),
        }
    }
}

impl Listing {
    /// A listing of files alone.
    pub(super) fn of(uri: String, items: Vec<Item>, origin: Box<dyn Origin>) -> Self {
        Self { uri, items, bundles: Vec::new(), notes: Vec::new(), origin, globs: Globs::default() }
    }

    /// Only what is wanted, and nothing that no build would pack.
    pub(super) fn selected(mut self, globs: &Globs) -> Result<Self, FetchError> {
        self.items.retain(|item| !is_litter(&item.path) && globs.want(&item.path));
        self.globs = globs.clone();
        if self.items.is_empty() && self.bundles.is_empty() {
            return Err(FetchError::Nothing { uri: self.uri });
        }
        Ok(self)
    }

    /// The same, sorted, if all of it may be written.
    pub(super) fn judged(mut self) -> Result<Self, FetchError> {
        if self.items.len() > MAX_FILES {
            return Err(FetchError::TooMuch { most: format!("{MAX_FILES} files") });
        }
        self.items.iter().try_for_each(|item| names::ensure_plain(&item.path))?;
        names::ensure_apart(self.items.iter().map(|item| item.path.as_str()))?;
        self.items.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(self)
    }

    /// The bytes of all files whose size is known.
    pub fn bytes(&self) -> u64 {
        let sizes = self.items.iter().filter_map(|item| item.size).chain(self.bundles.iter().map(|bundle| bundle.size));
        sizes.fold(0, u64::saturating_add)
    }
}

/// Whether the place lies in a folder, or is a file, that no build packs: `.cache`, `.gitattributes`.
pub(super) fn is_litter(path: &str) -> bool {
    let ends = path.match_indices('/').map(|(at, _)| at).chain([path.len()]);
    ends.into_iter().any(|end| litter(&path[..end]).is_some())
}
