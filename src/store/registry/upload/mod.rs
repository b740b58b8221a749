//! Sends blobs: <https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#pushing-blobs>.
//!
//! ```text
//! known digest    POST, PUT with all bytes                                     one request: what every registry takes
//! new             POST, PATCH with all bytes, empty PUT with the digest        hashed on the way, read once
//! in chunks       POST, PATCH by PATCH with Content-Range, empty PUT           where asked for or needed
//! broken off      GET what is there, PATCH the rest, empty PUT                 where the registry kept bytes; else anew
//! ```
//!
//! `plan` decides which, from a table of registries and from what they answer; what a refusal teaches is kept for the blobs that follow.
//! Whatever happens, a session is ended or given back.

use std::cell::Cell;
use std::sync::{Arc, Mutex, PoisonError};

use reqwest::Method;

use super::RegistryError;
use super::answer::printable;
use super::body::{Identity, Supply};
use super::client::{Call, Client};
use super::retry::Failure;
use super::transport::Response;
use crate::oci::{Descriptor, Digest, Hasher};
use crate::store::{BlobSource, StoreError, hashed};

mod mount;
mod plan;
mod send;
mod session;

pub(super) use mount::mount;
use plan::{Knowledge, Manners, Shape, Terms};
use session::{Kept, Session};

/// So many more bytes must have been confirmed for a broken upload to count as one that moves on.
const MOVED: u64 = 1 << 20;

/// How often a registry may refuse a chunk that should fit on what it told to have, before the session is given up.
const MAX_MISFITS: u32 = 2;

/// How often one blob may be sent in another way. There are three ways, and what is learnt is never unlearnt.
const MAX_LESSONS: u32 = 4;

/// Whether the registry has a blob that it can give.
pub(super) fn exists(client: &Client, digest: &Digest) -> Result<bool, StoreError> {
    match client.call(&head(digest)) {
        Err(error) if is_broken_link(&error) => Ok(false),
        answer => found(client, answer?),
    }
}

/// Sends a blob that the registry does not have.
pub(super) fn known(client: &Arc<Client>, ways: &Ways, blob: &Descriptor, source: &dyn BlobSource) -> Result<(), StoreError> {
    Upload::new(client, ways, blob.size, source).run(Some(blob.digest)).map(drop)
}

/// Sends a blob of unknown digest, which is told.
pub(super) fn new(client: &Arc<Client>, ways: &Ways, size: u64, source: &dyn BlobSource) -> Result<Digest, StoreError> {
    Upload::new(client, ways, size, source).run(None)
}

fn head(digest: &Digest) -> Call {
    Call::new(Method::HEAD, format!("blobs/{digest}"))
}

fn found(client: &Client, response: Response) -> Result<bool, StoreError> {
    match response.status.as_u16() {
        200 => Ok(true),
        404 => Ok(false),
        _ => Err(client.refused(response).into()),
    }
}

/// A disk that was full left distribution an empty link to the blob: every HEAD is answered with 500 until the blob is sent again.
fn is_broken_link(error: &StoreError) -> bool {
    matches!(error, StoreError::Registry(error) if matches!(**error, RegistryError::Unexpected { status: 500, .. }))
}

/// Checks the digest that the registry says it stored, where it says one.
pub(super) fn confirm(response: &Response, what: &str, digest: &Digest) -> Result<(), RegistryError> {
    match response.header("docker-content-digest") {
        Some(stored) if stored.starts_with("sha256:") && stored != digest.to_string() => {
            Err(RegistryError::DigestChanged { what: what.to_owned(), expected: printable(stored), found: *digest })
        }
        _ => Ok(()),
    }
}

/// How this registry takes blobs, as far as is known by now.
pub(super) struct Ways {
    manners: Mutex<Manners>,
    /// `--chunk-size`
    asked: Option<u64>,
}

impl Ways {
    pub(super) fn new(registry: &str, asked: Option<u64>) -> Self {
        Self { manners: Mutex::new(Manners::of(registry)), asked }
    }

