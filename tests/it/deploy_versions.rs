//! Canaries, the way forward and the way back: decided on what the site runs and on what its history knows.

use std::fs;

use crate::deploy::{Bench, SITE, word};
use crate::support::{clean_command, run};

fn bench(facts: &str) -> Option<(Bench, [String; 2])> {
    let bench = Bench::new()?;
    bench.site("edge-01", facts);
    let digest = |tag: &str| word(&bench.done(&["deploy", "edge-01", &bench.image(tag)]), "digest");
    let digests = [digest("v1"), digest("v2")];
    Some((bench, digests))
}

#[test]
fn a_canary_is_promoted_in_one_commit() {
    let Some((bench, [v1, v2])) = bench(SITE) else { return };
    let _steady = bench.steady();
    bench.done(&["update", "edge-01", "iris", &bench.image("v1"), "--canary", "10"]);
    assert!(bench.message().starts_with("sites/edge-01: canary 10 % iris v1") && bench.message().contains("\nCanary: 10 %\n"));
    assert_eq!(bench.running("edge-01"), v2, "the stable version stays");
    let text = bench.done(&["promote", "edge-01", "iris"]);
    assert_eq!((word(&text, "digest"), bench.running("edge-01")), (v1.clone(), v1));
    assert!(bench.message().starts_with("sites/edge-01: promote iris") && bench.message().contains(&format!("Previous-Digest: {v2}")));
    insta::assert_snapshot!("promote_nothing", bench.refused(&["promote", "edge-01", "iris"], 1));
}

#[test]
fn a_canary_is_refused_where_kserve_would_ignore_it() {
    let Some((bench, _)) = bench(&SITE.replace("0.20", "0.17")) else { return };
    let _steady = bench.steady();
    let text = bench.refused(&["update", "edge-01", "iris", &bench.image("v1"), "--canary", "10"], 3);
    insta::assert_snapshot!("canary_refused", text);
    let text = bench.refused(&["update", "edge-01", "iris", &bench.image("v1"), "--canary", "10", "--force", "canary"], 3);
    assert!(text.contains("cannot split requests"), "forcing makes no split: {text}");
    for words in [&["--canary", "101"][..], &["--canary-by", "route"], &["--canary", "-1"]] {
        bench.refused(&[&["update", "edge-01", "iris", &bench.image("v1")], words].concat(), 2);
    }
}

#[test]
fn rolling_back_takes_a_canary_away_before_it_goes_back() {
    let Some((bench, [v1, v2])) = bench(SITE) else { return };
    bench.done(&["update", "edge-01", "iris", &bench.image("v1"), "--canary", "10"]);
    bench.done(&["rollback", "edge-01", "iris"]);
    assert!(bench.message().starts_with("sites/edge-01: take the canary of iris away\n"), "{}", bench.message());
    assert!(bench.message().contains("\nCanary: none\n") && !bench.message().contains("Previous-Digest"), "{}", bench.message());
    assert_eq!(bench.running("edge-01"), v2);
    assert!(!bench.get("sites/edge-01/models/iris.yaml").contains(&v1));

    let text = bench.done(&["rollback", "edge-01", "iris"]);
    assert_eq!((word(&text, "digest"), bench.running("edge-01")), (v1.clone(), v1));
    assert!(bench.message().starts_with("sites/edge-01: roll back iris to v1 "), "{}", bench.message());
}

#[test]
fn goes_back_to_a_digest_a_tag_and_a_commit() {
    let Some((bench, [v1, v2])) = bench(SITE) else { return };
    let commit = bench.git(&["rev-parse", "HEAD~1"]).trim().to_owned();
    for (to, expected) in [(v1.as_str(), &v1), ("v2", &v2), (commit.as_str(), &v1), ("HEAD~1", &v2)] {
        bench.done(&["rollback", "edge-01", "iris", "--to", to]);
        assert_eq!(bench.running("edge-01"), *expected, "{to}");
    }
    let _steady = bench.steady();
    let told =
        ["v9", "--help-me", "HEAD~99", "sha256:00"].map(|to| bench.refused(&["rollback", "edge-01", "iris", &format!("--to={to}")], 1));
    insta::assert_snapshot!("rollback_errors", told.join("\n"));
}

#[test]
fn the_way_back_is_checked_as_the_way_forward() {
    let Some((bench, [v1, _])) = bench(SITE) else { return };
    // The key that signed both is not trusted any more.
    let folder = bench.home.path().join("other");
    fs::create_dir(&folder).unwrap();
    run(bench.modelcar().args(["keygen", "-q"]).current_dir(&folder));
    fs::copy(folder.join("cosign.pub"), bench.tree().join("keys/cosign.pub")).unwrap();
    bench.commit("another key");
    let text = bench.refused(&["rollback", "edge-01", "iris"], 3);
    assert!(text.contains("signature") && text.contains("FAILED"), "{text}");

    fs::copy(bench.home.path().join("cosign.pub"), bench.tree().join("keys/cosign.pub")).unwrap();
    bench.commit("the old key");
    // The registry forgot the image.
    let manifest = format!("http://{}/v2/m/iris/manifests/{v1}", bench.registry.host);
    run(clean_command("curl", bench.home.path()).args(["-fsS", "-X", "DELETE", &manifest]));
    let text = bench.refused(&["rollback", "edge-01", "iris"], 3);
    assert!(text.contains("resolve") && text.contains("has no `sha256:"), "{text}");
}

#[test]
fn one_version_has_no_way_back() {
    let Some(bench) = Bench::new() else { return };
    bench.site("edge-01", SITE);
    bench.done(&["deploy", "edge-01", &bench.image("v1")]);
    let text = bench.refused(&["rollback", "edge-01", "iris"], 1);
    assert!(text.contains("knows no other version"), "{text}");
}

#[test]
fn applications_move_apart_from_models() {
    let Some((bench, [_, v2])) = bench(SITE) else { return };
    let _steady = bench.steady();
    let apps = "resources: [app.yaml]\nimages:\n  - name: dashboard\n    newName: quay.io/acme/dashboard\n    newTag: v1\n";
    bench.put("sites/edge-01/apps/kustomization.yaml", apps);
    bench.put("sites/edge-01/apps/app.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: dashboard}\n");
    bench.commit("an application");
    let text = bench.done(&["set-app", "edge-01", "dashboard", &bench.image("v1")]);
    assert!(bench.get("sites/edge-01/apps/kustomization.yaml").contains(&word(&text, "digest")));
    assert_eq!(bench.running("edge-01"), v2);
    insta::assert_snapshot!("set_app_message", bench.message());
    insta::assert_snapshot!("set_app_errors", bench.refused(&["set-app", "edge-01", "other", &bench.image("v1")], 1));
}
