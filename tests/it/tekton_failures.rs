//! What others' packaging tasks were found to do wrong, tried on `modelcar-package` as a cluster would run it, against a real registry.
//! `tekton_failures_limits.rs` has those of memory and disk.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use modelcar::store::Access;
use modelcar::store::layout::LayoutStore;
use serde_json::{Value, json};

use crate::support::images::{BaseImage, native_architecture, put_docker_list};
use crate::support::registry::{Registry, Setup};
use crate::support::runc::unpack;
use crate::support::{modelcar, need, repo_root, run, stdout_of};
use crate::tekton::catalog;
use crate::tekton::run::{Cluster, Image, ParamValue, Run, TaskOutcome};

const MODELCAR_IMAGE: &str = "quay.io/modelcar/modelcar@sha256:1111111111111111111111111111111111111111111111111111111111111111";
const PASSWORD: &str = "key-C4n4ry";
const CERTIFICATES: &str = "/etc/ssl/certs/ca-certificates.crt";

/// A cluster with the catalogue, a claim for the model and a key, and a registry.
pub(crate) struct World {
    pub(crate) cluster: Cluster,
    pub(crate) registry: Registry,
    /// The folder `model` on the claim.
    pub(crate) model: PathBuf,
    home: PathBuf,
}

impl World {
    /// `None`, said on stderr, where something of it cannot be had.
    pub(crate) fn new() -> Option<Self> {
        Self::with(&Setup::default())
    }

    fn with(setup: &Setup) -> Option<Self> {
        let mut cluster = Cluster::with_catalog()?;
        let registry = Registry::start_with(setup)?;
        cluster.image(MODELCAR_IMAGE, &Image::modelcar(cluster.folder())?);
        let model = cluster.claim("models").join("model");
        fs::create_dir(&model).unwrap();
        let home = cluster.folder().join("home");
        fs::create_dir(&home).unwrap();
        run(modelcar(&home).current_dir(&home).env("COSIGN_PASSWORD", PASSWORD).args(["keygen", "-q"]));
        let mut world = Self { cluster, registry, model, home };
        world.key("signing", PASSWORD);
        Some(world)
    }

    /// One with the iris model.
    fn with_iris() -> Option<Self> {
        let world = Self::new()?;
        world.put_iris();
        Some(world)
    }

    fn put_iris(&self) {
        fs::copy(repo_root().join("testdata/models/iris/logreg_iris.onnx"), self.model.join("logreg_iris.onnx")).unwrap();
    }

    /// The key and what is said to be its password, as a secret of the cluster.
    fn key(&mut self, secret: &str, password: &str) {
        let key = fs::read_to_string(self.home.join("cosign.key")).unwrap();
        self.cluster.secret(secret, &[("cosign.key", &key), ("cosign.password", password)]);
    }

    pub(crate) fn image(&self) -> String {
        format!("{}/team/iris:v1", self.registry.host)
    }

    /// What every run here says.
    pub(crate) fn package(&self) -> Run {
        self.unsigned().secret("signing-key", "signing")
    }

    fn unsigned(&self) -> Run {
        Run::of("modelcar-package").param("MODELCAR_IMAGE", MODELCAR_IMAGE).param("IMAGE", self.image()).claim("source", "models")
    }

    pub(crate) fn run(&self, run: &Run) -> TaskOutcome {
        self.cluster.run_task(run).unwrap()
    }

    /// A base of this program, as Docker writes them, pushed under a name; gives its digest.
    pub(crate) fn put_base(&self, to: &str, program: &[u8], ca: Option<&Path>) -> String {
        let layout = tempfile::tempdir_in(&self.home).unwrap().keep();
        let store = LayoutStore::open(&layout, Access::Write).unwrap();
        let programs = [("tool", program)];
        let base =
            BaseImage { architecture: native_architecture(), programs: &programs, links: &[], config: json!({"Env": null, "User": ""}) };
        let list = put_docker_list(&store, &[base], "v1");
        drop(store);
        let mut copy = modelcar(&self.home);
        copy.args(["copy", "-q", &format!("oci:{}:v1", layout.display()), to]);
        run(copy.args(ca.map(|ca| format!("--ca-file={}", ca.display()))));
        list.digest().to_string()
    }

    /// The packed image's files, as skopeo and umoci see them; `None` where they are missing.
    pub(crate) fn unpacked(&self, reference: &str) -> Option<PathBuf> {
        let layout = tempfile::tempdir_in(&self.home).unwrap().keep();
        let mut copy = Command::new(need("skopeo")?);
        copy.args(["copy", "-q", "--all", "--src-tls-verify=false"]).arg(format!("docker://{reference}"));
        run(copy.arg(format!("oci:{}:v1", layout.join("image").display())));
        unpack(&layout.join("image"), "v1", &layout)
    }

