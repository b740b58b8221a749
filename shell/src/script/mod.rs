//! Text to tree: what a script says, decided before anything of it runs. Pure: no system call, no memory but its own.
//!
//! The grammar (a subset of the POSIX shell, section 2.10, with the same meaning):
//!
//! ```text
//! script  = [ list ]
//! list    = unit { ( "&&" | "||" ) unit }          left to right, equal precedence
//! unit    = [ "!" ] ( "(" list ")" | command )
//! command = NAME { word }                          NAME one of [ echo exit ln ls mkdir sleep
//! word    = { plain | \c | 'text' | $$ | " { plain | \c | $$ | $(ls -A word) } " }
//! ```
//!
//! Whatever is outside is a [`Refusal`] that names it: a script that would run half is worse than one that does not start.

mod lexer;
mod parser;
mod word;

pub use parser::{Node, NodeId, Tree, parse};
pub use word::{Piece, Pieces};

/// Longest script in bytes; KServe's longest (the init check with an image name) is below 700.
pub const MAX_SCRIPT: usize = 16 * 1024;
/// Most words in one script, and most arguments of one command.
pub const MAX_WORDS: usize = 128;
/// Most commands, operators and parentheses in one script.
pub const MAX_NODES: usize = 64;
/// Deepest nesting of parentheses.
pub const MAX_DEPTH: usize = 16;

/// The commands of the grammar.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Applet {
    /// `[ … ]`
    Condition,
    Echo,
    Exit,
    Ln,
    Ls,
    Mkdir,
    Sleep,
}

impl Applet {
    /// The command of that name.
    pub fn named(name: &[u8]) -> Option<Self> {
        match name {
            b"[" => Some(Self::Condition),
            b"echo" => Some(Self::Echo),
            b"exit" => Some(Self::Exit),
            b"ln" => Some(Self::Ln),
            b"ls" => Some(Self::Ls),
            b"mkdir" => Some(Self::Mkdir),
            b"sleep" => Some(Self::Sleep),
            _ => None,
        }
    }
}

/// Why a script does not start.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Refusal<'s> {
    /// Shell language, or a command, that this shell does not have; `at` is the byte offset in the script.
    Unsupported { what: &'s [u8], at: usize },
    /// No shell could read it.
    Syntax { problem: &'static str, at: usize },
    /// Larger than the fixed buffers.
    TooLarge { problem: &'static str },
}

impl Refusal<'_> {
    /// Exit status as POSIX shells use it: 127 command not found, 2 syntax error.
    pub fn status(&self) -> u8 {
        match self {
            Self::Unsupported { .. } => 127,
            Self::Syntax { .. } | Self::TooLarge { .. } => 2,
        }
    }
}
