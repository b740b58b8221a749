//! A pull reader for XGBoost's JSON, in constant memory: a model of a gigabyte is one line.
//!
//! `serde_json` will not do: XGBoost writes `NaN` and `Infinity`, which JSON does not have, and a name of a gigabyte would be kept.
//! Strict about structure, lenient about what nobody asks for: the digits of a number are not judged.

use std::io::{Read, Seek};

use super::error::{Defect, XgboostError};
use super::token::{MAX_KEPT, Token, Tokens, check_depth};
use crate::model::formats::input::Input;

/// The longest number or word.
const MAX_WORD: usize = 64;

/// A JSON document.
pub(super) struct Json<R> {
    input: Input<R>,
    open: Vec<Container>,
    next: Expected,
    text: Vec<u8>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Container {
    Object,
    Array,
}

/// What the grammar allows next.
#[derive(Clone, Copy)]
enum Expected {
    Value,
    /// The first member or item, or the end of what was just opened.
    FirstOrEnd,
    /// A comma or the end of what is open.
    CommaOrEnd,
}

impl<R: Read + Seek> Json<R> {
    pub(super) fn new(input: Input<R>) -> Self {
        Self { input, open: Vec::new(), next: Expected::Value, text: Vec::new() }
    }

    fn skip_space(&mut self) -> Result<Option<u8>, XgboostError> {
        loop {
            match self.input.peek()? {
                Some(b' ' | b'\t' | b'\n' | b'\r') => self.input.advance(),
                other => return Ok(other),
            }
        }
    }

    /// The next byte that is no space.
    fn byte(&mut self) -> Result<u8, XgboostError> {
        self.skip_space()?;
        Ok(self.input.byte()?)
    }

    /// A member's name or an item.
    fn item(&mut self, first: u8) -> Result<Token, XgboostError> {
        if self.open.last() == Some(&Container::Array) {
            return self.value(first);
        }
        if first != b'"' {
            return Err(self.unexpected(first, "a name in quotes"));
        }
        self.string()?;
        match self.byte()? {
            b':' => self.next = Expected::Value,
            other => return Err(self.unexpected(other, "`:`")),
        }
        Ok(Token::Key)
    }

    fn value(&mut self, first: u8) -> Result<Token, XgboostError> {
        self.next = Expected::CommaOrEnd;
        match first {
            b'{' => self.begin(Container::Object, Token::BeginObject),
            b'[' => self.begin(Container::Array, Token::BeginArray),
            b'"' => self.string().map(|()| Token::Leaf),
            b'-' | b'0'..=b'9' | b'a'..=b'z' | b'N' | b'I' => self.word(first),
            other => Err(self.unexpected(other, "a value")),
        }
    }

    fn begin(&mut self, container: Container, token: Token) -> Result<Token, XgboostError> {
        check_depth(self.open.len(), self.input.at())?;
        self.open.push(container);
        self.next = Expected::FirstOrEnd;
        Ok(token)
    }

    /// The end of what is open, if the byte is that.
    fn end(&mut self, byte: u8) -> Option<Token> {
        let token = match (self.open.last()?, byte) {
            (Container::Object, b'}') => Token::EndObject,
            (Container::Array, b']') => Token::EndArray,
            _ => return None,
        };
        self.open.pop();
        self.next = Expected::CommaOrEnd;
        Some(token)
    }

    /// What follows the first quote.
    fn string(&mut self) -> Result<(), XgboostError> {
        self.text.clear();
        loop {
            match self.input.byte()? {
                b'"' => return Ok(()),
                b'\\' => self.escape()?,
                byte => self.keep(&[byte]),
            }
        }
    }

    fn escape(&mut self) -> Result<(), XgboostError> {
        let plain = match self.input.byte()? {
            b'n' => b'\n',
            b't' => b'\t',
            b'r' => b'\r',
            b'b' => 8,
            b'f' => 12,
            byte @ (b'"' | b'\\' | b'/') => byte,
            b'u' => return self.code_point(),
            other => return Err(self.unexpected(other, "an escape")),
        };
        self.keep(&[plain]);
        Ok(())
    }

    /// Half of a surrogate pair becomes a replacement character: good enough for a name that is shown.
    fn code_point(&mut self) -> Result<(), XgboostError> {
        let mut code = 0;
        for _ in 0..4 {
            let byte = self.input.byte()?;
            let digit = char::from(byte).to_digit(16).ok_or_else(|| self.unexpected(byte, "a hexadecimal digit"))?;
            code = code << 4 | digit;
        }
        let character = char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER);
        self.keep(character.encode_utf8(&mut [0; 4]).as_bytes());
        Ok(())
    }

    fn keep(&mut self, bytes: &[u8]) {
        if self.text.len() < MAX_KEPT {
            self.text.extend_from_slice(bytes);
        }
    }

