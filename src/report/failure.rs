//! How an error is told: what was tried, why it failed, what to do next.

use std::error::Error;
use std::fmt::Write as _;

use console::Style;

use crate::oci::printable;

/// The longest text of one link of the chain, in characters: causes may quote strangers.
const MAX_TEXT: usize = 2000;

/// Renders an error with its causes and a hint, as it goes to standard error.
///
/// ```text
/// error: cannot read the model
///   caused by: cannot open model.onnx
///   caused by: No such file or directory (os error 2)
///
/// hint: …
/// ```
pub fn render(error: &dyn Error, hint: Option<&str>) -> String {
    let red = Style::new().for_stderr().red().bold();
    let cyan = Style::new().for_stderr().cyan();
    let mut text = format!("{} {}", red.apply_to("error:"), printable(&error.to_string(), MAX_TEXT));
    let mut said = error.to_string();
    let mut cause = error.source();
    while let Some(link) = cause {
        let words = link.to_string();
        // Transparent wrappers would say the same thing twice.
        if words != said {
            let _ = write!(text, "\n  caused by: {}", printable(&words, MAX_TEXT));
        }
        said = words;
        cause = link.source();
    }
    if let Some(hint) = hint {
        let _ = write!(text, "\n\n{} {}", cyan.apply_to("hint:"), printable(hint, MAX_TEXT));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("{0}")]
    struct Link(&'static str, #[source] Option<Box<Link>>);

    fn told(error: &Link, hint: Option<&str>) -> String {
        console::strip_ansi_codes(&render(error, hint)).into_owned()
    }

    #[test]
    fn tells_the_chain_and_the_hint() {
        let error = Link("cannot push", Some(Box::new(Link("cannot connect", Some(Box::new(Link("refused", None)))))));
        assert_eq!(
            told(&error, Some("try again")),
            "error: cannot push\n  caused by: cannot connect\n  caused by: refused\n\nhint: try again"
        );
    }

    #[test]
    fn says_nothing_twice_and_lets_no_stranger_move_the_cursor() {
        let error = Link("same", Some(Box::new(Link("same", Some(Box::new(Link("a\u{1b}[2Jb\rc", None)))))));
        assert_eq!(told(&error, None), "error: same\n  caused by: a\u{fffd}[2Jb\u{fffd}c");
    }
}
