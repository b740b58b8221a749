//! A token service, as stands beside Quay, GitLab and Docker Hub. **A stand-in**: Debian has none. Its tokens are real ones, though, and a
//! real `docker-registry` judges them: <https://distribution.github.io/distribution/spec/auth/jwt/>.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use p256::ecdsa::signature::Signer as _;
use p256::ecdsa::{Signature, SigningKey};
use p256::pkcs8::DecodePrivateKey as _;
use serde_json::json;

use super::registry::{PASSWORD, USER, write_certificates};
use super::{need, run};

/// What the tokens are for and who issues them, in the registry's configuration.
const SERVICE: &str = "test-registry";
const ISSUER: &str = "test-issuer";
/// The identity token that [`TokenServer`] takes by OAuth2.
pub(crate) const IDENTITY: &str = "canary-identity-token";

/// A running token service; its thread ends with the process.
pub(crate) struct TokenServer {
    host: String,
    log: Arc<Mutex<Vec<String>>>,
    dir: tempfile::TempDir,
}

/// A request: its first line and the body, which is a form.
struct Asked {
    line: String,
    authorization: String,
    body: String,
}

impl TokenServer {
    /// Knows [`USER`] with [`PASSWORD`], and the bearer of [`IDENTITY`]; they may do all they ask for. `None` where a peer is missing.
    pub(crate) fn start() -> Option<Self> {
        let openssl = need("openssl")?;
        let dir = tempfile::tempdir().unwrap();
        write_certificates(&openssl, dir.path());
        let pkcs8 = dir.path().join("pkcs8.pem");
        run(std::process::Command::new(openssl)
            .args(["pkcs8", "-topk8", "-nocrypt", "-in"])
            .arg(dir.path().join("ca.key"))
            .arg("-out")
            .arg(&pkcs8));
        let key = SigningKey::from_pkcs8_pem(&std::fs::read_to_string(pkcs8).unwrap()).unwrap();
        let certificate = certificate(&dir.path().join("ca.pem"));
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let server = Self { host: listener.local_addr().unwrap().to_string(), log: Arc::default(), dir };
        let log = Arc::clone(&server.log);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                // a client that goes away has its reasons
                let _ = serve(stream, &log, &key, &certificate);
            }
        });
        Some(server)
    }

    /// The section of a registry's configuration that sends clients here.
    pub(crate) fn section(&self) -> String {
        let (realm, bundle) = (format!("http://{}/token", self.host), self.bundle());
        format!(
            "auth:\n  token:\n    realm: {realm}\n    service: {SERVICE}\n    issuer: {ISSUER}\n    rootcertbundle: {}\n",
            bundle.display()
        )
    }

    fn bundle(&self) -> PathBuf {
        self.dir.path().join("ca.pem")
    }

    /// Method, path and query of each request so far; of a form its `grant_type` and `scope`.
    pub(crate) fn log(&self) -> Vec<String> {
        self.log.lock().unwrap().clone()
    }
}

/// The DER of a PEM file, in base64.
fn certificate(pem: &Path) -> String {
    let text = std::fs::read_to_string(pem).unwrap();
    text.lines().filter(|line| !line.starts_with('-')).collect()
}

fn serve(mut stream: TcpStream, log: &Mutex<Vec<String>>, key: &SigningKey, certificate: &str) -> std::io::Result<()> {
    let asked = read(&stream)?;
    let url: url::Url = format!("http://x{}", asked.line.split(' ').nth(1).unwrap()).parse().unwrap();
    let form: Vec<(String, String)> = if asked.line.starts_with("POST") {
        url::form_urlencoded::parse(asked.body.as_bytes()).into_owned().collect()
    } else {
        url.query_pairs().into_owned().collect()
    };
    let field = |name: &str| form.iter().find(|(known, _)| known == name).map_or("", |(_, value)| value.as_str());
    let scopes: Vec<&str> = form.iter().filter(|(name, _)| name == "scope").flat_map(|(_, scope)| scope.split(' ')).collect();
    let method = asked.line.split(' ').next().unwrap();
    log.lock().unwrap().push([method, field("grant_type"), &scopes.join(" ")].join(" ").split_whitespace().collect::<Vec<_>>().join(" "));
    let basic = format!("Basic {}", STANDARD.encode(format!("{USER}:{PASSWORD}")));
    let known = if method == "POST" { field("refresh_token") == IDENTITY } else { asked.authorization == basic };
    let (status, body) = if known {
        ("200 OK", json!({"token": token(key, certificate, &scopes), "expires_in": 300}).to_string())
    } else {
        ("401 Unauthorized", json!({"errors": [{"code": "UNAUTHORIZED", "message": "who are you"}]}).to_string())
    };
    write!(stream, "HTTP/1.1 {status}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}", body.len())
}

fn read(stream: &TcpStream) -> std::io::Result<Asked> {
    let mut reader = BufReader::new(stream);
    let mut asked = Asked { line: String::new(), authorization: String::new(), body: String::new() };
    reader.read_line(&mut asked.line)?;
    let mut length = 0;
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        let Some((name, value)) = line.trim_end().split_once(": ") else { break };
        match name.to_ascii_lowercase().as_str() {
            "authorization" => value.clone_into(&mut asked.authorization),
            "content-length" => length = value.parse().unwrap(),
            _ => {}
        }
    }
    reader.take(length).read_to_string(&mut asked.body)?;
    Ok(asked)
}

/// A token with all that was asked for.
fn token(key: &SigningKey, certificate: &str, scopes: &[&str]) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let access = |scope: &&str| {
        let (kind, rest) = scope.split_once(':').unwrap();
        let (name, actions) = rest.rsplit_once(':').unwrap();
        json!({"type": kind, "name": name, "actions": actions.split(',').collect::<Vec<_>>()})
    };
    let header = json!({"typ": "JWT", "alg": "ES256", "x5c": [certificate]});
    let claims = json!({
        "iss": ISSUER, "sub": USER, "aud": SERVICE, "exp": now + 300, "nbf": now - 10, "iat": now, "jti": "1",
        "access": scopes.iter().map(access).collect::<Vec<_>>(),
    });
    let part = |json: serde_json::Value| URL_SAFE_NO_PAD.encode(json.to_string());
    let signed = format!("{}.{}", part(header), part(claims));
    let signature: Signature = key.sign(signed.as_bytes());
    format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature.to_bytes()))
}
