//! The runner of `tests/tekton/run` does what Tekton and Kubernetes do, and refuses what they refuse: shown with small made-up Tasks
//! on busybox.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};

use serde_json::{Value, json};

use crate::support::runc::RANDOM_USER;
use crate::tekton::run::{Cluster, Image, ParamValue, Run, Target, TaskOutcome};

/// A cluster in which the image `busybox` is Debian's busybox.
pub(crate) fn cluster() -> Option<Cluster> {
    let mut cluster = Cluster::new()?;
    let busybox = Image::busybox(cluster.folder())?;
    cluster.image("busybox", &busybox);
    Some(cluster)
}

fn restricted() -> Value {
    json!({"runAsNonRoot": true, "allowPrivilegeEscalation": false, "capabilities": {"drop": ["ALL"]},
        "seccompProfile": {"type": "RuntimeDefault"}, "readOnlyRootFilesystem": true})
}

/// A Task's spec whose steps are these, of busybox.
pub(crate) fn task(steps: Value, mut more: Value) -> Value {
    more["stepTemplate"] = json!({"image": "busybox", "securityContext": restricted()});
    more["steps"] = steps;
    more
}

/// A step that runs a script.
pub(crate) fn sh(name: &str, script: &str) -> Value {
    json!({"name": name, "command": ["sh", "-c"], "args": [script]})
}

pub(crate) fn embedded(spec: Value) -> Run {
    Run::new(Target::Embedded(spec))
}

#[track_caller]
fn runs(cluster: &Cluster, run: &Run) -> TaskOutcome {
    cluster.run_task(run).unwrap().expect_success()
}

#[track_caller]
fn refusal(cluster: &Cluster, run: &Run) -> String {
    cluster.run_task(run).expect_err("it is refused").to_string()
}

#[test]
fn a_step_is_nobody_with_no_rights_in_a_read_only_root() {
    let Some(cluster) = cluster() else { return };
    let script =
        "id -u; id -g; cat /proc/self/status; touch /x 2>&1 || true; touch /tmp/x 2>&1 || true; touch /tekton/home/x /workspace/x && env";
    let outcome = runs(&cluster, &embedded(task(json!([sh("look", script)]), json!({}))));
    let said = &outcome.step("look").stdout;
    assert!(said.starts_with(&format!("{RANDOM_USER}\n0\n")), "{said}");
    for line in
        ["CapEff:\t0000000000000000", "CapBnd:\t0000000000000000", "NoNewPrivs:\t1", "/x: Read-only file system", "/tmp/x: No such file"]
    {
        assert!(said.contains(line), "{line} is not in {said}");
    }
    let env = said.split_once("/tmp/x").unwrap().1;
    let mut names: Vec<&str> = env.lines().filter_map(|line| Some(line.split_once('=')?.0)).collect();
    names.sort_unstable();
    names.retain(|name| !["PWD", "SHLVL", "HOME"].contains(name)); // those of runc and of the shell
    assert_eq!(names, ["HOSTNAME", "PATH"]);
}

#[test]
fn what_restricted_v2_would_not_admit_does_not_run() {
    let Some(cluster) = cluster() else { return };
    let mut spec = task(json!([sh("a", "touch $(results.R.path)")]), json!({"results": [{"name": "R"}]}));
    spec["stepTemplate"]["securityContext"]["runAsUser"] = json!(0);
    assert_eq!(refusal(&cluster, &embedded(spec)), "Task , step a: restricted-v2 wants no runAsUser and no runAsGroup");
}

