//! Promises of the tool, one file each, kept on real input.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stderr, missing_docs)]
<<<<<<< HEAD

mod support;

mod dependencies_are_explained;
mod keys_are_cosigns;
mod rooms_import_downwards;
=======
mod onnx_agrees_with_python;
mod support;
>>>>>>> 2f6a99b (Hold our reading of ONNX against the reference implementation)
