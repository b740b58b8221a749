//! All that can go wrong with keyless signing and its trust roots. No variant holds a token.

use std::fmt;
use std::io;
use std::path::PathBuf;

use super::token::VARIABLE;
use crate::exit_code;
use crate::store::StoreError;
use crate::trust::Reason;

/// A service of a Sigstore deployment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Service {
    /// Gives certificates for tokens.
    Fulcio,
    /// The transparency log.
    Rekor,
    /// The time-stamp authority.
    Tsa,
    /// The mirror that holds the trusted root.
    Tuf,
}

impl fmt::Display for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Fulcio => "Fulcio",
            Self::Rekor => "Rekor",
            Self::Tsa => "the time-stamp authority",
            Self::Tuf => "the TUF mirror",
        })
    }
}

/// Why nobody could sign without a key, or check who did.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KeylessError {
    /// No token anywhere.
    #[error("no identity token: no --identity-token-file, no SIGSTORE_ID_TOKEN, and no {mounted}")]
    NoToken {
        /// The file that was looked for.
        mounted: &'static str,
    },
    /// A file that cannot be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A file larger than any honest one.
    #[error("{} is larger than {limit} bytes: {no}", path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// The limit in bytes.
        limit: u64,
        /// What it cannot be.
        no: &'static str,
    },
    /// Something else than a token.
    #[error("the identity token in {place} is not a JWT: {what}")]
    NotJwt {
        /// The file or variable.
        place: String,
        /// What is wrong; never the text itself.
        what: &'static str,
    },
    /// Nothing where a token should be.
    #[error("there is no identity token in {place}: it is empty")]
    EmptyToken {
        /// The file or variable.
        place: String,
    },
    /// A token without something that Fulcio asks for.
    #[error("the identity token in {place} is a token without `{claim}`")]
    Claim {
        /// The file or variable.
        place: String,
        /// What is missing.
        claim: &'static str,
    },
    /// A token that has not begun.
    #[error("the identity token is not valid yet: it begins in {begins} s (`nbf`)")]
    NotYet {
        /// Seconds.
        begins: u64,
    },
    /// A token that is over.
    #[error("the identity token expired {ago} s ago")]
    Expired {
        /// Seconds.
        ago: u64,
    },
    /// A token for somebody else.
    #[error("the identity token is for {}, and {who} expects `{expected}`", listed(found))]
    Audience {
        /// Its audiences.
        found: Vec<String>,
        /// What it should have.
        expected: String,
        /// Who says so: "--oidc-client-id", "Fulcio".
        who: &'static str,
    },
    /// An issuer that Fulcio does not know.
    #[error("Fulcio does not know the token's issuer `{issuer}`{}", near_miss(known))]
    Issuer {
        /// The token's `iss`.
        issuer: String,
        /// Those that it knows, or the one that is nearly the same.
        known: Vec<String>,
    },
    /// Options that do not fit together.
    #[error("{what}")]
    Config {
        /// What is wrong.
        what: String,
        /// What to do.
        hint: &'static str,
    },
    /// An address that nothing may be sent to.
    #[error("will not speak to {service} at {url}: {why}")]
    Address {
        /// Who.
        service: Service,
        /// Where.
        url: String,
        /// Why not.
        why: &'static str,
    },
    /// A file of the deployment that cannot be used.
    #[error("cannot use {place}: {why}")]
    Unusable {
        /// Which file or target.
        place: String,
        /// What is wrong.
        why: String,
    },
    /// Every log of a trusted root has a key of the wrong kind.
    #[error("the trusted root's Rekor log {log} has a key on the curve {curve}, for which signers and verifiers disagree on the hash")]
    OldLogKey {
        /// Its address.
        log: String,
        /// The curve.
        curve: &'static str,
    },
    /// The network cannot be used at all.
    #[error(transparent)]
    Network {
        /// Why.
        source: Box<StoreError>,
    },
    /// A service that could not be asked, or refused.
    #[error("{service} did not {asked}")]
    Service {
        /// Which.
        service: Service,
        /// What it was to do.
        asked: &'static str,
        /// What it answered.
        #[source]
        source: Box<StoreError>,
    },
    /// An answer that is wrong.
    #[error("{service} gave an answer that cannot be used: {why}")]
    Answer {
        /// Which.
        service: Service,
        /// What is wrong.
        why: String,
    },
    /// A log of version 2 that has an entry and does not show it.
    #[error("Rekor has this entry already and does not show it")]
    LoggedUnseen,
    /// What the services gave does not pass.
    #[error("what the services gave does not pass with the trusted root: {reason}")]
    Refused {
        /// Why.
        reason: Reason,
    },
    /// The crypto library failed.
    #[error("cannot make or use the session's key: {why}")]
    Key {
        /// Its words.
        why: String,
    },
    /// A pattern that is no regular expression.
    #[error("`{pattern}` is not a regular expression: {why}")]
    Pattern {
        /// The pattern.
        pattern: String,
        /// What is wrong.
        why: String,
    },
    /// Classic signatures were asked of services that cannot give them.
    #[error("no classic keyless signature is possible without a Rekor log of version 1")]
    NoClassic,
}

