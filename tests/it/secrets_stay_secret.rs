//! No password, key or credential leaves its place: not in argv, output, errors, logs, images, nor in a file that stays behind.
//!
//! Every secret is a canary, looked for as it is, in hexadecimal and in base64 at each of its three alignments. A new kind of secret
//! is one more row of `World::secrets` and one more run that uses it.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::support::registry::{PASSWORD as LOGIN, Registry, Setup};
use crate::support::{clean_command, modelcar, repo_root, run, temp_dir};

const PASSWORD: &str = "canary-password-Jm4wXq81";
const FILE_PASSWORD: &str = "canary-file-password-Tz0kLr57";
const FOLDER_PASSWORD: &str = "canary-folder-password-Ud9bNe36";
const WRONG_PASSWORD: &str = "canary-wrong-password-Ph2vCs64";
const WRONG_LOGIN: &str = "canary-wrong-login-Kf5yGa98";
const TOKEN: &str = "canary-token-Wn6dXi25";

/// Names and values.
type Variables<'a> = &'a [(&'a str, &'a str)];

/// A home whose folder `secrets` alone may hold secrets.
struct World {
    home: tempfile::TempDir,
    secrets: Vec<(&'static str, Vec<String>)>,
}

impl World {
    fn new() -> Self {
        let home = temp_dir();
        for folder in ["secrets", "tmp", "gitops"] {
            fs::create_dir(home.path().join(folder)).unwrap();
        }
        let world = Self { home, secrets: secrets() };
        world.write("file-password", FILE_PASSWORD);
        world.write("plain.key", &plain_key());
        world.write("damaged.key", &damaged(&plain_key()));
        for words in [&["init", "-q", "."][..], &["config", "user.name", "T"], &["config", "user.email", "t@example.com"]] {
            run(clean_command("git", world.home.path()).arg("-C").arg(world.path("gitops")).args(words));
        }
        world
    }

    fn path(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.path("secrets").join(name), text).unwrap();
    }

    /// A line of words, run at home as loudly as it can.
    fn command(&self, line: &str, variables: Variables) -> Command {
        let mut command = modelcar(self.home.path());
        command.current_dir(self.home.path()).env("TMPDIR", self.path("tmp")).envs(variables.iter().copied()).stdin(Stdio::null());
        command.args(line.split_whitespace()).arg("-vv");
        command
    }

    #[track_caller]
    fn run(&self, line: &str, variables: Variables, code: i32) -> String {
        let said = said(&self.command(line, variables).output().unwrap(), code, line);
        self.expect_none(&format!("the output of `{line}`"), said.as_bytes());
        said
    }

    /// Runs until the registry that `line` names is asked, and looks at the process while it waits there.
    #[track_caller]
    fn run_against(&self, stalled: &Stalled, line: &str, variables: Variables) {
        let line = line.replace("HOST", &stalled.host);
        let mut command = self.command(&line, variables);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let asked = stalled.asked.recv_timeout(Duration::from_secs(60));
        let cmdline = fs::read(format!("/proc/{}/cmdline", child.id())).unwrap();
        child.kill().unwrap();
        let output = child.wait_with_output().unwrap();
        assert!(asked.is_ok(), "`{line}` never asked: {}", String::from_utf8_lossy(&output.stderr));
        assert!(String::from_utf8_lossy(&cmdline).contains(&stalled.host), "this is another process: {cmdline:?}");
        self.expect_none(&format!("the process list during `{line}`"), &cmdline);
        self.expect_none(&format!("the output of `{line}`"), &[output.stdout, output.stderr].concat());
        self.expect_clean(self.home.path());
    }

    #[track_caller]
    fn expect_none(&self, place: &str, bytes: &[u8]) {
        // PEM breaks its lines anywhere
        let text = latin(bytes);
        let joined: String = text.lines().collect();
        for (what, forms) in &self.secrets {
            let found = forms.iter().find(|form| text.contains(*form) || joined.contains(*form));
            assert!(found.is_none(), "{what} is in {place}, as {found:?}");
        }
    }

    /// No secret in any file of a folder, nor in a name.
    #[track_caller]
    fn expect_clean(&self, folder: &Path) {
        for entry in walkdir::WalkDir::new(folder).into_iter().filter_entry(|entry| entry.path() != self.path("secrets")) {
            let entry = entry.unwrap();
            let place = entry.path().display().to_string();
            self.expect_none(&format!("the name {place}"), place.as_bytes());
            if entry.file_type().is_file() {
                self.expect_none(&place, &fs::read(entry.path()).unwrap());
            }
        }
    }

