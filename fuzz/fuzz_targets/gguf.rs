//! Whatever bytes a GGUF file holds: an answer or an error, soon, and in little memory.
//!
//! `cargo +nightly fuzz run gguf -- -max_len=65536 -timeout=1 -malloc_limit_mb=64`
#![no_main]

use std::io::Cursor;

use libfuzzer_sys::fuzz_target;
use modelcar::model::formats::gguf::GgufFile;

fuzz_target!(|bytes: &[u8]| {
    let _ = GgufFile::read(Cursor::new(bytes));
});
