//! `--omit-empty`: an option with nothing behind its `=` counts as not given.
//!
//! A Tekton step has no shell that could leave an option out, so that every optional parameter is written as
//! `--name=$(params.NAME)`, and is `--name=` where nobody set it. It has to be asked for: in a shell `--policy=$TYPO` is a mistake.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt as _;

/// The option that asks for it.
const OPTION: &str = "--omit-empty";
/// Behind this word there are no options.
const END: &str = "--";

/// The arguments without empty options, where they ask for that.
pub(super) fn omit_empty(arguments: Vec<OsString>) -> Vec<OsString> {
    let end = arguments.iter().position(|word| word == END).unwrap_or(arguments.len());
    if !arguments[..end].iter().any(|word| word == OPTION) {
        return arguments;
    }
    let kept = |(at, word): &(usize, OsString)| *at >= end || !is_empty_option(word);
    arguments.into_iter().enumerate().filter(kept).map(|(_, word)| word).collect()
}

/// `--name=`.
fn is_empty_option(word: &OsStr) -> bool {
    let name = word.as_bytes().strip_prefix(b"--").and_then(|rest| rest.strip_suffix(b"="));
    name.is_some_and(|name| !name.is_empty() && name.iter().all(|byte| byte.is_ascii_alphanumeric() || *byte == b'-'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn omitted(line: &str) -> String {
        let words = omit_empty(line.split(' ').map(OsString::from).collect());
        words.iter().map(|word| word.to_str().unwrap()).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn empty_options_are_left_out_where_that_is_asked_for_and_nowhere_else() {
        for (line, expected) in [
            ("modelcar sign R --key=", "modelcar sign R --key="),
            ("modelcar --omit-empty sign R --key=", "modelcar --omit-empty sign R"),
            ("modelcar sign --key= --omit-empty R --tag=a --ca-file=", "modelcar sign --omit-empty R --tag=a"),
            // a word behind `--` is no option, this one either
            ("modelcar --omit-empty lint -- --key=", "modelcar --omit-empty lint -- --key="),
            ("modelcar lint --key= -- --omit-empty", "modelcar lint --key= -- --omit-empty"),
            // neither an empty word nor a value that ends so is an option
            ("modelcar --omit-empty build  -t= --label=a= =", "modelcar --omit-empty build  -t= --label=a= ="),
        ] {
            assert_eq!(omitted(line), expected);
        }
    }
}
