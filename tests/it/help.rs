//! What `--help` says, whole, for every verb.

use crate::support::{modelcar, stdout_of, temp_dir};

#[test]
fn every_verb_explains_itself() {
    let home = temp_dir();
    let verbs = [
        "",
        "ship",
        "build",
        "push",
        "pull",
        "copy",
        "replace",
        "extract",
        "fetch",
        "inspect",
        "lint",
        "check",
        "keygen",
        "sign",
        "attest",
        "sbom",
        "provenance",
        "verify",
        "patch",
        "smoke-test",
        "deploy",
        "update",
        "promote",
        "rollback",
        "set-app",
        "status",
        "summary",
        "diff",
        "register",
        "login",
        "logout",
        "doctor",
        "config",
        "completions",
        "man",
    ];
    let help = |verb: &&str| {
        let words: Vec<&str> = verb.split_whitespace().chain(["--help"]).collect();
        format!("$ modelcar {}\n{}", words.join(" "), stdout_of(modelcar(home.path()).args(words)))
    };
    insta::assert_snapshot!(verbs.iter().map(help).collect::<Vec<_>>().join("\n"));
}

#[test]
fn man_pages_and_completions_name_every_verb() {
    let home = temp_dir();
    let man = home.path().join("man");
    stdout_of(modelcar(home.path()).arg("man").arg(&man));
    let pages: Vec<String> = std::fs::read_dir(&man).unwrap().map(|page| page.unwrap().file_name().into_string().unwrap()).collect();
    for verb in ["ship", "build", "sign", "verify"] {
        assert!(pages.contains(&format!("modelcar-{verb}.1")), "{pages:?}");
    }
    for shell in ["bash", "zsh", "fish"] {
        let script = stdout_of(modelcar(home.path()).args(["completions", shell]));
        assert!(script.contains("verify") && script.contains("ship"), "{shell}");
    }
}

#[test]
fn no_arguments_print_the_help_and_exit_as_wrong_usage() {
    let home = temp_dir();
    let output = modelcar(home.path()).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("Usage: modelcar"));
}
