use super::super::{Severity, Target, lint, rules};
use crate::kserve::{Delivery, Runtime};
use crate::model::{Dimension, Facts, Finding, Model, ModelFile, PlacedFile, ServingLayout, TensorInfo};
use Severity::{Advice, Error, Warning};

/// A model in its places, and where it is meant to run.
struct Case {
    model: Model,
    runtime: Runtime,
    target: Target,
}

impl Case {
    /// `path=content`, or a path alone.
    fn of(files: &[&str]) -> Self {
        let file = |text: &&str| match text.split_once('=') {
            Some((path, content)) => ModelFile::generated(path, content),
            None => ModelFile::generated(*text, "w"),
        };
        let (format, facts) = ("onnx", Facts::default());
        let files = files.iter().map(file).collect();
        let model = Model { format, facts, files, mains: vec!["model.onnx".to_owned()], findings: Vec::new(), notes: Vec::new() };
        Self { model, runtime: Runtime::Ovms, target: Target::default() }
    }

    fn on(self, runtime: Runtime) -> Self {
        Self { runtime, ..self }
    }

    fn of_format(mut self, format: &'static str, mains: &[&str]) -> Self {
        self.model.format = format;
        self.model.mains = mains.iter().map(|main| (*main).to_owned()).collect();
        self
    }

    fn with_external_data(mut self) -> Self {
        self.model.findings.push(Finding::at(&rules::EXTERNAL_DATA, "model.onnx", "w.data"));
        self
    }

    fn with_input(mut self, first: Option<Dimension>) -> Self {
        let shape = Some(first.into_iter().chain([Dimension::Fixed(4)]).collect());
        self.model.facts.inputs.push(TensorInfo { name: "x".to_owned(), element_type: "float32".to_owned(), shape });
        self
    }

    fn by(mut self, deliveries: &[Delivery]) -> Self {
        self.target.deliveries = deliveries.to_vec();
        self
    }

    fn in_kserve(mut self, generation: &str) -> Self {
        self.target.generation = Some(generation.parse().unwrap());
        self
    }

    fn called(mut self, name: &str) -> Self {
        self.target.names = vec![name.parse().unwrap()];
        self
    }

    fn sized(mut self, size: u64) -> Self {
        self.model.files[0].size = size;
        self
    }

    fn found(&self) -> Vec<Finding> {
        let files = self.model.files.iter().map(|file| PlacedFile { target: file.path.clone(), file: file.clone() }).collect();
        let layout = ServingLayout { runtime: self.runtime, why: String::new(), files, args: Vec::new(), notes: Vec::new() };
        lint(&self.model, &layout, &self.target).unwrap()
    }

    /// Id and weight of all that was found.
    fn told(&self) -> Vec<(&'static str, Severity)> {
        self.found().iter().map(|finding| (finding.rule.id, finding.severity)).collect()
    }
}

