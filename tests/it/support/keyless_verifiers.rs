//! Verifiers of the field for signatures with a certificate: sigstore-python and sigstore-js on a bundle and the bytes it is about, cosign and
//! the library inside podman, skopeo and CRI-O on an image. All work offline, with the trusted root they are given.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::{Value, json};

use super::{clean_command, need, need_python_with, repo_root, skip};

/// Who has to have signed, by what is in the certificate.
#[derive(Clone, Copy)]
pub struct Who<'a> {
    /// `trusted_root.json`
    pub root: &'a Path,
    /// The URI or the e-mail address.
    pub identity: &'a str,
    pub issuer: &'a str,
}

/// `Ok` accepts, `Err` refuses; both are what the verifier printed.
pub type Answer = Result<String, String>;

/// sigstore-python, which knows certificates only. `None` where it is missing.
pub fn sigstore_python(bundle: &Path, artifact: &Path, who: Who<'_>) -> Option<Answer> {
    let mut command = need_python_with("sigstore")?;
    command.arg(repo_root().join("tests/peers/verify_bundle.py")).args([bundle, artifact, who.root]).args([who.identity, who.issuer]);
    // no proxy, no cache of a TUF client: it has to work without either
    command.env("HOME", "/nonexistent");
    Some(answer(&command.output().unwrap(), 3))
}

/// sigstore-js. `None` where it is missing.
pub fn sigstore_js(bundle: &Path, artifact: &Path, who: Who<'_>) -> Option<Answer> {
    let mut command = sigstore_js_command()?;
    command.args([bundle, artifact, who.root]).args([who.identity, who.issuer]);
    Some(answer(&command.output().unwrap(), 3))
}

/// sigstore-js on a bundle by a key, in PEM, without any log or time. `None` where it is missing.
pub fn sigstore_js_by_key(bundle: &Path, artifact: &Path, key: &Path) -> Option<Answer> {
    Some(answer(&sigstore_js_command()?.args([bundle, artifact, key]).output().unwrap(), 3))
}

fn sigstore_js_command() -> Option<Command> {
    let packages = repo_root().join(".peers/npm/node_modules");
    if !packages.is_dir() {
        return skip(".peers/npm");
    }
    let mut command = Command::new(need("node")?);
    command.env("NODE_PATH", packages).arg(repo_root().join("tests/peers/verify_bundle.cjs"));
    Some(command)
}

/// What cosign looks at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Bundles that refer to the image: what cosign 3 does by itself where it finds any.
    Bundle,
    /// The tag `.sig`.
    Classic,
}

/// cosign on an image, with a home of its own. `None` where it is missing.
pub fn cosign(home: &Path, image: &str, format: Format, who: Who<'_>) -> Option<Answer> {
    let mut command = clean_command(need("cosign")?, home);
    command.args(["verify", "--allow-http-registry", "--output=text", "--trusted-root"]).arg(who.root);
    command.args(["--certificate-identity", who.identity, "--certificate-oidc-issuer", who.issuer]);
    command.arg(format!("--new-bundle-format={}", format == Format::Bundle));
    let output = command.arg(image).output().unwrap();
    assert!(!home.join(".sigstore").exists(), "cosign went to look for Sigstore's public root");
    // it ends with other codes for other refusals, so it is the words that tell these from not having been asked
    let said = said(&output);
    let is_refusal = ["no matching", "no signatures found", "failed to verify", "invalid signature", "none of the expected identities"];
    assert!(output.status.success() || is_refusal.iter().any(|words| said.contains(words)), "cosign could not be asked: {said}");
    Some(if output.status.success() { Ok(said) } else { Err(said) })
}

/// What the library in podman, skopeo and CRI-O has to be told; it knows no trusted root, and no identities but e-mail addresses.
#[derive(Clone, Copy)]
pub struct FulcioPolicy<'a> {
    /// The root of the authorities (or the whole chain), in PEM.
    pub authorities: &'a str,
    /// The key of Rekor v1, in PEM.
    pub rekor_key: &'a str,
    pub email: &'a str,
    pub issuer: &'a str,
}

/// The library on an image, with a home of its own. `None` where it is missing.
pub fn podman(home: &Path, image: &str, policy: FulcioPolicy<'_>) -> Option<Answer> {
    let program = need("containers-policy")?;
    let registries = home.join("registries.d");
    fs::create_dir_all(&registries).unwrap();
    let (host, repository) = (image.split('/').next().unwrap(), super::verifiers::repository(image));
    fs::write(registries.join("test.yaml"), format!("docker:\n  \"{host}\":\n    use-sigstore-attachments: true\n")).unwrap();
    let file = write(home, "policy.json", &policy_of(home, repository, policy).to_string());
    let mut command = clean_command(program, home);
    command.arg("--policy").arg(file).arg("--registries-d").arg(registries).args(["--insecure", &format!("docker://{image}")]);
    Some(answer(&command.output().unwrap(), 1))
}

fn policy_of(home: &Path, repository: &str, policy: FulcioPolicy<'_>) -> Value {
    let authorities = write(home, "fulcio.pem", policy.authorities);
    let rekor = write(home, "rekor.pub", policy.rekor_key);
    let fulcio = json!({"caPath": authorities, "oidcIssuer": policy.issuer, "subjectEmail": policy.email});
    let rule = json!({"type": "sigstoreSigned", "fulcio": fulcio, "rekorPublicKeyPath": rekor});
    json!({"default": [{"type": "reject"}], "transports": {"docker": {repository: [rule]}}})
}

fn write(home: &Path, name: &str, text: &str) -> PathBuf {
    let file = home.join(name);
    fs::write(&file, text).unwrap();
    file
}

/// Exit code 0 accepts and `refused` refuses; with any other, the question was not answered.
fn answer(output: &Output, refused: i32) -> Answer {
    match output.status.code() {
        Some(0) => Ok(said(output)),
        Some(code) if code == refused => Err(said(output)),
        _ => panic!("could not be asked: {}", said(output)),
    }
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}
