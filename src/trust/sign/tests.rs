use std::collections::BTreeSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Condvar, Mutex};

use serde_json::{Value, json};

use super::*;
use crate::oci::{Descriptor, media_type};
use crate::store::StoreError;
use crate::trust::classic::image;
use crate::trust::testing::{self, Meddled, MemoryStore};
use crate::trust::{Consumer, PrivateKey, VerifyRequest, verify};

const NAME: &str = "q.io/org/iris:v1";

fn key() -> Signer {
    Signer::Key(PrivateKey::generate().unwrap())
}

fn sign_as(store: &dyn Store, manifest: &RawManifest, names: &[&str], signer: &Signer) -> Result<SignReport, TrustError> {
    let identities: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    sign_with(&SignRequest { store, manifest: manifest.clone(), identities: &identities, signer, scope: Scope::All }, &|_| ())
}

/// A key of another kind than P-256.
fn key_from(name: &str) -> Signer {
    let file = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/keys").join(name);
    Signer::Key(PrivateKey::load(&file, &|| panic!("asked for a password")).unwrap())
}

fn is_verified(store: &dyn Store, manifest: &RawManifest, trusted: &Trusted, name: &str) -> bool {
    let request = VerifyRequest {
        store,
        manifest: manifest.clone(),
        trusted,
        identity: Some(name),
        consumers: &Consumer::ALL[..7],
        required: &[],
        now: crate::oci::Timestamp::default(),
        layers: None,
        just_signed: None,
    };
    verify(&request).unwrap().refusals().is_empty()
}

fn signature_image(store: &MemoryStore, digest: Digest) -> Value {
    serde_json::from_slice(&store.get_manifest(&image::tag(digest)).unwrap().bytes).unwrap()
}

#[test]
fn signs_index_and_children_for_both_worlds() {
    let (store, key) = (MemoryStore::default(), key());
    let index = testing::index(&store);
    let report = sign_as(&store, &index, &[NAME], &key).unwrap();
    let kinds: Vec<_> = report.signatures.iter().map(|signature| (signature.format, signature.platform.is_some())).collect();
    let world = |format| [(format, true), (format, true), (format, false)];
    assert_eq!(kinds, [world(Format::Classic), world(Format::Bundle)].concat());
    assert!(report.signatures.iter().all(|signature| signature.outcome == Outcome::Added));
    assert!(is_verified(&store, &index, &key.trusted().unwrap(), NAME));
}

#[test]
fn keys_that_bundle_readers_disagree_on_sign_classic_and_say_so() {
    for (name, kind) in [("p384.key", "ECDSA P-384"), ("rsa.key", "RSA")] {
        let (store, key) = (MemoryStore::default(), key_from(name));
        let index = testing::index(&store);
        let report = sign_as(&store, &index, &[NAME], &key).unwrap();
        assert_eq!(report.signatures.len(), 3, "{name}");
        assert!(report.signatures.iter().all(|signature| signature.format == Format::Classic), "{name}");
        assert!(store.referrers(&index.digest()).unwrap().is_empty(), "{name}");
        let [warning] = &report.warnings[..] else { panic!("{:?}", report.warnings) };
        assert!(warning.to_string().contains(kind) && warning.to_string().contains("cosign 4"), "{warning}");
        let again = sign_as(&store, &index, &[NAME], &key).unwrap();
        assert!(again.signatures.iter().all(|signature| signature.outcome == Outcome::AlreadyThere), "{name}");
    }
}

#[test]
fn what_is_named_alone_is_signed_alone_and_the_children_are_missed() {
    let (store, key) = (MemoryStore::default(), key());
    let (index, identities) = (testing::index(&store), [NAME.to_owned()]);
    let named = |manifest: &RawManifest| {
        let manifest = manifest.clone();
        let request = SignRequest { store: &store, manifest, identities: &identities, signer: &key, scope: Scope::Named };
        sign_with(&request, &|_| ()).unwrap()
    };
    let report = named(&index);
    assert!(report.signatures.iter().all(|signature| signature.digest == index.digest()));
    assert_eq!((report.signatures.len(), report.warnings), (2, vec![SignWarning::IndexOnly]));
    assert!(!is_verified(&store, &index, &key.trusted().unwrap(), NAME));

    let image = testing::image(&store, "alone");
    assert_eq!(named(&image).warnings, []);
    assert!(is_verified(&store, &image, &key.trusted().unwrap(), NAME));
}

