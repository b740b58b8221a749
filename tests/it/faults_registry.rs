//! Faults of the registry itself: it is full, it takes nothing, it loses what it had. And the faults that matter most, on another registry.

use std::fs;
use std::process::Command;
use std::sync::Arc;

use crate::support::fault_proxy::{Fault, Part, Proxy, Reply, Rule};
use crate::support::faults::{Bench, Case, LARGE, Verb, digest_of, insta_filters};
use crate::support::registry::{Kind, Registry, Setup};
use crate::support::small_disk::SmallDisk;
use crate::support::{need, run, temp_dir};

const BYTES: &str = "PUT|PATCH";
const UPLOADS: &str = "/blobs/uploads/";

fn said(output: &std::process::Output) -> String {
    format!("exit code {}\n{}\n", output.status.code().unwrap(), String::from_utf8_lossy(&output.stderr).trim_end())
}

#[test]
fn a_push_to_a_registry_with_a_full_disk_fails_and_works_when_there_is_room() {
    let folder = temp_dir();
    let Some(disk) = SmallDisk::mount(folder.path(), "size=1m") else { return };
    let setup = Setup { store: Some(folder.path().to_owned()), ..Setup::default() };
    let (Some(bench), Some(registry)) = (Bench::start(), Registry::start_with(&setup)) else { return };
    let image = format!("{}/full/m:v1", registry.host);
    let output = bench.push(&image).args(["--retry-times", "1"]).output().unwrap();
    // which request meets the end of the disk depends on the registry's own files
    let told = said(&output);
    assert!(told.starts_with("exit code 1\nerror: P") && told.contains("was answered with status 500: unknown error (UNKNOWN)"), "{told}");
    assert!(told.contains("the registry has a problem of its own"), "{told}");
    assert_eq!((registry.tag("full/m", "v1"), registry.incomplete_tags()), (None, Vec::new()));
    disk.grow("size=64m");
    assert_eq!(digest_of(&run(&mut bench.push(&image))), bench.digest);
    assert_eq!(registry.lacks("full/m", &bench.digest), None);
}

#[test]
fn a_push_to_a_registry_that_takes_nothing_says_so() {
    let (Some(bench), Some(registry)) = (Bench::start(), Registry::start_with(&Setup { read_only: true, ..Setup::default() })) else {
        return;
    };
    let output = bench.push(&format!("{}/closed/m:v1", registry.host)).output().unwrap();
    insta_filters(&bench).bind(|| insta::assert_snapshot!(said(&output)));
}

/// The registry had the blob when it was asked, and a garbage collection took it before the manifest came: once, and again and again.
#[test]
fn a_blob_that_disappears_before_the_manifest_leaves_no_tag() {
    let Some(bench) = Bench::start() else { return };
    let refusing = Proxy::start(&bench.registry.host, vec![Rule::instead("PUT", "/manifests/", Reply::new(400)).always()]);
    assert!(!bench.push(&format!("{}/lost/m:v1", refusing.host())).output().unwrap().status.success(), "only the blobs are there");
    let layers = bench.registry.data().join("docker/registry/v2/repositories/lost/m/_layers/sha256");
    let layer = bench.registry.largest_blob(&bench.digest);
    let link = layers.join(layer.trim_start_matches("sha256:"));
    assert!(link.is_dir());
    let collect = Fault::Call(Arc::new(move || drop(fs::remove_dir_all(&link))));
    let collecting = || Rule::on("PUT", "/manifests/", Part::RequestHead, 0, collect.clone());
    let proxy = Proxy::start(&bench.registry.host, vec![collecting().always()]);
    let output = bench.push(&format!("{}/lost/m:v1", proxy.host())).output().unwrap();
    assert!(proxy.all_struck());
    insta_filters(&bench).bind(|| insta::assert_snapshot!(said(&output)));
    assert_eq!(bench.registry.incomplete_tags(), [""; 0]);
    let once = Proxy::start(&bench.registry.host, vec![collecting()]);
    assert_eq!(digest_of(&run(&mut bench.push(&format!("{}/lost/m:v1", once.host())))), bench.digest);
    assert!(once.all_struck());
    assert_eq!(bench.registry.lacks("lost/m", &bench.digest), None);
}

