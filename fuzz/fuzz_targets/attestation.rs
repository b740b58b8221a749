//! Whatever bytes a layer of an `.att` image holds: a statement or a reason, soon; and its predicate is laid out anew without a change.
//!
//! `cargo +nightly fuzz run attestation -- -max_len=65536 -timeout=1 -malloc_limit_mb=64`
#![no_main]

use libfuzzer_sys::fuzz_target;
use modelcar::trust::attest::{Predicate, json_text, read_envelope};
use serde_json::Value;

fuzz_target!(|bytes: &[u8]| {
    if let Ok((_, predicate)) = read_envelope(bytes) {
        let pretty = json_text::pretty(predicate.get());
        assert_eq!(json_text::compact(&pretty), json_text::compact(predicate.get()));
        let parsed = serde_json::from_str::<Value>(predicate.get()).ok();
        assert_eq!(parsed, serde_json::from_str(&pretty).ok());
    }
    for kind in ["slsa", "cyclonedx", "custom=urn:x:y"] {
        let _ = kind.parse().map(|kind| Predicate::parse(kind, bytes));
    }
});