#[test]
fn every_variable_of_a_task_is_put_in() {
    let Some(mut cluster) = cluster() else { return };
    cluster.secret("key", &[("k", "v")]);
    cluster.claim("models");
    let params = json!([
        {"name": "TEXT"}, {"name": "DEFAULT", "default": "of $(params.TEXT)"}, {"name": "LIST", "type": "array"},
        {"name": "NONE", "type": "array", "default": []}, {"name": "OBJECT", "type": "object", "properties": {"uri": {}, "digest": {}}},
    ]);
    let workspaces = json!([{"name": "source"}, {"name": "key", "mountPath": "/keys"}, {"name": "other", "optional": true}]);
    let words = [
        "$(params.TEXT)",
        "$(params['DEFAULT'])",
        "$(params.LIST[*])",
        "$(params.LIST[1])",
        "$(params.NONE[*])",
        "$(params.OBJECT.uri)",
        "$(results.R.path)",
        "$(step.results.S.path)",
        "$(workspaces.source.path)",
        "$(workspaces.key.path)",
        "$(workspaces.key.bound)",
        "$(workspaces.source.claim)",
        "o=$(workspaces.other.path)",
        "$(workspaces.other.bound)",
        "$(context.taskRun.namespace)",
        "$(context.task.name)",
        "$(NAMED)/x",
        "$$(NAMED)",
        "$(steps.step-echo.exitCode.path)",
    ];
    let step = json!({"name": "echo", "command": ["echo"], "args": words, "results": [{"name": "S"}],
        "env": [{"name": "NAMED", "value": "named $(params.TEXT)"}]});
    let spec = task(json!([step]), json!({"params": params, "workspaces": workspaces, "results": [{"name": "R"}]}));
    cluster.apply(&json!({"kind": "Task", "metadata": {"name": "words"}, "spec": spec}).to_string());
    let object = ParamValue::Map([("uri".to_owned(), "s3://b".to_owned()), ("digest".to_owned(), "sha256:0".to_owned())].into());
    let run = Run::of("words").param("TEXT", "a b").param("LIST", ["one", "two"]).param("OBJECT", object).param("UNKNOWN", "ignored");
    let outcome = runs(&cluster, &run.claim("source", "models").secret("key", "key"));
    let expected = [
        "a b",
        "of a b",
        "one",
        "two",
        "two",
        "s3://b",
        "/tekton/results/R",
        "/tekton/steps/step-echo/results/S",
        "/workspace/source",
        "/keys",
        "true",
        "models",
        "o=",
        "false",
        "edge-models",
        "words",
        "named a b/x",
        "$(NAMED)",
        "/tekton/steps/step-echo/exitCode",
    ];
    assert_eq!(outcome.step("echo").command[1..], expected);
    assert_eq!(outcome.step("echo").stdout.trim_end(), expected.join(" "));
}

#[test]
fn what_nobody_declared_or_gave_is_refused() {
    let Some(mut cluster) = cluster() else { return };
    cluster.claim("one");
    cluster.claim("two");
    let declared = json!({"params": [{"name": "A"}], "workspaces": [{"name": "w"}, {"name": "v", "optional": true}]});
    let spec = |script: &str| task(json!([sh("a", script)]), declared.clone());
    let given = |script: &str| embedded(spec(script)).param("A", "a").claim("w", "one");
    let cases = [
        (given("$(params.B)"), "non-existent variable $(params.B)"),
        (given("$(results.R.path)"), "non-existent variable $(results.R.path)"),
        (given("$(workspaces.x.path)"), "non-existent variable $(workspaces.x.path)"),
        (given("$(tasks.a.results.R)"), "non-existent variable $(tasks.a.results.R)"),
        (given("$(steps.b.results.R)"), "non-existent variable $(steps.b.results.R)"),
        (embedded(spec("")).claim("w", "one"), "missing values for these params which have no default values: A"),
        (embedded(spec("")).param("A", "a"), "declared workspace \"w\" is required but has not been bound"),
        (given("").claim("u", "one"), "workspace binding \"u\" does not match any declared workspace"),
        (given("").claim("v", "two"), "more than one PersistentVolumeClaim is bound"),
        (embedded(spec("")).param("A", "a").claim("w", "three"), "persistentvolumeclaim \"three\" not found"),
        (embedded(spec("")).param("A", "a").secret("w", "s"), "secret \"s\" not found"),
        (given("").param("A", ["a"]), "A is array and not string"),
        (embedded(task(json!([sh("a", "")]), json!({"sidecars": []}))), "unknown field `sidecars`"),
        (embedded(task(json!([{"name": "a", "script": "true"}]), json!({}))), "unknown field `script`"),
        (embedded(task(json!([{"name": "a", "image": "alpine", "command": ["x"]}]), json!({}))), "\"alpine\" is no image of this cluster"),
        (embedded(task(json!([sh("a", ""), sh("a", "")]), json!({}))), "step name \"a\" is used twice"),
        (Run::of("no-such"), "Task \"no-such\" not found in the catalogue"),
    ];
    for (run, reason) in cases {
        let refused = refusal(&cluster, &run);
        assert!(refused.contains(reason), "{refused}");
    }
}

