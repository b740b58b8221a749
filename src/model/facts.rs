//! What a model says about itself, in words that are safe to print and to put into annotations.
//!
//! All of it comes from files that somebody else wrote: texts are cut at 1 KiB, control and direction-changing
//! characters are escaped (a producer name must not move the cursor of a terminal), lists are cut with a note.

use std::fmt::{self, Write as _};

use crate::oci::is_harmless;

/// The longest text that is kept, in bytes.
pub(crate) const MAX_TEXT: usize = 1024;

/// What a model says about itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    /// In the order in which a person wants to read them; keys are unique.
    pub items: Vec<Fact>,
    /// What the model takes.
    pub inputs: Vec<TensorInfo>,
    /// What it gives.
    pub outputs: Vec<TensorInfo>,
}

/// One fact.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fact {
    /// Kebab-case; becomes the annotation `io.modelcar.model.<key>`.
    pub key: String,
    /// For people: "IR version".
    pub label: String,
    /// At most 1 KiB and the mark of a cut.
    pub value: String,
}

/// A named input or output.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TensorInfo {
    /// Its name.
    pub name: String,
    /// `float32`, or for what is no tensor `sequence(map(int64,float32))`.
    pub element_type: String,
    /// Its shape; none where the rank is open or it is no tensor. An empty one is a scalar.
    pub shape: Option<Vec<Dimension>>,
}

/// One dimension of a shape.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Dimension {
    /// Always this many.
    Fixed(u64),
    /// Open, with a name: usually the batch.
    Named(String),
    /// Open.
    Unknown,
}

impl Facts {
    /// Adds a fact unless it has no value or its key is taken.
    pub(crate) fn add(&mut self, key: &str, label: &str, value: impl AsRef<str>) {
        let value = printable(value.as_ref());
        let taken = self.items.iter().any(|fact| fact.key == key);
        if !value.is_empty() && !taken {
            self.items.push(Fact { key: key.to_owned(), label: label.to_owned(), value });
        }
    }

    /// Says more about a fact, where it was told: `weights.data (inlined in the image)`.
    pub(crate) fn amend(&mut self, key: &str, more: &str) {
        if let Some(fact) = self.items.iter_mut().find(|fact| fact.key == key) {
            fact.value = printable(&format!("{} ({more})", fact.value));
        }
    }

    /// The value of the fact with this key.
    pub fn get(&self, key: &str) -> Option<&str> {
        self.items.iter().find(|fact| fact.key == key).map(|fact| fact.value.as_str())
    }
}

impl fmt::Display for TensorInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.name, self.element_type)?;
        let Some(shape) = &self.shape else { return Ok(()) };
        f.write_str(&shape_text(shape))
    }
}

impl fmt::Display for Dimension {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fixed(size) => write!(f, "{size}"),
            Self::Named(name) => f.write_str(name),
            Self::Unknown => f.write_str("?"),
        }
    }
}

/// `[batch,3,224,224]`.
pub(crate) fn shape_text(shape: &[Dimension]) -> String {
    let inside = shape.iter().map(ToString::to_string).collect::<Vec<_>>().join(",");
    format!("[{inside}]")
}

/// The text, cut and escaped so that it cannot do anything but be read.
pub(crate) fn printable(text: &str) -> String {
    let mut out = String::new();
    for char in text.trim().chars() {
        if out.len() >= MAX_TEXT {
            out.push('…');
            break;
        }
        if is_harmless(char) {
            out.push(char);
        } else {
            // Writing to a String cannot fail.
            let _ = write!(out, "{}", char.escape_default());
        }
    }
    out
}

/// A text as part of a fact's key: lower-case letters, digits and single hyphens, at most 48 bytes.
pub(crate) fn slug(text: &str) -> String {
    let mut out = String::new();
    for char in text.chars().take(MAX_TEXT) {
        if char.is_ascii_alphanumeric() {
            out.push(char.to_ascii_lowercase());
        } else if !out.is_empty() && !out.ends_with('-') {
            out.push('-');
        }
    }
    out.truncate(48);
    out.trim_end_matches('-').to_owned()
}

/// The first `shown` of a list as text, and how many more there are.
pub(crate) fn cut_list<T: fmt::Display>(list: impl ExactSizeIterator<Item = T>, shown: usize) -> String {
    let more = list.len().saturating_sub(shown);
    let mut text = list.take(shown).map(|item| item.to_string()).collect::<Vec<_>>().join(", ");
    if more > 0 {
        let _ = write!(text, " … and {more} more");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_from_a_model_can_drive_a_terminal() {
        for (text, expected) in [
            ("plain, ünïcode 模型", "plain, ünïcode 模型"),
            ("\x1b[2Jgone", "\\u{1b}[2Jgone"),
            ("two\nlines\ttab\0", "two\\nlines\\ttab\\u{0}"),
            ("right\u{202e}left", "right\\u{202e}left"),
            ("  around  ", "around"),
        ] {
            assert_eq!(printable(text), expected);
        }
    }

    #[test]
    fn a_long_text_is_cut_and_says_so() {
        let cut = printable(&"ä".repeat(5000));
        assert!(cut.len() <= MAX_TEXT + 8, "{}", cut.len());
        assert!(cut.ends_with('…'));
    }

    #[test]
    fn a_tensor_reads_as_people_write_it() {
        let tensor = |shape| TensorInfo { name: "X".to_owned(), element_type: "float32".to_owned(), shape }.to_string();
        assert_eq!(tensor(Some(vec![Dimension::Fixed(3), Dimension::Fixed(2)])), "X: float32[3,2]");
        assert_eq!(tensor(Some(vec![Dimension::Named("batch".to_owned()), Dimension::Unknown])), "X: float32[batch,?]");
        assert_eq!(tensor(Some(vec![])), "X: float32[]");
        assert_eq!(tensor(None), "X: float32");
    }

    #[test]
    fn a_key_is_kebab_case_whatever_the_model_says() {
        for (text, key) in [("author", "author"), ("Licence: X/Y", "licence-x-y"), ("__a__b__", "a-b"), ("模型", ""), ("", "")] {
            assert_eq!(slug(text), key);
        }
        assert!(slug(&"x".repeat(500)).len() <= 48);
    }

    #[test]
    fn a_fact_is_told_once_and_only_with_a_value() {
        let mut facts = Facts::default();
        facts.add("producer", "producer", "one");
        facts.add("producer", "producer", "two");
        facts.add("domain", "domain", " ");
        assert_eq!(facts.items.len(), 1);
        facts.amend("producer", "amended");
        facts.amend("domain", "amended");
        assert_eq!(facts.items.len(), 1);
        assert_eq!(facts.get("producer"), Some("one (amended)"));
    }

    #[test]
    fn a_list_is_cut_with_a_count() {
        assert_eq!(cut_list([1, 2, 3].into_iter(), 3), "1, 2, 3");
        assert_eq!(cut_list([1, 2, 3].into_iter(), 1), "1 … and 2 more");
    }
}
