use super::*;
use crate::oci::{Manifest, ManifestRef};
use crate::store::StoreError;
use crate::trust::model_signing::testing::{Authority, pem, put_file, put_image, put_index, put_model, today};
use crate::trust::model_signing::{CertificateChain, verify_image};
use crate::trust::testing::{Meddled, MemoryStore};
use crate::trust::{PrivateKey, Says, Scope, SignRequest, Signer, sign};

fn signer() -> Signer {
    Signer::Key(PrivateKey::generate().unwrap())
}

fn attach_to(store: &dyn Store, manifest: &RawManifest, signer: &ModelSigner<'_>) -> Result<AttachReport, ModelSigningError> {
    attach(&AttachRequest { store, manifest: manifest.clone(), name: "iris", signer, reading: Reading::Annotations })
}

fn is_accepted(store: &dyn Store, manifest: &RawManifest, trusted: &Trusted) -> bool {
    let trust = ModelTrust { trusted, authorities: &Authorities::default() };
    verify_image(store, manifest, &trust, Reading::Layers).unwrap().is_accepted()
}

/// The bundles of a manifest that are image signatures.
fn image_signatures(store: &MemoryStore, digest: Digest, trusted: &Trusted) -> usize {
    let findings = crate::trust::bundle::referrer::examine(store, digest, trusted, &[]).unwrap();
    findings.iter().filter(|finding| matches!(finding.says, Says::Signed)).count()
}

#[test]
fn signs_index_and_images_and_each_is_found_alone() {
    let (store, signer) = (MemoryStore::default(), signer());
    let index = put_model(&store);
    let report = attach_to(&store, &index, &ModelSigner::new(&signer)).unwrap();
    assert_eq!((report.files, report.signatures.len(), report.image_signatures.len()), (3, 3, 3));
    assert_eq!(report.signatures.iter().map(|signature| signature.platform.is_some()).collect::<Vec<_>>(), [false, true, true]);
    for subject in model_subjects(&index).unwrap() {
        let manifest = subject.fetch(&store).unwrap();
        assert!(is_accepted(&store, &manifest, &signer.trusted().unwrap()), "{}", subject.digest());
        assert!(!is_accepted(&store, &manifest, &self::signer().trusted().unwrap()), "{}", subject.digest());
    }
}

/// Without one, cosign 3 would refuse an image whose classic signature is good.
#[test]
fn is_never_without_an_image_signature_in_a_bundle() {
    let (store, signer) = (MemoryStore::default(), signer());
    let image = put_image(&store, vec![put_file(&store, "a", "x")]);
    attach_to(&store, &image, &ModelSigner::new(&signer)).unwrap();
    assert_eq!(image_signatures(&store, image.digest(), &signer.trusted().unwrap()), 1);

    let signed = put_image(&store, vec![put_file(&store, "b", "x")]);
    let identities = ["q.io/org/iris:v1".to_owned()];
    sign(&SignRequest { store: &store, manifest: signed.clone(), identities: &identities, signer: &signer, scope: Scope::All }).unwrap();
    let report = attach_to(&store, &signed, &ModelSigner::new(&signer)).unwrap();
    assert!(report.image_signatures.iter().all(|(_, outcome)| *outcome == Outcome::AlreadyThere));
    assert_eq!(image_signatures(&store, signed.digest(), &signer.trusted().unwrap()), 1);
}

#[test]
fn the_image_signature_goes_first() {
    let (store, signer) = (MemoryStore::default(), signer());
    let index = put_model(&store);
    let mut meddled = Meddled::new(&store);
    meddled.put_manifest = Box::new(|raw, at| match raw.parse() {
        Ok(Manifest::Image(image)) if image.artifact_type.as_deref() == Some(KIND.artifact_type) => {
            Err(StoreError::ManifestNotFound { store: "broken".to_owned(), manifest: at.clone() })
        }
        _ => store.put_manifest(raw, at),
    });
    let error = attach_to(&meddled, &index, &ModelSigner::new(&signer)).unwrap_err();
    let ModelSigningError::Incomplete { attached, .. } = error else { panic!("{error}") };
    assert_eq!((attached.image_signatures.len(), attached.signatures.len()), (3, 0));
}

#[test]
fn attaching_twice_adds_nothing_with_or_without_a_chain() {
    let (store, signer, root) = (MemoryStore::default(), signer(), Authority::root("CN=root", 1));
    let Signer::Key(key) = &signer else { unreachable!("these tests sign with keys") };
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("chain.pem");
    std::fs::write(&file, pem(&[&root.issue(&key.public(), today())])).unwrap();
    let index = put_model(&store);
    let chain = CertificateChain::load(&file).unwrap();
    for by in [ModelSigner::new(&signer), ModelSigner::with_chain(&signer, chain).unwrap()] {
        let first = attach_to(&store, &index, &by).unwrap();
        assert!(first.signatures.iter().all(|signature| signature.outcome == Outcome::Added));
        let before = store.content();
        let second = attach_to(&store, &index, &by).unwrap();
        assert!(second.signatures.iter().all(|signature| signature.outcome == Outcome::AlreadyThere));
        assert!(store.content() == before, "something was written");
    }
}

#[test]
fn has_the_types_that_red_hats_tool_looks_for() {
    let (store, signer) = (MemoryStore::default(), signer());
    let image = put_image(&store, vec![put_file(&store, "a", "x")]);
    let report = attach_to(&store, &image, &ModelSigner::new(&signer)).unwrap();
    let raw = store.get_manifest(&ManifestRef::Digest(report.signatures[0].at)).unwrap();
    let document: serde_json::Value = serde_json::from_slice(&raw.bytes).unwrap();
    assert_eq!(document["artifactType"], "application/vnd.model-signing.signature.v0.1");
    assert_eq!(document["config"]["mediaType"], "application/vnd.model-signing.signature.v0.1.config+json");
    assert_eq!(document["config"]["size"], 2);
    assert_eq!(document["layers"].as_array().unwrap().len(), 1);
    assert_eq!(document["layers"][0]["mediaType"], "application/vnd.dev.sigstore.bundle.v0.3+json");
    assert_eq!(document["subject"]["digest"], image.digest().to_string());
}

#[test]
fn two_models_in_one_index_write_nothing() {
    let (store, signer) = (MemoryStore::default(), signer());
    let images = ["x", "y"].map(|content| put_image(&store, vec![put_file(&store, "a", content)]));
    let index = put_index(&store, &images);
    let before = store.content();
    assert!(matches!(attach_to(&store, &index, &ModelSigner::new(&signer)), Err(ModelSigningError::Models { .. })));
    assert!(store.content() == before, "something was written");
}

#[test]
fn a_model_of_too_many_files_is_refused_before_anything_is_written() {
    let (store, signer) = (MemoryStore::default(), signer());
    let names: Vec<String> = (0..8000).map(|number| format!("models/{number}")).collect();
    let files: Vec<(&str, &str)> = names.iter().map(|name| (name.as_str(), "")).collect();
    let image = put_image(&store, vec![crate::trust::model_signing::testing::put_layer(&store, &files, &[])]);
    let before = store.content();
    let error = attach_to(&store, &image, &ModelSigner::new(&signer)).unwrap_err();
    assert_eq!(error.to_string(), "the model has 8000 files, and their signature would be larger than 1048576 bytes");
    assert!(store.content() == before, "something was written");
}
