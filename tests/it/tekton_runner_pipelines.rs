//! The runner of `tests/tekton/run` orders, skips, retries and fails the tasks of a Pipeline as Tekton does: shown with small made-up ones
//! on busybox.

use std::fs;

use serde_json::{Value, json};

use crate::tekton::run::{Cluster, ParamValue, PipelineOutcome, Status};
use crate::tekton_runner::{cluster, embedded, sh, task};

/// Tasks `say` (result SAID is its parameter), `fail`, `count` (fails until its file has three lines) and `quiet` (no result).
fn with_tasks(cluster: &mut Cluster) {
    let document = |name: &str, spec: Value| cluster_document("Task", name, &spec);
    let said = json!({"params": [{"name": "WHAT", "default": "nothing"}, {"name": "MORE", "type": "array", "default": []}], "results": [{"name": "SAID"}]});
    let say = json!({"name": "say", "command": ["sh", "-c", "printf %s \"$*\" | tee /tekton/results/SAID", "say"], "args": ["$(params.WHAT)", "$(params.MORE[*])"]});
    let counting = json!({"workspaces": [{"name": "files"}], "results": [{"name": "SAID"}]});
    let count = sh("count", "cd $(workspaces.files.path); echo x >>tries; cat tries; test \"$(cat tries)\" = \"$(printf 'x\\nx\\nx')\"");
    for (name, spec) in [
        ("say", task(json!([say]), said.clone())),
        (
            "fail",
            task(
                json!([sh("fail", "printf early >/tekton/results/SAID; exit 1")]),
                json!({"results": [{"name": "SAID"}, {"name": "LATE"}]}),
            ),
        ),
        ("count", task(json!([count]), counting)),
        ("quiet", task(json!([sh("quiet", "true")]), json!({"results": [{"name": "SAID"}]}))),
    ] {
        cluster.apply(&document(name, spec));
    }
}

fn cluster_document(kind: &str, name: &str, spec: &Value) -> String {
    json!({"apiVersion": "tekton.dev/v1", "kind": kind, "metadata": {"name": name}, "spec": spec}).to_string()
}

/// `say` with these words.
fn say(name: &str, what: &str, more: &Value) -> Value {
    let mut node = json!({"name": name, "taskRef": {"name": "say"}, "params": [{"name": "WHAT", "value": what}]});
    more.as_object().unwrap().iter().for_each(|(field, value)| node[field] = value.clone());
    node
}

fn pipeline(cluster: &Cluster, spec: Value) -> PipelineOutcome {
    cluster.run_pipeline(&embedded(spec)).unwrap()
}

#[test]
fn tasks_run_after_those_whose_results_they_take() {
    let Some(mut cluster) = cluster() else { return };
    with_tasks(&mut cluster);
    let tasks = json!([
        say("last", "$(tasks.second.results.SAID)!", &json!({})),
        say("second", "$(tasks.first.results.SAID) two", &json!({})),
        say("after", "x", &json!({"runAfter": ["last"]})),
        say("first", "$(params.WORD)", &json!({})),
    ]);
    let results =
        json!([{"name": "ALL", "value": "<$(tasks.last.results.SAID)>"}, {"name": "NAME", "value": "$(tasks.after.results.SAID)"}]);
    let outcome =
        pipeline(&cluster, json!({"params": [{"name": "WORD", "default": "one"}], "tasks": tasks, "results": results})).expect_success();
    assert_eq!(outcome.order, ["first", "second", "last", "after"]);
    assert_eq!((outcome.reason, outcome.result("ALL")), ("Succeeded", "<one two!>"));
    assert_eq!(outcome.task("second").step("say").command[4], "one two");
}

