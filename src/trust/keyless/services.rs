//! Which services sign: named one by one, or by a deployment's signing config.

use sigstore_trust_root::{ServiceEndpoint, SigningConfig};
use url::Url;

use super::{KeylessError, Service};

/// The services of one deployment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Services {
    pub(super) fulcio: Url,
    pub(super) rekor: Option<Rekor>,
    pub(super) tsa: Option<Url>,
}

/// A transparency log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rekor {
    /// Its base address.
    pub url: Url,
    /// What it speaks.
    pub version: RekorVersion,
}

/// The two kinds of Rekor, which share nothing but the name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RekorVersion {
    /// Signs a time stamp for each entry, which is what podman and CRI-O check.
    #[default]
    V1,
    /// A log of tiles: proofs of inclusion without times, so it takes a time-stamp authority besides.
    V2,
}

impl Services {
    /// Services by their addresses. `tsa` is the whole address for requests, such as `https://tsa.example.com/api/v1/timestamp`.
    ///
    /// # Errors
    /// Nothing would prove when the signature was made, so nobody could check it once the certificate is over.
    pub fn new(fulcio: Url, rekor: Option<Rekor>, tsa: Option<Url>) -> Result<Self, KeylessError> {
        let is_v2 = rekor.as_ref().is_some_and(|rekor| rekor.version == RekorVersion::V2);
        if tsa.is_none() && is_v2 {
            return Err(no_time("a Rekor log of version 2 tells no time: it needs a time-stamp authority besides"));
        }
        if tsa.is_none() && rekor.is_none() {
            return Err(no_time(
                "nothing would prove when the signature was made: neither a Rekor log nor a time-stamp authority is named",
            ));
        }
        Ok(Self { fulcio, rekor, tsa })
    }

    /// The services of a signing config. A log of version 1 comes first, because podman and CRI-O check no other, unless `version`
    /// asks for another one; a time-stamp authority is used where there is one.
    ///
    /// # Errors
    /// It is no signing config, or what is needed is not in it, or only for another time.
    pub fn from_config(json: &str, place: &str, version: Option<RekorVersion>) -> Result<Self, KeylessError> {
        let unusable = |why: String| KeylessError::Unusable { place: place.to_owned(), why };
        let config = SigningConfig::from_json(json).map_err(|error| unusable(error.to_string()))?;
        Self::of(&config, place, version)
    }

    pub(super) fn of(config: &SigningConfig, place: &str, version: Option<RekorVersion>) -> Result<Self, KeylessError> {
        let unusable = |why: String| KeylessError::Unusable { place: place.to_owned(), why };
        let url = |endpoint: &ServiceEndpoint| {
            Url::parse(&endpoint.url).map_err(|error| unusable(format!("it has the address `{}`: {error}", endpoint.url)))
        };
        let fulcio = config.fulcio_url().ok_or_else(|| unusable("it names no Fulcio that is in use now".to_owned()))?;
        let rekor = match (rekor_of(config, version), version) {
            (Some((endpoint, version)), _) => Some(Rekor { url: url(endpoint)?, version }),
            (None, Some(version)) => return Err(unusable(format!("it names no Rekor log of version {}", version.major()))),
            (None, None) => None,
        };
        Self::new(url(fulcio)?, rekor, config.tsa_url().map(url).transpose()?)
    }

    /// Every service with its address.
    pub(super) fn addresses(&self) -> impl Iterator<Item = (Service, &Url)> {
        let rekor = self.rekor.iter().map(|rekor| (Service::Rekor, &rekor.url));
        std::iter::once((Service::Fulcio, &self.fulcio)).chain(rekor).chain(self.tsa.iter().map(|url| (Service::Tsa, url)))
    }

    /// Whether classic signatures are possible: their annotations hold what only version 1 signs.
    pub(super) fn has_classic(&self) -> bool {
        self.rekor.as_ref().is_some_and(|rekor| rekor.version == RekorVersion::V1)
    }
}

