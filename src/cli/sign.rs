//! `modelcar sign`.

use super::attesting::{AttestingArgs, SignedImage, Story};
use super::options::{self, RegistryArgs};
use super::resolve::Found;
use super::signing::SigningArgs;
use super::tekton::TektonArgs;
use super::{CliError, proving, stored};
use crate::exit_code;
use crate::oci::{Location, Reference, Timestamp};
use crate::report::{Ui, tekton, timed, units};
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
    attesting: AttestingArgs,
    #[command(flatten)]
    tekton: TektonArgs,
    #[command(flatten)]
    registry: RegistryArgs,
}

impl Args {
    pub(super) fn run(&self, ui: &Ui) -> Result<(), CliError> {
        let results = self.tekton.of("sign")?;
        self.attesting.check()?;
        let started = options::now()?;
        let found = Found::at(&self.image, &self.registry, Access::Write)?;
        let identities = self.signing.identities(&found.location)?;
        let (signer, story) = self.prepare(&found, started, ui).map_err(|error| self.unsigned(&found, error))?;
        let signing = timed(|| sign_found(&found, &identities, &signer, self.scope()));
        let (report, time) = signing.map_err(|error| self.unsigned(&found, error))?;
        report.warnings.iter().for_each(|warning| ui.warn(warning));
        ui.step("sign", summary(&report), time);
        let mut values = stored::named(&known_as(&found, &identities), found.manifest.digest());
        results.write(ui, &values)?;
        if let Some(story) = &story {
            let image = SignedImage { found: &found, signer: &signer, signed: &report, story };
            let attested = self.attesting.attach(ui, &image).map_err(|error| proving::unattested(&found, error))?;
            values.push((tekton::SBOM_BLOB_URL, stored::sbom(&found, &attested)?));
            results.write(ui, &values)?;
        }
        ui.data(found.pinned())?;
        Ok(())
    }

    /// Who signs, and what is to be attested.
    fn prepare(&self, found: &Found, started: Timestamp, ui: &Ui) -> Result<(Signer, Option<Story>), CliError> {
        let signer = self.signing.signer(&self.registry, ui)?;
        let story = self.story(found, &signer, started)?;
        Ok((signer, story))
    }

    /// A step of a task signs what the step before pushed, so its caller hears what `build --push --key` would say of a key that cannot
    /// be used: [`exit_code::UNSIGNED`].
    fn unsigned(&self, found: &Found, error: CliError) -> CliError {
        if self.tekton.is_given() && error.exit_code() == exit_code::FAILED { proving::unsigned(found, error) } else { error }
    }

    /// What the image tells about itself, where that is to be attested; read before anything is written.
    fn story(&self, found: &Found, signer: &Signer, started: Timestamp) -> Result<Option<Story>, CliError> {
        if !self.attesting.is_asked() {
            return Ok(None);
        }
        self.attesting.check_signer(signer)?;
        Story::told(found, started).map(Some)
    }

    /// Of the two options, the last one counts.
    fn scope(&self) -> Scope {
        if self.no_recursive { Scope::Named } else { Scope::All }
    }
}

/// The image with a tag that it is signed for, where it was named by its digest alone.
fn known_as(found: &Found, identities: &[String]) -> Location {
    let Location::Registry(reference) = &found.location else { return found.location.clone() };
    let names = identities.iter().filter_map(|name| name.parse::<Reference>().ok());
    let tag = names.filter(|name| name.name() == reference.name()).find_map(|name| name.tag().map(str::to_owned));
    match (reference.tag(), tag) {
        (None, Some(tag)) => Location::Registry(reference.tagged(&tag)),
        _ => found.location.clone(),
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
