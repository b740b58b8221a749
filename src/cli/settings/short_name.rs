//! `iris:v1` for `quay.io/acme/iris:v1`, where settings say which registry and organisation are meant. Pure.

use super::{CliError, Settings};
use crate::oci::{InvalidLocation, InvalidReference, Location};

impl Settings {
    /// The image that a text names. What names its registry, a layout or an archive is taken as it is.
    ///
    /// # Errors
    /// A short name where no registry and organisation are set, or one that may mean several things.
    pub(in crate::cli) fn image(&self, text: &str) -> Result<Location, CliError> {
        match text.parse() {
            Err(InvalidLocation::Reference(InvalidReference::NoRegistry { .. })) => self.whole(text),
            read => Ok(read?),
        }
    }

    fn whole(&self, text: &str) -> Result<Location, CliError> {
        let (Some(registry), Some(organisation)) = (&self.registry, &self.organisation) else {
            return Err(CliError::usage(format!("`{text}` does not name its registry"), self.advice(text)));
        };
        let prefix = format!("{}/{}", registry.value, organisation.value);
        // `acme/iris:v1` is another image for docker than for whoever thinks of a registry
        if text.contains('/') {
            let last = text.rsplit('/').next().unwrap_or(text);
            let advice = format!("write it in full, or `{last}` for {prefix}/{last}");
            return Err(CliError::usage(format!("`{text}` does not name its registry"), advice));
        }
        if !text.contains([':', '@']) {
            let advice = format!("write `{text}:TAG` for {prefix}/{text}:TAG");
            return Err(CliError::usage(format!("`{text}` names neither registry nor tag"), advice));
        }
        Ok(format!("{prefix}/{text}").parse()?)
    }

    fn advice(&self, text: &str) -> String {
        let last = text.rsplit('/').next().unwrap_or(text);
        let missing = match (&self.registry, &self.organisation) {
            (Some(_), None) => "`organisation`",
            (None, Some(_)) => "`registry`",
            _ => "`registry` and `organisation`",
        };
        format!("write it in full, such as quay.io/ORG/{last}, or set {missing} in modelcar.toml: `modelcar config` shows what is set")
    }
}

#[cfg(test)]
mod tests {
    use std::ffi::OsString;
    use std::path::Path;

    use super::*;

    const DIGEST: &str = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    fn settings(registry: Option<&'static str>, organisation: Option<&'static str>) -> Settings {
        let variable = move |name: &str| match name {
            "MODELCAR_REGISTRY" => registry.map(OsString::from),
            "MODELCAR_ORGANISATION" => organisation.map(OsString::from),
            _ => None,
        };
        Settings::at(Path::new("/nowhere"), &variable).unwrap()
    }

    #[test]
    fn a_short_name_is_one_of_our_own_images() {
        let settings = settings(Some("quay.io"), Some("acme"));
        for (text, expected) in [
            ("iris:v1", "quay.io/acme/iris:v1".to_owned()),
            (&format!("iris@{DIGEST}"), format!("quay.io/acme/iris@{DIGEST}")),
            (&format!("iris:v1@{DIGEST}"), format!("quay.io/acme/iris:v1@{DIGEST}")),
        ] {
            assert_eq!(settings.image(text).unwrap().to_string(), expected);
        }
    }

    #[test]
    fn what_is_whole_means_what_it_always_meant() {
        let settings = settings(Some("quay.io"), Some("acme"));
        for text in
            ["docker.io/library/busybox:1", "localhost:5000/iris:v1", "localhost/iris:v1", "oci:dir:v1", "oci:iris", "oci-archive:f.tar:v1"]
        {
            assert_eq!(settings.image(text).unwrap(), text.parse().unwrap(), "{text}");
        }
    }

    #[test]
    fn what_may_mean_several_images_means_none() {
        for (registry, organisation, text, reason, advice) in [
            (None, None, "iris:v1", "does not name its registry", "`registry` and `organisation` in modelcar.toml: `modelcar config`"),
            (Some("quay.io"), None, "iris:v1", "does not name its registry", "set `organisation` in"),
            (None, Some("acme"), "iris:v1", "does not name its registry", "set `registry` in"),
            (Some("quay.io"), Some("acme"), "acme/iris:v1", "does not name its registry", "`iris:v1` for quay.io/acme/iris:v1"),
            (Some("quay.io"), Some("acme"), "iris", "neither registry nor tag", "`iris:TAG` for quay.io/acme/iris:TAG"),
            (Some("quay.io"), Some("acme"), "Iris:v1", "lower-case", "a reference is"),
        ] {
            let error = settings(registry, organisation).image(text).unwrap_err();
            assert!(error.to_string().contains(reason), "{text}: {error}");
            assert!(error.hint().unwrap().contains(advice), "{text}: {:?}", error.hint());
            assert_eq!(error.exit_code(), 2);
        }
    }
}
