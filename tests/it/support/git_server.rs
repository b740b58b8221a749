//! Real Git servers on loopback: `git daemon`, `git http-backend` behind a small web server of our own, and OpenSSH's sshd.

use std::io::{BufRead as _, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};

use base64::Engine as _;

use super::{clean_command, run};

/// A program that ends with the test.
pub struct Server {
    child: Child,
    pub port: u16,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A port that nobody uses now.
pub fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

impl Server {
    fn start(mut command: Command, port: u16) -> Self {
        // In a group of its own, so that its children end with it.
        let child = command.process_group(0).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let mut server = Self { child, port };
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(server.child.try_wait().unwrap().is_none(), "{command:?} ended");
            std::thread::yield_now();
        }
        server
    }
}

/// `git daemon` for the repositories below a folder, which anybody may push to.
pub fn daemon(root: &Path) -> Server {
    let port = free_port();
    let mut command = clean_command("git", root);
    command.args(["daemon", "--reuseaddr", "--export-all", "--enable=receive-pack", "--listen=127.0.0.1"]);
    command.arg(format!("--port={port}")).arg(format!("--base-path={}", root.display()));
    Server::start(command, port)
}

/// OpenSSH's server for the user that runs the tests, with keys of its own.
pub struct Ssh {
    pub server: Server,
    pub key: PathBuf,
    pub other_key: PathBuf,
    pub known_hosts: PathBuf,
    user: String,
}

impl Ssh {
    /// Keeps the server's files in one new folder, and the client's in one whose name wants quoting.
    pub fn start(sshd: &Path, root: &Path) -> Self {
        let port = free_port();
        let (folder, home) = (&root.join("sshd"), &root.join("it's 100% ssh"));
        for folder in [folder, home] {
            std::fs::create_dir(folder).unwrap();
        }
        let keys = [folder.join("host"), home.join("client"), home.join("other")];
        for key in &keys {
            run(clean_command("ssh-keygen", folder).args(["-q", "-t", "ed25519", "-N", "", "-f"]).arg(key));
        }
        let [host, key, other_key] = keys;
        let public = |key: &Path| std::fs::read_to_string(key.with_extension("pub")).unwrap();
        let (authorized, known_hosts, config) = (folder.join("authorized"), home.join("known hosts"), folder.join("config"));
        std::fs::write(&authorized, public(&key)).unwrap();
        std::fs::write(&known_hosts, format!("[127.0.0.1]:{port} {}", public(&host))).unwrap();
        let lines = [
            format!("Port {port}\nListenAddress 127.0.0.1\nHostKey {}\nAuthorizedKeysFile {}", host.display(), authorized.display()),
            "StrictModes no\nUsePAM no\nPasswordAuthentication no\nPermitRootLogin prohibit-password\nPidFile none\n".to_owned(),
        ];
        std::fs::write(&config, lines.join("\n")).unwrap();
        // Where it runs as root it wants this folder, which a service would have made.
        let _ = std::fs::create_dir_all("/run/sshd");
        let mut command = clean_command(sshd, folder);
        command.args(["-D", "-e", "-f"]).arg(&config);
        let user = String::from_utf8(run(clean_command("id", folder).arg("-un")).stdout).unwrap().trim().to_owned();
        Self { server: Server::start(command, port), key, other_key, known_hosts, user }
    }

    pub fn url(&self, path: &Path) -> String {
        format!("ssh://{}@127.0.0.1:{}{}", self.user, self.server.port, path.display())
    }
}

/// What a request to [`Http`] was.
#[derive(Clone, Debug, Default)]
pub struct Asked {
    pub method: String,
    /// With the query.
    pub path: String,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Asked {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }
}

type Answers = dyn Fn(&Asked) -> Vec<u8> + Send + Sync;

/// A web server whose answers are made by a function; what it was asked is kept.
pub struct Http {
    pub port: u16,
    pub asked: Arc<Mutex<Vec<Asked>>>,
}

