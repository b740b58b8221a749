//! `ls [-A] [PATH]`: sorted by bytes, one name per line.

use super::{Options, Outcome, done, failed, unsupported};
use crate::say;
use crate::sys::{self, CText, Errno, directory::Directory};

/// Most bytes of names in one listing.
pub const NAME_BYTES: usize = 192 * 1024;
/// Most names in one listing.
const MAX_NAMES: usize = 8 * 1024;

/// Whether names that begin with a dot are listed (`-A`). `.` and `..` never are.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Hidden {
    Shown,
    Left,
}

/// A listing; each name is kept with its newline so that it is written in one system call.
pub struct Names {
    bytes: [u8; NAME_BYTES],
    used: usize,
    /// Start and end of each line in `bytes`.
    lines: [(u32, u32); MAX_NAMES],
    count: usize,
}

impl Names {
    pub const fn new() -> Self {
        Self { bytes: [0; NAME_BYTES], used: 0, lines: [(0, 0); MAX_NAMES], count: 0 }
    }

    /// The lines in order, each with its newline.
    pub fn lines(&self) -> impl Iterator<Item = &[u8]> {
        self.lines[..self.count].iter().map(move |line| line_of(&self.bytes, *line))
    }

    fn clear(&mut self) {
        self.used = 0;
        self.count = 0;
    }

    /// `None` when the listing is full.
    #[allow(clippy::cast_possible_truncation)] // NAME_BYTES fits 32 bits
    fn add(&mut self, name: &[u8]) -> Option<()> {
        let end = self.used + name.len() + 1;
        let (newline, text) = self.bytes.get_mut(self.used..end)?.split_last_mut()?;
        let line = self.lines.get_mut(self.count)?;
        text.copy_from_slice(name);
        *newline = b'\n';
        *line = (self.used as u32, end as u32);
        self.used = end;
        self.count += 1;
        Some(())
    }

    fn sort(&mut self) {
        let bytes = &self.bytes;
        self.lines[..self.count].sort_unstable_by(|left, right| name_of(bytes, *left).cmp(name_of(bytes, *right)));
    }
}

fn line_of(bytes: &[u8], (start, end): (u32, u32)) -> &[u8] {
    &bytes[start as usize..end as usize]
}

fn name_of(bytes: &[u8], line: (u32, u32)) -> &[u8] {
    line_of(bytes, line).split_last().map_or(b"", |(_, name)| name)
}

pub fn run(arguments: &[CText], names: &mut Names) -> Outcome {
    let options = Options::read(b"ls", b"A", arguments)?;
    let hidden = if options.has(b'A') { Hidden::Shown } else { Hidden::Left };
    let path = match options.operands {
        [] => CText::from_bytes_with_nul(b".\0"),
        [path] => *path,
        _ => return Err(unsupported(b"ls", b"more than one path")),
    };
    let status = list(path, hidden, names);
    Ok(status.max(print(names)))
}

fn print(names: &Names) -> u8 {
    names.lines().map(|line| done(say::out(line))).find(|status| *status != 0).unwrap_or(0)
}

/// Fills `names` with what is in `path`; what went wrong is said, and the status is then 1.
pub fn list(path: CText, hidden: Hidden, names: &mut Names) -> u8 {
    names.clear();
    let status = match fill(path, hidden, names) {
        Ok(Some(())) => 0,
        // The names that fit are still listed: `[ "$(ls -A DIR)" ]` is right about them.
        Ok(None) => {
            say::error(&[b"ls: ", path.bytes(), b": more names than fit into memory, the listing is cut"]);
            1
        }
        Err(errno) => failed(b"ls", path.bytes(), errno),
    };
    names.sort();
    status
}

fn fill(path: CText, hidden: Hidden, names: &mut Names) -> Result<Option<()>, Errno> {
    let mut directory = match Directory::open(path) {
        Err(Errno::NOT_A_DIRECTORY) if sys::exists(path) => return Ok(names.add(path.bytes())),
        opened => opened?,
    };
    while let Some(name) = directory.next_name()? {
        let is_listed = !matches!(name, b"." | b"..") && (hidden == Hidden::Shown || name.first() != Some(&b'.'));
        if is_listed && names.add(name).is_none() {
            return Ok(None);
        }
    }
    Ok(Some(()))
}
