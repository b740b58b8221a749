//! Paths in configurations: of the machine where the model was made, or into the read-only folder of the model.

use super::super::engine::Subject;
use super::super::text::Text;
use super::super::{Finding, rules};

/// Folders of workstations, notebooks and training jobs; `/models` is there in the image, and not in the pod.
const ELSEWHERE: [&str; 9] = ["/home/", "/Users/", "/root/", "/workspace/", "/tmp/", "/content/", "/kaggle/", "/opt/ml/", "/models/"];
/// The home in TorchServe's own image.
const FINE: [&str; 1] = ["/home/model-server/"];
/// Where the model came from: told, and opened by nobody.
const HISTORY: [&str; 2] = ["_name_or_path", "name_or_path"];
/// Paths that are told of one file.
const MAX_PATHS: usize = 5;
/// The longest path that is quoted, in characters.
const MAX_PATH: usize = 120;

/// Settings that name a folder to write to.
const CACHES: [&str; 9] = [
    "CACHE_DIR",
    "cache_dir",
    "trt_engine_cache_path",
    "trt_timing_cache_path",
    "HF_HOME",
    "HF_HUB_CACHE",
    "TRANSFORMERS_CACHE",
    "VLLM_CACHE_ROOT",
    "workflow_store",
];
/// Paths that are looked at in one file; a configuration has a few.
const MAX_PLACES: usize = 1000;
/// How far behind its name a setting's value is looked for, in bytes.
const REACH: usize = 96;

/// Absolute paths that are values of settings.
pub(super) fn absolute(subject: &Subject<'_>, text: &Text<'_>) -> Vec<Finding> {
    if !text.is_config() || subject.is_main(text.path()) {
        return Vec::new();
    }
    let paths = absolute_paths(&text.content);
    if paths.is_empty() {
        return Vec::new();
    }
    vec![Finding::at(&rules::ABSOLUTE_PATH, text.path(), format!("names {}", crate::model::facts::cut_list(paths.iter(), MAX_PATHS)))]
}

/// The values in a text that are paths of another machine, each once, in order.
fn absolute_paths(text: &str) -> Vec<String> {
    let unix = ELSEWHERE.iter().flat_map(|folder| text.match_indices(folder)).map(|(at, _)| at);
    let windows = text.match_indices(":\\").filter_map(|(at, _)| drive_at(text, at));
    let mut places: Vec<usize> = unix.chain(windows).filter(|at| begins_a_value(&text[..*at])).collect();
    places.sort_unstable();
    let mut paths: Vec<String> = Vec::new();
    for at in places.into_iter().take(MAX_PLACES) {
        let path = value(&text[at..]);
        if paths.len() <= MAX_PATHS && !FINE.iter().any(|fine| path.starts_with(fine)) && !paths.contains(&path) {
            paths.push(path);
        }
    }
    paths
}

/// The place of the letter before a `:\`.
fn drive_at(text: &str, colon: usize) -> Option<usize> {
    let letter = colon.checked_sub(1)?;
    text.as_bytes().get(letter).is_some_and(u8::is_ascii_alphabetic).then_some(letter)
}

/// Whether the text before a path ends where a value begins: behind a quote, or behind `=`, `: ` or `- `.
fn begins_a_value(before: &str) -> bool {
    if before.ends_with(['"', '\'']) {
        let key = before[..before.len() - 1].trim_end();
        let is_escaped = before.ends_with("\\\"");
        return !is_escaped && !is_history(key);
    }
    let word = before.trim_end_matches([' ', '\t']);
    word.ends_with('=') || (word.len() < before.len() && word.ends_with([':', '-']) && !is_history(word))
}

fn is_history(key: &str) -> bool {
    let key = key.trim_end_matches([':', ' ', '"', '\'']);
    HISTORY.iter().any(|name| key.ends_with(name))
}

/// The value that begins here. Never more of the text than is quoted: a hostile one has no end and begins everywhere.
fn value(text: &str) -> String {
    let ends = |character: &char| ['"', '\'', '\n', '\r', ',', ';', ' ', ']', '}'].contains(character);
    text.chars().take(MAX_PATH).take_while(|character| !ends(character)).collect()
}

