use super::*;
use crate::oci::ManifestRef;
use crate::trust::model_signing::testing::{put_file, put_image, put_model};
use crate::trust::model_signing::{AttachRequest, Authorities, ModelSigner, attach};
use crate::trust::testing::MemoryStore;
use crate::trust::{PrivateKey, Signer, Trusted};

fn signer() -> Signer {
    Signer::Key(PrivateKey::generate().unwrap())
}

fn sign(store: &MemoryStore, manifest: &RawManifest, signer: &Signer) {
    let (signer, manifest) = (&ModelSigner::new(signer), manifest.clone());
    attach(&AttachRequest { store, manifest, name: "iris", signer, reading: Reading::Annotations }).unwrap();
}

fn report(store: &MemoryStore, manifest: &RawManifest, trusted: &Trusted) -> ImageReport {
    verify_image(store, manifest, &ModelTrust { trusted, authorities: &Authorities::default() }, Reading::Annotations).unwrap()
}

/// Attaches the signature of one image to another, as somebody with access to the registry can.
fn transplant(store: &MemoryStore, from: &RawManifest, to: &RawManifest) {
    let (bundle, _) = signature_of_image(store, from).unwrap();
    let subject = Subject { descriptor: to.descriptor(), platform: None };
    crate::trust::bundle::referrer::Attached::new(&subject, "x", bundle).unwrap().put(store).unwrap();
}

#[test]
fn names_every_file_that_is_not_as_signed() {
    let (store, signer) = (MemoryStore::default(), signer());
    let image = |files: &[(&str, &str)]| put_image(&store, files.iter().map(|(path, content)| put_file(&store, path, content)).collect());
    let original = image(&[("a", "x"), ("b", "y")]);
    sign(&store, &original, &signer);
    assert!(report(&store, &original, &signer.trusted().unwrap()).is_accepted());
    for (files, reason) in [
        (vec![("a", "changed"), ("b", "y")], "`a` was changed"),
        (vec![("a", "x")], "`b` is missing"),
        (vec![("a", "x"), ("b", "y"), ("c", "z")], "`c` was added"),
    ] {
        let twin = image(&files);
        assert!(report(&store, &twin, &signer.trusted().unwrap()).findings.is_empty(), "it has a signature of its own");
        transplant(&store, &original, &twin);
        let report = report(&store, &twin, &signer.trusted().unwrap());
        assert!(!report.is_accepted());
        assert_eq!(report.refusals()[0].to_string(), format!("the model is not as signed: {reason}"));
    }
}

#[test]
fn a_long_list_of_differences_is_cut() {
    let differences: Vec<_> = (0..8).map(|number| Difference::Extra(number.to_string())).collect();
    let text = ModelRefusal::Files(differences).to_string();
    assert!(text.ends_with("`4` was added, and 3 more"), "{text}");
}

/// One of an index signed is not the index signed.
#[test]
fn an_index_wants_its_own_signature_or_one_for_every_image() {
    let (store, signer) = (MemoryStore::default(), signer());
    let index = put_model(&store);
    let images: Vec<RawManifest> = model_subjects(&index).unwrap()[1..].iter().map(|image| image.fetch(&store).unwrap()).collect();
    for (image, accepted) in images.iter().zip([false, true]) {
        sign(&store, image, &signer);
        assert_eq!(report(&store, &index, &signer.trusted().unwrap()).is_accepted(), accepted);
    }
}

#[test]
fn other_bundles_are_no_model_signatures() {
    let (store, signer) = (MemoryStore::default(), signer());
    let index = put_model(&store);
    let identities = ["q.io/org/iris:v1".to_owned()];
    crate::trust::sign(&crate::trust::SignRequest {
        store: &store,
        manifest: index.clone(),
        identities: &identities,
        signer: &signer,
        scope: crate::trust::Scope::All,
    })
    .unwrap();
    let report = report(&store, &index, &signer.trusted().unwrap());
    assert!(report.findings.is_empty() && report.refusals().is_empty() && !report.is_accepted());
    assert!(matches!(signature_of_image(&store, &index), Err(ModelSigningError::NoSignature { .. })));
}

#[test]
fn a_damaged_signature_hides_no_good_one() {
    let (store, [signer, other]) = (MemoryStore::default(), [signer(), signer()]);
    let image = put_image(&store, vec![put_file(&store, "a", "x")]);
    for signer in [&signer, &other] {
        sign(&store, &image, signer);
    }
    let damaged = report(&store, &image, &other.trusted().unwrap()).accepted().next().unwrap().at;
    let layer = match store.get_manifest(&ManifestRef::Digest(damaged)).unwrap().parse().unwrap() {
        crate::oci::Manifest::Image(manifest) => manifest.layers[0].digest,
        crate::oci::Manifest::Index(_) => panic!("an index"),
    };
    store.tamper(|content| content.blobs.get_mut(&layer).unwrap()[9] ^= 1);
    assert!(report(&store, &image, &signer.trusted().unwrap()).is_accepted());
    let report = report(&store, &image, &other.trusted().unwrap());
    assert!(!report.is_accepted());
    assert!(report.refusals().iter().any(|reason| reason.to_string().contains("changed or lost")), "{report:?}");
}