#[test]
fn other_readers_agree_on_what_a_broken_push_left() {
    let (Some(bench), Some(skopeo)) = (Bench::start(), need("skopeo")) else { return };
    let rules = vec![Rule::on(BYTES, UPLOADS, Part::RequestBody, LARGE as u64 / 2, Fault::Reset).times(2)];
    let proxy = Proxy::start(&bench.registry.host, rules);
    run(&mut bench.push(&format!("{}/read/m:v1", proxy.host())));
    assert!(proxy.all_struck());
    let source = format!("docker://{}/read/m:v1", bench.registry.host);
    let mut command = Command::new(skopeo);
    run(command
        .args(["copy", "-q", "--all", "--preserve-digests", "--src-tls-verify=false", &source, "oci:read:v1"])
        .current_dir(bench.home()));
    let index = fs::read_to_string(bench.home().join("read/index.json")).unwrap();
    assert!(index.contains(&bench.digest), "{index}");
}

/// The faults that tell registries apart: an upload that ends in the middle, an answer that is lost, a download that ends in the middle.
fn main_cases() -> Vec<(Verb, Case)> {
    let middle = LARGE as u64 / 2;
    let cut = |methods, path, part, byte| vec![Rule::on(methods, path, part, byte, Fault::Reset)];
    vec![
        (Verb::Push, Case::well("POST", cut("POST", UPLOADS, Part::ResponseHead, 0))),
        (Verb::Push, Case::well("bytes", cut(BYTES, UPLOADS, Part::RequestBody, middle))),
        (Verb::Push, Case::well("answer", cut(BYTES, UPLOADS, Part::ResponseHead, 0))),
        (Verb::Push, Case::well("tag", cut("PUT", "/manifests/v1", Part::ResponseHead, 0))),
        (Verb::Push, Case::badly("flip", 1, vec![Rule::on(BYTES, UPLOADS, Part::RequestBody, 70_000, Fault::Flip).always()])),
        (Verb::CopyTo, Case::well("bytes", cut(BYTES, UPLOADS, Part::RequestBody, middle))),
        (Verb::Pull, Case::well("blob", cut("GET", "/blobs/sha256", Part::ResponseBody, middle))),
        (Verb::Extract, Case::well("blob", cut("GET", "/blobs/sha256", Part::ResponseBody, middle))),
        (Verb::CopyFrom, Case::well("blob", cut("GET", "/blobs/sha256", Part::ResponseBody, middle))),
    ]
}

#[test]
fn distribution_3_is_no_other_registry_when_things_break() {
    let Some(registry) = Registry::start_with(&Setup { kind: Kind::Distribution3, ..Setup::default() }) else { return };
    let bench = Bench::with(registry);
    for (number, (verb, case)) in main_cases().into_iter().enumerate() {
        bench.judge(verb, number, case);
    }
}

#[test]
fn distribution_3_keeps_signatures_and_gives_them_to_copies() {
    let Some(registry) = Registry::start_with(&Setup { kind: Kind::Distribution3, ..Setup::default() }) else { return };
    let bench = Bench::with(registry);
    let host = &bench.registry.host;
    let modelcar = |words: &[&str]| run(bench.modelcar().env("COSIGN_PASSWORD", "").args(words));
    modelcar(&["keygen", "-q", "--output-key-prefix", "a"]);
    let (image, copy) = (format!("{host}/calm/m:v1"), format!("{host}/copy/m:v1"));
    modelcar(&["sign", "-q", "--key", "a.key", "--sign-identity", &image, "--sign-identity", &copy, &image]);
    modelcar(&["copy", "-q", &image, &copy]);
    for place in [&image, &copy] {
        modelcar(&["verify", "-q", "--key", "a.pub", place]);
    }
    assert_eq!(bench.registry.incomplete_tags(), [""; 0]);
}
