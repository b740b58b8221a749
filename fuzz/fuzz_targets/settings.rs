//! Whatever a file of settings holds: settings or an error, soon, and in little memory.
//!
//! `cargo +nightly fuzz run settings -- -max_len=65536 -timeout=1 -malloc_limit_mb=64`
#![no_main]

use libfuzzer_sys::fuzz_target;
use modelcar::cli::check_settings;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(text) = std::str::from_utf8(bytes) {
        let _ = check_settings(text);
    }
});
