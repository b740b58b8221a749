//! `modelcar verify FOLDER --model-signature FILE`: a folder against a signature of OpenSSF Model Signing.

use std::path::{Path, PathBuf};

use super::CliError;
use crate::report::{Ui, timed, units};
use crate::trust::Trusted;
use crate::trust::model_signing::{Accepted, Authorities, ModelAuthor, ModelTrust, SignatureFile, verify_folder};

/// What makes `verify` look at a folder.
#[derive(Clone, Debug, Default, clap::Args)]
#[command(next_help_heading = "Model signature")]
pub(super) struct ModelSignatureArgs {
    /// Check the model in the folder REF against this signature (OpenSSF Model Signing), instead of an image
    #[arg(long, value_name = "FILE")]
    model_signature: Option<PathBuf>,
    /// Certificates (PEM) of authorities whose holders' model signatures are accepted, of a folder or with `--require model-signing`; may be
    /// repeated
    #[arg(long, value_name = "FILE")]
    certificate_chain: Vec<PathBuf>,
}

impl ModelSignatureArgs {
    /// Whether a folder is to be checked.
    pub(super) fn is_asked(&self) -> bool {
        self.model_signature.is_some()
    }

    /// Checks the folder.
    pub(super) fn verify(&self, folder: &Path, trusted: &Trusted, ui: &Ui) -> Result<(), CliError> {
        let Some(signature) = &self.model_signature else { return Ok(()) };
        if trusted.is_nobody() && self.certificate_chain.is_empty() {
            return Err(CliError::usage(
                "nobody is named whose model signature counts",
                "add --key cosign.pub, or --certificate-chain ca.pem",
            ));
        }
        let authorities = self.authorities()?;
        let trust = ModelTrust { trusted, authorities: &authorities };
        let signature = SignatureFile::read(signature)?;
        let (verdict, time) = timed(|| verify_folder(folder, &signature, &trust))?;
        let accepted = verdict.map_err(|refusal| CliError::Refused {
            image: folder.display().to_string(),
            reasons: refusal.to_string(),
            hint: None,
        })?;
        ui.step("verify", summary(&accepted), time);
        ui.data(folder.display())?;
        Ok(())
    }

    /// The authorities whose holders are trusted with models.
    pub(super) fn authorities(&self) -> Result<Authorities, CliError> {
        let mut all = Authorities::default();
        for path in &self.certificate_chain {
            all.extend(Authorities::load(path)?);
        }
        Ok(all)
    }
}

fn summary(accepted: &Accepted) -> String {
    let by = match &accepted.by {
        ModelAuthor::Trusted(by) => by.to_string(),
        ModelAuthor::Certificate { subject } => subject.clone(),
    };
    format!("the model is as signed by {by}: {}", units::count(accepted.statement.files.len(), "file"))
}
