//! What a connection to a remote repository died of, read from the words of git, ssh and the servers.
//!
//! Git has one exit code for all of it. Its words are English because it runs with `LC_ALL=C`; those of the servers always are.

use std::fmt;

/// Why the other end did not take or give what was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Trouble {
    /// Somebody else pushed first.
    Raced,
    /// Nobody may push to this branch.
    Protected,
    /// A hook of the server did not like the commit.
    Declined,
    /// The server wants a login, and there is none.
    LoginNeeded,
    /// The server does not take this login.
    LoginRefused,
    /// ssh offered no key that the server takes.
    KeyRefused,
    /// ssh will not use a key that others may read.
    KeyExposed,
    /// The server's key is not the known one, or none is known.
    HostKey,
    /// The login is good and may not do this.
    Forbidden,
    /// There is no such repository, or not for this login.
    NotFound,
    /// There is no such branch.
    NoBranch,
    /// The server's certificate is not trusted.
    Tls,
    /// Nobody answers.
    Unreachable,
}

/// Words that tell, in the order in which they are looked for: what a server says about a branch comes before git's own summary.
const WORDS: [(Trouble, &[&str]); 13] = [
    (
        Trouble::Protected,
        &[
            "protected branch",
            "Protected branch",
            "GH006",
            "GH013",
            "TF402455",
            "branch is currently checked out",
            "not allowed to push code to protected",
        ],
    ),
    (
        Trouble::Forbidden,
        &[
            "returned error: 403",
            "Write access to repository not granted",
            "does not have write access",
            "You are not allowed to push",
            "Permission to ",
            "deploy key is read-only",
            "key you are authenticating with has been marked as read only",
            "insufficient permission for adding an object",
            "unpacker error",
            "service not enabled",
        ],
    ),
    (Trouble::Declined, &["hook declined", "denying non-fast-forward", "deny updating"]),
    (
        Trouble::Raced,
        &[
            "(fetch first)",
            "(non-fast-forward)",
            "(stale info)",
            "(remote ref updated since checkout)",
            "cannot lock ref",
            "failed to update ref",
            "incorrect old value provided",
            "reference already exists",
            "failed to lock",
        ],
    ),
    (Trouble::KeyExposed, &["UNPROTECTED PRIVATE KEY FILE"]),
    (Trouble::HostKey, &["Host key verification failed", "REMOTE HOST IDENTIFICATION HAS CHANGED", "No ED25519 host key is known"]),
    (Trouble::KeyRefused, &["Permission denied (", "Too many authentication failures"]),
    (Trouble::LoginRefused, &["Authentication failed for", "HTTP Basic: Access denied", "Invalid username or password", "Bad credentials"]),
    (Trouble::LoginNeeded, &["could not read Username", "could not read Password", "unable to get password from user"]),
    (Trouble::NoBranch, &["not found in upstream", "couldn't find remote ref", "Could not find remote branch"]),
    (
        Trouble::NotFound,
        &[
            "not found",
            "Repository not found",
            "does not appear to be a git repository",
            "access denied or repository not exported",
            "no such repository",
            "could not be found",
            "returned error: 404",
            "does not exist",
        ],
    ),
    (Trouble::Tls, &["SSL certificate problem", "server certificate verification failed", "SSL: no alternative certificate"]),
    (
        Trouble::Unreachable,
        &[
            "Could not resolve host",
            "Temporary failure in name resolution",
            "unable to look up",
            "Connection refused",
            "Connection timed out",
            "Connection reset",
            "Connection closed",
            "No route to host",
            "Network is unreachable",
            "Failed to connect",
            "Couldn't connect",
            "unable to connect",
            "Operation too slow",
            "Operation timed out",
            "Empty reply from server",
            "returned error: 5",
            "early EOF",
            "remote end hung up unexpectedly",
        ],
    ),
];

impl Trouble {
    /// What the words are about; `None` where they are not about the other end.
    pub(super) fn of(words: &str) -> Option<Self> {
        WORDS.iter().find(|(_, known)| known.iter().any(|known| words.contains(known))).map(|(trouble, _)| *trouble)
    }

