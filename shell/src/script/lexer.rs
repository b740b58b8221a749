//! Text to tokens.

use super::Refusal;
use super::word::{Pieces, ends_word, skip_blanks, slice};

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Token<'s> {
    /// Still quoted; every piece of it is supported.
    Word(&'s [u8]),
    And,
    Or,
    Open,
    Close,
    End,
}

pub(super) struct Lexer<'s> {
    script: &'s [u8],
    at: usize,
}

impl<'s> Lexer<'s> {
    pub(super) fn new(script: &'s [u8]) -> Self {
        Self { script, at: leading_space(script) }
    }

    /// Offset after the last token.
    pub(super) fn at(&self) -> usize {
        self.at
    }

    pub(super) fn next_token(&mut self) -> Result<Token<'s>, Refusal<'s>> {
        self.at = skip_blanks(self.script, self.at);
        let token = match slice(self.script, self.at, self.at + 2) {
            [] => return Ok(Token::End),
            b"&&" => Token::And,
            b"||" => Token::Or,
            [b'(', ..] => Token::Open,
            [b')', ..] => Token::Close,
            [b'\n', ..] if self.only_space_left() => return Ok(Token::End),
            [byte, ..] if ends_word(*byte) => return Err(self.unsupported_operator()),
            _ => Token::Word(Pieces::new(self.script, self.at).whole()?),
        };
        self.at += length(token);
        Ok(token)
    }

    fn only_space_left(&self) -> bool {
        slice(self.script, self.at, self.script.len()).iter().all(u8::is_ascii_whitespace)
    }

    /// `;`, `>>`, `|` …: one or two bytes, as the shell would read them.
    fn unsupported_operator(&self) -> Refusal<'s> {
        let pair = slice(self.script, self.at, self.at + 2);
        let what = match pair {
            b";;" | b">>" | b"<<" | b">&" | b"<&" | b"<>" | b">|" => pair,
            _ => slice(pair, 0, 1),
        };
        Refusal::Unsupported { what, at: self.at }
    }
}

fn length(token: Token) -> usize {
    match token {
        Token::Word(text) => text.len(),
        Token::And | Token::Or => 2,
        Token::Open | Token::Close => 1,
        Token::End => 0,
    }
}

fn leading_space(script: &[u8]) -> usize {
    script.iter().take_while(|byte| matches!(byte, b' ' | b'\t' | b'\n')).count()
}
