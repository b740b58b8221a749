//! Trusted roots: whose certificates, logs and time stamps are believed. Without one of the user's own, nobody's are.

use std::fmt;
use std::path::{Path, PathBuf};

use sigstore_trust_root::{
    SIGSTORE_PRODUCTION_SIGNING_CONFIG, SIGSTORE_PRODUCTION_TRUSTED_ROOT, SigningConfig, TrustedRoot, TufBootstrap, TufConfig,
};
use sigstore_types::{Artifact, Bundle, LogKeyId};
use sigstore_verify::{VerificationPolicy, Verifier};
use url::Url;

use super::services::{RekorVersion, Services};
use super::{KeylessError, Service, files};
use crate::store::registry::Web;
use crate::trust::Reason;
use crate::trust::reason::shown;

/// The public-good instance's has 10 kB.
const MAX_FILE: u64 = 4 << 20;

/// Where a trusted root comes from.
#[derive(Clone, Debug)]
pub enum RootSource {
    /// A `trusted_root.json`.
    File(PathBuf),
    /// A deployment's own mirror.
    Tuf(TufMirror),
    /// The one of <https://sigstore.dev> that came with this program.
    PublicGood,
}

/// A TUF repository, and the root metadata that its trust begins with.
#[derive(Clone, Debug)]
pub struct TufMirror {
    /// Where it is.
    pub mirror: Url,
    /// Its `root.json`, got in a way that can be trusted.
    pub root: PathBuf,
}

impl RootSource {
    /// Reads the root. Only a mirror is asked over the network, with the client that `web` makes.
    pub fn load(&self, web: impl FnOnce() -> Result<Web, KeylessError>) -> Result<TrustRoot, KeylessError> {
        match self {
            Self::File(path) => TrustRoot::of_file(path),
            Self::Tuf(tuf) => tuf.trusted_root(&web()?),
            Self::PublicGood => TrustRoot::from_json(SIGSTORE_PRODUCTION_TRUSTED_ROOT, "the public-good trusted root"),
        }
    }
}

impl TufMirror {
    fn trusted_root(&self, web: &Web) -> Result<TrustRoot, KeylessError> {
        let root = web.wait(TrustedRoot::from_tuf(self.config(web)?)).map_err(failed)?;
        TrustRoot::new(root.map_err(|error| self.unusable("trusted_root.json", &error))?, &self.place())
    }

    /// The services that the deployment's signing config names.
    pub fn services(&self, web: &Web, version: Option<RekorVersion>) -> Result<Services, KeylessError> {
        let config = web.wait(SigningConfig::from_tuf(self.config(web)?)).map_err(failed)?;
        let config = config.map_err(|error| self.unusable("signing_config.v0.2.json", &error))?;
        Services::of(&config, &self.place(), version)
    }

    /// Nothing is kept between runs: a build's home is gone when it ends.
    fn config(&self, web: &Web) -> Result<TufConfig, KeylessError> {
        if !web.may_reach(&self.mirror) {
            return Err(KeylessError::Address { service: Service::Tuf, url: shown(self.mirror.as_str()), why: "it is not encrypted" });
        }
        let root = files::read(&self.root, MAX_FILE, "no TUF root")?;
        let config = TufConfig::custom(self.mirror.as_str(), TufBootstrap::trusted(root)).without_cache();
        Ok(config.with_http_client(web.client(&self.mirror).map_err(failed)?))
    }

    fn place(&self) -> String {
        format!("the TUF mirror {}", shown(self.mirror.as_str()))
    }

    fn unusable(&self, target: &str, error: &sigstore_trust_root::Error) -> KeylessError {
        KeylessError::Unusable { place: format!("{target} of {}", self.place()), why: shown(&error.to_string()) }
    }
}

/// The services of <https://sigstore.dev>, from the signing config that came with this program.
pub fn public_good_services(version: Option<RekorVersion>) -> Result<Services, KeylessError> {
    Services::from_config(SIGSTORE_PRODUCTION_SIGNING_CONFIG, "the public-good signing config", version)
}

