use std::cell::Cell;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::Command;

use proptest::prelude::*;

use super::*;

fn file(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("testdata/keys").join(name)
}

fn load_with(name: &str, password: &str) -> Result<PrivateKey, KeyError> {
    PrivateKey::load(&file(name), &|| Ok(Zeroizing::new(password.to_owned())))
}

fn load(name: &str) -> Result<PrivateKey, KeyError> {
    load_with(name, "test-password")
}

fn reason(error: &KeyError) -> String {
    std::error::Error::source(error).map(ToString::to_string).unwrap_or_default()
}

#[test]
fn reads_the_same_key_from_every_form() {
    let public = PublicKey::load(&file("p256.pub")).unwrap();
    for name in ["p256.key", "p256-sec1.key", "n32768.key", "n65536.key", "n131072.key"] {
        assert_eq!(load(name).unwrap().public(), public, "{name}");
    }
    assert_eq!(load_with("empty.key", "").unwrap().public(), public);
}

#[test]
fn writes_the_public_key_byte_for_byte_as_openssl_and_cosign() {
    let public = std::fs::read_to_string(file("p256.pub")).unwrap();
    assert_eq!(load("p256.key").unwrap().public().to_pem(), public);
}

#[test]
fn refuses_other_algorithms_by_name() {
    let table = [
        ("p384.key", "P-384"),
        ("p384-sec1.key", "P-384"),
        ("p521.key", "P-521"),
        ("ed25519.key", "Ed25519"),
        ("rsa.key", "RSA"),
        ("rsa-pkcs1.key", "RSA"),
    ];
    for (name, algorithm) in table {
        let error = load(name).unwrap_err();
        assert!(reason(&error).contains(algorithm), "{name}: {}", reason(&error));
        assert!(error.hint().unwrap().contains("keygen"), "{name}");
    }
    for (name, algorithm) in [("p384.pub", "P-384"), ("ed25519.pub", "Ed25519"), ("rsa.pub", "RSA")] {
        let error = PublicKey::load(&file(name)).unwrap_err();
        assert!(reason(&error).contains(algorithm), "{name}: {}", reason(&error));
    }
}

#[test]
fn refuses_keys_that_openssl_encrypted_and_says_how_to_decrypt_them() {
    for name in ["p256-openssl-encrypted.key", "p256-sec1-encrypted.key"] {
        let error = load(name).unwrap_err();
        assert!(matches!(error, KeyError::Unusable { source: InvalidKey::ForeignEncryption { .. }, .. }), "{name}: {error:?}");
        assert!(error.hint().unwrap().contains("openssl pkcs8"));
    }
}

#[test]
fn a_wrong_password_says_so_and_only_so() {
    for (name, password) in [("n65536.key", "canary-7"), ("n65536.key", ""), ("empty.key", "canary-7"), ("n32768.key", "test-password\n")] {
        let error = load_with(name, password).unwrap_err();
        assert_eq!(reason(&error), "wrong password or damaged key", "{name}");
        assert!(!format!("{error:?}").contains("canary"), "{name}");
    }
}

#[test]
fn refuses_a_cost_that_would_eat_the_memory_before_asking_for_the_password() {
    let asked = Cell::new(false);
    let error = PrivateKey::load(&file("expensive.key"), &|| {
        asked.set(true);
        Ok(Zeroizing::default())
    });
    let reason = reason(&error.unwrap_err());
    assert!(reason.contains("N=1073741824") && reason.contains("65536"), "{reason}");
    assert!(!asked.get());
}

#[test]
fn asks_for_the_password_once_and_only_of_encrypted_keys() {
    for (name, times) in [("p256.key", 0), ("p256-sec1.key", 0), ("n32768.key", 1)] {
        let asked = Cell::new(0);
        let password = || {
            asked.set(asked.get() + 1);
            Ok(Zeroizing::new("test-password".to_owned()))
        };
        PrivateKey::load(&file(name), &password).unwrap();
        assert_eq!(asked.get(), times, "{name}");
    }
}

#[test]
fn a_missing_password_is_passed_on() {
    let error = PrivateKey::load(&file("n65536.key"), &|| Err(KeyError::NoPassword)).unwrap_err();
    assert!(matches!(error, KeyError::NoPassword));
}

#[test]
fn names_the_wrong_half_of_a_pair() {
    let private = load("p256.pub").unwrap_err();
    assert!(private.hint().unwrap().contains("cosign.key"), "{private:?}");
    let public = PublicKey::load(&file("n65536.key")).unwrap_err();
    assert!(public.hint().unwrap().contains("cosign.pub"), "{public:?}");
}

