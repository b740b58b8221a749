//! Everything below `tekton/` keeps the rules of `tests/tekton/lint`, and each rule finds what breaks it.

use crate::tekton::catalog::folder;
use crate::tekton::lint::catalogue::Catalogue;
use crate::tekton::lint::{RULES, lint};

/// A small catalogue that keeps every rule; the twins break it in one place each.
const SOUND: &str = include_str!("../tekton/lint/sound.yaml");

#[test]
fn the_whole_catalogue_keeps_every_rule() {
    let found = lint(&Catalogue::read(&folder()));
    assert!(found.is_empty(), "{} findings:\n{}", found.len(), found.join("\n"));
}

#[test]
fn a_sound_catalogue_has_no_findings() {
    assert_eq!(lint(&Catalogue::of(SOUND)), Vec::<String>::new());
}

/// A rule, what is replaced in the sound catalogue, by what, and a part of what is said of it.
type Twin = (&'static str, &'static str, &'static str, &'static str);

const TWINS: &[Twin] = &[
    ("param-used", "        - --runtime=$(params.RUNTIME)\n", "", "nothing uses the param RUNTIME"),
    ("param-declared", "--runtime=$(params.RUNTIME)", "--runtime=$(params.RUNTIME)$(params.NAME)", "$(params.NAME) is not declared"),
    ("param-declared", "{name: MODEL, value: $(params.PATH)}", "{name: MODEL, value: $(params.PFAD)$(params.PATH)}", "$(params.PFAD)"),
    (
        "param-type",
        "- --runtime=$(params.RUNTIME)\n",
        "- --runtime=$(params.RUNTIME)\n        - --model-name=$(params.ARGS[*])\n",
        "ARGS is of type array",
    ),
    ("param-type", "      default: []\n", "      default: none\n", "the default of ARGS"),
    (
        "param-given",
        "        - {name: MODEL, value: $(params.PATH)}\n      workspaces",
        "        - {name: RUNTIME, value: $(params.PATH)}\n      workspaces",
        "it does not get the param MODEL",
    ),
    (
        "param-given",
        "        - {name: MODEL, value: $(params.PATH)}\n",
        "        - {name: MODEL, value: $(params.PATH)}\n        - {name: MODELS, value: x}\n",
        "it gets MODELS, which is no param",
    ),
    ("param-given", "{name: MODEL, value: $(params.PATH)}", "{name: MODEL, value: [$(params.PATH)]}", "MODEL is given as array"),
    ("param-given", "    - {name: PATH, value: model}\n", "", "run: it does not get the param PATH"),
    (
        "names-unique",
        "    - {name: models, description: The models.}\n",
        "    - {name: models, description: The models.}\n    - {name: models, description: Again.}\n",
        ".workspaces has models twice",
    ),
    (
        "names-style",
        "{name: FOUND, type: array, description: What was packed.}",
        "{name: FOUND, type: array, description: What was packed.}\n        workspaces:\n          - {name: A_b, optional: true, readOnly: true, description: /workspace/A_b/x}",
        "workspaces: A_b",
    ),
    ("described", "  description: Packs, then looks.\n", "", "it is not described"),
    ("described", "{name: models, description: The models.}", "{name: models}", "models is not described"),
    ("result-written", "        - --tekton-results=/tekton/results\n", "", "no step writes the result IMAGE_REF"),
    (
        "result-written",
        "    - {name: FINDINGS, type: string, description: How many.}\n",
        "    - {name: FINDINGS, type: string, description: How many.}\n    - {name: MODEL_FORMAT, type: string, description: Its format.}\n",
        "no step writes the result MODEL_FORMAT",
    ),
    (
        "result-declared",
        "--tekton-result=FINDINGS=$(step.results.FINDINGS.path)",
        "--tekton-result=FINDINGS=$(step.results.FINDINGS.path), --tekton-result=COMMIT=/x",
        "lint does not write COMMIT",
    ),
    (
        "result-declared",
        "--tekton-result=FINDINGS=$(step.results.FINDINGS.path)",
        "--tekton-result=FINDINGS=$(step.results.FINDINGS.path), --tekton-result=MODEL_FORMAT=/x",
        "MODEL_FORMAT is written to /x",
    ),
    (
        "result-declared",
        "value: $(steps.look.results.FINDINGS)",
        "value: $(steps.look.results.FOUND)",
        "steps.look.results.FOUND is no declared result",
    ),
    ("result-file", "@/tekton/results/IMAGE_REF", "@/tekton/results/IMAGE", "@/tekton/results/IMAGE is no declared result"),
    (
        "result-type",
        "{name: FINDINGS, type: string, description: How many.}",
        "{name: FINDINGS, type: array, description: How many.}",
        "FINDINGS is declared as array",
    ),
    (
        "result-budget",
        "    - {name: IMAGE_REF, type: string, description: The image.}\n    - name",
        "    - {name: IMAGE_REF, type: string, description: The image.}\n    - {name: IMAGES, type: string, description: The images.}\n    - {name: SBOM_BLOB_URL, type: string, description: The SBOM.}\n    - {name: SITES, type: string, description: Sites., value: x}\n    - name",
        "Tekton carries 4096",
    ),
    (
        "result-budget",
        "- {name: FINDINGS, type: string, description: How many., value",
        "- {name: REPORT, type: string, description: How many., value",
        "nobody knows how long REPORT may be",
    ),
    (
        "result-consumed",
        "value: $(tasks.pack.results.IMAGE_REF)}\n  tasks",
        "value: $(tasks.pack.results.IMAGE)}\n  tasks",
        "the task pack has no result IMAGE",
    ),
    ("result-consumed", "\"$(tasks.pack-all.results.IMAGE_REF[*])\"", "[$(tasks.pack-all.results.IMAGE_REF)]", "pack-all runs many times"),
    (
        "result-consumed",
        "value: $(tasks.pack.results.IMAGE_REF)}\n  tasks",
        "value: $(tasks.park.results.IMAGE_REF)}\n  tasks",
        "there is no task park",
    ),
    ("finally-result", "values: [Succeeded]", "values: [Succeeded, Failed]", "task after: IMAGE_REF of pack may be missing"),
    (
        "when-status",
        "values: [Succeeded]",
        "values: [Succeeded]}\n        - {input: $(tasks.inline.status), operator: in, values: [Completed]",
        "is never \"Completed\"",
    ),
    (
        "when-status",
        "values: [Succeeded]",
        "values: [Succeeded]}\n        - {input: $(tasks.in-line.status), operator: in, values: [None]",
        "there is no task in-line",
    ),
    (
        "workspace-used",
        "    - {name: models, description: The models.}\n",
        "    - {name: models, description: The models.}\n    - {name: more, description: More., optional: true}\n",
        "nothing uses the workspace more",
    ),
    ("workspace-used", "      workingDir: $(workspaces.source.path)\n", "", "nothing uses the workspace source"),
    (
        "workspace-declared",
        "workingDir: $(workspaces.source.path)",
        "workingDir: $(workspaces.source.path)$(workspaces.sauce.path)",
        "sauce is not declared",
    ),
    (
        "workspace-bound",
        "    - {name: models, persistentVolumeClaim: {claimName: models}}\n",
        "    []\n",
        "nothing is bound to the workspace models",
    ),
    (
        "workspace-bound",
        "    - {name: models, description: The models.}\n",
        "    - {name: models, description: The models., optional: true}\n",
        "models may be missing",
    ),
    (
        "workspace-bound",
        "        - {name: source, workspace: models}\n    - name: pack-all",
        "        - {name: source, workspace: models}\n        - {name: saucer, workspace: models}\n    - name: pack-all",
        "it has no workspace saucer",
    ),
    (
        "workspace-one-volume",
        "{name: signing-key, description: The key., optional: true, readOnly: true}",
        "{name: signing-key, description: The key., optional: true, readOnly: true}\n    - {name: out, description: /workspace/out/x, optional: false, readOnly: true}",
        "2 workspaces have to be volumes",
    ),
    (
        "workspace-read-only",
        "{name: signing-key, description: The key., optional: true, readOnly: true}",
        "{name: signing-key, description: The key., optional: true}",
        "signing-key may be written to",
    ),
    ("key-isolated", "      workspaces:\n        - {name: signing-key}\n", "", "the step package sees signing-key"),
    (
        "key-isolated",
        "      workingDir: $(workspaces.source.path)\n",
        "      workingDir: $(workspaces.source.path)\n      workspaces: [{name: signing-key}]\n",
        "the step package sees signing-key",
    ),
    (
        "reference-resolves",
        "      taskRef: {name: pack}\n      matrix",
        "      taskRef: {resolver: cluster, params: [{name: name, value: park}]}\n      matrix",
        "there is no Task park",
    ),
    (
        "reference-pinned",
        "value: r/b@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
        "value: r/b:latest",
        "the bundle is not by digest",
    ),
    (
        "reference-pinned",
        "      taskRef: {name: pack}\n      matrix",
        "      taskRef: {resolver: git, params: [{name: url, value: u}, {name: revision, value: main}, {name: pathInRepo, value: tekton/pack.yaml}]}\n      matrix",
        "the revision is no commit",
    ),
    (
        "reference-pinned",
        "      taskRef: {name: pack}\n      matrix",
        "      taskRef: {resolver: git, params: [{name: revision, value: 0123456789abcdef0123456789abcdef01234567}, {name: pathInRepo, value: tekton/pack.yaml}]}\n      matrix",
        "tekton/pack.yaml is not in the repository",
    ),
    (
        "no-cluster-task",
        "      taskRef: {name: pack}\n      matrix",
        "      taskRef: {name: pack, kind: ClusterTask}\n      matrix",
        "ClusterTasks and bundle: are gone",
    ),
    (
        "step-action",
        "              - {name: MODEL, value: \"$(params.FOUND[0])\"}\n",
        "              - {name: MODELS, value: \"$(params.FOUND[0])\"}\n",
        "it does not get the param MODEL",
    ),
    (
        "step-script",
        "      workingDir: $(workspaces.source.path)\n",
        "      workingDir: $(workspaces.source.path)\n      script: ls\n",
        "it has a script",
    ),
    (
        "step-command",
        "      command: [modelcar]\n      args: [sign",
        "      command: [cosign]\n      args: [sign",
        "its command is not modelcar",
    ),
    (
        "step-interpolation",
        "      workingDir: $(workspaces.source.path)\n",
        "      workingDir: $(workspaces.source.path)\n      script: ls $(params.MODEL)\n",
        "a variable is in a command or a script",
    ),
    ("step-options", "[sign, --omit-empty,", "[sign, --omit-empty, --signing-key=k,", "modelcar sign has no --signing-key"),
    ("step-options", "[sign, --omit-empty,", "[sing, --omit-empty,", "modelcar has no verb sing"),
    ("step-any-value", "        - --omit-empty\n", "", "without --omit-empty"),
    ("step-any-value", "        - --\n        - $(params.MODEL)\n", "        - $(params.MODEL)\n", "$(params.MODEL) may be an option"),
    (
        "step-any-value",
        "        - --\n        - $(params.MODEL)\n",
        "        - --\n        - $(params.MODEL)\n        - $(params.RUNTIME)\n",
        "$(params.RUNTIME) may be empty",
    ),
    (
        "step-image",
        "      image: $(params.MODELCAR_IMAGE)\n      command: [modelcar]\n      args: [sign",
        "      image: quay.io/acme/modelcar:latest\n      command: [modelcar]\n      args: [sign",
        "its image is not a param",
    ),
    (
        "step-image",
        "description: \"The image by digest: r/i@sha256:…\"}\n    - {name: MODEL, type: string, description: The model.}\n    - {name: RUNTIME",
        "description: The image., default: x}\n    - {name: MODEL, type: string, description: The model.}\n    - {name: RUNTIME",
        "its image has a default",
    ),
    ("step-security", "      runAsNonRoot: true\n", "      runAsNonRoot: true\n      runAsUser: 65532\n", "/runAsUser is set"),
    ("step-security", "      readOnlyRootFilesystem: true\n", "", "/readOnlyRootFilesystem is not true"),
    (
        "step-security",
        "      capabilities: {drop: [ALL]}\n",
        "      capabilities: {drop: [ALL], add: [SETFCAP]}\n",
        "/capabilities/add is set",
    ),
    ("step-resources", "      timeout: 1h0m0s\n    - name: sign", "    - name: sign", "it has no timeout"),
    (
        "step-resources",
        "        requests: {cpu: 100m, memory: 64Mi}\n",
        "        requests: {cpu: 100m}\n",
        "computeResources/requests/memory is not set",
    ),
    ("step-home", "      - {name: HOME, value: /home}\n", "      - {name: HOME, value: /root}\n", "HOME is no place to write"),
    ("step-volumes", "      emptyDir: {sizeLimit: 8Mi}\n", "      emptyDir: {}\n", "the volume scratch may grow"),
    (
        "step-volumes",
        "      emptyDir: {sizeLimit: 8Mi}\n",
        "      emptyDir: {sizeLimit: 8Mi}\n    - name: more\n      emptyDir: {sizeLimit: 8Mi}\n",
        "nothing mounts the volume more",
    ),
    (
        "run-pinned",
        "value: r/i@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef}\n    - {name: PATH",
        "value: r/i:v1@sha256:0123}\n    - {name: PATH",
        "TOOL_IMAGE is not by digest",
    ),
    ("run-timeout", "  timeouts: {pipeline: 2h0m0s}\n", "", "timeouts.pipeline is not set"),
    ("run-timeout", "        timeout: 1h0m0s\n", "", "timeout is not set"),
    ("metadata", "    tekton.dev/tags: model\n", "", "tekton.dev/tags is missing"),
    (
        "api-version",
        "apiVersion: tekton.dev/v1\nkind: Pipeline\n",
        "apiVersion: tekton.dev/v1beta1\nkind: Pipeline\n",
        "should be tekton.dev/v1",
    ),
    (
        "plain-yaml",
        "  labels: {app.kubernetes.io/version: \"0.1\"}",
        "  labels: &l {app.kubernetes.io/version: \"0.1\"}",
        "it has an anchor",
    ),
    ("plain-yaml", "  description: Packs and signs.", "  description: Packs\tand signs.", "it has a tab"),
    ("trigger-params", "    - {name: path}\n", "    - {name: path}\n    - {name: other, default: x}\n", "nothing uses the param other"),
    ("trigger-params", "value: $(tt.params.path)", "value: $(tt.params.path)$(tt.params.x)", "$(tt.params.x) is not declared"),
    (
        "trigger-resolves",
        "      interceptors:\n        - ref: {name: cel}\n",
        "      interceptors:\n        - ref: {name: sell}\n",
        "Tekton has no interceptor sell",
    ),
    ("trigger-given", "    - {name: path, value: $(body.path)}\n", "    []\n", "start does not get the param path"),
    ("trigger-sender", "      interceptors:\n        - ref: {name: cel}\n", "", "the trigger push takes any event"),
];