/// The services of a signing config in a file.
pub fn services_of_file(path: &Path, version: Option<RekorVersion>) -> Result<Services, KeylessError> {
    Services::from_config(&files::read_text(path, MAX_FILE, "no signing config")?, &path.display().to_string(), version)
}

/// Certificate authorities, logs and time-stamp authorities that are believed.
pub struct TrustRoot {
    verifier: Verifier,
    has_logs: bool,
    has_certificate_logs: bool,
    /// Logs whose keys cannot be used.
    old_logs: Vec<OldLog>,
}

struct OldLog {
    id: LogKeyId,
    name: String,
    curve: &'static str,
}

impl TrustRoot {
    /// Reads a file.
    ///
    /// # Errors
    /// As for [`TrustRoot::from_json`], or it cannot be read.
    pub fn of_file(path: &Path) -> Result<Self, KeylessError> {
        Self::from_json(&files::read_text(path, MAX_FILE, "no trusted root")?, &path.display().to_string())
    }

    /// Reads a `trusted_root.json`; `place` names it in errors.
    ///
    /// # Errors
    /// It is none, holds nobody, or its logs have keys that cannot be used.
    pub fn from_json(json: &str, place: &str) -> Result<Self, KeylessError> {
        let root = TrustedRoot::from_json(json).map_err(|error| unusable(place, &error.to_string()))?;
        Self::new(root, place)
    }

    fn new(mut root: TrustedRoot, place: &str) -> Result<Self, KeylessError> {
        if root.certificate_authorities.is_empty() {
            return Err(unusable(place, "it names no certificate authority"));
        }
        let has_logs = !root.tlogs.is_empty();
        let old_logs = take_old_logs(&mut root);
        if let (true, Some(old)) = (root.tlogs.is_empty(), old_logs.first()) {
            return Err(KeylessError::OldLogKey { log: old.name.clone(), curve: old.curve });
        }
        let has_certificate_logs = !root.ctlogs.is_empty();
        let verifier = Verifier::new(&root).map_err(|error| unusable(place, &error.to_string()))?;
        Ok(Self { verifier, has_logs, has_certificate_logs, old_logs })
    }

    /// Verifies all of a bundle but whose it is: certificate, time, log and signature.
    pub(super) fn verify<'a>(&self, signed: impl Into<Artifact<'a>>, bundle: &Bundle, evidence: Evidence) -> Result<(), Reason> {
        self.ensure_no_old_log(bundle)?;
        let mut policy = VerificationPolicy::any_identity();
        if !self.has_certificate_logs {
            policy = policy.skip_sct();
        }
        // The signed time stamp of a classic signature is checked all the same, and so is that each entry is about this signature.
        if evidence == Evidence::SignedTime || !self.has_logs {
            policy = policy.skip_tlog_unsafe();
        }
        self.verifier.verify(signed, bundle, &policy).map(drop).map_err(|error| super::verify::reason(&error, bundle))
    }

    fn ensure_no_old_log(&self, bundle: &Bundle) -> Result<(), Reason> {
        let mut entries = bundle.verification_material.tlog_entries.iter();
        let old = entries.find_map(|entry| self.old_logs.iter().find(|old| old.id == entry.log_id.key_id));
        old.map_or(Ok(()), |old| Err(Reason::OldLogKey { log: old.name.clone(), curve: old.curve }))
    }
}

/// What has to witness a signature where the root has a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Evidence {
    /// Proof that the log holds it.
    Inclusion,
    /// The log's signed promise, which is all that classic annotations hold.
    SignedTime,
}

/// Red Hat Trusted Artifact Signer made its Rekor keys on P-384 up to version 1.2, and the verifiers of this world disagree on how
/// such a key hashes.
fn take_old_logs(root: &mut TrustedRoot) -> Vec<OldLog> {
    let old = |log: &sigstore_trust_root::TransparencyLog| {
        let curve = curve(log.public_key.raw_bytes.as_bytes())?;
        Some(OldLog { id: log.log_id.key_id.clone(), name: shown(&log.base_url), curve })
    };
    let found: Vec<OldLog> = root.tlogs.iter().filter_map(old).collect();
    root.tlogs.retain(|log| curve(log.public_key.raw_bytes.as_bytes()).is_none());
    found
}

