//! The identity token: who signs, by the word of an OIDC provider.
//!
//! Only Fulcio can check it. Here its claims are read without checking the signature, because Fulcio answers every mistake with
//! the same sentence and keeps the reason in its log (<https://github.com/sigstore/fulcio/issues/2265>): what can be seen to be
//! wrong is said before it is asked.

use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;
use zeroize::Zeroizing;

use super::KeylessError;
use super::files;
use crate::trust::reason::shown;

/// The variable that cosign and GitLab use.
pub(super) const VARIABLE: &str = "SIGSTORE_ID_TOKEN";
/// Where cosign looks in a pod (`pkg/providers/filesystem`).
const MOUNTED: &str = "/var/run/sigstore/cosign/oidc-token";
/// Service-account tokens have about 1 kB.
const MAX_TOKEN: u64 = 64 << 10;
/// A token that ends sooner may be over before Fulcio sees it.
const SHORT: Duration = Duration::from_secs(60);
/// How far, in seconds, Fulcio lets a token begin after its own time (the leeway of go-oidc, which it checks tokens with).
const LEEWAY: u64 = 300;

/// A place that gives tokens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TokenSource {
    /// A file, such as a projected service-account token, which Kubernetes renews.
    File(PathBuf),
    /// `SIGSTORE_ID_TOKEN`.
    Environment,
}

impl TokenSource {
    /// The named file, else `SIGSTORE_ID_TOKEN`, else cosign's place in a pod. Never a browser, never a terminal.
    ///
    /// # Errors
    /// [`KeylessError::NoToken`].
    pub fn choose(file: Option<PathBuf>) -> Result<Self, KeylessError> {
        let variable = std::env::var_os(VARIABLE).is_some_and(|value| !value.is_empty());
        choose_from(file, variable, Path::new(MOUNTED))
    }

    /// Reads the token as it is now.
    pub fn read(&self) -> Result<Token, KeylessError> {
        match self {
            Self::File(path) => {
                let bytes = Zeroizing::new(files::read(path, MAX_TOKEN, "no identity token")?);
                let text = std::str::from_utf8(&bytes).map_err(|_| not_jwt(&path.display().to_string(), "it is not text"))?;
                Token::parse(text, &path.display().to_string())
            }
            Self::Environment => {
                let text = Zeroizing::new(std::env::var(VARIABLE).map_err(|_| not_jwt(VARIABLE, "it is not text"))?);
                Token::parse(&text, VARIABLE)
            }
        }
    }

    /// Whether reading again may give a newer token.
    pub(super) fn is_renewed(&self) -> bool {
        matches!(self, Self::File(_))
    }
}

fn choose_from(file: Option<PathBuf>, variable: bool, mounted: &Path) -> Result<TokenSource, KeylessError> {
    match file {
        Some(path) => Ok(TokenSource::File(path)),
        None if variable => Ok(TokenSource::Environment),
        None if mounted.exists() => Ok(TokenSource::File(mounted.to_owned())),
        None => Err(KeylessError::NoToken { mounted: MOUNTED }),
    }
}

/// A token; wiped when it is dropped, and never printed.
pub struct Token {
    jwt: Zeroizing<String>,
    claims: Claims,
}

/// What a token says, by its own word.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claims {
    /// `iss`.
    pub issuer: String,
    /// `sub`.
    pub subject: String,
    /// `aud`, one or several.
    pub audience: Vec<String>,
    /// `exp`, in seconds since 1970.
    pub expires: u64,
    /// `nbf`, in seconds since 1970, where it is there.
    pub begins: Option<u64>,
    /// `email`, which service accounts do not have.
    pub email: Option<String>,
}

impl Token {
    /// Reads a JWT and its claims. Nothing of the text gets into an error.
    pub fn parse(text: &str, place: &str) -> Result<Self, KeylessError> {
        let jwt = text.trim();
        if jwt.is_empty() {
            return Err(KeylessError::EmptyToken { place: place.to_owned() });
        }
        let mut parts = jwt.split('.');
        let (Some(_), Some(claims), Some(_), None) = (parts.next(), parts.next(), parts.next(), parts.next()) else {
            return Err(not_jwt(place, "it has not three parts between dots"));
        };
        let is_base64url = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
        if !jwt.bytes().all(is_base64url) {
            return Err(not_jwt(place, "it has characters that no token has"));
        }
        Ok(Self { jwt: Zeroizing::new(jwt.to_owned()), claims: Claims::decode(claims, place)? })
    }

