//! The certificates for one host: further authorities to trust, and the one that this client shows (mTLS).
//!
//! The folders and their files are podman's and docker's,
//! <https://github.com/containers/image/blob/main/docs/containers-certs.d.5.md>: `*.crt` is an authority, `NAME.cert` with `NAME.key` the
//! client's certificate. A `NAME.crt` that has a `NAME.key` and no `NAME.cert` beside it is the client's, too: so Kubernetes mounts a
//! secret of type `kubernetes.io/tls`.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use reqwest::{Certificate, Identity};
use url::Url;
use zeroize::Zeroizing;

use super::RegistryError;
use super::error::Cause;
use super::roots;
use super::transport::innermost;

/// Where the folders of single hosts are, the user's own first; below them they are called HOST or HOST:PORT.
const SYSTEM_WIDE: [&str; 2] = ["/etc/containers/certs.d", "/etc/docker/certs.d"];

/// Which folder has the certificates for a host.
#[derive(Clone, Debug, Default)]
pub(super) struct CertDirs {
    /// The folder that the user named, and the registry that it is for.
    named: Option<(String, PathBuf)>,
    places: Vec<PathBuf>,
}

/// What a folder holds.
pub(super) struct HostCertificates {
    pub(super) roots: Vec<Certificate>,
    pub(super) identity: Option<Identity>,
}

impl CertDirs {
    /// `named` is for every port of the registry's host, as its token service is often a neighbour, and for no other host.
    pub(super) fn new(registry: &Url, named: Option<&Path>, env: &dyn Fn(&str) -> Option<OsString>) -> Result<Self, RegistryError> {
        if let Some(dir) = named {
            read(dir)?;
        }
        let set = |name: &str| env(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        let own = set("XDG_CONFIG_HOME").or_else(|| set("HOME").map(|home| home.join(".config")));
        let own = own.map(|config| config.join("containers/certs.d"));
        let places = own.into_iter().chain(SYSTEM_WIDE.map(PathBuf::from)).collect();
        Ok(Self { named: named.map(|dir| (host(registry), dir.to_owned())), places })
    }

    /// The first folder that there is for the host of a URL.
    pub(super) fn of(&self, url: &Url) -> Option<PathBuf> {
        let host = host(url);
        if let Some((_, dir)) = self.named.as_ref().filter(|(registry, _)| *registry == host) {
            return Some(dir.clone());
        }
        let port = url.port_or_known_default().unwrap_or_default();
        let plain = url.port().is_none().then(|| host.clone());
        let names: Vec<String> = plain.into_iter().chain([format!("{host}:{port}")]).collect();
        self.places.iter().flat_map(|place| names.iter().map(|name| place.join(name))).find(|dir| dir.is_dir())
    }
}

fn host(url: &Url) -> String {
    url.host_str().unwrap_or_default().to_owned()
}

/// Reads a folder.
///
/// # Errors
/// A file that cannot be read, is none of its kind, or lacks its other half.
pub(super) fn read(dir: &Path) -> Result<HostCertificates, RegistryError> {
    let paths = roots::files(dir, &["crt", "cert", "key"]).map_err(|error| failed(dir, error.kind().to_string()))?;
    let ends = |path: &Path, ending: &str| path.extension().is_some_and(|found| found == ending);
    let beside = |path: &Path, ending: &str| paths.contains(&path.with_extension(ending));
    let is_pair = |path: &Path| ends(path, "cert") || (ends(path, "crt") && beside(path, "key") && !beside(path, "cert"));
    let (own, authorities): (Vec<&PathBuf>, Vec<&PathBuf>) = paths.iter().filter(|path| !ends(path, "key")).partition(|path| is_pair(path));
    if let Some(key) = paths.iter().find(|path| ends(path, "key") && !beside(path, "cert") && !beside(path, "crt")) {
        return Err(failed(key, "there is no certificate beside this key"));
    }
    if let [_, second, ..] = own[..] {
        return Err(failed(second, "it is the second client certificate of the folder, and only one can be shown"));
    }
    let roots = authorities.into_iter().map(|path| roots::read_roots(path)).collect::<Result<Vec<_>, _>>()?;
    let identity = own.first().map(|path| identity(path)).transpose()?;
    Ok(HostCertificates { roots: roots.into_iter().flatten().collect(), identity })
}

fn identity(certificate: &Path) -> Result<Identity, RegistryError> {
    let key = certificate.with_extension("key");
    if !key.exists() {
        return Err(failed(certificate, format!("there is no key {} beside this certificate", key.display())));
    }
    let secret = Zeroizing::new(roots::read(&key, roots::MAX_CA_FILE)?);
    let text = String::from_utf8_lossy(&secret);
    if text.contains("ENCRYPTED") {
        return Err(failed(&key, "the key is encrypted, and there is nobody to ask for its password"));
    }
    if !text.contains("PRIVATE KEY-----") {
        return Err(failed(&key, "it holds no private key in PEM (PKCS#8, PKCS#1 or SEC1)"));
    }
    // openssl puts the curve's parameters before an EC key, and reqwest knows no such section
    let key_only = text.find("-----BEGIN EC PRIVATE KEY").map_or(&*text, |begin| &text[begin..]);
    let chain = roots::read(certificate, roots::MAX_CA_FILE)?;
    let both = Zeroizing::new([&chain[..], b"\n", key_only.as_bytes()].concat());
    let pair = Identity::from_pem(&both).map_err(|error| failed(certificate, innermost(&error).0))?;
    // that the two belong together shows when they are used
    let client = reqwest::Client::builder().tls_certs_only([]).identity(pair.clone()).build();
    client.map_err(|error| failed(certificate, format!("it does not belong to the key {}: {}", key.display(), innermost(&error).0)))?;
    Ok(pair)
}

fn failed(path: &Path, cause: impl Into<String>) -> RegistryError {
    RegistryError::CertDir { path: path.to_owned(), source: Cause(cause.into()) }
}

#[cfg(test)]
mod tests {
    use std::error::Error as _;
    use std::process::Command;