fn listed(found: &[String]) -> String {
    match found {
        [] => "no audience at all".to_owned(),
        _ => format!("the audience {}", quoted(found)),
    }
}

fn quoted(words: &[String]) -> String {
    words.iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", ")
}

fn near_miss(known: &[String]) -> String {
    if known.is_empty() { String::new() } else { format!(", only {}", quoted(known)) }
}

impl KeylessError {
    /// What the user can do.
    pub fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::NoToken { .. } => {
                "in Kubernetes mount a projected serviceAccountToken with `audience: sigstore` and name it with --identity-token-file"
            }
            Self::NotJwt { place, .. } if place == VARIABLE => "the variable must hold one token and nothing else",
            Self::NotJwt { .. } => "the file must hold one token and nothing else",
            Self::EmptyToken { place } if place == VARIABLE => "set it to a token, or name a file with --identity-token-file",
            Self::EmptyToken { .. } => "look at what writes the file: it must hold one token and nothing else",
            Self::Claim { place, .. } if place == VARIABLE => "set SIGSTORE_ID_TOKEN to an OIDC identity token; access tokens are others",
            Self::Claim { .. } => "the file must hold an OIDC identity token; access tokens are others",
            Self::NotYet { .. } => "compare the clock of this machine with that of the token's issuer, or wait",
            Self::Expired { .. } => {
                "get a new one; Kubernetes renews a projected token in its file, so name the file rather than copying the token"
            }
            Self::Audience { expected, .. } => {
                return Some(format!(
                    "ask for a token with the audience: in Kubernetes `audience: {expected}` of the projected serviceAccountToken; \
                     or, where Fulcio is configured for another one, name it with --oidc-client-id"
                ));
            }
            Self::Issuer { .. } => {
                "the issuer must be in Fulcio's configuration letter by letter, a slash at the end included \
                 (OpenShift: `oc get authentication cluster -o jsonpath={.spec.serviceAccountIssuer}`)"
            }
            Self::Config { hint, .. } => hint,
            Self::Network { source } => return source.hint(),
            Self::Address { .. } => "use https; plain HTTP only with --tls-verify=false, or on this machine",
            Self::OldLogKey { .. } => {
                "Red Hat Trusted Artifact Signer made such keys up to version 1.2: rotate the Rekor signer to ECDSA P-256 with SHA-256"
            }
            Self::Service { service: Service::Fulcio, source, .. } if is_refusal(source) => {
                "Fulcio says more in its own log; usual reasons are its list of issuers, the audience, and a token it cannot check"
            }
            Self::Service { .. } => "check the service's address and health, the network and HTTPS_PROXY",
            Self::Answer { .. } | Self::Refused { .. } => {
                "check that the address is that service's, and that the trusted root is of the same deployment"
            }
            Self::NoClassic => "name a log of version 1 with --rekor-url",
            Self::LoggedUnseen
            | Self::Read { .. }
            | Self::TooLarge { .. }
            | Self::Unusable { .. }
            | Self::Key { .. }
            | Self::Pattern { .. } => return None,
        };
        Some(hint.to_owned())
    }

    /// The process exit code, see [`exit_code`].
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Config { .. } | Self::Pattern { .. } => exit_code::USAGE,
            _ => exit_code::FAILED,
        }
    }
}

/// Whether it is a refusal and no failure to answer.
fn is_refusal(error: &StoreError) -> bool {
    let StoreError::Registry(error) = error else { return false };
    matches!(**error, crate::store::registry::RegistryError::Unexpected { status: 400..=499, .. })
}
