//! Modelcar's own image: others read it, nothing is in it but what must be, the same input gives the same digest, and its containers work
//! as a user that nobody knows, without capabilities, on a read-only root.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::containerfile::Containerfile;
use crate::support::name_server::{KNOWN, NameServer};
use crate::support::own_image::{Container, NAME, OwnImage, layout};
use crate::support::registry::{Registry, Setup};
use crate::support::runc::text;
use crate::support::{need, repo_root, run, stdout_of, temp_dir};

#[allow(dead_code, unreachable_pub, reason = "its `main` is the example's")]
#[path = "../../examples/self_image.rs"]
mod self_image;

fn iris() -> PathBuf {
    repo_root().join("testdata/models/iris/logreg_iris.onnx")
}

/// Packs two of the committed static programs in the place of two platforms' binaries.
fn pack(folder: &Path, layout: &str, more: &[&str]) -> Result<String, String> {
    let ca = folder.join("ca.pem");
    fs::write(&ca, "certificates\n").unwrap();
    let binary = |arch: &str| format!("linux/{arch}={}", repo_root().join(format!("shell/built/{arch}/sh")).display());
    let destination = format!("oci:{}:v1", folder.join(layout).display());
    let (amd64, arm64) = (binary("amd64"), binary("arm64"));
    let mut words = vec!["self_image", "--ca-name", "test", "--ca-bundle", ca.to_str().unwrap(), "--created", "1700000000", &destination];
    if !more.iter().any(|word| word.contains('=')) {
        words.extend([amd64.as_str(), &arm64]);
    }
    words.extend(more);
    self_image::packed(&words).map(|location| location.to_string())
}

#[test]
fn the_same_binaries_give_the_same_digest() {
    let home = temp_dir();
    let digest = |layout: &str, more: &[&str]| pack(home.path(), layout, more).unwrap().rsplit_once('@').unwrap().1.to_owned();
    let first = digest("first", &[]);
    fs::File::open(home.path().join("ca.pem")).unwrap().set_modified(std::time::SystemTime::UNIX_EPOCH).unwrap();
    assert_eq!(digest("second", &[]), first);
    assert_ne!(digest("third", &["--revision", "other"]), first, "what is different shows");
    let Some(skopeo) = need("skopeo") else { return };
    let raw = stdout_of(Command::new(skopeo).args(["inspect", "--raw"]).arg(format!("oci:{}:v1", home.path().join("first").display())));
    let index: Value = serde_json::from_str(&raw).unwrap();
    let platforms: Vec<_> = index["manifests"].as_array().unwrap().iter().map(|image| image["platform"]["architecture"].clone()).collect();
    assert_eq!(platforms, ["amd64", "arm64"]);
}

#[test]
fn a_binary_that_wants_a_loader_is_refused() {
    let home = temp_dir();
    let error = pack(home.path(), "layout", &[&format!("linux/amd64={}", env!("CARGO_BIN_EXE_modelcar"))]).unwrap_err();
    assert!(error.ends_with("is linked dynamically; scripts/static.sh builds a static one"), "{error}");
    let error = pack(home.path(), "layout", &[&format!("linux/amd64={}", iris().display())]).unwrap_err();
    assert!(error.ends_with("is no 64-bit little-endian ELF program"), "{error}");
    assert!(!home.path().join("layout").exists(), "and nothing is written");
}

#[test]
fn both_ways_to_make_it_say_the_same_of_its_containers() {
    let Some(skopeo) = need("skopeo") else { return };
    let home = temp_dir();
    pack(home.path(), "layout", &[]).unwrap();
    let image = format!("oci:{}:v1", home.path().join("layout").display());
    let config: Value = serde_json::from_str(&stdout_of(Command::new(skopeo).args(["inspect", "--config"]).arg(image))).unwrap();
    let config = &config["config"];
    let file = Containerfile::parse(&fs::read_to_string(repo_root().join("Containerfile")).unwrap());
    let stage = file.last();
    let words = |member: &str| config[member].as_array().unwrap().iter().map(|word| word.as_str().unwrap().to_owned()).collect::<Vec<_>>();
    assert!(stage.all("ENV").eq(words("Env")));
    assert!(stage.all("USER").eq(config["User"].as_str()));
    assert!(stage.all("WORKDIR").eq(config["WorkingDir"].as_str()));
    assert_eq!(serde_json::from_str::<Value>(stage.all("ENTRYPOINT").next().unwrap()).unwrap(), config["Entrypoint"]);
    let labels = labels(stage.all("LABEL").next().unwrap());
    let ours: BTreeMap<String, String> = serde_json::from_value(config["Labels"].clone()).unwrap();
    assert!(labels.keys().eq(ours.keys()), "{labels:?} {ours:?}");
    for (key, value) in labels.iter().filter(|(_, value)| !value.contains("${")) {
        assert_eq!(&ours[key], value);
    }
}

/// `key="value" key="value"`.
fn labels(line: &str) -> BTreeMap<String, String> {
    let pairs = line.split("\" ").map(|pair| pair.split_once("=\"").unwrap());
    pairs.map(|(key, value)| (key.to_owned(), value.trim_end_matches('"').to_owned())).collect()
}

