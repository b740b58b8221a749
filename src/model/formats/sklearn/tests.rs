use std::fs;
use std::io::Write;

use crate::model::lint::rules;
use crate::model::{Model, ModelError, ReadOptions, lay_out, read};

const ESTIMATOR: &[u8] =
    b"\x80\x04csklearn.linear_model._ridge\nRidge\n)\x81}(\x8c\x0en_features_in_K\x04\x8c\x10_sklearn_version\x8c\x051.9.1ub.";

fn model_of(files: &[(&str, &[u8])]) -> (tempfile::TempDir, Result<Model, ModelError>) {
    let dir = tempfile::tempdir().unwrap();
    for (name, content) in files {
        fs::write(dir.path().join(name), content).unwrap();
    }
    let model = read(dir.path(), &ReadOptions::default());
    (dir, model)
}

fn facts(model: &Model) -> Vec<(&str, &str)> {
    model.facts.items.iter().map(|fact| (fact.key.as_str(), fact.value.as_str())).collect()
}

fn zlib(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// A wrapper as joblib writes it, with `shape` items of `dtype` and what follows.
fn array(dtype: &[u8], shape: &[u8], follows: &[u8]) -> Vec<u8> {
    [
        b"\x80\x04csklearn.x\nY\n)\x81}(\x8c\x04coefcjoblib.numpy_pickle\nNumpyArrayWrapper\n)\x81}(\x8c\x05shape".as_slice(),
        shape,
        b"\x8c\x05dtype",
        dtype,
        b"\x8c\x1bnumpy_array_alignment_bytesK\x10ub",
        follows,
        b"ub.",
    ]
    .concat()
}

const FLOAT64: &[u8] = b"cnumpy\ndtype\n\x8c\x02f8\x89\x88\x87R(K\x03\x8c\x01<NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\0tb";
const OBJECT: &[u8] = b"cnumpy\ndtype\n\x8c\x02O8\x89\x88\x87R(K\x03\x8c\x01|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x3ftb";

fn dangers(model: &Model) -> String {
    model.findings.iter().filter(|finding| *finding.rule == rules::DANGEROUS_PICKLE).map(|finding| finding.what.clone()).collect()
}

#[test]
fn an_estimator_says_what_it_is() {
    for content in [ESTIMATOR.to_vec(), zlib(ESTIMATOR)] {
        let (_dir, model) = model_of(&[("ridge.joblib", &content)]);
        let model = model.unwrap();
        assert_eq!(model.format, "sklearn");
        let expected = [
            ("estimator", "sklearn.linear_model._ridge.Ridge"),
            ("sklearn-version", "1.9.1"),
            ("features", "4"),
            ("packages", "sklearn"),
            ("pickle-protocol", "4"),
            ("imports", "sklearn.linear_model._ridge.Ridge"),
        ];
        assert_eq!(facts(&model)[..6], expected);
        let rules: Vec<_> = model.findings.iter().map(|finding| finding.rule.id).collect();
        assert_eq!(rules, ["pickle"]);
    }
}

#[test]
fn one_name_serves_both_servers() {
    let (_dir, model) = model_of(&[("ridge.pkl", ESTIMATOR), ("notes.txt", b"x")]);
    let model = model.unwrap();
    for runtime in [None, Some(crate::kserve::Runtime::Sklearnserver), Some(crate::kserve::Runtime::Mlserver)] {
        let layout = lay_out(&model, runtime, "m").unwrap();
        let targets: Vec<_> = layout.files.iter().map(|placed| placed.target.as_str()).collect();
        assert_eq!(targets, ["model.pkl", "notes.txt"]);
    }
}

#[test]
fn another_pickle_is_no_estimator() {
    let (_dir, model) = model_of(&[("vocabulary.pkl", b"\x80\x04}.")]);
    let model = model.unwrap();
    assert_eq!((model.format, model.mains.as_slice()), ("pickle", &["vocabulary.pkl".to_owned()][..]));
    assert_eq!(lay_out(&model, None, "m").unwrap().runtime, crate::kserve::Runtime::Raw);
}

#[test]
fn what_cannot_be_decompressed_is_opaque_and_says_so() {
    let (_dir, model) = model_of(&[("m.joblib", b"\xfd7zXZ\0\0\x01")]);
    let model = model.unwrap();
    assert_eq!((model.format, model.facts.get("compression")), ("sklearn", Some("xz")));
    let rules: Vec<_> = model.findings.iter().map(|finding| finding.rule.id).collect();
    assert_eq!(rules, ["pickle", "dangerous-pickle"], "leave to pack pickles is none for what nobody can look into");
    assert_eq!(model.findings[0].what, "compressed with xz, so it cannot be looked into: it may import anything; zlib or none can be");
}

#[test]
fn arrays_are_stepped_over() {
    let data = [&b"\x03\xff\xff\xff"[..], &b"cos\nsystem\n-----"[..]].concat();
    let (_dir, model) = model_of(&[("m.joblib", &array(FLOAT64, b"K\x02\x85", &data))]);
    assert_eq!(dangers(&model.unwrap()), "");
}

#[test]
fn what_follows_an_array_is_read() {
    let data = [&b"\0"[..], &[0; 16][..], &b"cos\nsystem\n0"[..]].concat();
    let (_dir, model) = model_of(&[("m.joblib", &array(FLOAT64, b"K\x02\x85", &data))]);
    assert!(dangers(&model.unwrap()).contains("imports os.system"));
}

#[test]
fn an_array_of_objects_is_a_pickle_of_its_own() {
    let (_dir, model) = model_of(&[("m.joblib", &array(OBJECT, b"K\x02\x85", b"\x80\x05cos\nsystem\n."))]);
    let model = model.unwrap();
    assert!(dangers(&model).contains("imports os.system"), "{}", dangers(&model));
    assert!(!dangers(&model).contains("cannot be looked into"));
}

#[test]
fn an_array_of_unknown_size_ends_what_is_believed() {
    let cases: [(&[u8], &[u8], &str); 6] = [
        (FLOAT64, b"J\xff\xff\xff\xff\x85", "its shape"),
        (FLOAT64, b"\x8c\x01x\x85", "its shape"),
        (FLOAT64, b"\x8a\x08\xff\xff\xff\xff\xff\xff\xff\x7f\x85", "beyond 63 bits"),
        (b"N", b"K\x02\x85", "its type"),
        (b"cnumpy\ndtype\n\x8c\x02zz\x89\x88\x87R", b"K\x02\x85", "its type"),
        (b"cnumpy\nother\n\x8c\x02f8\x89\x88\x87R", b"K\x02\x85", "its type"),
    ];
    for (dtype, shape, why) in cases {
        let (_dir, model) = model_of(&[("m.joblib", &array(dtype, shape, b"xx"))]);
        let found = dangers(&model.unwrap());
        assert!(found.contains("the size of an embedded array cannot be told") && found.contains(why), "{why}: {found}");
    }
}

#[test]
fn a_file_that_is_cut_off_is_an_error_with_its_byte() {
    let whole = array(FLOAT64, b"K\x02\x85", &[0; 17]);
    for end in [whole.len() - 1, whole.len() - 10, 60] {
        let (dir, model) = model_of(&[("m.joblib", &whole[..end])]);
        let Err(ModelError::Unreadable { path, source, hint, .. }) = model else { panic!("it was read") };
        assert_eq!(path, dir.path().join("m.joblib"));
        assert!(source.to_string().contains("the pickle is cut off"), "{source}");
        assert!(hint.unwrap().contains("incomplete"));
    }
}

#[test]
fn of_several_files_all_are_looked_into() {
    let (_dir, model) = model_of(&[("a.joblib", ESTIMATOR), ("b.pickle", b"cos\nsystem\n.")]);
    let model = model.unwrap();
    assert_eq!(model.mains, ["a.joblib", "b.pickle"]);
    assert_eq!(model.findings.len(), 3);
    for runtime in [None, Some(crate::kserve::Runtime::Sklearnserver)] {
        assert!(matches!(lay_out(&model, runtime, "m"), Err(ModelError::NotOneFile { .. })));
    }
}

#[test]
fn a_text_with_the_name_of_a_pickle_is_none() {
    let (_dir, model) = model_of(&[("readme.pkl", b"hello world")]);
    assert_eq!(model.unwrap().format, crate::model::UNKNOWN_FORMAT);
}
