//! The policy file and its rules as options. Options on the command line only ever narrow what a file allows.

use std::path::{Path, PathBuf};

use super::CliError;
use super::options::RegistryArgs;
use super::trusting::TrustedArgs;
use crate::oci::{Location, Reference};
use crate::trust::{
    AttestationKind, CertificateIdentity, Certificates, MaxAge, Policy, PublicKey, Requirement, Rule, TrustError, TrustRoot, Trusted,
};

/// What must be attested, by a file or by options.
#[derive(Clone, Debug, Default, clap::Args)]
#[command(next_help_heading = "Policy")]
pub(super) struct PolicyArgs {
    /// Whose signatures count, for which images, and what must be attested: see docs/policy.md. Options only narrow it
    #[arg(long, value_name = "FILE")]
    policy: Option<PathBuf>,
    /// The greatest age of the provenance and the SBOM that are required, such as 30d or 720h
    #[arg(long, value_name = "AGE")]
    max_age: Option<MaxAge>,
    /// Require provenance by this builder; may be repeated: by one of them
    #[arg(long, value_name = "URI")]
    builder: Vec<String>,
    /// Require provenance whose source begins with this; may be repeated: with one of them
    #[arg(long, value_name = "PREFIX")]
    source_uri: Vec<String>,
    /// Require an SBOM with these licences alone, by SPDX identifier; may be repeated
    #[arg(long, value_name = "LICENCE")]
    licence: Vec<String>,
}

impl PolicyArgs {
    /// The policy file, where one is named.
    pub(super) fn load(&self) -> Result<Option<Policy>, CliError> {
        Ok(self.policy.as_deref().map(Policy::load).transpose().map_err(crate::trust::TrustError::from)?)
    }

    /// The policy file that is named, else another one.
    pub(super) fn load_or(&self, other: Option<&Path>) -> Result<Option<Policy>, CliError> {
        match (&self.policy, other) {
            (None, Some(other)) => Ok(Some(Policy::load(other).map_err(crate::trust::TrustError::from)?)),
            _ => self.load(),
        }
    }

    /// What must be attested: by the file, by name (`--require`), and by the rules among the options.
    pub(super) fn requirements(&self, policy: Option<&Policy>, required: &[AttestationKind]) -> Result<Vec<Requirement>, CliError> {
        let mut requirements = policy.map(Policy::requirements).unwrap_or_default();
        let has = |kind: &AttestationKind, of_policy: &[Requirement]| of_policy.iter().any(|requirement| requirement.kind() == kind);
        let named: Vec<AttestationKind> = required.iter().filter(|kind| !has(kind, &requirements)).cloned().collect();
        requirements.extend(named.into_iter().map(Requirement::new));
        for rule in self.rules() {
            narrow(&mut requirements, &rule)?;
        }
        Ok(requirements)
    }

    fn rules(&self) -> Vec<Rule> {
        let listed = |list: &[String], rule: fn(Vec<String>) -> Rule| (!list.is_empty()).then(|| rule(list.to_vec()));
        let rules = [
            listed(&self.builder, Rule::Builder),
            listed(&self.source_uri, Rule::SourceUri),
            listed(&self.licence, Rule::Licences),
            // last, so that it goes for the attestations that the others ask for
            self.max_age.map(Rule::MaxAge),
        ];
        rules.into_iter().flatten().collect()
    }
}

/// Adds a rule to every requirement that it says something about, and to one of its own where it stands for one.
fn narrow(requirements: &mut Vec<Requirement>, rule: &Rule) -> Result<(), CliError> {
    let asks_for = match rule {
        Rule::Builder(_) | Rule::SourceUri(_) => Some(AttestationKind::Provenance),
        Rule::Licences(_) => Some(AttestationKind::Sbom),
        Rule::MaxAge(_) => None,
    };
    if let Some(kind) = asks_for
        && !requirements.iter().any(|requirement| *requirement.kind() == kind)
    {
        requirements.push(Requirement::new(kind));
    }
    let mut applied = false;
    for requirement in requirements.iter_mut().filter(|requirement| rule.applies_to(requirement.kind())) {
        if let Ok(narrower) = requirement.clone().with(rule.clone()) {
            *requirement = narrower;
            applied = true;
        }
    }
    if applied {
        return Ok(());
    }
    Err(CliError::usage("--max-age has nothing to judge: neither provenance nor SBOM is required", "add --require provenance,sbom"))
}

/// Whose signatures count: those of the policy, of those named by options, or of the latter as far as the policy has them.
pub(super) fn trusted(
    policy: Option<&Policy>,
    options: &TrustedArgs,
    image: &Location,
    registry: &RegistryArgs,
) -> Result<Trusted, CliError> {
    match policy {
        Some(policy) => narrowed(policy, options.trusted(image, registry)?),
        None => options.somebody(image, registry),
    }
}

/// Those of the policy, or those who are named as far as the policy has them.
pub(super) fn narrowed(policy: &Policy, named: Trusted) -> Result<Trusted, CliError> {
    if named.certificates.is_some() {
        return Err(two_words_on_certificates());
    }
    ensure_trusted(policy, &named.keys)?;
    if named.keys.is_empty() {
        return Ok(Trusted { keys: policy.keys().to_vec(), certificates: certificates(policy)?, ..Trusted::default() });
    }
    Ok(named)
}

