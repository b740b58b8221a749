//! An authority that issues certificates, and images with models, for this folder's tests.

use std::str::FromStr as _;
use std::time::{Duration, SystemTime};

use p256::ecdsa::signature::{self, Keypair, Signer};
use p256::ecdsa::{DerSignature, SigningKey, VerifyingKey};
use x509_cert::Certificate;
use x509_cert::builder::{Builder as _, CertificateBuilder, Profile};
use x509_cert::der::asn1::BitString;
use x509_cert::der::{DecodePem as _, Encode as _, EncodePem as _};
use x509_cert::name::Name;
use x509_cert::serial_number::SerialNumber;
use x509_cert::spki::{self, AlgorithmIdentifierOwned, DynSignatureAlgorithmIdentifier, ObjectIdentifier, SubjectPublicKeyInfoOwned};
use x509_cert::time::Validity;

use crate::oci::tar_header::{EntryKind, TRAILER, header, padding};
use crate::oci::{Annotations, Descriptor, Digest, ImageIndex, ImageManifest, ManifestRef, Platform, RawManifest, media_type};
use crate::store::Store;
use crate::trust::PublicKey;
use crate::trust::testing::MemoryStore;

const DAY: Duration = Duration::from_secs(86_400);

/// From yesterday until tomorrow.
pub(super) fn today() -> Validity {
    between(SystemTime::now() - DAY, SystemTime::now() + DAY)
}

/// Until yesterday.
pub(super) fn past() -> Validity {
    between(SystemTime::now() - 2 * DAY, SystemTime::now() - DAY)
}

/// From tomorrow.
pub(super) fn future() -> Validity {
    between(SystemTime::now() + DAY, SystemTime::now() + 2 * DAY)
}

fn between(from: SystemTime, until: SystemTime) -> Validity {
    Validity { not_before: from.try_into().unwrap(), not_after: until.try_into().unwrap() }
}

/// Somebody with a certificate who issues others.
pub(super) struct Authority {
    key: SigningKey,
    pub(super) certificate: Certificate,
}

impl Authority {
    pub(super) fn root(name: &str, seed: u8) -> Self {
        let key = SigningKey::from_slice(&[seed; 32]).unwrap();
        let certificate = build(Profile::Root, name, spki_of(&key), today(), &key);
        Self { key, certificate }
    }

    pub(super) fn below(&self, name: &str, seed: u8) -> Self {
        let key = SigningKey::from_slice(&[seed; 32]).unwrap();
        let profile = Profile::SubCA { issuer: self.name(), path_len_constraint: None };
        Self { certificate: build(profile, name, spki_of(&key), today(), &self.key), key }
    }

    pub(super) fn issue(&self, holder: &PublicKey, validity: Validity) -> Certificate {
        let spki = SubjectPublicKeyInfoOwned::from_pem(holder.to_pem()).unwrap();
        let profile = Profile::Leaf { issuer: self.name(), enable_key_agreement: false, enable_key_encipherment: false };
        build(profile, "CN=models,O=Example", spki, validity, &self.key)
    }

    /// A certificate that does not say what it is for.
    pub(super) fn issue_without_extensions(&self, holder: &PublicKey) -> Certificate {
        let mut certificate = self.issue(holder, today());
        certificate.tbs_certificate.extensions = None;
        let signature: DerSignature = self.key.sign(&certificate.tbs_certificate.to_der().unwrap());
        certificate.signature = BitString::from_bytes(signature.as_bytes()).unwrap();
        certificate
    }

    fn name(&self) -> Name {
        self.certificate.tbs_certificate.subject.clone()
    }
}

/// A key that says how it signs; p256 does so only with the `oid` feature of its own sha2.
struct Issuer<'a>(&'a SigningKey);

impl Keypair for Issuer<'_> {
    type VerifyingKey = VerifyingKey;

    fn verifying_key(&self) -> VerifyingKey {
        *self.0.verifying_key()
    }
}

impl Signer<DerSignature> for Issuer<'_> {
    fn try_sign(&self, message: &[u8]) -> Result<DerSignature, signature::Error> {
        self.0.try_sign(message)
    }
}

