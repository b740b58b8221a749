//! `modelcar login` and `logout`, beside the tools that share their files: what one writes, all read.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use crate::support::registry::{PASSWORD, Registry, Setup, USER};
use crate::support::token_server::{IDENTITY, TokenServer};
use crate::support::{clean_command, modelcar, need, repo_root, run, stdout_of, temp_dir};

/// A user's home, with a session whose folder is `run`.
struct Home(tempfile::TempDir);

impl Home {
    fn new() -> Self {
        let home = temp_dir();
        fs::write(home.path().join("m.bin"), "weights").unwrap();
        fs::create_dir(home.path().join("run")).unwrap();
        Self(home)
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    /// Where podman keeps log-ins.
    fn authfile(&self) -> PathBuf {
        self.path().join("run/containers/auth.json")
    }

    /// Any program as it runs in this session.
    fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = clean_command(program, self.path());
        command.current_dir(self.path()).env("XDG_RUNTIME_DIR", self.path().join("run")).env("CLICOLOR", "0").stdin(Stdio::null());
        command
    }

    fn modelcar(&self, line: &str) -> Command {
        let mut command = self.command(env!("CARGO_BIN_EXE_modelcar"));
        command.args(line.split_whitespace());
        command
    }

    /// Logs in with a password on standard input.
    fn log_in(&self, line: &str, password: &str) -> Output {
        piped(self.modelcar(&format!("login {line} --password-stdin")), password)
    }
}

fn piped(mut command: Command, text: &str) -> Output {
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    // one that refuses its arguments does not read
    let _ = child.stdin.take().unwrap().write_all(text.as_bytes());
    child.wait_with_output().unwrap()
}

fn words(output: &Output) -> String {
    [&output.stdout[..], &output.stderr].map(String::from_utf8_lossy).concat()
}

fn guarded() -> Option<Registry> {
    Registry::start_with(&Setup { login: true, ..Setup::default() })
}

fn push(home: &Home, host: &str) -> Command {
    home.modelcar(&format!("build -q --push -t {host}/org/m:v1 m.bin"))
}

