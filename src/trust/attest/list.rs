//! All attestations of a manifest, in whatever form.

use serde_json::value::RawValue;

use super::{AttachedAs, examine_attached};
use crate::oci::Digest;
use crate::store::Store;
use crate::trust::bundle::{document, referrer};
use crate::trust::{Finding, Says, TrustError, Trusted, Verdict};

/// The most bytes of documents that strangers wrote and that are kept; whatever is beyond is left out.
const MAX_KEPT: usize = 16 << 20;

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

/// The attestations of this type about a manifest, those in bundles first. Where nobody is trusted none is accepted, and all can be read.
///
/// # Errors
/// Whatever the store answers. A damaged attestation is left out.
pub fn attestations(store: &dyn Store, digest: Digest, kind: &str, trusted: &Trusted) -> Result<Vec<Attestation>, TrustError> {
    let mut kept = 0;
    let bundles = referrer::look_at_all(store, digest, &[], &mut |at, bundle| {
        let (says, verdict) = document::judge(&bundle.ok()?, digest, trusted);
        attestation(AttachedAs::Bundle, Finding { at, says, verdict }, kind).filter(|one| {
            kept += one.predicate.get().len();
            kept <= MAX_KEPT
        })
    })?;
    let attached = examine_attached(store, digest, trusted)?;
    let attached = attached.into_iter().filter_map(|finding| attestation(AttachedAs::Att, finding, kind));
    Ok(bundles.into_iter().chain(attached).collect())
}

fn attestation(form: AttachedAs, finding: Finding, kind: &str) -> Option<Attestation> {
    match finding.says {
        Says::Attested { predicate_type, predicate } if predicate_type == kind => {
            Some(Attestation { predicate_type, predicate, form, at: finding.at, verdict: finding.verdict })
        }
        Says::Attested { .. } | Says::Signed | Says::Unknown => None,
    }
}
