//! MLServer's folder: a `model-settings.json` beside each model.
//! <https://docs.seldon.ai/mlserver/reference/model-settings>

use serde_json::Value;

use super::settings::json;
use super::{Format, Place, Reading, ServedName, Serving};
use crate::kserve::Runtime;
use crate::model::facts::{cut_list, printable};
use crate::model::layout::MOUNT;
use crate::model::{ModelFile, Tree};

/// A folder with settings.
pub const FORMAT: Format = Format {
    name: "mlserver",
    detect: |tree| models(tree) > 0,
    read: |tree| Ok(read(tree)),
    servings: &[Serving { runtime: Runtime::Mlserver, place: Place::Top, name: ServedName::Kept }],
};

const SETTINGS: &str = "model-settings.json";
/// Settings that are read.
const MAX_SETTINGS: usize = 64;

/// How many models have settings.
pub(super) fn models(tree: &Tree) -> usize {
    settings(tree).count()
}

fn settings(tree: &Tree) -> impl Iterator<Item = &ModelFile> {
    tree.files().iter().filter(|file| file.path.rsplit('/').next() == Some(SETTINGS))
}

fn read(tree: &Tree) -> Reading {
    let mut reading = Reading { mains: settings(tree).map(|file| file.path.clone()).collect(), ..Reading::default() };
    let (mut names, mut implementations, mut doubts) = (Vec::new(), Vec::new(), Vec::new());
    // One after the other: as values in memory they take ten times what they take as text.
    for file in settings(tree).take(MAX_SETTINGS) {
        let value = json(file);
        let text = |key: &str| value.as_ref()?.get(key)?.as_str().map(printable);
        names.extend(text("name"));
        implementations.extend(text("implementation"));
        doubts.extend(doubt(tree, file, value.as_ref()));
    }
    reading.facts.add("models", "models", cut_list(names.iter(), 16));
    reading.facts.add("implementation", "implementation", cut_list(implementations.iter(), 16));
    doubts.truncate(8);
    reading.notes = doubts;
    reading
}

/// What is likely to go wrong with one model.
fn doubt(tree: &Tree, file: &ModelFile, settings: Option<&Value>) -> Option<String> {
    let path = &file.path;
    let Some(settings) = settings else { return Some(format!("{path} is not JSON, so MLServer will not start")) };
    let uri = settings.get("parameters")?.get("uri")?.as_str()?;
    let folder = path.strip_suffix(SETTINGS).unwrap_or_default();
    let missing = || tree.files().iter().all(|file| !file.path.starts_with(&format!("{folder}{}", uri.trim_start_matches("./"))));
    match uri {
        _ if uri.starts_with('/') && !uri.starts_with(MOUNT) => {
            Some(format!("{path} looks for the model in {}; the image is mounted at {MOUNT}", printable(uri)))
        }
        _ if uri.contains("://") || uri.starts_with('/') || !missing() => None,
        _ => Some(format!("{path} names {}, which is not there", printable(uri))),
    }
}

#[cfg(test)]
mod tests {
    use crate::kserve::Runtime;
    use crate::model::formats::testing::{folder, read_folder};
    use crate::model::lay_out;

    #[test]
    fn settings_say_what_is_served_and_the_folder_is_kept() {
        let settings = r#"{"name": "iris", "implementation": "mlserver_mlflow.MLflowRuntime", "parameters": {"uri": "./m"}}"#;
        let model = read_folder(&folder(&[("a/model-settings.json", settings), ("a/m/weights", "w")]));
        assert_eq!((model.format, model.facts.get("repository")), ("mlserver", Some("mlserver, 1 model")));
        assert_eq!(model.facts.get("implementation"), Some("mlserver_mlflow.MLflowRuntime"));
        assert!(model.notes.is_empty(), "{:?}", model.notes);
        let layout = lay_out(&model, None, "m").unwrap();
        assert_eq!((layout.runtime, layout.files[0].target.as_str()), (Runtime::Mlserver, "a/m/weights"));
    }

    #[test]
    fn a_model_that_will_not_be_found_is_told() {
        for (settings, expected) in [
            (r#"{"parameters": {"uri": "/home/me/m"}}"#, "looks for the model in /home/me/m; the image is mounted at /mnt/models"),
            (r#"{"parameters": {"uri": "gone.bin"}}"#, "names gone.bin, which is not there"),
            ("{", "is not JSON, so MLServer will not start"),
        ] {
            let model = read_folder(&folder(&[("model-settings.json", settings), ("m.xyz", "w")]));
            assert_eq!(model.notes, [format!("model-settings.json {expected}")]);
        }
        for settings in [r#"{"parameters": {"uri": "/mnt/models/m.xyz"}}"#, r#"{"parameters": {"uri": "s3://b/m"}}"#, "{}", "[]"] {
            let model = read_folder(&folder(&[("model-settings.json", settings), ("m.xyz", "w")]));
            assert!(model.notes.is_empty(), "{settings}: {:?}", model.notes);
        }
    }
}
