//! All attestations of a manifest, in whatever form.

use serde_json::value::RawValue;

use super::{AttachedAs, examine_attached};
use crate::oci::Digest;
use crate::store::Store;
use crate::trust::bundle::referrer;
use crate::trust::{Finding, Says, TrustError, Trusted, Verdict};

/// One attestation that was found.
#[derive(Clone, Debug)]
pub struct Attestation {
    /// What kind of thing is said, as a URI.
    pub predicate_type: String,
    /// What is said: a stranger's words unless the verdict accepts them.
    pub predicate: Box<RawValue>,
    /// Where it is.
    pub form: AttachedAs,
    /// The bundle's manifest, or the envelope in the `.att` image.
    pub at: Digest,
    /// What was decided about it.
    pub verdict: Verdict,
}

/// The attestations of a manifest, those in bundles first. Where nobody is trusted none is accepted, and all can be read.
///
/// # Errors
/// Whatever the store answers. A damaged attestation is left out.
pub fn attestations(store: &dyn Store, digest: Digest, trusted: &Trusted) -> Result<Vec<Attestation>, TrustError> {
    let bundles = referrer::examine(store, digest, trusted, &[])?.into_iter().map(|finding| (AttachedAs::Bundle, finding));
    let attached = examine_attached(store, digest, trusted)?.into_iter().map(|finding| (AttachedAs::Att, finding));
    Ok(bundles.chain(attached).filter_map(|(form, finding)| attestation(form, finding)).collect())
}

fn attestation(form: AttachedAs, finding: Finding) -> Option<Attestation> {
    match finding.says {
        Says::Attested { predicate_type, predicate } => {
            Some(Attestation { predicate_type, predicate, form, at: finding.at, verdict: finding.verdict })
        }
        Says::Signed | Says::Unknown => None,
    }
}