    #[track_caller]
    fn expect_no_leftovers(&self) {
        let left: Vec<_> = fs::read_dir(self.path("tmp")).unwrap().map(|entry| entry.unwrap().path()).collect();
        assert!(left.is_empty(), "{left:?}");
    }
}

/// Every secret, by what it is, in all the forms to look for.
fn secrets() -> Vec<(&'static str, Vec<String>)> {
    let key = plain_key();
    let der = STANDARD.decode(key.lines().filter(|line| !line.starts_with('-')).collect::<String>()).unwrap();
    // where a PKCS#8 key of P-256 has its number
    let number = &der[36..68];
    vec![
        ("the password in COSIGN_PASSWORD", forms(PASSWORD.as_bytes())),
        ("the password in a file", forms(FILE_PASSWORD.as_bytes())),
        ("the password in a folder", forms(FOLDER_PASSWORD.as_bytes())),
        ("the wrong password", forms(WRONG_PASSWORD.as_bytes())),
        ("the unencrypted key", forms(number)),
        ("the registry's password", forms(LOGIN.as_bytes())),
        ("the wrong password for the registry", forms(WRONG_LOGIN.as_bytes())),
        ("the model registry's token", forms(TOKEN.as_bytes())),
    ]
}

fn forms(secret: &[u8]) -> Vec<String> {
    let hex = hex(secret);
    // behind zero, one or two other bytes; what depends on the neighbours is cut off
    let base64 = (0..3).map(|shift| {
        let text = STANDARD.encode([&[0; 2][..shift], secret].concat());
        text[4 * shift.min(1)..text.len() / 4 * 4 - 4].to_owned()
    });
    [latin(secret), hex.to_uppercase(), hex].into_iter().chain(base64).collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().concat()
}

/// Bytes as characters of the same number, so that text and bytes are searched alike.
fn latin(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| char::from(*byte)).collect()
}

fn plain_key() -> String {
    fs::read_to_string(repo_root().join("testdata/keys/p256.key")).unwrap()
}

/// The key with the length at its beginning changed.
fn damaged(key: &str) -> String {
    key.replacen("\nMIG", "\nMIH", 1)
}

#[track_caller]
fn said(output: &Output, code: i32, line: &str) -> String {
    let said = [&output.stdout[..], &output.stderr].map(String::from_utf8_lossy).concat();
    assert_eq!(output.status.code(), Some(code), "{line}\n{said}");
    said
}

/// A registry that takes requests and never answers.
struct Stalled {
    host: String,
    asked: mpsc::Receiver<TcpStream>,
}

impl Stalled {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let host = listener.local_addr().unwrap().to_string();
        let (asking, asked) = mpsc::channel();
        std::thread::spawn(move || {
            for mut stream in listener.incoming().flatten() {
                let _ = stream.read(&mut [0; 4096]);
                if asking.send(stream).is_err() {
                    return;
                }
            }
        });
        Self { host, asked }
    }
}

/// A registry that answers everything in one way, and repeats the credentials it was sent.
fn answering(status: &'static str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let host = listener.local_addr().unwrap().to_string();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let mut request = [0; 4096];
            let read = stream.read(&mut request).unwrap_or_default();
            let lines = latin(&request[..read]);
            let sent = lines.lines().find(|line| line.to_lowercase().starts_with("authorization:")).unwrap_or("nothing");
            let body = serde_json::json!({"errors": [{"code": "X", "message": format!("you sent {sent}")}]}).to_string();
            let head = "WWW-Authenticate: Basic realm=\"x\"\r\nContent-Type: application/json\r\nConnection: close";
            let _ = write!(stream, "HTTP/1.1 {status}\r\n{head}\r\nContent-Length: {}\r\n\r\n{body}", body.len());
        }
    });
    host
}

/// Credentials for a registry, as podman keeps them.
fn login(host: &str, password: &str) -> String {
    serde_json::json!({"auths": {host: {"auth": STANDARD.encode(format!("ci+robot:{password}"))}}}).to_string()
}

const MODEL: &str = "testdata/models/iris/logreg_iris.onnx";
const ENCRYPTED: (&str, &str) = ("COSIGN_PASSWORD", PASSWORD);