    use super::*;

    const CA: &str = "-----BEGIN CERTIFICATE-----\nMAAwADAA\n-----END CERTIFICATE-----\n";

    fn write(dir: &Path, files: &[(&str, &str)]) {
        for (name, text) in files {
            fs_err::write(dir.join(name), text).unwrap();
        }
    }

    fn why(files: &[(&str, &str)]) -> String {
        let dir = tempfile::tempdir().unwrap();
        write(dir.path(), files);
        let Err(error) = read(dir.path()) else { return "fine".to_owned() };
        assert!(error.hint().is_some());
        format!("{error}: {}", error.source().unwrap()).replace(&format!("{}/", dir.path().display()), "")
    }

    #[test]
    fn half_a_pair_is_named() {
        for (files, expected) in [
            (&[("client.cert", CA)][..], "client.cert: there is no key client.key beside"),
            (&[("client.key", "x")], "client.key: there is no certificate beside this key"),
            (&[("client.cert", CA), ("client.key", "x")], "client.key: it holds no private key in PEM"),
            (&[("client.cert", CA), ("client.key", "-----BEGIN ENCRYPTED PRIVATE KEY-----")], "client.key: the key is encrypted"),
            (&[("client.cert", CA), ("client.key", "Proc-Type: 4,ENCRYPTED")], "client.key: the key is encrypted"),
            (&[("a.cert", CA), ("a.key", "x"), ("b.cert", CA), ("b.key", "x")], "b.cert: it is the second client certificate"),
            (&[("ca.crt", "no certificate")], "no PEM certificate"),
            (&[("ca.crt", CA), ("README", "x")], "fine"),
            (&[], "fine"),
        ] {
            assert!(why(files).contains(expected), "{files:?}: {}", why(files));
        }
    }

