//! The policies that modelcar writes for others do what they say: OpenShift's schemas take them, and the library inside podman and
//! CRI-O accepts our image by them and refuses the rest.

use std::fs;
use std::process::Output;

use serde_json::Value;

use crate::support::verifiers::{Field, Host};
use crate::support::{clean_command, crd, modelcar, need, run, stdout_of, temp_dir};

/// A home with a key, and what `verify --emit` prints there for an image in quay.io.
fn emitted(home: &std::path::Path, words: &[&str]) -> Output {
    let mut command = modelcar(home);
    command.current_dir(home).args(["verify", "--emit"]).args(words).output().unwrap()
}

fn home_with_a_key() -> tempfile::TempDir {
    let home = temp_dir();
    run(modelcar(home.path()).current_dir(home.path()).env("COSIGN_PASSWORD", "").args(["keygen", "-q", "--output-key-prefix", "k"]));
    home
}

#[test]
fn kubernetes_takes_them_as_they_are() {
    let Some(dir) = crd::crd_dir() else { return };
    let home = home_with_a_key();
    fs::write(home.path().join("policy.yaml"), "version: 1\nimages: [quay.io/edge, '*.example.com']\nkeys: [{file: k.pub}]\n").unwrap();
    let table = [
        ("clusterimagepolicy", "config.openshift.io", "ClusterImagePolicy", "v1"),
        ("imagepolicy", "config.openshift.io", "ImagePolicy", "v1"),
        ("policy-controller", "policy.sigstore.dev", "ClusterImagePolicy", "v1beta1"),
    ];
    for (consumer, group, kind, version) in table {
        let mut schema = crd::schema(&dir, group, kind, version);
        for implied in ["apiVersion", "kind", "metadata"] {
            // every object has them, and policy-controller's schema does not say so
            schema["properties"].as_object_mut().unwrap().entry(implied).or_insert(Value::Object(serde_json::Map::new()));
        }
        for words in [[consumer, "--policy", "policy.yaml"].as_slice(), &[consumer, "quay.io/edge/iris:v1", "--key", "k.pub"]] {
            let output = emitted(home.path(), words);
            let policy: Value = serde_saphyr::from_str(&String::from_utf8_lossy(&output.stdout)).unwrap();
            assert_eq!(policy["apiVersion"], format!("{group}/{version}"));
            assert_eq!(crd::violations(&schema, &policy), Vec::<String>::new(), "{consumer}");
        }
    }
}

