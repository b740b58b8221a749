//! What modelcar signs passes the verifiers of the field, and `modelcar verify` says of others' signatures what they would say:
//! the real cosign, and the library inside podman, skopeo and CRI-O, on registries with and without the referrers API.

use std::io::Write as _;
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use crate::support::verifiers::{
    ALL, BUNDLE, CLASSIC, CLASSIC_KIND, Field, Host, MODEL_SIGNATURE, MODELCAR, NOBODY, PODMAN, Place, Question, REVIEW, repository,
};
use crate::support::{clean_command, need_python, run};

/// The image that a test is about, on both kinds of registry.
fn images(hosts: &[Host; 2]) -> [String; 2] {
    hosts.each_ref().map(|registry| format!("{}/models/iris:v1", registry.host))
}

#[test]
fn what_modelcar_signs_is_accepted_by_all_and_only_with_its_key() {
    let (Some(field), Some(hosts)) = (Field::new(), Host::both()) else { return };
    for image in images(&hosts) {
        let pinned = field.build(&image, &[]);
        field.expect(&image, "a", NOBODY);
        field.sign(&image, "a", &[]);
        for name in [&image, &pinned] {
            field.expect(name, "a", ALL);
            field.expect(name, "b", NOBODY);
        }
    }
}

#[test]
fn a_key_of_cosign_serves_modelcar_and_is_accepted_by_all() {
    let (Some(field), Some(hosts)) = (Field::new(), Host::both()) else { return };
    for image in images(&hosts) {
        field.build(&image, &[]);
        field.sign(&image, "c", &[]);
        field.expect(&image, "c", ALL);
    }
}

/// cosign verifies P-384 over SHA-256 unless told otherwise, though it signs over SHA-384; podman knows SHA-256 alone.
#[test]
fn what_p384_and_rsa_keys_sign_is_accepted_by_all_who_read_classic_signatures() {
    let (Some(field), Some(hosts)) = (Field::new(), Host::both()) else { return };
    for key in ["p384", "rsa"] {
        field.import(key);
        for registry in &hosts {
            let image = format!("{}/models/{key}:v1", registry.host);
            let pinned = field.build(&image, &[]);
            field.sign(&image, key, &[]);
            for name in [&image, &pinned] {
                field.expect(name, key, &[CLASSIC, PODMAN, MODELCAR]);
                field.expect(name, "a", NOBODY);
            }
        }
    }
}

#[test]
fn what_cosign_signs_with_rsa_is_accepted_by_all() {
    let (Some(field), Some(hosts)) = (Field::new(), Host::both()) else { return };
    field.import("rsa");
    for image in images(&hosts) {
        let pinned = field.build(&image, &[]);
        field.cosign_sign(&pinned, "rsa", &[]);
        field.cosign_sign(&pinned, "rsa", &["--new-bundle-format=false", "--sign-container-identity", &image]);
        field.expect(&image, "rsa", ALL);
        field.expect(&image, "a", NOBODY);
    }
}

/// cosign ignores the name in a signature; podman and CRI-O do not, and so modelcar does not.
#[test]
fn another_tag_of_a_signed_digest_passes_only_once_it_is_signed_too() {
    let (Some(field), Some(hosts)) = (Field::new(), Host::both()) else { return };
    for image in images(&hosts) {
        field.build(&image, &[]);
        field.sign(&image, "a", &[]);
        let other = image.replace(":v1", ":prod");
        let pinned = field.build(&other, &[]);
        field.expect(&other, "a", &[BUNDLE, CLASSIC]);
        field.expect(&pinned, "a", ALL);
        field.sign(&other, "a", &[]);
        for name in [&image, &other, &pinned] {
            field.expect(name, "a", ALL);
        }
    }
}

#[test]
fn what_cosign_signs_is_judged_as_podman_judges_it() {
    // how cosign signs, who accepts it, what modelcar says
    let table: [(&[&str], &[&str], &str); 2] = [
        (&[], &[BUNDLE], "classic signature: no signature exists"),
        (&["--new-bundle-format=false"], &[CLASSIC], "has no tag, so OpenShift's default policy (MatchRepoDigestOrExact) refuses it"),
    ];
    let (Some(field), Some(hosts)) = (Field::new(), Host::both()) else { return };
    for ((words, accepted_by, reason), number) in table.into_iter().zip(1..) {
        for registry in &hosts {
            let image = format!("{}/models/iris{number}:v1", registry.host);
            let pinned = field.build(&image, &[]);
            field.cosign_sign(&pinned, "c", words);
            for name in [&image, &pinned] {
                field.expect(name, "c", accepted_by);
                let said = field.ask_modelcar(&Question::new(name, "c")).unwrap_err();
                assert!(said.contains(reason), "`{reason}` is not in\n{said}");
            }
        }
    }
}