#[test]
fn signing_twice_adds_nothing() {
    let (store, key) = (MemoryStore::default(), key());
    let index = testing::index(&store);
    sign_as(&store, &index, &[NAME], &key).unwrap();
    let before = store.content();
    let report = sign_as(&store, &index, &[NAME], &key).unwrap();
    assert!(report.signatures.iter().all(|signature| signature.outcome == Outcome::AlreadyThere));
    assert!(store.content() == before, "something was written");
}

#[test]
fn does_not_wait_when_there_is_nothing_to_add() {
    let (store, key) = (MemoryStore::default(), key());
    let manifest = testing::image(&store, "a");
    sign_as(&store, &manifest, &[NAME], &key).unwrap();
    let identities = [NAME.to_owned()];
    let request = SignRequest { store: &store, manifest, identities: &identities, signer: &key, scope: Scope::All };
    sign_with(&request, &|_| panic!("waited")).unwrap();
}

#[test]
fn two_signers_survive_on_both_sides() {
    let (store, first, second) = (MemoryStore::default(), key(), key());
    let index = testing::index(&store);
    sign_as(&store, &index, &[NAME], &first).unwrap();
    sign_as(&store, &index, &[NAME], &second).unwrap();
    assert!(is_verified(&store, &index, &first.trusted().unwrap(), NAME));
    assert!(is_verified(&store, &index, &second.trusted().unwrap(), NAME));
}

#[test]
fn every_name_gets_its_own_signature() {
    let (store, key) = (MemoryStore::default(), key());
    let manifest = testing::image(&store, "a");
    sign_as(&store, &manifest, &[NAME], &key).unwrap();
    let report = sign_as(&store, &manifest, &[NAME, "q.io/org/iris:prod"], &key).unwrap();
    let outcomes: Vec<_> = report.signatures.iter().map(|signature| signature.outcome).collect();
    assert_eq!(outcomes, [Outcome::AlreadyThere, Outcome::Added, Outcome::AlreadyThere]);
    for (name, verified) in [(NAME, true), ("q.io/org/iris:prod", true), ("q.io/org/iris:test", false)] {
        assert_eq!(is_verified(&store, &manifest, &key.trusted().unwrap(), name), verified, "{name}");
    }
}

#[test]
fn a_name_given_twice_is_signed_once() {
    let (store, key) = (MemoryStore::default(), key());
    let manifest = testing::image(&store, "a");
    sign_as(&store, &manifest, &[NAME, NAME], &key).unwrap();
    assert_eq!(signature_image(&store, manifest.digest())["layers"].as_array().unwrap().len(), 1);
}

#[test]
fn the_signature_image_has_a_real_config() {
    let (store, key) = (MemoryStore::default(), key());
    let manifest = testing::image(&store, "a");
    sign_as(&store, &manifest, &[NAME, "q.io/org/iris:v2"], &key).unwrap();
    let image = signature_image(&store, manifest.digest());
    let content = store.content();
    let config: Value = serde_json::from_slice(&content.blobs[&image["config"]["digest"].as_str().unwrap().parse().unwrap()]).unwrap();
    let layers: Vec<&Value> = image["layers"].as_array().unwrap().iter().map(|layer| &layer["digest"]).collect();
    assert_eq!(config["rootfs"]["diff_ids"], json!(layers));
    assert_eq!(config["rootfs"]["type"], "layers");
}

