//! Whose commit it is, and who vouches for it.

use std::ffi::OsString;
use std::path::PathBuf;
use std::str::FromStr;

use super::error::GitError;

const MAX_NAME: usize = 200;

/// Who makes a commit: `Ada Lovelace <ada@example.com>`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Author {
    name: String,
    email: String,
}

/// How a commit is signed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum CommitSigning {
    /// As the user's configuration has it (`commit.gpgSign`).
    #[default]
    AsConfigured,
    /// Signed, with the key of the user's configuration.
    Sign,
    /// Signed with this ssh key; OpenSSH keys are what forges show as verified without a key ring.
    Key(PathBuf),
}

impl Author {
    /// The variables that tell git. The committer is the same, unless the environment names one: in a pipeline nobody else is known.
    pub(super) fn variables(&self) -> Vec<(OsString, OsString)> {
        let pairs = [("NAME", &self.name), ("EMAIL", &self.email)];
        let of = |who: &str| pairs.map(|(what, value)| (OsString::from(format!("GIT_{who}_{what}")), OsString::from(value)));
        let committer = of("COMMITTER").into_iter().filter(|(name, _)| std::env::var_os(name).is_none());
        of("AUTHOR").into_iter().chain(committer).collect()
    }
}

impl FromStr for Author {
    type Err = GitError;

    fn from_str(text: &str) -> Result<Self, GitError> {
        let wrong = |reason| GitError::unusable(format!("the author {text:?}"), reason, "write it as git does: \"NAME <EMAIL>\"");
        let (name, email) =
            text.trim().strip_suffix('>').and_then(|text| text.split_once('<')).ok_or_else(|| wrong("it has no <EMAIL>"))?;
        let (name, email) = (name.trim(), email.trim());
        let foreign = |c: char| c.is_control() || matches!(c, '<' | '>');
        if name.is_empty() || email.is_empty() {
            return Err(wrong("name or address is empty"));
        }
        if name.contains(foreign) || email.contains(foreign) || email.contains(char::is_whitespace) || text.len() > MAX_NAME {
            return Err(wrong("it holds what no name or address has"));
        }
        Ok(Self { name: name.to_owned(), email: email.to_owned() })
    }
}

impl CommitSigning {
    /// What `git commit` is told.
    pub(super) fn argument(&self) -> Option<&'static str> {
        (*self != Self::AsConfigured).then_some("--gpg-sign")
    }

    /// What it is configured with.
    pub(super) fn settings(&self) -> Vec<String> {
        let Self::Key(file) = self else { return vec![] };
        let file = std::path::absolute(file).unwrap_or_else(|_| file.clone());
        vec!["gpg.format=ssh".to_owned(), format!("user.signingKey={}", file.display())]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_author_is_written_as_git_does() {
        let author: Author = "Ada Lovelace <ada@example.com>".parse().unwrap();
        let variables = author.variables();
        assert!(variables.contains(&("GIT_AUTHOR_NAME".into(), "Ada Lovelace".into())), "{variables:?}");
        assert!(variables.contains(&("GIT_AUTHOR_EMAIL".into(), "ada@example.com".into())), "{variables:?}");
        for text in ["", "Ada", "<a@b>", "Ada <>", "Ada <a@b", "A\nda <a@b>", "Ada <a b>", "Ada <a<b>"] {
            let error = text.parse::<Author>().unwrap_err();
            assert!(error.hint().unwrap().contains("NAME <EMAIL>"), "{text}");
        }
    }
}