    fn manners(&self) -> Manners {
        *self.manners.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn learn(&self, manners: Manners) {
        tracing::debug!("the registry does not take uploads as they were sent, from now on: {manners:?}");
        *self.manners.lock().unwrap_or_else(PoisonError::into_inner) = manners;
    }
}

/// What became of an attempt that did not fail.
enum Answer {
    Stored(Digest),
    /// It must be sent in another way.
    Otherwise(Manners),
}

/// One blob on its way up, through all attempts.
struct Upload<'a> {
    client: &'a Arc<Client>,
    ways: &'a Ways,
    size: u64,
    source: &'a dyn BlobSource,
    /// From the start, or once all bytes have passed.
    digest: Option<Digest>,
    session: Option<Session>,
    attempts: u32,
}

impl<'a> Upload<'a> {
    fn new(client: &'a Arc<Client>, ways: &'a Ways, size: u64, source: &'a dyn BlobSource) -> Self {
        Self { client, ways, size, source, digest: None, session: None, attempts: 0 }
    }

    fn run(mut self, digest: Option<Digest>) -> Result<Digest, StoreError> {
        self.digest = digest;
        if let Some(most) = plan::layer_limit(&self.client.address().registry).filter(|most| self.size > *most) {
            let gib = |bytes: u64| bytes >> 30;
            tracing::warn!("a layer of {} GiB: Quay takes {} GiB unless its MAXIMUM_LAYER_SIZE is raised", gib(self.size), gib(most));
        }
        let what = digest.map_or_else(|| format!("upload of {} new bytes", self.size), |digest| format!("upload of {digest}"));
        let (confirmed, counted) = (Cell::new(0), Cell::new(0));
        let moved = || confirmed.get() >= counted.get() + MOVED && counted.replace(confirmed.get()) < u64::MAX;
        let result = self.client.retry().run_while(&what, &moved, || {
            let result = self.attempt();
            let acknowledged = self.session.as_ref().map_or(0, |session| session.acknowledged);
            confirmed.set(confirmed.get().max(acknowledged));
            result
        });
        // A broken session was kept for another attempt that did not come. No use where the registry cannot be reached; it forgets sessions after some days.
        if !result.as_ref().is_err_and(is_out_of_reach) {
            self.give_back();
        }
        result
    }

    fn attempt(&mut self) -> Result<Digest, Failure> {
        self.attempts += 1;
        if let Some(digest) = self.arrived()? {
            return Ok(digest);
        }
        for _ in 0..MAX_LESSONS {
            match self.attempt_once()? {
                Answer::Stored(digest) => return Ok(digest),
                Answer::Otherwise(manners) => self.ways.learn(manners),
            }
        }
        let reason = "it refuses each way to send a blob".to_owned();
        Err(RegistryError::BadAnswer { url: self.client.name(), reason }.into())
    }

    fn attempt_once(&mut self) -> Result<Answer, Failure> {
        self.hash_where_needed()?;
        let mut session = self.ready()?;
        let shape = self.shape(&session);
        let failure = match self.send(&mut session, shape) {
            Ok(digest) => return Ok(Answer::Stored(digest)),
            Err(failure) => failure,
        };
        let lesson = self.lesson(shape, session.terms, &failure);
        self.keep(session, &failure);
        lesson.map(Answer::Otherwise).ok_or(failure)
    }

    /// A registry that takes no streams must be told the digest first.
    fn hash_where_needed(&mut self) -> Result<(), Failure> {
        if self.digest.is_none() && self.ways.manners().hashes_first(self.size) {
            self.digest = Some(hashed(self.size, self.source)?.digest);
        }
        Ok(())
    }

    /// The connection may have broken off after the registry had all it needs.
    fn arrived(&self) -> Result<Option<Digest>, Failure> {
        let Some(digest) = self.digest.filter(|_| self.attempts > 1) else { return Ok(None) };
        match self.client.attempt(&head(&digest)) {
            Err(failure) if is_broken_link(&failure.error) => Ok(None),
            answer => Ok(found(self.client, answer?)?.then_some(digest)),
        }
    }

