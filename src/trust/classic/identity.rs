//! Which image a signature speaks for: the rule of OpenShift's default, `MatchRepoDigestOrExact`.
//!
//! <https://github.com/containers/image/blob/main/docs/containers-policy.json.5.md#sigstoresigned>. Pulled by tag, the payload must
//! name exactly that `host/repo:tag`; pulled by digest, the repository must be the same. A payload without a tag, as cosign
//! writes it, is accepted for neither.

use crate::oci::Reference;
use crate::trust::reason::shown;
use crate::trust::{Reason, TrustError};

/// Checks an identity to sign: `host/repo:tag`.
pub(in crate::trust) fn to_sign(text: &str) -> Result<Reference, TrustError> {
    let reference = parse(text)?;
    match (reference.tag(), reference.digest()) {
        (Some(_), None) => Ok(reference),
        _ => Err(TrustError::IdentityWithoutTag { identity: text.to_owned() }),
    }
}

/// Reads the reference that somebody asked for: with a tag, a digest or both.
pub(in crate::trust) fn asked(text: &str) -> Result<Reference, TrustError> {
    let reference = parse(text)?;
    match reference.manifest_ref() {
        Some(_) => Ok(reference),
        None => Err(TrustError::IdentityWithoutTag { identity: text.to_owned() }),
    }
}

fn parse(text: &str) -> Result<Reference, TrustError> {
    text.parse().map_err(|source| TrustError::Identity { identity: text.to_owned(), source })
}

/// Whether a payload for `signed` is good for a pull of `asked`.
pub(in crate::trust) fn check(asked: &Reference, signed: &str) -> Result<(), Reason> {
    let refused = || Reason::Identity { signed: shown(signed), asked: asked.to_string() };
    let signed: Reference = signed.parse().map_err(|_| refused())?;
    if canonical_name(&signed) != canonical_name(asked) {
        return Err(refused());
    }
    if signed.manifest_ref().is_none() {
        return Err(Reason::IdentityWithoutTag { signed: signed.to_string() });
    }
    let exact = signed.tag() == asked.tag() && signed.digest().is_none();
    if asked.digest().is_some() || exact { Ok(()) } else { Err(refused()) }
}

/// Docker Hub has three names for an official image; signers and verifiers use different ones.
fn canonical_name(reference: &Reference) -> String {
    match (reference.registry(), reference.repository()) {
        ("docker.io" | "index.docker.io", repository) if !repository.contains('/') => format!("docker.io/library/{repository}"),
        ("index.docker.io", repository) => format!("docker.io/{repository}"),
        _ => reference.name(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DIGEST: &str = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    #[test]
    fn accepts_what_openshift_accepts_by_default() {
        let by_digest = format!("q.io/m/iris@{DIGEST}");
        let both = format!("q.io/m/iris:v9@{DIGEST}");
        // asked, signed, accepted
        let table = [
            ("q.io/m/iris:v1", "q.io/m/iris:v1", true),
            ("q.io/m/iris:prod", "q.io/m/iris:v1", false),
            ("q.io/m/iris:v1", "q.io/m/iris", false),
            ("q.io/m/iris:v1", "q.io/m/other:v1", false),
            ("q.io/m/iris:v1", "q.io:443/m/iris:v1", false),
            ("q.io/m/iris:v1", &by_digest, false),
            (&by_digest, "q.io/m/iris:v1", true),
            (&by_digest, "q.io/m/iris:prod", true),
            (&by_digest, "q.io/m/iris", false),
            (&by_digest, "q.io/m/iris2:v1", false),
            (&by_digest, "nonsense", false),
            (&both, "q.io/m/iris:v1", true),
            ("docker.io/iris:v1", "index.docker.io/library/iris:v1", true),
        ];
        for (asked_for, signed, accepted) in table {
            assert_eq!(check(&asked(asked_for).unwrap(), signed).is_ok(), accepted, "{signed} for {asked_for}");
        }
    }

    #[test]
    fn says_why_a_repository_alone_is_not_enough() {
        let reason = check(&asked("q.io/iris:v1").unwrap(), "q.io/iris").unwrap_err();
        assert!(matches!(reason, Reason::IdentityWithoutTag { .. }));
        assert!(reason.to_string().contains("MatchRepoDigestOrExact"), "{reason}");
    }

    #[test]
    fn signs_only_full_references_with_a_tag() {
        assert_eq!(to_sign("q.io/iris:v1").unwrap().to_string(), "q.io/iris:v1");
        let digest = format!("q.io/iris@{DIGEST}");
        for text in ["q.io/iris", "iris:v1", "", &digest] {
            assert!(to_sign(text).is_err(), "{text}");
        }
    }
}
