//! The payload of a classic signature.
#![no_main]

use libfuzzer_sys::fuzz_target;
use modelcar::trust::untrusted;

fuzz_target!(|data: &[u8]| {
    if let Some((_, digest)) = untrusted::payload(data) {
        // What speaks of a manifest names it.
        assert!(data.windows(64).any(|window| window == digest.hex().as_bytes()) || data.contains(&b'\\'));
    }
});