impl Http {
    pub fn start(answer: impl Fn(&Asked) -> Vec<u8> + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let (asked, answer): (Arc<Mutex<Vec<Asked>>>, Arc<Answers>) = (Arc::default(), Arc::new(answer));
        let kept = Arc::clone(&asked);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let (kept, answer) = (Arc::clone(&kept), Arc::clone(&answer));
                std::thread::spawn(move || {
                    let Some((asked, mut stream)) = stream.ok().and_then(read_request) else { return };
                    kept.lock().unwrap().push(asked.clone());
                    let _ = stream.write_all(&answer(&asked));
                });
            }
        });
        Self { port, asked }
    }

    /// `git http-backend` for the repositories below a folder, for everybody who knows the token.
    pub fn git(root: &Path, token: &str) -> Self {
        let (root, token) = (root.to_owned(), token.to_owned());
        Self::start(move |asked| if has_token(asked, &token) { backend(&root, asked) } else { login_wanted() })
    }
}

/// An answer with a body; the connection ends with it.
pub fn answer(status: &str, headers: &str, body: &[u8]) -> Vec<u8> {
    let mut answer = format!("HTTP/1.1 {status}\r\nConnection: close\r\nContent-Length: {}\r\n{headers}\r\n", body.len()).into_bytes();
    answer.extend_from_slice(body);
    answer
}

fn login_wanted() -> Vec<u8> {
    answer("401 Unauthorized", "WWW-Authenticate: Basic realm=\"git\"\r\n", b"")
}

fn has_token(asked: &Asked, token: &str) -> bool {
    let basic = asked.header("authorization").and_then(|header| header.strip_prefix("Basic "));
    let login = basic.and_then(|text| base64::engine::general_purpose::STANDARD.decode(text).ok());
    login.and_then(|login| String::from_utf8(login).ok()).is_some_and(|login| login.split_once(':').is_some_and(|(_, word)| word == token))
}

/// The CGI of git-http-backend(1).
fn backend(root: &Path, asked: &Asked) -> Vec<u8> {
    let (path, query) = asked.path.split_once('?').unwrap_or((&asked.path, ""));
    let mut command = clean_command("git", root);
    command.arg("http-backend").env("GIT_PROJECT_ROOT", root).env("GIT_HTTP_EXPORT_ALL", "1").env("REMOTE_USER", "robot");
    command.env("REQUEST_METHOD", &asked.method).env("PATH_INFO", path).env("QUERY_STRING", query);
    command.env("CONTENT_LENGTH", asked.body.len().to_string());
    for (header, variable) in
        [("content-type", "CONTENT_TYPE"), ("content-encoding", "HTTP_CONTENT_ENCODING"), ("git-protocol", "GIT_PROTOCOL")]
    {
        command.envs(asked.header(header).map(|value| (variable, value)));
    }
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let (mut input, body) = (child.stdin.take().unwrap(), asked.body.clone());
    let feeding = std::thread::spawn(move || input.write_all(&body));
    let output = child.wait_with_output().unwrap().stdout;
    let _ = feeding.join();
    let end = output.windows(4).position(|four| four == b"\r\n\r\n").unwrap_or(output.len().saturating_sub(4));
    let headers = String::from_utf8_lossy(&output[..end]).into_owned() + "\r\n";
    let status = headers.lines().find_map(|line| line.strip_prefix("Status: ")).unwrap_or("200 OK").to_owned();
    answer(&status, &headers, &output[(end + 4).min(output.len())..])
}

fn read_request(stream: TcpStream) -> Option<(Asked, TcpStream)> {
    let mut reader = BufReader::new(stream);
    let mut asked = Asked::default();
    let mut line = String::new();
    reader.read_line(&mut line).ok()?;
    let mut words = line.split_whitespace().map(str::to_owned);
    (asked.method, asked.path) = (words.next()?, words.next()?);
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        let Some((name, value)) = line.trim_end().split_once(": ") else { break };
        asked.headers.push((name.to_ascii_lowercase(), value.to_owned()));
    }
    if asked.header("expect").is_some() {
        reader.get_mut().write_all(b"HTTP/1.1 100 Continue\r\n\r\n").ok()?;
    }
    if asked.header("transfer-encoding").is_some() {
        read_chunks(&mut reader, &mut asked.body)?;
    } else {
        let length = asked.header("content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
        reader.by_ref().take(length).read_to_end(&mut asked.body).ok()?;
    }
    Some((asked, reader.into_inner()))
}

fn read_chunks(reader: &mut BufReader<TcpStream>, body: &mut Vec<u8>) -> Option<()> {
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        let size = u64::from_str_radix(line.trim(), 16).ok()?;
        reader.by_ref().take(size).read_to_end(body).ok()?;
        reader.read_line(&mut line).ok()?;
        if size == 0 {
            return Some(());
        }
    }
}