#[test]
fn the_bundle_is_attached_as_cosign_attaches_it() {
    let (store, key) = (MemoryStore::default(), key());
    let manifest = testing::image(&store, "a");
    sign_as(&store, &manifest, &[NAME], &key).unwrap();
    let referrers = store.referrers(&manifest.digest()).unwrap();
    assert_eq!(referrers.len(), 1);
    let raw: Value = serde_json::from_slice(&store.get_manifest(&ManifestRef::Digest(referrers[0].digest)).unwrap().bytes).unwrap();
    assert_eq!(raw["artifactType"], media_type::BUNDLE);
    assert_eq!(raw["config"], json!({"mediaType": media_type::EMPTY, "digest": Digest::of(b"{}"), "size": 2}));
    assert_eq!(raw["layers"].as_array().unwrap().len(), 1);
    assert_eq!(raw["layers"][0]["mediaType"], media_type::BUNDLE);
    let size = manifest.bytes.len();
    assert_eq!(raw["subject"], json!({"mediaType": media_type::MANIFEST, "digest": manifest.digest(), "size": size}));
    let annotations = json!({
        "dev.sigstore.bundle.content": "dsse-envelope",
        "dev.sigstore.bundle.predicateType": "https://sigstore.dev/cosign/sign/v1",
    });
    assert_eq!(raw["annotations"], annotations);
}

#[test]
fn keeps_what_rh_model_signing_put_on_the_tag_and_warns() {
    let (store, key) = (MemoryStore::default(), key());
    let manifest = testing::image(&store, "a");
    let squatter = json!({
        "schemaVersion": 2, "mediaType": media_type::MANIFEST, "artifactType": "application/vnd.model-signing.signature.v0.1",
        "config": {"mediaType": "application/vnd.model-signing.signature.v0.1.config+json", "digest": Digest::of(b"{}"), "size": 2},
        "layers": [{"mediaType": media_type::BUNDLE, "digest": Digest::of(b"{}"), "size": 2}],
    });
    let raw = RawManifest { media_type: media_type::MANIFEST.to_owned(), bytes: serde_json::to_vec(&squatter).unwrap() };
    store.put_blob(&Descriptor::of("x", b"{}"), &b"{}".to_vec()).unwrap();
    store.put_manifest(&raw, &image::tag(manifest.digest())).unwrap();
    let report = sign_as(&store, &manifest, &[NAME], &key).unwrap();
    let warning = report.warnings[0].to_string();
    assert!(warning.contains(media_type::BUNDLE) && warning.contains("may replace all of them"), "{warning}");
    let merged = signature_image(&store, manifest.digest());
    assert_eq!(merged["layers"][0], squatter["layers"][0]);
    assert_eq!(merged["config"], squatter["config"]);
    assert_eq!(merged["artifactType"], squatter["artifactType"]);
    assert!(is_verified(&store, &manifest, &key.trusted().unwrap(), NAME));
}

#[test]
fn never_replaces_what_it_cannot_add_to() {
    let (store, key) = (MemoryStore::default(), key());
    let manifest = testing::index(&store);
    store.put_manifest(&manifest, &image::tag(manifest.digest())).unwrap();
    let before = store.content();
    let error = sign_as(&store, &manifest, &[NAME], &key).unwrap_err();
    let TrustError::Incomplete { source, .. } = error else { panic!("{error:?}") };
    assert!(matches!(*source, TrustError::SignatureTag { .. }), "{source:?}");
    let tag = image::tag(manifest.digest()).to_string();
    assert_eq!(store.content().tags[&tag], before.tags[&tag]);
}

#[test]
fn refuses_names_that_openshift_would_refuse_before_anything_is_written() {
    let (store, key) = (MemoryStore::default(), key());
    let manifest = testing::image(&store, "a");
    let before = store.content();
    for names in [&[][..], &["q.io/org/iris"], &["iris:v1"], &[NAME, "q.io/x@sha256:0"]] {
        let error = sign_as(&store, &manifest, names, &key).unwrap_err();
        assert!(error.hint().is_some() && error.exit_code() == 1, "{error:?}");
    }
    assert!(store.content() == before);
}

#[test]
fn does_not_sign_a_child_that_is_not_there() {
    let (store, key) = (MemoryStore::default(), key());
    let index = testing::index(&store);
    let child = subjects(&index).unwrap().remove(1).digest();
    store.tamper(|content| drop(content.manifests.remove(&child)));
    let error = sign_as(&store, &index, &[NAME], &key).unwrap_err();
    assert!(matches!(&error, TrustError::Store(error) if error.is_not_found()), "{error:?}");
    assert!(store.content().tags.is_empty());
}

