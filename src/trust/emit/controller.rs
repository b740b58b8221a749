//! The policy of sigstore's policy-controller: <https://docs.sigstore.dev/policy-controller/overview/>. Not OpenShift's, which has
//! the same name: the API group tells them apart.

use serde_json::{Value, json};

use super::{EmitError, EmitRequest, keys_only, object_name, patterns};

const WHY_KEYS: &str = "policy-controller's policy is written for keys: for certificates it needs a TrustRoot object of its own, which has to be \
                        made first";

pub(super) fn policy(request: &EmitRequest<'_>) -> Result<Value, EmitError> {
    keys_only(request, WHY_KEYS)?;
    let images: Vec<Value> = patterns(request.scopes, "**").into_iter().map(|glob| json!({"glob": glob})).collect();
    let authority = |(number, key): (usize, &crate::trust::PublicKey)| {
        // bundles of keys are refused: "when using the new bundle format, the authority must be keyless"
        json!({"name": format!("key-{number}"), "key": {"data": key.to_pem(), "hashAlgorithm": "sha256"}, "signatureFormat": "legacy"})
    };
    Ok(json!({
        "apiVersion": "policy.sigstore.dev/v1beta1",
        "kind": "ClusterImagePolicy",
        "metadata": {"name": object_name(request.scopes)},
        "spec": {"images": images, "authorities": request.keys.iter().enumerate().map(authority).collect::<Vec<_>>()},
    }))
}
