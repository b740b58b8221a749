//! `sleep SECONDS|infinity`. The signals that end it are in [`sys::signals`].

use super::{Outcome, number, unsupported};
use crate::sys::{self, CText};

pub fn run(arguments: &[CText]) -> Outcome {
    match arguments {
        [time] if time.bytes() == b"infinity" => loop {
            sys::sleep(i64::from(i32::MAX));
        },
        [time] => sleep(time.bytes()),
        _ => Err(unsupported(b"sleep", b"anything but one time")),
    }
}

fn sleep(time: &[u8]) -> Outcome {
    let seconds = number(time).ok_or_else(|| unsupported(b"sleep", time))?;
    sys::sleep(seconds as i64);
    Ok(0)
}
