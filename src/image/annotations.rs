//! What an image says about its model, as annotations of index and manifests.
//!
//! Only facts that follow from the content and the options: nothing of the machine, the path or the clock.

use super::base::Base;
use crate::model::{Model, ServingLayout, TensorInfo, card};
use crate::oci::{Annotations, Timestamp};

/// The digest of the model's files, independent of layers: see [`super::compose`].
pub const CONTENT_DIGEST: &str = "io.modelcar.content.digest";
/// The model format: `onnx`, `unknown`.
pub const FORMAT: &str = "io.modelcar.format";
/// The runtime whose layout the files have: `ovms`, `mlserver`, `triton`, `raw`.
pub const RUNTIME: &str = "io.modelcar.runtime";
/// What the server has to be told beside the folder: a JSON list of arguments, such as `["--model=/mnt/models/q4.gguf"]`.
pub const ARGS: &str = "io.modelcar.args";
/// The model's inputs, `name: type[shape]` separated by `; `.
pub const INPUTS: &str = "io.modelcar.inputs";
/// The model's outputs, in the same form.
pub const OUTPUTS: &str = "io.modelcar.outputs";
/// The lint rules that would have refused the model and were allowed, separated by commas.
pub const LINT_ALLOWED: &str = "io.modelcar.lint.allowed";
/// Of a layer: whether it holds one file (`file`) or several (`directory`). olot's word, as the three below:
/// <https://github.com/containers/olot/blob/main/docs/feat-152-layer-content-annotations.md>.
pub const LAYER_TYPE: &str = "olot.layer.content.type";
/// Of a layer with one file: the digest of that file.
pub const LAYER_DIGEST: &str = "olot.layer.content.digest";
/// Of a layer: where its content is in the image, `/models/…`.
pub const LAYER_PATH: &str = "olot.layer.content.inlayerpath";
/// Of a layer: the name of its file or folder.
pub const LAYER_NAME: &str = "olot.layer.content.name";
/// Before the key of every other fact.
pub const FACT_PREFIX: &str = "io.modelcar.model.";

/// The longest value, in characters; registries cap manifests at 4 MiB and people read these.
const MAX_VALUE: usize = 1024;

pub(super) fn of(model: &Model, layout: &ServingLayout, base: &Base, created: Timestamp) -> Annotations {
    let mut annotations = Annotations::from([
        ("org.opencontainers.image.created".to_owned(), created.to_string()),
        (FORMAT.to_owned(), model.format.to_owned()),
        (RUNTIME.to_owned(), layout.runtime.to_string()),
    ]);
    if !layout.args.is_empty() {
        annotations.insert(ARGS.to_owned(), serde_json::json!(layout.args).to_string());
    }
    for fact in &model.facts.items {
        annotations.insert(format!("{FACT_PREFIX}{}", fact.key), short(&fact.value));
    }
    if let Some(licence) = model.facts.get("licence").and_then(card::spdx) {
        annotations.insert("org.opencontainers.image.licenses".to_owned(), licence.to_owned());
    }
    for (key, tensors) in [(INPUTS, &model.facts.inputs), (OUTPUTS, &model.facts.outputs)] {
        if !tensors.is_empty() {
            annotations.insert(key.to_owned(), short(&list(tensors)));
        }
    }
    if let Some((name, digest)) = &base.origin {
        if let Some(name) = name {
            annotations.insert("org.opencontainers.image.base.name".to_owned(), name.to_string());
        }
        annotations.insert("org.opencontainers.image.base.digest".to_owned(), digest.to_string());
    }
    annotations
}

fn list(tensors: &[TensorInfo]) -> String {
    tensors.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

fn short(value: &str) -> String {
    if value.chars().count() <= MAX_VALUE {
        return value.to_owned();
    }
    value.chars().take(MAX_VALUE - 1).chain(['…']).collect()
}
