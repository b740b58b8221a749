//! The options that say who signs.

use std::path::PathBuf;

use super::CliError;
use crate::oci::{Location, ManifestRef};
use crate::trust::{PasswordSource, PrivateKey, Signer};

/// Who signs, and under which names.
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "Signing")]
pub(super) struct SigningArgs {
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

impl SigningArgs {
    /// Loads the key; the password is asked for only if the key is encrypted.
    pub(super) fn signer(&self) -> Result<Signer, CliError> {
        Ok(Signer::Key(PrivateKey::load(&self.key, &|| PasswordSource::choose(self.password_file.clone())?.read())?))
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
