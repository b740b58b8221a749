//! All that can go wrong with a registry. No variant holds a token, a password or a query string.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use crate::exit_code;
use crate::oci::Digest;
use crate::store::StoreError;

/// Why a registry did not do what it was asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RegistryError {
    /// The registry's name makes no URL.
    #[error("`{registry}` is not the address of a registry: {reason}")]
    Address {
        /// As the user wrote it.
        registry: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The threads that speak to registries could not be started.
    #[error("cannot start the network threads")]
    Runtime(#[source] io::Error),
    /// TLS could not be set up, usually for want of root certificates.
    #[error("cannot set up TLS")]
    TlsSetup(#[source] Cause),
    /// A `--ca-file` that cannot be read.
    #[error("cannot read the CA certificates in {}", file.display())]
    CaFile {
        /// The file.
        file: PathBuf,
        /// Why.
        #[source]
        source: Cause,
    },
    /// A folder of certificates for a host (`--cert-dir`, `certs.d`) that cannot be used.
    #[error("cannot use the certificates in {}", path.display())]
    CertDir {
        /// The folder or the file in it.
        path: PathBuf,
        /// Why.
        #[source]
        source: Cause,
    },
    /// A `registries.conf` that cannot be used.
    #[error("cannot use {}", file.display())]
    RegistriesConf {
        /// The file.
        file: PathBuf,
        /// Why.
        #[source]
        source: Cause,
    },
    /// A repository that may not be read, and no mirror stands in for it.
    #[error("`{name}` may not be read: {prefix} is blocked in {}", file.display())]
    Blocked {
        /// Registry and repository.
        name: String,
        /// What is blocked.
        prefix: String,
        /// Who says so.
        file: PathBuf,
    },
    /// No connection.
    #[error("cannot connect to {host}")]
    Unreachable {
        /// Host and port.
        host: String,
        /// Why.
        #[source]
        source: Cause,
    },
    /// A connection, but not a trusted one.
    #[error("cannot agree on TLS with {host}")]
    Tls {
        /// Host and port.
        host: String,
        /// Why.
        #[source]
        source: Cause,
    },
    /// Nothing moved for too long.
    #[error("{method} {url} made no progress for {}", seconds(*idle))]
    Stalled {
        /// The request's method.
        method: String,
        /// The request's URL without its query.
        url: String,
        /// How long nothing moved.
        idle: Duration,
    },
    /// The connection ended too early.
    #[error("{method} {url} broke off")]
    Broken {
        /// The request's method.
        method: String,
        /// The request's URL without its query.
        url: String,
        /// Why.
        #[source]
        source: Cause,
    },
    /// Status 401, also with the best credentials at hand.
    #[error("{registry} refused {who}{}", after_colon(message))]
    Unauthorized {
        /// The registry.
        registry: String,
        /// Whose credentials: "anonymous access", "user `ci` from FILE".
        who: String,
        /// The registry's own words.
        message: String,
    },
    /// Status 403.
    #[error("{registry} does not allow {method} {url} to {who}{}", after_colon(message))]
    Denied {
        /// The registry.
        registry: String,
        /// The request's method.
        method: String,
        /// The request's URL without its query.
        url: String,
        /// Whose credentials.
        who: String,
        /// The registry's own words.
        message: String,
    },
    /// There is no such repository.
    #[error("there is no repository `{name}`{}", after_colon(message))]
    NameUnknown {
        /// Registry and repository.
        name: String,
        /// The registry's own words.
        message: String,
    },
    /// Status 429, again and again.
    #[error("{registry} limits the rate of requests{}", after_colon(message))]
    RateLimited {
        /// The registry.
        registry: String,
        /// The registry's own words.
        message: String,
    },
    /// Status 413.
    #[error("{registry} refused the upload as too large{}", after_colon(message))]
    UploadRefused {
        /// The registry.
        registry: String,
        /// The registry's own words.
        message: String,
    },
    /// The registry computed another digest of what it received.
    #[error("the registry received other bytes than those of {digest}{}", after_colon(message))]
    DigestInvalid {
        /// The blob or manifest.
        digest: Digest,
        /// The registry's own words.
        message: String,
    },
    /// Any other status that does not fit the request.
    #[error("{method} {url} was answered with status {status}{}", after_colon(message))]
    Unexpected {
        /// The request's method.
        method: String,
        /// The request's URL without its query.
        url: String,
        /// The HTTP status.
        status: u16,
        /// Code and message of the registry's answer.
        message: String,
    },
    /// An answer that is not what the specification says.
    #[error("{url} gave an unusable answer: {reason}")]
    BadAnswer {
        /// The request's URL without its query.
        url: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A log-in that modelcar cannot do.
    #[error("{registry} asks for a log-in that modelcar does not know: {reason}")]
    BadChallenge {
        /// The registry.
        registry: String,
        /// What it asks for.
        reason: String,
    },
    /// A token service that gave no usable token.
    #[error("the token service {realm} gave no usable token: {reason}")]
    BadToken {
        /// The token service, without its query.
        realm: String,
        /// What is wrong.
        reason: String,
    },
    /// An address that must not be followed.
    #[error("will not follow the registry to {location}: {reason}")]
    BadLocation {
        /// The address without its query.
        location: String,
        /// Why not.
        reason: &'static str,
    },
    /// A credential file that cannot be used.
    #[error("cannot use the credentials in {}: {reason}", file.display())]
    Credentials {
        /// The file.
        file: PathBuf,
        /// Why not; never the file's content.
        reason: String,
    },
    /// A log-in that cannot be kept or forgotten.
    #[error("cannot write the credentials to {}", file.display())]
    CredentialsUnwritten {
        /// The file.
        file: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// A credential helper that failed.
    #[error("the credential helper {program} failed: {reason}")]
    Helper {
        /// `docker-credential-…`.
        program: String,
        /// Why.
        reason: String,
    },
    /// The bytes do not have the digest they are announced with.
    #[error("{what} should be {expected} but is {found}")]
    DigestChanged {
        /// What was read or written.
        what: String,
        /// The digest asked for or announced.
        expected: String,
        /// The digest of the bytes.
        found: Digest,
    },
    /// A referrer was pushed before the manifest that it refers to.
    #[error("the registry does not know the manifest {subject} that is referred to")]
    SubjectUnknown {
        /// The missing manifest.
        subject: Digest,
    },
    /// The fallback index of referrers was overwritten by others again and again.
    #[error("others keep overwriting the list of referrers `{tag}`")]
    ReferrersContended {
        /// The tag of the fallback index.
        tag: String,
    },
}

/// The reason of a failure below, in words.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Cause(pub(super) String);

impl From<RegistryError> for StoreError {
    fn from(error: RegistryError) -> Self {
        Self::from(Box::new(error))
    }
}

impl RegistryError {
    /// What the user can do.
    pub fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::TlsSetup(_) => "install the system's CA certificates, or name a file of them with `--ca-file FILE`",
            Self::CaFile { .. } => "the file must hold PEM certificates (`-----BEGIN CERTIFICATE-----`)",
            Self::Unreachable { .. } => "check the host's name and port, the network, and HTTPS_PROXY/NO_PROXY",
            Self::CertDir { .. } => {
                "as for podman: `NAME.cert` and `NAME.key` are this client's certificate and its key, other `*.crt` are authorities to trust"
            }
            Self::Tls { source, .. } => tls_hint(&source.0),
            Self::Stalled { .. } | Self::Broken { .. } => "check the network and run it again: what is there already is not sent again",
            Self::Unauthorized { registry, .. } => return Some(log_in(registry)),
            Self::Denied { message, .. } | Self::UploadRefused { message, .. } | Self::Unexpected { message, .. }
                if tells_of_quota(message) =>
            {
                "the quota of the repository, organisation or project is used up: delete tags that nobody needs, or ask for a larger one"
            }
            Self::Denied { .. } => {
                "check that the repository exists and that the user or robot account has the rights to it (to push: write)"
            }
            Self::NameUnknown { .. } => "create the repository (or its organisation or project) first, or check its spelling",
            Self::RateLimited { .. } => "log in for a higher limit, or run it again later",
            Self::UploadRefused { .. } => {
                "raise the limit of the registry or of the proxy before it (Quay: MAXIMUM_LAYER_SIZE, nginx: client_max_body_size)"
            }
            Self::DigestInvalid { .. } => {
                "the file changed while it was pushed, or something on the way alters uploads; run it again, with --no-cache if that does not help"
            }
            Self::Unexpected { url, .. } if url.ends_with("/v2/") => "check host and port: what answers there is no registry",
            Self::Unexpected { message, .. } if message.contains("MANIFEST_BLOB_UNKNOWN") => {
                "the registry lost a blob that it had a moment ago; run it again: what it lacks is sent again"
            }
            Self::Unexpected { status: 405, .. } => "the registry takes no uploads there: it is read-only, or a mirror of another one",
            Self::Unexpected { status: 500.., .. } => "the registry has a problem of its own; its log says more",
            Self::BadLocation { .. } => {
                "the registry, or a proxy before it, announces a wrong address of itself (X-Forwarded-Proto, http.host, SERVER_HOSTNAME)"
            }
            Self::Credentials { .. } => "mend the file, or move it away and write it anew with `modelcar login`",
            Self::CredentialsUnwritten { .. } => "name a file that can be written with `--authfile FILE`",
            Self::Helper { .. } => "install the helper, or name another credential file with `--authfile FILE`",
            Self::RegistriesConf { .. } => "mend the file; its form is in `man containers-registries.conf`",
            Self::Blocked { .. } => "read it from another registry, or have the entry changed by whoever keeps the file",
            Self::SubjectUnknown { .. } => "push the image first",
            Self::ReferrersContended { .. } => "run it again when the others are done",
            _ => return None,
        };
        Some(hint.to_owned())
    }

    /// The process exit code, see [`exit_code`].
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::DigestChanged { .. } => exit_code::REFUSED,
            Self::ReferrersContended { .. } => exit_code::CONFLICT,
            _ => exit_code::FAILED,
        }
    }
}