/// cosign 3 takes a classic signature where there is no bundle; its next version will not.
#[test]
fn a_classic_signature_alone_is_enough_until_cosign_4() {
    let (Some(field), Some(hosts)) = (Field::new(), Host::both()) else { return };
    for image in images(&hosts) {
        let pinned = field.build(&image, &[]);
        field.cosign_sign(&pinned, "c", &["--new-bundle-format=false", "--sign-container-identity", &image]);
        field.expect(&image, "c", &[CLASSIC, PODMAN, MODELCAR]);
        assert!(field.cosign_accepts(&image, "c", CLASSIC_KIND));
        assert!(!field.verdicts(&Question::new(&image, "c"))["cosign-v4"]);
    }
}

/// To cosign any statement by the key passes for a signature, so a bill of materials would do; to modelcar it does not.
#[test]
fn an_attestation_is_no_signature_and_does_no_harm_to_one() {
    let (Some(field), Some(hosts)) = (Field::new(), Host::both()) else { return };
    for image in images(&hosts) {
        let pinned = field.build(&image, &[]);
        field.cosign_attest(&image, "c");
        assert!(field.cosign_accepts(&image, "c", REVIEW));
        let said = run_code(field.modelcar().args(["verify", &image, "--key", "c.pub", "--consumer", "cosign-v3"]), 3);
        assert!(said.contains("is refused: modelcar:") && said.contains("takes an attestation for a signature"), "{said}");
        run(field.modelcar().args(["sign", "-q", &image, "--key", "c.key"]));
        field.expect(&image, "c", ALL);

        // beside a classic signature, the attestation is what cosign goes by
        let other = image.replace("iris", "other");
        assert_eq!(field.build(&other, &[]).split('@').next_back(), pinned.split('@').next_back());
        field.cosign_sign(&other, "c", &["--new-bundle-format=false", "--sign-container-identity", &other]);
        field.cosign_attest(&other, "c");
        field.expect(&other, "c", &[CLASSIC, PODMAN, MODELCAR]);
        assert!(field.cosign_accepts(&other, "c", REVIEW));
    }
}

/// What a command that ends with this code says.
#[track_caller]
fn run_code(command: &mut Command, code: i32) -> String {
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{said}");
    said
}

/// A bundle that is no signature of the image, as `rh-model-signing` attaches its own, hides the classic signature from cosign.
#[test]
fn a_bundle_about_something_else_hides_a_good_classic_signature() {
    let (Some(field), Some(hosts)) = (Field::new(), Host::both()) else { return };
    for image in images(&hosts) {
        let pinned = field.build(&image, &[]);
        field.cosign_sign(&pinned, "c", &["--new-bundle-format=false", "--sign-container-identity", &image]);
        field.expect(&image, "c", &[CLASSIC, PODMAN, MODELCAR]);

        let elsewhere = image.replace("iris", "elsewhere");
        field.build(&elsewhere, &["--label", "x=y"]);
        field.sign(&elsewhere, "c", &[]);
        field.attach(&pinned, &field.first_bundle(&elsewhere), MODEL_SIGNATURE);
        field.expect(&image, "c", &[CLASSIC, PODMAN]);
        let said = field.ask_modelcar(&Question::new(&image, "c")).unwrap_err();
        assert!(said.contains("where a bundle is, the good classic signature is not read"), "{said}");

        field.sign(&image, "c", &[]);
        field.expect(&image, "c", ALL);
    }
}

/// `rh-model-signing` in its tag mode puts a bundle where classic signatures are.
#[test]
fn a_squatter_beside_a_signature_blinds_nobody_and_one_in_its_place_everybody() {
    let (Some(field), Some(hosts)) = (Field::new(), Host::both()) else { return };
    for image in images(&hosts) {
        let pinned = field.build(&image, &[]);
        field.cosign_sign(&pinned, "c", &["--new-bundle-format=false", "--sign-container-identity", &image]);
        let bundle = field.write("squatter.json", b"{}");
        field.squat(&pinned, &bundle, Place::Beside);
        field.expect(&image, "c", &[CLASSIC, PODMAN, MODELCAR]);
        field.squat(&pinned, &bundle, Place::Instead);
        field.expect(&image, "c", NOBODY);
        let said = field.ask_modelcar(&Question::new(&image, "c")).unwrap_err();
        assert!(said.contains("not a classic signature"), "{said}");
        let signed = run(field.modelcar().args(["sign", &image, "--key", "c.key"]));
        assert!(String::from_utf8_lossy(&signed.stderr).contains("which is no classic signature: it was kept"), "{signed:?}");
        field.expect(&image, "c", ALL);
    }
}

/// rh-model-signing hashes what it has read and written again, and that is the manifest only if nothing changes on the way.
#[test]
fn manifests_stay_the_same_when_python_reads_and_writes_them() {
    let (Some(field), Some(hosts), Some(python)) = (Field::new(), Host::both(), need_python()) else { return };
    let check = "import json, sys; m = sys.stdin.read(); assert json.dumps(json.loads(m), separators=(',', ':')) == m, m";
    for image in images(&hosts) {
        field.build(&image, &["--label", "caf\u{e9}=\u{1f600}", "--annotation", "umlaut=\u{e4}"]);
        field.sign(&image, "a", &[]);
        for digest in field.manifests(&image) {
            let tag = format!("{}:{}.sig", repository(&image), digest.replace(':', "-"));
            for name in [format!("{}@{digest}", repository(&image)), tag] {
                let mut command = clean_command(&python, field.path(".").as_path());
                let mut child = command.args(["-c", check]).stdin(Stdio::piped()).spawn().unwrap();
                child.stdin.take().unwrap().write_all(&field.oras(&["manifest", "fetch", &name])).unwrap();
                assert!(child.wait().unwrap().success(), "{name}");
            }
        }
    }
}

