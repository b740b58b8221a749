use super::*;

fn append(text: &str, list: &str, entry: &Value) -> Result<String, RolloutError> {
    Ok(Editable::new(Path::new("k.yaml"), text.to_owned())?.append(list, entry)?.into_text())
}

fn set(text: &str) -> Result<String, RolloutError> {
    let file = Editable::new(Path::new("m.yaml"), text.to_owned())?;
    let at = file.documents().iter().position(|document| document["kind"] == "InferenceService").unwrap();
    let keys = |keys: [&str; 4]| keys.map(str::to_owned).to_vec();
    let annotation = vec!["metadata".to_owned(), "annotations".to_owned(), "io.modelcar/image".to_owned()];
    let values =
        [(annotation, Value::from("a/b:v2")), (keys(["spec", "predictor", "model", "storageUri"]), Value::from("oci://a/b@sha256:2"))];
    Ok(file.set(at, &values)?.into_text())
}

/// The lines taken out and put in; a lost or gained final newline is not counted.
fn changes(before: &str, after: &str) -> String {
    let ended = |text: &str| text.strip_suffix('\n').unwrap_or(text).to_owned() + "\n";
    let (before, after) = (ended(before), ended(after));
    diff::lines(&before, &after)
        .lines()
        .filter(|line| line.starts_with(['-', '+']))
        .map(|line| format!("{line}\n"))
        .collect::<Vec<_>>()
        .concat()
}

#[test]
fn a_member_goes_with_the_mappings_that_it_alone_filled() {
    let document = serde_json::json!({"a": {"b": {"c": {"d": 1}}, "e": 2}});
    assert_eq!(removal(&document, &["a", "b", "c", "d"]), Edit::Remove(path(&["a", "b"])));
    assert_eq!(removal(&document, &["a", "e"]), Edit::Remove(path(&["a", "e"])));
    assert_eq!(removal(&document, &["x"]), Edit::Remove(path(&["x"])));
}

#[test]
fn appends_a_patch_and_touches_no_other_line() {
    let entry = serde_json::json!({"path": "m/i.yaml", "target": {"kind": "X"}});
    let cases = [
        ("resources:\n  - a\n", "+patches:\n+  - path: m/i.yaml\n+    target:\n+      kind: X\n"),
        (
            "# top\nresources: # why\n  - a # one\n\n# on patches\npatches:\n  # first\n  - path: x # x\n\n# the end\n",
            "+  - path: m/i.yaml\n+    target:\n+      kind: X\n",
        ),
        ("patches:\n  - path: x\n\n# res\nresources:\n  - a\n", "+  - path: m/i.yaml\n+    target:\n+      kind: X\n"),
        ("patches:\n- path: x\nresources:\n- a\n", "+- path: m/i.yaml\n+  target:\n+    kind: X\n"),
        ("patches: [{path: x}] # c\n", "-patches: [{path: x}] # c\n+patches: [{path: x}, {path: m/i.yaml, target: {kind: X}}] # c\n"),
        ("patches: [\n  {path: x},\n]\n", "-  {path: x},\n+  {path: x}, {path: m/i.yaml, target: {kind: X}},\n"),
        ("patches: []\n", "-patches: []\n+patches: [{path: m/i.yaml, target: {kind: X}}]\n"),
        ("{resources: [a]}\n", "-{resources: [a]}\n+{resources: [a], patches: [{path: m/i.yaml, target: {kind: X}}]}\n"),
        ("resources:\npatches:\n", "+  - path: m/i.yaml\n+    target:\n+      kind: X\n"),
        ("---\nresources:\n  - a\n...\n", "+patches:\n+  - path: m/i.yaml\n+    target:\n+      kind: X\n"),
        ("patches:\n  - target: {kind: X}\n    patch: |\n      - op: add\n\n", "+  - path: m/i.yaml\n+    target:\n+      kind: X\n"),
        ("resources:\n  - a\t# tab\n# \u{1F600} end", "+patches:\n+  - path: m/i.yaml\n+    target:\n+      kind: X\n"),
        ("patches:\n  - path: x", "+  - path: m/i.yaml\n+    target:\n+      kind: X\n"),
        ("x: &a [1]\ny: *a\nresources: ['a', \"b\"]\n", "+patches:\n+- path: m/i.yaml\n+  target:\n+    kind: X\n"),
    ];
    for (before, expected) in cases {
        let after = append(before, "patches", &entry).unwrap();
        assert_eq!(changes(before, &after), expected, "{before}");
        assert_eq!(before.ends_with('\n'), after.ends_with('\n'), "{before}");
    }
}

