//! Keys and tokens. What is called like one from afar (`.env`, `.ssh`) never comes here: the folder is read without it.

use super::super::engine::Subject;
use super::super::text::{Text, ending, file_name};
use super::super::{Finding, Severity, rules};

const NAMES: [&str; 8] =
    [".dockerconfigjson", ".git-credentials", ".pgpass", "credentials.json", "hf_token", "kubeconfig", "token", "token.txt"];
const ENDINGS: [&str; 5] = ["jks", "kdbx", "key", "p12", "pfx"];

/// The name of a secret. It may be something else, so it is a warning.
pub(super) fn by_name(subject: &Subject<'_>) -> Vec<Finding> {
    let is_secret = |path: &str| {
        let name = file_name(path);
        NAMES.contains(&name) || name.starts_with(".env.") || ENDINGS.contains(&ending(name))
    };
    let secrets = subject.layout.files.iter().map(|placed| &placed.file.path).filter(|path| is_secret(path));
    secrets.map(|path| Finding::at(&rules::SECRET_FILE, path, "is called like a secret").weighing(Severity::Warning)).collect()
}

/// A private key in PEM (RFC 7468), whatever its file is called.
pub(super) fn private_key(_: &Subject<'_>, text: &Text<'_>) -> Vec<Finding> {
    let is_key = |line: &str| line.starts_with("-----BEGIN ") && line.trim_end().ends_with("PRIVATE KEY-----");
    if !text.content.lines().any(is_key) {
        return Vec::new();
    }
    vec![Finding::at(&rules::SECRET_FILE, text.path(), "holds a private key")]
}
