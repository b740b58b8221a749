//! What cannot be asked of a site, whatever its KServe can do.

use super::{ServiceName, SiteName};

/// Why there is nothing to change.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AskError {
    /// No folder of that name.
    #[error("there is no site {site}")]
    NoSuchSite {
        /// The site.
        site: SiteName,
        /// Those there are.
        sites: String,
    },
    /// A ring, a pattern or a tree without sites.
    #[error("no site belongs to {choice}")]
    NoSites {
        /// What was asked for.
        choice: String,
        /// The rings or sites there are, separated by `, `.
        known: String,
    },
    /// Another verb makes a first version.
    #[error("the site {site} does not run {model}")]
    NotRunning {
        /// The site.
        site: SiteName,
        /// The model.
        model: ServiceName,
        /// The models that it runs.
        models: String,
    },
    /// No site of many runs it.
    #[error("no site of {choice} runs {model}")]
    NowhereRunning {
        /// Which sites.
        choice: String,
        /// The model.
        model: ServiceName,
    },
    /// Promotion needs a canary.
    #[error("{model} on {site} has no canary: there is nothing to promote")]
    NothingToPromote {
        /// The site.
        site: SiteName,
        /// The model.
        model: ServiceName,
    },
    /// Promotion needs one canary.
    #[error("{model} on {site} has several canaries")]
    SeveralCanaries {
        /// The site.
        site: SiteName,
        /// The model.
        model: ServiceName,
        /// Their digests.
        digests: String,
    },
    /// Git knows one version only.
    #[error("the history of {model} on {site} knows no other version")]
    NoPrevious {
        /// The site.
        site: SiteName,
        /// The model.
        model: ServiceName,
    },
    /// Neither a digest nor a tag of the history, nor a commit.
    #[error("`{text}` is no digest, and neither a version nor a commit in the history of {model} on {site}")]
    UnknownVersion {
        /// The site.
        site: SiteName,
        /// The model.
        model: ServiceName,
        /// What was asked for, shortened.
        text: String,
    },
    /// Only images with a digest can be verified and gone back to.
    #[error("{model} on {site} is not pinned to a digest")]
    NotPinned {
        /// The site.
        site: SiteName,
        /// The model.
        model: ServiceName,
    },
}

impl AskError {
    /// What the user can do.
    pub fn hint(&self) -> Option<String> {
        Some(match self {
            Self::NoSuchSite { sites, .. } if sites.is_empty() => {
                "a site is a folder below sites/ with a site.yaml; `--gitops DIR` names the folder that holds sites/".to_owned()
            }
            Self::NoSuchSite { site, sites } => format!("there are {sites}; a new one begins with sites/{site}/site.yaml"),
            Self::NoSites { known, .. } if known.is_empty() => "`ring:` in a site's site.yaml puts it into a ring".to_owned(),
            Self::NoSites { known, .. } => format!("there are {known}"),
            Self::NotRunning { site, models, .. } if models.is_empty() => {
                format!("it runs no model yet; `modelcar deploy {site} REF` brings the first version")
            }
            Self::NotRunning { site, models, .. } => {
                format!("it runs {models}; `modelcar deploy {site} REF --name NAME` brings a new one")
            }
            Self::NowhereRunning { .. } => "`modelcar deploy` brings it to them".to_owned(),
            Self::NothingToPromote { site, .. } => format!("`modelcar deploy {site} REF --canary 10` makes one"),
            Self::SeveralCanaries { digests, .. } => format!("name one with `--canary`: {digests}"),
            Self::NoPrevious { .. } => "`--to DIGEST` names one that the registry still has".to_owned(),
            Self::UnknownVersion { .. } => "`git log -- sites/` shows the versions; a shallow clone has no old ones".to_owned(),
            Self::NotPinned { site, model } => format!("`modelcar update {site} {model} REF` pins it"),
        })
    }
}
