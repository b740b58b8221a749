//! `modelcar verify`.

use std::str::FromStr;

use super::CliError;
use super::options::{self, Format, RegistryArgs};
use super::resolve::Found;
use super::trusting::TrustedArgs;
use crate::kserve::KserveError;
use crate::oci::Location;
use crate::report::{Ui, timed, trust};
use crate::store::Access;
use crate::trust::{Consumer, Refusal, Requirement, SignReport, Trusted, VerifyReport, VerifyRequest, verify};

/// The verb's options.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The image
    #[arg(value_name = "REF", value_parser = options::location)]
    image: Location,
    /// The name that a classic signature must be for [default: the name asked for]
    #[arg(long, value_name = "REF")]
    identity: Option<String>,
    #[command(flatten)]
    demands: Demands,
    /// Use no network at all: for an image in a layout or archive
    #[arg(long)]
    offline: bool,
    /// How the result is printed
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    format: Format,
    #[command(flatten)]
    trusting: TrustedArgs,
    #[command(flatten)]
    registry: RegistryArgs,
}

const DEMANDS: &str = "Demands";

/// What an image has to have.
#[derive(Debug, clap::Args)]
struct Demands {
    /// Who has to accept the image: openshift, podman, cosign-v2, cosign-v3, cosign-v4, kyverno, policy-controller, conforma, quay
    /// or all, separated by commas
    #[arg(long, value_name = "CONSUMER", value_delimiter = ',', default_value = "openshift,cosign-v3", value_parser = options::word::<Named>, help_heading = DEMANDS)]
    consumer: Vec<Named>,
    /// An attestation that a trusted signer must have made: sbom, provenance, model-signing or a predicate type, separated by commas
    #[arg(long, value_name = "WHAT", value_delimiter = ',', value_parser = options::word::<Requirement>, help_heading = DEMANDS)]
    require: Vec<Requirement>,
    /// Also read every config and layer and compare its digest
    #[arg(long, help_heading = DEMANDS)]
    layers: bool,
}

/// One consumer, or all of them.
#[derive(Clone, Copy, Debug)]
enum Named {
    One(Consumer),
    All,
}

impl FromStr for Named {
    type Err = KserveError;

    fn from_str(text: &str) -> Result<Self, KserveError> {
        const ALL: &str = "all";
        if text == ALL {
            return Ok(Self::All);
        }
        let known = || Consumer::ALL.map(|consumer| consumer.to_string()).into_iter().chain([ALL.to_owned()]);
        text.parse().map(Self::One).map_err(|_: KserveError| KserveError::unknown_word("consumer", text, known()))
    }
}

impl Demands {
    /// Whom the user named, each once and in the order of tables.
    fn consumers(&self) -> Vec<Consumer> {
        let is_named = |consumer: &Consumer| {
            self.consumer.iter().any(|named| match named {
                Named::One(one) => one == consumer,
                Named::All => true,
            })
        };
        Consumer::ALL.into_iter().filter(is_named).collect()
    }
}

impl Args {
    pub(super) fn run(&self, ui: &Ui) -> Result<(), CliError> {
        self.ensure_offline()?;
        let trusted = self.trusting.somebody(&self.image, &self.registry)?;
        let found = Found::at(&self.image, &self.registry, Access::Read)?;
        let (report, time) = timed(|| self.check(&found, &trusted, ui))?;
        match self.format {
            Format::Text => ui.say(trust::verification(&report).trim_end()),
            Format::Json => ui.data(trust::json(&found.pinned(), &report)?)?,
        }
        accept(&found, &report)?;
        ui.step("verify", trust::verified(&report), time);
        if self.format == Format::Text {
            ui.data(found.pinned())?;
        }
        Ok(())
    }

    /// A registry is a network. Everything else that is read here is a file.
    fn ensure_offline(&self) -> Result<(), CliError> {
        match &self.image {
            Location::Registry(reference) if self.offline => Err(CliError::usage(
                format!("`{reference}` is in a registry, and `--offline` uses no network"),
                format!("fetch it first: `modelcar pull {reference} DIR`, then `modelcar verify --offline oci:DIR …`"),
            )),
            _ => Ok(()),
        }
    }

    fn check(&self, found: &Found, trusted: &Trusted, ui: &Ui) -> Result<VerifyReport, CliError> {
        let name = self.identity.clone().or_else(|| found.location.reference().map(|reference| reference.to_string()));
        let watch = self.demands.layers.then(|| ui.watch());
        Ok(verify(&VerifyRequest {
            store: found.store.as_ref(),
            manifest: found.manifest.clone(),
            trusted,
            identity: name.as_deref(),
            consumers: &self.demands.consumers(),
            required: &self.demands.require,
            layers: watch.as_ref(),
            just_signed: None,
        })?)
    }
}

/// Checks an image that was signed a moment ago, for the usual consumers.
pub(super) fn verify_signed(found: &Found, trusted: &Trusted, name: Option<&str>, signed: &SignReport) -> Result<VerifyReport, CliError> {
    Ok(verify(&VerifyRequest {
        store: found.store.as_ref(),
        manifest: found.manifest.clone(),
        trusted,
        identity: name,
        consumers: &Consumer::DEFAULT,
        required: &[],
        layers: None,
        just_signed: Some(signed),
    })?)
}

/// An error that names the first refusal, and how many there are.
pub(super) fn accept(found: &Found, report: &VerifyReport) -> Result<(), CliError> {
    let refusals = report.refusals();
    let Some(first) = refusals.first() else { return Ok(()) };
    let more = if refusals.len() > 1 { format!(" (and {} more)", refusals.len() - 1) } else { String::new() };
    Err(CliError::Refused { image: found.pinned(), reasons: format!("{first}{more}"), hint: Some(hint(first)) })
}

fn hint(refusal: &Refusal) -> String {
    refusal.refused.objection.remedy().to_owned()
}
