//! Kyverno's policy: <https://kyverno.io/docs/policy-types/cluster-policy/verify-images/sigstore/>.
//!
//! A ClusterPolicy that reads classic signatures (`type: Cosign`), and not the newer ImageValidatingPolicy: that one prefers bundles
//! as soon as an image has any, and Kyverno 1.19.0 refuses those made with a key (kyverno#17363). This one works in all versions.

use serde_json::{Value, json};

use super::{EmitError, EmitRequest, keys_only, object_name, patterns};

const WHY_KEYS: &str = "Kyverno's policy is written for keys: for certificates it needs the URLs of the services, which a trusted root does \
                        not name";

pub(super) fn policy(request: &EmitRequest<'_>) -> Result<Value, EmitError> {
    keys_only(request, WHY_KEYS)?;
    let entry = |key: &crate::trust::PublicKey| {
        json!({"keys": {
            "publicKeys": key.to_pem(),
            "signatureAlgorithm": "sha256",
            // without these two Kyverno asks Sigstore's public services
            "rekor": {"ignoreTlog": true},
            "ctlog": {"ignoreSCT": true},
        }})
    };
    let entries: Vec<Value> = request.keys.iter().map(entry).collect();
    let name = object_name(request.scopes);
    Ok(json!({
        "apiVersion": "kyverno.io/v1",
        "kind": "ClusterPolicy",
        "metadata": {"name": name},
        "spec": {
            "background": false,
            "webhookConfiguration": {"timeoutSeconds": 30},
            "rules": [{
                "name": "signed",
                "match": {"any": [{"resources": {"kinds": ["Pod"]}}]},
                "verifyImages": [{
                    "type": "Cosign",
                    "failureAction": "Enforce",
                    "imageReferences": patterns(request.scopes, "*"),
                    "required": true,
                    "verifyDigest": true,
                    "mutateDigest": true,
                    "attestors": [{"count": 1, "entries": entries}],
                }],
            }],
        },
    }))
}
