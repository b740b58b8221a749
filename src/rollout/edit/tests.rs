use super::*;

fn entry() -> Value {
    serde_json::json!({"path": "models/iris.yaml", "target": {"kind": "InferenceService", "name": "iris"}})
}
#[test]
fn probe() {
    let kustomizations = [
        ("plain", "resources:\n  - a.yaml\n"),
        ("comments", "# top\nresources: # why\n  - a.yaml # one\n\n# about patches\npatches:\n  # first\n  - path: x.yaml # x\n\n# the end\n"),
        ("middle", "patches:\n  - path: x.yaml\n\n# res\nresources:\n  - a.yaml\n"),
        ("indentless", "patches:\n- path: x.yaml\nresources:\n- a.yaml\n"),
        ("flow", "resources: [a.yaml]\npatches: [{path: x.yaml}]\n"),
        ("flow multi", "resources: [\n  a.yaml, # c\n  b.yaml,\n]\npatches: [\n  {path: x.yaml},\n]\n"),
        ("empty", "resources: []\npatches: []\n"),
        ("null", "resources:\npatches:\n"),
        ("crlf", "resources:\r\n  - a.yaml # c\r\npatches:\r\n  - path: x.yaml\r\n"),
        ("crlf missing", "resources:\r\n  - a.yaml # c\r\n"),
        ("nonl", "resources:\n  - a.yaml"),
        ("nonl2", "patches:\n  - path: x.yaml"),
        ("marker", "---\nresources:\n  - a.yaml\n...\n"),
        ("literal", "patches:\n  - patch: |-\n      - op: add\n        path: /x\n        value: y\n    target: {kind: X}\n"),
        ("literal end", "patches:\n  - target: {kind: X}\n    patch: |\n      - op: add\n        path: /x\n\n"),
        ("anchor", "x: &a\n  - path: x.yaml\npatches: *a\n"),
        ("anchored", "patches: &a\n  - path: x.yaml\ny: *a\n"),
        ("bom", "\u{feff}resources:\n  - a.yaml\n"),
        ("tab comment", "resources:\n  - a.yaml\t# tab\n# \u{1F600} end"),
        ("doc flow", "{resources: [a.yaml]}\n"),
        ("dup", "patches:\n  - path: a\npatches:\n  - path: b\n"),
    ];
    for (name, text) in kustomizations {
        for list in ["patches", "resources"] {
            let e = if list == "patches" { entry() } else { Value::from("base/iris.yaml") };
            let r = Editable::new(Path::new("k.yaml"), text.to_owned()).and_then(|f| f.append(list, &e));
            match r {
                Ok(f) => eprintln!("== {name} {list}\n{}", diff::lines(text, &f.into_text()).replace('\r', "<CR>")),
                Err(error) => eprintln!("== {name} {list} ERR {error} {:?}", std::error::Error::source(&error).map(ToString::to_string)),
            }
        }
    }
    let new = "oci://quay.io/a/b@sha256:new".to_owned();
    let k = |k: &[&str]| k.iter().map(|k| (*k).to_owned()).collect::<Vec<_>>();
    let head = "kind: InferenceService\nmetadata:\n  name: iris\n";
    let models = [
        ("plain", format!("{head}spec:\n  predictor:\n    model:\n      storageUri: oci://old # audited\n      env: [{{name: A, value: b}}]\n")),
        ("dq", format!("{head}  annotations:\n    io.modelcar/image: 'a:v1' # k\n    other: \"x\"\nspec:\n  predictor:\n    model:\n      storageUri: \"oci://old\" # audited\n")),
        ("sq", format!("{head}spec:\n  predictor:\n    model:\n      storageUri: 'oci://old'")),
        ("flow", format!("{head}spec: {{predictor: {{model: {{storageUri: oci://old}}}}}}\n")),
        ("flow2", format!("{head}spec: {{predictor: {{minReplicas: 1}}}} # c\n")),
        ("folded", format!("{head}spec:\n  predictor:\n    model:\n      storageUri: >-\n        oci://old\n      runtime: x\n")),
        ("crlf", format!("{head}  annotations:\n    a: b\nspec:\n  predictor:\n    model:\n      storageUri: oci://old # c\n      runtime: x\n").replace('\n', "\r\n")),
        ("crlf noann", format!("{head}spec:\n  predictor:\n    minReplicas: 1\n").replace('\n', "\r\n")),
        ("nospec", head.to_owned()),
        ("nospec nonl", head.trim_end().to_owned()),
        ("multi", format!("# first\nkind: ConfigMap\n---\n# second\n{head}spec:\n  predictor:\n    model:\n      storageUri: oci://old # c\n---\nkind: X\n")),
        ("alias", format!("x: &m\n  storageUri: oci://old\n{head}spec:\n  predictor:\n    model: *m\n")),
        ("anchor uri", format!("{head}spec:\n  predictor:\n    model:\n      storageUri: &u oci://old\n      x: *u\n")),
        ("merge", format!("x: &m\n  storageUri: oci://old\n{head}spec:\n  predictor:\n    model:\n      <<: *m\n      runtime: x\n")),
        ("null ann", format!("{head}  annotations:\nspec:\n  predictor: {{}}\n")),
        ("tilde", format!("{head}  annotations: ~\nspec:\n  predictor:\n    model: {{}}\n")),
    ];
    for (name, text) in models {
        let path = Path::new("m.yaml");
        let f = match Editable::new(path, text.clone()) { Ok(f) => f, Err(e) => { eprintln!("== {name} ERR {e} {:?}", std::error::Error::source(&e).map(ToString::to_string)); continue } };
        let at = f.documents().iter().position(|d| d["kind"] == "InferenceService").unwrap();
        let r = f.set(at, &[(k(&["metadata","annotations","io.modelcar/image"]), "quay.io/a/b:v2".to_owned()), (k(&["metadata","annotations","io.modelcar/format"]), "onnx".to_owned()), (k(&["spec","predictor","model","storageUri"]), new.clone())]);
        match r {
            Ok(f) => eprintln!("== {name}\n{}", diff::lines(&text, &f.into_text()).replace('\r', "<CR>")),
            Err(error) => eprintln!("== {name} ERR {error} {:?}", std::error::Error::source(&error).map(ToString::to_string)),
        }
    }
}
