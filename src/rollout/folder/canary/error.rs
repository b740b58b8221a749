//! Why a canary is not started, promoted or taken back.

use std::path::PathBuf;

use crate::kserve::{CanaryWay, Generation};
use crate::oci::Digest;

/// What a site cannot do with canaries, or what has to be decided first.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum CanaryError {
    /// Standard mode before `spec.canary[]`: the split would be written and never made.
    #[error("{generation} cannot split requests in Standard mode: it ignores canaryTrafficPercent there without a word")]
    Ignored {
        /// The site's KServe.
        generation: Generation,
    },
    /// A canary runs beside something.
    #[error("{model} does not run yet, so there is nothing to run a canary beside")]
    NoStable {
        /// The InferenceService.
        model: String,
    },
    /// Two versions that are one.
    #[error("{model} runs {digest} already, as its stable version")]
    Same {
        /// The InferenceService.
        model: String,
        /// The image.
        digest: Digest,
    },
    /// More than there is.
    #[error("the canaries of {model} would get {sum} % of the requests")]
    TooMuch {
        /// The InferenceService.
        model: String,
        /// All percentages together.
        sum: u32,
    },
    /// No percentage.
    #[error("{percent} is not a percentage")]
    NotAPercentage {
        /// What was asked for.
        percent: u8,
    },
    /// Knative's 0 is what a rollback leaves behind.
    #[error("a canary of {model} with 0 % cannot be told from one that was rolled back in Knative mode")]
    Zero {
        /// The InferenceService.
        model: String,
    },
    /// A dark launch needs a pod, and KServe gives a canary no more than the stable version may have.
    #[error("{model} may scale to zero, so KServe refuses a canary with 0 % and a pod of its own")]
    Dark {
        /// The InferenceService.
        model: String,
    },
    /// It is not decided what becomes of the canaries.
    #[error("{model} runs a canary: {}", list(digests))]
    Running {
        /// The InferenceService.
        model: String,
        /// What runs beside the stable version.
        digests: Vec<Digest>,
    },
    /// Two ways at once.
    #[error("{model} runs a canary by {} already", way(*running))]
    OtherWay {
        /// The InferenceService.
        model: String,
        /// How.
        running: CanaryWay,
    },
    /// Nothing to promote, or to take back.
    #[error("{model} runs no canary{}", digest.map(|digest| format!(" of {digest}")).unwrap_or_default())]
    None {
        /// The InferenceService.
        model: String,
        /// Which one was meant.
        digest: Option<Digest>,
    },
    /// More than one could be meant.
    #[error("{model} runs several canaries: {}", list(digests))]
    Several {
        /// The InferenceService.
        model: String,
        /// Their images.
        digests: Vec<Digest>,
    },
    /// Only Git knows.
    #[error("the folder does not say what {model} ran before its Knative canary")]
    StableInHistory {
        /// The InferenceService.
        model: String,
    },
    /// A list in a patch takes the place of the one below it.
    #[error("{} has canaries of its own, which modelcar's patch would replace", path.display())]
    Theirs {
        /// The file.
        path: PathBuf,
        /// The member that is theirs.
        member: &'static str,
    },
    /// KServe labels the canary's pods with its name.
    #[error("`{model}` has more than {limit} characters, too many for the name of a canary beside it")]
    LongName {
        /// The InferenceService.
        model: String,
        /// The most characters that it may have.
        limit: usize,
    },
    /// One placeholder, one canary.
    #[error("{model} runs a canary, and `images:` has room for one")]
    OneByImages {
        /// The InferenceService.
        model: String,
    },
    /// A second service is made from the first one's definition.
    #[error("the definition of {model} cannot be read here, so no second one can be made from it")]
    NoDefinition {
        /// The InferenceService.
        model: String,
    },
}

impl CanaryError {
    /// What the user can do.
    pub fn hint(&self) -> String {
        match self {
            Self::Ignored { .. } => {
                "`--canary-by route` runs a second InferenceService behind a weighted route (on one node that is a second pod of the same \
                 size); or deploy without a canary, or move the site to KServe 0.20 or OpenShift AI 3.5"
                    .to_owned()
            }
            Self::NoStable { .. } => "deploy it without `--canary` first".to_owned(),
            Self::Same { .. } => "nothing to do; a canary is another image".to_owned(),
            Self::TooMuch { .. } => "promote or roll back one of them first, or ask for less".to_owned(),
            Self::NotAPercentage { .. } => "0 to 100".to_owned(),
            Self::Zero { .. } => "ask for at least 1 %, or `modelcar rollback`".to_owned(),
            Self::Dark { .. } => "set `minReplicas: 1` for the stable version, or ask for at least 1 %".to_owned(),
            Self::Running { .. } => {
                "`modelcar promote` or `modelcar rollback` first, or deploy with `--canary`: a new stable version beside an old canary \
                 is what nobody tested"
                    .to_owned()
            }
            Self::OtherWay { .. } => "promote or roll it back first".to_owned(),
            Self::None { .. } => "`modelcar status` shows what runs; `modelcar rollback --to` goes back to an earlier version".to_owned(),
            Self::Several { .. } => "name one by its digest".to_owned(),
            Self::StableInHistory { .. } => "name the version to go back to: `--to sha256:…`; Git's history has it".to_owned(),
            Self::Theirs { member, .. } => format!("take `{member}` out of it; modelcar keeps canaries in models/"),
            Self::LongName { .. } => "deploy without a canary, or give the InferenceService a shorter name".to_owned(),
            Self::OneByImages { .. } => "promote it or roll it back first; with `style: patch` there may be several".to_owned(),
            Self::NoDefinition { .. } => {
                "keep the InferenceService in a file of the repository, not behind a URL or a generator".to_owned()
            }
        }
    }
}

fn list(digests: &[Digest]) -> String {
    digests.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

fn way(way: CanaryWay) -> &'static str {
    match way {
        CanaryWay::Percent => "canaryTrafficPercent",
        CanaryWay::List => "spec.canary",
        CanaryWay::Route => "a weighted route",
    }
}