fn rekor_of(config: &SigningConfig, wanted: Option<RekorVersion>) -> Option<(&ServiceEndpoint, RekorVersion)> {
    let of = |version: RekorVersion| Some((config.rekor_url(Some(version.major()))?, version));
    match wanted {
        Some(version) => of(version),
        None => of(RekorVersion::V1).or_else(|| of(RekorVersion::V2)),
    }
}

impl RekorVersion {
    fn major(self) -> u32 {
        match self {
            Self::V1 => 1,
            Self::V2 => 2,
        }
    }
}

fn no_time(what: &str) -> KeylessError {
    KeylessError::Config { what: what.to_owned(), hint: "add --tsa-url, or --rekor-url of a log of version 1" }
}

/// `url` with a path behind whatever path it has.
pub(super) fn below(url: &Url, path: &str) -> Url {
    let mut below = url.clone();
    below.set_path(&format!("{}{path}", url.path().trim_end_matches('/')));
    below
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn url(text: &str) -> Url {
        text.parse().unwrap()
    }

    fn config(rekor: &[u32], tsa: bool) -> String {
        let service =
            |url: String, version: u32| json!({"url": url, "majorApiVersion": version, "validFor": {"start": "2024-01-01T00:00:00Z"}});
        let rekor: Vec<Value> = rekor.iter().map(|version| service(format!("https://rekor{version}/"), *version)).collect();
        let tsa = if tsa { vec![service("https://tsa/api/v1/timestamp".to_owned(), 1)] } else { vec![] };
        json!({
            "mediaType": "application/vnd.dev.sigstore.signingconfig.v0.2+json",
            "caUrls": [service("https://fulcio".to_owned(), 1)],
            "rekorTlogUrls": rekor, "tsaUrls": tsa,
            "rekorTlogConfig": {"selector": "ANY"}, "tsaConfig": {"selector": "ANY"},
        })
        .to_string()
    }

    #[test]
    fn prefers_the_log_that_podman_can_check() {
        use RekorVersion::{V1, V2};
        for (logs, tsa, wanted, expected) in [
            (&[1, 2][..], true, None, Ok(Some(V1))),
            (&[2, 1], true, Some(V2), Ok(Some(V2))),
            (&[2], true, None, Ok(Some(V2))),
            (&[1], false, None, Ok(Some(V1))),
            (&[], true, None, Ok(None)),
            (&[2], false, None, Err("needs a time-stamp authority")),
            (&[], false, None, Err("nothing would prove when")),
            (&[1], true, Some(V2), Err("no Rekor log of version 2")),
        ] {
            let services = Services::from_config(&config(logs, tsa), "C", wanted);
            match (services, expected) {
                (Ok(services), Ok(version)) => {
                    assert_eq!(services.rekor.as_ref().map(|rekor| rekor.version), version, "{logs:?}");
                    assert_eq!(services.tsa.is_some(), tsa);
                    assert_eq!(services.has_classic(), version == Some(V1));
                }
                (Err(error), Err(reason)) => assert!(error.to_string().contains(reason), "{error}"),
                (services, expected) => panic!("{logs:?} {tsa} {wanted:?}: {services:?}, not {expected:?}"),
            }
        }
    }

    #[test]
    fn refuses_what_is_no_signing_config() {
        for (json, reason) in [
            ("{}".to_owned(), "mediaType"),
            (config(&[1], true).replace("v0.2+json", "v0.9+json"), "v0.9"),
            (config(&[1], true).replace("https://fulcio", "fulcio"), "`fulcio`"),
            (config(&[1], true).replace("2024-01-01", "2124-01-01"), "no Fulcio"),
        ] {
            let error = Services::from_config(&json, "C", None).unwrap_err().to_string();
            assert!(error.contains("cannot use C") && error.contains(reason), "{error}");
        }
    }

    #[test]
    fn keeps_the_path_that_a_service_lives_under() {
        for (base, expected) in
            [("https://h", "https://h/api/v2/x"), ("https://h/", "https://h/api/v2/x"), ("https://h/fulcio/", "https://h/fulcio/api/v2/x")]
        {
            assert_eq!(below(&url(base), "/api/v2/x").as_str(), expected);
        }
    }
}
