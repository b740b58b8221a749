//! Words to arguments: quotes removed, `$$` and `"$(ls -A DIR)"` replaced.

use crate::applets::{Stop, abort, ls, ls::Names};
use crate::say::Decimal;
use crate::script::{MAX_SCRIPT, MAX_WORDS, Piece, Pieces};
use crate::sys::{self, CText};

/// Room for one full listing, the rest of the script, and a DIR word kept apart while it is listed.
const CAPACITY: usize = ls::NAME_BYTES + 2 * MAX_SCRIPT;

/// The arguments of the command about to run, each with the NUL that system calls want.
pub struct Arguments {
    bytes: [u8; CAPACITY],
    used: usize,
    /// Offset after each argument's NUL.
    ends: [usize; MAX_WORDS],
    count: usize,
}

impl Arguments {
    pub const fn new() -> Self {
        Self { bytes: [0; CAPACITY], used: 0, ends: [0; MAX_WORDS], count: 0 }
    }

    pub fn clear(&mut self) {
        self.used = 0;
        self.count = 0;
    }

    /// Fills `list` and returns how many arguments there are.
    pub fn list<'a>(&'a self, list: &mut [CText<'a>; MAX_WORDS]) -> usize {
        let mut from = 0;
        for (slot, end) in list.iter_mut().zip(&self.ends[..self.count]) {
            *slot = CText::from_bytes_with_nul(&self.bytes[from..*end]);
            from = *end;
        }
        self.count
    }

    fn push(&mut self, text: &[u8]) -> Result<(), Stop> {
        match self.bytes.get_mut(self.used..self.used + text.len()) {
            Some(slot) => slot.copy_from_slice(text),
            None => return Err(abort(2, &[b"the command's arguments do not fit into memory"])),
        }
        self.used += text.len();
        Ok(())
    }

    fn end_argument(&mut self) -> Result<(), Stop> {
        self.push(b"\0")?;
        self.ends[self.count] = self.used;
        self.count += 1;
        Ok(())
    }

    fn pop_newlines(&mut self, down_to: usize) {
        while self.used > down_to && self.bytes[self.used - 1] == b'\n' {
            self.used -= 1;
        }
    }
}

/// Appends what `word` stands for as one argument.
pub fn word(word: &[u8], arguments: &mut Arguments, names: &mut Names) -> Result<(), Stop> {
    pieces(word, arguments, names)?;
    arguments.end_argument()
}

fn pieces(word: &[u8], arguments: &mut Arguments, names: &mut Names) -> Result<(), Stop> {
    let mut pieces = Pieces::new(word, 0);
    // The lexer has walked this text already, so it refuses nothing here.
    while let Ok(Some(piece)) = pieces.next_piece() {
        match piece {
            Piece::Text(text) => arguments.push(text)?,
            Piece::Pid => arguments.push(Decimal::new(sys::pid()).digits())?,
            Piece::Listing(directory) => listing(directory, arguments, names)?,
        }
    }
    Ok(())
}

/// As POSIX has it: one line per name, trailing newlines gone, a failed `ls` says so and leaves what it listed.
fn listing(directory: &[u8], arguments: &mut Arguments, names: &mut Names) -> Result<(), Stop> {
    let start = arguments.used;
    pieces(directory, arguments, names)?;
    arguments.push(b"\0")?;
    ls::list(CText::from_bytes_with_nul(&arguments.bytes[start..arguments.used]), ls::Hidden::Shown, names);
    arguments.used = start;
    for name in names.lines() {
        arguments.push(name)?;
    }
    arguments.pop_newlines(start);
    Ok(())
}
