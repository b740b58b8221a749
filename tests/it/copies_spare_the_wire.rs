//! A copy moves what must move: nothing within a registry, no companion that nobody wants, and after a break the rest.

use std::process::Output;

use serde_json::Value;

use crate::support::fault_proxy::{Fault, Part, Proxy, Reply, Rule};
use crate::support::faults::{Bench, LARGE};
use crate::support::run;

/// A registry whose image `calm/m:v1` is signed.
fn signed() -> Option<Bench> {
    let bench = Bench::start()?;
    let image = format!("{}/calm/m:v1", bench.registry.host);
    for words in [&["keygen", "-q", "--output-key-prefix", "a"][..], &["sign", "-q", "--key", "a.key", &image]] {
        run(bench.modelcar().env("COSIGN_PASSWORD", "").args(words));
    }
    Some(bench)
}

fn json(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap()
}

/// The tag of the image's classic signatures.
fn signatures(bench: &Bench) -> String {
    format!("{}.sig", bench.digest.replace(':', "-"))
}

/// Copies `calm/m:v1` to a repository beside it, both by the proxy's name.
fn copy_beside(bench: &Bench, proxy: &Proxy, repository: &str) -> Value {
    let [from, to] = [format!("{}/calm/m:v1", proxy.host()), format!("{}/{repository}:v1", proxy.host())];
    json(&run(bench.modelcar().args(["copy", "-q", "--format", "json", &from, &to])))
}

#[test]
fn within_a_registry_no_byte_of_a_blob_moves_and_the_signatures_come_too() {
    let Some(bench) = signed() else { return };
    let proxy = Proxy::start(&bench.registry.host, Vec::new());
    let copied = copy_beside(&bench, &proxy, "near/m");
    assert_eq!(copied["sent_bytes"], 0, "{copied}");
    assert!(!copied["companions"].as_array().unwrap().is_empty(), "{copied}");
    let mounts = proxy.seen_of("POST", "mount=");
    assert!(mounts.len() > 4 && mounts.iter().all(|mount| mount.status == Some(201) && mount.target.ends_with("&from=calm/m")));
    let lines: Vec<String> = proxy.seen_of("GET", "/blobs/").iter().map(crate::support::fault_proxy::Seen::line).collect();
    assert_eq!((proxy.uploaded(), lines), (0, Vec::new()));
    for tag in ["v1", &signatures(&bench)] {
        let there = bench.registry.tag("near/m", tag);
        assert!(there.is_some() && there == bench.registry.tag("calm/m", tag), "{tag}");
    }
    assert_eq!(bench.registry.incomplete_tags(), [""; 0]);

    let again = Proxy::start(&bench.registry.host, Vec::new());
    assert_eq!(copy_beside(&bench, &again, "near/m")["sent_bytes"], 0);
    assert!(again.seen_of("POST", "").is_empty(), "what is there is not mounted again");
}

#[test]
fn what_a_registry_will_not_mount_is_sent() {
    let Some(bench) = signed() else { return };
    let proxy = Proxy::start(&bench.registry.host, vec![Rule::instead("POST", "mount=", Reply::new(405)).always()]);
    let copied = copy_beside(&bench, &proxy, "far/m");
    assert_eq!(copied["sent_bytes"], copied["bytes"], "{copied}");
    assert!(proxy.all_struck() && proxy.uploaded() > LARGE as u64);
    assert_eq!(bench.registry.lacks("far/m", &bench.digest), None);
}

#[test]
fn after_a_break_only_the_rest_is_read_and_sent() {
    let Some(bench) = Bench::start() else { return };
    let source = Proxy::start(&bench.registry.host, Vec::new());
    // of a chunk of which a part arrived distribution 2 forgets the whole session, so it ends before one
    let cut = Rule::on("PATCH", "/blobs/uploads/", Part::RequestHead, 0, Fault::Finish).after(2);
    let target = Proxy::start(&bench.registry.host, vec![cut]);
    let [from, to] = [format!("{}/calm/m:v1", source.host()), format!("{}/broken/m:v1", target.host())];
    run(bench.modelcar().args(["copy", "-q", "--chunk-size", "512K", "--retry-delay", "10ms", &from, &to]));
    assert!(target.all_struck());
    let gets = source.seen_of("GET", "/blobs/");
    let rests: Vec<&str> = gets.iter().filter_map(|get| get.header("range")).collect();
    assert_eq!(rests, ["bytes=1048576-"]);
    let bytes: u64 = gets.iter().find(|get| get.header("range").is_some()).map_or(0, |get| get.received);
    assert!(bytes < LARGE as u64 * 3 / 4, "{bytes} bytes were read again");
    assert_eq!(bench.registry.lacks("broken/m", &bench.digest), None);
}

#[test]
fn companions_that_nobody_wants_stay_and_it_is_said() {
    let Some(bench) = signed() else { return };
    let host = &bench.registry.host;
    let image = format!("{host}/calm/m:v1");
    for (verb, target) in [("copy", format!("{host}/bare/m:v1")), ("push", format!("{host}/bare/n:v1")), ("pull", "bare".to_owned())] {
        let output = run(bench.modelcar().args([verb, "--no-referrers", &image, &target]));
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(said.contains(", without its 3 signatures, 3 bundles: 3 signatures, to "), "{said}");
    }
    assert!(bench.registry.tag("bare/m", "v1").is_some() && bench.registry.tag("bare/m", &signatures(&bench)).is_none());
    let index: Value = serde_json::from_slice(&std::fs::read(bench.home().join("bare/index.json")).unwrap()).unwrap();
    assert_eq!(index["manifests"].as_array().unwrap().len(), 1, "{index}");

    let copied = json(&run(bench.modelcar().args(["copy", "-q", "--format", "json", "--no-referrers", &image, "oci:told"])));
    assert!(copied["companions"].as_array().unwrap().is_empty() && copied["left_behind"].as_array().unwrap().len() > 3, "{copied}");
}
