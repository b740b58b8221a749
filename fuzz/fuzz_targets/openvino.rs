//! Whatever bytes an OpenVINO graph holds: an answer or an error, soon, and in little memory.
//!
//! `cargo +nightly fuzz run openvino -- -max_len=65536 -timeout=1 -malloc_limit_mb=64`
#![no_main]

use std::io::Cursor;

use libfuzzer_sys::fuzz_target;
use modelcar::model::formats::openvino::OpenvinoModel;

fuzz_target!(|bytes: &[u8]| {
    let _ = OpenvinoModel::read(Cursor::new(bytes));
});
