//! `modelcar attest`.

use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use fs_err as fs;

use super::attesting::{FormArgs, attest_found, summary};
use super::options::{self, RegistryArgs};
use super::resolve::Found;
use super::signing::SignerArgs;
use super::{CliError, model_attestation};
use crate::oci::Location;
use crate::report::{Ui, timed};
use crate::store::Access;
use crate::trust::attest::{AttestationFormat, MAX_PREDICATE, Predicate, PredicateType, Reach};
use crate::trust::model_signing::{CertificateChain, ModelSigner};
use crate::trust::{InvalidPredicate, SignReport};

/// The verb's options.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The image
    #[arg(value_name = "REF", value_parser = options::location)]
    image: Location,
    /// What kind of statement it is: slsa (or provenance), cyclonedx (or sbom), spdx, vuln, openvex, custom=URI (or the URI alone), or model-signing, which signs the model's files
    #[arg(long = "type", value_name = "TYPE", value_parser = options::plain_word::<Kind>)]
    kind: Kind,
    /// The statement itself: a JSON object of at most 740 KiB; `-` reads standard input
    #[arg(long, value_name = "FILE")]
    predicate: Option<PathBuf>,
    /// With model-signing: certificates (PEM), that of the key first, then those above it
    #[arg(long, value_name = "FILE")]
    certificate_chain: Option<PathBuf>,
    /// Say it of every manifest in an index too, as model-signing always does
    #[arg(long)]
    recursive: bool,
    #[command(flatten)]
    form: FormArgs,
    #[command(flatten)]
    signing: SignerArgs,
    #[command(flatten)]
    registry: RegistryArgs,
}

/// What can be attested on demand.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Kind {
    /// What a file says.
    Stated(PredicateType),
    /// The model's files, as they lie in the image.
    Model,
}

impl FromStr for Kind {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "model-signing" => Ok(Self::Model),
            text if text.contains(['=', ':']) => text.parse().map(Self::Stated),
            text => text.parse().map(Self::Stated).map_err(|why: String| format!("{why}, or model-signing")),
        }
    }
}

impl Args {
    pub(super) fn run(&self, ui: &Ui) -> Result<(), CliError> {
        self.check()?;
        match (&self.kind, &self.predicate) {
            (Kind::Stated(kind), Some(file)) => self.state(ui, kind, file),
            (Kind::Stated(_), None) => {
                Err(CliError::usage("`--predicate` is missing: what to say", "add --predicate FILE; `-` is standard input"))
            }
            (Kind::Model, _) => self.sign_model(ui),
        }
    }

    /// Refuses options that go with another type.
    fn check(&self) -> Result<(), CliError> {
        let wrong = |message: &str, hint: &str| Err(CliError::usage(message, hint));
        match self.kind {
            Kind::Model if self.predicate.is_some() => {
                wrong("`--type model-signing` is made from the image, and takes no statement", "leave out `--predicate`")
            }
            Kind::Model if self.form.attestation_format != AttestationFormat::Bundle => {
                wrong("a model signature is a bundle and has no other form", "leave out `--attestation-format`")
            }
            Kind::Stated(_) if self.certificate_chain.is_some() => {
                wrong("`--certificate-chain` goes with `--type model-signing` alone", "leave it out")
            }
            Kind::Model | Kind::Stated(_) => Ok(()),
        }
    }

    fn state(&self, ui: &Ui, kind: &PredicateType, file: &Path) -> Result<(), CliError> {
        let predicate = predicate(kind, file)?;
        let found = Found::at(&self.image, &self.registry, Access::Write)?;
        let signer = self.signing.signer(&self.registry, ui)?;
        let reach = if self.recursive { Reach::Recursive } else { Reach::Named };
        let predicates = std::slice::from_ref(&predicate);
        let (report, time) = timed(|| attest_found(&found, &signer, predicates, self.form.attestation_format, reach, None))?;
        ui.step("attest", format!("{kind}: {}", summary(&report)), time);
        ui.data(found.pinned())?;
        Ok(())
    }

    fn sign_model(&self, ui: &Ui) -> Result<(), CliError> {
        let chain = self.certificate_chain.as_deref().map(CertificateChain::load).transpose()?;
        let found = Found::at(&self.image, &self.registry, Access::Write)?;
        let signer = self.signing.signer(&self.registry, ui)?;
        let signer = match chain {
            Some(chain) => ModelSigner::with_chain(&signer, chain)?,
            None => ModelSigner::new(&signer),
        };
        let (report, time) = timed(|| model_attestation::attach(&found, &signer, &SignReport::default()))?;
        let (files, done) = (model_attestation::files(&report), model_attestation::summary(&report));
        ui.step("attest", format!("{files}, root {}; {done}", report.root), time);
        ui.data(found.pinned())?;
        Ok(())
    }
}

/// What a file or standard input says.
fn predicate(kind: &PredicateType, path: &Path) -> Result<Predicate, CliError> {
    let is_stdin = path == Path::new("-");
    let name = || if is_stdin { "standard input".to_owned() } else { path.display().to_string() };
    let text = if is_stdin { read(io::stdin().lock()) } else { fs::File::open(path).and_then(read) };
    let (bytes, size) = text.map_err(|source| CliError::Reading { path: name(), source })?;
    let too_large = InvalidPredicate::TooLarge { size, limit: MAX_PREDICATE };
    let said = if size > MAX_PREDICATE { Err(too_large) } else { Predicate::parse(kind.clone(), &bytes) };
    said.map_err(|source| CliError::Predicate { path: name(), source })
}

/// At most as much as is taken, and how much there is; something endless is followed for 1 GiB.
fn read(mut from: impl Read) -> io::Result<(Vec<u8>, u64)> {
    let mut bytes = Vec::new();
    from.by_ref().take(MAX_PREDICATE).read_to_end(&mut bytes)?;
    let more = io::copy(&mut from.take(1 << 30), &mut io::sink())?;
    let size = bytes.len() as u64 + more;
    Ok((bytes, size))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_for_a_type_that_is_none_is_told_with_all_that_are() {
        assert_eq!("model-signing".parse(), Ok(Kind::Model));
        assert!(matches!("slsa".parse(), Ok(Kind::Stated(_))) && matches!("custom=urn:x".parse(), Ok(Kind::Stated(_))));
        let error = "oms".parse::<Kind>().unwrap_err();
        assert!(error.contains("slsa") && error.ends_with("or model-signing"), "{error}");
        assert!(!"custom=x".parse::<Kind>().unwrap_err().contains("model-signing"));
    }

    #[test]
    fn a_predicate_that_cannot_be_attested_is_told_with_its_file_and_size() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("review.json");
        for (text, why) in
            [("x".repeat(1 << 20), "it has 1048576 bytes, and at most 757760 (740 KiB)"), ("[]".to_owned(), "not a JSON object")]
        {
            std::fs::write(&file, text).unwrap();
            let error = predicate(&"urn:x:y".parse().unwrap(), &file).unwrap_err();
            let CliError::Predicate { path, source } = error else { panic!("{error:?}") };
            assert!(path.ends_with("review.json") && source.to_string().contains(why), "{source}");
        }
    }
}