#[test]
fn after_a_failure_it_tells_what_is_in_place_and_the_next_run_completes_it() {
    let (store, key) = (MemoryStore::default(), key());
    let index = testing::index(&store);
    let (puts_left, mut full) = (AtomicUsize::new(4), Meddled::new(&store));
    full.put_manifest = Box::new(|manifest, at| {
        let left = puts_left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1));
        left.map_err(|_| StoreError::TooLarge { what: "the quota".to_owned(), size: 1, limit: 0 })?;
        store.put_manifest(manifest, at)
    });
    let error = sign_as(&full, &index, &[NAME], &key).unwrap_err();
    assert_eq!(error.exit_code(), crate::exit_code::UNSIGNED);
    let TrustError::Incomplete { signed, .. } = error else { panic!("not incomplete") };
    let formats: Vec<_> = signed.signatures.iter().map(|signature| signature.format).collect();
    assert_eq!(formats, [Format::Classic, Format::Classic, Format::Classic, Format::Bundle]);
    let report = sign_as(&store, &index, &[NAME], &key).unwrap();
    assert_eq!(report.signatures.iter().filter(|signature| signature.outcome == Outcome::Added).count(), 2);
    assert!(is_verified(&store, &index, &key.trusted().unwrap(), NAME));
}

/// Makes signers move in step.
struct Lockstep {
    state: Mutex<Steps>,
    changed: Condvar,
}

#[derive(Default)]
struct Steps {
    signers: usize,
    waiting: usize,
    step: usize,
}

impl Lockstep {
    fn new(signers: usize) -> Self {
        Self { state: Mutex::new(Steps { signers, ..Steps::default() }), changed: Condvar::new() }
    }

    /// Returns when all signers are here.
    fn wait(&self, at: &ManifestRef) {
        let ManifestRef::Tag(_) = at else { return };
        let mut state = self.state.lock().unwrap();
        state.waiting += 1;
        let step = state.step;
        self.advance(&mut state);
        let _done = self.changed.wait_while(state, |state| state.step == step).unwrap();
    }

    fn leave(&self) {
        let mut state = self.state.lock().unwrap();
        state.signers -= 1;
        self.advance(&mut state);
    }

    fn advance(&self, state: &mut Steps) {
        if state.signers > 0 && state.waiting == state.signers {
            (state.waiting, state.step) = (0, state.step + 1);
            self.changed.notify_all();
        }
    }
}

/// All signers read the `.sig` tag before one may write it, and all write before one may read again. So in each round the
/// signatures of all but the last writer are lost.
#[test]
fn eight_signers_in_step_all_survive() {
    let store = MemoryStore::default();
    let manifest = testing::image(&store, "a");
    let keys: Vec<Signer> = (0..8).map(|_| key()).collect();
    let (lockstep, mut shared) = (Lockstep::new(keys.len()), Meddled::new(&store));
    shared.put_manifest = Box::new(|manifest, at| {
        store.put_manifest(manifest, at)?;
        lockstep.wait(at);
        Ok(())
    });
    shared.get_manifest = Box::new(|at| {
        let read = store.get_manifest(at);
        lockstep.wait(at);
        read
    });
    std::thread::scope(|scope| {
        for key in &keys {
            scope.spawn(|| {
                let signed = sign_as(&shared, &manifest, &[NAME], key);
                lockstep.leave();
                signed.unwrap();
            });
        }
    });
    for key in &keys {
        assert!(is_verified(&store, &manifest, &key.trusted().unwrap(), NAME));
    }
    let image = signature_image(&store, manifest.digest());
    let signatures: BTreeSet<String> = image["layers"].as_array().unwrap().iter().map(|layer| layer["annotations"].to_string()).collect();
    assert_eq!((signatures.len(), image["layers"].as_array().unwrap().len()), (8, 8));
    assert_eq!(store.referrers(&manifest.digest()).unwrap().len(), 8);
}

#[test]
fn gives_up_with_a_conflict_when_others_always_win() {
    let store = MemoryStore::default();
    let manifest = testing::image(&store, "a");
    let mut hostile = Meddled::new(&store);
    hostile.put_manifest = Box::new(|_, _| Ok(()));
    let error = sign_as(&hostile, &manifest, &[NAME], &key()).unwrap_err();
    assert_eq!(error.exit_code(), crate::exit_code::CONFLICT);
    assert!(error.hint().unwrap().contains("again"));
}
