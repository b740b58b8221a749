//! Whatever bytes the annotations of a classic keyless signature hold: a bundle or a reason, soon, and in little memory.
//!
//! `cargo +nightly fuzz run keyless_annotations -- -max_len=262144 -timeout=1 -malloc_limit_mb=64`
#![no_main]

use libfuzzer_sys::fuzz_target;
use modelcar::trust::fuzz_annotations;

fuzz_target!(|bytes: &[u8]| fuzz_annotations(bytes));
