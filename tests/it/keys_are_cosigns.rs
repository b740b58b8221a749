//! Keys and signatures go both ways between modelcar and the real cosign.

use std::path::Path;
use std::process::Command;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use modelcar::trust::{Algorithm, PrivateKey, PublicKey, keygen};
use zeroize::Zeroizing;

use crate::support;

const PASSWORD: &str = "test-password";
/// A plain signature by `k.key`, without Sigstore's public services.
const SIGN_BLOB: [&str; 7] =
    ["sign-blob", "--yes", "--key", "k.key", "--tlog-upload=false", "--use-signing-config=false", "--new-bundle-format=false"];

fn cosign(dir: &Path) -> Option<Command> {
    let Some(program) = support::peer("cosign") else {
        assert!(std::env::var_os("MODELCAR_REQUIRE_PEERS").is_none_or(|value| value != "1"), "cosign not found");
        eprintln!("SKIPPED: cosign not found");
        return None;
    };
    let mut command = Command::new(program);
    command.current_dir(dir).env("COSIGN_PASSWORD", PASSWORD).env("HOME", dir);
    Some(command)
}

fn run(mut command: Command, arguments: &[&str]) -> Vec<u8> {
    let output = command.args(arguments).output().unwrap();
    assert!(output.status.success(), "cosign {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

fn load(path: &Path) -> PrivateKey {
    PrivateKey::load(path, &|| Ok(Zeroizing::new(PASSWORD.to_owned()))).unwrap()
}

#[test]
fn cosign_reads_the_key_that_keygen_writes() {
    let dir = tempfile::tempdir().unwrap();
    let Some(cosign) = cosign(dir.path()) else { return };
    let pair = keygen(dir.path(), "ours", PASSWORD).unwrap();
    let printed = run(cosign, &["public-key", "--key", "ours.key"]);
    assert_eq!(String::from_utf8(printed).unwrap(), std::fs::read_to_string(pair.public).unwrap());
}

#[test]
fn we_read_the_key_that_cosign_writes() {
    let dir = tempfile::tempdir().unwrap();
    let Some(cosign) = cosign(dir.path()) else { return };
    run(cosign, &["generate-key-pair"]);
    let public = PublicKey::load(&dir.path().join("cosign.pub")).unwrap();
    assert_eq!(load(&dir.path().join("cosign.key")).public(), public);
    assert_eq!(public.to_pem(), std::fs::read_to_string(dir.path().join("cosign.pub")).unwrap());
}

#[test]
fn we_read_a_key_that_cosign_3_wrote_even_without_cosign() {
    let keys = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/keys");
    let public = PublicKey::load(&keys.join("cosign.pub")).unwrap();
    assert_eq!(load(&keys.join("cosign.key")).public(), public);
}

/// Whatever openssl wrote, cosign encrypts it, and what it signs with it is told apart by its hash.
#[test]
fn we_read_the_keys_that_cosign_imports_and_verify_what_it_signs_with_them() {
    let kinds = [
        ("p256", "p256", Algorithm::EcdsaP256Sha256),
        ("p384-sec1", "p384", Algorithm::EcdsaP384Sha384),
        ("p384", "p384", Algorithm::EcdsaP384Sha384),
        ("rsa-pkcs1", "rsa", Algorithm::RsaSha256),
        ("rsa", "rsa", Algorithm::RsaSha256),
    ];
    let keys = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/keys");
    for (name, public, algorithm) in kinds {
        let dir = tempfile::tempdir().unwrap();
        let (Some(importer), Some(signer)) = (cosign(dir.path()), cosign(dir.path())) else { return };
        let plain = keys.join(format!("{name}.key"));
        run(importer, &["import-key-pair", "--yes", "--key", plain.to_str().unwrap(), "--output-key-prefix", "k"]);
        let public = PublicKey::load(&keys.join(format!("{public}.pub"))).unwrap();
        assert_eq!(load(&dir.path().join("k.key")).public(), public, "{name}");
        assert_eq!(public.to_pem(), std::fs::read_to_string(dir.path().join("k.pub")).unwrap(), "{name}");

        std::fs::write(dir.path().join("message"), b"message").unwrap();
        let theirs = run(signer, &[&SIGN_BLOB[..], &["message"]].concat());
        let theirs = STANDARD.decode(String::from_utf8(theirs).unwrap().trim()).unwrap();
        assert_eq!(public.verify(b"message", &theirs), Some(algorithm), "{name}");
    }
}

#[test]
fn signatures_verify_in_both_directions() {
    let dir = tempfile::tempdir().unwrap();
    let (Some(verifier), Some(signer)) = (cosign(dir.path()), cosign(dir.path())) else { return };
    let pair = keygen(dir.path(), "k", PASSWORD).unwrap();
    std::fs::write(dir.path().join("message"), b"message").unwrap();
    let ours = load(&pair.private).sign(b"message").unwrap();
    std::fs::write(dir.path().join("ours.sig"), STANDARD.encode(ours)).unwrap();
    let common = ["--insecure-ignore-tlog", "--new-bundle-format=false"];
    run(verifier, &[&["verify-blob", "--key", "k.pub", "--signature", "ours.sig"], &common[..], &["message"]].concat());
    let theirs = run(signer, &[&SIGN_BLOB[..], &["message"]].concat());
    let theirs = STANDARD.decode(String::from_utf8(theirs).unwrap().trim()).unwrap();
    assert_eq!(pair.key.verify(b"message", &theirs), Some(Algorithm::EcdsaP256Sha256));
}
