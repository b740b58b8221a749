//! Python pickles, read without running them.
//!
//! A pickle is a program for a small machine: it imports what it names and calls it. So whoever packs one is told what it imports, and
//! every pickle is a finding. What is not in the table of things that models need is shown; what could run, load or send
//! something, or is hidden in any way, is a graver one.
//!
//! ```text
//! bytes ─► Input ─► Opcode ─► Machine (stack, memo) ─► Imports ─► policy ─► findings
//! ```
//!
//! Nothing here gives a clean bill: a pickle of harmless names may still do harm. It tells what must not be overlooked.

mod arrays;
mod error;
mod file;
mod imports;
mod input;
mod literals;
mod machine;
mod members;
mod memo;
mod names;
mod opcode;
mod policy;
mod report;
mod scan;
mod tensors;
#[cfg(test)]
pub(in crate::model) mod testing;
mod values;

pub use error::{Defect, PickleError};
pub(in crate::model) use file::{Carrier, carrier, scan_carried, scan_start, scan_stream, start, uncompressed};
pub use imports::{Import, Imports};
pub(in crate::model) use report::{file_findings, findings, opaque};
pub(in crate::model) use scan::MAX_OPCODES;
pub use scan::{Root, Scan};
pub use tensors::Tensors;

use std::io::{Read, Seek};

/// Whether a file that starts so is a pickle of protocol 2 or newer: the protocol, and an opcode behind it.
pub(in crate::model) fn is_pickle(start: &[u8]) -> bool {
    matches!(start, [0x80, 0..=5, opcode, ..] if opcode::Opcode::of(*opcode).is_some())
}

/// Reads all pickles that stand in `file`.
///
/// # Errors
/// Only where `file` cannot be sought in; what is wrong with the pickles is in [`Scan::defect`].
pub fn scan(file: impl Read + Seek) -> std::io::Result<Scan> {
    Ok(Scan::of(&mut input::Input::new(input::Window::rest_of(file)?)))
}

/// Reads all pickles of `file`, which may be compressed as joblib does it, or have numpy's header or PyTorch's storages around them. None where
/// there are none, or none that can be looked into.
///
/// # Errors
/// Only where `file` cannot be read at all.
pub fn scan_file(mut file: impl Read + Seek) -> std::io::Result<Option<Scan>> {
    let carrier = carrier(&mut file)?;
    scan_carried(carrier, file)
}

#[cfg(test)]
mod tests;
