//! What somebody tries first who knows other tools is answered with what to write here, before anything is asked of the network.

use std::fs;
use std::process::Stdio;

use crate::support::{modelcar, temp_dir};

#[test]
fn words_of_other_tools_are_answered_with_ours() {
    let home = temp_dir();
    fs::create_dir(home.path().join("here")).unwrap();
    fs::write(home.path().join("here/model.txt"), "x").unwrap();
    let lines = [
        "fetch hf://org/model",
        "fetch hf://org/model model --revision v1",
        "fetch hf://org/model -o model",
        "fetch hf://org/model --local-dir model",
        "fetch org/model model",
        "fetch hf:org/model model",
        "fetch https://huggingface.co/org/model model",
        "fetch here model",
        "fetch nowhere model",
        "smoke-test --delete",
        "summary",
        "summary --result=IMAGE_REF=quay.io/org/iris@sha256:00",
    ];
    let told = |line: &&str| {
        let mut command = modelcar(home.path());
        let output = command.current_dir(home.path()).args(line.split(' ')).stdin(Stdio::null()).output().unwrap();
        let words = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        let words = words.replace(&home.path().canonicalize().unwrap().display().to_string(), "[HOME]");
        let words: Vec<&str> = words.lines().map(|line| line.split(" (0.").next().unwrap()).collect();
        format!("$ modelcar {line}\n{}\nexit code {}\n", words.join("\n"), output.status.code().unwrap())
    };
    insta::assert_snapshot!(lines.iter().map(told).collect::<Vec<_>>().join("\n"));
    assert!(!home.path().join("model").exists());
}
