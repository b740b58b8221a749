//! OpenShift's image policies: <https://docs.openshift.com/container-platform/latest/nodes/nodes-sigstore-using.html>, types in
//! <https://github.com/openshift/api/blob/master/config/v1/types_cluster_image_policy.go>.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::{EmitError, EmitRequest, Match, object_name};
use crate::trust::ImageScope;
use crate::trust::emit::root;

/// Scopes in one policy.
const MAX_SCOPES: usize = 256;

pub(super) fn policy(kind: &'static str, request: &EmitRequest<'_>) -> Result<Value, EmitError> {
    if request.scopes.len() > MAX_SCOPES {
        return Err(EmitError::Scopes { count: request.scopes.len() });
    }
    if let Some(scope) = request.scopes.iter().find(|scope| !has_full_host(scope)) {
        return Err(EmitError::Host { scope: scope.to_string() });
    }
    let scopes: Vec<String> = request.scopes.iter().map(ToString::to_string).collect();
    Ok(json!({
        "apiVersion": "config.openshift.io/v1",
        "kind": kind,
        "metadata": {"name": object_name(request.scopes)},
        "spec": {
            "scopes": scopes,
            "policy": {"rootOfTrust": root_of_trust(kind, request)?, "signedIdentity": {"matchPolicy": match_policy(request.names)}},
        },
    }))
}

fn has_full_host(scope: &ImageScope) -> bool {
    let host = scope.host();
    host.contains('.') || host.split(':').next() == Some("localhost")
}

fn match_policy(names: Match) -> &'static str {
    match names {
        Match::RepoDigestOrExact => "MatchRepoDigestOrExact",
        Match::Repository => "MatchRepository",
    }
}

fn root_of_trust(kind: &'static str, request: &EmitRequest<'_>) -> Result<Value, EmitError> {
    match (request.keys, request.identities) {
        ([key], []) => Ok(json!({"policyType": "PublicKey", "publicKey": {"keyData": STANDARD.encode(key.to_pem())}})),
        ([], [identity]) => {
            let subject = root::email(kind, identity)?;
            let root = request.trusted_root.ok_or(EmitError::NoRoot)?;
            Ok(json!({"policyType": "FulcioCAWithRekor", "fulcioCAWithRekor": {
                "fulcioCAData": root::small_enough("its authorities", STANDARD.encode(root.fulcio()?))?,
                "rekorKeyData": root::small_enough("its log's key", STANDARD.encode(root.rekor()?))?,
                "fulcioSubject": {"oidcIssuer": subject.issuer, "signedEmail": subject.email},
            }}))
        }
        (keys, identities) => Err(EmitError::SeveralSigners { what: kind, count: keys.len() + identities.len() }),
    }
}
