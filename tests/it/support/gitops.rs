//! A GitOps repository as a server has it, and rollouts into it.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

use modelcar::kserve::Generation;
use modelcar::oci::Digest;
use modelcar::rollout::{
    Credentials, GitOptions, Landed, ModelFormat, Proposal, RolloutError, Service, SiteName, Source, TreeChange, Workspace, plan,
};

use super::{clean_command, run, stdout_of, temp_dir};

/// The edge sites of a new repository.
pub const SITES: [&str; 2] = ["edge-01", "edge-02"];

/// A bare repository `acme/gitops.git`, and a home without any settings of the developer's.
pub struct Origin {
    pub root: tempfile::TempDir,
}

impl Origin {
    /// One with the GitOps folder at this place inside.
    pub fn with_tree(inside: &str) -> Self {
        let origin = Self { root: temp_dir() };
        run(origin.git(Path::new("/")).args(["init", "-q", "--bare", "-b", "main"]).arg(origin.bare()));
        let work = origin.clone_to("first");
        for site in SITES {
            let folder = work.join(inside).join("sites").join(site);
            std::fs::create_dir_all(&folder).unwrap();
            std::fs::write(folder.join("site.yaml"), "version: 1\nkserve: \"0.21\"\n").unwrap();
        }
        run(origin.git(&work).args(["add", "."]));
        run(origin.git(&work).args(["commit", "-qm", "Start"]));
        run(origin.git(&work).args(["push", "-q", "origin", "HEAD:main"]));
        origin
    }

    pub fn new() -> Self {
        Self::with_tree("")
    }

    pub fn root(&self) -> &Path {
        self.root.path()
    }

    pub fn bare(&self) -> PathBuf {
        self.root().join("acme/gitops.git")
    }

    pub fn url(&self) -> String {
        format!("file://{}", self.bare().display())
    }

    /// A work tree of it.
    pub fn clone_to(&self, name: &str) -> PathBuf {
        let work = self.root().join(name);
        run(self.git(self.root()).args(["clone", "-q"]).arg(self.bare()).arg(&work));
        work
    }

    /// Git as it is for everybody here.
    pub fn git(&self, dir: &Path) -> Command {
        let mut command = clean_command("git", self.root());
        command.arg("-C").arg(dir).envs(self.env()).args(["-c", "init.defaultBranch=main"]);
        command
    }

    /// What git prints about the repository of the server.
    pub fn says(&self, args: &[&str]) -> String {
        stdout_of(self.git(&self.bare()).args(args)).trim().to_owned()
    }

    pub fn count(&self) -> usize {
        self.says(&["rev-list", "--count", "main"]).parse().unwrap()
    }

    pub fn hook(&self, name: &str, script: &str) {
        write_script(&self.bare().join("hooks").join(name), script);
    }

    /// Nothing of the developer's own settings.
    pub fn env(&self) -> Vec<(OsString, OsString)> {
        let fixed = [
            ("GIT_CONFIG_GLOBAL", "/dev/null"),
            ("GIT_CONFIG_NOSYSTEM", "1"),
            ("GIT_AUTHOR_NAME", "Ada"),
            ("GIT_AUTHOR_EMAIL", "ada@example.com"),
            ("GIT_COMMITTER_NAME", "Ada"),
            ("GIT_COMMITTER_EMAIL", "ada@example.com"),
        ];
        let mut env: Vec<(OsString, OsString)> = fixed.iter().map(|(name, value)| (name.into(), value.into())).collect();
        env.push(("HOME".into(), self.root().into()));
        env
    }

    pub fn options(&self) -> GitOptions {
        let credentials = Credentials { askpass: Some(env!("CARGO_BIN_EXE_modelcar").into()), ..Credentials::default() };
        GitOptions { env: self.env(), credentials, ..GitOptions::default() }
    }

    pub fn open(&self, url: &str) -> Result<Workspace, RolloutError> {
        Workspace::open(&url.parse()?, &self.options())
    }

    pub fn open_folder(&self, work: &Path, options: &GitOptions) -> Workspace {
        assert!(work.starts_with(self.root()));
        Workspace::open(&Source::Folder(work.to_owned()), options).unwrap()
    }
}

pub fn write_script(path: &Path, script: &str) {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, script).unwrap();
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
}

/// The digest that a version of a model has here.
pub fn digest(model: &str, version: &str) -> Digest {
    Digest::of(format!("{model} {version}").as_bytes())
}

/// The digest in a patch's `storageUri`.
pub fn digest_in(_: &Path, text: &str) -> Option<Digest> {
    let at = text.find("@sha256:")? + 1;
    text.get(at..at + 71)?.parse().ok()
}

/// A version of a model on one site.
pub fn planned(tree: &Path, site: &str, model: &str, version: &str) -> Result<TreeChange, RolloutError> {
    let image = format!("quay.io/acme/{model}:{version}@{}", digest(model, version));
    let service = Service {
        format: ModelFormat { name: "onnx".to_owned(), version: None },
        runtime: Some("kserve-ovms".to_owned()),
        ..Service::new(model.parse().unwrap(), image.parse().unwrap(), Generation::V0_21)
    };
    let site: SiteName = site.parse().unwrap();
    Ok(plan(tree, &site, &service)?.change)
}

pub fn message(site: &str, model: &str, version: &str) -> String {
    format!("sites/{site}: {model} {version}\n\nModel-Image: quay.io/acme/{model}:{version}@{}\n", digest(model, version))
}

/// Rolls a version of a model out to one site.
pub fn deploy(workspace: &Workspace, site: &str, model: &str, version: &str) -> Result<Landed, RolloutError> {
    workspace.land(&mut |tree: &Path| Ok(Some(Proposal::new(planned(tree, site, model, version)?, message(site, model, version)))))
}
