//! A real registry: Debian's `docker-registry` on a free loopback port, with its store in a temporary directory.

use std::fmt::Write as _;
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::need;

/// The one user of a registry with a log-in.
pub(crate) const USER: &str = "ci+robot";
/// Its password.
pub(crate) const PASSWORD: &str = "correct horse";

/// A running registry; it ends and its data goes when this is dropped.
pub(crate) struct Registry {
    /// `127.0.0.1:PORT`
    pub(crate) host: String,
    child: Child,
    dir: tempfile::TempDir,
    store: PathBuf,
}

/// How a registry is to be set up.
#[derive(Default)]
pub(crate) struct Setup {
    /// Wants [`USER`] and [`PASSWORD`] by Basic authentication.
    pub(crate) login: bool,
    /// Speaks TLS with a certificate of [`Registry::ca_file`].
    pub(crate) tls: bool,
    /// Further lines of the section `http:` in its configuration, after `tls:` where that is wanted.
    pub(crate) http: String,
    /// Further sections of its configuration.
    pub(crate) sections: String,
    /// Keeps what is pushed in this folder, which outlives it.
    pub(crate) store: Option<PathBuf>,
    /// Takes nothing.
    pub(crate) read_only: bool,
    /// Which registry it is.
    pub(crate) kind: Kind,
}

/// The registries there are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Debian's `docker-registry`: distribution 2.8.
    #[default]
    Debian,
    /// distribution 3, see `tests/peers/go.sh`.
    Distribution3,
}

impl Kind {
    fn program(self) -> &'static str {
        match self {
            Self::Debian => "docker-registry",
            Self::Distribution3 => "distribution",
        }
    }
}

impl Registry {
    /// A registry that everybody may write to, over HTTP. `None` where the peer is missing.
    pub(crate) fn start() -> Option<Self> {
        Self::start_with(&Setup::default())
    }

    /// The same, set up otherwise.
    pub(crate) fn start_with(setup: &Setup) -> Option<Self> {
        let program = need(setup.kind.program())?;
        let dir = tempfile::tempdir().unwrap();
        let store = setup.store.clone().unwrap_or_else(|| dir.path().join("data"));
        let mut extra = String::new();
        if setup.login {
            write_htpasswd(&need("htpasswd")?, dir.path());
            write!(extra, "auth:\n  htpasswd:\n    realm: test\n    path: {}\n", dir.path().join("htpasswd").display()).unwrap();
        }
        let mut http = String::new();
        if setup.tls {
            write_certificates(&need("openssl")?, dir.path());
            let file = |name: &str| dir.path().join(name).display().to_string();
            write!(http, "  tls:\n    certificate: {}\n    key: {}\n", file("server.pem"), file("server.key")).unwrap();
        }
        http.push_str(&setup.http);
        extra.push_str(&setup.sections);
        let mut storage = format!("  filesystem:\n    rootdirectory: {}\n  delete:\n    enabled: true\n", store.display());
        if setup.read_only {
            storage.push_str("  maintenance:\n    readonly:\n      enabled: true\n");
        }
        // another process may take the free port first
        for _ in 0..5 {
            if let Some((host, child)) = launch(&program, dir.path(), &storage, &http, &extra) {
                return Some(Self { host, child, dir, store });
            }
        }
        panic!("{} does not start: {}", program.display(), log(dir.path()));
    }

    /// The certificate of the authority behind a registry with TLS.
    pub(crate) fn ca_file(&self) -> PathBuf {
        self.dir.path().join("ca.pem")
    }

    /// A credential file, as podman writes it, with the log-in of this registry.
    pub(crate) fn authfile(&self) -> PathBuf {
        let file = self.dir.path().join("auth.json");
        let json = serde_json::json!({"auths": {&self.host: {"username": USER, "password": PASSWORD}}});
        std::fs::write(&file, json.to_string()).unwrap();
        file
    }

    /// Where the registry keeps what was pushed.
    pub(crate) fn data(&self) -> PathBuf {
        self.store.clone()
    }

    /// The registry's log so far: one line per request, in Apache's format.
    pub(crate) fn log(&self) -> String {
        log(self.dir.path())
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn launch(program: &Path, dir: &Path, storage: &str, http: &str, extra: &str) -> Option<(String, Child)> {
    let host = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    let config = format!(
        "version: 0.1\nlog:\n  level: warn\n  accesslog:\n    disabled: false\nstorage:\n{storage}http:\n  addr: {host}\n{http}{extra}"
    );
    let file = dir.join("config.yml");
    std::fs::write(&file, config).unwrap();
    let output = std::fs::File::create(dir.join("log")).unwrap();
    let mut command = Command::new(program);
    // variables such as REGISTRY_STORAGE of whoever runs the tests would change the configuration
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("REGISTRY_")) {
        command.env_remove(name);
    }
    let mut child =
        command.arg("serve").arg(&file).stdin(Stdio::null()).stdout(output.try_clone().unwrap()).stderr(output).spawn().unwrap();
    let deadline = Instant::now() + Duration::from_secs(60);
    while Instant::now() < deadline && child.try_wait().unwrap().is_none() {
        if TcpStream::connect(&host).is_ok() {
            return Some((host, child));
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    let _ = child.kill();
    let _ = child.wait();
    None
}

fn log(dir: &Path) -> String {
    std::fs::read_to_string(dir.join("log")).unwrap_or_default()
}

fn write_htpasswd(htpasswd: &Path, dir: &Path) {
    let output = Command::new(htpasswd).args(["-Bbn", USER, PASSWORD]).output().unwrap();
    assert!(output.status.success());
    std::fs::write(dir.join("htpasswd"), output.stdout).unwrap();
}

/// An authority and a certificate of it for 127.0.0.1 and for names below `modelcar.test`.
pub(crate) fn write_certificates(openssl: &Path, dir: &Path) {
    std::fs::write(dir.join("extensions"), "subjectAltName=IP:127.0.0.1,DNS:localhost,DNS:*.modelcar.test\nbasicConstraints=CA:FALSE\n")
        .unwrap();
    for arguments in [
        "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=test-ca -keyout ca.key -out ca.pem",
        "req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=test-registry -keyout server.key -out server.csr",
        "x509 -req -in server.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 -extfile extensions -out server.pem",
    ] {
        let output = Command::new(openssl).args(arguments.split(' ')).current_dir(dir).output().unwrap();
        assert!(output.status.success(), "openssl {arguments}: {}", String::from_utf8_lossy(&output.stderr));
    }
}
