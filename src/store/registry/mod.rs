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
//! `address`, `answer`, `challenge` and `location` are pure: they read what registries say and decide what may be done about it.
//!
//! Where later work goes: chunked upload with resume and cross-repository mounts are other ways through `upload` (a mount adds its
//! source to the scopes of one request); resume of downloads belongs to `download`; client certificates to `transport`; mirrors
//! are further addresses that `client` tries for reads.

use std::io::Read;
use std::time::Duration;

use super::{Access, BlobSource, Store, StoreError, StoreOptions, VerifiedReader};
use crate::oci::{Descriptor, Digest, ManifestRef, RawManifest, Reference};

mod address;
mod answer;
mod auth;
mod body;
mod challenge;
mod client;
mod credentials;
mod download;
mod error;
mod helper;
mod listing;
mod location;
mod manifest;
mod referrers;
mod retry;
mod secret;
#[cfg(test)]
mod tests;
mod token;
mod transport;
mod upload;
mod web;

use address::Address;
use auth::{Auth, Scopes};
use client::Client;
pub use error::{Cause, RegistryError};
use retry::Retry;
use transport::Transport;
pub use web::{Answer, Ask, Web};

/// How long nothing may move on a connection.
const IDLE: Duration = Duration::from_secs(60);

/// The images of a repository.
///
/// Its methods block, and must not be called from a thread of an asynchronous runtime.
pub struct RegistryStore {
    name: String,
    client: Client,
}

/// What tests set otherwise.
struct Patience {
    idle: Duration,
    retry: Retry,
}

impl Default for Patience {
    fn default() -> Self {
        Self { idle: IDLE, retry: Retry::default() }
    }
}

impl RegistryStore {
    /// The repository of `reference`. Nothing is sent yet; files named by the options are read.
    pub fn new(reference: &Reference, access: Access, options: &StoreOptions) -> Result<Self, StoreError> {
        Self::with(reference, access, options, Patience::default())
    }

    fn with(reference: &Reference, access: Access, options: &StoreOptions, patience: Patience) -> Result<Self, StoreError> {
        let address = Address::new(reference);
        let places = credentials::places(options.authfile.as_deref(), rustix::process::getuid().as_raw(), &|name| std::env::var_os(name));
        places.iter().try_for_each(credentials::check)?;
        let roots = options.ca_file.as_deref().map(transport::read_roots).transpose()?.unwrap_or_default();
        let transport = Transport::new(options.tls_verify != Some(false), roots, patience.idle);
        let (schemes, scopes) = (address.schemes(options.tls_verify), scopes(&address, access));
        let auth = Auth::new(address.clone(), places);
        Ok(Self { name: reference.name(), client: Client::new(address, schemes, scopes, transport, auth, patience.retry) })
    }
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
        upload::exists(&self.client, &blob.digest)
    }

    fn put_blob(&self, blob: &Descriptor, source: &dyn BlobSource) -> Result<(), StoreError> {
        if self.has_blob(blob)? {
            return Ok(());
        }
        upload::upload(&self.client, blob, source)
    }

    fn get_blob(&self, blob: &Descriptor) -> Result<Box<dyn Read + Send>, StoreError> {
        Ok(Box::new(VerifiedReader::new(download::whole(&self.client, blob)?, blob)))
    }

    fn get_blob_from(&self, blob: &Descriptor, offset: u64) -> Result<Box<dyn Read + Send>, StoreError> {
        download::from(&self.client, blob, offset)
    }

    fn put_manifest(&self, manifest: &RawManifest, at: &ManifestRef) -> Result<(), StoreError> {
        manifest::put(&self.client, manifest, at)
    }

    fn get_manifest(&self, at: &ManifestRef) -> Result<RawManifest, StoreError> {
        let missing = || StoreError::ManifestNotFound { store: self.name(), manifest: at.clone() };
        manifest::get(&self.client, at)?.ok_or_else(missing)
    }

    fn referrers(&self, subject: &Digest) -> Result<Vec<Descriptor>, StoreError> {
        referrers::list(&self.client, subject)
    }

    fn tags(&self) -> Result<Vec<String>, StoreError> {
        listing::tags(&self.client)
    }

    fn name(&self) -> String {
        self.name.clone()
    }
}
