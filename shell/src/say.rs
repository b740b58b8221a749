//! What people read: plain output, and errors that begin with `modelcar sh:`.

use crate::script::Refusal;
use crate::sys::{self, Errno};

const STDOUT: usize = 1;
const STDERR: usize = 2;

/// Writes to standard output at once; nothing is held back.
pub fn out(text: &[u8]) -> Result<(), Errno> {
    sys::write_all(STDOUT, text)
}

/// One error line on standard error. A closed standard error has no one to tell, so failure is ignored.
pub fn error(parts: &[&[u8]]) {
    let mut line = Line { bytes: [0; 512], used: 0 };
    line.push(b"modelcar sh: ");
    for part in parts {
        line.push(part);
    }
    line.push(b"\n");
    line.flush();
}

/// Why the script does not start.
pub fn refusal(refusal: &Refusal) {
    match refusal {
        Refusal::Unsupported { what: b"\n", at } => {
            error(&[b"a second line is not supported (byte ", Decimal::new(*at).digits(), b"); see `sh --help`"])
        }
        Refusal::Unsupported { what, at } => {
            error(&[b"`", shorten(what), b"` is not supported (byte ", Decimal::new(*at).digits(), b"); see `sh --help`"])
        }
        Refusal::Syntax { problem, at } => error(&[b"syntax error at byte ", Decimal::new(*at).digits(), b": ", problem.as_bytes()]),
        Refusal::TooLarge { problem } => error(&[problem.as_bytes()]),
    }
}

/// A hostile name must not fill the container's log, of which Kubernetes keeps the last lines as the failure's reason.
pub fn shorten(name: &[u8]) -> &[u8] {
    name.get(..200).unwrap_or(name)
}

/// Gathers a line so that it is written in one go and does not mix with another container's in a shared log.
struct Line {
    bytes: [u8; 512],
    used: usize,
}

impl Line {
    fn push(&mut self, text: &[u8]) {
        for byte in text {
            if self.used == self.bytes.len() {
                self.flush();
            }
            self.bytes[self.used] = *byte;
            self.used += 1;
        }
    }

    fn flush(&mut self) {
        let _ = sys::write_all(STDERR, &self.bytes[..self.used]);
        self.used = 0;
    }
}

/// A number's decimal digits without `core::fmt`, which would be half of the binary.
pub struct Decimal {
    bytes: [u8; 20],
    first: usize,
}

impl Decimal {
    pub fn new(mut number: usize) -> Self {
        let mut decimal = Self { bytes: [b'0'; 20], first: 20 };
        loop {
            decimal.first -= 1;
            decimal.bytes[decimal.first] = b'0' + (number % 10) as u8;
            number /= 10;
            if number == 0 {
                return decimal;
            }
        }
    }

    pub fn digits(&self) -> &[u8] {
        &self.bytes[self.first..]
    }
}
