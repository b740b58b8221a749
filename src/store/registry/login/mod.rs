//! Logging in and out: where a log-in is kept, and whether the registry takes it.
//!
//! As podman, skopeo and docker do it, so that what is written here is found by them, and the other way round:
//! <https://github.com/containers/image/blob/main/docs/containers-auth.json.5.md>. A helper that is configured for the registry keeps
//! the log-in, else it goes into a file; into which one, `target` tells.

use std::ffi::OsString;
use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use reqwest::Method;
use zeroize::Zeroizing;

use super::address::Address;
use super::auth::Auth;
use super::client::{Call, Client};
use super::credentials::{self, Credential, Login, Place};
use super::secret::Secret;
use super::transport::Transport;
use super::{Patience, RegistryError, helper};
use crate::oci::Reference;
use crate::store::{StoreError, StoreOptions};

mod file;

/// More than any password or token; a helper gets it through a pipe, which holds twice as much.
const MAX_SECRET: usize = 32 << 10;

/// What a log-in is for: a registry, or the repositories below a path in it (`quay.io/org`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scope {
    registry: String,
    path: Option<String>,
}

impl FromStr for Scope {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let example = "write it as `quay.io`, `registry.example.com:5000` or, for a part of a registry, `quay.io/org`";
        let bare = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://")).unwrap_or(text).trim_end_matches('/');
        // the address that docker's own files have for Docker Hub
        let bare = if matches!(bare, "index.docker.io/v1" | "index.docker.io") { "docker.io" } else { bare };
        let (registry, path) = bare.split_once('/').map_or((bare, None), |(registry, path)| (registry, Some(path)));
        let parsed: Reference =
            format!("{registry}/{}", path.unwrap_or("any")).parse().map_err(|_| format!("this names no registry\n\nhint: {example}"))?;
        if parsed.manifest_ref().is_some() || parsed.registry() != registry {
            return Err(format!("a log-in is for all tags of a repository\n\nhint: {example}"));
        }
        Ok(Self { registry: registry.to_owned(), path: path.map(str::to_owned) })
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.path {
            Some(path) => write!(f, "{}/{path}", self.registry),
            None => f.write_str(&self.registry),
        }
    }
}

impl Scope {
    fn key(&self) -> String {
        credentials::normal(&self.to_string())
    }

    fn repository(&self) -> &str {
        self.path.as_deref().unwrap_or_default()
    }
}

/// A user and the secret that proves who it is; the user `<token>` has an identity token (a refresh token of OAuth2).
pub struct User {
    name: String,
    secret: Secret,
}

impl fmt::Debug for User {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "User({:?}, ***)", self.name)
    }
}

impl User {
    /// A user that can be written into a header of Basic authentication.
    ///
    /// # Errors
    /// What is wrong with it; never the secret.
    pub fn new(name: &str, secret: &Zeroizing<String>) -> Result<Self, &'static str> {
        if name.is_empty() || name.contains(|character: char| character == ':' || character.is_control()) {
            return Err("the name of a user is not empty, and holds neither colons nor control characters");
        }
        if secret.is_empty() {
            return Err("the password is empty");
        }
        if secret.len() > MAX_SECRET || secret.contains(char::is_control) {
            return Err("the password is no single line of text");
        }
        Ok(Self { name: name.to_owned(), secret: Secret::new(secret.as_str()) })
    }

    /// The user's name.
    pub fn name(&self) -> &str {
        &self.name
    }
}

/// Where a log-in was put, or taken from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kept {
    /// In a file.
    File(PathBuf),
    /// By a helper, `docker-credential-…`.
    Helper(String),
}

impl fmt::Display for Kept {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(file) => write!(f, "{}", file.display()),
            Self::Helper(program) => f.write_str(program),
        }
    }
}

/// What a registry said to a log-in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Welcome {
    /// It took it.
    Accepted,
    /// It asks nobody to log in, so nothing is known.
    Open,
}

/// A log-in that is in effect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Known {
    /// The user's name; `<token>` for an identity token.
    pub user: String,
    /// The file or the helper that has it.
    pub origin: String,
}

/// Asks the registry whether it takes a log-in.
///
/// # Errors
/// It does not, or it cannot be reached.
pub fn check(scope: &Scope, user: &User, options: &StoreOptions) -> Result<Welcome, StoreError> {
    check_patiently(scope, user, options, Patience::of(options))
}

pub(super) fn check_patiently(scope: &Scope, user: &User, options: &StoreOptions, patience: Patience) -> Result<Welcome, StoreError> {
    let address = Address::of(&scope.registry, scope.repository());
    let schemes = address.schemes(options.tls_verify);
    let credential = Credential::new(Login::of(user.name.clone(), user.secret.clone()), "this log-in");
    let client = Client::new(
        address.clone(),
        schemes,
        Vec::new(),
        Transport::for_registry(&address, options, patience.idle)?,
        Auth::of(address, credential),
        patience.retry,
    );
    let response = client.call(&Call::api(Method::GET))?;
    match (response.status.is_success(), client.asked_to_log_in().is_some()) {
        (true, true) => Ok(Welcome::Accepted),
        (true, false) => Ok(Welcome::Open),
        (false, _) => Err(client.refused(response).into()),
    }
}

/// Keeps a log-in.
///
/// # Errors
/// The file cannot be read or written, or the helper fails.
pub fn keep(scope: &Scope, user: &User, authfile: Option<&Path>) -> Result<Kept, StoreError> {
    Ok(keep_in(&target(scope, authfile, &system())?, scope, user)?)
}

