//! Copies an image from store to store, byte for byte, with everything that speaks about it.
//!
//! Signatures are manifests of their own, and most copy tools follow the tag and leave them behind: the image arrives unsigned and
//! nothing fails until a cluster refuses it (chainguard-dev/edu#3957, Azure/ARO-RP#4779). So companions travel along.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Instant;

use super::ImageError;
use super::base::StoredBlob;
pub use super::companion::{Companion, CompanionKind};
use super::compress::Compression;
use super::transfer::{Blob, Placed, Transfer, Unheld, place};
use super::watch::{Event, Watch};
use crate::oci::{Descriptor, Digest, Manifest, ManifestRef, RawManifest, Reference, media_type};
use crate::store::{Store, StoreError};

/// How deep indexes may lie in indexes.
const MAX_DEPTH: usize = 3;
/// The most manifests of one image, companions included.
const MAX_MANIFESTS: usize = 4096;
/// The most bytes of all of them; they are held in memory until their blobs are there.
const MAX_BYTES: u64 = 64 << 20;
/// Rounds of merge and read again, should others sign at the target meanwhile.
const MAX_TRIES: usize = 8;
/// What cosign appends to `sha256-<hex>` for the tags of its classic attachments.
const ATTACHMENTS: [&str; 3] = ["sig", "att", "sbom"];

/// What is copied.
pub struct Original<'a> {
    /// Where it is.
    pub store: &'a Arc<dyn Store>,
    /// The same as a registry knows it: its blobs move to a neighbour without a byte. `None` outside registries.
    pub repository: Option<Reference>,
    /// The image.
    pub manifest: &'a RawManifest,
    /// What becomes of all that speaks about it.
    pub companions: Companions,
}

/// What becomes of signatures, attestations and other referrers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Companions {
    /// They come along.
    #[default]
    Along,
    /// They stay where they are, and are only told of.
    LeftBehind,
}

/// What a copy did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Copied {
    /// Every blob, and whether it had to be sent.
    pub blobs: Vec<Placed>,
    /// Signatures, attestations and other referrers that came along.
    pub companions: Vec<Companion>,
    /// Those that did not, as far as could be seen.
    pub left_behind: Vec<Companion>,
}

impl Copied {
    /// The bytes of all blobs.
    pub fn bytes(&self) -> u64 {
        self.blobs.iter().map(|blob| blob.descriptor.size).sum()
    }

    /// The bytes of the blobs that were sent.
    pub fn sent_bytes(&self) -> u64 {
        self.blobs.iter().filter(|blob| blob.sent).map(|blob| blob.descriptor.size).sum()
    }
}

/// A signature image made of two: the document, and its config where it has one of its own. `None` where the first holds all.
pub type Merged = Option<(RawManifest, Option<Vec<u8>>)>;

/// Makes one signature image of what the target holds and what comes; an error says what is wrong where one of them is none.
pub type Merge = fn(there: &RawManifest, coming: &RawManifest) -> Result<Merged, String>;

/// Copies an image with its signatures, attestations and other referrers, and tags it. Signatures that the target has already are kept
/// beside those that come.
///
/// # Errors
/// Whatever either store answers; tags move last, so a failed copy leaves none that points to half an image.
pub fn copy(
    original: &Original<'_>,
    to: &dyn Store,
    at: &[ManifestRef],
    merge: Merge,
    transfer: &Transfer,
    watch: &Watch,
) -> Result<Copied, ImageError> {
    let (image, left_behind) = parts(original)?;
    let blobs: Vec<Blob> = image.blobs.into_iter().map(|descriptor| stored(original, descriptor)).collect();
    watch.tell(Event::Begun { hash: 0, blobs: blobs.iter().map(|blob| (blob.descriptor.digest.short(), blob.descriptor.size)).collect() });
    let begun = Instant::now();
    let (_, placed) = place(&[], Compression::None, &blobs, to, transfer, watch)?;
    let mut unheld = Unheld::new(to, blobs, begun);
    for (manifest, place) in &image.manifests {
        match place {
            ManifestRef::Digest(_) => unheld.put_manifest(manifest, place)?,
            ManifestRef::Tag(_) => attach(to, manifest, place, merge)?,
        }
    }
    for tag in at {
        unheld.put_manifest(original.manifest, tag)?;
    }
    to.commit()?;
    Ok(Copied { blobs: placed, companions: image.companions, left_behind })
}

/// What is to be copied, and the companions that are not.
fn parts<'a>(original: &Original<'a>) -> Result<(Parts<'a>, Vec<Companion>), ImageError> {
    let mut image = Parts::new(original.store.as_ref());
    image.add(original.manifest, ManifestRef::Digest(original.manifest.digest()), 0)?;
    if original.companions == Companions::LeftBehind {
        let left_behind = image.left_behind();
        return Ok((image, left_behind));
    }
    image.add_all_companions()?;
    Ok((image, Vec::new()))
}

fn stored(original: &Original<'_>, descriptor: Descriptor) -> Blob {
    let source = StoredBlob { store: original.store.clone(), blob: descriptor.clone() };
    Blob { origin: original.repository.clone(), ..Blob::new(descriptor, Arc::new(source)) }
}

