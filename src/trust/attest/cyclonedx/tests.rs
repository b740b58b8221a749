use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::*;

fn contents(said: &[(&str, &str)]) -> Contents {
    Contents {
        annotations: said.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect(),
        files: BTreeMap::from([("1/model.onnx".to_owned(), Digest::of(b"model")), ("1/labels.txt".to_owned(), Digest::of(b"labels"))]),
    }
}

fn document(facts: &Facts<'_>) -> Value {
    serde_json::to_value(bom(facts)).unwrap()
}

fn of_model(said: &[(&str, &str)]) -> Value {
    document(&Facts { name: "iris", image: None, contents: &contents(said), origin: None })
}

#[test]
fn names_the_image_its_files_and_its_base() {
    let reference: Reference = "q.io:5000/org/Iris:v1".parse().unwrap_or_else(|_| "q.io:5000/org/iris:v1".parse().unwrap());
    let digest = Digest::of(b"index");
    let base = Digest::of(b"base").to_string();
    let contents = contents(&[("org.opencontainers.image.base.name", "q.io/ubi:9"), ("org.opencontainers.image.base.digest", &base)]);
    let image = Some(ImageFacts { digest, reference: Some(&reference) });
    let bom = document(&Facts { name: "q.io:5000/org/iris", image, contents: &contents, origin: None });
    let model = &bom["metadata"]["component"];
    assert_eq!(model["version"], "v1");
    let expected = format!("pkg:oci/iris@sha256%3A{}?repository_url=q.io%3A5000/org/iris&tag=v1", digest.hex());
    assert_eq!(model["purl"], expected.as_str());
    assert_eq!(model["hashes"][0]["content"], contents.digest().hex().as_str());
    assert_eq!(model["properties"][0], json!({"name": "io.modelcar.image.digest", "value": digest.to_string()}));
    let names: Vec<_> = bom["components"].as_array().unwrap().iter().map(|one| (one["type"].clone(), one["name"].clone())).collect();
    let expected = [("file", "models/1/labels.txt"), ("file", "models/1/model.onnx"), ("container", "q.io/ubi:9")];
    assert_eq!(names, expected.map(|(kind, name)| (json!(kind), json!(name))));
    assert_eq!(bom["dependencies"][0]["dependsOn"].as_array().unwrap().len(), 3);
}

#[test]
fn a_licence_goes_by_its_id_or_else_by_its_name() {
    for (said, expected) in [
        (&[("io.modelcar.model.licence", "apache-2.0")][..], json!([{"license": {"id": "Apache-2.0"}}])),
        (
            &[
                ("io.modelcar.model.licence", "other"),
                ("io.modelcar.model.licence-name", "llama"),
                ("io.modelcar.model.licence-link", "LICENSE"),
            ],
            json!([{"license": {"name": "llama"}}]),
        ),
        (
            &[("io.modelcar.model.licence", "x"), ("io.modelcar.model.licence-link", "https://e.com/l")],
            json!([{"license": {"name": "x", "url": "https://e.com/l"}}]),
        ),
        (&[("org.opencontainers.image.licenses", "MIT"), ("io.modelcar.model.licence", "x")], json!([{"license": {"id": "MIT"}}])),
        (&[], Value::Null),
    ] {
        assert_eq!(of_model(said)["metadata"]["component"]["licenses"], expected, "{said:?}");
    }
}

#[test]
fn the_card_says_what_was_read_and_nothing_else() {
    let said = [
        ("io.modelcar.inputs", "X: float32[?,4]; Y: int64[1]; cut…"),
        ("io.modelcar.model.task", "text-generation"),
        ("io.modelcar.model.model-type", "llama"),
        ("io.modelcar.model.architecture", "LlamaForCausalLM"),
    ];
    let expected = json!({"modelParameters": {
        "task": "text-generation", "architectureFamily": "llama", "modelArchitecture": "LlamaForCausalLM",
        "inputs": [{"format": "X: float32[?,4]"}, {"format": "Y: int64[1]"}],
    }});
    assert_eq!(of_model(&said)["metadata"]["component"]["modelCard"], expected);
    assert_eq!(of_model(&[])["metadata"]["component"]["modelCard"], Value::Null);
}

#[test]
fn source_and_origin_are_references() {
    let said = [
        ("org.opencontainers.image.source", "https://e.com/repo"),
        ("org.opencontainers.image.revision", "abc"),
        ("org.opencontainers.image.url", "no url"),
    ];
    let origin = HubOrigin { repository: "org/name".to_owned(), revision: "ab12".to_owned() };
    let bom = document(&Facts { name: "m", image: None, contents: &contents(&said), origin: Some(&origin) });
    let model = &bom["metadata"]["component"];
    assert_eq!(model["externalReferences"], json!([{"type": "vcs", "url": "https://e.com/repo", "comment": "revision abc"}]));
    assert_eq!(model["pedigree"]["ancestors"][0]["purl"], "pkg:huggingface/org/name@ab12");
}

#[test]
fn a_time_is_told_only_if_it_is_one() {
    for (created, expected) in [
        ("2023-11-14T22:13:20Z", json!("2023-11-14T22:13:20Z")),
        ("1970-01-01T00:00:00Z", Value::Null),
        ("yesterday, some time", Value::Null),
        ("", Value::Null),
    ] {
        assert_eq!(of_model(&[("org.opencontainers.image.created", created)])["metadata"]["timestamp"], expected);
    }
}

#[test]
fn equal_facts_give_equal_bytes_and_other_files_another_number() {
    let one = of_model(&[]);
    assert_eq!(one.to_string(), of_model(&[]).to_string());
    let mut other = contents(&[]);
    other.files.insert("more".to_owned(), Digest::of(b""));
    let other = document(&Facts { name: "iris", image: None, contents: &other, origin: None });
    assert_ne!(one["serialNumber"], other["serialNumber"]);
}

#[test]
fn a_serial_number_is_a_uuid_of_version_8() {
    for word in ["a", "b", "c", "d"] {
        let uuid = uuid(Digest::of(word.as_bytes()));
        let parts: Vec<usize> = uuid.split('-').map(str::len).collect();
        assert_eq!(parts, [8, 4, 4, 4, 12]);
        assert_eq!(&uuid[14..15], "8");
        assert!("89ab".contains(&uuid[19..20]), "{uuid}");
    }
}
