//! The work: several files at once, each kept, resumed or fetched, and all of them named at the end.

use std::collections::BTreeSet;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use fs_err as fs;

use super::draft::Draft;
use super::folder::Folder;
use super::item::{Body, Item, Listing, Opened, Wish};
use super::proof::{Proof, SumKind};
use super::record::{Known, Record};
use super::{FetchError, Fetched, FetchedFile, names, web};
use crate::image::compose::content_digest;
use crate::image::{Event, Watch};
use crate::model::MAX_FILES;

mod bundles;

/// Files that are fetched at once.
const PARALLEL: usize = 4;
/// Downloads that break off in a row, without a byte between them.
const MOST_BREAKS: u32 = 5;
const RECORD: &str = "fetch.json";

/// All of a listing on its way into a folder.
pub(super) struct Transfer<'a> {
    listing: &'a Listing,
    folder: Folder,
    record: Record,
    watch: &'a Watch,
    stopped: AtomicBool,
}

/// A file that is ready.
struct Got {
    path: String,
    known: Known,
    /// Where its bytes are, unless the folder has them already.
    draft: Option<PathBuf>,
    /// What it came out of.
    bundle: Option<String>,
}

/// How an attempt ended.
enum Attempt {
    /// The folder's file is still the source's.
    Unchanged,
    /// All bytes are in the draft; the checksums that came with them.
    Whole(Vec<(SumKind, String)>),
}

impl<'a> Transfer<'a> {
    pub(super) fn new(listing: &'a Listing, dir: &Path, watch: &'a Watch) -> Result<Self, FetchError> {
        let folder = Folder::open(dir)?;
        let record = Record::read(&folder.corner(RECORD));
        Ok(Self { listing, folder, record, watch, stopped: AtomicBool::new(false) })
    }

    pub(super) fn run(self) -> Result<Fetched, FetchError> {
        let mut got = self.files()?;
        for (number, bundle) in self.listing.bundles.iter().enumerate() {
            got.extend(self.bundle(self.listing.items.len() + number, bundle)?);
        }
        self.judge(&mut got)?;
        let drafts = || got.iter().filter_map(|got| Some((got.draft.as_deref()?, got.path.as_str())));
        drafts().try_for_each(|(_, path)| self.folder.prepare(path))?;
        drafts().try_for_each(|(draft, path)| self.folder.place(draft, path))?;
        let removed = self.remove_stale(&got)?;
        record_of(&got).write(&self.folder.corner(RECORD))?;
        self.folder.tidy()?;
        Ok(self.fetched(got, removed))
    }

    fn fetched(&self, got: Vec<Got>, removed: Vec<String>) -> Fetched {
        let file = |got: Got| FetchedFile { path: got.path, size: got.known.size, digest: got.known.digest, fetched: got.draft.is_some() };
        let files: Vec<FetchedFile> = got.into_iter().map(file).collect();
        let digest = content_digest(files.iter().map(|file| (file.path.as_str(), &file.digest)));
        let (path, uri) = (self.folder.root().to_owned(), self.listing.uri.clone());
        let mut notes = self.listing.notes.clone();
        notes.extend(self.strangers(&files));
        Fetched { path, uri, digest, files, removed, notes }
    }

    /// What comes out of bundles is known only now.
    fn judge(&self, got: &mut [Got]) -> Result<(), FetchError> {
        if got.is_empty() {
            return Err(FetchError::Nothing { uri: self.listing.uri.clone() });
        }
        if got.len() > MAX_FILES {
            return Err(FetchError::TooMuch { most: format!("{MAX_FILES} files") });
        }
        got.sort_by(|a, b| a.path.cmp(&b.path));
        names::ensure_apart(got.iter().map(|got| got.path.as_str()))
    }

    /// All files, the first error, or what explains it best.
    fn files(&self) -> Result<Vec<Got>, FetchError> {
        self.ensure_space()?;
        let items = &self.listing.items;
        let sizes = items.iter().map(|item| (item.path.clone(), item.size.unwrap_or_default()));
        let bundles = self.listing.bundles.iter().map(|bundle| (bundle.name.clone(), bundle.size));
        self.watch.tell(Event::Begun { hash: 0, blobs: sizes.chain(bundles).collect() });
        let (next, results) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
        let work = || {
            while let Some((number, item)) = Some(next.fetch_add(1, Ordering::Relaxed)).and_then(|at| Some((at, items.get(at)?))) {
                let result = self.file(number, item);
                if result.is_err() {
                    self.stopped.store(true, Ordering::Relaxed);
                }
                results.lock().unwrap_or_else(PoisonError::into_inner).push(result);
            }
        };
        thread::scope(|scope| (0..PARALLEL.min(items.len())).for_each(|_| drop(scope.spawn(work))));
        let results = results.into_inner().unwrap_or_else(PoisonError::into_inner);
        let (got, mut errors): (Vec<_>, Vec<_>) = results.into_iter().partition(Result::is_ok);
        errors.sort_by_key(|error| matches!(error, Err(FetchError::Stopped)));
        errors.into_iter().next().map_or_else(|| got.into_iter().collect(), |error| error.map(|got| vec![got]))
    }

