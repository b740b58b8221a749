//! All that can go wrong between an image and its answer.

use crate::cluster::ClusterError;
use crate::exit_code;
use crate::store::StoreError;

/// Why a model was not asked, or what it answered wrongly.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SmokeError {
    /// From the cluster.
    #[error(transparent)]
    Cluster(#[from] ClusterError),
    /// A name that is taken.
    #[error("namespace `{namespace}` has an InferenceService `{name}` already, {}", if *.by_test { "of another smoke test" } else { "which no smoke test made" })]
    Taken {
        /// The name.
        name: String,
        /// Where.
        namespace: String,
        /// Whether another smoke test made it.
        by_test: bool,
    },
    /// What no smoke test made.
    #[error("the InferenceService `{name}` in namespace `{namespace}` is not one of a smoke test")]
    Foreign {
        /// The name.
        name: String,
        /// Where.
        namespace: String,
    },
    /// It went while it was waited for.
    #[error("somebody deleted the InferenceService `{name}`")]
    Vanished {
        /// The name.
        name: String,
    },
    /// It did not come up.
    #[error("the InferenceService `{name}` is not ready after {seconds} s: {reasons}")]
    NotReady {
        /// The name.
        name: String,
        /// How long it was waited for.
        seconds: u64,
        /// What the service and its pods say.
        reasons: String,
        /// Whether the model server tried to load the model, and could not.
        by_model: bool,
    },
    /// It is ready, and says not where.
    #[error("the InferenceService `{name}` is ready, but has no address")]
    NoAddress {
        /// The name.
        name: String,
    },
    /// The server is up, and its model is not.
    #[error("the model `{model}` at {url} is not ready after {seconds} s: {reason}")]
    Unready {
        /// The model's name.
        model: String,
        /// Its server.
        url: String,
        /// How long it was waited for.
        seconds: u64,
        /// What was answered last.
        reason: String,
    },
    /// No answer to a request.
    #[error("the model at {url} gave no answer")]
    NoAnswer {
        /// Its server.
        url: String,
        /// Why.
        #[source]
        source: Box<StoreError>,
    },
    /// A request file that is none.
    #[error("{label} is no request: {reason}")]
    Request {
        /// The file.
        label: String,
        /// What is wrong.
        reason: String,
    },
    /// A file with an expected answer that is none.
    #[error("{label} is no expected answer: {reason}")]
    Expectation {
        /// The file.
        label: String,
        /// What is wrong.
        reason: String,
    },
    /// There is no request, and none can be made up.
    #[error("no request is given, and none can be made up: {reason}")]
    NoSignature {
        /// Why.
        reason: String,
    },
    /// Wrong answers.
    #[error("{wrong} of {asked} answers of {image} {} not as expected", if *.asked == 1 { "is" } else { "are" })]
    Wrong {
        /// How many were wrong.
        wrong: usize,
        /// How many there should be.
        asked: usize,
        /// The image.
        image: String,
    },
    /// The model passed, but what was made for it is still there.
    #[error("the InferenceService `{name}` in namespace `{namespace}` could not be deleted")]
    LeftBehind {
        /// The name.
        name: String,
        /// Where.
        namespace: String,
        /// Why.
        #[source]
        source: Box<ClusterError>,
    },
}

impl SmokeError {
    /// What the user can do.
    pub fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::Cluster(error @ ClusterError::Forbidden { .. }) => {
                let rule = error.hint().unwrap_or_default();
                return Some(format!("{rule}; tekton/samples/smoke-test-rbac.yaml has all that a smoke test needs"));
            }
            Self::Cluster(error) => return error.hint(),
            Self::Taken { by_test: false, .. } => "choose another --name, or a namespace where nothing else runs",
            Self::Taken { name, namespace, .. } => {
                return Some(format!(
                    "choose another --name; `modelcar smoke-test --delete --name {name} --namespace {namespace}` takes one away that an \
                     earlier run left behind"
                ));
            }
            Self::Foreign { .. } => "nothing is deleted that does not carry the mark of a smoke test; `kubectl delete` deletes anything",
            Self::Vanished { .. } => "another run with the same name may have cleaned up: give each run a name of its own",
            Self::NotReady { by_model: true, .. } => {
                "the model server cannot load the model: `modelcar check` and `modelcar lint` replay what they can; --keep leaves the pod for `kubectl logs`"
            }
            Self::NotReady { .. } => "--timeout waits longer, --keep leaves the InferenceService for `kubectl describe`",
            Self::NoAddress { .. } => "name the model's address with --url",
            Self::Unready { .. } => {
                "--model NAME if the server calls the model otherwise (Triton and TorchServe go by the folder); --protocol if it speaks another one"
            }
            Self::NoAnswer { source, .. } => return source.hint(),
            Self::Request { .. } => {
                r#"v1 is {"instances": [[1, 2]]}, v2 {"inputs": [{"name": "x", "datatype": "FP32", "shape": [1, 2], "data": [1, 2]}]}"#
            }
            Self::Expectation { .. } => "it is an answer as the model gives it: `modelcar smoke-test --answers DIR` writes one",
            Self::NoSignature { .. } => "give one with --request FILE",
            Self::Wrong { .. } => "the lines above say what differs; --tolerance ABSOLUTE,RELATIVE allows more, where that is right",
            Self::LeftBehind { name, namespace, .. } => {
                return Some(format!("`modelcar smoke-test --delete --name {name} --namespace {namespace}` tries again"));
            }
        };
        Some(hint.to_owned())
    }

    /// The process exit code, see [`exit_code`]: 3 is the model's fault.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Cluster(error) => error.exit_code(),
            Self::NotReady { by_model: true, .. } | Self::Wrong { .. } => exit_code::REFUSED,
            Self::Request { .. } | Self::Expectation { .. } | Self::NoSignature { .. } => exit_code::USAGE,
            _ => exit_code::FAILED,
        }
    }

    /// Whether the model has failed, rather than the way to it.
    pub fn is_the_models_fault(&self) -> bool {
        self.exit_code() == exit_code::REFUSED
    }
}