    /// The session to send to: the last one, where the registry kept bytes of it, or a new one.
    fn ready(&mut self) -> Result<Session, Failure> {
        let terms = match self.session.take() {
            None => Terms::default(),
            Some(mut session) => match self.ask(&mut session) {
                Ok(Kept::Bytes(count)) => {
                    tracing::debug!("the upload goes on after {count} of {} bytes", self.size);
                    return Ok(session);
                }
                Ok(Kept::Gone) => session.terms,
                Err(failure) if failure.trouble.is_some() => {
                    self.session = Some(session);
                    return Err(failure);
                }
                Ok(Kept::Nothing) | Err(_) => {
                    let terms = session.terms;
                    session.cancel(self.client);
                    terms
                }
            },
        };
        let mut session = Session::open(self.client)?;
        session.terms =
            Terms { least: session.terms.least.or(terms.least), most: session.terms.most.or(terms.most), asked: self.ways.asked };
        Ok(session)
    }

    fn ask(&self, session: &mut Session) -> Result<Kept, Failure> {
        let goes_on = session.sent > 0 && session.misfits < MAX_MISFITS && self.ways.manners().rest(session.terms).is_some();
        if goes_on { session.ask(self.client) } else { Ok(Kept::Nothing) }
    }

    fn shape(&self, session: &Session) -> Shape {
        let manners = self.ways.manners();
        match manners.rest(session.terms).filter(|_| session.acknowledged > 0) {
            Some(chunk) => Shape::Chunks(chunk),
            None => manners.shape(self.size, self.digest.map_or(Knowledge::SizeOnly, |_| Knowledge::Digest), session.terms),
        }
    }

    fn send(&mut self, session: &mut Session, shape: Shape) -> Result<Digest, Failure> {
        let identity = self.digest.map_or_else(|| Identity::Hashing(Hasher::default()), Identity::Known);
        let supply = Supply::start(self.source, self.size, session.acknowledged, identity, self.client.pace())
            .map_err(|error| self.unreadable(error))?;
        // a source that failed is why the connection was cut
        self.send_from(&supply, session, shape).map_err(|failure| supply.fault().map_or(failure, |error| self.unreadable(error)))
    }

    fn send_from(&mut self, supply: &Supply, session: &mut Session, shape: Shape) -> Result<Digest, Failure> {
        if self.size == 0 {
            // no byte of the body could tell that there is one too many
            supply.finish().map_err(|error| self.unreadable(error))?;
        }
        match (shape, self.digest) {
            (Shape::Whole, Some(digest)) => return send::whole(self.client, session, supply, self.size, digest).map(|()| digest),
            (Shape::Whole | Shape::Stream, _) => send::stream(self.client, session, supply, self.size)?,
            (Shape::Chunks(chunk), _) => send::chunks(self.client, session, supply, self.size, chunk)?,
        }
        let digest = supply.finish().map_err(|error| self.unreadable(error))?;
        self.digest = Some(digest);
        send::commit(self.client, session, supply, digest).map(|()| digest)
    }

    fn unreadable(&self, source: std::io::Error) -> Failure {
        match self.digest {
            Some(digest) => StoreError::Source { digest, source }.into(),
            None => StoreError::Unhashed { size: self.size, source }.into(),
        }
    }

    /// What a refusal teaches, unless this blob would then be sent as it was.
    fn lesson(&self, shape: Shape, terms: Terms, failure: &Failure) -> Option<Manners> {
        let (status, said) = send::refusal(&failure.error).filter(|_| failure.trouble.is_none())?;
        let manners = plan::lesson(self.ways.manners(), shape, status, said)?;
        let known = self.digest.is_some() || manners.hashes_first(self.size);
        let next = manners.shape(self.size, if known { Knowledge::Digest } else { Knowledge::SizeOnly }, terms);
        (next != shape).then_some(manners)
    }

    /// Keeps a session that may go on, and gives back one that will not.
    fn keep(&mut self, session: Session, failure: &Failure) {
        self.session = Some(session);
        if failure.trouble.is_none() {
            self.give_back();
        }
    }

    fn give_back(&mut self) {
        if let Some(session) = self.session.take() {
            session.cancel(self.client);
        }
    }
}

fn is_out_of_reach(error: &StoreError) -> bool {
    matches!(error, StoreError::Registry(error) if matches!(**error, RegistryError::Unreachable { .. } | RegistryError::Stalled { .. }))
}