    /// The Task `modelcar-package`, changed.
    pub(crate) fn change(&mut self, change: impl FnOnce(&mut Value)) {
        let mut task = package_task();
        change(&mut task);
        self.cluster.apply(&task.to_string());
    }
}

fn package_task() -> Value {
    catalog::find(&catalog::read(&catalog::folder()), "Task", "modelcar-package").value.clone()
}

#[track_caller]
pub(crate) fn expect_failure(outcome: &TaskOutcome, step: &str, exit_code: i32, says: &str) {
    let step = outcome.step(step);
    assert!(!outcome.succeeded && step.exit_code == Some(exit_code) && step.stderr.contains(says), "{}", outcome.log());
}

/// konflux-ci/build-definitions#3732: a DeepSeek ModelCar shipped with `inference/config.json` in the place of `config.json`.
#[test]
fn files_of_equal_names_in_nested_folders_are_all_there() {
    let Some(world) = World::new() else { return };
    let files = ["config.json", "inference/config.json", "inference/deep/config.json", "weights.bin", "inference/weights.bin"];
    fs::create_dir_all(world.model.join("inference/deep")).unwrap();
    for file in files {
        fs::write(world.model.join(file), format!("{{\"this is\": \"{file}\"}}")).unwrap();
    }
    let outcome = world.run(&world.package().param("RUNTIME", "raw")).expect_success();
    let Some(rootfs) = world.unpacked(outcome.result("IMAGE_REF")) else { return };
    for file in files {
        let text = fs::read_to_string(rootfs.join("models").join(file)).unwrap_or_else(|error| panic!("{file}: {error}"));
        assert_eq!(text, format!("{{\"this is\": \"{file}\"}}"));
    }
}

/// One registry has an authority of its own, named in a ConfigMap alone; the other's is among the system's, which go on to count.
#[test]
fn a_company_authority_comes_from_a_config_map_and_is_added_to_the_systems() {
    let tls = Setup { tls: true, ..Setup::default() };
    let (Some(mut world), Some(company)) = (World::with(&tls), Registry::start_with(&tls)) else { return };
    world.put_iris();
    let digest = world.put_base(&format!("{}/base/tool:v1", company.host), b"tool", Some(&company.ca_file()));
    let mut image = Image::modelcar(world.cluster.folder()).unwrap();
    image.parts.retain(|(_, at)| at != Path::new(CERTIFICATES));
    image.parts.push((world.registry.ca_file(), CERTIFICATES.into()));
    world.cluster.image(MODELCAR_IMAGE, &image);
    let release = world.package().param("BASE_IMAGE", format!("{}/base/tool@{digest}", company.host));

    // no ConfigMap: the system's authorities do for the one registry, and nothing does for the other
    world.run(&world.package()).expect_success();
    let without = world.run(&release);
    expect_failure(&without, "package", 1, "certificate");
    assert!(without.step("package").stderr.contains("--ca-file"), "the hint names the way: {}", without.log());

    let pem = fs::read_to_string(company.ca_file()).unwrap();
    world.cluster.config_map("trusted-ca", &[("ca-bundle.crt", &pem)]);
    let with = world.run(&release).expect_success();
    assert_eq!(with.result("BASE_IMAGE_DIGEST"), digest);

    // under other names, and with only what somebody else trusts under the usual ones
    world.cluster.config_map("trusted-ca", &[("other.crt", &pem)]);
    expect_failure(&world.run(&release), "package", 1, "certificate");
    world.cluster.config_map("company", &[("bundle.pem", &pem)]);
    let named = release.param("CA_TRUST_CONFIG_MAP_NAME", "company").param("CA_TRUST_CONFIG_MAP_KEY", "bundle.pem");
    world.run(&named).expect_success();
}

/// Konflux cut the tag off with `${BASE_IMAGE//:*@/@}`, which a registry's port does not survive.
#[test]
fn a_base_by_tag_and_digest_is_the_one_of_the_digest() {
    let Some(world) = World::with_iris() else { return };
    let name = format!("{}/base/tool", world.registry.host);
    let first = world.put_base(&format!("{name}:v1"), b"first", None);
    let second = world.put_base(&format!("{name}:v1"), b"second", None);
    assert_ne!(first, second);
    for (digest, content) in [(&second, "second"), (&first, "first")] {
        let outcome = world.run(&world.package().param("BASE_IMAGE", format!("{name}:v1@{digest}"))).expect_success();
        let results = (outcome.result("BASE_IMAGE_REF"), outcome.result("BASE_IMAGE_DIGEST"));
        assert_eq!(results, (format!("{name}@{digest}").as_str(), digest.as_str()));
        let Some(rootfs) = world.unpacked(outcome.result("IMAGE_REF")) else { return };
        assert_eq!(fs::read_to_string(rootfs.join("bin/tool")).unwrap(), content);
    }
    let unknown = format!("{name}:v1@sha256:{}", "0".repeat(64));
    expect_failure(&world.run(&world.package().param("BASE_IMAGE", unknown)), "package", 1, "sha256:0000");
}

