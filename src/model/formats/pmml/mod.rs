//! PMML: `*.pmml`, the XML in which statistics programs hand over models.

mod schema;

use super::files::{has_ending, parsed, reading_of, told};
use super::{Format, Place, Reading, ServedName, Serving};
use crate::kserve::Runtime;
use crate::model::{Facts, ModelError, Tree};

pub use schema::{PmmlError, PmmlModel};

/// `*.pmml`.
pub const FORMAT: Format = Format {
    name: "pmml",
    detect: |tree| tree.files().iter().any(|file| has_ending(&file.path, &["pmml"])),
    read,
    // KServe's server takes whatever file has the ending, as long as there is one.
    servings: &[Serving { runtime: Runtime::Pmmlserver, place: Place::Top, name: ServedName::Kept }],
};

fn read(tree: &Tree) -> Result<Reading, ModelError> {
    let files: Vec<_> = tree.files().iter().filter(|file| has_ending(&file.path, &["pmml"])).collect();
    let mut reading = reading_of(&files);
    for file in &files {
        let model = parsed(tree, file, "PMML", PmmlModel::read)?;
        if files.len() == 1 {
            reading.facts = facts(&model, &mut reading.notes);
        }
        if model.models > 1 {
            reading.notes.push(format!("{} holds {} models; servers take the first", file.path, model.models));
        }
    }
    Ok(reading)
}

fn facts(model: &PmmlModel, notes: &mut Vec<String>) -> Facts {
    let mut facts = Facts::default();
    facts.add("producer", "producer", &model.application);
    facts.add("description", "description", &model.description);
    facts.add("version", "PMML version", &model.version);
    facts.add("kind", "kind of model", &model.kind);
    facts.add("function", "function", &model.function);
    facts.add("model-name", "model name", &model.name);
    facts.add("segments", "segments", if model.segments == 0 { String::new() } else { model.segments.to_string() });
    facts.inputs = told("inputs", &model.inputs, notes);
    facts.outputs = told("outputs", &model.outputs, notes);
    facts
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::model::{Model, ReadOptions, read};

    const MODEL: &str = r#"<?xml version="1.0" encoding="UTF-8"?>
<PMML xmlns="http://www.dmg.org/PMML-4_4" version="4.4">
  <Header description="Iris &amp; more"><Application name="by hand" version="1.0"/></Header>
  <DataDictionary>
    <DataField name="length" optype="continuous" dataType="double"/><DataField name="width" optype="continuous" dataType="float"/>
    <DataField name="weight" optype="continuous" dataType="double"/><DataField name="class" optype="categorical" dataType="string"/>
  </DataDictionary>
  <MiningModel modelName="iris" functionName="classification">
    <MiningSchema>
      <MiningField name="length"/><MiningField name="width" usageType="active"/><MiningField name="weight" usageType="analysisWeight"/>
      <MiningField name="class" usageType="target"/>
    </MiningSchema>
    <Output><OutputField name="p" dataType="double" feature="probability"/><OutputField name="class"/></Output>
    <Segmentation multipleModelMethod="sum">
      <Segment><True/><TreeModel><MiningSchema><MiningField name="inner"/></MiningSchema></TreeModel></Segment><Segment/>
    </Segmentation>
  </MiningModel>
</PMML>"#;

    fn read_text(text: &str) -> Result<Model, ModelError> {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("iris.pmml"), text).unwrap();
        read(dir.path(), &ReadOptions::default())
    }

    #[test]
    fn a_document_says_what_it_takes_and_predicts() {
        let model = read_text(MODEL).unwrap();
        assert_eq!((model.format, &model.mains[..]), ("pmml", &["iris.pmml".to_owned()][..]));
        for (key, expected) in [
            ("producer", "by hand 1.0"),
            ("description", "Iris & more"),
            ("version", "4.4"),
            ("kind", "MiningModel"),
            ("function", "classification"),
            ("model-name", "iris"),
            ("segments", "2"),
        ] {
            assert_eq!(model.facts.get(key), Some(expected), "{key}");
        }
        let shown = |fields: &[crate::model::TensorInfo]| fields.iter().map(ToString::to_string).collect::<Vec<_>>();
        assert_eq!(shown(&model.facts.inputs), ["length: double", "width: float"]);
        assert_eq!(shown(&model.facts.outputs), ["class: string", "p: double", "class: string"]);
        assert_eq!(model.notes, [""; 0]);
    }

    #[test]
    fn a_second_model_is_told_and_changes_nothing() {
        let second = "<TreeModel modelName='b'><MiningSchema><MiningField name='other'/></MiningSchema></TreeModel></PMML>";
        let model = read_text(&MODEL.replace("</PMML>", second)).unwrap();
        assert_eq!((model.facts.get("kind"), model.facts.inputs.len()), (Some("MiningModel"), 2));
        assert_eq!(model.notes, ["iris.pmml holds 2 models; servers take the first"]);
    }

    #[test]
    fn what_is_no_model_is_refused_with_a_reason() {
        for (text, expected) in [
            ("<html/>".to_owned(), "its outermost element is `html`, not `PMML`"),
            ("<PMML version='4.4'><Header/></PMML>".to_owned(), "it has no model in it, such as a RegressionModel"),
            ("x".to_owned(), "it has no model in it, such as a RegressionModel"),
            (MODEL[..578].to_owned(), "the file ends after byte 573, within 3 open elements"),
            (MODEL[..600].to_owned(), "byte 580: it is no well-formed XML"),
            (
                format!("<!DOCTYPE PMML SYSTEM 'file:///etc/passwd'>{MODEL}"),
                "byte 0: it has a document type (`<!DOCTYPE`), which is refused",
            ),
        ] {
            let error = read_text(&text).unwrap_err();
            let cause = std::error::Error::source(&error).unwrap().to_string();
            assert_eq!(cause, expected);
        }
    }

    #[test]
    fn a_document_of_many_fields_is_cut_with_a_note() {
        let fields = "<MiningField name='a'/>".repeat(100_000);
        let model = read_text(&format!("<PMML><TreeModel><MiningSchema>{fields}</MiningSchema></TreeModel></PMML>")).unwrap();
        assert_eq!(model.facts.inputs.len(), 256);
        assert_eq!(model.notes, ["inputs: the first 256 are told, … and 19744 more"]);
    }
}
