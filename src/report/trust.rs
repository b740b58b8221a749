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
            for result in results(format, &findings) {
                table.add_row([manifest.digest.short(), place(manifest.platform.as_ref(), report), format.to_owned(), result]);
            }
        }
    }
    table::text(&table)
}

fn kinds(manifest: &ManifestEvidence) -> [(&'static str, Vec<&Finding>); 4] {
    let models = &manifest.model_signatures;
    // A model signature is a bundle too; one line is enough for it, and the better one says whether it is good.
    let is_model = |bundle: &&Finding| models.iter().any(|model| model.at == bundle.at);
    [
        (CLASSIC, manifest.classic.iter().collect()),
        (BUNDLE, manifest.bundles.iter().filter(|bundle| !is_model(bundle)).collect()),
        ("attachment", manifest.attachments.iter().collect()),
        ("model signature", models.iter().collect()),
    ]
}

const CLASSIC: &str = "classic";
const BUNDLE: &str = "bundle";

/// What is looked for in vain is a row too; what few images have is not.
fn results(format: &str, findings: &[&Finding]) -> Vec<String> {
    let expected = [CLASSIC, BUNDLE].contains(&format);
    match findings {
        [] if expected => vec![Style::new().for_stderr().dim().apply_to("none").to_string()],
        findings => findings.iter().map(|finding| result(finding)).collect(),
    }
}

/// What a line is about: a platform, or all of the image.
fn place(platform: Option<&Platform>, report: &VerifyReport) -> String {
    let whole = if report.manifests.len() > 1 { "index" } else { "image" };
    platform.map_or_else(|| whole.to_owned(), ToString::to_string)
}

fn result(finding: &Finding) -> String {
    let what = match &finding.says {
        Says::Attested { predicate_type, .. } => format!(" (`{}`)", printable(predicate_type, 100)),
        Says::Signed | Says::Unknown => String::new(),
    };
    match &finding.verdict {
        Verdict::Accepted(Proof { by, name }) => {
            let name = name.as_ref().map(|name| format!(" for {name}")).unwrap_or_default();
            format!("{}, by {}{name}{what}", Style::new().for_stderr().green().apply_to("good"), signer(by))
        }
        Verdict::Other(Reason::ModelSignature) => "a model signature; `--require model-signing` checks it".to_owned(),
        Verdict::Refused(reason) => format!("{}: {reason}{what}", Style::new().for_stderr().red().apply_to("bad")),
        Verdict::Other(reason) => format!("not checked: {reason}{what}"),
    }
}

fn signer(by: &SignedBy) -> String {
    match by {
        SignedBy::Key { hint, .. } => format!("key {}", short(hint)),
        SignedBy::Certificate { identity, .. } => identity.clone(),
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
    table::text(&table)
}

fn accepts(notes: &[&str]) -> String {
    let notes = if notes.is_empty() { String::new() } else { format!(", {}", notes.join("; ")) };
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
    let shown = different.iter().take(OBJECTIONS).map(|(objection, places)| format!("{objection} [{}]", places.join(", ")));
    let more = different.len().saturating_sub(OBJECTIONS);
    let shown = shown.chain((more > 0).then(|| format!("and {more} more"))).collect::<Vec<_>>().join("; ");
    format!("{}: {shown}", Style::new().for_stderr().red().apply_to("refuses"))
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
    table::text(&table)
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

/// The same facts for scripts; docs/trust.md describes the document.
///
/// # Errors
/// Never for these values.
pub fn json(image: &str, report: &VerifyReport) -> serde_json::Result<String> {
    let refusals: Vec<String> = report.refusals().iter().map(ToString::to_string).collect();
    serde_json::to_string_pretty(&json!({
        "image": image,
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
