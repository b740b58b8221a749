use super::*;
use crate::trust::model_signing::testing::{put_file, put_image, put_index, put_model};
use crate::trust::model_signing::{AttachRequest, Authorities, Reading, attach};
use crate::trust::testing::MemoryStore;
use crate::trust::{PrivateKey, Signer, Trusted};

fn signer() -> Signer {
    Signer::Key(PrivateKey::generate().unwrap())
}

fn sign(store: &MemoryStore, manifest: &RawManifest, signer: &Signer) {
    let (signer, manifest) = (&ModelSigner::new(signer), manifest.clone());
    attach(&AttachRequest { store, manifest, name: "iris", signer, reading: Reading::Annotations }).unwrap();
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
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, content).unwrap();
    }

    fn verify_with(&self, signature: &Path, trusted: &Trusted) -> Result<Accepted, String> {
        let trust = ModelTrust { trusted, authorities: &Authorities::default() };
        verify_folder(&self.folder(), &SignatureFile::read(signature).unwrap(), &trust).unwrap().map_err(|refusal| refusal.to_string())
    }

    fn verify(&self) -> Result<Accepted, String> {
        self.verify_with(&self.home.path().join("model.sig"), &self.signer.trusted().unwrap())
    }
}

#[test]
fn an_extracted_folder_passes_and_each_change_is_named() {
    let model = Extracted::new();
    assert_eq!(model.verify().unwrap().statement.files.len(), 3);
    let stranger = model.verify_with(&model.home.path().join("model.sig"), &signer().trusted().unwrap()).unwrap_err();
    assert!(stranger.contains("another key"), "{stranger}");
    model.write("extra", "x");
    assert_eq!(model.verify().unwrap_err(), "the model is not as signed: `extra` was added");
    fs::remove_file(model.folder().join("extra")).unwrap();
    model.write("a-b", "t");
    assert_eq!(model.verify().unwrap_err(), "the model is not as signed: `a-b` was changed");
    fs::remove_file(model.folder().join("a-b")).unwrap();
    assert_eq!(model.verify().unwrap_err(), "the model is not as signed: `a-b` is missing");
}

/// The specification wants the signature itself left out, and nothing else.
#[test]
fn a_signature_inside_the_folder_is_no_unsigned_file_of_it() {
    let model = Extracted::new();
    let inside = model.folder().join("model.sig");
    fs::copy(model.home.path().join("model.sig"), &inside).unwrap();
    assert!(model.verify_with(&inside, &model.signer.trusted().unwrap()).is_ok());
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
    fs::File::create(&file).unwrap().set_len(MAX_BUNDLE + 1).unwrap();
    assert!(SignatureFile::read(&file).unwrap_err().to_string().contains("at most 1 MiB"));
}

#[test]
fn a_folder_signed_before_push_is_signed_as_its_image_is() {
    let model = Extracted::new();
    let signed = SignatureFile::of_folder(&model.folder(), &model.home.path().join("own.sig"), &ModelSigner::new(&model.signer)).unwrap();
    let [own, of_image] =
        [&signed.bytes, &fs::read(model.home.path().join("model.sig")).unwrap()].map(|bytes| bundle::statement(bytes).unwrap());
    assert_eq!((own.name.as_str(), own.root, own.files), ("model", of_image.root, of_image.files));
    let inside = SignatureFile::of_folder(&model.folder(), &model.folder().join("own.sig"), &ModelSigner::new(&model.signer));
    assert!(matches!(inside, Err(ModelSigningError::Inside { .. })));
}
