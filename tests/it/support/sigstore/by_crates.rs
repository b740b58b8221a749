//! Keyless signing by plain use of the `sigstore-*` crates: the stand-in's first client, and maker of bundles for the real verifiers.

use sigstore_bundle::BundleV03;
use sigstore_crypto::KeyPair;
use sigstore_fulcio::FulcioClient;
use sigstore_oidc::IdentityToken;
use sigstore_rekor::{DsseEntry, HashedRekord, HashedRekordV2, RekorClient, RekorV2Client, RekorV2KeyDetails};
use sigstore_tsa::TimestampClient;
use sigstore_types::{
    Bundle, DerCertificate, DsseEnvelope, DsseSignature, KeyId, KindVersion, PayloadBytes, Sha256Hash, SignatureBytes, TransparencyLogEntry,
};

use super::Sigstore;

const IN_TOTO: &str = "application/vnd.in-toto+json";

/// Where signatures are logged, and by whom their time is stated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Log {
    V1,
    V1AndTsa,
    V2AndTsa,
}

impl Log {
    pub const ALL: [Self; 3] = [Self::V1, Self::V1AndTsa, Self::V2AndTsa];
}

/// What went wrong at a service, as the client crates say it.
pub type Failure = Box<dyn std::error::Error + Send + Sync>;

/// A bundle with a DSSE envelope over this statement.
pub fn sign_statement(services: &Sigstore, token: &str, statement: &[u8], log: Log) -> Result<Bundle, Failure> {
    run(async {
        let (key, certificate) = certificate(services, token).await?;
        let signature = key.sign(&sigstore_types::dsse::pae(IN_TOTO, statement))?;
        let payload = PayloadBytes::new(statement.to_vec());
        let envelope = DsseEnvelope::new(IN_TOTO, payload, DsseSignature::new(signature.clone(), KeyId::default()));
        let entry = match log {
            Log::V1 | Log::V1AndTsa => {
                let entry = RekorClient::new(&services.rekor_url)?.create_dsse_entry(DsseEntry::new(&envelope, &certificate)?).await?;
                entry.to_bundle_entry(KindVersion::DsseV001)?
            }
            Log::V2AndTsa => log_v2(services, &sigstore_crypto::sha256(&envelope.pae()), &signature, &certificate).await?,
        };
        let bundle = BundleV03::with_certificate_and_dsse(certificate, envelope).with_tlog_entry(entry);
        stamped(services, bundle, &signature, log).await
    })
}

/// A bundle with a signature over these bytes.
pub fn sign_bytes(services: &Sigstore, token: &str, bytes: &[u8], log: Log) -> Result<Bundle, Failure> {
    run(async {
        let (key, certificate) = certificate(services, token).await?;
        let (hash, signature) = (sigstore_crypto::sha256(bytes), key.sign(bytes)?);
        let entry = match log {
            Log::V1 | Log::V1AndTsa => {
                let request = HashedRekord::new(&hash, &signature, &certificate);
                RekorClient::new(&services.rekor_url)?.create_entry(request).await?.to_bundle_entry(KindVersion::HashedRekordV001)?
            }
            Log::V2AndTsa => log_v2(services, &hash, &signature, &certificate).await?,
        };
        let bundle = BundleV03::with_certificate_and_signature(certificate, signature.clone(), hash).with_tlog_entry(entry);
        stamped(services, bundle, &signature, log).await
    })
}

/// Whatever the client crates do, to its end.
pub fn run<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(work)
}

async fn certificate(services: &Sigstore, token: &str) -> Result<(KeyPair, DerCertificate), Failure> {
    let key = KeyPair::generate_ecdsa_p256()?;
    let token = IdentityToken::from_jwt(token)?;
    let issued = FulcioClient::new(&services.fulcio_url)?.create_signing_certificate(&token, &key).await?;
    Ok((key, issued.leaf_certificate().clone()))
}

async fn log_v2(
    services: &Sigstore,
    hash: &Sha256Hash,
    signature: &SignatureBytes,
    certificate: &DerCertificate,
) -> Result<TransparencyLogEntry, Failure> {
    let request = HashedRekordV2::new_with_certificate(hash, signature, certificate, RekorV2KeyDetails::PkixEcdsaP256Sha256);
    Ok(RekorV2Client::new(&services.rekor_v2_url)?.create_entry(request).await?)
}

async fn stamped(services: &Sigstore, bundle: BundleV03, signature: &SignatureBytes, log: Log) -> Result<Bundle, Failure> {
    if log == Log::V1 {
        return Ok(bundle.into_bundle());
    }
    let timestamp = TimestampClient::new(&services.tsa_url)?.timestamp_signature(signature).await?;
    Ok(bundle.with_rfc3161_timestamp(timestamp).into_bundle())
}
