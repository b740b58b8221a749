//! What was found about an image's signatures, as a table and as JSON.

use comfy_table::Table;
use console::Style;
use serde_json::{Value, json};

use super::table::{self, columns};
use crate::trust::{Finding, Format, ManifestEvidence, Proof, Says, SignedBy, Verdict, VerifyReport};

/// A line per signature: for which manifest, in which world, and what was decided.
pub fn verification(report: &VerifyReport) -> String {
    let mut table = columns(["MANIFEST", "PLATFORM", "READ BY", "RESULT"]);
    for manifest in &report.manifests {
        for (format, findings) in worlds(manifest) {
            rows(&mut table, manifest, format, findings);
        }
    }
    table::text(&table)
}

fn worlds(manifest: &ManifestEvidence) -> [(Format, &[Finding]); 2] {
    [(Format::Classic, &manifest.classic), (Format::Bundle, &manifest.bundles)]
}

fn rows(table: &mut Table, manifest: &ManifestEvidence, format: Format, findings: &[Finding]) {
    let platform = manifest.platform.as_ref().map_or_else(|| "index".to_owned(), ToString::to_string);
    let readers = match format {
        Format::Classic => "podman, CRI-O",
        Format::Bundle => "cosign 3 (bundle)",
    };
    let mut row = |result: String| {
        table.add_row([manifest.digest.short(), platform.clone(), readers.to_owned(), result]);
    };
    if findings.is_empty() {
        row(refused("no signature exists"));
    }
    for finding in findings {
        row(result(finding));
    }
}

fn result(finding: &Finding) -> String {
    match &finding.verdict {
        _ if let Says::Attested { predicate_type, .. } = &finding.says => format!("an attestation (`{predicate_type}`)"),
        Verdict::Accepted(Proof { by, name }) => {
            let name = name.as_ref().map(|name| format!(" for {name}")).unwrap_or_default();
            format!("{} by {}{name}", Style::new().for_stderr().green().apply_to("accepted"), signer(by))
        }
        Verdict::Refused(reason) => refused(&reason.to_string()),
        Verdict::Other(reason) => format!("not checked: {reason}"),
    }
}

fn refused(reason: &str) -> String {
    format!("{}: {reason}", Style::new().for_stderr().red().apply_to("refused"))
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

/// The same facts for scripts.
///
/// # Errors
/// Never for these values.
pub fn json(image: &str, report: &VerifyReport) -> serde_json::Result<String> {
    let refusals: Vec<String> = report.refusals().iter().map(ToString::to_string).collect();
    let manifests: Vec<Value> = report.manifests.iter().map(manifest).collect();
    serde_json::to_string_pretty(&json!({"image": image, "verified": refusals.is_empty(), "refusals": refusals, "manifests": manifests}))
}

fn manifest(manifest: &ManifestEvidence) -> Value {
    let list = |findings: &[Finding]| findings.iter().map(finding).collect::<Vec<_>>();
    json!({
        "digest": manifest.digest.to_string(),
        "platform": manifest.platform.as_ref().map(ToString::to_string),
        "classic": list(&manifest.classic),
        "bundle": list(&manifest.bundles),
    })
}

fn finding(finding: &Finding) -> Value {
    let (verdict, detail) = match &finding.verdict {
        Verdict::Accepted(Proof { by: SignedBy::Key { hint, .. }, name }) => ("accepted", json!({"key": hint, "identity": name})),
        Verdict::Accepted(Proof { by: SignedBy::Certificate { identity, issuer, .. }, name }) => {
            ("accepted", json!({"certificate_identity": identity, "certificate_oidc_issuer": issuer, "identity": name}))
        }
        Verdict::Refused(reason) => ("refused", json!({"reason": reason.to_string()})),
        Verdict::Other(reason) => ("not checked", json!({"reason": reason.to_string()})),
    };
    json!({"at": finding.at.to_string(), "verdict": verdict, "detail": detail})
}
