//! Many sites: waves in the order of rings, one commit each, and none for whom a check says no.

use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use crate::deploy::{Bench, SITE};
use crate::support::{clean_command, run};

fn ring(name: &str) -> String {
    format!("{SITE}ring: {name}\n")
}

fn fleet(bench: &Bench, sites: &[(&str, &str)]) {
    for (site, facts) in sites {
        bench.put(&format!("sites/{site}/site.yaml"), facts);
    }
    bench.put("fleet.yaml", "version: 1\nrings: [canary, pilot]\n");
    bench.commit("fleet");
}

fn subjects(bench: &Bench) -> Vec<String> {
    bench.git(&["log", "--format=%s"]).lines().map(|line| short(&line.replace(['(', ')'], "|"))).collect()
}

/// A subject without its digest.
fn short(line: &str) -> String {
    line.split('|').enumerate().filter(|(number, _)| number % 2 == 0).map(|(_, part)| part.to_owned()).collect::<Vec<_>>().concat()
}

#[test]
fn rings_move_one_after_the_other_with_a_commit_each() {
    let Some(bench) = Bench::new() else { return };
    let _steady = bench.steady();
    fleet(&bench, &[("a", &ring("pilot")), ("b", &ring("canary")), ("c", SITE), ("d", &ring("pilot"))]);
    let output = bench.verb(&["deploy", "--all", &bench.image("v1")]);
    insta::assert_snapshot!("fleet_talk", String::from_utf8_lossy(&output.stderr));
    assert_eq!(
        subjects(&bench)[..3],
        ["sites without a ring: iris v1  on 1 site", "ring pilot: iris v1  on 2 sites", "ring canary: iris v1  on 1 site"]
    );
    assert_eq!(String::from_utf8_lossy(&output.stdout).lines().filter(|line| line.starts_with("commit ")).count(), 3);
    bench.done(&["update", "--ring", "pilot", "iris", &bench.image("v2")]);
    insta::assert_snapshot!("fleet_message", bench.message());
    assert_ne!(bench.running("a"), bench.running("b"));
    assert_eq!(bench.running("a"), bench.running("d"));
    bench.done(&["rollback", "--sites", "a,c", "iris", "--max-failures", "1"].map(|word| if word == "a,c" { "a" } else { word }));
    assert_eq!(bench.running("a"), bench.running("b"));
}

#[test]
fn a_failing_site_stops_everything_unless_some_may_fail() {
    let Some(bench) = Bench::new() else { return };
    let _steady = bench.steady();
    let small = format!("{}\n", ring("canary").replace("1Gi", "1Ki"));
    fleet(&bench, &[("a", &ring("canary")), ("b", &small), ("c", &ring("pilot")), ("d", "version: 1\nkserve: nonsense\n")]);
    let text = bench.refused(&["deploy", "--ring", "canary", &bench.image("v1")], 3);
    assert!(text.contains("whether d is in the ring canary cannot be told") && text.contains("sites/d/site.yaml"), "{text}");
    let text = bench.refused(&["deploy", "--sites", "d", &bench.image("v1")], 1);
    assert!(text.contains("1 of 1 sites") && text.contains("sites/d/site.yaml"), "{text}");
    fs::remove_dir_all(bench.tree().join("sites/d")).unwrap();
    bench.commit("remove d");
    insta::assert_snapshot!("fleet_stopped", bench.refused(&["deploy", "--all", &bench.image("v1")], 3));
    let output = bench.verb(&["deploy", "--all", &bench.image("v1"), "--max-failures", "1"]);
    assert_eq!(output.status.code(), Some(3));
    insta::assert_snapshot!("fleet_left_out", String::from_utf8_lossy(&output.stderr));
    assert_eq!(bench.running("a"), bench.running("c"));
    assert!(!bench.tree().join("sites/b/models").exists());
    assert_eq!(subjects(&bench)[..2], ["ring pilot: iris v1  on 1 site", "ring canary: iris v1  on 1 site"]);
}

