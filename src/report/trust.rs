//! What was found about an image's signatures and what its consumers make of it, as tables and as JSON.

use console::Style;
use serde_json::{Value, json};

use super::table::{self, columns};
use super::units;
use crate::oci::{Platform, printable};
use crate::trust::{
    Consumer, Demand, Finding, Judgement, ManifestEvidence, Objection, Proof, Reason, Refused, Requirement, Says, SignedBy, Unmet, Verdict,
    VerifyReport,
};

/// So many different objections of a consumer stand in the table; all of them are in the JSON.
const OBJECTIONS: usize = 2;

/// What there is, a line per signature; then a line per consumer that has to accept it, and one for all others.
pub fn verification(report: &VerifyReport) -> String {
    let tables = [formats(report), consumers(report), requirements(report)];
    let shown: Vec<String> = tables.into_iter().filter(|table| !table.is_empty()).collect();
    shown.join("\n") + &others(report)
}

/// One line for an image that is verified: `verified: openshift and cosign-v3 accept it`.
pub fn verified(report: &VerifyReport) -> String {
    let names: Vec<String> = report.named.iter().map(ToString::to_string).collect();
    let verb = if names.len() == 1 { "accepts" } else { "accept" };
    let layers = report
        .layers
        .as_ref()
        .map(|layers| format!("; {} of {} hashed again", units::count(layers.blobs, "blob"), units::bytes(layers.bytes)));
    format!("verified: {} {verb} it{}", list(&names), layers.unwrap_or_default())
}

fn formats(report: &VerifyReport) -> String {
    let mut table = columns(["MANIFEST", "PLATFORM", "FORMAT", "RESULT"]);
    for manifest in &report.manifests {
        for (format, findings) in kinds(manifest) {
            for result in counted(&results(format, findings)) {
                table.add_row([manifest.digest.short(), place(manifest.platform.as_ref(), report), format.to_owned(), result]);
            }
        }
    }
    table::talk(&table)
}

