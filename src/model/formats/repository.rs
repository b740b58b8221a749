//! Folders that are a server's repository already, whatever format the models in it have. Adds the facts that a layout and a person
//! want: which server's, how many models, and the name that a Triton configuration beside a single model gives it.

use super::{mlserver, ovms, triton};
use crate::kserve::Runtime;
use crate::model::{Facts, Tree};

/// The fact that names the server: `triton, 2 models`.
const REPOSITORY: &str = "repository";
/// The fact that holds the name in a `config.pbtxt` at the top.
pub(crate) const TRITON_NAME: &str = "triton-name";

/// Adds what is so.
pub(crate) fn describe(tree: &Tree, facts: &mut Facts) {
    let found =
        [(Runtime::Ovms, ovms::models(tree)), (Runtime::Mlserver, mlserver::models(tree)), (Runtime::Triton, triton::models(tree).len())];
    if let Some((server, models)) = found.into_iter().find(|(_, models)| *models > 0) {
        let plural = if models == 1 { "" } else { "s" };
        facts.add(REPOSITORY, "repository", format!("{server}, {models} model{plural}"));
    }
    let config = tree.file(triton::CONFIG).and_then(|file| triton::Config::of(file).ok());
    facts.add(TRITON_NAME, "Triton's name", config.and_then(|config| config.name).unwrap_or_default());
}

/// The server whose repository the folder is.
pub(crate) fn server(facts: &Facts) -> Option<Runtime> {
    facts.get(REPOSITORY)?.split_once(',')?.0.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::formats::testing::{folder, read_folder};
    use crate::model::lay_out;

    const ONNX: &str = "testdata/models/iris/logreg_iris.onnx";

    /// A folder with real ONNX files in these places, and these texts.
    fn with_onnx(places: &[&str], texts: &[(&str, &str)]) -> tempfile::TempDir {
        let dir = folder(texts);
        for place in places {
            let file = dir.path().join(place);
            std::fs::create_dir_all(file.parent().unwrap()).unwrap();
            std::fs::copy(std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(ONNX), file).unwrap();
        }
        dir
    }

    #[test]
    fn a_folder_of_known_models_still_says_whose_repository_it_is() {
        let list = r#"{"model_config_list": [{"config": {"name": "a", "base_path": "/mnt/models/a"}}]}"#;
        for (places, texts, repository, runtime) in [
            (&["a/1/model.onnx"][..], &[("a/config.pbtxt", "")][..], Some("triton, 1 model"), Runtime::Triton),
            (&["a/1/model.onnx", "b/1/model.onnx"], &[], Some("triton, 2 models"), Runtime::Triton),
            (&["a/1/model.onnx"], &[("config.json", list)], Some("ovms, 1 model"), Runtime::Ovms),
            (&["model.onnx"], &[("model-settings.json", r#"{"name": "a"}"#)], Some("mlserver, 1 model"), Runtime::Mlserver),
            (&["1/model.onnx"], &[], None, Runtime::Ovms),
            (&["model.onnx"], &[("config.json", "{}")], None, Runtime::Ovms),
        ] {
            let model = read_folder(&with_onnx(places, texts));
            assert_eq!((model.format, model.facts.get("repository")), ("onnx", repository), "{places:?}");
            assert_eq!(lay_out(&model, None, "m").unwrap().runtime, runtime, "{places:?}");
        }
    }

    #[test]
    fn the_configuration_beside_a_model_gives_it_its_name() {
        let model = read_folder(&with_onnx(&["model.onnx"], &[("config.pbtxt", "name: \"flowers\"")]));
        let layout = lay_out(&model, Some(Runtime::Triton), "iris").unwrap();
        let targets: Vec<_> = layout.files.iter().map(|placed| placed.target.as_str()).collect();
        assert_eq!(targets, ["flowers/1/model.onnx", "flowers/config.pbtxt"]);
    }
}
