//! A pull reader for UBJSON as XGBoost writes and reads it: lengths are trusted only as far as the file goes, and arrays of numbers are
//! stepped over without reading them. See <https://ubjson.org> (draft 12) and <https://xgboost.readthedocs.io/en/stable/tutorials/saving_model.html>.

use std::io::{Read, Seek};

use super::error::{Defect, XgboostError};
use super::token::{MAX_KEPT, Token, Tokens, check_depth};
use crate::model::formats::input::Input;

/// A UBJSON document.
pub(super) struct Ubjson<R> {
    input: Input<R>,
    open: Vec<Container>,
    /// A member's name was read, its value was not.
    after_key: bool,
    started: bool,
    text: String,
}

#[derive(Clone, Copy)]
enum Container {
    Object,
    /// Up to a `]`.
    Array,
    /// So many more items, and no `]`.
    Counted(u64),
}

impl<R: Read + Seek> Ubjson<R> {
    pub(super) fn new(input: Input<R>) -> Self {
        Self { input, open: Vec::new(), after_key: false, started: false, text: String::new() }
    }

    /// An item of an array, or its end.
    fn item(&mut self) -> Result<Token, XgboostError> {
        match self.input.byte()? {
            b']' => Ok(self.end(Token::EndArray)),
            marker => self.value(marker),
        }
    }

    fn counted_item(&mut self, left: u64) -> Result<Token, XgboostError> {
        let Some(left) = left.checked_sub(1) else { return Ok(self.end(Token::EndArray)) };
        if let Some(last) = self.open.last_mut() {
            *last = Container::Counted(left);
        }
        let marker = self.input.byte()?;
        self.value(marker)
    }

    /// A member's name, which has no marker of its own, or the object's end.
    fn member(&mut self) -> Result<Token, XgboostError> {
        if self.input.peek()? == Some(b'}') {
            self.input.advance();
            return Ok(self.end(Token::EndObject));
        }
        self.string()?;
        self.after_key = true;
        Ok(Token::Key)
    }

    fn end(&mut self, token: Token) -> Token {
        self.open.pop();
        token
    }

    fn value(&mut self, marker: u8) -> Result<Token, XgboostError> {
        match marker {
            b'{' => self.begin(Container::Object, Token::BeginObject),
            b'[' => self.array(),
            b'S' | b'H' => self.string().map(|()| Token::Leaf),
            b'C' => self.character(),
            b'Z' | b'T' | b'F' => Ok(Token::Other),
            b'd' => Ok(self.leaf(f32::from_be_bytes)?),
            b'D' => Ok(self.leaf(f64::from_be_bytes)?),
            _ => {
                self.text = self.integer(marker, "a value")?.to_string();
                Ok(Token::Leaf)
            }
        }
    }

    fn leaf<const N: usize, T: ToString>(&mut self, number: fn([u8; N]) -> T) -> Result<Token, XgboostError> {
        self.text = number(self.input.array()?).to_string();
        Ok(Token::Leaf)
    }

    fn character(&mut self) -> Result<Token, XgboostError> {
        self.text = char::from(self.input.byte()?).to_string();
        Ok(Token::Leaf)
    }

    fn begin(&mut self, container: Container, token: Token) -> Result<Token, XgboostError> {
        check_depth(self.open.len(), self.input.at())?;
        self.open.push(container);
        Ok(token)
    }

    /// After a `[`: `$type#count`, `#count`, or items up to a `]`.
    fn array(&mut self) -> Result<Token, XgboostError> {
        match self.input.peek()? {
            Some(b'$') => {
                self.input.advance();
                self.skip_numbers()?;
                self.begin(Container::Counted(0), Token::BeginArray)
            }
            Some(b'#') => {
                self.input.advance();
                let count = self.length()?;
                // Every item has at least its marker.
                self.input.check(count)?;
                self.begin(Container::Counted(count), Token::BeginArray)
            }
            _ => self.begin(Container::Array, Token::BeginArray),
        }
    }

    /// An array of one type, after the `$`; nothing that is wanted is stored so.
    fn skip_numbers(&mut self) -> Result<(), XgboostError> {
        let marker = self.input.byte()?;
        let width = match marker {
            b'i' | b'U' | b'C' => 1,
            b'I' => 2,
            b'l' | b'd' => 4,
            b'L' | b'D' => 8,
            other => return Err(self.unexpected(other, "a type of numbers")),
        };
        match self.input.byte()? {
            b'#' => {}
            other => return Err(self.unexpected(other, "`#`")),
        }
        let count = self.length()?;
        Ok(self.input.skip(count.saturating_mul(width))?)
    }

    fn string(&mut self) -> Result<(), XgboostError> {
        let length = self.length()?;
        self.text = self.input.text(length, MAX_KEPT)?;
        Ok(())
    }

    fn length(&mut self) -> Result<u64, XgboostError> {
        let offset = self.input.at();
        let marker = self.input.byte()?;
        let length = self.integer(marker, "a length")?;
        u64::try_from(length).map_err(|_| XgboostError::malformed(offset, Defect::Length { length }))
    }

