//! Whatever bytes an ONNX file holds: an answer or an error, soon, and in little memory.
//!
//! `cargo +nightly fuzz run onnx -- -max_len=65536 -timeout=1 -malloc_limit_mb=64`
#![no_main]

use std::io::Cursor;

use libfuzzer_sys::fuzz_target;
use modelcar::model::formats::onnx::OnnxModel;

fuzz_target!(|bytes: &[u8]| {
    let _ = OnnxModel::read(Cursor::new(bytes));
});
