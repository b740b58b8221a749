//! How the other end is reached: what the commands that use the network are told beyond the others.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tempfile::NamedTempFile;

use super::address::{Address, PROTOCOLS};
use super::askpass::{Askpass, Login};
use super::command::Git;
use super::error::GitError;
use super::roots;
use super::token::Token;
use super::trouble::Trouble;
use crate::store::registry::{carries_secrets, read_ca_file};

/// Files that the repository keeps elsewhere are not fetched.
pub(super) const NO_LARGE_FILES: [&str; 2] = ["GIT_LFS_SKIP_SMUDGE", "1"];

/// How a login is proven, whatever the address.
#[derive(Clone, Debug, Default)]
pub struct Credentials {
    /// The access token of an HTTPS address.
    pub token: Option<Token>,
    /// The user that goes with it; forges that read the token alone take any.
    pub username: Option<String>,
    /// The private key of an ssh address.
    pub ssh_key: Option<PathBuf>,
    /// The servers' keys, instead of the user's own list.
    pub known_hosts: Option<PathBuf>,
    /// Certificates to trust besides the system's: a file, or a folder of them.
    pub ca_file: Option<PathBuf>,
    /// The program that git asks for the login, which has to be modelcar; this very program where it is not named.
    pub askpass: Option<PathBuf>,
}

/// The files of a `kubernetes.io/ssh-auth` secret (<https://kubernetes.io/docs/concepts/configuration/secret/#ssh-authentication-secrets>),
/// and the servers' keys that Tekton and Flux keep beside it.
const SSH_PRIVATE_KEY: &str = "ssh-privatekey";
const KNOWN_HOSTS: &str = "known_hosts";

/// The private key of an ssh address, and the servers' keys that came with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SshKey {
    /// The file with the key.
    pub key: PathBuf,
    /// The file with the servers' keys, where the key's folder has one.
    pub known_hosts: Option<PathBuf>,
}

impl SshKey {
    /// The key in a file, or in a folder that is a mounted secret.
    ///
    /// # Errors
    /// The folder has no key.
    pub fn at(place: &Path) -> Result<Self, GitError> {
        if !place.is_dir() {
            return Ok(Self { key: place.to_owned(), known_hosts: None });
        }
        let there = |name: &str| Some(place.join(name)).filter(|file| file.symlink_metadata().is_ok());
        let key = there(SSH_PRIVATE_KEY).ok_or_else(|| {
            let what = format!("the folder {}", place.display());
            GitError::unusable(what, "it has no `ssh-privatekey`", "mount a secret of type kubernetes.io/ssh-auth")
        })?;
        Ok(Self { key, known_hosts: there(KNOWN_HOSTS) })
    }
}

/// Variables and settings for commands that talk to one server. The login is given as long as this lives.
#[derive(Clone, Debug)]
pub(super) struct Access {
    pub(super) env: Vec<(OsString, OsString)>,
    pub(super) settings: Vec<String>,
    pub(super) address: Address,
    _askpass: Option<Arc<Askpass>>,
    _roots: Option<Arc<NamedTempFile>>,
}

impl Access {
    /// # Errors
    /// The token would go over the wire for everybody to read, or a file is not there.
    pub(super) fn to(address: &Address, credentials: &Credentials) -> Result<Self, GitError> {
        let askpass = login(address, credentials)?.map(Askpass::listen).transpose();
        let askpass = askpass.map_err(GitError::io("listen in", &std::env::temp_dir()))?;
        let mut env = vec![("GIT_ALLOW_PROTOCOL".into(), PROTOCOLS.into()), NO_LARGE_FILES.map(OsString::from).into()];
        // A server that says nothing for a minute is gone.
        let mut settings = vec!["http.lowSpeedLimit=1".to_owned(), "http.lowSpeedTime=60".to_owned()];
        if let Some(askpass) = &askpass {
            env.extend(askpass.variables(credentials.askpass.as_deref()).map_err(GitError::io("find", Path::new("modelcar")))?);
            // The user's own helpers would be asked first, and keep what they hear.
            settings.push("credential.helper=".to_owned());
        }
        let roots = credentials.ca_file.as_deref().filter(|_| address.web().is_some()).map(trusted).transpose()?;
        env.extend(roots.iter().map(|file| ("GIT_SSL_CAINFO".into(), file.path().into())));
        env.extend(ssh_command(credentials)?.map(|command| ("GIT_SSH_COMMAND".into(), command.into())));
        Ok(Self { env, settings, address: address.clone(), _askpass: askpass.map(Arc::new), _roots: roots.map(Arc::new) })
    }

