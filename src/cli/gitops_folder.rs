//! Which GitOps folder is read, by verbs that change nothing.

use std::path::PathBuf;

use super::gitops::GitOpsArgs;
use super::settings::Settings;
use super::{CliError, options};
use crate::rollout::{Source, Workspace};

/// Where the sites are.
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "GitOps")]
pub(super) struct GitOpsFolder {
    /// The GitOps repository: a work tree, or an address that is cloned: https://…, ssh://…, git@HOST:PATH [default: .]
    #[arg(long, value_name = "DIR|URL", value_parser = options::word::<Source>)]
    gitops: Option<Source>,
    /// The branch of a clone [default: the repository's own]
    #[arg(long, value_name = "BRANCH")]
    branch: Option<String>,
    /// The folder in the repository that holds sites/ [default: the top, or edge-clusters]
    #[arg(long, value_name = "DIR")]
    path: Option<PathBuf>,
    /// A file with the access token for https addresses; or a folder with token, or username and password (a mounted secret);
    /// or MODELCAR_GIT_TOKEN holds it
    #[arg(long, value_name = "FILE")]
    git_token_file: Option<PathBuf>,
    /// The user that goes with the token [default: oauth2; x-access-token on github.com]
    #[arg(long, value_name = "NAME")]
    git_username: Option<String>,
    /// The private key for ssh addresses; or a folder with ssh-privatekey and, maybe, known_hosts (a mounted secret)
    #[arg(long, value_name = "FILE")]
    ssh_key: Option<PathBuf>,
    /// The ssh servers' keys [default: those ssh knows]
    #[arg(long, value_name = "FILE")]
    ssh_known_hosts: Option<PathBuf>,
}

impl GitOpsFolder {
    /// Opens the work tree, or clones.
    pub(super) fn open(&self) -> Result<Workspace, CliError> {
        let reading = self.clone();
        let args = GitOpsArgs {
            gitops: reading.gitops,
            branch: reading.branch,
            path: reading.path,
            git_token_file: reading.git_token_file,
            git_username: reading.git_username,
            ssh_key: reading.ssh_key,
            ssh_known_hosts: reading.ssh_known_hosts,
            ..GitOpsArgs::default()
        };
        args.or(&Settings::load()?)?.workspace()
    }
}
