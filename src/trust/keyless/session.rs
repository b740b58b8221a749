//! A signing session: one short-lived key and certificate for all signatures of a run.
//!
//! Fulcio's certificates live ten minutes, and a run over many manifests may take longer, so the certificate is renewed before it
//! ends. What the services answer is checked before it is published: that the certificate is for our key, that the log's entry is
//! about our signature, and, with a trusted root, everything a verifier will check.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use sigstore_bundle::BundleV03;
use sigstore_types::{Artifact, Bundle, DsseEnvelope, DsseSignature, KeyId, PayloadBytes, Sha256Hash, SignatureBytes};

use super::fulcio::{self, Leaf};
use super::rekor::{self, Signed};
use super::root::{Evidence, TrustRoot};
use super::token::{Preflight, Token, TokenSource};
use super::{Certificates, Claims, KeylessError, Service, Services, annotations, now, tsa};
use crate::oci::Annotations;
use crate::store::registry::Web;
use crate::trust::bundle::dsse::{self, Statement};
use crate::trust::{Reason, TrustError, Trusted};

/// How far a log's clock may be ahead of ours.
const MOST_SECONDS_AHEAD: u32 = 10;

/// What a session needs.
pub struct SessionOptions {
    /// Who certifies, logs and stamps.
    pub services: Services,
    /// Checks what they answer, where the user has one.
    pub root: Option<Arc<TrustRoot>>,
    /// Where the token is.
    pub token: TokenSource,
    /// The audience that Fulcio expects, by the user's word.
    pub audience: String,
    /// Speaks to the services.
    pub web: Web,
}

/// Signs with short-lived certificates.
pub struct Session {
    options: SessionOptions,
    claims: Claims,
    state: Mutex<State>,
}

struct State {
    token: Token,
    leaf: Option<Arc<Leaf>>,
}

impl Session {
    /// Reads the token and refuses one that Fulcio would refuse, which is asked whom it believes. Nothing is written anywhere yet.
    pub fn start(options: SessionOptions) -> Result<(Self, Preflight), KeylessError> {
        for (service, url) in options.services.addresses() {
            if !options.web.may_reach(url) {
                return Err(KeylessError::Address { service, url: url.to_string(), why: "it is not encrypted" });
            }
        }
        let token = options.token.read()?;
        let preflight = token.claims().preflight(&options.audience, now())?;
        fulcio::ensure_known(&options.web, &options.services.fulcio, token.claims())?;
        let session = Self { claims: token.claims().clone(), options, state: Mutex::new(State { token, leaf: None }) };
        Ok((session, preflight))
    }

    /// Whom the token names.
    pub fn name(&self) -> String {
        self.claims.principal().to_owned()
    }

    /// Whether classic signatures are possible.
    pub(in crate::trust) fn has_classic(&self) -> bool {
        self.options.services.has_classic()
    }

    /// Trusts whom Fulcio says this is, and nobody else.
    pub(in crate::trust) fn trusted(&self) -> Result<Trusted, KeylessError> {
        let leaf = self.leaf()?;
        let certificates = Certificates::of_signer(&leaf, self.options.root.clone());
        Ok(Trusted { certificates: Some(certificates), ..Trusted::default() })
    }

    /// Signs a classic payload: all annotations of its layer.
    pub(in crate::trust) fn sign_message(&self, payload: &[u8]) -> Result<Annotations, TrustError> {
        let rekor = self.options.services.rekor.as_ref().filter(|_| self.has_classic()).ok_or(KeylessError::NoClassic)?;
        let leaf = self.leaf()?;
        let signature = sign(&leaf, payload)?;
        let signed = Signed::Message { message: payload, signature: &signature };
        let entry = rekor::log(&self.options.web, rekor, &signed, &leaf.certificate)?;
        let annotations = annotations::write(&signature, &leaf.certificate, &leaf.chain, &entry);
        let annotations = annotations.ok_or_else(|| rekor_gave("the entry has no signed time stamp"))?;
        let bundle = annotations::read(&annotations).map_err(refused)?;
        self.check(&payload.into(), &bundle, Evidence::SignedTime)?;
        Ok(annotations)
    }

    /// Signs an in-toto statement: the bundle, as JSON.
    pub(in crate::trust) fn sign_statement(&self, statement: &[u8]) -> Result<Vec<u8>, TrustError> {
        let bundle = match self.bundle(statement) {
            // The answer to a first try was lost, and this log does not show what it has: another signature is another entry.
            Err(KeylessError::LoggedUnseen) => self.bundle(statement)?,
            result => result?,
        };
        self.check(&subject(statement)?, &bundle, Evidence::Inclusion)?;
        Ok(bundle.to_json().map_err(|error| KeylessError::Key { why: error.to_string() })?.into_bytes())
    }

