//! Finds the log-in for a repository in the files that docker, podman and Tekton leave.
//!
//! The files are asked in podman's order, and the first that knows the repository wins:
//! <https://github.com/containers/image/blob/main/docs/containers-auth.json.5.md>. Within a file the longest key wins:
//! `quay.io/org/model`, then `quay.io/org`, then `quay.io`.

use std::collections::HashMap;
use std::ffi::OsString;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use zeroize::Zeroizing;

use super::secret::Secret;
use super::{RegistryError, helper};

/// More than a credential file of any fleet.
const MAX_FILE: u64 = 4 << 20;
/// Who a password belongs to that is an identity token: <https://github.com/docker/docker-credential-helpers#development>.
const TOKEN_USER: &str = "<token>";

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
    /// A refresh token of OAuth2, as Azure and Docker Desktop keep it; and what to show to a token service that knows no OAuth2.
    Identity { token: Secret, basic: (String, Secret) },
}

impl Credential {
    pub(super) fn new(login: Login, origin: impl Into<String>) -> Self {
        Self { login, origin: origin.into() }
    }

    /// Whose it is, for messages: "user `ci` from /root/.docker/config.json".
    pub(super) fn who(&self) -> String {
        match &self.login {
            Login::Password { user, .. } => format!("user `{}` from {}", super::answer::printable(user), self.origin),
            Login::Identity { .. } => format!("the identity token from {}", self.origin),
        }
    }

    /// The user's name; helpers and docker write `<token>` for the owner of an identity token.
    pub(super) fn user(&self) -> &str {
        match &self.login {
            Login::Password { user, .. } => user,
            Login::Identity { .. } => TOKEN_USER,
        }
    }

    /// The file or the helper that it comes from.
    pub(super) fn origin(&self) -> &str {
        &self.origin
    }

    /// A text without this credential's secret, as it is and as it stands in a header of Basic authentication.
    pub(super) fn scrub(&self, text: &str) -> String {
        match &self.login {
            Login::Password { user, password } => scrub_pair(text, user, password),
            Login::Identity { token, basic: (user, password) } => scrub_pair(&scrub_secret(text, token), user, password),
        }
    }
}

impl Login {
    /// The log-in of a user; one called `<token>` has an identity token for a password.
    pub(super) fn of(user: String, password: Secret) -> Self {
        if user == TOKEN_USER {
            Self::Identity { basic: (user, password.clone()), token: password }
        } else {
            Self::Password { user, password }
        }
    }
}

fn scrub_pair(text: &str, user: &str, password: &Secret) -> String {
    let words = scrub_secret(text, password);
    if password.expose().is_empty() { words } else { words.replace(&STANDARD.encode(format!("{user}:{}", password.expose())), "***") }
}

fn scrub_secret(text: &str, secret: &Secret) -> String {
    if secret.expose().is_empty() { text.to_owned() } else { text.replace(secret.expose(), "***") }
}

/// A file that may hold credentials.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) file: PathBuf,
    /// Named by the user: it must be there.
    pub(super) required: bool,
}

/// The files in a folder that is a mounted secret, in podman's words and in Kubernetes'
/// (<https://kubernetes.io/docs/concepts/configuration/secret/#docker-config-secrets>).
const IN_FOLDER: [&str; 2] = ["config.json", ".dockerconfigjson"];

/// All places in the order in which they are asked; those that the user names may be folders.
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
    let named = named.into_iter().flatten().map(|path| Place { file: in_folder(path), required: true });
    named.chain(usual.into_iter().flatten().map(|file| Place { file, required: false })).collect()
}

