//! Finds the log-in for a repository in the files that docker, podman and Tekton leave.
//!
//! The files are asked in podman's order, and the first that knows the repository wins:
//! <https://github.com/containers/image/blob/main/docs/containers-auth.json.5.md>. Within a file the longest key wins:
//! `quay.io/org/model`, then `quay.io/org`, then `quay.io`.

use std::collections::HashMap;
use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;

use super::secret::Secret;
use super::{RegistryError, helper};

/// More than a credential file of any fleet.
const MAX_FILE: u64 = 4 << 20;

/// A log-in, and where it was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Credential {
    pub(super) login: Login,
    origin: String,
}

/// What to show to the registry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Login {
    /// A user, a robot account or a service account.
    Password { user: String, password: Secret },
    /// A refresh token of OAuth2, as Azure and Docker Desktop keep it.
    Identity(Secret),
}

impl Credential {
    pub(super) fn new(login: Login, origin: impl Into<String>) -> Self {
        Self { login, origin: origin.into() }
    }

    /// Whose it is, for messages: "user `ci` from /root/.docker/config.json".
    pub(super) fn who(&self) -> String {
        match &self.login {
            Login::Password { user, .. } => format!("user `{}` from {}", super::answer::printable(user), self.origin),
            Login::Identity(_) => format!("the identity token from {}", self.origin),
        }
    }

    /// A text without this credential's secret, as it is and as it stands in a header of Basic authentication.
    pub(super) fn scrub(&self, text: &str) -> String {
        let (Login::Password { password: secret, .. } | Login::Identity(secret)) = &self.login;
        if secret.expose().is_empty() {
            return text.to_owned();
        }
        let words = text.replace(secret.expose(), "***");
        match &self.login {
            Login::Password { user, password } => words.replace(&STANDARD.encode(format!("{user}:{}", password.expose())), "***"),
            Login::Identity(_) => words,
        }
    }
}

/// A file that may hold credentials.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) file: PathBuf,
    /// Named by the user: it must be there.
    pub(super) required: bool,
}