#[test]
fn an_image_without_its_signature_is_told_apart_and_the_retry_only_signs() {
    let Some(mut world) = World::with_iris() else { return };
    world.key("wrong", "wr0ng-C4n4ry");
    let failed = world.run(&world.unsigned().secret("signing-key", "wrong"));
    expect_failure(&failed, "sign", 4, "is pushed but not signed");
    assert!(!failed.log().contains("wr0ng-C4n4ry") && failed.step("sign").stderr.contains("wrong password"), "{}", failed.log());
    for result in ["IMAGE_URL", "IMAGE_DIGEST", "IMAGE_REF", "IMAGES"] {
        assert!(failed.result(result).contains(if result == "IMAGE_URL" { ":v1" } else { "sha256:" }), "{:?}", failed.results);
    }
    let again = world.run(&world.package()).expect_success();
    assert_eq!(again.result("IMAGE_REF"), failed.result("IMAGE_REF"));
    assert!(again.step("package").stderr.contains("(0 B sent)"), "{}", again.log());
    let mut verify = modelcar(&world.home);
    run(verify.current_dir(&world.home).args(["verify", "-q", "--key=cosign.pub", again.result("IMAGE_REF")]));
}

#[test]
fn results_fit_for_the_longest_name_and_what_is_vital_is_there_beside_a_source_that_is_too_long() {
    let Some(world) = World::with_iris() else { return };
    // no registry takes more than 255 characters, its own name among them
    let name = format!("{}/{}/", world.registry.host, "t".repeat(120));
    let name = format!("{name}{}", "i".repeat(255 - name.len()));
    let release = world.package().param("IMAGE", format!("{name}:v1"));
    let fits = world.run(&release).expect_success();
    let longest = |outcome: &TaskOutcome| outcome.steps.iter().map(|step| step.message_length).max().unwrap();
    assert!(longest(&fits) <= 4096, "{}", longest(&fits));
    assert_eq!(fits.result("IMAGES").split(',').count(), 3);
    assert!(fits.result("SBOM_BLOB_URL").starts_with(&format!("{name}@sha256:")));

    // each `&` takes six bytes of Tekton's message
    let source = format!("https://models.example.com/?{}", "a=b&".repeat(240));
    let cut = world.run(&release.param("SOURCE_URI", source).param("SOURCE_DIGEST", format!("sha256:{}", "0".repeat(64)))).expect_success();
    assert!(longest(&cut) <= 4096, "{}", longest(&cut));
    assert_eq!(cut.result("IMAGE_REF"), format!("{name}@{}", cut.result("IMAGE_DIGEST")));
    assert_eq!(cut.result("IMAGE_URL"), format!("{name}:v1"));
    assert!(cut.steps.iter().any(|step| step.stderr.contains("written empty, because a task's results have 4096 bytes at most")));
    eprintln!("results of a name of 255 characters: {} bytes; with a long source: {} bytes", longest(&fits), longest(&cut));
}

/// What the parameters that only reach a command line are set to; each value is its own.
const WORDS: [(&str, &str, &str); 11] = [
    ("package", "KSERVE", "0.17"),
    ("package", "DELIVERY", "modelcar"),
    ("package", "TLS_VERIFY", "false"),
    ("sign", "FULCIO_URL", "http://127.0.0.1:1/fulcio"),
    ("sign", "REKOR_URL", "http://127.0.0.1:1/rekor"),
    ("sign", "TSA_URL", "http://127.0.0.1:1/tsa"),
    ("sign", "OIDC_CLIENT_ID", "our-audience"),
    ("sign", "SIGNING_CONFIG", "/workspace/sigstore/signing_config.json"),
    ("sign", "TRUSTED_ROOT", "/workspace/sigstore/trusted_root.json"),
    ("sign", "TUF_MIRROR", "http://127.0.0.1:1/tuf"),
    ("sign", "TUF_ROOT", "/workspace/sigstore/root.json"),
];

/// Those that `a_company_authority_…` and the runner show: without the image nothing starts.
const ELSEWHERE: [&str; 3] = ["CA_TRUST_CONFIG_MAP_NAME", "CA_TRUST_CONFIG_MAP_KEY", "MODELCAR_IMAGE"];