/// The curve of a public key, if it is none of those with one hash.
fn curve(spki: &[u8]) -> Option<&'static str> {
    let algorithm = spki.get(..spki.len().min(32))?;
    let names = |oid: &[u8]| algorithm.windows(oid.len()).any(|window| window == oid);
    if names(&[0x06, 0x05, 0x2b, 0x81, 0x04, 0x00, 0x22]) {
        Some("P-384")
    } else if names(&[0x06, 0x05, 0x2b, 0x81, 0x04, 0x00, 0x23]) {
        Some("P-521")
    } else {
        None
    }
}

impl fmt::Debug for TrustRoot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TrustRoot").field("has_logs", &self.has_logs).finish_non_exhaustive()
    }
}

fn unusable(place: &str, why: &str) -> KeylessError {
    KeylessError::Unusable { place: place.to_owned(), why: shown(why) }
}

fn failed(source: crate::store::StoreError) -> KeylessError {
    KeylessError::Service { service: Service::Tuf, asked: "give what is trusted", source: Box::new(source) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn public_good() -> Value {
        serde_json::from_str(SIGSTORE_PRODUCTION_TRUSTED_ROOT).unwrap()
    }

    fn p384_log() -> Value {
        use base64::Engine as _;
        use p384::pkcs8::EncodePublicKey as _;
        let key = p384::ecdsa::SigningKey::from_slice(&[7; 48]).unwrap();
        let der = p384::PublicKey::from(key.verifying_key()).to_public_key_der().unwrap();
        let base64 = |bytes: &[u8]| base64::engine::general_purpose::STANDARD.encode(bytes);
        json!({
            "baseUrl": "https://rekor.old.example.com", "hashAlgorithm": "SHA2_256",
            "publicKey": {"rawBytes": base64(der.as_bytes()), "keyDetails": "PKIX_ECDSA_P384_SHA_384", "validFor": {"start": "2024-01-01T00:00:00Z"}},
            "logId": {"keyId": base64(&[9; 32])},
        })
    }

    #[test]
    fn reads_the_root_that_came_along_only_when_asked() {
        let no_network = || -> Result<Web, KeylessError> { panic!("asked for a network") };
        let root = RootSource::PublicGood.load(no_network).unwrap();
        assert!(root.has_logs && root.has_certificate_logs && root.old_logs.is_empty());
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("trusted_root.json");
        fs_err::write(&file, SIGSTORE_PRODUCTION_TRUSTED_ROOT).unwrap();
        assert!(RootSource::File(file).load(no_network).is_ok());
        assert!(public_good_services(None).is_ok());
    }

    #[test]
    fn says_that_an_old_logs_key_has_to_be_rotated() {
        let mut root = public_good();
        root["tlogs"] = json!([p384_log()]);
        let error = TrustRoot::from_json(&root.to_string(), "R").unwrap_err();
        assert!(error.to_string().contains("https://rekor.old.example.com has a key on the curve P-384"), "{error}");
        assert!(error.hint().unwrap().contains("rotate"));
        // After the rotation the old log stays, for old signatures.
        let mut rotated = public_good();
        rotated["tlogs"].as_array_mut().unwrap().push(p384_log());
        let rotated = TrustRoot::from_json(&rotated.to_string(), "R").unwrap();
        assert_eq!(rotated.old_logs.len(), 1);
    }

    #[test]
    fn refuses_roots_that_trust_nobody_or_are_none() {
        let mut nobody = public_good();
        nobody["certificateAuthorities"] = json!([]);
        for (json, reason) in [("{}".to_owned(), "mediaType"), ("[".to_owned(), "R"), (nobody.to_string(), "no certificate authority")] {
            let error = TrustRoot::from_json(&json, "R").unwrap_err().to_string();
            assert!(error.contains("cannot use R") && error.contains(reason), "{error}");
        }
    }
}
