//! Compressed layers: the same bytes on every machine, read by others, in constant memory; and refused where a reader cannot take them.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::support::registry::Registry;
use crate::support::{modelcar, need, repo_root, run, stdout_of, temp_dir};

fn model(dir: &Path) {
    fs::create_dir_all(dir.join("labels")).unwrap();
    fs::copy(repo_root().join("testdata/models/iris/logreg_iris.onnx"), dir.join("model.onnx")).unwrap();
    let table: Vec<u8> = (0..3_000_000_u32).map(|n| if n % 100_000 < 50_000 { 0 } else { (n % 251) as u8 }).collect();
    fs::write(dir.join("table.bin"), table).unwrap();
    fs::write(dir.join("labels/de.txt"), "Größe\n").unwrap();
}

fn build(home: &Path, compression: &str, options: &[&str]) -> String {
    let printed = stdout_of(
        modelcar(home).current_dir(home).args(["build", "-q", "--runtime", "raw", "--compression", compression]).args(options).arg("model"),
    );
    printed.trim().rsplit('@').next().unwrap().to_owned()
}

/// Another digest here means that every compressed layer of every user gets another one: a decision, not an upgrade.
#[test]
fn one_digest_for_ever() {
    let home = temp_dir();
    model(&home.path().join("model"));
    let digests = ["none", "gzip", "zstd"].map(|compression| build(home.path(), compression, &["-t", &format!("oci:{compression}:v1")]));
    insta::assert_debug_snapshot!(digests);
    assert_eq!(digests[2], build(home.path(), "zstd", &["--dry-run"]), "a dry run tells the true digest");
}

#[test]
fn others_unpack_the_same_files() {
    let Some(registry) = Registry::start() else { return };
    let (Some(skopeo), Some(umoci), Some(diff)) = (need("skopeo"), need("umoci"), need("diff")) else { return };
    let home = temp_dir();
    model(&home.path().join("model"));
    for compression in ["gzip", "zstd"] {
        let reference = format!("{}/models/{compression}:v1", registry.host);
        build(home.path(), compression, &["--push", "-t", &reference, "--delivery", "modelcar,native"]);
        let (one, bundle, own) = (format!("oci:one-{compression}:v1"), format!("bundle-{compression}"), format!("own-{compression}"));
        let same = |folder: &str| run(Command::new(&diff).current_dir(home.path()).args(["-r", "model", folder]));
        run(modelcar(home.path()).current_dir(home.path()).args(["extract", "-q", &reference, &own]));
        same(&own);
        // umoci 0.4 knows no zstd: skopeo unpacks, as CRI-O does
        let mut copy = Command::new(&skopeo);
        copy.args([
            "copy",
            "-q",
            "--src-tls-verify=false",
            "--override-os=linux",
            "--override-arch=amd64",
            "--dest-compress-format=gzip",
            "--dest-compress",
        ]);
        run(copy.current_dir(home.path()).arg(format!("docker://{reference}")).arg(&one));
        run(Command::new(&umoci).current_dir(home.path()).args([
            "unpack",
            "--rootless",
            "--image",
            one.trim_start_matches("oci:"),
            &bundle,
        ]));
        same(&format!("{bundle}/rootfs/models"));
        let checked = modelcar(home.path()).args(["check", &reference, "--consumer", "modelcar,native,cri-o,containerd"]).output().unwrap();
        assert!(checked.status.success(), "{}", String::from_utf8_lossy(&checked.stdout));
    }
}

#[test]
fn pull_copies_compressed_layers_as_they_are() {
    let Some(registry) = Registry::start() else { return };
    let home = temp_dir();
    model(&home.path().join("model"));
    let reference = format!("{}/models/m:v1", registry.host);
    let digest = build(home.path(), "zstd", &["--push", "-t", &reference]);
    let pulled = stdout_of(modelcar(home.path()).current_dir(home.path()).args(["pull", "-q", &reference, "pulled"]));
    assert!(pulled.trim().ends_with(&digest), "{pulled}");
    let shown = stdout_of(modelcar(home.path()).current_dir(home.path()).args(["inspect", "pulled"]));
    assert!(shown.contains("table.bin"), "{shown}");
}

#[test]
fn zstd_is_refused_for_fetch_with_the_reason_and_gzip_is_not() {
    let home = temp_dir();
    model(&home.path().join("model"));
    let build = |compression: &str| {
        let arguments = ["build", "-t", "oci:out:v1", "--delivery", "fetch", "--compression", compression, "model"];
        modelcar(home.path()).current_dir(home.path()).args(arguments).output().unwrap()
    };
    let refused = build("zstd");
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(refused.status.code() == Some(2) && said.contains("kserve#6014") && said.contains("--compression gzip"), "{said}");
    assert!(!home.path().join("out").exists());
    assert!(build("gzip").status.success());
    assert!(build("none").status.success());
}

#[test]
fn a_large_model_is_compressed_in_constant_memory_without_a_copy_on_disk() {
    let Some(registry) = Registry::start() else { return };
    let home = temp_dir();
    fs::create_dir(home.path().join("model")).unwrap();
    let file = fs::File::create(home.path().join("model/weights.bin")).unwrap();
    file.set_len(256 << 20).unwrap();
    let reference = format!("{}/models/large:v1", registry.host);
    let mut command = modelcar(home.path());
    command.current_dir(home.path()).args(["build", "-q", "--push", "--compression", "zstd", "-t", &reference, "model"]);
    let usage = crate::support::usage::usage_of(&mut command);
    assert!(usage.peak_memory <= 40 << 20, "{usage:?}");
    assert!(usage.disk_writes <= 1 << 20, "{usage:?}");
}
