//! Names that end up in Kubernetes objects and in paths: checked once, when they come in.

use std::fmt;
use std::str::FromStr;

use super::RolloutError;

/// The longest name of an InferenceService.
///
/// KServe labels pods `app: isvc.NAME-predictor` (`deployment_reconciler.go`), and a label value has at most 63 characters; a
/// longer name is accepted and then never becomes ready.
const MAX_SERVICE_NAME: usize = 63 - "isvc.".len() - "-predictor".len();

/// The longest DNS label (RFC 1123).
const MAX_LABEL: usize = 63;

/// The name of an InferenceService: a DNS label that starts with a letter, at most 48 characters.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ServiceName(String);

/// The name of a site and of its folder: a DNS label, so it can leave no folder.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SiteName(String);

/// The name of a ring: sites that move together.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RingName(String);

impl RingName {
    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for RingName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for RingName {
    type Err = RolloutError;

    fn from_str(text: &str) -> Result<Self, RolloutError> {
        check_label("ring name", text)?;
        Ok(Self(text.to_owned()))
    }
}

impl ServiceName {
    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl SiteName {
    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ServiceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for SiteName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for ServiceName {
    type Err = RolloutError;

    fn from_str(text: &str) -> Result<Self, RolloutError> {
        let refuse = |reason| Err(invalid("InferenceService name", text, reason));
        check_label("InferenceService name", text)?;
        if text.len() > MAX_SERVICE_NAME {
            return refuse("it has more than 48 characters, and KServe adds 15 more to make a label of at most 63");
        }
        // KServe's own IsvcNameFmt is narrower than a DNS label.
        if !text.starts_with(|first: char| first.is_ascii_lowercase()) {
            return refuse("it does not start with a letter");
        }
        Ok(Self(text.to_owned()))
    }
}

impl FromStr for SiteName {
    type Err = RolloutError;

    fn from_str(text: &str) -> Result<Self, RolloutError> {
        check_label("site name", text)?;
        Ok(Self(text.to_owned()))
    }
}

/// Whether the text is a DNS label (RFC 1123).
pub(super) fn check_label(what: &'static str, text: &str) -> Result<(), RolloutError> {
    let refuse = |reason| Err(invalid(what, text, reason));
    let inner = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    if text.is_empty() {
        return refuse("it is empty");
    }
    if text.len() > MAX_LABEL {
        return refuse("it has more than 63 characters");
    }
    if !text.bytes().all(inner) {
        return refuse("only lower-case letters, digits and `-` are allowed");
    }
    if text.starts_with('-') || text.ends_with('-') {
        return refuse("it starts or ends with `-`");
    }
    Ok(())
}

fn invalid(what: &'static str, text: &str, reason: &'static str) -> RolloutError {
    RolloutError::InvalidName { what, text: text.chars().take(100).collect(), reason }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_dns_labels() {
        for text in ["a", "edge-site-01", "iris", &"x".repeat(48)] {
            assert!(text.parse::<ServiceName>().is_ok() && text.parse::<SiteName>().is_ok(), "{text}");
        }
        assert!("01-edge".parse::<SiteName>().is_ok());
    }

    #[test]
    fn refuses_names_that_leave_a_folder_or_break_kubernetes() {
        for text in ["", ".", "..", "../up", "a/b", "/etc", "a\\b", "a.b", "A", "-a", "a-", "a b", "a\n", "ä", "a\0", &"x".repeat(64)] {
            assert!(text.parse::<SiteName>().is_err(), "{text:?}");
            assert!(text.parse::<ServiceName>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn refuses_service_names_that_kserve_cannot_label() {
        for text in ["1st", &"x".repeat(49)] {
            let error = text.parse::<ServiceName>().unwrap_err();
            assert_eq!(error.exit_code(), crate::exit_code::USAGE);
        }
    }
}