#[test]
fn signers_of_both_tools_survive_each_other_in_both_formats() {
    let (Some(field), Some(hosts)) = (Field::new(), Host::both()) else { return };
    for image in images(&hosts) {
        let pinned = field.build(&image, &[]);
        let classic = ["--new-bundle-format=false", "--sign-container-identity", &image];
        let cosign_signs = |key: &str| {
            field.cosign_sign(&pinned, key, &[]);
            field.cosign_sign(&pinned, key, &classic);
        };
        cosign_signs("c");
        field.expect(&image, "c", ALL);
        field.sign(&image, "a", &[]);
        cosign_signs("b");
        for key in ["a", "b", "c"] {
            field.expect(&image, key, ALL);
            field.expect(&pinned, key, ALL);
        }
    }
}

/// cosign's signature under its own name is the usual one: it goes on passing for cosign, modelcar's passes for all.
#[test]
fn modelcar_on_top_of_plain_cosign_keeps_cosigns_signatures() {
    let (Some(field), Some(hosts)) = (Field::new(), Host::both()) else { return };
    for image in images(&hosts) {
        let pinned = field.build(&image, &[]);
        field.cosign_sign(&pinned, "c", &[]);
        field.cosign_sign(&pinned, "c", &["--new-bundle-format=false"]);
        field.sign(&image, "a", &[]);
        field.expect(&image, "a", ALL);
        field.expect(&image, "c", &[BUNDLE, CLASSIC]);
        // and signing again finds its own among them
        let again = run(field.modelcar().args(["sign", &image, "--key", "a.key"]));
        assert!(String::from_utf8_lossy(&again.stderr).contains("nothing to add"), "{again:?}");
    }
}

/// A rule of podman's policy for an image whose signatures name where it came from.
fn remapped(to: &str, from: &str) -> Value {
    json!({"type": "remapIdentity", "prefix": to, "signedPrefix": from})
}

#[test]
fn signatures_travel_from_registry_to_layout_to_registry() {
    let (Some(field), Some(hosts)) = (Field::new(), Host::both()) else { return };
    for (from, to) in [(0, 1), (1, 0)].map(|(from, to)| (&hosts[from].host, &hosts[to].host)) {
        let original = format!("{from}/models/iris:v1");
        let copy = format!("{to}/mirror/iris:v1");
        field.build(&original, &[]);
        field.sign(&original, "a", &[]);
        let layout = format!("layout-{}", from.replace(':', "-"));
        run(field.modelcar().args(["pull", "-q", &original, &layout]));
        run(field.modelcar().args(["push", "-q", &format!("oci:{layout}:{original}"), &copy]));
        let pinned = format!("{to}/mirror/iris@{}", field.manifests(&copy)[0]);

        // under its new name podman refuses it, and so does modelcar: the signatures vouch for the old one
        field.expect(&copy, "a", &[BUNDLE, CLASSIC]);
        let said = field.ask_modelcar(&Question::new(&copy, "a")).unwrap_err();
        assert!(said.contains(&format!("identity `{original}` is not accepted for `{copy}`")), "{said}");
        // both can be told where it came from
        let rules = [
            remapped(&format!("{to}/mirror"), &format!("{from}/models")),
            json!({"type": "exactReference", "dockerReference": original}),
            json!({"type": "exactRepository", "dockerRepository": format!("{from}/models/iris")}),
        ];
        for (name, rule) in [&copy, &pinned].into_iter().flat_map(|name| rules.iter().map(move |rule| (name, rule))) {
            let question = Question { signed_identity: rule.clone(), identity: Some(&original), ..Question::new(name, "a") };
            field.expect_answer(&question, ALL);
        }
        // but not what it never was
        let prod = original.replace(":v1", ":prod");
        let rule = json!({"type": "exactReference", "dockerReference": prod});
        let question = Question { signed_identity: rule, identity: Some(&prod), ..Question::new(&copy, "a") };
        field.expect_answer(&question, &[BUNDLE, CLASSIC]);
    }
}

#[test]
fn one_name_per_consumer_lets_a_mirror_keep_its_own() {
    let (Some(field), Some(hosts)) = (Field::new(), Host::both()) else { return };
    let [origin, mirror] = images(&hosts);
    field.build(&origin, &[]);
    field.sign(&origin, "a", &["--sign-identity", &origin, "--sign-identity", &mirror]);
    run(field.modelcar().args(["push", "-q", &origin, &mirror]));
    field.expect(&origin, "a", ALL);
    field.expect(&mirror, "a", ALL);
}
