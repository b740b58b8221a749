//! TorchServe's model archives: `*.mar`, a zip with `MAR-INF/MANIFEST.json`, a model and the Python that handles requests.
//!
//! See <https://github.com/pytorch/serve/blob/master/model-archiver/README.md>.

use serde::Deserialize;

use super::pytorch::{Archive, ArchiveError, findings, runnable_pickles};
use super::{Format, Place, Reading, ServedName, Serving};
use crate::kserve::Runtime;
use crate::model::facts::cut_list;
use crate::model::{Facts, ModelError, ModelFile, Tree};

/// `*.mar`, alone or in a `model-store`.
pub const FORMAT: Format = Format {
    name: "torchserve",
    detect: |tree| archives(tree).next().is_some(),
    read,
    servings: &[Serving { runtime: Runtime::Torchserve, place: Place::Top, name: ServedName::Kept }],
};

const MANIFEST: &str = "MAR-INF/MANIFEST.json";
const MAX_MANIFEST: u64 = 1 << 20;
const SHOWN: usize = 16;

/// `MANIFEST.json`, as far as anybody asks.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Manifest {
    runtime: Option<String>,
    archiver_version: Option<String>,
    model: ManifestModel,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct ManifestModel {
    model_name: Option<String>,
    model_version: Option<String>,
    handler: Option<String>,
    serialized_file: Option<String>,
    model_file: Option<String>,
    requirements_file: Option<String>,
}

/// Why a model archive cannot be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MarError {
    /// It is no zip, or one that is not to be trusted.
    #[error(transparent)]
    Archive(#[from] ArchiveError),
    /// It has no manifest.
    #[error("it has no {MANIFEST}, so TorchServe would refuse it")]
    NoManifest,
    /// The manifest is not what TorchServe reads.
    #[error("its {MANIFEST} cannot be read")]
    Manifest(#[source] serde_json::Error),
}

fn archives(tree: &Tree) -> impl Iterator<Item = &ModelFile> {
    tree.files().iter().filter(|file| file.path.rsplit_once('.').is_some_and(|(_, ending)| ending.eq_ignore_ascii_case("mar")))
}

fn read(tree: &Tree) -> Result<Reading, ModelError> {
    let files: Vec<_> = archives(tree).collect();
    let mut reading = Reading { mains: files.iter().map(|file| file.path.clone()).collect(), ..Reading::default() };
    for file in &files {
        let opened = file.open_to_seek().map_err(ModelError::io("read", tree.shown(&file.path)))?;
        let (manifest, mut archive) = open(opened).map_err(|error| unreadable(tree, file, error))?;
        reading.findings.extend(findings(&file.path, &runnable_pickles(&mut archive)));
        reading.notes.extend(notes(&file.path, &manifest, &archive));
        reading.facts = if files.len() == 1 { facts(&manifest, &archive) } else { Facts::default() };
    }
    if files.len() > 1 {
        reading.facts.add("models", "models", cut_list(reading.mains.iter(), SHOWN));
    }
    Ok(reading)
}

fn open<'a>(file: impl crate::model::ReadSeek + 'a) -> Result<(Manifest, Archive<'a>), MarError> {
    let mut archive = Archive::open(file)?;
    // TorchServe unpacks it.
    archive.check_names()?;
    let text = archive.text(MANIFEST, MAX_MANIFEST).ok_or(MarError::NoManifest)?;
    Ok((serde_json::from_str(&text).map_err(MarError::Manifest)?, archive))
}

fn unreadable(tree: &Tree, file: &ModelFile, error: MarError) -> ModelError {
    let hint = match error {
        MarError::Archive(ArchiveError::NoDirectory) => Some("the file may be incomplete; copy or download it again".to_owned()),
        MarError::NoManifest => Some("make it with torch-model-archiver".to_owned()),
        _ => None,
    };
    ModelError::Unreadable { path: tree.shown(&file.path), format: "TorchServe archive", source: error.into(), hint }
}

fn facts(manifest: &Manifest, archive: &Archive<'_>) -> Facts {
    let mut facts = Facts::default();
    let model = &manifest.model;
    for (key, label, value) in [
        ("model-name", "model name", &model.model_name),
        ("model-version", "model version", &model.model_version),
        ("handler", "handler", &model.handler),
        ("serialized-file", "serialized file", &model.serialized_file),
        ("model-file", "model file", &model.model_file),
        ("requirements-file", "requirements", &model.requirements_file),
        ("python-runtime", "runtime", &manifest.runtime),
        ("archiver-version", "archiver version", &manifest.archiver_version),
    ] {
        facts.add(key, label, value.as_deref().unwrap_or_default());
    }
    facts.add("archive-files", "files", cut_list(archive.names().iter(), SHOWN));
    facts
}

