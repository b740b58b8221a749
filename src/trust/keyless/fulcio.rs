//! Fulcio: a certificate for a token and a key (<https://github.com/sigstore/fulcio/blob/main/fulcio.proto>).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use sigstore_crypto::{CertificateInfo, KeyPair, SubjectAltName, parse_certificate_info};
use sigstore_types::DerCertificate;
use url::Url;
use zeroize::Zeroizing;

use super::services::below;
use super::token::Token;
use super::{Claims, KeylessError, Service, certificates};
use crate::store::StoreError;
use crate::store::registry::{Ask, Web};

const JSON: &str = "application/json";
/// A chain has some kilobytes, a long list of issuers some more.
const MAX_ANSWER: u64 = 256 << 10;
/// Certificates that end sooner are renewed first, in seconds.
const MARGIN: u64 = 60;

/// A key, and the certificate that says whose it is.
pub(super) struct Leaf {
    pub(super) key: KeyPair,
    pub(super) certificate: DerCertificate,
    /// The certificates above it.
    pub(super) chain: Vec<DerCertificate>,
    pub(super) identity: String,
    pub(super) issuer: String,
    not_after: u64,
}

impl Leaf {
    /// Whether it can still sign, with time for the log to see it. `now` is in seconds since 1970.
    pub(super) fn is_fresh(&self, now: u64) -> bool {
        is_fresh(self.not_after, now)
    }
}

fn is_fresh(not_after: u64, now: u64) -> bool {
    not_after.saturating_sub(now) >= MARGIN
}

/// Makes a key and has it certified.
pub(super) fn certify(web: &Web, fulcio: &Url, token: &Token) -> Result<Leaf, KeylessError> {
    let key = KeyPair::generate_ecdsa_p256().map_err(unusable_key)?;
    let url = below(fulcio, "/api/v2/signingCert");
    let ask = Ask::post(&url, JSON, request(&key, token)?, JSON, MAX_ANSWER);
    let answer = web.send(&ask).map_err(gave_none)?;
    if !answer.is_success() {
        return Err(gave_none(answer.refused()));
    }
    leaf(key, &answer.body)
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Request<'a> {
    credentials: Credentials<'a>,
    public_key_request: KeyRequest,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Credentials<'a> {
    oidc_identity_token: &'a str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct KeyRequest {
    public_key: PublicKey,
    proof_of_possession: String,
}

#[derive(Serialize)]
struct PublicKey {
    content: String,
}

