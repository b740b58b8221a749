//! `modelcar sign`.

use std::path::PathBuf;

use super::CliError;
use super::options::{self, RegistryArgs};
use super::resolve::Found;
use crate::oci::{Location, ManifestRef};
use crate::report::{Ui, timed, units};
use crate::store::Access;
use crate::trust::{Outcome, PasswordSource, PrivateKey, SignReport, SignRequest, sign};

/// The private key.
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "Signing")]
pub(super) struct KeyArgs {
    /// The private key: cosign's encrypted form, or PKCS8 PEM (P-256)
    #[arg(long, value_name = "FILE")]
    key: PathBuf,
    /// A file that holds the key's password [default: COSIGN_PASSWORD, else a prompt]
    #[arg(long, value_name = "FILE")]
    password_file: Option<PathBuf>,
    /// A name under which consumers know the image, such as quay.io/org/model:v1; may be repeated [default: the tag]
    #[arg(long, value_name = "REF")]
    sign_identity: Vec<String>,
}

impl KeyArgs {
    /// Loads the key; the password is asked for only if the key is encrypted.
    pub(super) fn load(&self) -> Result<PrivateKey, CliError> {
        Ok(PrivateKey::load(&self.key, &|| PasswordSource::choose(self.password_file.clone())?.read())?)
    }

    /// Whether the user named identities.
    pub(super) fn has_identities(&self) -> bool {
        !self.sign_identity.is_empty()
    }

    /// The identities to sign: those given, else the image's own tag.
    pub(super) fn identities(&self, location: &Location) -> Result<Vec<String>, CliError> {
        if !self.sign_identity.is_empty() {
            return Ok(self.sign_identity.clone());
        }
        let tagged = location.reference().and_then(|reference| reference.tag().map(|tag| reference.tagged(tag).to_string()));
        let why = match location.manifest_ref() {
            Some(ManifestRef::Digest(_)) => "a digest has no tag, and podman and CRI-O accept a signature only for the tag it names",
            _ => "the layout's image is not named after a registry, and podman and CRI-O accept a signature only for the name in it",
        };
        tagged.map(|tag| vec![tag]).ok_or_else(|| {
            CliError::usage(
                format!("cannot tell which name to sign `{location}` for: {why}"),
                "add --sign-identity REGISTRY/REPOSITORY:TAG",
            )
        })
    }
}

/// The verb's options.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The image
    #[arg(value_name = "REF", value_parser = options::location)]
    image: Location,
    #[command(flatten)]
    key: KeyArgs,
    #[command(flatten)]
    registry: RegistryArgs,
}

impl Args {
    pub(super) fn run(&self, ui: &Ui) -> Result<(), CliError> {
        let found = Found::at(&self.image, &self.registry, Access::Write)?;
        let identities = self.key.identities(&found.location)?;
        let key = self.key.load()?;
        let (report, time) = timed(|| sign_found(&found, &identities, &key))?;
        report.warnings.iter().for_each(|warning| ui.note(warning));
        ui.step("sign", summary(&report), time);
        ui.data(found.pinned())?;
        Ok(())
    }
}

/// Signs an image in its open store.
pub(super) fn sign_found(found: &Found, identities: &[String], key: &PrivateKey) -> Result<SignReport, CliError> {
    let report = sign(&SignRequest { store: found.store.as_ref(), manifest: found.manifest.clone(), identities, key })?;
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
