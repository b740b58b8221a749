//! All that can go wrong between a request and an object.

use std::io;

use super::Resource;
use crate::exit_code;
use crate::store::StoreError;

/// Why a cluster did not do what it was asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ClusterError {
    /// Nobody says where the cluster is.
    #[error("there is no cluster to ask: this runs in no pod, and none is named")]
    Nowhere,
    /// The address is none. It is no part of the message: it may hold a password.
    #[error("this is no address of a Kubernetes API server: {reason}")]
    Address {
        /// What is wrong.
        reason: &'static str,
    },
    /// The token could not be read.
    #[error("cannot read the token from {file}")]
    TokenFile {
        /// The file.
        file: String,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// What was read is no token; it is no part of the message.
    #[error("what is in {file} is no token: {reason}")]
    Token {
        /// The file.
        file: String,
        /// What is wrong.
        reason: &'static str,
    },
    /// Everybody on the way could read the token.
    #[error("the token is not sent to {url}, which is not encrypted")]
    Plain {
        /// The address.
        url: String,
    },
    /// Status 401.
    #[error("the cluster at {url} does not know who asks{}", after_colon(message))]
    Unauthorized {
        /// The request's address without its query.
        url: String,
        /// The server's own words.
        message: String,
    },
    /// Status 403.
    #[error("whoever asks is not allowed to {verb} {} in namespace `{namespace}`{}", resource.plural, after_colon(message))]
    Forbidden {
        /// As a Role says it.
        verb: &'static str,
        /// Of what.
        resource: &'static Resource,
        /// Where.
        namespace: String,
        /// The server's own words.
        message: String,
    },
    /// A namespace that is not there.
    #[error("there is no namespace `{namespace}`")]
    NoNamespace {
        /// Its name.
        namespace: String,
    },
    /// Status 404 for the kind itself.
    #[error("the cluster at {url} knows no {resource}")]
    NoKind {
        /// The kind.
        resource: &'static Resource,
        /// The request's address without its query.
        url: String,
    },
    /// The name is taken.
    #[error("namespace `{namespace}` has an {resource} `{name}` already")]
    Exists {
        /// The kind.
        resource: &'static Resource,
        /// Where.
        namespace: String,
        /// The name.
        name: String,
    },
    /// A precondition does not hold any more.
    #[error("the {resource} `{name}` is not the one that was meant{}", after_colon(message))]
    Conflict {
        /// The kind.
        resource: &'static Resource,
        /// The name.
        name: String,
        /// The server's own words.
        message: String,
    },
    /// Status 400 or 422: a schema or a webhook.
    #[error("the cluster does not take the {resource} `{name}`{}", after_colon(message))]
    Invalid {
        /// The kind.
        resource: &'static Resource,
        /// The name.
        name: String,
        /// The server's own words.
        message: String,
    },
    /// An answer that is not what the API says.
    #[error("{url} gave an unusable answer: {reason}")]
    BadAnswer {
        /// The request's address without its query.
        url: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// No answer, or one that says that the server has a problem.
    #[error("the cluster gave no answer")]
    NoAnswer(#[source] Box<StoreError>),
    /// Any other status, or certificates that cannot be read.
    #[error(transparent)]
    Status(Box<StoreError>),
}

impl ClusterError {
    /// What the user can do.
    pub fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::Nowhere => {
                "name it with --kube-url URL and --kube-token-file FILE; with `kubectl proxy` it is --kube-url http://127.0.0.1:8001"
            }
            Self::Address { .. } => "write --kube-url https://HOST:PORT, as in `kubectl cluster-info`",
            Self::TokenFile { .. } | Self::Token { .. } => {
                "name a file that holds a token and nothing else with --kube-token-file: `kubectl create token ACCOUNT >token`"
            }
            Self::Plain { .. } => "use https, with --kube-ca-file where the CA is the cluster's own",
            Self::Unauthorized { .. } => "give a token with --kube-token-file; it may also be over, or for another audience",
            Self::Forbidden { .. } => return self.rule(),
            Self::NoNamespace { .. } => "make it first (`kubectl create namespace NAME`), or name another with --namespace",
            Self::NoKind { .. } => "is KServe installed there, and is --kube-url the API server itself?",
            Self::Exists { .. } => "choose another --name; `kubectl get -o yaml` shows whose it is",
            Self::Conflict { .. } => "somebody else deleted it and made another one: nothing was done to that",
            Self::Invalid { .. } => "the server's words say which field; --kserve must be what the cluster's KServe is",
            Self::BadAnswer { .. } => "check --kube-url: something else than a Kubernetes API server seems to answer there",
            Self::NoAnswer(error) | Self::Status(error) => return error.hint(),
        };
        Some(hint.to_owned())
    }

    /// The rule that a Role lacks.
    fn rule(&self) -> Option<String> {
        let Self::Forbidden { verb, resource, namespace, .. } = self else { return None };
        let group = if resource.group.is_empty() { "\"\"" } else { resource.group };
        let rule = format!("{{apiGroups: [{group}], resources: [{}], verbs: [{verb}]}}", resource.plural);
        Some(format!("bind a Role with the rule {rule} in namespace {namespace} to the service account"))
    }

    /// The process exit code, see [`exit_code`].
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Nowhere | Self::Address { .. } => exit_code::USAGE,
            _ => exit_code::FAILED,
        }
    }
}

fn after_colon(message: &str) -> String {
    if message.is_empty() { String::new() } else { format!(": {message}") }
}