#[test]
fn only_sites_that_are_concerned_are_touched() {
    let Some(bench) = Bench::new() else { return };
    fleet(&bench, &[("a", SITE), ("b", SITE), ("c", SITE)]);
    bench.done(&["deploy", "--sites", "a,b", &bench.image("v1")]);
    bench.done(&["update", "a", "iris", &bench.image("v2"), "--canary", "10"]);
    bench.done(&["promote", "--all", "iris"]);
    assert_ne!(bench.running("a"), bench.running("b"));
    bench.done(&["update", "--all", "iris", &bench.image("v2"), "--wave-size", "1"]);
    assert!(!bench.tree().join("sites/c/models").exists());
    assert_eq!(bench.running("a"), bench.running("b"));
    let text = bench.refused(&["update", "--all", "wine", &bench.image("v2")], 1);
    assert!(text.contains("no site of sites/ runs wine"), "{text}");
    let text = bench.refused(&["promote", "--all", "iris"], 1);
    assert!(text.contains("no site"), "{text}");
}

/// A `git` that writes down that it was called.
fn counting_git(folder: &Path) -> String {
    let real = String::from_utf8(run(clean_command("sh", folder).args(["-c", "command -v git"])).stdout).unwrap();
    let (bin, log) = (folder.join("bin"), folder.join("git.log"));
    fs::create_dir(&bin).unwrap();
    let script = bin.join("git");
    fs::write(
        &script,
        format!("#!/bin/sh\necho \"$*\" | head -c 200 >> {}\necho >> {}\nexec {} \"$@\"\n", log.display(), log.display(), real.trim()),
    )
    .unwrap();
    fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).unwrap();
    format!("{}:{}", bin.display(), std::env::var("PATH").unwrap())
}

#[test]
fn a_thousand_sites_cost_no_more_processes_and_requests_than_one() {
    let Some(bench) = Bench::new() else { return };
    let facts = ring("canary");
    for number in 0..1000 {
        bench.put(&format!("sites/edge-{number:04}/site.yaml"), &facts);
    }
    bench.site("one", &ring("pilot"));
    let path = counting_git(bench.home.path());
    let deploy = |words: &[&str]| {
        let requests = bench.registry.log().lines().count();
        let _ = fs::remove_file(bench.home.path().join("git.log"));
        let output = bench.modelcar().env("PATH", &path).args(words).args(["--gitops", "gitops", "--build", "own"]).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let log = fs::read_to_string(bench.home.path().join("git.log")).unwrap();
        (log.lines().filter(|line| !line.is_empty()).count(), bench.registry.log().lines().count() - requests, log)
    };
    let image = bench.image("v1");
    let (one, one_asks, _) = deploy(&["deploy", "one", &image]);
    let (many, many_ask, log) = deploy(&["deploy", "--ring", "canary", &image]);
    let mut told = String::new();
    write!(told, "{many} processes for 1000 sites, {one} for one; {many_ask} requests, {one_asks} for one\n{log}").unwrap();
    assert!(many <= one + 2 && many_ask <= one_asks, "{told}");
    assert_eq!(bench.git(&["show", "--name-only", "--format="]).lines().count(), 3000);
    assert!(
        bench.message().starts_with("ring canary: iris v1 ") && bench.message().contains("on 1000 sites"),
        "{}",
        &bench.message()[..200]
    );
}

#[test]
fn what_earlier_waves_wrote_is_told_though_a_later_one_fails() {
    let Some(bench) = Bench::new() else { return };
    fleet(&bench, &[("a", &ring("canary")), ("b", &ring("pilot"))]);
    let hook = bench.tree().join(".git/hooks/pre-commit");
    fs::create_dir_all(hook.parent().unwrap()).unwrap();
    fs::write(&hook, "#!/bin/sh\nif git log -1 --format=%s | grep -q 'ring canary'; then echo 'no more'; exit 1; fi\n").unwrap();
    fs::set_permissions(&hook, fs::Permissions::from_mode(0o755)).unwrap();
    let output = bench.verb(&["deploy", "--all", &bench.image("v1")]);
    assert!(!output.status.success() && String::from_utf8_lossy(&output.stderr).contains("no more"));
    assert_eq!(crate::deploy::word(&String::from_utf8_lossy(&output.stdout), "commit"), bench.git(&["rev-parse", "HEAD"]).trim());
    assert!(bench.tree().join("sites/a/models").exists() && !bench.tree().join("sites/b/models").exists());
}
