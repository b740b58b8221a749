//! Protobuf's text format, as far as a `config.pbtxt` needs it: bounded in size, depth and count, and without a schema.
//! <https://protobuf.dev/reference/protobuf/textformat-spec/>

use super::error::{Defect, PbtxtError};

/// Messages within messages; Triton's own schema has five.
const MAX_DEPTH: usize = 16;
/// Fields in one file.
const MAX_FIELDS: usize = 10_000;

/// A message: its fields in the order of the file. A repeated field is there several times.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Message {
    fields: Vec<(String, Value)>,
}

#[derive(Debug, PartialEq, Eq)]
enum Value {
    Scalar(String),
    Message(Message),
}

impl Message {
    /// Reads a whole file.
    pub(super) fn read(text: &str) -> Result<Self, PbtxtError> {
        let mut reader = Reader { text, at: 0, fields: 0 };
        let message = reader.fields(None, 0)?;
        Ok(message)
    }

    /// The scalars of a field.
    pub(super) fn scalars<'m>(&'m self, name: &'m str) -> impl Iterator<Item = &'m str> {
        self.named(name).filter_map(|value| match value {
            Value::Scalar(text) => Some(text.as_str()),
            Value::Message(_) => None,
        })
    }

    /// The last scalar of a field: in a singular field the last one counts.
    pub(super) fn scalar<'m>(&'m self, name: &'m str) -> Option<&'m str> {
        self.scalars(name).last()
    }

    /// The messages of a field.
    pub(super) fn messages<'m>(&'m self, name: &'m str) -> impl Iterator<Item = &'m Message> {
        self.named(name).filter_map(|value| match value {
            Value::Message(message) => Some(message),
            Value::Scalar(_) => None,
        })
    }

    /// Whether the field is there at all.
    pub(super) fn has(&self, name: &str) -> bool {
        self.named(name).next().is_some()
    }

    fn named<'m>(&'m self, name: &'m str) -> impl Iterator<Item = &'m Value> {
        self.fields.iter().filter(move |(field, _)| field == name).map(|(_, value)| value)
    }
}

struct Reader<'t> {
    text: &'t str,
    /// Bytes read.
    at: usize,
    fields: usize,
}