    #[test]
    fn authorities_are_told_from_the_clients_own() {
        let dir = tempfile::tempdir().unwrap();
        write(dir.path(), &[("ca.crt", CA), ("other.crt", CA)]);
        let found = read(dir.path()).unwrap();
        assert_eq!((found.roots.len(), found.identity.is_some()), (2, false));
    }

    #[test]
    fn every_usual_form_of_a_key_will_do_and_a_foreign_one_will_not() {
        if Command::new("openssl").arg("version").output().is_err() {
            return;
        }
        let dir = tempfile::tempdir().unwrap();
        let openssl = |arguments: &str| {
            let output = Command::new("openssl").args(arguments.split(' ')).current_dir(dir.path()).output().unwrap();
            assert!(output.status.success(), "{arguments}: {}", String::from_utf8_lossy(&output.stderr));
        };
        openssl("ecparam -name prime256v1 -genkey -out ec.pem");
        openssl("pkcs8 -topk8 -nocrypt -in ec.pem -out ec8.pem");
        openssl("genrsa -traditional -out rsa.pem 2048");
        openssl("req -x509 -key ec.pem -subj /CN=ec -out ec.crt.pem");
        openssl("req -x509 -key rsa.pem -subj /CN=rsa -out rsa.crt.pem");
        let text = |name: &str| fs_err::read_to_string(dir.path().join(name)).unwrap();
        assert!(text("ec.pem").contains("EC PARAMETERS") && text("rsa.pem").contains("BEGIN RSA PRIVATE KEY"));
        for (names, certificate, key, good) in [
            (["client.cert", "client.key"], "ec.crt.pem", "ec.pem", true),
            (["tls.crt", "tls.key"], "ec.crt.pem", "ec8.pem", true),
            (["client.cert", "client.key"], "rsa.crt.pem", "rsa.pem", true),
            (["client.cert", "client.key"], "rsa.crt.pem", "ec.pem", false),
        ] {
            let folder = tempfile::tempdir().unwrap();
            write(folder.path(), &[(names[0], &text(certificate)), (names[1], &text(key)), ("ca.crt", CA)]);
            let found = read(folder.path());
            assert_eq!(found.as_ref().is_ok_and(|found| found.identity.is_some() && found.roots.len() == 1), good, "{key}");
            assert!(good || found.err().unwrap().source().unwrap().to_string().contains("does not belong to the key"));
        }
    }

    #[test]
    fn a_host_has_the_first_folder_of_its_name() {
        let home = tempfile::tempdir().unwrap();
        let own = home.path().join("containers/certs.d");
        for host in ["quay.io", "quay.io:8443", "ghcr.io:443"] {
            fs_err::create_dir_all(own.join(host)).unwrap();
        }
        let named = tempfile::tempdir().unwrap();
        let env = |name: &str| (name == "XDG_CONFIG_HOME").then(|| home.path().into());
        let of = |dirs: &CertDirs, url: &str| dirs.of(&url.parse().unwrap());
        let dirs = CertDirs::new(&"https://quay.io/v2/".parse().unwrap(), None, &env).unwrap();
        for (url, folder) in [
            ("https://quay.io/v2/", Some("quay.io")),
            ("https://quay.io:8443/v2/", Some("quay.io:8443")),
            ("https://quay.io:5000/v2/", None),
            ("https://ghcr.io/token", Some("ghcr.io:443")),
            ("https://cdn.quay.io/", None),
        ] {
            assert_eq!(of(&dirs, url), folder.map(|folder| own.join(folder)), "{url}");
        }
        let dirs = CertDirs::new(&"https://quay.io/v2/".parse().unwrap(), Some(named.path()), &env).unwrap();
        assert_eq!(of(&dirs, "https://quay.io:5000/token").as_deref(), Some(named.path()));
        assert_eq!(of(&dirs, "https://cdn.quay.io/"), None);
        assert_eq!(of(&dirs, "https://ghcr.io/"), Some(own.join("ghcr.io:443")));
    }
}
