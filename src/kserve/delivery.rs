//! The ways in which KServe brings a model from its image into the pod.

use std::fmt;
use std::str::FromStr;

use super::KserveError;

/// How the model comes from the image into the pod. One image serves all three.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Delivery {
    /// A sidecar and a symbolic link.
    Modelcar,
    /// A Kubernetes image volume.
    Native,
    /// The storage initializer pulls and unpacks.
    Fetch,
}

impl Delivery {
    /// All of them, the one that every KServe has first.
    pub const ALL: [Self; 3] = [Self::Modelcar, Self::Native, Self::Fetch];

    /// The scheme of `storageUri`.
    pub fn scheme(self) -> &'static str {
        match self {
            Self::Modelcar => "oci",
            Self::Native => "oci+native",
            Self::Fetch => "oci+fetch",
        }
    }

    /// The delivery of a `storageUri`; `None` where the model comes from no image.
    pub fn of_uri(uri: &str) -> Option<Self> {
        let (scheme, _) = uri.split_once("://")?;
        Self::ALL.into_iter().find(|delivery| delivery.scheme() == scheme)
    }

    /// The first releases that have it.
    pub fn since(self) -> &'static str {
        match self {
            Self::Modelcar => "KServe 0.12",
            Self::Native => "KServe 0.20 and OpenShift AI 3.5",
            Self::Fetch => "KServe 0.21",
        }
    }
}

impl fmt::Display for Delivery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Modelcar => "modelcar",
            Self::Native => "native",
            Self::Fetch => "fetch",
        })
    }
}

impl FromStr for Delivery {
    type Err = KserveError;

    fn from_str(text: &str) -> Result<Self, KserveError> {
        let named = Self::ALL.into_iter().find(|delivery| delivery.to_string() == text);
        named.ok_or_else(|| KserveError::unknown_word("delivery", text, Self::ALL))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_back_every_name_it_gives() {
        for delivery in Delivery::ALL {
            assert_eq!(delivery.to_string().parse::<Delivery>().unwrap(), delivery);
        }
    }

    #[test]
    fn knows_every_delivery_by_its_scheme() {
        for delivery in Delivery::ALL {
            assert_eq!(Delivery::of_uri(&format!("{}://quay.io/a@sha256:0", delivery.scheme())), Some(delivery));
        }
        assert_eq!(Delivery::of_uri("pvc://models/iris"), None);
    }
}