/// The body holds the token, so it is wiped with its last copy.
fn request(key: &KeyPair, token: &Token) -> Result<Bytes, KeylessError> {
    let public = key.public_key_der().map_err(unusable_key)?;
    let proof = key.sign(token.claims().principal().as_bytes()).map_err(unusable_key)?;
    let request = Request {
        credentials: Credentials { oidc_identity_token: token.expose() },
        public_key_request: KeyRequest {
            public_key: PublicKey { content: certificates::pem("PUBLIC KEY", public.as_bytes()) },
            proof_of_possession: STANDARD.encode(proof.as_bytes()),
        },
    };
    // Room for all of it at once: a vector that grows leaves copies of the token behind.
    let mut body = Zeroizing::new(Vec::with_capacity(token.expose().len() + 2048));
    serde_json::to_writer(&mut *body, &request).map_err(|error| unusable(error.to_string()))?;
    Ok(Bytes::from_owner(body))
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Issued {
    signed_certificate_embedded_sct: Option<Chain>,
    signed_certificate_detached_sct: Option<Chain>,
}

#[derive(Deserialize)]
struct Chain {
    chain: Certificates,
}

#[derive(Deserialize)]
struct Certificates {
    certificates: Vec<String>,
}

/// Reads the answer, and checks that the certificate is for our key and names somebody.
fn leaf(key: KeyPair, body: &[u8]) -> Result<Leaf, KeylessError> {
    let issued: Issued = serde_json::from_slice(body).map_err(|error| unusable(error.to_string()))?;
    let chain = issued.signed_certificate_embedded_sct.or(issued.signed_certificate_detached_sct);
    let pems = chain.map(|chain| chain.chain.certificates).unwrap_or_default();
    let mut chain = certificates::read(&pems.join("\n")).map_err(unusable)?.into_iter();
    let certificate = chain.next().ok_or_else(|| unusable("it holds no certificate"))?;
    let info = parse_certificate_info(&certificate).map_err(|error| unusable(error.to_string()))?;
    if info.public_key != key.public_key_der().map_err(unusable_key)? {
        return Err(unusable("the certificate is for another key"));
    }
    let (identity, issuer) = named(&info).ok_or_else(|| unusable("the certificate names nobody, or no issuer"))?;
    let not_after = u64::try_from(info.not_after.as_second()).unwrap_or_default();
    Ok(Leaf { key, certificate, chain: chain.collect(), identity, issuer, not_after })
}

/// Whom a certificate names, and who says so.
fn named(info: &CertificateInfo) -> Option<(String, String)> {
    Some((info.identity.as_ref().map(SubjectAltName::as_str)?.to_owned(), info.issuer.clone()?))
}

/// Asks Fulcio whom it believes, and refuses a token that it would not believe. A Fulcio that does not tell is asked no further.
pub(super) fn ensure_known(web: &Web, fulcio: &Url, claims: &Claims) -> Result<(), KeylessError> {
    let url = below(fulcio, "/api/v2/configuration");
    let answer = web.send(&Ask::get(&url, JSON, MAX_ANSWER)).map_err(|source| failed("tell whom it believes", source))?;
    let Some(configuration) = answer.is_success().then(|| serde_json::from_slice::<Configuration>(&answer.body).ok()).flatten() else {
        tracing::debug!("Fulcio does not tell its issuers (status {})", answer.status);
        return Ok(());
    };
    configuration.check(claims)
}

#[derive(Deserialize)]
struct Configuration {
    #[serde(default)]
    issuers: Vec<Issuer>,
}

#[derive(Deserialize)]
struct Issuer {
    #[serde(default, rename = "issuerUrl")]
    url: String,
    #[serde(default, rename = "wildcardIssuerUrl")]
    wildcard: String,
    #[serde(default)]
    audience: String,
}

impl Configuration {
    fn check(&self, claims: &Claims) -> Result<(), KeylessError> {
        if self.issuers.is_empty() {
            return Ok(());
        }
        let known = self.issuers.iter().find(|known| known.is(&claims.issuer));
        let known = known.ok_or_else(|| KeylessError::Issuer { issuer: claims.issuer.clone(), known: self.nearest(&claims.issuer) })?;
        if known.audience.is_empty() { Ok(()) } else { claims.ensure_audience(&known.audience, "Fulcio") }
    }

    /// The one that differs by a slash at its end (<https://github.com/sigstore/fulcio/issues/1769>), else the first few.
    fn nearest(&self, issuer: &str) -> Vec<String> {
        let bare = |url: &str| url.trim_end_matches('/').to_owned();
        let names = || self.issuers.iter().map(|known| crate::trust::reason::shown(known.name()));
        match names().find(|known| bare(known) == bare(issuer)) {
            Some(near) => vec![near],
            None => names().take(5).collect(),
        }
    }
}

impl Issuer {
    fn name(&self) -> &str {
        if self.url.is_empty() { &self.wildcard } else { &self.url }
    }

    fn is(&self, issuer: &str) -> bool {
        // A pattern costs more with every star, and an honest one has two.
        let is_pattern = self.url.is_empty() && self.wildcard.matches('*').count() <= 4;
        if is_pattern { fits(&self.wildcard, issuer) } else { self.url == issuer }
    }
}

/// Fulcio's wildcards: each `*` stands for one or more of `-_a-zA-Z0-9`.
fn fits(pattern: &str, text: &str) -> bool {
    let Some((before, after)) = pattern.split_once('*') else { return pattern == text };
    let Some(rest) = text.strip_prefix(before) else { return false };
    let wild = rest.bytes().take_while(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_')).count();
    (1..=wild.min(256)).any(|end| fits(after, &rest[end..]))
}

fn gave_none(source: StoreError) -> KeylessError {
    failed("give a certificate", source)
}

fn failed(asked: &'static str, source: StoreError) -> KeylessError {
    KeylessError::Service { service: Service::Fulcio, asked, source: Box::new(source) }
}

fn unusable(why: impl AsRef<str>) -> KeylessError {
    KeylessError::Answer { service: Service::Fulcio, why: crate::trust::reason::shown(why.as_ref()) }
}

#[allow(clippy::needless_pass_by_value)]
fn unusable_key(error: sigstore_crypto::Error) -> KeylessError {
    KeylessError::Key { why: error.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn claims(issuer: &str, audience: &str) -> Claims {
        Claims {
            issuer: issuer.to_owned(),
            subject: "s".to_owned(),
            audience: vec![audience.to_owned()],
            expires: 0,
            begins: None,
            email: None,
        }
    }

    fn configuration() -> Configuration {
        serde_json::from_str(
            r#"{"issuers":[{"issuerUrl":"https://kubernetes.default.svc","audience":"sigstore","type":"kubernetes"},
                {"wildcardIssuerUrl":"https://oidc.eks.*.amazonaws.com/id/*","audience":""}]}"#,
        )
        .unwrap()
    }

    #[test]
    fn knows_what_fulcio_believes() {
        for (issuer, audience, refusal) in [
            ("https://kubernetes.default.svc", "sigstore", None),
            ("https://kubernetes.default.svc/", "sigstore", Some("only `https://kubernetes.default.svc`")),
            ("https://kubernetes.default.svc", "other", Some("Fulcio expects `sigstore`")),
            ("https://oidc.eks.eu-1.amazonaws.com/id/AB12", "any", None),
            ("https://oidc.eks.eu/x.amazonaws.com/id/AB12", "any", Some("does not know")),
            ("https://oidc.eks..amazonaws.com/id/AB12", "any", Some("does not know")),
            ("https://else", "sigstore", Some("`https://kubernetes.default.svc`, `https://oidc.eks.")),
        ] {
            let result = configuration().check(&claims(issuer, audience)).map_err(|error| error.to_string());
            match refusal {
                None => assert_eq!(result, Ok(()), "{issuer}"),
                Some(words) => assert!(result.as_ref().is_err_and(|error| error.contains(words)), "{issuer}: {result:?}"),
            }
        }
        assert!(Configuration { issuers: vec![] }.check(&claims("https://else", "x")).is_ok());
    }

    #[test]
    fn wildcards_cannot_be_made_to_run_for_ever() {
        let pattern = "*".repeat(3) + "!";
        assert!(!fits(&pattern, &"a".repeat(200)));
        assert!(fits("a*b", "axxb") && !fits("a*b", "ab") && !fits("a*b", "a/b"));
    }

    #[test]
    fn asks_with_proof_that_the_key_is_ours() {
        let key = KeyPair::generate_ecdsa_p256().unwrap();
        let json = serde_json::json!({"iss": "i", "sub": "system:serviceaccount:ml:b", "aud": "sigstore", "exp": 1});
        let part = base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(json.to_string());
        let token = Token::parse(&format!("a.{part}.c"), "T").unwrap();
        let body: serde_json::Value = serde_json::from_slice(&request(&key, &token).unwrap()).unwrap();
        assert_eq!(body["credentials"]["oidcIdentityToken"], token.expose());
        let content = body["publicKeyRequest"]["publicKey"]["content"].as_str().unwrap();
        assert!(content.starts_with("-----BEGIN PUBLIC KEY-----\n") && !content.contains('\r'));
        let proof = STANDARD.decode(body["publicKeyRequest"]["proofOfPossession"].as_str().unwrap()).unwrap();
        let (public, proof) = (key.public_key_der().unwrap(), sigstore_types::SignatureBytes::new(proof));
        sigstore_crypto::verify_signature(&public, b"system:serviceaccount:ml:b", &proof, key.default_scheme()).unwrap();
    }

    #[test]
    fn refuses_answers_without_our_certificate() {
        for (body, reason) in [
            ("{}", "no certificate"),
            ("[]", "invalid"),
            (r#"{"signedCertificateEmbeddedSct":{"chain":{"certificates":[]}}}"#, "no certificate"),
            (r#"{"signedCertificateEmbeddedSct":{"chain":{"certificates":["x"]}}}"#, "no certificate"),
        ] {
            let key = KeyPair::generate_ecdsa_p256().unwrap();
            let Err(error) = leaf(key, body.as_bytes()) else { panic!("{body}") };
            assert!(error.to_string().contains(reason), "{body}: {error}");
        }
    }

    #[test]
    fn renews_a_certificate_before_it_ends() {
        assert!(is_fresh(1000, 940) && !is_fresh(1000, 941) && !is_fresh(1000, 2000) && !is_fresh(0, 1));
    }
}
