//! What `build` and `replace` tell about the image they made.

use serde::Serialize;

use super::destination::Destination;
use crate::image::Built;
use crate::kserve::Runtime;
use crate::oci::Digest;
use crate::report::units;

/// `8 layers, 2.0 GiB (105.0 MiB sent)`.
pub(super) fn summary(built: &Built) -> String {
    let layers = units::count(built.depth(), "layer");
    format!("{layers}, {} ({} sent)", units::bytes(built.layer_bytes()), units::bytes(built.sent_bytes()))
}

/// What was decided before the build.
#[derive(Serialize)]
pub(super) struct Chosen {
    pub(super) format: &'static str,
    #[serde(serialize_with = "as_text")]
    pub(super) runtime: Runtime,
    pub(super) args: Vec<String>,
    pub(super) allowed: Vec<&'static str>,
}

fn as_text<S: serde::Serializer>(word: &impl ToString, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_str(&word.to_string())
}

/// What `--format json` prints.
#[derive(Serialize)]
pub(super) struct BuildView {
    image: String,
    #[serde(flatten)]
    chosen: Chosen,
    platforms: Vec<String>,
    digest: String,
    content_digest: String,
    size: u64,
    sent: u64,
    layers: Vec<LayerView>,
}

#[derive(Serialize)]
struct LayerView {
    digest: String,
    size: u64,
    sent: bool,
    files: Vec<FileView>,
}

#[derive(Serialize)]
struct FileView {
    path: String,
    size: u64,
    digest: String,
}

impl BuildView {
    pub(super) fn of(built: &Built, destination: &Destination, chosen: Chosen) -> Self {
        let file = |(path, size, digest): &(String, u64, Digest)| FileView { path: path.clone(), size: *size, digest: digest.to_string() };
        let layers = built.layers.iter().zip(built.sent.iter().chain(std::iter::repeat(&false))).map(|(layer, sent)| LayerView {
            digest: layer.descriptor.digest.to_string(),
            size: layer.descriptor.size,
            sent: *sent,
            files: layer.files.iter().map(file).collect(),
        });
        Self {
            image: destination.location.to_string(),
            chosen,
            platforms: built.platforms.iter().map(ToString::to_string).collect(),
            digest: built.index().digest().to_string(),
            content_digest: built.content.to_string(),
            size: built.layer_bytes(),
            sent: built.sent_bytes(),
            layers: layers.collect(),
        }
    }
}