    fn word(&mut self, first: u8) -> Result<Token, XgboostError> {
        let offset = self.input.at() - 1;
        self.text.clear();
        self.text.push(first);
        while let Some(byte @ (b'0'..=b'9' | b'a'..=b'z' | b'A'..=b'Z' | b'+' | b'-' | b'.')) = self.input.peek()? {
            if self.text.len() >= MAX_WORD {
                break;
            }
            self.input.advance();
            self.text.push(byte);
        }
        match (first, &self.text[..]) {
            (_, b"true" | b"false" | b"null") => Ok(Token::Other),
            (b'0'..=b'9', _) | (_, b"NaN" | b"Infinity" | b"-Infinity" | b"-NaN") | (b'-', [_, b'0'..=b'9', ..]) => Ok(Token::Leaf),
            _ => Err(XgboostError::malformed(offset, Defect::Word { word: self.text() })),
        }
    }

    fn unexpected(&self, found: u8, wanted: &'static str) -> XgboostError {
        XgboostError::malformed(self.input.at().saturating_sub(1), Defect::Unexpected { found, wanted })
    }
}

impl<R: Read + Seek> Tokens for Json<R> {
    fn next(&mut self) -> Result<Token, XgboostError> {
        if self.open.is_empty() && matches!(self.next, Expected::CommaOrEnd) {
            return match self.skip_space()? {
                None => Ok(Token::End),
                Some(_) => self.byte().and_then(|other| Err(self.unexpected(other, "the end"))),
            };
        }
        let byte = self.byte()?;
        match self.next {
            Expected::Value => self.value(byte),
            Expected::FirstOrEnd => match self.end(byte) {
                Some(token) => Ok(token),
                None => self.item(byte),
            },
            Expected::CommaOrEnd => match self.end(byte) {
                Some(token) => Ok(token),
                None if byte == b',' => self.byte().and_then(|first| self.item(first)),
                None => Err(self.unexpected(byte, "`,` or the end of the list")),
            },
        }
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.text).into_owned()
    }

    fn at(&self) -> u64 {
        self.input.at()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Cursor;

    /// All tokens in one line: `{k=1[true]}`.
    fn told(text: &str) -> Result<String, XgboostError> {
        let mut json = Json::new(Input::new(Cursor::new(text))?);
        let mut out = String::new();
        loop {
            match json.next()? {
                Token::BeginObject => out.push('{'),
                Token::EndObject => out.push('}'),
                Token::BeginArray => out.push('['),
                Token::EndArray => out.push(']'),
                Token::Key => out.extend([json.text().as_str(), "="]),
                Token::Leaf => out.extend([json.text().as_str(), ";"]),
                Token::Other => out.push('?'),
                Token::End => return Ok(out),
            }
        }
    }

    #[test]
    fn reads_what_xgboost_writes() {
        for (text, expected) in [
            (r#"{"a":{"b":[1,-2.5E-8,3e+1]},"c":"x"}"#, "{a={b=[1;-2.5E-8;3e+1;]}c=x;}"),
            (" { } ", "{}"),
            ("[[],{},[1 , 2]]", "[[]{}[1;2;]]"),
            ("[NaN,Infinity,-Infinity,true,null]", "[NaN;Infinity;-Infinity;??]"),
            (r#"["\"\\\n\u00e4\ud800x"]"#, "[\"\\\nä\u{fffd}x;]"),
        ] {
            assert_eq!(told(text).unwrap(), expected, "{text}");
        }
    }

    #[test]
    fn a_defect_is_told_with_its_byte() {
        for (text, expected) in [
            ("", "byte 0: 1 bytes are announced, 0 are left"),
            ("{\"a\"", "byte 4: 1 bytes are announced, 0 are left"),
            ("{\"a", "byte 3: 1 bytes are announced, 0 are left"),
            ("{\"a\" 1}", "byte 5: `1` found, `:` expected"),
            ("{1:2}", "byte 1: `1` found, a name in quotes expected"),
            ("[1 2]", "byte 3: `2` found, `,` or the end of the list expected"),
            ("[1}", "byte 2: `}` found, `,` or the end of the list expected"),
            ("[,]", "byte 1: `,` found, a value expected"),
            ("[1,]", "byte 3: `]` found, a value expected"),
            ("[nope]", "byte 1: \"nope\" is no value"),
            ("[1]x", "byte 3: `x` found, the end expected"),
            ("[\"\\q\"]", "byte 3: `q` found, an escape expected"),
            ("[\"\\u00g0\"]", "byte 6: `g` found, a hexadecimal digit expected"),
            ("\u{7f}", "byte 0: byte 0x7f found, a value expected"),
        ] {
            assert_eq!(told(text).unwrap_err().to_string(), expected, "{text}");
        }
    }

    #[test]
    fn endless_nesting_ends() {
        for open in ["[", "{\"a\":"] {
            let error = told(&open.repeat(1_000_000)).unwrap_err();
            assert!(error.to_string().ends_with("values are nested more than 64 deep"), "{error}");
        }
    }

    #[test]
    fn a_long_text_is_kept_in_part() {
        let text = format!("[\"{}\"]", "x".repeat(1 << 20));
        assert_eq!(told(&text).unwrap().len(), MAX_KEPT + 3);
        assert!(told(&format!("[{}]", "1".repeat(1000))).is_err());
    }
}
