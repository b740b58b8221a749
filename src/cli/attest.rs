//! `modelcar attest`.

use std::io::{self, Read};
use std::path::{Path, PathBuf};

use fs_err as fs;

use super::CliError;
use super::attesting::{FormArgs, summary};
use super::options::{self, RegistryArgs};
use super::resolve::Found;
use super::signing::SignerArgs;
use crate::oci::Location;
use crate::report::{Ui, timed};
use crate::store::Access;
use crate::trust::TrustError;
use crate::trust::attest::{AttestReport, AttestRequest, MAX_PREDICATE, Predicate, PredicateType, Reach, attest};

/// The verb's options.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The image
    #[arg(value_name = "REF", value_parser = options::location)]
    image: Location,
    /// What kind of statement it is: slsa, cyclonedx, spdx, vuln, openvex, or custom=URI
    #[arg(long = "type", value_name = "TYPE", value_parser = options::plain_word::<PredicateType>)]
    kind: PredicateType,
    /// The statement itself: a JSON object of at most 740 KiB; `-` reads standard input
    #[arg(long, value_name = "FILE")]
    predicate: PathBuf,
    /// Say it of every manifest in an index too
    #[arg(long)]
    recursive: bool,
    #[command(flatten)]
    form: FormArgs,
    #[command(flatten)]
    signing: SignerArgs,
    #[command(flatten)]
    registry: RegistryArgs,
}

impl Args {
    pub(super) fn run(&self, ui: &Ui) -> Result<(), CliError> {
        let predicate = Predicate::parse(self.kind.clone(), &read(&self.predicate)?).map_err(TrustError::from)?;
        let found = Found::at(&self.image, &self.registry, Access::Write)?;
        let signer = self.signing.signer(&self.registry, ui)?;
        let name = found.location.reference().map(|reference| reference.name());
        let (report, time) = timed(|| -> Result<AttestReport, CliError> {
            let request = AttestRequest {
                store: found.store.as_ref(),
                manifest: found.manifest.clone(),
                name: name.as_deref(),
                predicates: std::slice::from_ref(&predicate),
                signer: &signer,
                format: self.form.attestation_format,
                reach: if self.recursive { Reach::Recursive } else { Reach::Named },
                just_signed: None,
            };
            let report = attest(&request)?;
            found.store.commit()?;
            Ok(report)
        })?;
        ui.step("attest", format!("{}: {}", self.kind, summary(&report)), time);
        ui.data(found.pinned())?;
        Ok(())
    }
}

/// The file, and one byte more than is taken, so that too much is noticed.
fn read(path: &Path) -> Result<Vec<u8>, CliError> {
    let mut bytes = Vec::new();
    let result = if path == Path::new("-") {
        io::stdin().lock().take(MAX_PREDICATE + 1).read_to_end(&mut bytes)
    } else {
        fs::File::open(path).and_then(|file| file.take(MAX_PREDICATE + 1).read_to_end(&mut bytes))
    };
    result.map_err(|source| CliError::Reading { path: path.display().to_string(), source })?;
    Ok(bytes)
}
