//! What a copy carried, in a line and as JSON.

use serde_json::{Value, json};

use super::units::count;
use crate::image::copy::{Companion, CompanionKind, Copied};

/// `2 signatures, 3 bundles: 2 signatures, provenance; 1 other referrer`; empty where an image came alone.
fn companions(companions: &[Companion]) -> String {
    let (mut signatures, mut attestations, mut sboms, mut bundles, mut others) = (0, 0, 0, Vec::new(), 0);
    for companion in companions {
        match &companion.kind {
            CompanionKind::Signatures(number) => signatures += number,
            CompanionKind::Attestations(number) => attestations += number,
            CompanionKind::Sbom => sboms += 1,
            CompanionKind::Bundle { predicate_type } => bundles.push(predicate_word(predicate_type.as_deref())),
            CompanionKind::Referrer { .. } => others += 1,
        }
    }
    let some = |number: usize, thing: &str| (number > 0).then(|| count(number, thing));
    let classic = [some(signatures, "signature"), some(attestations, "attestation"), some(sboms, "attached SBOM")];
    let bundled = some(bundles.len(), "bundle").map(|number| format!("{number}: {}", tally(&bundles)));
    let first: Vec<String> = classic.into_iter().flatten().chain(bundled).collect();
    let parts = [Some(first.join(", ")).filter(|first| !first.is_empty()), some(others, "other referrer")];
    parts.into_iter().flatten().collect::<Vec<_>>().join("; ")
}

/// `, with 2 signatures,` or `, without its 2 signatures,`; empty where an image has no companions.
pub fn company(copied: &Copied) -> String {
    match (companions(&copied.companions).as_str(), companions(&copied.left_behind).as_str()) {
        ("", "") => String::new(),
        ("", left) => format!(", without its {left},"),
        (some, _) => format!(", with {some},"),
    }
}

/// Equal words once, in the order in which they came: `3 signatures, SBOM`.
fn tally(words: &[String]) -> String {
    let mut seen: Vec<(&str, usize)> = Vec::new();
    for word in words {
        match seen.iter_mut().find(|(known, _)| known == word) {
            Some((_, number)) => *number += 1,
            None => seen.push((word, 1)),
        }
    }
    seen.into_iter().map(|(word, number)| if number == 1 { word.to_owned() } else { count(number, word) }).collect::<Vec<_>>().join(", ")
}

/// What a bundle is about, in a word; a stranger's word, so that it is cut.
fn predicate_word(predicate_type: Option<&str>) -> String {
    match predicate_type {
        Some("https://sigstore.dev/cosign/sign/v1") => "signature".to_owned(),
        Some("https://slsa.dev/provenance/v1") => "provenance".to_owned(),
        Some("https://cyclonedx.org/bom") => "SBOM".to_owned(),
        Some("https://model_signing/signature/v1.0") => "model signature".to_owned(),
        Some(other) => format!("`{}`", other.chars().filter(|character| !character.is_control()).take(80).collect::<String>()),
        None => "unnamed one".to_owned(),
    }
}

/// The same facts for scripts.
///
/// # Errors
/// Never for these values.
pub fn json(image: &str, copied: &Copied) -> serde_json::Result<String> {
    let all = |companions: &[Companion]| companions.iter().map(companion).collect::<Vec<Value>>();
    serde_json::to_string_pretty(&json!({
        "image": image,
        "bytes": copied.bytes(),
        "sent_bytes": copied.sent_bytes(),
        "companions": all(&copied.companions),
        "left_behind": all(&copied.left_behind),
    }))
}

fn companion(companion: &Companion) -> Value {
    let (kind, detail) = match &companion.kind {
        CompanionKind::Signatures(number) => ("signatures", json!({"count": number})),
        CompanionKind::Attestations(number) => ("attestations", json!({"count": number})),
        CompanionKind::Sbom => ("sbom", json!({})),
        CompanionKind::Bundle { predicate_type } => ("bundle", json!({"predicate_type": predicate_type})),
        CompanionKind::Referrer { artifact_type } => ("referrer", json!({"artifact_type": artifact_type})),
    };
    json!({"kind": kind, "subject": companion.subject.to_string(), "at": companion.at.to_string(), "detail": detail})
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::oci::{Digest, ManifestRef};

    fn of(kind: CompanionKind) -> Companion {
        Companion { kind, subject: Digest::of(b"s"), at: ManifestRef::Tag("t".to_owned()) }
    }

    fn bundle(predicate_type: &str) -> Companion {
        of(CompanionKind::Bundle { predicate_type: Some(predicate_type.to_owned()) })
    }

    #[test]
    fn says_what_came_along() {
        let sign = || bundle("https://sigstore.dev/cosign/sign/v1");
        let table = [
            (vec![], ""),
            (vec![of(CompanionKind::Signatures(1))], "1 signature"),
            (vec![of(CompanionKind::Referrer { artifact_type: None })], "1 other referrer"),
            (
                vec![
                    of(CompanionKind::Signatures(1)),
                    of(CompanionKind::Signatures(2)),
                    sign(),
                    bundle("https://slsa.dev/provenance/v1"),
                    sign(),
                    bundle("https://x.y/\u{1b}z"),
                    of(CompanionKind::Referrer { artifact_type: None }),
                ],
                "3 signatures, 4 bundles: 2 signatures, provenance, `https://x.y/z`; 1 other referrer",
            ),
            (
                vec![of(CompanionKind::Attestations(2)), of(CompanionKind::Sbom), of(CompanionKind::Bundle { predicate_type: None })],
                "2 attestations, 1 attached SBOM, 1 bundle: unnamed one",
            ),
        ];
        for (list, expected) in table {
            assert_eq!(companions(&list), expected);
        }
    }
}
