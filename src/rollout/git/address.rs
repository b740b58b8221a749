//! The address of a repository: read strictly, shown without logins.

use std::fmt;

use url::Url;

use super::command::without_credentials;
use super::error::GitError;

/// What git may speak, besides plain HTTP to this machine; `ext::` would run any program.
pub(super) const PROTOCOLS: &str = "https:http:ssh:file:git";

/// The address of a repository. [`fmt::Display`] shows it without any login.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Address {
    text: String,
    /// `None` for a path on this machine.
    url: Option<Url>,
}

impl Address {
    /// An address that a user gives.
    ///
    /// # Errors
    /// It is for no protocol that git may speak here, could be taken for an option, or holds a login that everybody could read in
    /// the list of processes.
    pub(crate) fn given(text: &str) -> Result<Self, GitError> {
        let shown = without_credentials(text);
        let wrong = |reason: &str, hint| GitError::unusable(format!("the address `{}`", printable(&shown)), reason, hint);
        let how = "https://HOST/PATH, ssh://git@HOST/PATH or git@HOST:PATH";
        let url = url_of(text).ok_or_else(|| wrong("it is no address of a repository", how))?;
        if text.starts_with('-') || text.contains(|c: char| c.is_control() || c.is_whitespace()) {
            return Err(wrong("it is no address of a repository", how));
        }
        if !PROTOCOLS.split(':').any(|known| known == url.scheme()) {
            return Err(wrong("git may speak https, ssh, git and file here", how));
        }
        if url.host_str().is_some_and(|host| host.starts_with('-')) || (url.host_str().is_none() && url.scheme() != "file") {
            return Err(wrong("it names no host", how));
        }
        // A token is often written where the user's name belongs.
        let is_web = matches!(url.scheme(), "https" | "http");
        if url.password().is_some() || (is_web && !url.username().is_empty()) {
            let hint =
                "leave the login out of the address: `--git-token-file FILE` or MODELCAR_GIT_TOKEN, and `--git-username` where it matters";
            return Err(wrong("it holds a login, which the list of processes and every log would show", hint));
        }
        Ok(Self { text: text.to_owned(), url: Some(url) })
    }

    /// An address that a repository is configured with; whatever git takes is right.
    pub(super) fn configured(text: &str) -> Self {
        Self { text: text.to_owned(), url: url_of(text) }
    }

    /// As git takes it.
    pub(super) fn as_str(&self) -> &str {
        &self.text
    }

    /// As a URL, also where it is written as `git@host:path`.
    pub(crate) fn url(&self) -> Option<&Url> {
        self.url.as_ref()
    }

    /// Whether it is asked for over HTTP, where a token is a login.
    pub(super) fn web(&self) -> Option<&Url> {
        self.url.as_ref().filter(|url| matches!(url.scheme(), "https" | "http"))
    }
}

/// Reads `scheme://…`, and `user@host:path` as ssh.
fn url_of(text: &str) -> Option<Url> {
    if text.contains("://") {
        return Url::parse(text).ok();
    }
    // `helper::address` would run the program git-remote-helper.
    let (host, path) = text.split_once(':').filter(|(host, path)| !host.is_empty() && !host.contains('/') && !path.starts_with(':'))?;
    Url::parse(&format!("ssh://{host}/{}", path.trim_start_matches('/'))).ok()
}

fn printable(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(200).collect()
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&printable(&without_credentials(&self.text)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_what_git_speaks() {
        for (text, scheme, host) in [
            ("https://h/o/r.git", "https", Some("h")),
            ("ssh://git@h:22/o/r.git", "ssh", Some("h")),
            ("git@h:o/r.git", "ssh", Some("h")),
            ("git://h/r", "git", Some("h")),
            ("file:///srv/r", "file", None),
            ("http://127.0.0.1:3000/o/r.git", "http", Some("127.0.0.1")),
        ] {
            let address = Address::given(text).unwrap();
            let url = address.url().unwrap();
            assert_eq!((url.scheme(), url.host_str(), address.as_str()), (scheme, host, text));
        }
    }

    #[test]
    fn refuses_programs_options_and_logins_and_shows_no_secret() {
        for text in [
            "ext::sh -c touch%20/tmp/x://",
            "ext::sh",
            "-oProxyCommand=x://h/r",
            "ssh://-oProxyCommand=touch/r",
            "--upload-pack=x@h:r",
            "https://h/o r",
            "https://robot:s3cret@h/r",
            "https://s3cret@h/r",
            "ssh://git:s3cret@h/r",
            "s3cret://h/r",
            "https://",
            "fd://17",
        ] {
            let error = Address::given(text).unwrap_err();
            let shown = format!("{error} {error:?} {}", error.hint().unwrap());
            assert!(!shown.contains("s3cret@") && !shown.contains(":s3cret"), "{shown}");
        }
    }
}
