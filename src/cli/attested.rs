//! What `sbom` and `provenance` share: finding what is attested about an image, saying who said it, and printing it.

use std::path::{Path, PathBuf};

use fs_err as fs;

use super::CliError;
use super::options::RegistryArgs;
use super::resolve::Found;
use super::trusting::TrustedArgs;
use crate::report::Ui;
use crate::trust::attest::{Attestation, attestations, json_text};
use crate::trust::{Proof, Reason, Trusted, Verdict};

/// Whose word counts, and where the document goes.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct PrintArgs {
    /// Write the document to this file instead of standard output; `-` is standard output
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Only what these attested is printed
    #[command(flatten)]
    trusting: TrustedArgs,
}

impl PrintArgs {
    /// Whose word counts; with nobody, every document is printed unverified.
    pub(super) fn trusted(&self, image: &dyn std::fmt::Display, registry: &RegistryArgs) -> Result<Trusted, CliError> {
        self.trusting.trusted(image, registry)
    }

    /// The document of this type that is attested about the image; says who attested it.
    ///
    /// # Errors
    /// With somebody trusted, [`CliError::Refused`] where others alone attested such a document, or nobody.
    pub(super) fn attested(ui: &Ui, found: &Found, kind: &str, trusted: &Trusted) -> Result<Option<String>, CliError> {
        let strict = !trusted.is_nobody();
        let all = attestations(found.store.as_ref(), found.manifest.digest(), kind, trusted)?;
        let chosen = if strict { all.iter().find(|one| is_accepted(one)) } else { all.first() };
        match chosen {
            None if strict => Err(refused(found, kind, &all)),
            None => Ok(None),
            Some(one) => {
                say(ui, one, all.len());
                Ok(Some(json_text::pretty(one.predicate.get())))
            }
        }
    }

    /// Prints the document, or writes it to the file.
    pub(super) fn print(&self, ui: &Ui, document: &str) -> Result<(), CliError> {
        let file = self.output.as_deref().filter(|path| *path != Path::new("-"));
        let Some(path) = file else { return Ok(ui.data(document)?) };
        let write = fs::write(path, format!("{document}\n"));
        write.map_err(|source| CliError::File { path: path.display().to_string(), source })
    }
}

fn is_accepted(one: &Attestation) -> bool {
    matches!(one.verdict, Verdict::Accepted(_))
}

fn refused(found: &Found, kind: &str, all: &[Attestation]) -> CliError {
    let reasons = match all.first().map(|one| &one.verdict) {
        Some(Verdict::Refused(reason) | Verdict::Other(reason)) => format!("the attestation `{kind}` does not pass: {reason}"),
        _ => format!("nobody attested `{kind}`"),
    };
    let hint = (!all.is_empty()).then(|| "without `--key` it is printed unverified".to_owned());
    CliError::Refused { image: found.pinned(), reasons, hint }
}

fn say(ui: &Ui, one: &Attestation, count: usize) {
    let what = format!("attested in {} ({})", one.form, one.at);
    match &one.verdict {
        Verdict::Accepted(Proof { by, .. }) => ui.note(format!("{what}, verified: by {by}")),
        Verdict::Other(Reason::Keyless) => ui.note(format!("{what} with a certificate: unverified")),
        _ => ui.note(format!("{what}: unverified, `--key cosign.pub` verifies it")),
    }
    if count > 1 {
        ui.note(format!("{count} attestations of this type are there; this is the first"));
    }
}
