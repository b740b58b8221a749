//! Model signatures among all that is known about an image.

use std::time::SystemTime;

use serde_json::value::RawValue;

use super::bundle::{self, BundleRefusal, ModelAuthor, ModelTrust};
use super::files::model_subjects;
use super::statement::{ModelFiles, PREDICATE_TYPE};
use super::verify::accept;
use super::{ModelRefusal, ModelSigningError, Reading, files_of_image};
use crate::exit_code;
use crate::image::ImageError;
use crate::oci::{Digest, RawManifest};
use crate::store::{Store, StoreError};
use crate::trust::bounded::Bounded;
use crate::trust::bundle::referrer::look_at_all;
use crate::trust::reason::shown;
use crate::trust::{Finding, Proof, Reason, Says, SignedBy, TrustError, Trusted, Verdict};

/// The model's files as they are found, or why they cannot be.
type Files = Result<ModelFiles, Reason>;

/// Looks at every model signature of what a reference names and of each image in it: the manifest that it is attached to, and what was
/// decided about it. The files are read, and perhaps whole layers, only where somebody trusted has signed some.
///
/// # Errors
/// Only if it could not be found out. Files that nobody could sign are a reason to refuse.
pub(in crate::trust) fn examine(
    store: &dyn Store,
    manifest: &RawManifest,
    trusted: &Trusted,
    reading: Reading,
) -> Result<Vec<(Digest, Finding)>, TrustError> {
    let unread = look(store, manifest, trusted, None)?;
    if !unread.iter().any(|(_, finding)| matches!(finding.verdict, Verdict::Accepted(_))) {
        return Ok(unread);
    }
    let files = files(store, manifest, reading)?;
    look(store, manifest, trusted, Some(&files))
}

fn look(store: &dyn Store, manifest: &RawManifest, trusted: &Trusted, files: Option<&Files>) -> Result<Vec<(Digest, Finding)>, TrustError> {
    let trust = ModelTrust { trusted, authorities: &trusted.authorities };
    // Layers may take longer to read than a verification may: each look has its own end.
    let (store, now, mut findings) = (Bounded::new(store), SystemTime::now(), Vec::new());
    for subject in model_subjects(manifest).map_err(trouble)? {
        let found = look_at_all(&store, subject.digest(), &[], &mut |at, bytes| {
            let bytes = bytes.ok().filter(|bytes| bundle::is_model_signature(bytes))?;
            let verdict = judge(&bytes, &trust, now, files).unwrap_or_else(|refusal| verdict(&refusal));
            let says = Says::Attested { predicate_type: PREDICATE_TYPE.to_owned(), predicate: RawValue::NULL.to_owned() };
            Some((subject.digest(), Finding::new(at, says, verdict)))
        })?;
        findings.extend(found);
    }
    Ok(findings)
}

fn judge(bytes: &[u8], trust: &ModelTrust<'_>, now: SystemTime, files: Option<&Files>) -> Result<Verdict, ModelRefusal> {
    let (statement, by) = bundle::open(bytes, trust, now)?;
    let by = match files {
        None => by,
        Some(Ok(files)) => accept(statement, by, files)?.by,
        Some(Err(reason)) => return Ok(Verdict::Refused(reason.clone())),
    };
    Ok(match by {
        ModelAuthor::Trusted(by) => Verdict::Accepted(Proof { by, name: None }),
        ModelAuthor::Certificate { subject } => Verdict::Accepted(Proof { by: SignedBy::Authority { subject }, name: None }),
    })
}

fn verdict(refusal: &ModelRefusal) -> Verdict {
    match refusal {
        ModelRefusal::Bundle(BundleRefusal::Signature(reason)) if reason.is_foreign() => Verdict::Other(reason.clone()),
        ModelRefusal::Bundle(BundleRefusal::Signature(reason)) => Verdict::Refused(reason.clone()),
        refusal => Verdict::Refused(Reason::Model { what: refusal.to_string() }),
    }
}

fn files(store: &dyn Store, manifest: &RawManifest, reading: Reading) -> Result<Files, TrustError> {
    match files_of_image(store, manifest, reading) {
        Ok(files) => Ok(Ok(files)),
        Err(error) if error.is_about_the_model() || is_refusal(&error) => Ok(Err(Reason::Model { what: shown(&error.to_string()) })),
        Err(error) => Err(trouble(error)),
    }
}

/// A layer that is not there, or not what its digest says.
fn is_refusal(error: &ModelSigningError) -> bool {
    let of_store = |error: &StoreError| error.is_not_found() || error.exit_code() == exit_code::REFUSED;
    matches!(error, ModelSigningError::Image(ImageError::Store(error)) if of_store(error))
}