    fn integer(&mut self, marker: u8, wanted: &'static str) -> Result<i64, XgboostError> {
        Ok(match marker {
            b'i' => i8::from_be_bytes(self.input.array()?).into(),
            b'U' => u8::from_be_bytes(self.input.array()?).into(),
            b'I' => i16::from_be_bytes(self.input.array()?).into(),
            b'l' => i32::from_be_bytes(self.input.array()?).into(),
            b'L' => i64::from_be_bytes(self.input.array()?),
            other => return Err(self.unexpected(other, wanted)),
        })
    }

    fn unexpected(&self, found: u8, wanted: &'static str) -> XgboostError {
        XgboostError::malformed(self.input.at().saturating_sub(1), Defect::Unexpected { found, wanted })
    }
}

impl<R: Read + Seek> Tokens for Ubjson<R> {
    fn next(&mut self) -> Result<Token, XgboostError> {
        if std::mem::take(&mut self.after_key) {
            let marker = self.input.byte()?;
            return self.value(marker);
        }
        match self.open.last().copied() {
            Some(Container::Object) => self.member(),
            Some(Container::Array) => self.item(),
            Some(Container::Counted(left)) => self.counted_item(left),
            // XGBoost reads one value and does not care what follows; nor do we.
            None if self.started => Ok(Token::End),
            None => {
                self.started = true;
                let marker = self.input.byte()?;
                self.value(marker)
            }
        }
    }

    fn text(&self) -> String {
        self.text.clone()
    }

    fn at(&self) -> u64 {
        self.input.at()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Cursor;

    fn told(bytes: &[u8]) -> Result<String, XgboostError> {
        let mut document = Ubjson::new(Input::new(Cursor::new(bytes))?);
        let mut out = String::new();
        loop {
            match document.next()? {
                Token::BeginObject => out.push('{'),
                Token::EndObject => out.push('}'),
                Token::BeginArray => out.push('['),
                Token::EndArray => out.push(']'),
                Token::Key => out.extend([document.text().as_str(), "="]),
                Token::Leaf => out.extend([document.text().as_str(), ";"]),
                Token::Other => out.push('?'),
                Token::End => return Ok(out),
            }
        }
    }

    #[test]
    fn reads_every_marker() {
        for (bytes, expected) in [
            (&b"{}"[..], "{}"),
            (b"{i\x01aSi\x02xyL\0\0\0\0\0\0\0\x01bl\xff\xff\xff\xff}", "{a=xy;b=-1;}"),
            (b"[ZTFi\xffU\xffI\x01\x00Cx]", "[???-1;255;256;x;]"),
            (b"[#i\x02i\x01[#i\x00]", "[1;[]]"),
            (b"[[$d#i\x0212345678i\x07]", "[[]7;]"),
            (b"[$L#l\0\0\0\0", "[]"),
            (b"[d\x3f\x80\0\0D\x3f\xf0\0\0\0\0\0\0Hi\x013]", "[1;1;3;]"),
        ] {
            assert_eq!(told(bytes).unwrap(), expected, "{:?}", String::from_utf8_lossy(bytes));
        }
    }

    #[test]
    fn a_count_beyond_the_file_is_refused_at_once() {
        for (bytes, expected) in [
            (&b"[#L\x7f\xff\xff\xff\xff\xff\xff\xff"[..], "byte 11: 9223372036854775807 bytes are announced, 0 are left"),
            (b"[$D#L\x7f\xff\xff\xff\xff\xff\xff\xff1", "byte 13: 18446744073709551615 bytes are announced, 1 are left"),
            (b"[$D#i\x01123", "byte 6: 8 bytes are announced, 3 are left"),
            (b"SL\x7f\xff\xff\xff\xff\xff\xff\xff", "byte 10: 9223372036854775807 bytes are announced, 0 are left"),
            (b"{L\xff\xff\xff\xff\xff\xff\xff\xff", "byte 1: -1 is no length"),
            (b"[$Z#L\x7f\xff\xff\xff\xff\xff\xff\xff", "byte 2: `Z` found, a type of numbers expected"),
            (b"[$i@", "byte 3: `@` found, `#` expected"),
            (b"{$i", "byte 1: `$` found, a length expected"),
            (b"[N", "byte 1: `N` found, a value expected"),
            (b"[", "byte 1: 1 bytes are announced, 0 are left"),
        ] {
            assert_eq!(told(bytes).unwrap_err().to_string(), expected, "{:?}", String::from_utf8_lossy(bytes));
        }
    }

    #[test]
    fn endless_nesting_ends() {
        for open in [&b"["[..], b"{i\x01a", b"[#i\x01"] {
            let error = told(&open.repeat(300_000)).unwrap_err();
            assert!(error.to_string().ends_with("values are nested more than 64 deep"), "{error}");
        }
    }
}
