//! `modelcar verify --emit`: the consumers' own policies.

use std::io::Read as _;

use fs_err as fs;

use super::CliError;
use super::policy::Signers;
use crate::oci::Location;
use crate::report::Ui;
use crate::trust::{EmitError, EmitRequest, ImageScope, Match, Policy, Target, TrustedRoot, emit, registries_d};

/// The largest trusted root that is read, in bytes.
const MAX_ROOT: u64 = 1 << 20;

/// Print a consumer's own policy and check nothing.
#[derive(Clone, Debug, Default, clap::Args)]
#[command(next_help_heading = "Policy")]
pub(super) struct EmitArgs {
    /// Check nothing: print the policy that makes this consumer ask for the same signatures
    #[arg(long, value_name = "CONSUMER")]
    emit: Option<Wanted>,
    /// How the policy compares names; `repository` also takes signatures without a tag, as cosign writes them
    #[arg(long, value_name = "RULE", default_value = "repo-digest-or-exact", requires = "emit")]
    match_policy: Names,
}

/// Whose policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Wanted {
    /// OpenShift, for the whole cluster
    #[value(name = "clusterimagepolicy")]
    ClusterImagePolicy,
    /// OpenShift, for one name space
    #[value(name = "imagepolicy")]
    ImagePolicy,
    /// podman, skopeo and CRI-O
    #[value(name = "policy.json")]
    PolicyJson,
    /// Kyverno
    Kyverno,
    /// sigstore's policy-controller
    PolicyController,
}

/// How names are compared.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
enum Names {
    /// By digest the repository, by tag the whole name
    #[default]
    RepoDigestOrExact,
    /// The repository alone
    Repository,
}

impl EmitArgs {
    /// Whether a policy is to be printed and nothing checked.
    pub(super) fn is_asked(&self) -> bool {
        self.emit.is_some()
    }

    /// Prints the policy: for the image's repository, else for the images of the policy file.
    pub(super) fn print(&self, ui: &Ui, image: Option<&Location>, policy: Option<&Policy>, signers: &Signers) -> Result<(), CliError> {
        let Some(wanted) = self.emit else { return Ok(()) };
        let scopes = scopes(image, policy)?;
        let Signers { keys, identities, root } = signers;
        let root = root.as_deref().map(read_root).transpose()?;
        let target = wanted.target();
        let names = match self.match_policy {
            Names::RepoDigestOrExact => Match::RepoDigestOrExact,
            Names::Repository => Match::Repository,
        };
        let request = EmitRequest { target, scopes: &scopes, keys, identities, trusted_root: root.as_ref(), names };
        ui.data(emit(&request).map_err(|error| wrong(&error))?.trim_end())?;
        if target == Target::PolicyJson {
            ui.say(
                format!(
                    "# podman and CRI-O look for signatures where a file in /etc/containers/registries.d says so:\n{}",
                    registries_d(&scopes)
                )
                .trim_end(),
            );
        }
        Ok(())
    }
}

impl Wanted {
    fn target(self) -> Target {
        match self {
            Self::ClusterImagePolicy => Target::ClusterImagePolicy,
            Self::ImagePolicy => Target::ImagePolicy,
            Self::PolicyJson => Target::PolicyJson,
            Self::Kyverno => Target::Kyverno,
            Self::PolicyController => Target::PolicyController,
        }
    }
}

fn scopes(image: Option<&Location>, policy: Option<&Policy>) -> Result<Vec<ImageScope>, CliError> {
    let Some(image) = image else { return Ok(policy.map(|policy| policy.scopes().to_vec()).unwrap_or_default()) };
    let reference = image.reference().ok_or_else(|| {
        CliError::usage(format!("`{image}` is in no registry, and policies are for images in registries"), "name it as it is pulled")
    })?;
    if let Some(policy) = policy {
        super::policy::ensure_covered(policy, Some(&reference.to_string()))?;
    }
    Ok(vec![ImageScope::of(&reference)])
}

fn read_root(path: &std::path::Path) -> Result<TrustedRoot, CliError> {
    let unreadable = |error: std::io::Error| wrong(&EmitError::Root { what: format!("cannot be read: {error}") });
    let mut bytes = Vec::new();
    fs::File::open(path).and_then(|file| file.take(MAX_ROOT).read_to_end(&mut bytes)).map_err(unreadable)?;
    TrustedRoot::parse(&bytes).map_err(|error| wrong(&error))
}

fn wrong(error: &EmitError) -> CliError {
    let hint = error.hint().unwrap_or_else(|| "docs/policy.md says what each consumer's policy can say".to_owned());
    CliError::usage(error.to_string(), hint)
}
