//! What the container engines themselves want of an image: CRI-O (containers/image and containers/storage) and containerd.

use std::collections::BTreeMap;

use super::subject::{Image, Subject};
use super::{Consumer, Lines, some};
use crate::image::compress::Compression;
use crate::oci::{canonical, media_type};
use crate::store::MAX_MANIFEST;

/// The kernel's limit for an overlay (`OVL_MAX_STACK`), and containers/storage's `maxDepth`.
const MAX_DEPTH: usize = 500;
/// cri-o#6261: older releases fail above.
const CRIO_DEPTH: usize = 128;
/// buildkit#4810: mounts of containerd that are no root file systems fail from about here on.
const CONTAINERD_DEPTH: usize = 70;
/// Quay's limit of a layer, in bytes.
const QUAY_LAYER: u64 = 20_000_000_000;

const FEWER: &str = "pack the model anew: `modelcar build` stays at 50 layers";
const REBUILD: &str = "build the image with `modelcar build`; another tool wrote documents that contradict each other";

pub(super) fn check(subject: &Subject, lines: &mut Lines) {
    manifest_size(subject, lines);
    for image in &subject.images {
        lines.on(&image.platform);
        if !is_image(image, lines) {
            continue;
        }
        depth(image, lines);
        diff_ids(image, lines);
        layer_types(image, lines);
        layer_sizes(image, lines);
        tar_features(image, lines);
        names(image, lines);
    }
}

/// Engines run and mount images; an artifact is none.
pub(super) fn is_image(image: &Image, lines: &mut Lines) -> bool {
    if image.config.is_some() {
        lines.pass("image", "an image, not an artifact");
        return true;
    }
    let kind = image.manifest.artifact_type.as_ref().unwrap_or(&image.manifest.config.media_type);
    let detail = format!("it is an artifact (`{kind}`), not an image: no container starts from it, and containerd does not mount it");
    lines.fail("image", detail, "pack the model as an image: `modelcar build`");
    false
}

pub(super) fn depth(image: &Image, lines: &mut Lines) {
    let count = image.manifest.layers.len();
    let detail = if count == 1 { "1 layer".to_owned() } else { format!("{count} layers") };
    match (lines.consumer, count) {
        (_, 501..) => lines.fail("layers", format!("{detail}; the kernel mounts at most {MAX_DEPTH}"), FEWER),
        (Consumer::CriO, 129..) => {
            lines.warn("layers", format!("{detail}; older CRI-O fails above {CRIO_DEPTH} (cri-o#6261)"), FEWER);
        }
        (Consumer::CriO, _) | (_, ..=CONTAINERD_DEPTH) => lines.pass("layers", detail),
        _ => lines.warn(
            "layers",
            format!("{detail}; image volumes of containerd fail from about {CONTAINERD_DEPTH} on (buildkit#4810)"),
            FEWER,
        ),
    }
}

fn manifest_size(subject: &Subject, lines: &mut Lines) {
    let manifests = subject.images.iter().filter_map(|image| canonical::to_vec(&image.manifest).ok());
    let largest = manifests.map(|bytes| bytes.len()).chain([subject.size]).max().unwrap_or_default();
    if largest as u64 > MAX_MANIFEST {
        lines.fail(
            "manifest",
            format!("a manifest has {largest} bytes; registries and engines read at most 4 MiB"),
            "shorten the annotations",
        );
    } else {
        lines.pass("manifest", format!("{largest} bytes, at most 4 MiB are read"));
    }
}

/// Engines verify every layer after unpacking it.
fn diff_ids(image: &Image, lines: &mut Lines) {
    let Some(config) = &image.config else { return };
    let (ids, layers) = (&config.rootfs.diff_ids, &image.manifest.layers);
    if ids.len() != layers.len() {
        lines.fail("diff-ids", format!("the config has {} diff IDs, the manifest {} layers", ids.len(), layers.len()), REBUILD);
        return;
    }
    let true_id = |number: usize| match (&image.layers[number], Compression::of(&layers[number].media_type)) {
        (_, Some(Compression::None)) => Some(layers[number].digest),
        (Ok(listing), _) => listing.diff_id,
        (Err(_), _) => None,
    };
    let wrong: Vec<String> = (0..ids.len())
        .filter(|number| true_id(*number).is_some_and(|id| id != ids[*number]))
        .map(|number| layers[number].digest.short())
        .collect();
    if wrong.is_empty() {
        lines.pass(
            "diff-ids",
            format!("{} in the config, {} layers in the manifest; plain contents are not read here", ids.len(), layers.len()),
        );
    } else {
        lines.fail("diff-ids", format!("{} unpacks to something else than its diff ID says", some(&wrong)), REBUILD);
    }
}

fn layer_types(image: &Image, lines: &mut Lines) {
    let unreadable: Vec<String> = image.layers.iter().filter_map(|layer| layer.as_ref().err().cloned()).collect();
    if !unreadable.is_empty() {
        lines.fail("layer-types", unreadable.join("; "), "an image holds tar layers only; pack the model with `modelcar build`");
        return;
    }
    let types: Vec<&str> = image.manifest.layers.iter().map(|layer| layer.media_type.as_str()).collect();
    let zstd = types.iter().any(|kind| matches!(*kind, media_type::LAYER_ZSTD | media_type::DOCKER_LAYER_ZSTD));
    if zstd {
        let detail = "zstd: containerd since 1.5 and today's CRI-O unpack it; KServe's oci+fetch:// does not";
        lines.pass("layer-types", detail);
    } else {
        lines.pass("layer-types", "tar, gzip: every engine unpacks it");
    }
}

fn layer_sizes(image: &Image, lines: &mut Lines) {
    let large: Vec<String> =
        image.manifest.layers.iter().filter(|layer| layer.size > QUAY_LAYER).map(|layer| layer.digest.short()).collect();
    if !large.is_empty() {
        lines.warn(
            "layer-size",
            format!("{} is larger than 20 GB, Quay's limit", some(&large)),
            "split the file, or use a registry without that limit",
        );
    }
}

fn tar_features(image: &Image, lines: &mut Lines) {
    let pax: Vec<String> = image.entries().filter(|entry| entry.pax_size).map(|entry| entry.name.clone()).collect();
    if !pax.is_empty() {
        let detail = format!("the size of {} is in a PAX record, which Clair and other scanners ignore", some(&pax));
        lines.warn("tar", detail, "write GNU headers with base-256 sizes, as `modelcar build` does");
    }
}

/// Two names that differ in case alone are one file on the file systems of macOS and Windows, and on some network volumes.
fn names(image: &Image, lines: &mut Lines) {
    let mut folded: BTreeMap<String, &str> = BTreeMap::new();
    let mut clashes = Vec::new();
    for (path, _) in image.rootfs.below("models") {
        if let Some(other) = folded.insert(path.to_lowercase(), path) {
            clashes.push(format!("{other} and {path}"));
        }
    }
    if !clashes.is_empty() {
        lines.warn("names", format!("only case tells {} apart", some(&clashes)), "rename one of them");
    }
}
