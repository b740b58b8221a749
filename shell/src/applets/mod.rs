//! The commands. Each gets its arguments (the name not among them) and gives back an exit status.

mod condition;
mod echo;
mod ln;
pub mod ls;
mod mkdir;
mod sleep;

use crate::say::{self, Decimal};
use crate::script::Applet;
use crate::sys::{CText, Errno};

/// Why no further command runs.
pub enum Stop {
    /// `exit` was called: ends the subshell, or the script.
    Exit(u8),
    /// Something this shell does not have: ends the script, because going on would pretend that it was done.
    Abort(u8),
}

impl Stop {
    pub fn status(self) -> u8 {
        match self {
            Self::Exit(status) | Self::Abort(status) => status,
        }
    }
}

/// Exit status of a command, or the end of the script.
pub type Outcome = Result<u8, Stop>;

const UNSUPPORTED: u8 = 127;

pub fn run(applet: Applet, arguments: &[CText], names: &mut ls::Names) -> Outcome {
    match applet {
        Applet::Condition => condition::run(arguments),
        Applet::Echo => Ok(echo::run(arguments)),
        Applet::Exit => exit(arguments),
        Applet::Ln => ln::run(arguments),
        Applet::Ls => ls::run(arguments, names),
        Applet::Mkdir => mkdir::run(arguments),
        Applet::Sleep => sleep::run(arguments),
    }
}

fn exit(arguments: &[CText]) -> Outcome {
    let status = match arguments {
        [status] => number(status.bytes()).filter(|status| *status <= 255),
        _ => None,
    };
    // a status above 255 would wrap around, perhaps to 0
    Err(status.map_or_else(|| unsupported(b"exit", b"anything but one status from 0 to 255"), |status| Stop::Exit(status as u8)))
}

/// The end of the script with a message.
pub fn abort(status: u8, message: &[&[u8]]) -> Stop {
    say::error(message);
    Stop::Abort(status)
}

/// The end of the script because `command` does not do `what`.
fn unsupported(command: &[u8], what: &[u8]) -> Stop {
    abort(UNSUPPORTED, &[command, b": ", say::shorten(what), b" is not supported; see `sh --help`"])
}

/// Status 1 with the path and the kernel's reason.
fn failed(command: &[u8], path: &[u8], errno: Errno) -> u8 {
    say::error(&[command, b": ", path, b": ", errno.text(), b" (errno ", Decimal::new(errno.number()).digits(), b")"]);
    1
}

/// Status of a command whose only result is its output.
pub fn done(written: Result<(), Errno>) -> u8 {
    match written {
        Ok(()) => 0,
        Err(errno) => failed(b"write", b"standard output", errno),
    }
}

/// Options at the front of the arguments: which of the `known` letters are given, and the operands after them.
struct Options<'a> {
    given: [bool; 128],
    operands: &'a [CText<'a>],
}

impl<'a> Options<'a> {
    fn read(command: &[u8], known: &[u8], arguments: &'a [CText<'a>]) -> Result<Self, Stop> {
        let mut options = Options { given: [false; 128], operands: arguments };
        while let Some((first, rest)) = options.operands.split_first() {
            let letters = match first.bytes() {
                b"--" => {
                    options.operands = rest;
                    break;
                }
                [b'-', letters @ ..] if !letters.is_empty() => letters,
                _ => break,
            };
            for letter in letters {
                if !known.contains(letter) {
                    return Err(unsupported(command, first.bytes()));
                }
                options.given[usize::from(*letter & 127)] = true;
            }
            options.operands = rest;
        }
        Ok(options)
    }

    fn has(&self, letter: u8) -> bool {
        self.given[usize::from(letter & 127)]
    }
}

/// A plain decimal number of at most nine digits.
fn number(text: &[u8]) -> Option<usize> {
    if text.is_empty() || text.len() > 9 || !text.iter().all(u8::is_ascii_digit) {
        return None;
    }
    Some(text.iter().fold(0, |number, digit| number * 10 + usize::from(digit - b'0')))
}
