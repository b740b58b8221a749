//! How KServe runs a service, and what that means for sending it a part of the requests.

use std::fmt;
use std::str::FromStr;

use super::{Generation, KserveError};

/// How KServe runs a service: `serving.kserve.io/deploymentMode`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Mode {
    /// A Deployment and a Service; the only one on OpenShift AI 3.
    #[default]
    Standard,
    /// A Knative Service with revisions.
    Knative,
}

/// How a new version gets a part of the requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CanaryWay {
    /// `spec.predictor.canaryTrafficPercent`: Knative splits between its last two revisions.
    Percent,
    /// `spec.canary[]`: further predictors beside the stable one, since KServe 0.20.
    List,
    /// KServe cannot split; a second InferenceService and a weighted route can.
    Route,
}

impl Mode {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Standard, Self::Knative];

    /// As in `site.yaml`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Standard => "standard",
            Self::Knative => "knative",
        }
    }
}

impl Generation {
    /// The modes it has, the default first.
    ///
    /// OpenShift AI 3 has no Knative any more: its operator installs KServe for Deployments alone.
    pub fn modes(self) -> &'static [Mode] {
        match self {
            Self::Rhoai3_3 | Self::Rhoai3_4 | Self::Rhoai3_5 => &[Mode::Standard],
            _ => &Mode::ALL,
        }
    }

    /// Whether it runs services in that mode.
    ///
    /// # Errors
    /// [`KserveError::NoMode`].
    pub fn runs(self, mode: Mode) -> Result<(), KserveError> {
        if self.modes().contains(&mode) { Ok(()) } else { Err(KserveError::NoMode { generation: self, mode }) }
    }

    /// The value of `serving.kserve.io/deploymentMode`.
    ///
    /// KServe 0.16 renamed both words (`constants.go`; before, it refuses the new ones) and rewrites the old ones when it stores the
    /// object, which a GitOps controller would then report as drift for ever.
    pub fn mode_word(self, mode: Mode) -> &'static str {
        let renamed = !matches!(self, Self::V0_15 | Self::Rhoai2_25 | Self::Rhoai3_3);
        match (mode, renamed) {
            (Mode::Standard, false) => "RawDeployment",
            (Mode::Standard, true) => "Standard",
            (Mode::Knative, false) => "Serverless",
            (Mode::Knative, true) => "Knative",
        }
    }

    /// How a canary is made here.
    ///
    /// `canaryTrafficPercent` is read in Knative mode alone (`ksvc_reconciler.go`) and silently ignored otherwise:
    /// <https://github.com/kserve/kserve/issues/5335>.
    pub fn canary(self, mode: Mode) -> CanaryWay {
        match (mode, self) {
            (Mode::Knative, _) => CanaryWay::Percent,
            (Mode::Standard, Self::V0_20 | Self::V0_21 | Self::Rhoai3_5) => CanaryWay::List,
            (Mode::Standard, _) => CanaryWay::Route,
        }
    }
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Mode {
    type Err = KserveError;

    fn from_str(text: &str) -> Result<Self, KserveError> {
        Self::ALL.into_iter().find(|mode| mode.name() == text).ok_or_else(|| KserveError::unknown_word("mode", text, Self::ALL))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_generation_says_its_modes_in_its_own_words() {
        for (generation, standard, knative) in [
            (Generation::V0_15, "RawDeployment", Some("Serverless")),
            (Generation::V0_17, "Standard", Some("Knative")),
            (Generation::V0_21, "Standard", Some("Knative")),
            (Generation::Rhoai2_25, "RawDeployment", Some("Serverless")),
            (Generation::Rhoai3_3, "RawDeployment", None),
            (Generation::Rhoai3_5, "Standard", None),
        ] {
            assert_eq!(generation.mode_word(Mode::Standard), standard, "{generation}");
            assert_eq!(generation.runs(Mode::Knative).is_ok(), knative.is_some(), "{generation}");
            assert!(knative.is_none_or(|word| generation.mode_word(Mode::Knative) == word), "{generation}");
            assert_eq!(generation.modes()[0], Mode::Standard);
        }
        assert!(Generation::Rhoai3_4.runs(Mode::Knative).unwrap_err().hint().unwrap().contains("standard"));
    }

    #[test]
    fn only_a_list_splits_requests_without_knative() {
        for generation in Generation::all() {
            assert_eq!(generation.canary(Mode::Knative), CanaryWay::Percent);
            let has_list = matches!(generation, Generation::V0_20 | Generation::V0_21 | Generation::Rhoai3_5);
            assert_eq!(generation.canary(Mode::Standard) == CanaryWay::List, has_list, "{generation}");
        }
    }
}
