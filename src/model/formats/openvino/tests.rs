use std::fs;
use std::path::Path;

use crate::kserve::Runtime;
use crate::model::{Model, ModelError, ReadOptions, lay_out, read};

/// As OpenVINO 2026.4 writes it; the second output has no name of its own, as before 2023.
const IR: &str = r#"<?xml version="1.0"?>
<net name="linear" version="11"><layers>
  <layer id="0" name="features" type="Parameter" version="opset1"><data shape="?,3" element_type="f32"/>
    <output><port id="0" precision="FP32" names="x,features:0"><dim>-1</dim><dim>3</dim></port></output></layer>
  <layer id="1" name="w" type="Const" version="opset1"><data element_type="f16" shape="3, 2" offset="0" size="12"/></layer>
  <layer id="2" name="MatMul" type="MatMul" version="opset1"><output><port id="2" precision="FP32" names="raw"/></output></layer>
  <layer id="3" name="If" type="If" version="opset8">
    <then_body><layers><layer id="0" type="Parameter" name="inner"/><layer id="1" name="c" type="Const"><data element_type="i64" shape="" offset="64" size="8"/></layer></layers></then_body></layer>
  <layer id="4" name="r0" type="Result" version="opset1" output_names="scores"><input><port id="0" precision="FP32"><dim>-1</dim><dim>2</dim></port></input></layer>
  <layer id="5" name="r1" type="Result" version="opset1"><input><port id="0" precision="I64"/></input></layer>
</layers><edges><edge from-layer="2" from-port="2" to-layer="5" to-port="0"/><edge from-layer="0" from-port="0" to-layer="4" to-port="0"/></edges>
<rt_info><info name="OpenVINO Runtime" value="2026.4.1"/><conversion_parameters><framework value="onnx"/></conversion_parameters>
<nncf><weight_compression><mode value="int4_asym"/></weight_compression></nncf></rt_info></net>"#;

fn read_model(path: &Path) -> Result<Model, ModelError> {
    read(path, &ReadOptions::default())
}

fn folder(files: &[(&str, &[u8])]) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    for (name, content) in files {
        fs::write(dir.path().join(name), content).unwrap();
    }
    dir
}

fn cause(error: &ModelError) -> String {
    std::error::Error::source(error).unwrap().to_string()
}

#[test]
fn the_graph_says_what_it_is() {
    let dir = folder(&[("linear.xml", IR.as_bytes()), ("linear.bin", &[0; 72])]);
    let model = read_model(dir.path()).unwrap();
    assert_eq!((model.format, &model.mains[..]), ("openvino", &["linear.xml".to_owned()][..]));
    for (key, expected) in [
        ("producer", "OpenVINO 2026.4.1"),
        ("framework", "onnx"),
        ("model-name", "linear"),
        ("ir-version", "11"),
        ("layers", "6"),
        ("parameters", "7"),
        ("parameter-types", "float16 6, int64 1"),
        ("quantisation", "int4_asym"),
    ] {
        assert_eq!(model.facts.get(key), Some(expected), "{key}");
    }
    assert_eq!(model.facts.inputs.iter().map(ToString::to_string).collect::<Vec<_>>(), ["features:0: float32[?,3]"]);
    assert_eq!(model.facts.outputs.iter().map(ToString::to_string).collect::<Vec<_>>(), ["scores: float32[?,2]", "raw: int64[]"]);
    assert_eq!(model.findings, []);
}

#[test]
fn a_single_graph_brings_its_weights() {
    let dir = folder(&[("linear.xml", IR.as_bytes()), ("linear.bin", &[0; 72]), ("private.txt", b"x")]);
    let model = read_model(&dir.path().join("linear.xml")).unwrap();
    let triton = lay_out(&model, Some(Runtime::Triton), "net").unwrap();
    let targets: Vec<_> = triton.files.iter().map(|placed| placed.target.as_str()).collect();
    assert_eq!(targets, ["net/1/model.bin", "net/1/model.xml"]);
    let ovms = lay_out(&model, None, "net").unwrap();
    assert_eq!(ovms.files[0].target, "1/linear.bin");
}

#[test]
fn missing_weights_are_an_error_and_short_ones_a_finding() {
    let dir = folder(&[("linear.xml", IR.as_bytes()), ("other.bin", &[0; 72])]);
    for path in [dir.path().to_owned(), dir.path().join("linear.xml")] {
        let error = read_model(&path).unwrap_err();
        assert_eq!(cause(&error), "its weights \"linear.bin\" are missing");
        assert!(error.hint().unwrap().contains("same stem"));
    }
    fs::write(dir.path().join("linear.bin"), [0; 71]).unwrap();
    let findings = read_model(dir.path()).unwrap().findings;
    assert_eq!((findings[0].rule.id, findings[0].path.as_deref()), ("truncated-weights", Some("linear.bin")));
    assert_eq!(findings[0].what, "the graph needs 72 bytes of weights, it has 71");
}

#[test]
fn a_graph_without_constants_needs_no_weights() {
    let dir = folder(&[("a.xml", b"<net name='a' version='10'><layers><layer id='0' name='r' type='Result'/></layers></net>")]);
    assert_eq!(read_model(dir.path()).unwrap().facts.get("layers"), Some("1"));
}

#[test]
fn a_language_model_is_several_graphs() {
    let graphs = ["openvino_model", "openvino_tokenizer", "openvino_detokenizer"];
    let dir = tempfile::tempdir().unwrap();
    for name in graphs {
        fs::write(dir.path().join(format!("{name}.xml")), IR).unwrap();
        fs::write(dir.path().join(format!("{name}.bin")), [0; 72]).unwrap();
    }
    let model = read_model(dir.path()).unwrap();
    assert_eq!(model.mains.len(), 3);
    assert!(model.notes.iter().any(|note| note.contains("graph.pbtxt")), "{:?}", model.notes);
    fs::write(dir.path().join("graph.pbtxt"), "node: {}").unwrap();
    let model = read_model(dir.path()).unwrap();
    assert_eq!(model.facts.get("graph"), Some("graph.pbtxt"));
    assert_eq!(model.notes, [""; 0]);
}

#[test]
fn other_xml_is_no_model_and_broken_graphs_are_errors() {
    assert_eq!(read_model(folder(&[("pom.xml", b"<project/>")]).path()).unwrap().format, "unknown");
    for (content, expected) in [
        ("<x><net /></x>".to_owned(), "its outermost element is `x`, not `net`"),
        ("<net name='a'></net>".to_owned(), "it has no layers, so it is no OpenVINO model"),
        (IR.replace("size=\"12\"", "size=\"-12\""), "layer \"w\" has its weights at offset \"0\" with size \"-12\", which is no range"),
        (
            IR.replace("offset=\"0\"", "offset=\"18446744073709551615\""),
            "layer \"w\" has its weights at offset \"18446744073709551615\" with size \"12\", which is no range",
        ),
        (IR[..IR.len() - 6].to_owned(), "the file ends after byte"),
        (format!("<!DOCTYPE net>{IR}"), "byte 0: it has a document type"),
    ] {
        let error = read_model(folder(&[("a.xml", content.as_bytes())]).path()).unwrap_err();
        assert!(cause(&error).starts_with(expected), "{}", cause(&error));
    }
}