/// Keys under each of the passwords, in `secrets`.
fn with_keys() -> World {
    let world = World::new();
    fs::create_dir_all(world.path("testdata/models/iris")).unwrap();
    fs::copy(repo_root().join(MODEL), world.path(MODEL)).unwrap();
    world.run("keygen --output-key-prefix secrets/a", &[ENCRYPTED], 0);
    world.run("keygen --output-key-prefix secrets/b --password-file secrets/file-password", &[], 0);
    fs::create_dir(world.path("secrets/mounted")).unwrap();
    world.run("keygen --output-key-prefix secrets/mounted/cosign", &[("COSIGN_PASSWORD", FOLDER_PASSWORD)], 0);
    world.write("mounted/cosign.password", FOLDER_PASSWORD);
    world
}

#[test]
fn what_succeeds_shows_no_secret() {
    let Some(registry) = Registry::start_with(&Setup { login: true, ..Setup::default() }) else { return };
    let world = with_keys();
    world.write("auth.json", &login(&registry.host, LOGIN));
    let key = plain_key();
    let plain = ("CANARY_KEY", key.as_str());
    let image = format!("{}/models/iris:v1", registry.host);
    let auth = "--authfile secrets/auth.json";
    let lines: [(&str, Variables); 9] = [
        ("build MODEL -t quay.io/o/iris:v1 -o oci:layout", &[]),
        ("sign oci:layout --key secrets/a.key", &[ENCRYPTED]),
        ("sign oci:layout --key secrets/b.key --password-file secrets/file-password", &[]),
        ("sign oci:layout --key secrets/mounted", &[]),
        ("sign oci:layout --key env://CANARY_KEY", &[plain]),
        ("verify oci:layout --key secrets/a.pub --key secrets/mounted", &[]),
        ("build MODEL --push -t IMAGE AUTH", &[]),
        ("sign IMAGE AUTH --key env://CANARY_KEY", &[plain]),
        ("ship MODEL IMAGE AUTH --key secrets/mounted --gitops gitops --site edge --name iris", &[]),
    ];
    for (line, variables) in lines {
        world.run(&line.replace("MODEL", MODEL).replace("IMAGE", &image).replace("AUTH", auth), variables, 0);
    }
    world.expect_clean(world.home.path());
    world.expect_clean(&registry.data());
    world.expect_none("the registry's log", registry.log().as_bytes());
    world.expect_no_leftovers();
}

#[test]
fn what_fails_shows_no_secret() {
    let Some(registry) = Registry::start_with(&Setup { login: true, ..Setup::default() }) else { return };
    let world = with_keys();
    let [refusing, denying, failing] = ["401 Unauthorized", "403 Forbidden", "500 Internal Server Error"].map(answering);
    let logins = [(&registry.host, WRONG_LOGIN), (&refusing, LOGIN), (&denying, LOGIN), (&failing, LOGIN)];
    for (number, (host, password)) in logins.iter().enumerate() {
        world.write(&format!("auth{number}.json"), &login(host, password));
    }
    world.run(&format!("build {MODEL} -t quay.io/o/iris:v1 -o oci:layout"), &[], 0);
    let (key, wrong) = (damaged(&plain_key()), ("COSIGN_PASSWORD", WRONG_PASSWORD));
    let lines: [(&str, Variables, &str); 8] = [
        ("sign oci:layout --key secrets/a.key", &[wrong], "wrong password"),
        ("sign oci:layout --key secrets/mounted", &[wrong], "wrong password"),
        ("sign oci:layout --key secrets/mounted --password-file secrets/file-password", &[], "wrong password"),
        ("sign oci:layout --key secrets/damaged.key", &[], "it is damaged"),
        ("sign oci:layout --key env://CANARY_KEY", &[("CANARY_KEY", &key)], "it is damaged"),
        ("sign oci:layout --key secrets/file-password", &[], "not a PEM file"),
        ("sign oci:layout --key env://COSIGN_PASSWORD", &[ENCRYPTED], "not a PEM file"),
        ("sign oci:layout --key secrets/a.pub --password-file secrets/a.key", &[], "PUBLIC KEY"),
    ];
    for (line, variables, reason) in lines {
        let said = world.run(line, variables, 1);
        assert!(said.contains(reason), "{line}: {said}");
    }
    for (number, (host, _)) in logins.iter().enumerate() {
        let output = world
            .command(&format!("sign {host}/o/iris:v1 --key secrets/mounted --authfile secrets/auth{number}.json"), &[])
            .output()
            .unwrap();
        assert!(!output.status.success());
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(**host == registry.host || said.contains("you sent"), "{said}");
        world.expect_none(&format!("the output for {host}"), &[output.stdout, output.stderr].concat());
    }
    world.expect_clean(world.home.path());
    world.expect_none("the registry's log", registry.log().as_bytes());
    world.expect_no_leftovers();
}