    /// Runs a command that talks to the server, and gives its standard output.
    ///
    /// # Errors
    /// [`GitError::Remote`] where the server, or the way to it, is the cause.
    pub(super) fn run(&self, git: &Git, args: &[&str]) -> Result<String, GitError> {
        let said = git.with(&self.env, &self.settings).run(args, "")?;
        if said.status.success() {
            return Ok(said.text().into_owned());
        }
        let trouble = Trouble::of(&said.all()).ok_or_else(|| git.failure(args.first().copied().unwrap_or_default(), &said))?;
        Err(GitError::Remote { trouble, remote: self.address.to_string(), output: said.shown() })
    }
}

/// A file with the certificates for git.
fn trusted(ca_file: &Path) -> Result<NamedTempFile, GitError> {
    let own = read_ca_file(ca_file).map_err(|source| GitError::Certificates { source: Box::new(source) })?;
    roots::beside_the_systems(&own).map_err(GitError::io("write", &std::env::temp_dir()))
}

fn login(address: &Address, credentials: &Credentials) -> Result<Option<Login>, GitError> {
    let (Some(token), Some(server)) = (&credentials.token, address.web()) else { return Ok(None) };
    if !carries_secrets(server) {
        let what = format!("a token with {address}");
        return Err(GitError::unusable(what, "plain HTTP would show it to everybody on the way", "use the https:// address"));
    }
    let username = credentials.username.clone().unwrap_or_else(|| usual_user(server.host_str()).to_owned());
    Ok(Some(Login { server: server.clone(), username, token: token.clone() }))
}

/// GitLab, Gitea and Forgejo take any name with a token; GitHub documents this one for its Apps' tokens, and takes any for others.
fn usual_user(host: Option<&str>) -> &'static str {
    if host == Some("github.com") { "x-access-token" } else { "oauth2" }
}

/// The words of `GIT_SSH_COMMAND`, which a shell reads; `None` where the user's own settings do.
fn ssh_command(credentials: &Credentials) -> Result<Option<String>, GitError> {
    if credentials.ssh_key.is_none() && credentials.known_hosts.is_none() {
        return Ok(None);
    }
    let mut words = vec!["ssh".to_owned(), "-o BatchMode=yes -o ConnectTimeout=30 -o ServerAliveInterval=20".to_owned()];
    if let Some(key) = &credentials.ssh_key {
        words.push(format!("-o IdentitiesOnly=yes -o {}", quoted("IdentityFile", key)?));
    }
    if let Some(hosts) = &credentials.known_hosts {
        words.push(format!("-o StrictHostKeyChecking=yes -o GlobalKnownHostsFile=/dev/null -o {}", quoted("UserKnownHostsFile", hosts)?));
    }
    Ok(Some(words.join(" ")))
}

