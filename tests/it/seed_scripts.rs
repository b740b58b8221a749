//! `package-model.sh`, `deploy-model.sh` and `update-model.sh`: thin over the binary, and the whole way on a real registry and a real Git
//! server.

use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use crate::support::kustomize::{self, one};
use crate::support::registry::Registry;
use crate::support::{clean_command, need, repo_root, run, schemas, stdout_of, temp_dir};

fn script(name: &str, home: &Path) -> Command {
    let mut command = clean_command(repo_root().join("scripts").join(name), home);
    command.current_dir(home);
    command
}

/// What a script asks the program for, word by word.
fn asked(name: &str, words: &[&str], variables: &[(&str, &str)]) -> Vec<String> {
    let home = temp_dir();
    let program = home.path().join("program");
    kustomize::write(home.path(), &[("program", "#!/bin/sh\nprintf '%s\\n' \"$@\"\n")]);
    std::fs::set_permissions(&program, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let mut command = script(name, home.path());
    command.env("MODELCAR", program).envs(variables.iter().copied()).args(words);
    stdout_of(&mut command).lines().map(str::to_owned).collect()
}

#[test]
fn each_script_is_one_command_of_the_program() {
    assert_eq!(asked("package-model.sh", &["iris:v1"], &[]), ["build", "models/iris", "-t", "iris:v1", "--push"]);
    let full = "localhost:5000/acme/iris:v1";
    let words = asked("package-model.sh", &[full, "--model-version", "2"], &[("MODEL_DIR", "a folder/iris.onnx")]);
    assert_eq!(words, ["build", "a folder/iris.onnx", "-t", full, "--push", "--model-version", "2"]);
    let words = asked("deploy-model.sh", &["edge-site-01", "iris:v1", "--canary", "10"], &[]);
    assert_eq!(words, ["deploy", "edge-site-01", "iris:v1", "--canary", "10"]);
    assert_eq!(asked("update-model.sh", &["edge-site-01", "iris:v2"], &[]), ["update", "edge-site-01", "iris", "iris:v2"]);
    let pinned = "localhost:5000/acme/iris@sha256:00";
    let words = asked("update-model.sh", &["edge-site-01", pinned, "--dry-run"], &[]);
    assert_eq!(words, ["update", "edge-site-01", "iris", pinned, "--dry-run"]);
}

#[test]
fn each_script_explains_itself_and_refuses_what_it_does_not_understand() {
    let home = temp_dir();
    for (name, wrong) in [
        ("package-model.sh", &[&[][..], &["--push"]][..]),
        ("deploy-model.sh", &[&[][..], &["edge-site-01"], &["--site", "edge-site-01"], &["edge-site-01", "--all"]]),
        ("update-model.sh", &[&[][..], &["edge-site-01"], &["--site", "edge-site-01"], &["edge-site-01", "--all"]]),
    ] {
        let help = stdout_of(script(name, home.path()).arg("--help"));
        assert!(help.contains(&format!("scripts/{name} ")) && help.contains("MODELCAR "), "{help}");
        for words in wrong {
            let output = script(name, home.path()).env("MODELCAR", "/nonexistent").args(*words).output().unwrap();
            assert_eq!((output.status.code(), output.stdout.len()), (Some(2), 0), "{name} {words:?}");
            assert_eq!(String::from_utf8_lossy(&output.stderr), help);
        }
    }
}

/// `git daemon` on loopback with one bare repository that everybody may push to.
struct GitServer {
    address: String,
    repository: PathBuf,
    child: Child,
}

impl GitServer {
    /// Serves `folder/edge.git`. `None` where git has no daemon.
    fn start(folder: &Path) -> Option<Self> {
        need("git")?;
        let exec_path = stdout_of(clean_command("git", folder).arg("--exec-path"));
        let daemon = Path::new(exec_path.trim()).join("git-daemon");
        if !daemon.is_file() {
            return crate::support::skip("git daemon");
        }
        // another process may take the free port first
        (0..5).find_map(|_| Self::launch(&daemon, folder))
    }

    fn launch(daemon: &Path, folder: &Path) -> Option<Self> {
        let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let mut command = clean_command(daemon, folder);
        command.args(["--reuseaddr", "--export-all", "--enable=receive-pack", "--listen=127.0.0.1", &format!("--port={}", address.port())]);
        command.arg(format!("--base-path={}", folder.display())).arg(folder);
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let deadline = Instant::now() + Duration::from_secs(30);
        while Instant::now() < deadline && child.try_wait().unwrap().is_none() {
            if TcpStream::connect(address).is_ok() {
                return Some(Self { address: format!("git://{address}/edge.git"), repository: folder.join("edge.git"), child });
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        let _ = child.kill();
        let _ = child.wait();
        None
    }
}

impl Drop for GitServer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn git(home: &Path, dir: &Path, words: &[&str]) -> String {
    let mut command = clean_command("git", home);
    stdout_of(command.arg("-C").arg(dir).args(["-c", "user.name=Tester", "-c", "user.email=tester@example.com"]).args(words))
}

/// A folder as the seed has it: `modelcar.toml`, a key pair, `models/model-name`, and the tree in a repository on the server.
struct Project {
    home: tempfile::TempDir,
    registry: Registry,
    server: GitServer,
}

impl Project {
    fn start() -> Option<Self> {
        let (home, registry) = (temp_dir(), Registry::start()?);
        let (served, seed) = (home.path().join("served"), home.path().join("seed"));
        kustomize::copy(&repo_root().join("edge-clusters"), &seed.join("edge-clusters"));
        git(home.path(), &seed, &["init", "-q", "-b", "main", "."]);
        git(home.path(), &seed, &["add", "."]);
        git(home.path(), &seed, &["commit", "-q", "-m", "A fork of the tree"]);
        git(home.path(), &seed, &["clone", "-q", "--bare", ".", served.join("edge.git").to_str().unwrap()]);
        let server = GitServer::start(&served)?;
        let project = Self { home, registry, server };
        project.configure();
        Some(project)
    }

    fn configure(&self) {
        let text = format!(
            "registry = \"{}\"\norganisation = \"models\"\n\n[gitops]\nurl = \"{}\"\nbranch = \"main\"\npath = \"edge-clusters\"\n\
             author = \"Edge Robot <robot@example.com>\"\n\n[sign]\nkey = \"cosign.key\"\n\n[verify]\nkeys = [\"cosign.pub\"]\n",
            self.registry.host, self.server.address
        );
        kustomize::write(self.home.path(), &[("modelcar.toml", &text)]);
        run(self.command(env!("CARGO_BIN_EXE_modelcar")).args(["keygen", "-q"]));
    }

    fn command(&self, program: &str) -> Command {
        let mut command = clean_command(program, self.home.path());
        command.current_dir(self.home.path()).env("COSIGN_PASSWORD", "").env("MODELCAR", env!("CARGO_BIN_EXE_modelcar"));
        command
    }

    fn script(&self, name: &str, words: &[&str]) -> Output {
        run(self.command(repo_root().join("scripts").join(name).to_str().unwrap()).args(words))
    }

    /// Puts a test model where the scripts look for it.
    fn put_model(&self, file: &str) {
        let folder = self.home.path().join("models/model-name");
        let _ = std::fs::remove_dir_all(&folder);
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::copy(repo_root().join("testdata/models").join(file), folder.join("model.onnx")).unwrap();
    }

    /// The digest that the registry has under a tag.
    fn digest(&self, tag: &str) -> String {
        let image = format!("{}/models/model-name:{tag}", self.registry.host);
        let inspected = stdout_of(self.command(env!("CARGO_BIN_EXE_modelcar")).args(["inspect", "--format", "json", &image]));
        serde_json::from_str::<serde_json::Value>(&inspected).unwrap()["digest"].as_str().unwrap().to_owned()
    }

    fn commits(&self) -> Vec<String> {
        let log = git(self.home.path(), &self.server.repository, &["log", "--format=%s", "main"]);
        log.lines().map(str::to_owned).collect()
    }

    /// What Argo CD would apply to the site.
    fn built(&self) -> Option<Vec<serde_json::Value>> {
        let clone = temp_dir();
        git(self.home.path(), clone.path(), &["clone", "-q", &self.server.address, "edge"]);
        kustomize::build(&clone.path().join("edge/edge-clusters/sites/edge-site-01"))
    }
}

#[test]
fn the_seeds_three_scripts_bring_a_model_from_a_folder_to_a_site() {
    let Some(project) = Project::start() else { return };
    project.put_model("iris/logreg_iris.onnx");
    project.script("package-model.sh", &["model-name:v1.0"]);
    let image = format!("{}/models/model-name:v1.0", project.registry.host);
    run(project.command(env!("CARGO_BIN_EXE_modelcar")).args(["verify", &image, "--key", "cosign.pub", "--consumer", "openshift"]));

    project.script("deploy-model.sh", &["edge-site-01", "model-name:v1.0"]);
    assert_eq!(project.commits().len(), 2);
    let first = project.digest("v1.0");
    let uri = |digest: &str| format!("oci://{}/models/model-name@{digest}", project.registry.host);
    if let Some(objects) = project.built() {
        let service = one(&objects, "InferenceService", "model-name");
        assert_eq!(service["spec"]["predictor"]["model"]["storageUri"], uri(&first));
        assert_eq!(schemas::refusals(&objects).unwrap_or_default(), Vec::<String>::new());
    }

    project.put_model("silero_vad/silero_vad.onnx");
    project.script("package-model.sh", &["model-name:v2.0"]);
    project.script("update-model.sh", &["edge-site-01", "model-name:v2.0"]);
    let second = project.digest("v2.0");
    assert_ne!(first, second);
    if let Some(objects) = project.built() {
        assert_eq!(one(&objects, "InferenceService", "model-name")["spec"]["predictor"]["model"]["storageUri"], uri(&second));
        one(&objects, "InferenceService", "iris");
    }
    let commits = project.commits();
    assert!(commits.len() == 3 && commits[0].contains(&second[..19]) && commits[1].contains(&first[..19]), "{commits:?}");

    // the same again changes nothing
    project.script("update-model.sh", &["edge-site-01", "model-name:v2.0"]);
    project.script("package-model.sh", &["model-name:v2.0"]);
    assert_eq!(project.commits(), commits);
}
