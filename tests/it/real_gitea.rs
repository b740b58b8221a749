//! Pushes and pull requests against a real Gitea on loopback.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use modelcar::rollout::{
    Forge, GitError, GitOptions, Landed, Proposal, Publish, PullRequests, Review, RolloutError, Token, Trouble, Workspace,
};
use serde_json::{Value, json};

use crate::support::git_server::free_port;
use crate::support::gitops::{Origin, deploy, message, planned};
use crate::support::{clean_command, lacks, need, peer, repo_root, run, stdout_of};

/// A Gitea with one user, one token and the repository `acme/gitops`.
struct Gitea {
    child: Child,
    curl: PathBuf,
    url: String,
    token: String,
}

impl Drop for Gitea {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Gitea {
    /// `None` after saying what is missing: `MODELCAR_PEERS_GITEA=1 tests/peers/go.sh` builds it.
    fn start(origin: &Origin) -> Option<Self> {
        let files = repo_root().join(".peers/gitea-files");
        let (Some(program), true) = (peer("gitea"), files.is_dir()) else { return lacks("gitea") };
        let curl = need("curl")?;
        let (home, port) = (origin.root().join("gitea"), free_port());
        std::fs::create_dir(&home).unwrap();
        let ini = home.join("app.ini");
        std::fs::write(&ini, settings(&home, &files, port)).unwrap();
        let gitea = |words: &[&str]| {
            let mut command = clean_command(&program, &home);
            command.env("GITEA_I_AM_BEING_UNSAFE_RUNNING_AS_ROOT", "true").arg("--config").arg(&ini).args(words);
            command
        };
        run(&mut gitea(&["migrate"]));
        let user = ["--username", "acme", "--password", "s3cretPass99", "--email", "a@example.com", "--must-change-password=false"];
        run(gitea(&["admin", "user", "create"]).args(user));
        let scopes = ["--username", "acme", "--token-name", "t", "--raw", "--scopes", "write:repository,write:user,write:issue"];
        let token = stdout_of(gitea(&["admin", "user", "generate-access-token"]).args(scopes));
        let token = token.lines().last().unwrap().trim().to_owned();
        let child = gitea(&["web"]).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let mut gitea = Self { child, curl, url: format!("http://127.0.0.1:{port}"), token };
        while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(gitea.child.try_wait().unwrap().is_none(), "gitea ended");
            std::thread::yield_now();
        }
        gitea.api("POST", "/user/repos", &json!({"name": "gitops", "default_branch": "main"}));
        Some(gitea)
    }

    fn api(&self, method: &str, path: &str, body: &Value) -> Value {
        let mut command = Command::new(&self.curl);
        // Whether a request can be merged is found out a moment after it was made: "Please try again later".
        command.args(["-sS", "--fail-with-body", "--retry", "30", "--retry-delay", "1", "--retry-all-errors"]);
        command.args(["-X", method, "-H", "Content-Type: application/json", "-d", &body.to_string()]);
        command.args(["-H", &format!("Authorization: Bearer {}", self.token)]).arg(format!("{}/api/v1{path}", self.url));
        serde_json::from_str(&stdout_of(&mut command)).unwrap_or_default()
    }

    fn address(&self) -> String {
        format!("{}/acme/gitops.git", self.url)
    }

    fn options(&self, origin: &Origin, publish: Publish) -> GitOptions {
        let mut options = GitOptions { publish, ..origin.options() };
        options.credentials.token = Some(Token::new(&self.token, "test").unwrap());
        options
    }
}

fn settings(home: &Path, files: &Path, port: u16) -> String {
    let home = home.display();
    format!(
        "WORK_PATH = {home}\n[server]\nHTTP_ADDR = 127.0.0.1\nHTTP_PORT = {port}\nROOT_URL = http://127.0.0.1:{port}/\n\
         STATIC_ROOT_PATH = {}\nDISABLE_SSH = true\nOFFLINE_MODE = true\n[database]\nDB_TYPE = sqlite3\nPATH = {home}/gitea.db\n\
         [repository]\nROOT = {home}/repos\n[security]\nINSTALL_LOCK = true\n[log]\nLEVEL = Error\n[indexer]\nISSUE_INDEXER_TYPE = db\n",
        files.display()
    )
}

#[test]
fn a_protected_branch_is_changed_by_a_pull_request() {
    if need("git").is_none() {
        return;
    }
    let origin = Origin::new();
    let Some(gitea) = Gitea::start(&origin) else { return };
    let first = origin.clone_to("mirror");
    let with_login = gitea.address().replace("://", &format!("://acme:{}@", gitea.token));
    run(origin.git(&first).args(["push", "-q", &with_login, "HEAD:refs/heads/main"]));
    let open = |publish| Workspace::open(&gitea.address().parse().unwrap(), &gitea.options(&origin, publish)).unwrap();
    let landed = deploy(&open(Publish::Push), "edge-01", "iris", "v1").unwrap();
    assert!(matches!(landed, Landed::Pushed { .. }), "{landed:?}");
    gitea.api("POST", "/repos/acme/gitops/branch_protections", &json!({"rule_name": "main", "enable_push": false}));
    let error = deploy(&open(Publish::Push), "edge-01", "iris", "v2").unwrap_err();
    assert!(matches!(error, RolloutError::Git(GitError::Remote { trouble: Trouble::Protected, .. })), "{error:?}");
    let requests = || Publish::Propose(PullRequests { forge: Forge::Gitea, url: None });
    let propose = |body: &str| {
        let landed = open(requests()).land(&mut |tree| -> Result<_, RolloutError> {
            let review = Some(Review { topic: "edge-01/iris-v2".to_owned(), body: body.to_owned() });
            Ok(Some(Proposal { change: planned(tree, "edge-01", "iris", "v2")?, message: message("edge-01", "iris", "v2"), review }))
        });
        match landed.unwrap() {
            Landed::Proposed { url, .. } => url,
            other => panic!("{other:?}"),
        }
    };
    let url = propose("first");
    assert_eq!(url, format!("{}/acme/gitops/pulls/1", gitea.url));
    assert_eq!(propose("second"), url, "updated, not made again");
    let request = gitea.api("GET", "/repos/acme/gitops/pulls/1", &json!({}));
    assert_eq!((&request["title"], &request["body"]), (&json!("sites/edge-01: iris v2"), &json!("second")));
    gitea.api("POST", "/repos/acme/gitops/pulls/1/merge", &json!({"Do": "merge"}));
    assert_eq!(deploy(&open(Publish::Push), "edge-01", "iris", "v2").unwrap(), Landed::Unchanged);
}