#[test]
fn appends_a_resource_in_the_style_of_the_list() {
    for (before, expected) in [
        ("resources:\n  - a # c\n# end\n", "+  - base/i.yaml\n"),
        ("resources:\n- a\npatches: []\n", "+- base/i.yaml\n"),
        ("resources: [a]\n", "-resources: [a]\n+resources: [a, base/i.yaml]\n"),
        ("resources: []\n", "-resources: []\n+resources: [base/i.yaml]\n"),
    ] {
        assert_eq!(changes(before, &append(before, "resources", &"base/i.yaml".into()).unwrap()), expected, "{before}");
    }
}

const HEAD: &str = "kind: InferenceService\nmetadata:\n  name: i\n";
const ADDED: &str = "+  annotations:\n+    io.modelcar/image: a/b:v2\n";

#[test]
fn sets_image_and_annotation_and_touches_no_other_line() {
    let uri = "+      storageUri: oci://a/b@sha256:2";
    let cases = [
        (
            "spec:\n  predictor:\n    model:\n      storageUri: oci://old # audited\n      env: [{name: A, value: b}]\n",
            format!("{ADDED}-      storageUri: oci://old # audited\n{uri} # audited\n"),
        ),
        (
            "  annotations:\n    io.modelcar/image: 'a:v1' # k\n    other: \"x\"\nspec:\n  predictor:\n    model:\n      storageUri: \"oci://old\"\n",
            "-    io.modelcar/image: 'a:v1' # k\n+    io.modelcar/image: 'a/b:v2' # k\n\
             -      storageUri: \"oci://old\"\n+      storageUri: \"oci://a/b@sha256:2\"\n"
                .to_owned(),
        ),
        (
            "spec: {predictor: {minReplicas: 1}} # c\n",
            format!(
                "-spec: {{predictor: {{minReplicas: 1}}}} # c\n{ADDED}\
                 +spec: {{predictor: {{minReplicas: 1, model: {{storageUri: oci://a/b@sha256:2}}}}}} # c\n"
            ),
        ),
        (
            "spec:\n  predictor:\n    model:\n      storageUri: >-\n        oci://old\n      runtime: x\n",
            format!("{ADDED}-      storageUri: >-\n-        oci://old\n{uri}\n"),
        ),
        ("", format!("{ADDED}+spec:\n+  predictor:\n+    model:\n{uri}\n")),
        (
            "  annotations: ~\nspec:\n  predictor:\n    model: {}\n",
            format!("-  annotations: ~\n{ADDED}-    model: {{}}\n+    model: {{storageUri: oci://a/b@sha256:2}}\n"),
        ),
        ("  annotations:\nspec:\n  predictor:\n    model:\n", format!("+    io.modelcar/image: a/b:v2\n{uri}\n")),
        (
            "spec:\n  predictor:\n    model:\n      args: &a [x]\n      env: *a\n      storageUri: oci://old\n",
            format!("{ADDED}-      storageUri: oci://old\n{uri}\n"),
        ),
    ];
    for (rest, expected) in cases {
        for end in ["", "\n"] {
            let before = format!("{}{end}", format!("{HEAD}{rest}").trim_end());
            let after = set(&before).unwrap();
            assert_eq!(changes(&before, &after), expected, "{before}");
        }
    }
}

#[test]
fn edits_one_document_of_a_stream() {
    let rest = "spec:\n  predictor:\n    model:\n      storageUri: oci://old\n";
    for (front, back) in
        [("# first\nkind: A\n---\n# second\n", "---\nkind: B\n"), ("---\n", "...\n---\nkind: B # b\n"), ("%YAML 1.2\n---\n", "")]
    {
        let before = format!("{front}{HEAD}{rest}{back}");
        let after = set(&before).unwrap();
        assert_eq!(changes(&before, &after), format!("{ADDED}-      storageUri: oci://old\n+      storageUri: oci://a/b@sha256:2\n"));
    }
}

