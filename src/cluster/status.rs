//! What the API server means by a refusal: its `Status`, <https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/status/>.
//! Pure.

use serde::Deserialize;

use super::{ClusterError, Resource};
use crate::oci::{is_modest, printable};

/// The longest message that is kept, in characters: a schema's complaints may be many.
const MAX_MESSAGE: usize = 1000;

/// What was asked for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Deed<'a> {
    /// `create`, `get`, `list`, `delete`: the words of a Role.
    pub(super) verb: &'static str,
    pub(super) resource: &'static Resource,
    pub(super) namespace: &'a str,
    /// Empty where there is no single one.
    pub(super) name: &'a str,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Status {
    kind: String,
    message: String,
    reason: String,
    details: Details,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Details {
    name: String,
    kind: String,
}

impl Status {
    /// The `Status` of a body; an empty one where it is something else, such as a proxy's page.
    fn of(body: &[u8]) -> Self {
        let parsed = is_modest(body).then(|| serde_json::from_slice::<Self>(body).ok()).flatten();
        parsed.filter(|status| status.kind == "Status").unwrap_or_default()
    }

    fn words(&self) -> String {
        printable(&self.message, MAX_MESSAGE)
    }
}

/// Whether it is the object itself that is not there, rather than its namespace or its whole kind.
pub(super) fn is_missing(body: &[u8], deed: &Deed<'_>) -> bool {
    let status = Status::of(body);
    status.reason == "NotFound" && status.details.name == deed.name && status.details.kind != "namespaces"
}

/// The error that a refusal means; `None` where it says nothing in particular.
pub(super) fn refusal(code: u16, body: &[u8], deed: &Deed<'_>, url: &str) -> Option<ClusterError> {
    let status = Status::of(body);
    let message = status.words();
    let (resource, namespace, name) = (deed.resource, deed.namespace.to_owned(), deed.name.to_owned());
    Some(match code {
        401 => ClusterError::Unauthorized { url: url.to_owned(), message },
        403 => ClusterError::Forbidden { verb: deed.verb, resource, namespace, message },
        404 if status.details.kind == "namespaces" => ClusterError::NoNamespace { namespace },
        404 => ClusterError::NoKind { resource, url: url.to_owned() },
        409 if status.reason == "AlreadyExists" => ClusterError::Exists { resource, namespace, name },
        409 => ClusterError::Conflict { resource, name, message },
        400 | 422 => ClusterError::Invalid { resource, name, message },
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const ISVC: &Resource =
        &Resource { group: "serving.kserve.io", version: "v1beta1", plural: "inferenceservices", kind: "InferenceService" };
    const DEED: Deed<'_> = Deed { verb: "create", resource: ISVC, namespace: "scratch", name: "iris" };

    fn status(code: u16, reason: &str, kind: &str, name: &str) -> Vec<u8> {
        let details = json!({"kind": kind, "name": name});
        json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": code, "reason": reason, "message": "m\u{1b}", "details": details})
            .to_string()
            .into_bytes()
    }

    #[test]
    fn every_refusal_has_its_error_and_a_hint() {
        for (code, reason, kind, expected) in [
            (401, "Unauthorized", "", "does not know who asks"),
            (403, "Forbidden", "inferenceservices", "is not allowed to create"),
            (404, "NotFound", "namespaces", "there is no namespace `scratch`"),
            (404, "NotFound", "", "knows no InferenceService"),
            (409, "AlreadyExists", "inferenceservices", "has an InferenceService `iris` already"),
            (409, "Conflict", "inferenceservices", "is not the one"),
            (422, "Invalid", "inferenceservices", "does not take"),
            (400, "BadRequest", "", "does not take"),
        ] {
            let error = refusal(code, &status(code, reason, kind, "x"), &DEED, "https://k/").unwrap();
            assert!(error.to_string().contains(expected) && !error.to_string().contains('\u{1b}'), "{error}");
            assert!(error.hint().is_some(), "{error}");
        }
        assert!(refusal(418, b"", &DEED, "https://k/").is_none());
    }

    #[test]
    fn a_missing_right_is_named_as_a_role_says_it() {
        let error = refusal(403, b"<html>", &DEED, "https://k/").unwrap();
        let hint = error.hint().unwrap();
        assert!(hint.contains("{apiGroups: [serving.kserve.io], resources: [inferenceservices], verbs: [create]}"), "{hint}");
    }

    #[test]
    fn only_the_object_itself_can_be_missing() {
        assert!(is_missing(&status(404, "NotFound", "inferenceservices", "iris"), &DEED));
        assert!(!is_missing(&status(404, "NotFound", "namespaces", "iris"), &DEED));
        assert!(!is_missing(&status(404, "NotFound", "inferenceservices", "other"), &DEED));
        assert!(!is_missing(b"404 page not found", &DEED));
    }
}