/// What runs on the server, and what it will want from the network.
fn notes(path: &str, manifest: &Manifest, archive: &Archive<'_>) -> Vec<String> {
    let mut notes = Vec::new();
    let model = &manifest.model;
    let is_inside = |name: &str| archive.names().iter().any(|entry| entry == name || *entry == format!("{name}.py"));
    if let Some(handler) = model.handler.as_deref() {
        // `handler.py:handle` names a function too.
        let file = handler.split(':').next().unwrap_or(handler);
        let whose = if is_inside(file) { "Python code of its own" } else { "one of TorchServe's" };
        notes.push(format!("{path} runs the handler {} on the server: {whose}", crate::model::facts::printable(handler)));
    }
    for (what, name) in [("serialized file", &model.serialized_file), ("model file", &model.model_file)] {
        if let Some(name) = name.as_deref().filter(|name| !is_inside(name)) {
            notes.push(format!("{path} names the {what} {}, which is not in it", crate::model::facts::printable(name)));
        }
    }
    if model.requirements_file.is_some() {
        notes.push(format!("{path} wants Python packages installed where it is loaded (install_py_dep_per_model): an edge site may have no network for that"));
    }
    notes
}

#[cfg(test)]
mod tests {
    use std::fs;

    use zip::CompressionMethod::Deflated;

    use super::super::pytorch::testing::zipped;
    use crate::model::lint::rules;
    use crate::model::{Model, ModelError, ReadOptions, read};

    const MANIFEST: &str = r#"{"runtime": "python", "archiverVersion": "0.12.0", "model": {"modelName": "mnist", "modelVersion": "1.0",
        "handler": "handler.py:handle", "serializedFile": "net.pt", "modelFile": "net.py", "extra": [1]}}"#;

    fn model_of(entries: &[(&str, &[u8])]) -> Result<Model, ModelError> {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("model-store")).unwrap();
        fs::write(dir.path().join("model-store/mnist.mar"), zipped(entries, Deflated)).unwrap();
        read(dir.path(), &ReadOptions::default())
    }

    fn chain(error: &dyn std::error::Error) -> String {
        error.source().map_or(error.to_string(), |cause| format!("{error}: {}", chain(cause)))
    }

    #[test]
    fn an_archive_says_what_it_runs() {
        let inner = zipped(&[("net/data.pkl", b"\x80\x02cmine\nNet\n)R.")], Deflated);
        let model = model_of(&[("MAR-INF/MANIFEST.json", MANIFEST.as_bytes()), ("handler.py", b"pass"), ("net.pt", &inner)]).unwrap();
        assert_eq!((model.format, model.mains.as_slice()), ("torchserve", &["model-store/mnist.mar".to_owned()][..]));
        for (key, value) in
            [("model-name", "mnist"), ("handler", "handler.py:handle"), ("serialized-file", "net.pt"), ("python-runtime", "python")]
        {
            assert_eq!(model.facts.get(key), Some(value));
        }
        let notes = [
            "model-store/mnist.mar runs the handler handler.py:handle on the server: Python code of its own",
            "model-store/mnist.mar names the model file net.py, which is not in it",
        ];
        assert_eq!(model.notes, notes);
        assert_eq!(model.findings.len(), 1);
        assert!(model.findings[0].what.starts_with("net.pt/net/data.pkl: pickle of protocol 2: imports mine.Net"), "{:?}", model.findings);
    }

    #[test]
    fn a_dangerous_pickle_inside_is_found_once() {
        let model = model_of(&[("MAR-INF/MANIFEST.json", b"{}"), ("vocab.pkl", b"cos\nsystem\n.")]).unwrap();
        let rules: Vec<_> = model.findings.iter().map(|finding| finding.rule).collect();
        assert_eq!(rules, [&rules::DANGEROUS_PICKLE, &rules::PICKLE]);
    }

    #[test]
    fn what_torchserve_would_refuse_is_refused() {
        for (entries, expected) in [
            (&[("handler.py", &b"x"[..])][..], "it has no MAR-INF/MANIFEST.json"),
            (&[("MAR-INF/MANIFEST.json", b"{")], "cannot be read: EOF while parsing"),
            (&[("MAR-INF/MANIFEST.json", b"{}"), ("../evil.py", b"x")], "its entry \"../evil.py\" would be unpacked somewhere else"),
        ] {
            let error = model_of(entries).unwrap_err();
            assert!(chain(&error).contains(expected), "{}", chain(&error));
        }
    }
}