/// Forgets the log-in for this scope and no other; `None` where there was none.
///
/// # Errors
/// The file cannot be read or written, or the helper fails.
pub fn forget(scope: &Scope, authfile: Option<&Path>) -> Result<(Kept, bool), StoreError> {
    Ok(forget_in(&target(scope, authfile, &system())?, scope)?)
}

/// Forgets all log-ins of the file, and tells what they were for. What helpers keep stays.
///
/// # Errors
/// The file cannot be read or written.
pub fn forget_all(authfile: Option<&Path>) -> Result<(Kept, Vec<String>), StoreError> {
    let path = write_place(authfile, &system());
    let keys = file::remove_all(&path)?;
    Ok((Kept::File(path), keys))
}

/// The log-in that a command would use for a scope; `None` to go without.
///
/// # Errors
/// A credential file that cannot be read, or a helper that fails.
pub fn known(scope: &Scope, authfile: Option<&Path>) -> Result<Option<Known>, StoreError> {
    let places: Vec<Place> = read_places(authfile, &system());
    let found = credentials::find(&places, &scope.registry, scope.repository())?;
    Ok(found.map(|found| Known { user: found.user().to_owned(), origin: found.origin().to_owned() }))
}

/// All log-ins in the files, with what each is for; of a registry's two the one that counts comes first. What only helpers know is not among
/// them: they need not tell.
///
/// # Errors
/// A credential file that cannot be read.
pub fn all(authfile: Option<&Path>) -> Result<Vec<(String, Known)>, StoreError> {
    let mut all = Vec::new();
    for place in read_places(authfile, &system()) {
        let known = |found: Credential| Known { user: found.user().to_owned(), origin: found.origin().to_owned() };
        all.extend(credentials::entries(&place)?.into_iter().map(|(key, found)| (key, known(found))));
    }
    Ok(all)
}

/// What the process was given.
struct System {
    uid: u32,
    env: fn(&str) -> Option<OsString>,
}

fn system() -> System {
    System { uid: rustix::process::getuid().as_raw(), env: |name| std::env::var_os(name) }
}

/// The places that would be asked; a file that was named need not be there yet.
fn read_places(authfile: Option<&Path>, system: &System) -> Vec<Place> {
    let places = credentials::places(authfile, system.uid, &system.env);
    places.into_iter().map(|place| Place { required: false, ..place }).collect()
}

/// Who keeps a log-in.
#[derive(Debug, PartialEq, Eq)]
enum Target {
    File(PathBuf),
    /// A helper's name, and the file that names it.
    Helper(String, PathBuf),
}

/// Helpers keep log-ins for whole registries. They are looked for in the named file, or else in all that would be read, as docker's
/// (`~/.docker/config.json`) is the usual place for their names.
fn target(scope: &Scope, authfile: Option<&Path>, system: &System) -> Result<Target, RegistryError> {
    let path = write_place(authfile, system);
    if scope.path.is_some() {
        return Ok(Target::File(path));
    }
    let is_named = authfile.is_some() || (system.env)("REGISTRY_AUTH_FILE").is_some_and(|value| !value.is_empty());
    let places = if is_named { vec![Place { file: path.clone(), required: false }] } else { read_places(None, system) };
    for place in places {
        if let Some(name) = credentials::helper_of(&place, &scope.registry)? {
            return Ok(Target::Helper(name, place.file));
        }
    }
    Ok(Target::File(path))
}

/// The file for a new log-in, as podman chooses it: the named one, docker's where `DOCKER_CONFIG` is set, else one that goes with the
/// session. A user without one (a container with an arbitrary uid) gets a file at home.
fn write_place(authfile: Option<&Path>, system: &System) -> PathBuf {
    let set = |name: &str| (system.env)(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let auth = |dir: PathBuf| dir.join("containers/auth.json");
    if let Some(named) = authfile.map(Path::to_owned).or_else(|| set("REGISTRY_AUTH_FILE")) {
        return credentials::in_folder(named);
    }
    let session = set("XDG_RUNTIME_DIR").map(auth).or_else(|| (system.uid == 0).then(|| "/run/containers/0/auth.json".into()));
    let home = set("XDG_CONFIG_HOME").or_else(|| set("HOME").map(|home| home.join(".config"))).map(auth);
    let docker = set("DOCKER_CONFIG").map(|dir| dir.join("config.json"));
    docker.or(session).or(home).unwrap_or_else(|| format!("/run/containers/{}/auth.json", system.uid).into())
}

fn keep_in(target: &Target, scope: &Scope, user: &User) -> Result<Kept, RegistryError> {
    match target {
        Target::File(path) => {
            file::store(path, &scope.key(), &Login::of(user.name.clone(), user.secret.clone()))?;
            Ok(Kept::File(path.clone()))
        }
        Target::Helper(name, file) => {
            helper::store(name, file, &credentials::server(&scope.registry), &user.name, &user.secret)?;
            Ok(Kept::Helper(helper::program(name, file)?))
        }
    }
}

fn forget_in(target: &Target, scope: &Scope) -> Result<(Kept, bool), RegistryError> {
    match target {
        Target::File(path) => Ok((Kept::File(path.clone()), file::remove(path, &scope.key())?)),
        Target::Helper(name, file) => {
            let was_there = helper::erase(name, file, &credentials::server(&scope.registry))?;
            Ok((Kept::Helper(helper::program(name, file)?), was_there))
        }
    }
}

#[cfg(test)]
mod tests;
