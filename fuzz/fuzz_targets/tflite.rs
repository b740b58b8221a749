//! Whatever bytes a LiteRT model holds: an answer or an error, soon, and in little memory.
//!
//! `cargo +nightly fuzz run tflite -- -max_len=65536 -timeout=1 -malloc_limit_mb=64`
#![no_main]

use std::io::Cursor;

use libfuzzer_sys::fuzz_target;
use modelcar::model::formats::tflite::TfliteModel;

fuzz_target!(|bytes: &[u8]| {
    let _ = TfliteModel::read(Cursor::new(bytes));
});