#[test]
fn refuses_files_that_are_no_keys() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("k");
    let load = || PrivateKey::load(&path, &|| Ok(Zeroizing::default())).unwrap_err();
    assert!(matches!(load(), KeyError::Read { .. }));
    std::fs::write(&path, vec![b'a'; 64 * 1024 + 1]).unwrap();
    assert!(matches!(load(), KeyError::TooLarge { .. }));
    std::fs::write(&path, b"\xff\xfe").unwrap();
    assert!(matches!(load(), KeyError::Unusable { source: InvalidKey::NotPem, .. }));
    std::fs::write(&path, "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n").unwrap();
    assert!(matches!(load(), KeyError::Unusable { source: InvalidKey::Damaged, .. }));
}

#[test]
fn what_it_encrypts_it_reads_again() {
    let key = PrivateKey::generate().unwrap();
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("k");
    std::fs::write(&path, key.to_encrypted_pem("p\u{e4}ss").unwrap().as_bytes()).unwrap();
    let again = PrivateKey::load(&path, &|| Ok(Zeroizing::new("p\u{e4}ss".to_owned()))).unwrap();
    assert_eq!(again.public(), key.public());
}

#[test]
fn encrypts_with_the_parameters_of_cosign_2_and_3() {
    let pem = load("p256.key").unwrap().to_encrypted_pem("x").unwrap();
    assert!(pem.starts_with("-----BEGIN ENCRYPTED SIGSTORE PRIVATE KEY-----\n"));
    let envelope: serde_json::Value = serde_json::from_slice(&pem::read(&pem).unwrap().bytes).unwrap();
    assert_eq!(envelope["kdf"]["params"], serde_json::json!({"N": 65536, "r": 8, "p": 1}));
    assert_eq!(envelope["cipher"]["name"], "nacl/secretbox");
}

#[test]
fn signs_the_same_way_every_time_and_verifies_only_its_own() {
    let (key, other) = (load("p256.key").unwrap(), PrivateKey::generate().unwrap());
    let signature = key.sign(b"message");
    assert_eq!(signature, key.sign(b"message"));
    assert!(key.public().verify(b"message", &signature).is_some());
    assert!(key.public().verify(b"Message", &signature).is_none());
    assert!(other.public().verify(b"message", &signature).is_none());
    for at in 0..signature.len() {
        let mut flipped = signature.clone();
        flipped[at] ^= 1;
        assert!(key.public().verify(b"message", &flipped).is_none(), "byte {at}");
    }
}

#[test]
fn openssl_verifies_what_it_signs() {
    let dir = tempfile::tempdir().unwrap();
    let (message, signature) = (dir.path().join("m"), dir.path().join("s"));
    std::fs::write(&message, b"message").unwrap();
    std::fs::File::create(&signature).unwrap().write_all(&load("p256.key").unwrap().sign(b"message")).unwrap();
    let mut openssl = Command::new("openssl");
    openssl.args(["dgst", "-sha256", "-verify"]).arg(file("p256.pub")).arg("-signature").arg(&signature).arg(&message);
    let Ok(output) = openssl.output() else {
        assert!(std::env::var_os("MODELCAR_REQUIRE_PEERS").is_none_or(|value| value != "1"), "openssl not found");
        return eprintln!("SKIPPED: openssl not found");
    };
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn hints_are_the_hash_of_the_der_document() {
    // openssl pkey -pubin -in p256.pub -outform DER | openssl dgst -sha256 -binary | base64
    assert_eq!(PublicKey::load(&file("p256.pub")).unwrap().hint(), "iAB/5M/6VtU15Yl6rrtohD4D0em7jzj1k+fIR0pAgvk=");
}

#[test]
fn a_private_key_is_never_printed() {
    assert_eq!(format!("{:?}", load("p256.key").unwrap()), "PrivateKey(redacted)");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]
    #[test]
    fn parsers_never_panic(label in "[A-Z ]{0,30}", bytes in proptest::collection::vec(any::<u8>(), 0..200), text: String) {
        let _ = parse_private(&text);
        let _ = PublicKey::from_pem(&text);
        for label in [label.as_str(), "PRIVATE KEY", "EC PRIVATE KEY", "PUBLIC KEY", encrypted::LABEL] {
            let pem = pem::write(label, &bytes);
            let _ = parse_private(&pem);
            let _ = PublicKey::from_pem(&pem);
        }
    }

    #[test]
    fn damaged_keys_never_panic(name in prop_oneof![Just("p256.key"), Just("p384.key"), Just("n65536.key"), Just("p256.pub")], at: usize, byte: u8) {
        let mut bytes = pem::read(&std::fs::read_to_string(file(name)).unwrap()).unwrap().bytes;
        let at = at % bytes.len();
        bytes[at] = byte;
        for label in ["PRIVATE KEY", "PUBLIC KEY", encrypted::LABEL] {
            let pem = pem::write(label, &bytes);
            let _ = parse_private(&pem);
            let _ = PublicKey::from_pem(&pem);
        }
    }
}
