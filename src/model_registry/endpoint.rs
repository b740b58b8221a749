//! Where a model registry is. Pure.

use std::fmt;
use std::str::FromStr;

use url::Url;

use super::ModelRegistryError;
use crate::store::registry::shown_url;

/// Where the API begins, on every registry.
const API: &str = "/api/model_registry";
/// The version that all registries speak.
const VERSION: &str = "/v1alpha3";
/// The next one, which new registries speak as well. What is used here of both differs in the path alone:
/// <https://github.com/kubeflow/hub/issues/2992>.
const NEXT_VERSION: &str = "/v1";
/// No honest address is longer, in bytes.
const MAX_URL: usize = 2048;

/// The address of a registry's API.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint(Url);

impl FromStr for Endpoint {
    type Err = ModelRegistryError;

    /// Takes what people have at hand: the host alone, or with the API's path, or with its version.
    fn from_str(text: &str) -> Result<Self, ModelRegistryError> {
        let refused = |reason| ModelRegistryError::Endpoint { reason };
        if text.len() > MAX_URL {
            return Err(refused("it is too long"));
        }
        let mut url: Url = text.parse().map_err(|_| refused("it is not a URL such as https://registry.example.com"))?;
        if let Some(reason) = objection(&url) {
            return Err(refused(reason));
        }
        let path = api_path(url.path()).ok_or_else(|| refused("modelcar speaks the versions v1alpha3 and v1 of the API"))?;
        url.set_path(&path);
        Ok(Self(url))
    }
}

fn objection(url: &Url) -> Option<&'static str> {
    if !matches!(url.scheme(), "https" | "http") || url.host().is_none() {
        return Some("it begins with neither https:// nor http://");
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Some("it holds a user or a password, which everybody on a machine can read on its command lines");
    }
    (url.query().is_some() || url.fragment().is_some()).then_some("it has a query or a fragment")
}

fn api_path(path: &str) -> Option<String> {
    let path = path.trim_end_matches('/');
    match path.rsplit_once(API) {
        Some((before, "")) => Some(format!("{before}{API}{VERSION}")),
        Some((before, version @ (VERSION | NEXT_VERSION))) => Some(format!("{before}{API}{version}")),
        Some((_, version)) if version.starts_with("/v") => None,
        _ => Some(format!("{path}{API}{VERSION}")),
    }
}

impl Endpoint {
    /// The address of a resource, by the parts of its path and the pairs of its query.
    pub(super) fn of(&self, path: &[&str], query: &[(&str, &str)]) -> Url {
        let mut url = self.0.clone();
        // fails only for addresses without a host
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.extend(path);
        }
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        url
    }

    /// The API's own address.
    pub(super) fn url(&self) -> &Url {
        &self.0
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&shown_url(&self.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_path_of_the_api_is_added_where_it_is_missing() {
        for (text, expected) in [
            ("https://r.example.com", "https://r.example.com/api/model_registry/v1alpha3"),
            ("https://r.example.com/", "https://r.example.com/api/model_registry/v1alpha3"),
            ("https://r.example.com:8443/api/model_registry", "https://r.example.com:8443/api/model_registry/v1alpha3"),
            ("https://r.example.com/api/model_registry/v1alpha3/", "https://r.example.com/api/model_registry/v1alpha3"),
            ("https://r.example.com/api/model_registry/v1", "https://r.example.com/api/model_registry/v1"),
            ("http://127.0.0.1:8080/proxy", "http://127.0.0.1:8080/proxy/api/model_registry/v1alpha3"),
        ] {
            assert_eq!(text.parse::<Endpoint>().unwrap().to_string(), expected, "{text}");
        }
    }

    #[test]
    fn what_is_no_address_is_refused_and_never_repeated() {
        for (text, reason) in [
            ("registry.example.com", "not a URL"),
            ("ftp://r.example.com", "neither https"),
            ("oci://r.example.com/x", "neither https"),
            ("https://ci:s3cret@r.example.com", "user or a password"),
            ("https://r.example.com/?a=b", "query"),
            ("https://r.example.com/#a", "fragment"),
            ("https://r.example.com/api/model_registry/v1beta1", "v1alpha3"),
            ("", "not a URL"),
        ] {
            let error = text.parse::<Endpoint>().unwrap_err();
            assert!(error.to_string().contains(reason), "{text}: {error}");
            assert!(!error.to_string().contains("s3cret") && error.hint().is_some() && error.exit_code() == 2, "{error}");
        }
        assert!(format!("https://{}.com", "x".repeat(3000)).parse::<Endpoint>().is_err());
    }

    #[test]
    fn what_goes_into_an_address_is_quoted() {
        let endpoint: Endpoint = "https://r.example.com".parse().unwrap();
        let url = endpoint.of(&["model_versions", "../7?x", "artifacts"], &[("name", "a b&c=d/ü")]);
        assert_eq!(
            url.as_str(),
            "https://r.example.com/api/model_registry/v1alpha3/model_versions/..%2F7%3Fx/artifacts?name=a+b%26c%3Dd%2F%C3%BC"
        );
    }
}
