//! The bundles of the catalogue: what Tekton's own resolver reads of them, and that they are the same every time.

#[path = "../../examples/tekton_bundle.rs"]
#[allow(dead_code, reason = "its main is for the command line")]
mod example;

use std::path::{Path, PathBuf};
use std::process::Command;

use modelcar::oci::Location;
use modelcar::store::{self, Access, StoreOptions};

use crate::support::registry::Registry;
use crate::support::{need, repo_root, run, stdout_of, temp_dir};

/// The two bundles that `make tekton-bundle` makes: all in one would be more than a bundle may hold.
const BUNDLES: [&[&str]; 2] = [&["tasks", "pipelines"], &["stepactions"]];

fn folders(names: &[&str]) -> Vec<PathBuf> {
    names.iter().map(|name| repo_root().join("tekton").join(name)).collect()
}

fn bundled(folders: &[PathBuf]) -> Result<example::Bundle, String> {
    let resources = example::resources(folders).map_err(|error| error.to_string())?;
    example::bundle(&resources).map_err(|error| error.to_string())
}

fn put(bundle: &example::Bundle, dest: &str) {
    let dest: Location = dest.parse().unwrap();
    let options = StoreOptions { tls_verify: Some(false), ..StoreOptions::default() };
    example::put(store::open(&dest, Access::Write, &options).unwrap().as_ref(), bundle, &dest).unwrap();
}

#[test]
fn tekton_reads_every_resource_out_of_both_bundles() {
    let (Some(tekton), Some(registry)) = (need("tekton-validate"), Registry::start()) else { return };
    for (names, wanted) in BUNDLES.iter().zip(["Pipeline/modelcar-release", "StepAction/modelcar-package"]) {
        let bundle = bundled(&folders(names)).unwrap();
        let dest = format!("{}/acme/catalog:{}", registry.host, names[0]);
        put(&bundle, &dest);
        let read = stdout_of(Command::new(&tekton).args(["--bundle", &dest]));
        assert_eq!(read.lines().count(), example::resources(&folders(names)).unwrap().len(), "{read}");
        assert!(read.lines().all(|line| line.starts_with("ok ")) && read.contains(wanted), "{read}");
    }
}

#[test]
fn other_readers_find_the_same_image() {
    let (Some(crane), Some(skopeo), Some(registry)) = (need("crane"), need("skopeo"), Registry::start()) else { return };
    let bundle = bundled(&folders(BUNDLES[0])).unwrap();
    let dest = format!("{}/acme/catalog:v1", registry.host);
    put(&bundle, &dest);
    let digest = stdout_of(Command::new(&crane).args(["digest", "--insecure", &dest]));
    assert_eq!(digest.trim(), bundle.manifest.digest().to_string());
    run(Command::new(&crane).args(["validate", "--insecure", "--remote", &dest]));
    let dir = temp_dir();
    let copy = format!("oci:{}:v1", dir.path().display());
    run(Command::new(&skopeo).args(["copy", "--quiet", "--src-tls-verify=false", &format!("docker://{dest}"), &copy]));
    let copied = stdout_of(Command::new(&skopeo).args(["inspect", "--format", "{{.Digest}}", &copy]));
    assert_eq!(copied.trim(), digest.trim());
}

#[test]
fn two_builds_give_one_digest_in_a_layout_and_whatever_the_order() {
    let dir = temp_dir();
    let dest = format!("oci:{}/catalog:v1", dir.path().display());
    let folders = folders(BUNDLES[0]);
    let reversed: Vec<PathBuf> = folders.iter().rev().cloned().collect();
    let (one, other) = (bundled(&folders).unwrap(), bundled(&reversed).unwrap());
    assert_eq!(one.manifest.digest(), other.manifest.digest());
    put(&one, &dest);
    put(&other, &dest);
    let location: Location = dest.parse().unwrap();
    let store = store::open(&location, Access::Read, &StoreOptions::default()).unwrap();
    let (_, read) = store::resolve(store.as_ref(), &location).unwrap();
    assert_eq!(read.digest(), one.manifest.digest());
}

fn write_task(folder: &Path, name: &str, version: &str, text: &str) {
    let folder = folder.join(name).join(version);
    std::fs::create_dir_all(folder.join("samples")).unwrap();
    std::fs::write(folder.join(format!("{name}.yaml")), text).unwrap();
    std::fs::write(folder.join("samples/run.yaml"), "kind: PipelineRun").unwrap();
}

fn task(name: &str) -> String {
    format!("apiVersion: tekton.dev/v1\nkind: Task\nmetadata: {{name: {name}}}\nspec: {{steps: [{{name: s, image: i}}]}}\n")
}

#[test]
fn what_tekton_would_not_read_is_refused_with_what_to_do() {
    let dir = temp_dir();
    let said = || bundled(&[dir.path().to_owned()]).err().unwrap_or_default();
    assert_eq!(said(), "there is no resource to bundle");
    for number in 0..20 {
        write_task(dir.path(), &format!("t{number}"), "0.1", &task(&format!("t{number}")));
    }
    assert_eq!(said(), "", "twenty are fine, and their samples are not counted");
    write_task(dir.path(), "t20", "0.1", &task("t20"));
    assert_eq!(said(), "21 resources, and Tekton reads at most 20 of a bundle: make several");
    write_task(dir.path(), "t20", "0.2", &task("t20"));
    assert_eq!(said(), "two files hold the task t20: a bundle has one version of it");
    write_task(dir.path(), "t20", "0.2", &format!("{}---\n{}", task("t20"), task("t21")));
    assert!(said().contains("is not one YAML document"), "{}", said());
    write_task(dir.path(), "t20", "0.2", "kind: Secret\n");
    assert!(said().ends_with("is no Task, StepAction or Pipeline"), "{}", said());
}

/// All in one would be too many: the reason why there are two.
#[test]
fn the_whole_catalogue_is_more_than_one_bundle_may_hold() {
    let all = folders(&["tasks", "pipelines", "stepactions"]);
    assert!(bundled(&all).err().unwrap().contains("make several"));
}
