//! `echo [-n] TEXT...`: the words as they are; backslashes mean nothing (POSIX leaves that open, the quotes decided already).

use super::done;
use crate::say;
use crate::sys::{CText, Errno};

pub fn run(arguments: &[CText]) -> u8 {
    match arguments.split_first() {
        Some((first, rest)) if first.bytes() == b"-n" => done(words(rest)),
        _ => done(words(arguments).and_then(|()| say::out(b"\n"))),
    }
}

fn words(arguments: &[CText]) -> Result<(), Errno> {
    for (index, argument) in arguments.iter().enumerate() {
        if index > 0 {
            say::out(b" ")?;
        }
        say::out(argument.bytes())?;
    }
    Ok(())
}