    fn ensure_space(&self) -> Result<(), FetchError> {
        let there = |item: &&Item| {
            let file = self.folder.root().join(&item.path);
            fs::symlink_metadata(file).is_ok_and(|metadata| Some(metadata.len()) == item.size)
        };
        let missing = |item: &Item| item.size.unwrap_or_default().saturating_sub(Draft::bytes_of(&self.folder, item));
        let files = self.listing.items.iter().filter(|item| !there(item)).map(missing);
        let bundles = self.listing.bundles.iter().filter(|bundle| !self.record.bundles.contains_key(&bundle.id)).map(|bundle| bundle.size);
        self.ensure_free(files.chain(bundles).fold(0, u64::saturating_add))
    }

    fn ensure_free(&self, needed: u64) -> Result<(), FetchError> {
        match self.folder.free() {
            Some(free) if free < needed => Err(FetchError::NoSpace { path: self.folder.root().to_owned(), needed, free }),
            _ => Ok(()),
        }
    }

    fn file(&self, number: usize, item: &Item) -> Result<Got, FetchError> {
        let there = self.folder.sums(&item.path, item.size, &item.proof)?;
        let there = there.map(|(size, sums)| (Known { version: None, size, digest: sums.sha256 }, sums));
        if let Some((known, sums)) = &there
            && item.proof.is_of_content()
            && sums.differ(&item.proof, &[]).is_none()
        {
            return Ok(self.kept(number, item, Known { version: item.proof.version(), ..known.clone() }));
        }
        // What has no digest counts as there where an earlier run fetched these bytes, and the source still calls them the same.
        let recorded =
            self.record.files.get(&item.path).filter(|record| there.as_ref().is_some_and(|(known, _)| known.digest == record.digest));
        match (recorded, &item.proof) {
            (Some(record), Proof::Version(version)) if record.version.as_ref() == Some(version) => {
                Ok(self.kept(number, item, record.clone()))
            }
            (Some(record), Proof::None) => self.fetch(number, item, Some(record)),
            _ => self.fetch(number, item, None),
        }
    }

    fn kept(&self, number: usize, item: &Item, known: Known) -> Got {
        tracing::debug!("`{}` is there already", item.path);
        self.watch.tell(Event::Present { blob: number });
        Got { path: item.path.clone(), known, draft: None, bundle: None }
    }

    /// Fetches until all is there and proved.
    fn fetch(&self, number: usize, item: &Item, had: Option<&Known>) -> Result<Got, FetchError> {
        let mut draft = Draft::open(&self.folder, item)?;
        loop {
            let sums = match (self.persist(number, item, &mut draft, had), had) {
                (Ok(Attempt::Whole(sums)), _) => sums,
                (Ok(Attempt::Unchanged), Some(known)) => {
                    draft.discard()?;
                    return Ok(self.kept(number, item, known.clone()));
                }
                (Ok(Attempt::Unchanged), None) => return Err(FetchError::Changed { path: item.path.clone() }),
                (Err(error), _) if is_full(&error) => return draft.discard().and(Err(error)),
                (Err(error), _) => return Err(error),
            };
            match prove(item, &draft, &sums) {
                Ok(known) => return self.whole(number, item, &draft, known),
                // The first half may have been another version's.
                Err(_) if draft.resumed => draft.clear()?,
                Err(error) => return draft.discard().and(Err(error)),
            }
        }
    }

    /// Asks again from where it broke off, as long as something comes.
    fn persist(&self, number: usize, item: &Item, draft: &mut Draft, had: Option<&Known>) -> Result<Attempt, FetchError> {
        let (mut breaks, mut before) = (0, draft.len());
        loop {
            let error = match self.attempt(number, item, draft, had) {
                Err(error) if error.is_broken() => error,
                ended => return ended,
            };
            breaks = if draft.len() > before { 1 } else { breaks + 1 };
            before = draft.len();
            if breaks >= MOST_BREAKS {
                return Err(error);
            }
            tracing::warn!("{error}; going on from there");
            thread::sleep(Duration::from_secs(1 << (breaks - 1)));
        }
    }

    fn whole(&self, number: usize, item: &Item, draft: &Draft, known: Known) -> Result<Got, FetchError> {
        draft.settle()?;
        self.watch.tell(Event::Stored { blob: number });
        Ok(Got { path: item.path.clone(), known, draft: Some(draft.path().to_owned()), bundle: None })
    }

