//! `modelcar sign`.

use super::CliError;
use super::options::{self, RegistryArgs};
use super::resolve::Found;
use super::signing::SigningArgs;
use crate::oci::Location;
use crate::report::{Ui, timed, units};
use crate::store::Access;
use crate::trust::{Format, Outcome, Scope, SignReport, SignRequest, Signature, Signer, sign};

/// The verb's options.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The image
    #[arg(value_name = "REF", value_parser = options::location)]
    image: Location,
    /// Sign an index and every manifest in it; this is the default
    #[arg(long, overrides_with = "no_recursive")]
    recursive: bool,
    /// Sign only what REF names: of an index, not the manifests that podman and CRI-O check
    #[arg(long)]
    no_recursive: bool,
    #[command(flatten)]
    signing: SigningArgs,
    #[command(flatten)]
    registry: RegistryArgs,
}

impl Args {
    pub(super) fn run(&self, ui: &Ui) -> Result<(), CliError> {
        let found = Found::at(&self.image, &self.registry, Access::Write)?;
        let identities = self.signing.identities(&found.location)?;
        let signer = self.signing.signer(&self.registry, ui)?;
        let (report, time) = timed(|| sign_found(&found, &identities, &signer, self.scope()))?;
        report.warnings.iter().for_each(|warning| ui.warn(warning));
        ui.step("sign", summary(&report), time);
        ui.data(found.pinned())?;
        Ok(())
    }

    /// Of the two options, the last one counts.
    fn scope(&self) -> Scope {
        if self.no_recursive { Scope::Named } else { Scope::All }
    }
}

/// Signs an image in its open store.
pub(super) fn sign_found(found: &Found, identities: &[String], signer: &Signer, scope: Scope) -> Result<SignReport, CliError> {
    let report = sign(&SignRequest { store: found.store.as_ref(), manifest: found.manifest.clone(), identities, signer, scope })?;
    found.store.commit()?;
    Ok(report)
}

/// `6 signatures on 3 manifests for quay.io/org/model:v1`.
pub(super) fn summary(report: &SignReport) -> String {
    let added = report.signatures.iter().filter(|signature| signature.outcome == Outcome::Added).count();
    let there = report.signatures.len() - added;
    match (added, there) {
        (0, _) => "already signed by this signer, nothing to add".to_owned(),
        (added, 0) => format!("{} added ({}; {})", units::count(added, "signature"), scope(report), formats(report)),
        (added, there) => format!("{} added, {there} already there", units::count(added, "signature")),
    }
}

fn scope(report: &SignReport) -> &'static str {
    let is_child = |signature: &Signature| signature.platform.is_some();
    if report.signatures.iter().any(is_child) { "index and every platform" } else { "one manifest" }
}

fn formats(report: &SignReport) -> &'static str {
    let has = |format| report.signatures.iter().any(|signature| signature.format == format);
    match (has(Format::Classic), has(Format::Bundle)) {
        (true, true) => "classic and bundle",
        (true, false) => "classic alone",
        (false, _) => "bundle alone",
    }
}
