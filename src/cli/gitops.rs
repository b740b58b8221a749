//! How verbs reach the GitOps repository.

use std::convert::Infallible;
use std::path::PathBuf;

use url::Url;

use super::CliError;
use super::options;
use super::settings::{Place, Settings, Sourced};
use crate::rollout::{
    Author, CommitSigning, Credentials, Forge, GitError, GitOptions, Publish, PullRequests, RolloutError, Source, SshKey, Token, Workspace,
};

/// The variable that holds an access token.
const TOKEN: &str = "MODELCAR_GIT_TOKEN";

/// Where the sites are, and how a change gets there.
#[derive(Clone, Debug, Default, clap::Args)]
#[command(next_help_heading = "GitOps")]
pub(super) struct GitOpsArgs {
    /// The GitOps repository: a work tree, or an address that is cloned: https://…, ssh://…, git@HOST:PATH [default: .]
    #[arg(long, value_name = "DIR|URL", value_parser = options::word::<Source>)]
    pub(super) gitops: Option<Source>,
    /// The branch to change [default: the current one; of a clone, the repository's own]
    #[arg(long, value_name = "BRANCH")]
    pub(super) branch: Option<String>,
    /// The folder in the repository that holds sites/ [default: the top, or edge-clusters]
    #[arg(long, value_name = "DIR")]
    pub(super) path: Option<PathBuf>,
    /// Push the commit of a work tree too; that of a clone always is
    #[arg(long)]
    pub(super) push: bool,
    /// Push to a branch of its own and open a pull request: github, gitlab, gitea or none
    #[arg(long, value_name = "FORGE", value_parser = forge)]
    pub(super) pr: Option<Requested>,
    /// The forge's web address, where it is not the repository's host
    #[arg(long, value_name = "URL", requires = "pr")]
    pub(super) forge_url: Option<Url>,
    /// A file with the access token for https addresses and --pr; or a folder with token, or username and password (a mounted secret);
    /// or MODELCAR_GIT_TOKEN holds it
    #[arg(long, value_name = "FILE")]
    pub(super) git_token_file: Option<PathBuf>,
    /// The user that goes with the token [default: oauth2; x-access-token on github.com]
    #[arg(long, value_name = "NAME")]
    pub(super) git_username: Option<String>,
    /// The private key for ssh addresses; or a folder with ssh-privatekey and, maybe, known_hosts (a mounted secret)
    #[arg(long, value_name = "FILE")]
    pub(super) ssh_key: Option<PathBuf>,
    /// The ssh servers' keys [default: those ssh knows]
    #[arg(long, value_name = "FILE")]
    pub(super) ssh_known_hosts: Option<PathBuf>,
    /// Who commits: "NAME <EMAIL>" [default: as git is configured]
    #[arg(long, value_name = "AUTHOR", value_parser = options::word::<Author>)]
    pub(super) author: Option<Author>,
    /// Sign the commit: with the key that git is configured for, or with an ssh key
    #[arg(long, value_name = "KEYFILE", num_args = 0..=1, require_equals = true, default_missing_value = "", value_parser = signing)]
    pub(super) sign_commit: Option<CommitSigning>,
    /// Certificates to trust besides the system's: the registries' option.
    #[arg(skip)]
    pub(super) ca_file: Option<PathBuf>,
}

/// What `--pr` asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Requested {
    /// No pull request, whatever the settings say.
    None,
    Of(Forge),
}

fn forge(text: &str) -> Result<Requested, String> {
    if text == "none" { Ok(Requested::None) } else { options::word::<Forge>(text).map(Requested::Of) }
}

impl GitOpsArgs {
    /// Opens the work tree, or clones.
    ///
    /// # Errors
    /// Those of [`Workspace::open`], and what is wrong with the token.
    pub(super) fn workspace(&self) -> Result<Workspace, CliError> {
        let source = self.gitops.clone().unwrap_or_else(|| Source::Folder(".".into()));
        Ok(Workspace::open(&source, &self.options()?)?)
    }

    /// What the settings say wherever no option does.
    ///
    /// # Errors
    /// A setting that is no word of these options.
    pub(super) fn or(self, settings: &Settings) -> Result<Self, CliError> {
        let of = &settings.gitops;
        let place = of.place.as_ref().map(|place| match &place.value {
            Place::Url(address) => address.parse::<Source>(),
            Place::Dir(dir) => Ok(Source::Folder(dir.clone())),
        });
        // A branch or folder belongs to the repository that it stands beside.
        let same = self.gitops.is_none();
        let text = |setting: &Option<Sourced<String>>| setting.as_ref().filter(|_| same).map(|setting| setting.value.clone());
        let pr = of.pr.as_ref().map(|setting| forge(&setting.value).map_err(|why| CliError::usage(why, "`modelcar config` shows where")));
        let author = of.author.as_ref().map(|setting| setting.value.parse::<Author>());
        Ok(Self {
            gitops: self.gitops.or(place.transpose()?),
            branch: self.branch.or_else(|| text(&of.branch)),
            path: self.path.or_else(|| text(&of.path).map(PathBuf::from)),
            pr: self.pr.or(pr.transpose()?),
            author: self.author.or(author.transpose().map_err(RolloutError::from)?),
            ..self
        })
    }

