//! `modelcar verify`.

use super::CliError;
use super::keyless::CertificateArgs;
use super::options::{self, Format, KeyParser, RegistryArgs};
use super::resolve::Found;
use crate::oci::Location;
use crate::report::{Ui, timed, trust};
use crate::store::Access;
use crate::trust::{KeyError, KeySource, PublicKey, Reason, Refusal, SignReport, Trusted, VerifyReport, VerifyRequest, verify};

/// The verb's options.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The image
    #[arg(value_name = "REF", value_parser = options::location)]
    image: Location,
    /// A public key whose signature is accepted: a PEM file, env://VARIABLE, or a folder with cosign.pub; may be repeated
    #[arg(long, value_name = "KEY", value_parser = KeyParser, allow_hyphen_values = true)]
    key: Vec<KeySource>,
    /// The name that the signature must be for [default: the name asked for]
    #[arg(long, value_name = "REF")]
    identity: Option<String>,
    /// How the result is printed
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    format: Format,
    #[command(flatten)]
    certificates: CertificateArgs,
    #[command(flatten)]
    registry: RegistryArgs,
}

impl Args {
    pub(super) fn run(&self, ui: &Ui) -> Result<(), CliError> {
        let keys = self.key.iter().map(|key| self.load(key)).collect::<Result<_, _>>()?;
        let trusted = Trusted { keys, certificates: self.certificates.certificates(&self.registry)? };
        if trusted.is_nobody() {
            return Err(CliError::usage(
                "nobody is named whose signature counts",
                "add --key cosign.pub, or --certificate-identity, --certificate-oidc-issuer and --trusted-root",
            ));
        }
        let found = Found::at(&self.image, &self.registry, Access::Read)?;
        let identity = self.identity.clone().or_else(|| found.location.reference().map(|reference| reference.to_string()));
        let (report, time) = timed(|| verify_found(&found, &trusted, identity.as_deref(), None))?;
        match self.format {
            Format::Text => ui.say(trust::verification(&report).trim_end()),
            Format::Json => ui.data(trust::json(&found.pinned(), &report)?)?,
        }
        accept(&found, &report)?;
        ui.step("verify", "verified: podman, CRI-O and OpenShift (classic) and cosign 3 (bundle) accept it", time);
        if self.format == Format::Text {
            ui.data(found.pinned())?;
        }
        Ok(())
    }
}

/// What helps against a refusal.
fn hint(refusal: &Refusal) -> String {
    match refusal.reason {
        Reason::NoSignature => {
            "`modelcar sign` signs for both kinds of readers; an image copied by another tool may have lost its signatures".to_owned()
        }
        _ => "the table above lists every signature that was looked at; `--format json` gives it to scripts".to_owned(),
    }
}

impl Args {
    /// A key that is damaged verifies nothing: that is a refusal, and not a failure to check.
    fn load(&self, key: &KeySource) -> Result<PublicKey, CliError> {
        key.public_key().map_err(|error| match error {
            KeyError::Unusable { .. } => {
                let hint = error.hint();
                CliError::Refused { image: self.image.to_string(), reasons: reasons(&error), hint }
            }
            error => error.into(),
        })
    }
}

/// An error and its causes in one line.
fn reasons(error: &dyn std::error::Error) -> String {
    std::iter::successors(Some(error), |error| error.source()).map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

/// Checks an image in its open store.
pub(super) fn verify_found(
    found: &Found,
    trusted: &Trusted,
    identity: Option<&str>,
    just_signed: Option<&SignReport>,
) -> Result<VerifyReport, CliError> {
    Ok(verify(&VerifyRequest { store: found.store.as_ref(), manifest: found.manifest.clone(), trusted, identity, just_signed })?)
}

/// An error that holds every refusal.
pub(super) fn accept(found: &Found, report: &VerifyReport) -> Result<(), CliError> {
    let refusals = report.refusals();
    let Some(first) = refusals.first() else { return Ok(()) };
    let more = if refusals.len() > 1 { format!(" (and {} more)", refusals.len() - 1) } else { String::new() };
    Err(CliError::Refused { image: found.pinned(), reasons: format!("{first}{more}"), hint: Some(hint(first)) })
}