/// What other rules say of a twin too, because one mistake is several.
const ALSO: &[(&str, &str)] = &[
    ("step-interpolation", "step-script"),
    ("workspace-one-volume", "workspace-bound"),
    ("step-command", "key-isolated"),
    ("step-command", "step-options"),
    ("step-options", "key-isolated"),
];

#[test]
fn each_rule_finds_its_broken_twin_and_no_other_rule_does() {
    let wrong: Vec<String> = TWINS.iter().filter_map(misjudged).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// What the rules say of a twin that they should not, or do not say that they should.
fn misjudged((rule, from, to, said): &Twin) -> Option<String> {
    assert!(SOUND.contains(from), "{rule}: the sound catalogue has no {from:?}");
    let found = lint(&Catalogue::of(&SOUND.replacen(from, to, 1)));
    let of = |line: &str, rule: &str| line.starts_with(&format!("{rule}: "));
    let expected = |line: &String| of(line, rule) || ALSO.iter().any(|(first, also)| first == rule && of(line, also));
    let fine = found.iter().any(|line| of(line, rule) && line.contains(said)) && found.iter().all(expected);
    (!fine).then(|| format!("{rule}, {to:?}: expected {said:?}, found {found:#?}"))
}

/// What needs more than one document, or a path, to be wrong.
#[test]
fn what_is_there_twice_or_in_the_wrong_place_is_found() {
    let found = lint(&Catalogue::of(&format!("{SOUND}{}", SOUND.split("---\n").nth(1).map(|task| format!("---\n{task}")).unwrap())));
    assert_eq!(found, ["once: catalogue.yaml Task/pack: it is there 2 times"; 2]);
    let mut catalogue = Catalogue::of(SOUND);
    catalogue.documents[0].path = "tasks/pack/0.2/pack.yaml".into();
    assert_eq!(lint(&catalogue), ["place: tasks/pack/0.2/pack.yaml Task/pack: it should be tasks/pack/0.1/pack.yaml"]);
}

#[test]
fn every_rule_has_a_twin() {
    for (rule, _) in RULES {
        assert!(TWINS.iter().any(|(of, ..)| of == rule) || ["once", "place"].contains(rule), "{rule}");
    }
}
