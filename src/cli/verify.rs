//! `modelcar verify`.

use std::path::Path;
use std::str::FromStr;

use super::emit::EmitArgs;
use super::model_signature::ModelSignatureArgs;
use super::options::{self, Format, RegistryArgs};
use super::policy::PolicyArgs;
use super::resolve::Found;
use super::tekton::TektonArgs;
use super::trusting::TrustedArgs;
use super::{CliError, from_file, policy, stored};
use crate::kserve::KserveError;
use crate::oci::{Location, Timestamp};
use crate::report::{Ui, timed, trust};
use crate::store::Access;
use crate::trust::{AttestationKind, Consumer, Demand, Policy, Refusal, Trusted, VerifyReport, VerifyRequest, verify};

/// The verb's options.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The image; with --model-signature, a folder
    #[arg(value_name = "REF", required_unless_present = "emit")]
    what: Option<String>,
    /// The name that a classic signature must be for [default: the name asked for]
    #[arg(long, value_name = "REF", value_parser = from_file::word)]
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
    policy: PolicyArgs,
    #[command(flatten)]
    emit: EmitArgs,
    #[command(flatten)]
    model: ModelSignatureArgs,
    #[command(flatten)]
    tekton: TektonArgs,
    #[command(flatten)]
    registry: RegistryArgs,
}

const DEMANDS: &str = "Demands";

/// What an image has to have.
#[derive(Debug, clap::Args)]
struct Demands {
    /// Who has to accept the image: openshift, podman, cosign-v2, cosign-v3, cosign-v4, kyverno, policy-controller, conforma, quay
    /// or all, separated by commas [default: openshift,cosign-v3, or the policy's]
    #[arg(long, value_name = "CONSUMER", value_delimiter = ',', value_parser = options::word::<Named>, help_heading = DEMANDS)]
    consumer: Vec<Named>,
    /// An attestation that a trusted signer must have made: sbom, provenance, model-signing or a predicate type, separated by commas
    #[arg(long, value_name = "WHAT", value_delimiter = ',', value_parser = options::word::<AttestationKind>, help_heading = DEMANDS)]
    require: Vec<AttestationKind>,
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
    /// Whom the user and the policy named, each once and in the order of tables. A policy that names none means the usual ones, and
    /// options do not widen it.
    fn consumers(&self, policy: Option<&Policy>) -> Vec<Consumer> {
        let of_policy = match policy.map(Policy::consumers) {
            Some([]) => &Consumer::DEFAULT,
            Some(named) => named,
            None => &[],
        };
        if self.consumer.is_empty() && of_policy.is_empty() {
            return Consumer::DEFAULT.to_vec();
        }
        let is_named = |consumer: &Consumer| {
            self.consumer.iter().any(|named| match named {
                Named::One(one) => one == consumer,
                Named::All => true,
            })
        };
        Consumer::ALL.into_iter().filter(|consumer| of_policy.contains(consumer) || is_named(consumer)).collect()
    }
}

impl Args {
    pub(super) fn run(&self, ui: &Ui) -> Result<(), CliError> {
        let what = self.what.as_deref().unwrap_or_default();
        if self.model.is_asked() {
            return self.model.verify(Path::new(what), &self.trusting.trusted(&what, &self.registry)?, ui);
        }
        let policy = self.policy.load()?;
        let image = self.what.as_deref().map(options::named).transpose()?;
        let image = match &image {
            Some(image) if !self.emit.is_asked() => image,
            image => {
                let signers = policy::signers(policy.as_ref(), &self.trusting)?;
                return self.emit.print(ui, image.as_ref(), policy.as_ref(), &signers);
            }
        };
        self.ensure_offline(image)?;
        let results = self.tekton.of("verify")?;
        let trusted = policy::trusted(policy.as_ref(), &self.trusting, image, &self.registry)?;
        let trusted = Trusted { authorities: self.model.authorities()?, ..trusted };
        let found = Found::at(image, &self.registry, Access::Read)?;
        let name = self.name(&found);
        let (report, time) = timed(|| self.check(&found, name.as_deref(), &trusted, policy.as_ref(), ui))?;
        self.print(ui, &found, name.as_deref(), &report)?;
        accept(&found, &report)?;
        ui.step("verify", trust::verified(&report), time);
        results.write(ui, &stored::named(&found.location, found.manifest.digest()))?;
        if self.format == Format::Text {
            ui.data(found.pinned())?;
        }
        Ok(())
    }

