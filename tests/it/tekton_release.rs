//! The pipeline `modelcar-release`, executed as Tekton would: a real ONNX model from a claim to a signed image in a real registry, a
//! registered version (in a stand-in), and a commit in a real Git server. The containers hold this test run's own binary, see
//! `tests/tekton/run/images.rs`.

use std::fs;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use serde_json::json;

use crate::support::git_server::Http;
use crate::support::gitops::Origin;
use crate::support::model_registry::ModelRegistry;
use crate::support::registry::Registry;
use crate::support::sigstore::{CLUSTER, Claims, Options, Sigstore};
use crate::support::{modelcar, repo_root, run};
use crate::tekton::run::{Cluster, Image, PipelineOutcome, Run, Status, TaskOutcome};

pub(crate) const MODELCAR_IMAGE: &str = "quay.io/modelcar/modelcar@sha256:1111111111111111111111111111111111111111111111111111111111111111";
pub(crate) const MODELCAR_GIT_IMAGE: &str =
    "quay.io/modelcar/modelcar-git@sha256:2222222222222222222222222222222222222222222222222222222222222222";
const BUILDER: &str = "https://kubernetes.io/namespaces/edge-models/serviceaccounts/pipeline";
const TRUSTED_ROOT: &str = "/workspace/sigstore/trusted_root.json";
const TOKEN: &str = "git-C4n4ry";
pub(crate) const PASSWORD: &str = "key-C4n4ry";
const TASKS: [&str; 9] = ["fetch", "lint", "package", "verify", "smoke-test", "register", "deploy", "smoke-test-delete", "summary"];

/// A cluster with the catalogue and a model on a claim, and the services around it.
pub(crate) struct World {
    pub(crate) cluster: Cluster,
    pub(crate) registry: Registry,
    pub(crate) origin: Origin,
    git: Http,
    pub(crate) models: ModelRegistry,
    /// How many commits there are before a release.
    pub(crate) commits: usize,
}

impl World {
    /// `None`, said on stderr, where something of it cannot be had.
    pub(crate) fn new() -> Option<Self> {
        let mut cluster = Cluster::with_catalog()?;
        let registry = Registry::start()?;
        cluster.image(MODELCAR_IMAGE, &Image::modelcar(cluster.folder())?);
        cluster.image(MODELCAR_GIT_IMAGE, &Image::modelcar_git(cluster.folder())?);
        let model = cluster.claim("models").join("model/iris");
        fs::create_dir_all(&model).unwrap();
        fs::copy(repo_root().join("testdata/models/iris/logreg_iris.onnx"), model.join("logreg_iris.onnx")).unwrap();
        cluster.secret("git", &[("token", TOKEN)]);
        let origin = Origin::new();
        let git = Http::git(origin.root(), TOKEN);
        Some(Self { cluster, registry, origin, git, models: ModelRegistry::start(), commits: 1 })
    }

    /// A key pair by this name, as two secrets of the cluster.
    pub(crate) fn keys(&mut self, name: &str) -> PathBuf {
        let home = self.cluster.folder().join(name);
        fs::create_dir(&home).unwrap();
        run(modelcar(&home).current_dir(&home).env("COSIGN_PASSWORD", PASSWORD).args(["keygen", "-q"]));
        let text = |file: &str| fs::read_to_string(home.join(file)).unwrap();
        self.cluster.secret(&format!("{name}-signing"), &[("cosign.key", &text("cosign.key")), ("cosign.password", PASSWORD)]);
        self.cluster.secret(&format!("{name}-verification"), &[("cosign.pub", &text("cosign.pub"))]);
        home
    }

    fn image(&self) -> String {
        format!("{}/team/iris:v1", self.registry.host)
    }

    /// What every release here says.
    fn release(&self) -> Run {
        let run = self.with_git("modelcar-release").param("MODELCAR_IMAGE", MODELCAR_IMAGE);
        let run =
            run.param("SOURCE", "pvc://models/model/iris").param("DIRECTORY", ".").param("IMAGE", self.image()).param("SITE", "edge-01");
        let run = run.param("MODEL_REGISTRY_URL", self.models.url.as_str()).param("VERSION", "v1");
        run.claim("source", "models")
    }

    /// A Task or Pipeline that commits.
    pub(crate) fn with_git(&self, name: &str) -> Run {
        let gitops = format!("http://127.0.0.1:{}/acme/gitops.git", self.git.port);
        Run::of(name).param("MODELCAR_GIT_IMAGE", MODELCAR_GIT_IMAGE).param("GITOPS_URL", gitops).secret("git-credentials", "git")
    }

    pub(crate) fn with_keys(&self) -> Run {
        self.release().secret("signing-key", "ours-signing").secret("verification-key", "ours-verification")
    }

    /// What the site says below `verify`.
    fn site_wants(&mut self, verify: &str) {
        let work = self.origin.clone_to("site");
        fs::write(work.join("sites/edge-01/site.yaml"), format!("version: 1\nkserve: \"0.21\"\nverify: {verify}\n")).unwrap();
        run(self.origin.git(&work).args(["commit", "-qam", "Say who must accept the image"]));
        run(self.origin.git(&work).args(["push", "-q", "origin", "HEAD:main"]));
        self.commits += 1;
    }

