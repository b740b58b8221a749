//! Whatever text a key file holds: a key or an error, soon, and in little memory. Encrypted keys are read as far as the password.
//!
//! `cargo +nightly fuzz run key -- -max_len=65536 -timeout=1 -malloc_limit_mb=64`, with `testdata/keys` as further seeds.
#![no_main]

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use libfuzzer_sys::fuzz_target;
use modelcar::trust::{KeyError, KeySource, PrivateKey, PublicKey};

const LABELS: [&str; 5] = ["PRIVATE KEY", "EC PRIVATE KEY", "RSA PRIVATE KEY", "PUBLIC KEY", "ENCRYPTED SIGSTORE PRIVATE KEY"];

fn read(text: &str) {
    let source = KeySource::Variable("KEY".to_owned());
    let _ = PrivateKey::from_pem(text, &source, &|| Err(KeyError::NoPassword));
    let _ = PublicKey::from_pem(text);
}

fuzz_target!(|bytes: &[u8]| {
    if let Ok(text) = std::str::from_utf8(bytes) {
        read(text);
    }
    // Base64 hides the structure from the fuzzer, so the same bytes stand in a block of each kind as well.
    for label in LABELS {
        read(&format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", STANDARD.encode(bytes)));
    }
});
