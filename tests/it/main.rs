//! Promises of the tool, one file each, kept on real input.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stderr, missing_docs)]

mod keys_are_cosigns;
mod support;