    /// One request, from where the draft ends.
    fn attempt(&self, number: usize, item: &Item, draft: &mut Draft, had: Option<&Known>) -> Result<Attempt, FetchError> {
        if item.size == Some(draft.len()) && draft.resumed {
            return Ok(Attempt::Whole(Vec::new()));
        }
        // Nothing would tell whether the rest is of the same version.
        if !item.proof.is_of_content() && !draft.version().is_some_and(web::is_validator) {
            draft.clear()?;
        }
        let version = draft.version().map(str::to_owned);
        let wish = Wish { from: draft.len(), version: version.as_deref(), unless: had.and_then(|known| known.version.as_deref()) };
        let body = match self.listing.origin.open(item, &wish)? {
            Opened::Unchanged => return Ok(Attempt::Unchanged),
            Opened::Body(body) => body,
        };
        self.begin(item, draft, &body)?;
        self.watch.tell(Event::Sending { blob: number });
        self.watch.tell(Event::Sent { blob: number, bytes: draft.len() });
        let (expected, sums) = (item.size.or(body.size), body.sums);
        self.pour(number, item, draft, expected, body.reader)?;
        Ok(Attempt::Whole(sums))
    }

    /// Makes the draft ready for a body, if the body can be the file's.
    fn begin(&self, item: &Item, draft: &mut Draft, body: &Body) -> Result<(), FetchError> {
        if body.from == 0 && draft.len() > 0 {
            draft.clear()?;
        }
        draft.resumed = body.from > 0;
        if let Some(version) = item.proof.version().or_else(|| body.version.clone()) {
            draft.is_of(&version)?;
        }
        match (item.size, body.size) {
            (Some(expected), Some(size)) if expected != size => Err(sizes(item, expected, size)),
            (size, other) => self.ensure_free(size.or(other).unwrap_or_default().saturating_sub(draft.len())),
        }
    }

    /// The body into the draft.
    fn pour(
        &self,
        number: usize,
        item: &Item,
        draft: &mut Draft,
        expected: Option<u64>,
        mut body: Box<dyn std::io::Read + Send>,
    ) -> Result<(), FetchError> {
        let mut buffer = vec![0; 256 << 10];
        loop {
            self.go_on()?;
            let broken = |at, source| FetchError::Broken { path: item.path.clone(), at, source };
            let count = body.read(&mut buffer).map_err(|source| broken(draft.len(), source))?;
            if count == 0 {
                let short = expected.is_some_and(|size| draft.len() < size);
                return if short { Err(broken(draft.len(), std::io::ErrorKind::UnexpectedEof.into())) } else { Ok(()) };
            }
            let after = draft.len() + count as u64;
            if let Some(size) = expected.filter(|size| after > *size) {
                return Err(sizes(item, size, after));
            }
            draft.append(&buffer[..count])?;
            self.watch.tell(Event::Sent { blob: number, bytes: count as u64 });
        }
    }

    fn go_on(&self) -> Result<(), FetchError> {
        if self.stopped.load(Ordering::Relaxed) { Err(FetchError::Stopped) } else { Ok(()) }
    }

    /// Files of an earlier run that the source no longer has: those that nobody changed since.
    fn remove_stale(&self, got: &[Got]) -> Result<Vec<String>, FetchError> {
        let now: BTreeSet<&str> = got.iter().map(|got| got.path.as_str()).collect();
        let mut removed = Vec::new();
        for (path, known) in self.record.files.iter().filter(|(path, _)| !now.contains(path.as_str())) {
            let same = self.folder.sums(path, Some(known.size), &Proof::None)?.is_some_and(|(_, sums)| sums.sha256 == known.digest);
            if same {
                self.folder.remove(path)?;
                removed.push(path.clone());
            }
        }
        Ok(removed)
    }

    /// A note about files that are in the folder and not from the source: a build would pack them too.
    fn strangers(&self, files: &[FetchedFile]) -> Option<String> {
        let tree = crate::model::Tree::scan(self.folder.root(), crate::model::Links::default()).ok()?;
        let is_known = |path: &str| files.binary_search_by(|file| file.path.as_str().cmp(path)).is_ok();
        let others: Vec<&str> = tree.files().iter().map(|file| file.path.as_str()).filter(|path| !is_known(path)).collect();
        let first = others.first()?;
        Some(format!(
            "{} also holds {} that the source does not have, such as `{first}`",
            self.folder.root().display(),
            match others.len() {
                1 => "a file".to_owned(),
                count => format!("{count} files"),
            }
        ))
    }
}

fn prove(item: &Item, draft: &Draft, told: &[(SumKind, String)]) -> Result<Known, FetchError> {
    let sums = draft.hashes.clone().finish();
    match sums.differ(&item.proof, told) {
        Some((expected, found)) => Err(FetchError::Content { path: item.path.clone(), expected, found }),
        None => Ok(Known { version: draft.version().map(str::to_owned), size: draft.len(), digest: sums.sha256 }),
    }
}

fn record_of(got: &[Got]) -> Record {
    let mut record = Record::default();
    for got in got {
        record.files.insert(got.path.clone(), got.known.clone());
        if let Some(bundle) = &got.bundle {
            record.bundles.entry(bundle.clone()).or_default().push(got.path.clone());
        }
    }
    record
}

fn sizes(item: &Item, expected: u64, found: u64) -> FetchError {
    FetchError::Content { path: item.path.clone(), expected: format!("{expected} bytes"), found: format!("{found} or more") }
}

fn is_full(error: &FetchError) -> bool {
    matches!(error, FetchError::Io { source, .. } if source.kind() == std::io::ErrorKind::StorageFull)
}