    /// What it says.
    pub fn claims(&self) -> &Claims {
        &self.claims
    }

    /// What it says, in one line.
    pub fn described(&self) -> String {
        self.claims.described(super::now())
    }

    /// The token itself, for the one request that it is meant for.
    pub(super) fn expose(&self) -> &str {
        &self.jwt
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Token").field("claims", &self.claims).finish_non_exhaustive()
    }
}

#[derive(Deserialize)]
struct Wire {
    iss: Option<String>,
    sub: Option<String>,
    #[serde(default)]
    aud: Audience,
    // Some issuers write it as a floating-point number.
    exp: Option<f64>,
    nbf: Option<f64>,
    email: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(untagged)]
enum Audience {
    #[default]
    None,
    One(String),
    Several(Vec<String>),
}

impl Claims {
    fn decode(part: &str, place: &str) -> Result<Self, KeylessError> {
        let json = URL_SAFE_NO_PAD.decode(part).map_err(|_| not_jwt(place, "its middle part is no base64url"))?;
        let wire: Wire = serde_json::from_slice(&json).map_err(|_| not_jwt(place, "its middle part holds no claims"))?;
        let lacks = |claim| KeylessError::Claim { place: place.to_owned(), claim };
        let given = |claim: Option<String>| claim.filter(|text| !text.is_empty());
        Ok(Self {
            issuer: given(wire.iss).ok_or_else(|| lacks("iss"))?,
            subject: given(wire.sub).ok_or_else(|| lacks("sub"))?,
            audience: match wire.aud {
                Audience::None => Vec::new(),
                Audience::One(audience) => vec![audience],
                Audience::Several(audiences) => audiences,
            },
            expires: seconds(wire.exp).ok_or_else(|| lacks("exp"))?,
            begins: seconds(wire.nbf),
            email: given(wire.email),
        })
    }

    /// Whom Fulcio wants to see a signature of as proof that the key is ours: the e-mail address, else the subject.
    pub fn principal(&self) -> &str {
        self.email.as_deref().unwrap_or(&self.subject)
    }

    /// Refuses what Fulcio would refuse, and tells how long the token still lives. `now` is in seconds since 1970.
    pub fn preflight(&self, audience: &str, now: u64) -> Result<Preflight, KeylessError> {
        if self.expires <= now {
            return Err(KeylessError::Expired { ago: now - self.expires });
        }
        if let Some(begins) = self.begins.filter(|begins| *begins > now.saturating_add(LEEWAY)) {
            return Err(KeylessError::NotYet { begins: begins - now });
        }
        self.ensure_audience(audience, "--oidc-client-id")?;
        Ok(Preflight { left: Duration::from_secs(self.expires - now) })
    }

    /// The claims that matter, in one line. `now` is in seconds since 1970.
    pub fn described(&self, now: u64) -> String {
        let audience: Vec<String> = self.audience.iter().take(8).map(|audience| shown(audience)).collect();
        let email = self.email.as_ref().map(|email| format!(", email {}", shown(email))).unwrap_or_default();
        let exp = match self.expires.checked_sub(now) {
            Some(left) => format!("in {}", span(left)),
            None => format!("{} ago", span(now - self.expires)),
        };
        let ahead = self.begins.and_then(|begins| begins.checked_sub(now)).filter(|ahead| *ahead > 0);
        let nbf = ahead.map(|ahead| format!(", nbf in {}", span(ahead))).unwrap_or_default();
        format!("iss {}, aud {}, sub {}{email}{nbf}, exp {exp}", shown(&self.issuer), audience.join(" "), shown(&self.subject))
    }

    pub(super) fn ensure_audience(&self, expected: &str, who: &'static str) -> Result<(), KeylessError> {
        if self.audience.iter().any(|audience| audience == expected) {
            return Ok(());
        }
        let found = self.audience.iter().take(8).map(|audience| shown(audience)).collect();
        Err(KeylessError::Audience { found, expected: expected.to_owned(), who })
    }
}

