//! A pull reader for XML in bounded memory: elements with their path, attributes on demand, short texts. No document type is read, so
//! there are no entities to blow up or to lead to other files.

use std::io::{self, BufRead, BufReader, Read};
use std::sync::Arc;

use quick_xml::XmlVersion;
use quick_xml::events::{BytesStart, Event};

use super::files::FormatError;

/// Elements within elements; a decision tree of a thousand levels is none.
const MAX_DEPTH: usize = 1000;
/// The longest name of an element, in bytes.
const MAX_NAME: usize = 256;
/// Attributes of one element.
const MAX_ATTRIBUTES: usize = 256;
/// The longest tag or text, in bytes.
const MAX_EVENT: usize = 8 << 20;
/// Bytes of a text or an attribute's value that are kept.
const MAX_KEPT: usize = 1024;

/// Why XML cannot be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum XmlError {
    /// The file could not be read.
    #[error("reading failed at byte {offset}")]
    Io {
        /// Offset into the file, in bytes.
        offset: u64,
        /// Why.
        #[source]
        source: Arc<io::Error>,
    },
    /// It is no well-formed XML.
    #[error("byte {offset}: it is no well-formed XML")]
    Malformed {
        /// Offset into the file, in bytes.
        offset: u64,
        /// Why.
        #[source]
        source: Box<quick_xml::Error>,
    },
    /// A document type, with which entities come.
    #[error("byte {offset}: it has a document type (`<!DOCTYPE`), which is refused")]
    Doctype {
        /// Offset into the file, in bytes.
        offset: u64,
    },
    /// The file ends within an element.
    #[error("the file ends after byte {offset}, within {open} open elements")]
    Unfinished {
        /// Offset into the file, in bytes.
        offset: u64,
        /// How many are open.
        open: usize,
    },
    /// More of something than any real model has.
    #[error("byte {offset}: more than {limit} {what}")]
    TooMany {
        /// Offset into the file, in bytes.
        offset: u64,
        /// "elements within elements".
        what: &'static str,
        /// The limit.
        limit: usize,
    },
}

impl FormatError for XmlError {
    fn hint(&self) -> Option<String> {
        match self {
            Self::Unfinished { .. } | Self::Malformed { .. } => Some("the file may be incomplete; copy or download it again".to_owned()),
            Self::Doctype { .. } => Some("remove the document type from the file; the model does not need it".to_owned()),
            _ => None,
        }
    }
}

/// A step through a document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// An element begins: [`Xml::path`] ends with its name, [`Xml::attribute`] is its.
    Start,
    /// A text in the element of the path.
    Text,
    /// The element of the path ends.
    End,
    /// The document ends.
    Done,
}

/// A document, step by step.
pub(super) struct Xml<R> {
    reader: quick_xml::Reader<Bounded<BufReader<R>>>,
    buffer: Vec<u8>,
    path: Path,
    /// The last step was an [`Step::End`], whose element is still on the path.
    ended: bool,
    element: BytesStart<'static>,
    text: String,
}

impl<R: Read> Xml<R> {
    pub(super) fn new(input: R) -> Self {
        let mut reader = quick_xml::Reader::from_reader(Bounded { inner: BufReader::new(input), left: MAX_EVENT });
        reader.config_mut().expand_empty_elements = true;
        reader.config_mut().trim_text(true);
        let element = BytesStart::new(String::new());
        Self { reader, buffer: Vec::new(), path: Path::default(), ended: false, element, text: String::new() }
    }

    /// The next one.
    pub(super) fn next(&mut self) -> Result<Step, XmlError> {
        if std::mem::take(&mut self.ended) {
            self.path.leave();
        }
        loop {
            if let Some(step) = self.event()? {
                return Ok(step);
            }
        }
    }

    /// One event; none if it says nothing.
    fn event(&mut self) -> Result<Option<Step>, XmlError> {
        self.buffer.clear();
        self.reader.get_mut().left = MAX_EVENT;
        let (offset, open) = (self.reader.buffer_position(), self.depth());
        let event = match self.reader.read_event_into(&mut self.buffer) {
            Ok(event) => event,
            Err(error) => return Err(self.failed(error)),
        };
        let step = match event {
            Event::Start(element) => {
                self.path.enter(element.local_name().as_ref(), offset)?;
                self.element = element.into_owned();
                Step::Start
            }
            Event::End(_) => {
                self.ended = true;
                Step::End
            }
            Event::Text(text) => {
                self.text = text.chars().take(MAX_KEPT).collect();
                Step::Text
            }
            Event::DocType(_) => return Err(XmlError::Doctype { offset }),
            Event::Eof if open > 0 => return Err(XmlError::Unfinished { offset, open }),
            Event::Eof => Step::Done,
            _ => return Ok(None),
        };
        Ok(Some(step))
    }

    fn failed(&self, error: quick_xml::Error) -> XmlError {
        let offset = self.reader.error_position();
        match error {
            quick_xml::Error::Io(_) if self.reader.get_ref().left == 0 => {
                XmlError::TooMany { offset, what: "bytes in one tag or text", limit: MAX_EVENT }
            }
            quick_xml::Error::Io(source) => XmlError::Io { offset: self.reader.buffer_position(), source },
            other => XmlError::Malformed { offset, source: Box::new(other) },
        }
    }

    /// How many elements are open.
    pub(super) fn depth(&self) -> usize {
        self.path.levels.len()
    }

    /// Where this is: `/net/layers/layer`, without the prefixes of namespaces.
    pub(super) fn path(&self) -> &str {
        &self.path.text
    }

