//! Where a cluster is, and who speaks to it.

use std::ffi::OsString;
use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use url::Url;

use super::ClusterError;

/// Where Kubernetes puts the service account of a pod.
pub(super) const MOUNTED: &str = "/var/run/secrets/kubernetes.io/serviceaccount";
/// A namespace is a DNS label, in bytes.
const MAX_NAMESPACE: u64 = 64;

/// What the user says about the cluster.
#[derive(Clone, Debug, Default)]
pub struct Given {
    /// The API server's address; without it that of the cluster that this runs in.
    pub url: Option<String>,
    /// A file with a token.
    pub token_file: Option<PathBuf>,
    /// PEM certificates to trust besides the system's.
    pub ca_file: Option<PathBuf>,
}

/// A cluster's address, and the files that belong to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) url: Url,
    pub(super) token_file: Option<PathBuf>,
    pub(super) ca_file: Option<PathBuf>,
    /// The pod's own.
    pub(super) namespace: Option<String>,
}

impl Place {
    /// The address that the user names, else the cluster around this pod. A pod's token is for its own cluster alone.
    pub(super) fn find(given: &Given, environment: &dyn Fn(&str) -> Option<OsString>, mounted: &Path) -> Result<Self, ClusterError> {
        if let Some(url) = &given.url {
            let (token_file, ca_file) = (given.token_file.clone(), given.ca_file.clone());
            return Ok(Self { url: address(url)?, token_file, ca_file, namespace: None });
        }
        let variable = |name: &str| environment(name).and_then(|value| value.into_string().ok()).filter(|value| !value.is_empty());
        let host = variable("KUBERNETES_SERVICE_HOST").ok_or(ClusterError::Nowhere)?;
        let port = variable("KUBERNETES_SERVICE_PORT").ok_or(ClusterError::Nowhere)?;
        let present = |name: &str| Some(mounted.join(name)).filter(|file| file.is_file());
        Ok(Self {
            url: address(&format!("https://{}:{port}", bracketed(&host)))?,
            token_file: given.token_file.clone().or_else(|| present("token")),
            ca_file: given.ca_file.clone().or_else(|| present("ca.crt")),
            namespace: namespace(&mounted.join("namespace")),
        })
    }
}

/// An IPv6 address stands in brackets in a URL, and without them in the variable.
fn bracketed(host: &str) -> String {
    if host.contains(':') && !host.starts_with('[') { format!("[{host}]") } else { host.to_owned() }
}

fn address(text: &str) -> Result<Url, ClusterError> {
    let refused = |reason| ClusterError::Address { reason };
    let url: Url = text.parse().map_err(|_| refused("it is not a URL such as https://api.example.com:6443"))?;
    if !matches!(url.scheme(), "https" | "http") || url.host().is_none() {
        return Err(refused("it begins with neither https:// nor http://"));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(refused("it holds a user or a password, which everybody on a machine can read on its command lines"));
    }
    if url.query().is_some() || url.fragment().is_some() { Err(refused("it has a query or a fragment")) } else { Ok(url) }
}

fn namespace(file: &Path) -> Option<String> {
    let mut text = String::new();
    File::open(file).ok()?.take(MAX_NAMESPACE).read_to_string(&mut text).ok()?;
    Some(text.trim().to_owned()).filter(|name| !name.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pod(host: &'static str) -> impl Fn(&str) -> Option<OsString> {
        move |name| match name {
            "KUBERNETES_SERVICE_HOST" => Some(host.into()),
            "KUBERNETES_SERVICE_PORT" => Some("443".into()),
            _ => None,
        }
    }

    fn mounted() -> tempfile::TempDir {
        let home = tempfile::tempdir().unwrap();
        for (name, text) in [("token", "t"), ("ca.crt", "pem"), ("namespace", "scratch\n")] {
            std::fs::write(home.path().join(name), text).unwrap();
        }
        home
    }

    #[test]
    fn a_pod_finds_its_own_cluster() {
        let home = mounted();
        for (host, url) in [("10.0.0.1", "https://10.0.0.1/"), ("fd00::1", "https://[fd00::1]/"), ("kube.local", "https://kube.local/")] {
            let place = Place::find(&Given::default(), &pod(host), home.path()).unwrap();
            assert_eq!((place.url.as_str(), place.namespace.as_deref()), (url, Some("scratch")));
            assert_eq!((place.token_file, place.ca_file), (Some(home.path().join("token")), Some(home.path().join("ca.crt"))));
        }
        assert!(matches!(Place::find(&Given::default(), &|_| None, home.path()), Err(ClusterError::Nowhere)));
    }

    #[test]
    fn a_pods_token_goes_to_no_address_that_somebody_names() {
        let home = mounted();
        let given = Given { url: Some("https://other.example.com:6443".to_owned()), ..Given::default() };
        let place = Place::find(&given, &pod("10.0.0.1"), home.path()).unwrap();
        assert_eq!((place.url.as_str(), place.token_file, place.namespace), ("https://other.example.com:6443/", None, None));
    }

    #[test]
    fn what_is_no_address_is_refused_and_never_repeated() {
        for (text, reason) in [
            ("api.example.com", "not a URL"),
            ("ftp://api.example.com", "neither"),
            ("https://admin:s3cret@api.example.com", "user or a password"),
            ("https://api.example.com/?a", "query"),
        ] {
            let given = Given { url: Some(text.to_owned()), ..Given::default() };
            let error = Place::find(&given, &|_| None, Path::new("/nothing")).unwrap_err();
            assert!(error.to_string().contains(reason) && !error.to_string().contains("s3cret"), "{error}");
            assert!(error.hint().is_some() && error.exit_code() == 2);
        }
    }
}
