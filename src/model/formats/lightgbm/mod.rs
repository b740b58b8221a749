//! LightGBM: the text that `Booster.save_model` writes, `.txt` as a rule, `.bst` where KServe's server is to find it.

mod error;
mod header;

use std::io::{Read, Seek, SeekFrom};

use super::files::{has_ending, head, parsed, reading_of};
use super::{Format, Place, Reading, ServedName, Serving};
use crate::kserve::Runtime;
use crate::model::lint::{Finding, rules};
use crate::model::{Dimension, Facts, ModelError, ModelFile, TensorInfo, Tree};

pub use error::LightgbmError;
pub use header::LightgbmModel;

/// Text that begins with the line `tree`.
pub const FORMAT: Format = Format {
    name: "lightgbm",
    detect: |tree| tree.files().iter().any(is_lightgbm),
    read,
    servings: &[
        Serving { runtime: Runtime::Lgbserver, place: Place::Top, name: NAME },
        Serving { runtime: Runtime::Mlserver, place: Place::Top, name: NAME },
    ],
};

/// KServe's own server wants exactly one `*.bst`, MLServer looks for this one.
const NAME: ServedName = ServedName::File("model.bst");
/// How far the parameters behind the trees are looked at, in bytes; they take some kilobytes.
const MAX_PARAMETERS: u64 = 1 << 20;
const ENDINGS: [&str; 5] = ["txt", "bst", "lgb", "lgbm", "model"];

/// The word `tree` may begin any text; these lines do not.
fn is_lightgbm(file: &ModelFile) -> bool {
    if !has_ending(&file.path, &ENDINGS) {
        return false;
    }
    let head = head(file, 256);
    let text = String::from_utf8_lossy(&head);
    let mut lines = text.lines();
    lines.next() == Some("tree") && lines.any(|line| line.starts_with("version=v") || line.starts_with("num_class="))
}

fn read(tree: &Tree) -> Result<Reading, ModelError> {
    let files: Vec<_> = tree.files().iter().filter(|file| is_lightgbm(file)).collect();
    let mut reading = reading_of(&files);
    for file in &files {
        let model = parsed(tree, file, "LightGBM", LightgbmModel::read)?;
        let cut = cut_off(file, model.end);
        reading.findings.extend(cut.map(|what| Finding::at(&rules::TRUNCATED_WEIGHTS, &file.path, what)));
        if files.len() == 1 {
            reading.facts = facts(&model);
        }
    }
    Ok(reading)
}

/// What is missing at the end of a file whose trees end at this byte. LightGBM 4.7 crashes on parameters without an end.
fn cut_off(file: &ModelFile, end: u64) -> Option<String> {
    if end > file.size {
        return Some(format!("its trees end at byte {end}, it has {}", file.size));
    }
    let mut input = file.open_to_seek().ok()?;
    input.seek(SeekFrom::Start(end)).ok()?;
    let mut rest = Vec::new();
    input.take(MAX_PARAMETERS).read_to_end(&mut rest).ok()?;
    let rest = String::from_utf8_lossy(&rest);
    let missing = |begin: &str, end: &str| rest.contains(begin) && !rest.contains(end);
    missing("\nparameters:", "end of parameters").then(|| "its parameters have no end".to_owned())
}

fn facts(model: &LightgbmModel) -> Facts {
    let mut facts = Facts::default();
    facts.add("version", "text version", &model.version);
    facts.add("objective", "objective", &model.objective);
    facts.add("trees", "trees", model.trees.map_or(String::new(), |trees| trees.to_string()));
    facts.add("features", "features", model.features().map_or(String::new(), |features| features.to_string()));
    facts.add("classes", "classes", if model.classes == "1" { "" } else { &model.classes });
    facts.add("feature-names", "feature names", model.feature_names.shown());
    let shape = vec![Dimension::Named("batch".to_owned()), model.features().map_or(Dimension::Unknown, Dimension::Fixed)];
    facts.inputs = vec![TensorInfo { name: "input".to_owned(), element_type: "float64".to_owned(), shape: Some(shape) }];
    facts
}

#[cfg(test)]
mod tests {
    use std::fs;

    use crate::model::{ReadOptions, lay_out, read};

    const MODEL: &str =
        "tree\nversion=v4\nnum_class=1\nmax_feature_idx=1\nobjective=binary sigmoid:1\nfeature_names=a b\ntree_sizes=5 6\n\nTree0Tree1+end";

    #[test]
    fn text_becomes_what_servers_look_for() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("churn.txt"), MODEL).unwrap();
        fs::write(dir.path().join("notes.txt"), "tree\nof life").unwrap();
        let model = read(dir.path(), &ReadOptions::default()).unwrap();
        assert_eq!((model.format, &model.mains[..]), ("lightgbm", &["churn.txt".to_owned()][..]));
        assert_eq!(model.facts.get("trees"), Some("2"));
        assert_eq!(model.facts.get("classes"), None);
        assert_eq!(model.facts.inputs[0].to_string(), "input: float64[batch,2]");
        assert_eq!(model.findings, []);
        let layout = lay_out(&model, None, "churn").unwrap();
        let targets: Vec<_> = layout.files.iter().map(|placed| placed.target.as_str()).collect();
        assert_eq!((layout.runtime.name(), &targets[..]), ("lgbserver", &["model.bst", "notes.txt"][..]));
    }

    #[test]
    fn a_model_that_was_cut_is_found() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("m.bst"), &MODEL[..MODEL.len() - 5]).unwrap();
        let findings = read(dir.path(), &ReadOptions::default()).unwrap().findings;
        assert_eq!(findings[0].rule.id, "truncated-weights");
        assert_eq!(findings[0].what, "its trees end at byte 118, it has 116");
        fs::write(dir.path().join("m.bst"), format!("{MODEL} of trees\n\nparameters:\n[boosting: gb")).unwrap();
        let findings = read(dir.path(), &ReadOptions::default()).unwrap().findings;
        assert_eq!(findings[0].what, "its parameters have no end");
    }

    #[test]
    fn two_models_are_two_mains_and_a_broken_one_an_error() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("a.txt"), MODEL).unwrap();
        fs::write(dir.path().join("b.lgb"), MODEL).unwrap();
        assert_eq!(read(dir.path(), &ReadOptions::default()).unwrap().mains, ["a.txt", "b.lgb"]);
        fs::write(dir.path().join("b.lgb"), MODEL.replace("max_feature_idx", "x")).unwrap();
        let error = read(dir.path(), &ReadOptions::default()).unwrap_err();
        assert!(error.to_string().ends_with("b.lgb as LightGBM"), "{error}");
    }
}
