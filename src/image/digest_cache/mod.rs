//! What was hashed before, on this machine, by this user: files and layers known without reading them.
//!
//! An entry is found by what tells that a file is the same one: device, inode, size, mtime and ctime in nanoseconds. The key of a layer
//! holds this of each of its files and, byte for byte, every header between them, so that whatever decides a byte of the tar decides the
//! key: paths, modes, the time of the entries, and the way in which we write tars.
//!
//! A wrong answer would put the wrong bytes' name into a signed image, so in doubt there is none:
//!
//! - A file that changed less than two seconds before the run is not remembered: a second change could leave the same time behind (git
//!   calls such an entry racy, <https://git-scm.com/docs/racy-git>).
//! - Nor is one whose ctime is a whole second: that is a file system that rounds, or an image (squashfs, ISO 9660) that was built with
//!   fixed times, whose next version has other bytes under the same inode and the same times.
//! - Entries count only in a folder, and in files, that nobody else can write.
//!
//! The reader of a file compares its stamp before the first byte and with the last one, see [`ModelFile::open`].

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use super::compress::Compression;
use super::earlier::stamp;
use super::hash::LayerDigests;
use super::tar::LayerTar;
use super::transfer::{Known, KnownLayer};
use crate::model::ModelFile;
use crate::oci::{Descriptor, Digest};

mod entry;
mod folder;
mod identity;

use entry::Hashed;
use folder::{Folder, Place};
use identity::Identity;

/// How long a file has to be left alone before its times tell its versions apart, in nanoseconds: FAT counts in steps of two seconds.
const MARGIN: i128 = 2_000_000_000;
/// What is hashed in a millisecond or two is not worth an entry, in bytes.
const WORTH_AN_ENTRY: u64 = 1 << 20;

/// The digests that are known without reading.
#[derive(Debug, Default)]
pub struct DigestCache {
    /// `None`: nothing is known, and nothing remembered.
    place: Option<Place>,
    /// When the run began, in nanoseconds since 1970: before the first byte was hashed.
    since: i128,
}

impl DigestCache {
    /// Knows nothing.
    pub fn off() -> Self {
        Self::default()
    }

    /// What is known in `folder`, which is made when there is something to remember. One that cannot be used is no error: nothing is known
    /// then.
    pub fn open(folder: &Path) -> Self {
        Self { place: Some(Place::at(folder)), since: now() }
    }

    /// The same in the user's own place.
    pub fn of_user() -> Self {
        usual_folder(|name| std::env::var_os(name)).map_or_else(
            || {
                tracing::debug!("no digest cache: neither XDG_CACHE_HOME nor HOME names a folder");
                Self::off()
            },
            |folder| Self::open(&folder),
        )
    }

    /// All that is known of these layers.
    pub fn known(&self, tars: &[LayerTar], compression: Compression) -> Known {
        let mut known = Known::default();
        for (number, tar) in tars.iter().enumerate() {
            known.layers.extend(self.known_layer(tar, compression).map(|layer| (number, layer)));
            known.files.extend(tar.files().filter_map(|file| Some((stamp(file)?, self.file(file)?))));
        }
        known
    }

    fn known_layer(&self, tar: &LayerTar, compression: Compression) -> Option<KnownLayer> {
        let plain = KnownLayer::plain(tar, self.layer(tar)?);
        if compression == Compression::None {
            return Some(plain);
        }
        let (digest, size) = self.packed(tar, compression)?;
        Some(KnownLayer { blob: Descriptor::new(compression.media_type(), digest, size), ..plain })
    }

    /// The digests of a layer and of the files in it, if it was hashed before and none of them changed.
    pub fn layer(&self, tar: &LayerTar) -> Option<LayerDigests> {
        let (folder, identity) = (self.folder()?, Identity::of_layer(tar)?);
        let known = folder.get(&identity.key)?;
        let (layer, files) = known.split_first()?;
        let is_whole = layer.size == tar.size() && files.len() == identity.files;
        is_whole.then(|| LayerDigests { layer: layer.digest, files: files.iter().map(|file| file.digest).collect() })
    }

    /// Remembers what [`layer`](Self::layer) tells, and the digest of each large file in it.
    pub fn remember_layer(&self, tar: &LayerTar, digests: &LayerDigests) {
        let sizes: Vec<u64> = tar.files().map(|file| file.size).collect();
        let files = digests.files.iter().zip(&sizes).map(|(digest, size)| Hashed { digest: *digest, size: *size });
        let known: Vec<Hashed> = std::iter::once(Hashed { digest: digests.layer, size: tar.size() }).chain(files).collect();
        self.remember(Identity::of_layer(tar), tar.size(), &known);
        for (file, digest) in tar.files().zip(&digests.files) {
            self.remember_file(file, *digest);
        }
    }

    /// The digest and size in bytes of a layer as it is stored, if it was compressed before.
    pub fn packed(&self, tar: &LayerTar, compression: Compression) -> Option<(Digest, u64)> {
        let known = self.folder()?.get(&Identity::of_layer(tar)?.packed(compression).key)?;
        known.first().map(|packed| (packed.digest, packed.size))
    }

    /// Remembers what [`packed`](Self::packed) tells.
    pub fn remember_packed(&self, tar: &LayerTar, compression: Compression, digest: Digest, size: u64) {
        let identity = Identity::of_layer(tar).map(|identity| identity.packed(compression));
        self.remember(identity, tar.size(), &[Hashed { digest, size }]);
    }

    /// The digest of a file's content.
    pub fn file(&self, file: &ModelFile) -> Option<Digest> {
        let known = self.folder()?.get(&Identity::of_file(file)?.key)?;
        known.first().filter(|hashed| hashed.size == file.size).map(|hashed| hashed.digest)
    }

    /// Remembers what [`file`](Self::file) tells. The digest is that of bytes read in this run, through [`ModelFile::open`] and to the end.
    pub fn remember_file(&self, file: &ModelFile, digest: Digest) {
        self.remember(Identity::of_file(file), file.size, &[Hashed { digest, size: file.size }]);
    }

    fn folder(&self) -> Option<&Folder> {
        self.place.as_ref()?.there()
    }

    fn remember(&self, identity: Option<Identity>, size: u64, known: &[Hashed]) {
        let (Some(place), Some(identity)) = (&self.place, identity) else { return };
        if size < WORTH_AN_ENTRY || !identity.is_settled(self.since - MARGIN) {
            return;
        }
        let Some(folder) = place.open() else { return };
        folder.put(&identity.key, known).unwrap_or_else(|error| tracing::debug!("a digest is not remembered: {error}"));
    }
}

/// `$XDG_CACHE_HOME/modelcar/digests`, by default below `~/.cache`. A path that is not absolute counts as not set
/// (<https://specifications.freedesktop.org/basedir-spec/latest/#variables>).
fn usual_folder(variable: impl Fn(&str) -> Option<OsString>) -> Option<PathBuf> {
    let absolute = |name: &str| variable(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let caches = absolute("XDG_CACHE_HOME").or_else(|| Some(absolute("HOME")?.join(".cache")))?;
    Some(caches.join("modelcar").join("digests"))
}

fn now() -> i128 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i128::try_from(since.as_nanos()).unwrap_or_default()
}

#[cfg(test)]
mod tests;