#[test]
fn when_keeps_a_task_and_those_that_want_its_results_from_running_but_not_those_after_it() {
    let Some(mut cluster) = cluster() else { return };
    with_tasks(&mut cluster);
    let tasks = json!([
        say("first", "no", &json!({})),
        say("kept", "x", &json!({"when": [{"input": "$(tasks.first.results.SAID)", "operator": "in", "values": ["yes"]}]})),
        say("wants", "$(tasks.kept.results.SAID)", &json!({})),
        say("later", "x", &json!({"runAfter": ["wants"]})),
        say("after", "x", &json!({"runAfter": ["kept"]})),
    ]);
    let statuses = "$(tasks.status) $(tasks.kept.status) $(tasks.after.status)";
    let finally = json!([say("sum", statuses, &json!({})), say("lost", "$(tasks.kept.results.SAID)", &json!({}))]);
    let results = json!([{"name": "KEPT", "value": "$(tasks.kept.results.SAID)"}]);
    let outcome = pipeline(&cluster, json!({"tasks": tasks, "finally": finally, "results": results})).expect_success();
    let status = |name: &str| (outcome.status(name), outcome.nodes[name].reason.as_str());
    assert_eq!(status("kept"), (Status::Skipped, "When Expressions evaluated to false"));
    assert_eq!(status("wants"), (Status::Skipped, "Results were missing"));
    assert_eq!(status("later"), (Status::Skipped, "Parent Tasks were skipped"));
    assert_eq!(status("lost"), (Status::Skipped, "Results were missing"));
    assert_eq!(outcome.status("after"), Status::Succeeded);
    assert_eq!(outcome.task("sum").result("SAID"), "Completed None Succeeded");
    assert!(outcome.reason == "Completed" && outcome.results.is_empty(), "{}", outcome.log());
}

#[test]
fn a_failure_stops_what_has_not_begun_and_finally_still_runs() {
    let Some(mut cluster) = cluster() else { return };
    with_tasks(&mut cluster);
    let tasks = json!([{"name": "fails", "taskRef": {"name": "fail"}}, say("other", "x", &json!({"runAfter": ["fails"]}))]);
    let finally = json!([
        say("sum", "$(tasks.status) $(tasks.fails.status) $(tasks.other.status) $(tasks.fails.results.SAID)", &json!({})),
        say("unlike", "x", &json!({"when": [{"input": "$(tasks.status)", "operator": "in", "values": ["Succeeded"]}]})),
    ]);
    let outcome = pipeline(&cluster, json!({"tasks": tasks, "finally": finally}));
    assert_eq!((outcome.reason, outcome.status("other")), ("Failed", Status::Skipped));
    assert_eq!(outcome.task("sum").result("SAID"), "Failed Failed None early");
    assert_eq!(outcome.status("unlike"), Status::Skipped);
    assert!(outcome.message.contains("task fails failed: step fail exited with code 1"), "{}", outcome.message);
}

#[test]
fn a_task_that_may_fail_does_not_stop_the_others() {
    let Some(mut cluster) = cluster() else { return };
    with_tasks(&mut cluster);
    let fails = json!({"name": "fails", "taskRef": {"name": "fail"}, "onError": "continue"});
    let outcome = pipeline(&cluster, json!({"tasks": [fails, say("takes", "$(tasks.fails.results.SAID)", &json!({}))]})).expect_success();
    assert_eq!((outcome.status("fails"), outcome.task("takes").result("SAID")), (Status::Failed, "early"));
}

#[test]
fn a_result_that_was_not_written_fails_who_takes_it() {
    let Some(mut cluster) = cluster() else { return };
    with_tasks(&mut cluster);
    let tasks = json!([{"name": "quiet", "taskRef": {"name": "quiet"}}, say("takes", "$(tasks.quiet.results.SAID)", &json!({}))]);
    let outcome = pipeline(&cluster, json!({"tasks": tasks}));
    assert!(outcome.reason == "Failed" && outcome.message.starts_with("InvalidTaskResultReference"), "{}", outcome.message);
    let outcome = pipeline(&cluster, json!({"tasks": [tasks[0]], "results": [{"name": "R", "value": "$(tasks.quiet.results.SAID)"}]}));
    assert!(outcome.message.contains("invalid pipelineresults [R]"), "{}", outcome.message);
}

#[test]
fn a_matrix_runs_once_for_each_and_its_results_are_a_list() {
    let Some(mut cluster) = cluster() else { return };
    with_tasks(&mut cluster);
    let matrix = json!({"params": [{"name": "WHAT", "value": "$(params.SITES[*])"}]});
    let fans = json!({"name": "fans", "taskRef": {"name": "say"}, "matrix": matrix});
    let mut takes = say("takes", "$(tasks.fans.matrix.length)", &json!({}));
    takes["params"].as_array_mut().unwrap().push(json!({"name": "MORE", "value": "$(tasks.fans.results.SAID[*])"}));
    takes["runAfter"] = json!(["fans"]);
    let spec = json!({"params": [{"name": "SITES", "type": "array"}], "tasks": [takes, fans]});
    let outcome = cluster.run_pipeline(&embedded(spec.clone()).param("SITES", ["a", "b"])).unwrap().expect_success();
    assert_eq!((outcome.nodes["fans"].runs.len(), outcome.task("takes").result("SAID")), (2, "2 a b"));
    let outcome = cluster.run_pipeline(&embedded(spec).param("SITES", ParamValue::List(Vec::new()))).unwrap();
    assert_eq!((outcome.status("fans"), outcome.status("takes")), (Status::Skipped, Status::Skipped));
}

