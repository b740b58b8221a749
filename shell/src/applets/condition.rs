//! `[ … ]`: POSIX's reading by number of arguments, so that a listing that looks like an operator cannot confuse it.

use super::{Outcome, unsupported};
use crate::say;
use crate::sys::{self, CText};

const BROKEN: u8 = 2;

pub fn run(arguments: &[CText]) -> Outcome {
    match arguments.split_last() {
        Some((last, condition)) if last.bytes() == b"]" => evaluate(condition),
        _ => {
            say::error(&[b"[: the closing ] is missing"]);
            Ok(BROKEN)
        }
    }
}

fn evaluate(condition: &[CText]) -> Outcome {
    match condition {
        [] => Ok(1),
        [text] => Ok(status(!text.bytes().is_empty())),
        [not, rest @ ..] if not.bytes() == b"!" && rest.len() < 4 => negate(evaluate(rest)),
        [operator, operand] => unary(*operator, *operand),
        [_, operator, ..] => Err(unsupported(b"[", operator.bytes())),
    }
}

fn unary(operator: CText, operand: CText) -> Outcome {
    match operator.bytes() {
        b"-n" => Ok(status(!operand.bytes().is_empty())),
        b"-z" => Ok(status(operand.bytes().is_empty())),
        b"-d" => Ok(status(sys::is_directory(operand))),
        b"-e" => Ok(status(sys::exists(operand))),
        other => Err(unsupported(b"[", other)),
    }
}

fn negate(outcome: Outcome) -> Outcome {
    outcome.map(|status| match status {
        0 => 1,
        1 => 0,
        broken => broken,
    })
}

fn status(truth: bool) -> u8 {
    u8::from(!truth)
}
