//! A registry repository: our own client of the distribution API, <https://github.com/opencontainers/distribution-spec>.
//!
//! ```text
//! RegistryStore ─► manifest, referrers, listing, upload, download     what is asked of a repository
//!                                 │
//!                              client                                 find the registry, log in, redirect, try again
//!                    ┌────────────┼───────────┐
//!                  retry         auth      transport                  when again · who · one exchange
//!                             ┌───┴────┐       │
//!                       credentials  token    body                    files and helpers · bearer · file to socket
//! ```
//!
//! `mirrors` tells from the user's and the machine's files where an image is read, and `sources` asks there. `login` keeps and forgets log-ins. `address`, `answer`, `challenge` and `location` are pure: they read what registries say and decide what may be done about it.
//!
//! `upload` knows several ways to send a blob and chooses by what the registry takes.

use std::io::Read;
use std::sync::Arc;
use std::time::Duration;

use super::{Access, BlobSource, Store, StoreError, StoreOptions, VerifiedReader};
use crate::oci::{Descriptor, Digest, ManifestRef, RawManifest, Reference};

mod address;
mod answer;
mod auth;
mod body;
mod certs;
mod challenge;
mod client;
mod credentials;
pub mod doctor;
mod download;
mod error;
mod helper;
mod listing;
mod location;
pub mod login;
mod manifest;
mod mirrors;
mod pace;
mod proxy;
mod referrers;
mod retry;
mod roots;
mod secret;
mod sources;
mod stream;
#[cfg(test)]
mod tests;
mod token;
mod transport;
mod upload;
mod web;

use address::Address;
use auth::{Auth, Scopes};
use client::Client;
use download::Download;
pub use error::{Cause, RegistryError};
use mirrors::{Route, Source};
use retry::Retry;
pub use roots::read_ca_file;
use sources::Sources;
pub use stream::Stream;
use transport::Transport;
pub use web::{Answer, Ask, Bearer, Web, carries_secrets, shown_url};

/// How long nothing may move on a connection.
const IDLE: Duration = Duration::from_secs(60);

/// The images of a repository.
///
/// Its methods block, and must not be called from a thread of an asynchronous runtime.
pub struct RegistryStore {
    name: String,
    /// The repository itself; the last of its mirrors where it must not be read.
    client: Arc<Client>,
    /// Whom to ask for what is read.
    sources: Sources,
    ways: upload::Ways,
}

/// What tests set otherwise.
struct Patience {
    idle: Duration,
    retry: Retry,
}

impl Patience {
    fn of(options: &StoreOptions) -> Self {
        let retry = Retry::default().trying(options.retries, options.retry_delay);
        Self { idle: options.idle_timeout.unwrap_or(IDLE), retry }
    }
}

impl RegistryStore {
    /// The repository of `reference`. Nothing is sent yet; files named by the options are read, and with [`Access::Read`] those that name
    /// mirrors: what is written goes to the repository itself.
    ///
    /// # Errors
    /// A file that cannot be used; a repository that must not be read.
    pub fn new(reference: &Reference, access: Access, options: &StoreOptions) -> Result<Self, StoreError> {
        let route = match access {
            Access::Read => mirrors::read(&|name| std::env::var_os(name))?.route(reference)?,
            Access::Write => Route::direct(reference),
        };
        Self::along(&route, reference, access, options, &Patience::of(options))
    }

    fn along(
        route: &Route,
        reference: &Reference,
        access: Access,
        options: &StoreOptions,
        patience: &Patience,
    ) -> Result<Self, StoreError> {
        let connect = |source: &Source, patience| connect(source, access, &source.options(reference, options), patience);
        let client = connect(&route.last, patience)?;
        let hasty = Patience { idle: patience.idle, retry: patience.retry.clone().hasty() };
        let mirrors = route.before.iter().map(|mirror| connect(mirror, &hasty)).collect::<Result<Vec<_>, _>>()?;
        let ways = upload::Ways::new(&client.address().registry, options.chunk_size);
        Ok(Self { name: reference.name(), sources: Sources::new(mirrors, client.clone()), client, ways })
    }

    /// A blob from a byte on, unverified.
    fn download(&self, blob: &Descriptor, offset: u64) -> Result<Download, StoreError> {
        Download::open(self.sources.in_order(), blob, offset)
    }
}

/// A client of one place.
fn connect(source: &Source, access: Access, options: &StoreOptions, patience: &Patience) -> Result<Arc<Client>, StoreError> {
    let address = Address::new(&source.image);
    let places = credentials::places(options.authfile.as_deref(), rustix::process::getuid().as_raw(), &|name| std::env::var_os(name));
    places.iter().try_for_each(credentials::check)?;
    let transport = Transport::for_registry(&address, options, patience.idle)?;
    let (schemes, scopes) = (address.schemes(options.tls_verify), scopes(&address, access));
    let auth = Auth::new(address.clone(), places);
    Ok(Arc::new(Client::new(address, schemes, scopes, transport, auth, patience.retry.clone())))
}

/// Rights for the whole life of the store: one token serves reads and writes.
fn scopes(address: &Address, access: Access) -> Scopes {
    let actions = match access {
        Access::Read => "pull",
        Access::Write => "pull,push",
    };
    vec![format!("repository:{}:{actions}", address.repository)]
}

impl Store for RegistryStore {
    fn has_blob(&self, blob: &Descriptor) -> Result<bool, StoreError> {
        Ok(self.sources.find(|place| Ok(upload::exists(place, &blob.digest)?.then_some(())))?.is_some())
    }

    fn put_blob(&self, blob: &Descriptor, source: &dyn BlobSource) -> Result<(), StoreError> {
        if self.has_blob(blob)? {
            return Ok(());
        }
        upload::known(&self.client, &self.ways, blob, source)
    }

    fn put_new_blob(&self, size: u64, source: &dyn BlobSource) -> Result<Digest, StoreError> {
        upload::new(&self.client, &self.ways, size, source)
    }

    fn mount_blob(&self, blob: &Descriptor, from: &Reference) -> Result<bool, StoreError> {
        Ok(upload::mount(&self.client, &blob.digest, &Address::new(from)))
    }

    fn get_blob(&self, blob: &Descriptor) -> Result<Box<dyn Read + Send>, StoreError> {
        Ok(Box::new(VerifiedReader::new(self.download(blob, 0)?, blob)))
    }

    fn get_blob_from(&self, blob: &Descriptor, offset: u64) -> Result<Box<dyn Read + Send>, StoreError> {
        Ok(Box::new(self.download(blob, offset)?))
    }

    fn put_manifest(&self, manifest: &RawManifest, at: &ManifestRef) -> Result<(), StoreError> {
        manifest::put(&self.client, manifest, at)
    }

    fn get_manifest(&self, at: &ManifestRef) -> Result<RawManifest, StoreError> {
        let missing = || StoreError::ManifestNotFound { store: self.name(), manifest: at.clone() };
        self.sources.find(|place| manifest::get(place, at))?.ok_or_else(missing)
    }

    fn referrers(&self, subject: &Digest) -> Result<Vec<Descriptor>, StoreError> {
        // a mirror may have the image and not its signatures
        let some = |place: &Client| referrers::list(place, subject).map(|found| Some(found).filter(|found| !found.is_empty()));
        Ok(self.sources.find(some)?.unwrap_or_default())
    }

    fn tags(&self) -> Result<Vec<String>, StoreError> {
        listing::tags(&self.client)
    }

    fn some_tags(&self) -> Result<Vec<String>, StoreError> {
        listing::some_tags(&self.client)
    }

    fn name(&self) -> String {
        self.name.clone()
    }
}
