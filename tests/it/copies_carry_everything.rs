//! `modelcar copy` brings an image from anywhere to anywhere with all that speaks about it, says what that was, and the verifiers of
//! the field accept the copy.

use serde_json::Value;

use crate::support::verifiers::{ALL, Field, Host, Question};
use crate::support::{run, stdout_of};

fn copy(field: &Field, from: &str, to: &str) -> Value {
    let said = stdout_of(field.modelcar().args(["copy", "-q", "--format", "json", from, to]));
    serde_json::from_str(&said).unwrap()
}

/// The kinds of companions, sorted, without those of a platform's manifest.
fn kinds(field: &Field, image: &str, copied: &Value) -> Vec<String> {
    let index = &field.manifests(image)[0];
    let companions = copied["companions"].as_array().unwrap().iter().filter(|companion| companion["subject"] == *index);
    let word = |companion: &Value| {
        let detail = &companion["detail"];
        let more = [&detail["count"], &detail["predicate_type"], &detail["artifact_type"]].map(ToString::to_string);
        format!("{} {}", companion["kind"].as_str().unwrap(), more.iter().find(|more| *more != "null").cloned().unwrap_or_default())
    };
    let mut kinds: Vec<String> = companions.map(word).collect();
    kinds.sort();
    kinds
}

#[test]
fn over_a_layout_and_an_archive_and_back() {
    let (Some(field), Some(hosts)) = (Field::new(), Host::both()) else { return };
    for (number, [from, to]) in [[&hosts[0], &hosts[1]], [&hosts[1], &hosts[0]]].into_iter().enumerate() {
        let image = format!("{}/models{number}/iris:v1", from.host);
        field.build(&image, &[]);
        field.sign(&image, "a", &[]);
        field.sign(&image, "b", &[]);
        field.cosign_attest(&image, "c");
        field.cosign_attest_classic(&image, "c");
        run(field.oras_command(&["attach", "--artifact-type", "application/x-note", &image]).arg("a.pub"));

        let (layout, archive) = (format!("oci:layout{number}"), format!("oci-archive:archive{number}.tar"));
        let target = image.replace(&from.host, &to.host);
        let hops = [
            (image.clone(), layout.clone()),
            (format!("{layout}:{image}"), archive.clone()),
            (format!("{archive}:{image}"), target.clone()),
        ];
        for (source, target) in &hops {
            let copied = copy(&field, source, target);
            assert_eq!(
                kinds(&field, &image, &copied),
                [
                    "attestations 1",
                    "bundle \"https://example.com/review\"",
                    "bundle \"https://sigstore.dev/cosign/sign/v1\"",
                    "bundle \"https://sigstore.dev/cosign/sign/v1\"",
                    "referrer \"application/x-note\"",
                    "signatures 2",
                ],
                "{source} to {target}"
            );
            assert_eq!(copied["sent_bytes"], copied["bytes"], "{source} to {target}");
            if !target.starts_with("oci-archive") {
                assert_eq!(copy(&field, source, target)["sent_bytes"], 0, "{source} to {target} again");
            }
        }
        for key in ["a", "b"] {
            let rule = serde_json::json!({"type": "exactReference", "dockerReference": image});
            let question = Question { signed_identity: rule, identity: Some(&image), ..Question::new(&target, key) };
            field.expect_answer(&question, ALL);
        }
    }
}

/// Both targets have what the other's signers wrote, in `.att` as in `.sig`.
#[test]
fn attestations_of_both_sides_are_merged() {
    let (Some(field), Some(hosts)) = (Field::new(), Host::both()) else { return };
    for host in &hosts {
        let [image, mirror] = ["models", "mirror"].map(|place| format!("{}/{place}/iris:v1", host.host));
        field.build(&image, &[]);
        field.cosign_attest_classic(&image, "a");
        run(field.modelcar().args(["copy", "-q", &image, &mirror]));
        field.cosign_attest_classic(&mirror, "b");
        field.cosign_attest_classic(&image, "c");
        let copied = copy(&field, &image, &mirror);
        assert!(copied["companions"].as_array().unwrap().iter().any(|companion| companion["kind"] == "attestations"), "{copied}");
        for (key, accepted) in [("a", true), ("b", true), ("c", true)] {
            assert_eq!(field.cosign_attested_classic(&mirror, key), accepted, "{mirror} by {key}");
        }
    }
}

#[test]
fn says_in_a_line_what_came_along() {
    let (Some(field), Some(host)) = (Field::new(), Host::native()) else { return };
    let image = format!("{}/models/iris:v1", host.host);
    field.build(&image, &[]);
    let alone = run(field.modelcar().args(["copy", &image, "oci:alone"]));
    assert!(!String::from_utf8_lossy(&alone.stderr).contains(", with "), "{alone:?}");
    field.sign(&image, "a", &[]);
    for (verb, target) in [("copy", "oci:copied"), ("pull", "pulled")] {
        let output = run(field.modelcar().args([verb, &image, target]));
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(said.contains(", with 3 signatures, 3 bundles: 3 signatures, to oci:"), "{said}");
    }
}
