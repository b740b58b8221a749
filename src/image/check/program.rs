//! A command of the image: where `PATH` finds it, and whether the kernel would run it there.

use std::collections::BTreeMap;

use super::elf::Program;
use super::permissions::{allows, reachable};
use super::subject::Image;
use crate::image::listing::{Kind, content};
use crate::image::{ImageError, shell};
use crate::store::Store;

/// What engines set where an image sets nothing.
const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
/// As much of a program as is read, in bytes: all of a shell.
const MAX_PROGRAM: u64 = 4 << 20;

/// The programs of an image.
pub(super) struct Programs<'a> {
    store: &'a dyn Store,
    image: &'a Image,
    known: BTreeMap<String, Result<Family, String>>,
}

/// What kind of program a file is, as far as a shell script cares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Family {
    /// Modelcar's own shell: it has KServe's commands built in.
    Own,
    /// Busybox: `[` and `echo` are built in, and the other commands may be.
    Busybox,
    /// A shell that is known: `[` and `echo` are built in.
    Shell,
    /// Anything else.
    Other,
}

/// A command that was looked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Command {
    /// It runs; the true path and what it is.
    Runs(String, Family),
    /// A file is there, and the kernel refuses it.
    Broken(String),
    /// Nothing on `PATH` has that name.
    Missing,
}

impl<'a> Programs<'a> {
    pub(super) fn new(store: &'a dyn Store, image: &'a Image) -> Self {
        Self { store, image, known: BTreeMap::new() }
    }

    /// The image's `PATH`.
    pub(super) fn path(&self) -> &'a str {
        let env = self.image.config.as_ref().map(|config| config.config.env.as_slice()).unwrap_or_default();
        env.iter().find_map(|variable| variable.strip_prefix("PATH=")).unwrap_or(DEFAULT_PATH)
    }

    /// Looks for a command as `execvp` does: the first file that may be executed; else why one may not.
    pub(super) fn find(&mut self, name: &str) -> Result<Command, ImageError> {
        let mut broken = Command::Missing;
        for folder in self.path().split(':').take(64) {
            let Some(path) = self.image.rootfs.resolve(&format!("{folder}/{name}")) else { continue };
            match self.examine(&path)? {
                Ok(family) => return Ok(Command::Runs(format!("/{path}"), family)),
                Err(reason) => broken = Command::Broken(reason),
            }
        }
        Ok(broken)
    }

    fn examine(&mut self, path: &str) -> Result<Result<Family, String>, ImageError> {
        if let Some(known) = self.known.get(path) {
            return Ok(known.clone());
        }
        let examined = self.open(path)?;
        self.known.insert(path.to_owned(), examined.clone());
        Ok(examined)
    }

    fn open(&self, path: &str) -> Result<Result<Family, String>, ImageError> {
        let Some(node) = self.image.rootfs.get(path).filter(|node| node.entry.kind == Kind::File) else {
            return Ok(Err(format!("/{path} is not a file")));
        };
        if !allows(&node.entry, 1) || !reachable(&self.image.rootfs, path) {
            return Ok(Err(format!("/{path} ({:04o}) may not be executed by every user", node.entry.mode)));
        }
        let Some(layer) = self.image.manifest.layers.get(node.entry.layer) else { return Ok(Err(format!("/{path} is in no layer"))) };
        let bytes = content(self.store, layer, &node.entry, MAX_PROGRAM)?;
        Ok(self.would_run(path, &bytes).map(|()| family(path, &bytes)))
    }

    /// Whether the kernel of the platform starts it.
    fn would_run(&self, path: &str, bytes: &[u8]) -> Result<(), String> {
        let is_file = |path: &str| {
            self.image
                .rootfs
                .resolve(path)
                .is_some_and(|path| self.image.rootfs.get(&path).is_some_and(|node| node.entry.kind == Kind::File))
        };
        match Program::of(bytes) {
            Program::Elf { machine, .. } if machine != self.image.architecture => {
                Err(format!("/{path} is for {machine}, not for {}", self.image.architecture))
            }
            Program::Elf { interpreter: Some(loader), .. } if !is_file(&loader) => {
                Err(format!("/{path} needs the loader {loader}, which is not in the image"))
            }
            Program::Script(interpreter) if !is_file(&interpreter) => {
                Err(format!("/{path} is a script for {interpreter}, which is not in the image"))
            }
            Program::Unknown => Err(format!("/{path} is neither an ELF program nor a script")),
            _ => Ok(()),
        }
    }
}

/// By its content where that tells (busybox answers to many names), else by its name.
fn family(path: &str, bytes: &[u8]) -> Family {
    const SHELLS: [&str; 9] = ["bash", "dash", "ash", "ksh", "mksh", "zsh", "yash", "hush", "toybox"];
    let name = path.rsplit('/').next().unwrap_or(path);
    if shell::is_own(bytes) {
        Family::Own
    } else if bytes.windows(9).any(|window| window == b"BusyBox v") {
        Family::Busybox
    } else if SHELLS.contains(&name) {
        Family::Shell
    } else {
        Family::Other
    }
}
