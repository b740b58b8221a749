use std::cell::Cell;
use std::path::PathBuf;
use std::process::Command;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use proptest::prelude::*;

use super::ecdsa::P256Key;
use super::*;
use crate::trust::Algorithm;

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
fn reads_p384_and_rsa_from_every_form_too() {
    let forms = [("p384", ["p384.key", "p384-sec1.key", "p384-cosign.key"]), ("rsa", ["rsa.key", "rsa-pkcs1.key", "rsa-cosign.key"])];
    for (kind, names) in forms {
        let public = PublicKey::load(&file(&format!("{kind}.pub"))).unwrap();
        assert_eq!(public.to_pem(), std::fs::read_to_string(file(&format!("{kind}.pub"))).unwrap(), "{kind}");
        for name in names {
            assert_eq!(load(name).unwrap().public(), public, "{name}");
        }
    }
}

#[test]
fn refuses_other_algorithms_by_name_and_says_why() {
    let table =
        [("p521", "P-521", "SHA-512"), ("ed25519", "Ed25519", "the message itself"), ("rsa-1024", "RSA with 1024 bits", "2048 to 8192")];
    for (name, algorithm, why) in table {
        let private = load(&format!("{name}.key")).unwrap_err();
        let public = PublicKey::load(&file(&format!("{name}.pub"))).unwrap_err();
        for error in [private, public] {
            let reason = reason(&error);
            assert!(reason.contains(algorithm) && reason.contains(why), "{name}: {reason}");
            assert!(error.hint().unwrap().contains("keygen"), "{name}");
        }
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

/// With the number of another curve, or of none, a key must not pass for one of ours.
#[test]
fn refuses_sec1_keys_that_name_no_curve_or_another() {
    let sec1 = pem::read(&std::fs::read_to_string(file("p256-sec1.key")).unwrap()).unwrap().bytes;
    let curve = sec1.windows(8).position(|bytes| bytes == P256.as_bytes()).unwrap();
    // secp256k1 is one byte shorter, so another curve of the same arc stands for it
    let mut other = sec1.to_vec();
    other[curve + 7] = 0x06;
    let nameless = [&[0x30, 0x25, 2, 1, 1, 4, 0x20][..], &[7; 32]].concat();
    let read = |der: &[u8]| private::parse(&pem::write("EC PRIVATE KEY", der)).err().unwrap();
    assert!(matches!(read(&other), InvalidKey::Algorithm { .. }), "{:?}", read(&other));
    assert!(matches!(read(&nameless), InvalidKey::Damaged));
}

#[test]
fn what_it_encrypts_it_reads_again() {
    let key = P256Key::generate().unwrap();
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("k");
    std::fs::write(&path, key.to_encrypted_pem("p\u{e4}ss").unwrap().as_bytes()).unwrap();
    let again = PrivateKey::load(&path, &|| Ok(Zeroizing::new("p\u{e4}ss".to_owned()))).unwrap();
    assert_eq!(again.public(), key.public());
}

#[test]
fn encrypts_with_the_parameters_of_cosign_2_and_3() {
    let pem = P256Key::generate().unwrap().to_encrypted_pem("x").unwrap();
    assert!(pem.starts_with("-----BEGIN ENCRYPTED SIGSTORE PRIVATE KEY-----\n"));
    let envelope: serde_json::Value = serde_json::from_slice(&pem::read(&pem).unwrap().bytes).unwrap();
    assert_eq!(envelope["kdf"]["params"], serde_json::json!({"N": 65536, "r": 8, "p": 1}));
    assert_eq!(envelope["cipher"]["name"], "nacl/secretbox");
}

#[test]
fn signs_the_same_way_every_time_and_verifies_only_its_own() {
    let table = [("p256", Algorithm::EcdsaP256Sha256), ("p384", Algorithm::EcdsaP384Sha256), ("rsa", Algorithm::RsaSha256)];
    for (name, algorithm) in table {
        let key = load(&format!("{name}.key")).unwrap();
        let public = key.public();
        let signature = key.sign(b"message").unwrap();
        assert_eq!(signature, key.sign(b"message").unwrap(), "{name}");
        assert_eq!(public.verify(b"message", &signature), Some(algorithm));
        assert_eq!(public.algorithm(), algorithm);
        assert_eq!(public.verify(b"Message", &signature), None, "{name}");
        for at in 0..signature.len() {
            let mut flipped = signature.clone();
            flipped[at] ^= 1;
            assert_eq!(public.verify(b"message", &flipped), None, "{name}, byte {at}");
        }
        for cut in [&[][..], &signature[1..], &signature[..signature.len() - 1]] {
            assert_eq!(public.verify(b"message", cut), None, "{name}");
        }
        for (other, _) in table.iter().filter(|(other, _)| *other != name) {
            assert_eq!(load(&format!("{other}.key")).unwrap().public().verify(b"message", &signature), None, "{name} by {other}");
        }
    }
}

/// openssl dgst -sha384 -sign p384.key, of `message`: the hash with which cosign signs.
#[test]
fn tells_which_hash_a_p384_signature_is_over() {
    let signature = "MGUCMQDJFseVd6kGiJpl6iSD2WdX3FVAkN8rpHZdcBj+WHJkWq6Gjgh402iNowCAXwhagWkCMHS8rKhFgFUT9drPbN5J7+o87A0+NOpaarIpCLxMo5DSP1g4zm9c9NedHNq0ZQJE1A==";
    let signature = STANDARD.decode(signature).unwrap();
    let public = PublicKey::load(&file("p384.pub")).unwrap();
    assert_eq!(public.verify(b"message", &signature), Some(Algorithm::EcdsaP384Sha384));
    assert_eq!(public.verify(b"Message", &signature), None);
}

/// A key in a token or a key service, that may also fail.
struct Token(Option<PrivateKey>);

impl SigningKey for Token {
    fn public(&self) -> PublicKey {
        load("p256.key").unwrap().public()
    }

    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, KeyError> {
        self.0.as_ref().ok_or(KeyError::Signing)?.sign(message)
    }
}

#[test]
fn a_key_that_somebody_else_keeps_signs_as_one_from_a_file_does() {
    let key = PrivateKey::held_by(Token(Some(load("p256.key").unwrap())));
    let signature = key.sign(b"message").unwrap();
    assert!(key.public().verify(b"message", &signature).is_some());
    let unplugged = PrivateKey::held_by(Token(None));
    assert!(matches!(unplugged.sign(b"message"), Err(KeyError::Signing)));
}

#[test]
fn openssl_verifies_what_it_signs() {
    let dir = tempfile::tempdir().unwrap();
    let (message, signature) = (dir.path().join("m"), dir.path().join("s"));
    std::fs::write(&message, b"message").unwrap();
    for name in ["p256", "p384", "rsa"] {
        std::fs::write(&signature, load(&format!("{name}.key")).unwrap().sign(b"message").unwrap()).unwrap();
        let mut openssl = Command::new("openssl");
        openssl.args(["dgst", "-sha256", "-verify"]).arg(file(&format!("{name}.pub"))).arg("-signature").arg(&signature).arg(&message);
        let Ok(output) = openssl.output() else {
            assert!(std::env::var_os("MODELCAR_REQUIRE_PEERS").is_none_or(|value| value != "1"), "openssl not found");
            return eprintln!("SKIPPED: openssl not found");
        };
        assert!(output.status.success(), "{name}: {}", String::from_utf8_lossy(&output.stderr));
    }
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
        let _ = private::parse(&text);
        let _ = PublicKey::from_pem(&text);
        for label in [label.as_str(), "PRIVATE KEY", "EC PRIVATE KEY", "RSA PRIVATE KEY", "PUBLIC KEY", encrypted::LABEL] {
            let pem = pem::write(label, &bytes);
            let _ = private::parse(&pem);
            let _ = PublicKey::from_pem(&pem);
        }
    }

    #[test]
    fn damaged_keys_never_panic(name in prop_oneof![
        Just("p256.key"),
        Just("p384-sec1.key"),
        Just("rsa.key"),
        Just("rsa-pkcs1.key"),
        Just("n65536.key"),
        Just("p256.pub"),
        Just("rsa.pub"),
    ], at: usize, byte: u8) {
        let mut bytes = pem::read(&std::fs::read_to_string(file(name)).unwrap()).unwrap().bytes;
        let at = at % bytes.len();
        bytes[at] = byte;
        for label in ["PRIVATE KEY", "EC PRIVATE KEY", "RSA PRIVATE KEY", "PUBLIC KEY", encrypted::LABEL] {
            let pem = pem::write(label, &bytes);
            let _ = private::parse(&pem);
            let _ = PublicKey::from_pem(&pem);
        }
    }
}
