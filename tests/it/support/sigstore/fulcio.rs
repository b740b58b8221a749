//! Fulcio: a certificate for ten minutes, for whoever a token speaks of.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use der::asn1::{Ia5String, Utf8StringRef};
use der::oid::ObjectIdentifier;
use der::pem::LineEnding;
use der::{DecodePem as _, Encode as _, EncodePem as _};
use serde_json::{Value, json};
use x509_cert::ext::Extension;
use x509_cert::ext::pkix::name::GeneralName;
use x509_cert::ext::pkix::{ExtendedKeyUsage, SubjectAltName};
use x509_cert::name::Name;
use x509_cert::spki::SubjectPublicKeyInfoOwned;

use super::ct::CtLog;
use super::http::{Answer, Request};
use super::pki::{self, Authority, CODE_SIGNING, Key, PublicKey};
use super::token::{self, CLUSTER, Claims, PROVIDER};

const BAD_TOKEN: &str = "There was an error processing the identity token";
const BAD_KEY: &str = "The public key supplied in the request could not be parsed";
const BAD_PROOF: &str = "The signature supplied in the request could not be verified";
const SCT_LIST: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.4.1.11129.2.4.2");
const ISSUER: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.4.1.57264.1.1");
const ISSUER_V2: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.4.1.57264.1.8");
const TOKEN_SUBJECT: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.4.1.57264.1.24");

pub struct Fulcio {
    pub root: Authority,
    pub intermediate: Authority,
    pub ct: CtLog,
    /// Whose signature on tokens counts, for both issuers.
    pub tokens: Key,
    pub audience: String,
    pub lifetime: Duration,
}

impl Fulcio {
    pub fn new(audience: &str, lifetime: Duration) -> Self {
        let root = Authority::root("CN=stand-in fulcio root,O=stand-in");
        let intermediate = root.intermediate("CN=stand-in fulcio intermediate,O=stand-in", CODE_SIGNING);
        Self { root, intermediate, ct: CtLog::new(), tokens: Key::generate(), audience: audience.to_owned(), lifetime }
    }

    pub fn answer(&self, request: &Request) -> Answer {
        match request.what().as_str() {
            "POST /api/v2/signingCert" => self.signing_certificate(request).unwrap_or_else(|refused| refused),
            "GET /api/v2/trustBundle" => {
                Answer::json(200, &json!({"chains": [{"certificates": [self.intermediate.pem(), self.root.pem()]}]}))
            }
            "GET /api/v2/configuration" => Answer::json(200, &self.configuration()),
            _ => Answer::grpc(404, 5, "Not Found"),
        }
    }

    fn configuration(&self) -> Value {
        let issuer = |url: &str, kind: &str, claim: &str| {
            json!({"issuerUrl": url, "audience": self.audience, "challengeClaim": claim, "spiffeTrustDomain": "", "issuerType": kind,
                "subjectDomain": ""})
        };
        json!({"issuers": [issuer(CLUSTER, "kubernetes", "sub"), issuer(PROVIDER, "email", "email")]})
    }

    fn signing_certificate(&self, request: &Request) -> Result<Answer, Answer> {
        let refused = |message: &str| Answer::grpc(400, 3, message);
        let (bearer, request) = (request.bearer.as_deref(), request.json());
        // sigstore-rust sends the token in the body, cosign in the header
        let jwt = request["credentials"]["oidcIdentityToken"].as_str().or(bearer).ok_or_else(|| refused(BAD_TOKEN))?;
        let claims = token::check(jwt, &self.tokens, &self.audience).map_err(|_| refused(BAD_TOKEN))?;
        let identity = Identity::of(&claims).ok_or_else(|| refused(BAD_TOKEN))?;
        let asked = &request["publicKeyRequest"];
        let key = asked["publicKey"]["content"].as_str().and_then(parse_key).ok_or_else(|| refused(BAD_KEY))?;
        let proof = asked["proofOfPossession"].as_str().and_then(|proof| STANDARD.decode(proof).ok());
        if !proof.is_some_and(|proof| key.accepts(identity.challenge.as_bytes(), &proof)) {
            return Err(refused(BAD_PROOF));
        }
        let leaf = self.issue(&key, identity);
        let chain = [leaf, self.intermediate.pem(), self.root.pem()];
        Ok(Answer::json(200, &json!({"signedCertificateEmbeddedSct": {"chain": {"certificates": chain}}})))
    }

    /// The certificate in PEM; first without the promise of the CT log, which is over just that.
    fn issue(&self, key: &PublicKey, identity: Identity) -> String {
        let mut extensions = pki::leaf_extensions(key, &self.intermediate);
        extensions.push(pki::extension(&ExtendedKeyUsage(vec![CODE_SIGNING]), false));
        // critical, for the subject is empty (RFC 5280, 4.2.1.6)
        extensions.push(pki::extension(&SubjectAltName(vec![identity.name]), true));
        extensions.extend(identity.extensions);
        let validity = pki::validity(pki::now(), self.lifetime);
        let mut tbs = pki::tbs(self.intermediate.name(), Name::default(), validity, key, extensions);
        let milliseconds = u64::try_from(pki::now().as_millis()).unwrap();
        let sct = self.ct.embedded_sct(&tbs.to_der().unwrap(), &self.intermediate.key.public().spki, milliseconds);
        tbs.extensions.as_mut().unwrap().push(pki::raw_extension(SCT_LIST, false, &sct));
        pki::sign(tbs, &self.intermediate.key).to_pem(LineEnding::LF).unwrap()
    }
}

/// Whom a token speaks of.
struct Identity {
    /// What has to be signed to prove that one has the key.
    challenge: String,
    name: GeneralName,
    extensions: Vec<Extension>,
}

impl Identity {
    fn of(claims: &Claims) -> Option<Self> {
        if claims.0["iss"] == PROVIDER { Self::of_person(&claims.0) } else { Self::of_service_account(&claims.0) }
    }

    fn of_person(claims: &Value) -> Option<Self> {
        let email = claims["email"].as_str().filter(|_| claims["email_verified"] == true)?;
        let name = GeneralName::Rfc822Name(Ia5String::new(email).ok()?);
        Some(Self { challenge: email.to_owned(), name, extensions: issuer_extensions(PROVIDER).into() })
    }

    fn of_service_account(claims: &Value) -> Option<Self> {
        let (subject, account) = (claims["sub"].as_str()?, &claims["kubernetes.io"]);
        let (namespace, name) = (account["namespace"].as_str()?, account["serviceaccount"]["name"].as_str()?);
        let uri = format!("https://kubernetes.io/namespaces/{namespace}/serviceaccounts/{name}");
        let name = GeneralName::UniformResourceIdentifier(Ia5String::new(&uri).ok()?);
        let mut extensions = Vec::from(issuer_extensions(CLUSTER));
        extensions.push(pki::raw_extension(TOKEN_SUBJECT, false, &utf8(subject)));
        Some(Self { challenge: subject.to_owned(), name, extensions })
    }
}

/// The first is the bare text, not DER, and stays for old verifiers; the second says the same properly.
fn issuer_extensions(issuer: &str) -> [Extension; 2] {
    [pki::raw_extension(ISSUER, false, issuer.as_bytes()), pki::raw_extension(ISSUER_V2, false, &utf8(issuer))]
}

fn utf8(text: &str) -> Vec<u8> {
    Utf8StringRef::new(text).unwrap().to_der().unwrap()
}

fn parse_key(pem: &str) -> Option<PublicKey> {
    PublicKey::from_spki(&SubjectPublicKeyInfoOwned::from_pem(pem).ok()?.to_der().ok()?)
}