    fn bundle(&self, statement: &[u8]) -> Result<Bundle, KeylessError> {
        let leaf = self.leaf()?;
        let signature = sign(&leaf, &dsse::pae(dsse::PAYLOAD_TYPE, statement))?;
        let signed = DsseSignature::new(signature, KeyId::default());
        self.witnessed(&leaf, &DsseEnvelope::new(dsse::PAYLOAD_TYPE, PayloadBytes::from_bytes(statement), signed))
    }

    /// The bundle with all that proves its time.
    fn witnessed(&self, leaf: &Leaf, envelope: &DsseEnvelope) -> Result<Bundle, KeylessError> {
        let (services, web) = (&self.options.services, &self.options.web);
        let mut bundle = BundleV03::with_certificate_and_dsse(leaf.certificate.clone(), envelope.clone());
        if let Some(url) = &services.tsa {
            bundle = bundle.with_rfc3161_timestamp(tsa::stamp(web, url, &envelope.signature.sig)?);
        }
        if let Some(log) = &services.rekor {
            bundle = bundle.with_tlog_entry(rekor::log(web, log, &Signed::Statement(envelope), &leaf.certificate)?);
        }
        Ok(bundle.into_bundle())
    }

    /// What the services gave passes with the trusted root, where there is one: better to fail now than at every verifier.
    fn check(&self, signed: &Artifact<'_>, bundle: &Bundle, evidence: Evidence) -> Result<(), KeylessError> {
        let Some(root) = &self.options.root else { return Ok(()) };
        let verify = || root.verify(signed.clone(), bundle, evidence);
        after_the_future(verify, |pause| self.options.web.pause(pause)).map_err(refused)
    }

    /// The session's key and certificate, made when they are first needed, and anew when the certificate is about to end.
    fn leaf(&self) -> Result<Arc<Leaf>, KeylessError> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let now = now();
        if let Some(leaf) = state.leaf.as_ref().filter(|leaf| leaf.is_fresh(now)) {
            return Ok(Arc::clone(leaf));
        }
        self.renew_token(&mut state, now)?;
        let (web, fulcio) = (&self.options.web, &self.options.services.fulcio);
        let leaf = Arc::new(fulcio::certify(web, fulcio, &state.token)?);
        tracing::debug!("Fulcio certified {} (issuer {})", leaf.identity, leaf.issuer);
        state.leaf = Some(Arc::clone(&leaf));
        Ok(leaf)
    }

    /// Kubernetes renews a projected token in its file, so a long run reads it again.
    fn renew_token(&self, state: &mut State, now: u64) -> Result<(), KeylessError> {
        if state.leaf.is_some() && self.options.token.is_renewed() {
            state.token = self.options.token.read()?;
        }
        state.token.claims().preflight(&self.options.audience, now).map(drop)
    }
}

/// A log whose clock is some seconds ahead signs in what is the future here, which verifiers refuse until it is over.
fn after_the_future(check: impl Fn() -> Result<(), Reason>, pause: impl Fn(Duration)) -> Result<(), Reason> {
    for _ in 0..MOST_SECONDS_AHEAD {
        match check() {
            Err(Reason::Future { .. }) => pause(Duration::from_secs(1)),
            result => return result,
        }
    }
    check()
}

fn sign(leaf: &Leaf, message: &[u8]) -> Result<SignatureBytes, KeylessError> {
    leaf.key.sign(message).map_err(|error| KeylessError::Key { why: error.to_string() })
}

/// The hash that a statement is about.
fn subject(statement: &[u8]) -> Result<Artifact<'static>, TrustError> {
    let subject = Statement::parse(statement)?.subject();
    let hash = Sha256Hash::from_hex(subject.trim_start_matches("sha256:"));
    Ok(hash.map_err(|error| KeylessError::Key { why: format!("the statement is about nothing: {error}") })?.into())
}

fn rekor_gave(why: &str) -> KeylessError {
    KeylessError::Answer { service: Service::Rekor, why: why.to_owned() }
}

fn refused(reason: Reason) -> KeylessError {
    KeylessError::Refused { reason }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session").field("claims", &self.claims).field("services", &self.options.services).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;

    #[test]
    fn waits_for_a_log_whose_clock_is_ahead() {
        for (ahead, passes) in [(0, true), (3, true), (MOST_SECONDS_AHEAD, true), (MOST_SECONDS_AHEAD + 1, false)] {
            let left = Cell::new(ahead);
            let check = || if left.get() == 0 { Ok(()) } else { Err(Reason::Future { what: String::new() }) };
            let result = after_the_future(check, |pause| {
                assert_eq!(pause, Duration::from_secs(1));
                left.set(left.get() - 1);
            });
            assert_eq!(result.is_ok(), passes, "{ahead} s");
        }
        let other = after_the_future(|| Err(Reason::NoTime), |_| panic!("waited for what no time mends"));
        assert_eq!(other, Err(Reason::NoTime));
    }
}