    /// The name of the element that the path ends with.
    pub(super) fn name(&self) -> &str {
        self.path.text.rsplit_once('/').map_or("", |(_, name)| name)
    }

    /// The last text, cut.
    pub(super) fn text(&self) -> &str {
        &self.text
    }

    /// An attribute of the last element that began, cut.
    pub(super) fn attribute(&self, name: &str) -> Result<Option<String>, XmlError> {
        let mut attributes = self.element.attributes();
        // The check for duplicates takes quadratic time.
        for (count, attribute) in attributes.with_checks(false).enumerate() {
            let offset = self.reader.buffer_position();
            if count >= MAX_ATTRIBUTES {
                return Err(XmlError::TooMany { offset, what: "attributes in one element", limit: MAX_ATTRIBUTES });
            }
            let attribute = attribute.map_err(|error| XmlError::Malformed { offset, source: Box::new(error.into()) })?;
            if attribute.key.as_ref() == name {
                let value = attribute.normalized_value(XmlVersion::Implicit1_0);
                let value = value.map_err(|error| XmlError::Malformed { offset, source: Box::new(error) })?;
                return Ok(Some(value.chars().take(MAX_KEPT).collect()));
            }
        }
        Ok(None)
    }

    /// [`Xml::attribute`], and nothing where it is not there.
    pub(super) fn attribute_text(&self, name: &str) -> Result<String, XmlError> {
        Ok(self.attribute(name)?.unwrap_or_default())
    }
}

/// The names of the open elements.
#[derive(Default)]
struct Path {
    text: String,
    /// How long the text is without each of them.
    levels: Vec<usize>,
}

impl Path {
    fn enter(&mut self, name: &str, offset: u64) -> Result<(), XmlError> {
        if self.levels.len() >= MAX_DEPTH {
            return Err(XmlError::TooMany { offset, what: "elements within elements", limit: MAX_DEPTH });
        }
        if name.len() > MAX_NAME {
            return Err(XmlError::TooMany { offset, what: "bytes in an element's name", limit: MAX_NAME });
        }
        self.levels.push(self.text.len());
        self.text.push('/');
        self.text.push_str(name);
        Ok(())
    }

    fn leave(&mut self) {
        if let Some(length) = self.levels.pop() {
            self.text.truncate(length);
        }
    }
}

/// Gives no more than so many bytes for one event: the reader above keeps each event whole.
struct Bounded<R> {
    inner: R,
    left: usize,
}

impl<R: BufRead> Read for Bounded<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.fill_buf()?.read(buffer)?;
        self.consume(count);
        Ok(count)
    }
}

impl<R: BufRead> BufRead for Bounded<R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.left == 0 {
            return Err(io::Error::from(io::ErrorKind::FileTooLarge));
        }
        let buffer = self.inner.fill_buf()?;
        Ok(&buffer[..buffer.len().min(self.left)])
    }

    fn consume(&mut self, count: usize) {
        self.left -= count.min(self.left);
        self.inner.consume(count);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(text: &[u8]) -> Result<String, XmlError> {
        let mut xml = Xml::new(text);
        let mut out = String::new();
        loop {
            let step = xml.next()?;
            match step {
                Step::Start => out.extend(["+", xml.path(), "(", &xml.attribute_text("a")?, ") "]),
                Step::Text => out.extend([xml.text(), " "]),
                Step::End => out.extend(["-", xml.name(), " "]),
                Step::Done => return Ok(out),
            }
        }
    }

    fn chain(error: &XmlError) -> String {
        let cause = std::error::Error::source(error).map(|cause| format!(": {cause}"));
        format!("{error}{}", cause.unwrap_or_default())
    }

    #[test]
    fn elements_come_with_their_path() {
        for (text, expected) in [
            ("<?xml version='1.0'?><r a='1'><x:b a=\"&lt;&#65;\"/>text<!-- no --></r>", "+/r(1) +/r/b(<A) -b text -r "),
            ("\u{feff}<r>  <b></b> </r>", "+/r() +/r/b() -b -r "),
            ("", ""),
        ] {
            assert_eq!(told(text.as_bytes()).unwrap(), expected, "{text}");
        }
    }

    #[test]
    fn hostile_documents_are_refused() {
        let laughs = "<!DOCTYPE l [<!ENTITY a 'ha'><!ENTITY b '&a;&a;'>]><l>&b;</l>";
        let attributes = " x='1'".repeat(1_500_000);
        for (text, expected) in [
            (laughs.to_owned(), "byte 0: it has a document type"),
            ("<r>".repeat(1_000_000), "byte 3000: more than 1000 elements within elements"),
            (format!("<{}/>", "n".repeat(300)), "byte 0: more than 256 bytes in an element's name"),
            (format!("<r{attributes}/>"), "more than 8388608 bytes in one tag or text"),
            (format!("<r{}/>", " a1='1'".repeat(300)), "more than 256 attributes in one element"),
            (format!("<r>{}", "x".repeat(9 << 20)), "more than 8388608 bytes in one tag or text"),
            ("<r><b>".to_owned(), "the file ends after byte 6, within 2 open elements"),
            ("<r></b>".to_owned(), "it is no well-formed XML: "),
            ("<r a=1/>".to_owned(), "it is no well-formed XML: "),
            ("<r a='&other;'/>".to_owned(), "it is no well-formed XML: "),
            ("<r".to_owned(), "it is no well-formed XML: "),
        ] {
            let error = told(text.as_bytes()).unwrap_err();
            assert!(chain(&error).contains(expected), "{}", chain(&error));
        }
        assert!(told(b"<r>\xff</r>").is_err());
    }
}