/// An option with a file name, quoted for ssh (ssh_config(5): `%` begins a token, blanks separate) and then for the shell.
fn quoted(option: &str, file: &Path) -> Result<String, GitError> {
    let unusable = |reason: &str| GitError::unusable(file.display().to_string(), reason, "name another file");
    let file = fs_err::canonicalize(file).map_err(GitError::io("find", file))?;
    let name = file.to_str().filter(|name| !name.contains(|c: char| c.is_control() || matches!(c, '"' | '\\' | '$')));
    let name = name.ok_or_else(|| unusable("ssh cannot take this file name"))?.replace('%', "%%");
    Ok(format!("'{option}=\"{}\"'", name.replace('\'', "'\\''")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn access(address: &str, credentials: &Credentials) -> Result<Access, GitError> {
        Access::to(&Address::given(address).unwrap(), credentials)
    }

    #[test]
    fn git_is_given_a_file_of_its_own_with_the_certificates_for_web_addresses_alone() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("ca.pem");
        fs_err::write(&file, "-----BEGIN CERTIFICATE-----\nMAAwADAA\n-----END CERTIFICATE-----\n").unwrap();
        let credentials = |ca_file: &Path| Credentials { ca_file: Some(ca_file.to_owned()), ..Credentials::default() };
        let bundle = |access: &Access| access.env.iter().find(|(name, _)| name == "GIT_SSL_CAINFO").map(|(_, path)| PathBuf::from(path));
        let web = access("https://git.example.com/r", &credentials(&file)).unwrap();
        let path = bundle(&web).unwrap();
        assert!(fs_err::read_to_string(&path).unwrap().contains("MAAwADAA"));
        drop(web);
        assert!(!path.exists());
        assert_eq!(bundle(&access("git@h:r", &credentials(&file)).unwrap()), None);
        fs_err::write(&file, "junk").unwrap();
        let error = access("https://git.example.com/r", &credentials(&file)).unwrap_err();
        assert!(error.to_string().contains("ca.pem"), "{error}");
    }

    #[test]
    fn a_token_is_in_no_variable_and_no_setting() {
        let token = Some(Token::new("s3cret", "test").unwrap());
        let credentials = Credentials { token, ..Credentials::default() };
        let access = access("https://git.example.com/o/r.git", &credentials).unwrap();
        let shown = format!("{access:?} {:?} {:?}", access.env, access.settings);
        assert!(!shown.contains("s3cret") && shown.contains("GIT_ASKPASS"), "{shown}");
        assert!(access.settings.contains(&"credential.helper=".to_owned()));
    }

    #[test]
    fn a_token_goes_over_no_plain_http_but_to_this_machine() {
        let token = Some(Token::new("s3cret", "test").unwrap());
        let credentials = Credentials { token, ..Credentials::default() };
        for (address, good) in [("http://git.example.com/r", false), ("http://127.0.0.1:3000/r", true), ("git@h:r", true)] {
            assert_eq!(access(address, &credentials).is_ok(), good, "{address}");
        }
    }

    #[test]
    fn a_folder_that_is_a_mounted_secret_has_the_key_and_maybe_the_servers() {
        let dir = tempfile::tempdir().unwrap();
        let error = SshKey::at(dir.path()).unwrap_err().to_string();
        assert!(error.contains("ssh-privatekey") && error.contains(&dir.path().display().to_string()), "{error}");
        let file = |name: &str| {
            fs_err::write(dir.path().join(name), "").unwrap();
            dir.path().join(name)
        };
        let key = file("ssh-privatekey");
        assert_eq!(SshKey::at(dir.path()).unwrap(), SshKey { key: key.clone(), known_hosts: None });
        let hosts = file("known_hosts");
        assert_eq!(SshKey::at(dir.path()).unwrap(), SshKey { key: key.clone(), known_hosts: Some(hosts) });
        assert_eq!(SshKey::at(&key).unwrap(), SshKey { key, known_hosts: None }, "a file is the key itself");
    }

    #[test]
    fn a_file_name_is_one_word_for_shell_and_ssh() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("it's 100% a; key");
        fs_err::write(&file, "").unwrap();
        let printed = |key: &Path| {
            let credentials = Credentials { ssh_key: Some(key.to_owned()), ..Credentials::default() };
            ssh_command(&credentials).map(|command| command.unwrap().replacen("ssh ", "printf '[%s]' ", 1))
        };
        let said = std::process::Command::new("sh").arg("-c").arg(printed(&file).unwrap()).output().unwrap().stdout;
        let expected = format!("[IdentityFile=\"{}\"]", file.canonicalize().unwrap().display().to_string().replace('%', "%%"));
        assert!(String::from_utf8(said).unwrap().ends_with(&expected), "{expected}");
        assert!(printed(Path::new("/nowhere/key")).is_err());
        let file = dir.path().join("quo\"te");
        fs_err::write(&file, "").unwrap();
        assert!(printed(&file).is_err());
    }
}
