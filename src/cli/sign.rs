//! `modelcar sign`.

use super::CliError;
use super::options::{self, RegistryArgs};
use super::resolve::Found;
use super::signing::SigningArgs;
use crate::oci::Location;
use crate::report::{Ui, timed, units};
use crate::store::Access;
use crate::trust::{Outcome, SignReport, SignRequest, Signer, sign};

/// The verb's options.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The image
    #[arg(value_name = "REF", value_parser = options::location)]
    image: Location,
    #[command(flatten)]
    signing: SigningArgs,
    #[command(flatten)]
    registry: RegistryArgs,
}

impl Args {
    pub(super) fn run(&self, ui: &Ui) -> Result<(), CliError> {
        let found = Found::at(&self.image, &self.registry, Access::Write)?;
        let identities = self.signing.identities(&found.location)?;
        let signer = self.signing.signer()?;
        let (report, time) = timed(|| sign_found(&found, &identities, &signer))?;
        report.warnings.iter().for_each(|warning| ui.note(warning));
        ui.step("sign", summary(&report), time);
        ui.data(found.pinned())?;
        Ok(())
    }
}

/// Signs an image in its open store.
pub(super) fn sign_found(found: &Found, identities: &[String], signer: &Signer) -> Result<SignReport, CliError> {
    let report = sign(&SignRequest { store: found.store.as_ref(), manifest: found.manifest.clone(), identities, signer })?;
    found.store.commit()?;
    Ok(report)
}

/// `6 signatures on 3 manifests for quay.io/org/model:v1`.
pub(super) fn summary(report: &SignReport) -> String {
    let added = report.signatures.iter().filter(|signature| signature.outcome == Outcome::Added).count();
    let there = report.signatures.len() - added;
    match (added, there) {
        (0, _) => "already signed by this key, nothing to add".to_owned(),
        (added, 0) => format!("{} added (index and every platform; classic and bundle)", units::count(added, "signature")),
        (added, there) => format!("{} added, {there} already there", units::count(added, "signature")),
    }
}
