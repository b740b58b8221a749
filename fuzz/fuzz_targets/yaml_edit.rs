//! Whatever a YAML file holds: an edit that changes what it means and nothing else, or an error, soon, and in little memory.
//!
//! `cargo +nightly fuzz run yaml_edit -- -max_len=4096 -timeout=5 -malloc_limit_mb=256`
#![no_main]

use std::path::Path;

use libfuzzer_sys::fuzz_target;
use modelcar::rollout::{Edit, Step, edited};
use serde_json::json;

fuzz_target!(|bytes: &[u8]| {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let key = |key: &str| Step::Key(key.to_owned());
    let way = || vec![key("a"), key("b")];
    let entry = || vec![key("a"), key("b"), Step::At(0)];
    for edit in [
        Edit::Set(way(), json!("x")),
        Edit::Set(way(), json!(1)),
        Edit::Set([entry(), vec![key("c")]].concat(), json!("x")),
        Edit::Append(way(), json!({"c": "x"})),
        Edit::Remove(way()),
        Edit::Remove(entry()),
    ] {
        let _ = edited(Path::new("fuzz.yaml"), text, 0, &[edit]);
    }
});
