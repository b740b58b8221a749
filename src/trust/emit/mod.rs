//! The policies of the consumers themselves, from whom we trust: what a cluster or a host enforces is then what `verify` checks.
//! Nothing is looked up or checked here; it is all pure.
//!
//! | file | consumer |
//! |---|---|
//! | `openshift` | ClusterImagePolicy and ImagePolicy of `config.openshift.io/v1`, which CRI-O enforces |
//! | `containers` | `policy.json` of podman, skopeo and CRI-O, and the `registries.d` that goes with it |
//! | `kyverno` | a ClusterPolicy of Kyverno |
//! | `controller` | a ClusterImagePolicy of sigstore's policy-controller |
//!
//! All of them are told to read classic signatures: the first two read nothing else, and the others read bundles of keys in few of
//! their versions (Kyverno 1.19.0 lost it again: kyverno#17363; policy-controller wants certificates in bundles).

use serde_json::Value;

use super::{CertificateIdentity, ImageScope, PublicKey};

mod containers;
mod controller;
mod kyverno;
mod openshift;
mod root;

pub use containers::registries_d;
pub use root::TrustedRoot;

/// Whose policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// OpenShift, for all name spaces.
    ClusterImagePolicy,
    /// OpenShift, for one name space.
    ImagePolicy,
    /// podman, skopeo, and CRI-O without OpenShift.
    PolicyJson,
    /// Kyverno.
    Kyverno,
    /// sigstore's policy-controller.
    PolicyController,
}

/// How the name in a signature is compared with the image's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Match {
    /// By digest the repository, by tag the whole name: the default of containers/image and OpenShift.
    #[default]
    RepoDigestOrExact,
    /// The repository alone: for signatures without a tag, as cosign writes them.
    Repository,
}

/// What a policy is made of.
pub struct EmitRequest<'a> {
    /// Whose policy.
    pub target: Target,
    /// The images that it is for.
    pub scopes: &'a [ImageScope],
    /// The keys whose signatures count.
    pub keys: &'a [PublicKey],
    /// The holders of certificates whose signatures count.
    pub identities: &'a [CertificateIdentity],
    /// The authorities behind them.
    pub trusted_root: Option<&'a TrustedRoot>,
    /// How names are compared.
    pub names: Match,
}

/// What the consumer's policy cannot say.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum EmitError {
    /// No images.
    #[error("no image to write a policy for")]
    NoScope,
    /// Too many of them.
    #[error("{count} scopes, and OpenShift takes at most 256 in one policy")]
    Scopes {
        /// How many.
        count: usize,
    },
    /// OpenShift's rule for hosts.
    #[error("OpenShift takes no scope `{scope}`: its registry has neither a dot nor is it localhost")]
    Host {
        /// The scope.
        scope: String,
    },
    /// Nobody is trusted.
    #[error("nobody to trust: there is neither a key nor an identity")]
    Nobody,
    /// One policy, one root of trust.
    #[error("{what} takes one key or identity, and there are {count}; two policies of one scope would both have to pass")]
    SeveralSigners {
        /// Whose policy.
        what: &'static str,
        /// How many there are.
        count: usize,
    },
    /// An identity that podman and CRI-O cannot be told.
    #[error("podman and CRI-O know identities by e-mail address only, and `{identity}` is none")]
    NoEmail {
        /// The identity.
        identity: String,
    },
    /// A regular expression where the consumer compares texts.
    #[error("{what} compares identity and issuer as they are, and `{expression}` is a regular expression")]
    Expression {
        /// Whose policy.
        what: &'static str,
        /// The expression.
        expression: String,
    },
    /// Certificates without authorities.
    #[error("an identity needs a trusted root, and there is none")]
    NoRoot,
    /// A trusted root without what is needed.
    #[error("the trusted root {what}")]
    Root {
        /// What is wrong with it.
        what: String,
    },
    /// The consumer cannot be told this in a way that is known to work.
    #[error("{what}")]
    Unsupported {
        /// Why.
        what: &'static str,
    },
    /// The text could not be written.
    #[error("cannot write the policy: {what}")]
    Text {
        /// Why.
        what: String,
    },
}

impl EmitError {
    /// What the user can do.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::NoScope => Some("name an image, or `--policy FILE` with images".to_owned()),
            Self::Nobody => Some("name a key with `--key cosign.pub`, or a policy with `--policy FILE`".to_owned()),
            Self::SeveralSigners { .. } => {
                Some("write one policy for each repository, or use policy.json, which takes several keys".to_owned())
            }
            Self::NoEmail { .. } | Self::Expression { .. } => {
                Some("sign with a key for clusters; a service account's certificate names a URI, which they do not look at".to_owned())
            }
            Self::NoRoot => Some("name it in the policy: `trustedRoot: trusted_root.json`".to_owned()),
            Self::Host { .. } | Self::Scopes { .. } | Self::Root { .. } | Self::Unsupported { .. } | Self::Text { .. } => None,
        }
    }
}

/// Writes the consumer's policy: YAML, or JSON for `policy.json`.
///
/// # Errors
/// What the consumer's policy cannot say.
pub fn emit(request: &EmitRequest<'_>) -> Result<String, EmitError> {
    if request.scopes.is_empty() {
        return Err(EmitError::NoScope);
    }
    if request.keys.is_empty() && request.identities.is_empty() {
        return Err(EmitError::Nobody);
    }
    match request.target {
        Target::ClusterImagePolicy => yaml(&openshift::policy("ClusterImagePolicy", request)?),
        Target::ImagePolicy => yaml(&openshift::policy("ImagePolicy", request)?),
        Target::PolicyJson => json(&containers::policy(request)?),
        Target::Kyverno => yaml(&kyverno::policy(request)?),
        Target::PolicyController => yaml(&controller::policy(request)?),
    }
}

fn yaml(policy: &Value) -> Result<String, EmitError> {
    let options = serde_saphyr::ser_options! { prefer_block_scalars: false };
    serde_saphyr::to_string_with_options(policy, options).map_err(|error| EmitError::Text { what: error.to_string() })
}

fn json(policy: &Value) -> Result<String, EmitError> {
    let text = serde_json::to_string_pretty(policy).map_err(|error| EmitError::Text { what: error.to_string() })?;
    Ok(text + "\n")
}

/// A name for the object: the last part of the first scope, as Kubernetes wants names.
fn object_name(scopes: &[ImageScope]) -> String {
    let scope = scopes.first().map(ToString::to_string).unwrap_or_default();
    let last = scope.rsplit('/').next().unwrap_or_default().to_ascii_lowercase();
    let name: String = last.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).take(63).collect();
    let name = name.trim_matches('-');
    if name.is_empty() { "models".to_owned() } else { name.to_owned() }
}

/// The image names below a scope as patterns with `*`: what lies in it, its tags, its digests.
fn patterns(scopes: &[ImageScope], below: &str) -> Vec<String> {
    let of = |scope: &ImageScope| {
        let inside = vec![format!("{scope}/{below}")];
        if scope.is_host() { inside } else { [inside, vec![format!("{scope}:*"), format!("{scope}@*")]].concat() }
    };
    scopes.iter().flat_map(of).collect()
}

/// For consumers whose policy is written for keys alone.
fn keys_only(request: &EmitRequest<'_>, what: &'static str) -> Result<(), EmitError> {
    if request.identities.is_empty() { Ok(()) } else { Err(EmitError::Unsupported { what }) }
}

#[cfg(test)]
mod tests;