#[test]
fn a_task_is_retried_and_workspaces_outlast_it() {
    let Some(mut cluster) = cluster() else { return };
    with_tasks(&mut cluster);
    let claim = cluster.claim("files");
    let spec = |retries: usize| {
        let node = json!({"name": "count", "taskRef": {"name": "count"}, "retries": retries,
            "workspaces": [{"name": "files", "workspace": "shared", "subPath": "of-$(context.pipelineRun.namespace)"}]});
        embedded(json!({"workspaces": [{"name": "shared"}], "tasks": [node]})).claim("shared", "files")
    };
    assert_eq!(cluster.run_pipeline(&spec(1)).unwrap().reason, "Failed");
    fs::remove_dir_all(claim.join("of-edge-models")).unwrap();
    let outcome = cluster.run_pipeline(&spec(2)).unwrap().expect_success();
    assert_eq!(outcome.nodes["count"].attempts, 3);
    assert_eq!(fs::read_to_string(claim.join("of-edge-models/tries")).unwrap(), "x\nx\nx\n");
}

#[test]
fn a_pipeline_that_tekton_would_not_start_is_refused() {
    let Some(mut cluster) = cluster() else { return };
    with_tasks(&mut cluster);
    let quiet = json!({"name": "quiet", "taskRef": {"name": "quiet"}});
    let count = |workspaces: Value| json!({"name": "count", "taskRef": {"name": "count"}, "workspaces": workspaces});
    let git = |revision: &str| json!({"name": "g", "taskRef": {"resolver": "git", "params": [{"name": "revision", "value": revision}, {"name": "pathInRepo", "value": "none.yaml"}]}});
    let cases = [
        (json!([say("a", "$(tasks.b.results.SAID)", &json!({}))]), "depends on b but b wasn't present in Pipeline"),
        (json!([say("a", "x", &json!({"runAfter": ["b"]}))]), "depends on b but b wasn't present in Pipeline"),
        (
            json!([say("a", "$(tasks.b.results.SAID)", &json!({})), say("b", "$(tasks.a.results.SAID)", &json!({}))]),
            "cycle detected at task a",
        ),
        (json!([quiet, say("a", "$(tasks.quiet.results.NONE)", &json!({}))]), "\"NONE\" is no result of task \"quiet\""),
        (json!([quiet, quiet]), "task \"quiet\" is there twice"),
        (json!([quiet, say("a", "$(tasks.quiet.status)", &json!({}))]), "$(tasks.quiet.status) is for finally only"),
        (json!([count(json!([]))]), "expected workspace \"files\" to be provided"),
        (json!([count(json!([{"name": "files", "workspace": "none"}]))]), "pipeline workspace \"none\" does not exist"),
        (json!([say("a", "x", &json!({"onError": "continue", "retries": 1}))]), "cannot be set to \"continue\" when Retries"),
        (json!([{"name": "a", "taskRef": {"name": "none"}}]), "Task \"none\" not found"),
        (json!([{"name": "a", "taskRef": {"resolver": "bundles", "params": []}}]), "the runner does not resolve \"bundles\""),
        (json!([git("main")]), "the git resolver's revision \"main\" is no commit"),
        (json!([git(&"0".repeat(40))]), "none.yaml"),
        (
            json!([say("a", "x", &json!({"matrix": {"params": [{"name": "WHAT", "value": ["x"]}]}}))]),
            "\"WHAT\" is in params and in the matrix",
        ),
        (json!([say("a", "x", &json!({"conditions": []}))]), "unknown field `conditions`"),
    ];
    for (tasks, reason) in cases {
        let refused = cluster.run_pipeline(&embedded(json!({"tasks": tasks}))).expect_err(reason).to_string();
        assert!(refused.contains(reason), "{refused}");
    }
    let refused = cluster.run_pipeline(&embedded(json!({"params": [{"name": "P"}], "tasks": [quiet]}))).unwrap_err().to_string();
    assert!(refused.contains("missing values for these params which have no default values: P"), "{refused}");
    let unknown = cluster.run_pipeline(&embedded(json!({"tasks": [say("a", "$(params.NONE)", &json!({}))]}))).unwrap_err().to_string();
    assert_eq!(unknown, "task a: non-existent variable $(params.NONE) in \"\\\"$(params.NONE)\\\"\"");
}
