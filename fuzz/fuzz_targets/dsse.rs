//! An in-toto statement, as it lies in a DSSE envelope.
#![no_main]

use libfuzzer_sys::fuzz_target;
use modelcar::oci::Digest;
use modelcar::trust::untrusted;

fuzz_target!(|data: &[u8]| {
    let _ = untrusted::statement(data, Digest::of(b""));
});
