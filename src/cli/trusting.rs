//! The options that say whose signatures count.

use std::path::PathBuf;

use super::CliError;
use super::keyless::CertificateArgs;
use super::options::{KeyParser, RegistryArgs};
use crate::trust::{CertificateIdentity, KeyError, KeySource, PublicKey, Trusted};

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
    /// The keys alone.
    pub(super) fn keys(&self, image: &dyn std::fmt::Display) -> Result<Vec<PublicKey>, CliError> {
        self.key.iter().map(|key| load(key, image)).collect()
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
        Ok(Trusted { keys: self.keys(image)?, certificates: self.certificates.certificates(registry)? })
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

/// A key that is damaged verifies nothing: that is a refusal, and not a failure to check.
fn load(key: &KeySource, image: &dyn std::fmt::Display) -> Result<PublicKey, CliError> {
    key.public_key().map_err(|error| match error {
        KeyError::Unusable { .. } => {
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