    /// Whether a change is proposed, and so a [`crate::rollout::Review`] is of use.
    pub(super) fn proposes(&self) -> bool {
        matches!(self.pr, Some(Requested::Of(_)))
    }

    fn options(&self) -> Result<GitOptions, CliError> {
        let (token, username) = self.token().map_err(RolloutError::from)?;
        let ssh = self.ssh_key.as_deref().map(SshKey::at).transpose().map_err(RolloutError::from)?;
        let (ssh_key, known_hosts) = ssh.map_or((None, None), |ssh| (Some(ssh.key), ssh.known_hosts));
        let credentials = Credentials {
            token,
            username: self.git_username.clone().or(username),
            ssh_key,
            known_hosts: self.ssh_known_hosts.clone().or(known_hosts),
            ca_file: self.ca_file.clone(),
            askpass: None,
        };
        Ok(GitOptions {
            branch: self.branch.clone(),
            path: self.path.clone(),
            publish: self.publish(),
            credentials,
            author: self.author.clone(),
            signing: self.sign_commit.clone().unwrap_or_default(),
            env: Vec::new(),
            patience: None,
        })
    }

    fn publish(&self) -> Publish {
        match self.pr {
            Some(Requested::Of(forge)) => Publish::Propose(PullRequests { forge, url: self.forge_url.clone() }),
            _ if self.push => Publish::Push,
            _ => Publish::Keep,
        }
    }

    /// The token, and the user whom its secret names.
    fn token(&self) -> Result<(Option<Token>, Option<String>), GitError> {
        match (&self.git_token_file, std::env::var(TOKEN)) {
            (Some(place), _) => Token::from_place(place).map(|(token, user)| (Some(token), user)),
            (None, Ok(text)) if !text.is_empty() => Ok((Some(Token::new(&zeroize::Zeroizing::new(text), TOKEN)?), None)),
            _ => Ok((None, None)),
        }
    }
}

/// What `--sign-commit` says.
#[allow(clippy::unnecessary_wraps, reason = "clap's parsers may fail")]
fn signing(text: &str) -> Result<CommitSigning, Infallible> {
    Ok(if text.is_empty() { CommitSigning::Sign } else { CommitSigning::Key(text.into()) })
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        gitops: GitOpsArgs,
    }

    fn parsed(words: &[&str]) -> Result<GitOpsArgs, clap::Error> {
        Line::try_parse_from([&["x"], words].concat()).map(|line| line.gitops)
    }

    #[test]
    fn words_become_options() {
        let signing = |words: &[&str]| parsed(words).unwrap().options().unwrap().signing;
        assert_eq!(signing(&[]), CommitSigning::AsConfigured);
        assert_eq!(signing(&["--sign-commit"]), CommitSigning::Sign);
        assert_eq!(signing(&["--sign-commit=k"]), CommitSigning::Key("k".into()));
        assert!(matches!(parsed(&["--push"]).unwrap().publish(), Publish::Push));
        assert!(matches!(parsed(&["--push", "--pr", "none"]).unwrap().publish(), Publish::Push));
        let proposed = parsed(&["--pr", "gitlab", "--forge-url", "https://git.example.com"]).unwrap();
        assert!(proposed.proposes() && matches!(proposed.publish(), Publish::Propose(of) if of.forge == Forge::GitLab));
        assert_eq!(parsed(&["--gitops", "git@h:o/r"]).unwrap().gitops, Some(Source::Remote("git@h:o/r".into())));
    }

    #[test]
    fn wrong_words_are_refused_with_the_right_ones() {
        for (words, said) in [
            (&["--pr", "bitbucket"][..], "github, gitlab, gitea"),
            (&["--author", "Ada"], "NAME <EMAIL>"),
            (&["--gitops", "https://robot:s3cret@h/r"], "--git-token-file"),
            (&["--forge-url", "https://h"], "--pr"),
        ] {
            let error = parsed(words).unwrap_err().to_string();
            assert!(error.contains(said), "{error}");
        }
    }
}