/// What keeps from finding out is the store's trouble.
fn trouble(error: ModelSigningError) -> TrustError {
    match error {
        ModelSigningError::Trust(error) => error,
        error => TrustError::Model(Box::new(error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trust::model_signing::testing::{Authority, pem, put_file, put_image, put_model, today};
    use crate::trust::model_signing::{AttachRequest, Authorities, CertificateChain, ModelSigner, attach, signature_of_image};
    use crate::trust::testing::MemoryStore;
    use crate::trust::{PrivateKey, Signer};

    fn signer() -> Signer {
        Signer::Key(PrivateKey::generate().unwrap())
    }

    fn sign(store: &MemoryStore, manifest: &RawManifest, signer: &Signer) {
        let (signer, manifest) = (&ModelSigner::new(signer), manifest.clone());
        attach(&AttachRequest { store, manifest, name: "iris", signer, reading: Reading::Annotations }).unwrap();
    }

    fn verdicts(store: &MemoryStore, manifest: &RawManifest, signer: &Signer) -> Vec<Verdict> {
        let findings = examine(store, manifest, &signer.trusted().unwrap(), Reading::Annotations).unwrap();
        findings.into_iter().map(|(_, finding)| finding.verdict).collect()
    }

    #[test]
    fn finds_one_at_the_index_and_at_each_image() {
        let (store, signer) = (MemoryStore::default(), signer());
        let index = put_model(&store);
        assert!(verdicts(&store, &index, &signer).is_empty(), "an image signature is no model signature");
        sign(&store, &index, &signer);
        let findings = examine(&store, &index, &signer.trusted().unwrap(), Reading::Layers).unwrap();
        let at: Vec<Digest> = findings.iter().map(|(at, _)| *at).collect();
        assert_eq!(at, model_subjects(&index).unwrap().iter().map(crate::trust::subject::Subject::digest).collect::<Vec<_>>());
        assert!(findings.iter().all(|(_, finding)| matches!(finding.verdict, Verdict::Accepted(_))));
    }

    #[test]
    fn a_signature_of_other_files_is_refused_in_their_names() {
        let (store, signer) = (MemoryStore::default(), signer());
        let [original, twin] = ["x", "y"].map(|content| put_image(&store, vec![put_file(&store, "a", content)]));
        sign(&store, &original, &signer);
        let (bundle, _) = signature_of_image(&store, &original).unwrap();
        let subject = crate::trust::subject::Subject { descriptor: twin.descriptor(), platform: None };
        crate::trust::bundle::referrer::Attached::new(&subject, "x", bundle).unwrap().put(&store).unwrap();
        let what = "the model is not as signed: `a` was changed".to_owned();
        assert_eq!(verdicts(&store, &twin, &signer), [Verdict::Refused(Reason::Model { what })]);
    }

    #[test]
    fn a_certificate_counts_for_its_authoritys_sake() {
        let (store, signer) = (MemoryStore::default(), signer());
        let (root, other, home) = (Authority::root("CN=root", 1), Authority::root("CN=other", 2), tempfile::tempdir().unwrap());
        let Signer::Key(key) = &signer else { unreachable!("these tests sign with keys") };
        let file = |name: &str, text: String| {
            std::fs::write(home.path().join(name), text).unwrap();
            home.path().join(name)
        };
        let chain = CertificateChain::load(&file("chain.pem", pem(&[&root.issue(&key.public(), today())]))).unwrap();
        let image = put_image(&store, vec![put_file(&store, "a", "x")]);
        let request = AttachRequest {
            store: &store,
            manifest: image.clone(),
            name: "iris",
            signer: &ModelSigner::with_chain(&signer, chain).unwrap(),
            reading: Reading::Annotations,
        };
        attach(&request).unwrap();
        let accepted_by = |authority: &Authority| {
            let authorities = Authorities::load(&file("ca.pem", pem(&[&authority.certificate]))).unwrap();
            let trusted = Trusted { authorities, ..Trusted::default() };
            let (_, finding) = examine(&store, &image, &trusted, Reading::Layers).unwrap().remove(0);
            matches!(finding.verdict, Verdict::Accepted(Proof { by: SignedBy::Authority { .. }, .. }))
        };
        assert!(accepted_by(&root) && !accepted_by(&other));
    }

    /// Whoever is not trusted cannot make anybody read layers.
    #[test]
    fn the_files_are_read_only_where_somebody_trusted_signed() {
        let (store, signer) = (MemoryStore::default(), signer());
        let image = put_image(&store, vec![put_file(&store, "a", "x")]);
        sign(&store, &image, &signer);
        let layers = image.parse().ok().into_iter().flat_map(|manifest| match manifest {
            crate::oci::Manifest::Image(image) => image.layers,
            crate::oci::Manifest::Index(_) => Vec::new(),
        });
        let lost: Vec<Digest> = layers.map(|layer| layer.digest).collect();
        store.tamper(|content| content.blobs.retain(|digest, _| !lost.contains(digest)));
        let verdict = |trusted: &Signer| {
            let findings = examine(&store, &image, &trusted.trusted().unwrap(), Reading::Layers).unwrap();
            findings.into_iter().map(|(_, finding)| finding.verdict).next()
        };
        assert!(matches!(verdict(&self::signer()), Some(Verdict::Refused(Reason::OtherKey { .. }))));
        let Some(Verdict::Refused(Reason::Model { what })) = verdict(&signer) else { panic!("it passes without its layers") };
        assert!(what.contains(&lost[0].to_string()), "{what}");
    }
}
