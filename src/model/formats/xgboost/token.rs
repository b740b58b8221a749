//! The tokens that JSON and UBJSON have in common, so that one schema reads both.

use super::error::{Defect, XgboostError};

/// Values within values; a real model has eight.
pub(super) const MAX_DEPTH: usize = 64;
/// Bytes of a text that are kept.
pub(super) const MAX_KEPT: usize = 1024;

/// A step through a document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Token {
    BeginObject,
    EndObject,
    BeginArray,
    EndArray,
    /// A member's name; its value follows.
    Key,
    /// A text, or a number in decimal.
    Leaf,
    /// `true`, `false`, `null`.
    Other,
    /// Nothing follows.
    End,
}

/// A document, token by token.
pub(super) trait Tokens {
    /// The next one.
    fn next(&mut self) -> Result<Token, XgboostError>;
    /// The text of the last [`Token::Key`] or [`Token::Leaf`], cut.
    fn text(&self) -> String;
    /// Where in the file this is.
    fn at(&self) -> u64;
}

/// Room for one more level.
pub(super) fn check_depth(depth: usize, offset: u64) -> Result<(), XgboostError> {
    if depth < MAX_DEPTH { Ok(()) } else { Err(XgboostError::malformed(offset, Defect::Depth { limit: MAX_DEPTH })) }
}