/// Quay says "Quota has been exceeded on namespace", Harbor "will exceed the configured upper limit"; both with the code of a missing right.
fn tells_of_quota(message: &str) -> bool {
    let message = message.to_ascii_lowercase();
    message.contains("quota") || message.contains("exceed the configured upper limit")
}

/// Whether the other side answered TLS with something else, such as a line of plain HTTP.
pub(super) fn tells_of_no_tls(words: &str) -> bool {
    let words = words.to_ascii_lowercase();
    words.contains("corrupt message") || words.contains("invalidcontenttype")
}

/// What helps depends on what was wrong, which rustls tells in words alone.
fn tls_hint(words: &str) -> &'static str {
    let says = |word: &str| words.to_ascii_lowercase().contains(word);
    // servers that miss a certificate say so in these three ways, and with the second one of a foreign authority, too
    if ["certificaterequired", "badcertificate", "handshakefailure"].iter().any(|alert| says(alert)) {
        return "the registry wants to see this client's certificate, or knows not the one it saw: `--cert-dir DIR` (client.cert, client.key)";
    }
    if says("unknownca") {
        return "the registry does not know who issued this client's certificate: look at the folder of `--cert-dir`";
    }
    if says("notvalidyet") || says("not valid yet") {
        return "the registry's certificate is not valid yet: check this machine's clock (`date`)";
    }
    if says("expired") {
        return "the registry's certificate has expired: its owner must renew it, unless this machine's clock is wrong (`date`)";
    }
    if says("notvalidforname") || says("not valid for name") {
        return "the registry's certificate is for other names: write the registry as one of them, or have one made for this name";
    }
    if says("unknownissuer") || says("causedasendentity") {
        return "name the registry's CA with `--ca-file FILE`; for a test registry use `--tls-verify=false`";
    }
    if says("protocolversion") || tells_of_no_tls(words) {
        return "check the port: no TLS 1.2 or later is spoken there; plain HTTP needs `--tls-verify=false`";
    }
    "name the registry's CA with `--ca-file FILE`; for a test registry use `--tls-verify=false`"
}

fn log_in(registry: &str) -> String {
    format!("log in with `modelcar login {registry}` (or podman or docker), and check the account's rights to the repository")
}

fn after_colon(message: &str) -> String {
    if message.is_empty() { String::new() } else { format!(": {message}") }
}

fn seconds(duration: Duration) -> String {
    format!("{} s", duration.as_secs_f32())
}
