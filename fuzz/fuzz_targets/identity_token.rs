//! Whatever bytes stand for an identity token: claims or an error, soon, and in little memory.
//!
//! `cargo +nightly fuzz run identity_token -- -max_len=65536 -timeout=1 -malloc_limit_mb=64`
#![no_main]

use libfuzzer_sys::fuzz_target;
use modelcar::trust::fuzz_token;

fuzz_target!(|bytes: &[u8]| fuzz_token(bytes));