/// Puts an attachment under its tag, merged with what is there; reads again until it stays.
fn attach(to: &dyn Store, coming: &RawManifest, tag: &ManifestRef, merge: Merge) -> Result<(), ImageError> {
    for _ in 0..MAX_TRIES {
        let there = match to.get_manifest(tag) {
            Ok(there) => there,
            Err(error) if error.is_not_found() => {
                to.put_manifest(coming, tag)?;
                continue;
            }
            Err(error) => return Err(error.into()),
        };
        if there == *coming {
            return Ok(());
        }
        let merged = merge(&there, coming).map_err(|_| ImageError::Attachment { tag: tag.clone() })?;
        let Some((merged, config)) = merged else { return Ok(()) };
        if let Some(config) = config {
            to.put_blob(&Descriptor::of(media_type::CONFIG, &config), &config)?;
        }
        to.put_manifest(&merged, tag)?;
    }
    Err(ImageError::Contended { tag: tag.clone() })
}

/// What belongs to an image: blobs once each, manifests in the order in which they may be put.
#[derive(Clone)]
struct Parts<'a> {
    from: &'a dyn Store,
    blobs: Vec<Descriptor>,
    known: HashSet<Digest>,
    manifests: Vec<(RawManifest, ManifestRef)>,
    companions: Vec<Companion>,
    bytes: u64,
}

impl<'a> Parts<'a> {
    fn new(from: &'a dyn Store) -> Self {
        Self { from, blobs: Vec::new(), known: HashSet::new(), manifests: Vec::new(), companions: Vec::new(), bytes: 0 }
    }

    fn add(&mut self, raw: &RawManifest, place: ManifestRef, depth: usize) -> Result<(), ImageError> {
        if self.manifests.iter().any(|(known, at)| known == raw && *at == place) {
            return Ok(());
        }
        if depth > MAX_DEPTH {
            return Err(ImageError::NestedIndex { digest: raw.digest() });
        }
        self.bytes += raw.bytes.len() as u64;
        if self.manifests.len() >= MAX_MANIFESTS || self.bytes > MAX_BYTES {
            let what = "the sum of the image's manifests".to_owned();
            return Err(StoreError::TooLarge { what, size: self.bytes, limit: MAX_BYTES }.into());
        }
        match raw.parse().map_err(StoreError::from)? {
            Manifest::Image(manifest) => self.add_blobs(manifest.layers.into_iter().chain([manifest.config])),
            Manifest::Index(index) => {
                for child in &index.manifests {
                    let child = ManifestRef::Digest(child.digest);
                    let raw = self.from.get_manifest(&child)?;
                    self.add(&raw, child, depth + 1)?;
                }
            }
        }
        self.manifests.push((raw.clone(), place));
        Ok(())
    }

    fn add_blobs(&mut self, blobs: impl Iterator<Item = Descriptor>) {
        for blob in blobs {
            if self.known.insert(blob.digest) {
                self.blobs.push(blob);
            }
        }
    }

    /// What speaks about the image's manifests, and what speaks about that in turn: a signed SBOM has a signature of its own.
    fn add_all_companions(&mut self) -> Result<(), ImageError> {
        let mut subjects: Vec<Digest> = self.manifests.iter().map(|(manifest, _)| manifest.digest()).collect();
        for subject in &subjects {
            self.add_attachments(subject)?;
        }
        for _ in 0..MAX_DEPTH {
            let mut referrers = Vec::new();
            for subject in &subjects {
                referrers.extend(self.add_referrers(subject)?);
            }
            subjects = referrers;
        }
        Ok(())
    }

    /// What is not copied. Where the store cannot tell it, that must not keep an image from those who do not want it.
    fn left_behind(&self) -> Vec<Companion> {
        let mut all = self.clone();
        if let Err(error) = all.add_all_companions() {
            tracing::warn!(%error, "cannot see all that stays behind");
        }
        all.companions
    }

    fn add_attachments(&mut self, subject: &Digest) -> Result<(), ImageError> {
        for attachment in ATTACHMENTS {
            let tag = ManifestRef::Tag(format!("{}.{attachment}", subject.as_tag()));
            match self.from.get_manifest(&tag) {
                Ok(raw) => self.add_companion(&raw, subject, tag)?,
                Err(error) if error.is_not_found() => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    /// Adds the referrers that are not known yet, and tells which these are.
    fn add_referrers(&mut self, subject: &Digest) -> Result<Vec<Digest>, ImageError> {
        let mut fresh = Vec::new();
        for referrer in self.from.referrers(subject)? {
            let place = ManifestRef::Digest(referrer.digest);
            if self.manifests.iter().any(|(_, at)| *at == place) {
                continue;
            }
            let raw = self.from.get_manifest(&place)?;
            self.add_companion(&raw, subject, place)?;
            fresh.push(referrer.digest);
        }
        Ok(fresh)
    }

    fn add_companion(&mut self, raw: &RawManifest, subject: &Digest, at: ManifestRef) -> Result<(), ImageError> {
        self.companions.push(Companion { kind: CompanionKind::of(raw, &at), subject: *subject, at: at.clone() });
        self.add(raw, at, 1)
    }
}
