//! One layer in a folder of its own, and what it does to the layers below.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read, Write};
use std::path::{Component, Path, PathBuf};
use std::rc::Rc;

use fs_err as fs;
use tar::{Archive, Entry, EntryType};

use super::{below_models, make_dirs, writing};
use crate::image::ImageError;
use crate::image::compress::unpacked;
use crate::image::listing::{Guarded, MAX_HEADERS};
use crate::image::watch::Watch;
use crate::oci::Descriptor;
use crate::stop;
use crate::store::{Store, StoreError};

/// Paths by path, in the order of their components: what lies below a path comes right behind it.
pub(super) type Links = BTreeMap<PathBuf, PathBuf>;

/// A layer's files below `models`. All paths are relative to the image's root.
pub(super) struct Unpacked {
    pub(super) layer: Descriptor,
    /// The folder that stands for the image's root.
    pub(super) root: PathBuf,
    /// Symbolic links and their targets as written; none of them is made yet.
    pub(super) links: Links,
    /// Hard links to files of lower layers.
    pub(super) borrowed: Links,
    /// <https://github.com/opencontainers/image-spec/blob/v1.1.1/layer.md#whiteouts>
    pub(super) whiteouts: Vec<Whiteout>,
}

/// What a layer takes away from those below; never from itself.
pub(super) enum Whiteout {
    /// A file, or a folder with all that is in it.
    Path(PathBuf),
    /// What is in a folder.
    Content(PathBuf),
}

impl Unpacked {
    /// Reads a layer into the folder `root`, which is not there yet.
    pub(super) fn new(store: &dyn Store, layer: &Descriptor, root: PathBuf, watch: &Watch) -> Result<Self, ImageError> {
        fs::create_dir(&root).map_err(writing(&root))?;
        let mut blob: Box<dyn Read + Send> = Box::new(Stoppable { inner: store.get_blob(layer)?, watch: watch.clone() });
        let mut this = Self { layer: layer.clone(), root, links: Links::new(), borrowed: Links::new(), whiteouts: Vec::new() };
        let entries = this.entries(&mut blob);
        // The digest is known only at the very end, behind the tar's trailer; a wrong one explains whatever else went wrong.
        io::copy(&mut blob, &mut io::sink()).map_err(|source| StoreError::reading(layer, store, source))?;
        entries.map(|()| this)
    }

    fn entries(&mut self, blob: &mut Box<dyn Read + Send>) -> Result<(), ImageError> {
        let digest = self.layer.digest;
        let unpacking = |source| ImageError::Unpacking { digest, source };
        let budget = Rc::new(Cell::new(MAX_HEADERS));
        let mut archive = Archive::new(Guarded { inner: unpacked(&self.layer, blob)?, budget: budget.clone() });
        let mut entries = archive.entries().map_err(unpacking)?;
        loop {
            budget.set(MAX_HEADERS);
            let Some(entry) = entries.next() else { return Ok(()) };
            let mut entry = entry.map_err(unpacking)?;
            budget.set(u64::MAX);
            self.entry(&mut entry)?;
            io::copy(&mut entry, &mut io::sink()).map_err(unpacking)?;
        }
    }

    fn entry<R: Read>(&mut self, entry: &mut Entry<'_, R>) -> Result<(), ImageError> {
        stop::hold();
        let (name, digest) = (entry.path_bytes().into_owned(), self.layer.digest);
        let refuse = |reason| ImageError::Entry { digest, path: String::from_utf8_lossy(&name).escape_debug().to_string(), reason };
        let Some(path) = below_models(&name).map_err(refuse)? else { return Ok(()) };
        if is_behind(&self.links, &path) {
            return Err(refuse(BEHIND_A_LINK));
        }
        if let Some(hidden) = file_name(&path).strip_prefix(".wh.") {
            return self.white_out(&path, hidden).map_err(refuse);
        }
        match entry.header().entry_type() {
            EntryType::Directory => self.directory(&path),
            EntryType::Regular | EntryType::Continuous => self.file(&path, entry),
            EntryType::Symlink => {
                let target = link_name(entry).ok_or_else(|| refuse("its link has no target"))?;
                if !stays_below_models(&path, &target) {
                    return Err(refuse("its link leads out of /models"));
                }
                self.remove(&path)?;
                self.links.insert(path, target);
                Ok(())
            }
            EntryType::Link => {
                let target = link_name(entry).ok_or_else(|| refuse("its link has no target"))?;
                let target = below_models(target.as_os_str().as_encoded_bytes()).map_err(refuse)?;
                self.hard_link(path, target.ok_or_else(|| refuse("its link leads out of /models"))?)
            }
            EntryType::XGlobalHeader => Ok(()),
            _ => Err(refuse("it is a device, a pipe or something else that no model holds")),
        }
    }

    fn directory(&self, path: &Path) -> Result<(), ImageError> {
        let path = self.root.join(path);
        make_dirs(&path)
    }

