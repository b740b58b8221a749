//! Git asks this program for a login: see [`crate::rollout::ask`].

use std::ffi::OsString;
use std::io::Write as _;

use crate::exit_code;
use crate::rollout;

/// Answers git's question, where git has started this process to ask one; the process's exit code.
pub(super) fn answer(arguments: &[OsString]) -> Option<u8> {
    let (socket, question) = rollout::question(arguments)?;
    // Without an answer git says what it could not learn, in words that are read where git was started.
    let Ok(answer) = rollout::ask(&socket, question) else { return Some(exit_code::FAILED) };
    if answer.is_empty() {
        return Some(exit_code::FAILED);
    }
    let mut out = std::io::stdout();
    let written = out.write_all(answer.as_bytes()).and_then(|()| out.write_all(b"\n")).and_then(|()| out.flush());
    Some(if written.is_ok() { exit_code::OK } else { exit_code::FAILED })
}
