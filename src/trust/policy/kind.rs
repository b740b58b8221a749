//! What kinds of attestations can be asked for.

use std::fmt;
use std::str::FromStr;

use crate::kserve::KserveError;
use crate::trust::model_signing::PREDICATE_TYPE;
use crate::trust::{Finding, ManifestEvidence, Says};

/// The words for kinds; anything with a colon is a predicate type.
const WORDS: [&str; 4] = ["sbom", "provenance", "model-signing", "a predicate type such as https://example.com/review"];

/// Something that a trusted signer must have said of what the reference names.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum AttestationKind {
    /// A bill of materials: CycloneDX or SPDX.
    Sbom,
    /// SLSA provenance, version 1.
    Provenance,
    /// An OpenSSF model signature over the model's files.
    ModelSigning,
    /// A statement of this predicate type.
    Other(String),
}

impl AttestationKind {
    /// The statements of this kind about a manifest, good and bad.
    pub fn among<'a>(&'a self, manifest: &'a ManifestEvidence) -> impl Iterator<Item = &'a Finding> {
        // A model signature is good or bad for the model's files, so only its own check tells.
        let (general, files) = match self {
            Self::ModelSigning => (None, Some(&manifest.model_signatures)),
            _ => (Some(manifest.bundles.iter().chain(&manifest.attachments)), None),
        };
        let all = general.into_iter().flatten().chain(files.into_iter().flatten());
        all.filter(
            |finding| matches!(&finding.says, Says::Attested { predicate_type, .. } if self.types().contains(&predicate_type.as_str())),
        )
    }

    /// The predicate types that count.
    pub fn types(&self) -> Vec<&str> {
        match self {
            Self::Sbom => vec!["https://cyclonedx.org/bom", "https://spdx.dev/Document"],
            Self::Provenance => vec!["https://slsa.dev/provenance/v1"],
            Self::ModelSigning => vec![PREDICATE_TYPE],
            Self::Other(predicate_type) => vec![predicate_type],
        }
    }
}

impl fmt::Display for AttestationKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sbom => f.write_str("sbom"),
            Self::Provenance => f.write_str("provenance"),
            Self::ModelSigning => f.write_str("model-signing"),
            Self::Other(predicate_type) => write!(f, "`{predicate_type}`"),
        }
    }
}

impl FromStr for AttestationKind {
    type Err = KserveError;

    fn from_str(text: &str) -> Result<Self, KserveError> {
        match text {
            // also the words of `attest --type`, ours and cosign's
            "sbom" | "cyclonedx" | "spdx" | "spdxjson" => Ok(Self::Sbom),
            "provenance" | "slsa" | "slsaprovenance" | "slsaprovenance1" => Ok(Self::Provenance),
            "model-signing" | PREDICATE_TYPE => Ok(Self::ModelSigning),
            uri if uri.contains(':') => Ok(Self::Other(uri.to_owned())),
            _ => Err(KserveError::unknown_word("kind of attestation", text, WORDS)),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::value::RawValue;

    use super::*;
    use crate::oci::Digest;
    use crate::trust::testing::evidence;
    use crate::trust::{Algorithm, Proof, SignedBy, Verdict};

    const SIGNING: &str = "https://model_signing/signature/v1.0";

    fn says(predicate_type: &str, verdict: Verdict) -> Finding {
        let says = Says::Attested { predicate_type: predicate_type.to_owned(), predicate: RawValue::NULL.to_owned() };
        Finding { at: Digest::of(b""), says, verdict }
    }

    fn is_there(kind: &AttestationKind, manifest: &ManifestEvidence) -> bool {
        kind.among(manifest).next().is_some()
    }

    fn good() -> Verdict {
        Verdict::Accepted(Proof { by: SignedBy::Key { hint: String::new(), algorithm: Algorithm::EcdsaP256Sha256 }, name: None })
    }

    #[test]
    fn finds_statements_of_its_type_and_no_other() {
        let cases = [
            ("sbom", "https://cyclonedx.org/bom", true),
            ("sbom", "https://spdx.dev/Document", true),
            ("sbom", "https://slsa.dev/provenance/v1", false),
            ("provenance", "https://slsa.dev/provenance/v1", true),
            ("provenance", "https://slsa.dev/provenance/v0.2", false),
            ("https://example.com/review", "https://example.com/review", true),
            ("https://example.com/review", "https://example.com/review/2", false),
        ];
        for (word, kind) in
            [("slsa", AttestationKind::Provenance), ("slsaprovenance", AttestationKind::Provenance), ("spdx", AttestationKind::Sbom)]
        {
            assert_eq!(word.parse::<AttestationKind>().unwrap(), kind, "a word of `attest --type`");
        }
        for (word, predicate_type, expected) in cases {
            let kind: AttestationKind = word.parse().unwrap();
            let mut manifest = evidence();
            manifest.bundles = vec![says(predicate_type, good())];
            assert_eq!(is_there(&kind, &manifest), expected, "{word} {predicate_type} in a bundle");
            manifest.attachments = std::mem::take(&mut manifest.bundles);
            assert_eq!(is_there(&kind, &manifest), expected, "{word} {predicate_type} in the .att image");
        }
    }

    #[test]
    fn a_model_signature_counts_only_where_the_files_were_compared() {
        let mut manifest = evidence();
        manifest.bundles = vec![says(SIGNING, good())];
        assert!(!is_there(&AttestationKind::ModelSigning, &manifest));
        manifest.model_signatures = vec![says(SIGNING, good())];
        assert!(is_there(&AttestationKind::ModelSigning, &manifest));
    }

    #[test]
    fn words_that_are_none_are_told_with_those_that_are() {
        let error = "bom".parse::<AttestationKind>().unwrap_err();
        assert!(error.hint().unwrap().contains("sbom, provenance, model-signing"), "{error}");
    }
}