/// The file in a folder; the path itself where it is none, or has none of the files.
pub(super) fn in_folder(path: PathBuf) -> PathBuf {
    let files = IN_FOLDER.map(|name| path.join(name));
    files.into_iter().find(|file| file.exists()).unwrap_or(path)
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

/// The helper that a place names for a registry.
pub(super) fn helper_of(place: &Place, registry: &str) -> Result<Option<String>, RegistryError> {
    Ok(read(place)?.and_then(|file| file.helper_for(registry).map(str::to_owned)))
}

/// The log-ins that are in a file itself, by their keys.
pub(super) fn entries(place: &Place) -> Result<Vec<(String, Credential)>, RegistryError> {
    let mut all = Vec::new();
    for (key, entry) in read(place)?.unwrap_or_default().auths {
        let login = entry.login().map_err(|reason| bad_entry(&place.file, &key, reason))?;
        all.extend(login.map(|login| (normal(&key), Credential::new(login, place.file.display().to_string()))));
    }
    all.sort_by(|(a, _), (b, _)| a.cmp(b));
    Ok(all)
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
    let bytes = match fs_err::metadata(&place.file) {
        // `/run/containers/0` of another user
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied && !place.required => return Ok(None),
        _ => read_bytes(&place.file)?,
    };
    let Some(bytes) = bytes else {
        return if place.required { Err(unusable("there is no such file".to_owned())) } else { Ok(None) };
    };
    if bytes.trim_ascii().is_empty() {
        return Ok(Some(AuthFile::default()));
    }
    // serde's own words would quote the file
    let parsed = serde_json::from_slice(&bytes);
    parsed.map(Some).map_err(|error| unusable(format!("line {}, column {} is not a credential file's JSON", error.line(), error.column())))
}

/// The bytes of a credential file; `None` where there is none.
pub(super) fn read_bytes(file: &Path) -> Result<Option<Zeroizing<Vec<u8>>>, RegistryError> {
    let unusable = |reason: String| RegistryError::Credentials { file: file.to_owned(), reason };
    let words = |error: io::Error| unusable(error.kind().to_string());
    match fs_err::metadata(file) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(words(error)),
        Ok(metadata) if metadata.is_dir() => return Err(unusable(format!("the folder has neither {}", IN_FOLDER.join(" nor ")))),
        Ok(metadata) if metadata.len() > MAX_FILE => return Err(unusable(format!("it is larger than {MAX_FILE} bytes"))),
        Ok(_) => {}
    }
    let mut bytes = Zeroizing::new(Vec::new());
    fs_err::File::open(file).and_then(|open| open.take(MAX_FILE).read_to_end(&mut bytes)).map_err(words)?;
    Ok(Some(bytes))
}

impl AuthFile {
    /// A helper for this very registry, then the file's own entries, then the helper for all the rest.
    fn find(&self, file: &Path, registry: &str, repository: &str) -> Result<Option<Credential>, RegistryError> {
        if let Some(name) = self.own_helper(registry) {
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

    /// Where a log-in for the whole of a registry is kept, unless it is in the file.
    fn helper_for(&self, registry: &str) -> Option<&str> {
        self.own_helper(registry).or(Some(self.creds_store.as_str()).filter(|name| !name.is_empty()))
    }

    fn own_helper(&self, registry: &str) -> Option<&str> {
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
        let token = self.identitytoken.clone().filter(|token| !token.is_empty());
        if let Some(token) = token.map(Secret::new) {
            let own = self.pair().ok().flatten();
            let basic = match own {
                Some((user, password)) if !password.expose().is_empty() => (user, password),
                Some((user, _)) => (user, token.clone()),
                None => (TOKEN_USER.to_owned(), token.clone()),
            };
            return Ok(Some(Login::Identity { token, basic }));
        }
        Ok(self.pair()?.map(|(user, password)| Login::of(user, password)))
    }

    fn pair(&self) -> Result<Option<(String, Secret)>, &'static str> {
        let filled = |text: &Option<String>| text.clone().filter(|text| !text.is_empty());
        if let Some(auth) = filled(&self.auth) {
            return decode(&auth).map(Some).ok_or("has an `auth` that is not the base64 of user:password");
        }
        Ok(filled(&self.username).zip(self.password.clone().map(Secret::new)))
    }
}

fn decode(auth: &str) -> Option<(String, Secret)> {
    let bytes = Zeroizing::new(STANDARD.decode(auth.trim()).ok()?);
    let (user, password) = std::str::from_utf8(&bytes).ok()?.split_once(':')?;
    // docker pads with NUL
    let password = Secret::new(password.trim_matches('\0'));
    (!user.is_empty()).then(|| (user.to_owned(), password))
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
pub(super) fn normal(key: &str) -> String {
    let bare = key.strip_prefix("https://").or_else(|| key.strip_prefix("http://"));
    let key = bare.map_or(key, |url| url.split('/').next().unwrap_or(url));
    let (host, path) = key.split_once('/').map_or((key, None), |(host, path)| (host, Some(path)));
    let host = if matches!(host, "index.docker.io" | "registry-1.docker.io") { "docker.io" } else { host };
    path.map_or_else(|| host.to_owned(), |path| format!("{host}/{path}"))
}

/// The name under which helpers know a registry.
pub(super) fn server(registry: &str) -> String {
    match normal(registry).as_str() {
        "docker.io" => "https://index.docker.io/v1/".to_owned(),
        host => host.to_owned(),
    }
}

#[cfg(test)]
mod tests;
