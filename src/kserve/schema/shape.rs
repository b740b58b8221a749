//! The words in which the tables beside this file are written: members of an object, and what may stand in them.

use serde_json::Value;

/// What may stand in a member.
#[derive(Clone, Copy, Debug)]
pub(super) enum Shape {
    /// A string.
    Text,
    /// `true` or `false`.
    Flag,
    /// A whole number.
    Int,
    /// A whole number or a string: amounts, percentages, ports.
    IntOrText,
    /// One of these strings.
    Word(&'static [&'static str]),
    /// An object with the members of these tables.
    Object(&'static [&'static [Member]]),
    /// A list of such.
    List(&'static Shape),
    /// Strings by free names.
    Texts,
    /// Amounts by free names.
    Amounts,
    /// An object whose members are not described here.
    Open,
    /// A list of such.
    OpenList,
    /// Anything at all.
    Any,
}

/// A member of an object.
#[derive(Clone, Copy, Debug)]
pub(super) struct Member {
    pub(super) name: &'static str,
    pub(super) shape: Shape,
    pub(super) required: bool,
}

/// A member that may be left out.
pub(super) const fn member(name: &'static str, shape: Shape) -> Member {
    Member { name, shape, required: false }
}

/// A member that may not.
pub(super) const fn must(name: &'static str, shape: Shape) -> Member {
    Member { name, shape, required: true }
}

/// A string.
pub(super) const fn text(name: &'static str) -> Member {
    member(name, Shape::Text)
}

/// `true` or `false`.
pub(super) const fn flag(name: &'static str) -> Member {
    member(name, Shape::Flag)
}

/// A whole number.
pub(super) const fn int(name: &'static str) -> Member {
    member(name, Shape::Int)
}

/// An object that is described by its name alone.
pub(super) const fn open(name: &'static str) -> Member {
    member(name, Shape::Open)
}

/// A list whose items are not described.
pub(super) const fn open_list(name: &'static str) -> Member {
    member(name, Shape::OpenList)
}

/// A list of strings.
pub(super) const fn texts(name: &'static str) -> Member {
    member(name, Shape::List(&Shape::Text))
}

/// An object of tables.
pub(super) const fn object(name: &'static str, tables: &'static [&'static [Member]]) -> Member {
    member(name, Shape::Object(tables))
}

impl Shape {
    /// The type by its name in OpenAPI; `None` where several may stand.
    pub(super) fn type_name(self) -> Option<&'static str> {
        match self {
            Self::Text | Self::Word(_) => Some("string"),
            Self::Flag => Some("boolean"),
            Self::Int => Some("integer"),
            Self::Object(_) | Self::Texts | Self::Amounts | Self::Open => Some("object"),
            Self::List(_) | Self::OpenList => Some("array"),
            Self::IntOrText | Self::Any => None,
        }
    }

    /// Whether a value is of the type, whatever is inside.
    pub(super) fn takes(self, value: &Value) -> bool {
        match self.type_name() {
            Some("string") => value.is_string(),
            Some("boolean") => value.is_boolean(),
            Some("integer") => value.is_i64() || value.is_u64(),
            Some("object") => value.is_object(),
            Some("array") => value.is_array(),
            _ => matches!(self, Self::Any) || is_int_or_text(value),
        }
    }

    /// What should stand there, for people.
    pub(super) fn wanted(self) -> String {
        match self {
            Self::Text => "text; put quotes around it where it looks like something else".to_owned(),
            Self::Flag => "true or false".to_owned(),
            Self::Int => "a whole number without quotes".to_owned(),
            Self::IntOrText => "a number or text".to_owned(),
            Self::Word(words) => format!("one of {}", words.join(", ")),
            Self::Object(_) | Self::Open => "a mapping".to_owned(),
            Self::Texts => "a mapping to text".to_owned(),
            Self::Amounts => "a mapping to amounts".to_owned(),
            Self::List(_) | Self::OpenList => "a list".to_owned(),
            Self::Any => "anything".to_owned(),
        }
    }
}

pub(super) fn is_int_or_text(value: &Value) -> bool {
    value.is_string() || value.is_i64() || value.is_u64()
}
