//! Whatever a model registry answers: an entry or an error, soon, and in little memory.
//!
//! `cargo +nightly fuzz run model_registry_answer -- -max_len=65536 -timeout=1 -malloc_limit_mb=64`
#![no_main]

use libfuzzer_sys::fuzz_target;
use modelcar::model_registry::read_entity;

fuzz_target!(|bytes: &[u8]| {
    let _ = read_entity(bytes);
});
