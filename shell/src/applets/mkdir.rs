//! `mkdir [-p] DIR...`

use super::{Options, Outcome, failed, unsupported};
use crate::sys::{self, CText, Errno};

const PATH_MAX: usize = 4096;

pub fn run(arguments: &[CText]) -> Outcome {
    let options = Options::read(b"mkdir", b"p", arguments)?;
    if options.operands.is_empty() {
        return Err(unsupported(b"mkdir", b"no DIR"));
    }
    let make = if options.has(b'p') { with_parents } else { sys::make_directory };
    let mut status = 0;
    for path in options.operands {
        if let Err(errno) = make(*path) {
            status = failed(b"mkdir", path.bytes(), errno);
        }
    }
    Ok(status)
}

/// Makes `/a`, `/a/b`, `/a/b/c`; what exists as a directory is fine.
fn with_parents(path: CText) -> Result<(), Errno> {
    let mut buffer = [0; PATH_MAX];
    let bytes = path.bytes();
    buffer.get_mut(..bytes.len()).filter(|_| bytes.len() < PATH_MAX).ok_or(Errno::NAME_TOO_LONG)?.copy_from_slice(bytes);
    for end in 1..bytes.len() {
        if bytes[end] == b'/' && bytes[end - 1] != b'/' {
            buffer[end] = 0;
            unless_there(CText::from_bytes_with_nul(&buffer[..=end]))?;
            buffer[end] = b'/';
        }
    }
    unless_there(path)
}

/// Looks before it makes: on a read-only parent `mkdir` of an existing directory may say "read-only" instead of "exists".
fn unless_there(path: CText) -> Result<(), Errno> {
    if sys::is_directory(path) {
        return Ok(());
    }
    sys::make_directory(path)
}
