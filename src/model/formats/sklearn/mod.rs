//! scikit-learn: one pickle, written by Python or by joblib.
//!
//! KServe's own server takes any `*.joblib`, `*.pkl` or `*.pickle`, but only one; MLServer looks for `model.joblib`, `model.pickle` or
//! `model.pkl`. A file that is called `model` satisfies both, so one image works with either: it gets that name for both.

use std::collections::BTreeSet;

use super::files;
use super::pickle::{self, Carrier, Defect, Import, PickleError, Root, Scan};
use super::{Format, Place, Reading, ServedName, Serving};
use crate::kserve::Runtime;
use crate::model::facts::cut_list;
use crate::model::{Facts, ModelError, ModelFile, Tree};

/// `*.joblib`, `*.pkl` and `*.pickle` that hold an estimator.
pub const FORMAT: Format = Format {
    name: "sklearn",
    detect: |tree| pickles(tree).take(MAX_LOOKED_AT).any(is_estimator),
    read: |tree| read(tree, "scikit-learn"),
    servings: &[
        Serving { runtime: Runtime::Sklearnserver, place: Place::Top, name: NAME },
        Serving { runtime: Runtime::Mlserver, place: Place::Top, name: NAME },
    ],
};

/// The same files with something else in them: no server of KServe's loads them by itself.
pub const OTHER_PICKLE: Format = Format {
    name: "pickle",
    detect: |tree| pickles(tree).take(MAX_LOOKED_AT).any(is_any),
    read: |tree| {
        let mut reading = read(tree, "pickle")?;
        reading.notes.push("no server of KServe loads this pickle by itself; a transformer or a runtime of your own can".to_owned());
        Ok(reading)
    },
    servings: &[],
};

const NAME: ServedName = ServedName::Stem("model");
const ENDINGS: [&str; 3] = ["joblib", "pkl", "pickle"];
/// Packages whose estimators scikit-learn's servers load.
const PACKAGES: [&str; 5] = ["sklearn", "xgboost", "lightgbm", "catboost", "imblearn"];
/// Files that are opened to see what they are.
const MAX_LOOKED_AT: usize = 64;
/// The class of the outermost object stands at the beginning; this much of it is read.
const DETECTED: u64 = 256 << 10;
/// Names in one fact.
const SHOWN: usize = 16;

fn pickles(tree: &Tree) -> impl Iterator<Item = &ModelFile> {
    tree.files().iter().filter(|file| has_ending(&file.path))
}

fn has_ending(path: &str) -> bool {
    files::has_ending(path, &ENDINGS)
}

/// What is compressed in a way that is not undone was written by joblib, which is scikit-learn's.
fn is_estimator(file: &ModelFile) -> bool {
    match start(file) {
        Some((_, Some(scan))) => scan.imports.list().iter().any(|import| PACKAGES.contains(&import.root())),
        Some((Carrier::Opaque(_), _)) => true,
        _ => false,
    }
}

fn is_any(file: &ModelFile) -> bool {
    match start(file) {
        Some((Carrier::Doubtful, Some(scan))) => scan.streams > 0 || !scan.imports.list().is_empty(),
        Some((carrier, _)) => matches!(carrier, Carrier::Plain | Carrier::Zlib | Carrier::Gzip | Carrier::Opaque(_)),
        None => false,
    }
}

/// A file that cannot be read is not recognised; packing it says why.
fn start(file: &ModelFile) -> Option<(Carrier, Option<Scan>)> {
    let mut opened = file.open_to_seek().ok()?;
    let carrier = pickle::carrier(&mut opened).ok()?;
    Some((carrier, pickle::scan_start(carrier, opened, DETECTED)))
}

/// Reads every file; facts are told where there is only one.
fn read(tree: &Tree, format: &'static str) -> Result<Reading, ModelError> {
    let files: Vec<_> = pickles(tree).collect();
    let mut reading = Reading { mains: files.iter().map(|file| file.path.clone()).collect(), ..Reading::default() };
    for file in &files {
        let (carrier, scan) = read_one(tree, file, format)?;
        reading.findings.extend(pickle::file_findings(&file.path, carrier, scan.as_ref()));
        if files.len() == 1 {
            reading.facts = facts(carrier, scan.as_ref());
        }
    }
    if files.len() > 1 {
        reading.facts.add("models", "models", cut_list(reading.mains.iter(), SHOWN));
    }
    Ok(reading)
}

fn read_one(tree: &Tree, file: &ModelFile, format: &'static str) -> Result<(Carrier, Option<Scan>), ModelError> {
    let io = |source| ModelError::io("read", tree.shown(&file.path))(source);
    let mut opened = file.open_to_seek().map_err(io)?;
    let carrier = pickle::carrier(&mut opened).map_err(io)?;
    let scan = pickle::scan_carried(carrier, opened).map_err(io)?;
    match scan {
        Some(Scan { defect: Some(error @ PickleError { defect: Defect::Truncated, .. }), .. }) => Err(ModelError::Unreadable {
            path: tree.shown(&file.path),
            format,
            source: error.into(),
            hint: Some("the file may be incomplete; copy or download it again".to_owned()),
        }),
        scan => Ok((carrier, scan)),
    }
}

fn facts(carrier: Carrier, scan: Option<&Scan>) -> Facts {
    let mut facts = Facts::default();
    if let Some(scan) = scan {
        scan.roots.first().into_iter().for_each(|root| root_facts(&mut facts, root));
        facts.add("packages", "packages", packages(scan));
        facts.add("pickle-protocol", "pickle protocol", scan.protocol.to_string());
        facts.add("imports", "imports", cut_list(scan.imports.list().iter(), SHOWN));
    }
    facts.add("compression", "compression", carrier.compression().unwrap_or_default());
    facts
}

fn root_facts(facts: &mut Facts, root: &Root) {
    facts.add("estimator", "estimator", root.class.as_deref().unwrap_or_default());
    facts.add("steps", "steps", cut_list(root.steps.iter(), SHOWN));
    facts.add("sklearn-version", "scikit-learn", root.sklearn_version.as_deref().unwrap_or_default());
    facts.add("features", "features", root.features.map(|count| count.to_string()).unwrap_or_default());
}

/// What has to be installed where it is loaded.
fn packages(scan: &Scan) -> String {
    const STANDARD: [&str; 8] = ["builtins", "__builtin__", "collections", "copyreg", "copy_reg", "_codecs", "datetime", "functools"];
    let roots: BTreeSet<_> = scan.imports.list().iter().map(Import::root).filter(|root| !STANDARD.contains(root)).collect();
    cut_list(roots.into_iter(), SHOWN)
}

#[cfg(test)]
mod tests;
