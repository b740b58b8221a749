//! Settings that verbs share: where they come from, what they mean, and what is wrong with a file.

use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::support::{modelcar, repo_root, run, stdout_of, temp_dir};

const PROJECT: &str = "registry = \"quay.io\"\norganization = \"acme\"\n\n[gitops]\ndir = \"edge\"\nbranch = \"main\"\nstyle = \"images\"\n\
    [verify]\nkeys = [\"keys/release.pub\", \"env://OTHER\"]\n[sign]\nkey = \"env://SIGNING_KEY\"\n";

fn seen(home: &Path, words: &[&str], variables: &[(&str, &str)]) -> String {
    let mut command = modelcar(home);
    let output = command.current_dir(home.join("project")).args(words).envs(variables.iter().copied()).output().unwrap();
    let clean = |bytes: &[u8]| String::from_utf8_lossy(bytes).replace(&home.display().to_string(), "[DIR]");
    format!("exit code: {}\n--- stdout\n{}--- stderr\n{}", output.status.code().unwrap(), clean(&output.stdout), clean(&output.stderr))
}

/// A home with a project and its settings.
fn home(project: &str) -> tempfile::TempDir {
    let home = temp_dir();
    fs::create_dir_all(home.path().join("project/.git")).unwrap();
    fs::create_dir_all(home.path().join(".config/modelcar")).unwrap();
    fs::write(home.path().join("project/modelcar.toml"), project).unwrap();
    home
}

#[test]
fn what_is_in_effect_is_shown_with_where_it_came_from() {
    let home = home(PROJECT);
    fs::write(home.path().join(".config/modelcar/config.toml"), "registry = \"docker.io\"\n[gitops]\nauthor = \"Ada <ada@example.com>\"\n")
        .unwrap();
    let text = seen(home.path(), &["config"], &[("MODELCAR_GITOPS_BRANCH", "release")]);
    let bare = temp_dir();
    fs::create_dir(bare.path().join("project")).unwrap();
    fs::create_dir(bare.path().join("project/.git")).unwrap();
    let nothing = seen(bare.path(), &["config"], &[]);
    let named = seen(home.path(), &["config"], &[("MODELCAR_CONFIG", "/dev/null")]);
    // how wide a column is depends on the name of the folder
    let narrow = |line: &str| line.split("  ").filter(|cell| !cell.is_empty()).map(str::trim).collect::<Vec<_>>().join("  ") + "\n";
    insta::assert_snapshot!([text, nothing, named].join("\n").lines().map(narrow).collect::<String>());
}

#[test]
fn scripts_read_the_same() {
    let home = home(PROJECT);
    let mut command = modelcar(home.path());
    let text = stdout_of(command.current_dir(home.path().join("project")).args(["config", "--format", "json"]));
    let told: Value = serde_json::from_str(&text).unwrap();
    let of = |key: &str| told["settings"].as_array().unwrap().iter().find(|one| one["key"] == key).unwrap().clone();
    let file = home.path().join("project/modelcar.toml").display().to_string();
    assert_eq!((of("registry")["value"].as_str(), of("registry")["from"].as_str()), (Some("quay.io"), Some(format!("{file}:1").as_str())));
    assert_eq!((&of("model-registry.url")["value"], &of("model-registry.url")["from"]), (&Value::Null, &Value::Null));
    assert_eq!((&told["searched"][0]["path"], &told["searched"][0]["state"]), (&Value::from(file), &Value::from("read")));
}

#[test]
fn a_file_that_cannot_be_used_says_where_and_why() {
    let told = [
        "regitsry = \"quay.io\"\n",
        "[gitops]\nurl = \"https://git.example.com/x\"\ndir = \"y\"\n",
        "[gitops]\ntoken = \"s3cret\"\n",
        "[gitops]\nstyle = \"helm\"\n",
        "[verify]\nkeys = \"a.pub\"\n",
        "registry = quay.io\n",
        "colour = \"red\"\n",
    ]
    .map(|project| format!("{project}$ modelcar config\n{}", seen(home(project).path(), &["config"], &[])));
    let empty = home("");
    let variable = seen(empty.path(), &["config"], &[("MODELCAR_REGISTRY", "quay.io/acme")]);
    let missing = seen(empty.path(), &["config"], &[("MODELCAR_CONFIG", "gone.toml")]);
    let told = [told.join("\n"), variable, missing].join("\n");
    assert_eq!(told.matches("s3cret").count(), 1, "only the file has it: {told}");
    insta::assert_snapshot!(told);
}

#[test]
fn a_short_name_is_understood_by_every_verb_and_a_whole_one_means_what_it_always_meant() {
    let home = home("registry = \"127.0.0.1:1\"\norganisation = \"acme\"\n");
    let said = |words: &[&str]| seen(home.path(), words, &[]);
    for verb in ["inspect", "verify", "check"] {
        let words: &[&str] = if verb == "verify" { &[verb, "iris:v1", "--key", "../k.pub"] } else { &[verb, "iris:v1"] };
        fs::copy(repo_root().join("testdata/keys/p256.pub"), home.path().join("k.pub")).unwrap();
        let told = said(words);
        assert!(told.contains("cannot connect to 127.0.0.1:1"), "{verb}: {told}");
    }
    // a file wins over a name
    let model = repo_root().join("testdata/models/iris/logreg_iris.onnx");
    fs::copy(&model, home.path().join("project/iris:v1")).unwrap();
    assert!(said(&["inspect", "iris:v1"]).starts_with("exit code: 0"));
    let build = ["build", "iris:v1", "-t", "iris:v1", "--dry-run"];
    let told = said(&build);
    assert!(told.starts_with("exit code: 0") && told.contains("127.0.0.1:1/acme/iris:v1"), "{told}");
}

#[test]
fn a_broken_file_is_no_obstacle_to_whole_names() {
    let home = home("this is no TOML");
    let model = repo_root().join("testdata/models/iris/logreg_iris.onnx");
    let mut command = modelcar(home.path());
    let build = ["build", "-t", "quay.io/acme/iris:v1", "-o", "oci:layout"];
    run(command.current_dir(home.path().join("project")).args(build).arg(&model));
    let told = seen(home.path(), &["inspect", "iris:v1"], &[]);
    assert!(told.starts_with("exit code: 2") && told.contains("modelcar.toml:1"), "{told}");
}
