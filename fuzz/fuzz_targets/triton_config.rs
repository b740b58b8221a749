//! Whatever bytes a `config.pbtxt` holds: an answer or an error, soon, and in little memory.
//!
//! `cargo +nightly fuzz run triton_config -- -max_len=65536 -timeout=1 -malloc_limit_mb=64`
#![no_main]

use libfuzzer_sys::fuzz_target;
use modelcar::model::formats::triton::Config;

fuzz_target!(|bytes: &[u8]| {
    let _ = Config::read(bytes);
});
