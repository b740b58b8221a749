//! Where a repository's API is, and by which schemes it may be reached. Pure.

use url::{Host, Url};

use super::RegistryError;
use crate::oci::Reference;

/// How a registry can be spoken to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scheme {
    Http,
    Https,
}

impl Scheme {
    fn prefix(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
        }
    }
}

/// A repository as its registry's API knows it.
#[derive(Clone, Debug)]
pub(super) struct Address {
    /// The registry as the user wrote it: `docker.io`, `localhost:5000`.
    pub(super) registry: String,
    /// The repository in API paths: `library/busybox`.
    pub(super) repository: String,
    host: String,
}

impl Address {
    /// Docker Hub's API is not at its name, and its one-word repositories are in `library/`.
    pub(super) fn new(reference: &Reference) -> Self {
        Self::of(reference.registry(), reference.repository())
    }

    /// The same; the repository may be empty where only the registry matters.
    pub(super) fn of(registry: &str, repository: &str) -> Self {
        let (registry, repository) = (registry.to_owned(), repository.to_owned());
        if !matches!(registry.as_str(), "docker.io" | "index.docker.io") {
            return Self { host: registry.clone(), registry, repository };
        }
        let repository = if repository.contains('/') { repository } else { format!("library/{repository}") };
        Self { registry, repository, host: "registry-1.docker.io".to_owned() }
    }

    /// The schemes to try, in order.
    ///
    /// HTTPS alone, as podman and docker do, with two exceptions: a registry on this machine is asked over HTTP first (docker's
    /// rule for loopback), and `--tls-verify=false` falls back to HTTP. `--tls-verify=true` insists on HTTPS even on loopback.
    pub(super) fn schemes(&self, tls_verify: Option<bool>) -> &'static [Scheme] {
        match tls_verify {
            Some(true) => &[Scheme::Https],
            _ if self.is_loopback() => &[Scheme::Http, Scheme::Https],
            Some(false) => &[Scheme::Https, Scheme::Http],
            None => &[Scheme::Https],
        }
    }

    /// `https://quay.io/v2/`.
    pub(super) fn api(&self, scheme: Scheme) -> Result<Url, RegistryError> {
        let text = format!("{}://{}/v2/", scheme.prefix(), self.host);
        let address = |reason: String| RegistryError::Address { registry: self.registry.clone(), reason };
        let url = Url::parse(&text).map_err(|error| address(error.to_string()))?;
        if !url.username().is_empty() || url.path() != "/v2/" {
            return Err(address("it is more than a host and a port".to_owned()));
        }
        Ok(url)
    }

    /// `org/model/blobs/sha256:…`, to join to [`Address::api`].
    pub(super) fn path(&self, rest: &str) -> String {
        format!("{}/{rest}", self.repository)
    }

    fn is_loopback(&self) -> bool {
        self.api(Scheme::Http).is_ok_and(|url| is_loopback(&url))
    }
}

/// Whether a URL's host is this machine by its very name: `localhost`, 127.0.0.0/8, `::1`.
pub(super) fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(reference: &str) -> Address {
        Address::new(&reference.parse().unwrap())
    }

    #[test]
    fn docker_hub_is_reached_where_its_api_lives() {
        for (reference, api, path) in [
            ("docker.io/busybox", "https://registry-1.docker.io/v2/", "library/busybox/tags/list"),
            ("index.docker.io/org/model:v1", "https://registry-1.docker.io/v2/", "org/model/tags/list"),
            ("quay.io/model", "https://quay.io/v2/", "model/tags/list"),
            ("registry.local:8443/a/b/c", "https://registry.local:8443/v2/", "a/b/c/tags/list"),
            ("[::1]:5000/a", "https://[::1]:5000/v2/", "a/tags/list"),
        ] {
            let address = address(reference);
            assert_eq!(address.api(Scheme::Https).unwrap().as_str(), api, "{reference}");
            assert_eq!(address.path("tags/list"), path, "{reference}");
        }
    }

    #[test]
    fn plain_http_is_for_this_machine_and_for_those_who_ask() {
        use Scheme::{Http, Https};
        for (reference, tls_verify, schemes) in [
            ("quay.io/a/b", None, &[Https][..]),
            ("quay.io/a/b", Some(true), &[Https]),
            ("quay.io/a/b", Some(false), &[Https, Http]),
            ("localhost:5000/a", None, &[Http, Https]),
            ("127.0.0.9:5000/a", None, &[Http, Https]),
            ("127.0.0.1:5000/a", Some(false), &[Http, Https]),
            ("[::1]:5000/a", None, &[Http, Https]),
            ("localhost:5000/a", Some(true), &[Https]),
            ("10.0.0.1:5000/a", None, &[Https]),
            ("localhost.example.com/a", None, &[Https]),
        ] {
            assert_eq!(address(reference).schemes(tls_verify), schemes, "{reference} {tls_verify:?}");
        }
    }
}
