//! Where a build goes: `-t`, `-o` and `--push` taken together. Pure.

use std::path::PathBuf;

use super::CliError;
use crate::oci::{Location, ManifestRef};

/// The layout that takes a build when nothing else is said.
pub(super) const DEFAULT_LAYOUT: &str = "modelcar.oci";

/// The store and the names in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Destination {
    /// The store, with the first name.
    pub(super) location: Location,
    /// Every name the image gets.
    pub(super) names: Vec<ManifestRef>,
}

/// Decides where a build goes. `fallback` names the image in a layout when the user does not.
pub(super) fn decide(tags: &[Location], output: Option<&Location>, push: bool, fallback: &str) -> Result<Destination, CliError> {
    if let Some(tagless) = tags.iter().find(|tag| tag.manifest_ref().is_none()) {
        return Err(CliError::usage(format!("`{tagless}` has no tag"), format!("write it with one, such as {tagless}:v1")));
    }
    if let Some(pinned) = tags.iter().find(|tag| matches!(tag.manifest_ref(), Some(ManifestRef::Digest(_)))) {
        return Err(CliError::usage(
            format!("`{pinned}` names a digest"),
            "a build makes the digest; name it with a tag, such as REPOSITORY:v1",
        ));
    }
    match (push, output, tags) {
        (true, Some(_), _) => {
            Err(CliError::usage("--push and -o go to different places", "build with -o, then `modelcar push oci:DIR:NAME REF`"))
        }
        (true, None, []) => Err(CliError::usage("--push needs a name", "add -t REGISTRY/REPOSITORY:TAG")),
        (true, None, tags) => to_registry(tags),
        (false, Some(output), tags) => into_file(output, tags, fallback),
        (false, None, tags) => tagged_files(tags)
            .unwrap_or_else(|| into_file(&Location::Layout { dir: PathBuf::from(DEFAULT_LAYOUT), image: None }, tags, fallback)),
    }
}

fn to_registry(tags: &[Location]) -> Result<Destination, CliError> {
    let Location::Registry(first) = &tags[0] else {
        return Err(CliError::usage(
            format!("--push cannot send to `{}`", tags[0]),
            "--push sends to a registry; without it the build goes to the layout",
        ));
    };
    let other = tags.iter().find(|tag| !matches!(tag, Location::Registry(reference) if reference.name() == first.name()));
    if let Some(other) = other {
        return Err(CliError::usage(
            format!("`{other}` is in another repository than `{first}`"),
            "push once, then `modelcar push` to the other repository",
        ));
    }
    Ok(Destination { location: tags[0].clone(), names: tags.iter().filter_map(Location::manifest_ref).collect() })
}

/// `-t oci:DIR:NAME` without `-o`: the tag itself says where.
fn tagged_files(tags: &[Location]) -> Option<Result<Destination, CliError>> {
    match tags {
        [Location::Layout { .. } | Location::Archive { .. }] => {
            Some(Ok(Destination { location: tags[0].clone(), names: tags[0].manifest_ref().into_iter().collect() }))
        }
        _ => None,
    }
}

/// A layout or archive holds each tag under its whole reference, so that two repositories with one tag do not collide.
fn into_file(output: &Location, tags: &[Location], fallback: &str) -> Result<Destination, CliError> {
    let mut names: Vec<ManifestRef> = output.manifest_ref().into_iter().collect();
    for tag in tags {
        let Location::Registry(reference) = tag else {
            return Err(CliError::usage(
                format!("-t `{tag}` and -o `{output}` are two places"),
                "with -o, name the image by a reference: -t quay.io/org/model:v1",
            ));
        };
        names.push(ManifestRef::Tag(reference.to_string()));
    }
    if names.is_empty() {
        names.push(ManifestRef::Tag(fallback.to_owned()));
    }
    let image = names.first().cloned();
    let location = match output {
        Location::Layout { dir, .. } => Location::Layout { dir: dir.clone(), image },
        Location::Archive { file, .. } => Location::Archive { file: file.clone(), image },
        Location::Registry(reference) => {
            return Err(CliError::usage(
                format!("-o `{reference}` is a registry"),
                "use -t REF --push, or -o oci:DIR, -o oci-archive:FILE",
            ));
        }
    };
    Ok(Destination { location, names })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decided(tags: &[&str], output: Option<&str>, push: bool) -> Result<(String, Vec<String>), String> {
        let tags: Vec<Location> = tags.iter().map(|tag| tag.parse().unwrap()).collect();
        let output = output.map(|output| output.parse().unwrap());
        match decide(&tags, output.as_ref(), push, "stem") {
            Ok(there) => Ok((there.location.to_string(), there.names.iter().map(ToString::to_string).collect())),
            Err(error) => Err(format!("{error} ({})", error.hint().unwrap_or_default())),
        }
    }

    #[expect(clippy::type_complexity, reason = "a row of a table")]
    #[test]
    fn a_build_goes_where_docker_and_podman_users_expect_it() {
        let table: [(&[&str], Option<&str>, bool, &str, &[&str]); 8] = [
            (&[], None, false, "oci:modelcar.oci:stem", &["stem"]),
            (&["quay.io/o/m:v1"], None, false, "oci:modelcar.oci:quay.io/o/m:v1", &["quay.io/o/m:v1"]),
            (&["quay.io/o/m:v1"], None, true, "quay.io/o/m:v1", &["v1"]),
            (&["quay.io/o/m:v1", "quay.io/o/m:latest"], None, true, "quay.io/o/m:v1", &["v1", "latest"]),
            (&["quay.io/o/m:v1"], Some("oci:dir"), false, "oci:dir:quay.io/o/m:v1", &["quay.io/o/m:v1"]),
            (&[], Some("oci:dir:v1"), false, "oci:dir:v1", &["v1"]),
            (&[], Some("oci-archive:m.tar"), false, "oci-archive:m.tar:stem", &["stem"]),
            (&["oci:dir:v1"], None, false, "oci:dir:v1", &["v1"]),
        ];
        for (tags, output, push, location, names) in table {
            let names = names.iter().map(ToString::to_string).collect();
            assert_eq!(decided(tags, output, push), Ok((location.to_owned(), names)), "{tags:?} {output:?} {push}");
        }
    }

    #[test]
    fn what_contradicts_itself_is_refused_with_what_to_write() {
        let digest = format!("quay.io/o/m@{}", crate::oci::Digest::of(b""));
        let table: [(&[&str], Option<&str>, bool, &str); 8] = [
            (&["quay.io/o/m"], None, false, "has no tag"),
            (&[&digest], None, false, "names a digest"),
            (&[], None, true, "--push needs a name"),
            (&["quay.io/o/m:v1"], Some("oci:dir"), true, "different places"),
            (&["oci:dir:v1"], None, true, "cannot send"),
            (&["quay.io/o/m:v1", "quay.io/o/n:v1"], None, true, "another repository"),
            (&["oci:a:v1"], Some("oci:b"), false, "two places"),
            (&[], Some("quay.io/o/m:v1"), false, "is a registry"),
        ];
        for (tags, output, push, reason) in table {
            let error = decided(tags, output, push).unwrap_err();
            assert!(error.contains(reason), "{tags:?} {output:?}: {error}");
        }
    }
}
