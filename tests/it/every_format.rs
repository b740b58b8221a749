//! Every format, for every server that can be had here: the model that the image holds gives the answer that the source gives.
//!
//! A sample is made, built, judged by `check` for the three deliveries, unpacked by skopeo and umoci, found below `/models` by the
//! server's own rules, and loaded by the library that the server is made of. docs/formats.md says which servers are missing here.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use crate::support::{self, modelcar, need, need_python_with, run, stdout_of};

/// A sample, the file that is loaded, the server, and what `build` is told.
struct Case {
    sample: &'static str,
    main: &'static str,
    format: &'static str,
    /// Whose layout and whose rules.
    server: &'static str,
    options: &'static [&'static str],
}

const fn case(sample: &'static str, main: &'static str, format: &'static str, server: &'static str) -> Case {
    Case { sample, main, format, server, options: &[] }
}

const fn pickle(sample: &'static str, main: &'static str, server: &'static str) -> Case {
    Case { sample, main, format: "sklearn", server, options: &["--allow-pickle"] }
}

const CASES: &[Case] = &[
    case("onnx", "model.onnx", "onnx", "ovms"),
    case("onnx", "model.onnx", "onnx", "triton"),
    case("onnx", "model.onnx", "onnx", "mlserver"),
    case("onnx_external", "net.onnx", "onnx", "ovms"),
    case("onnx_external", "net.onnx", "onnx", "triton"),
    case("openvino", "net.xml", "openvino", "ovms"),
    case("openvino", "net.xml", "openvino", "triton"),
    case("tensorflow", "saved_model.pb", "tensorflow", "ovms"),
    case("tensorflow", "saved_model.pb", "tensorflow", "tensorflow-serving"),
    case("tensorflow", "saved_model.pb", "tensorflow", "triton"),
    case("tflite", "linear.tflite", "tflite", "ovms"),
    pickle("sklearn", "classifier.joblib", "sklearnserver"),
    pickle("sklearn", "classifier.joblib", "mlserver"),
    pickle("sklearn_pickle", "pipeline.pkl", "sklearnserver"),
    pickle("sklearn_pickle", "pipeline.pkl", "mlserver"),
    case("xgboost_json", "trees.json", "xgboost", "xgbserver"),
    case("xgboost_json", "trees.json", "xgboost", "mlserver"),
    case("xgboost_ubj", "trees.ubj", "xgboost", "xgbserver"),
    case("xgboost_ubj", "trees.ubj", "xgboost", "mlserver"),
    case("lightgbm", "trees.txt", "lightgbm", "lgbserver"),
    case("lightgbm", "trees.txt", "lightgbm", "mlserver"),
    case("pmml", "tree.pmml", "pmml", "pmmlserver"),
    case("huggingface", "config.json", "huggingface", "huggingface"),
    case("gguf", "tiny.gguf", "gguf", "vllm"),
    case("safetensors", "weights.safetensors", "safetensors", "raw"),
    case("ovms_repository", "3/model.onnx", "onnx", "ovms"),
    case("triton_repository", "magika/1/model.onnx", "onnx", "triton"),
    pickle("mlserver_folder", "classifier.joblib", "mlserver"),
];

#[test]
fn a_model_of_every_format_answers_from_the_image_as_from_its_source() {
    let (Some(mut python), Some(skopeo), Some(umoci)) = (need_python_with("mlserver"), need("skopeo"), need("umoci")) else { return };
    let home = support::temp_dir();
    let samples = home.path().join("samples");
    run(python.arg(script()).arg("make").arg(&samples));

    let served: Vec<PathBuf> = CASES
        .iter()
        .enumerate()
        .map(|(number, case)| {
            let folder = home.path().join(format!("case-{number}"));
            std::fs::create_dir(&folder).unwrap();
            build_and_check(case, &samples, &folder);
            unpack(&skopeo, &umoci, &folder)
        })
        .collect();

    let questions: Vec<Value> = CASES
        .iter()
        .zip(&served)
        .map(|(case, models)| json!({"server": case.server, "source": samples.join(case.sample).join(case.main), "models": models}))
        .collect();
    let answers = ask(&Value::from(questions));
    let wrong = CASES.iter().zip(answers.as_array().unwrap()).filter(|(_, answer)| answer["source"] != answer["served"]);
    let report = wrong.fold(String::new(), |mut report, (case, answer)| {
        writeln!(report, "{} for {}: {answer}", case.sample, case.server).unwrap();
        report
    });
    assert!(report.is_empty(), "{report}");
    assert!(answers.as_array().unwrap().iter().all(|answer| answer["source"].as_array().is_some_and(|numbers| !numbers.is_empty())));
}

fn script() -> PathBuf {
    support::repo_root().join("tests/peers/formats.py")
}

/// Builds `image.oci`, and lets `check` judge it for the three deliveries.
fn build_and_check(case: &Case, samples: &Path, folder: &Path) {
    let (model, image) = (samples.join(case.sample), format!("oci:{}:v1", folder.join("image.oci").display()));
    let built = modelcar(folder)
        .arg("build")
        .arg(&model)
        .args(["-o", &image, "--runtime", case.server, "--model-name", "m", "--platform", "linux/amd64"])
        .args(case.options)
        .output()
        .unwrap();
    assert!(built.status.success(), "{} for {}: {}", case.sample, case.server, String::from_utf8_lossy(&built.stderr));
    let inspected: Value = serde_json::from_str(&stdout_of(modelcar(folder).args(["inspect", "--format", "json", &image]))).unwrap();
    assert_eq!(inspected["annotations"]["io.modelcar.format"], case.format, "{}", case.sample);
    let checked =
        modelcar(folder).args(["check", &image, "--consumer", "modelcar", "--consumer", "native", "--consumer", "fetch"]).output().unwrap();
    assert!(checked.status.success(), "{} for {}: {}", case.sample, case.server, String::from_utf8_lossy(&checked.stdout));
}

/// The `/models` that umoci unpacks; 0.4 of it reads no index, so skopeo takes the one platform out first.
fn unpack(skopeo: &Path, umoci: &Path, folder: &Path) -> PathBuf {
    let (one, bundle) = (folder.join("one"), folder.join("bundle"));
    let source = format!("oci:{}:v1", folder.join("image.oci").display());
    run(Command::new(skopeo)
        .args(["--insecure-policy", "--override-arch", "amd64", "copy", "--quiet", &source])
        .arg(format!("oci:{}:v1", one.display())));
    run(Command::new(umoci).args(["unpack", "--rootless", "--image"]).arg(format!("{}:v1", one.display())).arg(&bundle));
    bundle.join("rootfs/models")
}

fn ask(questions: &Value) -> Value {
    let mut python = need_python_with("mlserver").unwrap();
    let mut child = python.arg(script()).arg("answers").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    serde_json::to_writer(child.stdin.take().unwrap(), questions).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "formats.py answers: see above");
    serde_json::from_slice(&output.stdout).unwrap()
}