impl Reader<'_> {
    /// The fields up to the closing character, or to the end of the file.
    fn fields(&mut self, close: Option<char>, depth: usize) -> Result<Message, PbtxtError> {
        if depth > MAX_DEPTH {
            return Err(self.error(Defect::TooDeep));
        }
        let mut message = Message::default();
        loop {
            match (self.peek(), close) {
                (None, None) => return Ok(message),
                (Some(found), Some(close)) if found == close => {
                    self.skip(found);
                    return Ok(message);
                }
                (None, Some(_)) => return Err(self.error(Defect::Ends)),
                (Some(_), _) => self.field(&mut message, depth)?,
            }
            self.separator();
        }
    }

    /// `name: value`, `name { … }`, `name: [ … ]`.
    fn field(&mut self, message: &mut Message, depth: usize) -> Result<(), PbtxtError> {
        let name = self.word().ok_or_else(|| self.error(Defect::NoName))?;
        let colon = self.take(':');
        if self.take('[') {
            return self.list(&name, message, depth);
        }
        if !colon && !matches!(self.peek(), Some('{' | '<')) {
            return Err(self.error(Defect::NoValue));
        }
        self.add(message, &name, depth)
    }

    fn list(&mut self, name: &str, message: &mut Message, depth: usize) -> Result<(), PbtxtError> {
        while !self.take(']') {
            self.add(message, name, depth)?;
            self.take(',');
        }
        Ok(())
    }

    fn add(&mut self, message: &mut Message, name: &str, depth: usize) -> Result<(), PbtxtError> {
        self.fields += 1;
        if self.fields > MAX_FIELDS {
            return Err(self.error(Defect::TooMany));
        }
        let value = self.value(depth)?;
        message.fields.push((name.to_owned(), value));
        Ok(())
    }

    fn value(&mut self, depth: usize) -> Result<Value, PbtxtError> {
        match self.peek() {
            Some('{') => self.message('{', '}', depth),
            Some('<') => self.message('<', '>', depth),
            Some('"' | '\'') => self.strings().map(Value::Scalar),
            Some(_) => self.word().map(Value::Scalar).ok_or_else(|| self.error(Defect::NoValue)),
            None => Err(self.error(Defect::Ends)),
        }
    }

    fn message(&mut self, open: char, close: char, depth: usize) -> Result<Value, PbtxtError> {
        self.skip(open);
        self.fields(Some(close), depth + 1).map(Value::Message)
    }

    /// Strings that follow each other are one.
    fn strings(&mut self) -> Result<String, PbtxtError> {
        let mut text = String::new();
        while let Some(quote @ ('"' | '\'')) = self.peek() {
            self.skip(quote);
            self.string(quote, &mut text)?;
        }
        Ok(text)
    }

    /// Escapes stay as they are written but for quotes and backslashes: names have none, and no other text is used.
    fn string(&mut self, quote: char, text: &mut String) -> Result<(), PbtxtError> {
        let mut escaped = false;
        for (at, char) in self.text[self.at..].char_indices() {
            match char {
                '\n' => break,
                _ if escaped => escaped = false,
                '\\' => {
                    escaped = true;
                    continue;
                }
                _ if char == quote => {
                    self.at += at + quote.len_utf8();
                    return Ok(());
                }
                _ => {}
            }
            text.push(char);
        }
        Err(self.error(Defect::OpenString))
    }

    /// A name, a number or a word.
    fn word(&mut self) -> Option<String> {
        self.blanks();
        let rest = &self.text[self.at..];
        let length = rest.find(|char: char| !char.is_ascii_alphanumeric() && !"_.+-/".contains(char)).unwrap_or(rest.len());
        self.at += length;
        (length > 0).then(|| rest[..length].to_owned())
    }

    fn separator(&mut self) {
        if !self.take(',') {
            self.take(';');
        }
    }

    fn take(&mut self, wanted: char) -> bool {
        let there = self.peek() == Some(wanted);
        if there {
            self.skip(wanted);
        }
        there
    }

    fn skip(&mut self, char: char) {
        self.at += char.len_utf8();
    }

    /// The next character that is neither blank nor comment.
    fn peek(&mut self) -> Option<char> {
        self.blanks();
        self.text[self.at..].chars().next()
    }

    fn blanks(&mut self) {
        loop {
            let rest = &self.text[self.at..];
            let blank = rest.len() - rest.trim_start().len();
            let comment = if rest[blank..].starts_with('#') { rest[blank..].find('\n').unwrap_or(rest.len() - blank) } else { 0 };
            if blank + comment == 0 {
                return;
            }
            self.at += blank + comment;
        }
    }

    fn error(&self, defect: Defect) -> PbtxtError {
        PbtxtError::Text { offset: self.at, defect }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn defect(text: &str) -> (usize, Defect) {
        match Message::read(text).unwrap_err() {
            PbtxtError::Text { offset, defect } => (offset, defect),
            other => panic!("{other}"),
        }
    }

    #[test]
    fn every_way_to_write_a_field_says_the_same() {
        for text in [
            "name: \"iris\" max_batch_size: 8 input [ { dims: [ -1, 4 ] } ]",
            "name:'iris';max_batch_size:8,input{dims:-1 dims:4}",
            "# comment\nname: \"ir\" 'is' # more\nmax_batch_size: 8\ninput: < dims: [-1, 4] >\n# end",
            "max_batch_size: 8\r\nname: \"iris\"\r\ninput: [{dims:[-1,4,],}]",
        ] {
            let message = Message::read(text).unwrap();
            assert_eq!((message.scalar("name"), message.scalar("max_batch_size")), (Some("iris"), Some("8")), "{text}");
            let inputs: Vec<_> = message.messages("input").collect();
            assert_eq!(inputs.len(), 1);
            assert_eq!(inputs[0].scalars("dims").collect::<Vec<_>>(), ["-1", "4"]);
        }
    }

    #[test]
    fn a_quote_and_a_backslash_may_stand_in_a_string() {
        assert_eq!(Message::read(r#"name: "a\"b\\c # {""#).unwrap().scalar("name"), Some(r#"a"b\c # {"#));
    }

    #[test]
    fn what_is_no_text_format_is_refused_with_its_place() {
        for (text, expected) in [
            ("name", (4, Defect::NoValue)),
            ("name: ", (6, Defect::Ends)),
            ("name: }", (6, Defect::NoValue)),
            ("{ }", (0, Defect::NoName)),
            ("a { b: 1", (8, Defect::Ends)),
            ("a { b: 1 >", (9, Defect::NoName)),
            ("a: [1, 2", (8, Defect::Ends)),
            ("a: \"open", (4, Defect::OpenString)),
            ("a: \"open\n\"", (4, Defect::OpenString)),
        ] {
            assert_eq!(defect(text), expected, "{text}");
        }
    }

    #[test]
    fn depth_and_number_of_fields_are_bounded() {
        assert_eq!(defect(&"a{".repeat(100_000)).1, Defect::TooDeep);
        assert!(Message::read(&format!("{}{}", "a{".repeat(MAX_DEPTH), "}".repeat(MAX_DEPTH))).is_ok());
        assert_eq!(defect(&"a:1 ".repeat(MAX_FIELDS + 1)).1, Defect::TooMany);
        assert_eq!(defect(&format!("a: [{}", "1,".repeat(MAX_FIELDS + 1))).1, Defect::TooMany);
    }

    #[test]
    fn any_text_gives_an_answer() {
        proptest::proptest!(|(text in "[a-c:{}<>\\[\\],;#\"'\\\\ \n1é]{0,200}")| { let _ = Message::read(&text); });
    }
}
