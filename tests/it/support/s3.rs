//! A real S3 server over a folder: versitygw, which checks every signature. Objects are put by curl, which signs with code of its own.

use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::{need, run};

pub const KEY: &str = "AKIATESTTESTTEST";
pub const SECRET: &str = "wJalr/TEST+TEST";
pub const BUCKET: &str = "models";

pub struct S3 {
    /// `127.0.0.1:PORT`
    pub host: String,
    child: Child,
    dir: tempfile::TempDir,
}

impl S3 {
    /// A server with an empty bucket. `None` where the peer is missing.
    pub fn start() -> Option<Self> {
        let (program, _) = (need("versitygw")?, need("curl")?);
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join(BUCKET)).unwrap();
        for _ in 0..5 {
            if let Some((host, child)) = launch(&program, dir.path()) {
                return Some(Self { host, child, dir });
            }
        }
        panic!("versitygw does not start");
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.host)
    }

    /// Where the bucket's objects are.
    pub fn folder(&self) -> PathBuf {
        self.dir.path().join(BUCKET)
    }

    /// Puts an object; curl encodes nothing, so the key is given as it stands in an address.
    pub fn put(&self, key: &str, content: &[u8], headers: &[&str]) {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), content).unwrap();
        let mut curl = Command::new(need("curl").unwrap());
        curl.args(["-sS", "--fail-with-body", "--aws-sigv4", "aws:amz:us-east-1:s3", "--user", &format!("{KEY}:{SECRET}"), "-T"]);
        curl.arg(file.path()).arg("-H").arg(format!("x-amz-content-sha256: {}", modelcar::oci::Digest::of(content).hex()));
        curl.args(headers.iter().flat_map(|header| ["-H", header])).arg(format!("{}/{BUCKET}/{key}", self.url()));
        run(&mut curl);
    }
}

impl Drop for S3 {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn launch(program: &Path, dir: &Path) -> Option<(String, Child)> {
    // another process may take the free port first
    let host = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    let mut command = Command::new(program);
    command.env("ROOT_ACCESS_KEY", KEY).env("ROOT_SECRET_KEY", SECRET).args(["--quiet", "--port", &host, "posix"]).arg(dir);
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
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