#[test]
fn results_are_read_as_declared_and_only_where_they_were_written() {
    let Some(cluster) = cluster() else { return };
    let results =
        json!([{"name": "A"}, {"name": "B", "type": "array"}, {"name": "C", "type": "object", "properties": {"uri": {}}}, {"name": "D"}]);
    let script = r#"cd /tekton/results; printf %s '["x"]' >A; printf %s '["x","y"]' >B; printf %s '{"uri":"u"}' >C; echo other >E"#;
    let outcome = runs(&cluster, &embedded(task(json!([sh("a", script)]), json!({"results": results}))));
    assert_eq!(json!(outcome.results), json!({"A": "[\"x\"]", "B": ["x", "y"], "C": {"uri": "u"}}));
    let wrong = script.replace("uri", "url");
    let outcome = cluster.run_task(&embedded(task(json!([sh("a", &wrong)]), json!({"results": results})))).unwrap();
    assert!(!outcome.succeeded && outcome.message.contains("missing keys for result C"), "{}", outcome.message);
}

#[test]
fn more_than_4096_bytes_of_results_fail_the_run_although_its_steps_go_on() {
    let Some(cluster) = cluster() else { return };
    let results = json!([{"name": "A"}, {"name": "B"}]);
    let write =
        |name: &str, size: usize| sh(name, &format!("head -c {size} /dev/zero | tr '\\0' x >/tekton/results/{}", name.to_uppercase()));
    let fits = runs(&cluster, &embedded(task(json!([write("a", 2000), write("b", 1900)]), json!({"results": results.clone()}))));
    assert_eq!((fits.result("A").len(), fits.result("B").len()), (2000, 1900));
    let length = fits.step("b").message_length;
    assert!((3900 + 60..4096).contains(&length), "{length}");

    let steps = json!([write("a", 2000), write("b", 1900 + 4097 - length), sh("c", "echo on")]);
    let mut two = steps.clone();
    two.as_array_mut().unwrap().pop();
    let outcome = cluster.run_task(&embedded(task(two, json!({"results": results.clone()})))).unwrap();
    assert!(!outcome.succeeded && outcome.message.contains("above max allowed size 4096"), "{}", outcome.message);
    assert_eq!(outcome.step("b").reason, "ResultsTooLarge");
    let outcome = cluster.run_task(&embedded(task(steps, json!({"results": results})))).unwrap();
    assert!(!outcome.succeeded && outcome.step("c").stdout == "on\n", "{}", outcome.log());
}

#[test]
fn a_failed_step_stops_the_rest_unless_it_may_fail() {
    let Some(cluster) = cluster() else { return };
    let spec = |fails: Value| {
        task(
            json!([fails, sh("after", "cat /tekton/steps/step-fails/exitCode; echo -n r >/tekton/results/R")]),
            json!({"results": [{"name": "R"}]}),
        )
    };
    let mut fails = sh("fails", "echo -n early >/tekton/results/R; exit 7");
    let outcome = cluster.run_task(&embedded(spec(fails.clone()))).unwrap();
    assert_eq!((outcome.succeeded, outcome.message.as_str()), (false, "step fails exited with code 7: Error"));
    assert_eq!((outcome.step("after").reason, outcome.result("R")), ("Skipped", "early"));
    fails["onError"] = json!("continue");
    let outcome = runs(&cluster, &embedded(spec(fails)));
    assert_eq!((outcome.step("fails").exit_code, outcome.step("after").stdout.as_str(), outcome.result("R")), (Some(7), "7", "r"));
}

#[test]
fn a_step_gives_its_results_to_later_steps() {
    let Some(cluster) = cluster() else { return };
    let mut first = sh("first", "printf %s one >$(step.results.X.path)");
    first["results"] = json!([{"name": "X"}]);
    let mut third = sh("third", "exit 3");
    third["when"] = json!([{"input": "$(steps.first.results.X)", "operator": "notin", "values": ["one"]}]);
    let second = sh("second", "echo $(steps.first.results.X); echo x >/tekton/steps/step-first/results/X");
    let results = json!([{"name": "R", "value": "$(steps.first.results.X)"}]);
    let mut lenient = second.clone();
    lenient["onError"] = json!("continue");
    let outcome = runs(&cluster, &embedded(task(json!([first, lenient, third]), json!({"results": results}))));
    let second = outcome.step("second");
    assert!(second.stdout == "one\n" && second.stderr.contains("Read-only file system"), "{}", outcome.log());
    assert_eq!((outcome.result("R"), outcome.step("third").reason), ("one", "Skipped"));
}

