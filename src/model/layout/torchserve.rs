//! TorchServe's folder: `model-store/NAME.mar` and `config/config.properties`, where KServe's `kserve-torchserve` looks.

use super::MOUNT;
use crate::model::{Facts, ModelFile};

/// Where TorchServe's configuration lies.
pub(super) const CONFIG: &str = "config/config.properties";

/// Where a file goes; `main` is the archive.
pub(super) fn target(path: &str, main: &str) -> String {
    match path {
        _ if path == main => format!("model-store/{path}"),
        "config.properties" => CONFIG.to_owned(),
        _ => path.to_owned(),
    }
}

/// The smallest configuration that works under KServe: TorchServe on 8085, because KServe's wrapper has 8080; metrics where the
/// platform scrapes them; the envelope (v1 or v2) from the environment, which KServe sets; one worker.
/// <https://kserve.github.io/website/docs/model-serving/predictive-inference/frameworks/pytorch>
pub(super) fn config(main: &str, facts: &Facts) -> ModelFile {
    let stem = main.rsplit_once('.').map_or(main, |(stem, _)| stem);
    let fact = |keys: [&str; 2], default: &str| keys.iter().find_map(|key| facts.get(key)).unwrap_or(default).to_owned();
    let (name, version) = (fact(["model-name", "name"], stem), fact(["model-version", "version"], "1.0"));
    let snapshot = serde_json::json!({
        "name": "startup.cfg",
        "modelCount": 1,
        "models": {name: {version: {
            "defaultVersion": true,
            "marName": main,
            "minWorkers": 1,
            "maxWorkers": 1,
            "batchSize": 1,
            "maxBatchDelay": 100,
            "responseTimeout": 120,
        }}},
    });
    let text = format!(
        "inference_address=http://0.0.0.0:8085\n\
         management_address=http://0.0.0.0:8085\n\
         metrics_address=http://0.0.0.0:8082\n\
         grpc_inference_port=7070\n\
         grpc_management_port=7071\n\
         enable_metrics_api=true\n\
         metrics_format=prometheus\n\
         enable_envvars_config=true\n\
         install_py_dep_per_model=false\n\
         model_store={MOUNT}/model-store\n\
         load_models=all\n\
         model_snapshot={}\n",
        properties_value(&snapshot.to_string())
    );
    ModelFile::generated(CONFIG, text)
}

/// A `.properties` value: the backslash is its escape character, and the name in an archive is a stranger's.
/// <https://docs.oracle.com/javase/8/docs/api/java/util/Properties.html#load-java.io.Reader->
fn properties_value(text: &str) -> String {
    text.replace('\\', "\\\\")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io;

    fn text(main: &str, facts: &Facts) -> String {
        io::read_to_string(config(main, facts).open().unwrap()).unwrap()
    }

    fn value<'a>(text: &'a str, key: &str) -> &'a str {
        text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('=')).unwrap()
    }

    #[test]
    fn the_snapshot_names_the_archive_and_what_it_says_about_itself() {
        let mut facts = Facts::default();
        let snapshot =
            |facts: &Facts| -> serde_json::Value { serde_json::from_str(value(&text("net.mar", facts), "model_snapshot")).unwrap() };
        assert_eq!(snapshot(&facts)["models"]["net"]["1.0"]["marName"], "net.mar");
        facts.add("model-name", "model name", "mnist");
        facts.add("model-version", "version", "2.1");
        assert_eq!(snapshot(&facts)["models"]["mnist"]["2.1"]["marName"], "net.mar");
        assert_eq!(value(&text("net.mar", &facts), "model_store"), "/mnt/models/model-store");
    }

    #[test]
    fn no_name_can_add_a_line_or_a_property() {
        let mut facts = Facts::default();
        facts.add("model-name", "model name", "a\"\nload_models=evil.mar\\");
        let text = text("net.mar", &facts);
        assert_eq!(text.lines().count(), 12, "{text}");
        let unescaped = value(&text, "model_snapshot").replace("\\\\", "\\");
        assert!(serde_json::from_str::<serde_json::Value>(&unescaped).is_ok(), "{unescaped}");
    }
}
