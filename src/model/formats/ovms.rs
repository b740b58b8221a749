//! Folders with a configuration of OpenVINO Model Server: `config.json` with a list of models, or `graph.pbtxt` of a MediaPipe graph
//! (LLMs). <https://github.com/openvinotoolkit/model_server/blob/main/docs/multiple_models_mode.md>

use serde_json::Value;

use super::settings::json;
use super::{Format, Place, Reading, ServedName, Serving};
use crate::kserve::Runtime;
use crate::model::Tree;
use crate::model::facts::{cut_list, printable};
use crate::model::layout::MOUNT;

/// A configured folder.
pub const FORMAT: Format = Format {
    name: "ovms",
    detect: |tree| models(tree) > 0,
    read: |tree| Ok(read(tree)),
    servings: &[Serving { runtime: Runtime::Ovms, place: Place::Top, name: ServedName::Kept }],
};

const CONFIG: &str = "config.json";
const GRAPH: &str = "graph.pbtxt";
/// The lists of a configuration.
const LISTS: [&str; 2] = ["model_config_list", "mediapipe_config_list"];
/// Models that are told.
const SHOWN: usize = 16;

/// How many models the folder's configuration has; 0: it has none.
pub(super) fn models(tree: &Tree) -> usize {
    let listed = config(tree).map_or(0, |config| entries(&config).count());
    listed.max(usize::from(tree.file(GRAPH).is_some()))
}

fn config(tree: &Tree) -> Option<Value> {
    let config = json(tree.file(CONFIG)?)?;
    LISTS.iter().any(|list| config[list].is_array()).then_some(config)
}

fn entries(config: &Value) -> impl Iterator<Item = &Value> {
    LISTS.iter().filter_map(|list| config[list].as_array()).flatten().map(|entry| entry.get("config").unwrap_or(entry))
}

fn read(tree: &Tree) -> Reading {
    let mut reading = Reading::default();
    if tree.file(GRAPH).is_some() {
        reading.mains.push(GRAPH.to_owned());
        reading.facts.add("graph", "graph", GRAPH);
    }
    let Some(config) = config(tree) else { return reading };
    reading.mains.push(CONFIG.to_owned());
    let names: Vec<_> = entries(&config).filter_map(|entry| entry["name"].as_str()).map(printable).collect();
    reading.facts.add("models", "models", cut_list(names.iter(), SHOWN));
    reading.notes.push(
        "KServe's ServingRuntimes for OpenVINO Model Server load `--model_path=/mnt/models`; for config.json, bring one with \
         `--config_path=/mnt/models/config.json`"
            .to_owned(),
    );
    reading.notes.extend(elsewhere(&config));
    reading
}

/// Models whose path is not where the image is mounted.
fn elsewhere(config: &Value) -> Vec<String> {
    let paths = entries(config).filter_map(|entry| entry["base_path"].as_str());
    let absolute = paths.filter(|path| path.starts_with('/') && !path.starts_with(MOUNT));
    absolute.take(8).map(|path| format!("{CONFIG} looks for a model in {}; the image is mounted at {MOUNT}", printable(path))).collect()
}

#[cfg(test)]
mod tests {
    use crate::kserve::Runtime;
    use crate::model::formats::testing::{folder, read_folder};
    use crate::model::{UNKNOWN_FORMAT, lay_out};

    #[test]
    fn a_list_of_models_is_told_and_kept() {
        let list =
            r#"{"model_config_list": [{"config": {"name": "a", "base_path": "/opt/a"}}, {"config": {"name": "b", "base_path": "b"}}]}"#;
        let model = read_folder(&folder(&[("config.json", list), ("a/1/x.bin", "w")]));
        assert_eq!(
            (model.format, model.facts.get("models"), model.facts.get("repository")),
            ("ovms", Some("a, b"), Some("ovms, 2 models"))
        );
        assert!(model.notes[0].contains("--config_path") && model.notes[1].contains("/opt/a"), "{:?}", model.notes);
        let layout = lay_out(&model, None, "m").unwrap();
        assert_eq!(layout.runtime, Runtime::Ovms);
        assert!(layout.files.iter().all(|placed| placed.target == placed.file.path));
    }

    #[test]
    fn a_graph_stays_at_the_top() {
        let model = read_folder(&folder(&[("graph.pbtxt", "input_stream: \"x\""), ("openvino_model.bin", "w")]));
        assert_eq!((model.format, model.mains.as_slice()), ("ovms", &["graph.pbtxt".to_owned()][..]));
        assert_eq!(lay_out(&model, None, "m").unwrap().files[0].target, "graph.pbtxt");
    }

    #[test]
    fn another_config_is_left_to_others() {
        for text in ["{}", "[]", "not json", r#"{"model_config_list": 1}"#, r#"{"model_config_list": []}"#] {
            assert_eq!(read_folder(&folder(&[("config.json", text)])).format, UNKNOWN_FORMAT, "{text}");
        }
    }
}
