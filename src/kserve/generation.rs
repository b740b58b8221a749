//! What each KServe can do. The facts come from the sources of kserve/kserve v0.15–v0.20 and of OpenShift AI's branches.

use std::fmt;
use std::str::FromStr;

use super::{Delivery, KserveError};

/// What a site's KServe is able to do: an upstream release, or the OpenShift AI release that carries one.
///
/// OpenShift AI has generations of its own, because it ships other serving runtimes and other image mounts than the KServe below it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Generation {
    /// KServe 0.15.
    V0_15,
    /// KServe 0.17 to 0.19.
    V0_17,
    /// KServe 0.20: image volumes, `spec.canary[]`.
    V0_20,
    /// KServe 0.21: the storage initializer pulls images.
    V0_21,
    /// OpenShift AI 2.25, on KServe 0.15.
    Rhoai2_25,
    /// OpenShift AI 3.3, on KServe 0.15.
    Rhoai3_3,
    /// OpenShift AI 3.4, on KServe 0.17.
    Rhoai3_4,
    /// OpenShift AI 3.5, on KServe 0.20.
    Rhoai3_5,
}

const NAMES: [(Generation, &str); 8] = [
    (Generation::V0_15, "0.15"),
    (Generation::V0_17, "0.17"),
    (Generation::V0_20, "0.20"),
    (Generation::V0_21, "0.21"),
    (Generation::Rhoai2_25, "rhoai-2.25"),
    (Generation::Rhoai3_3, "rhoai-3.3"),
    (Generation::Rhoai3_4, "rhoai-3.4"),
    (Generation::Rhoai3_5, "rhoai-3.5"),
];

impl Generation {
    /// Every generation, upstream first, oldest first.
    pub fn all() -> impl Iterator<Item = Self> {
        NAMES.into_iter().map(|(generation, _)| generation)
    }

    /// The names that [`FromStr`] takes, for messages and help.
    pub fn known() -> String {
        NAMES.map(|(_, name)| name).join(", ")
    }

    /// The name that [`FromStr`] takes: `0.17`, `rhoai-3.4`.
    pub fn name(self) -> &'static str {
        NAMES.into_iter().find(|(generation, _)| *generation == self).map_or("", |(_, name)| name)
    }

    /// Whether it is OpenShift AI.
    pub fn is_rhoai(self) -> bool {
        matches!(self, Self::Rhoai2_25 | Self::Rhoai3_3 | Self::Rhoai3_4 | Self::Rhoai3_5)
    }

    /// The deliveries it has, the default first.
    pub fn deliveries(self) -> &'static [Delivery] {
        match self {
            Self::V0_15 | Self::V0_17 | Self::Rhoai2_25 | Self::Rhoai3_3 | Self::Rhoai3_4 => &[Delivery::Modelcar],
            Self::V0_20 | Self::Rhoai3_5 => &[Delivery::Modelcar, Delivery::Native],
            Self::V0_21 => &[Delivery::Modelcar, Delivery::Native, Delivery::Fetch],
        }
    }

    /// Whether it can deliver that way.
    ///
    /// # Errors
    /// [`KserveError::Unsupported`]; its hint says since when and what to use instead.
    pub fn supports(self, delivery: Delivery) -> Result<(), KserveError> {
        if self.deliveries().contains(&delivery) { Ok(()) } else { Err(KserveError::Unsupported { generation: self, delivery }) }
    }

    /// Whether one service takes models from several images: `spec.predictor.storageUris`.
    ///
    /// The member is there since 0.16, but nothing mounts an image in it before 0.19, and only one before 0.20
    /// (<https://github.com/kserve/kserve/issues/5200>, <https://github.com/kserve/kserve/pull/5470>). A generation that begins before
    /// 0.20 counts as without.
    pub fn has_several_sources(self) -> bool {
        matches!(self, Self::V0_20 | Self::V0_21 | Self::Rhoai3_5)
    }

    /// Whether it takes models from several images.
    ///
    /// # Errors
    /// [`KserveError::NoSources`].
    pub fn supports_several_sources(self) -> Result<(), KserveError> {
        if self.has_several_sources() { Ok(()) } else { Err(KserveError::NoSources { generation: self }) }
    }
}

impl fmt::Display for Generation {
    /// For people: `KServe 0.17`, `OpenShift AI 3.4`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name().strip_prefix("rhoai-") {
            Some(version) => write!(f, "OpenShift AI {version}"),
            None => write!(f, "KServe {}", self.name()),
        }
    }
}

impl FromStr for Generation {
    type Err = KserveError;

    /// Takes `0.17`, `v0.17`, `0.17.2`, `rhoai-3.4`.
    fn from_str(text: &str) -> Result<Self, KserveError> {
        let unknown = || KserveError::UnknownGeneration { text: text.chars().take(100).collect() };
        let (family, version) = match text.strip_prefix("rhoai-") {
            Some(version) => ("rhoai-", version),
            None => ("", text.strip_prefix('v').unwrap_or(text)),
        };
        let parts: Vec<_> = version.split('.').collect();
        let numeric = parts.iter().all(|part| !part.is_empty() && part.bytes().all(|digit| digit.is_ascii_digit()));
        let name = match parts[..] {
            [major, minor] | [major, minor, _] if numeric => format!("{family}{major}.{minor}"),
            _ => return Err(unknown()),
        };
        NAMES.into_iter().find(|(_, known)| *known == name).map(|(generation, _)| generation).ok_or_else(unknown)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_back_every_name_it_gives() {
        for generation in Generation::all() {
            assert_eq!(generation.name().parse::<Generation>().unwrap(), generation);
        }
    }

    #[test]
    fn takes_a_version_as_people_write_it_and_no_other() {
        for (text, generation) in [("v0.20", Generation::V0_20), ("0.17.2", Generation::V0_17), ("rhoai-2.25.1", Generation::Rhoai2_25)] {
            assert_eq!(text.parse::<Generation>().unwrap(), generation);
        }
        for text in ["", "0.16", "0.2", "0.20.", "0..20", "0.17.1.2", "rhoai-v3.4", "3.4", "rhoai-", "0.20-rc0", "0.20.x"] {
            let error = text.parse::<Generation>().unwrap_err();
            assert_eq!(error.exit_code(), crate::exit_code::USAGE, "{text}");
            assert!(error.hint().unwrap().contains("rhoai-3.4"), "{text}");
        }
    }

    #[test]
    fn refuses_a_delivery_before_its_time_and_says_since_when_and_what_instead() {
        use Delivery::{Fetch, Native};
        for (generation, delivery, said) in [
            (Generation::V0_15, Native, "native came with KServe 0.20 and OpenShift AI 3.5; use `--delivery modelcar` here"),
            (Generation::V0_17, Fetch, "fetch came with KServe 0.21; use `--delivery modelcar` here"),
            (Generation::V0_20, Fetch, "fetch came with KServe 0.21; use `--delivery modelcar` or `--delivery native` here"),
            (Generation::Rhoai3_4, Native, "native came with KServe 0.20 and OpenShift AI 3.5; use `--delivery modelcar` here"),
            (Generation::Rhoai3_5, Fetch, "fetch came with KServe 0.21; use `--delivery modelcar` or `--delivery native` here"),
        ] {
            let error = generation.supports(delivery).unwrap_err();
            assert!(error.hint().unwrap().starts_with(said), "{:?}", error.hint());
            assert!(error.to_string().contains(&generation.to_string()), "{error}");
        }
        assert!(Generation::V0_21.supports(Fetch).is_ok() && Generation::Rhoai3_5.supports(Native).is_ok());
    }
}