/// Settings that make a server write into the model's folder.
pub(super) fn cache_in_own_folder(_: &Subject<'_>, text: &Text<'_>) -> Vec<Finding> {
    if !text.is_config() {
        return Vec::new();
    }
    let caches = CACHES.iter().filter(|name| points_into_models(&text.content, name));
    caches.map(|name| Finding::at(&rules::WRITES_TO_OWN_FOLDER, text.path(), format!("{name} lies in the model's folder"))).collect()
}

/// Whether a path into the model's folder stands behind this name, in its line.
fn points_into_models(text: &str, name: &str) -> bool {
    let paths = ["/mnt/models", "/models"].iter().flat_map(|folder| text.match_indices(folder).take(MAX_PLACES)).map(|(at, _)| at);
    paths.filter(|at| begins_a_value(&text[..*at])).any(|at| {
        let near = &text.as_bytes()[at.saturating_sub(REACH)..at];
        let line = near.rsplit(|byte| *byte == b'\n').next().unwrap_or_default();
        line.windows(name.len()).any(|word| word == name.as_bytes())
    })
}

/// The folder of an NVIDIA NIM: it unpacks its engines beside the weights.
pub(super) fn nim_cache(subject: &Subject<'_>) -> Vec<Finding> {
    let is_nim = |target: &str| target.starts_with("ngc/hub/") || target.contains("/ngc/hub/");
    let first = subject.layout.files.iter().find(|placed| is_nim(&placed.target));
    first
        .map(|placed| Finding::at(&rules::WRITES_TO_OWN_FOLDER, &placed.file.path, "is the cache of an NVIDIA NIM, which writes into it"))
        .into_iter()
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_values_that_are_paths_of_another_machine_are_told() {
        for (text, expected) in [
            (r#"{"vocab": "/home/ann/vocab.txt"}"#, &["/home/ann/vocab.txt"][..]),
            (r#"{"vocab": "C:\\Users\\ann\\v.txt"}"#, &["C:\\\\Users\\\\ann\\\\v.txt"]),
            ("model_store=/models/store\nworkers=1", &["/models/store"]),
            ("path: /workspace/a\nother:\n  - /tmp/b\n", &["/workspace/a", "/tmp/b"]),
            ("string_value: '/root/x', y: \"/root/x\"", &["/root/x"]),
            (r#"{"_name_or_path": "/home/ann/run-7", "name_or_path" : "/tmp/x"}"#, &[]),
            ("model_store=/mnt/models/model-store", &[]),
            ("load=/home/model-server/config", &[]),
            (r#"{"a": "text about /home/ and /tmp/x", "b": "s3://home/x"}"#, &[]),
            (r#"{"template": "say \"/tmp/x\" aloud"}"#, &[]),
            ("see https://example.org/home/x", &[]),
            ("", &[]),
        ] {
            assert_eq!(absolute_paths(text), expected, "{text}");
        }
    }

    #[test]
    fn a_megabyte_of_paths_is_a_few() {
        let many = (0..50_000).map(|n| format!("\"/tmp/{n}\"")).collect::<Vec<_>>().join(",");
        assert_eq!(absolute_paths(&many).len(), MAX_PATHS + 1);
    }

    /// Quadratic would be an hour.
    #[test]
    fn a_megabyte_without_an_end_costs_no_more_than_its_length() {
        for text in ["=/tmp/".repeat(170_000), "cache_dir ".repeat(100_000), "\"/models".repeat(130_000), " ".repeat(1 << 20)] {
            absolute_paths(&text);
            for name in CACHES {
                assert!(!points_into_models(&text, name));
            }
        }
    }

    #[test]
    fn a_cache_below_the_model_is_found_in_every_dialect() {
        for (text, expected) in [
            (r#"{"plugin_config": {"CACHE_DIR": "/mnt/models/cache"}}"#, true),
            (r#"parameters { key: "CACHE_DIR" value: { string_value: "/models/c" } }"#, true),
            ("CACHE_DIR=/mnt/models", true),
            (r#"{"CACHE_DIR": "/tmp/cache"}"#, false),
            ("CACHE_DIR=\nmodel_store=/mnt/models", false),
            (&format!("CACHE_DIR={} '/models'", "ü".repeat(REACH)), false),
        ] {
            assert_eq!(points_into_models(text, "CACHE_DIR"), expected, "{text}");
        }
    }
}
