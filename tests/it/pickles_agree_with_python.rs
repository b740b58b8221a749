//! What we read of pickles without running them is what Python imports when it loads them.

use std::collections::BTreeSet;
use std::fs::File;
use std::path::Path;
use std::process::Command;

use modelcar::model::formats::{pickle, pytorch};
use modelcar::model::{self, Model, ReadOptions};
use serde_json::Value;

use crate::support;

#[test]
fn imports_and_estimators_are_those_that_python_sees() {
    let Some(python) = support::need_python() else { return };
    if !Command::new(&python).args(["-c", "import sklearn, joblib"]).output().is_ok_and(|run| run.status.success()) {
        support::skip::<()>("Python's scikit-learn");
        return;
    }
    let folder = support::temp_dir();
    let script = support::repo_root().join("tests/peers/pickles.py");
    let told = support::stdout_of(Command::new(python).arg(script).arg(folder.path()));
    let files: Vec<Value> = told.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    files.iter().for_each(assert_same);
    assert!(files.len() > 100, "{}", files.len());
}

#[track_caller]
fn assert_same(theirs: &Value) {
    let path = Path::new(theirs["path"].as_str().unwrap());
    let ours = model::read(path, &ReadOptions::default()).unwrap_or_else(|error| panic!("{}: {error:?}", path.display()));
    let rules: Vec<_> = ours.findings.iter().map(|finding| finding.rule.id).collect();
    if theirs["opaque"] == true {
        assert_eq!(rules, ["pickle", "dangerous-pickle"], "{}: {:?}", path.display(), ours.findings);
        assert!(ours.findings[0].what.contains("cannot be looked into"), "{:?}", ours.findings);
        return;
    }
    assert_eq!(rules, ["pickle"], "{}: {:?}", path.display(), ours.findings);
    let expected: BTreeSet<_> = theirs["imports"].as_array().unwrap().iter().map(|name| name.as_str().unwrap().to_owned()).collect();
    assert_eq!(imports(path), expected, "{}", path.display());
    assert_facts(&ours, theirs, path);
}

/// All imports; the facts have only the first.
fn imports(path: &Path) -> BTreeSet<String> {
    let scans = match pytorch::scan_archive(File::open(path).unwrap()) {
        Ok(scans) => scans.into_iter().filter_map(|(_, scan)| scan).collect(),
        Err(_) => Vec::from_iter(pickle::scan_file(File::open(path).unwrap()).unwrap()),
    };
    assert!(!scans.is_empty(), "{}", path.display());
    scans.iter().flat_map(|scan| scan.imports.list()).map(ToString::to_string).collect()
}

fn assert_facts(ours: &Model, theirs: &Value, path: &Path) {
    if let Some(types) = theirs["types"].as_str() {
        assert_eq!((ours.format, ours.facts.get("parameter-types")), ("pytorch", Some(types)), "{}", path.display());
        return;
    }
    let estimator = theirs["estimator"].as_str().filter(|class| class.starts_with("sklearn."));
    assert_eq!(ours.format, if estimator.is_some() { "sklearn" } else { "pickle" }, "{}", path.display());
    assert_eq!(ours.facts.get("estimator"), estimator, "{}", path.display());
    let features = theirs["features"].as_u64().map(|count| count.to_string());
    // A pipeline asks its first step.
    let is_own = estimator.is_some_and(|class| !class.contains("Pipeline"));
    assert_eq!(ours.facts.get("features"), features.as_deref().filter(|_| is_own), "{}", path.display());
}
