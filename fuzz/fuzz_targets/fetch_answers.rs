//! Whatever a hub or an object store answers: a list or an error, soon, and in little memory.
//!
//! `cargo +nightly fuzz run fetch_answers -- -max_len=65536 -timeout=1 -malloc_limit_mb=64`
#![no_main]

use libfuzzer_sys::fuzz_target;
use modelcar::fetch::{check_bucket_list, check_hub_answers};

fuzz_target!(|bytes: &[u8]| {
    let _ = check_hub_answers(bytes, bytes);
    let _ = check_bucket_list(bytes);
});