    /// A registry is a network, and so is a TUF mirror. Everything else that is read here is a file.
    fn ensure_offline(&self, image: &Location) -> Result<(), CliError> {
        match image {
            _ if self.offline && self.trusting.needs_network() => Err(CliError::usage(
                "a TUF mirror is asked over the network, and `--offline` uses none",
                "name a file: `--trusted-root FILE`",
            )),
            Location::Registry(reference) if self.offline => Err(CliError::usage(
                format!("`{reference}` is in a registry, and `--offline` uses no network"),
                format!("fetch it first: `modelcar pull {reference} DIR`, then `modelcar verify --offline oci:DIR …`"),
            )),
            _ => Ok(()),
        }
    }

    /// The name that signatures have to be for, where one is known.
    fn name(&self, found: &Found) -> Option<String> {
        self.identity.clone().or_else(|| found.location.reference().map(|reference| reference.to_string()))
    }

    fn print(&self, ui: &Ui, found: &Found, name: Option<&str>, report: &VerifyReport) -> Result<(), CliError> {
        match self.format {
            Format::Text => ui.say(trust::verification(report).trim_end()),
            Format::Json => ui.data(trust::json(&found.pinned(), name, report)?)?,
        }
        if self.format == Format::Text && name.is_none() {
            ui.note("no name was compared: give --identity REGISTRY/REPOSITORY:TAG");
        }
        Ok(())
    }

    fn check(
        &self,
        found: &Found,
        name: Option<&str>,
        trusted: &Trusted,
        policy: Option<&Policy>,
        ui: &Ui,
    ) -> Result<VerifyReport, CliError> {
        policy.iter().try_for_each(|policy| policy::ensure_covered(policy, name))?;
        let layers = self.demands.layers || policy.is_some_and(Policy::layers);
        let watch = layers.then(|| ui.watch());
        Ok(verify(&VerifyRequest {
            store: found.store.as_ref(),
            manifest: found.manifest.clone(),
            trusted,
            identity: name,
            consumers: &self.demands.consumers(policy),
            required: &self.policy.requirements(policy, &self.demands.require)?,
            now: Timestamp::now(),
            layers: watch.as_ref(),
            just_signed: None,
        })?)
    }
}

/// An error that names the first refusal, and how many there are.
pub(super) fn accept(found: &Found, report: &VerifyReport) -> Result<(), CliError> {
    let refusals = report.refusals();
    let Some(first) = refusals.first() else { return Ok(()) };
    let more = if refusals.len() > 1 { format!(" (and {} more)", refusals.len() - 1) } else { String::new() };
    Err(CliError::Refused { image: found.pinned(), reasons: format!("{first}{more}"), hint: Some(hint(first, report)) })
}

/// What to do about a refusal.
pub(super) fn hint(refusal: &Refusal, report: &VerifyReport) -> String {
    const PLATFORMS: &str = "the index is signed and its platforms are not: `modelcar sign` signs all of them, for every kind of reader, and \
                             `cosign sign --recursive` for cosign";
    let is_signature = matches!(refusal.by, Demand::Consumer(_) | Demand::Signature);
    if is_signature && report.is_index_alone_signed() { PLATFORMS } else { refusal.refused.objection.remedy() }.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trust::PrivateKey;

    #[test]
    fn options_add_to_the_consumers_of_a_policy_and_take_none_away() {
        use Consumer::{CosignV3, Kyverno, OpenShift, Quay};
        let key = PrivateKey::generate().unwrap().public().to_pem().replace('\n', "\n      ");
        let policy = |consumers: &str| {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("policy.yaml");
            let text = format!("version: 1\nimages: [quay.io/edge]\n{consumers}keys:\n  - pem: |\n      {key}\n");
            fs_err::write(&path, text).unwrap();
            Policy::load(&path).unwrap()
        };
        let (silent, kyverno) = (policy(""), policy("consumers: [kyverno]\n"));
        let quay = vec![Named::One(Quay)];
        for (policy, asked, expected) in [
            (None, vec![], vec![OpenShift, CosignV3]),
            (None, quay.clone(), vec![Quay]),
            (Some(&silent), vec![], vec![OpenShift, CosignV3]),
            (Some(&silent), quay.clone(), vec![OpenShift, CosignV3, Quay]),
            (Some(&kyverno), vec![], vec![Kyverno]),
            (Some(&kyverno), quay, vec![Kyverno, Quay]),
        ] {
            let demands = Demands { consumer: asked, require: Vec::new(), layers: false };
            assert_eq!(demands.consumers(policy), expected);
        }
    }
}
