//! Promises of the tool, one file each, kept on real input.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stderr, missing_docs, unreachable_pub)]

mod support;

mod dependencies_are_explained;
mod keys_are_cosigns;
mod onnx_agrees_with_python;
mod rollout_git;
mod rollout_patch;
mod rollout_site;
mod rooms_import_downwards;
mod shell;
mod shell_grammar;
mod shell_kserve;
