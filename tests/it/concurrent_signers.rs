//! Eight signers at once on one digest: nobody's signature is lost, in either format, with and without the referrers API.

use std::process::{Child, Command, Stdio};

use serde_json::Value;

use crate::support::verifiers::Host;
use crate::support::{modelcar, repo_root, run, stdout_of, temp_dir};

const SIGNERS: usize = 8;

struct Bench {
    home: tempfile::TempDir,
}

impl Bench {
    fn new() -> Self {
        let bench = Self { home: temp_dir() };
        for signer in 0..SIGNERS {
            run(bench.modelcar().args(["keygen", "-q", "--output-key-prefix", &format!("k{signer}")]));
        }
        bench
    }

    fn modelcar(&self) -> Command {
        let mut command = modelcar(self.home.path());
        command.current_dir(self.home.path()).env("COSIGN_PASSWORD", "correct horse");
        command
    }

    fn build(&self, image: &str) {
        let model = repo_root().join("testdata/models/iris/logreg_iris.onnx");
        run(self.modelcar().args(["build", "-q", "--push", "-t", image]).arg(model));
    }

    fn start_signing(&self, image: &str, signer: usize) -> Child {
        let mut command = self.modelcar();
        command.args(["sign", image, "--key", &format!("k{signer}.key")]);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap()
    }

    /// The number of good signatures of both formats, summed over index and children.
    fn good_signatures(&self, image: &str, signer: usize) -> usize {
        let key = format!("k{signer}.pub");
        let said = stdout_of(self.modelcar().args(["verify", "-q", "--format", "json", image, "--key", &key]));
        let report: Value = serde_json::from_str(&said).unwrap();
        let manifests = report["manifests"].as_array().unwrap();
        let findings = manifests.iter().flat_map(|manifest| ["classic", "bundle"].map(|format| manifest[format].as_array().unwrap()));
        findings.flatten().filter(|finding| finding["verdict"] == "accepted").count()
    }
}

fn all_signatures_stay(host: Option<Host>) {
    let Some(host) = host else { return };
    let bench = Bench::new();
    let image = format!("{}/models/iris:v1", host.host);
    bench.build(&image);
    let signing: Vec<Child> = (0..SIGNERS).map(|signer| bench.start_signing(&image, signer)).collect();
    for child in signing {
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
    // an index and its two platforms, each in both formats
    let found: Vec<usize> = (0..SIGNERS).map(|signer| bench.good_signatures(&image, signer)).collect();
    assert_eq!(found, [6; SIGNERS]);
}

#[test]
fn all_signatures_stay_where_clients_keep_the_list_of_referrers() {
    all_signatures_stay(Host::fallback());
}

#[test]
fn all_signatures_stay_where_the_registry_keeps_it() {
    all_signatures_stay(Host::native());
}