#[test]
fn keeps_crlf_line_endings_everywhere() {
    let entry = serde_json::json!({"path": "m", "target": {"kind": "X"}});
    for text in ["resources:\n  - a # c\npatches:\n  - path: x\n", "resources:\n  - a\n"] {
        let after = append(&text.replace('\n', "\r\n"), "patches", &entry).unwrap();
        assert_eq!(after.matches('\n').count(), after.matches("\r\n").count(), "{after:?}");
    }
    let text = format!("{HEAD}spec:\n  predictor:\n    model:\n      storageUri: oci://old # c\n      runtime: x\n").replace('\n', "\r\n");
    let after = set(&text).unwrap();
    assert_eq!(after.matches('\n').count(), after.matches("\r\n").count(), "{after:?}");
}

#[test]
fn changes_nothing_where_all_is_said() {
    let said = format!(
        "{HEAD}  annotations: {{io.modelcar/image: \"a/b:v2\"}}\nspec: {{predictor: {{model: {{storageUri: 'oci://a/b@sha256:2'}}}}}}"
    );
    assert_eq!(set(&said).unwrap(), said);
}

#[test]
fn stops_where_an_edit_would_reach_further_than_meant() {
    let model = "spec:\n  predictor:\n    model:\n";
    for text in [
        format!("{HEAD}{model}      storageUri: &u oci://old\n      other: *u\n"),
        format!("{HEAD}  annotations: &a {{x: y}}\n  labels: *a\n{model}      storageUri: oci://old\n"),
        format!("x: &m\n  storageUri: oci://old\n{HEAD}spec:\n  predictor:\n    model: *m\n"),
        format!("{HEAD}spec: none\n"),
        format!("{HEAD}spec: [predictor]\n"),
    ] {
        let error = set(&text).unwrap_err();
        assert!(matches!(error, RolloutError::NotProven { .. } | RolloutError::Shape { .. }), "{error:?}");
    }
    for text in ["x: &a\n  - path: x\npatches: *a\n", "patches: &a\n  - path: x\ny: *a\n"] {
        let error = append(text, "patches", &"x".into()).unwrap_err();
        assert!(matches!(error, RolloutError::NotProven { .. } | RolloutError::Shape { .. }), "{error:?}");
    }
}

#[test]
fn refuses_templates_duplicates_and_bombs() {
    let bomb = (1..40).fold("a0: &a0 [x]\n".to_owned(), |text, n| format!("{text}a{n}: &a{n} [*a{m}, *a{m}]\n", m = n - 1));
    let deep = "[".repeat(100_000);
    for text in ["a: {{ .Values.x }}\n", "a: 1\na: 2\n", "a: [\n", "a: \u{0}\n", &bomb, &deep] {
        assert!(append(text, "patches", &"x".into()).is_err(), "{}", &text[..text.len().min(40)]);
    }
}

proptest::proptest! {
    /// Whatever is in the file, an edit that succeeds keeps every line that it did not mean to change.
    #[test]
    fn loses_no_line_of_any_list(names in proptest::collection::vec("[a-z]{1,8}( # [a-z ]{0,8})?", 1..6), crlf: bool) {
        let end = if crlf { "\r\n" } else { "\n" };
        let list = names.iter().map(|name| format!("  - {name}{end}")).collect::<Vec<_>>().concat();
        let before = format!("resources:{end}{list}# end{end}");
        let after = append(&before, "resources", &"base/i.yaml".into()).unwrap();
        proptest::prop_assert_eq!(after, format!("resources:{end}{list}  - base/i.yaml{end}# end{end}"));
    }
}

#[test]
fn a_list_takes_the_place_of_the_one_that_is_there() {
    let keys = ["spec", "args"].map(str::to_owned).to_vec();
    for (text, expected) in [
        ("# head\nspec:\n  args:\n    - --model=/mnt/models/a.gguf # old\n  uri: x # stays\n", "  uri: x # stays"),
        ("spec:\n  uri: x\n", "  uri: x"),
        ("spec:\n  args: [--a, --b]\n  uri: x\n", "  uri: x"),
    ] {
        let wanted = serde_json::json!(["--max-model-len=8", "--model=/mnt/models/b.gguf"]);
        let file = Editable::new(Path::new("m.yaml"), text.to_owned()).unwrap();
        let after = file.set(0, &[(keys.clone(), wanted.clone())]).unwrap();
        assert_eq!(after.documents()[0]["spec"]["args"], wanted);
        assert!(after.into_text().contains(expected), "{text}");
    }
}
