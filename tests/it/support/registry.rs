//! A real registry: Debian's docker-registry on a loopback port of its own, with its storage in a temp folder.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use super::{need, temp_dir};

/// A running registry; it ends with this value.
pub struct Registry {
    process: Child,
    address: String,
    dir: tempfile::TempDir,
}

impl Registry {
    /// An empty registry that lets everybody in; `None`, said on stderr, where docker-registry is not installed.
    pub fn start() -> Option<Self> {
        Self::start_with("")
    }

    /// The same, with more lines of configuration.
    pub fn start_with(config: &str) -> Option<Self> {
        let program = need("docker-registry")?;
        let dir = temp_dir();
        let storage = dir.path().join("storage");
        let file = dir.path().join("config.yml");
        let text = format!(
            "version: 0.1\nlog: {{level: info}}\nstorage: {{filesystem: {{rootdirectory: {}}}, delete: {{enabled: true}}}}\nhttp: {{addr: \"127.0.0.1:0\"}}\n{config}",
            storage.display()
        );
        std::fs::write(&file, text).unwrap();
        let mut process = Command::new(program)
            .arg("serve")
            .arg(&file)
            .env("OTEL_TRACES_EXPORTER", "none")
            .stderr(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let mut log = BufReader::new(process.stderr.take().unwrap()).lines();
        let address = log.find_map(|line| listening(&line.unwrap())).expect("docker-registry tells where it listens");
        // Its log must be read on, or it stops when the pipe is full.
        std::thread::spawn(move || log.for_each(drop));
        Some(Self { process, address, dir })
    }

    /// `127.0.0.1:PORT`.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// The registry's folder.
    pub fn dir(&self) -> &std::path::Path {
        self.dir.path()
    }
}

/// `msg="listening on 127.0.0.1:41233"`.
fn listening(line: &str) -> Option<String> {
    let rest = line.split_once("listening on ")?.1;
    Some(rest.split(['"', ',', ' ']).next()?.to_owned())
}

impl Drop for Registry {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