impl DynSignatureAlgorithmIdentifier for Issuer<'_> {
    fn signature_algorithm_identifier(&self) -> spki::Result<AlgorithmIdentifierOwned> {
        let ecdsa_with_sha256 = ObjectIdentifier::new_unwrap("1.2.840.10045.4.3.2");
        Ok(AlgorithmIdentifierOwned { oid: ecdsa_with_sha256, parameters: None })
    }
}

fn spki_of(key: &SigningKey) -> SubjectPublicKeyInfoOwned {
    SubjectPublicKeyInfoOwned::from_key(*key.verifying_key()).unwrap()
}

fn build(profile: Profile, name: &str, spki: SubjectPublicKeyInfoOwned, validity: Validity, by: &SigningKey) -> Certificate {
    let serial = SerialNumber::from(7_u32);
    let by = Issuer(by);
    let builder = CertificateBuilder::new(profile, serial, validity, Name::from_str(name).unwrap(), spki, &by).unwrap();
    builder.build::<DerSignature>().unwrap()
}

/// A PEM file.
pub(super) fn pem(certificates: &[&Certificate]) -> String {
    certificates.iter().map(|certificate| certificate.to_pem(x509_cert::der::pem::LineEnding::LF).unwrap()).collect()
}

/// A tar with these files.
pub(super) fn tar(files: &[(&str, &str)]) -> Vec<u8> {
    let mut tar = Vec::new();
    for (path, content) in files {
        let size = content.len() as u64;
        tar.extend(header(path, EntryKind::File { size, executable: false }, 0));
        tar.extend(content.as_bytes());
        tar.resize(tar.len() + usize::try_from(padding(size)).unwrap(), 0);
    }
    tar.extend(TRAILER);
    tar
}

pub(super) fn put_layer(store: &MemoryStore, files: &[(&str, &str)], annotations: &[(&str, &str)]) -> Descriptor {
    let bytes = tar(files);
    let layer = Descriptor::of(media_type::LAYER_TAR, &bytes);
    store.put_blob(&layer, &bytes).unwrap();
    let annotations: Annotations = annotations.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
    layer.annotated(annotations)
}

/// A layer with one annotated file, as modelcar writes it.
pub(super) fn put_file(store: &MemoryStore, path: &str, content: &str) -> Descriptor {
    let (digest, inside) = (Digest::of(content.as_bytes()).to_string(), format!("/models/{path}"));
    let annotations = [
        ("olot.layer.content.type", "file"),
        ("olot.layer.content.digest", digest.as_str()),
        ("olot.layer.content.inlayerpath", inside.as_str()),
    ];
    put_layer(store, &[(inside.trim_start_matches('/'), content)], &annotations)
}

pub(super) fn put_image(store: &MemoryStore, layers: Vec<Descriptor>) -> RawManifest {
    let config = Descriptor::of(media_type::CONFIG, b"{}");
    store.put_blob(&config, &b"{}".to_vec()).unwrap();
    put(store, RawManifest::image(&ImageManifest::new(config, layers)).unwrap())
}

pub(super) fn put_index(store: &MemoryStore, images: &[RawManifest]) -> RawManifest {
    let entries = images.iter().zip(["amd64", "arm64"]).map(|(image, name)| image.descriptor().on(Platform::linux(name)));
    put(store, RawManifest::index(&ImageIndex::new(entries.collect())).unwrap())
}

/// An index of two platforms, whose images differ in what is not the model.
pub(super) fn put_model(store: &MemoryStore) -> RawManifest {
    let images = ["x", "y"].map(|shell| {
        let layers = vec![
            put_layer(store, &[("bin/sh", shell)], &[]),
            put_file(store, "1/model.onnx", "weights"),
            put_layer(store, &[("models/config.json", "{}"), ("models/a-b", "s")], &[("olot.layer.content.type", "directory")]),
        ];
        put_image(store, layers)
    });
    put_index(store, &images)
}

fn put(store: &MemoryStore, raw: RawManifest) -> RawManifest {
    store.put_manifest(&raw, &ManifestRef::Digest(raw.digest())).unwrap();
    raw
}