#[test]
fn a_log_in_is_checked_kept_read_by_every_tool_and_forgotten() {
    let Some(registry) = guarded() else { return };
    let (home, host) = (Home::new(), &registry.host);

    let refused = home.log_in(&format!("{host} -u {USER}"), "canary-wrong");
    assert_eq!(refused.status.code(), Some(1), "{}", words(&refused));
    assert!(words(&refused).contains(&format!("{host} refused user `{USER}` from this log-in")) && !words(&refused).contains("canary"));
    assert!(!home.authfile().exists(), "nothing is kept that the registry refuses");

    let done = home.log_in(&format!("{host} -u {USER}"), &format!("{PASSWORD}\n"));
    assert_eq!(words(&done), format!("logged in to {host} as {USER}; kept in {}\n", home.authfile().display()));
    assert_eq!(fs::metadata(home.authfile()).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(stdout_of(&mut home.modelcar(&format!("login --get-login {host}/org/m"))), format!("{USER}\n"));
    run(&mut push(&home, host));

    if let Some(skopeo) = need("skopeo") {
        let listed = stdout_of(home.command(&skopeo).args(["list-tags", "--tls-verify=false", &format!("docker://{host}/org/m")]));
        assert!(listed.contains("v1"), "{listed}");
        assert_eq!(stdout_of(home.command(&skopeo).args(["login", "--get-login", host])), format!("{USER}\n"));
    }
    if let Some(crane) = need("crane") {
        assert_eq!(stdout_of(home.command(crane).args(["ls", &format!("{host}/org/m")])), "v1\n");
    }

    run(&mut home.modelcar(&format!("logout {host}")));
    assert!(!fs::read_to_string(home.authfile()).unwrap().contains(host));
    let output = home.modelcar(&format!("login --get-login {host}")).output().unwrap();
    assert_eq!((output.status.code(), output.stdout.len()), (Some(1), 0), "{}", words(&output));
    assert_eq!(push(&home, host).output().unwrap().status.code(), Some(1));
}

#[test]
fn docker_and_oras_find_what_is_written_into_dockers_file() {
    let Some(registry) = guarded() else { return };
    let (home, host) = (Home::new(), &registry.host);
    let config = home.path().join("docker");
    let in_docker = |mut command: Command| {
        command.env("DOCKER_CONFIG", &config);
        command
    };
    let output = piped(in_docker(home.modelcar(&format!("login {host} -u {USER} --password-stdin"))), PASSWORD);
    assert!(output.status.success() && config.join("config.json").exists(), "{}", words(&output));
    run(&mut in_docker(push(&home, host)));
    if let Some(crane) = need("crane") {
        assert_eq!(stdout_of(in_docker(home.command(crane)).args(["ls", &format!("{host}/org/m")])), "v1\n");
    }
    if let Some(oras) = need("oras") {
        let listed = stdout_of(in_docker(home.command(oras)).args(["repo", "tags", "--plain-http", &format!("{host}/org/m")]));
        assert_eq!(listed, "v1\n");
    }
}

#[test]
fn what_skopeo_and_crane_write_is_read_and_a_part_of_a_registry_has_its_own() {
    let Some(registry) = guarded() else { return };
    let host = &registry.host;
    if let Some(skopeo) = need("skopeo") {
        let home = Home::new();
        run(home.command(&skopeo).args(["login", "--tls-verify=false", "-u", USER, "-p", PASSWORD, host]));
        run(&mut push(&home, host));
        // podman's names of a part: the longest wins, in both tools
        let done = home.log_in(&format!("{host}/org -u nobody --no-check"), "canary");
        assert!(done.status.success(), "{}", words(&done));
        let output = push(&home, host).output().unwrap();
        assert!(words(&output).contains("refused user `nobody`"), "{}", words(&output));
        let read = home.command(&skopeo).args(["login", "--get-login", &format!("{host}/org")]).output().unwrap();
        assert_eq!(String::from_utf8_lossy(&read.stdout), "nobody\n", "{}", words(&read));
        let listed = stdout_of(&mut home.modelcar("login --list"));
        assert!(listed.contains(&format!("{host}/org")) && listed.contains("nobody") && listed.contains(USER), "{listed}");
        run(home.command(&skopeo).args(["logout", &format!("{host}/org")]));
        run(&mut push(&home, host));
    }
    if let Some(crane) = need("crane") {
        let home = Home::new();
        run(home.command(crane).args(["auth", "login", "-u", USER, "-p", PASSWORD, host]));
        run(&mut push(&home, host));
        let output = home.modelcar(&format!("logout {host}")).output().unwrap();
        assert!(output.status.code() == Some(1) && words(&output).contains("--authfile"), "{}", words(&output));
        run(&mut home.modelcar(&format!("logout {host} --authfile .docker/config.json")));
        assert_eq!(push(&home, host).output().unwrap().status.code(), Some(1));
    }
}

#[test]
fn a_token_service_logs_in_by_password_and_by_identity_token() {
    let Some(tokens) = TokenServer::start() else { return };
    let Some(registry) = Registry::start_with(&Setup { sections: tokens.section(), ..Setup::default() }) else { return };
    let (home, host) = (Home::new(), &registry.host);

    assert_eq!(home.log_in(&format!("{host} -u {USER}"), "canary").status.code(), Some(1));
    let done = home.log_in(&format!("{host} -u {USER}"), PASSWORD);
    assert!(done.status.success(), "{}", words(&done));
    assert_eq!(tokens.log(), ["GET", "GET"], "a log-in asks for no rights");
    run(&mut push(&home, host));
    assert_eq!(tokens.log()[2..], ["GET repository:org/m:pull,push"], "one token serves the whole push");

    let done = home.log_in(&format!("{host} -u <token>"), IDENTITY);
    assert!(done.status.success() && !words(&done).contains(IDENTITY), "{}", words(&done));
    run(&mut push(&home, host));
    assert_eq!(tokens.log()[3..], ["POST refresh_token", "POST refresh_token repository:org/m:pull,push"]);
}

/// A helper as docker's: it keeps what it is given in a file.
const HELPER: &str = r#"#!/bin/sh
file="$HOME/kept.json"
case "$1" in
store) cat > "$file" ;;
get) read -r server; grep -q "\"$server\"" "$file" 2>/dev/null && cat "$file" || { echo 'credentials not found in native keychain'; exit 1; } ;;
erase) rm "$file" 2>/dev/null || { echo 'credentials not found in native keychain'; exit 1; } ;;
esac
"#;

