//! Why one signature does not count, in the words a person reads.

use crate::oci::Digest;

/// Why a signature, or a manifest without one, is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Reason {
    /// Nothing is there.
    #[error("no signature exists")]
    NoSignature,
    /// The index names a manifest that is not there, so nobody can run it.
    #[error("the manifest is not there, or not what its digest says")]
    NoManifest,
    /// The bundle's hint names a key that was not given.
    #[error("signed by another key (hint {hint})")]
    OtherKey {
        /// Base64 of the SHA-256 of that key, by its signer's word.
        hint: String,
    },
    /// The bundle names a given key, and its signature is not by that key.
    #[error("changed after signing: the signature does not match")]
    Changed,
    /// Classic signatures do not name their key, so these two cases look the same.
    #[error("signed by another key, or changed after signing: the signature does not match")]
    NoKeyMatches,
    /// A good signature of something else.
    #[error("the signature is for {named}")]
    WrongDigest {
        /// The manifest that was signed.
        named: String,
    },
    /// A good signature under a name that is not the one asked for.
    #[error("identity `{signed}` is not accepted for `{asked}`")]
    Identity {
        /// What the payload names.
        signed: String,
        /// What was asked for.
        asked: String,
    },
    /// cosign's habit, which OpenShift refuses by tag and by digest.
    #[error("identity `{signed}` has no tag, so OpenShift's default policy (MatchRepoDigestOrExact) refuses it")]
    IdentityWithoutTag {
        /// What the payload names.
        signed: String,
    },
    /// Not the document it should be.
    #[error("damaged: {what}")]
    Malformed {
        /// What is wrong.
        what: String,
    },
    /// A referrer that says it is a bundle and cannot be read as one; cosign passes over it.
    #[error("damaged: no bundle: {what}")]
    NoBundle {
        /// What is wrong.
        what: String,
    },
    /// The store gave other bytes than the digest promises, or none.
    #[error("changed or lost: blob {blob} cannot be read as its digest says")]
    Blob {
        /// The blob.
        blob: Digest,
    },
    /// Larger than any honest one.
    #[error("too large: {size} bytes, at most {limit} are read")]
    TooLarge {
        /// Its size in bytes.
        size: u64,
        /// The limit in bytes.
        limit: u64,
    },
    /// A certificate's signature.
    #[error("keyless (made with a certificate): not checked with a key")]
    Keyless,
    /// A key's signature where only certificates are trusted.
    #[error("made with a key: not checked with a certificate's identity")]
    ByKey,
    /// Somebody else's certificate.
    #[error("the certificate is for `{found}`, not for {expected}")]
    CertificateIdentity {
        /// Whom it names.
        found: String,
        /// Whom it should name.
        expected: String,
    },
    /// A certificate by another identity provider's word.
    #[error("the certificate's issuer is `{found}`, not {expected}")]
    CertificateIssuer {
        /// Who vouches.
        found: String,
        /// Who should.
        expected: String,
    },
    /// A certificate of an authority that is not believed.
    #[error("the certificate is not from the trusted root: {what}")]
    CertificateRoot {
        /// The verifier's words.
        what: String,
    },
    /// A signature before or after its certificate's life.
    #[error("the certificate was not valid when it signed: {what}")]
    CertificateTime {
        /// The verifier's words.
        what: String,
    },
    /// A clock that is ahead of ours.
    #[error("signed in the future: {what}")]
    Future {
        /// The verifier's words.
        what: String,
    },
    /// A certificate that no certificate log has seen.
    #[error("nothing proves that the certificate was published: {what}")]
    CertificateLog {
        /// The verifier's words.
        what: String,
    },
    /// A log entry that is another log's, another signature's, or none.
    #[error("the log entry does not match: {what}")]
    LogEntry {
        /// The verifier's words.
        what: String,
    },
    /// A log whose key cannot be used.
    #[error("the Rekor log {log} has a key on the curve {curve}, which verifiers do not agree on: it has to be rotated to P-256")]
    OldLogKey {
        /// Its address.
        log: String,
        /// The curve.
        curve: &'static str,
    },
    /// A time stamp that is not believed.
    #[error("the time stamp does not pass: {what}")]
    TimeStamp {
        /// The verifier's words.
        what: String,
    },
    /// Neither log nor time stamp.
    #[error("nothing proves when it was signed: neither a log entry with a signed time nor a time stamp")]
    NoTime,
    /// A bundle over a hash, as for files.
    #[error("a signature of a file, not of an image")]
    MessageSignature,
    /// A bundle that says something else about the image.
    #[error("an attestation (`{predicate_type}`), not an image signature")]
    Attestation {
        /// The predicate's type.
        predicate_type: String,
    },
    /// A bundle about the model's files, which says nothing of the manifest.
    #[error("a model signature, not an image signature")]
    ModelSignature,
    /// A model signature that does not pass.
    #[error("{what}")]
    Model {
        /// Why.
        what: String,
    },
    /// A layer of the `.sig` image that is no classic signature, such as the bundle that `rh-model-signing` puts there.
    #[error("`{media_type}`, not a classic signature")]
    NotClassic {
        /// What it is.
        media_type: String,
    },
    /// A layer of the `.att` image that is no attestation.
    #[error("`{media_type}`, not an attestation")]
    NotAttestation {
        /// What it is.
        media_type: String,
    },
}

impl Reason {
    pub(super) fn malformed(what: &str) -> Self {
        Self::Malformed { what: shown(what) }
    }

    pub(super) fn attestation(predicate_type: &str) -> Self {
        Self::Attestation { predicate_type: shown(predicate_type) }
    }

    /// Whether this is another kind of signature rather than a bad one.
    pub(super) fn is_foreign(&self) -> bool {
        matches!(
            self,
            Self::Keyless
                | Self::ByKey
                | Self::MessageSignature
                | Self::Attestation { .. }
                | Self::ModelSignature
                | Self::NotClassic { .. }
                | Self::NotAttestation { .. }
        )
    }
}

/// Text of a stranger, cut to what a message and a terminal can bear.
pub(super) fn shown(text: &str) -> String {
    text.chars().filter(|character| !character.is_control()).take(200).collect()
}
