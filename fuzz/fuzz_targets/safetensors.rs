//! Whatever bytes a safetensors file holds: an answer or an error, soon, and in little memory.
//!
//! `cargo +nightly fuzz run safetensors -- -max_len=65536 -timeout=1 -malloc_limit_mb=64`
#![no_main]

use std::io::Cursor;

use libfuzzer_sys::fuzz_target;
use modelcar::model::formats::safetensors::Header;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(header) = Header::read(Cursor::new(bytes)) {
        let _ = (header.holds("weight"), header.tally.total());
    }
});
