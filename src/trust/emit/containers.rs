//! `policy.json`: <https://github.com/containers/image/blob/main/docs/containers-policy.json.5.md>.
//!
//! The default is `reject`, so that the file says no to what nobody thought of. Whoever pulls other images too copies the part
//! under `transports.docker` into the policy that is there.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};

use super::{EmitError, EmitRequest, Match, root};
use crate::trust::ImageScope;

const WHAT: &str = "policy.json";

pub(super) fn policy(request: &EmitRequest<'_>) -> Result<Value, EmitError> {
    let requirement = requirement(request)?;
    let scopes: Map<String, Value> = request.scopes.iter().map(|scope| (scope.to_string(), json!([requirement]))).collect();
    Ok(json!({"default": [{"type": "reject"}], "transports": {"docker": scopes}}))
}

fn requirement(request: &EmitRequest<'_>) -> Result<Value, EmitError> {
    let mut requirement = json!({"type": "sigstoreSigned", "signedIdentity": {"type": match_type(request.names)}});
    let key_data = |key: &crate::trust::PublicKey| STANDARD.encode(key.to_pem());
    match (request.keys, request.identities) {
        ([key], []) => requirement["keyData"] = key_data(key).into(),
        (keys, []) => requirement["keyDatas"] = keys.iter().map(key_data).collect(),
        ([], [identity]) => {
            let subject = root::email(WHAT, identity)?;
            let root = request.trusted_root.ok_or(EmitError::NoRoot)?;
            requirement["fulcio"] =
                json!({"caData": STANDARD.encode(root.fulcio()?), "oidcIssuer": subject.issuer, "subjectEmail": subject.email});
            requirement["rekorPublicKeyData"] = STANDARD.encode(root.rekor()?).into();
        }
        (keys, identities) => return Err(EmitError::SeveralSigners { what: WHAT, count: keys.len() + identities.len() }),
    }
    Ok(requirement)
}

fn match_type(names: Match) -> &'static str {
    match names {
        Match::RepoDigestOrExact => "matchRepoDigestOrExact",
        Match::Repository => "matchRepository",
    }
}

/// The file for `/etc/containers/registries.d` without which podman does not look for signatures in these registries:
/// <https://github.com/containers/image/blob/main/docs/containers-registries.d.5.md>. A wildcard stands for no registry there.
pub fn registries_d(scopes: &[ImageScope]) -> String {
    let mut names: Vec<String> = scopes.iter().map(ToString::to_string).collect();
    names.sort();
    names.dedup();
    let entries = names.iter().map(|name| format!("  \"{name}\":\n    use-sigstore-attachments: true\n"));
    ["docker:\n".to_owned()].into_iter().chain(entries).collect()
}