#[track_caller]
fn check(table: impl IntoIterator<Item = (Case, Option<(&'static str, Severity)>)>) {
    for (number, (case, expected)) in table.into_iter().enumerate() {
        assert_eq!(case.told(), expected.into_iter().collect::<Vec<_>>(), "row {number}: {:?}", case.found());
    }
}

const POINTER: &str = "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n";

#[test]
fn files_that_are_not_what_a_server_needs() {
    check([
        (Case::of(&["a.safetensors="]), Some(("empty-file", Error))),
        (Case::of(&["model.onnx="]), Some(("empty-file", Error))),
        (Case::of(&["notes.txt="]), Some(("empty-file", Advice))),
        (Case::of(&["m.bin=", "m.xml"]).of_format("openvino", &["m.xml"]), None),
        (Case::of(&["m.bin=", "n.xml"]).of_format("openvino", &["n.xml"]), Some(("empty-file", Error))),
        (Case::of(&["a/__init__.py=", "b/.keep=", "a.safetensors"]), None),
        (Case::of(&[&format!("w.bin={POINTER}")]), Some(("lfs-pointer", Error))),
        (Case::of(&[&format!("README={}{POINTER}", "see ")]), None),
        (Case::of(&["a.xyz"]).of_format("unknown", &[]).on(Runtime::Raw), Some(("unknown-format", Advice))),
        (Case::of(&["a.onnx", "b.onnx"]).on(Runtime::Raw), Some(("unserved", Warning))),
        (Case::of(&["1/model.onnx"]), None),
        (Case::of(&["a.onnx"]), None),
    ]);
}

#[test]
fn servers_of_one_file_find_one() {
    let sklearn = |files: &[&str]| Case::of(files).of_format("sklearn", files).on(Runtime::Sklearnserver);
    let xgboost = |files: &[&str], mains: &[&str]| Case::of(files).of_format("xgboost", mains).on(Runtime::Xgbserver).in_kserve("0.21");
    check([
        (sklearn(&["a.joblib", "b.pkl"]), Some(("several-models", Error))),
        (sklearn(&["a.joblib", "sub/b.joblib", "README.md"]), None),
        (sklearn(&["a.joblib", "b.joblib"]).on(Runtime::Raw), Some(("unserved", Warning))),
        (xgboost(&["a.json", "b.ubj"], &["a.json", "b.ubj"]), Some(("several-models", Error))),
        (xgboost(&["a.ubj", "metadata.json"], &["a.ubj"]), None),
    ]);
}

#[test]
fn names_and_sizes_that_do_not_travel() {
    check([
        (Case::of(&["README.md", "readme.md"]), Some(("case-clash", Warning))),
        (Case::of(&["a/README.md", "b/README.md"]), None),
        (Case::of(&["w.bin"]).sized(20_000_000_001), Some(("layer-size", Warning))),
        (Case::of(&["w.bin"]).sized(20_000_000_000), None),
        (Case::of(&["w"]).called("quay.io/o/m:latest"), Some(("latest-tag", Warning))),
        (Case::of(&["w"]).called("quay.io/o/m"), Some(("latest-tag", Warning))),
        (Case::of(&["w"]).called("quay.io/o/m:v1"), None),
        (Case::of(&["w"]).called(&format!("quay.io/o/m@{}", crate::oci::Digest::of(b""))), None),
    ]);
}

#[test]
fn configurations_that_fit_another_machine() {
    check([
        (Case::of(&["config.json={\"vocab\": \"/home/ann/v.txt\"}"]), Some(("absolute-path", Warning))),
        (Case::of(&["graph.pbtxt=models_path: '/models/llm'"]), Some(("absolute-path", Warning))),
        (Case::of(&["config.properties=model_store=/mnt/models/model-store"]), None),
        (Case::of(&["notes.md=\"/home/ann/v.txt\""]), None),
        (Case::of(&["tokenizer.json=[\"/home/ann\"]"]), None),
        (Case::of(&["model.json=[\"/tmp/x\"]"]).of_format("lightgbm", &["model.json"]), None),
        (Case::of(&["config.json={\"CACHE_DIR\": \"/mnt/models/c\"}"]), Some(("writes-to-own-folder", Warning))),
        (Case::of(&["ngc/hub/blobs/1"]), Some(("writes-to-own-folder", Warning))),
        (Case::of(&["config.json={\"CACHE_DIR\": \"relative\"}", "hub/ngc"]), None),
    ]);
}

#[test]
fn code_and_secrets_that_come_along() {
    let pem = "key=-----BEGIN EC PRIVATE KEY-----\nAA\n-----END EC PRIVATE KEY-----\n";
    check([
        (Case::of(&["config.json={\"auto_map\": {}}", "modeling.py"]), Some(("remote-code", Warning))),
        (Case::of(&["config.json={}", "modeling.py"]), None),
        (Case::of(&["m/1/model.py"]).on(Runtime::Triton), Some(("remote-code", Warning))),
        (Case::of(&["m/1/model.py"]), None),
        (Case::of(&["m/1/sub/model.py"]).on(Runtime::Triton), None),
        (Case::of(&[pem]), Some(("secret-file", Error))),
        (Case::of(&["server.key"]), Some(("secret-file", Warning))),
        (Case::of(&["cert.pem=-----BEGIN CERTIFICATE-----\n", "README=a PRIVATE KEY-----"]), None),
    ]);
    let found = Case::of(&["config.json={\"auto_map\": {}}", "modeling.py"]).found();
    assert!(found[0].what.ends_with("comes with the model: modeling.py"), "{}", found[0].what);
}

#[test]
fn batches_that_triton_cannot_make() {
    let open = || Some(Dimension::Named("batch".to_owned()));
    let fixed = || Some(Dimension::Fixed(1));
    let on = |config: &str, first| Case::of(&["m/1/model.onnx", config]).with_input(first).on(Runtime::Triton);
    let rule = "triton-dynamic-batch";
    check([
        (on("m/config.pbtxt=max_batch_size: 8", fixed()), Some((rule, Warning))),
        (on("m/config.pbtxt=max_batch_size: 8", open()), None),
        (on("m/config.pbtxt=max_batch_size: 0", fixed()), None),
        (on("m/config.pbtxt=max_batch_size: 0", open()), Some((rule, Advice))),
        (on("README", open()), Some((rule, Advice))),
        (on("README", fixed()), None),
        (on("m/config.pbtxt=max_batch_size: 8", fixed()).on(Runtime::Ovms), None),
        (Case::of(&["m/1/model.onnx"]).on(Runtime::Triton), None),
    ]);
}

#[test]
fn external_data_by_server_delivery_and_platform() {
    use Delivery::{Fetch, Modelcar, Native};
    let onnx = |runtime| Case::of(&["model.onnx", "w.data"]).with_external_data().on(runtime);
    let (trap, maybe) = (Some(("realpath-trap", Error)), Some(("external-data", Warning)));
    check([
        (onnx(Runtime::Ovms), maybe),
        (onnx(Runtime::Ovms).in_kserve("rhoai-3.3"), trap),
        (onnx(Runtime::Ovms).in_kserve("rhoai-2.25").by(&[Modelcar]), trap),
        (onnx(Runtime::Ovms).in_kserve("rhoai-3.4"), None),
        (onnx(Runtime::Ovms).in_kserve("rhoai-3.5").by(&[Modelcar]), None),
        (onnx(Runtime::Ovms).in_kserve("0.20"), maybe),
        (onnx(Runtime::Ovms).in_kserve("0.20").by(&[Native]), None),
        (onnx(Runtime::Ovms).by(&[Native, Fetch]), None),
        (onnx(Runtime::Mlserver).in_kserve("rhoai-3.4"), None),
        (onnx(Runtime::Mlserver).in_kserve("0.21").by(&[Modelcar]), Some(("external-data", Error))),
        (onnx(Runtime::Triton), maybe),
        (Case::of(&["model.onnx"]).on(Runtime::Ovms).in_kserve("rhoai-3.3"), None),
    ]);
}

#[test]
fn xgboost_by_server_delivery_and_platform() {
    use Delivery::{Modelcar, Native};
    let xgboost = |runtime| Case::of(&["model.ubj"]).of_format("xgboost", &["model.ubj"]).on(runtime);
    let (trap, maybe) = (Some(("realpath-trap", Error)), Some(("realpath-trap", Warning)));
    check([
        (xgboost(Runtime::Mlserver), maybe),
        (xgboost(Runtime::Mlserver).by(&[Modelcar]), maybe),
        (xgboost(Runtime::Mlserver).in_kserve("0.17"), trap),
        (xgboost(Runtime::Mlserver).in_kserve("0.20"), maybe),
        (xgboost(Runtime::Mlserver).in_kserve("0.20").by(&[Modelcar]), trap),
        (xgboost(Runtime::Mlserver).in_kserve("0.20").by(&[Native]), None),
        (xgboost(Runtime::Mlserver).in_kserve("rhoai-3.4"), None),
        (xgboost(Runtime::Xgbserver), maybe),
        (xgboost(Runtime::Xgbserver).in_kserve("0.15"), trap),
        (xgboost(Runtime::Xgbserver).in_kserve("0.17"), None),
    ]);
    let said = |case: Case| case.found()[0].what.clone();
    assert_eq!(
        said(xgboost(Runtime::Mlserver).in_kserve("0.21")),
        "through the modelcar link MLServer does not open it; deliver with native or fetch"
    );
    assert_eq!(
        said(xgboost(Runtime::Xgbserver).in_kserve("0.15")),
        "through the modelcar link xgbserver before KServe 0.16 does not open it; KServe 0.15 has no other delivery"
    );
}

#[test]
fn what_a_format_saw_is_told_too() {
    let mut case = Case::of(&["model.onnx"]);
    case.model.findings.push(Finding::at(&rules::PICKLE, "m.pkl", "imports os"));
    check([(case, Some(("pickle", Error)))]);
}

#[test]
fn a_file_that_changed_is_no_silence() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("config.json"), "{}").unwrap();
    let model = crate::model::read(dir.path(), &crate::model::ReadOptions::default()).unwrap();
    let layout = crate::model::lay_out(&model, None, "m").unwrap();
    std::fs::write(dir.path().join("config.json"), "{\"a\": 1}").unwrap();
    let error = lint(&model, &layout, &Target::default()).unwrap_err();
    assert_eq!(error.to_string(), "cannot read config.json");
}

#[test]
fn what_only_xgbserver_counts_is_told_for_its_folder_or_nobodys() {
    for (runtime, told) in [(Runtime::Xgbserver, true), (Runtime::Raw, true), (Runtime::Mlserver, false), (Runtime::Triton, false)] {
        let mut case = Case::of(&["model.ubj", "config.json"]).of_format("xgboost", &["model.ubj"]).on(runtime);
        case.model.findings.push(Finding::at(&rules::STRAY_JSON, "config.json", "it lies beside"));
        assert_eq!(case.told().iter().any(|(id, _)| *id == "stray-json"), told, "{runtime}");
    }
}