    fn file<R: Read>(&mut self, path: &Path, entry: &mut Entry<'_, R>) -> Result<(), ImageError> {
        let executable = entry.header().mode().is_ok_and(|mode| mode & 0o100 != 0);
        let target = self.fresh(path)?;
        let file = fs::OpenOptions::new().write(true).create_new(true).open(&target).map_err(writing(&target))?;
        copy_content(entry, file.file(), &self.layer, &target)?;
        let mode = std::os::unix::fs::PermissionsExt::from_mode(if executable { 0o755 } else { 0o644 });
        file.file().set_permissions(mode).map_err(writing(&target))
    }

    /// A second name for the same bytes: a copy for each would let a small image fill the disk. Later files replace, never write into.
    fn hard_link(&mut self, path: PathBuf, original: PathBuf) -> Result<(), ImageError> {
        let own = self.root.join(&original);
        if fs::symlink_metadata(&own).is_ok() {
            let target = self.fresh(&path)?;
            return fs::hard_link(&own, &target).map_err(writing(&target));
        }
        let original = self.borrowed.get(&original).cloned().unwrap_or(original);
        self.remove(&path)?;
        self.borrowed.insert(path, original);
        Ok(())
    }

    /// The full path, with its parents made and what lay there before removed: a later entry replaces.
    fn fresh(&mut self, path: &Path) -> Result<PathBuf, ImageError> {
        let target = self.root.join(path);
        if let Some(parent) = target.parent() {
            make_dirs(parent)?;
        }
        self.remove(path)?;
        Ok(target)
    }

    fn remove(&mut self, path: &Path) -> Result<(), ImageError> {
        forget(&mut self.links, path);
        forget(&mut self.borrowed, path);
        remove(&self.root.join(path))
    }

    fn white_out(&mut self, path: &Path, hidden: &str) -> Result<(), &'static str> {
        let parent = path.parent().unwrap_or(Path::new(""));
        self.whiteouts.push(match hidden {
            "" | "." | ".." => return Err("its whiteout names nothing"),
            ".wh..opq" => Whiteout::Content(parent.to_owned()),
            _ => Whiteout::Path(parent.join(hidden)),
        });
        Ok(())
    }
}

/// Removes what is at a path, and below it.
pub(super) fn remove(target: &Path) -> Result<(), ImageError> {
    match fs::symlink_metadata(target) {
        Ok(metadata) if metadata.is_dir() => fs::remove_dir_all(target).map_err(writing(target)),
        Ok(_) => fs::remove_file(target).map_err(writing(target)),
        Err(_) => Ok(()),
    }
}

/// Why a path behind a link is refused.
pub(super) const BEHIND_A_LINK: &str = "it lies behind a link";

/// Whether a part of the path before the last one is a link.
pub(super) fn is_behind(links: &Links, path: &Path) -> bool {
    path.ancestors().skip(1).any(|ancestor| links.contains_key(ancestor))
}

/// Drops what is at a path, and below it.
pub(super) fn forget(links: &mut Links, path: &Path) {
    let below = links.range(path.to_owned()..).map(|(link, _)| link).take_while(|link| link.starts_with(path));
    for link in below.cloned().collect::<Vec<_>>() {
        links.remove(&link);
    }
}

/// Ends when the work is stopped.
struct Stoppable {
    inner: Box<dyn Read + Send>,
    watch: Watch,
}

impl Read for Stoppable {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.watch.go_on()?;
        self.inner.read(buffer)
    }
}

fn copy_content<R: Read>(entry: &mut Entry<'_, R>, mut file: &File, layer: &Descriptor, target: &Path) -> Result<(), ImageError> {
    let mut buffer = vec![0; 256 << 10];
    loop {
        let count = entry.read(&mut buffer).map_err(|source| ImageError::Unpacking { digest: layer.digest, source })?;
        if count == 0 {
            return Ok(());
        }
        file.write_all(&buffer[..count]).map_err(writing(target))?;
    }
}

fn file_name(path: &Path) -> &str {
    path.file_name().and_then(|name| name.to_str()).unwrap_or_default()
}

fn link_name<R: Read>(entry: &Entry<'_, R>) -> Option<PathBuf> {
    entry.link_name().ok().flatten().map(std::borrow::Cow::into_owned)
}

/// Whether a link at `path` ends inside `models`. It may climb only at its beginning, where the directories are real ones; what
/// follows goes down, through names that are no links or links of which the same is true.
fn stays_below_models(path: &Path, target: &Path) -> bool {
    let climbs = target.components().take_while(|part| *part == Component::ParentDir).count();
    let goes_down = target.components().skip(climbs).all(|part| matches!(part, Component::Normal(_) | Component::CurDir));
    let depth_of_directory = path.components().count().saturating_sub(1);
    goes_down && climbs < depth_of_directory.max(1)
}