#[test]
fn every_consumers_policy_in_full() {
    let home = temp_dir();
    // a key that is the same in every run: the generator of the curve (SEC 2, secp256r1)
    let pem = "-----BEGIN PUBLIC KEY-----\nMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEaxfR8uEsQkf4vOblY6RA8ncDfYEt\n6zOg9KE5RdiYwpZP40Li/hp/m47n60p8D54WK84zV2sxXs7LtkBoN79R9Q==\n-----END PUBLIC KEY-----\n";
    fs::write(home.path().join("k.pub"), pem).unwrap();
    let print = |consumer: &str| {
        let output = emitted(home.path(), &[consumer, "quay.io/edge/iris:v1", "--key", "k.pub"]);
        let (out, err) = (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
        format!("$ modelcar verify --emit {consumer} quay.io/edge/iris:v1 --key k.pub\n{out}{err}")
    };
    let consumers = ["clusterimagepolicy", "imagepolicy", "policy.json", "kyverno", "policy-controller"];
    insta::assert_snapshot!(consumers.map(print).join("\n"));
}

#[test]
fn a_policy_files_keys_are_trusted_as_far_as_options_leave_them() {
    let home = home_with_a_key();
    run(modelcar(home.path()).current_dir(home.path()).env("COSIGN_PASSWORD", "").args(["keygen", "-q", "--output-key-prefix", "other"]));
    fs::write(home.path().join("policy.yaml"), "version: 1\nimages: [quay.io/edge]\nkeys: [{file: k.pub}]\n").unwrap();
    let print = |words: &[&str]| emitted(home.path(), &[&["policy.json"], words].concat());
    let expected = print(&["quay.io/edge/iris:v1", "--key", "k.pub"]).stdout;
    assert!(!expected.is_empty());
    for words in [["--policy", "policy.yaml"].as_slice(), &["--policy", "policy.yaml", "--key", "k.pub"]] {
        let words = [&["quay.io/edge/iris:v1"], words].concat();
        assert_eq!(print(&words).stdout, expected, "{words:?}");
    }
    let whom = ["--certificate-identity", "ci@example.com", "--certificate-oidc-issuer", "https://issuer", "--trusted-root", "root.json"];
    let table: [(&[&str], &str); 3] = [
        (&["--policy", "policy.yaml", "--key", "other.pub"], "does not trust the key"),
        (&[&["--policy", "policy.yaml"], whom.as_slice()].concat(), "both say whose certificates count"),
        (&whom, "root.json"),
    ];
    for (words, reason) in table {
        let output = print(&[&["quay.io/edge/iris:v1"], words].concat());
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!((output.status.code(), output.stdout.len()), (Some(2), 0), "{said}");
        assert!(said.contains(reason), "`{reason}` is not in\n{said}");
    }
}

#[test]
fn says_what_a_policy_cannot_say() {
    let home = home_with_a_key();
    let table: [(&[&str], &str); 4] = [
        (&["clusterimagepolicy", "registry:5000/m/iris:v1", "--key", "k.pub"], "neither a dot nor is it localhost"),
        (&["clusterimagepolicy", "quay.io/m/iris:v1", "--key", "k.pub", "--key", "k.pub"], "takes one key or identity"),
        (&["policy.json", "oci:dir", "--key", "k.pub"], "is in no registry"),
        (&["policy.json", "--key", "k.pub"], "no image"),
    ];
    for (words, reason) in table {
        let output = emitted(home.path(), words);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!((output.status.code(), output.stdout.len()), (Some(2), 0), "{said}");
        assert!(said.contains(reason), "`{reason}` is not in\n{said}");
    }
}

#[test]
fn podmans_library_enforces_policy_json() {
    let (Some(field), Some(hosts), Some(library)) = (Field::new(), Host::both(), need("containers-policy")) else { return };
    for registry in &hosts {
        let image = format!("{}/models/iris:v1", registry.host);
        let pinned = field.build(&image, &[]);
        field.sign(&image, "a", &[]);
        let [other_tag, unsigned] = [image.replace(":v1", ":prod"), image.replace("iris:", "plain:")];
        field.build(&other_tag, &[]);
        field.build(&unsigned, &["--label", "unsigned=yes"]);
        let outside = image.replace("/models/", "/others/");
        field.build(&outside, &[]);
        let scope = format!("version: 1\nimages: ['{}/models']\n", registry.host);
        let asked = |keys: &str, words: &[&str], image: &str| {
            field.write("policy.yaml", format!("{scope}keys: {keys}\n").as_bytes());
            let output = run(field.modelcar().args(["verify", "--emit", "policy.json", "--policy", "policy.yaml"]).args(words));
            let policy = field.write("emitted.json", &output.stdout);
            let folder = field.path("emitted.d");
            fs::create_dir_all(&folder).unwrap();
            fs::write(folder.join("models.yaml"), output.stderr).unwrap();
            let mut command = clean_command(&library, field.path("").as_path());
            command.arg("--policy").arg(policy).arg("--registries-d").arg(folder).arg("--insecure");
            let answer = command.arg(format!("docker://{image}")).output().unwrap();
            let said = String::from_utf8_lossy(&answer.stderr).into_owned();
            assert!(matches!(answer.status.code(), Some(0 | 1)), "{said}");
            answer.status.success()
        };
        let (ours, others, both) = ("[{file: a.pub}]", "[{file: b.pub}]", "[{file: b.pub}, {file: a.pub}]");
        let table = [
            (ours, &image, true),
            (ours, &pinned, true),
            (both, &image, true),
            (others, &image, false),
            (ours, &other_tag, false),
            (ours, &unsigned, false),
            (ours, &outside, false),
        ];
        for (keys, image, accepted) in table {
            assert_eq!(asked(keys, &[], image), accepted, "{image} by {keys}");
        }
        assert!(asked(ours, &["--match-policy", "repository"], &other_tag));
    }
}

#[test]
fn nothing_is_checked_and_nothing_is_asked_of_a_registry() {
    let home = home_with_a_key();
    // nobody listens there
    let said = stdout_of(modelcar(home.path()).current_dir(home.path()).args([
        "verify",
        "--emit",
        "policy.json",
        "127.0.0.1:1/m/iris:v1",
        "--key",
        "k.pub",
    ]));
    assert!(said.contains("127.0.0.1:1/m/iris"), "{said}");
}