#[test]
fn a_step_action_is_taken_in_with_its_own_parameters() {
    let Some(mut cluster) = cluster() else { return };
    let action = json!({"apiVersion": "tekton.dev/v1beta1", "kind": "StepAction", "metadata": {"name": "say"}, "spec": {
        "params": [{"name": "WHAT"}, {"name": "MORE", "type": "array", "default": []}], "results": [{"name": "SAID"}], "image": "busybox",
        "command": ["sh", "-c", "printf %s \"$*\" >$(step.results.SAID.path)", "say"], "args": ["$(params.WHAT)", "$(params.MORE[*])"],
        "securityContext": restricted()}});
    cluster.apply(&action.to_string());
    let step = |params: Value| json!({"name": "one", "ref": {"name": "say"}, "params": params});
    let spec = |params: Value| {
        let results = json!([{"name": "R", "value": "$(steps.one.results.SAID)"}]);
        json!({"params": [{"name": "A"}], "results": results, "steps": [step(params)]})
    };
    let given = json!([{"name": "WHAT", "value": "say $(params.A)"}, {"name": "MORE", "value": ["$(params.A)", "c"]}]);
    assert_eq!(runs(&cluster, &embedded(spec(given)).param("A", "a b")).result("R"), "say a b a b c");
    let refused = refusal(&cluster, &embedded(spec(json!([]))).param("A", "a"));
    assert!(refused.contains("StepAction say: missing values for these params which have no default values: WHAT"), "{refused}");
    let mut with_image = step(json!([]));
    with_image["image"] = json!("busybox");
    assert!(refusal(&cluster, &embedded(json!({"steps": [with_image]}))).contains("unknown field `image`"));
}

#[test]
fn an_isolated_workspace_is_seen_by_the_step_that_names_it_and_no_other() {
    let Some(mut cluster) = cluster() else { return };
    cluster.secret("signing", &[("cosign.key", "secret")]);
    let mut signs = sh("sign", "cat $(workspaces.key.path)/cosign.key; ls -la $(workspaces.key.path); echo x >$(workspaces.key.path)/x");
    signs["workspaces"] = json!([{"name": "key"}]);
    signs["onError"] = json!("continue");
    let steps = json!([sh("package", "ls /workspace; cat $(workspaces.key.path)/cosign.key || true"), signs]);
    let run = embedded(task(steps, json!({"workspaces": [{"name": "key", "readOnly": true}]}))).secret("key", "signing");
    let outcome = runs(&cluster, &run);
    assert!(outcome.step("package").stderr.contains("No such file"), "{}", outcome.log());
    let sign = outcome.step("sign");
    assert!(sign.stdout.starts_with("secret") && sign.stdout.contains("cosign.key -> ..data/cosign.key"), "{}", outcome.log());
    assert!(sign.stderr.contains("Read-only file system"), "{}", outcome.log());
}

#[test]
fn volumes_are_laid_out_as_the_kubelet_does() {
    let Some(mut cluster) = cluster() else { return };
    cluster.config_map("trusted-ca", &[("ca-bundle.crt", "PEM"), ("other", "x")]);
    cluster.tokens(|audience| format!("for {audience}"));
    let volumes = json!([
        {"name": "ca", "configMap": {"name": "$(params.CA)", "optional": true, "items": [{"key": "ca-bundle.crt", "path": "ca.crt"}]}},
        {"name": "none", "configMap": {"name": "absent", "optional": true}},
        {"name": "token", "projected": {"sources": [{"serviceAccountToken": {"audience": "sigstore", "expirationSeconds": 600, "path": "oidc"}}]}},
        {"name": "tmp", "emptyDir": {"sizeLimit": "1Mi"}},
    ]);
    let mut step = sh("a", "cat /ca/* /token/oidc; ls /none; dd if=/dev/zero of=/tmp/full bs=64k count=32 2>&1; exit 0");
    step["volumeMounts"] = ["ca", "none", "token", "tmp"].map(|name| json!({"name": name, "mountPath": format!("/{name}")})).into();
    let spec = task(json!([step]), json!({"volumes": volumes, "params": [{"name": "CA"}]}));
    let outcome = runs(&cluster, &embedded(spec.clone()).param("CA", "trusted-ca"));
    let said = &outcome.step("a").stdout;
    assert!(said.starts_with("PEMfor sigstore") && said.contains("No space left on device"), "{said}");
    assert_eq!(outcome.step("a").usage.scratch, 1 << 20);
    let outcome = runs(&cluster, &embedded(spec).param("CA", "another"));
    assert!(outcome.step("a").stdout.starts_with("for sigstore"), "{}", outcome.log());
}