/// All places in the order in which they are asked.
///
/// `DOCKER_CONFIG` replaces `~/.docker` and `XDG_CONFIG_HOME` replaces `~/.config`, as for docker and podman.
pub(super) fn places(authfile: Option<&Path>, uid: u32, env: &dyn Fn(&str) -> Option<OsString>) -> Vec<Place> {
    let set = |name: &str| env(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let home = set("HOME");
    let under_home = |dir: &str| home.as_ref().map(|home| home.join(dir));
    let named = [authfile.map(Path::to_owned), set("REGISTRY_AUTH_FILE")];
    let docker = set("DOCKER_CONFIG").or_else(|| under_home(".docker"));
    let usual = [
        set("XDG_RUNTIME_DIR").map(|dir| dir.join("containers/auth.json")),
        Some(PathBuf::from(format!("/run/containers/{uid}/auth.json"))),
        set("XDG_CONFIG_HOME").or_else(|| under_home(".config")).map(|dir| dir.join("containers/auth.json")),
        docker.as_ref().map(|dir| dir.join("config.json")),
        // a Kubernetes secret of type kubernetes.io/dockerconfigjson, mounted as a Tekton workspace
        docker.as_ref().map(|dir| dir.join(".dockerconfigjson")),
    ];
    let place = |required| move |file| Place { file, required };
    named.into_iter().flatten().map(place(true)).chain(usual.into_iter().flatten().map(place(false))).collect()
}

/// The log-in for `registry/repository`; `None` to go without.
pub(super) fn find(places: &[Place], registry: &str, repository: &str) -> Result<Option<Credential>, RegistryError> {
    for place in places {
        let Some(file) = read(place)? else { continue };
        if let Some(credential) = file.find(&place.file, registry, repository)? {
            tracing::debug!("credentials for {registry}/{repository}: {}", credential.who());
            return Ok(Some(credential));
        }
    }
    Ok(None)
}

/// Whether a place that must be there is there.
pub(super) fn check(place: &Place) -> Result<(), RegistryError> {
    if place.required { read(place).map(drop) } else { Ok(()) }
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct AuthFile {
    auths: HashMap<String, Entry>,
    cred_helpers: HashMap<String, String>,
    creds_store: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Entry {
    auth: Option<String>,
    username: Option<String>,
    password: Option<String>,
    identitytoken: Option<String>,
}

fn read(place: &Place) -> Result<Option<AuthFile>, RegistryError> {
    let unusable = |reason: String| RegistryError::Credentials { file: place.file.clone(), reason };
    match fs_err::metadata(&place.file) {
        Err(error) if error.kind() == io::ErrorKind::NotFound && !place.required => return Ok(None),
        // `/run/containers/0` of another user
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied && !place.required => return Ok(None),
        Err(error) => return Err(unusable(words(&error))),
        Ok(metadata) if metadata.len() > MAX_FILE => return Err(unusable(format!("it is larger than {MAX_FILE} bytes"))),
        Ok(_) => {}
    }
    let bytes = fs_err::read(&place.file).map_err(|error| unusable(words(&error)))?;
    if bytes.trim_ascii().is_empty() {
        return Ok(Some(AuthFile::default()));
    }
    // serde's own words would quote the file
    let parsed = serde_json::from_slice(&bytes);
    parsed.map(Some).map_err(|error| unusable(format!("line {}, column {} is not a credential file's JSON", error.line(), error.column())))
}

fn words(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::NotFound => "there is no such file".to_owned(),
        kind => kind.to_string(),
    }
}

impl AuthFile {
    /// A helper for this very registry, then the file's own entries, then the helper for all the rest.
    fn find(&self, file: &Path, registry: &str, repository: &str) -> Result<Option<Credential>, RegistryError> {
        if let Some(name) = self.helper_for(registry) {
            return helper::get(name, file, &server(registry));
        }
        for key in keys(registry, repository) {
            let Some(entry) = self.entry(&key) else { continue };
            if let Some(login) = entry.login().map_err(|reason| bad_entry(file, &key, reason))? {
                return Ok(Some(Credential::new(login, file.display().to_string())));
            }
        }
        if self.creds_store.is_empty() {
            return Ok(None);
        }
        helper::get(&self.creds_store, file, &server(registry))
    }

    fn helper_for(&self, registry: &str) -> Option<&str> {
        let found = self.cred_helpers.iter().find(|(key, _)| normal(key) == normal(registry));
        found.map(|(_, name)| name.as_str()).filter(|name| !name.is_empty())
    }

    fn entry(&self, key: &str) -> Option<&Entry> {
        self.auths.get(key).or_else(|| self.auths.iter().find(|(written, _)| normal(written) == key).map(|(_, entry)| entry))
    }
}

fn bad_entry(file: &Path, key: &str, reason: &str) -> RegistryError {
    RegistryError::Credentials { file: file.to_owned(), reason: format!("the entry `{key}` {reason}") }
}

impl Entry {
    /// Docker leaves empty entries for registries whose log-in is in a helper.
    fn login(&self) -> Result<Option<Login>, &'static str> {
        let filled = |text: &Option<String>| text.clone().filter(|text| !text.is_empty());
        if let Some(token) = filled(&self.identitytoken) {
            return Ok(Some(Login::Identity(Secret::new(token))));
        }
        if let Some(auth) = filled(&self.auth) {
            return decode(&auth).map(Some).ok_or("has an `auth` that is not the base64 of user:password");
        }
        match (filled(&self.username), &self.password) {
            (Some(user), Some(password)) => Ok(Some(Login::Password { user, password: Secret::new(password.clone()) })),
            _ => Ok(None),
        }
    }
}

fn decode(auth: &str) -> Option<Login> {
    let bytes = zeroize::Zeroizing::new(STANDARD.decode(auth.trim()).ok()?);
    let (user, password) = std::str::from_utf8(&bytes).ok()?.split_once(':')?;
    // docker pads with NUL
    let password = Secret::new(password.trim_matches('\0'));
    (!user.is_empty()).then(|| Login::Password { user: user.to_owned(), password })
}

/// The keys that fit, longest first.
fn keys(registry: &str, repository: &str) -> Vec<String> {
    let host = normal(registry);
    let full = format!("{host}/{repository}");
    let mut keys: Vec<String> = full.match_indices('/').map(|(end, _)| full[..end].to_owned()).collect();
    keys.push(full);
    keys.reverse();
    keys
}

/// A key without what docker's first format wrapped around the host: `https://index.docker.io/v1/` is `docker.io`.
fn normal(key: &str) -> String {
    let bare = key.strip_prefix("https://").or_else(|| key.strip_prefix("http://"));
    let key = bare.map_or(key, |url| url.split('/').next().unwrap_or(url));
    let (host, path) = key.split_once('/').map_or((key, None), |(host, path)| (host, Some(path)));
    let host = if matches!(host, "index.docker.io" | "registry-1.docker.io") { "docker.io" } else { host };
    path.map_or_else(|| host.to_owned(), |path| format!("{host}/{path}"))
}

/// The name under which helpers know a registry.
fn server(registry: &str) -> String {
    match normal(registry).as_str() {
        "docker.io" => "https://index.docker.io/v1/".to_owned(),
        host => host.to_owned(),
    }
}

#[cfg(test)]
mod tests;
