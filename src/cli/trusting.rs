//! The options that say whose signatures count.

use std::path::PathBuf;

use super::CliError;
use super::keyless::CertificateArgs;
use super::options::{KeyParser, RegistryArgs};
use crate::trust::{CertificateIdentity, InvalidKey, KeyError, KeySource, PublicKey, Trusted};

/// Whose signatures count.
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "Trust")]
pub(super) struct TrustedArgs {
    /// A public key whose signature is accepted: a PEM file, env://VARIABLE, or a folder with cosign.pub; may be repeated
    #[arg(long, value_name = "KEY", value_parser = KeyParser, allow_hyphen_values = true)]
    key: Vec<KeySource>,
    #[command(flatten)]
    certificates: CertificateArgs,
}

impl TrustedArgs {
    /// The keys alone, where no image is judged.
    pub(super) fn keys(&self) -> Result<Vec<PublicKey>, CliError> {
        Ok(self.key.iter().map(KeySource::public_key).collect::<Result<_, _>>()?)
    }

    /// The certificates alone, with the file that holds their authorities.
    pub(super) fn certificate(&self) -> Result<Option<(CertificateIdentity, PathBuf)>, CliError> {
        self.certificates.in_file()
    }

    /// Whether the authorities of certificates are asked for over the network.
    pub(super) fn needs_network(&self) -> bool {
        self.certificates.needs_network()
    }

    /// Whom the user named; `image` is what a damaged key is told about.
    pub(super) fn trusted(&self, image: &dyn std::fmt::Display, registry: &RegistryArgs) -> Result<Trusted, CliError> {
        let keys = self.key.iter().map(|key| load(key, image)).collect::<Result<_, _>>()?;
        Ok(Trusted { keys, certificates: self.certificates.certificates(registry)?, ..Trusted::default() })
    }

    /// The same where nobody is not enough.
    pub(super) fn somebody(&self, image: &dyn std::fmt::Display, registry: &RegistryArgs) -> Result<Trusted, CliError> {
        let trusted = self.trusted(image, registry)?;
        if !trusted.is_nobody() {
            return Ok(trusted);
        }
        Err(CliError::usage(
            "nobody is named whose signature counts",
            "add --key cosign.pub, or --certificate-identity, --certificate-oidc-issuer and --trusted-root",
        ))
    }
}

/// A key that is damaged verifies nothing: that is a refusal, and not a failure to check. A key of the wrong kind is a slip of the pen.
fn load(key: &KeySource, image: &dyn std::fmt::Display) -> Result<PublicKey, CliError> {
    key.public_key().map_err(|error| match error {
        KeyError::Unusable { source: InvalidKey::Damaged | InvalidKey::NotPem, .. } => {
            let hint = error.hint();
            CliError::Refused { image: image.to_string(), reasons: reasons(&error), hint }
        }
        error => error.into(),
    })
}

/// An error and its causes in one line.
fn reasons(error: &dyn std::error::Error) -> String {
    std::iter::successors(Some(error), |error| error.source()).map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_damaged_public_key_refuses_an_image() {
        let dir = tempfile::tempdir().unwrap();
        let testdata = |name: &str| std::fs::read_to_string(format!("{}/testdata/keys/{name}", env!("CARGO_MANIFEST_DIR"))).unwrap();
        for (text, code) in [
            (testdata("cosign.pub").replace('A', "B"), 3),
            ("no key".to_owned(), 3),
            (testdata("p256.key"), 1),
            (testdata("ed25519.pub"), 1),
        ] {
            let file = dir.path().join("key");
            std::fs::write(&file, &text).unwrap();
            let error = load(&KeySource::from(file.as_path()), &"q.io/o/m:v1").unwrap_err();
            assert_eq!(error.exit_code(), code, "{text}");
        }
    }
}