    pub(crate) fn run(&self, release: &Run) -> PipelineOutcome {
        self.cluster.run_pipeline(release).unwrap()
    }

    /// Nothing was registered, and nothing committed.
    #[track_caller]
    fn expect_nothing_deployed(&self, outcome: &PipelineOutcome) {
        assert_eq!((outcome.reason, outcome.status("verify")), ("Failed", Status::Failed), "{}", outcome.log());
        for task in ["smoke-test", "register", "deploy"] {
            assert_eq!(outcome.status(task), Status::Skipped, "{}", outcome.log());
        }
        assert_eq!((self.origin.count(), self.models.writes().len()), (self.commits, 0));
        assert!(!outcome.results.contains_key("COMMIT") && !outcome.results.contains_key("IMAGE_REF"), "{:?}", outcome.results);
    }
}

/// Builds and pushes the model with a version of its own; signed where there is a key in the home.
pub(crate) fn push(home: &Path, image: &str, words: &[&str]) {
    let mut command = modelcar(home);
    command.current_dir(home).env("COSIGN_PASSWORD", PASSWORD).args(["build", "-q", "--push", "-t", image]);
    command.arg(repo_root().join("testdata/models/iris/logreg_iris.onnx")).arg(format!("--annotation=version={image}")).args(words);
    run(&mut command);
}

/// The site runs what was verified, and everybody says the same digest.
#[track_caller]
fn expect_released(world: &World, outcome: &PipelineOutcome) {
    let (digest, reference) = (outcome.result("IMAGE_DIGEST"), outcome.result("IMAGE_REF"));
    assert_eq!(reference, format!("{}@{digest}", world.image().trim_end_matches(":v1")));
    assert_eq!(outcome.result("COMMIT"), world.origin.says(&["rev-parse", "main"]));
    let patch = world.origin.says(&["show", "main:sites/edge-01/models/iris.yaml"]);
    assert!(patch.contains(&format!("storageUri: oci://{reference}")), "{patch}");
    assert_eq!(world.origin.count(), world.commits + 1);
    let artifacts = world.models.all("model_artifacts");
    assert_eq!(artifacts[0]["uri"], format!("oci://{reference}"), "{artifacts:?}");
    assert_eq!((&artifacts[0]["modelSourceKind"], &artifacts[0]["modelSourceName"]), (&json!("pipelines"), &json!(outcome.name)));
    world.models.expect_no_violations();
    for task in TASKS {
        let wanted = if task.starts_with("smoke-test") { Status::Skipped } else { Status::Succeeded };
        assert_eq!(outcome.status(task), wanted, "{task}: {}", outcome.log());
    }
    let summary = &outcome.task("summary").steps[0];
    assert!(summary.stdout.contains(reference) && summary.stdout.contains(outcome.result("COMMIT")), "{}", summary.stdout);
}

/// Said beside the limits, for those who look.
pub(crate) fn tell_usage(outcome: &PipelineOutcome) {
    for step in outcome.nodes.values().flat_map(|node| &node.runs).flat_map(|run| &run.steps) {
        let usage = step.usage;
        eprintln!(
            "{}: {} KiB of memory, {} KiB anonymous, {} KiB of scratch, {} bytes of results",
            step.name,
            usage.memory >> 10,
            usage.anonymous >> 10,
            usage.scratch >> 10,
            step.message_length
        );
    }
}

#[track_caller]
fn expect_no_secrets(outcome: &PipelineOutcome) {
    let log = outcome.log();
    assert!(![TOKEN, PASSWORD, "PRIVATE KEY"].iter().any(|secret| log.contains(secret)), "{log}");
}

#[test]
fn a_model_is_pushed_signed_verified_registered_and_committed() {
    let Some(mut world) = World::new() else { return };
    world.keys("ours");
    let outcome = world.run(&world.with_keys()).expect_success();
    expect_released(&world, &outcome);
    expect_no_secrets(&outcome);
    tell_usage(&outcome);
    let images = outcome.result("IMAGES");
    assert!(images.split(',').count() == 3 && images.starts_with(outcome.result("IMAGE_REF")), "{images}");
    assert!(outcome.result("SBOM_BLOB_URL").contains("@sha256:"));
}

#[test]
fn the_same_again_pushes_nothing_new_and_commits_nothing() {
    let Some(mut world) = World::new() else { return };
    world.keys("ours");
    let first = world.run(&world.with_keys()).expect_success();
    let second = world.run(&world.with_keys()).expect_success();
    assert_eq!((second.result("IMAGE_DIGEST"), second.result("COMMIT")), (first.result("IMAGE_DIGEST"), ""));
    assert_eq!((world.origin.count(), world.models.all("model_artifacts").len()), (2, 1));
}