#[test]
fn a_helper_that_docker_uses_keeps_the_log_in() {
    let Some(registry) = guarded() else { return };
    let (home, host) = (Home::new(), &registry.host);
    let (bin, config) = (home.path().join("bin"), home.path().join(".docker/config.json"));
    for dir in [&bin, config.parent().unwrap()] {
        fs::create_dir(dir).unwrap();
    }
    fs::write(&config, r#"{"credsStore": "test"}"#).unwrap();
    let path = format!("{}:{}", bin.display(), std::env::var("PATH").unwrap());
    let with_path = |mut command: Command| {
        command.env("PATH", &path);
        command
    };
    let log_in = || piped(with_path(home.modelcar(&format!("login {host} -u {USER} --password-stdin"))), PASSWORD);
    let missing = log_in();
    assert!(words(&missing).contains("docker-credential-test failed: there is no such program on PATH"), "{}", words(&missing));

    let helper = bin.join("docker-credential-test");
    fs::write(&helper, HELPER).unwrap();
    fs::set_permissions(&helper, fs::Permissions::from_mode(0o755)).unwrap();
    assert!(words(&log_in()).ends_with("kept in docker-credential-test\n"));
    assert_eq!(fs::read_to_string(&config).unwrap(), r#"{"credsStore": "test"}"#, "no password in any file");
    assert!(!home.authfile().exists());
    run(&mut with_path(push(&home, host)));
    run(&mut with_path(home.modelcar(&format!("logout {host}"))));
    let again = with_path(home.modelcar(&format!("logout {host}"))).output().unwrap();
    assert!(again.status.code() == Some(1) && words(&again).contains("nobody is logged in"), "{}", words(&again));
    assert!(!home.path().join("kept.json").exists());
}

/// Types two lines into a terminal: the first when a question has come, the second when another has, and nothing is shown any more.
const TYPIST: &str = "
import os, pty, sys, termios
pid, terminal = pty.fork()
if pid == 0:
    os.execv(sys.argv[1], sys.argv[1:4])
shown = b''
def until(question):
    global shown
    while question not in shown:
        shown += os.read(terminal, 1)
until(b': ')
os.write(terminal, sys.argv[4].encode() + b'\\n')
until(b'Password: ')
while termios.tcgetattr(terminal)[3] & termios.ECHO:
    pass
os.write(terminal, sys.argv[5].encode() + b'\\n')
try:
    while piece := os.read(terminal, 1000):
        shown += piece
except OSError:
    pass
sys.stdout.buffer.write(shown)
sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
";

#[test]
fn a_person_is_asked_and_the_password_is_not_shown() {
    let (Some(registry), Some(python)) = (guarded(), need("python3")) else { return };
    let (home, host) = (Home::new(), &registry.host);
    let mut command = home.command(python);
    let shown = stdout_of(command.args(["-c", TYPIST, env!("CARGO_BIN_EXE_modelcar"), "login", host, USER, PASSWORD]));
    assert!(shown.contains(&format!("User at {host}: {USER}")) && shown.contains(&format!("logged in to {host} as {USER}")), "{shown}");
    assert!(!shown.contains(PASSWORD), "{shown}");
}

#[test]
fn what_login_and_logout_say() {
    let home = Home::new();
    let open = Registry::start();
    let Some(open) = open else { return };
    fs::write(home.path().join("pw"), "canary-password\n").unwrap();
    fs::write(home.path().join("two"), "canary-password\ncanary-password\n").unwrap();
    fs::write(home.path().join("broken.json"), "{\"auths\": \"canary-password\"").unwrap();
    let lines = [
        "login",
        "login quay.io",
        "login quay.io -u ci",
        "login quay.io -u ci -p canary-password",
        "login quay.io -u ci --password=canary-password",
        "login quay.io -u ci --token-file missing",
        "login quay.io -u ci --token-file two",
        "login quay.io -u c:i --token-file pw",
        "login quay.io/org:v1 -u ci --token-file pw",
        "login org -u ci --token-file pw",
        "login OPEN -u ci --token-file pw --authfile open.json",
        "login quay.io/org -u ci --token-file pw --no-check --format json",
        "login ghcr.io -u other --token-file pw --no-check",
        "login quay.io -u ci --token-file pw --no-check --authfile broken.json",
        "login --list",
        "login --list --format json",
        "login --get-login quay.io/org/model",
        "login --get-login quay.io",
        "logout quay.io",
        "logout quay.io/org",
        "logout --all --format json",
        "login --list",
        "logout",
    ];
    let told = lines.map(|line| {
        let output = home.modelcar(&line.replace("OPEN", &open.host)).output().unwrap();
        assert!(!words(&output).contains("canary"), "{}", words(&output));
        let words = words(&output).replace(&home.path().display().to_string(), "HOME").replace(&open.host, "OPEN");
        format!("$ modelcar {line}\n{words}exit {}\n", output.status.code().unwrap())
    });
    insta::assert_snapshot!(told.join("\n").replace("canary-password", "PASSWORD"));
}

#[test]
fn the_doctor_tells_what_a_registry_allows_and_leaves_nothing_there() {
    let (Some(registry), Some(open)) = (guarded(), Registry::start()) else { return };
    let home = Home::new();
    let told = |line: &str| {
        let line = line.replace("GUARDED", &registry.host).replace("OPEN", &open.host);
        let output = home.modelcar(&line).output().unwrap();
        let words = words(&output).replace(&home.path().display().to_string(), "HOME");
        let words = words.replace(&registry.host, "GUARDED").replace(&open.host, "OPEN");
        let digest = words.split("sha256:").nth(1).map_or("no digest", |rest| &rest[..64]).to_owned();
        // columns are as wide as what stands in them
        let words = words.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ") + "\n").collect::<String>();
        format!(
            "$ modelcar {}\n{}exit {}\n",
            line.replace(&registry.host, "GUARDED").replace(&open.host, "OPEN"),
            words.replace(&digest, "DIGEST"),
            output.status.code().unwrap()
        )
    };
    let mut all = vec![told("doctor GUARDED/org/m --retry-times 0"), told("doctor OPEN/org/m --push")];
    assert!(home.log_in(&format!("{} -u {USER}", registry.host), PASSWORD).status.success());
    run(&mut push(&home, &registry.host));
    all.extend(
        [
            "doctor GUARDED/org/m --push",
            "doctor GUARDED/org/m:v1 --format json",
            "doctor oci:dir:x",
            "doctor 127.0.0.1:1/a/b --retry-times 0",
        ]
        .map(told),
    );
    insta::assert_snapshot!(all.join("\n"));
    let log = open.log();
    let taken_back = log.lines().find(|line| line.contains("DELETE /v2/org/m/blobs/uploads/")).unwrap();
    assert!(taken_back.contains(" 204 "), "{taken_back}");
}

#[test]
fn the_commands_of_the_page_run() {
    let Some(registry) = guarded() else { return };
    let home = Home::new();
    fs::write(home.path().join("secret"), PASSWORD).unwrap();
    let page = fs::read_to_string(repo_root().join("docs/registry.md")).unwrap();
    let block = page.split("```sh\n").nth(1).and_then(|rest| rest.split("```").next()).unwrap();
    let script = block.replace("quay.io", &registry.host).replace("/run/secrets/quay", "secret");
    std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_modelcar"), home.path().join("modelcar")).unwrap();
    let path = format!("{}:{}", home.path().display(), std::env::var("PATH").unwrap());
    let printed = stdout_of(home.command("sh").env("PATH", path).env("QUAY_PASSWORD", PASSWORD).args(["-euc", &script]));
    assert!(printed.starts_with(&format!("{USER}\n")) && printed.contains("KEPT IN"), "{printed}");
}

#[test]
fn a_missing_log_in_is_told_with_the_command_that_mends_it() {
    let Some(registry) = guarded() else { return };
    let home = temp_dir();
    let output = modelcar(home.path()).args(["inspect", &format!("{}/org/m:v1", registry.host)]).output().unwrap();
    assert!(words(&output).contains(&format!("`modelcar login {}`", registry.host)), "{}", words(&output));
}
