//! Whatever a model server answers: an answer or an error, soon, and in little memory; an answer agrees with itself.
//!
//! `cargo +nightly fuzz run smoke_answer -- -max_len=65536 -timeout=1 -malloc_limit_mb=64`
#![no_main]

use libfuzzer_sys::fuzz_target;
use modelcar::kserve::Protocol;
use modelcar::rollout::smoke::{Answer, Request, Tolerance, compare};

fuzz_target!(|bytes: &[u8]| {
    let exact = Tolerance { absolute: 0.0, relative: 0.0 };
    for protocol in [Protocol::V1, Protocol::V2] {
        if let Ok(answer) = Answer::parse(protocol, bytes) {
            assert!(compare(&answer, &answer, exact).agrees());
        }
    }
    let _ = Request::parse("fuzz", bytes.to_vec());
});