#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
fn seconds(exp: Option<f64>) -> Option<u64> {
    // Whatever a cast saturates to is far in the past or in the future, and both are handled.
    exp.filter(|exp| exp.is_finite()).map(|exp| exp.max(0.0) as u64)
}

/// A token that may be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Preflight {
    left: Duration,
}

impl Preflight {
    /// What the user should know.
    pub fn warning(&self) -> Option<String> {
        let soon = self.left < SHORT;
        soon.then(|| format!("the identity token expires in {} s: it may be over before everything is signed", self.left.as_secs()))
    }
}

fn span(seconds: u64) -> String {
    match seconds {
        seconds @ ..=119 => format!("{seconds} s"),
        seconds @ ..=7199 => format!("{} min", seconds / 60),
        seconds => format!("{} h", seconds / 3600),
    }
}

fn not_jwt(place: &str, what: &'static str) -> KeylessError {
    KeylessError::NotJwt { place: place.to_owned(), what }
}

/// Reads claims of any bytes, for fuzzing.
#[doc(hidden)]
pub fn fuzz(bytes: &[u8]) {
    if let Ok(token) = Token::parse(&String::from_utf8_lossy(bytes), "fuzz") {
        let _ = (token.claims.preflight("sigstore", 1_700_000_000), token.claims.described(1_700_000_000));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::{Value, json};

    const NOW: u64 = 1_700_000_000;

    fn jwt(claims: &Value) -> String {
        let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        format!("{}.{}.{}", part(&json!({"alg": "RS256"})), part(claims), URL_SAFE_NO_PAD.encode(b"signature"))
    }

    fn service_account() -> Value {
        json!({
            "iss": "https://kubernetes.default.svc", "sub": "system:serviceaccount:ml:builder", "aud": ["sigstore"],
            "exp": NOW + 3600, "iat": NOW, "kubernetes.io": {"namespace": "ml"},
        })
    }

    fn claims(claims: &Value) -> Claims {
        Token::parse(&jwt(claims), "T").unwrap().claims().clone()
    }

    #[test]
    fn accepts_the_tokens_of_service_accounts_and_of_people() {
        let claims_of = claims;
        let account = claims_of(&service_account());
        let preflight = account.preflight("sigstore", NOW).unwrap();
        assert_eq!(
            account.described(NOW),
            "iss https://kubernetes.default.svc, aud sigstore, sub system:serviceaccount:ml:builder, exp in 60 min"
        );
        assert_eq!((preflight.warning(), account.principal()), (None, "system:serviceaccount:ml:builder"));
        let person = claims_of(&json!({"iss": "https://i", "sub": "1", "aud": "sigstore", "exp": 1.7e9 + 30.5, "email": "a@b.c"}));
        let preflight = person.preflight("sigstore", NOW).unwrap();
        assert_eq!(person.principal(), "a@b.c");
        assert_eq!(person.described(NOW), "iss https://i, aud sigstore, sub 1, email a@b.c, exp in 30 s");
        assert!(person.described(NOW + 7300).ends_with("exp 2 h ago"));
        assert!(preflight.warning().unwrap().contains("30 s"));
    }

    #[test]
    fn refuses_what_fulcio_would_refuse_and_says_why() {
        let changed = |name: &str, value: Value| {
            let mut claims = service_account();
            claims[name] = value;
            claims
        };
        for (claims, reason) in [
            (changed("exp", json!(NOW)), "expired 0 s ago"),
            (changed("exp", json!(NOW - 5)), "expired 5 s ago"),
            (changed("exp", json!(-1)), "expired 1700000000 s ago"),
            (changed("exp", Value::Null), "a token without `exp`"),
            (changed("iss", json!("")), "a token without `iss`"),
            (changed("sub", Value::Null), "a token without `sub`"),
            (changed("nbf", json!(NOW + 301)), "not valid yet: it begins in 301 s"),
            (changed("iss", json!(["a"])), "holds no claims"),
            (changed("aud", json!(["https://kubernetes.default.svc", "vault"])), "`https://kubernetes.default.svc`, `vault`"),
            (changed("aud", json!("other")), "`other`, and --oidc-client-id expects `sigstore`"),
            (changed("aud", json!([])), "no audience at all"),
            (changed("aud", Value::Null), "no audience at all"),
        ] {
            let result = Token::parse(&jwt(&claims), "T").and_then(|token| token.claims().preflight("sigstore", NOW));
            let error = result.unwrap_err();
            assert!(error.to_string().contains(reason), "{error}");
            assert!(error.hint().is_some());
        }
    }

    #[test]
    fn tells_how_to_get_the_right_audience_in_kubernetes() {
        let error = claims(&service_account()).preflight("trusted-artifact-signer", NOW).unwrap_err();
        assert!(error.hint().unwrap().contains("`audience: trusted-artifact-signer` of the projected serviceAccountToken"));
    }

    #[test]
    fn a_token_that_begins_a_little_later_than_now_is_fulcios_to_judge() {
        let mut begins = service_account();
        begins["nbf"] = json!(NOW + 300);
        let begins = claims(&begins);
        assert!(begins.preflight("sigstore", NOW).is_ok() && begins.described(NOW).contains("nbf in 5 min"));
        assert!(!begins.described(NOW + 300).contains("nbf"));
    }

    #[test]
    fn says_what_is_wrong_where_it_was_looked_for() {
        for (text, message, hints) in [
            (String::new(), "it is empty", ["look at what writes the file", "set it to a token"]),
            ("\n".to_owned(), "it is empty", ["look at what writes the file", "set it to a token"]),
            ("x".to_owned(), "is not a JWT", ["the file must", "the variable must"]),
            (jwt(&json!({"iss": "i"})), "a token without `sub`", ["the file must", "set SIGSTORE_ID_TOKEN"]),
        ] {
            for (place, hint) in ["/a/token", VARIABLE].into_iter().zip(hints) {
                let error = Token::parse(&text, place).unwrap_err();
                assert!(error.to_string().contains(message) && error.to_string().contains(place), "{error}");
                assert!(error.hint().unwrap().starts_with(hint), "{error:?}");
            }
        }
    }

    #[test]
    fn never_shows_the_token() {
        let text = jwt(&service_account());
        let token = Token::parse(&format!("{text}\n"), "T").unwrap();
        assert_eq!(token.expose(), text);
        assert!(!format!("{token:?}").contains(&text[..20]));
        for broken in ["canary", "canary.canary.canary", "ca.na.ry.x", "ca na.ry.x", ""] {
            let error = Token::parse(broken, "T").unwrap_err();
            assert!(!format!("{error} {error:?}").contains("canary"), "{error:?}");
        }
    }

    #[test]
    fn looks_for_a_token_in_three_places() {
        let dir = tempfile::tempdir().unwrap();
        let (mounted, none) = (dir.path().join("oidc-token"), dir.path().join("none"));
        fs_err::write(&mounted, "x").unwrap();
        let file = || Some(PathBuf::from("F"));
        for (file, variable, mount, expected) in [
            (file(), true, &mounted, Some(TokenSource::File("F".into()))),
            (None, true, &mounted, Some(TokenSource::Environment)),
            (None, false, &mounted, Some(TokenSource::File(mounted.clone()))),
            (None, false, &none, None),
        ] {
            assert_eq!(choose_from(file, variable, mount).ok(), expected);
        }
        assert!(matches!(choose_from(None, false, &none), Err(error) if error.hint().unwrap().contains("audience: sigstore")));
    }

    #[test]
    fn refuses_a_file_that_is_no_token_unread() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("large");
        fs_err::write(&path, vec![b'a'; usize::try_from(MAX_TOKEN).unwrap() + 1]).unwrap();
        assert!(matches!(TokenSource::File(path).read(), Err(KeylessError::TooLarge { .. })));
        assert!(matches!(TokenSource::File(dir.path().join("none")).read(), Err(KeylessError::Read { .. })));
    }

    proptest! {
        #[test]
        fn never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..300), exp: f64, now: u64) {
            fuzz(&bytes);
            let json = format!(r#"{{"iss":"i","sub":"s","aud":"sigstore","exp":{exp}}}"#);
            let text = format!("a.{}.b", URL_SAFE_NO_PAD.encode(json));
            if let Ok(token) = Token::parse(&text, "T") {
                let _ = token.claims().preflight("sigstore", now).map(|preflight| preflight.warning());
                let _ = token.claims().described(now);
            }
        }
    }
}