/// Registries that repeat in all their words what they were sent.
#[test]
fn a_token_for_a_model_registry_is_not_repeated() {
    let world = with_keys();
    world.write("token", TOKEN);
    world.write("two-tokens", &format!("{TOKEN} {TOKEN}"));
    world.run(&format!("build {MODEL} -t quay.io/o/iris:v1 -o oci:layout"), &[], 0);
    let register = "register oci:layout:quay.io/o/iris:v1 --registry-url";
    let variable = ("MODELCAR_MODEL_REGISTRY_TOKEN", TOKEN);
    for status in ["200 OK", "302 Found", "400 Bad Request", "401 Unauthorized", "403 Forbidden", "404 Not Found", "409 Conflict"] {
        let url = format!("http://{}", answering(status));
        world.run(&format!("{register} {url} --token-file secrets/token"), &[], 1);
        world.run(&format!("{register} {url}"), &[variable], 1);
    }
    world.run(&format!("{register} http://127.0.0.1:1 --token-file secrets/two-tokens"), &[], 1);
    world.run(&format!("{register} http://registry.invalid --tls-verify=false"), &[variable], 1);
    let stalled = Stalled::start();
    world.run_against(&stalled, &format!("{register} http://HOST --token-file secrets/token"), &[]);
    world.run_against(&stalled, &format!("{register} http://HOST"), &[variable]);
    // what a file of settings should not have, no message repeats
    fs::write(world.path("secrets/modelcar.toml"), format!("[model-registry]\ntoken = \"{TOKEN}\"\n")).unwrap();
    world.run("config", &[("MODELCAR_CONFIG", "secrets/modelcar.toml")], 2);
    fs::write(world.path("secrets/modelcar.toml"), format!("[gitops]\nurl = \"https://{TOKEN}@git.example.com/x\"\n")).unwrap();
    world.run("config", &[("MODELCAR_CONFIG", "secrets/modelcar.toml")], 2);
    world.expect_clean(world.home.path());
    world.expect_no_leftovers();
}

/// `--key env://$COSIGN_PRIVATE_KEY`: the shell has put the key on the command line already, so at least no log repeats it.
#[test]
fn a_key_on_the_command_line_is_not_repeated() {
    let world = World::new();
    for word in [plain_key(), format!("env://{}", plain_key()), format!("pkcs11:object=x?pin-value={PASSWORD}")] {
        let mut command = modelcar(world.home.path());
        let output = command.current_dir(world.home.path()).args(["sign", "oci:layout", "-vv", "--key", &word]).output().unwrap();
        let said = said(&output, 2, "sign");
        assert!(said.contains("hint:"), "{said}");
        world.expect_none("the output", said.as_bytes());
    }
}

#[test]
fn the_process_list_shows_no_secret() {
    let world = with_keys();
    let stalled = Stalled::start();
    world.write("auth.json", &login(&stalled.host, LOGIN));
    let key = plain_key();
    let plain = ("CANARY_KEY", key.as_str());
    let lines: [(&str, Variables); 5] = [
        ("sign HOST/o/iris:v1 --key secrets/a.key AUTH", &[ENCRYPTED]),
        ("sign HOST/o/iris:v1 --key env://CANARY_KEY AUTH", &[plain]),
        ("sign HOST/o/iris:v1 --key secrets/b.key --password-file secrets/file-password AUTH", &[]),
        ("verify HOST/o/iris:v1 --key secrets/mounted AUTH", &[]),
        ("ship MODEL HOST/o/iris:v1 AUTH --key secrets/mounted --gitops gitops --site edge --name iris", &[]),
    ];
    for (line, variables) in lines {
        world.run_against(&stalled, &line.replace("MODEL", MODEL).replace("AUTH", "--authfile secrets/auth.json"), variables);
    }
    world.run_against(&stalled, "login HOST -u ci --token-file secrets/file-password", &[]);
}

/// A search that finds nothing proves nothing unless it can find.
#[test]
fn the_search_finds_each_form() {
    let world = World::new();
    let secret = FILE_PASSWORD.as_bytes();
    for prefix in ["", "a", "ab", "user:"] {
        let encoded = STANDARD.encode([prefix.as_bytes(), secret, b"!?"].concat());
        for hidden in [encoded, format!("{prefix}{FILE_PASSWORD}"), hex(secret)] {
            let found = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| world.expect_none("a test", hidden.as_bytes())));
            assert!(found.is_err(), "{hidden} was not found");
        }
    }
    let found = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| world.expect_none("a test", plain_key().as_bytes())));
    assert!(found.is_err(), "the key was not found in its own file");
}
