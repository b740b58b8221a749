//! Which images a policy speaks for: the scopes of containers-policy.json, so that a policy can be handed on to podman and
//! OpenShift as it is (<https://github.com/containers/image/blob/main/docs/containers-policy.json.5.md#docker>).

use std::fmt;
use std::str::FromStr;

use crate::oci::Reference;

/// A registry, a name space in it, or one repository; or all registries below a domain: `*.example.com`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ImageScope(String);

/// What is no scope.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is no image scope: {what}")]
pub struct InvalidScope {
    /// What is written.
    pub text: String,
    /// Why.
    pub what: &'static str,
}

/// The longest scope that OpenShift takes, in bytes.
const MAX_SCOPE: usize = 512;

impl ImageScope {
    /// The scope of one repository.
    pub fn of(image: &Reference) -> Self {
        Self(image.name())
    }

    /// The registry: `quay.io`, `127.0.0.1:5000`, `*.example.com`.
    pub fn host(&self) -> &str {
        self.0.split('/').next().unwrap_or_default()
    }

    /// Whether it is a whole registry, or several.
    pub fn is_host(&self) -> bool {
        !self.0.contains('/')
    }

    /// Whether it speaks for this image.
    pub fn covers(&self, image: &Reference) -> bool {
        if let Some(domain) = self.0.strip_prefix('*') {
            return image.registry().len() > domain.len() && image.registry().ends_with(domain);
        }
        let name = image.name();
        name.strip_prefix(&self.0).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    }
}

impl FromStr for ImageScope {
    type Err = InvalidScope;

    fn from_str(text: &str) -> Result<Self, InvalidScope> {
        let scope = text.strip_suffix('/').unwrap_or(text);
        match flaw(scope) {
            Some(what) => Err(InvalidScope { text: text.chars().take(200).collect(), what }),
            None => Ok(Self(scope.to_owned())),
        }
    }
}

fn flaw(scope: &str) -> Option<&'static str> {
    let (host, path) = scope.split_once('/').map_or((scope, None), |(host, path)| (host, Some(path)));
    if scope.len() > MAX_SCOPE {
        return Some("it has more than 512 characters");
    }
    if let Some(domain) = host.strip_prefix("*.") {
        let fine = path.is_none() && is_host(domain) && !domain.contains(':');
        return (!fine).then_some("a wildcard stands for the registries below a domain, such as *.example.com");
    }
    if !is_host(host) {
        return Some("it begins with no registry, such as quay.io");
    }
    let names = path.into_iter().flat_map(|path| path.split('/'));
    names.into_iter().any(|name| !is_path(name)).then_some("it is a registry, a name space or a repository, without tag and digest")
}

fn is_host(host: &str) -> bool {
    let (name, port) = host.split_once(':').map_or((host, None), |(name, port)| (name, Some(port)));
    let label = |label: &str| {
        let edges = label.starts_with(|c: char| c.is_ascii_alphanumeric()) && label.ends_with(|c: char| c.is_ascii_alphanumeric());
        edges && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
    };
    name.split('.').all(label) && port.is_none_or(|port| !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit()))
}

fn is_path(name: &str) -> bool {
    let edge = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    name.starts_with(edge) && name.ends_with(edge) && name.chars().all(|c| edge(c) || matches!(c, '.' | '_' | '-'))
}

impl fmt::Display for ImageScope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn covers_what_lies_below_it_and_no_neighbour() {
        let table = [
            ("quay.io", "quay.io/edge/iris:v1", true),
            ("quay.io", "quay.io:443/edge/iris:v1", false),
            ("quay.io/edge", "quay.io/edge/iris:v1", true),
            ("quay.io/edge/", "quay.io/edge/iris:v1", true),
            ("quay.io/edge", "quay.io/edge2/iris:v1", false),
            ("quay.io/edge/iris", "quay.io/edge/iris:v1", true),
            ("quay.io/edge/iris", "quay.io/edge/iris2:v1", false),
            ("*.example.com", "a.b.example.com/iris:v1", true),
            ("*.example.com", "example.com/iris:v1", false),
            ("*.example.com", "badexample.com/iris:v1", false),
            ("localhost:5000/m", "localhost:5000/m/iris:v1", true),
        ];
        for (scope, image, covered) in table {
            assert_eq!(scope.parse::<ImageScope>().unwrap().covers(&image.parse().unwrap()), covered, "{image} in {scope}");
        }
    }

    #[test]
    fn refuses_what_openshift_would_refuse() {
        let long = format!("quay.io/{}", "a".repeat(512));
        for scope in
            ["", "/", "*", "*.*.com", "*.example.com/x", "quay.io//x", "quay.io/x:v1", "quay.io/X", "quay.io/x@sha256:0", "-q.io", &long]
        {
            assert!(scope.parse::<ImageScope>().is_err(), "{scope}");
        }
    }
}