/// The same people in the terms of consumers' own policies: certificates by name, and the authorities as a file.
#[derive(Debug)]
pub(super) struct Signers {
    pub(super) keys: Vec<PublicKey>,
    pub(super) identities: Vec<CertificateIdentity>,
    pub(super) root: Option<PathBuf>,
}

/// Who a consumer's policy is to trust; narrowed by options just as for [`trusted`].
pub(super) fn signers(policy: Option<&Policy>, options: &TrustedArgs) -> Result<Signers, CliError> {
    let (keys, certificate) = (options.keys()?, options.certificate()?);
    match (policy, certificate) {
        (Some(_), Some(_)) => Err(two_words_on_certificates()),
        (None, certificate) => {
            let (identities, root) = certificate.map(|(identity, root)| (vec![identity], root)).unzip();
            Ok(Signers { keys, identities: identities.unwrap_or_default(), root })
        }
        (Some(policy), None) => {
            ensure_trusted(policy, &keys)?;
            Ok(if keys.is_empty() { all_of(policy) } else { Signers { keys, identities: Vec::new(), root: None } })
        }
    }
}

fn all_of(policy: &Policy) -> Signers {
    let root = policy.trusted_root().map(Path::to_owned);
    Signers { keys: policy.keys().to_vec(), identities: policy.identities().to_vec(), root }
}

fn two_words_on_certificates() -> CliError {
    CliError::usage(
        "a policy and `--certificate-identity` both say whose certificates count",
        "write the identity into the policy, or leave out --policy",
    )
}

/// Options narrow a policy: keys that it does not have are none that it trusts.
fn ensure_trusted(policy: &Policy, keys: &[PublicKey]) -> Result<(), CliError> {
    let Some(key) = keys.iter().find(|key| !policy.keys().contains(key)) else { return Ok(()) };
    Err(CliError::usage(
        format!("the policy {} does not trust the key {}", policy.path().display(), key.hint()),
        "options can narrow a policy and not widen it: add the key to the policy, or leave out --policy",
    ))
}

/// The holders of certificates that a policy names, with the authorities it names.
fn certificates(policy: &Policy) -> Result<Option<Certificates>, CliError> {
    let Some(root) = policy.trusted_root() else { return Ok(None) };
    let root = TrustRoot::of_file(root).map_err(TrustError::from)?;
    Ok((!policy.identities().is_empty()).then(|| Certificates::new(policy.identities().to_vec(), root.into())))
}

/// Refuses an image that the policy says nothing about.
pub(super) fn ensure_covered(policy: &Policy, identity: Option<&str>) -> Result<(), CliError> {
    let name = identity.ok_or_else(|| {
        CliError::usage(
            "the image has no name, and a policy is for images of certain names",
            "say which with --identity REGISTRY/REPOSITORY:TAG",
        )
    })?;
    let image: Reference = name.parse().map_err(|error| CliError::Location(crate::oci::InvalidLocation::Reference(error)))?;
    if policy.covers(&image) {
        return Ok(());
    }
    let scopes: Vec<String> = policy.scopes().iter().map(ToString::to_string).collect();
    Err(CliError::Refused {
        image: name.to_owned(),
        reasons: format!("the policy {} is for {} only", policy.path().display(), scopes.join(", ")),
        hint: Some("add the image to `images` in the policy, if it is meant to be trusted".to_owned()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn requirements(args: &PolicyArgs, required: &[AttestationKind]) -> Vec<Requirement> {
        args.requirements(None, required).unwrap()
    }

    #[test]
    fn a_rule_asks_for_the_attestation_that_it_judges() {
        let (provenance, sbom) = (Requirement::new(AttestationKind::Provenance), Requirement::new(AttestationKind::Sbom));
        assert_eq!(requirements(&PolicyArgs::default(), &[AttestationKind::Sbom]), vec![sbom.clone()]);

        let builder = PolicyArgs { builder: vec!["b".to_owned()], max_age: Some("1d".parse().unwrap()), ..PolicyArgs::default() };
        let both = provenance.with(Rule::Builder(vec!["b".to_owned()])).unwrap();
        let both = both.with(Rule::MaxAge("1d".parse().unwrap())).unwrap();
        assert_eq!(requirements(&builder, &[]), [both]);

        let licence = PolicyArgs { licence: vec!["MIT".to_owned()], ..PolicyArgs::default() };
        assert_eq!(requirements(&licence, &[]), [sbom.with(Rule::Licences(vec!["MIT".to_owned()])).unwrap()]);
    }

    #[test]
    fn an_age_of_nothing_is_wrong_usage() {
        let args = PolicyArgs { max_age: Some("1d".parse().unwrap()), ..PolicyArgs::default() };
        assert!(args.requirements(None, &[AttestationKind::ModelSigning]).unwrap_err().to_string().contains("nothing to judge"));
        assert_eq!(requirements(&args, &[AttestationKind::Provenance]).len(), 1);
    }
}