fn kinds(manifest: &ManifestEvidence) -> [(&'static str, Vec<&Finding>); 4] {
    let models = &manifest.model_signatures;
    // A model signature is a bundle too; one line is enough for it, and the better one says whether it is good.
    let is_model = |bundle: &&Finding| models.iter().any(|model| model.at == bundle.at);
    [
        (CLASSIC, manifest.classic.iter().collect()),
        (BUNDLE, manifest.bundles.iter().filter(|bundle| !is_model(bundle)).collect()),
        ("attachment", manifest.attachments.iter().collect()),
        (MODEL, models.iter().collect()),
    ]
}

/// Equal rows once, with their number: who signs again and again needs no page for it.
fn counted(rows: &[String]) -> Vec<String> {
    let number = |row: &String| rows.iter().filter(|other| *other == row).count();
    let first = |place: usize| !rows[..place].contains(&rows[place]);
    let shown = rows.iter().enumerate().filter(|(place, _)| first(*place));
    shown.map(|(_, row)| if number(row) > 1 { format!("{row} (×{})", number(row)) } else { row.clone() }).collect()
}

const CLASSIC: &str = "classic";
const BUNDLE: &str = "bundle";
const MODEL: &str = "model signature";

/// What is looked for in vain is a row too; what few images have is not.
fn results(format: &str, mut findings: Vec<&Finding>) -> Vec<String> {
    if findings.is_empty() && [CLASSIC, BUNDLE].contains(&format) {
        return vec![dim("none")];
    }
    // A registry lists them in any order.
    findings.sort_by_cached_key(|finding| order(finding));
    let trusted = findings.iter().any(|finding| matches!(finding.verdict, Verdict::Accepted(_)));
    let result = |finding: &&Finding| match &finding.verdict {
        Verdict::Refused(reason) if trusted && is_by_another(reason) => {
            format!("{}: {}{}", dim("other signer"), shortened(reason, reason), what(finding))
        }
        // the format says it already
        Verdict::Accepted(proof) if format == MODEL => good(proof),
        _ => result(finding),
    };
    findings.iter().map(result).collect()
}

/// Signatures before attestations, these by type; then by signer.
fn order(finding: &Finding) -> (u8, String, u8, String) {
    let (kind, predicate_type) = match &finding.says {
        Says::Signed => (0, String::new()),
        Says::Attested { predicate_type, .. } => (1, predicate_type.clone()),
        Says::Unknown => (2, String::new()),
    };
    let (verdict, detail) = match &finding.verdict {
        Verdict::Accepted(Proof { by, name }) => (0, format!("{} {}", signer(by), name.as_deref().unwrap_or_default())),
        Verdict::Refused(reason) => (1, reason.to_string()),
        Verdict::Other(reason) => (2, reason.to_string()),
    };
    (kind, predicate_type, verdict, detail)
}

/// Whether a signature may be as good as any, for those who trust its signer. Beside one that is trusted here it does no harm.
fn is_by_another(reason: &Reason) -> bool {
    matches!(reason, Reason::OtherKey { .. } | Reason::NoKeyMatches | Reason::CertificateIdentity { .. } | Reason::CertificateIssuer { .. })
}

fn dim(text: &str) -> String {
    Style::new().for_stderr().dim().apply_to(text).to_string()
}

/// What contains a reason, with a key's hint of as many characters as elsewhere in the tables.
fn shortened(text: &impl ToString, reason: &Reason) -> String {
    match reason {
        Reason::OtherKey { hint } if !hint.is_empty() => text.to_string().replace(hint.as_str(), &short(hint)),
        _ => text.to_string(),
    }
}

/// What a line is about: a platform, or all of the image.
fn place(platform: Option<&Platform>, report: &VerifyReport) -> String {
    let whole = if report.manifests.len() > 1 { "index" } else { "image" };
    platform.map_or_else(|| whole.to_owned(), ToString::to_string)
}

fn result(finding: &Finding) -> String {
    let what = what(finding);
    match &finding.verdict {
        Verdict::Accepted(proof) => good(proof) + &what,
        Verdict::Other(Reason::ModelSignature) => "a model signature; `--require model-signing` checks it".to_owned(),
        Verdict::Refused(reason) => {
            format!("{}: {}{what}", Style::new().for_stderr().red().apply_to("bad"), shortened(reason, reason))
        }
        Verdict::Other(reason) => format!("not checked: {reason}{what}"),
    }
}

fn good(Proof { by, name }: &Proof) -> String {
    let name = name.as_ref().map(|name| format!(" for {name}")).unwrap_or_default();
    format!("{}, by {}{name}", Style::new().for_stderr().green().apply_to("good"), signer(by))
}

/// What an attestation is about, in brackets.
fn what(finding: &Finding) -> String {
    match &finding.says {
        Says::Attested { predicate_type, .. } => format!(" ({})", kind(predicate_type)),
        Says::Signed | Says::Unknown => String::new(),
    }
}

/// A word for a kind of statement that everybody knows; others by their URI.
fn kind(predicate_type: &str) -> String {
    let word = match predicate_type {
        "https://slsa.dev/provenance/v1" => "provenance",
        "https://slsa.dev/provenance/v0.2" => "provenance 0.2",
        "https://cyclonedx.org/bom" | "https://spdx.dev/Document" => "sbom",
        "https://model_signing/signature/v1.0" => MODEL,
        "https://cosign.sigstore.dev/attestation/vuln/v1" => "vuln",
        "https://openvex.dev/ns" => "openvex",
        other => return format!("`{}`", printable(other, 100)),
    };
    word.to_owned()
}

fn signer(by: &SignedBy) -> String {
    match by {
        SignedBy::Key { hint, .. } => format!("key {}", short(hint)),
        by => by.to_string(),
    }
}

/// Enough of a key's hint to tell keys apart.
fn short(hint: &str) -> String {
    hint.chars().take(12).collect()
}

fn consumers(report: &VerifyReport) -> String {
    let mut table = columns(["CONSUMER", "READS", "RESULT"]);
    for judgement in report.judgements.iter().filter(|judgement| report.named.contains(&judgement.consumer)) {
        let Judgement { consumer, refusals, notes } = judgement;
        let result = if judgement.accepts() { accepts(notes) } else { refuses(refusals, report) };
        table.add_row([consumer.to_string(), consumer.reads().to_owned(), result]);
    }
    let unsigned: Vec<Refused> = report.demanded(Demand::Signature).map(|refusal| refusal.refused).collect();
    if !unsigned.is_empty() {
        table.add_row(["modelcar".to_owned(), "a signature in either format".to_owned(), refuses(&unsigned, report)]);
    }
    table::talk(&table)
}

fn accepts(notes: &[&str]) -> String {
    let notes = if notes.is_empty() { String::new() } else { format!(" ({})", notes.join("; ")) };
    format!("{}{notes}", Style::new().for_stderr().green().apply_to("accepts"))
}

/// Each different objection once, with the manifests it is about.
fn refuses(refusals: &[Refused], report: &VerifyReport) -> String {
    let mut different: Vec<(&Objection, Vec<String>)> = Vec::new();
    for Refused { platform, objection, .. } in refusals {
        let place = place(platform.as_ref(), report);
        match different.iter_mut().find(|(known, _)| *known == objection) {
            Some((_, places)) => places.push(place),
            None => different.push((objection, vec![place])),
        }
    }
    let shown = different.iter().take(OBJECTIONS).map(|(objection, places)| format!("{} [{}]", worded(objection), places.join(", ")));
    let more = different.len().saturating_sub(OBJECTIONS);
    let shown = shown.chain((more > 0).then(|| format!("and {more} more"))).collect::<Vec<_>>().join("; ");
    format!("{}: {shown}", Style::new().for_stderr().red().apply_to("refuses"))
}

fn worded(objection: &Objection) -> String {
    match objection {
        Objection::NoneGood { reason, .. } | Objection::Shadowed { reason } => shortened(objection, reason),
        objection => objection.to_string(),
    }
}

fn requirements(report: &VerifyReport) -> String {
    let mut table = columns(["REQUIRED", "RESULT"]);
    if report.required.is_empty() {
        return String::new();
    }
    for (requirement, met_by) in &report.required {
        let result = met_by.as_ref().map_or_else(ToString::to_string, result);
        table.add_row([requirement.kind().to_string(), result]);
    }
    table::talk(&table)
}

/// Those who were not asked, in a line each for yes and no.
fn others(report: &VerifyReport) -> String {
    let others = || report.judgements.iter().filter(|judgement| !report.named.contains(&judgement.consumer));
    let line = |accepts: bool, verb: &str| {
        let names: Vec<String> =
            others().filter(|judgement| judgement.accepts() == accepts).map(|judgement| judgement.consumer.to_string()).collect();
        if names.is_empty() { String::new() } else { format!("would {verb} it too: {}\n", list(&names)) }
    };
    let (accept, refuse) = (line(true, "accept"), line(false, "refuse").replace(" too", ""));
    if accept.is_empty() && refuse.is_empty() { String::new() } else { format!("\n{accept}{refuse}") }
}

/// `a`, `a and b`, `a, b and c`.
fn list(names: &[String]) -> String {
    match names {
        [] => "nobody".to_owned(),
        [one] => one.clone(),
        [first @ .., last] => format!("{} and {last}", first.join(", ")),
    }
}

/// The same facts for scripts; docs/trust.md describes the document. `identity` is the name that was compared, if one was.
///
/// # Errors
/// Never for these values.
pub fn json(image: &str, identity: Option<&str>, report: &VerifyReport) -> serde_json::Result<String> {
    let refusals: Vec<String> = report.refusals().iter().map(ToString::to_string).collect();
    serde_json::to_string_pretty(&json!({
        "image": image,
        "identity": identity,
        "verified": refusals.is_empty(),
        "refusals": refusals,
        "consumers": report.judgements.iter().map(|judgement| consumer(judgement, &report.named)).collect::<Vec<_>>(),
        "required": report.required.iter().map(|(required, met_by)| requirement(required, met_by)).collect::<Vec<_>>(),
        "layers": report.layers.as_ref().map(|layers| json!({
            "blobs": layers.blobs, "bytes": layers.bytes, "refusals": layers.refusals.iter().map(refused).collect::<Vec<_>>(),
        })),
        "manifests": report.manifests.iter().map(manifest).collect::<Vec<_>>(),
    }))
}

fn consumer(judgement: &Judgement, named: &[Consumer]) -> Value {
    json!({
        "consumer": judgement.consumer.to_string(),
        "named": named.contains(&judgement.consumer),
        "reads": judgement.consumer.reads(),
        "accepts": judgement.accepts(),
        "refusals": judgement.refusals.iter().map(refused).collect::<Vec<_>>(),
        "notes": judgement.notes,
    })
}

fn refused(refused: &Refused) -> Value {
    json!({
        "manifest": refused.digest.to_string(),
        "platform": refused.platform.as_ref().map(ToString::to_string),
        "reason": refused.objection.to_string(),
        "remedy": refused.objection.remedy(),
    })
}

fn requirement(requirement: &Requirement, met_by: &Result<Finding, Unmet>) -> Value {
    let kind = requirement.kind();
    json!({
        "attestation": kind.to_string().trim_matches('`'),
        "types": kind.types(),
        "met_by": met_by.as_ref().ok().map(finding),
        "unmet": met_by.as_ref().err().map(ToString::to_string),
    })
}

fn manifest(manifest: &ManifestEvidence) -> Value {
    let list = |findings: &[Finding]| findings.iter().map(finding).collect::<Vec<_>>();
    json!({
        "digest": manifest.digest.to_string(),
        "platform": manifest.platform.as_ref().map(ToString::to_string),
        "present": manifest.present,
        "signature_tag": {"present": manifest.signature_tag.present, "squatters": manifest.signature_tag.squatters},
        "classic": list(&manifest.classic),
        "bundle": list(&manifest.bundles),
        "attachment": list(&manifest.attachments),
        "model_signature": list(&manifest.model_signatures),
    })
}

fn finding(finding: &Finding) -> Value {
    let (verdict, detail) = match &finding.verdict {
        Verdict::Accepted(Proof { by: SignedBy::Key { hint, algorithm }, name }) => {
            ("accepted", json!({"key": hint, "algorithm": algorithm.to_string(), "identity": name}))
        }
        Verdict::Accepted(Proof { by: SignedBy::Authority { subject }, .. }) => ("accepted", json!({"certificate_subject": subject})),
        Verdict::Accepted(Proof { by: SignedBy::Certificate { identity, issuer, .. }, name }) => {
            ("accepted", json!({"certificate_identity": identity, "certificate_oidc_issuer": issuer, "identity": name}))
        }
        Verdict::Refused(reason) => ("refused", json!({"reason": reason.to_string()})),
        Verdict::Other(reason) => ("not checked", json!({"reason": reason.to_string()})),
    };
    let (says, predicate_type) = match &finding.says {
        Says::Signed => ("signature", None),
        Says::Attested { predicate_type, .. } => ("attestation", Some(predicate_type)),
        Says::Unknown => ("unknown", None),
    };
    json!({"at": finding.at.to_string(), "says": says, "predicate_type": predicate_type, "verdict": verdict, "detail": detail})
}

#[cfg(test)]
mod tests {
    use serde_json::value::RawValue;

    use super::*;
    use crate::oci::Digest;
    use crate::trust::Algorithm;

    const HINT: &str = "4HPwTl6dPyN4dH8QmSkYbwQMB8QhDeHMFAJqFgzBvNc=";

    fn finding(says: Says, verdict: Verdict) -> Finding {
        Finding { at: Digest::of(b""), says, verdict }
    }

    fn attested(predicate_type: &str, verdict: Verdict) -> Finding {
        finding(Says::Attested { predicate_type: predicate_type.to_owned(), predicate: RawValue::NULL.to_owned() }, verdict)
    }

    fn by(hint: &str) -> Verdict {
        let by = SignedBy::Key { hint: hint.to_owned(), algorithm: Algorithm::EcdsaP256Sha256 };
        Verdict::Accepted(Proof { by, name: None })
    }

    fn strangers() -> Verdict {
        Verdict::Refused(Reason::OtherKey { hint: HINT.to_owned() })
    }

    fn rows(format: &str, findings: &[Finding]) -> Vec<String> {
        let rows = counted(&results(format, findings.iter().collect()));
        rows.iter().map(|row| console::strip_ansi_codes(row).into_owned()).collect()
    }

    #[test]
    fn signatures_come_first_and_known_statements_have_short_names() {
        let findings = [
            attested("https://slsa.dev/provenance/v1", by("k")),
            attested("https://example.com/review", by("k")),
            attested("https://cyclonedx.org/bom", by("k")),
            finding(Says::Signed, by("l")),
            attested("https://cyclonedx.org/bom", by("k")),
            finding(Says::Signed, by("k")),
        ];
        let expected = [
            "good, by key k",
            "good, by key l",
            "good, by key k (sbom) (×2)",
            "good, by key k (`https://example.com/review`)",
            "good, by key k (provenance)",
        ];
        assert_eq!(rows(BUNDLE, &findings), expected);
        let reversed: Vec<Finding> = findings.into_iter().rev().collect();
        assert_eq!(rows(BUNDLE, &reversed), expected, "the order of the registry does not matter");
    }

    #[test]
    fn a_strangers_signature_is_bad_only_where_nobody_trusted_signed() {
        let stranger = || finding(Says::Signed, strangers());
        assert_eq!(rows(BUNDLE, &[stranger()]), ["bad: signed by another key (hint 4HPwTl6dPyN4)"]);
        let both = [stranger(), finding(Says::Signed, by("k"))];
        assert_eq!(rows(BUNDLE, &both), ["good, by key k", "other signer: signed by another key (hint 4HPwTl6dPyN4)"]);
        let changed = [finding(Says::Signed, Verdict::Refused(Reason::Changed)), finding(Says::Signed, by("k"))];
        assert!(rows(BUNDLE, &changed)[1].starts_with("bad: changed"));
    }

    #[test]
    fn a_good_model_signature_is_called_so_once() {
        let model = || [attested("https://model_signing/signature/v1.0", by("k"))];
        assert_eq!(rows(MODEL, &model()), ["good, by key k"]);
        assert_eq!(rows(BUNDLE, &model()), ["good, by key k (model signature)"]);
        assert_eq!((rows(MODEL, &[]).len(), rows(BUNDLE, &[])), (0, vec!["none".to_owned()]));
    }
}
