//! A Sigstore bundle, as a registry gives it to a verifier: nothing passes without a trusted signer's signature.
#![no_main]

use libfuzzer_sys::fuzz_target;
use modelcar::oci::Digest;
use modelcar::trust::{PublicKey, Trusted, Verdict, untrusted};

const KEY: &str = "-----BEGIN PUBLIC KEY-----
MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEaxfR8uEsQkf4vOblY6RA8ncDfYEt
6zOg9KE5RdiYwpZP40Li/hp/m47n60p8D54WK84zV2sxXs7LtkBoN79R9Q==
-----END PUBLIC KEY-----
";

fuzz_target!(|data: &[u8]| {
    let trusted = Trusted { keys: PublicKey::from_pem(KEY).into_iter().collect(), ..Trusted::default() };
    let (_, verdict) = untrusted::bundle(data, Digest::of(b""), &trusted);
    assert!(!matches!(verdict, Verdict::Accepted(_)));
});