/// A release with the token of the pipeline's service account in place of a key. The services live as long as the world's tokens.
fn keyless(world: &mut World) -> (Run, Rc<Sigstore>) {
    let services = Rc::new(Sigstore::start(&Options::default()));
    let tokens = Rc::clone(&services);
    world.cluster.tokens(move |audience| {
        assert_eq!(audience, "sigstore");
        tokens.token(&Claims::service_account("edge-models", "pipeline"))
    });
    world.cluster.config_map("sigstore", &[("trusted_root.json", &services.trusted_root().to_string())]);
    // a service account is no e-mail address, which OpenShift wants, see docs/policy.md
    world.site_wants("{consumers: [cosign-v3]}");
    let token = json!({"projected": {"sources": [{"serviceAccountToken": {"audience": "sigstore", "expirationSeconds": 600, "path": "oidc-token"}}]}});
    let release = world.release().workspace("identity-token", token).workspace("sigstore", json!({"configMap": {"name": "sigstore"}}));
    let release = release.param("FULCIO_URL", services.fulcio_url.as_str()).param("REKOR_URL", services.rekor_url.as_str());
    (release.param("CONSUMER", "cosign-v3").param("SIGNING_TRUSTED_ROOT", TRUSTED_ROOT), services)
}

#[test]
fn a_pipelines_own_identity_signs_without_a_key() {
    let Some(mut world) = World::new() else { return };
    let (release, _services) = keyless(&mut world);
    let release = release.param("CERTIFICATE_IDENTITY", BUILDER).param("CERTIFICATE_OIDC_ISSUER", CLUSTER);
    let outcome = world.run(&release.param("TRUSTED_ROOT", TRUSTED_ROOT)).expect_success();
    expect_released(&world, &outcome);
}

#[test]
fn a_policy_says_whose_identity_counts() {
    for (identity, is_trusted) in [(BUILDER, true), ("https://kubernetes.io/namespaces/edge-models/serviceaccounts/default", false)] {
        let Some(mut world) = World::new() else { return };
        let (release, services) = keyless(&mut world);
        let policy = format!(
            "version: 1\nimages: [{}/team]\nidentities:\n  - {{identity: \"{identity}\", issuer: \"{CLUSTER}\"}}\n\
             consumers: [cosign-v3]\ntrustedRoot: trusted_root.json\n",
            world.registry.host
        );
        let root = services.trusted_root().to_string();
        world.cluster.config_map("policy", &[("policy.yaml", &policy), ("trusted_root.json", &root)]);
        let release =
            release.param("POLICY", "/workspace/policy/policy.yaml").workspace("policy", json!({"configMap": {"name": "policy"}}));
        let outcome = world.run(&release);
        if is_trusted {
            expect_released(&world, &outcome.expect_success());
        } else {
            world.expect_nothing_deployed(&outcome);
        }
    }
}

#[test]
fn an_image_whose_bytes_were_changed_stops_at_verify() {
    let Some(mut world) = World::new() else { return };
    world.keys("ours");
    let data = world.registry.data();
    world.cluster.meanwhile("package", move |package| change_a_byte(&data, package.result("IMAGE_DIGEST")));
    let outcome = world.run(&world.with_keys());
    world.expect_nothing_deployed(&outcome);
}

#[test]
fn an_image_that_somebody_else_signed_stops_at_verify() {
    let Some(mut world) = World::new() else { return };
    world.keys("ours");
    let theirs = world.keys("theirs");
    let data = world.registry.data();
    world.cluster.meanwhile("package", move |package| sign_anew(&data, &theirs, package));
    let outcome = world.run(&world.with_keys());
    world.expect_nothing_deployed(&outcome);
    let verify = &outcome.task("verify").steps[0];
    assert_eq!(verify.exit_code, Some(3), "{}", outcome.log());
    let failure = &outcome.task("summary-of-failure").steps[0];
    assert!(failure.stdout.contains("verify"), "{}", failure.stdout);
}

/// What somebody with the registry's disk does to an index.
fn change_a_byte(data: &Path, digest: &str) {
    let hex = digest.strip_prefix("sha256:").unwrap();
    let file = data.join("docker/registry/v2/blobs/sha256").join(&hex[..2]).join(hex).join("data");
    let text = fs::read_to_string(&file).unwrap();
    let changed = text.replacen("amd64", "amd46", 1);
    assert_ne!(changed, text);
    fs::write(file, changed).unwrap();
}

/// Takes our signatures away, and puts those of another key in their place.
fn sign_anew(data: &Path, home: &Path, package: &TaskOutcome) {
    let tags = data.join("docker/registry/v2/repositories/team/iris/_manifests/tags");
    for tag in fs::read_dir(&tags).unwrap().map(|entry| entry.unwrap().path()) {
        if tag.file_name().unwrap().to_string_lossy().starts_with("sha256-") {
            fs::remove_dir_all(tag).unwrap();
        }
    }
    let mut command = modelcar(home);
    command.current_dir(home).env("COSIGN_PASSWORD", PASSWORD).args(["sign", "-q", "--key", "cosign.key"]);
    command.args(["--sign-identity", package.result("IMAGE_URL"), package.result("IMAGE_REF")]);
    run(&mut command);
}