/// Those that change the image or its results, and to what.
fn effects(world: &World, base: &str) -> BTreeMap<&'static str, ParamValue> {
    let image = format!("{}/other/name:v2", world.registry.host);
    let texts = [
        ("MODEL", "model/logreg_iris.onnx".to_owned()),
        ("IMAGE", image),
        ("RUNTIME", "triton".to_owned()),
        ("MODEL_NAME", "flowers".to_owned()),
        ("PLATFORMS", format!("linux/{}", native_architecture())),
        ("BASE_IMAGE", base.to_owned()),
        ("SOURCE_URI", "s3://models/iris".to_owned()),
        ("SOURCE_DIGEST", format!("sha256:{}", "1".repeat(64))),
        ("ATTEST", "model-signing".to_owned()),
    ];
    let lists = [("ARGS", ["--label=of=a-test"]), ("SIGN_ARGS", ["--no-recursive"])];
    let texts = texts.into_iter().map(|(name, value)| (name, ParamValue::from(value)));
    texts.chain(lists.into_iter().map(|(name, value)| (name, ParamValue::from(value)))).collect()
}

/// tekton-lint found `REMOVE_ORIGINALS` of Konflux's task to do nothing.
#[test]
fn no_parameter_is_dead() {
    let Some(world) = World::with_iris() else { return };
    let base = format!("{}/base/tool:v1", world.registry.host);
    let digest = world.put_base(&base, b"tool", None);
    let effects = effects(&world, &base);
    let task = package_task();
    let mut declared: Vec<&str> = task["spec"]["params"].as_array().unwrap().iter().map(|param| param["name"].as_str().unwrap()).collect();
    let mut tried: Vec<&str> = effects.keys().copied().chain(WORDS.iter().map(|(_, name, _)| *name)).chain(ELSEWHERE).collect();
    declared.sort_unstable();
    tried.sort_unstable();
    assert_eq!(declared, tried, "each parameter is tried");

    let usual = world.run(&world.package()).expect_success();
    let changed = effects.iter().fold(world.package(), |run, (name, value)| run.param(name, value.clone()));
    let changed = world.run(&changed).expect_success();
    expect_effects(&world, &changed, &digest);
    assert_eq!(usual.result("IMAGES").split(',').count(), 3);
    for result in ["BASE_IMAGE_REF", "IMAGE_URL", "SBOM_BLOB_URL", "MODEL_ARTIFACT_INPUTS"] {
        assert_ne!(usual.results[result], changed.results[result], "{result}");
    }
}

#[track_caller]
fn expect_effects(world: &World, changed: &TaskOutcome, base: &str) {
    let name = format!("{}/other/name", world.registry.host);
    assert_eq!(changed.result("IMAGE_URL"), format!("{name}:v2"));
    assert_eq!(changed.result("IMAGES").split(',').count(), 2);
    assert_eq!(changed.result("BASE_IMAGE_DIGEST"), base);
    let inputs = json!({"uri": "s3://models/iris", "digest": format!("sha256:{}", "1".repeat(64))});
    assert_eq!(json!(changed.results["MODEL_ARTIFACT_INPUTS"]), inputs);
    assert_eq!(changed.result("SBOM_BLOB_URL"), "");
    assert!(changed.step("sign").stderr.contains("one manifest"), "{}", changed.log());
    let Some(rootfs) = world.unpacked(changed.result("IMAGE_REF")) else { return };
    assert!(rootfs.join("models/flowers/1").is_dir(), "RUNTIME and MODEL_NAME");
    let mut inspect = Command::new(need("skopeo").unwrap());
    inspect.args(["inspect", "--config", "--tls-verify=false"]).arg(format!("docker://{}", changed.result("IMAGE_REF")));
    let config: Value = serde_json::from_str(&stdout_of(&mut inspect)).unwrap();
    assert_eq!(config["config"]["Labels"]["of"], "a-test");
}

#[test]
fn parameters_for_clusters_and_keyless_services_reach_their_steps() {
    let Some(world) = World::with_iris() else { return };
    let all = WORDS.iter().fold(world.unsigned(), |run, (_, name, value)| run.param(name, *value));
    let outcome = world.run(&all);
    // some of them exclude others, which only the binary can say that got them all
    expect_failure(&outcome, "sign", 2, "cannot be used with");
    for (step, name, value) in WORDS {
        let command = &outcome.step(step).command;
        assert!(command.iter().any(|word| word.ends_with(&format!("={value}"))), "{name}: {command:?}");
    }
    for (name, value, says) in [("KSERVE", "0.99", "0.99"), ("DELIVERY", "by-mule", "by-mule"), ("TLS_VERIFY", "maybe", "maybe")] {
        expect_failure(&world.run(&world.package().param(name, value)), "package", 2, says);
    }
    let refused = world.cluster.run_task(&world.package().param("MODELCAR_IMAGE", "quay.io/none/none")).unwrap_err();
    assert!(refused.to_string().contains("ImagePullBackOff"), "{refused}");
}
