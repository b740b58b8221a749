use std::fs as std_fs;

use super::*;
use crate::oci::ManifestRef;
use crate::trust::model_signing::testing::{put_file, put_image, put_index, put_model};
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
    assert!(report(&store, &original, &signer.trusted()).is_accepted());
    for (files, reason) in [
        (vec![("a", "changed"), ("b", "y")], "`a` was changed"),
        (vec![("a", "x")], "`b` is missing"),
        (vec![("a", "x"), ("b", "y"), ("c", "z")], "`c` was added"),
    ] {
        let twin = image(&files);
        assert!(report(&store, &twin, &signer.trusted()).findings.is_empty(), "it has a signature of its own");
        transplant(&store, &original, &twin);
        let report = report(&store, &twin, &signer.trusted());
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
    let images: Vec<RawManifest> = subjects(&index).unwrap()[1..].iter().map(|image| image.fetch(&store).unwrap()).collect();
    for (image, accepted) in images.iter().zip([false, true]) {
        sign(&store, image, &signer);
        assert_eq!(report(&store, &index, &signer.trusted()).is_accepted(), accepted);
    }
}

#[test]
fn other_bundles_are_no_model_signatures() {
    let (store, signer) = (MemoryStore::default(), signer());
    let index = put_model(&store);
    let identities = ["q.io/org/iris:v1".to_owned()];
    crate::trust::sign(&crate::trust::SignRequest { store: &store, manifest: index.clone(), identities: &identities, signer: &signer })
        .unwrap();
    let report = report(&store, &index, &signer.trusted());
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
    let damaged = report(&store, &image, &other.trusted()).accepted().next().unwrap().at;
    let layer = match store.get_manifest(&ManifestRef::Digest(damaged)).unwrap().parse().unwrap() {
        crate::oci::Manifest::Image(manifest) => manifest.layers[0].digest,
        crate::oci::Manifest::Index(_) => panic!("an index"),
    };
    store.tamper(|content| content.blobs.get_mut(&layer).unwrap()[9] ^= 1);
    assert!(report(&store, &image, &signer.trusted()).is_accepted());
    let report = report(&store, &image, &other.trusted());
    assert!(!report.is_accepted());
    assert!(report.refusals().iter().any(|reason| reason.to_string().contains("changed or lost")), "{report:?}");
}

/// A folder with the model of [`put_model`], and its signature beside it.
struct Extracted {
    home: tempfile::TempDir,
    signer: Signer,
}

impl Extracted {
    fn new() -> Self {
        let (store, signer, home) = (MemoryStore::default(), signer(), tempfile::tempdir().unwrap());
        let index = put_model(&store);
        sign(&store, &index, &signer);
        let extracted = Self { home, signer };
        for (path, content) in [("1/model.onnx", "weights"), ("config.json", "{}"), ("a-b", "s")] {
            extracted.write(path, content);
        }
        let file = extracted.home.path().join("model.sig");
        SignatureFile::of_image(&store, &index, &extracted.folder(), &file).unwrap().write().unwrap();
        extracted
    }

    fn folder(&self) -> PathBuf {
        self.home.path().join("model")
    }

    fn write(&self, path: &str, content: &str) {
        let file = self.folder().join(path);
        std_fs::create_dir_all(file.parent().unwrap()).unwrap();
        std_fs::write(file, content).unwrap();
    }

    fn verify_with(&self, signature: &Path, trusted: &Trusted) -> Result<Accepted, String> {
        let trust = ModelTrust { trusted, authorities: &Authorities::default() };
        verify_folder(&self.folder(), &SignatureFile::read(signature).unwrap(), &trust).unwrap().map_err(|refusal| refusal.to_string())
    }

    fn verify(&self) -> Result<Accepted, String> {
        self.verify_with(&self.home.path().join("model.sig"), &self.signer.trusted())
    }
}

#[test]
fn an_extracted_folder_passes_and_each_change_is_named() {
    let model = Extracted::new();
    assert_eq!(model.verify().unwrap().statement.files.len(), 3);
    let stranger = model.verify_with(&model.home.path().join("model.sig"), &signer().trusted()).unwrap_err();
    assert!(stranger.contains("another key"), "{stranger}");
    model.write("extra", "x");
    assert_eq!(model.verify().unwrap_err(), "the model is not as signed: `extra` was added");
    std_fs::remove_file(model.folder().join("extra")).unwrap();
    model.write("a-b", "t");
    assert_eq!(model.verify().unwrap_err(), "the model is not as signed: `a-b` was changed");
    std_fs::remove_file(model.folder().join("a-b")).unwrap();
    assert_eq!(model.verify().unwrap_err(), "the model is not as signed: `a-b` is missing");
}

/// The specification wants the signature itself left out, and nothing else.
#[test]
fn a_signature_inside_the_folder_is_no_unsigned_file_of_it() {
    let model = Extracted::new();
    let inside = model.folder().join("model.sig");
    std_fs::copy(model.home.path().join("model.sig"), &inside).unwrap();
    assert!(model.verify_with(&inside, &model.signer.trusted()).is_ok());
    assert_eq!(model.verify().unwrap_err(), "the model is not as signed: `model.sig` was added");
}

#[test]
fn is_not_written_where_it_would_be_an_unsigned_file() {
    let (store, signer, home) = (MemoryStore::default(), signer(), tempfile::tempdir().unwrap());
    let index = put_index(&store, &[put_image(&store, vec![put_file(&store, "a", "x")])]);
    sign(&store, &index, &signer);
    let folder = home.path().join("not there yet");
    let take = |path: &str| SignatureFile::of_image(&store, &index, &folder, &folder.join(path));
    for path in ["model.sig", "sub/model.sig", "../not there yet/x"] {
        assert!(matches!(take(path), Err(ModelSigningError::Inside { .. })), "{path}");
    }
    for path in [".git/model.sig", "../model.sig", "../not there yet.sig"] {
        assert!(take(path).is_ok(), "{path}");
    }
}

#[test]
fn a_huge_file_is_no_signature() {
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("model.sig");
    std_fs::File::create(&file).unwrap().set_len(MAX_BUNDLE + 1).unwrap();
    assert!(SignatureFile::read(&file).unwrap_err().to_string().contains("at most 1 MiB"));
}
