//! OIDC tokens: what a cluster and an identity provider hand out, and how Fulcio looks at them.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use p256::ecdsa::Signature;
use p256::ecdsa::signature::{Signer as _, Verifier as _};
use serde_json::{Value, json};

use super::pki::{Key, now};

/// Who issues the tokens of service accounts.
pub const CLUSTER: &str = "https://kubernetes.default.svc";
/// Who issues tokens to people.
pub const PROVIDER: &str = "https://accounts.example.com";

/// What a token says.
#[derive(Clone)]
pub struct Claims(pub Value);

impl Claims {
    /// As a projected volume of Kubernetes holds it: a list of audiences, no e-mail address.
    pub fn service_account(namespace: &str, name: &str) -> Self {
        let (now, uid) = (now().as_secs(), "49ad3572-b3dd-43a6-8d77-5858d3660275");
        Self(json!({
            "iss": CLUSTER,
            "aud": ["sigstore"],
            "sub": format!("system:serviceaccount:{namespace}:{name}"),
            "iat": now, "nbf": now, "exp": now + 3600,
            "kubernetes.io": {
                "namespace": namespace,
                "pod": {"name": "build-pod", "uid": uid},
                "serviceaccount": {"name": name, "uid": uid},
            },
        }))
    }

    /// As a provider for people writes it: one audience, an e-mail address that it has verified.
    pub fn email(address: &str) -> Self {
        let now = now().as_secs();
        Self(json!({
            "iss": PROVIDER, "aud": "sigstore", "sub": "CgQxMjM0EgZnaXRodWI",
            "iat": now, "exp": now + 3600, "email": address, "email_verified": true,
        }))
    }

    /// With this claim; `null` takes it away.
    #[must_use]
    pub fn with(mut self, claim: &str, value: Value) -> Self {
        self.0[claim] = value;
        if self.0[claim].is_null() {
            self.0.as_object_mut().unwrap().remove(claim);
        }
        self
    }

    /// With another audience, in the shape that the claim has.
    #[must_use]
    pub fn for_audience(self, audience: &str) -> Self {
        let value = if self.0["aud"].is_array() { json!([audience]) } else { json!(audience) };
        self.with("aud", value)
    }

    /// With so much life left.
    #[must_use]
    pub fn living(self, left: Duration) -> Self {
        self.with("exp", json!((now() + left).as_secs()))
    }

    /// Expired for an hour.
    #[must_use]
    pub fn expired(self) -> Self {
        let now = now().as_secs();
        self.with("iat", json!(now - 7200)).with("nbf", json!(now - 7200)).with("exp", json!(now - 3600))
    }

    /// The JWT, signed with ES256.
    pub fn signed_by(&self, issuer: &Key) -> String {
        let header = json!({"alg": "ES256", "kid": "stand-in", "typ": "JWT"});
        let part = |json: &Value| URL_SAFE_NO_PAD.encode(json.to_string());
        let signed = format!("{}.{}", part(&header), part(&self.0));
        let signature: Signature = issuer.0.sign(signed.as_bytes());
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature.to_bytes()))
    }
}

/// Why Fulcio does not believe a token. It tells its log, never the client.
pub fn check(token: &str, issuer: &Key, audience: &str) -> Result<Claims, &'static str> {
    let (signed, signature) = token.rsplit_once('.').ok_or("no JWT")?;
    let (header, claims) = signed.split_once('.').ok_or("no JWT")?;
    if decode(header)?["alg"] != "ES256" {
        return Err("another algorithm");
    }
    let signature = URL_SAFE_NO_PAD.decode(signature).map_err(|_| "no base64")?;
    let signature = Signature::from_slice(&signature).map_err(|_| "no signature")?;
    issuer.0.verifying_key().verify(signed.as_bytes(), &signature).map_err(|_| "a signature of somebody else")?;
    let claims = decode(claims)?;
    if claims["iss"] != CLUSTER && claims["iss"] != PROVIDER {
        return Err("an unknown issuer");
    }
    if !audiences(&claims["aud"]).contains(&audience) {
        return Err("another audience");
    }
    let now = now().as_secs();
    if claims["exp"].as_u64().is_none_or(|end| end <= now) {
        return Err("expired");
    }
    if claims["nbf"].as_u64().is_some_and(|start| start > now + 60) {
        return Err("not yet valid");
    }
    Ok(Claims(claims))
}

fn decode(part: &str) -> Result<Value, &'static str> {
    let bytes = URL_SAFE_NO_PAD.decode(part).map_err(|_| "no base64")?;
    serde_json::from_slice(&bytes).map_err(|_| "no JSON")
}

fn audiences(claim: &Value) -> Vec<&str> {
    match claim {
        Value::Array(list) => list.iter().filter_map(Value::as_str).collect(),
        one => one.as_str().into_iter().collect(),
    }
}