#[test]
fn a_claim_belongs_to_the_namespaces_group_and_keeps_what_is_written() {
    let Some(mut cluster) = cluster() else { return };
    let claim = cluster.claim("models");
    fs::create_dir(claim.join("iris")).unwrap();
    fs::write(claim.join("iris/model"), "weights").unwrap();
    fs::set_permissions(claim.join("iris/model"), PermissionsExt::from_mode(0o600)).unwrap();
    let spec = task(
        json!([sh("a", "cat $(workspaces.source.path)/model; echo new >$(workspaces.source.path)/new")]),
        json!({"workspaces": [{"name": "source"}]}),
    );
    let source = json!({"persistentVolumeClaim": {"claimName": "models"}, "subPath": "iris"});
    let outcome = runs(&cluster, &embedded(spec).workspace("source", source));
    assert_eq!(outcome.step("a").stdout, "weights");
    let new = fs::metadata(claim.join("iris/new")).unwrap();
    assert_eq!((new.uid(), new.gid()), (RANDOM_USER, RANDOM_USER));
}

#[test]
fn memory_beyond_the_limit_kills_a_step_and_less_is_measured() {
    let Some(cluster) = cluster() else { return };
    let spec = |megabytes: usize| {
        let mut step = sh("a", &format!("x=$(dd if=/dev/zero bs=1M count={megabytes} 2>/dev/null | tr '\\0' x); echo ${{#x}}"));
        step["computeResources"] = json!({"limits": {"memory": "32Mi"}});
        embedded(task(json!([step]), json!({})))
    };
    let outcome = runs(&cluster, &spec(4));
    let usage = outcome.step("a").usage;
    assert!(usage.memory <= 32 << 20 && usage.memory >= 4 << 20, "{usage:?}");
    let outcome = cluster.run_task(&spec(40)).unwrap();
    assert!(!outcome.succeeded, "{}", outcome.log());
    assert!(outcome.step("a").stdout.is_empty() && outcome.message.contains("OOMKilled"), "{}", outcome.log());
}

#[test]
fn a_step_that_takes_too_long_is_ended() {
    let Some(cluster) = cluster() else { return };
    let mut step = sh("a", "sleep 1000");
    step["timeout"] = json!("300ms");
    let outcome = cluster.run_task(&embedded(task(json!([step, sh("b", "true")]), json!({})))).unwrap();
    assert_eq!((outcome.step("a").reason, outcome.step("b").reason), ("TimeoutExceeded", "Skipped"));
    let run = Run { timeout: Some("300ms".to_owned()), ..embedded(task(json!([sh("a", "sleep 1000")]), json!({}))) };
    assert_eq!(cluster.run_task(&run).unwrap().step("a").reason, "TimeoutExceeded");
}

#[test]
fn the_stand_in_images_have_the_binary_and_git_and_ssh() {
    let Some(mut cluster) = Cluster::new() else { return };
    let (Some(plain), Some(git)) = (Image::modelcar(cluster.folder()), Image::modelcar_git(cluster.folder())) else { return };
    cluster.image("modelcar", &plain);
    cluster.image("modelcar-git", &git);
    let step = |name: &str, image: &str, command: &[&str]| json!({"name": name, "image": image, "command": command});
    let steps = json!([
        step("plain", "modelcar", &["modelcar", "--version"]),
        step("git", "modelcar-git", &["git", "--version"]),
        step("both", "modelcar-git", &["modelcar", "--version"]),
        step("ssh", "modelcar-git", &["ssh", "-V"]),
    ]);
    let outcome = runs(&cluster, &embedded(task(steps, json!({}))));
    assert!(outcome.step("plain").stdout.starts_with("modelcar ") && outcome.step("both").stdout.starts_with("modelcar "));
    assert!(outcome.step("git").stdout.starts_with("git version") && outcome.step("ssh").stderr.starts_with("OpenSSH"));
    let shell = json!([step("sh", "modelcar", &["sh", "-c", "true"])]);
    assert!(!cluster.run_task(&embedded(task(shell, json!({})))).unwrap().succeeded, "the image has no shell");
}

#[test]
fn a_task_run_is_read_from_its_document() {
    let Some(mut cluster) = cluster() else { return };
    cluster.config_map("facts", &[("fact", "known")]);
    let spec = task(
        json!([sh("a", "cat $(workspaces.facts.path)/fact; echo $(params.WORD)")]),
        json!({"params": [{"name": "WORD"}], "workspaces": [{"name": "facts"}]}),
    );
    let workspaces = json!([{"name": "facts", "configMap": {"name": "facts"}}]);
    let run = |spec: Value| Run::read(&json!({"kind": "TaskRun", "spec": spec}));
    let given =
        json!({"taskSpec": spec, "params": [{"name": "WORD", "value": "w"}], "workspaces": workspaces, "serviceAccountName": "pipeline"});
    assert_eq!(runs(&cluster, &run(given)).step("a").stdout, "knownw\n");
    assert!(matches!(run(json!({"taskRef": {"name": "t"}})).target, Target::Named(name) if name == "t"));
}
