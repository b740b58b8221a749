//! All that can go wrong between an image and its entry.

use std::io;

use crate::exit_code;
use crate::image::ImageError;
use crate::oci::InvalidManifest;
use crate::store::StoreError;
use crate::trust::TrustError;

use super::Kind;

/// Why a model was not registered.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ModelRegistryError {
    /// `--registry-url` is no address of a registry. The address is no part of it: it may hold a password.
    #[error("this is no address of a model registry: {reason}")]
    Endpoint {
        /// What is wrong.
        reason: &'static str,
    },
    /// A name that the registry could not find again.
    #[error("{text:?} is no name for the registry: {reason}")]
    Name {
        /// What was written, shortened.
        text: String,
        /// What is wrong.
        reason: &'static str,
    },
    /// A custom property that cannot be written.
    #[error("the property {key:?} cannot be written: {reason}")]
    Property {
        /// Its name, shortened.
        key: String,
        /// What is wrong.
        reason: &'static str,
    },
    /// The token could not be read.
    #[error("cannot read the token from {origin}")]
    TokenFile {
        /// The file.
        origin: String,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// What was read is no token; it is no part of the message.
    #[error("what is in {origin} is no token: {reason}")]
    Token {
        /// The file or variable.
        origin: String,
        /// What is wrong.
        reason: &'static str,
    },
    /// Everybody on the way could read it.
    #[error("{url} is not encrypted")]
    Plain {
        /// The address.
        url: String,
    },
    /// Everybody on the way could read the token.
    #[error("the token from {origin} is not sent to {url}, which is not encrypted")]
    PlainToken {
        /// The address.
        url: String,
        /// Where the token is from.
        origin: String,
    },
    /// Status 401.
    #[error("the model registry at {url} refuses {who}{}", after_colon(message))]
    Unauthorized {
        /// The request's address without its query.
        url: String,
        /// "an anonymous caller", "the token from FILE".
        who: String,
        /// The registry's own words.
        message: String,
    },
    /// Status 403.
    #[error("the model registry at {url} does not allow it to {who}{}", after_colon(message))]
    Forbidden {
        /// The request's address without its query.
        url: String,
        /// Whose token.
        who: String,
        /// The registry's own words.
        message: String,
    },
    /// Something answers there, and it is no model registry.
    #[error("there is no model registry at {url}: {reason}")]
    NotThere {
        /// The request's address without its query.
        url: String,
        /// What was answered.
        reason: String,
    },
    /// A redirect, which a token must not follow.
    #[error("{url} sends its callers on to {to}")]
    Redirected {
        /// The request's address without its query.
        url: String,
        /// Where to, without its query.
        to: String,
    },
    /// The registry calls it a conflict, and does not show with what.
    #[error("the registry has another {kind} in the way of `{name}`{}", after_colon(message))]
    Conflict {
        /// What was to be created.
        kind: Kind,
        /// Its name.
        name: String,
        /// The registry's own words.
        message: String,
    },
    /// Status 400 or 422.
    #[error("the registry does not take the {kind} `{name}`{}", after_colon(message))]
    Invalid {
        /// What was to be written.
        kind: Kind,
        /// Its name.
        name: String,
        /// The registry's own words.
        message: String,
    },
    /// An answer that is not what the API says.
    #[error("{url} gave an unusable answer: {reason}")]
    BadAnswer {
        /// The request's address without its query.
        url: String,
        /// What is wrong with it.
        reason: String,
    },
    /// No answer, or one that says that the service has a problem.
    #[error("the model registry gave no answer")]
    NoAnswer(#[source] StoreError),
    /// Any other status.
    #[error(transparent)]
    Status(StoreError),
    /// From the image's store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The image cannot be read.
    #[error(transparent)]
    Image(#[from] ImageError),
    /// What speaks about the image cannot be read.
    #[error(transparent)]
    Trust(#[from] TrustError),
    /// The image's manifest cannot be read.
    #[error(transparent)]
    Manifest(#[from] InvalidManifest),
}

impl ModelRegistryError {
    /// What the user can do.
    pub fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::Endpoint { .. } => "write --registry-url https://HOST; `/api/model_registry/v1alpha3` is added where it is missing",
            Self::Name { .. } => "choose another with --name or --version",
            Self::Property { .. } => "write KEY=TEXT, KEY:int=NUMBER, KEY:double=NUMBER or KEY:bool=true",
            Self::TokenFile { .. } | Self::Token { .. } => {
                "name a file that holds a token and nothing else with --token-file: `oc whoami -t >token`, or a service account's token"
            }
            Self::Plain { .. } => {
                "use https; a registry without it, such as one behind a service mesh, wants --tls-verify=false and gets no token"
            }
            Self::PlainToken { .. } => "use https, with --ca-file where the CA is the cluster's own; or leave the token out",
            Self::Unauthorized { .. } => {
                "give a token: --token-file FILE, MODELCAR_MODEL_REGISTRY_TOKEN, or in a pod the service account's; it may also be over"
            }
            Self::Forbidden { .. } => {
                "the account needs the role of the registry's users (OpenShift AI: Settings, Model registry settings, Manage permissions)"
            }
            Self::NotThere { .. } => {
                "check --registry-url: what is before `/api/model_registry/v1alpha3` must be the registry's own address (its Route, or the port of its REST service); one without v1alpha3 wants `/api/model_registry/v1` behind it"
            }
            Self::Redirected { .. } => {
                "name the last address with --registry-url; a log-in page in the way wants a token: --token-file FILE"
            }
            Self::Conflict { .. } => "somebody may be at it: run it again; else look the name up in the registry",
            Self::BadAnswer { .. } => "check --registry-url: it should be a Model Registry with the API v1alpha3 or v1",
            Self::NoAnswer(error) | Self::Status(error) | Self::Store(error) => return error.hint(),
            Self::Image(error) => return error.hint(),
            Self::Trust(error) => return error.hint(),
            Self::Invalid { .. } | Self::Manifest(_) => return None,
        };
        Some(hint.to_owned())
    }

    /// The process exit code, see [`exit_code`].
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Endpoint { .. } | Self::Name { .. } | Self::Property { .. } => exit_code::USAGE,
            Self::Conflict { .. } => exit_code::CONFLICT,
            Self::Store(error) => error.exit_code(),
            Self::Image(error) => error.exit_code(),
            Self::Trust(error) => error.exit_code(),
            _ => exit_code::FAILED,
        }
    }
}

fn after_colon(message: &str) -> String {
    if message.is_empty() { String::new() } else { format!(": {message}") }
}