#[test]
fn others_read_the_image_and_find_three_files_in_it() {
    let (Some(layout), Some(registry)) = (layout(), Registry::start()) else { return };
    let (Some(skopeo), Some(crane), Some(image)) = (need("skopeo"), need("crane"), OwnImage::unpacked()) else { return };
    let target = format!("{}/modelcar:{NAME}", registry.host);
    let source = format!("oci:{}:{NAME}", layout.display());
    run(Command::new(skopeo).args(["copy", "-q", "--all", "--dest-tls-verify=false", &source, &format!("docker://{target}")]));
    run(Command::new(crane).args(["validate", "--remote", &target, "--insecure"]));

    assert_eq!(image.config["User"], "65532:0");
    assert_eq!(image.config["Entrypoint"], serde_json::json!(["/usr/bin/modelcar"]));
    let files = stdout_of(Command::new("find").arg(&image.rootfs).args(["-not", "-type", "d", "-printf", "%P %m\n"]));
    let mut files: Vec<&str> = files.lines().collect();
    files.sort_unstable();
    assert_eq!(files, ["etc/nsswitch.conf 644", "etc/ssl/certs/ca-certificates.crt 644", "usr/bin/modelcar 755"], "no shell, no loader");
    let label = &image.config["Labels"]["io.modelcar.ca-bundle"];
    let bundle = fs::read(image.rootfs.join("etc/ssl/certs/ca-certificates.crt")).unwrap();
    assert!(label.as_str().unwrap().ends_with(&modelcar::oci::Digest::of(&bundle).to_string()), "{label}");
}

#[test]
fn a_stranger_builds_a_model_on_a_read_only_root() {
    let Some(image) = OwnImage::unpacked() else { return };
    let version = image.run(&Container { args: &["--version"], ..Container::default() });
    assert_eq!((text(&version.stdout), text(&version.stderr)), (format!("modelcar {NAME}\n"), String::new()));

    let (models, volume) = (image.home.path().join("models"), image.home.path().join("volume"));
    for folder in [&models, &volume] {
        fs::create_dir(folder).unwrap();
        fs::set_permissions(folder, PermissionsExt::from_mode(0o777)).unwrap();
    }
    // no locale is set, and none is there
    fs::copy(iris(), models.join("schön.onnx")).unwrap();
    let container = Container {
        args: &["build", "/workspace/models/schön.onnx", "--output", "oci:/workspace/out/layout:v1"],
        inputs: &[(&models, "/workspace/models")],
        outputs: &[(&volume, "/workspace/out")],
        ..Container::default()
    };
    let built = image.run(&container);
    assert!(built.status.success(), "{}", text(&built.stderr));
    let here = crate::support::modelcar(image.home.path())
        .current_dir(image.home.path())
        .args(["build", "-q", "models/schön.onnx", "--output", "oci:here:v1"])
        .output()
        .unwrap();
    let digest = |stdout: &[u8]| text(stdout).rsplit_once('@').unwrap().1.to_owned();
    assert_eq!(digest(&built.stdout), digest(&here.stdout), "the image builds what this machine builds");

    let nowhere = ["build", "/workspace/models/schön.onnx"];
    let refused = image.run(&Container { args: &nowhere, ..container });
    assert_eq!(refused.status.code(), Some(1), "the root is read-only");
}

#[test]
fn names_are_resolved_and_certificates_checked_with_nothing_but_the_images_own_files() {
    let Some(image) = OwnImage::unpacked() else { return };
    let Some(registry) = Registry::start_with(&Setup { tls: true, ..Setup::default() }) else { return };
    let server = NameServer::start().unwrap();
    let file = |name: &str, content: &str| {
        fs::write(image.home.path().join(name), content).unwrap();
        image.home.path().join(name)
    };
    let resolver = file("resolv.conf", &format!("nameserver {}\noptions timeout:2 attempts:1\n", server.address));
    let hosts = file("hosts", "127.0.0.1 localhost hosts.modelcar.test\n");
    let (model, ca, port) = (iris(), registry.ca_file(), registry.host.rsplit_once(':').unwrap().1);
    let pod: [(&Path, &str); 3] = [(&model, "/model.onnx"), (&resolver, "/etc/resolv.conf"), (&hosts, "/etc/hosts")];
    let trusting = [&pod[..], &[(ca.as_path(), "/etc/ssl/certs/ca-certificates.crt")]].concat();
    let push = |host: &str, inputs: &[(&Path, &str)]| {
        let reference = format!("{host}:{port}/m/iris:v1");
        let pushed = image.run(&Container { args: &["build", "/model.onnx", "--push", "-t", &reference], inputs, ..Container::default() });
        (pushed.status.code(), text(&pushed.stderr))
    };
    // by DNS; by the pod's hosts file, although DNS denies the name
    for host in [KNOWN, "hosts.modelcar.test"] {
        let (code, said) = push(host, &trusting);
        assert_eq!(code, Some(0), "{host}: {said}");
    }
    let (code, said) = push("unknown.modelcar.test", &trusting);
    assert!(code != Some(0) && said.contains("unknown.modelcar.test"), "{said}");
    let (code, said) = push(KNOWN, &pod);
    assert!(code != Some(0) && said.contains("certificate"), "the image's own roots know no test authority: {said}");
}

#[test]
fn what_needs_git_says_which_image_has_it() {
    let Some(image) = OwnImage::unpacked() else { return };
    let args = ["deploy", "edge-01", "registry.example.com/m/iris:v1", "--gitops", "https://git.example.com/gitops.git"];
    let said = image.run(&Container { args: &args, scratch: Some(("/tmp", 8 << 20)), ..Container::default() });
    let message = text(&said.stderr);
    assert_eq!(said.status.code(), Some(1), "{message}");
    assert!(message.contains("cannot run `git`") && message.contains("docs/container-image.md"), "{message}");
}
