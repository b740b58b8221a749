//! An amount of a resource as Kubernetes writes it.

use std::fmt;
use std::str::FromStr;

use crate::rollout::RolloutError;

/// The longest amount, in characters.
const MAX_LENGTH: usize = 20;
/// What may stand behind the number.
const SUFFIXES: [&str; 10] = ["", "m", "k", "M", "G", "T", "Ki", "Mi", "Gi", "Ti"];

/// An amount of CPU or memory: `500m`, `2`, `1.5`, `8Gi`.
/// <https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/quantity/>
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Quantity(String);

impl fmt::Display for Quantity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for Quantity {
    type Err = RolloutError;

    fn from_str(text: &str) -> Result<Self, RolloutError> {
        let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
        let (number, suffix) = text.split_at(end);
        let digits = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
        let (whole, fraction) = number.split_once('.').unwrap_or((number, "0"));
        let counts = number.bytes().any(|b| (b'1'..=b'9').contains(&b));
        if text.len() <= MAX_LENGTH && digits(whole) && digits(fraction) && counts && SUFFIXES.contains(&suffix) {
            return Ok(Self(text.to_owned()));
        }
        let text = text.chars().take(100).collect();
        Err(RolloutError::UnknownWord { what: "resource amount", text, known: "500m, 2, 1.5, 512Mi, 8Gi and the like" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_amounts_as_kubernetes_writes_them_and_no_others() {
        for text in ["500m", "2", "1.5", "512Mi", "8Gi", "1G"] {
            assert_eq!(text.parse::<Quantity>().unwrap().to_string(), text);
        }
        for text in ["", "0", "0.0", "Gi", "-1", "1.", ".5", "1..2", "8GB", "8 Gi", "1e3x", "8gi", "1\n", &"9".repeat(21)] {
            assert!(text.parse::<Quantity>().is_err(), "{text:?}");
        }
    }
}
