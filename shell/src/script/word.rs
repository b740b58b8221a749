//! Inside one word: quotes, escapes and the two expansions.
//!
//! The lexer walks the pieces once to find the word's end and to refuse what is not supported;
//! at run time the same walk, over the same text, gives the pieces to join.

use super::{MAX_SCRIPT, Refusal};

/// A part of a word.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Piece<'s> {
    /// These bytes as they are.
    Text(&'s [u8]),
    /// `$$`
    Pid,
    /// `$(ls -A DIR)` in double quotes; the word DIR, still quoted.
    Listing(&'s [u8]),
}

/// Where a word stands: `$(ls -A DIR)` may not be nested in its own DIR.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Command,
    Listing,
}

/// Walks the pieces of the word that starts at an offset of a script.
pub struct Pieces<'s> {
    script: &'s [u8],
    start: usize,
    at: usize,
    in_double_quotes: bool,
    place: Place,
}

type Next<'s> = Result<Option<Piece<'s>>, Refusal<'s>>;

impl<'s> Pieces<'s> {
    /// The word that starts at byte `start`.
    pub fn new(script: &'s [u8], start: usize) -> Self {
        Self { script, start, at: start, in_double_quotes: false, place: Place::Command }
    }

    /// Walks to the end of the word and returns its text, still quoted.
    pub fn whole(mut self) -> Result<&'s [u8], Refusal<'s>> {
        while self.next_piece()?.is_some() {}
        Ok(slice(self.script, self.start, self.at))
    }

    /// The next piece; `None` at the end of the word.
    pub fn next_piece(&mut self) -> Next<'s> {
        loop {
            let byte = match self.peek(0) {
                Some(b'"') => {
                    self.in_double_quotes = !self.in_double_quotes;
                    self.at += 1;
                    continue;
                }
                Some(byte) => byte,
                None if self.in_double_quotes => return self.syntax("the \" quote is not closed"),
                None => return Ok(None),
            };
            return if self.in_double_quotes { self.quoted(byte) } else { self.unquoted(byte) };
        }
    }

    fn unquoted(&mut self, byte: u8) -> Next<'s> {
        match byte {
            _ if ends_word(byte) => Ok(None),
            b'\'' => self.single_quotes(),
            b'\\' => self.escape(),
            b'$' => self.dollar(),
            b'`' | b'*' | b'?' => self.unsupported(1),
            b'[' if !self.is_lone_bracket() => self.unsupported(1),
            b'~' | b'#' if self.at == self.start => self.unsupported(1),
            _ => self.plain(|byte| !ends_word(byte) && !b"\"'\\$`*?[".contains(&byte)),
        }
    }

    fn quoted(&mut self, byte: u8) -> Next<'s> {
        match byte {
            b'$' => self.dollar(),
            b'`' => self.unsupported(1),
            b'\\' if self.peek(1).map_or(false, |next| b"$`\"\\\n".contains(&next)) => self.escape(),
            _ => self.plain(|byte| !b"\"\\$`".contains(&byte)),
        }
    }

    /// One byte, whatever it is, and the bytes after it that mean nothing special.
    fn plain(&mut self, is_plain: fn(u8) -> bool) -> Next<'s> {
        let from = self.at;
        self.at += 1;
        while self.peek(0).map_or(false, is_plain) {
            self.at += 1;
        }
        Ok(Some(Piece::Text(slice(self.script, from, self.at))))
    }

    fn single_quotes(&mut self) -> Next<'s> {
        let from = self.at + 1;
        let length = rest(self.script, from).iter().position(|byte| *byte == b'\'');
        match length {
            Some(length) => {
                self.at = from + length + 1;
                Ok(Some(Piece::Text(slice(self.script, from, from + length))))
            }
            None => self.syntax("the ' quote is not closed"),
        }
    }

    fn escape(&mut self) -> Next<'s> {
        match self.peek(1) {
            None => self.syntax("nothing follows the \\"),
            Some(b'\n') => self.unsupported(2),
            Some(_) => {
                self.at += 2;
                Ok(Some(Piece::Text(slice(self.script, self.at - 1, self.at))))
            }
        }
    }

    fn dollar(&mut self) -> Next<'s> {
        match self.peek(1) {
            Some(b'$') => {
                self.at += 2;
                Ok(Some(Piece::Pid))
            }
            Some(b'(') if self.in_double_quotes && self.place == Place::Command => self.listing(),
            Some(b'(') => self.unsupported(2),
            Some(byte) if byte == b'_' || byte.is_ascii_alphanumeric() => {
                let name = rest(self.script, self.at + 1).iter().take_while(|byte| **byte == b'_' || byte.is_ascii_alphanumeric());
                self.unsupported(1 + name.count())
            }
            Some(byte) if b"{?@*#!-".contains(&byte) => self.unsupported(2),
            Some(b'\'' | b'"') if !self.in_double_quotes => self.unsupported(2),
            // POSIX 2.6: a `$` that introduces nothing stands for itself
            _ => {
                self.at += 1;
                Ok(Some(Piece::Text(b"$")))
            }
        }
    }

    /// `$(ls -A DIR)`, the only command substitution; `self.at` is at the `$`.
    fn listing(&mut self) -> Next<'s> {
        let mut at = skip_blanks(self.script, self.at + 2);
        for expected in [&b"ls"[..], b"-A"] {
            let end = word_end(self.script, at);
            if slice(self.script, at, end) != expected {
                return self.unsupported(end - self.at);
            }
            at = skip_blanks(self.script, end);
        }
        let directory = Pieces { place: Place::Listing, ..Pieces::new(self.script, at) }.whole()?;
        let close = skip_blanks(self.script, at + directory.len());
        if directory.is_empty() || self.script.get(close) != Some(&b')') {
            return self.unsupported(close - self.at);
        }
        self.at = close + 1;
        Ok(Some(Piece::Listing(directory)))
    }

    /// `[` begins a file name pattern, unless it is the whole word: then it is a command's name or plain text.
    fn is_lone_bracket(&self) -> bool {
        self.at == self.start && self.peek(1).map_or(true, ends_word)
    }

    fn peek(&self, ahead: usize) -> Option<u8> {
        self.script.get(self.at + ahead).copied()
    }

    fn unsupported(&self, length: usize) -> Next<'s> {
        Err(Refusal::Unsupported { what: slice(self.script, self.at, self.at + length), at: self.at })
    }

    fn syntax(&self, problem: &'static str) -> Next<'s> {
        Err(Refusal::Syntax { problem, at: self.at })
    }
}

/// Whether an unquoted `byte` ends a word.
pub(super) fn ends_word(byte: u8) -> bool {
    b" \t\n&|;<>()".contains(&byte)
}

pub(super) fn skip_blanks(script: &[u8], from: usize) -> usize {
    from + rest(script, from).iter().take_while(|byte| matches!(byte, b' ' | b'\t')).count()
}

fn word_end(script: &[u8], from: usize) -> usize {
    from + rest(script, from).iter().take_while(|byte| !ends_word(**byte)).count()
}

fn rest(script: &[u8], from: usize) -> &[u8] {
    slice(script, from, MAX_SCRIPT)
}

/// `script[from..to]`, cut to what is there, so that no offset can panic.
pub(super) fn slice(script: &[u8], from: usize, to: usize) -> &[u8] {
    script.get(from..to.min(script.len())).unwrap_or(b"")
}