    pub(super) fn hint(self) -> &'static str {
        match self {
            Self::Raced => "nothing was changed; run it again",
            Self::Protected => "nobody may push there: `--pr github`, `--pr gitlab` or `--pr gitea` opens a pull request instead",
            Self::Declined => "the server's own words say why; where it wants a review, `--pr github|gitlab|gitea` asks for one",
            Self::LoginNeeded => {
                "`--git-token-file FILE` or MODELCAR_GIT_TOKEN gives an access token; for ssh addresses `--ssh-key FILE` a key"
            }
            Self::LoginRefused => {
                "the token may be over, or for another server; it must be allowed to write the repository, \
                 and some servers want their own `--git-username`"
            }
            Self::KeyRefused => {
                "`--ssh-key FILE` names the key; its public half must be known to the server, as a deploy key that may write"
            }
            Self::KeyExposed => "`chmod 600` the key; a mounted Secret takes `defaultMode: 0400`",
            Self::HostKey => {
                "get the server's key from where you trust (`ssh-keyscan HOST` shows what it says) into a file: `--ssh-known-hosts FILE`"
            }
            Self::Forbidden => "the login needs the right to write this repository; `--pr` needs it too, for a branch of its own",
            Self::NotFound => "compare the address with the forge's page; servers say the same where a login may not see the repository",
            Self::NoBranch => "`git ls-remote --heads URL` lists the branches; `--branch` names one",
            Self::Tls => "GIT_SSL_CAINFO=FILE names the certificates to trust",
            Self::Unreachable => "nothing was changed; run it again once the network is there",
        }
    }
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Raced => "somebody else pushed first",
            Self::Protected => "the branch is protected",
            Self::Declined => "the server's hook declined the commit",
            Self::LoginNeeded => "the server wants a login",
            Self::LoginRefused => "the server refused the login",
            Self::KeyRefused => "the server refused the ssh key",
            Self::KeyExposed => "others may read the ssh key, so ssh will not use it",
            Self::HostKey => "the server's ssh key is not known",
            Self::Forbidden => "the login may not write there",
            Self::NotFound => "there is no such repository",
            Self::NoBranch => "there is no such branch",
            Self::Tls => "the server's certificate is not trusted",
            Self::Unreachable => "the server cannot be reached",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_the_servers_refusals_apart() {
        use Trouble::{
            Declined, Forbidden, HostKey, KeyExposed, KeyRefused, LoginNeeded, LoginRefused, NoBranch, NotFound, Protected, Raced, Tls,
            Unreachable,
        };
        for (words, trouble) in [
            ("! refs/heads/main:refs/heads/main [rejected] (fetch first)", Some(Raced)),
            ("! HEAD:refs/heads/main [remote rejected] (failed to update ref)", Some(Raced)),
            ("remote: error: cannot lock ref 'refs/heads/main': is at 1 but expected 2", Some(Raced)),
            ("remote: error: GH006: Protected branch update failed for refs/heads/main.", Some(Protected)),
            (
                "remote: GitLab: You are not allowed to push code to protected branches on this project.\n\
                 ! [remote rejected] main -> main (pre-receive hook declined)",
                Some(Protected),
            ),
            ("remote: Gitea: Not allowed to push to protected branch main\n (pre-receive hook declined)", Some(Protected)),
            ("! [remote rejected] HEAD -> main (pre-receive hook declined)", Some(Declined)),
            ("fatal: could not read Username for 'https://h': terminal prompts disabled", Some(LoginNeeded)),
            ("fatal: Authentication failed for 'https://h/r/'", Some(LoginRefused)),
            ("remote: Permission to o/r.git denied to robot.\nfatal: … The requested URL returned error: 403", Some(Forbidden)),
            ("git@h: Permission denied (publickey).\nfatal: Could not read from remote repository.", Some(KeyRefused)),
            ("Host key verification failed.", Some(HostKey)),
            ("@ WARNING: UNPROTECTED PRIVATE KEY FILE! @\nPermission denied (publickey).", Some(KeyExposed)),
            ("fatal: repository 'https://h/r/' not found", Some(NotFound)),
            ("fatal: remote error: access denied or repository not exported: /r", Some(NotFound)),
            ("fatal: '/r' does not appear to be a git repository", Some(NotFound)),
            ("fatal: Remote branch nope not found in upstream origin", Some(NoBranch)),
            ("fatal: couldn't find remote ref refs/heads/nope", Some(NoBranch)),
            ("fatal: unable to access 'https://h/': Could not resolve host: h", Some(Unreachable)),
            ("fatal: unable to connect to 127.0.0.1: errno=Connection refused", Some(Unreachable)),
            ("fatal: unable to access 'https://h/': SSL certificate problem: self-signed certificate", Some(Tls)),
            ("error: pathspec did not match", None),
        ] {
            assert_eq!(Trouble::of(words), trouble, "{words}");
        }
    }
}
