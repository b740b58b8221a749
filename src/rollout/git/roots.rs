//! The certificates that git trusts besides the system's.
//!
//! Git takes one file in place of the system's (`http.sslCAInfo`), so that one is made of both: otherwise whoever names the CA of the
//! company's own Git server loses every public one.

use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;

/// Where distributions keep the certificates that they trust: Debian and Alpine, Fedora and RHEL, SUSE.
const SYSTEM: [&str; 3] = ["/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/ca-bundle.pem"];
/// What names another place.
const VARIABLES: [&str; 2] = ["GIT_SSL_CAINFO", "SSL_CERT_FILE"];
/// A distribution's has about 250 kB.
const MAX_SYSTEM: u64 = 16 << 20;

/// A file with the system's certificates and these; gone when dropped.
pub(super) fn beside_the_systems(own: &[u8]) -> io::Result<NamedTempFile> {
    let named = VARIABLES.iter().filter_map(std::env::var_os).filter(|value| !value.is_empty()).map(PathBuf::from);
    joined(named.chain(SYSTEM.map(PathBuf::from)).find(|file| file.is_file()).as_deref(), own)
}

fn joined(system: Option<&Path>, own: &[u8]) -> io::Result<NamedTempFile> {
    let mut bundle = tempfile::Builder::new().prefix("modelcar-ca-").suffix(".pem").tempfile()?;
    if let Some(system) = system {
        io::copy(&mut fs_err::File::open(system)?.take(MAX_SYSTEM), &mut bundle)?;
        bundle.write_all(b"\n")?;
    }
    bundle.write_all(own)?;
    Ok(bundle)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn own_certificates_stand_beside_the_systems_and_not_in_their_place() {
        let dir = tempfile::tempdir().unwrap();
        let system = dir.path().join("system.pem");
        fs_err::write(&system, "SYSTEM").unwrap();
        let text = |system: Option<&Path>| fs_err::read_to_string(joined(system, b"OWN").unwrap().path()).unwrap();
        assert_eq!(text(Some(&system)), "SYSTEM\nOWN");
        assert_eq!(text(None), "OWN");
    }
}
